"""AWS-managed keys: made when they are first described, one for each account, service and Region;
looked at by their account, used through their service alone, and changed by nobody."""

import concurrent.futures
import datetime
import itertools
import json

import pytest
from botocore import xform_name
from expect import (
    alias_arn,
    denied,
    denied_elsewhere,
    key_arn,
    no_such_alias,
    refused,
    unique_alias,
)
from node import ACCOUNT, CREDENTIALS, OTHER_ACCOUNT, OTHER_REGION, REGION, Node
from people import iam_of, new_user, put_policy
from policies import ROOT, allow, deny, policy, text_of
from test_story_boto3 import wait_until

DAY = datetime.timedelta(days=1)
YEAR = 365 * DAY
# How policies speak of some services, how `kms:ViaService` does, and what their keys protect.
SERVICES = {
    "ebs": ("EBS", "ec2", "EBS volumes"),
    "s3": ("Amazon S3", "s3", "S3 objects"),
}
CONTEXT = {"kms:ViaService": f"s3.{REGION}.amazonaws.com", "kms:CallerAccount": ACCOUNT}


@pytest.fixture(scope="module")
def own_node():
    """One of this file's own: what is made here stays for ever."""
    accounts = [f"--account={name}:{key}:{secret}" for name, (key, secret) in CREDENTIALS.items()]
    regions = [f"--region={region}" for region in (REGION, OTHER_REGION)]
    node = Node(["--ephemeral", *accounts, *regions]).start()
    yield node
    assert node.stop() == 0


@pytest.fixture(scope="module")
def root(own_node):
    return own_node.client()


@pytest.fixture(scope="module")
def admin(own_node):
    """A user who may do everything, as far as his own policy goes."""
    return new_user(own_node, allow("kms:*"))


@pytest.fixture
def user(own_node):
    """A user who may do nothing."""
    return new_user(own_node)


@pytest.fixture(scope="module")
def managed(root):
    return described(root, "alias/aws/s3")


def described(kms, name):
    return kms.describe_key(KeyId=name)["KeyMetadata"]


def customer_key(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


def call(kms, operation, **body):
    return getattr(kms, xform_name(operation))(**body)


def listed(kms):
    """The ids of all keys of an account."""
    pages = kms.get_paginator("list_keys").paginate()
    return {key["KeyId"] for page in pages for key in page["Keys"]}


def names(kms, **more):
    """The aliases of an account, by name."""
    pages = kms.get_paginator("list_aliases").paginate(**more)
    return {alias["AliasName"]: alias for page in pages for alias in page["Aliases"]}


def policy_of(service, account, region):
    title, via, _ = SERVICES[service]
    use = ["Encrypt", "Decrypt", "ReEncrypt*", "GenerateDataKey*", "CreateGrant", "DescribeKey"]
    look = ["Describe*", "Get*", "List*", "RevokeGrant"]
    through = f"access through {title} for all principals in the account that are authorized to use"
    only = {"kms:CallerAccount": account, "kms:ViaService": f"{via}.{region}.amazonaws.com"}
    return {
        "Version": "2012-10-17",
        "Id": f"auto-{service}-1",
        "Statement": [
            {
                "Sid": f"Allow {through} {title}",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"kms:{action}" for action in use],
                "Resource": "*",
                "Condition": {"StringEquals": only},
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": [f"kms:{action}" for action in look],
                "Resource": "*",
            },
        ],
    }


def test_one_for_each_account_service_and_region(own_node):
    made = {}
    for account, region in itertools.product((ACCOUNT, OTHER_ACCOUNT), (REGION, OTHER_REGION)):
        kms = own_node.client(account=account, region=region)
        for service, (_, _, protects) in SERVICES.items():
            key = described(kms, f"alias/aws/{service}")
            assert key["Description"] == (
                f"Default key that protects my {protects} when no other key is defined"
            )
            assert key["Arn"] == key_arn(key["KeyId"], region, account)
            found = json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])
            assert found == policy_of(service, account, region)
            arn = alias_arn(f"alias/aws/{service}", region, account)
            for name in (f"alias/aws/{service}", arn, key["KeyId"], key["Arn"]):
                assert described(kms, name) == key, "it stays the same"
            made[account, region, service] = key["KeyId"]
        assert {made[account, region, service] for service in SERVICES} <= listed(kms)
    assert len(set(made.values())) == len(made) == 8


def test_what_it_is(root, managed):
    assert managed | {"KeyId": "", "Arn": "", "CreationDate": "", "CurrentKeyMaterialId": ""} == {
        "AWSAccountId": ACCOUNT,
        "KeyId": "",
        "Arn": "",
        "CreationDate": "",
        "Enabled": True,
        "Description": "Default key that protects my S3 objects when no other key is defined",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "AWS",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
        "CurrentKeyMaterialId": "",
    }


def test_its_account_looks_at_it(root, admin, managed):
    for kms in (root, admin.client()):
        key = {"KeyId": managed["KeyId"]}
        assert managed["KeyId"] in listed(kms)
        alias = names(kms)["alias/aws/s3"]
        assert alias["TargetKeyId"] == managed["KeyId"]
        assert alias["AliasArn"] == alias_arn("alias/aws/s3")
        assert names(kms, **key) == {"alias/aws/s3": alias}
        assert kms.list_key_policies(**key)["PolicyNames"] == ["default"]
        assert kms.list_resource_tags(**key)["Tags"] == []
        assert kms.list_grants(**key)["Grants"] == []
        assert kms.list_key_rotations(**key)["Rotations"] == []
        status = kms.get_key_rotation_status(**key)
        assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 365)
        assert status["NextRotationDate"] == managed["CreationDate"] + YEAR
        assert kms.get_key_last_usage(**key)["KeyLastUsage"] == {}
        with refused("InvalidGrantIdException"):
            kms.revoke_grant(**key, GrantId="0" * 64)


def test_what_nobody_described_is_not_there(root):
    keys, name = listed(root), "alias/aws/sqs"
    assert name not in names(root)
    for use in (
        lambda: root.encrypt(KeyId=name, Plaintext=b"x"),
        lambda: root.generate_data_key(KeyId=name, KeySpec="AES_256"),
        lambda: root.get_public_key(KeyId=name),
    ):
        with refused("NotFoundException", no_such_alias(name)):
            use()
    for name in ("alias/aws/nothing", "alias/aws/S3", "alias/aws/s3/s3", "alias/aws/", "alias/aws"):
        with refused("NotFoundException", no_such_alias(name)):
            described(root, name)
    with refused("NotFoundException"):
        root.get_key_policy(KeyId="alias/aws/sqs")
    assert listed(root) == keys


def test_nobody_makes_it_who_may_not_describe_it(own_node, root, user):
    keys, name = listed(root), "alias/aws/lambda"
    said = denied(user.arn, "kms:DescribeKey", alias_arn(name))
    for statements in (
        [],
        [allow("kms:Encrypt")],
        [allow("kms:DescribeKey", alias_arn("alias/*"))],
    ):
        if statements:
            put_policy(iam_of(own_node), user.name, *statements)
        with refused("AccessDeniedException", said):
            described(user.client(), name)
    nothing = [allow("kms:*"), deny("kms:DescribeKey", key_arn("*"))]
    put_policy(iam_of(own_node), user.name, *nothing)
    with refused("AccessDeniedException"):
        described(user.client(), name)
    stranger = own_node.client(account=OTHER_ACCOUNT)
    with refused("AccessDeniedException", denied_elsewhere("kms:DescribeKey", OTHER_ACCOUNT)):
        described(stranger, alias_arn(name))
    assert listed(root) == keys and name not in names(root) and name not in names(stranger)


@pytest.mark.parametrize(
    "service, condition",
    [
        ("ssm", None),
        ("sns", {"StringEquals": {"kms:RequestAlias": "alias/aws/sns"}}),
        ("rds", {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/aws/rds"}}),
        ("glue", {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}),
    ],
)
def test_it_is_made_for_whoever_may_see_it_then(own_node, root, user, service, condition):
    """The first time is decided about as all later ones are."""
    name, more = f"alias/aws/{service}", {"Condition": condition} if condition else {}
    put_policy(iam_of(own_node), user.name, allow("kms:DescribeKey", key_arn("*"), **more))
    first = described(user.client(), name)
    assert first == described(user.client(), name) == described(root, name)
    events = [json.loads(line) for line in own_node.output().splitlines() if line[0] == "{"]
    events = [event for event in events if event["eventName"] == "DescribeKey"]
    events = [event for event in events if event["requestParameters"] == {"keyId": name}]
    assert [event["resources"][0]["ARN"] for event in events] == [first["Arn"]] * 3


def test_all_at_once_make_one(own_node, root, admin):
    keys, clients = listed(root), [root, admin.client()]
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        made = threads.map(lambda n: described(clients[n % 2], "alias/aws/kinesis"), range(64))
        [first] = {key["KeyId"] for key in made}
    assert listed(root) == keys | {first}


# What only a key's account does to it: the operation and what it takes besides the key.
CHANGES = {
    "PutKeyPolicy": {"Policy": text_of(policy())},
    "TagResource": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "UntagResource": {"TagKeys": ["a"]},
    "UpdateKeyDescription": {"Description": "mine"},
    "DisableKey": {},
    "EnableKey": {},
    "ScheduleKeyDeletion": {"PendingWindowInDays": 7},
    "CancelKeyDeletion": {},
    "EnableKeyRotation": {"RotationPeriodInDays": 90},
    "DisableKeyRotation": {},
    "RotateKeyOnDemand": {},
    "ImportKeyMaterial": {"ImportToken": b"x", "EncryptedKeyMaterial": b"x"},
    "DeleteImportedKeyMaterial": {},
    "CreateGrant": {"GranteePrincipal": ROOT, "Operations": ["Encrypt"]},
}


def everything(kms, key):
    """All that can be seen of a key."""
    looks = [kms.describe_key, kms.get_key_policy, kms.list_resource_tags, kms.list_aliases]
    looks += [kms.get_key_rotation_status, kms.list_key_rotations, kms.list_grants]
    return [look(KeyId=key) | {"ResponseMetadata": None} for look in looks]


@pytest.mark.parametrize("operation", CHANGES)
def test_nobody_changes_it(root, admin, managed, operation):
    before = everything(root, managed["KeyId"])
    for who, kms in ((ROOT, root), (admin.arn, admin.client())):
        for name in (managed["KeyId"], managed["Arn"]):
            with refused("AccessDeniedException", denied(who, f"kms:{operation}", managed["Arn"])):
                call(kms, operation, KeyId=name, **CHANGES[operation])
    assert everything(root, managed["KeyId"]) == before


@pytest.mark.parametrize("operation", ["CreateAlias", "UpdateAlias"])
def test_nobody_gives_it_another_name(root, admin, managed, operation):
    name = unique_alias()
    if operation == "UpdateAlias":
        root.create_alias(AliasName=name, TargetKeyId=customer_key(root))
    before = names(root)
    for who, kms in ((ROOT, root), (admin.arn, admin.client())):
        with refused("AccessDeniedException", denied(who, f"kms:{operation}", managed["Arn"])):
            call(kms, operation, AliasName=name, TargetKeyId=managed["KeyId"])
    assert names(root) == before


def test_it_takes_no_imported_material(root, managed):
    said = f"{managed['Arn']} origin is AWS_KMS which is not valid for this operation."
    wrapping = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    with refused("UnsupportedOperationException", said):
        root.get_parameters_for_import(KeyId=managed["KeyId"], **wrapping)


def test_its_names_are_nobodys(root, managed):
    key = customer_key(root)
    before = names(root)
    for name in ("alias/aws/s3", "alias/aws/xray", "alias/aws/mine"):
        for change in (
            lambda name=name: root.create_alias(AliasName=name, TargetKeyId=key),
            lambda name=name: root.update_alias(AliasName=name, TargetKeyId=key),
            lambda name=name: root.delete_alias(AliasName=name),
        ):
            with refused("NotAuthorizedException", 'The prefix "alias/aws/" is reserved.'):
                change()
    assert names(root) == before


USES = {
    "Encrypt": {"Plaintext": b"x", "EncryptionContext": CONTEXT},
    "GenerateDataKey": {"KeySpec": "AES_256", "EncryptionContext": CONTEXT},
    "GenerateDataKeyWithoutPlaintext": {"KeySpec": "AES_256"},
    "GenerateDataKeyPair": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyPairWithoutPlaintext": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateMac": {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"},
    "Sign": {"Message": b"x", "SigningAlgorithm": "ED25519_SHA_512"},
}


@pytest.mark.parametrize("operation", USES)
def test_nobody_uses_it_directly(root, admin, managed, operation):
    for who, kms in ((ROOT, root), (admin.arn, admin.client())):
        arns = {managed["KeyId"]: managed["Arn"], "alias/aws/s3": alias_arn("alias/aws/s3")}
        for name, arn in arns.items():
            with refused("AccessDeniedException", denied(who, f"kms:{operation}", arn)):
                call(kms, operation, KeyId=name, **USES[operation])


def test_nobody_uses_it_directly_for_a_ciphertext(root, admin, managed):
    blob = root.encrypt(KeyId=customer_key(root), Plaintext=b"x")["CiphertextBlob"]
    for who, kms in ((ROOT, root), (admin.arn, admin.client())):
        with refused("AccessDeniedException", denied(who, "kms:Decrypt", managed["Arn"])):
            kms.decrypt(KeyId=managed["KeyId"], CiphertextBlob=blob)
        said = denied(who, "kms:ReEncryptTo", managed["Arn"])
        with refused("AccessDeniedException", said):
            kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=managed["KeyId"])


@pytest.mark.parametrize("prefix", ["", "x-amz-", "x-amz-meta-"])
@pytest.mark.parametrize("name", ["kms:ViaService", "viaservice", "via-service", "source-service"])
def test_no_header_makes_a_caller_a_service(own_node, managed, prefix, name):
    headers = {f"{prefix}{name.replace(':', '-')}": CONTEXT["kms:ViaService"]}
    reply = own_node.call(
        "Encrypt", {"KeyId": managed["KeyId"], "Plaintext": "eA=="}, headers=headers
    )
    assert (reply.status, reply.code) == (400, "AccessDeniedException")


def test_it_rotates_every_year_and_stays_one(clock_node, clock):
    kms = clock_node.client()
    made = {name: described(kms, f"alias/aws/{name}") for name in SERVICES}
    ids = {key["KeyId"] for key in made.values()}
    materials = {name: {key["CurrentKeyMaterialId"]} for name, key in made.items()}
    for year in (1, 2):
        clock.set(year * YEAR - datetime.timedelta(hours=1))
        kms.create_alias(AliasName=unique_alias(), TargetKeyId=customer_key(kms))
        assert all(len(rotations(kms, key)) == year - 1 for key in ids)
        clock.set(year * YEAR + datetime.timedelta(minutes=1))
        wait_until(lambda year=year: all(len(rotations(kms, key)) == year for key in ids))
        for name, key in made.items():
            again = described(kms, f"alias/aws/{name}")
            materials[name].add(again["CurrentKeyMaterialId"])
            assert len(materials[name]) == year + 1
            assert again == key | {"CurrentKeyMaterialId": again["CurrentKeyMaterialId"]}
            status = kms.get_key_rotation_status(KeyId=key["KeyId"])
            late = status["NextRotationDate"] - (key["CreationDate"] + (year + 1) * YEAR)
            assert datetime.timedelta() <= late < DAY
    managed = {key for key in listed(kms) if described(kms, key)["KeyManager"] == "AWS"}
    assert managed == ids


def rotations(kms, key):
    found = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert all(rotation["RotationType"] == "AUTOMATIC" for rotation in found)
    return found


def test_it_outlives_the_process(durable_node):
    made = described(durable_node.client(), "alias/aws/s3")
    assert durable_node.stop() == 0
    durable_node.start()
    assert described(durable_node.client(), "alias/aws/s3") == made
