"""`keystead apply`: what a file declares comes to be, and nothing else happens."""

import json
import os

import pytest
from declaring import (
    ATTACHED,
    LIMIT,
    LOOK,
    OWN,
    USE,
    Terminal,
    listing,
    operator,
    own_server,
    signs,
    trust,
)
from policies import allow, deny, policy, text_of


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
        tags = [{"Key": "mail", "Value": "x"}, {"Key": "y", "Value": "z"}]
        iam.tag_user(UserName="alice", Tags=tags)
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
            document = policy(allow("kms:Encrypt"), *[allow("kms:Sign")] * count)
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
        operator.change((f"{ATTACHED}boundary", 'attached_policies = ["old"]\nboundary'))
        before = listing(iam)
        refused = operator.run("--prune", "--yes")
        assert refused.returncode == 1
        assert "role web: policy old, which it has, is not declared" in refused.stderr
        assert listing(iam) == before
        operator.apply()
        [attached] = listing(iam)["role", "web"]["attached"]
        assert attached["PolicyName"] == "old"


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
        more = text_of(policy(deny("kms:*")))
        iam.put_user_policy(UserName="alice", PolicyName="more", PolicyDocument=more)
        terminal.answer("yes")
        seen = terminal.until("does: ")
        assert "The state has changed since that plan was made. Nothing was done." in seen
        assert signs(seen) == [
            "~ user alice: inline policy own",
            "~ user alice: inline policy more",
        ]
        assert operator.operations(audited) == []
        terminal.answer("no")
        assert terminal.end()[0] == 1
        assert operator.operations(audited) == []
