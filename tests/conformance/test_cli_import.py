"""`keystead key import`: keys that the `openssl` command made, wrapped by the program, and used
through boto3."""

import base64
import datetime
import json
import subprocess

import pytest
from ber import pkcs8_in_ber
from importing import (
    OAEP,
    PAIRS,
    SECRETS,
    WITH_AES,
    WRAPPING_SPECS,
    make_material,
    new_external_key,
    until,
)
from made_outside import make_key_by_openssl
from node import binary
from outside import openssl
from people import unique_name
from test_story_import import SPECS, state, use

FAILED, REFUSED = 1, 3
NEW = ("--import-type", "NEW_KEY_MATERIAL")
# What there is of a private key in PEM.
PKCS8 = ["pkcs8", "-topk8", "-inform", "DER", "-in", "made"]
PEM = [*PKCS8, "-nocrypt"]
ENCRYPTED = [*PKCS8, "-passout", "pass:word"]
TRADITIONAL = ["pkey", "-traditional", "-inform", "DER", "-in", "made"]
PUBLIC = ["pkey", "-pubout", "-inform", "DER", "-in", "made"]


@pytest.fixture
def keystead(node, tmp_path):
    """Imports material, which becomes a file; what the program said, in which no part of it is."""

    def run(key, material, *options, mode=0o600, by_input=False):
        file = tmp_path / "material.key"
        file.write_bytes(material)
        file.chmod(mode)
        where = ["-" if by_input else str(file)]
        done = subprocess.run(
            [binary(), "key", "import", "--key-id", key, *options, *where],
            env=node.shell(),
            input=material if by_input else b"",
            capture_output=True,
            timeout=60,
        )
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        said = (done.stdout + done.stderr).encode()
        assert len(material) < 16 or not any(
            form[:16] in said for form in (material, material.hex().encode(), in_base64(material))
        )
        return done

    return run


def in_base64(material):
    return base64.b64encode(material)


def imports(done, key):
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == (f"{key['Arn']}\n", "")


@pytest.mark.parametrize("spec", SPECS)
def test_every_kind(kms, keystead, tmp_path, spec):
    key, material = new_external_key(kms, spec), make_material(spec, tmp_path)
    imports(keystead(key["KeyId"], material), key)
    metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert metadata["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
    use(kms, key, spec, material)


@pytest.mark.parametrize("spec", PAIRS)
def test_pem_and_ber(kms, keystead, tmp_path, spec):
    key, material = new_external_key(kms, spec), make_material(spec, tmp_path)
    imports(keystead(key["KeyId"], openssl(tmp_path, *PEM, made=material)), key)
    use(kms, key, spec, material)
    imports(keystead(key["KeyId"], pkcs8_in_ber(material)), key)
    text = b"Made for a test.\n" + openssl(tmp_path, *PEM, made=material)
    imports(keystead(key["KeyId"], text), key)


@pytest.mark.parametrize("wrapping", WRAPPING_SPECS)
@pytest.mark.parametrize("algorithm", OAEP + WITH_AES)
def test_every_way_of_wrapping(kms, keystead, tmp_path, algorithm, wrapping):
    key, material = new_external_key(kms, "HMAC_384"), make_material("HMAC_384", tmp_path)
    how = ("--wrapping-algorithm", algorithm, "--wrapping-key-spec", wrapping)
    imports(keystead(key["KeyId"], material, *how), key)
    use(kms, key, "HMAC_384", material)


@pytest.mark.parametrize("spec", ["SYMMETRIC_DEFAULT", "ECC_NIST_P256"])
def test_standard_input(kms, keystead, tmp_path, spec):
    key, material = new_external_key(kms, spec), make_material(spec, tmp_path)
    imports(keystead(key["KeyId"], material, by_input=True), key)
    use(kms, key, spec, material)


def test_an_alias_will_do(kms, keystead, tmp_path):
    key, material = new_external_key(kms, "HMAC_256"), make_material("HMAC_256", tmp_path)
    alias = f"alias/{unique_name('imported')}"
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    imports(keystead(alias, material), key)
    use(kms, key, "HMAC_256", material)


def test_json(kms, keystead, tmp_path):
    key = new_external_key(kms)
    done = keystead(key["KeyId"], make_material("SYMMETRIC_DEFAULT", tmp_path), "--output", "json")
    current = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"]
    assert json.loads(done.stdout) == {"KeyId": key["Arn"], "KeyMaterialId": current}


def test_expiry(kms, keystead, tmp_path):
    key, material = new_external_key(kms), make_material("SYMMETRIC_DEFAULT", tmp_path)
    ends = until(3600)["ValidTo"].replace(microsecond=0)
    imports(keystead(key["KeyId"], material, "--expires", ends.isoformat()), key)
    metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert (metadata["ExpirationModel"], metadata["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", ends)
    imports(keystead(key["KeyId"], material), key)
    assert "ValidTo" not in kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]


def test_more_material_and_descriptions(kms, keystead, tmp_path):
    key, first = new_external_key(kms), make_material("SYMMETRIC_DEFAULT", tmp_path)
    imports(keystead(key["KeyId"], first, "--description", "the first"), key)
    second = make_material("SYMMETRIC_DEFAULT", tmp_path)
    done = keystead(key["KeyId"], second)
    assert (done.returncode, done.stderr) == (REFUSED, "keystead: IncorrectKeyMaterialException\n")
    imports(keystead(key["KeyId"], second, *NEW, "--description", "the second"), key)
    about = {"KeyId": key["KeyId"], "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}
    materials = kms.list_key_rotations(**about)["Rotations"]
    said = {entry["KeyMaterialDescription"]: entry["KeyMaterialState"] for entry in materials}
    assert said == {"the first": "CURRENT", "the second": "PENDING_ROTATION"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_warns_of_a_file_that_others_can_read(kms, keystead, tmp_path, mode):
    key, material = new_external_key(kms), make_material("SYMMETRIC_DEFAULT", tmp_path)
    done = keystead(key["KeyId"], material, mode=mode)
    assert done.returncode == 0
    assert done.stderr.startswith("WARNING: ") and "material.key can be read by others" in (
        done.stderr
    )
    use(kms, key, "SYMMETRIC_DEFAULT", material)


def bad_files(folder):
    """Files that are no material of a spec, and what is said of each."""
    for spec, length in SECRETS.items():
        wanted = "32 raw bytes" if spec == "SYMMETRIC_DEFAULT" else f"{length} to 128 raw bytes"
        secret = openssl(folder, "rand", str(length))
        longer = secret + b"\n" if spec == "SYMMETRIC_DEFAULT" else secret * 5
        for bad in (b"", secret[:-1], longer):
            yield spec, bad, f"{wanted}, not hex or base64, and has {len(bad)}"
    yield "SYMMETRIC_DEFAULT", secret.hex().encode(), "32 raw bytes"
    rsa = make_key_by_openssl(folder, "RSA_2048")
    curve = make_key_by_openssl(folder, "ECC_NIST_P256")
    foreign = make_key_by_openssl(folder, "ECC_NIST_EDWARDS25519")
    unsound = "it must be a sound private key of exactly this kind"
    for spec, good, other in (("RSA_2048", rsa, curve), ("ECC_NIST_P256", curve, rsa)):
        for bad in (good[:-1], good + b"\0", other, foreign, pkcs8_in_ber(good)[:-1]):
            yield spec, bad, unsound
        yield spec, openssl(folder, *PEM, made=other), unsound
        for how in (ENCRYPTED, TRADITIONAL, PUBLIC):
            yield spec, openssl(folder, *how, made=good), "BEGIN PRIVATE KEY"
        for bad in (b"", b"hello", b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n"):
            yield spec, bad, "BEGIN PRIVATE KEY"
    yield "RSA_3072", rsa, unsound
    yield "ECC_SECG_P256K1", curve, unsound
    yield "SYMMETRIC_DEFAULT", b"x" * 20_000, "longer than any key"


def test_bad_files_change_nothing(kms, keystead, tmp_path):
    keys = {}
    for spec, bad, text in bad_files(tmp_path):
        key = keys.setdefault(spec, new_external_key(kms, spec))
        done = keystead(key["KeyId"], bad)
        assert (done.returncode, done.stdout) == (FAILED, "")
        assert "material.key" in done.stderr and text in done.stderr, (spec, done.stderr)
    assert {state(kms, key) for key in keys.values()} == {"PendingImport"}


def test_files_that_are_none(kms, node, tmp_path):
    key = new_external_key(kms)
    for path, text in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        done = subprocess.run(
            [binary(), "key", "import", "--key-id", key["KeyId"], path],
            env=node.shell(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == FAILED
        assert str(path) in done.stderr and text in done.stderr
    assert state(kms, key) == "PendingImport"


def test_what_the_service_refuses(kms, keystead, tmp_path, key):
    """Its own words, and an exit status that says whose they are."""
    secret = make_material("SYMMETRIC_DEFAULT", tmp_path)
    done = keystead(key["KeyId"], secret)
    assert done.returncode == REFUSED
    assert f"{key['Arn']} origin is AWS_KMS" in done.stderr
    pair, material = new_external_key(kms, "RSA_2048"), make_material("RSA_2048", tmp_path)
    done = keystead(pair["KeyId"], material, "--wrapping-algorithm", OAEP[1])
    assert done.returncode == REFUSED
    assert done.stderr.startswith("keystead: UnsupportedOperationException")
    waiting, past = new_external_key(kms), until(-60, -datetime.timedelta(days=1))["ValidTo"]
    done = keystead(waiting["KeyId"], secret, "--expires", past.isoformat())
    assert done.returncode == REFUSED
    assert done.stderr.startswith("keystead: ValidationException")
    assert state(kms, pair) == state(kms, waiting) == "PendingImport"


def test_what_does_not_fit_into_oaep(kms, keystead, tmp_path):
    """Loose BER makes a short key long."""
    material = make_material("ECC_NIST_P384", tmp_path)
    key, loose = new_external_key(kms, "ECC_NIST_P384"), pkcs8_in_ber(material)
    done = keystead(
        key["KeyId"], loose, "--wrapping-algorithm", OAEP[1], "--wrapping-key-spec", "RSA_2048"
    )
    assert done.returncode == FAILED
    assert "--wrapping-algorithm RSA_AES_KEY_WRAP_SHA_256" in done.stderr
    assert state(kms, key) == "PendingImport"
    imports(keystead(key["KeyId"], loose), key)
    use(kms, key, "ECC_NIST_P384", material)
