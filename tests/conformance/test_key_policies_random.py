"""The lockout check and the decisions agree on random key policies: whoever put one may put another,
and whoever was not let put one could not have put another."""

import json
import math
import os
import random
from collections import Counter

import pytest
from conftest import ACCOUNTS
from keep_alive import Connection
from node import ACCOUNT, OTHER_ACCOUNT, Node
from people import new_user
from policies import FOREIGN_ROOT, ROOT, allow, policy, statement, text_of
from test_key_policies import LOCKOUT
from walk_world import Account

pytestmark = pytest.mark.dev("what apply accepts is the same on every node")

# Of each author.
ACCEPTED = math.ceil(int(os.environ.get("KEYSTEAD_POLICIES", "10000")) / 3)
SEED = int(os.environ.get("KEYSTEAD_SEED", "0")) or random.randrange(1, 2**32)
AUTHORS = ["root", "allowed", "bare"]
TAG = {"TagKey": "team", "TagValue": "blue"}

BOOL, TEXT, SEVERAL = "bool", "text", "several"
LATE, EARLY = "2999-01-01T00:00:00Z", "2020-01-01T00:00:00Z"
# Condition keys with values that the request has or has not.
KEYS = [
    (BOOL, "kms:BypassPolicyLockoutSafetyCheck", ["true", "false"]),
    (BOOL, "kms:MultiRegion", ["true", "false"]),
    (BOOL, "aws:SecureTransport", ["true", "false"]),
    (BOOL, "aws:ViaAWSService", ["true", "false"]),
    (TEXT, "kms:PolicyName", ["default", "other", "def*"]),
    (TEXT, "kms:CallerAccount", [ACCOUNT, OTHER_ACCOUNT, "*"]),
    (TEXT, "kms:KeySpec", ["SYMMETRIC_DEFAULT", "RSA_2048"]),
    (TEXT, "kms:KeyUsage", ["ENCRYPT_DECRYPT", "SIGN_*"]),
    (TEXT, "kms:KeyOrigin", ["AWS_KMS", "EXTERNAL"]),
    (TEXT, "kms:MultiRegionKeyType", ["PRIMARY"]),
    (TEXT, "kms:ViaService", ["s3.us-east-1.amazonaws.com"]),
    (TEXT, "kms:RequestAlias", ["alias/*"]),
    (TEXT, "kms:EncryptionContext:team", ["blue"]),
    (TEXT, "aws:username", ["author", "a*", "${aws:username}", "${aws:PrincipalTag/none}"]),
    (TEXT, "aws:userid", ["AIDA*", ACCOUNT, "${aws:userid}"]),
    (TEXT, "aws:PrincipalAccount", [ACCOUNT, OTHER_ACCOUNT]),
    (TEXT, "aws:PrincipalType", ["User", "Account"]),
    (TEXT, "aws:PrincipalTag/team", ["red", "${aws:ResourceTag/team}"]),
    (TEXT, "aws:ResourceTag/team", ["blue", "${aws:PrincipalTag/team, 'blue'}"]),
    (TEXT, "aws:ResourceAccount", [ACCOUNT]),
    (TEXT, "aws:RequestedRegion", ["us-*", "eu-west-1"]),
    (TEXT, "aws:UserAgent", ["*"]),
    (SEVERAL, "aws:TagKeys", ["team", "other"]),
    (SEVERAL, "kms:GrantOperations", ["Encrypt"]),
    ("ip", "aws:SourceIp", ["127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "::/0"]),
    ("date", "aws:CurrentTime", [EARLY, LATE]),
    ("number", "aws:EpochTime", ["1", "99999999999"]),
    ("arn", "aws:PrincipalArn", [ROOT, f"arn:aws:iam::{ACCOUNT}:user/*", FOREIGN_ROOT]),
]
TEXT_OPERATORS = [
    f"String{way}{case}" for way in ("Equals", "NotEquals") for case in ("", "IgnoreCase")
] + ["StringLike", "StringNotLike"]
ORDERS = ["LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals", "NotEquals"]
OPERATORS = {
    BOOL: ["Bool"],
    TEXT: TEXT_OPERATORS,
    SEVERAL: [
        f"{each}:{way}" for each in ("ForAllValues", "ForAnyValue") for way in TEXT_OPERATORS
    ],
    "ip": ["IpAddress", "NotIpAddress"],
    "date": [f"Date{order}" for order in ORDERS],
    "number": [f"Numeric{order}" for order in ORDERS],
    "arn": ["ArnLike", "ArnNotLike", "ArnEquals"],
}
ACTIONS = ["kms:*", "*", "kms:Put*", "kms:PutKeyPolicy", "KMS:putkeypolic?", "kms:Encrypt"]
OTHERS = ["kms:Encrypt", "s3:*", "kms:Get*"]


class Generator:
    """Random policies about an author; half of them or so let him put another one."""

    def __init__(self, seed, arn):
        self.random = random.Random(seed)
        self.principals = [ROOT, ACCOUNT, FOREIGN_ROOT, arn]

    def policy(self):
        statements = [self.statement("Allow") for _ in range(self.random.randint(1, 3))]
        statements += [self.statement("Deny") for _ in range(self.random.choice([0, 0, 1, 1, 2]))]
        self.random.shuffle(statements)
        return policy(*statements, Version=self.random.choice(["2012-10-17"] * 3 + [None]))

    def statement(self, effect):
        likely = effect == "Allow"
        elements = {"Effect": effect, **self.actions(likely), **self.principal(likely)}
        elements |= self.resource(likely)
        count = self.random.choice([0, 0, 1, 1, 2] if likely else [1, 1, 2, 3])
        conditions = {}
        for _ in range(count):
            operator, key, value = self.condition()
            conditions.setdefault(operator, {})[key] = value
        return statement(**elements, Condition=conditions or None)

    def actions(self, likely):
        if self.random.random() < 0.2:
            return {"Action": None, "NotAction": self.some(OTHERS + ACTIONS[3:5] * (not likely))}
        return {"Action": self.some(ACTIONS if likely else ACTIONS + OTHERS)}

    def principal(self, likely):
        if self.random.random() < 0.2:
            return {"Principal": "*"}
        if not likely and self.random.random() < 0.4:
            return {"Principal": None, "NotPrincipal": {"AWS": self.some(self.principals)}}
        if self.random.random() < 0.05:
            return {"Principal": {"Service": "logs.amazonaws.com"}}
        return {"Principal": {"AWS": self.some(self.principals)}}

    def resource(self, likely):
        resources = ["*"] * 3 + ["arn:aws:kms:*:*:key/*", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/*"]
        if self.random.random() < 0.05:
            return {"Resource": None, "NotResource": self.some(resources[-1:])}
        return {"Resource": self.some(resources if likely else resources + [resources[-1]])}

    def condition(self):
        kind, key, values = self.random.choice(KEYS)
        if self.random.random() < 0.1:
            return "Null", key, self.random.choice(["true", "false"])
        operator = self.random.choice(OPERATORS[kind])
        return operator + self.random.choice(["", "", "IfExists"]), key, self.some(values)

    def some(self, items):
        """One of them, or a list of several."""
        chosen = self.random.sample(items, self.random.randint(1, min(3, len(items))))
        return chosen[0] if len(chosen) == 1 else chosen


@pytest.fixture(scope="module")
def own_node():
    """A node that no other test makes wait."""
    node = Node(["--ephemeral", *ACCOUNTS]).start()
    yield node
    assert node.stop() == 0


@pytest.fixture
def author(own_node, request):
    """Somebody, with his ARN, who may do everything by his own policies, or nothing."""
    if request.param == "root":
        return Account(own_node), ROOT
    user = new_user(own_node, *([allow("kms:*")] if request.param == "allowed" else []))
    return user, user.arn


class Bench:
    """An author at work, and the root of the account, who makes keys."""

    def __init__(self, maker, author):
        self.maker, self.author = maker, author
        self.counts = Counter()

    def new_key(self, document):
        """A key with a policy, whatever that does."""
        body = {"Policy": document, "BypassPolicyLockoutSafetyCheck": True, "Tags": [TAG]}
        reply = self.maker.call("CreateKey", body)
        assert reply.status == 200, f"{document}: {reply.body}"
        return json.loads(reply.body)["KeyMetadata"]["KeyId"]

    def put(self, key, document):
        return self.author.call("PutKeyPolicy", {"KeyId": key, "Policy": document})

    def check_refusal(self, document):
        """Who was refused could not put another policy, if this one had been accepted."""
        reply = self.put(self.new_key(document), document)
        assert reply.code == "AccessDeniedException", f"refused for nothing: {document}"


@pytest.fixture
def bench(own_node, author):
    account, _ = author
    maker = Account(own_node).credentials
    with Connection(own_node, *maker) as root, Connection(own_node, *account.credentials) as own:
        yield Bench(root, own)


@pytest.fixture
def generator(author, request):
    _, arn = author
    print(f"seed {SEED}")
    return Generator(f"{SEED} {request.node.name}", arn)


@pytest.mark.parametrize("author", AUTHORS, indirect=True)
def test_existing_keys(author, bench, generator):
    before = text_of(policy(statement(), statement(Principal={"AWS": author[1]})))
    key = bench.new_key(before)
    while bench.counts["accepted"] < ACCEPTED:
        document = text_of(generator.policy())
        reply = bench.put(key, document)
        assert reply.code != "AccessDeniedException", f"locked out by {before}"
        if reply.status == 200:
            bench.counts["accepted"] += 1
            before = document
        else:
            said = reply.code, reply.message
            assert said == ("MalformedPolicyDocumentException", LOCKOUT), document
            bench.counts["refused"] += 1
            bench.check_refusal(document)
    print(dict(bench.counts))
    assert bench.counts["refused"] > ACCEPTED // 4


@pytest.mark.parametrize("author", ["root", "allowed"], indirect=True)
def test_new_keys(bench, generator):
    """A key is made with a policy exactly if its maker may put the policy again."""
    for _ in range(ACCEPTED // 4):
        document = text_of(generator.policy())
        may = bench.put(bench.new_key(document), document).status == 200
        reply = bench.author.call("CreateKey", {"Policy": document, "Tags": [TAG]})
        assert (reply.status == 200) == may, f"{reply.code} {document}"
        bench.counts[reply.code] += 1
    print(dict(bench.counts))
    assert min(bench.counts.values()) > ACCEPTED // 20 and len(bench.counts) == 2
