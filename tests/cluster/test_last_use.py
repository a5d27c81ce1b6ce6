"""When a key was last used, told by whichever node was asked to use it."""

import time

import pytest
from cluster import running
from node import eventually

PATIENCE_SECONDS = 30
# Uses that are closer to each other need not be told apart.
INTERVAL_SECONDS = 1


@pytest.fixture(scope="module")
def cluster():
    with running({"keys": {"use_interval": f"{INTERVAL_SECONDS}s"}}) as cluster:
        yield cluster


def last(node, key):
    return node.client().get_key_last_usage(KeyId=key)["KeyLastUsage"]


def told(cluster, key, expected):
    """Waits until every node that runs says so."""
    eventually(
        lambda: all(last(node, key) == expected for node in cluster.running),
        PATIENCE_SECONDS,
        lambda: [last(node, key) for node in cluster.running],
    )


def test_every_node_learns_of_a_use_on_any(cluster, key):
    for node in cluster.nodes:
        request = node.client().encrypt(KeyId=key, Plaintext=b"x")["ResponseMetadata"]["RequestId"]
        here = last(node, key)
        assert here["KmsRequestId"] == request, "a node knows what it did itself at once"
        told(cluster, key, here)
        time.sleep(INTERVAL_SECONDS)


def test_the_later_of_two_uses_stays(cluster, key):
    first, second = cluster.nodes[:2]
    first.client().encrypt(KeyId=key, Plaintext=b"x")
    time.sleep(2 * INTERVAL_SECONDS)
    second.client().generate_data_key(KeyId=key, KeySpec="AES_256")
    told(cluster, key, last(second, key))
    assert last(first, key)["Operation"] == "GenerateDataKey"


def test_a_node_that_stops_tells_what_it_knows():
    # None of them tells anything for a minute unless it stops.
    with running() as cluster:
        key = cluster.nodes[0].client().create_key()["KeyMetadata"]["KeyId"]
        for node in (cluster.followers[0], cluster.leader):
            node.client().encrypt(KeyId=key, Plaintext=b"x")
            here = last(node, key)
            others = cluster.others(node)
            assert all(last(other, key) != here for other in others)
            assert node.stop() == 0, node.output()
            assert all(last(other, key) == here for other in others)
            node.start()
