"""Requests that are no good: shapes, JSON, targets, sizes and what is not built yet."""

import base64
import json

import pytest
from expect import ABSENT_ID, UUID, missing, refused, violation, violations

UNBUILT = {
    "DescribeCustomKeyStores": {},
}


class TestViolations:
    def test_longest_plaintext(self, kms, key):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x" * 4096)["CiphertextBlob"]
        assert len(blob) == 4096 + 120
        text = violations(violation("plaintext", "have length less than or equal to 4096"))
        with refused("ValidationException", text):
            kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x" * 4097)

    def test_empty_plaintext(self, kms, key):
        text = violations(violation("plaintext", "have length greater than or equal to 1"))
        with refused("ValidationException", text):
            kms.encrypt(KeyId=key["KeyId"], Plaintext=b"")

    @pytest.mark.parametrize("count", [0, -1])
    def test_too_small_a_number(self, kms, key, count):
        constraint = "have value greater than or equal to 1"
        with refused(
            "ValidationException", violations(violation("numberOfBytes", constraint, f"'{count}'"))
        ):
            kms.generate_data_key(KeyId=key["KeyId"], NumberOfBytes=count)

    def test_too_large_a_number(self, kms, key):
        constraint = "have value less than or equal to 1024"
        with refused(
            "ValidationException", violations(violation("numberOfBytes", constraint, "'1025'"))
        ):
            kms.generate_data_key(KeyId=key["KeyId"], NumberOfBytes=1025)

    def test_unknown_enum_text(self, kms, key):
        constraint = "satisfy enum value set: [AES_256, AES_128]"
        with refused(
            "ValidationException", violations(violation("keySpec", constraint, "'AES_512'"))
        ):
            kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_512")

    def test_missing_member(self, kms):
        with refused("ValidationException", missing("keyId")):
            kms.describe_key()

    def test_all_violations_at_once(self, kms):
        with refused("ValidationException") as caught:
            kms.encrypt(Plaintext=b"", EncryptionAlgorithm="ROT13")
        text = caught.value.response["Error"]["Message"]
        assert text.startswith("3 validation errors detected: ")
        for part in (
            violation("keyId", "not be null", "null"),
            violation("plaintext", "have length greater than or equal to 1"),
            "at 'encryptionAlgorithm' failed to satisfy constraint: "
            "Member must satisfy enum value set: [SYMMETRIC_DEFAULT, ",
        ):
            assert part in text
        assert text.count("; ") == 2

    def test_paths_of_list_items(self, kms):
        with refused("ValidationException") as caught:
            kms.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}, {"TagKey": "", "TagValue": ""}])
        assert "at 'tags.2.member.tagKey'" in caught.value.response["Error"]["Message"]

    def test_validation_precedes_resolution(self, kms):
        with refused("ValidationException"):
            kms.encrypt(KeyId=ABSENT_ID, Plaintext=b"")

    def test_a_secret_is_never_shown(self, node, key):
        secret = base64.b64encode(b"top-secret" * 500).decode()
        reply = node.call("Encrypt", {"KeyId": key["KeyId"], "Plaintext": secret})
        assert reply.code == "ValidationException"
        assert secret[:16] not in reply.text and "top-secret" not in reply.text


class TestJson:
    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"[]",
            b'"text"',
            b"null",
            b"{} {}",
            b"\xff\xfe",
            b'{"KeyId": 7}',
            b'{"KeyId": ["a"]}',
            b'{"KeyId": {"a": "b"}}',
            b'{"KeyId": "a", "KeyId": "b"}',
            b'{"KeyId": "\\ud800"}',
            b"[" * 100_000,
        ],
        ids=lambda body: body[:24].decode("latin1"),
    )
    def test_malformed(self, node, body):
        reply = node.call("DescribeKey", body)
        assert (reply.status, reply.code) == (400, "SerializationException")

    @pytest.mark.parametrize("plaintext", ["not base64", "eA", "eA=", "eA==\n", "e\u00e4=="])
    def test_malformed_base64(self, node, key, plaintext):
        reply = node.call("Encrypt", {"KeyId": key["KeyId"], "Plaintext": plaintext})
        assert (reply.status, reply.code) == (400, "SerializationException")

    def test_a_context_with_a_name_twice(self, node, key):
        body = (
            f'{{"KeyId": "{key["KeyId"]}", "Plaintext": "eA==",'
            ' "EncryptionContext": {"a": "1", "a": "2"}}'
        )
        reply = node.call("Encrypt", body.encode())
        assert (reply.status, reply.code) == (400, "SerializationException")

    def test_null_is_absent_and_unknown_members_are_ignored(self, node, key):
        body = {"KeyId": key["KeyId"], "GrantTokens": None, "Novelty": {"deep": [1, {}]}}
        assert node.call("DescribeKey", body).status == 200

    def test_member_names_are_case_sensitive(self, node, key):
        reply = node.call("DescribeKey", {"keyId": key["KeyId"]})
        assert (reply.code, reply.message) == ("ValidationException", missing("keyId"))

    @pytest.mark.parametrize("body", [b"", b"{}"])
    def test_an_empty_body_is_an_empty_object(self, node, body):
        assert node.call("ListKeys", body).status == 200

    def test_malformed_json_is_noticed_after_the_signature(self, node):
        reply = node.call("DescribeKey", b"{", secret="wrong")
        assert reply.code == "InvalidSignatureException"

    @pytest.mark.dev("over TLS urllib3 misses an answer that comes while it sends")
    def test_too_large_a_body(self, node):
        reply = node.call("DescribeKey", b" " * (2 << 20))
        assert reply.status == 413


class TestReplies:
    def test_headers(self, node):
        reply = node.call("ListKeys")
        assert reply.headers["Content-Type"] == "application/x-amz-json-1.1"
        assert UUID.fullmatch(reply.headers["x-amzn-RequestId"])
        assert "no-store" in reply.headers["Cache-Control"]
        assert int(reply.headers["x-keystead-index"]) >= 0

    def test_an_error_with_a_text(self, node):
        reply = node.call("DescribeKey", {"KeyId": "nothing"})
        assert reply.headers["Content-Type"] == "application/x-amz-json-1.1"
        assert json.loads(reply.text) == {
            "__type": "NotFoundException",
            "message": "Invalid keyId 'nothing'",
        }

    def test_an_error_without_a_text(self, node):
        blob = base64.b64encode(b"nothing").decode()
        reply = node.call("Decrypt", {"CiphertextBlob": blob})
        assert json.loads(reply.text) == {"__type": "InvalidCiphertextException"}

    def test_no_body(self, node, key):
        reply = node.call("EnableKey", {"KeyId": key["KeyId"]})
        assert (reply.status, reply.text) == (200, "")

    def test_timestamps_are_numbers(self, node, key):
        reply = node.call("DescribeKey", {"KeyId": key["KeyId"]})
        assert isinstance(reply.body["KeyMetadata"]["CreationDate"], float | int)

    def test_the_index_never_goes_back(self, node):
        indexes = []
        for _ in range(5):
            indexes.append(int(node.call("CreateKey").headers["x-keystead-index"]))
        assert indexes == sorted(set(indexes))


class TestTargets:
    @pytest.mark.parametrize("operation", UNBUILT)
    def test_what_is_not_built_names_itself(self, node, operation):
        reply = node.call(operation, UNBUILT[operation])
        assert (reply.status, reply.code) == (400, "UnsupportedOperationException")
        assert operation in reply.message

    @pytest.mark.parametrize(
        "target", ["TrentService.Nothing", "Encrypt", "DynamoDB.ListTables", "TrentService."]
    )
    def test_unknown(self, node, target):
        reply = node.send(node.sign(target))
        assert (reply.status, reply.code) == (400, "UnknownOperationException")

    def test_an_unknown_target_is_answered_before_the_signature(self, node):
        reply = node.send(node.sign("TrentService.Nothing", secret="wrong"))
        assert reply.code == "UnknownOperationException"

    def test_unsupported_is_said_after_the_signature(self, node):
        reply = node.call("DescribeCustomKeyStores", {}, secret="wrong")
        assert reply.code == "InvalidSignatureException"
