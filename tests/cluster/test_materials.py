"""Many keys of many materials: every ciphertext there ever was opens on every node, and snapshots,
restarts and new members change nothing of it."""

import datetime
import importlib
import time

import pytest
from cluster import running
from filler import answers, fill, request
from node import eventually, features
from protos import PACKAGE, generated
from walk_world import encoded

KEYS, MATERIALS = 200, 25
# Of the rotations, every sixth happens by itself; the others are asked for.
EVERY = 6
PERIOD_DAYS = 90
# Further than that a rotation on demand is not near one that happens by itself.
STEP = datetime.timedelta(days=PERIOD_DAYS, hours=1)
PATIENCE_SECONDS = 30
# A node makes a snapshot after so many entries, and keeps fewer than that behind it.
SNAPSHOT_EVERY = 50_000
WRITERS = 64
INSTALLED = "keystead_raft_snapshots_installed_total"
ALL = {"IncludeKeyMaterial": "ALL_KEY_MATERIAL"}


@pytest.fixture
def shift(tmp_path):
    """The file that says by how many seconds the region's time has passed."""
    if "test-clock" not in features():
        pytest.skip("the program was built without the feature test-clock")
    file = tmp_path / "shift"
    file.write_text("0\n")
    return file


@pytest.fixture
def cluster(shift, generated):
    importlib.import_module(f"{PACKAGE}.service_pb2")
    with running(environment={"KEYSTEAD_TEST_CLOCK": str(shift)}) as cluster:
        yield cluster


class Keys:
    """The keys, what is known of them, and a ciphertext of each of their materials."""

    def __init__(self, node):
        made = answers(node, "CreateKey", [{}] * KEYS)
        self.names = [{"KeyId": key["KeyMetadata"]["KeyId"]} for key in made]
        period = {"RotationPeriodInDays": PERIOD_DAYS}
        answers(node, "EnableKeyRotation", [name | period for name in self.names])
        # By ciphertext: what it holds, and the material that it needs.
        self.sealed = {}

    def current(self, node):
        found = answers(node, "DescribeKey", self.names)
        return [key["KeyMetadata"]["CurrentKeyMaterialId"] for key in found]

    def seal(self, node):
        """A ciphertext of each key's current material, through a node."""
        before = len(self.sealed)
        bodies = [
            name | {"Plaintext": encoded(f"{name['KeyId']} {before}".encode())}
            for name in self.names
        ]
        made = answers(node, "Encrypt", bodies)
        for body, reply, material in zip(bodies, made, self.current(node), strict=True):
            self.sealed[reply["CiphertextBlob"]] = (body["Plaintext"], material)

    def rotate(self, node):
        answers(node, "RotateKeyOnDemand", self.names)

    def rotate_when_due(self, cluster, shift):
        """Moves the region's time until the keys rotate by themselves."""
        before = self.current(cluster.nodes[0])
        seconds = int(shift.read_text()) + int(STEP.total_seconds())
        staged = shift.with_suffix(".new")
        staged.write_text(f"{seconds}\n")
        staged.rename(shift)

        def rotated():
            now = self.current(cluster.nodes[0])
            return all(new != old for new, old in zip(now, before, strict=True))

        eventually(rotated, PATIENCE_SECONDS, cluster.describe)

    def known(self, node):
        """What a node says of the keys and their materials."""
        return (
            answers(node, "DescribeKey", self.names),
            answers(node, "ListKeyRotations", [name | ALL for name in self.names]),
            answers(node, "GetKeyRotationStatus", self.names),
        )

    def check(self, node, known):
        """A node opens everything, each with its own material, and says what was said before."""
        opened = answers(node, "Decrypt", [{"CiphertextBlob": blob} for blob in self.sealed])
        found = [(reply["Plaintext"], reply["KeyMaterialId"]) for reply in opened]
        assert found == list(self.sealed.values())
        assert self.known(node) == known


def check_whole(known):
    """Each key has all its materials, one of which is the current one, rotated in both ways."""
    for key, listed in zip(known[0], known[1], strict=True):
        rotations = listed["Rotations"]
        assert len({each["KeyMaterialId"] for each in rotations}) == MATERIALS
        assert rotations[-1]["KeyMaterialId"] == key["KeyMetadata"]["CurrentKeyMaterialId"]
        kinds = [each.get("RotationType") for each in rotations]
        by_themselves = (MATERIALS - 1) // EVERY
        assert kinds.count("AUTOMATIC") == by_themselves
        assert kinds.count("ON_DEMAND") == MATERIALS - 1 - by_themselves


def make_snapshots(cluster, keys):
    """Lets all nodes make a snapshot, which ends the log that there was before."""
    leader = cluster.await_leader()
    tag = {"Tags": [{"TagKey": "a", "TagValue": "b"}]}
    messages = [request("TagResource", name | tag) for name in keys.names[:WRITERS]]
    fill(leader, "TagResource", messages, SNAPSHOT_EVERY - leader.status()["AppliedIndex"])
    eventually(
        lambda: all(node.status()["PurgedIndex"] for node in cluster.running),
        PATIENCE_SECONDS,
        cluster.describe,
    )


def test_nothing_is_lost_of_any_material(cluster, shift):
    began = time.monotonic()

    def note(what):
        print(f"{time.monotonic() - began:5.1f} s: {what}")

    keys = Keys(cluster.nodes[0])
    for rotation in range(1, MATERIALS):
        node = cluster.nodes[rotation % len(cluster.nodes)]
        keys.seal(node)
        if rotation % EVERY:
            keys.rotate(node)
        else:
            keys.rotate_when_due(cluster, shift)
    keys.seal(cluster.nodes[0])
    assert len(keys.sealed) == KEYS * MATERIALS
    known = keys.known(cluster.nodes[0])
    check_whole(known)
    note(f"{KEYS} keys of {MATERIALS} materials")

    make_snapshots(cluster, keys)
    note("snapshots")
    cluster.stop()
    cluster.start()
    for node in cluster.nodes:
        keys.check(node, known)
    note("restarted, all open on each")

    gone, new = cluster.followers[0], cluster.add(4)
    new.configure()
    new.start()
    assert new.metric(INSTALLED) >= 1
    cluster.await_leader().done("cluster", "remove", gone.name)
    assert gone.stop() == 0
    keys.check(new, known)
    new.done("cluster", "transfer-leader", new.name)
    assert cluster.await_leader() is new
    for node in cluster.running:
        keys.check(node, known)
    note("a new member, which leads; all open on each")
