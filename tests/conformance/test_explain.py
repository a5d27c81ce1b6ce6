"""`keystead explain` says what happens: for each question it is asked, the call is made too."""

import json
import subprocess

import botocore.exceptions
import pytest
from expect import key_arn
from node import ACCOUNT, CREDENTIALS, OTHER_ACCOUNT, REGION, Node, binary, clean_environment

ROOT, OTHER_ROOT = (f"arn:aws:iam::{account}:root" for account in (ACCOUNT, OTHER_ACCOUNT))
KEPT = {"Sid": "Owner", "Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*"}
ALLOWED, DENIED, UNANSWERED = 0, 1, 2


@pytest.fixture(scope="module")
def own_node(tmp_path_factory):
    """A node with a data folder, for the admin socket is in it."""
    accounts = [
        argument
        for account, (key, secret) in CREDENTIALS.items()
        for argument in ("--account", f"{account}:{key}:{secret}")
    ]
    folder = tmp_path_factory.mktemp("explain") / "data"
    node = Node(["--data-dir", folder, "--region", REGION, *accounts])
    node.folder = folder
    node.start()
    yield node
    assert node.stop() == 0


@pytest.fixture(scope="module")
def own_kms(own_node):
    return own_node.client()


@pytest.fixture
def key(own_kms):
    return own_kms.create_key()["KeyMetadata"]


@pytest.fixture
def operator(own_node):
    """Runs a command of an operator of the node."""

    def run(*arguments):
        return subprocess.run(
            [binary(), *arguments, "--data-dir", own_node.folder],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def explain(operator):
    """The exit status of `keystead explain` and what it says as JSON."""

    def ask(principal, action, key, *context, account=None):
        more = [argument for value in context for argument in ("--context", value)]
        more += ["--account", account] if account else []
        said = operator(
            "explain", "--principal", principal, "--action", action, "--key-id", key, *more, "--json"
        )
        assert said.returncode in (ALLOWED, DENIED), said.stderr
        told = json.loads(said.stdout)
        assert told["Allowed"] == (said.returncode == ALLOWED)
        return told

    return ask


def put(kms, key, *statements):
    """Gives the key a policy of these statements, after the one that its owner needs."""
    whole = [{"Resource": "*"} | statement for statement in (KEPT, *statements)]
    policy = json.dumps({"Version": "2012-10-17", "Statement": whole})
    kms.put_key_policy(KeyId=key["KeyId"], Policy=policy)


def happens(call, **parameters):
    """Whether the call is let in."""
    try:
        call(**parameters)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDeniedException"
        return False
    return True


def places(sources):
    return [(source["Type"], source["Statement"], source["Sid"]) for source in sources]


class TestPolicies:
    def test_the_default_policy(self, own_kms, key, explain):
        arn = key["Arn"]
        assert happens(own_kms.encrypt, KeyId=arn, Plaintext=b"x")
        told = explain(ROOT, "kms:Encrypt", arn)
        assert told["Allowed"]
        assert places(told["DecidedBy"]) == [("key policy", 1, "Enable IAM User Permissions")]
        assert told["Others"] == []

    def test_another_account(self, own_node, own_kms, key, explain):
        other = own_node.client(account=OTHER_ACCOUNT)
        arn = key["Arn"]
        assert not happens(other.encrypt, KeyId=arn, Plaintext=b"x")
        told = explain(OTHER_ROOT, "kms:Encrypt", arn)
        assert not told["Allowed"]
        assert told["DecidedBy"] == []
        [own] = told["Others"]
        assert (own["Statement"], own["Why"]) == (1, "it is about other principals")

        lent = {"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "kms:Encrypt"}
        put(own_kms, key, lent)
        assert happens(other.encrypt, KeyId=arn, Plaintext=b"x")
        told = explain(OTHER_ROOT, "kms:Encrypt", arn)
        assert told["Allowed"]
        assert places(told["DecidedBy"]) == [("key policy", 2, None), ("root", None, None)]
        assert not happens(other.describe_key, KeyId=arn)
        assert not explain(OTHER_ROOT, "kms:DescribeKey", arn)["Allowed"]

    def test_an_explicit_denial(self, own_kms, key, explain):
        put(
            own_kms,
            key,
            {"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt"},
        )
        assert not happens(own_kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x")
        told = explain(ROOT, "kms:Encrypt", key["KeyId"])
        assert not told["Allowed"]
        assert places(told["DecidedBy"]) == [("key policy", 2, "No")]
        assert [(other["Sid"], other["Applies"]) for other in told["Others"]] == [("Owner", True)]

    @pytest.mark.parametrize("dept", ["finance", "sales", None])
    def test_an_encryption_context(self, own_node, own_kms, key, explain, dept):
        condition = {"StringEquals": {"kms:EncryptionContext:dept": "finance"}}
        lent = {"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "kms:Encrypt"}
        put(own_kms, key, lent | {"Condition": condition})
        context = {"dept": dept} if dept else {}
        given = [f"kms:EncryptionContext:dept={dept}"] if dept else []
        other = own_node.client(account=OTHER_ACCOUNT)
        call = {"KeyId": key["Arn"], "Plaintext": b"x", "EncryptionContext": context}
        told = explain(OTHER_ROOT, "kms:Encrypt", key["Arn"], *given)
        assert told["Allowed"] == happens(other.encrypt, **call) == (dept == "finance")
        if dept != "finance":
            [why] = [step["Why"] for step in told["Others"] if step["Statement"] == 2]
            said = "the condition StringEquals on kms:EncryptionContext:dept does not hold"
            assert why == (said if dept else f"{said}, which has no value")

    @pytest.mark.parametrize("address, allowed", [("127.0.0.0/8", True), ("10.0.0.0/8", False)])
    def test_what_only_the_sender_knows_is_given(self, own_kms, key, explain, address, allowed):
        condition = {"NotIpAddress": {"aws:SourceIp": address}}
        put(
            own_kms,
            key,
            {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Condition": condition},
        )
        told = explain(ROOT, "kms:Encrypt", key["KeyId"], "aws:SourceIp=127.0.0.1")
        called = happens(own_kms.encrypt, KeyId=key["KeyId"], Plaintext=b"x")
        assert told["Allowed"] == called == allowed

    def test_what_the_server_knows_need_not_be_given(self, own_kms, key, explain):
        """Tags, what requests say by default, the alias that was used, the time."""
        own_kms.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": "a", "TagValue": "b"}])
        alias = f"alias/{key['KeyId']}"
        own_kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
        condition = {
            "StringEquals": {
                "aws:ResourceTag/a": "b",
                "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
                "kms:RequestAlias": alias,
                "kms:CallerAccount": ACCOUNT,
            },
            "DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"},
        }
        put(
            own_kms,
            key,
            {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Condition": condition},
        )
        for name, allowed in ((alias, False), (key["KeyId"], True)):
            told = explain(ROOT, "kms:Encrypt", name)
            called = happens(own_kms.encrypt, KeyId=name, Plaintext=b"x")
            assert told["Allowed"] == called == allowed
        replaced = explain(ROOT, "kms:Encrypt", alias, "aws:CurrentTime=2019-01-01T00:00:00Z")
        assert replaced["Allowed"]


class TestGrants:
    def test_a_grant(self, own_node, own_kms, key, explain):
        made = own_kms.create_grant(
            KeyId=key["KeyId"],
            GranteePrincipal=OTHER_ROOT,
            Operations=["Encrypt"],
            Constraints={"EncryptionContextSubset": {"dept": "finance"}},
        )
        other = own_node.client(account=OTHER_ACCOUNT)
        call = {"KeyId": key["Arn"], "Plaintext": b"x"}
        for context in ({"dept": "finance", "more": "x"}, {"dept": "sales"}):
            given = [f"kms:EncryptionContext:{name}={value}" for name, value in context.items()]
            told = explain(OTHER_ROOT, "kms:Encrypt", key["Arn"], *given)
            called = happens(other.encrypt, **call, EncryptionContext=context)
            assert told["Allowed"] == called == (context["dept"] == "finance")
            [grant] = [
                source
                for source in (*told["DecidedBy"], *told["Others"])
                if source["Type"] == "grant"
            ]
            assert grant["Name"] == made["GrantId"]
            if not called:
                assert grant["Why"] == "the encryption context is another"

    def test_grants_that_a_request_does_not_look_at(self, own_kms, key, explain):
        """Those to others, and for something else."""
        for operation, grantee in (("Decrypt", ROOT), ("Encrypt", OTHER_ROOT)):
            own_kms.create_grant(
                KeyId=key["KeyId"], GranteePrincipal=grantee, Operations=[operation]
            )
        told = explain(ROOT, "kms:Encrypt", key["KeyId"])
        misses = {step["Why"] for step in told["Others"] if step["Type"] == "grant"}
        assert misses == {"it is about other actions", "it is about other principals"}


class TestErrors:
    @pytest.mark.parametrize(
        "principal, action, named, context, sentence",
        [
            ("alice", "kms:Encrypt", None, (), "not the ARN of an account's root, a user or a session"),
            (
                f"arn:aws:iam::{ACCOUNT}:user/nobody",
                "kms:Encrypt",
                None,
                (),
                f"There is no user arn:aws:iam::{ACCOUNT}:user/nobody",
            ),
            ("arn:aws:iam::999999999999:root", "kms:Encrypt", None, (), "no account 999999999999"),
            (ROOT, "kms:Encode", None, (), "no action that a request for a key needs"),
            (ROOT, "kms:CreateKey", None, (), "no action that a request for a key needs"),
            (ROOT, "kms:Encrypt", "alias/none", (), "alias/none is not found"),
            (ROOT, "kms:Encrypt", key_arn("none"), (), "none"),
            (OTHER_ROOT, "kms:Encrypt", None, (), "does not exist"),
            (ROOT, "kms:Encrypt", None, ("aws:SourceIP6=1",), "no condition key"),
            (ROOT, "kms:Encrypt", None, ("aws:SourceIp=1", "aws:SourceIp=2"), "has one value only"),
        ],
    )
    def test_what_cannot_be(self, operator, key, principal, action, named, context, sentence):
        more = [argument for value in context for argument in ("--context", value)]
        key_id = named or key["KeyId"]
        asked = ("--principal", principal, "--action", action, "--key-id", key_id, *more)
        said = operator("explain", *asked)
        assert (said.returncode, said.stdout) == (UNANSWERED, "")
        assert sentence in said.stderr

    def test_the_account_of_a_bare_name(self, key, explain):
        told = explain(OTHER_ROOT, "kms:Encrypt", key["KeyId"], account=ACCOUNT)
        assert (told["Allowed"], told["KeyArn"]) == (False, key["Arn"])


class TestWhoCan:
    @pytest.fixture
    def who_can(self, operator):
        def ask(action, key, *more):
            said = operator("who-can", "--action", action, "--key-id", key, *more, "--json")
            assert said.returncode == 0, said.stderr
            able = json.loads(said.stdout)["Principals"]
            return {one["Principal"]: places(one["DecidedBy"]) for one in able}

        return ask

    def test_those_who_are_let_in(self, own_node, own_kms, key, who_can):
        put(
            own_kms,
            key,
            {
                "Sid": "Lent",
                "Effect": "Allow",
                "Principal": {"AWS": OTHER_ACCOUNT, "Service": "logs.amazonaws.com"},
                "Action": "kms:Encrypt",
            },
        )
        grant = own_kms.create_grant(
            KeyId=key["KeyId"],
            GranteePrincipal=OTHER_ROOT,
            Operations=["DescribeKey"],
        )
        other = own_node.client(account=OTHER_ACCOUNT)
        owner = [("key policy", 1, "Owner")]
        lent = ("key policy", 2, "Lent")
        assert who_can("kms:Encrypt", key["KeyId"]) == {
            ROOT: owner,
            OTHER_ROOT: [lent, ("root", None, None)],
            "logs.amazonaws.com": [lent],
        }
        assert happens(other.encrypt, KeyId=key["Arn"], Plaintext=b"x")
        assert who_can("kms:DescribeKey", key["Arn"]) == {
            ROOT: owner,
            OTHER_ROOT: [("grant", None, None)],
        }
        assert happens(other.describe_key, KeyId=key["Arn"])
        own_kms.revoke_grant(KeyId=key["KeyId"], GrantId=grant["GrantId"])
        assert who_can("kms:DescribeKey", key["Arn"]) == {ROOT: owner}
        assert not happens(other.describe_key, KeyId=key["Arn"])

    def test_the_account_of_an_alias(self, own_kms, key, operator, who_can):
        alias = f"alias/{key['KeyId']}"
        own_kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
        assert list(who_can("kms:Encrypt", alias, "--account", ACCOUNT)) == [ROOT]
        said = operator("who-can", "--action", "kms:Encrypt", "--key-id", alias)
        assert (said.returncode, said.stdout) == (1, "")
        assert "Name the account too, or the key by its ARN" in said.stderr


class TestReport:
    @pytest.fixture
    def report(self, operator):
        def ask(*more):
            said = operator("report", *more, "--json")
            assert said.returncode == 0, said.stderr
            return json.loads(said.stdout)

        return ask

    def test_open_keys(self, own_kms, key, report):
        arn = key["Arn"]
        opened = {"Effect": "Allow", "Principal": "*", "Action": "kms:Encrypt"}
        ours = {"StringEquals": {"kms:CallerAccount": ACCOUNT}}
        put(own_kms, key, {"Sid": "Narrow", "Condition": ours} | opened, {"Sid": "Wide"} | opened)
        found = [open_key for open_key in report()["OpenKeys"] if open_key["KeyArn"] == arn]
        assert found == [{"KeyArn": arn, "Statement": 3, "Sid": "Wide"}]

    def test_access_keys(self, report):
        of_roots = {(one["AccessKeyId"], one["Owner"]) for one in report()["RootAccessKeys"]}
        assert of_roots == {("test", ROOT), ("other", OTHER_ROOT)}
        assert report()["OldAccessKeys"] == []
        old = report("--older-than", "0d")["OldAccessKeys"]
        assert {(one["AccessKeyId"], one["Status"], one["AgeDays"]) for one in old} == {
            ("test", "Active", 0),
            ("other", "Active", 0),
        }


class TestForPeople:
    """What is printed without `--json`, as docs/operations.md shows it."""

    def test_explain(self, own_kms, key, operator):
        sent = {"StringNotEquals": {"kms:EncryptionContext:dept": "finance"}}
        put(
            own_kms,
            key,
            {
                "Sid": "Finance",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "kms:Decrypt",
                "Condition": sent,
            },
        )
        asked = ("--principal", ROOT, "--action", "kms:Decrypt", "--key-id", key["KeyId"])
        said = operator("explain", *asked)
        assert said.returncode == DENIED
        assert said.stdout.splitlines() == [
            "Denied by key policy, statement 2 (Finance)",
            f"  {ROOT}",
            f"  kms:Decrypt on {key['Arn']}",
            "",
            "Effect  Of                               Why it did not decide",
            "Allow   key policy, statement 1 (Owner)  it applies, and something else decides",
        ]
        said = operator("explain", *asked, "--context", "kms:EncryptionContext:dept=finance")
        assert said.returncode == ALLOWED
        assert said.stdout.splitlines()[0] == "Allowed by key policy, statement 1 (Owner)"

    def test_who_can(self, key, operator):
        said = operator("who-can", "--action", "kms:Sign", "--key-id", key["Arn"])
        [columns, line] = said.stdout.splitlines()
        assert columns.split() == ["Principal", "Type", "Allowed", "by"]
        assert line.split(maxsplit=2) == [
            ROOT,
            "root",
            "key policy, statement 1 (Enable IAM User Permissions)",
        ]

    def test_report(self, operator):
        said = operator("report", "--older-than", "30d").stdout
        assert "Access keys older than 30 days: none." in said
        assert "Access keys of roots:\n" in said
