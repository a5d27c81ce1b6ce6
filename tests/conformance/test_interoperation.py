"""What keys of Keystead make, others understand, and the other way round. `outside` has the others.

A private key never leaves Keystead but in a data key pair, so what others sign, and open, is tried
with those. What needs a key that others have too, such as a MAC, is in `test_made_outside`.
"""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_der_public_key,
)
from expect import EMPTY, refused
from families import (
    ALGORITHMS,
    ENCAPSULATIONS,
    ENCRYPTERS,
    MESSAGES,
    OAEP,
    PAIR_SPECS,
    SIGNERS,
    has_public_key,
)
from families_world import keys, own
from outside import (
    CURVES,
    HASHES,
    KEM_512_PUBLIC,
    KINDS,
    POST_QUANTUM,
    bits_of,
    decapsulate,
    der,
    encapsulate,
    oaep,
    openssl,
    openssl_verifies,
    openssl_version,
    pss,
    public_of,
    require_openssl,
    verifies,
)

TEXT = b"a text that two implementations agree on"
PAIRS = [(spec, usage) for spec, usage in ALGORITHMS if has_public_key(spec)]
AGREEING = [spec for spec, usage in ALGORITHMS if usage == "KEY_AGREEMENT"]


def public_key(kms, key):
    return kms.get_public_key(KeyId=key.id)["PublicKey"]


@pytest.mark.parametrize("spec, usage", PAIRS)
class TestPublicKeys:
    def test_to_cryptography(self, kms, keys, spec, usage):
        encoded = public_key(kms, keys(spec, usage))
        if spec == "ML_KEM_512":
            assert encoded.startswith(KEM_512_PUBLIC)
            assert len(encoded) == len(KEM_512_PUBLIC) + 800
            return
        parsed = load_der_public_key(encoded)
        kind, bits = KINDS[spec]
        assert isinstance(parsed, kind) and getattr(parsed, "key_size", None) == bits
        assert der(parsed) == encoded
        if spec in CURVES:
            assert isinstance(parsed.curve, CURVES[spec])
        if spec.startswith("RSA_"):
            assert parsed.public_numbers().e == 65537

    def test_to_openssl(self, kms, keys, tmp_path, spec, usage):
        if spec.startswith("ML_") and openssl_version() < (3, 5):
            pytest.skip(POST_QUANTUM)
        encoded = public_key(kms, keys(spec, usage))
        how = ["-pubin", "-inform", "DER", "-in", "public", "-outform", "DER"]
        assert openssl(tmp_path, "pkey", *how, public=encoded) == encoded


@pytest.mark.parametrize("spec, algorithm", SIGNERS)
class TestSignatures:
    @staticmethod
    def signed(kms, key, algorithm, message_type, message):
        body = {"KeyId": key.id, "SigningAlgorithm": algorithm, "MessageType": message_type}
        return kms.sign(**body, Message=message)["Signature"]

    @staticmethod
    def form(public, algorithm, message_type, text):
        """What is given to Sign as a message of this type."""
        if message_type == "EXTERNAL_MU":
            mu = mldsa.MLDSAMuHasher(public)
            mu.update(text)
            return mu.finalize()
        if message_type == "DIGEST":
            return hashlib.new(f"sha{bits_of(algorithm)}", text).digest()
        return text

    def test_to_libraries(self, kms, keys, spec, algorithm):
        key = keys(spec, "SIGN_VERIFY")
        public = load_der_public_key(public_key(kms, key))
        for message_type in MESSAGES[algorithm]:
            for text in (b"x", TEXT, b"x" * 4096):
                given = self.form(public, algorithm, message_type, text)
                signature = self.signed(kms, key, algorithm, message_type, given)
                assert verifies(public, algorithm, message_type, given, signature)
                other = self.form(public, algorithm, message_type, text + b"\0")
                assert not verifies(public, algorithm, message_type, other, signature)
                # The hash is of the message as a whole.
                if message_type != "RAW" and "RAW" in MESSAGES[algorithm]:
                    assert verifies(public, algorithm, "RAW", text, signature)

    def test_to_openssl(self, kms, keys, tmp_path, spec, algorithm):
        require_openssl(algorithm)
        key = keys(spec, "SIGN_VERIFY")
        message_type = next(iter(MESSAGES[algorithm]))
        given = self.form(None, algorithm, message_type, TEXT)
        signature = self.signed(kms, key, algorithm, message_type, given)
        assert openssl_verifies(tmp_path, algorithm, public_key(kms, key), given, signature)


@pytest.mark.parametrize("spec", CURVES)
def test_both_forms_of_an_ecdsa_signature(kms, keys, spec):
    """AWS neither makes the smaller of the two that there are for each message nor asks for it."""
    key, order = keys(spec, "SIGN_VERIFY"), CURVES[spec].group_order
    [algorithm] = ALGORITHMS[spec, "SIGN_VERIFY"]
    large = []
    for number in range(40):
        body = {"KeyId": key.id, "SigningAlgorithm": algorithm, "Message": bytes([number])}
        r, s = decode_dss_signature(kms.sign(**body)["Signature"])
        large.append(s > order // 2)
        assert kms.verify(**body, Signature=encode_dss_signature(r, order - s))["SignatureValid"]
    assert any(large) and not all(large)


@pytest.mark.parametrize("spec, algorithm", ENCRYPTERS)
class TestOaep:
    """What Keystead encrypts can be decrypted by nobody else; that it decrypts what others encrypt
    and what it encrypts shows that it is the same."""

    @staticmethod
    def opened(kms, key, algorithm, blob):
        body = {"KeyId": key.id, "EncryptionAlgorithm": algorithm}
        return kms.decrypt(**body, CiphertextBlob=blob)["Plaintext"]

    def test_from_cryptography(self, kms, keys, spec, algorithm):
        key = keys(spec, "ENCRYPT_DECRYPT")
        public = load_der_public_key(public_key(kms, key))
        for text in (b"x", TEXT, b"x" * OAEP[spec][algorithm]):
            blob = public.encrypt(text, oaep(algorithm))
            assert self.opened(kms, key, algorithm, blob) == text

    def test_from_openssl(self, kms, keys, tmp_path, spec, algorithm):
        key = keys(spec, "ENCRYPT_DECRYPT")
        hash_name = "sha1" if algorithm == "RSAES_OAEP_SHA_1" else "sha256"
        how = ["-encrypt", "-pubin", "-inkey", "public", "-keyform", "DER", "-in", "text"]
        for option in ("padding_mode:oaep", f"oaep_md:{hash_name}", f"mgf1_md:{hash_name}"):
            how += ["-pkeyopt", f"rsa_{option}"]
        files = {"public": public_key(kms, key), "text": TEXT}
        blob = openssl(tmp_path, "pkeyutl", *how, **files)
        assert self.opened(kms, key, algorithm, blob) == TEXT


@pytest.mark.parametrize("spec", AGREEING)
class TestAgreement:
    @staticmethod
    def derived(kms, key, public):
        body = {"KeyId": key.id, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public}
        return kms.derive_shared_secret(**body)["SharedSecret"]

    def test_with_cryptography(self, kms, keys, spec):
        key = keys(spec, "KEY_AGREEMENT")
        public = load_der_public_key(public_key(kms, key))
        # One in 256 secrets begins with a zero, which must stay.
        for _ in range(20):
            private = ec.generate_private_key(CURVES[spec]())
            secret = self.derived(kms, key, der(private.public_key()))
            assert secret == private.exchange(ec.ECDH(), public)

    def test_with_openssl(self, kms, keys, tmp_path, spec):
        key = keys(spec, "KEY_AGREEMENT")
        private = ec.generate_private_key(CURVES[spec]())
        files = {
            "private": private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            "public": public_key(kms, key),
        }
        how = ["-derive", "-inkey", "private", "-keyform", "DER", "-peerkey", "public"]
        secret = openssl(tmp_path, "pkeyutl", *how, "-peerform", "DER", **files)
        assert secret == self.derived(kms, key, der(private.public_key()))


@pytest.mark.parametrize("spec", ENCAPSULATIONS)
def test_encapsulated_outside(kms, keys, spec):
    """As with OAEP, only this way round."""
    key = keys(spec, "ENCAPSULATE_DECAPSULATE")
    public = public_key(kms, key)
    for _ in range(5):
        secret, blob = encapsulate(spec, public)
        body = {"KeyId": key.id, "EncapsulationAlgorithm": "ML_KEM"}
        assert kms.decapsulate(**body, SharedSecretCiphertextBlob=blob)["SharedSecret"] == secret


@pytest.fixture(scope="module")
def pair(kms, keys):
    """Gives a data key pair of a spec, the same each time."""
    made = {}
    key = keys("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")

    def of(spec):
        if spec not in made:
            body = {"KeyId": key.id, "KeyPairSpec": spec, "EncryptionContext": {"a": "1"}}
            made[spec] = kms.generate_data_key_pair(**body)
        return made[spec]

    return of


@pytest.mark.parametrize("spec", PAIR_SPECS)
class TestDataKeyPairs:
    def test_the_halves_belong_together(self, pair, spec):
        made = pair(spec)
        assert made["KeyPairSpec"] == spec
        assert public_of(spec, made["PrivateKeyPlaintext"]) == made["PublicKey"]

    def test_openssl_reads_it(self, pair, tmp_path, spec):
        if spec.startswith("ML_") and openssl_version() < (3, 5):
            pytest.skip(POST_QUANTUM)
        how = ["-inform", "DER", "-in", "private", "-pubout", "-outform", "DER"]
        files = {"private": pair(spec)["PrivateKeyPlaintext"]}
        assert openssl(tmp_path, "pkey", *how, **files) == pair(spec)["PublicKey"]

    def test_the_private_half_opens(self, kms, pair, spec):
        made = pair(spec)
        blob = made["PrivateKeyCiphertextBlob"]
        opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "1"})
        assert opened["Plaintext"] == made["PrivateKeyPlaintext"]
        assert opened["KeyMaterialId"] == made["KeyMaterialId"]
        with refused("InvalidCiphertextException", EMPTY):
            kms.decrypt(CiphertextBlob=blob)

    def test_without_plaintext(self, kms, keys, spec):
        key = keys("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
        made = kms.generate_data_key_pair_without_plaintext(KeyId=key.id, KeyPairSpec=spec)
        opened = kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"])
        assert public_of(spec, opened["Plaintext"]) == made["PublicKey"]
        assert "PrivateKeyPlaintext" not in made

    def test_it_works(self, pair, spec):
        """One half undoes or confirms outside what the other did."""
        private, public = pair(spec)["PrivateKeyPlaintext"], pair(spec)["PublicKey"]
        if spec in ENCAPSULATIONS:
            secret, blob = encapsulate(spec, public)
            assert decapsulate(spec, private, blob) == secret
            return
        private, public = load_der_private_key(private, None), load_der_public_key(public)
        if spec.startswith("RSA_"):
            assert private.key_size == int(spec.removeprefix("RSA_"))
            public.verify(private.sign(TEXT, pss(256), HASHES[256]), TEXT, pss(256), HASHES[256])
            how = padding.PKCS1v15()
            public.verify(private.sign(TEXT, how, HASHES[512]), TEXT, how, HASHES[512])
            how = oaep("RSAES_OAEP_SHA_256")
            assert private.decrypt(public.encrypt(TEXT, how), how) == TEXT
        elif spec in CURVES:
            how = ec.ECDSA(HASHES[256])
            public.verify(private.sign(TEXT, how), TEXT, how)
        else:
            public.verify(private.sign(TEXT), TEXT)


@pytest.mark.parametrize("spec", AGREEING)
def test_a_data_key_pair_agrees_with_a_key(kms, keys, pair, spec):
    key, made = keys(spec, "KEY_AGREEMENT"), pair(spec)
    private = load_der_private_key(made["PrivateKeyPlaintext"], None)
    secret = private.exchange(ec.ECDH(), load_der_public_key(public_key(kms, key)))
    body = {"KeyId": key.id, "KeyAgreementAlgorithm": "ECDH", "PublicKey": made["PublicKey"]}
    assert kms.derive_shared_secret(**body)["SharedSecret"] == secret


def test_every_ml_kem_pair_has_a_seed(pair):
    """Which is equally long for all of them, and no expanded key."""
    lengths = {len(pair(spec)["PrivateKeyPlaintext"]) for spec in ENCAPSULATIONS}
    assert lengths == {86}
