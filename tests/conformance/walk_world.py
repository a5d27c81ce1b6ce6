"""What the walk's inputs are made of: accounts, and keys of every state with what hangs on them."""

import base64
import json
import secrets
import time
import uuid
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from expect import ABSENT_ID, alias_arn, key_arn, unique_alias
from importing import FOR_EVER, make_material, wrap
from node import ACCOUNT, OTHER_REGION

SECRET = b"attack at dawn, from the north"
TAG = {"TagKey": "name", "TagValue": "value"}
# One kind of key for each usage, spec and usage: those of which keys are soonest made, and whose
# material can be made elsewhere where that of any can.
SYMMETRIC = "SYMMETRIC_DEFAULT/ENCRYPT_DECRYPT"
SIGNING = "ECC_NIST_P256/SIGN_VERIFY"
MAC = "HMAC_256/GENERATE_VERIFY_MAC"
AGREEMENT = "ECC_NIST_P256/KEY_AGREEMENT"
ENCAPSULATION = "ML_KEM_768/ENCAPSULATE_DECAPSULATE"
# A key whose material is made elsewhere: the origin is the kind's third part.
EXTERNAL = "/EXTERNAL"
# A key that may have a relative in the other Region, and one that has.
MULTI_REGION = "/MULTI_REGION"
REPLICATED = MULTI_REGION + "/REPLICATED"
IMPORTED = SYMMETRIC + EXTERNAL
# The kinds of which no material can be imported.
NOT_IMPORTED = {ENCAPSULATION}
# Of keys with imported material, by id: that, and how it is imported.
MATERIALS, PARAMETERS = {}, {}
SETTLE_SECONDS = 10
# Where a ciphertext holds the id of its key.
KEY_ID = slice(4, 20)


def encoded(data):
    return base64.b64encode(data).decode()


def peer(curve):
    """The public key of somebody with whom a key of this curve can agree on a secret."""
    public = ec.generate_private_key(curve()).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# What is sent along with a key's name to use a key of one of these kinds.
SIGNED = {
    "Message": encoded(SECRET),
    "MessageType": "RAW",
    "SigningAlgorithm": "ECDSA_SHA_256",
}
AUTHENTICATED = {"Message": encoded(SECRET), "MacAlgorithm": "HMAC_SHA_256"}
AGREED = {"KeyAgreementAlgorithm": "ECDH", "PublicKey": encoded(peer(ec.SECP256R1))}
ENCAPSULATED = {"EncapsulationAlgorithm": "ML_KEM"}


def root_of(account):
    """The ARN of an account's root."""
    return f"arn:aws:iam::{account.number}:root"


def default_policy(account):
    """The key policy that leaves everything to an account."""
    everything = {
        "Effect": "Allow",
        "Principal": {"AWS": root_of(account)},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [everything]})


@dataclass(frozen=True)
class Account:
    """The root of an account at a node; what it prepares, it prepares over AWS JSON."""

    node: object
    number: str = ACCOUNT

    @property
    def credentials(self):
        """The access key and its secret."""
        return self.node.credentials(self.number)

    def ok(self, operation, body):
        """The output of a call that must succeed."""
        access_key, secret = self.credentials
        reply = self.node.call(operation, body, access_key=access_key, secret=secret)
        assert reply.status == 200, f"{operation}: {reply.text}"
        return reply.body

    def key(self, kind=SYMMETRIC):
        """A new key."""
        spec, usage, *more = kind.split("/")
        about = {"KeySpec": spec, "KeyUsage": usage, "MultiRegion": "MULTI_REGION" in more}
        external = "EXTERNAL" in more
        about |= {"Origin": "EXTERNAL"} if external else {}
        key = Key(self, self.ok("CreateKey", about)["KeyMetadata"]["KeyId"], kind)
        if external:
            MATERIALS[key.id] = make_material(spec)
            key.become("Enabled")
        if "REPLICATED" in more:
            self.ok("ReplicateKey", {"KeyId": key.id, "ReplicaRegion": OTHER_REGION})
        return key

    def absent_key(self, kind=SYMMETRIC):
        """A key that is not there, and that looks like one in every other way."""
        return AbsentKey(self, ABSENT_ID, kind)


class Key:
    """A key of an account; `name` is how a request refers to it."""

    def __init__(self, owner, key_id, kind=SYMMETRIC, name=None):
        self.owner, self.id, self.kind = owner, key_id, kind
        self.name = name or key_id

    def named(self, name):
        """The same key, referred to in another way."""
        return type(self)(self.owner, self.id, self.kind, name)

    @property
    def arn(self):
        return key_arn(self.id, account=self.owner.number)

    def alias(self):
        """The name of a new alias of the key."""
        name = unique_alias()
        self.owner.ok("CreateAlias", {"AliasName": name, "TargetKeyId": self.id})
        return name

    def names(self, aliases):
        """All that a request of another account can call it by."""
        return [self.arn] + ([alias_arn(self.alias(), account=self.owner.number)] * aliases)

    def blob(self):
        """A ciphertext that the key made, in base64."""
        body = {"KeyId": self.id, "Plaintext": encoded(SECRET)}
        return self.owner.ok("Encrypt", body)["CiphertextBlob"]

    def signature(self):
        """Its signature of the secret."""
        return self.owner.ok("Sign", {"KeyId": self.id} | SIGNED)["Signature"]

    def mac(self):
        """Its MAC of the secret."""
        return self.owner.ok("GenerateMac", {"KeyId": self.id} | AUTHENTICATED)["Mac"]

    def encapsulated(self):
        """A shared secret that only the key can decapsulate."""
        made = self.owner.ok("Encapsulate", {"KeyId": self.id} | ENCAPSULATED)
        return made["SharedSecretCiphertextBlob"]

    def rotate(self):
        """Gives the key new material."""
        self.owner.ok("RotateKeyOnDemand", {"KeyId": self.id})

    def tag(self):
        """Gives the key one tag more."""
        tag = {"TagKey": str(uuid.uuid4()), "TagValue": "value"}
        self.owner.ok("TagResource", {"KeyId": self.id, "Tags": [tag]})

    def grant(self):
        """The id of a new grant on the key, to its own account, which may retire it."""
        root = root_of(self.owner)
        body = {"KeyId": self.id, "GranteePrincipal": root, "Operations": ["DescribeKey"]}
        return self.owner.ok("CreateGrant", body | {"RetiringPrincipal": root})["GrantId"]

    def become(self, state):
        """Brings the key into a state, from whichever it is in."""
        now = self.settled_state()
        for operation in WAYS[now][state]:
            more = self.material() if operation == "ImportKeyMaterial" else {}
            self.owner.ok(operation, {"KeyId": self.id} | more)

    def settled_state(self):
        """The state that the key is in, once the answer of another Region does not change it."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            now = self.owner.ok("DescribeKey", {"KeyId": self.id})["KeyMetadata"]["KeyState"]
            if now not in ("Creating", "Updating"):
                return now
            assert time.monotonic() < deadline, f"{self.id} stays {now}"
            time.sleep(0.01)

    def material(self):
        """The members with which the key's material is imported into it."""
        if self.id not in PARAMETERS:
            PARAMETERS[self.id] = self.wrapped(MATERIALS[self.id])
        return PARAMETERS[self.id]

    def wrapped(self, material):
        """The members with which a material is imported into the key."""
        algorithm = "RSA_AES_KEY_WRAP_SHA_256"
        about = {"WrappingAlgorithm": algorithm, "WrappingKeySpec": "RSA_2048"}
        given = self.owner.ok("GetParametersForImport", {"KeyId": self.id} | about)
        public = base64.b64decode(given["PublicKey"])
        return FOR_EVER | {
            "ImportToken": given["ImportToken"],
            "EncryptedKeyMaterial": encoded(wrap(algorithm, public, material)),
        }


# How a key gets from one state to another.
WAYS = {
    "Enabled": {
        "Enabled": [],
        "Disabled": ["DisableKey"],
        "PendingDeletion": ["ScheduleKeyDeletion"],
        "PendingImport": ["DeleteImportedKeyMaterial"],
    },
    "Disabled": {
        "Enabled": ["EnableKey"],
        "Disabled": [],
        "PendingDeletion": ["ScheduleKeyDeletion"],
        "PendingImport": ["DeleteImportedKeyMaterial"],
    },
    "PendingDeletion": {
        "Enabled": ["CancelKeyDeletion", "EnableKey"],
        "Disabled": ["CancelKeyDeletion"],
        "PendingDeletion": [],
        "PendingImport": ["CancelKeyDeletion", "DeleteImportedKeyMaterial"],
    },
    "PendingImport": {
        "Enabled": ["ImportKeyMaterial"],
        "Disabled": ["ImportKeyMaterial", "DisableKey"],
        "PendingDeletion": ["ImportKeyMaterial", "ScheduleKeyDeletion"],
        "PendingImport": [],
    },
}


def reachable(touch, state):
    """Whether a key of a touch's kind can get into a state."""
    return state != "PendingImport" or touch.kind not in NOT_IMPORTED


def key_of(own, touch, state):
    """A key for a touch that can get into a state."""
    kind = touch.kind
    if state == "PendingDeletion":
        # One that has relatives waits for them.
        kind = kind.removesuffix("/REPLICATED")
    waits = state == "PendingImport" and not kind.endswith(EXTERNAL)
    return own.key(kind + EXTERNAL * waits)


class AbsentKey(Key):
    """What a key would have if it were there."""

    def alias(self):
        return unique_alias()

    def blob(self):
        """A ciphertext whose key is not there."""
        blob = bytearray(base64.b64decode(self.owner.key().blob()))
        blob[KEY_ID] = uuid.UUID(self.id).bytes
        return encoded(bytes(blob))

    def material(self):
        return self.owner.key(IMPORTED).material()

    def signature(self):
        return self.owner.key(self.kind).signature()

    def mac(self):
        return self.owner.key(self.kind).mac()

    def encapsulated(self):
        return self.owner.key(self.kind).encapsulated()

    def grant(self):
        return secrets.token_hex(32)
