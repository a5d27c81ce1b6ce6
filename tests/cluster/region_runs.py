"""What two regions outlive, many times over: runs that `scripts/long regions` makes.

    python region_runs.py promotions|leaders|rollbacks|lag NUMBER SEED

Each prints one line of figures last, and ends with status 1 if anything was lost, doubled or stale.
"""

import collections
import contextlib
import itertools
import random
import shutil
import statistics
import sys
import threading
import time

import botocore.config
import botocore.exceptions
from link import Links
from node import OTHER_REGION, REGION, eventually
from regions import (
    await_agreement,
    client,
    connected,
    described,
    primaries,
    relatives,
    replicated,
    shared,
    status,
)

WITHIN = 30
ERRORS = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)


class Pair:
    """Two regions of one node each, with links between them."""

    def __init__(self, both, links):
        self.both, self.links = both, links
        self.nodes = {REGION: both.here.nodes[0], OTHER_REGION: both.there.nodes[0]}
        self.clients = {region: client(node) for region, node in self.nodes.items()}

    def primary(self, key):
        """The Region of the primary."""
        return relatives(self.clients[REGION], key)[1]

    def settle(self, keys):
        await_agreement(list(self.clients.values()), keys, WITHIN)

    def state(self, region, key):
        found = described(self.clients[region], key)
        if found is None:
            return "none"
        kind = found["MultiRegionConfiguration"]["MultiRegionKeyType"].lower()
        return f"{kind} {found['KeyState'].lower()}"

    def check(self, key, blobs, rotations):
        """Exactly one primary, nothing lost."""
        clients = list(self.clients.values())
        assert primaries(clients, key) == 1, "not one primary"
        one, other = (shared(kms, key) for kms in clients)
        assert one == other, f"{one} {other}"
        made = sum("RotationType" in each for each in rotations_of(clients[0], key))
        assert made == rotations, f"{made} rotations in place of {rotations}"
        for kms, blob in itertools.product(clients, blobs):
            assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"


def rotations_of(kms, key):
    return kms.list_key_rotations(KeyId=key)["Rotations"]


def other_than(region):
    return OTHER_REGION if region == REGION else REGION


@contextlib.contextmanager
def pair():
    links = Links()
    with connected(size=1, ways=links) as both:
        yield Pair(both, links)
        links.heal()


def blob_of(kms, key):
    return kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]


def promotions(runs, seed):
    """UpdatePrimaryRegion with a crash or a cut at a random moment on either side."""
    chosen, seen, moved = random.Random(seed), collections.Counter(), 0
    with pair() as world:
        for run in range(runs):
            key = replicated(*world.clients.values(), OTHER_REGION)
            world.settle([key])
            rotations = 0
            for _ in range(chosen.randrange(3)):
                world.clients[REGION].rotate_key_on_demand(KeyId=key)
                world.settle([key])
                rotations += 1
            if chosen.random() < 0.5:
                # The other way: it has moved before.
                move(world, REGION, key)
                world.settle([key])
            source = world.primary(key)
            blobs = [blob_of(kms, key) for kms in world.clients.values()]
            # So that each step takes its time, and any may be the last one.
            world.links.set(delay=0.01)
            move(world, source, key)
            time.sleep(chosen.uniform(0, 0.25))
            fault = chosen.choice(["kill source", "kill target", "cut", "cut there", "cut back"])
            strike(world, fault, source)
            states = (world.state(source, key), world.state(other_than(source), key))
            seen[f"{fault.split()[0]}: {states[0]}, {states[1]}"] += 1
            world.links.heal()
            world.settle([key])
            world.check(key, blobs, rotations)
            moved += world.primary(key) != source
    found = "; ".join(f"{what} {count}" for what, count in sorted(seen.items()))
    return f"{runs} promotions, {moved} took place, exactly one primary after each; seen: {found}"


def move(world, source, key):
    target = other_than(source)
    world.clients[source].update_primary_region(KeyId=key, PrimaryRegion=target)


def strike(world, fault, source):
    """What happens to the source or the target of a move, or to the way between them."""
    target = other_than(source)
    clusters = {REGION: world.both.here, OTHER_REGION: world.both.there}
    if fault.startswith("kill"):
        node = world.nodes[source if fault == "kill source" else target]
        node.kill()
        # What it finds when it is back is looked at before they meet again.
        world.links.cut()
        node.start()
        return
    cut = world.links.all()
    if fault == "cut there":
        cut = world.links.to(clusters[target])
    elif fault == "cut back":
        cut = world.links.to(clusters[source])
    for link in cut:
        link.cut()


def rollbacks(runs, seed):
    """A region set back to a copy of its data folder from a random earlier moment."""
    chosen, wrong, waited = random.Random(seed), [], 0
    with pair() as world:
        for run in range(runs):
            region = chosen.choice([REGION, OTHER_REGION])
            keys = [replicated(*world.clients.values(), OTHER_REGION) for _ in range(3)]
            world.settle(keys)
            moment = chosen.randrange(6)
            for step in range(6):
                if step == moment:
                    copy = take_copy(world.nodes[region])
                change(world, chosen, keys)
            wanted = {key: shared(world.clients[other_than(region)], key) for key in keys}
            put_back(world.nodes[region], copy)
            waited += stale_uses(world, region, wanted, wrong)
            world.settle(keys)
            for key in keys:
                found = shared(world.clients[region], key)
                if found != wanted[key] or primaries(list(world.clients.values()), key) != 1:
                    wrong.append((run, key, found, wanted[key]))
    assert not wrong, wrong
    return f"{runs} regions set back: 0 stale uses, 0 second primaries, {waited} uses had to wait"


def change(world, chosen, keys):
    """Something that keys share becomes another thing."""
    key = chosen.choice(keys)
    kms = world.clients[world.primary(key)]
    if chosen.random() < 0.5:
        kms.rotate_key_on_demand(KeyId=key)
    else:
        move(world, world.primary(key), key)
    world.settle([key])


def take_copy(node):
    """A copy of a node's data folder, as a snapshot of its disk would be."""
    copy = node.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    assert node.stop() == 0
    shutil.copytree(node.data, copy, ignore=shutil.ignore_patterns("admin.sock"))
    node.start()
    return copy


def put_back(node, copy):
    assert node.stop() == 0
    node.empty()
    shutil.copytree(copy, node.data)
    node.start()


def stale_uses(world, region, wanted, wrong):
    """Uses the keys of a region that has just come back until it lets them be used; returns how
    many uses it refused before."""
    kms, waited = world.clients[region], 0
    for key, shared_now in wanted.items():
        deadline = time.monotonic() + WITHIN
        while True:
            try:
                used = kms.generate_data_key(KeyId=key, KeySpec="AES_256")["KeyMaterialId"]
                break
            except ERRORS:
                assert time.monotonic() < deadline, f"{key} is not used any more"
                waited += 1
                time.sleep(0.02)
        if used != shared_now["current"]:
            wrong.append((key, used, shared_now))
    return waited


def leaders(seconds, seed):
    """Both leaders killed every 20 s while keys rotate, move and change."""
    chosen = random.Random(seed)
    with connected() as both:
        settings = {"retries": {"mode": "standard", "total_max_attempts": 3}, "read_timeout": 10}
        writers = [Writer(both, settings, seed + at) for at in range(2)]
        for writer in writers:
            writer.start()
        end, kills = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            time.sleep(17)
            down = [cluster.await_leader() for cluster in both.clusters]
            for node in down:
                node.kill()
                kills += 1
            time.sleep(chosen.uniform(1, 3))
            for cluster in both.clusters:
                cluster.start()
        for writer in writers:
            writer.finish()
        clients = both.clients()
        keys = [key for writer in writers for key in writer.keys]
        took = await_agreement(clients, keys, 60)
        done = collections.Counter()
        for writer in writers:
            writer.check(clients)
            done.update(writer.done)
    counts = ", ".join(f"{count} {what}" for what, count in sorted(done.items()))
    return f"{kills} leaders killed in {seconds} s; {counts}; 0 lost, 0 doubled, in step after {took:.1f} s"


class Writer(threading.Thread):
    """Changes keys of its own through any node, until it is told to end."""

    def __init__(self, both, settings, seed):
        super().__init__(daemon=True)
        self.both, self.chosen = both, random.Random(seed)
        self.clients = {
            cluster.region: [
                node.client(region=cluster.region, **settings) for node in cluster.nodes
            ]
            for cluster in both.clusters
        }
        here, there = both.clients()
        self.keys = [replicated(here, there, OTHER_REGION) for _ in range(5)]
        self.done, self.unsure, self.blobs = collections.Counter(), collections.Counter(), []
        self.rotations = collections.Counter()
        self.ends = threading.Event()

    def run(self):
        while not self.ends.is_set():
            key = self.chosen.choice(self.keys)
            with contextlib.suppress(*ERRORS, AssertionError):
                self.step(key)

    def step(self, key):
        any_client = self.chosen.choice(self.clients[REGION])
        kms = self.chosen.choice(self.clients[relatives(any_client, key)[1]])
        match self.chosen.randrange(4):
            case 0:
                self.attempt("rotations", key, kms.rotate_key_on_demand)
            case 1:
                target = other_than(kms.meta.region_name)
                kms.update_primary_region(KeyId=key, PrimaryRegion=target)
                self.done["promotions"] += 1
            case 2:
                kms.enable_key_rotation(
                    KeyId=key, RotationPeriodInDays=self.chosen.randrange(90, 2560)
                )
                self.done["schedules"] += 1
            case _:
                self.blobs.append(blob_of(kms, key))
                self.done["blobs"] += 1

    def attempt(self, what, key, call):
        try:
            call(KeyId=key)
        except botocore.exceptions.ClientError as error:
            # Only the service's word that it was refused is one.
            refused = error.response["ResponseMetadata"]["HTTPStatusCode"] < 500
            self.unsure[key] += not refused
            raise
        except botocore.exceptions.BotoCoreError:
            self.unsure[key] += 1
            raise
        self.rotations[key] += 1
        self.done[what] += 1

    def finish(self):
        self.ends.set()
        self.join()

    def check(self, clients):
        for key in self.keys:
            assert primaries(clients, key) == 1
            made = len(rotations_of(clients[0], key))
            least = self.rotations[key]
            assert least <= made <= least + self.unsure[key], f"{key}: {made}, not {least}"
        for kms, blob in itertools.product(clients, self.blobs):
            assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"


def lag(seconds, seed, rate=200, threads=4):
    """How long a change takes to be seen in the other region, at `rate` changes per second."""
    with connected() as both:
        here, there = both.clients()
        keys = [replicated(here, there, OTHER_REGION) for _ in range(40)]
        probe = replicated(here, there, OTHER_REGION)
        ends, counts = threading.Event(), [0] * threads
        begun = time.monotonic()

        def load(at):
            kms, own = client(both.here.nodes[at % 3]), itertools.cycle(keys[at::threads])
            while not ends.is_set():
                due = begun + counts[at] * threads / rate
                time.sleep(max(0, due - time.monotonic()))
                kms.enable_key_rotation(
                    KeyId=next(own), RotationPeriodInDays=90 + counts[at] % 2000
                )
                counts[at] += 1

        workers = [threading.Thread(target=load, args=(at,), daemon=True) for at in range(threads)]
        for worker in workers:
            worker.start()
        lags = []
        while time.monotonic() < begun + seconds:
            days = 90 + len(lags) % 2000
            here.enable_key_rotation(KeyId=probe, RotationPeriodInDays=days)
            told = time.monotonic()
            while there.get_key_rotation_status(KeyId=probe).get("RotationPeriodInDays") != days:
                assert time.monotonic() < told + WITHIN, "it does not come"
            lags.append(time.monotonic() - told)
        took = time.monotonic() - begun
        ends.set()
        for worker in workers:
            worker.join()
        eventually(lambda: status(both.here)["Waiting"] == 0, WITHIN, lambda: status(both.here))
    lags.sort()
    reached = sum(counts) / took
    p50, p99 = statistics.median(lags), lags[int(len(lags) * 0.99)]
    return (
        f"{reached:.0f} changes per second for {took:.0f} s, {len(lags)} of them looked for: "
        f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    )


RUNS = {run.__name__: run for run in (promotions, leaders, rollbacks, lag)}

if __name__ == "__main__":
    name, number, seed = sys.argv[1:]
    print(f"figures: {RUNS[name](int(number), int(seed))}")
