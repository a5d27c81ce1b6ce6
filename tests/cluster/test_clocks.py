"""One node's clock is wrong, also the leader's: the region's time is that of the majority."""

import datetime
import time

import pytest
from cluster import running
from node import features

HOUR = 3600
# How far the replicated clock may be from the median of the nodes' clocks.
TOLERANCE = datetime.timedelta(seconds=2)
ATTACK_SECONDS = 4
ALARM = "a clock is wrong"


@pytest.fixture(scope="module")
def cluster():
    if "test-clock" not in features():
        pytest.skip("the program was built without the feature test-clock")
    with running() as cluster:
        cluster.stop()
        for node in cluster.nodes:
            turn(node, 0)
            node.environment["KEYSTEAD_TEST_CLOCK_OFFSET"] = str(clock(node))
        yield cluster.start()


def clock(node):
    return node.folder / "clock"


def turn(node, seconds):
    """The node's clock is so many seconds ahead from now on."""
    staged = clock(node).with_suffix(".new")
    staged.write_text(f"{seconds}\n")
    staged.rename(clock(node))


def replicated(node):
    return datetime.datetime.fromisoformat(node.status()["Clock"])


# By how many seconds the clock is off, so many seconds after the attack began.
ATTACKS = {
    "ahead": lambda passed: HOUR,
    "behind": lambda passed: -HOUR,
    "jumping": lambda passed: HOUR if int(passed * 2) % 2 else -HOUR,
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("role", ["leader", "follower"])
def test_one_wrong_clock(cluster, role, attack):
    leader = cluster.await_leader()
    wrong = leader if role == "leader" else cluster.followers[0]
    clients = [node.client() for node in cluster.others(wrong)]
    key = clients[0].create_key()["KeyMetadata"]["KeyId"]
    off, began = [], time.monotonic()
    try:
        while (passed := time.monotonic() - began) < ATTACK_SECONDS:
            turn(wrong, ATTACKS[attack](passed))
            # By its own clock the wrong one refuses the signatures.
            for client in clients:
                client.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": str(passed)}])
            for node in cluster.nodes:
                off.append(abs(datetime.datetime.now(datetime.UTC) - replicated(node)))
    finally:
        turn(wrong, 0)
    assert max(off) < TOLERANCE
    assert cluster.await_leader() is leader, "an election because of a clock"
    alarms = [line for line in leader.output().splitlines() if ALARM in line]
    assert any(wrong.node_id in line for line in alarms)
