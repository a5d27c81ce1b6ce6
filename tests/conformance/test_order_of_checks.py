"""Which of two reasons to refuse a request is told, with keys of every usage and over both wires:
first the state of the key, then its usage, then the algorithm and what it needs."""

import pytest
from expect import ABSENT_ID, no_such_key
from families_requests import USES, Case, symmetric_blob
from families_world import call, generated, keys, own
from walk_world import SYMMETRIC

# A key of each usage.
KINDS = {
    "ENCRYPT_DECRYPT": ("RSA_2048", "RSAES_OAEP_SHA_256"),
    "SIGN_VERIFY": ("ECC_NIST_P256", "ECDSA_SHA_256"),
    "GENERATE_VERIFY_MAC": ("HMAC_256", "HMAC_SHA_256"),
    "KEY_AGREEMENT": ("ECC_NIST_P256", "ECDH"),
    "ENCAPSULATE_DECAPSULATE": ("ML_KEM_512", "ML_KEM"),
}
NO_PUBLIC_KEY = "GENERATE_VERIFY_MAC"
# An algorithm of each enumeration that none of these keys has.
NOBODYS = {
    "EncryptionAlgorithmSpec": "SM2PKE",
    "SigningAlgorithmSpec": "SM2DSA",
    "MacAlgorithmSpec": "HMAC_SHA_512",
    "KeyAgreementAlgorithmSpec": "ECDH",
    "EncapsulationAlgorithmSpec": "ML_KEM",
}
STATES = {
    "Disabled": ("DisabledException", "{arn} is disabled."),
    "PendingDeletion": ("KMSInvalidStateException", "{arn} is pending deletion."),
}
each_usage = pytest.mark.parametrize("usage", KINDS)


@pytest.fixture(scope="module")
def idle(own):
    """Gives a key of a usage in a state."""
    made = {}

    def key(usage, state):
        if (usage, state) not in made:
            made[usage, state] = own.key(f"{KINDS[usage][0]}/{usage}")
            made[usage, state].become(state)
        return made[usage, state]

    return key


@pytest.mark.parametrize("state", STATES)
class TestStateFirst:
    @each_usage
    @pytest.mark.parametrize("operation", USES)
    def test_before_usage_and_algorithm(self, call, keys, idle, usage, state, operation):
        key, enum = idle(usage, state), USES[operation][2]
        body = Case(call, keys, key, operation, NOBODYS.get(enum), "RAW").members()
        code, text = STATES[state]
        name = operation.partition(" ")[0]
        call.refused(code, text.format(arn=key.arn), name, **body)
        call.refused(code, text.format(arn=key.arn), name, **body, DryRun=True)

    @pytest.mark.parametrize("usage", [usage for usage in KINDS if usage != NO_PUBLIC_KEY])
    def test_for_the_public_key(self, call, idle, usage, state):
        key, (code, text) = idle(usage, state), STATES[state]
        call.refused(code, text.format(arn=key.arn), "GetPublicKey", KeyId=key.id)

    def test_before_lengths(self, call, idle, state):
        code, text = STATES[state]
        key = idle("SIGN_VERIFY", state)
        body = {"KeyId": key.id, "SigningAlgorithm": "ECDSA_SHA_256"}
        body |= {"MessageType": "DIGEST", "Message": b"x" * 31}
        call.refused(code, text.format(arn=key.arn), "Sign", **body)
        key = idle("ENCRYPT_DECRYPT", state)
        body = {"KeyId": key.id, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
        call.refused(code, text.format(arn=key.arn), "Encrypt", **body, Plaintext=b"x" * 191)


class TestUsageBeforeAlgorithmBeforeLength:
    def test_usage(self, call, keys):
        key = keys("ECC_NIST_P256", "KEY_AGREEMENT")
        said = f"{key.arn} key usage is KEY_AGREEMENT which is not valid for Sign."
        body = {"KeyId": key.id, "SigningAlgorithm": "ECDSA_SHA_384"}
        body |= {"MessageType": "DIGEST", "Message": b"x" * 31}
        call.refused("InvalidKeyUsageException", said, "Sign", **body)

    def test_algorithm(self, call, keys):
        key = keys("ECC_NIST_P256", "SIGN_VERIFY")
        said = "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256."
        body = {"KeyId": key.id, "SigningAlgorithm": "ECDSA_SHA_384"}
        body |= {"MessageType": "DIGEST", "Message": b"x" * 31}
        call.refused("InvalidKeyUsageException", said, "Sign", **body)

    def test_absence_before_all(self, call):
        body = {"KeyId": ABSENT_ID, "SigningAlgorithm": "SM2DSA", "Message": b"x"}
        call.refused("NotFoundException", no_such_key(ABSENT_ID), "Sign", **body)

    def test_whose_ciphertext_it_is_before_usage(self, call, keys):
        """As recorded at AWS."""
        blob = symmetric_blob(call, keys(*SYMMETRIC.split("/")))
        key = keys("ECC_NIST_P256", "SIGN_VERIFY")
        answer = call("Decrypt", KeyId=key.id, **blob)
        assert answer.code == "IncorrectKeyException", answer.message


# Keys that an alias cannot pass between: symmetric, key pair, MAC; and the same with another usage.
STRANGERS = [
    ("SYMMETRIC_DEFAULT/ENCRYPT_DECRYPT", "RSA_2048/ENCRYPT_DECRYPT"),
    ("RSA_2048/ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT/ENCRYPT_DECRYPT"),
    ("RSA_2048/ENCRYPT_DECRYPT", "RSA_2048/SIGN_VERIFY"),
    ("ECC_NIST_P256/SIGN_VERIFY", "ECC_NIST_P256/KEY_AGREEMENT"),
    ("HMAC_256/GENERATE_VERIFY_MAC", "ML_KEM_512/ENCAPSULATE_DECAPSULATE"),
]
RELATIVES = [
    ("ECC_NIST_P256/SIGN_VERIFY", "ML_DSA_44/SIGN_VERIFY"),
    ("HMAC_224/GENERATE_VERIFY_MAC", "HMAC_512/GENERATE_VERIFY_MAC"),
]


class TestAliases:
    """UpdateAlias keeps the sort of key and its usage, so that callers by alias go on working."""

    @staticmethod
    def moved(call, keys, first, second):
        first, second = (keys(*kind.split("/")) for kind in (first, second))
        name = first.alias()
        answer = call("UpdateAlias", AliasName=name, TargetKeyId=second.id)
        return answer, call.ok("DescribeKey", KeyId=name)["KeyMetadata"]["KeyId"], first, second

    @pytest.mark.parametrize("first, second", STRANGERS)
    def test_to_another_sort_of_key(self, call, keys, first, second):
        answer, now, before, _ = self.moved(call, keys, first, second)
        assert (answer.code, now) == ("ValidationException", before.id), answer.message

    @pytest.mark.parametrize("first, second", RELATIVES)
    def test_to_another_spec(self, call, keys, first, second):
        answer, now, _, after = self.moved(call, keys, first, second)
        assert (answer.code, now) == ("OK", after.id), answer.message
