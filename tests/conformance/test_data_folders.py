"""What earlier versions left on disk opens for ever."""

import base64
import datetime
import json
import pathlib
import tarfile
import time

import boto3
import botocore.exceptions
import pytest

from expect import refused
from node import ROOT, Server, eventually

ARCHIVES = sorted((ROOT / "tests" / "data").glob("*.tar.gz"))
assert ARCHIVES, "the archives are missing"
INVALID_TOKEN = "The security token included in the request is invalid."


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name)
def opened(request, tmp_path):
    """A node on an unpacked archive, and what must be found there."""
    server, expected = unpacked(request.param, tmp_path)
    server.start()
    yield server, expected
    assert server.stop() == 0, server.output()


def unpacked(path, folder, **environment):
    """A node on an archive that is unpacked there, not yet started, and what must be found."""
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    (folder / "seal.key").chmod(0o400)
    expected = json.loads((folder / "expected.json").read_text())
    settings = {"": {"region": "eu-central-1"}}
    return Server(folder, settings, environment).configure(), expected


def client(server, owner, service="kms"):
    return boto3.client(
        service,
        region_name="eu-central-1",
        endpoint_url=server.endpoint,
        aws_access_key_id=owner["access_key"]["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=owner["access_key"]["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=owner["access_key"].get("AWS_SESSION_TOKEN"),
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
    check_rights(client(server, expected["clerk"]), expected["clerk"], expected["keys"])


def check_rights(kms, owner, keys):
    """The client may do all that the owner may, and nothing that the owner may not."""

    def attempt(operation, name):
        key = keys[name]
        more = {
            "encrypt": {"Plaintext": b"x"},
            "decrypt": {
                "CiphertextBlob": base64.b64decode(key["ciphertext"]),
                "EncryptionContext": {"name": name},
            },
        }
        getattr(kms, operation)(KeyId=key["id"], **more.get(operation, {}))

    for operation, name in owner["may"]:
        attempt(operation, name)
    for operation, name in owner["may_not"]:
        with pytest.raises(kms.exceptions.ClientError, match="AccessDeniedException"):
            attempt(operation, name)


def porter_of(expected):
    if "porter" not in expected:
        pytest.skip("it was written before there were roles")
    return expected["porter"]


def test_a_role_is_as_it_was(opened):
    server, expected = opened
    written = porter_of(expected)["role"]
    found = client(server, expected, "iam").get_role(RoleName=written["RoleName"])["Role"]
    found["CreateDate"] = found["CreateDate"].timestamp()
    found.pop("RoleLastUsed", None)
    assert found == written


def test_a_role_can_be_taken_on_by_whom_it_trusts(opened):
    server, expected = opened
    porter = porter_of(expected)
    asked = {"RoleArn": porter["role"]["Arn"], "RoleSessionName": "shift-2"}
    trusted = {"ExternalId": porter["external_id"]}
    sts = client(server, porter, "sts")
    with refused("AccessDenied", status=403):
        sts.assume_role(**asked)
    with refused("AccessDenied", status=403):
        client(server, expected["clerk"], "sts").assume_role(**asked, **trusted)
    longest = porter["role"]["MaxSessionDuration"]
    with refused("ValidationError"):
        sts.assume_role(**asked, **trusted, DurationSeconds=longest + 1)
    made = sts.assume_role(**asked, **trusted, DurationSeconds=longest)["Credentials"]
    check_rights(client(server, session(made)), porter, expected["keys"])


def session(made):
    """Credentials of STS, as the owners of the archives have them."""
    exports = {
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
        "AWS_SESSION_TOKEN": made["SessionToken"],
    }
    return {"access_key": exports}


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.name)
def test_a_session_lives_on_unless_it_was_revoked(path, tmp_path, clock):
    """At the time at which it was written; by now, all have expired."""
    server, expected = unpacked(path, tmp_path, KEYSTEAD_TEST_CLOCK_OFFSET=str(clock.file))
    porter = porter_of(expected)
    ago = datetime.timedelta(seconds=porter["taken_on"] - time.time())
    clock.set(ago)
    server.start()
    try:
        of_role = {"access_key": porter["role_session"]}
        check_rights(client(server, of_role), porter, expected["keys"])
        sts = client(server, {"access_key": porter["session"]}, "sts")
        assert sts.get_caller_identity()["Arn"].endswith(":user/gate/porter")
        revoked = {"access_key": porter["revoked"]}
        with refused("InvalidClientTokenId", INVALID_TOKEN, 403):
            client(server, revoked, "sts").get_caller_identity()
        with refused("UnrecognizedClientException", INVALID_TOKEN):
            client(server, revoked).list_keys()
        clock.set(ago + datetime.timedelta(hours=3))
        with refused("ExpiredTokenException"):
            client(server, of_role).list_keys()
        assert sts.get_caller_identity()
    finally:
        assert server.stop() == 0, server.output()


def test_a_key_that_aws_manages_is_the_same(opened):
    server, expected = opened
    if "managed" not in expected:
        pytest.skip("it was written before there were such keys")
    managed, kms = expected["managed"], client(server, expected)
    found = kms.describe_key(KeyId=managed["alias"])["KeyMetadata"]
    assert (found["Arn"], found["KeyManager"]) == (managed["arn"], "AWS")
    with refused("AccessDeniedException"):
        kms.encrypt(KeyId=managed["alias"], Plaintext=b"x")


def test_a_provider_is_as_it_was(opened):
    server, expected = opened
    if "provider" not in expected:
        pytest.skip("it was written before there were providers")
    written = expected["provider"]
    iam = client(server, expected, "iam")
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=written["arn"])
    created = found["CreateDate"].timestamp()
    assert found.pop("ResponseMetadata")
    assert found | {"arn": written["arn"], "CreateDate": created} == written


def test_a_service_is_as_it_was(opened):
    server, expected = opened
    if "service" not in expected:
        pytest.skip("it was written before there were services")
    service = expected["service"]
    own = client(server, service)
    assert own.describe_key(KeyId=service["key"])["KeyMetadata"]["Arn"] == service["key"]
    with refused("AccessDeniedException"):
        client(server, expected).describe_key(KeyId=service["key"])
    listed = json.loads(server.run("service", "list", "--output", "json").stdout)["Services"]
    assert [one["Service"] for one in listed] == [service["name"]]


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
