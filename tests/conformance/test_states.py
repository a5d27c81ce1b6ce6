"""Every operation in every state that a key can be in, over both wires: what the table of key
states of the AWS KMS developer guide says. A deleted key is a state too."""

import datetime

import grpc
import pytest
from expect import ANY, alias_arn
from test_story_boto3 import wait_until
from walk import ANSWERS, States
from walk_rows import ROWS
from walk_wires import Grpc, Json, generated, wire
from walk_world import WAYS, Account

TOUCHES = [(row.operation, touch) for row in ROWS.values() for touch in row.touches]
NAMED = [(operation, touch) for operation, touch in TOUCHES if touch.member]


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


def cases(touches):
    for operation, touch in touches:
        for state in WAYS:
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
        key = own.key(touch.kind)
        body = touch.body(own, key)
        key.become(state)
        check(wire.call(own, operation, body), touch, state, key, body)

    @pytest.mark.parametrize("operation, touch, state", list(cases(NAMED)))
    def test_by_any_other_name(self, wire, own, operation, touch, state):
        """The same answer, which tells the key's ARN even when an alias was asked for."""
        key = own.key(touch.kind)
        alias = key.alias()
        others = [key.arn, *([alias, alias_arn(alias)] * touch.aliases)]
        bodies = [touch.body(own, key.named(name)) for name in others]
        for body in bodies:
            key.become(state)
            check(wire.call(own, operation, body), touch, state, key, body)


def test_every_way_is_one_between_states_of_the_table():
    assert WAYS.keys() <= set(States._fields)
    assert all(ways.keys() == WAYS.keys() for ways in WAYS.values())


def test_deleted(clock_node, clock, generated):
    """All operations about keys that are deleted, each about one of its own."""
    own = Account(clock_node)
    prepared = []
    for operation, touch in TOUCHES:
        key = own.key(touch.kind)
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
