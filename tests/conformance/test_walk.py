"""A walk over the service's table of operations: for each one that is built, a valid input and
the shape of its output, each required member missing, each constraint broken once, its paging
and its line in the audit trail."""

import base64
import itertools
import json

import pytest
from expect import missing, unique_alias
from shapes import OPERATIONS, broken, lower_camel, structure_problems, wrong_type

SECRET = b"attack at dawn, from the north"


def encoded(data):
    return base64.b64encode(data).decode()


class Inputs:
    """A key, a ciphertext and an alias of its own for every valid input."""

    def __init__(self, node):
        self.node = node

    def key(self):
        return self.node.call("CreateKey").body["KeyMetadata"]["KeyId"]

    def disabled(self):
        key = self.key()
        assert self.node.call("DisableKey", {"KeyId": key}).status == 200
        return key

    def doomed(self):
        key = self.key()
        assert self.node.call("ScheduleKeyDeletion", {"KeyId": key}).status == 200
        return key

    def alias(self):
        name = unique_alias()
        body = {"AliasName": name, "TargetKeyId": self.key()}
        assert self.node.call("CreateAlias", body).status == 200
        return name

    def blob(self):
        body = {"KeyId": self.key(), "Plaintext": encoded(SECRET)}
        return self.node.call("Encrypt", body).body["CiphertextBlob"]


TAG = {"TagKey": "name", "TagValue": "value"}
# For each operation that is built: a valid input.
VALID = {
    "CancelKeyDeletion": lambda use: {"KeyId": use.doomed()},
    "CreateAlias": lambda use: {"AliasName": unique_alias(), "TargetKeyId": use.key()},
    "CreateKey": lambda use: {"Description": "walk", "Tags": [TAG]},
    "Decrypt": lambda use: {"CiphertextBlob": use.blob()},
    "DeleteAlias": lambda use: {"AliasName": use.alias()},
    "DescribeKey": lambda use: {"KeyId": use.doomed()},
    "DisableKey": lambda use: {"KeyId": use.key()},
    "EnableKey": lambda use: {"KeyId": use.disabled()},
    "Encrypt": lambda use: {"KeyId": use.key(), "Plaintext": encoded(SECRET)},
    "GenerateDataKey": lambda use: {"KeyId": use.key(), "KeySpec": "AES_256"},
    "GenerateDataKeyWithoutPlaintext": lambda use: {"KeyId": use.key(), "KeySpec": "AES_256"},
    "GenerateRandom": lambda use: {"NumberOfBytes": 32},
    "GetKeyPolicy": lambda use: {"KeyId": use.key()},
    "GetKeyRotationStatus": lambda use: {"KeyId": use.key()},
    "ListAliases": lambda use: {"KeyId": use.key()},
    "ListGrants": lambda use: {"KeyId": use.key()},
    "ListKeyPolicies": lambda use: {"KeyId": use.key()},
    "ListKeys": lambda use: {"Limit": 5},
    "ListResourceTags": lambda use: {"KeyId": use.key()},
    "ReEncrypt": lambda use: {"CiphertextBlob": use.blob(), "DestinationKeyId": use.key()},
    "ScheduleKeyDeletion": lambda use: {"KeyId": use.key(), "PendingWindowInDays": 7},
    "TagResource": lambda use: {"KeyId": use.key(), "Tags": [TAG]},
    "UntagResource": lambda use: {"KeyId": use.key(), "TagKeys": ["name"]},
    "UpdateAlias": lambda use: {"AliasName": use.alias(), "TargetKeyId": use.key()},
    "UpdateKeyDescription": lambda use: {"KeyId": use.key(), "Description": "new"},
}
# What the audit trail calls read-only.
CRYPTOGRAPHIC = {"Encrypt", "Decrypt", "ReEncrypt"}
READ_ONLY = CRYPTOGRAPHIC | {
    name for name in VALID if name.startswith(("Describe", "Generate", "Get", "List"))
}
# The member of a listing's reply that holds its items.
ITEMS = {
    "ListAliases": "Aliases",
    "ListGrants": "Grants",
    "ListKeyPolicies": "PolicyNames",
    "ListKeys": "Keys",
    "ListResourceTags": "Tags",
}


@pytest.fixture(scope="module")
def use(node):
    return Inputs(node)


def required_members():
    for operation in VALID:
        for member in OPERATIONS[operation]["required"]:
            yield pytest.param(operation, member, id=f"{operation}-{member}")


def broken_members():
    for operation in VALID:
        for name, shape in OPERATIONS[operation]["members"].items():
            for path, value, constraint in broken(lower_camel(name), shape):
                if value == []:
                    continue  # An empty list is the same as none, as it is on the gRPC wire.
                about = constraint.partition(":")[0].replace(" ", "_")
                label = f"{operation}-{path}-{about}"
                yield pytest.param(operation, name, path, value, constraint, id=label)


def members_of_another_type():
    for operation in VALID:
        for name, shape in OPERATIONS[operation]["members"].items():
            label = f"{operation}-{name}"
            yield pytest.param(operation, name, wrong_type(shape), id=label)


def test_every_operation_that_is_built_is_walked(node):
    built = {
        name
        for name in OPERATIONS
        if (reply := node.call(name)).status == 200 or reply.code != "UnsupportedOperationException"
    }
    assert built == VALID.keys()


@pytest.mark.parametrize("operation", VALID)
def test_a_valid_input_and_its_output(node, use, operation):
    reply = node.call(operation, VALID[operation](use))
    assert reply.status == 200, reply.text
    members = OPERATIONS[operation]["output_members"]
    if not members:
        assert reply.text in ("", "{}")
        return
    assert list(structure_problems(operation, members, [], reply.body)) == []
    assert reply.body


@pytest.mark.parametrize("operation, member", list(required_members()))
def test_a_required_member_is_missing(node, use, operation, member):
    body = VALID[operation](use)
    del body[member]
    reply = node.call(operation, body)
    assert (reply.status, reply.code) == (400, "ValidationException")
    assert reply.message == missing(lower_camel(member))


@pytest.mark.parametrize("operation, name, path, value, constraint", list(broken_members()))
def test_a_broken_constraint(node, use, operation, name, path, value, constraint):
    reply = node.call(operation, VALID[operation](use) | {name: value})
    assert (reply.status, reply.code) == (400, "ValidationException"), reply.text[:500]
    said = f" at '{path}' failed to satisfy constraint: Member must {constraint}"
    assert said in reply.message


@pytest.mark.parametrize("operation, name, value", list(members_of_another_type()))
def test_another_json_type(node, use, operation, name, value):
    reply = node.call(operation, VALID[operation](use) | {name: value})
    assert (reply.status, reply.code) == (400, "SerializationException"), reply.text[:500]


@pytest.mark.parametrize("operation", ITEMS)
def test_paging(node, use, operation):
    assert OPERATIONS[operation]["paginated"]
    body = VALID[operation](use) | {"Limit": 1}
    for _ in itertools.repeat(None, 3):
        reply = node.call(operation, body).body
        assert len(reply[ITEMS[operation]]) <= 1
        assert ("NextMarker" in reply) == reply["Truncated"]
        if not reply["Truncated"]:
            break
        body["Marker"] = reply["NextMarker"]


def test_every_listing_is_paged():
    assert ITEMS.keys() == {name for name in VALID if OPERATIONS[name]["paginated"]}


def audit_line(node, request_id):
    """The line of the audit trail about one request; there must be exactly one."""
    lines = [line for line in node.output().splitlines() if request_id in line]
    events = [json.loads(line) for line in lines if line.startswith("{")]
    [event] = [event for event in events if event.get("requestID") == request_id]
    return event


@pytest.mark.parametrize("operation", VALID)
def test_the_audit_trail_tells_of_it(node, use, operation):
    reply = node.call(operation, VALID[operation](use))
    event = audit_line(node, reply.headers["x-amzn-RequestId"])
    assert event["eventSource"] == "kms.amazonaws.com"
    assert event["eventName"] == operation
    assert event["awsRegion"] == "us-east-1"
    assert event["readOnly"] == (operation in READ_ONLY)
    assert event["userIdentity"]["arn"] == "arn:aws:iam::000000000000:root"
    assert event["userIdentity"]["accessKeyId"] == "test"
    assert "errorCode" not in event
    about_no_key = {"GenerateRandom", "ListAliases", "ListKeys"}
    assert bool(event["resources"]) == (operation not in about_no_key)


@pytest.mark.parametrize("operation", VALID)
def test_the_audit_trail_tells_of_a_refusal(node, use, operation):
    reply = node.call(operation, VALID[operation](use), secret="wrong")
    event = audit_line(node, reply.headers["x-amzn-RequestId"])
    assert (event["eventName"], event["errorCode"]) == (operation, "InvalidSignatureException")


def test_no_secret_is_written(node, use):
    """Neither plaintext nor data keys nor random bytes, in clear or encoded."""
    secrets = [SECRET]
    key = use.key()
    node.call("Encrypt", {"KeyId": key, "Plaintext": encoded(SECRET)})
    made = node.call("GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"}).body["Plaintext"]
    node.call("Decrypt", {"CiphertextBlob": use.blob()})
    drawn = node.call("GenerateRandom", {"NumberOfBytes": 32}).body["Plaintext"]
    secrets += [base64.b64decode(made), base64.b64decode(drawn)]
    written = node.output()
    for secret in secrets:
        for form in (encoded(secret), secret.hex(), secret.decode("latin1")):
            assert form not in written
