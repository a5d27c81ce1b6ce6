"""One node's clock is wrong, also the leader's: the region's time is that of the majority, and what
falls due does so by that time, neither early nor late."""

import contextlib
import datetime
import time
from dataclasses import dataclass

import pytest
from cluster import running
from node import features
from protos import generated
from walk_wires import Grpc
from walk_world import IMPORTED, MATERIALS, SYMMETRIC, Account

HOUR = 3600
# How far the replicated clock may be from the median of the nodes' clocks, and how much earlier by
# that median something may fall due.
TOLERANCE = datetime.timedelta(seconds=2)
# How much later: what is due is looked for once a second.
LATEST = datetime.timedelta(seconds=5)
ATTACK_SECONDS = 4
# So long after the attack began everything falls due.
LEAD = datetime.timedelta(seconds=4)
# Keys of each kind.
KEYS = 2
ROTATION = datetime.timedelta(days=90)
WINDOW = datetime.timedelta(days=7)
ALARM = "a clock is wrong"


class Region(contextlib.ExitStack):
    """The nodes, whose clocks are right but for what a test does, in a region whose time has passed
    by so much that days need not be waited for."""

    def __init__(self, cluster):
        super().__init__()
        self.cluster, self.shift = cluster, datetime.timedelta()
        self.passed, self.channels = cluster.folder / "passed", {}
        write(self.passed, 0)

    def clock(self, node):
        return node.folder / "clock"

    def turn(self, node, seconds):
        """The node's clock is so many seconds ahead from now on."""
        write(self.clock(node), seconds)

    def pass_until(self, moment):
        """The region's time is this one, to the second, from now on."""
        self.shift += datetime.timedelta(seconds=int((moment - self.now()).total_seconds()))
        write(self.passed, int(self.shift.total_seconds()))

    def now(self):
        """The median of the nodes' clocks: two of three are right."""
        return datetime.datetime.now(datetime.UTC) + self.shift

    def caller(self, node):
        """The root of the account at a node; over gRPC, whose callers sign nothing that has a
        time."""
        if node.name not in self.channels:
            self.channels[node.name] = self.enter_context(node.channel())
        return Caller(node, wire=Grpc(node, lambda _: self.channels[node.name]))


@dataclass(frozen=True)
class Caller(Account):
    wire: Grpc = None

    def answer(self, operation, body):
        return self.wire.call(self, operation, body)

    def ok(self, operation, body):
        answer = self.answer(operation, body)
        assert answer.code == "OK", f"{operation}: {answer.message}"
        return answer.body


def write(file, seconds):
    staged = file.with_suffix(".new")
    staged.write_text(f"{seconds}\n")
    staged.rename(file)


@pytest.fixture(scope="module")
def region(generated):
    if "test-clock" not in features():
        pytest.skip("the program was built without the feature test-clock")
    with running() as cluster, Region(cluster) as region:
        cluster.stop()
        for node in cluster.nodes:
            region.turn(node, 0)
            node.environment["KEYSTEAD_TEST_CLOCK_OFFSET"] = str(region.clock(node))
            node.environment["KEYSTEAD_TEST_CLOCK"] = str(region.passed)
        cluster.start()
        yield region


def replicated(node):
    return datetime.datetime.fromisoformat(node.status()["Clock"])


@dataclass
class Due:
    """Something that falls due: on which key, when, and how a DescribeKey shows that it has."""

    what: str
    key: str
    when: datetime.datetime
    shows: object

    def has_fallen(self, caller):
        return self.shows(caller.answer("DescribeKey", {"KeyId": self.key}))


def time_of(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def prepare(region, caller):
    """Keys to be rotated, to be deleted, and with material that expires, all in a moment: the
    region's time is brought to just before that."""
    rotating, doomed, imported = (
        [caller.key(kind) for _ in range(KEYS)] for kind in (SYMMETRIC, SYMMETRIC, IMPORTED)
    )
    due = []
    for key in rotating:
        caller.ok("EnableKeyRotation", {"KeyId": key.id, "RotationPeriodInDays": ROTATION.days})
        when = caller.ok("GetKeyRotationStatus", {"KeyId": key.id})["NextRotationDate"]
        first = caller.ok("DescribeKey", {"KeyId": key.id})["KeyMetadata"]["CurrentKeyMaterialId"]
        due.append(Due("rotation", key.id, time_of(when), rotated_from(first)))
    moment = due[-1].when
    region.pass_until(moment - WINDOW)
    for key in doomed:
        about = {"KeyId": key.id, "PendingWindowInDays": WINDOW.days}
        when = caller.ok("ScheduleKeyDeletion", about)["DeletionDate"]
        due.append(Due("deletion", key.id, time_of(when), is_gone))
    for key in imported:
        ends = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": moment.timestamp()}
        caller.ok("ImportKeyMaterial", {"KeyId": key.id} | key.wrapped(MATERIALS[key.id]) | ends)
        due.append(Due("expiry", key.id, moment, waits_for_material))
    assert max(each.when for each in due) - min(each.when for each in due) < TOLERANCE
    region.pass_until(moment - LEAD)
    return due


def rotated_from(first):
    return lambda answer: answer.body["KeyMetadata"]["CurrentKeyMaterialId"] != first


def is_gone(answer):
    return answer.code == "NotFoundException"


def waits_for_material(answer):
    return answer.body["KeyMetadata"]["KeyState"] == "PendingImport"


class Watch:
    """Looks whether what is due has fallen, by the median of the nodes' clocks."""

    def __init__(self, region, callers, due):
        self.region = region
        self.left = [(caller, each) for caller in callers for each in due]
        self.early, self.late, self.fell = [], [], []

    def look(self):
        for pair in list(self.left):
            caller, due = pair
            began = self.region.now()
            if due.has_fallen(caller):
                self.left.remove(pair)
                after = self.region.now() - due.when
                self.fell.append(after.total_seconds())
                if after < -TOLERANCE:
                    self.early.append((due.what, caller.node.name, after))
            elif began > due.when + LATEST:
                self.left.remove(pair)
                self.late.append((due.what, caller.node.name))


# By how many seconds the clock is off, so many seconds after the attack began.
ATTACKS = {
    "ahead": lambda passed: HOUR,
    "behind": lambda passed: -HOUR,
    "jumping": lambda passed: HOUR if int(passed * 2) % 2 else -HOUR,
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("role", ["leader", "follower"])
def test_one_wrong_clock(region, role, attack):
    cluster = region.cluster
    leader = cluster.await_leader()
    wrong = leader if role == "leader" else cluster.followers[0]
    callers = [region.caller(node) for node in cluster.others(wrong)]
    key = callers[0].key()
    due = prepare(region, callers[0])
    watches = [Watch(region, callers, due)]
    # A node whose own clock is ahead takes material for expired by that: it uses none too long.
    lasting = [each for each in due if each.what != "expiry"]
    watches.append(Watch(region, [region.caller(wrong)], lasting))
    off, began = [], time.monotonic()
    try:
        while (passed := time.monotonic() - began) < ATTACK_SECONDS or any(
            watch.left for watch in watches
        ):
            region.turn(wrong, ATTACKS[attack](passed))
            for caller in callers:
                tag = {"TagKey": "a", "TagValue": str(passed)}
                caller.ok("TagResource", {"KeyId": key.id, "Tags": [tag]})
            for watch in watches:
                watch.look()
            for node in cluster.nodes:
                off.append(abs(region.now() - replicated(node)))
    finally:
        region.turn(wrong, 0)
    fell = [after for watch in watches for after in watch.fell]
    print(f"{len(fell)} fell from {min(fell):.2f} to {max(fell):.2f} s after their time")
    assert not any(watch.early for watch in watches), [watch.early for watch in watches]
    assert not any(watch.late for watch in watches), [watch.late for watch in watches]
    assert max(off) < TOLERANCE
    assert cluster.await_leader() is leader, "an election because of a clock"
    alarms = [line for line in leader.output().splitlines() if ALARM in line]
    assert any(wrong.node_id in line for line in alarms)
