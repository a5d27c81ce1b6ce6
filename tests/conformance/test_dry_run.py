"""Dry runs, over both wires: what would have worked says so and changes nothing, and what would not
fails as it would have."""

import base64

import pytest
from expect import denied_ciphertext, denied_elsewhere, missing
from families import ALGORITHMS
from node import OTHER_ACCOUNT
from shapes import OPERATIONS, lower_camel
from test_states import check
from test_walk import audit_line
from walk import ANSWERS, States
from walk_rows import ROWS
from walk_wires import generated, wire
from walk_world import (
    MAC,
    SIGNING,
    SYMMETRIC,
    WAYS,
    Account,
    encoded,
    key_of,
    reachable,
)

WOULD_WORK = (
    "DryRunOperationException",
    "The request would have succeeded, but the DryRun option is set.",
)
DRY = {"DryRun": True}
BLIND = DRY | {"DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
# The operations of AWS that take DryRun, by the list in its developer guide.
OFFERED = {
    "CreateGrant",
    "Decapsulate",
    "Decrypt",
    "DeriveSharedSecret",
    "Encapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "ReEncrypt",
    "RetireGrant",
    "RevokeGrant",
    "Sign",
    "Verify",
    "VerifyMac",
}
# Those that are for keys of every usage.
OF_ANY_KEY = {"CreateGrant", "RetireGrant", "RevokeGrant"}
DRY_RUN = sorted(OFFERED)
TOUCHES = [(name, touch) for name in DRY_RUN for touch in ROWS[name].touches]
RSA = "RSA_2048/ENCRYPT_DECRYPT"
OAEP = "RSAES_OAEP_SHA_256"
each_operation = pytest.mark.parametrize("operation", DRY_RUN)
each_touch = pytest.mark.parametrize(
    "operation, touch",
    [pytest.param(name, touch, id=f"{name}-{touch.role}") for name, touch in TOUCHES],
)


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


@pytest.fixture(scope="module")
def stranger(node):
    return Account(node, OTHER_ACCOUNT)


def said(answer):
    return answer.code, answer.message


def test_the_list_is_whole():
    assert {name for name in OPERATIONS if "DryRun" in OPERATIONS[name]["members"]} == OFFERED
    assert OFFERED <= ROWS.keys()


@each_operation
class TestOperations:
    def test_what_would_have_worked(self, wire, own, operation):
        body, _ = ROWS[operation].input(own)
        assert said(wire.call(own, operation, body | DRY)) == WOULD_WORK

    def test_false_is_no_dry_run(self, wire, own, operation):
        body, _ = ROWS[operation].input(own)
        assert wire.call(own, operation, body | {"DryRun": False}).code == "OK"

    def test_it_is_in_the_audit_trail(self, node, wire, own, operation):
        body, key = ROWS[operation].input(own)
        answer = wire.call(own, operation, body | DRY)
        event = audit_line(node, answer.request_id)
        assert (event["eventName"], event["errorCode"]) == (operation, WOULD_WORK[0])
        assert event["resources"][0]["ARN"] == key.arn

    def test_a_required_member_is_missing(self, wire, own, operation):
        for member in OPERATIONS[operation]["required"]:
            body, _ = ROWS[operation].input(own)
            del body[member]
            refusal = "ValidationException", missing(lower_camel(member))
            assert said(wire.call(own, operation, body | DRY)) == refusal


@each_touch
class TestKeys:
    @pytest.mark.parametrize("state", WAYS)
    def test_a_state(self, wire, own, operation, touch, state):
        if not reachable(touch, state):
            pytest.skip("no material can be imported into such a key")
        key = key_of(own, touch, state)
        body = touch.body(own, key)
        key.become(state)
        answer = wire.call(own, operation, body | DRY)
        if ANSWERS[getattr(States(*touch.states), state)][0] == "OK":
            assert said(answer) == WOULD_WORK
        else:
            check(answer, touch, state, key, body)

    def test_a_stranger(self, wire, own, stranger, operation, touch):
        key = own.key(touch.kind)
        body = touch.body(stranger, key.named(key.arn))
        text = denied_ciphertext if touch.stranger == "ciphertext" else denied_elsewhere
        denial = "AccessDeniedException", text(touch.action, OTHER_ACCOUNT)
        assert said(wire.call(stranger, operation, body | DRY)) == denial


class TestFailures:
    """What fails for another reason than the state of the key."""

    @pytest.mark.parametrize("operation", sorted(OFFERED - OF_ANY_KEY - {"ReEncrypt"}))
    def test_a_key_of_another_usage(self, wire, own, operation):
        kind = MAC if ROWS[operation].touches[0].kind != MAC else SIGNING
        body, key = ROWS[operation].input(own)[0], own.key(kind)
        answer = wire.call(own, operation, body | DRY | {"KeyId": key.id})
        if operation == "Decrypt":
            # Whose ciphertext it is comes first.
            assert answer.code == "IncorrectKeyException"
            return
        usage = kind.partition("/")[2]
        text = f"{key.arn} key usage is {usage} which is not valid for {operation}."
        assert said(answer) == ("InvalidKeyUsageException", text)

    @pytest.mark.parametrize(
        "operation, member, other",
        [
            ("Encrypt", "EncryptionAlgorithm", "RSAES_OAEP_SHA_1"),
            ("Sign", "SigningAlgorithm", "ED25519_SHA_512"),
            ("Verify", "SigningAlgorithm", "ML_DSA_SHAKE_256"),
            ("GenerateMac", "MacAlgorithm", "HMAC_SHA_224"),
            ("VerifyMac", "MacAlgorithm", "HMAC_SHA_512"),
        ],
    )
    def test_another_algorithm(self, wire, own, operation, member, other):
        body, key = ROWS[operation].input(own)
        spec = key.kind.partition("/")[0]
        text = f"Algorithm {other} is incompatible with key spec {spec}."
        answer = wire.call(own, operation, body | DRY | {member: other})
        assert said(answer) == ("InvalidKeyUsageException", text)

    @pytest.mark.parametrize("operation", ["Sign", "Verify"])
    def test_a_digest_of_another_length(self, wire, own, operation):
        body, _ = ROWS[operation].input(own)
        digest = {"SigningAlgorithm": "ECDSA_SHA_256", "MessageType": "DIGEST"}
        digest["Message"] = encoded(b"x" * 31)
        text = "Digest is invalid length for algorithm ECDSA_SHA_256."
        answer = wire.call(own, operation, body | DRY | digest)
        assert said(answer) == ("ValidationException", text)

    def test_too_long_a_plaintext(self, wire, own):
        body = {"KeyId": own.key(RSA).id, "EncryptionAlgorithm": OAEP}
        text = f"Algorithm {OAEP} and key spec RSA_2048 cannot encrypt data larger than 190 bytes."
        answer = wire.call(own, "Encrypt", body | DRY | {"Plaintext": encoded(b"x" * 191)})
        assert said(answer) == ("ValidationException", text)

    @pytest.mark.parametrize(
        "operation, member, code",
        [
            ("Verify", "Signature", "KMSInvalidSignatureException"),
            ("VerifyMac", "Mac", "KMSInvalidMacException"),
            ("Decrypt", "CiphertextBlob", "InvalidCiphertextException"),
            ("ReEncrypt", "CiphertextBlob", "InvalidCiphertextException"),
            ("DeriveSharedSecret", "PublicKey", "ValidationException"),
        ],
    )
    def test_what_is_damaged(self, wire, own, operation, member, code):
        body, _ = ROWS[operation].input(own)
        blob = bytearray(base64.b64decode(body[member]))
        blob[-1] ^= 1
        answer = wire.call(own, operation, body | DRY | {member: encoded(bytes(blob))})
        assert said(answer) == (code, "")

    def test_a_ciphertext_of_another_length(self, wire, own):
        body, _ = ROWS["Decapsulate"].input(own)
        body["SharedSecretCiphertextBlob"] = encoded(b"x" * 1087)
        answer = wire.call(own, "Decapsulate", body | DRY)
        assert said(answer) == ("InvalidCiphertextException", "")


def decrypt(key):
    """Decrypt without its ciphertext."""
    return {"KeyId": key.id} | named(key, "EncryptionAlgorithm")


def re_encrypt(source, destination):
    members = {"SourceKeyId": source.id, "DestinationKeyId": destination.id}
    members |= named(source, "SourceEncryptionAlgorithm")
    return members | named(destination, "DestinationEncryptionAlgorithm")


def named(key, member):
    """The algorithm, for a key that has more than one."""
    return {member: OAEP} if key.kind == RSA else {}


@pytest.mark.parametrize("kind", [SYMMETRIC, RSA])
class TestWithoutTheCiphertext:
    def test_decrypt(self, wire, own, kind):
        body = decrypt(own.key(kind))
        assert said(wire.call(own, "Decrypt", body | BLIND)) == WOULD_WORK
        garbage = {"CiphertextBlob": encoded(b"x")}
        assert said(wire.call(own, "Decrypt", body | BLIND | garbage)) == WOULD_WORK

    @pytest.mark.parametrize("other", [SYMMETRIC, RSA])
    def test_re_encrypt(self, wire, own, kind, other):
        body = re_encrypt(own.key(kind), own.key(other))
        assert said(wire.call(own, "ReEncrypt", body | BLIND)) == WOULD_WORK
        garbage = {"CiphertextBlob": encoded(b"x")}
        assert said(wire.call(own, "ReEncrypt", body | BLIND | garbage)) == WOULD_WORK

    def test_states(self, wire, own, kind):
        key, other = own.key(kind), own.key(kind)
        key.become("Disabled")
        refusal = "DisabledException", f"{key.arn} is disabled."
        for body in (re_encrypt(key, other), re_encrypt(other, key)):
            assert said(wire.call(own, "ReEncrypt", body | BLIND)) == refusal
        assert said(wire.call(own, "Decrypt", decrypt(key) | BLIND)) == refusal

    def test_usage_and_algorithm(self, wire, own, kind):
        key = own.key("RSA_2048/SIGN_VERIFY")
        text = f"{key.arn} key usage is SIGN_VERIFY which is not valid for Decrypt."
        answer = wire.call(own, "Decrypt", {"KeyId": key.id} | BLIND)
        assert said(answer) == ("InvalidKeyUsageException", text)
        key = own.key(kind)
        spec, wrong = key.kind.partition("/")[0], {SYMMETRIC: OAEP, RSA: "SYMMETRIC_DEFAULT"}[kind]
        assert wrong not in ALGORITHMS[spec, "ENCRYPT_DECRYPT"]
        body = {"KeyId": key.id, "EncryptionAlgorithm": wrong}
        text = f"Algorithm {wrong} is incompatible with key spec {spec}."
        answer = wire.call(own, "Decrypt", body | BLIND)
        assert said(answer) == ("InvalidKeyUsageException", text)

    def test_it_needs_the_key_and_a_dry_run(self, wire, own, kind):
        key, other = own.key(kind), own.key()
        moved = re_encrypt(key, other)
        for operation, body, member in (
            ("Decrypt", decrypt(key), "KeyId"),
            ("ReEncrypt", moved, "SourceKeyId"),
        ):
            nameless = {name: value for name, value in body.items() if name != member}
            assert wire.call(own, operation, nameless | BLIND).code == "ValidationException"
            wet = body | BLIND | {"DryRun": False}
            assert wire.call(own, operation, wet).code == "ValidationException"
            # Without the modifier the ciphertext is missing.
            assert wire.call(own, operation, body | DRY).code == "ValidationException"
