"""The rows of the walk: one for each operation that is built. `walk.Row` says what they hold.

Those of operations for other keys than symmetric ones are in `walk_rows_families`.
"""

import walk_rows_families
from node import ACCOUNT, OTHER_REGION
from walk import ROWS, row
from walk_columns import (
    AUTOMATIC,
    CANCELLED,
    CHANGED,
    EMPTIED,
    FILLED,
    ON_DEMAND,
    PREPARED,
    PROMOTED,
    READ,
    REPLICABLE,
    ROTATION,
    SCHEDULED,
    SWITCHED,
    USED,
    alias_and_keys,
    audit,
    beside_ciphertext,
    by_alias,
    by_ciphertext,
    by_name,
    grant,
    import_token,
    key_arn,
    new_alias,
    new_key,
    none,
    own_alias,
    own_blob,
    own_key,
    own_policy,
    own_root,
    source_and_destination,
    wrapped_material,
)
from walk_world import IMPORTED, MULTI_REGION, REPLICATED, SECRET, SYMMETRIC, TAG, Key, encoded

__all__ = ["ALONE", "ROWS", "walk_rows_families"]

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
    "CreateGrant",
    touches=[
        by_name("CreateGrant", USED, GranteePrincipal=own_root, Operations=["Decrypt", "Encrypt"])
    ],
    alone=None,
    shape={"GrantId", "GrantToken"},
    items=None,
    audit=audit(False, key_arn, ["granteePrincipal", "keyId", "operations"], ["grantId"]),
    grpc={"GrantId", "GrantToken"},
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
    "DeleteImportedKeyMaterial",
    touches=[by_name("DeleteImportedKeyMaterial", EMPTIED, kind=IMPORTED)],
    alone=None,
    shape={"KeyId", "KeyMaterialId"},
    items=None,
    audit=audit(False, key_arn, ["keyId"]),
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
    "DisableKeyRotation",
    touches=[by_name("DisableKeyRotation", AUTOMATIC)],
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
    "EnableKeyRotation",
    touches=[by_name("EnableKeyRotation", AUTOMATIC, RotationPeriodInDays=180)],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["keyId", "rotationPeriodInDays"]),
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
    "GetKeyLastUsage",
    touches=[by_name("GetKeyLastUsage", READ)],
    alone=None,
    shape={"KeyCreationDate", "KeyId", "KeyLastUsage", "TrackingStartDate"},
    items=None,
    audit=audit(True, key_arn, ["keyId"]),
    # In JSON it is there even if it has no members.
    grpc=set(),
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
    "GetParametersForImport",
    touches=[
        by_name(
            "GetParametersForImport",
            PREPARED,
            kind=IMPORTED,
            WrappingAlgorithm="RSAES_OAEP_SHA_256",
            WrappingKeySpec="RSA_2048",
        )
    ],
    alone=None,
    shape={"ImportToken", "KeyId", "ParametersValidTo", "PublicKey"},
    items=None,
    audit=audit(True, key_arn, ["keyId", "wrappingAlgorithm", "wrappingKeySpec"]),
    grpc={"ImportToken", "PublicKey"},
)
row(
    "ImportKeyMaterial",
    touches=[
        by_name(
            "ImportKeyMaterial",
            FILLED,
            kind=IMPORTED,
            ImportToken=import_token,
            EncryptedKeyMaterial=wrapped_material,
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        )
    ],
    alone=None,
    shape={"KeyId", "KeyMaterialId"},
    items=None,
    audit=audit(False, key_arn, ["expirationModel", "keyId"]),
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
    items={"member": "Grants", "add": Key.grant},
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
    "ListKeyRotations",
    touches=[by_name("ListKeyRotations", READ)],
    alone=None,
    shape={"Rotations"} | PAGE,
    items={"member": "Rotations", "add": Key.rotate},
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
    grpc={"NextMarker"},  # sealed anew each time
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
    "ListRetirableGrants",
    touches=[],
    # Nobody who is there: the tests make grants without end that the root may retire.
    alone={"RetiringPrincipal": f"arn:aws:iam::{ACCOUNT}:user/nobody"},
    shape={"Grants"} | PAGE,
    items={"member": "Grants", "add": None},
    audit=audit(True, none, ["retiringPrincipal"]),
    grpc=set(),
)
row(
    "PutKeyPolicy",
    touches=[by_name("PutKeyPolicy", READ, Policy=own_policy)],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["bypassPolicyLockoutSafetyCheck", "keyId", "policy"]),
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
    "RetireGrant",
    touches=[by_name("RetireGrant", READ, GrantId=grant)],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["grantId", "keyId"]),
    grpc=set(),
)
row(
    "RevokeGrant",
    touches=[by_name("RevokeGrant", READ, GrantId=grant)],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["grantId", "keyId"]),
    grpc=set(),
)
row(
    "ReplicateKey",
    touches=[
        by_name(
            "ReplicateKey", REPLICABLE, kind=SYMMETRIC + MULTI_REGION, ReplicaRegion=OTHER_REGION
        )
    ],
    alone=None,
    shape={"ReplicaKeyMetadata", "ReplicaPolicy"},
    items=None,
    audit=audit(
        False,
        key_arn,
        ["bypassPolicyLockoutSafetyCheck", "keyId", "replicaRegion"],
        ["replicaKeyMetadata", "replicaPolicy"],
    ),
    grpc={"ReplicaKeyMetadata"},
)
row(
    "RotateKeyOnDemand",
    touches=[by_name("RotateKeyOnDemand", ON_DEMAND)],
    alone=None,
    shape={"KeyId"},
    items=None,
    audit=audit(False, key_arn, ["keyId"]),
    grpc=set(),
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
row(
    "UpdatePrimaryRegion",
    touches=[
        by_name(
            "UpdatePrimaryRegion", PROMOTED, kind=SYMMETRIC + REPLICATED, PrimaryRegion=OTHER_REGION
        )
    ],
    alone=None,
    shape=set(),
    items=None,
    audit=audit(False, key_arn, ["keyId", "primaryRegion"]),
    grpc=set(),
)

# Those that a Region can do which is connected with no other one.
ALONE = {
    operation: row
    for operation, row in ROWS.items()
    if not any(MULTI_REGION in touch.kind for touch in row.touches)
}
