"""What goes wrong, and how it is said: codes, texts and statuses."""

import os
import random

import pytest
from expect import (
    ABSENT_ID,
    EMPTY,
    alias_arn,
    denied_ciphertext,
    denied_elsewhere,
    key_arn,
    missing,
    no_such_alias,
    no_such_key,
    refused,
    unique_alias,
    violation,
    violations,
)

OTHER_REGIONS = "it needs a process that serves another Region, too"
WRONG_KEY = "The key ID in the request does not identify a CMK that can perform this operation."
ALIAS_PREFIX = (
    'Alias must start with the prefix "alias/". Please see '
    "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
)


@pytest.fixture
def blob(kms, key):
    """A ciphertext under the test's key, bound to a context."""
    sealed = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"secret", EncryptionContext={"a": "1"})
    return sealed["CiphertextBlob"]


class TestCiphertext:
    @pytest.mark.parametrize(
        "context",
        [{}, {"a": "2"}, {"A": "1"}, {"a": "1", "b": ""}, {"a": "1 "}, {"a1": ""}, {"": "a1"}],
    )
    def test_wrong_context(self, kms, blob, context):
        with refused("InvalidCiphertextException", EMPTY):
            kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)

    def test_every_changed_byte(self, kms, key, blob):
        for position in range(len(blob)):
            damaged = bytearray(blob)
            damaged[position] ^= 0x80
            # Other bytes than the key id leave the key as it is; with the key named, not even
            # those can lead elsewhere.
            code = "IncorrectKeyException" if 4 <= position < 20 else "InvalidCiphertextException"
            with refused(code):
                kms.decrypt(
                    CiphertextBlob=bytes(damaged),
                    EncryptionContext={"a": "1"},
                    KeyId=key["KeyId"],
                )

    def test_every_changed_byte_without_a_key(self, kms, blob):
        for position in range(len(blob)):
            damaged = bytearray(blob)
            damaged[position] ^= 0x80
            code = "AccessDeniedException" if 4 <= position < 20 else "InvalidCiphertextException"
            with refused(code):
                kms.decrypt(CiphertextBlob=bytes(damaged), EncryptionContext={"a": "1"})

    def test_every_shorter_length(self, kms, blob):
        for length in range(1, len(blob)):
            with refused("InvalidCiphertextException", EMPTY):
                kms.decrypt(CiphertextBlob=blob[:length], EncryptionContext={"a": "1"})

    def test_longer(self, kms, blob):
        with refused("InvalidCiphertextException", EMPTY):
            kms.decrypt(CiphertextBlob=blob + b"\0", EncryptionContext={"a": "1"})

    def test_random_damage(self, kms, blob):
        """Many damages of one ciphertext; scripts/long runs it with many more."""
        seed = int(os.environ.get("KEYSTEAD_SEED", random.SystemRandom().getrandbits(32)))
        print(f"KEYSTEAD_SEED={seed}")
        dice = random.Random(seed)
        for _ in range(int(os.environ.get("KEYSTEAD_DAMAGES", "300"))):
            damaged = damage(dice, blob)
            with pytest.raises(kms.exceptions.ClientError) as caught:
                kms.decrypt(CiphertextBlob=damaged, EncryptionContext={"a": "1"})
            code = caught.value.response["Error"]["Code"]
            assert code in {"InvalidCiphertextException", "AccessDeniedException"}

    def test_the_wrong_key_is_named(self, kms, blob):
        other = kms.create_key()["KeyMetadata"]
        with refused("IncorrectKeyException", WRONG_KEY):
            kms.decrypt(
                CiphertextBlob=blob, EncryptionContext={"a": "1"}, KeyId=other["KeyId"]
            )

    def test_another_account(self, other_account, blob):
        text = denied_ciphertext("kms:Decrypt", "111122223333")
        with refused("AccessDeniedException", text):
            other_account.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "1"})

    @pytest.mark.dev(OTHER_REGIONS)
    def test_another_region(self, other_region, blob):
        with refused("AccessDeniedException", denied_ciphertext("kms:Decrypt")):
            other_region.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "1"})

    def test_re_encrypt_from_another_account(self, other_account, blob):
        own = other_account.create_key()["KeyMetadata"]
        text = denied_ciphertext("kms:ReEncryptFrom", "111122223333")
        with refused("AccessDeniedException", text):
            other_account.re_encrypt(
                CiphertextBlob=blob,
                SourceEncryptionContext={"a": "1"},
                DestinationKeyId=own["KeyId"],
            )

    def test_no_ciphertext(self, kms):
        with refused("ValidationException"):
            kms.decrypt()


def damage(dice, blob):
    """A copy with some bytes changed, cut off, added or swapped; never the same."""
    damaged = bytearray(blob)
    while bytes(damaged) == blob:
        kind = dice.randrange(4)
        if kind == 0:
            for _ in range(dice.randint(1, 8)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        elif kind == 1:
            del damaged[dice.randrange(1, len(damaged)) :]
        elif kind == 2:
            damaged += dice.randbytes(dice.randint(1, 64))
        else:
            first, second = (dice.randrange(len(damaged)) for _ in range(2))
            damaged[first], damaged[second] = damaged[second], damaged[first]
        if not damaged:
            damaged = bytearray(blob)
    return bytes(damaged)


# Operations that find their key by any of its names, with whatever else they need.
BY_ANY_NAME = {
    "decapsulate": {"SharedSecretCiphertextBlob": b"x", "EncapsulationAlgorithm": "ML_KEM"},
    "derive_shared_secret": {"PublicKey": b"x", "KeyAgreementAlgorithm": "ECDH"},
    "describe_key": {},
    "encapsulate": {"EncapsulationAlgorithm": "ML_KEM"},
    "encrypt": {"Plaintext": b"x"},
    "generate_data_key": {"KeySpec": "AES_256"},
    "generate_data_key_pair": {"KeyPairSpec": "ECC_NIST_P256"},
    "generate_data_key_pair_without_plaintext": {"KeyPairSpec": "ECC_NIST_P256"},
    "generate_data_key_without_plaintext": {"KeySpec": "AES_256"},
    "generate_mac": {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"},
    "get_public_key": {},
    "sign": {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"},
    "verify": {"Message": b"x", "Signature": b"x", "SigningAlgorithm": "ECDSA_SHA_256"},
    "verify_mac": {"Message": b"x", "Mac": b"x", "MacAlgorithm": "HMAC_SHA_256"},
}
# Operations that take a key's id or ARN and no alias.
BY_ID = {
    "enable_key": {},
    "disable_key": {},
    "update_key_description": {"Description": "x"},
    "schedule_key_deletion": {},
    "cancel_key_deletion": {},
    "tag_resource": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "untag_resource": {"TagKeys": ["a"]},
    "list_resource_tags": {},
    "get_key_last_usage": {},
    "get_key_policy": {},
    "list_key_policies": {},
    "list_grants": {},
    "list_aliases": {},
    "get_key_rotation_status": {},
    "enable_key_rotation": {},
    "disable_key_rotation": {},
    "rotate_key_on_demand": {},
    "list_key_rotations": {},
    "get_parameters_for_import": {
        "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
        "WrappingKeySpec": "RSA_2048",
    },
    "import_key_material": {
        "ImportToken": b"x",
        "EncryptedKeyMaterial": b"x",
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    },
    "delete_imported_key_material": {},
}
BY_KEY = BY_ANY_NAME | BY_ID


class TestKeyNames:
    @pytest.mark.parametrize("operation", BY_KEY)
    def test_absent(self, kms, operation):
        for reference in (ABSENT_ID, key_arn(ABSENT_ID)):
            with refused("NotFoundException", no_such_key(ABSENT_ID)):
                getattr(kms, operation)(KeyId=reference, **BY_KEY[operation])

    @pytest.mark.parametrize("operation", BY_KEY)
    @pytest.mark.parametrize(
        "reference",
        [
            "fake-key-id",
            "mrk-fake",
            "00000000000040008000000000000000",
            "0000000-0000-4000-8000-00000000dead",
        ],
    )
    def test_not_an_id(self, kms, operation, reference):
        with refused("NotFoundException", f"Invalid keyId '{reference}'"):
            getattr(kms, operation)(KeyId=reference, **BY_KEY[operation])

    @pytest.mark.parametrize("operation", BY_KEY)
    def test_another_region(self, kms, operation):
        with refused("NotFoundException", "Invalid arn eu-west-1"):
            getattr(kms, operation)(
                KeyId=key_arn(ABSENT_ID, region="eu-west-1"), **BY_KEY[operation]
            )

    @pytest.mark.parametrize("operation", BY_KEY)
    def test_another_account(self, kms, other_account, operation):
        existing = other_account.create_key()["KeyMetadata"]["Arn"]
        absent = key_arn(ABSENT_ID, account="111122223333")
        action = "kms:" + "".join(word.title() for word in operation.split("_"))
        texts = set()
        for reference in (existing, absent):
            with refused("AccessDeniedException") as caught:
                getattr(kms, operation)(KeyId=reference, **BY_KEY[operation])
            texts.add(caught.value.response["Error"]["Message"])
        assert texts == {denied_elsewhere(action)}

    @pytest.mark.parametrize("operation", BY_ANY_NAME)
    def test_absent_alias(self, kms, operation):
        for reference in ("alias/absent", alias_arn("alias/absent")):
            with refused("NotFoundException", no_such_alias("alias/absent")):
                getattr(kms, operation)(KeyId=reference, **BY_ANY_NAME[operation])

    @pytest.mark.parametrize("operation", BY_ID)
    def test_an_alias_is_no_key_id(self, kms, key, operation):
        name = unique_alias()
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        for reference in (name, alias_arn(name)):
            with refused("NotFoundException"):
                getattr(kms, operation)(KeyId=reference, **BY_ID[operation])

    @pytest.mark.parametrize(
        "reference",
        ["arn:aws:kms", "arn:aws:kms:us-east-1:000000000000", "arn:aws:s3:us-east-1:1:key/x"],
    )
    def test_malformed_arn(self, kms, reference):
        with refused("InvalidArnException"):
            kms.describe_key(KeyId=reference)


class TestAliases:
    def test_taken(self, kms, key):
        name = unique_alias()
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        text = f"An alias with the name {alias_arn(name)} already exists"
        with refused("AlreadyExistsException", text):
            kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])

    def test_names_are_case_sensitive(self, kms, key):
        name = unique_alias()
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        kms.create_alias(AliasName=name + "-X", TargetKeyId=key["KeyId"])
        kms.create_alias(AliasName=name + "-x", TargetKeyId=key["KeyId"])

    def test_prefix(self, kms, key):
        with refused("ValidationException", ALIAS_PREFIX):
            kms.create_alias(AliasName="no-prefix", TargetKeyId=key["KeyId"])
        with refused("ValidationException", ALIAS_PREFIX):
            kms.delete_alias(AliasName="no-prefix")
        with refused("ValidationException", ALIAS_PREFIX):
            kms.update_alias(AliasName="no-prefix", TargetKeyId=key["KeyId"])

    def test_reserved(self, kms, key):
        with refused("NotAuthorizedException"):
            kms.create_alias(AliasName="alias/aws/mine", TargetKeyId=key["KeyId"])

    def test_pattern(self, kms, key):
        pattern = "satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
        text = violations(violation("aliasName", pattern, "'alias/a b'"))
        with refused("ValidationException", text):
            kms.create_alias(AliasName="alias/a b", TargetKeyId=key["KeyId"])

    def test_nothing_after_the_prefix(self, kms, key):
        with refused("InvalidAliasNameException"):
            kms.create_alias(AliasName="alias/", TargetKeyId=key["KeyId"])

    def test_absent(self, kms, key):
        with refused("NotFoundException", no_such_alias("alias/absent")):
            kms.delete_alias(AliasName="alias/absent")
        with refused("NotFoundException", no_such_alias("alias/absent")):
            kms.update_alias(AliasName="alias/absent", TargetKeyId=key["KeyId"])

    @pytest.mark.parametrize("operation", ["create_alias", "update_alias"])
    def test_absent_target(self, kms, key, operation):
        name = unique_alias()
        if operation == "update_alias":
            kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        with refused("NotFoundException", no_such_key(ABSENT_ID)):
            getattr(kms, operation)(AliasName=name, TargetKeyId=ABSENT_ID)

    def test_fifty_are_enough(self, kms, key):
        for _ in range(50):
            kms.create_alias(AliasName=unique_alias(), TargetKeyId=key["KeyId"])
        with refused("LimitExceededException"):
            kms.create_alias(AliasName=unique_alias(), TargetKeyId=key["KeyId"])


class TestTags:
    @pytest.mark.parametrize("name", ["aws:x", "AWS:x", "Aws:"])
    def test_reserved(self, kms, key, name):
        tags = [{"TagKey": name, "TagValue": "v"}]
        with refused("TagException", "Tags beginning with aws: are reserved"):
            kms.tag_resource(KeyId=key["KeyId"], Tags=tags)
        with refused("TagException", "Tags beginning with aws: are reserved"):
            kms.create_key(Tags=tags)

    def test_twice_in_one_request(self, kms, key):
        tags = [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]
        with refused("TagException", "Duplicate tag keys"):
            kms.tag_resource(KeyId=key["KeyId"], Tags=tags)
        with refused("TagException", "Duplicate tag keys"):
            kms.create_key(Tags=tags)

    def test_length(self, kms, key):
        name = "x" * 129
        limit = "have length less than or equal to 128"
        with refused("ValidationException") as caught:
            kms.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": name, "TagValue": "v"}])
        text = caught.value.response["Error"]["Message"]
        assert text.startswith("1 validation error detected: Value '")
        assert text.endswith(violation("tags.1.member.tagKey", limit)[len("Value") :])

    def test_missing_parts(self, kms, key):
        with refused("ValidationException", missing("tags.2.member.tagValue")):
            kms.tag_resource(
                KeyId=key["KeyId"],
                Tags=[{"TagKey": "a", "TagValue": "b"}, {"TagKey": "c"}],
            )
