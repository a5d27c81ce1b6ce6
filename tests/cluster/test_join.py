"""Joining: who knows the secret becomes a member, on a connection of its own, and nobody else."""

import contextlib
import select
import socket
import ssl
import threading

import pytest
from certificates import Authority
from cluster import Member
from peers import TIMEOUT_SECONDS, context

JOIN_NAME = "join.keystead.internal"
CHUNK = 64 * 1024
WARNING = "somebody who does not know the join secret asked to join"


@pytest.fixture
def newcomer(cluster):
    """A node with an empty folder, that is not started."""
    return Member(cluster, len(cluster.nodes) + 1).configure()


@pytest.fixture(autouse=True)
def members_stay(cluster):
    before = set(cluster.nodes[0].members())
    yield
    assert set(cluster.nodes[0].members()) == before


def refused(newcomer, *arguments):
    """What `keystead cluster join` says, which must not have written anything."""
    done = newcomer.run("cluster", "join", *arguments)
    assert done.returncode == 1
    assert not (newcomer.data / "peer").exists()
    return done.stderr


def test_another_secret(cluster, newcomer, tmp_path):
    wrong = tmp_path / "secret"
    wrong.write_text("0" * 64)
    for node in cluster.nodes:
        said = refused(newcomer, "--secret-file", wrong, "--seed", node.peers)
        assert "does not know this join secret" in said
    assert WARNING in cluster.nodes[0].output()


def test_a_short_secret(newcomer, tmp_path):
    short = tmp_path / "secret"
    short.write_text("0" * 31)
    said = refused(newcomer, "--secret-file", short)
    assert "at least 32 random characters" in said


def test_a_proof_is_worth_nothing_on_another_connection(cluster, newcomer):
    """Somebody in between passes on, to a member, all that a node says which knows the secret."""
    for node in cluster.nodes:
        with InBetween(node) as between:
            said = refused(newcomer, "--seed", between.address)
        assert between.passed_on and "does not know this join secret" in said


class InBetween:
    """Has a TLS connection with either side, and passes on what is in it."""

    def __init__(self, node):
        self.node, self.passed_on = node, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._work)
        certificate = Authority("nobody").issue(dns=[JOIN_NAME])
        self.inward = context(certificate, side=ssl.PROTOCOL_TLS_SERVER)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.thread.join(TIMEOUT_SECONDS)

    def _work(self):
        caller, _ = self.listener.accept()
        with contextlib.suppress(OSError):
            with self.inward.wrap_socket(caller, server_side=True) as caller:
                target = ("127.0.0.1", self.node.ports["peers"])
                with socket.create_connection(target) as plain:
                    with context().wrap_socket(plain, server_hostname=JOIN_NAME) as member:
                        self._pass_on(caller, member)

    def _pass_on(self, caller, member):
        to = {caller: member, member: caller}
        while True:
            for source in self._readable(to):
                if not (chunk := source.recv(CHUNK)):
                    return
                to[source].sendall(chunk)
                self.passed_on += len(chunk)

    @staticmethod
    def _readable(streams):
        # What TLS has read already is not readable any more for the system.
        pending = [stream for stream in streams if stream.pending()]
        return pending or select.select(list(streams), [], [], TIMEOUT_SECONDS)[0]


class TestAdmission:
    """What an operator carries to a node that cannot ask a member itself."""

    def test_of_something_else(self, newcomer, tmp_path):
        file = tmp_path / "admission.json"
        file.write_text("{}")
        assert "is no admission" in refused(newcomer, "--admission", file)

    def test_with_a_seal_of_another_cluster(self, cluster, newcomer, tmp_path):
        admission = tmp_path / "admission.json"
        admission.write_text(cluster.nodes[0].done("cluster", "issue-node-cert"))
        seal = tmp_path / "seal.key"
        seal.write_bytes(bytes(range(32)))
        seal.chmod(0o400)
        newcomer.environment["KEYSTEAD_SEAL_PATH"] = str(seal)
        refused(newcomer, "--admission", admission)


def test_a_node_that_is_a_member_does_not_join_again(cluster):
    said = cluster.nodes[1].run("cluster", "join").stderr
    assert "another keystead process uses" in said
