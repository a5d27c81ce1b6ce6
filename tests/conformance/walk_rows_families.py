"""The rows of the walk for operations on key pairs and MAC keys, and for data key pairs."""

from walk import row
from walk_columns import USED, audit, by_name, encapsulated, key_arn, mac, signature
from walk_world import (
    AGREED,
    AGREEMENT,
    AUTHENTICATED,
    ENCAPSULATED,
    ENCAPSULATION,
    MAC,
    SIGNED,
    SIGNING,
)


def of_kind(operation, kind, **rest):
    """The one key of an operation that its usage must fit."""
    return [by_name(operation, USED, aliases=True, kind=kind, **rest)]


def used(*parameters):
    return audit(True, key_arn, ["keyId", *parameters])


row(
    "Decapsulate",
    touches=of_kind(
        "Decapsulate",
        ENCAPSULATION,
        **ENCAPSULATED,
        SharedSecretCiphertextBlob=encapsulated,
    ),
    alone=None,
    shape={"EncapsulationAlgorithm", "KeyId", "SharedSecret"},
    items=None,
    audit=used("encapsulationAlgorithm"),
    # Each valid input has a new secret.
    grpc={"SharedSecret"},
)
row(
    "DeriveSharedSecret",
    touches=of_kind("DeriveSharedSecret", AGREEMENT, **AGREED),
    alone=None,
    shape={"KeyAgreementAlgorithm", "KeyId", "KeyOrigin", "SharedSecret"},
    items=None,
    audit=used("keyAgreementAlgorithm"),
    grpc=set(),
)
row(
    "Encapsulate",
    touches=of_kind("Encapsulate", ENCAPSULATION, **ENCAPSULATED),
    alone=None,
    shape={"EncapsulationAlgorithm", "KeyId", "SharedSecret", "SharedSecretCiphertextBlob"},
    items=None,
    audit=used("encapsulationAlgorithm"),
    grpc={"SharedSecret", "SharedSecretCiphertextBlob"},
)
row(
    "GenerateDataKeyPair",
    touches=[by_name("GenerateDataKeyPair", USED, aliases=True, KeyPairSpec="ECC_NIST_P256")],
    alone=None,
    shape={
        "KeyId",
        "KeyMaterialId",
        "KeyPairSpec",
        "PrivateKeyCiphertextBlob",
        "PrivateKeyPlaintext",
        "PublicKey",
    },
    items=None,
    audit=used("keyPairSpec"),
    grpc={"PrivateKeyCiphertextBlob", "PrivateKeyPlaintext", "PublicKey"},
)
row(
    "GenerateDataKeyPairWithoutPlaintext",
    touches=[
        by_name(
            "GenerateDataKeyPairWithoutPlaintext", USED, aliases=True, KeyPairSpec="ECC_NIST_P256"
        )
    ],
    alone=None,
    shape={"KeyId", "KeyMaterialId", "KeyPairSpec", "PrivateKeyCiphertextBlob", "PublicKey"},
    items=None,
    audit=used("keyPairSpec"),
    grpc={"PrivateKeyCiphertextBlob", "PublicKey"},
)
row(
    "GenerateMac",
    touches=of_kind("GenerateMac", MAC, **AUTHENTICATED),
    alone=None,
    shape={"KeyId", "Mac", "MacAlgorithm"},
    items=None,
    audit=used("macAlgorithm"),
    grpc=set(),
)
row(
    "GetPublicKey",
    touches=of_kind("GetPublicKey", AGREEMENT),
    alone=None,
    shape={
        "CustomerMasterKeySpec",
        "KeyAgreementAlgorithms",
        "KeyId",
        "KeySpec",
        "KeyUsage",
        "PublicKey",
    },
    items=None,
    audit=used(),
    grpc=set(),
)
row(
    "Sign",
    touches=of_kind("Sign", SIGNING, **SIGNED),
    alone=None,
    shape={"KeyId", "Signature", "SigningAlgorithm"},
    items=None,
    audit=used("messageType", "signingAlgorithm"),
    grpc={"Signature"},
)
row(
    "Verify",
    touches=of_kind("Verify", SIGNING, **SIGNED, Signature=signature),
    alone=None,
    shape={"KeyId", "SignatureValid", "SigningAlgorithm"},
    items=None,
    audit=used("messageType", "signingAlgorithm"),
    grpc=set(),
)
row(
    "VerifyMac",
    touches=of_kind("VerifyMac", MAC, **AUTHENTICATED, Mac=mac),
    alone=None,
    shape={"KeyId", "MacAlgorithm", "MacValid"},
    items=None,
    audit=used("macAlgorithm"),
    grpc=set(),
)
