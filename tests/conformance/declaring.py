"""Files of `keystead apply`, operators who apply them, and what an account has then."""

import contextlib
import json
import os
import pty
import random
import subprocess
import time

import pytest
from node import EXPORT, binary, clean_environment, serving
from policies import allow, policy, text_of

USE = policy(allow(["kms:Encrypt", "kms:Decrypt"]))
LIMIT = policy(allow("kms:*"), allow("iam:Get*"))
LOOK = policy(allow("iam:Get*"))
OWN = policy(allow("kms:GenerateRandom"))
BAD_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*"}]}'
ATTACHED = 'attached_policies = ["use-keys"]\n'

FILE = """
[[account]]
id = "{account}"

[[account.policy]]
name = "use-keys"
path = "/app/"
description = "Encrypt and decrypt."
document_file = "use-keys.json"
tags = {{ team = "payments", stage = "test" }}

[[account.policy]]
name = "limit"
document = '''{limit}'''

[[account.group]]
name = "operators"
attached_policies = ["use-keys"]

[[account.group.policy]]
name = "look"
document = '''{look}'''

[[account.user]]
name = "alice"
path = "/staff/"
groups = ["operators"]
boundary = "limit"
tags = {{ mail = "alice@example.org" }}

[[account.user.policy]]
name = "own"
document = '''{own}'''

# It trusts a role that comes after it.
[[account.role]]
name = "web"
description = "The front."
max_session_duration = "4h"
trust_policy = '''{trusts_base}'''
attached_policies = ["use-keys"]
boundary = "limit"

[[account.role]]
name = "base"
trust_policy = '''{trusts_alice}'''
"""


def trust(arn):
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"},
        ],
    }


class Operator:
    """An operator with a file, and the account that it is about."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.account = f"{random.randrange(10**12):012}"
        (folder / "use-keys.json").write_text(json.dumps(USE, indent=2))
        self.file = folder / "declared.toml"
        self.write(self.text)

    @property
    def text(self):
        arn = f"arn:aws:iam::{self.account}:"
        return FILE.format(
            account=self.account,
            limit=text_of(LIMIT),
            look=text_of(LOOK),
            own=text_of(OWN),
            trusts_base=text_of(trust(f"{arn}role/base")),
            trusts_alice=text_of(trust(f"{arn}user/staff/alice")),
        )

    def write(self, text):
        self.file.write_text(text)

    def change(self, *replacements):
        """Writes the file with other parts in the place of some."""
        text = self.text
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new)
        self.write(text)

    def run(self, *arguments):
        return self.server.run("apply", "-f", self.file, *arguments)

    def apply(self, *arguments):
        done = self.run("--yes", *arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def begin(self):
        """Applies the file for the first time, and gives the IAM client of the account's root."""
        printed = self.apply()
        keys = dict(match.groups() for match in map(EXPORT.match, printed.splitlines()) if match)
        self.root = keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]
        return self.server.client("iam", credentials=self.root)

    def steps(self):
        """What operators changed, by the audit trail: operations and their parameters."""
        lines = (self.server.folder / "audit.json").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        return [
            (record["eventName"], record["requestParameters"], record["userIdentity"])
            for record in records
            if record["eventSource"] == "admin.keystead"
            and record.get("recipientAccountId") == self.account
        ]

    def operations(self, since=0):
        return [name for name, *_ in self.steps()[since:]]

    def applied(self):
        """The log index up to which the state is."""
        status = json.loads(self.server.run("status", "--output", "json").stdout)
        return status["Regions"][0]["AppliedIndex"]


def signs(printed):
    """The lines of a plan that say what is done to which entity."""
    return [line.strip() for line in printed.splitlines() if line[:4] in ("  + ", "  ~ ", "  - ")]


def listing(iam):
    """Everything that an account has, as IAM tells it."""

    def of(kind, names, key):
        named = {f"{kind}Name": key}
        inline = getattr(iam, f"list_{kind.lower()}_policies")(**named)["PolicyNames"]
        get = getattr(iam, f"get_{kind.lower()}_policy")
        attached = getattr(iam, f"list_attached_{kind.lower()}_policies")(**named)
        return {
            "inline": {
                name: get(**named, PolicyName=name)["PolicyDocument"] for name in inline
            },
            "attached": attached["AttachedPolicies"],
        } | names

    def shown(entity):
        left_out = ("CreateDate", "UpdateDate", "RoleLastUsed")
        return {name: value for name, value in entity.items() if name not in left_out}

    found = {}
    for user in iam.list_users()["Users"]:
        name = user["UserName"]
        groups = iam.list_groups_for_user(UserName=name)["Groups"]
        keys = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
        own = {
            "user": shown(iam.get_user(UserName=name)["User"]),
            "groups": [group["GroupName"] for group in groups],
            "keys": [key["AccessKeyId"] for key in keys],
        }
        found["user", name] = of("User", own, name)
    for group in iam.list_groups()["Groups"]:
        name = group["GroupName"]
        found["group", name] = of("Group", {"group": shown(group)}, name)
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        found["role", name] = of("Role", {"role": shown(iam.get_role(RoleName=name)["Role"])}, name)
    for entry in iam.list_policies(Scope="Local")["Policies"]:
        arn = entry["Arn"]
        whole = iam.get_policy(PolicyArn=arn)["Policy"]
        version = iam.get_policy_version(PolicyArn=arn, VersionId=whole["DefaultVersionId"])
        document = version["PolicyVersion"]["Document"]
        found["policy", entry["PolicyName"]] = {"policy": shown(whole), "document": document}
    return found


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("applied")) as server:
        yield server


@pytest.fixture
def operator(own_server, tmp_path):
    return Operator(own_server, tmp_path)


class Terminal:
    """`keystead apply` at a terminal."""

    def __init__(self, operator):
        self.screen, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [binary(), "apply", "-f", operator.file, "--config", operator.server.configuration],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=clean_environment(),
        )
        os.close(terminal)
        self.seen = ""

    def until(self, text):
        """Reads on until the text comes, or the end where it is None."""
        deadline = time.monotonic() + 30
        while text is None or text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            with contextlib.suppress(OSError):
                if more := os.read(self.screen, 4096):
                    self.seen += more.decode().replace("\r\n", "\n")
                    continue
            assert text is None, self.seen
            break
        seen, self.seen = self.seen, ""
        return seen

    def answer(self, text):
        os.write(self.screen, text.encode() + b"\n")

    def end(self):
        seen = self.until(None)
        os.close(self.screen)
        return self.process.wait(30), seen
