"""What conditions may ask about a request: for each operation the keys that it has, with the values
that they have, whether the request states them or leaves them to their defaults."""

import pytest
from node import ACCOUNT, OTHER_REGION, REGION
from people import new_user
from policies import ROOT, allow
from walk_rows import ROWS
from walk_wires import generated, wire
from walk_world import TAG, Account

pytestmark = pytest.mark.dev("every node decides by the same state; the stories are told to each")

PURPOSE = {"purpose": "test"}
CONTEXT = {"EncryptionContext": PURPOSE}
SUBSET = {"Constraints": {"EncryptionContextSubset": PURPOSE}}
CONTEXT_KEYS = {"kms:EncryptionContext:purpose": "test", "kms:EncryptionContextKeys": "purpose"}
SYMMETRIC = {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
OF_A_KEY = {
    "kms:CallerAccount": ACCOUNT,
    "kms:KeySpec": "SYMMETRIC_DEFAULT",
    "kms:CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
    "kms:KeyUsage": "ENCRYPT_DECRYPT",
    "kms:CustomerMasterKeyUsage": "ENCRYPT_DECRYPT",
    "kms:KeyOrigin": "AWS_KMS",
    "kms:MultiRegion": "false",
}
OF_A_PRIMARY = OF_A_KEY | {"kms:MultiRegion": "true", "kms:MultiRegionKeyType": "PRIMARY"}
FOR_NOBODY = {"kms:GrantIsForAWSResource": "false"}
BYPASS = {"kms:BypassPolicyLockoutSafetyCheck": "false"}
RAW = {"kms:MessageType": "RAW", "kms:SigningAlgorithm": "ECDSA_SHA_256"}
REENCRYPTED = {"SourceEncryptionContext": {}, "DestinationEncryptionContext": PURPOSE}

# An action, members of the request besides those that it needs, and the keys with their values.
STATED = [
    ("kms:DescribeKey", {}, OF_A_KEY),
    ("kms:ScheduleKeyDeletion", {}, OF_A_KEY),
    ("kms:CreateKey", {}, OF_A_KEY | BYPASS),
    ("kms:CreateKey", {"Tags": [TAG]}, {"aws:RequestTag/name": "value", "aws:TagKeys": "name"}),
    ("kms:TagResource", {}, {"aws:RequestTag/name": "value", "aws:TagKeys": "name"}),
    ("kms:UntagResource", {}, {"aws:TagKeys": "name"}),
    ("kms:Encrypt", CONTEXT, OF_A_KEY | SYMMETRIC | CONTEXT_KEYS),
    ("kms:Decrypt", {}, OF_A_KEY | SYMMETRIC),
    ("kms:GenerateDataKey", CONTEXT, SYMMETRIC | CONTEXT_KEYS),
    ("kms:GenerateDataKeyWithoutPlaintext", CONTEXT, SYMMETRIC | CONTEXT_KEYS),
    (
        "kms:GenerateDataKeyPair",
        CONTEXT,
        SYMMETRIC | CONTEXT_KEYS | {"kms:DataKeyPairSpec": "ECC_NIST_P256"},
    ),
    (
        "kms:GenerateDataKeyPairWithoutPlaintext",
        CONTEXT,
        SYMMETRIC | CONTEXT_KEYS | {"kms:DataKeyPairSpec": "ECC_NIST_P256"},
    ),
    ("kms:ReEncryptFrom", REENCRYPTED, SYMMETRIC | {"kms:ReEncryptOnSameKey": "false"}),
    (
        "kms:ReEncryptTo",
        REENCRYPTED,
        SYMMETRIC | CONTEXT_KEYS | {"kms:ReEncryptOnSameKey": "false"},
    ),
    ("kms:Sign", {}, RAW | {"kms:KeyUsage": "SIGN_VERIFY"}),
    ("kms:Verify", {}, RAW | {"kms:KeySpec": "ECC_NIST_P256"}),
    ("kms:GenerateMac", {}, {"kms:MacAlgorithm": "HMAC_SHA_256"}),
    ("kms:VerifyMac", {}, {"kms:MacAlgorithm": "HMAC_SHA_256"}),
    ("kms:DeriveSharedSecret", {}, {"kms:KeyAgreementAlgorithm": "ECDH"}),
    (
        "kms:GetParametersForImport",
        {},
        {
            "kms:WrappingAlgorithm": "RSAES_OAEP_SHA_256",
            "kms:WrappingKeySpec": "RSA_2048",
            "kms:KeyOrigin": "EXTERNAL",
        },
    ),
    (
        "kms:ImportKeyMaterial",
        {},
        {"kms:ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "kms:KeyOrigin": "EXTERNAL"},
    ),
    ("kms:GetKeyPolicy", {}, {"kms:PolicyName": "default"}),
    ("kms:PutKeyPolicy", {}, BYPASS | {"kms:PolicyName": "default"}),
    (
        "kms:CreateGrant",
        SUBSET | {"RetiringPrincipal": ROOT, "Operations": ["Encrypt"]},
        FOR_NOBODY
        | CONTEXT_KEYS
        | {
            "kms:GranteePrincipal": ROOT,
            "kms:RetiringPrincipal": ROOT,
            "kms:GrantOperations": "Encrypt",
            "kms:GrantConstraintType": "EncryptionContextSubset",
        },
    ),
    (
        "kms:CreateGrant",
        {"Constraints": {"EncryptionContextEquals": PURPOSE}},
        CONTEXT_KEYS | {"kms:GrantConstraintType": "EncryptionContextEquals"},
    ),
    ("kms:ListGrants", {}, FOR_NOBODY),
    ("kms:RevokeGrant", {}, FOR_NOBODY),
    (
        "kms:GenerateRandom",
        {},
        {
            "kms:CallerAccount": ACCOUNT,
            "aws:PrincipalAccount": ACCOUNT,
            "aws:PrincipalType": "User",
            "aws:PrincipalIsAWSService": "false",
            "aws:ViaAWSService": "false",
            "aws:RequestedRegion": REGION,
        },
    ),
    ("kms:DisableKey", {}, {"aws:ResourceAccount": ACCOUNT}),
    ("kms:DisableKeyRotation", {}, OF_A_KEY),
    ("kms:EnableKeyRotation", {}, OF_A_KEY),
    ("kms:ListKeyRotations", {}, OF_A_KEY),
    ("kms:RotateKeyOnDemand", {}, OF_A_KEY),
    ("kms:CreateAlias", {}, {"aws:ResourceAccount": ACCOUNT}),
    ("kms:ReplicateKey", {}, OF_A_PRIMARY | {"kms:ReplicaRegion": OTHER_REGION}),
    ("kms:UpdatePrimaryRegion", {}, OF_A_PRIMARY | {"kms:PrimaryRegion": OTHER_REGION}),
]
# The same for keys that a request does not have.
ABSENT = [
    (
        "kms:DescribeKey",
        {},
        [
            "kms:ViaService",
            "kms:RequestAlias",
            "kms:ResourceAliases",
            "kms:EncryptionContextKeys",
            "kms:MultiRegionKeyType",
            "aws:ResourceTag/name",
            "aws:RequestTag/name",
            "aws:TagKeys",
            "aws:CalledVia",
            "aws:MultiFactorAuthPresent",
            "aws:MultiFactorAuthAge",
            "aws:TokenIssueTime",
            "aws:SourceVpc",
            "aws:SourceVpce",
            "aws:SourceArn",
            "aws:SourceAccount",
            "aws:PrincipalOrgID",
            "aws:PrincipalTag/name",
            "aws:referer",
        ],
    ),
    ("kms:Encrypt", {}, ["kms:EncryptionContext:purpose", "kms:EncryptionContextKeys"]),
    ("kms:CreateKey", {}, ["aws:RequestTag/name", "aws:TagKeys", *BYPASS]),
    ("kms:PutKeyPolicy", {}, [*BYPASS]),
    (
        "kms:CreateGrant",
        {},
        ["kms:RetiringPrincipal", "kms:GrantConstraintType", "kms:GranteeServicePrincipal"],
    ),
    ("kms:UntagResource", {}, ["aws:RequestTag/name"]),
]


def each_key(table, values):
    for action, more, keys in table:
        for key in keys:
            label = f"{action.removeprefix('kms:')}-{key}"
            yield pytest.param(action, more, key, *values(keys, key), id=label)


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


class Asker:
    """Asks whether a user may act whom a condition must let; None as a member leaves it out."""

    def __init__(self, wire, own, action, more):
        operation = action.removeprefix("kms:")
        self.operation = "ReEncrypt" if operation.startswith("ReEncrypt") else operation
        self.wire, self.own, self.action, self.more = wire, own, action, more

    def may(self, condition):
        if not self.wire.has_secrets:
            pytest.skip("certificates here are of accounts")
        others = {"Effect": "Allow", "NotAction": self.action, "Resource": "*"}
        user = new_user(self.own.node, others, allow(self.action, Condition=condition))
        body, _ = ROWS[self.operation].input(self.own)
        if self.operation == "CreateKey":
            body.pop("Tags")
        body = {name: value for name, value in (body | self.more).items() if value is not None}
        answer = self.wire.call(user, self.operation, body)
        assert answer.code in ("OK", "AccessDeniedException"), answer.message
        return answer.code == "OK"


@pytest.fixture
def ask(wire, own, action, more):
    return Asker(wire, own, action, more)


@pytest.mark.parametrize(
    "action, more, key, value", list(each_key(STATED, lambda keys, key: [keys[key]]))
)
def test_a_key_and_its_value(ask, key, value):
    if value in ("true", "false"):
        wrong = "true" if value == "false" else "false"
        conditions = {"Bool": {key: value}}, {"Bool": {key: wrong}}
    else:
        conditions = {"StringEquals": {key: value}}, {"StringEquals": {key: f"{value}-"}}
    right, wrong = conditions
    assert ask.may(right) and not ask.may(wrong)
    if key not in BYPASS:
        assert ask.may({"Null": {key: "false"}}) and not ask.may({"Null": {key: "true"}})


@pytest.mark.parametrize("action, more, key", list(each_key(ABSENT, lambda keys, key: [])))
def test_a_key_that_is_absent(ask, key):
    assert ask.may({"Null": {key: "true"}}) and not ask.may({"Null": {key: "false"}})


@pytest.mark.parametrize(
    "action, more, condition, may",
    [
        ("DisableKey", {}, {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ("DisableKey", {}, {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ("DisableKey", {}, {"ArnLike": {"aws:PrincipalArn": ROOT}}, False),
        (
            "DisableKey",
            {},
            {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/*"}},
            True,
        ),
        ("DisableKey", {}, {"StringLike": {"aws:userid": "AIDA*"}}, True),
        ("DisableKey", {}, {"StringLike": {"aws:username": "user-*"}}, True),
        ("DisableKey", {}, {"NumericGreaterThan": {"aws:EpochTime": "1000000000"}}, True),
        ("DisableKey", {}, {"NumericLessThan": {"aws:EpochTime": "1000000000"}}, False),
        (
            "DisableKey",
            {},
            {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
            True,
        ),
        (
            "DisableKey",
            {},
            {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
            False,
        ),
        *(
            (
                "ScheduleKeyDeletion",
                {"PendingWindowInDays": days},
                {operator: {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}},
                may,
            )
            for days, operator, may in [
                (7, "NumericLessThan", True),
                (7, "NumericEquals", False),
                (30, "NumericEquals", True),
                (None, "NumericEquals", True),
                (None, "NumericLessThan", False),
            ]
        ),
        *(
            (
                "EnableKeyRotation",
                {"RotationPeriodInDays": days},
                {operator: {"kms:RotationPeriodInDays": "365"}},
                may,
            )
            for days, operator, may in [
                (90, "NumericLessThan", True),
                (90, "NumericEquals", False),
                (365, "NumericEquals", True),
                (None, "NumericEquals", True),
                (None, "NumericLessThan", False),
                (2560, "NumericGreaterThan", True),
            ]
        ),
        *(
            ("Sign", {"MessageType": stated}, {"StringEquals": {"kms:MessageType": "RAW"}}, True)
            for stated in ("RAW", None)
        ),
        ("PutKeyPolicy", {"BypassPolicyLockoutSafetyCheck": True}, {"Bool": BYPASS}, False),
        ("PutKeyPolicy", {"BypassPolicyLockoutSafetyCheck": False}, {"Bool": BYPASS}, True),
        ("CreateKey", {"BypassPolicyLockoutSafetyCheck": True}, {"Bool": BYPASS}, False),
        (
            "CreateKey",
            {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
            {"StringEquals": {"kms:KeySpec": "HMAC_256", "kms:KeyUsage": "GENERATE_VERIFY_MAC"}},
            True,
        ),
        (
            "CreateKey",
            {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
            {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}},
            False,
        ),
    ],
)
def test_other_comparisons(wire, own, action, more, condition, may):
    assert Asker(wire, own, f"kms:{action}", more).may(condition) == may
