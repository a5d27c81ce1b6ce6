"""Every spec, usage, algorithm and message type, allowed or not, over both wires. What is allowed
is in `families`; everything else is refused in the way that this file says."""

import pytest
from families import (
    ALGORITHMS,
    ELSEWHERE,
    LISTED_AS,
    MESSAGE_TYPES,
    MESSAGES,
    SPECS,
    USAGES,
    enumeration,
    has_public_key,
)
from families_requests import USES, Case
from families_world import call, generated, keys, own

pytestmark = pytest.mark.one_node

BAD_USAGE = "InvalidKeyUsageException"
INVALID = "ValidationException"
UNSUPPORTED = "UnsupportedOperationException"

# 25 kinds of keys; 13 signing algorithms with 3 message types for two operations, 4 encryption
# algorithms for four, 4 MAC algorithms for two, one algorithm for three, none for four.
CELLS = 25 * (2 * 13 * 3 + 4 * 4 + 2 * 4 + 3 + 4)
# Each spec with each usage and with none.
CREATIONS = 20 * (5 + 1)


def cells(operation):
    """Every algorithm and message type that a request can name."""
    _, member, enum = USES[operation]
    for algorithm in enumeration(enum) if enum else [None]:
        for message_type in MESSAGE_TYPES if member == "SigningAlgorithm" else [None]:
            yield algorithm, message_type


def expected(key, operation, algorithm, message_type):
    """Code and text of the answer."""
    spec, _, usage = key.kind.partition("/")
    needed, name = USES[operation][0], operation.partition(" ")[0]
    algorithm = algorithm or "SYMMETRIC_DEFAULT"
    if usage != needed:
        return BAD_USAGE, f"{key.arn} key usage is {usage} which is not valid for {name}."
    if algorithm not in ALGORITHMS[spec, usage]:
        return BAD_USAGE, f"Algorithm {algorithm} is incompatible with key spec {spec}."
    if message_type and message_type not in MESSAGES[algorithm]:
        return INVALID, f"Algorithm {algorithm} does not take messages of type {message_type}."
    return "OK", ""


def echoes(key, operation, algorithm, body):
    """What of an output repeats the request."""
    member = "SourceKeyId" if operation == "ReEncrypt from" else "KeyId"
    if body[member] != key.arn:
        yield f"{member} is {body[member]}"
    if algorithm and body[USES[operation][1]] != algorithm:
        yield f"{USES[operation][1]} is {body[USES[operation][1]]}"
    if not body.get("SignatureValid", True) or not body.get("MacValid", True):
        yield "not valid"


@pytest.mark.parametrize("operation", USES)
@pytest.mark.parametrize("spec, usage", ALGORITHMS)
def test_every_algorithm_and_message_type(call, keys, spec, usage, operation):
    key, wrong = keys(spec, usage), []
    for algorithm, message_type in cells(operation):
        case = Case(call, keys, key, operation, algorithm, message_type)
        answer = call(operation.partition(" ")[0], **case.members())
        want = expected(key, operation, algorithm, message_type)
        about = f"{algorithm} {message_type}: "
        if (answer.code, answer.message) != want:
            wrong.append(f"{about}{answer.code} {answer.message!r}, not {want}")
        elif answer.code == "OK":
            wrong += [about + text for text in echoes(key, operation, algorithm, answer.body)]
    assert not wrong, "\n".join(wrong)


def test_the_matrix_is_whole():
    """The enumerations are as large as when the figures were counted."""
    assert len(ALGORITHMS) * sum(len(list(cells(operation))) for operation in USES) == CELLS
    assert len(SPECS) * (len(USAGES) + 1) == CREATIONS
    print(f"{CELLS} uses and {CREATIONS} creations over each wire")


class TestCreation:
    @pytest.mark.parametrize("spec", SPECS)
    @pytest.mark.parametrize("usage", USAGES)
    def test_every_usage(self, call, spec, usage):
        answer = call("CreateKey", KeySpec=spec, KeyUsage=usage)
        if spec in ELSEWHERE:
            assert answer.code == UNSUPPORTED, answer.message
        elif (spec, usage) in ALGORITHMS:
            assert answer.code == "OK", answer.message
            check_metadata(answer.body["KeyMetadata"], spec, usage)
        else:
            said = f"KeyUsage {usage} is not compatible with KeySpec {spec}"
            assert (answer.code, answer.message) == (INVALID, said)

    @pytest.mark.parametrize("spec", SPECS)
    def test_no_usage(self, call, spec):
        answer = call("CreateKey", KeySpec=spec)
        if spec == "SYMMETRIC_DEFAULT":
            check_metadata(answer.body["KeyMetadata"], spec, "ENCRYPT_DECRYPT")
        elif spec in ELSEWHERE:
            assert answer.code in {INVALID, UNSUPPORTED}
        else:
            said = (
                "You must specify a KeyUsage value for all KMS keys except for symmetric "
                "encryption keys."
            )
            assert (answer.code, answer.message) == (INVALID, said)

    @pytest.mark.parametrize("spec", enumeration("CustomerMasterKeySpec"))
    def test_the_old_name_of_the_spec(self, call, spec):
        usage = next((usage for its, usage in ALGORITHMS if its == spec), "SIGN_VERIFY")
        answer = call("CreateKey", CustomerMasterKeySpec=spec, KeyUsage=usage)
        if spec in ELSEWHERE:
            assert answer.code == UNSUPPORTED, answer.message
        else:
            check_metadata(answer.body["KeyMetadata"], spec, usage)


@pytest.mark.parametrize("spec, usage", ALGORITHMS)
class TestDescription:
    def test_metadata(self, call, keys, spec, usage):
        metadata = call.ok("DescribeKey", KeyId=keys(spec, usage).id)["KeyMetadata"]
        check_metadata(metadata, spec, usage)

    def test_public_key(self, call, keys, spec, usage):
        key = keys(spec, usage)
        answer = call("GetPublicKey", KeyId=key.id)
        if not has_public_key(spec):
            assert answer.code == UNSUPPORTED, answer.message
            return
        assert answer.body.pop("KeyId") == key.arn
        assert answer.body.pop("PublicKey")
        assert answer.body.pop("CustomerMasterKeySpec", spec) == spec
        listed = {LISTED_AS[usage]: ALGORITHMS[spec, usage]}
        assert answer.body == {"KeySpec": spec, "KeyUsage": usage} | listed

    def test_no_rotation(self, call, keys, spec, usage):
        """Terraform asks this of every key."""
        status = call.ok("GetKeyRotationStatus", KeyId=keys(spec, usage).id)
        assert not status.get("KeyRotationEnabled", False)


def check_metadata(metadata, spec, usage):
    """Spec and usage, and exactly the algorithms that go with them."""
    assert (metadata["KeySpec"], metadata["KeyUsage"]) == (spec, usage)
    if spec in enumeration("CustomerMasterKeySpec"):
        assert metadata["CustomerMasterKeySpec"] == spec
    assert (metadata["KeyState"], metadata["Origin"]) == ("Enabled", "AWS_KMS")
    lists = {name: metadata[name] for name in LISTED_AS.values() if name in metadata}
    assert lists == {LISTED_AS[usage]: ALGORITHMS[spec, usage]}
