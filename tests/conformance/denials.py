"""Requests about what exists and about what does not, alike but for the name, and callers to whom
neither is allowed."""

import base64
import itertools
import random
import secrets
import uuid
from dataclasses import dataclass

from expect import alias_arn, key_arn, unique_alias
from node import OTHER_ACCOUNT
from people import new_user
from policies import allow, deny, policy, statement, text_of
from shapes import OPERATIONS
from walk_world import KEY_ID, TAG, Account, encoded, root_of

# Members with values that are wrong for any key, which only those may learn who may use it.
WRONG = {
    "Policy": "{",
    "PolicyName": "other",
    "Marker": "nonsense",
    "Tags": [TAG, TAG],
    "Operations": ["Sign", "GenerateMac"],
    "Constraints": {"EncryptionContextEquals": {str(number): "" for number in range(9)}},
    "GrantId": "nonsense",
    "NumberOfBytes": 1024,
}
EVERY_KEY = "arn:aws:kms:*:*:key/*"
STATES = ("Enabled", "Disabled", "PendingDeletion")


@dataclass(frozen=True)
class Asked:
    """A request's body, and the names in it that only this request has."""

    body: dict
    names: tuple


class Subject:
    """One way in which an operation touches a key, with keys of every state and kind of policy."""

    def __init__(self, own, operation, touch):
        self.own, self.operation, self.touch = own, operation, touch
        self.keys = [self._key(state, hides) for state in STATES for hides in (False, True)]
        # In which ways keys are named; None for all.
        self.ways = None
        self.variants = list(self._variants())

    def _key(self, state, hides):
        key = self.own.key(self.touch.kind)
        key.tag()
        body, alias = self.touch.body(self.own, key), key.alias()
        key.become(state)
        if hides:
            # Nobody may use it.
            hiding = policy(statement(Principal={"Service": "logs.amazonaws.com"}))
            bypass = {"BypassPolicyLockoutSafetyCheck": True}
            self.own.ok("PutKeyPolicy", {"KeyId": key.id, "Policy": text_of(hiding)} | bypass)
        return key, body, alias

    def callers(self):
        """Everybody here is told the same of all keys, and each reaches this touch."""
        node, action = self.own.node, self.touch.action
        others = [{"Effect": "Allow", "NotAction": action, "Resource": "*"}]
        if self.touch.member and not self.touch.aliases:
            # Of what the request needs besides, nothing lacks.
            others.append({"Effect": "Allow", "Action": action, "NotResource": EVERY_KEY})
            others += self._besides()
        yield "a user who may do nothing", new_user(node), False
        yield "a user who may do everything else", new_user(node, *others), False
        yield "a user who is denied it", new_user(node, allow("*"), deny(action)), False
        if self.touch.member:
            stranger = Account(node, OTHER_ACCOUNT)
            yield "the root of another account", stranger, True
            user = new_user(node, allow("kms:*"), account=OTHER_ACCOUNT)
            yield "a user of another account", user, True

    def _besides(self):
        """Lets the keys be used that an input has besides."""
        body = self.keys[0][1]
        if self.operation == "UpdateAlias":
            described = self.own.ok("DescribeKey", {"KeyId": body["AliasName"]})
            return [allow(self.touch.action, described["KeyMetadata"]["Arn"])]
        return []

    def pairs(self, by_arn):
        """Something that exists and something that does not, for ever, in every way to ask."""
        ways = list(itertools.product(self.keys, self._names(by_arn), self.variants))
        random.shuffle(ways)
        for (key, body, alias), name, more in itertools.cycle(ways):
            asked = body | more
            yield self._asked(asked, key, alias, name), self._absent(asked, key, alias, name)

    def _variants(self):
        """What a request may have besides, without a difference to who may make it."""
        members = OPERATIONS[self.operation]["members"]
        yield {}
        if "DryRun" in members:
            yield {"DryRun": True}
        if "GrantTokens" in members:
            # Of a grant that lets the one who made it do everything, and nobody else.
            key = self.keys[0][0]
            granted = {"GranteePrincipal": root_of(self.own), "Operations": ["DescribeKey"]}
            made = self.own.ok("CreateGrant", {"KeyId": key.id} | granted)
            yield {"GrantTokens": [made["GrantToken"]]}
        for name, shape in members.items():
            if name in WRONG:
                yield {name: WRONG[name]}
            elif shape["type"] == "blob" and self.touch.member:
                yield {name: encoded(b"wrong")}
            elif "enum" in shape:
                yield from ({name: value} for value in shape["enum"])

    def _names(self, by_arn):
        if not self.touch.member:
            return ["body"]
        names = ["key ARN"] if by_arn else ["id", "key ARN"]
        aliases = ["alias ARN"] if by_arn else ["alias", "alias ARN"]
        names += aliases * self.touch.aliases
        return [name for name in names if name in (self.ways or names)]

    def _asked(self, body, key, alias, name):
        if name == "body":
            return Asked(body, (body.get("AliasName", ""),))
        return self._naming(body, name, key.id, alias)

    def _absent(self, body, key, alias, name):
        absent = str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
        if name != "body":
            return self._naming(body, name, absent, unique_alias())
        if "AliasName" in body:
            other = unique_alias()
            return Asked(body | {"AliasName": other}, (other,))
        blob = bytearray(base64.b64decode(body["CiphertextBlob"]))
        blob[KEY_ID] = uuid.UUID(absent).bytes
        return Asked(body | {"CiphertextBlob": encoded(bytes(blob))}, ("",))

    def _naming(self, body, name, key_id, alias):
        given = {
            "id": key_id,
            "key ARN": key_arn(key_id),
            "alias": alias,
            "alias ARN": alias_arn(alias),
        }[name]
        return Asked(body | {self.touch.member: given}, (key_id, alias))
