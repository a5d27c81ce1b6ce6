"""A small S3 server (crate s3s) as `s3.amazonaws.com`: SSE-KMS in the name of whoever asks."""

import contextlib
import json

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError
from node import REGION, serving
from people import iam_of, new_user, put_policy
from policies import allow
from services import S3, object_store, register
from sessions import assume, keys_of, new_role
from test_services import VIA_S3

BUCKET, SSE = "bucket", {"ServerSideEncryption": "aws:kms"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="module")
def store(server):
    with object_store(register(server)) as address:
        yield address


@pytest.fixture
def s3_of(store):
    def client(credentials):
        key, secret, *token = credentials
        return boto3.session.Session().client(
            "s3",
            region_name=REGION,
            endpoint_url=store,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token[0] if token else None,
            config=botocore.config.Config(
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
            ),
        )

    return client


@pytest.fixture
def user(server):
    """Who may use keys through S3 alone."""
    return new_user(server, allow("kms:*", Condition=VIA_S3))


@pytest.fixture
def key(server):
    return server.client().create_key()["KeyMetadata"]["Arn"]


@contextlib.contextmanager
def refused(code):
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code


def put(s3, name, key=None):
    more = {"SSEKMSKeyId": key} if key else {}
    return s3.put_object(Bucket=BUCKET, Key=name, Body=b"content", **SSE, **more)


def content(s3, name):
    return s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()


def events(server, name):
    lines = (server.folder / "audit.json").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["eventName"] == name]


def test_put_and_get(server, s3_of, user, key):
    s3 = s3_of(user.credentials)
    name = "a folder/an object é"
    assert put(s3, name, key)["SSEKMSKeyId"] == key
    assert content(s3, name) == b"content"
    for operation in ("GenerateDataKey", "Decrypt"):
        event = events(server, operation)[-1]
        assert event["userIdentity"]["arn"] == user.arn
        assert event["userIdentity"]["invokedBy"] == S3
        assert event["requestParameters"]["encryptionContext"] == {
            "aws:s3:arn": f"arn:aws:s3:::{BUCKET}/{name}"
        }
        assert event["resources"][0]["ARN"] == key


def test_the_key_of_the_account(s3_of, user, server):
    """The service's, made at its first use; and every user of the account uses it through S3."""
    s3 = s3_of(user.credentials)
    made = put(s3, "default")["SSEKMSKeyId"]
    metadata = server.client().describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (metadata["Arn"], metadata["KeyManager"]) == (made, "AWS")
    assert content(s3_of(new_user(server).credentials), "default") == b"content"


def test_denied_without_decrypt(server, s3_of, user, key):
    put(s3_of(user.credentials), "denied", key)
    other = new_user(server, allow("kms:GenerateDataKey"))
    s3 = s3_of(other.credentials)
    put(s3, "own", key)
    for name in ("denied", "own"):
        with refused("AccessDenied"):
            content(s3, name)
    put_policy(iam_of(server), other.name, allow(["kms:GenerateDataKey", "kms:Decrypt"]))
    assert content(s3, "own") == b"content"


def test_unreadable_once_the_key_is_disabled(server, s3_of, user, key):
    s3 = s3_of(user.credentials)
    put(s3, "disabled", key)
    server.client().disable_key(KeyId=key)
    with refused("KMS.DisabledException"):
        content(s3, "disabled")
    with refused("KMS.DisabledException"):
        put(s3, "another", key)
    server.client().enable_key(KeyId=key)
    assert content(s3, "disabled") == b"content"


def test_a_role(server, s3_of, key):
    role = new_role(server, allow("kms:*", Condition=VIA_S3))
    member = new_user(server, allow("sts:AssumeRole"))
    s3 = s3_of(keys_of(assume(member.client("sts"), role)))
    put(s3, "role", key)
    assert content(s3, "role") == b"content"
    event = events(server, "Decrypt")[-1]
    assert event["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == role["Arn"]


def test_somebody_unknown(s3_of, user):
    for credentials in (("AKIAIOSFODNN7EXAMPLE", "x"), (user.credentials[0], "wrong")):
        with refused("AccessDenied"):
            put(s3_of(credentials), "forged")


def test_another_services_credential(server, user, key):
    """A server with the credential of another service cannot pass for S3."""
    other = register(server, "logs.amazonaws.com")
    with object_store(other) as address:
        s3 = boto3.session.Session().client(
            "s3",
            region_name=REGION,
            endpoint_url=address,
            aws_access_key_id=user.credentials[0],
            aws_secret_access_key=user.credentials[1],
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )
        with refused("AccessDenied"):
            put(s3, "stolen", key)


def test_a_suspended_service(server, s3_of, user, key):
    s3 = s3_of(user.credentials)
    put(s3, "suspended", key)
    assert server.run("service", "suspend", S3).returncode == 0
    try:
        with refused("AccessDenied"):
            content(s3, "suspended")
    finally:
        assert server.run("service", "resume", S3).returncode == 0
    assert content(s3, "suspended") == b"content"
