"""A node decides as the naive evaluator does, on random policies of everybody who has a say in a
session: of the role or the user, boundary, session policies, key policy and grants; and tags."""

import os
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from conftest import ACCOUNTS
from node import ACCOUNT, Node
from people import iam_of, new_user, unique_name
from policies import FOREIGN_ROOT, ROOT, allow, text_of
from random_policies import Generator, Naive, context_of
from sessions import Session, assume, delete_role, new_role, session_of, trust
from walk_wires import Json
from walk_world import SECRET, Account, encoded

pytestmark = pytest.mark.dev("every node decides by the same state")

DECISIONS = int(os.environ.get("KEYSTEAD_DECISIONS", "1000"))
SEED = int(os.environ.get("KEYSTEAD_SEED", "0")) or random.randrange(1, 2**32)
TRUST = trust(actions=["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
BYPASS = {"BypassPolicyLockoutSafetyCheck": True}
CONTEXT = {"team": "red", "other": "x"}
GRANTED = ["Encrypt", "Decrypt", "DescribeKey"]


@dataclass(frozen=True)
class Asking:
    """A session with what the naive evaluator is told of it: a name, the facts that conditions
    look at, and the policies that belong to the caller alone."""

    session: Session
    who: str
    facts: dict
    policies: dict


class People:
    """Who is there in every round: the root in a session, and a user who takes on roles."""

    def __init__(self, node):
        self.node = node
        self.taker = new_user(node, allow("sts:*")).client("sts")
        self.root = session_of(node, node.client("sts").get_session_token(), ROOT)


class Round:
    """A key, a role and a user with random policies, and sessions of both and of the root."""

    def __init__(self, people, chosen):
        self.people, self.node, self.random = people, people.node, chosen
        self.own, self.iam, self.attached = Account(self.node), iam_of(self.node), []
        self.key = self.own.key()
        body = {"KeyId": self.key.id, "Plaintext": encoded(SECRET), "EncryptionContext": CONTEXT}
        self.blob = self.own.ok("Encrypt", body)["CiphertextBlob"]
        self.role_tags, self.user_tags = self._tags(), self._tags()
        self.role = new_role(self.node, document=TRUST, Tags=self.role_tags)
        self.user = new_user(self.node, Tags=self.user_tags)
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{self.role['RoleName']}"
        people = [self.role["Arn"], self.user.arn, f"{session}/one", f"{session}/two"]
        self.generator = Generator(chosen, self.key.arn, [ROOT, ACCOUNT, FOREIGN_ROOT, *people])
        self.of_resource = {"owner": ACCOUNT, "grants": self._grants(people)}
        self.of_role, self.of_user = self._own_policies("role"), self._own_policies("user")
        self.of_resource["key"] = self.generator.key()
        body = {"KeyId": self.key.id, "Policy": text_of(self.of_resource["key"])}
        self.own.ok("PutKeyPolicy", body | BYPASS)

    def callers(self):
        yield self._role_session("one")
        yield self._role_session("two")
        facts = {"aws:PrincipalArn": self.user.arn, "aws:PrincipalType": "User"}
        facts |= {"aws:username": self.user.name, "aws:userid": self.user.unique_id}
        reply = self.user.client("sts").get_session_token()
        yield Asking(
            session_of(self.node, reply, self.user.arn),
            f"{ACCOUNT}:user/{self.user.name}",
            IN_SESSION | facts | principal_tags(self.user_tags),
            self.of_user,
        )
        facts = {"aws:PrincipalArn": ROOT, "aws:PrincipalType": "Account", "aws:userid": ACCOUNT}
        yield Asking(self.people.root, f"{ACCOUNT}:root", IN_SESSION | facts, {"identity": []})

    def requests(self):
        """Operation, members, and the encryption context."""
        key, colour = {"KeyId": self.key.id}, {"team": self.random.choice(["red", "blue"])}
        plain = key | {"Plaintext": encoded(SECRET)}
        yield "Encrypt", plain, {}
        yield "Encrypt", plain | {"EncryptionContext": colour}, colour
        opened = key | {"CiphertextBlob": self.blob, "EncryptionContext": CONTEXT}
        yield "Decrypt", opened, CONTEXT
        yield "DescribeKey", key, {}

    def end(self):
        """Gives back what an account has only so many of."""
        role, user = {"RoleName": self.role["RoleName"]}, {"UserName": self.user.name}
        if "boundary" in self.of_role:
            self.iam.delete_role_permissions_boundary(**role)
        if "boundary" in self.of_user:
            self.iam.delete_user_permissions_boundary(**user)
        delete_role(self.node, self.role["RoleName"])
        for arn in self.attached:
            self.iam.delete_policy(PolicyArn=arn)

    def _role_session(self, name):
        facts, more = {}, {}
        tags = self._tags()
        if self._chance(40):
            more["SourceIdentity"] = facts["aws:SourceIdentity"] = self.random.choice(SOURCES)
        policies = []
        if self._chance(35):
            policies.append(self.generator.identity())
            more["Policy"] = text_of(policies[0])
        if self._chance(30):
            policies.append(self.generator.identity())
            more["PolicyArns"] = [{"arn": self._managed(policies[-1])}]
        reply = assume(self.people.taker, self.role, name, Tags=tags, **more)
        facts |= {"aws:PrincipalArn": self.role["Arn"], "aws:PrincipalType": "AssumedRole"}
        facts |= {"aws:userid": f"{self.role['RoleId']}:{name}"}
        facts |= principal_tags(self.role_tags) | principal_tags(tags)
        who = f"{ACCOUNT}:role/{self.role['RoleName']}/{name}"
        policies = self.of_role | {"session": policies}
        return Asking(session_of(self.node, reply), who, IN_SESSION | facts, policies)

    def _own_policies(self, kind):
        """Writes a policy into the role or the user, and maybe bounds it."""
        name = {"RoleName": self.role["RoleName"]}
        if kind == "user":
            name = {"UserName": self.user.name}
        policies = {"identity": [self.generator.identity()]}
        put = getattr(self.iam, f"put_{kind}_policy")
        put(PolicyName="own", PolicyDocument=text_of(policies["identity"][0]), **name)
        if self._chance(40):
            policies["boundary"] = self.generator.identity()
            bound = getattr(self.iam, f"put_{kind}_permissions_boundary")
            bound(PermissionsBoundary=self._managed(policies["boundary"]), **name)
        return policies

    def _grants(self, people):
        if not self._chance(30):
            return []
        grantee, operations = self.random.choice(people), self.random.sample(GRANTED, 2)
        body = {"KeyId": self.key.id, "GranteePrincipal": grantee, "Operations": operations}
        self.own.ok("CreateGrant", body)
        return [{"grantee": grantee, "operations": operations}]

    def _managed(self, document):
        name = unique_name("policy")
        made = self.iam.create_policy(PolicyName=name, PolicyDocument=text_of(document))
        self.attached.append(made["Policy"]["Arn"])
        return self.attached[-1]

    def _tags(self):
        colour = self.random.choice([None, "red", "blue"])
        return [{"Key": "team", "Value": colour}] if colour else []

    def _chance(self, percent):
        return self.random.random() * 100 < percent


SOURCES = ["alice", "bob"]
IN_SESSION = {
    "aws:MultiFactorAuthPresent": "false",
    # Later than every date of the policies that is past.
    "aws:TokenIssueTime": "2026-01-01T00:00:00Z",
}


def principal_tags(tags):
    return {f"aws:PrincipalTag/{tag['Key']}": tag["Value"] for tag in tags}


@pytest.fixture(scope="module")
def quiet_node():
    """One in whose account nobody else makes anything."""
    node = Node(["--ephemeral", *ACCOUNTS]).start()
    yield node
    assert node.stop() == 0


@pytest.fixture(scope="module")
def naive():
    program = Naive()
    yield program
    program.close()


def decided(answer):
    """Whether it was done, and whether the node says that a policy of the caller's denies it."""
    assert answer.code in ("OK", "AccessDeniedException"), answer
    return answer.code == "OK", " with an explicit deny in " in answer.message


def test_the_node_decides_as_the_naive_evaluator(quiet_node, naive):
    chosen, wire, people = random.Random(SEED), Json(quiet_node), People(quiet_node)
    counts, told, having, differences = Counter(), Counter(), Counter(), []
    while sum(counts.values()) < DECISIONS:
        current = Round(people, chosen)
        for asking in current.callers():
            for operation, body, context in current.requests():
                decision = {"who": asking.who, "action": f"kms:{operation}"}
                decision |= {"resource": current.key.arn}
                decision |= {"context": context_of(asking.facts, context)}
                decision |= {"encryption_context": list(context.items())}
                case = current.of_resource | asking.policies | {"decision": decision}
                expected = naive.answer(case)
                done, explicit = decided(wire.call(asking.session, operation, body))
                counts[expected] += 1
                told["explicit"] += explicit
                having.update(name for name in ("boundary", "session") if case.get(name))
                having["tag"] += "aws:PrincipalTag/team" in decision["context"]
                if done != (expected == "allow") or (explicit and expected != "explicit-deny"):
                    differences.append((expected, done, explicit, case))
        current.end()
    print(f"seed {SEED}: {sum(counts.values())} decisions, {len(differences)} differences:", counts)
    print(f"with a boundary, a session policy, a tag: {dict(having)}; {dict(told)}")
    assert not differences, f"seed {SEED}: {len(differences)} differ, first {differences[0]}"
    # What mostly comes out the same way tells little.
    for answer in ("allow", "explicit-deny", "implicit-deny"):
        assert counts[answer] * 12 > DECISIONS, counts
