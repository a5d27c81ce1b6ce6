"""`keystead apply`: what a file declares comes to be, and nothing else happens."""

import contextlib
import json
import os
import pty
import random
import subprocess
import time

import pytest
from certificates import Authority
from node import ACCOUNT, EXPORT, Node, Server, binary, clean_environment, serving
from policies import allow, deny, policy, text_of

USE = policy(allow(["kms:Encrypt", "kms:Decrypt"]))
LIMIT = policy(allow("kms:*"), allow("iam:Get*"))
LOOK = policy(allow("iam:Get*"))
OWN = policy(allow("kms:GenerateRandom"))
NAME = "alice.operators.example"

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
        own = {
            "user": shown(iam.get_user(UserName=name)["User"]),
            "groups": [group["GroupName"] for group in groups],
            "keys": [key["AccessKeyId"] for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]],
        }
        found["user", name] = of("User", own, name)
    for group in iam.list_groups()["Groups"]:
        found["group", group["GroupName"]] = of("Group", {"group": shown(group)}, group["GroupName"])
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


class TestApplying:
    def test_what_is_declared_comes(self, operator):
        iam = operator.begin()
        found = listing(iam)
        assert sorted(found) == [
            ("group", "operators"),
            ("policy", "limit"),
            ("policy", "use-keys"),
            ("role", "base"),
            ("role", "web"),
            ("user", "alice"),
        ]
        use = f"arn:aws:iam::{operator.account}:policy/app/use-keys"
        limit = f"arn:aws:iam::{operator.account}:policy/limit"
        attached = [{"PolicyName": "use-keys", "PolicyArn": use}]
        alice = found["user", "alice"]
        assert alice["inline"] == {"own": OWN}
        assert alice["groups"] == ["operators"]
        assert alice["user"]["Path"] == "/staff/"
        assert alice["user"]["Tags"] == [{"Key": "mail", "Value": "alice@example.org"}]
        assert alice["user"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == limit
        assert found["group", "operators"]["attached"] == attached
        assert found["group", "operators"]["inline"] == {"look": LOOK}
        web = found["role", "web"]
        assert web["role"]["Description"] == "The front."
        assert web["role"]["MaxSessionDuration"] == 4 * 3600
        base = f"arn:aws:iam::{operator.account}:role/base"
        assert web["role"]["AssumeRolePolicyDocument"] == trust(base)
        assert web["attached"] == attached
        policies = found["policy", "use-keys"]
        assert policies["document"] == USE
        assert policies["policy"]["Description"] == "Encrypt and decrypt."
        assert {tag["Key"] for tag in policies["policy"]["Tags"]} == {"team", "stage"}

    def test_it_is_what_decides(self, operator):
        """Secrets are made by IAM; what they open is as declared."""
        iam = operator.begin()
        key = iam.create_access_key(UserName="alice")["AccessKey"]
        credentials = key["AccessKeyId"], key["SecretAccessKey"]
        kms = operator.server.client(credentials=credentials)
        assert kms.generate_random(NumberOfBytes=8)["Plaintext"]
        with pytest.raises(kms.exceptions.ClientError, match="not authorized"):
            kms.list_keys()
        operator.change((text_of(OWN), text_of(policy(allow("kms:ListKeys")))))
        operator.apply()
        assert kms.list_keys()["Keys"] == []
        with pytest.raises(kms.exceptions.ClientError, match="not authorized"):
            kms.generate_random(NumberOfBytes=8)

    def test_every_step_is_audited(self, operator):
        printed = operator.apply()
        steps = operator.steps()
        assert len(steps) == len(signs(printed))
        assert steps[0][0] == "CreateAccount"
        created = next(said for name, said, _ in steps if name == "CreateUser")
        assert created["userName"] == "alice"
        assert {who["principalId"] for *_, who in steps} == {f"operator:{os.getuid()}"}

    def test_twice_changes_nothing(self, operator):
        iam = operator.begin()
        before, audited = listing(iam), operator.steps()

        def stays():
            index = operator.applied()
            assert operator.apply() == "Nothing to change.\n"
            return operator.applied() == index

        # The clock of the state may tick meanwhile, once a minute.
        assert any(stays() for _ in range(3))
        assert (listing(iam), operator.steps()) == (before, audited)

    def test_a_document_that_says_the_same_is_the_same(self, operator):
        operator.begin()
        [statement] = USE["Statement"]
        other = {"Statement": statement | {"Action": statement["Action"][::-1], "Resource": ["*"]}}
        other["Version"] = USE["Version"]
        (operator.folder / "use-keys.json").write_text(json.dumps(other))
        assert operator.apply() == "Nothing to change.\n"

    def test_a_changed_file_shows_its_plan_and_does_only_that(self, operator):
        iam = operator.begin()
        before, audited = listing(iam), len(operator.steps())
        wider = policy(allow(["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*"]))
        (operator.folder / "use-keys.json").write_text(text_of(wider))
        operator.change(
            ('path = "/staff/"', 'path = "/staff/it/"'),
            ('stage = "test"', 'stage = "live"'),
            ('name = "own"', 'name = "random"'),
            ('groups = ["operators"]\n', ""),
        )
        expected = [
            "~ policy use-keys: document",
            "~ policy use-keys: tags",
            "~ user alice: path",
            "~ user alice: inline policy random",
            "~ user alice: inline policy own",
            "~ user alice: group",
        ]
        shown = operator.run("--plan")
        assert shown.returncode == 0, shown.stderr
        assert signs(shown.stdout) == expected
        assert "6 steps: 0 to create, 6 to change, 0 to delete." in shown.stdout
        assert listing(iam) == before
        assert operator.operations(audited) == []

        assert signs(operator.apply()) == expected
        assert operator.operations(audited) == [
            "CreatePolicyVersion",
            "TagPolicy",
            "UpdateUser",
            "PutUserPolicy",
            "DeleteUserPolicy",
            "RemoveUserFromGroup",
        ]
        after = listing(iam)
        changed = {name for name in before if before[name] != after.get(name)}
        # The trust policy of base names alice as she is now.
        assert changed - {("role", "base")} == {("policy", "use-keys"), ("user", "alice")}
        assert after["policy", "use-keys"]["document"] == wider
        alice = after["user", "alice"]
        assert (alice["inline"], alice["groups"]) == ({"random": OWN}, [])

    def test_the_file_decides_on_all_of_an_entity(self, operator):
        iam = operator.begin()
        before = listing(iam)
        iam.put_user_policy(UserName="alice", PolicyName="more", PolicyDocument=text_of(LIMIT))
        iam.tag_user(UserName="alice", Tags=[{"Key": "mail", "Value": "x"}, {"Key": "y", "Value": "z"}])
        iam.delete_role_permissions_boundary(RoleName="web")
        iam.update_role(RoleName="web", MaxSessionDuration=3600)
        iam.update_assume_role_policy(
            RoleName="base", PolicyDocument=text_of(trust(f"arn:aws:iam::{operator.account}:root"))
        )
        assert signs(operator.apply()) == [
            "~ user alice: tags",
            "~ user alice: tags",
            "~ user alice: inline policy more",
            "~ role web: description and sessions",
            "~ role web: boundary",
            "~ role base: trust policy",
        ]
        assert listing(iam) == before

    def test_more_versions_than_a_policy_may_have(self, operator):
        iam = operator.begin()
        for count in range(6):
            document = policy(allow("kms:Encrypt"), allow("kms:Decrypt"), *[allow("kms:Sign")] * count)
            (operator.folder / "use-keys.json").write_text(text_of(document))
            operator.apply()
        arn = f"arn:aws:iam::{operator.account}:policy/app/use-keys"
        versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
        assert [version["VersionId"] for version in versions] == ["v7", "v6", "v5", "v4", "v3"]
        assert versions[0]["IsDefaultVersion"]


class TestPruning:
    @pytest.fixture
    def iam(self, operator):
        """The account has more than is declared."""
        iam = operator.begin()
        iam.create_user(UserName="bob")
        iam.create_access_key(UserName="bob")
        iam.add_user_to_group(UserName="bob", GroupName="operators")
        iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=text_of(OWN))
        made = iam.create_policy(PolicyName="old", PolicyDocument=text_of(USE))
        arn = made["Policy"]["Arn"]
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=text_of(LOOK), SetAsDefault=True)
        iam.attach_user_policy(UserName="bob", PolicyArn=arn)
        iam.create_group(GroupName="former")
        iam.attach_group_policy(GroupName="former", PolicyArn=arn)
        return iam

    def test_what_is_not_declared_stays(self, operator, iam):
        before = listing(iam)
        assert operator.apply() == "Nothing to change.\n"
        assert listing(iam) == before

    def test_what_is_not_declared_goes(self, operator, iam):
        before, audited = listing(iam), len(operator.steps())
        other = listing(operator.server.client("iam"))
        printed = operator.apply("--prune")
        assert signs(printed) == [
            "- user bob: access key",
            "- user bob: group",
            "- user bob: inline policy own",
            "- user bob: attached policy",
            "- user bob",
            "- group former: attached policy",
            "- group former",
            "- policy old: version",
            "- policy old",
        ]
        assert len(operator.operations(audited)) == 9
        gone = {("user", "bob"), ("group", "former"), ("policy", "old")}
        assert listing(iam) == {name: before[name] for name in before if name not in gone}
        assert operator.apply("--prune") == "Nothing to change.\n"
        assert listing(operator.server.client("iam")) == other

    def test_what_is_not_declared_and_used_is_refused(self, operator, iam):
        operator.change(('attached_policies = ["use-keys"]\nboundary', 'attached_policies = ["old"]\nboundary'))
        before = listing(iam)
        refused = operator.run("--prune", "--yes")
        assert refused.returncode == 1
        assert "role web: policy old, which it has, is not declared" in refused.stderr
        assert listing(iam) == before
        operator.apply()
        [attached] = listing(iam)["role", "web"]["attached"]
        assert attached["PolicyName"] == "old"


BAD_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*"}]}'
MISTAKES = {
    "no TOML": (("[[account]]", "[[account"), "TOML parse error"),
    "an unknown key": (('path = "/staff/"', 'paht = "/staff/"'), "unknown field `paht`"),
    "no account id": (('id = "{account}"', 'id = "12"'), 'account "12"'),
    "no document": (('document_file = "use-keys.json"\n', ""), "document is missing"),
    "no such file": (("use-keys.json", "use-keis.json"), "use-keis.json"),
    "two documents": (
        ('document_file = "use-keys.json"', 'document_file = "use-keys.json"\ndocument = "{{}}"'),
        "document and document_file",
    ),
    "a bad managed policy": (("'''{limit}'''", f"'''{BAD_POLICY}'''"), "policy limit: "),
    "a bad inline policy": (("'''{own}'''", f"'''{BAD_POLICY}'''"), "user alice: inline policy own: "),
    "a bad trust policy": (("'''{trusts_base}'''", "'''{own}'''"), "role web: trust policy: "),
    "a stranger who is trusted": (
        ("'''{trusts_base}'''", "'''{stranger}'''"),
        "role web: Invalid principal in policy",
    ),
    "a name of nobody": (('name = "alice"', 'name = "al ice"'), "user al ice: it cannot be"),
    "a path that is none": (('"/staff/"', '"staff"'), 'user alice: "staff" is no path'),
    "twice the same": (('name = "base"', 'name = "WEB"'), "role WEB: it is declared twice"),
    "no such group": (('groups = ["operators"]', 'groups = ["nobody"]'), "there is no group nobody"),
    "no such policy": (
        ('attached_policies = ["use-keys"]\nboundary', 'attached_policies = ["no"]\nboundary'),
        "role web: there is no policy no",
    ),
    "no such boundary": (('boundary = "limit"\ntags', 'boundary = "no"\ntags'), "there is no policy no"),
    "a reserved tag": (("mail =", '"aws:mail" ='), "user alice: "),
    "too long sessions": (('"4h"', '"13h"'), "role web: sessions last between"),
    "no unit": (('"4h"', '"4"'), "say a number and a unit"),
    "too many policies attached": (
        ('attached_policies = ["use-keys"]\n\n', "attached_policies = {many}\n\n"),
        "group operators: ",
    ),
}


class TestRefusing:
    @pytest.mark.parametrize("mistake", MISTAKES)
    @pytest.mark.parametrize("exists", [False, True], ids=["new", "there"])
    def test_a_mistake_changes_nothing(self, operator, mistake, exists):
        (old, new), said = MISTAKES[mistake]
        iam = operator.begin() if exists else None
        before = listing(iam) if exists else None
        audited = operator.steps()
        own = {"own": text_of(OWN), "limit": text_of(LIMIT), "account": operator.account}
        own |= {"trusts_base": text_of(trust(f"arn:aws:iam::{operator.account}:role/base"))}
        own |= {"stranger": text_of(trust(f"arn:aws:iam::{operator.account}:user/mallory"))}
        own |= {"many": json.dumps([f"p{count}" for count in range(11)])}

        def filled(text):
            for name, value in own.items():
                text = text.replace("{" + name + "}", value)
            return text.replace("{{", "{").replace("}}", "}")

        operator.change((filled(old), filled(new)))
        if "{many}" in new:
            more = "".join(
                f"[[account.policy]]\nname = \"p{count}\"\ndocument = '''{text_of(USE)}'''\n"
                for count in range(11)
            )
            operator.write(operator.file.read_text() + more)
        refused = operator.run("--yes")
        assert refused.returncode == 1
        assert said in refused.stderr
        assert operator.steps() == audited
        if exists:
            assert listing(iam) == before
        else:
            accounts = operator.server.run("account", "list").stdout
            assert operator.account not in accounts

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('path = "/app/"', 'path = "/apps/"', "policy use-keys: its path is"),
            ("Encrypt and decrypt.", "Other.", "policy use-keys: its description is"),
            ('name = "base"', 'name = "base"\npath = "/x/"', "role base: its path is"),
            ('name = "alice"', 'name = "Alice"', "user Alice: there is one that is written alice"),
        ],
    )
    def test_what_never_changes(self, operator, old, new, said):
        iam = operator.begin()
        before = listing(iam)
        operator.change((old, new))
        refused = operator.run("--yes")
        assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr
        assert listing(iam) == before

    def test_a_bad_policy_is_told_with_its_place(self, operator):
        operator.change((text_of(OWN), BAD_POLICY))
        said = operator.run("--yes").stderr
        assert f"account {operator.account}, user alice: inline policy own: " in said
        assert "Statement" in said

    def test_without_a_terminal_it_is_said_that_it_is_meant(self, operator):
        done = operator.run()
        assert done.returncode == 1
        assert "say --yes" in done.stderr
        assert "+ role base" in signs(done.stdout)
        assert operator.steps() == []


class Terminal:
    """`keystead apply` at a terminal."""

    def __init__(self, operator, *arguments):
        self.screen, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [binary(), "apply", "-f", operator.file, "--config", operator.server.configuration, *arguments],
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


class TestAsking:
    def test_yes_applies_and_anything_else_does_not(self, operator):
        operator.begin()
        operator.change((text_of(OWN), text_of(LIMIT)))
        audited = len(operator.steps())
        terminal = Terminal(operator)
        assert signs(terminal.until("does: ")) == ["~ user alice: inline policy own"]
        terminal.answer("y")
        status, said = terminal.end()
        assert (status, "nothing was changed" in said) == (1, True)
        assert operator.operations(audited) == []

        terminal = Terminal(operator)
        terminal.until("does: ")
        terminal.answer("yes")
        status, said = terminal.end()
        assert (status, "Done: 1 step." in said) == (0, True)
        assert operator.operations(audited) == ["PutUserPolicy"]

    def test_a_plan_that_has_become_another_is_refused_and_shown_anew(self, operator):
        iam = operator.begin()
        operator.change((text_of(OWN), text_of(LIMIT)))
        audited = len(operator.steps())
        terminal = Terminal(operator)
        assert signs(terminal.until("does: ")) == ["~ user alice: inline policy own"]
        iam.put_user_policy(UserName="alice", PolicyName="more", PolicyDocument=text_of(policy(deny("kms:*"))))
        terminal.answer("yes")
        seen = terminal.until("does: ")
        assert "The state has changed since that plan was made. Nothing was done." in seen
        assert signs(seen) == ["~ user alice: inline policy own", "~ user alice: inline policy more"]
        assert operator.operations(audited) == []
        terminal.answer("no")
        assert terminal.end()[0] == 1
        assert operator.operations(audited) == []


class TestFirstStart:
    def test_a_new_cluster_begins_with_what_is_declared(self, tmp_path):
        server = Server(tmp_path / "server").configure()
        operator = Operator(server, tmp_path)
        operator.account = ACCOUNT
        operator.write(operator.text)
        done = server.run("cluster", "init", "--account", ACCOUNT, "--apply", operator.file)
        assert done.returncode == 0, done.stderr
        server.exports |= dict(m.groups() for m in map(EXPORT.match, done.stdout.splitlines()) if m)
        assert "CreateUser" in operator.operations()
        server.start()
        try:
            assert ("user", "alice") in listing(server.client("iam"))
            assert operator.apply() == "Nothing to change.\n"
        finally:
            assert server.stop() == 0

    def test_other_accounts_get_their_access_keys_shown(self, tmp_path):
        server = Server(tmp_path / "server").configure()
        operator = Operator(server, tmp_path)
        done = server.run("cluster", "init", "--account", ACCOUNT, "--apply", operator.file)
        assert done.returncode == 0, done.stderr
        for account in (ACCOUNT, operator.account):
            assert f"The root access key of account {account}, shown this once:" in done.stdout
        keys = [match[2] for match in map(EXPORT.match, done.stdout.splitlines()) if match]
        server.start()
        try:
            assert ("user", "alice") in listing(server.client("iam", credentials=keys[2:]))
        finally:
            assert server.stop() == 0

    def test_a_mistake_makes_no_cluster(self, tmp_path):
        server = Server(tmp_path / "server").configure()
        operator = Operator(server, tmp_path)
        operator.change((text_of(OWN), BAD_POLICY))
        arguments = ["cluster", "init", "--account", ACCOUNT, "--apply", operator.file]
        refused = server.run(*arguments)
        assert refused.returncode == 1
        assert "user alice: inline policy own" in refused.stderr
        assert {path.name for path in server.folder.iterdir()} == {"keystead.toml"}
        operator.write(operator.text)
        assert server.run(*arguments).returncode == 0

    def test_a_node_for_development(self, tmp_path):
        operator = Operator(None, tmp_path)
        operator.account = ACCOUNT
        operator.write(operator.text)
        node = Node(["--ephemeral", "--apply", operator.file]).start()
        try:
            assert ("user", "alice") in listing(node.client("iam"))
        finally:
            assert node.stop() == 0


class TestElsewhere:
    @pytest.fixture
    def remote(self, tmp_path):
        """A server that operators on other machines may call, if their authority says so."""
        folder = tmp_path / "server"
        folder.mkdir()
        self.authority, self.operators = Authority("servers"), Authority("operators")
        own = self.authority.issue(dns=["localhost"])
        certificate, key = own.write(folder / "own.pem", folder / "own.key")
        (folder / "operators.pem").write_bytes(self.operators.pem)
        (folder / "ca.pem").write_bytes(self.authority.pem)
        admin = {
            "listen": "127.0.0.1:0",
            "client_ca": str(folder / "operators.pem"),
            "certificate": str(certificate),
            "key": str(key),
        }
        with serving(folder, {"admin": admin}) as server:
            yield server

    def run(self, server, operator, authority):
        cert, key = authority.issue(dns=[NAME]).write(
            server.folder / "operator.pem", server.folder / "operator.key"
        )
        port = server.logged("serving")["operators"].rpartition(":")[2]
        where = ["--address", f"localhost:{port}", "--ca", server.folder / "ca.pem"]
        return subprocess.run(
            [binary(), "apply", "--yes", "-f", operator.file, *where, "--cert", cert, "--key", key],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_an_operator_applies_and_nobody_else(self, remote, tmp_path):
        operator = Operator(remote, tmp_path)
        refused = self.run(remote, operator, Authority("operators"))
        assert refused.returncode == 1
        assert operator.account not in remote.run("account", "list").stdout
        done = self.run(remote, operator, self.operators)
        assert done.returncode == 0, done.stderr
        assert {who["principalId"] for *_, who in operator.steps()} == {f"operator:{NAME}"}
