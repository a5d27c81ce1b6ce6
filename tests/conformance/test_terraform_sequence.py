"""The calls that Terraform's `aws_kms_key` makes, as data: one list for each thing it does."""

import json

import pytest

TAGS = [{"TagKey": "Name", "TagValue": "example"}, {"TagKey": "env", "TagValue": "test"}]
# After every change, and before it plans one, it reads all of this.
READ = [
    ("DescribeKey", {}),
    ("GetKeyPolicy", {"PolicyName": "default"}),
    ("GetKeyRotationStatus", {}),
    ("ListResourceTags", {}),
]
# Each step: its name, its calls, and what the reads find afterwards.
STEPS = [
    ("description", [("UpdateKeyDescription", {"Description": "changed"})]),
    (
        "tags",
        [
            ("UntagResource", {"TagKeys": ["env"]}),
            ("TagResource", {"Tags": [{"TagKey": "Name", "TagValue": "renamed"}]}),
        ],
    ),
    ("rotation", [("EnableKeyRotation", {"RotationPeriodInDays": 180})]),
    ("another period", [("EnableKeyRotation", {"RotationPeriodInDays": 365})]),
    ("disabled", [("DisableKey", {})]),
    ("enabled", [("EnableKey", {})]),
    ("no rotation", [("DisableKeyRotation", {})]),
]
EXPECTED = {
    "created": {"Description": "made", "Enabled": True, "Tags": {"Name": "example", "env": "test"}},
    "description": {"Description": "changed"},
    "tags": {"Tags": {"Name": "renamed"}},
    "rotation": {"Rotation": 180},
    "another period": {"Rotation": 365},
    "disabled": {"Enabled": False},
    "enabled": {"Enabled": True},
    "no rotation": {"Rotation": None},
}


@pytest.fixture(scope="module")
def resource(kms):
    """Applies calls to one key, which the first step creates."""
    creation = {
        "Description": "made",
        "BypassPolicyLockoutSafetyCheck": False,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": False,
        "Tags": TAGS,
    }
    key_id = kms.create_key(**creation)["KeyMetadata"]["KeyId"]

    def apply(calls):
        return {name: call(kms, name, KeyId=key_id, **members) for name, members in calls}

    return apply


def call(kms, operation, **members):
    method = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation)
    return getattr(kms, method.lstrip("_"))(**members)


def found(resource):
    """What a read finds, as Terraform compares it with its plan."""
    replies = resource(READ)
    metadata = replies["DescribeKey"]["KeyMetadata"]
    tags = replies["ListResourceTags"]["Tags"]
    rotation = replies["GetKeyRotationStatus"]
    enabled = rotation["KeyRotationEnabled"]
    return {
        "Description": metadata["Description"],
        "Enabled": metadata["Enabled"],
        "KeyState": metadata["KeyState"],
        "Tags": {tag["TagKey"]: tag["TagValue"] for tag in tags},
        "Policy": json.loads(replies["GetKeyPolicy"]["Policy"])["Id"],
        "Rotation": rotation.get("RotationPeriodInDays") if enabled else None,
    }


def test_create_read_update_delete(resource):
    expected = EXPECTED["created"] | {
        "KeyState": "Enabled",
        "Policy": "key-default-1",
        "Rotation": None,
    }
    assert found(resource) == expected
    for name, calls in STEPS:
        resource(calls)
        expected |= EXPECTED[name]
        expected["KeyState"] = "Enabled" if expected["Enabled"] else "Disabled"
        # It reads until what it wrote is what it sees; here the first read must do.
        assert found(resource) == expected, name

    deleted = resource([("ScheduleKeyDeletion", {"PendingWindowInDays": 7})])
    assert deleted["ScheduleKeyDeletion"]["KeyState"] == "PendingDeletion"
    # A resource in this state counts as gone.
    assert resource(READ)["DescribeKey"]["KeyMetadata"]["KeyState"] == "PendingDeletion"
