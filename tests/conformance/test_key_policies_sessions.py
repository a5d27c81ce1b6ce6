"""Key policies that are put in sessions: what narrows a session counts when it is asked whether its
holder could put the next one."""

import pytest
from expect import refused
from people import iam_of, new_user, unique_name
from policies import ROOT, allow, policy, statement, text_of
from sessions import assume, keys_of, new_role
from test_key_policies import LOCKOUT

PUTS, MAKES = allow("kms:PutKeyPolicy"), allow("kms:CreateKey")
# What narrows a session, inline and by managed policies, and whether it could put a policy again.
NARROWED = {
    "not at all": (None, [], True),
    "inline": ([MAKES, PUTS], [], True),
    "inline, without it": ([MAKES], [], False),
    "managed": (None, [[MAKES, PUTS]], True),
    "managed, without it": (None, [[MAKES]], False),
    "one of two managed": (None, [[MAKES], [PUTS]], True),
    "inline without it, managed with it": ([MAKES], [[PUTS]], True),
    "neither": ([MAKES], [[MAKES]], False),
    "denied by a managed one": ([MAKES, PUTS], [[PUTS | {"Effect": "Deny"}]], False),
    "denied inline": ([MAKES, PUTS | {"Effect": "Deny"}], [[PUTS]], False),
}


@pytest.fixture(scope="module")
def user(node):
    return new_user(node, allow("sts:*"))


@pytest.fixture(scope="module")
def role(node):
    return new_role(node, allow("kms:*"))


def narrowing(node, inline, managed):
    """The members of a request to STS that narrow a session."""
    asked = {"Policy": text_of(policy(*inline))} if inline else {}
    arns = [{"arn": managed_policy(node, *statements)["Arn"]} for statements in managed]
    return asked | ({"PolicyArns": arns} if arns else {})


def managed_policy(node, *statements):
    document = text_of(policy(*statements))
    iam, name = iam_of(node), unique_name("policy")
    return iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]


def session(node, user, role, inline=None, managed=()):
    """A client of KMS in a session of the role, and the session's ARN."""
    reply = assume(user.client("sts"), role, **narrowing(node, inline, managed))
    return node.client(credentials=keys_of(reply)), reply["AssumedRoleUser"]["Arn"]


@pytest.mark.parametrize("case", NARROWED)
def test_a_new_key(node, user, role, case):
    inline, managed, may = NARROWED[case]
    kms, arn = session(node, user, role, inline, managed)
    # To the account and to the role, either of which what narrows a session narrows.
    for who in (ROOT, role["Arn"]):
        document = text_of(policy(statement(Principal={"AWS": who})))
        if may:
            key = kms.create_key(Policy=document)["KeyMetadata"]["KeyId"]
            kms.put_key_policy(KeyId=key, Policy=document)
        else:
            with refused("MalformedPolicyDocumentException", LOCKOUT):
                kms.create_key(Policy=document)
            key = kms.create_key(Policy=document, BypassPolicyLockoutSafetyCheck=True)
            with refused("AccessDeniedException"):
                kms.put_key_policy(KeyId=key["KeyMetadata"]["KeyId"], Policy=document)
    # What names the session itself is not narrowed, unless something denies.
    document = text_of(policy(statement(Principal={"AWS": arn})))
    if "denied" in case:
        with refused("MalformedPolicyDocumentException", LOCKOUT):
            kms.create_key(Policy=document)
    else:
        key = kms.create_key(Policy=document)["KeyMetadata"]["KeyId"]
        kms.put_key_policy(KeyId=key, Policy=document)


@pytest.mark.parametrize("managed", [False, True], ids=["inline", "managed"])
def test_the_policy_of_a_key(node, user, role, managed):
    """One that lets the session in by its own name, changed into one that does not."""
    narrow = {"managed": [[MAKES]]} if managed else {"inline": [MAKES]}
    kms, arn = session(node, user, role, **narrow)
    itself, its_role = (
        text_of(policy(statement(), statement(Principal={"AWS": who})))
        for who in (arn, role["Arn"])
    )
    key = node.client().create_key(Policy=itself)["KeyMetadata"]["KeyId"]
    with refused("MalformedPolicyDocumentException", LOCKOUT):
        kms.put_key_policy(KeyId=key, Policy=its_role)
    kms.put_key_policy(KeyId=key, Policy=itself)
    whole, _ = session(node, user, role)
    whole.put_key_policy(KeyId=key, Policy=its_role)


def test_what_a_managed_policy_says_now(node, user, role):
    narrow = managed_policy(node, MAKES)
    reply = assume(user.client("sts"), role, PolicyArns=[{"arn": narrow["Arn"]}])
    kms = node.client(credentials=keys_of(reply))
    document = text_of(policy())
    iam = iam_of(node)
    for statements, may in (([MAKES], False), ([MAKES, PUTS], True), ([MAKES], False)):
        text = text_of(policy(*statements))
        iam.create_policy_version(PolicyArn=narrow["Arn"], PolicyDocument=text, SetAsDefault=True)
        if may:
            kms.create_key(Policy=document)
        else:
            with refused("MalformedPolicyDocumentException", LOCKOUT):
                kms.create_key(Policy=document)
