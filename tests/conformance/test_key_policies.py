"""What is a key policy and what is none, whom it may name, and that nobody locks himself out."""

import json

import pytest
from expect import (
    ABSENT_ID,
    denied_elsewhere,
    key_arn,
    missing,
    refused,
    violation,
    violations,
)
from node import ACCOUNT, OTHER_ACCOUNT
from policies import FOREIGN_ROOT, ROOT, conditional, policy, second, statement, text_of

# Nobody has made this account.
NOBODY = "999999999999"
MAX_BYTES = 32_768
LOCKOUT = "The new key policy will not allow you to update the key policy in the future."
PRINCIPAL = "Policy contains a statement with one or more invalid principals."


LATE_ERROR = '{"Version":"2012-10-17",\n"Statement":[}'
TWICE = '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}'
ALLOW_TWICE = '{"Statement":{"Effect":"Allow","Effect":"Deny","Principal":"*"}}'
KEY_TWICE = (
    '{"Statement":{"Effect":"Allow","Principal":"*","Condition":'
    '{"Bool":{"aws:SecureTransport":"true","aws:SecureTransport":"false"}}}}'
)
SID = "Statement[0].Sid: must be a string"
CONDITION = "Statement[0].Condition"

# A document, as text or as what JSON it is, and what is said of it after "malformed".
MALFORMED = {
    "not JSON": ("Statement", "policy: not valid JSON: expected value at line 1 column 1"),
    "broken JSON": (LATE_ERROR, "policy: not valid JSON: expected value at line 2 column 14"),
    "cut short": ('{"Statement":', "policy: not valid JSON: EOF while parsing a value at line"),
    "something after it": ("{} {}", "policy: not valid JSON: trailing characters at line 1"),
    "a list": ([], "policy: must be an object"),
    "a string": ('"policy"', "policy: must be an object"),
    "null": ("null", "policy: must be an object"),
    "too deep": ("[" * 200 + "]" * 200, "policy: not valid JSON: recursion limit exceeded"),
    "an element twice": (TWICE, "Version: the element is given twice"),
    "an effect twice": (ALLOW_TWICE, "Statement.Effect: the element is given twice"),
    "a condition key twice": (
        KEY_TWICE,
        "Statement.Condition.Bool.aws:SecureTransport: the element is given twice",
    ),
    "an unknown element": (policy(Comment="x"), "Comment: no such element"),
    "an element in small letters": (policy(version="2012-10-17"), "version: no such element"),
    "no statement": (policy(Statement=None), "Statement: the element is missing"),
    "no statements": (policy(Statement=[]), "Statement: the list is empty"),
    "a statement as text": (policy(Statement="all"), "Statement: must be an object"),
    "a statement as text in a list": (policy("all"), "Statement[0]: must be an object"),
    "another version": (
        policy(Version="2012-10-18"),
        'Version: "2012-10-18" is not a version of the policy language',
    ),
    "a version as a number": (policy(Version=2012), "Version: must be a string"),
    "an id as a number": (policy(Id=1), "Id: must be a string"),
    "no effect": (second(Effect=None), "Statement[1].Effect: the element is missing"),
    "another effect": (second(Effect="allow"), "Statement[1].Effect: must be Allow or Deny"),
    "a list of effects": (second(Effect=["Deny"]), "Statement[1].Effect: must be Allow or Deny"),
    "an unknown element of a statement": (second(Actions="*"), "Statement[1].Actions: no such"),
    "a sid as a number": (policy(statement(Sid=1)), SID),
    "no principal": (second(Principal=None), "Statement[1].Principal: the element is missing"),
    "no principals": (second(Principal={}), "Statement[1].Principal: the list is empty"),
    "no principals of a kind": (
        second(Principal={"AWS": []}),
        "Statement[1].Principal.AWS: the list is empty",
    ),
    "a principal without its kind": (
        second(Principal=ROOT),
        f'Statement[1].Principal: "{ROOT}" is not a principal',
    ),
    "a principal of no kind": (second(Principal={"User": ROOT}), "Statement[1].Principal.User:"),
    "a principal as a number": (
        second(Principal={"AWS": [ROOT, 1]}),
        "Statement[1].Principal.AWS[1]: must be a string",
    ),
    "a principal with a wildcard": (
        second(Principal={"AWS": [ROOT, f"arn:aws:iam::{ACCOUNT}:user/*"]}),
        f'Statement[1].Principal.AWS[1]: "arn:aws:iam::{ACCOUNT}:user/*" is not a principal',
    ),
    "a group": (
        second(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:group/admins"}),
        "Statement[1].Principal.AWS: ",
    ),
    "an account of 11 digits": (
        second(Principal={"AWS": "00000000000"}),
        'Statement[1].Principal.AWS: "00000000000" is not a principal',
    ),
    "an allowed NotPrincipal": (
        second(Principal=None, NotPrincipal={"AWS": ROOT}),
        "Statement[1].NotPrincipal: not allowed here: NotPrincipal is for Deny only",
    ),
    "both of a pair": (
        second(NotAction="kms:Encrypt"),
        "Statement[1].NotAction: not allowed here: its opposite is given",
    ),
    "both principals": (
        second(Effect="Deny", NotPrincipal={"AWS": ROOT}),
        "Statement[1].NotPrincipal: not allowed here: its opposite is given",
    ),
    "both resources": (
        second(NotResource="*"),
        "Statement[1].NotResource: not allowed here: its opposite is given",
    ),
    "no actions": (second(Action=[]), "Statement[1].Action: the list is empty"),
    "an action without its service": (
        second(Action=["kms:Encrypt", "Decrypt"]),
        'Statement[1].Action[1]: "Decrypt" is not an action',
    ),
    "an action without its name": (
        second(Action="kms:"),
        'Statement[1].Action: "kms:" is not an action',
    ),
    "an action as a number": (second(Action=1), "Statement[1].Action: must be a string"),
    "a resource that is no ARN": (
        second(Resource=[ABSENT_ID]),
        f'Statement[1].Resource[0]: "{ABSENT_ID}" is not a resource ARN or *',
    ),
    "a condition as text": (policy(statement(Condition="x")), f"{CONDITION}: must be an object"),
    "an operator without keys": (
        policy(statement(Condition={"Bool": "true"})),
        f"{CONDITION}.Bool: must be an object",
    ),
    "an unknown operator": (
        conditional("StringEqual", "aws:username"),
        f'{CONDITION}.StringEqual.aws:username: "StringEqual" is not a condition operator',
    ),
    "an unknown set operator": (
        conditional("ForSomeValues:StringEquals", "aws:TagKeys"),
        f'{CONDITION}.ForSomeValues:StringEquals.aws:TagKeys: "ForSomeValues:StringEquals" is',
    ),
    "Null if it exists": (
        conditional("NullIfExists", "aws:username", "true"),
        f'{CONDITION}.NullIfExists.aws:username: "NullIfExists" is not a condition operator',
    ),
    "an unknown key": (
        conditional("StringEquals", "kms:Encryption"),
        f'{CONDITION}.StringEquals.kms:Encryption: "kms:Encryption" is not a condition key',
    ),
    "a key without its service": (
        conditional("StringEquals", "username"),
        f'{CONDITION}.StringEquals.username: "username" is not a condition key',
    ),
    "no values": (
        conditional("StringEquals", "aws:username", []),
        f"{CONDITION}.StringEquals.aws:username: the list is empty",
    ),
    "a value that is an object": (
        conditional("StringEquals", "aws:username", {}),
        f"{CONDITION}.StringEquals.aws:username: must be ",
    ),
    "a truth value that is none": (
        conditional("Bool", "aws:SecureTransport", ["true", "yes"]),
        f"{CONDITION}.Bool.aws:SecureTransport[1]: ",
    ),
    "a number that is none": (
        conditional("NumericLessThan", "kms:RotationPeriodInDays", "ten"),
        f"{CONDITION}.NumericLessThan.kms:RotationPeriodInDays: ",
    ),
    "a date that is none": (
        conditional("DateLessThan", "aws:CurrentTime", "2026-13-01T00:00:00Z"),
        f"{CONDITION}.DateLessThan.aws:CurrentTime: ",
    ),
    "an address that is none": (
        conditional("IpAddress", "aws:SourceIp", ["10.0.0.0/8", "10.0.0.0/33"]),
        f"{CONDITION}.IpAddress.aws:SourceIp[1]: ",
    ),
    "an open variable": (
        conditional("StringEquals", "aws:username", "${aws:username"),
        f"{CONDITION}.StringEquals.aws:username: ",
    ),
    "a condition that the absent fulfils": (
        conditional("ForAllValues:StringEquals", "kms:EncryptionContext:department"),
        f"{CONDITION}.ForAllValues:StringEquals.kms:EncryptionContext:department: "
        "OverlyPermissiveCondition: ",
    ),
    "a request tag that the absent fulfils": (
        conditional("ForAllValues:StringLike", "aws:RequestTag/team"),
        f"{CONDITION}.ForAllValues:StringLike.aws:RequestTag/team: OverlyPermissiveCondition: ",
    ),
}


def policy_of(kms, key):
    return kms.get_key_policy(KeyId=key["KeyId"])["Policy"]


@pytest.fixture(params=["CreateKey", "PutKeyPolicy"])
def give(request, kms):
    """Gives a policy to a key, an existing one or one that is made with it; returns its id."""

    def call(document, client=kms, **more):
        text = text_of(document)
        if request.param == "CreateKey":
            return client.create_key(Policy=text, **more)["KeyMetadata"]["KeyId"]
        key = client.create_key()["KeyMetadata"]["KeyId"]
        client.put_key_policy(KeyId=key, Policy=text, **more)
        return key

    return call


class TestMalformed:
    @pytest.mark.parametrize("case", MALFORMED)
    def test_the_place_is_told(self, give, case):
        document, said = MALFORMED[case]
        with refused("MalformedPolicyDocumentException") as caught:
            give(document)
        message = caught.value.response["Error"]["Message"]
        assert message.startswith(f"Policy document is malformed: {said}"), message

    @pytest.mark.parametrize("case", MALFORMED)
    def test_bypass_does_not_help(self, give, case):
        with refused("MalformedPolicyDocumentException"):
            give(MALFORMED[case][0], BypassPolicyLockoutSafetyCheck=True)

    def test_nothing_is_changed(self, kms, key):
        before = policy_of(kms, key)
        for document, _ in MALFORMED.values():
            with refused("MalformedPolicyDocumentException"):
                kms.put_key_policy(KeyId=key["KeyId"], Policy=text_of(document))
        assert policy_of(kms, key) == before

    def test_a_long_text_is_shown_in_part(self, give):
        with refused("MalformedPolicyDocumentException") as caught:
            give(second(Action="x" * 20_000))
        assert len(caught.value.response["Error"]["Message"]) < 300

    def test_no_text(self, kms, key):
        with refused("ValidationException", missing("policy")):
            kms.put_key_policy(KeyId=key["KeyId"])

    def test_an_empty_text(self, kms, key):
        pattern = "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+"
        constraints = (
            "have length greater than or equal to 1",
            f"satisfy regular expression pattern: {pattern}",
        )
        said = violations(*(violation("policy", constraint, "''") for constraint in constraints))
        with refused("ValidationException", said):
            kms.put_key_policy(KeyId=key["KeyId"], Policy="")

    @pytest.mark.parametrize("character", ["\0", "\v", "\x1f", "\u0100", "\u2713"], ids=ascii)
    def test_a_character_beyond(self, kms, key, character):
        document = text_of(policy(Id="@")).replace("@", character)
        with refused("ValidationException") as caught:
            kms.put_key_policy(KeyId=key["KeyId"], Policy=document)
        assert "at 'policy' failed to satisfy" in caught.value.response["Error"]["Message"]

    def test_another_name(self, kms, key):
        with refused("NotFoundException"):
            kms.put_key_policy(KeyId=key["KeyId"], PolicyName="other", Policy=text_of(policy()))


class TestSize:
    @staticmethod
    def of(size):
        """A policy of this many bytes; the letter is one character of two bytes."""
        document = json.dumps(policy(Id=""), ensure_ascii=False)
        missing_bytes = size - len(document)
        filling = "é" * (missing_bytes // 2) + "e" * (missing_bytes % 2)
        return document.replace('"Id": ""', f'"Id": "{filling}"')

    @pytest.mark.parametrize("size", [MAX_BYTES - 1, MAX_BYTES])
    def test_the_greatest(self, kms, give, size):
        document = self.of(size)
        assert len(document.encode()) == size
        key = give(document)
        assert kms.get_key_policy(KeyId=key)["Policy"] == document

    @pytest.mark.parametrize("size", [MAX_BYTES + 1, 131_072])
    def test_beyond(self, give, size):
        with refused("LimitExceededException", f"The policy is larger than {MAX_BYTES} bytes."):
            give(self.of(size))

    def test_bypass_does_not_help(self, give):
        with refused("LimitExceededException"):
            give(self.of(MAX_BYTES + 1), BypassPolicyLockoutSafetyCheck=True)


# Each is well formed, and nobody is called so.
UNKNOWN = {
    "an account": {"AWS": NOBODY},
    "an account's root": {"AWS": f"arn:aws:iam::{NOBODY}:root"},
    "a user": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"},
    "a user of another account": {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:user/nobody"},
    "a role": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/nobody"},
    "a unique id": {"AWS": "AIDAAAAAAAAAAAAAAAAAA"},
    "one of several": {"AWS": [ROOT, f"arn:aws:iam::{ACCOUNT}:user/nobody"]},
    "a canonical user": {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218"},
}


class TestPrincipals:
    @pytest.mark.parametrize("bypass", [False, True])
    @pytest.mark.parametrize("who", UNKNOWN)
    def test_who_does_not_exist(self, give, who, bypass):
        with refused("MalformedPolicyDocumentException", PRINCIPAL):
            give(second(Principal=UNKNOWN[who]), BypassPolicyLockoutSafetyCheck=bypass)

    @pytest.mark.parametrize("effect", ["Principal", "NotPrincipal"])
    def test_who_does_not_exist_in_a_denial(self, give, effect):
        denial = {"Effect": "Deny", "Principal": None, "Action": "kms:Encrypt"}
        with refused("MalformedPolicyDocumentException", PRINCIPAL):
            give(second(**(denial | {effect: UNKNOWN["a user"]})))

    @pytest.mark.parametrize(
        "principal",
        ["*", {"AWS": "*"}, {"AWS": ACCOUNT}, {"AWS": [ROOT]}, {"AWS": [OTHER_ACCOUNT, ROOT]}],
        ids=str,
    )
    def test_who_exists(self, give, kms, principal):
        document = text_of(policy(statement(Principal=principal)))
        key = give(document)
        assert kms.get_key_policy(KeyId=key)["Policy"] == document

    @pytest.mark.parametrize(
        "principal",
        [{"Service": "logs.amazonaws.com"}, {"Federated": "accounts.google.com"}],
        ids=str,
    )
    def test_who_is_known_elsewhere(self, give, kms, principal):
        document = text_of(second(Principal=principal))
        assert kms.get_key_policy(KeyId=give(document))["Policy"] == document


# Policies after which the account's root could not put another one.
LOCKED = {
    "nobody": policy(statement(Principal={"AWS": FOREIGN_ROOT})),
    "a service": policy(statement(Principal={"Service": "logs.amazonaws.com"})),
    "other actions": policy(statement(Action=["kms:Put*Policies", "kms:Encrypt"])),
    "all other actions": policy(statement(Action=None, NotAction="kms:Put*")),
    "another service": policy(statement(Action="s3:*")),
    "denied": policy(statement(), statement(Effect="Deny", Action="kms:PutKeyPolicy")),
    "denied to all": policy(statement(), statement(Effect="Deny", Principal="*")),
    "denied to all but others": policy(
        statement(),
        statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": FOREIGN_ROOT}),
    ),
    "another key": policy(statement(Resource=key_arn(ABSENT_ID))),
    "no resource": policy(statement(Resource=None)),
    "no action": policy(statement(Action=None)),
    "bypass only": conditional("Bool", "kms:BypassPolicyLockoutSafetyCheck", "true"),
    "bypass given": conditional("Null", "kms:BypassPolicyLockoutSafetyCheck", "false"),
    "another name": conditional("StringEquals", "kms:PolicyName", "other"),
    "elsewhere": conditional("IpAddress", "aws:SourceIp", "203.0.113.0/24"),
    "a user": conditional("StringLike", "aws:username", "*"),
    "another time": conditional("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"),
    "through a service": conditional("StringLike", "kms:ViaService", "*"),
    "another account": conditional("StringEquals", "kms:CallerAccount", OTHER_ACCOUNT),
    "a variable without value": conditional("StringEquals", "aws:userid", "${aws:username}"),
}
# The nearest to them after which it can.
OPEN = {
    "everybody": policy(statement(Principal="*")),
    "one action": policy(statement(Action="KMS:putkeypolic?")),
    "all other actions": policy(statement(Action=None, NotAction="kms:Encrypt")),
    "another denied": policy(statement(), statement(Effect="Deny", Action="kms:PutKeyPolicie*")),
    "denied to others": policy(
        statement(), statement(Effect="Deny", Principal={"AWS": FOREIGN_ROOT})
    ),
    "denied to all but the account": policy(
        statement(), statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": ROOT})
    ),
    "another resource denied": policy(
        statement(), statement(Effect="Deny", Resource=key_arn(ABSENT_ID))
    ),
    "every key": policy(statement(Resource=key_arn("*"))),
    "no bypass": conditional("Bool", "kms:BypassPolicyLockoutSafetyCheck", "false"),
    "bypass not given": conditional("Null", "kms:BypassPolicyLockoutSafetyCheck", "true"),
    "the name": conditional("StringEquals", "kms:PolicyName", "default"),
    "from here": conditional("IpAddress", "aws:SourceIp", ["203.0.113.0/24", "127.0.0.0/8"]),
    "no user": conditional("Null", "aws:username", "true"),
    "until later": conditional("DateLessThan", "aws:CurrentTime", "2999-01-01T00:00:00Z"),
    "through no service": conditional("Null", "kms:ViaService", "true"),
    "this account": conditional("StringEquals", "kms:CallerAccount", ACCOUNT),
    "a variable": conditional("StringEquals", "aws:userid", "${aws:PrincipalAccount}"),
}


class TestLockout:
    @pytest.mark.parametrize("case", LOCKED)
    def test_who_would_lock_himself_out(self, give, case):
        with refused("MalformedPolicyDocumentException", LOCKOUT):
            give(LOCKED[case])

    @pytest.mark.parametrize("case", LOCKED)
    def test_bypass(self, kms, give, case):
        """What was refused is what locks out: whoever bypasses the check is."""
        key = give(LOCKED[case], BypassPolicyLockoutSafetyCheck=True)
        with refused("AccessDeniedException"):
            kms.put_key_policy(KeyId=key, Policy=text_of(policy()))

    @pytest.mark.parametrize("case", OPEN)
    def test_who_would_not(self, kms, give, case):
        key = give(OPEN[case])
        kms.put_key_policy(KeyId=key, Policy=text_of(OPEN[case]))
        kms.put_key_policy(KeyId=key, Policy=text_of(policy()))

    def test_the_check_may_be_asked_for(self, give):
        with refused("MalformedPolicyDocumentException", LOCKOUT):
            give(LOCKED["nobody"], BypassPolicyLockoutSafetyCheck=False)

    def test_a_refused_key_is_not_made(self, kms):
        before = {key["KeyId"] for key in kms.list_keys(Limit=1000)["Keys"]}
        with refused("MalformedPolicyDocumentException"):
            kms.create_key(Policy=text_of(LOCKED["nobody"]))
        after = {key["KeyId"] for key in kms.list_keys(Limit=1000)["Keys"]}
        assert after == before

    @pytest.mark.parametrize(
        "condition, may",
        [
            ({"ForAnyValue:StringEquals": {"aws:TagKeys": "team"}}, False),
            ({"StringEquals": {"aws:RequestTag/team": "blue"}}, False),
            ({"Null": {"aws:ResourceTag/team": "true"}}, False),
            ({"Null": {"aws:TagKeys": "true"}}, True),
            ({"StringEquals": {"aws:ResourceTag/team": "blue"}}, True),
        ],
        ids=str,
    )
    def test_tags_of_a_new_key(self, kms, condition, may):
        """What counts is what a later request finds: tags of the key, and none of its own."""
        asked = {
            "Policy": text_of(policy(statement(Condition=condition))),
            "Tags": [{"TagKey": "team", "TagValue": "blue"}],
        }
        if not may:
            with refused("MalformedPolicyDocumentException", LOCKOUT):
                kms.create_key(**asked)
        else:
            key = kms.create_key(**asked)["KeyMetadata"]
            kms.put_key_policy(KeyId=key["KeyId"], Policy=asked["Policy"])

    def test_a_foreign_author(self, kms, other_account, key):
        """A key of another account: its author must be able to put a policy again, too."""
        both = policy(statement(Principal={"AWS": [ROOT, FOREIGN_ROOT]}))
        kms.put_key_policy(KeyId=key["KeyId"], Policy=text_of(both))
        with refused("MalformedPolicyDocumentException", LOCKOUT):
            other_account.put_key_policy(KeyId=key["Arn"], Policy=text_of(policy()))
        only = policy(statement(Principal={"AWS": FOREIGN_ROOT}))
        other_account.put_key_policy(KeyId=key["Arn"], Policy=text_of(only))
        with refused("AccessDeniedException"):
            kms.put_key_policy(KeyId=key["KeyId"], Policy=text_of(policy()))
        other_account.put_key_policy(KeyId=key["Arn"], Policy=text_of(both))
        kms.put_key_policy(KeyId=key["KeyId"], Policy=text_of(policy()))
        with refused("AccessDeniedException", denied_elsewhere("kms:PutKeyPolicy", OTHER_ACCOUNT)):
            other_account.put_key_policy(KeyId=key["Arn"], Policy=text_of(both))


class TestAsGiven:
    """The text comes back as it was given, not as it was understood."""

    @pytest.mark.parametrize(
        "document",
        [
            json.dumps(policy()),
            json.dumps(policy(), indent=4),
            json.dumps(policy(), separators=(",", ":")),
            "\r\n\t " + json.dumps(policy()) + " \n",
            json.dumps(policy(Version="2008-10-17")),
            json.dumps(policy(Version=None)),
            json.dumps(policy(Id="", Statement=statement(Sid="with spaces, and é"))),
            json.dumps(policy(Id="über"), ensure_ascii=False),
            json.dumps(policy(statement(), statement(Action=None, Resource=None))),
            json.dumps(policy(statement(Sid="one"), statement(Sid="one"))),
            json.dumps(policy(statement(Action=["kms:*", "KMS:*", "kms:*"]))),
            json.dumps(policy(Statement=dict(reversed(statement().items())))),
            json.dumps(conditional("Bool", "aws:viaawsservice", False)),
            json.dumps(policy(statement(Principal={"AWS": ACCOUNT}))),
        ],
    )
    def test_text(self, kms, give, document):
        key = give(document)
        reply = kms.get_key_policy(KeyId=key)
        assert (reply["Policy"], reply["PolicyName"]) == (document, "default")
        assert kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"] == document

    def test_the_default(self, kms, key):
        everything = statement(Sid="Enable IAM User Permissions")
        expected = policy(everything, Id="key-default-1")
        assert json.loads(policy_of(kms, key)) == expected

    def test_the_last_one_counts(self, kms, key):
        for number in range(3):
            document = text_of(policy(Id=str(number)))
            kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=document)
            assert policy_of(kms, key) == document
