"""What is done with keys of each kind, over both wires: that one operation undoes or confirms what
another did, how long everything is, and that what is damaged or of the wrong length is refused."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from expect import violation, violations
from families import (
    AGREED_SECRETS,
    ALGORITHMS,
    ELSEWHERE,
    ENCAPSULATIONS,
    ENCRYPTERS,
    MACS,
    MESSAGES,
    OAEP,
    SIGNATURES,
    SIGNERS,
    enumeration,
)
from families_world import call, generated, keys, own
from walk_world import peer

pytestmark = pytest.mark.one_node

TEXT = b"a text of no interest"
INVALID, BAD_BLOB = "ValidationException", "InvalidCiphertextException"
BAD_SIGNATURE, BAD_MAC = "KMSInvalidSignatureException", "KMSInvalidMacException"
each_signer = pytest.mark.parametrize("spec, algorithm", SIGNERS)
each_encrypter = pytest.mark.parametrize("spec, algorithm", ENCRYPTERS)
each_mac = pytest.mark.parametrize("spec", MACS)
each_curve = pytest.mark.parametrize("spec", AGREED_SECRETS)
each_kem = pytest.mark.parametrize("spec", ENCAPSULATIONS)


def damaged(data):
    """The same with a bit changed at either end and in the middle, and shorter and longer."""
    for at in (0, len(data) // 2, len(data) - 1):
        yield data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    yield data[:-1]
    yield data[: len(data) // 2]
    yield data[:1]
    yield data + b"\0"


def prepared(algorithm, message_type, text, public_key=None):
    """What a signer of `text` is given as this type."""
    if message_type == "RAW":
        return text
    if message_type == "EXTERNAL_MU":
        # FIPS 204, algorithm 7, line 6: the hash of the public key, no context, the message. The
        # raw key is what follows the 22 bytes that say in its DER form what it is.
        of_key = hashlib.shake_256(public_key[22:]).digest(64)
        return hashlib.shake_256(of_key + b"\0\0" + text).digest(64)
    return hashlib.new(f"sha{8 * MESSAGES[algorithm][message_type]}", text).digest()


@each_signer
class TestSignatures:
    @pytest.fixture
    def key(self, keys, spec):
        return {"KeyId": keys(spec, "SIGN_VERIFY").id}

    @pytest.fixture
    def signer(self, key, algorithm):
        """The members of a request, with the first message type that the algorithm takes."""
        message_type = next(iter(MESSAGES[algorithm]))
        message = prepared(algorithm, message_type, TEXT)
        signer = {"MessageType": message_type, "SigningAlgorithm": algorithm}
        return key | signer | {"Message": message}

    def test_the_message_type_may_change(self, call, key, algorithm):
        public_key = call.ok("GetPublicKey", **key)["PublicKey"]
        forms = [
            {"MessageType": kind, "Message": prepared(algorithm, kind, TEXT, public_key)}
            for kind in MESSAGES[algorithm]
        ]
        named = key | {"SigningAlgorithm": algorithm}
        for form in forms:
            signature = call.ok("Sign", **named, **form)["Signature"]
            for other in forms:
                reply = call.ok("Verify", **named, **other, Signature=signature)
                assert reply["SignatureValid"] is True

    def test_raw_is_the_default(self, call, key, algorithm):
        named = key | {"SigningAlgorithm": algorithm, "Message": TEXT}
        if "RAW" not in MESSAGES[algorithm]:
            said = f"Algorithm {algorithm} does not take messages of type RAW."
            call.refused(INVALID, said, "Sign", **named)
            return
        signature = call.ok("Sign", **named)["Signature"]
        call.ok("Verify", **named, MessageType="RAW", Signature=signature)
        call.ok("Verify", **named, Signature=signature)

    def test_length(self, call, signer, spec):
        shortest, longest = SIGNATURES[spec]
        assert shortest <= len(call.ok("Sign", **signer)["Signature"]) <= longest

    def test_the_longest_message(self, call, key, algorithm):
        if "RAW" in MESSAGES[algorithm]:
            named = key | {"SigningAlgorithm": algorithm, "Message": b"x" * 4096}
            call.ok("Verify", **named, Signature=call.ok("Sign", **named)["Signature"])

    def test_a_damaged_signature(self, call, signer):
        signature = call.ok("Sign", **signer)["Signature"]
        for other in damaged(signature):
            call.refused(BAD_SIGNATURE, "", "Verify", **signer, Signature=other)
        call.refused(BAD_SIGNATURE, "", "Verify", **signer, Signature=b"x" * 6144)

    def test_another_message(self, call, signer):
        signature = call.ok("Sign", **signer)["Signature"]
        for other in list(damaged(signer["Message"]))[:3]:
            body = signer | {"Message": other, "Signature": signature}
            call.refused(BAD_SIGNATURE, "", "Verify", **body)

    def test_another_key(self, call, keys, signer, spec):
        signature = call.ok("Sign", **signer)["Signature"]
        body = signer | {"KeyId": keys(spec, "SIGN_VERIFY", 2).id, "Signature": signature}
        call.refused(BAD_SIGNATURE, "", "Verify", **body)

    def test_another_algorithm(self, call, key, signer, spec):
        signature = call.ok("Sign", **signer)["Signature"]
        for other in ALGORITHMS[spec, "SIGN_VERIFY"]:
            if other != signer["SigningAlgorithm"]:
                kind = next(iter(MESSAGES[other]))
                message = prepared(other, kind, TEXT)
                body = {"SigningAlgorithm": other, "MessageType": kind, "Message": message}
                call.refused(BAD_SIGNATURE, "", "Verify", **key, **body, Signature=signature)

    def test_a_digest_of_another_length(self, call, key, algorithm):
        for kind, length in MESSAGES[algorithm].items():
            for wrong in {1, 20, 28, 32, 48, 64, length - 1, length + 1, 4096} - {length}:
                if length:
                    named = key | {"SigningAlgorithm": algorithm, "MessageType": kind}
                    named |= {"Message": b"x" * wrong}
                    said = f"Digest is invalid length for algorithm {algorithm}."
                    call.refused(INVALID, said, "Sign", **named)
                    call.refused(INVALID, said, "Verify", **named, Signature=b"x" * 64)


@each_encrypter
class TestOaep:
    @pytest.fixture
    def key(self, keys, spec, algorithm):
        return {
            "KeyId": keys(spec, "ENCRYPT_DECRYPT").id,
            "EncryptionAlgorithm": algorithm,
        }

    @pytest.fixture
    def symmetric(self, keys):
        return keys("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").id

    def test_round_trip(self, call, key, spec, algorithm):
        for length in (1, 16, OAEP[spec][algorithm]):
            sealed = call.ok("Encrypt", **key, Plaintext=b"x" * length)
            assert len(sealed["CiphertextBlob"]) == OAEP[spec]["out"]
            opened = call.ok("Decrypt", **key, CiphertextBlob=sealed["CiphertextBlob"])
            assert opened["Plaintext"] == b"x" * length
            assert "KeyMaterialId" not in sealed

    def test_too_long_a_plaintext(self, call, key, spec, algorithm):
        for length in (OAEP[spec][algorithm] + 1, 4096):
            said = too_long(spec, algorithm)
            call.refused(INVALID, said, "Encrypt", **key, Plaintext=b"x" * length)

    def test_re_encryption(self, call, key, symmetric, spec, algorithm):
        """From another kind of key, to another kind of key, and to itself with either hash."""
        text = b"x" * OAEP[spec][algorithm]
        first = call.ok("Encrypt", KeyId=symmetric, Plaintext=text)["CiphertextBlob"]
        to = {"DestinationKeyId": key["KeyId"], "DestinationEncryptionAlgorithm": algorithm}
        second = call.ok("ReEncrypt", CiphertextBlob=first, **to)["CiphertextBlob"]
        assert call.ok("Decrypt", **key, CiphertextBlob=second)["Plaintext"] == text
        of = {"SourceKeyId": key["KeyId"], "SourceEncryptionAlgorithm": algorithm}
        third = call.ok("ReEncrypt", CiphertextBlob=second, **of, **to)["CiphertextBlob"]
        assert third != second
        last = call.ok("ReEncrypt", CiphertextBlob=third, **of, DestinationKeyId=symmetric)
        assert call.ok("Decrypt", CiphertextBlob=last["CiphertextBlob"])["Plaintext"] == text

    def test_too_long_a_plaintext_to_re_encrypt(self, call, key, symmetric, spec, algorithm):
        text = b"x" * (OAEP[spec][algorithm] + 1)
        blob = call.ok("Encrypt", KeyId=symmetric, Plaintext=text)["CiphertextBlob"]
        to = {"DestinationKeyId": key["KeyId"], "DestinationEncryptionAlgorithm": algorithm}
        call.refused(INVALID, too_long(spec, algorithm), "ReEncrypt", CiphertextBlob=blob, **to)

    def test_a_damaged_ciphertext(self, call, key):
        blob = call.ok("Encrypt", **key, Plaintext=TEXT)["CiphertextBlob"]
        for other in damaged(blob):
            call.refused(BAD_BLOB, "", "Decrypt", **key, CiphertextBlob=other)

    def test_a_ciphertext_of_another_algorithm_or_key(self, call, keys, key, spec, algorithm):
        blob = call.ok("Encrypt", **key, Plaintext=TEXT)["CiphertextBlob"]
        [other] = set(ALGORITHMS[spec, "ENCRYPT_DECRYPT"]) - {algorithm}
        body = key | {"EncryptionAlgorithm": other, "CiphertextBlob": blob}
        call.refused(BAD_BLOB, "", "Decrypt", **body)
        body = key | {"KeyId": keys(spec, "ENCRYPT_DECRYPT", 2).id, "CiphertextBlob": blob}
        call.refused(BAD_BLOB, "", "Decrypt", **body)

    def test_nothing_else_names_the_key(self, call, key, symmetric, algorithm):
        """The ciphertext does not say which key it is of."""
        blob = call.ok("Encrypt", **key, Plaintext=TEXT)["CiphertextBlob"]
        body = {"CiphertextBlob": blob, "EncryptionAlgorithm": algorithm}
        assert call("Decrypt", **body).code == INVALID
        body = {"CiphertextBlob": blob, "SourceEncryptionAlgorithm": algorithm}
        assert call("ReEncrypt", **body, DestinationKeyId=symmetric).code == INVALID

    def test_an_encryption_context(self, call, key, symmetric, algorithm):
        context = {"a": "1"}
        blob = call.ok("Encrypt", **key, Plaintext=TEXT)["CiphertextBlob"]
        sealed = call("Encrypt", **key, Plaintext=TEXT, EncryptionContext=context)
        opened = call("Decrypt", **key, CiphertextBlob=blob, EncryptionContext=context)
        of = {"SourceKeyId": key["KeyId"], "SourceEncryptionAlgorithm": algorithm}
        of |= {"CiphertextBlob": blob, "SourceEncryptionContext": context}
        moved = call("ReEncrypt", **of, DestinationKeyId=symmetric)
        blob = call.ok("Encrypt", KeyId=symmetric, Plaintext=TEXT)["CiphertextBlob"]
        to = {"DestinationKeyId": key["KeyId"], "DestinationEncryptionAlgorithm": algorithm}
        to |= {"CiphertextBlob": blob, "DestinationEncryptionContext": context}
        codes = [answer.code for answer in (sealed, opened, moved, call("ReEncrypt", **to))]
        assert codes == [INVALID] * 4

    def test_no_algorithm_is_the_symmetric_one(self, call, key, spec):
        said = f"Algorithm SYMMETRIC_DEFAULT is incompatible with key spec {spec}."
        body = {"KeyId": key["KeyId"], "Plaintext": TEXT}
        call.refused("InvalidKeyUsageException", said, "Encrypt", **body)


def too_long(spec, algorithm):
    return (
        f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than "
        f"{OAEP[spec][algorithm]} bytes."
    )


@each_mac
class TestMacs:
    @pytest.fixture
    def key(self, keys, spec):
        key = keys(spec, "GENERATE_VERIFY_MAC")
        [algorithm] = ALGORITHMS[spec, "GENERATE_VERIFY_MAC"]
        return {"KeyId": key.id, "MacAlgorithm": algorithm}

    def test_round_trip(self, call, key, spec):
        for message in (b"x", TEXT, b"x" * 4096):
            mac = call.ok("GenerateMac", **key, Message=message)["Mac"]
            assert len(mac) == MACS[spec]
            assert mac == call.ok("GenerateMac", **key, Message=message)["Mac"]
            reply = call.ok("VerifyMac", **key, Message=message, Mac=mac)
            assert reply["MacValid"] is True

    def test_too_long_a_message(self, call, key):
        said = violations(violation("message", "have length less than or equal to 4096"))
        call.refused(INVALID, said, "GenerateMac", **key, Message=b"x" * 4097)

    def test_a_damaged_mac(self, call, key):
        mac = call.ok("GenerateMac", **key, Message=TEXT)["Mac"]
        for other in [*damaged(mac), *(mac[:length] for length in (16, 20, 24))]:
            call.refused(BAD_MAC, "", "VerifyMac", **key, Message=TEXT, Mac=other)

    def test_another_message_or_key(self, call, keys, key, spec):
        mac = call.ok("GenerateMac", **key, Message=TEXT)["Mac"]
        call.refused(BAD_MAC, "", "VerifyMac", **key, Message=TEXT + b"\0", Mac=mac)
        body = key | {"KeyId": keys(spec, "GENERATE_VERIFY_MAC", 2).id}
        call.refused(BAD_MAC, "", "VerifyMac", **body, Message=TEXT, Mac=mac)


CURVES = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
}


def bad_peers(spec):
    """What is no public key on the key's curve."""
    good = peer(CURVES[spec])
    own_size = AGREED_SECRETS[spec]
    yield from (peer(curve) for other, curve in CURVES.items() if other != spec)
    yield peer(ec.SECP256K1)
    yield peer(lambda: ec.BrainpoolP256R1())
    for private in (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()):
        public = private.public_key()
        yield public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    # No point of the curve, and the one that is its zero.
    yield good[:-1] + bytes([good[-1] ^ 1])
    yield good[: -2 * own_size] + bytes(2 * own_size)
    yield good[:-1]
    yield good + b"\0"
    # The bare point, and a private key.
    yield good[-2 * own_size - 1 :]
    private = ec.generate_private_key(CURVES[spec]())
    yield private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    yield b"x"
    yield b"x" * 8192


@each_curve
class TestAgreement:
    @pytest.fixture
    def key(self, keys, spec):
        return {"KeyId": keys(spec, "KEY_AGREEMENT").id, "KeyAgreementAlgorithm": "ECDH"}

    def test_both_ways(self, call, keys, key, spec):
        other = key | {"KeyId": keys(spec, "KEY_AGREEMENT", 2).id}
        publics = [call.ok("GetPublicKey", KeyId=each["KeyId"]) for each in (key, other)]
        first = call.ok("DeriveSharedSecret", **key, PublicKey=publics[1]["PublicKey"])
        second = call.ok("DeriveSharedSecret", **other, PublicKey=publics[0]["PublicKey"])
        assert first["SharedSecret"] == second["SharedSecret"]
        assert len(first["SharedSecret"]) == AGREED_SECRETS[spec]
        assert (first["KeyOrigin"], first["KeyAgreementAlgorithm"]) == ("AWS_KMS", "ECDH")

    def test_a_bad_peer(self, call, key, spec):
        for public in bad_peers(spec):
            call.refused(INVALID, "", "DeriveSharedSecret", **key, PublicKey=public)


@each_kem
class TestEncapsulation:
    @pytest.fixture
    def key(self, keys, spec):
        key = keys(spec, "ENCAPSULATE_DECAPSULATE")
        return {"KeyId": key.id, "EncapsulationAlgorithm": "ML_KEM"}

    @staticmethod
    def decapsulated(call, key, blob):
        return call.ok("Decapsulate", **key, SharedSecretCiphertextBlob=blob)["SharedSecret"]

    def test_round_trip(self, call, key, spec):
        made = call.ok("Encapsulate", **key)
        blob, secret = made["SharedSecretCiphertextBlob"], made["SharedSecret"]
        assert (len(blob), len(secret)) == (ENCAPSULATIONS[spec], 32)
        assert self.decapsulated(call, key, blob) == secret
        assert call.ok("Encapsulate", **key)["SharedSecret"] != secret

    def test_another_length(self, call, key, spec):
        length = ENCAPSULATIONS[spec]
        for wrong in {1, 768, 1088, 1568, length - 1, length + 1, 6144} - {length}:
            body = key | {"SharedSecretCiphertextBlob": b"x" * wrong}
            call.refused(BAD_BLOB, "", "Decapsulate", **body)

    def test_a_tampered_one_gives_another_secret(self, call, keys, key, spec):
        """The same one each time: whoever tampers learns nothing."""
        made = call.ok("Encapsulate", **key)
        for other in list(damaged(made["SharedSecretCiphertextBlob"]))[:3]:
            secret = self.decapsulated(call, key, other)
            assert secret != made["SharedSecret"] and len(secret) == 32
            assert secret == self.decapsulated(call, key, other)
        other = key | {"KeyId": keys(spec, "ENCAPSULATE_DECAPSULATE", 2).id}
        blob = made["SharedSecretCiphertextBlob"]
        assert self.decapsulated(call, other, blob) != made["SharedSecret"]


@pytest.mark.parametrize("spec", enumeration("DataKeyPairSpec"))
class TestDataKeyPairs:
    CONTEXT = {"a": "1"}

    @pytest.fixture
    def body(self, keys, spec):
        key = keys("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
        return {"KeyId": key.id, "KeyPairSpec": spec, "EncryptionContext": self.CONTEXT}

    def opened(self, call, made):
        blob = made["PrivateKeyCiphertextBlob"]
        call.refused(BAD_BLOB, "", "Decrypt", CiphertextBlob=blob)
        return call.ok("Decrypt", CiphertextBlob=blob, EncryptionContext=self.CONTEXT)

    def test_with_plaintext(self, call, body, spec):
        answer = call("GenerateDataKeyPair", **body)
        if spec in ELSEWHERE:
            assert answer.code == "UnsupportedOperationException", answer.message
            return
        opened = self.opened(call, answer.body)
        assert opened["Plaintext"] == answer.body["PrivateKeyPlaintext"]
        assert opened["KeyMaterialId"] == answer.body["KeyMaterialId"]

    def test_without_plaintext(self, call, body, spec):
        answer = call("GenerateDataKeyPairWithoutPlaintext", **body)
        if spec in ELSEWHERE:
            assert answer.code == "UnsupportedOperationException", answer.message
            return
        assert self.opened(call, answer.body)["KeyMaterialId"] == answer.body["KeyMaterialId"]
        assert "PrivateKeyPlaintext" not in answer.body
