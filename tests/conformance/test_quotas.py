"""Quotas of resources and of requests, at small configured numbers."""

import json

import pytest
import urllib3
from botocore.exceptions import ClientError
from expect import refused
from node import ACCOUNT, serving

KEYS, ALIASES, GRANTS, TAGS, POLICY = 8, 2, 3, 4, 700
QUOTAS = {
    "keys_per_account": KEYS,
    "aliases_per_key": ALIASES,
    "grants_per_key": GRANTS,
    "tags_per_key": TAGS,
    "policy_size": POLICY,
}
RATE = 20
THROTTLED = (
    "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
)


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A server with small quotas of resources."""
    with serving(tmp_path_factory.mktemp("quotas"), {"quotas": QUOTAS}) as server:
        yield server


@pytest.fixture(scope="module")
def kms(limited):
    return limited.client()


@pytest.fixture(scope="module")
def key(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


@pytest.fixture(scope="module")
def throttled(tmp_path_factory):
    """A server with a small quota of requests for its account."""
    quota = {"account": ACCOUNT, "symmetric": RATE, "lists": 1}
    with serving(tmp_path_factory.mktemp("throttled"), {"request_quota": [quota]}) as server:
        yield server


def tags(count):
    return [{"TagKey": f"t{number}", "TagValue": "v"} for number in range(count)]


def test_aliases_per_key(kms, key):
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    for number in range(ALIASES):
        kms.create_alias(AliasName=f"alias/q{number}", TargetKeyId=key)
    before = kms.list_aliases()["Aliases"]
    with refused("LimitExceededException", f"A key cannot have more than {ALIASES} aliases."):
        kms.create_alias(AliasName="alias/more", TargetKeyId=key)
    assert kms.list_aliases()["Aliases"] == before
    kms.create_alias(AliasName="alias/more", TargetKeyId=other)
    with refused("LimitExceededException", f"A key cannot have more than {ALIASES} aliases."):
        kms.update_alias(AliasName="alias/more", TargetKeyId=key)


def test_grants_per_key(kms, key):
    grant = {"KeyId": key, "GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:root"}
    made = [kms.create_grant(**grant, Operations=["Encrypt"])["GrantId"] for _ in range(GRANTS)]
    with refused("LimitExceededException", f"A key cannot have more than {GRANTS} grants."):
        kms.create_grant(**grant, Operations=["Encrypt"])
    assert {entry["GrantId"] for entry in kms.list_grants(KeyId=key)["Grants"]} == set(made)
    kms.revoke_grant(KeyId=key, GrantId=made[0])
    kms.create_grant(**grant, Operations=["Encrypt"])


def test_tags_per_key(kms, key):
    kms.tag_resource(KeyId=key, Tags=tags(TAGS - 1))
    before = kms.list_resource_tags(KeyId=key)["Tags"]
    for more in (tags(TAGS + 1), [{"TagKey": name, "TagValue": ""} for name in "ab"]):
        with refused("TagException", "Too many tags"):
            kms.tag_resource(KeyId=key, Tags=more)
        assert kms.list_resource_tags(KeyId=key)["Tags"] == before
    with refused("TagException", "Too many tags"):
        kms.create_key(Tags=tags(TAGS + 1))


def test_policy_size(kms, key):
    before = kms.get_key_policy(KeyId=key)["Policy"]
    policy = json.loads(before)
    policy["Statement"][0]["Sid"] = "x" * POLICY
    for call in (
        lambda text: kms.put_key_policy(KeyId=key, Policy=text),
        lambda text: kms.create_key(Policy=text),
    ):
        with refused("LimitExceededException", f"The policy is larger than {POLICY} bytes."):
            call(json.dumps(policy))
    assert kms.get_key_policy(KeyId=key)["Policy"] == before


def test_keys_per_account(kms):
    for _ in range(KEYS - len(kms.list_keys()["Keys"])):
        last = kms.create_key()["KeyMetadata"]["KeyId"]
    before = kms.list_keys()["Keys"]
    kms.schedule_key_deletion(KeyId=last, PendingWindowInDays=7)
    for tagged in ([], tags(1)):
        with refused("LimitExceededException", f"An account cannot have more than {KEYS} keys."):
            kms.create_key(Tags=tagged)
    assert kms.list_keys()["Keys"] == before


def test_a_quota_of_requests(throttled):
    kms = throttled.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    reply = None
    for _ in range(50 * RATE):
        reply = throttled.call(
            "Encrypt",
            {"KeyId": key, "Plaintext": "AAAA"},
            access_key=throttled.credentials()[0],
            secret=throttled.credentials()[1],
        )
        if reply.status != 200:
            break
    assert (reply.status, reply.code, reply.message) == (400, "ThrottlingException", THROTTLED)
    kms.describe_key(KeyId=key)
    with pytest.raises(ClientError, match="DryRunOperation|Throttling"):
        kms.encrypt(KeyId=key, Plaintext=b"x", DryRun=True)

    kms.list_keys()
    with refused("ThrottlingException", THROTTLED):
        for _ in range(100):
            kms.list_aliases()
    metrics = urllib3.request("GET", f"{throttled.operations}/metrics").data.decode()
    counted = [line for line in metrics.splitlines() if line.startswith("keystead_throttled_total")]
    assert any('reason="quota",class="symmetric"' in line for line in counted), counted
    assert any('reason="quota",class="lists"' in line for line in counted), counted
