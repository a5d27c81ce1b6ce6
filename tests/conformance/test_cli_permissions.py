"""Users, policies and grants with the `aws` command line: the main steps of their stories."""

import base64
import json

import pytest
from node import ACCOUNT
from people import unique_name
from policies import allow, policy, text_of
from test_cli_aws import run

FINANCE = ("--encryption-context", "department=finance")
DENIED = "(AccessDeniedException)"


class Shell:
    """A shell in which somebody calls `aws`."""

    def __init__(self, node, **credentials):
        self.node = node
        self.environment = node.shell(AWS_DEFAULT_OUTPUT="json", **credentials)

    def aws(self, *arguments):
        """The JSON that a call prints, None for none."""
        done = run(self.environment, *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, *arguments):
        """What a call says that must fail."""
        done = run(self.environment, *arguments)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def user(self, *policies):
        """A new user, made here, with policies; the shell of that one."""
        name = unique_name()
        made = self.aws("iam", "create-user", "--user-name", name)["User"]
        for arn in policies:
            about = ("--user-name", name, "--policy-arn", arn)
            self.aws("iam", "attach-user-policy", *about)
        key = self.aws("iam", "create-access-key", "--user-name", name)["AccessKey"]
        credentials = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        shell = Shell(self.node, **credentials)
        shell.name, shell.arn, shell.unique_id = name, made["Arn"], made["UserId"]
        return shell

    def policy(self, *statements):
        """The ARN of a new managed policy."""
        document = ("--policy-document", text_of(policy(*statements)))
        made = self.aws("iam", "create-policy", "--policy-name", unique_name("policy"), *document)
        return made["Policy"]["Arn"]


@pytest.fixture(scope="module")
def root(node):
    return Shell(node)


@pytest.fixture(scope="module")
def admin(root):
    return root.user(root.policy(allow(["iam:*", "kms:*"])))


@pytest.fixture
def key(admin):
    return admin.aws("kms", "create-key")["KeyMetadata"]


@pytest.fixture
def plain(tmp_path):
    file = tmp_path / "plain"
    file.write_bytes(b"four weeks' notice")
    return f"fileb://{file}"


def test_an_administrator_and_a_clerk(admin, key, plain, tmp_path):
    condition = {"StringEquals": {"kms:EncryptionContext:department": "finance"}}
    clerk = admin.user(admin.policy(allow("kms:Encrypt", key["Arn"], Condition=condition)))
    assert clerk.aws("sts", "get-caller-identity") == {
        "UserId": clerk.unique_id,
        "Account": ACCOUNT,
        "Arn": clerk.arn,
    }
    encrypt = ("kms", "encrypt", "--key-id", key["KeyId"], "--plaintext", plain)
    blob = clerk.aws(*encrypt, *FINANCE)["CiphertextBlob"]
    said = clerk.refused(*encrypt)
    assert DENIED in said
    assert f"User: {clerk.arn} is not authorized to perform: kms:Encrypt on resource" in said
    sealed = tmp_path / "sealed"
    sealed.write_bytes(base64.b64decode(blob))
    decrypt = ("kms", "decrypt", "--ciphertext-blob", f"fileb://{sealed}", *FINANCE)
    assert DENIED in clerk.refused(*decrypt)
    opened = base64.b64decode(admin.aws(*decrypt)["Plaintext"])
    assert opened == b"four weeks' notice"
    assert "(AccessDenied)" in clerk.refused("iam", "list-users")


def test_a_grant(admin, key, plain):
    reader, retiring = admin.user(), admin.user()
    constraint = '{"EncryptionContextSubset":{"department":"finance"}}'
    made = admin.aws(
        *("kms", "create-grant", "--key-id", key["KeyId"], "--operations", "Encrypt"),
        *("--grantee-principal", reader.arn, "--retiring-principal", retiring.arn),
        *("--constraints", constraint),
    )
    encrypt = ("kms", "encrypt", "--key-id", key["KeyId"], "--plaintext", plain)
    reader.aws(*encrypt, *FINANCE, "--grant-tokens", made["GrantToken"])
    assert DENIED in reader.refused(*encrypt)
    [listed] = admin.aws("kms", "list-grants", "--key-id", key["KeyId"])["Grants"]
    assert (listed["GrantId"], listed["GranteePrincipal"]) == (made["GrantId"], reader.arn)
    retire = ("kms", "retire-grant", "--key-id", key["Arn"], "--grant-id", made["GrantId"])
    assert DENIED in reader.refused(*retire)
    retiring.aws(*retire)
    assert DENIED in reader.refused(*encrypt, *FINANCE)
    assert "(InvalidGrantIdException)" in admin.refused(*retire)


def test_a_key_policy_and_a_group(admin, root, key):
    user, group = admin.user(), unique_name("group")
    describe = ("kms", "describe-key", "--key-id", key["KeyId"])
    put = ("kms", "put-key-policy", "--key-id", key["KeyId"], "--policy-name", "default")
    statements = json.loads(admin.aws("kms", "get-key-policy", "--key-id", key["KeyId"])["Policy"])[
        "Statement"
    ]
    own = {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "kms:Describe*"}
    assert DENIED in user.refused(*describe)
    admin.aws(*put, "--policy", text_of(policy(*statements, own | {"Resource": "*"})))
    user.aws(*describe)
    admin.aws("iam", "create-group", "--group-name", group)
    arn = admin.policy({"Effect": "Deny", "Action": "kms:DescribeKey", "Resource": "*"})
    admin.aws("iam", "attach-group-policy", "--group-name", group, "--policy-arn", arn)
    admin.aws("iam", "add-user-to-group", "--group-name", group, "--user-name", user.name)
    assert "with an explicit deny in an identity-based policy" in user.refused(*describe)

    broken = admin.refused(*put, "--policy", '{"Statement":[{"Effect":"Perhaps"}]}')
    assert "(MalformedPolicyDocumentException)" in broken
    assert "Statement[0].Effect: must be Allow or Deny" in broken
