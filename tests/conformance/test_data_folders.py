"""What earlier versions left on disk opens for ever."""

import base64
import json
import pathlib
import tarfile
import time

import boto3
import botocore.exceptions
import pytest

from node import ROOT, Server, eventually

ARCHIVES = sorted((ROOT / "tests" / "data").glob("*.tar.gz"))
assert ARCHIVES, "the archives are missing"


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name)
def opened(request, tmp_path):
    """A node on an unpacked archive, and what must be found there."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "seal.key").chmod(0o400)
    expected = json.loads((tmp_path / "expected.json").read_text())
    server = Server(tmp_path, {"": {"region": "eu-central-1"}}).configure().start()
    yield server, expected
    assert server.stop() == 0, server.output()


def client(server, owner):
    return boto3.client(
        "kms",
        region_name="eu-central-1",
        endpoint_url=server.endpoint,
        aws_access_key_id=owner["access_key"]["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=owner["access_key"]["AWS_SECRET_ACCESS_KEY"],
    )


def test_every_key_is_as_it_was(opened):
    server, expected = opened
    kms = client(server, expected)
    for name, key in expected["keys"].items():
        if key.get("deletion", float("inf")) < time.time():
            continue
        found = kms.describe_key(KeyId=f"alias/{name}")["KeyMetadata"]
        assert (found["KeyId"], found["KeyState"]) == (key["id"], key["state"])
        assert found["Description"] == name
        assert kms.list_resource_tags(KeyId=key["id"])["Tags"] == key["tags"]


def test_every_ciphertext_opens_unless_its_key_may_not_be_used(opened):
    server, expected = opened
    kms = client(server, expected)
    for name, key in expected["keys"].items():
        for ciphertext in [key["ciphertext"], *key.get("earlier", [])]:
            blob = base64.b64decode(ciphertext)
            decrypt = {"CiphertextBlob": blob, "EncryptionContext": {"name": name}}
            if key["state"] == "Enabled":
                assert kms.decrypt(**decrypt)["Plaintext"] == name.encode()
            else:
                with pytest.raises(botocore.exceptions.ClientError):
                    kms.decrypt(**decrypt)


def test_rotations_are_known_and_go_on(opened):
    server, expected = opened
    if "rotated" not in expected["keys"]:
        pytest.skip("it was written before there was rotation")
    kms = client(server, expected)
    for name, materials in (("rotated", 3), ("imported", 2)):
        key = expected["keys"][name]["id"]
        listed = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")
        assert len(listed["Rotations"]) == materials
    key = expected["keys"]["rotated"]["id"]
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 2560
    kms.rotate_key_on_demand(KeyId=key)
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == 3


def test_a_change_that_needs_the_newest_version(opened):
    """Alone, a node follows itself at once."""
    server, expected = opened
    kms = client(server, expected)
    key = expected["keys"]["enabled"]["id"]
    eventually(lambda: try_to_rotate(kms, key), 10, server.output)


def try_to_rotate(kms, key):
    try:
        kms.rotate_key_on_demand(KeyId=key)
    except kms.exceptions.UnsupportedOperationException:
        return False
    return True


def test_who_may_do_what_is_as_it_was(opened):
    server, expected = opened
    if "clerk" not in expected:
        pytest.skip("it was written before there were users")
    kms = client(server, expected["clerk"])

    def attempt(operation, name):
        key = expected["keys"][name]
        more = {
            "encrypt": {"Plaintext": b"x"},
            "decrypt": {
                "CiphertextBlob": base64.b64decode(key["ciphertext"]),
                "EncryptionContext": {"name": name},
            },
        }
        getattr(kms, operation)(KeyId=key["id"], **more.get(operation, {}))

    for operation, name in expected["clerk"]["may"]:
        attempt(operation, name)
    for operation, name in expected["clerk"]["may_not"]:
        with pytest.raises(kms.exceptions.ClientError, match="AccessDeniedException"):
            attempt(operation, name)


def test_it_goes_on_from_there(opened):
    server, expected = opened
    kms = client(server, expected)
    new = kms.create_key()["KeyMetadata"]["KeyId"]
    assert server.stop() == 0
    server.start()
    kms = client(server, expected)
    assert kms.describe_key(KeyId=new)["KeyMetadata"]["KeyState"] == "Enabled"


def test_uses_of_old_keys_are_known_from_now_on(opened):
    server, expected = opened
    kms, began = client(server, expected), time.time()
    if "rotated" in expected["keys"]:
        pytest.skip("uses were known when it was written")
    eventually(lambda: "TrackingStartDate" in usage(kms, expected), 10, server.output)
    for name, key in expected["keys"].items():
        if key["state"] != "Enabled":
            continue
        found = kms.get_key_last_usage(KeyId=key["id"])
        assert found["KeyLastUsage"] == {}
        # Not since the key was created: nobody knows what happened to it before.
        assert found["TrackingStartDate"].timestamp() > began - 60
        assert found["TrackingStartDate"] > found["KeyCreationDate"]
        kms.encrypt(KeyId=key["id"], Plaintext=b"x")
        assert kms.get_key_last_usage(KeyId=key["id"])["KeyLastUsage"]["Operation"] == "Encrypt"


def usage(kms, expected):
    return kms.get_key_last_usage(KeyId=expected["keys"]["enabled"]["id"])


def test_the_archives_tell_nothing_of_a_machine():
    for path in ARCHIVES:
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                assert pathlib.Path(member.name).name != "LOG"
                assert not member.uname
