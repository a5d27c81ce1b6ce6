"""The rows of the walk: one for each operation that is built. `walk.Row` says what they hold."""

from expect import alias_arn, unique_alias
from walk import ROWS, row
from walk_world import SECRET, TAG, Key, encoded

__all__ = ["ROWS"]

# The kinds of rows in AWS's table of key states, in the order of `walk.States`.
USED = ("ok", "D1", "S3", "S5", "S11", "S14", "ok", "gone")
READ = ("ok", "ok", "ok", "ok", "ok", "ok", "ok", "gone")
SWITCHED = ("ok", "ok", "S3", "S5", "ok", "S14", "S15", "gone")
CHANGED = ("ok", "ok", "S3", "ok", "ok", "ok", "ok", "gone")
SCHEDULED = ("ok", "ok", "S3", "ok", "ok", "ok", "S15", "gone")
CANCELLED = ("S4", "S4", "ok", "S4", "S4", "S4", "S4", "gone")
ROTATION = ("ok", "ok", "ok", "ok", "U7", "ok", "ok", "gone")
# A ciphertext leads to a key like any other name, but tells nobody that the key is gone.
OPENED = (*USED[:-1], "hidden")
# An alias goes with its key.
RENAMED = (*READ[:-1], "no alias")


def by_name(action, states, member="KeyId", aliases=False, **rest):
    """A key that a member names, beside the rest of an input."""
    return {
        "role": member,
        "member": member,
        "aliases": aliases,
        "action": f"kms:{action}",
        "stranger": "elsewhere",
        "body": lambda account, key: {member: key.name} | made(account, rest),
        "states": states,
    }


def by_ciphertext(action, **rest):
    """The key that made a ciphertext."""
    return {
        "role": "CiphertextBlob",
        "member": None,
        "aliases": False,
        "action": f"kms:{action}",
        "stranger": "ciphertext",
        "body": lambda account, key: {"CiphertextBlob": key.blob()} | made(account, rest),
        "states": OPENED,
    }


def by_alias(action, **rest):
    """The key that an alias points at."""
    return {
        "role": "AliasName",
        "member": None,
        "aliases": False,
        "action": f"kms:{action}",
        "stranger": "own alias",
        "body": lambda account, key: {"AliasName": key.alias()} | made(account, rest),
        "states": RENAMED,
    }


def made(account, members):
    """Members of an input; what is a function is made anew for each input."""
    return {name: value(account) if callable(value) else value for name, value in members.items()}


def beside_ciphertext(action, member, **rest):
    """A key that a member names although its ciphertext would do."""
    touch = by_name(action, USED, member, aliases=True)
    return touch | {
        "body": lambda account, key: (
            {member: key.name, "CiphertextBlob": key.blob()} | made(account, rest)
        )
    }


def own_key(account):
    return account.key().id


def own_alias(account):
    return account.key().alias()


def own_blob(account):
    return account.key().blob()


def new_alias(_):
    return unique_alias()


def audit(read_only, resources, parameters=(), response=()):
    return {
        "read_only": read_only,
        "resources": resources,
        "parameters": set(parameters),
        "response": set(response),
    }


def key_arn(call):
    return [call.key.arn]


def alias_and_keys(call):
    """The alias, the key that it pointed at if any, the key that it points at now if any."""
    alias = alias_arn(call.body["AliasName"], account=call.account.number)
    target = call.body.get("TargetKeyId", call.key.id)
    arns = [alias, call.key.arn, Key(call.account, target).arn]
    return list(dict.fromkeys(arns))


def source_and_destination(call):
    return [call.key.arn, Key(call.account, call.body["DestinationKeyId"]).arn]


def new_key(call):
    return [call.output["KeyMetadata"]["Arn"]]


def none(_):
    return []


ALIAS_TARGET = {"member": "TargetKeyId", "states": CHANGED}
PAGE = {"Truncated"}

row(
    "CancelKeyDeletion",
    touches=[by_name("CancelKeyDeletion", CANCELLED)],
    alone=None,
    shape={"KeyId"},
    items=None,
    audit=audit(False, key_arn, ["keyId"], ["keyId"]),
    grpc=set(),
)
row(
    "CreateAlias",
    touches=[by_name("CreateAlias", **ALIAS_TARGET, AliasName=new_alias)],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, alias_and_keys, ["aliasName", "targetKeyId"]),
    grpc=set(),
)
row(
    "CreateKey",
    touches=[],
    alone={"Description": "walk", "Tags": [TAG]},
    shape={"KeyMetadata"},
    items=None,
    audit=audit(
        False,
        new_key,
        ["description", "keyUsage", "keySpec", "origin", "multiRegion", "tags"]
        + ["bypassPolicyLockoutSafetyCheck"],
        ["keyMetadata"],
    ),
    grpc={"KeyMetadata"},
)
row(
    "Decrypt",
    touches=[by_ciphertext("Decrypt"), beside_ciphertext("Decrypt", "KeyId")],
    alone=None,
    shape={"EncryptionAlgorithm", "KeyId", "KeyMaterialId", "Plaintext"},
    items=None,
    audit=audit(True, key_arn, ["encryptionAlgorithm"]),
    grpc=set(),
)
row(
    "DeleteAlias",
    touches=[by_alias("DeleteAlias")],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, alias_and_keys, ["aliasName"]),
    grpc=set(),
)
row(
    "DescribeKey",
    touches=[by_name("DescribeKey", READ, aliases=True)],
    alone=None,
    shape={"KeyMetadata"},
    items=None,
    audit=audit(True, key_arn, ["keyId"]),
    grpc=set(),
)
row(
    "DisableKey",
    touches=[by_name("DisableKey", SWITCHED)],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["keyId"]),
    grpc=set(),
)
row(
    "EnableKey",
    touches=[by_name("EnableKey", SWITCHED)],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["keyId"]),
    grpc=set(),
)
row(
    "Encrypt",
    touches=[by_name("Encrypt", USED, aliases=True, Plaintext=encoded(SECRET))],
    alone=None,
    shape={"CiphertextBlob", "EncryptionAlgorithm", "KeyId"},
    items=None,
    audit=audit(True, key_arn, ["encryptionAlgorithm", "keyId"]),
    grpc={"CiphertextBlob"},
)
row(
    "GenerateDataKey",
    touches=[by_name("GenerateDataKey", USED, aliases=True, KeySpec="AES_256")],
    alone=None,
    shape={"CiphertextBlob", "KeyId", "KeyMaterialId", "Plaintext"},
    items=None,
    audit=audit(True, key_arn, ["keyId", "keySpec"]),
    grpc={"CiphertextBlob", "Plaintext"},
)
row(
    "GenerateDataKeyWithoutPlaintext",
    touches=[
        by_name("GenerateDataKeyWithoutPlaintext", USED, aliases=True, KeySpec="AES_256")
    ],
    alone=None,
    shape={"CiphertextBlob", "KeyId", "KeyMaterialId"},
    items=None,
    audit=audit(True, key_arn, ["keyId", "keySpec"]),
    grpc={"CiphertextBlob"},
)
row(
    "GenerateRandom",
    touches=[],
    alone={"NumberOfBytes": 32},
    shape={"Plaintext"},
    items=None,
    audit=audit(True, none, ["numberOfBytes"]),
    grpc={"Plaintext"},
)
row(
    "GetKeyPolicy",
    touches=[by_name("GetKeyPolicy", READ)],
    alone=None,
    shape={"Policy", "PolicyName"},
    items=None,
    audit=audit(True, key_arn, ["keyId"]),
    grpc=set(),
)
row(
    "GetKeyRotationStatus",
    touches=[by_name("GetKeyRotationStatus", ROTATION)],
    alone=None,
    shape={"KeyId", "KeyRotationEnabled"},
    items=None,
    audit=audit(True, key_arn, ["keyId"]),
    grpc=set(),
)
row(
    "ListAliases",
    touches=[by_name("ListAliases", READ)],
    alone=None,
    shape={"Aliases"} | PAGE,
    items={"member": "Aliases", "add": Key.alias},
    audit=audit(True, none, ["keyId"]),
    grpc=set(),
)
row(
    "ListGrants",
    touches=[by_name("ListGrants", READ)],
    alone=None,
    shape={"Grants"} | PAGE,
    items={"member": "Grants", "add": None},
    audit=audit(True, key_arn, ["keyId"]),
    grpc=set(),
)
row(
    "ListKeyPolicies",
    touches=[by_name("ListKeyPolicies", READ)],
    alone=None,
    shape={"PolicyNames"} | PAGE,
    items={"member": "PolicyNames", "add": None},
    audit=audit(True, key_arn, ["keyId"]),
    grpc=set(),
)
row(
    "ListKeys",
    touches=[],
    alone={"Limit": 5},
    shape={"Keys", "NextMarker"} | PAGE,
    items={"member": "Keys", "add": None},
    audit=audit(True, none, ["limit"]),
    grpc=set(),
)
row(
    "ListResourceTags",
    touches=[by_name("ListResourceTags", READ)],
    alone=None,
    shape={"Tags"} | PAGE,
    items={"member": "Tags", "add": Key.tag},
    audit=audit(True, key_arn, ["keyId"]),
    grpc=set(),
)
row(
    "ReEncrypt",
    touches=[
        by_ciphertext("ReEncryptFrom", DestinationKeyId=own_key),
        beside_ciphertext("ReEncryptFrom", "SourceKeyId", DestinationKeyId=own_key),
        by_name("ReEncryptTo", USED, "DestinationKeyId", aliases=True, CiphertextBlob=own_blob),
    ],
    alone=None,
    shape={
        "CiphertextBlob",
        "DestinationEncryptionAlgorithm",
        "DestinationKeyMaterialId",
        "KeyId",
        "SourceEncryptionAlgorithm",
        "SourceKeyId",
        "SourceKeyMaterialId",
    },
    items=None,
    audit=audit(
        True,
        source_and_destination,
        ["destinationEncryptionAlgorithm", "destinationKeyId", "sourceEncryptionAlgorithm"],
    ),
    # Each valid input has a new destination.
    grpc={"CiphertextBlob", "DestinationKeyMaterialId", "KeyId"},
)
row(
    "ScheduleKeyDeletion",
    touches=[by_name("ScheduleKeyDeletion", SCHEDULED, PendingWindowInDays=7)],
    alone=None,
    shape={"DeletionDate", "KeyId", "KeyState", "PendingWindowInDays"},
    items=None,
    audit=audit(
        False,
        key_arn,
        ["keyId", "pendingWindowInDays"],
        ["deletionDate", "keyId", "keyState", "pendingWindowInDays"],
    ),
    grpc={"DeletionDate"},
)
row(
    "TagResource",
    touches=[by_name("TagResource", CHANGED, Tags=[TAG])],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["keyId", "tags"]),
    grpc=set(),
)
row(
    "UntagResource",
    touches=[by_name("UntagResource", CHANGED, TagKeys=["name"])],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["keyId", "tagKeys"]),
    grpc=set(),
)
row(
    "UpdateAlias",
    touches=[
        by_alias("UpdateAlias", TargetKeyId=own_key),
        by_name("UpdateAlias", **ALIAS_TARGET, AliasName=own_alias),
    ],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, alias_and_keys, ["aliasName", "targetKeyId"]),
    grpc=set(),
)
row(
    "UpdateKeyDescription",
    touches=[by_name("UpdateKeyDescription", CHANGED, Description="new")],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["description", "keyId"]),
    grpc=set(),
)
