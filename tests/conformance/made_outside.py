"""Keys, signatures and MACs that others make: `cryptography` and PyCryptodome, and the `openssl`
command. `outside` has what they verify and open."""

import functools
import hashlib

from Crypto.Hash import SHA512
from Crypto.Signature import eddsa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from outside import CURVES, HASHES, bits_of, digest, openssl, pss, signing_options

MAC_HASHES = {224: hashes.SHA224(), **HASHES}
ML_DSA = {
    "ML_DSA_44": mldsa.MLDSA44PrivateKey,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey,
}
# What the `openssl` command calls them.
CURVE_NAMES = {
    "ECC_NIST_P256": "P-256",
    "ECC_NIST_P384": "P-384",
    "ECC_NIST_P521": "P-521",
    "ECC_SECG_P256K1": "secp256k1",
}


def given(algorithm, message_type, text):
    """What is given to Sign and Verify as a message of this type."""
    if message_type == "DIGEST":
        return hashlib.new(f"sha{bits_of(algorithm)}", text).digest()
    return text


def make_key(spec):
    """A new private key, by `cryptography`."""
    if spec.startswith("RSA_"):
        return rsa.generate_private_key(65537, int(spec.removeprefix("RSA_")))
    if spec in CURVES:
        return ec.generate_private_key(CURVES[spec]())
    if spec in ML_DSA:
        return ML_DSA[spec].generate()
    assert spec == "ECC_NIST_EDWARDS25519"
    return ed25519.Ed25519PrivateKey.generate()


def make_key_by_openssl(folder, spec):
    """A new private key, by the `openssl` command, in PKCS#8."""
    if spec.startswith("RSA_"):
        how = ["RSA", "-pkeyopt", f"rsa_keygen_bits:{spec.removeprefix('RSA_')}"]
    elif spec in CURVES:
        how = ["EC", "-pkeyopt", f"ec_paramgen_curve:{CURVE_NAMES[spec]}"]
    else:
        how = ["Ed25519" if spec == "ECC_NIST_EDWARDS25519" else spec.replace("_", "-")]
    made = openssl(folder, "genpkey", "-algorithm", *how)
    # What it writes in DER is another form for some algorithms.
    form = ["-topk8", "-nocrypt", "-outform", "DER", "-in", "made"]
    return openssl(folder, "pkcs8", *form, made=made)


def pkcs8(private):
    how = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.DER, *how)


def sign(private, algorithm, message_type, message):
    """A signature by `cryptography`, or by PyCryptodome where that has none."""
    how = functools.partial(SIGNERS[algorithm.partition("_SHA")[0]], algorithm=algorithm)
    return how(private, message_type, message)


def sign_pkcs1(private, message_type, message, algorithm):
    return private.sign(message, padding.PKCS1v15(), digest(algorithm, message_type))


def sign_pss(private, message_type, message, algorithm):
    return private.sign(message, pss(bits_of(algorithm)), digest(algorithm, message_type))


def sign_ecdsa(private, message_type, message, algorithm):
    return private.sign(message, ec.ECDSA(digest(algorithm, message_type)))


def sign_ed25519(private, _, message, algorithm):
    return private.sign(message)


def sign_ed25519ph(private, _, message, algorithm):
    """As AWS does it, the digest that is given is hashed once more."""
    key = eddsa.import_private_key(private.private_bytes_raw())
    return eddsa.new(key, "rfc8032").sign(SHA512.new(message))


def sign_ml_dsa(private, message_type, message, algorithm):
    return private.sign(message)


SIGNERS = {
    "RSASSA_PKCS1_V1_5": sign_pkcs1,
    "RSASSA_PSS": sign_pss,
    "ECDSA": sign_ecdsa,
    "ED25519": sign_ed25519,
    "ED25519_PH": sign_ed25519ph,
    "ML_DSA": sign_ml_dsa,
}


def sign_by_openssl(folder, algorithm, private, message):
    """A signature by the `openssl` command of a message as a whole, with a key in PKCS#8."""
    files = {"private": private, "text": message}
    key, how = ["private", "-keyform", "DER"], signing_options(algorithm)
    if algorithm.startswith(("ED25519", "ML_DSA")):
        return openssl(folder, "pkeyutl", "-sign", *how, "-inkey", *key, "-in", "text", **files)
    return openssl(folder, "dgst", *how, "-sign", *key, "text", **files)


def mac(key, algorithm, message):
    """By `cryptography`."""
    made = hmac.HMAC(key, MAC_HASHES[bits_of(algorithm)])
    made.update(message)
    return made.finalize()


def verifies_mac(key, algorithm, message, claimed):
    """Whether `cryptography` takes it for the MAC of the message."""
    made = hmac.HMAC(key, MAC_HASHES[bits_of(algorithm)])
    made.update(message)
    try:
        made.verify(claimed)
    except InvalidSignature:
        return False
    return True


def mac_by_openssl(folder, key, algorithm, message):
    how = [f"-sha{bits_of(algorithm)}", "-binary", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}"]
    return openssl(folder, "dgst", *how, "text", text=message)
