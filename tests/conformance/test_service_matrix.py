"""Services and every operation, over both wires: for users, and as themselves."""

import functools
import subprocess
from dataclasses import dataclass

import pytest
from expect import denied_ciphertext, denied_elsewhere
from iam_world import policy as document
from node import ACCOUNT, REGION, START_SECONDS, Node, binary, clean_environment
from people import new_user
from policies import allow, statement, text_of
from services import S3, put_object, register
from sessions import Session, new_role
from sessions import assume as assumed
from sessions import session_of
from test_permission_matrix import (
    APART_FROM_KEY_POLICIES,
    bypassing,
    first_denial,
    refusal,
    said,
    valid,
)
from walk_rows import ALONE, ROWS
from walk_wires import generated, wire
from walk_world import Account

pytestmark = pytest.mark.dev("services are registered at one node, which this file has for itself")
LOGS = "logs.amazonaws.com"
each_row = pytest.mark.parametrize("row", ALONE.values(), ids=lambda row: row.operation)
ONLY_S3 = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}


class OwnNode(Node):
    """One with an operator's socket."""

    def run(self, *arguments):
        folder = self.arguments[self.arguments.index("--data-dir") + 1]
        return subprocess.run(
            [binary(), *arguments, "--data-dir", folder],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = OwnNode(["--data-dir", tmp_path_factory.mktemp("services") / "data"]).start()
    yield node
    assert node.stop() == 0


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


@pytest.fixture(scope="module")
def s3(node):
    return register(node)


@pytest.fixture(scope="module")
def logs(node):
    return register(node, LOGS)


@pytest.fixture(scope="module")
def users(node):
    """Who may do everything through S3, who may not, and a session of a role that may."""
    role = new_role(node, allow("kms:*", Condition=ONLY_S3))
    taker = new_user(node, allow("sts:*")).client("sts")
    return {
        "user": new_user(node, allow("kms:*", Condition=ONLY_S3)),
        "nobody": new_user(node),
        "role": session_of(node, assumed(taker, role)),
    }


@pytest.fixture(scope="module")
def through(node):
    """A caller through a service."""

    @functools.cache
    def through(service, user):
        reply = service.forward(put_object(user.credentials, service=service.name.split(".")[0]))
        keys = tuple(reply[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
        return Session(node, ACCOUNT, user.arn, keys)

    return lambda service, user: through(Hashed(service), Hashed(user))


class Hashed:
    """Something as a key of a cache, by identity."""

    def __init__(self, value):
        self.value = value

    def __getattr__(self, name):
        return getattr(self.value, name)

    def __eq__(self, other):
        return self.value is other.value

    def __hash__(self):
        return id(self.value)


@each_row
@pytest.mark.parametrize("who", ["user", "role", "nobody"])
@pytest.mark.parametrize("way", ["S3", "another service", "no service"])
def test_every_operation_for_a_user(wire, own, s3, logs, users, through, row, who, way):
    service = {"S3": s3, "another service": logs}.get(way)
    user = users[who]
    caller = through(service, user) if service else user
    body, key = valid(row, own)
    answer = wire.call(caller, row.operation, body)
    if way == "S3" and who != "nobody":
        assert answer.code == "OK", answer.message
    else:
        assert said(answer) == refusal(first_denial(row, body, key, caller))


@dataclass(frozen=True)
class Itself:
    """A service as a caller."""

    number: str
    arn: str
    credentials: tuple


# Aliases are of the caller's own account, and two keys are not told apart by one denial.
ONE_KEY = [
    (row.operation, row.touches[0])
    for row in ALONE.values()
    if len(row.touches) == 1 and "Alias" not in row.operation
]


@pytest.mark.parametrize("operation, touch", ONE_KEY, ids=[name for name, _ in ONE_KEY])
@pytest.mark.parametrize("named", [S3, LOGS, "*"])
def test_every_key_as_itself(wire, node, own, s3, operation, touch, named):
    """A service that a key policy names may, others may not; `*` is no service."""
    key = own.key(touch.kind)
    body = bypassing(operation, touch.body(own, key))
    # Ids and names of aliases are those of the caller's own account.
    body |= {member: key.arn for member, value in body.items() if value == key.id}
    principal = named if named == "*" else {"Service": named}
    allowed = statement(Principal=principal, Action=touch.action)
    put = {"KeyId": key.id, "Policy": text_of(document(statement(), allowed))}
    own.ok("PutKeyPolicy", put | {"BypassPolicyLockoutSafetyCheck": True})
    key.become(ROWS[operation].first_state())
    caller = Itself(ACCOUNT, S3, s3.keys)
    answer = wire.call(caller, operation, body)
    if named == S3 and touch.action not in APART_FROM_KEY_POLICIES:
        assert answer.code == "OK", answer.message
        return
    if touch.member is None:
        text = denied_ciphertext(touch.action, who=S3)
    else:
        text = denied_elsewhere(touch.action, who=S3)
    assert said(answer) == refusal(text)
