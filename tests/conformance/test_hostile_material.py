"""Key material that must not be taken: of the wrong kind, damaged, or made to deceive."""

import os

import pytest
from ber import pkcs8_in_ber
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from expect import EMPTY, refused
from importing import (
    FOR_EVER,
    OAEP,
    PAIRS,
    SECRETS,
    WITH_AES,
    import_material,
    make_material,
    new_external_key,
    parameters,
    state,
    usage_of,
    use,
    wrap,
)
from made_outside import make_key, pkcs8
from outside import der, openssl


def bad_materials():
    """What is no material of a spec, with a word on why."""
    for spec, length in SECRETS.items():
        yield spec, "short", os.urandom(length - 1)
        yield spec, "long", os.urandom(33 if spec == "SYMMETRIC_DEFAULT" else 129)
    small, other = rsa.generate_private_key(65537, 1024), make_key("RSA_2048")
    yield "RSA_2048", "1024 bits", pkcs8(small)
    yield "RSA_3072", "2048 bits", pkcs8(other)
    how = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    pkcs1 = other.private_bytes(serialization.Encoding.DER, *how)
    yield "RSA_2048", "PKCS#1", pkcs1
    pem = other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how[1])
    yield "RSA_2048", "PEM", pem
    yield "RSA_2048", "a byte more", pkcs8(other) + b"\0"
    yield "RSA_2048", "a byte less", pkcs8(other)[:-1]
    yield "RSA_2048", "BER and a byte more", pkcs8_in_ber(pkcs8(other)) + b"\0"
    yield "RSA_2048", "BER and a byte less", pkcs8_in_ber(pkcs8(other))[:-1]
    for nested in (b"\x30\x80", b"\x24\x80", b"\xa0\x80"):
        yield "RSA_2048", f"deep {nested.hex()}", nested * 1000 + bytes(3000)
    yield "RSA_2048", "public", der(other.public_key())
    curve = make_key("ECC_NIST_P256")
    for spec in ("ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1"):
        yield spec, "another curve", pkcs8(curve)
    yield "ECC_NIST_P256", "Ed25519", pkcs8(ed25519.Ed25519PrivateKey.generate())
    yield "ECC_NIST_P256", "RSA", pkcs8(other)
    yield "ECC_NIST_P256", "SEC1", curve.private_bytes(serialization.Encoding.DER, *how)
    yield "ECC_NIST_P256", "a byte more", pkcs8(curve) + b"\0"
    foreign = bytearray(pkcs8(curve))
    foreign[-65:] = der(make_key("ECC_NIST_P256").public_key())[-65:]
    yield "ECC_NIST_P256", "another's public key", bytes(foreign)
    foreign[-1] ^= 1
    yield "ECC_NIST_P256", "a point off the curve", bytes(foreign)


BAD = [pytest.param(spec, made, id=f"{spec}-{why}") for spec, why, made in bad_materials()]


@pytest.fixture
def external(kms):
    """A symmetric key that waits for its material."""
    return new_external_key(kms)


@pytest.mark.parametrize("spec, material", BAD)
def test_is_refused_without_a_word(kms, spec, material):
    key = new_external_key(kms, spec)
    given = parameters(kms, key)
    with refused("IncorrectKeyMaterialException", EMPTY):
        import_material(kms, key, material, given)
    assert state(kms, key) == "PendingImport"
    import_material(kms, key, make_material(spec), given)


def test_explicit_parameters(kms, tmp_path):
    how = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    explicit = [*how, "-pkeyopt", "ec_param_enc:explicit", "-outform", "DER"]
    made = openssl(tmp_path, "genpkey", *explicit)
    form = ["-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER", "-in", "made"]
    key = new_external_key(kms, "ECC_NIST_P256")
    with refused("IncorrectKeyMaterialException", EMPTY):
        import_material(kms, key, openssl(tmp_path, "pkcs8", *form, made=made))


@pytest.mark.parametrize("algorithm", OAEP + WITH_AES)
def test_what_does_not_unwrap(kms, external, algorithm):
    given = parameters(kms, external, algorithm)
    good = wrap(algorithm, given["PublicKey"], os.urandom(32))
    bad = [b"x", good[:-1], good[:-8], good + bytes(8), good[1:], good[:255], os.urandom(256)]
    for place in (0, 128, 255, len(good) - 1):
        changed = bytearray(good)
        changed[place] ^= 1
        bad.append(bytes(changed))
    if algorithm in WITH_AES:
        short = wrap(OAEP[WITH_AES.index(algorithm)], given["PublicKey"], os.urandom(16))
        bad += [good[:256], short + good[256:]]
    for wrapped in bad:
        with pytest.raises(ClientError) as caught:
            kms.import_key_material(
                KeyId=external["KeyId"],
                ImportToken=given["ImportToken"],
                EncryptedKeyMaterial=wrapped,
                **FOR_EVER,
            )
        assert caught.value.response["Error"]["Code"] == "InvalidCiphertextException"
    assert state(kms, external) == "PendingImport"


@pytest.mark.parametrize("form", ["compressed", "hybrid", "none"])
@pytest.mark.parametrize("spec", [spec for spec in PAIRS if spec.startswith("ECC")])
def test_points_that_are_taken(kms, tmp_path, spec, form):
    """What of the public key is sent along makes no difference."""
    made = make_material(spec, tmp_path)
    how = ["-inform", "DER", "-outform", "PEM", "-in", "made"]
    how += ["-no_public"] if form == "none" else ["-conv_form", form]
    other = openssl(tmp_path, "ec", *how, made=made)
    again = ["-topk8", "-nocrypt", "-outform", "DER", "-in", "other"]
    key = new_external_key(kms, spec, usage_of(spec))
    import_material(kms, key, openssl(tmp_path, "pkcs8", *again, other=other))
    use(kms, key, spec, made)
    import_material(kms, key, made)
