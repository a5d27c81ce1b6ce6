"""The members' port: whom it lets in, and whom a member takes for another one."""

import importlib
import ssl

import grpc
import pytest
from certificates import Authority
from cluster import running
from node import ACCOUNT
from peers import ALERT, HOUR, Impostor, Members, context, is_served, said
from protos import generated

STRANGER = "00000000deadbeef"
VERSION = b"\x01"


@pytest.fixture(scope="module")
def members():
    with running() as cluster:
        members = Members(cluster)
        members.take_over()
        yield members


@pytest.fixture
def messages(generated):
    return importlib.import_module("keystead.peer.v1.peer_pb2")


@pytest.fixture(autouse=True)
def nothing_changes(members):
    """Whatever a test does to a member, the cluster is the same afterwards."""
    cluster = members.cluster
    before = state(cluster)
    yield
    cluster.await_leader()
    assert state(cluster) == before


def state(cluster):
    names = ("Term", "Leader", "Keys", "Accounts", "Failure")
    leader = cluster.await_leader()
    everybody = {key: each["Address"] for key, each in leader.members().items() if each["Voter"]}
    return [leader.status()[name] for name in names], everybody


def certificates(members, node):
    """Certificates that do not make their owner a member, by what is wrong with them."""
    own, names = members.authority, members.names(members.ids[node.number])
    member, cluster = names[1], members.cluster
    other_cluster = f"n-{STRANGER}.00000000-0000-4000-8000-000000000000.keystead.internal"
    return {
        "none": None,
        "of another authority": members.issue(node, Authority("members")),
        "expired": members.issue(node, begins=-2 * HOUR, ends=-HOUR),
        "not valid yet": members.issue(node, begins=HOUR),
        "without a node's name": own.issue(dns=[member]),
        "with two nodes' names": own.issue(dns=[*names, members.name(STRANGER)]),
        "of a node of another cluster": own.issue(dns=[other_cluster, member]),
        "of a caller": cluster.caller(ACCOUNT),
        "of a caller, by the members' authority": own.issue(
            uris=[f"arn:aws:iam::{ACCOUNT}:root"]
        ),
        "of the clients' listener": cluster.authority.issue(dns=["localhost", *names]),
    }


WRONG = [
    "none",
    "of another authority",
    "expired",
    "not valid yet",
    "without a node's name",
    "with two nodes' names",
    "of a node of another cluster",
    "of a caller",
    "of a caller, by the members' authority",
    "of the clients' listener",
]


class TestHandshake:
    def test_a_member_is_let_in(self, members):
        """Or none of the refusals below would mean anything."""
        for node in members.cluster.nodes:
            for other in members.cluster.others(node):
                assert is_served(said(node, context(members.issue(other))))

    @pytest.mark.parametrize("wrong", WRONG)
    def test_a_wrong_certificate(self, members, wrong):
        for node in members.cluster.nodes:
            certificate = certificates(members, node)[wrong]
            assert not is_served(said(node, context(certificate)))

    def test_tls_1_2(self, members):
        node, other, _ = members.cluster.nodes
        old = context(members.issue(other), ssl.TLSVersion.TLSv1_2)
        assert not is_served(said(node, old))

    def test_plain_text(self, members):
        answer = said(members.cluster.nodes[0])
        assert answer == b"" or answer.startswith(ALERT)

    def test_the_name_of_those_who_join_opens_no_other_door(self, members, messages):
        """On that kind of connection nobody is authenticated, and the members' calls are none."""
        node = members.cluster.nodes[0]
        name = "join.keystead.internal"
        anonymous = ssl.get_server_certificate(("127.0.0.1", node.ports["peers"]))
        assert is_served(said(node, context(), name)) and anonymous


def vote(node_id, term):
    """A vote for a node in office, in the form in which it is stored."""
    return VERSION + b"\x08" + varint(term) + b"\x11" + bytes.fromhex(node_id)[::-1] + b"\x18\x01"


def varint(number):
    low, high = number & 127, number >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


class TestCalls:
    """What a member's certificate does not allow: to be another one."""

    @pytest.fixture
    def refused(self, members):
        """Calls, and gives the status with which that is refused."""

        def call(*call, **how):
            with pytest.raises(grpc.RpcError) as caught:
                members.call(*call, **how)
            return caught.value.code()

        return call

    @pytest.fixture
    def pair(self, members):
        """The leader, and a follower."""
        return members.cluster.await_leader(), members.cluster.followers[0]

    def test_a_member_is_answered(self, members, messages, pair):
        leader, follower = pair
        question = messages.Question(id=7, read_index=messages.ReadIndexRequest(limit_ms=1000))
        answer = members.ask(leader, members.issue(follower), question)
        assert answer.id == 7 and answer.read_index.index > 0

    def test_what_is_meant_for_another_node(self, members, messages, pair, refused):
        leader, follower = pair
        question = messages.Question(read_index=messages.ReadIndexRequest(limit_ms=1000))
        certificate, to = members.issue(follower), members.ids[follower.number]
        with pytest.raises(grpc.RpcError) as caught:
            members.ask(leader, certificate, question, to=to)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        request = messages.VoteRequest(vote=b"")
        status = refused(leader, certificate, "Vote", request, to=to)
        assert status == grpc.StatusCode.FAILED_PRECONDITION

    def test_a_vote_of_another_node(self, members, messages, pair, refused):
        """One follower speaks for the other: that one leads from now on, in a later term."""
        leader, follower = pair
        [other] = [node for node in members.cluster.followers if node is not follower]
        raised = vote(members.ids[other.number], leader.status()["Term"] + 5)
        certificate = members.issue(follower)
        requests = {
            "Heartbeat": messages.AppendRequest(vote=raised),
            "Vote": messages.VoteRequest(vote=raised),
            "TransferLeader": messages.TransferLeaderRequest(
                **{"from": raised, "to": int(members.ids[leader.number], 16)}
            ),
        }
        for method, request in requests.items():
            status = refused(leader, certificate, method, request)
            assert status == grpc.StatusCode.PERMISSION_DENIED, method
        question = messages.Question(confirm=messages.ConfirmRequest(vote=raised))
        assert "speaks for node" in members.ask(leader, certificate, question).refused

    def test_somebody_who_is_no_member(self, members, messages, pair, refused):
        """As one is who was removed: it keeps its certificate."""
        leader, follower = pair
        stranger = members.authority.issue(dns=members.names(STRANGER))
        victim = int(members.ids[follower.number], 16)
        intruder = messages.Enrol(node_id=victim, name="x", address="127.0.0.1:1", learner=True)
        requests = [
            ("Change", messages.ChangeRequest(remove=victim)),
            ("Change", messages.ChangeRequest(promote=victim)),
            ("Change", messages.ChangeRequest(enrol=intruder)),
            ("Change", messages.ChangeRequest(transfer=messages.TransferLeadership(to=victim))),
        ]
        for method, request in requests:
            status = refused(leader, stranger, method, request)
            assert status == grpc.StatusCode.PERMISSION_DENIED, method
        questions = [
            messages.Question(read_index=messages.ReadIndexRequest(limit_ms=1000)),
            messages.Question(propose=messages.ProposeRequest(command=b"", limit_ms=1000)),
        ]
        for question in questions:
            assert "is no member" in members.ask(leader, stranger, question).refused


class TestDialling:
    @pytest.fixture
    def absent(self, members):
        """A follower that is away, whose address is free to be taken."""
        follower = members.cluster.followers[0]
        follower.kill()
        yield follower
        follower.start()

    def test_a_node_is_known_by_its_own_certificate_alone(self, members, absent):
        other = next(node for node in members.cluster.nodes if node is not absent)
        wrong = {
            "another node's": members.issue(other),
            "another authority's": members.issue(absent, Authority("members")),
            "expired": members.issue(absent, begins=-2 * HOUR, ends=-HOUR),
        }
        for why, certificate in wrong.items():
            assert not Impostor(absent, certificate).visit(), why
        assert Impostor(absent, members.issue(absent)).visit().startswith(b"PRI * HTTP/2.0")
