"""The nodes of a deployment, as their clients and operators see them."""

import json
import secrets
from dataclasses import dataclass

import boto3
import botocore.config
from node import EXPORT

REGION = "eu-central-1"
ACCOUNT = "111122223333"
STATUS = ("keystead", "cluster", "status", "--data-dir", "/var/lib/keystead", "--output", "json")
PLAINTEXT = b"known only to those who may"


def seal_key():
    return secrets.token_bytes(32)


def join_secret():
    return secrets.token_hex(32).encode()


def create_account(run):
    """What `keystead account create` prints for a shell to take over; `run` runs it in a node."""
    done = run("keystead", "account", "create", ACCOUNT)
    assert done.returncode == 0, done.stderr
    exports = dict(match.groups() for match in map(EXPORT.match, done.stdout.splitlines()) if match)
    return exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"]


@dataclass
class Member:
    """What `keystead cluster status` says of one member."""

    name: str
    node_id: object
    role: str
    is_voter: bool


def members(run):
    """The members by name, as the node sees them in which `run` runs commands."""
    done = run(*STATUS)
    assert done.returncode == 0, done.stderr
    found = [
        Member(each["Name"], each["NodeId"], each["Role"], each["Voter"])
        for each in json.loads(done.stdout)["Members"]
    ]
    by_name = {member.name: member for member in found}
    assert len(by_name) == len(found), f"a name twice: {found}"
    return by_name


def client(endpoint, credentials, authority=None, region=REGION, **config):
    """A boto3 client with its default settings, but for those in `config`."""
    key, secret = credentials
    return boto3.session.Session().client(
        "kms",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        verify=authority,
        config=botocore.config.Config(**config),
    )


def seal(kms):
    """A ciphertext of `PLAINTEXT` under a key of its own."""
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    return kms.encrypt(KeyId=key, Plaintext=PLAINTEXT)["CiphertextBlob"]


def opens(kms, blob):
    return kms.decrypt(CiphertextBlob=blob)["Plaintext"] == PLAINTEXT
