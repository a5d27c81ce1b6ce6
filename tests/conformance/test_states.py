"""Every operation in every state that a key can be in, over both wires: what the table of key
states of the AWS KMS developer guide says. A deleted key is a state too."""

import datetime
import itertools

import grpc
import pytest
from expect import ANY, alias_arn
from families import enumeration
from shapes import OPERATIONS
from states_open import IMPOSSIBLE, KEYLESS, OF_RELATIVES, OPEN_OPERATIONS, OPEN_STATES
from test_story_boto3 import wait_until
from walk import ANSWERS, States
from walk_rows import ROWS
from walk_wires import Grpc, Json, generated, wire
from walk_world import ENCAPSULATION, IMPORTED, SYMMETRIC, WAYS, Account, key_of, reachable

# The states of keys whose material is made here, and what they say to those who bring some.
MADE_HERE = ("Enabled", "Disabled", "PendingDeletion")
MADE_HERE_TEXT = "{arn} origin is AWS_KMS which is not valid for this operation."
TOUCHES = [(row.operation, touch) for row in ROWS.values() for touch in row.touches]
NAMED = [(operation, touch) for operation, touch in TOUCHES if touch.member]


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


def cases(touches):
    for operation, touch in touches:
        for state in WAYS:
            if reachable(touch, state):
                label = f"{operation}-{touch.role}-{state}"
                yield pytest.param(operation, touch, state, id=label)


def check(answer, touch, state, key, body):
    """The answer is the one that the touch's row has for this state."""
    code, text = ANSWERS[getattr(States(*touch.states), state)]
    about = f"{touch.action} {touch.role} {state}"
    assert answer.code == code, f"{about}: {answer.code} {answer.message}"
    if text is not ANY:
        alias = alias_arn(body["AliasName"]) if "AliasName" in body else None
        said = text.format(arn=key.arn, alias=alias, action=touch.action)
        assert answer.message == said, about


class TestStates:
    @pytest.mark.parametrize("operation, touch, state", list(cases(TOUCHES)))
    def test_by_id(self, wire, own, operation, touch, state):
        key = key_of(own, touch, state)
        body = touch.body(own, key)
        key.become(state)
        check(wire.call(own, operation, body), touch, state, key, body)

    @pytest.mark.parametrize("operation, touch, state", list(cases(NAMED)))
    def test_by_any_other_name(self, wire, own, operation, touch, state):
        """The same answer, which tells the key's ARN even when an alias was asked for."""
        key = key_of(own, touch, state)
        alias = key.alias()
        others = [key.arn, *([alias, alias_arn(alias)] * touch.aliases)]
        bodies = [touch.body(own, key.named(name)) for name in others]
        for body in bodies:
            key.become(state)
            check(wire.call(own, operation, body), touch, state, key, body)


def test_every_way_is_one_between_states_of_the_table():
    assert WAYS.keys() <= set(States._fields)
    assert all(ways.keys() == WAYS.keys() for ways in WAYS.values())


class TestOpenCells:
    """The table's cells that are not reached, in `states_open`, are those that cannot be."""

    def test_every_state_is_reached_or_open(self):
        assert not WAYS.keys() & OPEN_STATES.keys(), "reached: take it off the list"
        assert not OF_RELATIVES & WAYS.keys() and not OF_RELATIVES & OPEN_STATES.keys()
        assert WAYS.keys() | OPEN_STATES.keys() | OF_RELATIVES == set(enumeration("KeyState"))

    def test_every_operation_is_reached_or_open(self):
        reached = {operation for operation, _ in TOUCHES}
        assert not reached & OPEN_OPERATIONS, "reached: take it off the list"
        assert not reached & KEYLESS and not OPEN_OPERATIONS & KEYLESS
        assert reached | OPEN_OPERATIONS | KEYLESS == OPERATIONS.keys()

    @pytest.mark.parametrize("state", OPEN_STATES)
    def test_nothing_leads_to_an_open_state(self, node, state):
        reply = node.call(*OPEN_STATES[state])
        assert reply.code == "UnsupportedOperationException", f"built: reach {state}"

    def test_nothing_leads_to_an_impossible_cell(self, node):
        spec, usage = ENCAPSULATION.split("/")
        about = {"KeySpec": spec, "KeyUsage": usage, "Origin": "EXTERNAL"}
        reply = node.call("CreateKey", about)
        assert reply.code == "UnsupportedOperationException", "built: reach it"

    def test_every_other_cell_is_reached(self):
        built = {operation for operation, _ in TOUCHES}
        reached = {
            (operation, state)
            for operation, touch in TOUCHES
            for state in WAYS
            if reachable(touch, state)
        }
        states = WAYS.keys() | OPEN_STATES.keys()
        cells = set(itertools.product(built | OPEN_OPERATIONS, states))
        open_cells = set(itertools.product(built, OPEN_STATES))
        open_cells |= {cell for cell in cells if cell[0] in OPEN_OPERATIONS}
        print(f"{len(reached)} of {len(cells)} cells of the table of key states are reached")
        assert cells - reached == open_cells | IMPOSSIBLE
        assert len(cells) == len(states) * 46


# What the operations answer that ask where the material comes from, for keys of the other origin.
OTHER_ORIGIN = {
    "DisableKeyRotation": (IMPORTED, {"Enabled": "U6", "Disabled": "D1", "PendingDeletion": "S3"}),
    "EnableKeyRotation": (IMPORTED, {"Enabled": "U6", "Disabled": "D1", "PendingDeletion": "S3"}),
    "RotateKeyOnDemand": (IMPORTED, {"Disabled": "D1", "PendingDeletion": "S3"}),
    "DeleteImportedKeyMaterial": (SYMMETRIC, dict.fromkeys(MADE_HERE, "origin")),
    "GetParametersForImport": (SYMMETRIC, dict.fromkeys(MADE_HERE, "origin")),
    "ImportKeyMaterial": (SYMMETRIC, dict.fromkeys(MADE_HERE, "origin")),
}


@pytest.mark.parametrize(
    "operation, state",
    [(operation, state) for operation, (_, states) in OTHER_ORIGIN.items() for state in states],
)
def test_of_the_other_origin(wire, own, operation, state):
    kind, states = OTHER_ORIGIN[operation]
    [touch] = ROWS[operation].touches
    key = own.key(kind)
    # What only a key of the right origin can have, another one lends.
    body = touch.body(own, own.key(touch.kind)) | {"KeyId": key.id}
    key.become(state)
    answers = ANSWERS | {"origin": (ANSWERS["U9"][0], MADE_HERE_TEXT)}
    code, text = answers[states[state]]
    answer = wire.call(own, operation, body)
    assert (answer.code, answer.message) == (code, text.format(arn=key.arn))


def test_deleted(clock_node, clock, generated):
    """All operations about keys that are deleted, each about one of its own."""
    own = Account(clock_node)
    prepared = []
    for operation, touch in TOUCHES:
        # One that has relatives elsewhere waits for them.
        key = own.key(touch.kind.removesuffix("/REPLICATED"))
        prepared.append((operation, touch, key, touch.body(own, key)))
    for _, _, key, _ in prepared:
        own.ok("ScheduleKeyDeletion", {"KeyId": key.id, "PendingWindowInDays": 7})
    clock.set(datetime.timedelta(days=8))
    wait_until(lambda: not any(exists(own, key) for _, _, key, _ in prepared))

    address = f"{clock_node.host}:{clock_node.port}"
    with grpc.insecure_channel(address) as channel:
        for wire in (Json(clock_node), Grpc(clock_node, lambda account: channel)):
            for operation, touch, key, body in prepared:
                check(wire.call(own, operation, body), touch, "Deleted", key, body)


def exists(own, key):
    return Json(own.node).call(own, "DescribeKey", {"KeyId": key.id}).code == "OK"
