"""A walk over the service's table of operations, over both wires: for each operation that is built,
a valid input and the shape of its output, each required member missing, each constraint broken
once, its paging and its line in the audit trail."""

import base64
import json

import pytest
from expect import missing, violation, violations
from shapes import OPERATIONS, blob, broken, lower_camel, structure_problems, wrong_type
from walk import Call
from walk_rows import ROWS
from walk_wires import Grpc, Json, generated, wire
from walk_world import MULTI_REGION, SYMMETRIC, Account, encoded

PAGED = [name for name, row in ROWS.items() if row.items]
MEMBERS = {name: table["members"] for name, table in OPERATIONS.items()}

# Times of a clock that may have moved between two calls, or not.
CLOCKED = {"ParametersValidTo"}


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


def required_members():
    for operation in ROWS:
        for member in OPERATIONS[operation]["required"]:
            yield pytest.param(operation, member, id=f"{operation}-{member}")


def broken_members():
    for operation in ROWS:
        for name, shape in OPERATIONS[operation]["members"].items():
            for path, value, constraint in broken(lower_camel(name), shape):
                if value == []:
                    continue  # An empty list is the same as none, as it is on the gRPC wire.
                about = constraint.partition(":")[0].replace(" ", "_")
                label = f"{operation}-{path}-{about}"
                yield pytest.param(operation, name, path, value, constraint, id=label)


def members_of_another_type():
    for operation in ROWS:
        for name, shape in OPERATIONS[operation]["members"].items():
            label = f"{operation}-{name}"
            yield pytest.param(operation, name, wrong_type(shape), id=label)


class TestRows:
    def test_every_operation_that_is_built_has_one(self, node):
        unbuilt = {
            name
            for name in OPERATIONS
            if (reply := node.call(name)).status != 200
            and reply.code == "UnsupportedOperationException"
        }
        rowless = OPERATIONS.keys() - unbuilt - ROWS.keys()
        assert not rowless, f"built, and without a row in walk_rows.py: {sorted(rowless)}"
        assert not unbuilt & ROWS.keys(), "a row of an operation that is not built"

    def test_every_listing_has_items(self):
        assert PAGED == [name for name in ROWS if OPERATIONS[name]["paginated"]]

    @pytest.mark.parametrize("operation", ROWS)
    def test_every_member_that_may_name_a_key_is_among_its_touches(self, operation):
        members = {name for name in OPERATIONS[operation]["members"] if name.endswith("KeyId")}
        touched = {touch.member for touch in ROWS[operation].touches}
        assert members - {"XksKeyId"} <= touched


@pytest.mark.parametrize("operation", ROWS)
class TestShape:
    def test_a_valid_input_and_its_output(self, wire, own, operation):
        body, _ = ROWS[operation].input(own)
        answer = wire.call(own, operation, body)
        assert answer.code == "OK", answer.message
        members = OPERATIONS[operation]["output_members"]
        assert list(structure_problems(operation, members, [], answer.body)) == []
        lacking = ROWS[operation].shape - answer.body.keys()
        assert answer.body.keys() <= ROWS[operation].shape
        # gRPC has no difference between an empty list and none.
        assert all(members[name]["type"] == "list" for name in lacking), lacking
        assert not lacking or isinstance(wire, Grpc)

    def test_both_wires_say_the_same(self, node, generated, channels, own, operation):
        row = ROWS[operation]
        kind = row.touches[0].kind if row.touches else SYMMETRIC
        # What is done to relatives in another Region can be done once.
        key = own.key(kind) if row.touches and MULTI_REGION not in kind else None
        json_body, _ = row.input(own, key)
        over_json = Json(node).call(own, operation, json_body)
        grpc_body, _ = row.input(own, key)
        over_grpc = Grpc(node, channels).call(own, operation, grpc_body)
        assert (over_json.code, over_grpc.code) == ("OK", "OK")
        shown = {name: value for name, value in over_json.body.items() if value != []}
        assert over_grpc.body.keys() == shown.keys()
        same = shown.keys() - row.grpc - CLOCKED
        assert {n: over_grpc.body[n] for n in same} == {n: shown[n] for n in same}
        for name in row.grpc:
            assert over_grpc.body[name] != shown[name], f"{name} does not vary"


@pytest.mark.parametrize("operation, member", list(required_members()))
def test_a_required_member_is_missing(wire, own, operation, member):
    body, _ = ROWS[operation].input(own)
    del body[member]
    answer = wire.call(own, operation, body)
    assert (answer.code, answer.message) == ("ValidationException", missing(lower_camel(member)))


@pytest.mark.parametrize("operation, name, path, value, constraint", list(broken_members()))
def test_a_broken_constraint(wire, own, operation, name, path, value, constraint):
    body, _ = ROWS[operation].input(own)
    answer = wire.call(own, operation, body | {name: value})
    assert answer.code == "ValidationException", answer.message[:500]
    said = f" at '{path}' failed to satisfy constraint: Member must {constraint}"
    assert said in answer.message


@pytest.mark.parametrize("operation, name, value", list(members_of_another_type()))
def test_another_json_type(node, own, operation, name, value):
    body, _ = ROWS[operation].input(own)
    reply = node.call(operation, body | {name: value})
    assert (reply.status, reply.code) == (400, "SerializationException"), reply.text[:500]


def test_a_plaintext_of_4096_bytes(wire, own):
    body = {"KeyId": own.key().id, "Plaintext": blob(4096)}
    sealed = wire.call(own, "Encrypt", body)
    assert sealed.code == "OK", sealed.message
    opened = wire.call(own, "Decrypt", {"CiphertextBlob": sealed.body["CiphertextBlob"]})
    assert opened.body["Plaintext"] == blob(4096)


def test_a_plaintext_of_4097_bytes(wire, own):
    answer = wire.call(own, "Encrypt", {"KeyId": own.key().id, "Plaintext": blob(4097)})
    said = violations(violation("plaintext", "have length less than or equal to 4096"))
    assert (answer.code, answer.message) == ("ValidationException", said)


@pytest.mark.parametrize("operation", PAGED)
class TestPaging:
    def test_pages_of_one_are_a_page_of_three(self, wire, own, operation):
        row = ROWS[operation]
        body, key = row.input(own)
        for _ in range(3 * bool(row.items.add)):
            row.items.add(key)
        whole = wire.call(own, operation, body | {"Limit": 3}).body
        expected, found = whole.get(row.items.member, []), []
        assert len(expected) == 3 or not row.items.add
        body["Limit"] = 1
        while len(found) < len(expected):
            page = wire.call(own, operation, body).body
            assert len(page[row.items.member]) == 1
            found += page[row.items.member]
            assert ("NextMarker" in page) == page["Truncated"]
            body["Marker"] = page.get("NextMarker")
        assert found == expected
        assert bool(body.get("Marker")) == whole["Truncated"]

    def test_a_marker_of_no_listing(self, wire, own, operation):
        body, _ = ROWS[operation].input(own)
        answer = wire.call(own, operation, body | {"Marker": "nonsense"})
        assert answer.code == "InvalidMarkerException"


def audit_line(node, request_id):
    """The line of the audit trail about one request; there must be exactly one."""
    lines = [line for line in node.output().splitlines() if request_id in line]
    events = [json.loads(line) for line in lines if line.startswith("{")]
    [event] = [event for event in events if event.get("requestID") == request_id]
    return event


@pytest.mark.parametrize("operation", ROWS)
class TestAudit:
    def test_a_success(self, node, wire, own, operation):
        row = ROWS[operation]
        body, key = row.input(own)
        answer = wire.call(own, operation, body)
        event = audit_line(node, answer.request_id)
        assert event["eventSource"] == "kms.amazonaws.com"
        assert event["eventName"] == operation
        assert event["awsRegion"] == "us-east-1"
        assert event["readOnly"] == row.audit.read_only
        assert event["userIdentity"]["arn"] == "arn:aws:iam::000000000000:root"
        assert event["userIdentity"].get("accessKeyId") == wire.access_key(own)
        assert "errorCode" not in event
        arns = row.audit.resources(Call(own, key, body, answer.body))
        assert [resource["ARN"] for resource in event["resources"]] == arns
        assert {resource["accountId"] for resource in event["resources"]} <= {own.number}
        assert (event["requestParameters"] or {}).keys() == row.audit.parameters
        assert (event["responseElements"] or {}).keys() == row.audit.response

    def test_a_refusal(self, node, wire, own, operation):
        if not wire.has_secrets:
            pytest.skip("a certificate has no secret that could be wrong")
        body, _ = ROWS[operation].input(own)
        answer = wire.call(own, operation, body, secret="wrong")
        assert answer.code == wire.WRONG_SECRET
        event = audit_line(node, answer.request_id)
        assert (event["eventName"], event["errorCode"]) == (operation, wire.WRONG_SECRET)
        assert event["resources"] == []


# What of an input and of an output is in no line; a public key that is sent is not secret.
NEVER_SENT = {
    "CiphertextBlob",
    "Mac",
    "Message",
    "Plaintext",
    "SharedSecretCiphertextBlob",
    "Signature",
}
NEVER_RETURNED = NEVER_SENT | {
    "PrivateKeyCiphertextBlob",
    "PrivateKeyPlaintext",
    "PublicKey",
    "SharedSecret",
}


@pytest.mark.parametrize("operation", ROWS)
def test_no_secret_is_written(node, wire, own, operation):
    """Neither texts nor keys nor random bytes, in clear or encoded."""
    body, key = ROWS[operation].input(own)
    answer = wire.call(own, operation, body)
    assert answer.code == "OK", answer.message
    if key:
        # Most refuse this.
        key.become("Disabled")
        wire.call(own, operation, body)
    secrets = [body[name] for name in NEVER_SENT & body.keys()]
    secrets += [answer.body[name] for name in NEVER_RETURNED & answer.body.keys()]
    written = node.output()
    for secret in map(base64.b64decode, secrets):
        for form in (encoded(secret), secret.hex(), secret.decode("latin1")):
            assert form not in written


@pytest.mark.parametrize("operation", [name for name in ROWS if "Recipient" in MEMBERS[name]])
def test_an_attested_recipient(wire, own, operation):
    """There is no enclave that could attest anything."""
    body, _ = ROWS[operation].input(own)
    recipient = {
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": encoded(b"document"),
    }
    answer = wire.call(own, operation, body | {"Recipient": recipient})
    said = "The member Recipient is not supported."
    assert (answer.code, answer.message) == ("UnsupportedOperationException", said)
