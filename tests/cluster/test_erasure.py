"""Material that is lost leaves the disks of all nodes, and everybody can learn when it has."""

import datetime
import json
import os
import re

import pytest
from cluster import running
from importing import import_material, make_material, new_external_key
from node import REGION, eventually, features

WITHIN_SECONDS = 8
PATIENCE_SECONDS = 60
DELETION_SECONDS = 8 * 24 * 3600
# The program stores everything in clear but for what it wraps: set by scripts/long erasure.
CLEAR = os.environ.get("KEYSTEAD_CLEAR_VALUES")
# How a wrap under the first domain key begins: head, salt, and some of the commitment.
WRAP = re.compile(rb"\x57\x01\0\0\0\0\0\x01.{52}", re.DOTALL)
HEAD_BYTES, PIECE_BYTES = 8, 16


@pytest.fixture(scope="module")
def cluster():
    with running({"keys": {"erase_within": f"{WITHIN_SECONDS}s"}}) as cluster:
        yield cluster


def imported_key(kms):
    """The id of a key whose material was made here."""
    key = new_external_key(kms)
    import_material(kms, key, make_material("SYMMETRIC_DEFAULT"))
    return key["KeyId"]


def status(node, key):
    """What a node says of the material that a key lost."""
    return json.loads(node.done("key", "erasure-status", "--key-id", key, "--output", "json"))


def erased(node, key):
    """When each node had erased it, by name, once a node knows of it."""
    eventually(
        lambda: status(node, key)["MaterialLostAt"], PATIENCE_SECONDS, lambda: status(node, key)
    )
    return {each["Name"]: each["ErasedAt"] for each in status(node, key)["Nodes"]}


def is_erased_everywhere(node, key):
    return status(node, key)["Erased"]


def time(text):
    return datetime.datetime.fromisoformat(text)


def test_everybody_learns_when_every_node_has_erased(cluster, kms):
    key = imported_key(kms)
    before = status(cluster.nodes[0], key)
    assert (before["MaterialLostAt"], before["Erased"], before["KeyExists"]) == (None, False, True)
    kms.delete_imported_key_material(KeyId=key)
    for node in cluster.nodes:
        eventually(
            lambda node=node: is_erased_everywhere(node, key),
            PATIENCE_SECONDS,
            lambda node=node: status(node, key),
        )
        told = status(node, key)
        assert told["KeyArn"].endswith(f":key/{key}") and told["KeyExists"]
        limit = time(told["MaterialLostAt"]) + datetime.timedelta(seconds=WITHIN_SECONDS)
        assert len(told["Nodes"]) == len(cluster.nodes)
        assert all(time(each["ErasedAt"]) <= limit for each in told["Nodes"]), told
    shown = cluster.nodes[0].done("key", "erasure-status", "--key-id", told["KeyArn"])
    assert "No member has a copy of it on its disk any more." in shown
    # It is of no consequence for a key that is imported anew.
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingImport"


def test_a_node_that_is_away_erases_when_it_is_back(cluster):
    away, *others = cluster.followers[::-1] + [cluster.leader]
    kms = others[0].client()
    key = imported_key(kms)
    assert away.stop() == 0, away.output()
    kms.delete_imported_key_material(KeyId=key)
    names = {node.name for node in others}
    eventually(
        lambda: {name for name, at in erased(others[0], key).items() if at} == names,
        PATIENCE_SECONDS,
        lambda: status(others[0], key),
    )
    assert not is_erased_everywhere(others[0], key)
    shown = others[0].done("key", "erasure-status", "--key-id", key)
    assert re.search(rf"{away.name} +not yet", shown), shown
    away.start()
    eventually(
        lambda: is_erased_everywhere(away, key), PATIENCE_SECONDS, lambda: status(away, key)
    )


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("0" * 8 + "-0000-4000-8000-" + "0" * 12, "There is no key"),
        ("alias/some", "neither a key id nor a key's ARN"),
        (f"arn:aws:kms:us-west-2:000000000000:key/{'0' * 8}-0000-4000-8000-{'0' * 12}", REGION),
    ],
)
def test_a_key_that_never_was(cluster, key, text):
    done = cluster.nodes[0].run("key", "erasure-status", "--key-id", key)
    assert done.returncode != 0 and text in done.stderr


@pytest.mark.skipif(not CLEAR, reason="the program seals what it stores")
class TestBytes:
    """Byte by byte, in everything that the nodes have on their disks."""

    @pytest.fixture
    def cluster(self):
        assert "test-clock" in features()
        with running({"keys": {"erase_within": f"{WITHIN_SECONDS}s"}}) as cluster:
            cluster.stop()
            self.clock = cluster.folder / "clock"
            self.clock.write_text("0\n")
            for node in cluster.nodes:
                node.environment["KEYSTEAD_TEST_CLOCK"] = str(self.clock)
            yield cluster.start()

    def test_lost_material_is_in_no_file(self, cluster, kms):
        others = wraps(cluster)
        kept = kms.create_key()["KeyMetadata"]["KeyId"]
        kept_wraps = eventually_on_all(cluster, others, 1)
        others |= kept_wraps
        doomed = kms.create_key()["KeyMetadata"]["KeyId"]
        for _ in range(3):
            kms.rotate_key_on_demand(KeyId=doomed)
        doomed_wraps = eventually_on_all(cluster, others, 4)
        others |= doomed_wraps
        imported = imported_key(kms)
        imported_wraps = eventually_on_all(cluster, others, 1)

        kms.delete_imported_key_material(KeyId=imported)
        self.await_erasure(cluster, imported)
        assert found(cluster, imported_wraps) == []
        for node in cluster.nodes:
            # What has to be erased is in a snapshot, too.
            [snapshot] = node.data.rglob("*.snapshot")
            assert all(wrap in snapshot.read_bytes() for wrap in doomed_wraps)

        kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=7)
        assert len(found(cluster, doomed_wraps)) == len(cluster.nodes) * len(doomed_wraps)
        self.clock.write_text(f"{DELETION_SECONDS}\n")
        self.await_erasure(cluster, doomed)
        assert not status(cluster.nodes[0], doomed)["KeyExists"]
        assert found(cluster, doomed_wraps) == []
        assert len(found(cluster, kept_wraps)) == len(cluster.nodes), "a key that is there"
        assert status(cluster.nodes[0], kept)["MaterialLostAt"] is None

    def await_erasure(self, cluster, key):
        node = cluster.nodes[0]
        erased(node, key)
        eventually(
            lambda: is_erased_everywhere(node, key), PATIENCE_SECONDS, lambda: status(node, key)
        )


def files(node):
    """What a node has on its disk."""
    for path in node.data.rglob("*"):
        try:
            if path.is_file():
                yield path.read_bytes()
        except FileNotFoundError:
            # Removed in between.
            continue


def wraps(cluster):
    """How all wraps begin that are anywhere."""
    return {
        wrap for node in cluster.nodes for held in files(node) for wrap in WRAP.findall(held)
    }


def eventually_on_all(cluster, others, count):
    """The wraps that are new since `others`: so many, on every node."""

    def new(node):
        return {wrap for held in files(node) for wrap in WRAP.findall(held)} - others

    eventually(
        lambda: all(len(new(node)) == count for node in cluster.nodes),
        PATIENCE_SECONDS,
        lambda: [len(new(node)) for node in cluster.nodes],
    )
    [common] = {frozenset(new(node)) for node in cluster.nodes}
    return common


def found(cluster, wraps):
    """The nodes and wraps of which some random part is on a disk: a file may be split anywhere."""

    def pieces(wrap):
        return [
            wrap[at : at + PIECE_BYTES]
            for at in range(HEAD_BYTES, len(wrap) - PIECE_BYTES + 1, PIECE_BYTES)
        ]

    return [
        (node.name, wrap)
        for node in cluster.nodes
        for wrap in wraps
        if any(piece in held for held in files(node) for piece in pieces(wrap))
    ]
