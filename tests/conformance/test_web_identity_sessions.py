"""Sessions of whom an issuer knows, once they are over: no operation lets them in."""

import base64
import datetime
import json
import random

import pytest
from node import ACCOUNT, serving
from policies import policy
from sessions import Session, assume, session_of, sts_of
from test_oidc import ROOT, World
from test_permission_matrix import said, valid
from test_session_ends import EXPIRED, INVALID, PARTS
from walk_rows import ALONE
from walk_wires import Json
from walk_world import Account

QUARTER = {"DurationSeconds": 900}


@pytest.fixture
def world(tmp_path, clock):
    """A server whose clock the test moves."""
    world = World(tmp_path)
    environment = {"KEYSTEAD_TEST_CLOCK": str(clock.file)}
    with serving(tmp_path / "server", world.settings, environment) as server:
        yield world.began(server)


@pytest.fixture
def inputs(world):
    """A valid input of each operation: nobody here changes anything."""
    own = Account(world.server)
    return {operation: valid(row, own)[0] for operation, row in ALONE.items()}


@pytest.fixture
def sessions(world):
    """Of a role that a token was good for, and of one that this session took on."""
    return issued(world)


def issued(world):
    account = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
    issuer = world.by_file
    first = world.assume(world.role(world.trust(issuer)), issuer.token(), **QUARTER)
    first = session_of(world.server, first)
    other = world.role(json.dumps(policy(account)))
    second = assume(sts_of(world.server, first), other, **QUARTER)
    made = [first, session_of(world.server, second)]
    for session in made:
        assert Json(world.server).call(session, "ListKeys", {}).code == "OK"
    return made


def let_in(world, inputs, sessions, answer):
    """What was not answered as it should be."""
    wire = Json(world.server)
    return [
        (session.arn, operation)
        for session in sessions
        for operation, body in inputs.items()
        if said(wire.call(session, operation, body)) != answer
    ]


def test_expired(world, clock, inputs, sessions):
    clock.set(datetime.timedelta(seconds=901))
    assert not let_in(world, inputs, sessions, EXPIRED)


def test_their_provider_is_gone(world, inputs, sessions):
    """Also when it is made again."""
    arn = world.arns[world.by_file.url]
    world.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert not let_in(world, inputs, sessions, INVALID)
    assert world.provider(world.by_file) == arn
    assert not let_in(world, inputs, sessions, INVALID)


def test_revoked_by_an_operator(world, inputs, sessions):
    for session in sessions:
        role = session.arn.split("/")[1]
        end = ("account", "revoke-sessions", "--account", ACCOUNT, "--role", role)
        assert world.server.run(*end).returncode == 0
    assert not let_in(world, inputs, sessions, INVALID)
    assert issued(world), "new ones are let in"


def test_one_bit_of_a_token(world, inputs, sessions):
    """Each operation tries a bit of its own of each part."""
    wire, wrong = Json(world.server), []
    for session in sessions:
        key, secret, token = session.credentials
        sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        for operation, body in inputs.items():
            for part, bounds in PARTS.items():
                chosen = random.Random(f"{operation} {part}")
                forged = bytearray(sealed)
                forged[chosen.choice(range(len(sealed))[slice(*bounds)])] ^= 1 << chosen.randrange(8)
                text = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
                caller = Session(world.server, ACCOUNT, session.arn, (key, secret, text))
                if said(wire.call(caller, operation, body)) != INVALID:
                    wrong.append((operation, part))
    assert not wrong
