"""A node whose disk is full, also the leader's: what needs no disk goes on, the others go on, and
with space again it is as before."""

import contextlib
import os
import subprocess

import pytest
from cluster import running
from expect import refused
from node import eventually

SIZE, MIN_FREE = 256 << 20, 64 << 20
MEBIBYTE = 1 << 20
PATIENCE_SECONDS = 15
NO_SPACE = "This node is short of disk space and takes no changes."
# Entries that the others make meanwhile.
MUTATIONS = 500

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes file systems")


@pytest.fixture(scope="module")
def cluster():
    """A cluster whose nodes have a small disk each."""
    storage = {"storage": {"min_free": f"{MIN_FREE}B"}}
    with running(storage, within=small_disk) as cluster:
        yield cluster


@contextlib.contextmanager
def small_disk(node):
    node.data.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={SIZE}", "keystead-test", node.data]
    subprocess.run(["mount", *options], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", node.data], check=True)


@contextlib.contextmanager
def filled(node, left):
    """The node's disk has so many bytes left for as long as the block runs."""
    filling = node.data / "filling"
    try:
        with open(filling, "wb") as file, contextlib.suppress(OSError):
            while free(node) > left:
                file.write(bytes(min(MEBIBYTE, free(node) - left)))
                file.flush()
        yield
    finally:
        filling.unlink()


def free(node):
    stat = os.statvfs(node.data)
    return stat.f_bavail * stat.f_frsize


@pytest.mark.parametrize("left", [MIN_FREE - MEBIBYTE, 0], ids=["too-little-left", "nothing-left"])
@pytest.mark.parametrize("role", ["follower", "leader"])
def test_full(cluster, role, left):
    leader = cluster.await_leader()
    node = leader if role == "leader" else cluster.followers[0]
    process, others = node.process, [other.client() for other in cluster.others(node)]
    key = others[0].create_key()["KeyMetadata"]["KeyId"]
    blob = others[0].encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    with filled(node, left):
        eventually(lambda: node.status()["DiskFull"], PATIENCE_SECONDS, node.output)
        eventually(lambda: not node.leads, PATIENCE_SECONDS, node.output)
        for number in range(MUTATIONS):
            tags = [{"TagKey": "a", "TagValue": str(number)}]
            others[number % len(others)].tag_resource(KeyId=key, Tags=tags)
            for each in cluster.nodes if number % 50 == 0 else []:
                assert each.client().decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        with refused("KMSInternalException", NO_SPACE, status=500):
            node.client().tag_resource(KeyId=key, Tags=tags)
        assert not node.leads

    eventually(lambda: not node.status()["DiskFull"], PATIENCE_SECONDS, node.output)
    node.client().tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "again"}])
    [newest] = [
        tag["TagValue"]
        for tag in node.client().list_resource_tags(KeyId=key)["Tags"]
        if tag["TagKey"] == "a"
    ]
    assert newest == str(MUTATIONS - 1)
    assert node.process is process and node.is_running
    node.done("cluster", "transfer-leader", node.name)
    assert cluster.await_leader() is node
