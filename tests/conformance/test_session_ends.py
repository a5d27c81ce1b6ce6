"""Sessions that are over, and what was never one: no operation over either wire lets them in."""

import base64
import datetime
import functools
import random

import grpc
import pytest
from node import ACCOUNT, Node, serving
from people import delete_user, iam_of, new_user, unique_name
from policies import ROOT, allow, policy, text_of
from session_cells import TRUST
from sessions import Session, assume, delete_role, new_role, session_of, sts_of, trust
from test_permission_matrix import each_row, said, valid
from walk_rows import ALONE, ROWS
from walk_wires import Grpc, Json, generated, wire
from walk_world import Account

pytestmark = pytest.mark.dev("a server takes no bearer tokens, and clocks belong to nodes")

INVALID = ("UnrecognizedClientException", "The security token included in the request is invalid.")
EXPIRED = ("ExpiredTokenException", "The security token included in the request is expired")
WRONG_SECRET = "InvalidSignatureException"
# Where a session token holds what, from and to which byte; negative from its end.
PARTS = {
    "version": (0, 1),
    "suite": (1, 2),
    "reserved": (2, 4),
    "epoch": (4, 8),
    "salt": (8, 32),
    "commitment": (32, 64),
    "iv": (64, 76),
    "session": (76, -16),
    "tag": (-16, None),
}


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


@pytest.fixture(scope="module")
def inputs(own):
    """A valid input of each operation: nobody here changes anything."""
    return functools.cache(lambda operation: valid(ROWS[operation], own)[0])


def alive(session):
    """The same session, which is let in."""
    assert Json(session.node).call(session, "ListKeys", {}).code == "OK"
    return session


def of_user(node, user):
    return alive(session_of(node, user.client("sts").get_session_token(), user.arn))


def of_role(node, user, role, **more):
    return alive(session_of(node, assume(user.client("sts"), role, **more)))


def chained(node, session, role):
    return alive(session_of(node, assume(sts_of(node, session), role)))


def everything(node):
    """Somebody who may do everything, and a role that may."""
    return new_user(node, allow("*")), new_role(node, allow("*"), document=TRUST)


class Ended:
    """Each function makes sessions, shows that they are alive, and ends them; what counts as such
    is in `ENDS`."""

    def __init__(self, node):
        self.node, self.iam = node, iam_of(node)

    def by_an_inactive_key(self):
        sessions, user = self._of_a_user()
        key = {"UserName": user.name, "AccessKeyId": user.access_key[0]}
        self.iam.update_access_key(Status="Inactive", **key)
        return sessions

    def by_a_deleted_key(self):
        sessions, user = self._of_a_user()
        self.iam.delete_access_key(UserName=user.name, AccessKeyId=user.access_key[0])
        return sessions

    def by_a_deleted_user(self):
        sessions, user = self._of_a_user()
        delete_user(self.iam, user.name)
        return sessions

    def by_a_user_who_came_again(self):
        sessions, user = self._of_a_user()
        delete_user(self.iam, user.name)
        new_user(self.node, allow("*"), name=user.name)
        return sessions

    def by_a_deleted_role(self):
        sessions, role = self._of_a_role()
        delete_role(self.node, role["RoleName"])
        return sessions

    def by_a_role_that_came_again(self):
        sessions, role = self._of_a_role()
        delete_role(self.node, role["RoleName"])
        new_role(self.node, allow("*"), document=TRUST, name=role["RoleName"])
        return sessions

    def by_a_deleted_session_policy(self):
        user, role = everything(self.node)
        document = text_of(policy(allow("*")))
        made = self.iam.create_policy(PolicyName=unique_name("policy"), PolicyDocument=document)
        arn = made["Policy"]["Arn"]
        session = of_role(self.node, user, role, PolicyArns=[{"arn": arn}])
        self.iam.delete_policy(PolicyArn=arn)
        return [session]

    def by_a_deleted_key_of_the_root(self):
        key = self.iam.create_access_key()["AccessKey"]
        made = key["AccessKeyId"], key["SecretAccessKey"]
        reply = self.node.client("sts", credentials=made).get_session_token()
        session = alive(session_of(self.node, reply, ROOT))
        self.iam.delete_access_key(AccessKeyId=made[0])
        return [session]

    def _of_a_user(self):
        """The user's own session, one of a role, and one of a role that this one took on."""
        user, role = everything(self.node)
        session = of_role(self.node, user, role)
        return [of_user(self.node, user), session, chained(self.node, session, role)], user

    def _of_a_role(self):
        """A session of the role, and one that a session of another role made of it."""
        user, role = everything(self.node)
        _, other = everything(self.node)
        via = of_role(self.node, user, other)
        return [of_role(self.node, user, role), chained(self.node, via, role)], role


ENDS = [name for name in vars(Ended) if name.startswith("by_")]


@pytest.fixture(scope="module")
def ended(node):
    """The sessions that ended in a way."""
    return functools.cache(lambda way: getattr(Ended(node), way)())


@each_row
@pytest.mark.parametrize("way", ENDS)
def test_a_session_that_ended(wire, inputs, ended, row, way):
    for session in ended(way):
        assert said(wire.call(session, row.operation, inputs(row.operation))) == INVALID


@pytest.fixture(scope="module")
def sessions(node):
    """Of a user, of a role, of a role with a session policy, and of the root."""
    user, role = everything(node)
    narrow = text_of(policy(allow("kms:ListKeys")))
    root = node.client("sts").get_session_token()
    return [
        of_user(node, user),
        of_role(node, user, role),
        of_role(node, user, role, Policy=narrow),
        alive(session_of(node, root, ROOT)),
    ]


@pytest.fixture(scope="module")
def foreign():
    """A session of another region's node, which has the same account and access key."""
    node = Node(["--ephemeral", "--account", f"{ACCOUNT}:test:test"]).start()
    yield alive(session_of(node, node.client("sts").get_session_token(), ROOT))
    assert node.stop() == 0


class TestForged:
    @each_row
    @pytest.mark.parametrize("part", PARTS)
    def test_one_bit(self, wire, node, inputs, sessions, row, part):
        """Each operation tries a bit of its own; together they reach most of the token."""
        chosen = random.Random(f"{row.operation} {part}")
        for session in sessions:
            key, secret, token = session.credentials
            sealed = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            at = chosen.choice(range(len(sealed))[slice(*PARTS[part])])
            sealed[at] ^= 1 << chosen.randrange(8)
            forged = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
            caller = Session(node, ACCOUNT, session.arn, (key, secret, forged))
            answer = wire.call(caller, row.operation, inputs(row.operation))
            assert said(answer) == INVALID, (part, at)

    @each_row
    def test_a_token_of_another_region(self, wire, node, inputs, foreign, row):
        caller = Session(node, ACCOUNT, ROOT, foreign.credentials)
        assert said(wire.call(caller, row.operation, inputs(row.operation))) == INVALID

    @each_row
    def test_a_part_of_a_token(self, wire, node, inputs, sessions, row):
        key, secret, token = sessions[0].credentials
        for other in (token[1:], token[:-1], token + "A", token + token):
            caller = Session(node, ACCOUNT, ROOT, (key, secret, other))
            assert said(wire.call(caller, row.operation, inputs(row.operation))) == INVALID

    @each_row
    def test_what_belongs_to_another_session(self, node, inputs, sessions, row):
        """Of a request that is signed: a bearer of a token shows nothing else."""
        body, json = inputs(row.operation), Json(node)
        (key, secret, token), (other_key, other_secret, other_token) = [
            session.credentials for session in sessions[:2]
        ]

        def ask(*credentials):
            return json.call(Session(node, ACCOUNT, ROOT, credentials), row.operation, body)

        assert ask(key, other_secret, token).code == WRONG_SECRET
        assert said(ask(other_key, secret, token)) == INVALID
        assert said(ask(key, secret, other_token)) == INVALID
        assert said(ask(key, secret)) == INVALID
        assert said(ask("test", "test", token)) == INVALID


def test_expired(clock_node, clock, generated):
    """By the clock, at the second that STS told; each operation, over both wires."""
    node, own = clock_node, Account(clock_node)
    user, role = everything(node)
    sts, quarter = user.client("sts"), {"DurationSeconds": 900}
    first = session_of(node, assume(sts, role, **quarter))
    longer = session_of(node, assume(sts, role))
    sessions = {
        "user": session_of(node, sts.get_session_token(**quarter), user.arn),
        "role": first,
        "chained": session_of(node, assume(sts_of(node, first), role, **quarter)),
        "root": session_of(node, node.client("sts").get_session_token(**quarter), ROOT),
    }
    # For each operation, wire and session one; the one that still lives changes things.
    bodies = {operation: valid(row, own)[0] for operation, row in ROWS.items()}
    with grpc.insecure_channel(f"{node.host}:{node.port}") as channel:
        wires = [Json(node), Grpc(node, lambda _: channel)]
        for session in [longer, *sessions.values()]:
            for each in wires:
                assert each.call(session, "ListKeys", {}).code == "OK"
        clock.set(datetime.timedelta(seconds=901))
        wrong = [
            (name, operation, type(each).__name__)
            for name, session in sessions.items()
            for operation, body in bodies.items()
            for each in wires
            if said(each.call(session, operation, body)) != EXPIRED
        ]
        print(f"{len(sessions) * len(bodies) * len(wires)} requests in sessions that expired")
        assert not wrong
        for operation, body in bodies.items():
            assert wires[0].call(longer, operation, body).code == "OK", operation


def test_revoked_by_an_operator(tmp_path):
    """Of a root, a user and a role; each operation, over AWS JSON, which a server takes."""
    with serving(tmp_path) as server:
        own, wire = Account(server), Json(server)
        user, role = everything(server)
        _, other = everything(server)

        def issued():
            root = session_of(server, server.client("sts").get_session_token(), ROOT)
            via = of_role(server, user, other)
            return {
                (): [alive(root)],
                ("--user", user.name): [of_user(server, user)],
                ("--role", role["RoleName"]): [
                    of_role(server, user, role),
                    chained(server, via, role),
                ],
            }

        old = issued()
        bodies = {operation: valid(row, own)[0] for operation, row in ALONE.items()}
        for of in old:
            done = server.run("account", "revoke-sessions", "--account", ACCOUNT, *of)
            assert done.returncode == 0, done.stderr
        sessions = [session for several in old.values() for session in several]
        wrong = [
            (session.arn, operation)
            for session in sessions
            for operation, body in bodies.items()
            if said(wire.call(session, operation, body)) != INVALID
        ]
        print(f"{len(sessions) * len(bodies)} requests in sessions that were revoked")
        assert not wrong
        [after, *_] = issued()["--role", role["RoleName"]]
        for operation, body in bodies.items():
            assert wire.call(after, operation, body).code == "OK", operation


def test_what_ends_no_session(node):
    """That a role trusts somebody else, that a key is active again, and that others are ended."""
    user, role = everything(node)
    session, own = of_role(node, user, role), of_user(node, user)
    iam = iam_of(node)
    iam.update_assume_role_policy(
        RoleName=role["RoleName"], PolicyDocument=trust(new_user(node).arn)
    )
    alive(session)
    key = {"UserName": user.name, "AccessKeyId": user.access_key[0]}
    for status in ("Inactive", "Active"):
        iam.update_access_key(Status=status, **key)
    alive(session)
    alive(own)
