"""Random policies about a caller whose every condition value is known, and the naive evaluator's
answers to what is asked under them."""

import datetime
import json
import os
import pathlib
import subprocess

import pytest
from node import ACCOUNT, OTHER_ACCOUNT, binary
from policies import ROOT, policy

LATE, EARLY = "2999-01-01T00:00:00Z", "2020-01-01T00:00:00Z"
TEXT_OPERATORS = [
    f"String{way}{case}" for way in ("Equals", "NotEquals") for case in ("", "IgnoreCase")
] + ["StringLike", "StringNotLike"]
DATE_OPERATORS = [f"Date{order}" for order in ("LessThan", "GreaterThan", "NotEquals")]
COLOURS = ["red", "blue", "Red", "b*", "?ed", "*"]
# Condition keys with values that they may have here, and operators for them.
KEYS = [
    ("aws:PrincipalTag/team", [*COLOURS, "${aws:PrincipalTag/team}"], TEXT_OPERATORS),
    ("aws:PrincipalTag/other", ["x", "${aws:PrincipalTag/team, 'x'}"], TEXT_OPERATORS),
    ("aws:PrincipalType", ["User", "AssumedRole", "Account"], TEXT_OPERATORS),
    ("aws:PrincipalAccount", [ACCOUNT, OTHER_ACCOUNT], TEXT_OPERATORS),
    ("aws:username", ["user-*", "${aws:username}", "x"], TEXT_OPERATORS),
    ("aws:userid", ["AROA*:one", "AROA*:two", "AIDA*", "*"], TEXT_OPERATORS),
    ("aws:SourceIdentity", ["alice", "bob"], TEXT_OPERATORS),
    ("kms:CallerAccount", [ACCOUNT, "0000*"], TEXT_OPERATORS),
    ("kms:ViaService", ["s3.us-east-1.amazonaws.com"], TEXT_OPERATORS),
    (
        "kms:EncryptionContext:team",
        [*COLOURS, "${aws:PrincipalTag/team}", "${aws:PrincipalTag/team, 'red'}"],
        TEXT_OPERATORS,
    ),
    ("aws:SecureTransport", ["true", "false"], ["Bool"]),
    ("aws:MultiFactorAuthPresent", ["true", "false"], ["Bool"]),
    ("aws:CurrentTime", [EARLY, LATE], DATE_OPERATORS),
    ("aws:TokenIssueTime", [EARLY, LATE], DATE_OPERATORS),
    ("aws:SourceIp", ["127.0.0.0/8", "10.0.0.0/8", "::/0"], ["IpAddress", "NotIpAddress"]),
    (
        "aws:PrincipalArn",
        [ROOT, f"arn:aws:iam::{ACCOUNT}:role/*", f"arn:aws:iam::{ACCOUNT}:user/*"],
        ["ArnLike", "ArnNotLike", "ArnEquals"],
    ),
]
SEVERAL = ("kms:EncryptionContextKeys", ["team", "Team", "other", "t*"])
ACTIONS = ["kms:*", "*", "kms:Encrypt", "KMS:encrypt", "kms:De*", "kms:?escribeKey", "kms:*Key*"]
OTHERS = ["s3:*", "kms:Put*", "kms:DescribeKey"]


class Generator:
    """Documents of all kinds; about half of their statements are about what is asked."""

    def __init__(self, random, key_arn, principals):
        self.random, self.principals = random, principals
        self.resources = ["*", "*", "arn:aws:kms:*:*:key/*", key_arn, key_arn[:-3] + "*"]
        self.resources += [f"arn:aws:kms:us-east-1:{ACCOUNT}:${{aws:PrincipalTag/team, 'key'}}/*"]
        self.resources += ["arn:aws:s3:::bucket", "arn:aws:kms:eu-west-1:*"]

    def identity(self):
        return self._document(self._own_statement)

    def key(self):
        return self._document(self._key_statement)

    def _document(self, statement):
        statements = [statement("Allow") for _ in range(self.random.choice([1, 1, 2]))]
        if self.random.random() < 0.2:
            statements.append(statement("Deny"))
        self.random.shuffle(statements)
        return policy(*statements, Version=self.random.choice(["2012-10-17"] * 4 + [None]))

    def _own_statement(self, effect):
        made = {"Effect": effect, **self._either("Action", ACTIONS, OTHERS)}
        made |= self._either("Resource", self.resources, self.resources[-2:])
        return self._conditional(made)

    def _key_statement(self, effect):
        made = {"Effect": effect, **self._either("Action", ACTIONS, OTHERS)}
        if effect == "Deny" and self.random.random() < 0.3:
            made["NotPrincipal"] = {"AWS": self._some(self.principals, 4)}
        elif self.random.random() < 0.2:
            made["Principal"] = "*"
        else:
            made["Principal"] = {"AWS": self._some(self.principals)}
        return self._conditional(made | {"Resource": "*"})

    def _either(self, element, values, others):
        if self.random.random() < 0.15:
            return {f"Not{element}": self._some(others)}
        usual = self.random.random() < 0.4
        return {element: values[0] if usual else self._some(values)}

    def _conditional(self, made):
        conditions = {}
        for _ in range(self.random.choice([0, 0, 0, 1, 1, 2])):
            operator, key, values = self._condition()
            conditions.setdefault(operator, {})[key] = values
        return made | ({"Condition": conditions} if conditions else {})

    def _condition(self):
        if self.random.random() < 0.1:
            operator = self.random.choice(TEXT_OPERATORS)
            each = self.random.choice(["ForAllValues", "ForAnyValue"])
            return f"{each}:{operator}", SEVERAL[0], self._some(SEVERAL[1])
        # Tags are what sessions bring.
        tag = self.random.random() < 0.35
        key, values, operators = KEYS[0] if tag else self.random.choice(KEYS)
        if self.random.random() < 0.15:
            return "Null", key, self.random.choice(["true", "false"])
        suffix = "IfExists" if self.random.random() < 0.2 else ""
        return self.random.choice(operators) + suffix, key, self._some(values)

    def _some(self, values, most=2):
        chosen = self.random.sample(values, min(len(values), self.random.randint(1, most)))
        return chosen[0] if len(chosen) == 1 else chosen


def context_of(facts, encryption_context):
    """What a request's conditions are about, as the naive evaluator takes it; `facts` are those of
    the caller."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    known = {
        "aws:PrincipalAccount": ACCOUNT,
        "aws:SecureTransport": "false",
        "aws:SourceIp": "127.0.0.1",
        "aws:CurrentTime": now,
        "kms:CallerAccount": ACCOUNT,
    }
    for name, value in encryption_context.items():
        known[f"kms:EncryptionContext:{name}"] = value
    if encryption_context:
        known["kms:EncryptionContextKeys"] = list(encryption_context)
    return known | facts


class Naive:
    """The naive evaluator of crates/policy, as a program of its own."""

    def __init__(self):
        beside = pathlib.Path(binary()).parent / "examples" / "naive"
        path = pathlib.Path(os.environ.get("KEYSTEAD_NAIVE", beside))
        if not path.is_file():
            pytest.fail(f"{path} is not there: build the example naive of keystead-policy")
        self.process = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answer(self, case):
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0
