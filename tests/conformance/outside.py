"""The same algorithms in other hands: `cryptography`, which is OpenSSL or AWS's library underneath,
the `openssl` command, PyCryptodome and kyber-py, for what keys of Keystead must agree with."""

import functools
import re
import shutil
import subprocess

import pytest
from Crypto.Hash import SHA512
from Crypto.Signature import eddsa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from kyber_py.ml_kem import ML_KEM_512

HASHES = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}
# What each spec's public key is to `cryptography`, which has no ML-KEM-512, and its size in bits.
KINDS = {
    "RSA_2048": (rsa.RSAPublicKey, 2048),
    "RSA_3072": (rsa.RSAPublicKey, 3072),
    "RSA_4096": (rsa.RSAPublicKey, 4096),
    "ECC_NIST_P256": (ec.EllipticCurvePublicKey, 256),
    "ECC_NIST_P384": (ec.EllipticCurvePublicKey, 384),
    "ECC_NIST_P521": (ec.EllipticCurvePublicKey, 521),
    "ECC_SECG_P256K1": (ec.EllipticCurvePublicKey, 256),
    "ECC_NIST_EDWARDS25519": (ed25519.Ed25519PublicKey, None),
    "ML_DSA_44": (mldsa.MLDSA44PublicKey, None),
    "ML_DSA_65": (mldsa.MLDSA65PublicKey, None),
    "ML_DSA_87": (mldsa.MLDSA87PublicKey, None),
    "ML_KEM_768": (mlkem.MLKEM768PublicKey, None),
    "ML_KEM_1024": (mlkem.MLKEM1024PublicKey, None),
}
CURVES = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
# The DER form of a public key and of a private one of ML-KEM-512 up to the raw key, by RFC 9935.
KEM_512_PUBLIC = bytes.fromhex("30820332300b06096086480165030404010382032100")
KEM_512_SEED = bytes.fromhex("3054020100300b060960864801650304040104428040")
POST_QUANTUM = "only OpenSSL 3.5 and later has ML-DSA and ML-KEM"


def der(public):
    """The DER form of a public key of `cryptography`."""
    how = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.DER, how)


def pss(bits):
    """AWS's choice: the salt as long as the hash, which is the mask's hash too."""
    return padding.PSS(padding.MGF1(HASHES[bits]), HASHES[bits].digest_size)


def oaep(algorithm):
    one = hashes.SHA1() if algorithm == "RSAES_OAEP_SHA_1" else hashes.SHA256()
    return padding.OAEP(padding.MGF1(one), one, None)


def bits_of(algorithm):
    return int(algorithm.rpartition("_")[2])


def verifies(public, algorithm, message_type, message, signature):
    """Whether `cryptography` or PyCryptodome takes the signature for one of the message."""
    check = functools.partial(CHECKS[algorithm.partition("_SHA")[0]], algorithm=algorithm)
    try:
        check(public, message_type, message, signature)
    except (InvalidSignature, ValueError):
        return False
    return True


def digest(algorithm, message_type):
    one = HASHES[bits_of(algorithm)]
    return Prehashed(one) if message_type == "DIGEST" else one


def check_pkcs1(public, message_type, message, signature, algorithm):
    public.verify(signature, message, padding.PKCS1v15(), digest(algorithm, message_type))


def check_pss(public, message_type, message, signature, algorithm):
    how = pss(bits_of(algorithm))
    public.verify(signature, message, how, digest(algorithm, message_type))


def check_ecdsa(public, message_type, message, signature, algorithm):
    public.verify(signature, message, ec.ECDSA(digest(algorithm, message_type)))


def check_ed25519(public, _, message, signature, algorithm):
    public.verify(signature, message)


def check_ed25519ph(public, _, message, signature, algorithm):
    """The signature is of the hash of the digest that was given, which is hashed once more."""
    key = eddsa.import_public_key(public.public_bytes_raw())
    eddsa.new(key, "rfc8032").verify(SHA512.new(message), signature)


def check_ml_dsa(public, message_type, message, signature, algorithm):
    if message_type == "EXTERNAL_MU":
        public.verify_mu(signature, message)
    else:
        public.verify(signature, message)


CHECKS = {
    "RSASSA_PKCS1_V1_5": check_pkcs1,
    "RSASSA_PSS": check_pss,
    "ECDSA": check_ecdsa,
    "ED25519": check_ed25519,
    "ED25519_PH": check_ed25519ph,
    "ML_DSA": check_ml_dsa,
}


def encapsulate(spec, public):
    """A secret for the owner of a public key in DER, and its ciphertext."""
    if spec == "ML_KEM_512":
        assert public.startswith(KEM_512_PUBLIC)
        return ML_KEM_512.encaps(public[len(KEM_512_PUBLIC) :])
    return serialization.load_der_public_key(public).encapsulate()


def decapsulate(spec, private, ciphertext):
    """The secret that a private key in PKCS#8 finds in a ciphertext."""
    if spec == "ML_KEM_512":
        assert private.startswith(KEM_512_SEED)
        _, key = ML_KEM_512.key_derive(private[len(KEM_512_SEED) :])
        return ML_KEM_512.decaps(key, ciphertext)
    return serialization.load_der_private_key(private, None).decapsulate(ciphertext)


def public_of(spec, private):
    """The public key, in DER, of a private key in PKCS#8."""
    if spec == "ML_KEM_512":
        assert private.startswith(KEM_512_SEED)
        return KEM_512_PUBLIC + ML_KEM_512.key_derive(private[len(KEM_512_SEED) :])[0]
    return der(serialization.load_der_private_key(private, None).public_key())


def openssl(folder, *arguments, **files):
    """Output of the `openssl` command; `files` are written to the folder, and stand for their
    names among the arguments."""
    done = run_openssl(folder, *arguments, **files)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def run_openssl(folder, *arguments, **files):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command = [shutil.which("openssl"), *arguments]
    if command[0] is None:
        pytest.skip("there is no openssl command here")
    return subprocess.run(command, cwd=folder, capture_output=True)


def openssl_verifies(folder, algorithm, public, message, signature):
    """Whether the `openssl` command takes the signature for one of the message as a whole, with a
    public key in DER."""
    files = {"public": public, "signature": signature, "text": message}
    key, how = ["public", "-keyform", "DER"], signing_options(algorithm)
    if algorithm.startswith(("ED25519", "ML_DSA")):
        how = ["pkeyutl", "-verify", *how, "-pubin", "-inkey", *key, "-in", "text"]
        how, yes = [*how, "-sigfile", "signature"], b"Signature Verified Successfully"
    else:
        how = ["dgst", *how, "-verify", *key, "-signature", "signature", "text"]
        yes = b"Verified OK"
    done = run_openssl(folder, *how, **files)
    said = done.stdout + done.stderr
    # Whatever else goes wrong is no verdict.
    no = b"verification failure" in said.lower() or b"Error verifying data" in said
    assert (done.returncode, yes in said, no) in ((0, True, False), (1, False, True)), said
    return done.returncode == 0


def signing_options(algorithm):
    """What the `openssl` command needs to know of an algorithm."""
    if algorithm.startswith(("ED25519", "ML_DSA")):
        instance = ["-pkeyopt", "instance:Ed25519ph"] if "_PH_" in algorithm else []
        return ["-rawin", *instance]
    options = [f"-sha{bits_of(algorithm)}"]
    if algorithm.startswith("RSASSA_PSS"):
        options += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    return options


def require_openssl(algorithm):
    """Skips the test where the `openssl` command is too old for an algorithm."""
    if algorithm == "ED25519_PH_SHA_512" and openssl_version() < (3, 2):
        pytest.skip("only OpenSSL 3.2 and later has Ed25519ph")
    if algorithm == "ML_DSA_SHAKE_256" and openssl_version() < (3, 5):
        pytest.skip(POST_QUANTUM)


@functools.cache
def openssl_version():
    """E.g. (3, 0)."""
    if not shutil.which("openssl"):
        return (0, 0)
    said = subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout
    return tuple(map(int, re.match(r"OpenSSL (\d+)\.(\d+)", said).groups()))
