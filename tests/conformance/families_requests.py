"""A request of each operation that uses a key: in order, but for the key and the algorithm, which
may be any."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from families import MESSAGES
from walk_world import SYMMETRIC, Key, peer

MESSAGE = b"a text of no interest"

# The operations that use a key: the usage that they need, the member that names an algorithm and
# the enumeration of those. A data key has no such member, and is encrypted with SYMMETRIC_DEFAULT.
ENCRYPTION = ("ENCRYPT_DECRYPT", "EncryptionAlgorithm", "EncryptionAlgorithmSpec")
SIGNING = ("SIGN_VERIFY", "SigningAlgorithm", "SigningAlgorithmSpec")
MAC = ("GENERATE_VERIFY_MAC", "MacAlgorithm", "MacAlgorithmSpec")
AGREEMENT = ("KEY_AGREEMENT", "KeyAgreementAlgorithm", "KeyAgreementAlgorithmSpec")
ENCAPSULATION = (
    "ENCAPSULATE_DECAPSULATE",
    "EncapsulationAlgorithm",
    "EncapsulationAlgorithmSpec",
)
DATA_KEY = ("ENCRYPT_DECRYPT", None, None)
USES = {
    "Encrypt": ENCRYPTION,
    "Decrypt": ENCRYPTION,
    "ReEncrypt from": ("ENCRYPT_DECRYPT", "SourceEncryptionAlgorithm", ENCRYPTION[2]),
    "ReEncrypt to": ("ENCRYPT_DECRYPT", "DestinationEncryptionAlgorithm", ENCRYPTION[2]),
    "GenerateDataKey": DATA_KEY,
    "GenerateDataKeyWithoutPlaintext": DATA_KEY,
    "GenerateDataKeyPair": DATA_KEY,
    "GenerateDataKeyPairWithoutPlaintext": DATA_KEY,
    "Sign": SIGNING,
    "Verify": SIGNING,
    "GenerateMac": MAC,
    "VerifyMac": MAC,
    "DeriveSharedSecret": AGREEMENT,
    "Encapsulate": ENCAPSULATION,
    "Decapsulate": ENCAPSULATION,
}
PEERS = {
    "ECC_NIST_P256": peer(ec.SECP256R1),
    "ECC_NIST_P384": peer(ec.SECP384R1),
    "ECC_NIST_P521": peer(ec.SECP521R1),
}


@dataclass(frozen=True)
class Case:
    """A key, an operation and what the request names; `call` and `keys` are the fixtures."""

    call: object
    keys: object
    key: Key
    operation: str
    algorithm: str | None
    message_type: str | None

    def members(self):
        """The members of the request."""
        return self.named() | REST[self.operation](self)

    def named(self):
        """Those that name key and algorithm."""
        members = {NAMED_BY.get(self.operation, "KeyId"): self.key.id}
        return members | ({USES[self.operation][1]: self.algorithm} if self.algorithm else {})

    def signed(self):
        """A message of the length that the algorithm needs, if it takes this type at all."""
        length = MESSAGES.get(self.algorithm, {}).get(self.message_type) or 32
        return {"Message": b"m" * length, "MessageType": self.message_type}

    def made(self, operation, member, stand_in, **members):
        """What another operation of the key makes; a stand-in if the key cannot do that."""
        answer = self.call(operation, KeyId=self.key.id, **members)
        return {member: answer.body[member] if answer.code == "OK" else b"x" * stand_in}

    def encrypted(self):
        members = {"EncryptionAlgorithm": self.algorithm, "Plaintext": MESSAGE}
        return self.made("Encrypt", "CiphertextBlob", 256, **members)

    def signature(self):
        members = {"SigningAlgorithm": self.algorithm} | self.signed()
        return self.signed() | self.made("Sign", "Signature", 64, **members)

    def mac(self):
        members = {"MacAlgorithm": self.algorithm, "Message": MESSAGE}
        return {"Message": MESSAGE} | self.made("GenerateMac", "Mac", 32, **members)

    def encapsulated(self):
        members = {"EncapsulationAlgorithm": self.algorithm}
        return self.made("Encapsulate", "SharedSecretCiphertextBlob", 768, **members)

    def peer(self):
        spec = self.key.kind.partition("/")[0]
        return {"PublicKey": PEERS.get(spec, PEERS["ECC_NIST_P256"])}

    def symmetric(self):
        return self.keys(*SYMMETRIC.split("/"))


# Where KeyId does not.
NAMED_BY = {"ReEncrypt from": "SourceKeyId", "ReEncrypt to": "DestinationKeyId"}
# The members besides those that name key and algorithm.
REST = {
    "Encrypt": lambda case: {"Plaintext": MESSAGE},
    "Decrypt": Case.encrypted,
    "ReEncrypt from": lambda case: case.encrypted() | {"DestinationKeyId": case.symmetric().id},
    "ReEncrypt to": lambda case: symmetric_blob(case.call, case.symmetric()),
    "GenerateDataKey": lambda case: {"KeySpec": "AES_256"},
    "GenerateDataKeyWithoutPlaintext": lambda case: {"KeySpec": "AES_256"},
    "GenerateDataKeyPair": lambda case: {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyPairWithoutPlaintext": lambda case: {"KeyPairSpec": "ECC_NIST_P256"},
    "Sign": Case.signed,
    "Verify": Case.signature,
    "GenerateMac": lambda case: {"Message": MESSAGE},
    "VerifyMac": Case.mac,
    "DeriveSharedSecret": Case.peer,
    "Encapsulate": lambda case: {},
    "Decapsulate": Case.encapsulated,
}


def symmetric_blob(call, symmetric):
    made = call.ok("Encrypt", KeyId=symmetric.id, Plaintext=MESSAGE)
    return {"CiphertextBlob": made["CiphertextBlob"]}
