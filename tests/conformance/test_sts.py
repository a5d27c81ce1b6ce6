"""STS: who am I?"""

import boto3
import botocore.config
import pytest
from expect import UUID, refused
from node import ACCOUNT, OTHER_ACCOUNT


def test_caller_identity(node):
    reply = node.client("sts").get_caller_identity()
    assert UUID.fullmatch(reply["ResponseMetadata"]["RequestId"])
    assert (reply["Account"], reply["Arn"]) == (
        "000000000000",
        "arn:aws:iam::000000000000:root",
    )
    assert reply["UserId"]


def test_another_account(node):
    reply = node.client("sts", account=OTHER_ACCOUNT).get_caller_identity()
    assert (reply["Account"], reply["Arn"]) == (OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:root")


def test_with_nothing_but_the_exports(node, monkeypatch):
    for name, value in node.shell().items():
        monkeypatch.setenv(name, value)
    session = boto3.session.Session()
    assert session.client("sts").get_caller_identity()["Account"] == "000000000000"
    assert session.client("kms").list_keys()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.dev("a server serves one Region")
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_every_region_serves_it(node, region):
    assert node.client("sts", region=region).get_caller_identity()["Account"] == "000000000000"


def sts_with(node, key, secret):
    return boto3.session.Session().client(
        "sts",
        region_name="us-east-1",
        endpoint_url=node.exports["AWS_ENDPOINT_URL_STS"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        verify=node.authority,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def test_wrong_secret(node):
    """The query protocol has spellings and statuses of its own."""
    with refused("SignatureDoesNotMatch", status=403):
        sts_with(node, node.credentials(ACCOUNT)[0], "wrong").get_caller_identity()


def test_unknown_access_key(node):
    with refused("InvalidClientTokenId", status=403):
        sts_with(node, "AKIDEXAMPLE", "wrong").get_caller_identity()
