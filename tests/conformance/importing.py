"""Key material that is made here, wrapped, and imported."""

import datetime
import os

from cryptography.hazmat.primitives import hashes, hmac, keywrap, serialization
from cryptography.hazmat.primitives.serialization import load_der_public_key
from made_outside import make_key, make_key_by_openssl, pkcs8
from outside import der, oaep, openssl

SECRET = b"attack at dawn"
WRAPPING_SPECS = ["RSA_2048", "RSA_3072", "RSA_4096"]
OAEP = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
WITH_AES = ["RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"]
FOR_EVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
# What can be imported: secrets with the number of their bytes, and key pairs.
SECRETS = {
    "SYMMETRIC_DEFAULT": 32,
    "HMAC_224": 28,
    "HMAC_256": 32,
    "HMAC_384": 48,
    "HMAC_512": 64,
}
PAIRS = [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
]
USAGES = {"SYMMETRIC_DEFAULT": "ENCRYPT_DECRYPT", "HMAC": "GENERATE_VERIFY_MAC"}


def usage_of(spec):
    return USAGES.get(spec) or USAGES.get(spec.partition("_")[0], "SIGN_VERIFY")


def make_material(spec, folder=None):
    """New material in the form in which it is imported; with a folder, by the `openssl` command."""
    if spec in SECRETS:
        if folder:
            return openssl(folder, "rand", str(SECRETS[spec]))
        return os.urandom(SECRETS[spec])
    return make_key_by_openssl(folder, spec) if folder else pkcs8(make_key(spec))


def wrap(algorithm, public, material):
    """The material wrapped under a public key in DER, by `cryptography`."""
    key, padding = load_der_public_key(public), oaep(with_oaep(algorithm))
    if algorithm in OAEP:
        return key.encrypt(material, padding)
    inner = os.urandom(32)
    return key.encrypt(inner, padding) + keywrap.aes_key_wrap_with_padding(inner, material)


def wrap_by_openssl(folder, algorithm, public, material):
    """The same, by the `openssl` command, as AWS's guide does it."""
    bits = "sha1" if algorithm.endswith("_SHA_1") else "sha256"
    options = ["rsa_padding_mode:oaep", f"rsa_oaep_md:{bits}", f"rsa_mgf1_md:{bits}"]
    options = [word for option in options for word in ("-pkeyopt", option)]
    encrypt = ["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "public", *options]
    if algorithm in OAEP:
        return openssl(folder, *encrypt, "-in", "material", public=public, material=material)
    inner = os.urandom(32)
    by_rsa = openssl(folder, *encrypt, "-in", "inner", public=public, inner=inner)
    how = ["enc", "-id-aes256-wrap-pad", "-iv", "A65959A6", "-K", inner.hex(), "-in", "material"]
    return by_rsa + openssl(folder, *how, material=material)


def with_oaep(algorithm):
    """The OAEP of a wrapping algorithm."""
    return OAEP[0] if algorithm.endswith("_SHA_1") else OAEP[1]


def new_external_key(kms, spec="SYMMETRIC_DEFAULT", usage=None, **more):
    """The metadata of a key that waits for its material."""
    about = {"KeySpec": spec, "KeyUsage": usage or usage_of(spec), "Origin": "EXTERNAL"}
    return kms.create_key(**about, **more)["KeyMetadata"]


def parameters(kms, key, algorithm="RSA_AES_KEY_WRAP_SHA_256", wrapping="RSA_2048"):
    return kms.get_parameters_for_import(
        KeyId=key["KeyId"], WrappingAlgorithm=algorithm, WrappingKeySpec=wrapping
    )


def import_material(kms, key, material, given=None, algorithm="RSA_AES_KEY_WRAP_SHA_256", **more):
    """Imports material that is wrapped here, for ever unless told otherwise."""
    given = given or parameters(kms, key, algorithm)
    about = more if "ExpirationModel" in more or "ValidTo" in more else FOR_EVER | more
    return kms.import_key_material(
        KeyId=key["KeyId"],
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrap(algorithm, given["PublicKey"], material),
        **about,
    )


def until(seconds, ahead=datetime.timedelta()):
    """The members for material that expires so many seconds from now."""
    now = datetime.datetime.now(datetime.UTC) + ahead
    expires = now + datetime.timedelta(seconds=seconds)
    return {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": expires}


def state(kms, key):
    return kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]


def use(kms, key, spec, material):
    """The key is the one outside."""
    about = {"KeyId": key["KeyId"]}
    if spec == "SYMMETRIC_DEFAULT":
        blob = kms.encrypt(**about, Plaintext=SECRET)["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == SECRET
    elif spec.startswith("HMAC"):
        bits = spec.partition("_")[2]
        made = kms.generate_mac(**about, Message=SECRET, MacAlgorithm=f"HMAC_SHA_{bits}")["Mac"]
        own = hmac.HMAC(material, getattr(hashes, f"SHA{bits}")())
        own.update(SECRET)
        own.verify(made)
    else:
        own = serialization.load_der_private_key(material, None)
        assert kms.get_public_key(**about)["PublicKey"] == der(own.public_key())
        algorithm = kms.get_public_key(**about)["SigningAlgorithms"][0]
        said = {"Message": SECRET, "SigningAlgorithm": algorithm}
        signed = kms.sign(**about, **said)["Signature"]
        assert kms.verify(**about, **said, Signature=signed)["SignatureValid"]
