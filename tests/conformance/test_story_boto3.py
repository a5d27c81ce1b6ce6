"""The life of a key, told through boto3: its creation, uses, states and end."""

import datetime
import re
import time

import pytest
from expect import (
    ABSENT_ID,
    EMPTY,
    UUID,
    alias_arn,
    denied_ciphertext,
    key_arn,
    no_such_key,
    pages,
    refused,
    unique_alias,
)

MATERIAL_ID = re.compile(r"[0-9a-f]{64}")


def state(kms, key):
    return kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]


class TestCreation:
    def test_metadata_of_a_new_key(self, kms):
        before = time.time()
        metadata = kms.create_key(Description="first")["KeyMetadata"]
        created = metadata.pop("CreationDate").timestamp()
        assert before - 2 <= created <= time.time() + 2
        assert UUID.fullmatch(metadata["KeyId"])
        assert MATERIAL_ID.fullmatch(metadata.pop("CurrentKeyMaterialId"))
        key_id = metadata.pop("KeyId")
        assert metadata == {
            "AWSAccountId": "000000000000",
            "Arn": key_arn(key_id),
            "Enabled": True,
            "Description": "first",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": "Enabled",
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": False,
        }

    def test_description_is_empty_when_unset(self, key):
        assert key["Description"] == ""

    def test_defaults_may_be_said(self, kms):
        kms.create_key(
            KeySpec="SYMMETRIC_DEFAULT",
            KeyUsage="ENCRYPT_DECRYPT",
            Origin="AWS_KMS",
            MultiRegion=False,
            BypassPolicyLockoutSafetyCheck=False,
        )

    def test_the_old_name_of_the_spec(self, kms):
        metadata = kms.create_key(CustomerMasterKeySpec="SYMMETRIC_DEFAULT")["KeyMetadata"]
        assert metadata["KeySpec"] == "SYMMETRIC_DEFAULT"

    def test_describe_by_every_name(self, kms, key):
        name = unique_alias()
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        for reference in (key["KeyId"], key["Arn"], name, alias_arn(name)):
            assert kms.describe_key(KeyId=reference)["KeyMetadata"] == key

    @pytest.mark.parametrize(
        "parameters, member",
        [
            ({"Origin": "EXTERNAL_KEY_STORE"}, "Origin"),
            ({"CustomKeyStoreId": "cks-1234567890abcdef0"}, "CustomKeyStoreId"),
        ],
    )
    def test_what_is_not_built_is_refused_by_name(self, kms, parameters, member):
        before = len(pages(kms.list_keys, "Keys")[0])
        with refused("UnsupportedOperationException") as caught:
            kms.create_key(**parameters)
        assert member in caught.value.response["Error"]["Message"]
        assert len(pages(kms.list_keys, "Keys")[0]) == before

    def test_usage_must_fit_the_spec(self, kms):
        text = "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT"
        with refused("ValidationException", text):
            kms.create_key(KeyUsage="SIGN_VERIFY")


class TestEncryption:
    CONTEXT = {"purpose": "story", "ünïcode": "✓", "": "empty name"}

    def test_round_trip(self, kms, key):
        sealed = kms.encrypt(
            KeyId=key["KeyId"], Plaintext=b"secret", EncryptionContext=self.CONTEXT
        )
        assert sealed["KeyId"] == key["Arn"]
        assert sealed["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
        assert "KeyMaterialId" not in sealed
        opened = kms.decrypt(
            CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=self.CONTEXT
        )
        assert opened["Plaintext"] == b"secret"
        assert opened["KeyId"] == key["Arn"]
        assert opened["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
        assert opened["KeyMaterialId"] == key["CurrentKeyMaterialId"]

    def test_no_two_ciphertexts_are_equal(self, kms, key):
        parameters = {"KeyId": key["KeyId"], "Plaintext": b"same"}
        blobs = {kms.encrypt(**parameters)["CiphertextBlob"] for _ in range(50)}
        assert len(blobs) == 50

    @pytest.mark.parametrize("length", [1, 15, 16, 17, 4095, 4096])
    def test_lengths(self, kms, key, length):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x" * length)["CiphertextBlob"]
        assert len(blob) == length + 120
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x" * length

    def test_an_absent_context_is_an_empty_one(self, kms, key):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={})["Plaintext"] == b"x"

    def test_the_key_may_be_named(self, kms, key):
        name = unique_alias()
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        blob = kms.encrypt(KeyId=name, Plaintext=b"x")["CiphertextBlob"]
        for reference in (key["KeyId"], key["Arn"], name, alias_arn(name)):
            opened = kms.decrypt(CiphertextBlob=blob, KeyId=reference)
            assert opened["KeyId"] == key["Arn"]

    def test_re_encrypt_moves_to_another_key_and_context(self, kms, key):
        other = kms.create_key()["KeyMetadata"]
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"a": "1"})
        moved = kms.re_encrypt(
            CiphertextBlob=blob["CiphertextBlob"],
            SourceEncryptionContext={"a": "1"},
            SourceKeyId=key["KeyId"],
            DestinationKeyId=other["KeyId"],
            DestinationEncryptionContext={"b": "2"},
        )
        blob = moved.pop("CiphertextBlob")
        del moved["ResponseMetadata"]
        assert moved == {
            "SourceKeyId": key["Arn"],
            "KeyId": other["Arn"],
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "SourceKeyMaterialId": key["CurrentKeyMaterialId"],
            "DestinationKeyMaterialId": other["CurrentKeyMaterialId"],
        }
        opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext={"b": "2"})
        assert (opened["Plaintext"], opened["KeyId"]) == (b"x", other["Arn"])

    def test_re_encrypt_with_a_wrong_source(self, kms, key):
        other = kms.create_key()["KeyMetadata"]
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        with refused(
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        ):
            kms.re_encrypt(
                CiphertextBlob=blob, SourceKeyId=other["KeyId"], DestinationKeyId=key["KeyId"]
            )
        with refused("InvalidCiphertextException", EMPTY):
            kms.re_encrypt(
                CiphertextBlob=blob,
                SourceEncryptionContext={"a": "1"},
                DestinationKeyId=other["KeyId"],
            )


class TestDataKeys:
    @pytest.mark.parametrize(
        "how, length",
        [
            ({"KeySpec": "AES_256"}, 32),
            ({"KeySpec": "AES_128"}, 16),
            ({"NumberOfBytes": 1}, 1),
            ({"NumberOfBytes": 1024}, 1024),
        ],
    )
    def test_data_key(self, kms, key, how, length):
        context = {"EncryptionContext": {"a": "1"}}
        made = kms.generate_data_key(KeyId=key["KeyId"], **how, **context)
        assert len(made["Plaintext"]) == length
        assert made["KeyId"] == key["Arn"]
        assert made["KeyMaterialId"] == key["CurrentKeyMaterialId"]
        opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], **context)
        assert opened["Plaintext"] == made["Plaintext"]

    def test_without_plaintext(self, kms, key):
        made = kms.generate_data_key_without_plaintext(KeyId=key["KeyId"], KeySpec="AES_256")
        assert "Plaintext" not in made
        assert made["KeyId"] == key["Arn"]
        assert made["KeyMaterialId"] == key["CurrentKeyMaterialId"]
        assert len(kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"]) == 32

    @pytest.mark.parametrize("how", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
    @pytest.mark.parametrize(
        "operation", ["generate_data_key", "generate_data_key_without_plaintext"]
    )
    def test_exactly_one_length(self, kms, key, operation, how):
        text = "Please specify either number of bytes or key spec."
        with refused("ValidationException", text):
            getattr(kms, operation)(KeyId=key["KeyId"], **how)

    @pytest.mark.parametrize("length", [1, 1024])
    def test_random(self, kms, length):
        made = [kms.generate_random(NumberOfBytes=length)["Plaintext"] for _ in range(2)]
        assert [len(one) for one in made] == [length, length]
        assert length == 1 or made[0] != made[1]

    def test_random_needs_a_length(self, kms):
        with refused("ValidationException", "NumberOfBytes is required."):
            kms.generate_random()


# Every operation that uses a key, with parameters made from a key and one of its ciphertexts.
USES = {
    "encrypt": lambda key, blob: {"KeyId": key, "Plaintext": b"x"},
    "decrypt": lambda key, blob: {"CiphertextBlob": blob},
    "re_encrypt": lambda key, blob: {"CiphertextBlob": blob, "DestinationKeyId": key},
    "generate_data_key": lambda key, blob: {"KeyId": key, "KeySpec": "AES_256"},
    "generate_data_key_without_plaintext": lambda key, blob: {"KeyId": key, "NumberOfBytes": 8},
}
# Every operation that changes a key, except those that are about its state.
CHANGES = {
    "update_key_description": lambda key: {"KeyId": key, "Description": "changed"},
    "tag_resource": lambda key: {"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "untag_resource": lambda key: {"KeyId": key, "TagKeys": ["a"]},
    "create_alias": lambda key: {"AliasName": unique_alias(), "TargetKeyId": key},
}
# Every operation that only looks at a key.
LOOKS = [
    "describe_key",
    "get_key_last_usage",
    "get_key_policy",
    "get_key_rotation_status",
    "list_aliases",
    "list_grants",
    "list_key_policies",
    "list_key_rotations",
    "list_resource_tags",
]


class TestStates:
    def test_disable_and_enable(self, kms, key):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        for _ in range(2):  # doing it again changes nothing
            kms.disable_key(KeyId=key["KeyId"])
            metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            assert (metadata["KeyState"], metadata["Enabled"]) == ("Disabled", False)
        for _ in range(2):
            kms.enable_key(KeyId=key["KeyId"])
            metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            assert (metadata["KeyState"], metadata["Enabled"]) == ("Enabled", True)
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    @pytest.mark.parametrize("operation", USES)
    def test_a_disabled_key_is_not_used(self, kms, key, operation):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        kms.disable_key(KeyId=key["KeyId"])
        with refused("DisabledException", f"{key['Arn']} is disabled."):
            getattr(kms, operation)(**USES[operation](key["KeyId"], blob))

    @pytest.mark.parametrize("operation", USES)
    def test_a_doomed_key_is_not_used(self, kms, key, operation):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        kms.schedule_key_deletion(KeyId=key["KeyId"])
        with refused("KMSInvalidStateException", f"{key['Arn']} is pending deletion."):
            getattr(kms, operation)(**USES[operation](key["KeyId"], blob))

    @pytest.mark.parametrize("operation", CHANGES)
    def test_a_disabled_key_may_be_changed(self, kms, disabled_key, operation):
        getattr(kms, operation)(**CHANGES[operation](disabled_key["KeyId"]))

    @pytest.mark.parametrize("operation", CHANGES)
    def test_a_doomed_key_is_not_changed(self, kms, doomed_key, operation):
        text = f"{doomed_key['Arn']} is pending deletion."
        with refused("KMSInvalidStateException", text):
            getattr(kms, operation)(**CHANGES[operation](doomed_key["KeyId"]))

    @pytest.mark.parametrize("operation", ["enable_key", "disable_key", "schedule_key_deletion"])
    def test_a_doomed_key_stays_so(self, kms, doomed_key, operation):
        text = f"{doomed_key['Arn']} is pending deletion."
        with refused("KMSInvalidStateException", text):
            getattr(kms, operation)(KeyId=doomed_key["KeyId"])

    @pytest.mark.parametrize("operation", LOOKS)
    @pytest.mark.parametrize("kind", ["key", "disabled_key", "doomed_key"])
    def test_every_key_may_be_looked_at(self, kms, request, kind, operation):
        getattr(kms, operation)(KeyId=request.getfixturevalue(kind)["KeyId"])

    @pytest.mark.parametrize("kind", ["key", "disabled_key"])
    def test_cancelling_needs_something_to_cancel(self, kms, request, kind):
        arn = request.getfixturevalue(kind)["Arn"]
        with refused("KMSInvalidStateException", f"{arn} is not pending deletion."):
            kms.cancel_key_deletion(KeyId=arn)


class TestDeletion:
    @pytest.mark.parametrize("days", [None, 7, 30])
    def test_schedule_and_cancel(self, kms, key, days):
        window = {} if days is None else {"PendingWindowInDays": days}
        scheduled = kms.schedule_key_deletion(KeyId=key["KeyId"], **window)
        assert scheduled["KeyId"] == key["Arn"]
        assert scheduled["KeyState"] == "PendingDeletion"
        assert scheduled["PendingWindowInDays"] == (days or 30)
        due = scheduled["DeletionDate"]
        expected = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days or 30)
        assert abs(due - expected) < datetime.timedelta(minutes=1)

        metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        assert metadata["KeyState"] == "PendingDeletion"
        assert metadata["DeletionDate"] == due
        assert not metadata["Enabled"]

        assert kms.cancel_key_deletion(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
        metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        assert metadata["KeyState"] == "Disabled"
        assert "DeletionDate" not in metadata

    @pytest.mark.parametrize("days", [1, 6, 31, 365])
    def test_the_window_has_bounds(self, kms, key, days):
        with refused("ValidationException"):
            kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=days)
        assert state(kms, key) == "Enabled"

    def test_a_deleted_key_is_gone(self, clock_node, clock):
        kms = clock_node.client()
        key = kms.create_key(Description="doomed")["KeyMetadata"]
        kept = kms.create_key()["KeyMetadata"]
        name = unique_alias()
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)

        clock.set(datetime.timedelta(days=7, hours=-1))
        assert state(kms, key) == "PendingDeletion"
        clock.set(datetime.timedelta(days=7, minutes=5))
        wait_until(lambda: len(kms.list_keys()["Keys"]) == 1)

        assert kms.list_keys()["Keys"][0]["KeyId"] == kept["KeyId"]
        assert kms.list_aliases()["Aliases"] == []
        for operation in ("describe_key", "enable_key", "cancel_key_deletion"):
            with refused("NotFoundException", no_such_key(key["KeyId"])):
                getattr(kms, operation)(KeyId=key["KeyId"])
        with refused("NotFoundException"):
            kms.encrypt(KeyId=name, Plaintext=b"x")
        with refused("AccessDeniedException", denied_ciphertext("kms:Decrypt")):
            kms.decrypt(CiphertextBlob=blob)
        kms.create_alias(AliasName=name, TargetKeyId=kept["KeyId"])


def wait_until(condition, seconds=90):
    """Polls until the condition holds; a leader at rest looks at its clock once a minute."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


class TestDryRun:
    @pytest.mark.parametrize("operation", USES)
    def test_what_would_have_succeeded(self, kms, key, operation):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        text = "The request would have succeeded, but the DryRun option is set."
        with refused("DryRunOperationException", text):
            getattr(kms, operation)(DryRun=True, **USES[operation](key["KeyId"], blob))

    @pytest.mark.parametrize("operation", USES)
    def test_what_would_have_failed(self, kms, key, operation):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        kms.disable_key(KeyId=key["KeyId"])
        with refused("DisabledException", f"{key['Arn']} is disabled."):
            getattr(kms, operation)(DryRun=True, **USES[operation](key["KeyId"], blob))

    def test_without_the_ciphertext(self, kms, key):
        modifiers = {"DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
        with refused("DryRunOperationException"):
            kms.decrypt(KeyId=key["KeyId"], **modifiers)
        with refused("NotFoundException", no_such_key(ABSENT_ID)):
            kms.decrypt(KeyId=ABSENT_ID, **modifiers)
