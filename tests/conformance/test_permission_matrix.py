"""Who may do what: every operation, and every key that it touches, for callers of every kind, over
both wires. What a denial says does not depend on what there is."""

import json

import pytest
from expect import alias_arn, denied, denied_ciphertext, denied_explicitly
from families import enumeration
from node import OTHER_ACCOUNT
from people import iam_of, new_user, unique_name
from policies import FOREIGN_ROOT, allow, deny, policy, statement, text_of
from test_authorisation import TOUCHES, each_touch, names, told
from walk_rows import ROWS
from walk_wires import generated, wire
from walk_world import Account

pytestmark = pytest.mark.dev("every node decides by the same state; the stories are told to each")

GRANTABLE = {f"kms:{operation}" for operation in enumeration("GrantOperation")}
# Key policies have no say in who retires a grant.
APART_FROM_KEY_POLICIES = {"kms:RetireGrant"}
NOT_SIGNED = ("MissingAuthenticationTokenException", "Missing Authentication Token")
each_row = pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.operation)


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


@pytest.fixture(scope="module")
def stranger(node):
    return Account(node, OTHER_ACCOUNT)


@pytest.fixture
def people(wire):
    if wire.has_secrets:
        return wire
    return pytest.skip("certificates here are of accounts")


def said(answer):
    return answer.code, answer.message


def refusal(text):
    return "AccessDeniedException", text


def valid(row, own):
    """A valid input, and its key if it is about one."""
    body, key = row.input(own)
    return bypassing(row.operation, body), key


def bypassing(operation, body):
    """So that a caller may give away a key: it is not the lockout check that is looked at."""
    bypass = {"BypassPolicyLockoutSafetyCheck": True}
    return body | (bypass if operation == "PutKeyPolicy" else {})


def first_denial(row, body, key, user):
    """What somebody is told who may do nothing."""
    action = row.touches[0].action if row.touches else f"kms:{row.operation}"
    if "AliasName" in body:
        return denied(user.arn, action, alias_arn(body["AliasName"]))
    if row.operation == "ListRetirableGrants":
        return denied(user.arn, action, body["RetiringPrincipal"])
    # Not about one key, even where one is named.
    if not row.touches or row.operation == "ListAliases":
        return denied(user.arn, action, "*")
    if row.touches[0].member is None:
        return denied_ciphertext(action, who=user.arn)
    return denied(user.arn, action, key.arn)


@each_row
class TestEveryOperation:
    def test_no_credential(self, node, own, row):
        body, _ = valid(row, own)
        request = node.sign(f"TrentService.{row.operation}", json.dumps(body).encode())
        del request.headers["Authorization"]
        reply = node.send(request)
        assert (reply.status, (reply.code, reply.message)) == (400, NOT_SIGNED)

    def test_a_bad_signature(self, wire, own, row):
        if wire.has_secrets:
            body, _ = valid(row, own)
            assert wire.call(own, row.operation, body, secret="wrong").code == wire.WRONG_SECRET

    def test_a_user_who_may_do_nothing(self, people, node, own, row):
        user = new_user(node)
        body, key = valid(row, own)
        answer = people.call(user, row.operation, body)
        assert said(answer) == refusal(first_denial(row, body, key, user))

    def test_a_user_who_may_do_everything_else(self, people, node, own, row):
        actions = {touch.action for touch in row.touches} or {f"kms:{row.operation}"}
        user = new_user(node, {"Effect": "Allow", "NotAction": sorted(actions), "Resource": "*"})
        body, key = valid(row, own)
        answer = people.call(user, row.operation, body)
        assert said(answer) == refusal(first_denial(row, body, key, user))

    def test_a_user_who_may_do_everything_but_is_denied_this(self, people, node, own, row):
        user = new_user(node, allow("*"), deny(f"kms:{row.operation}*"))
        body, key = valid(row, own)
        answer = people.call(user, row.operation, body)
        implicit = first_denial(row, body, key, user)
        reason = f" because no identity-based policy allows the kms:{row.operation} action"
        explicit = implicit.replace(reason, " with an explicit deny in an identity-based policy")
        assert said(answer) == refusal(explicit)

    @pytest.mark.parametrize("action", ["*", "kms:*"])
    def test_a_user_who_may_do_everything(self, people, node, own, row, action):
        body, _ = valid(row, own)
        answer = people.call(new_user(node, allow(action)), row.operation, body)
        assert answer.code == "OK", answer.message

    def test_a_user_who_may_do_exactly_this(self, people, node, own, row):
        needed = {touch.action for touch in row.touches} | {f"kms:{row.operation}"}
        more = {"CreateKey": {"kms:TagResource"}, "ReplicateKey": {"kms:CreateKey"}}
        needed |= more.get(row.operation, set())
        body, _ = valid(row, own)
        answer = people.call(new_user(node, allow(sorted(needed))), row.operation, body)
        assert answer.code == "OK", answer.message

    def test_a_user_whose_group_may(self, people, node, own, row):
        user, iam = new_user(node), iam_of(node)
        group = unique_name("group")
        iam.create_group(GroupName=group)
        everything = text_of(policy(allow("kms:*")))
        iam.put_group_policy(GroupName=group, PolicyName="all", PolicyDocument=everything)
        body, key = valid(row, own)
        answer = people.call(user, row.operation, body)
        assert said(answer) == refusal(first_denial(row, body, key, user))
        iam.add_user_to_group(GroupName=group, UserName=user.name)
        answer = people.call(user, row.operation, body)
        assert answer.code == "OK", answer.message


class Case:
    """One touch, with a key of its own and a user who may do everything but that."""

    def __init__(self, node, own, operation, touch):
        self.own, self.operation, self.touch = own, operation, touch
        self.key = own.key(touch.kind)
        self.body = bypassing(operation, touch.body(own, self.key))
        self.elsewhere = [
            {"Effect": "Allow", "NotAction": touch.action, "Resource": "*"},
            {"Effect": "Allow", "Action": touch.action, "NotResource": self.key.arn},
        ]
        self.user = new_user(node, *self.elsewhere)

    def put_policy(self, *statements):
        body = {"KeyId": self.key.id, "Policy": text_of(policy(*statements))}
        self.own.ok("PutKeyPolicy", body | {"BypassPolicyLockoutSafetyCheck": True})

    def grant(self, *operations):
        body = {"KeyId": self.key.id, "GranteePrincipal": self.user.arn}
        return self.own.ok("CreateGrant", body | {"Operations": list(operations)})["GrantId"]

    def call(self, wire, user=None):
        return wire.call(user or self.user, self.operation, self.body)

    def prepare(self):
        """Brings the key into a state in which the operation succeeds."""
        self.key.become(ROWS[self.operation].first_state())

    def denial(self, user=None):
        who = (user or self.user).arn
        if self.touch.member:
            return denied(who, self.touch.action, self.key.arn)
        if "AliasName" in self.body:
            return denied(who, self.touch.action, alias_arn(self.body["AliasName"]))
        return denied_ciphertext(self.touch.action, who=who)

    def explicit_denial(self, user):
        """Only where the caller names what the caller's policy does."""
        if self.touch.member:
            return denied_explicitly(user.arn, self.touch.action, self.key.arn)
        return self.denial(user)


@pytest.fixture
def case(node, own, operation, touch):
    return Case(node, own, operation, touch)


@each_touch
class TestEveryKey:
    def test_the_root_of_another_account(self, wire, own, stranger, operation, touch):
        for key in names(own.key(touch.kind), touch):
            body = touch.body(stranger, key)
            assert said(wire.call(stranger, operation, body)) == told(touch, body)

    def test_nothing_allows_it(self, people, case):
        case.prepare()
        assert said(case.call(people)) == refusal(case.denial())

    def test_the_own_policy_denies_it(self, people, node, case):
        user = new_user(node, allow("kms:*"), deny(case.touch.action, case.key.arn))
        case.prepare()
        assert said(case.call(people, user)) == refusal(case.explicit_denial(user))

    def test_the_key_policy_denies_it(self, people, node, case):
        """Which is not told: nobody but who manages the key knows its policy."""
        user = new_user(node, allow("kms:*"))
        denial = {"Effect": "Deny", "Principal": {"AWS": user.arn}, "Action": case.touch.action}
        case.put_policy(statement(), statement(**denial))
        case.prepare()
        answer = case.call(people, user)
        if case.touch.action in APART_FROM_KEY_POLICIES:
            assert answer.code == "OK", answer.message
        else:
            assert said(answer) == refusal(case.denial(user))

    def test_the_key_policy_leaves_nothing_to_the_account(self, people, node, case):
        user = new_user(node, allow("kms:*"))
        case.prepare()
        case.put_policy(statement(Principal={"AWS": FOREIGN_ROOT}))
        answer = case.call(people, user)
        if case.touch.action in APART_FROM_KEY_POLICIES:
            assert answer.code == "OK", answer.message
        else:
            assert said(answer) == refusal(case.denial(user))

    def test_the_key_policy_allows_it(self, people, case):
        allowed = {"Principal": {"AWS": case.user.arn}, "Action": case.touch.action}
        case.put_policy(statement(), statement(**allowed))
        case.prepare()
        answer = case.call(people)
        if case.touch.action in APART_FROM_KEY_POLICIES:
            assert said(answer) == refusal(case.denial())
        else:
            assert answer.code == "OK", answer.message

    def test_the_key_policy_allows_something_else(self, people, case):
        allowed = {"Principal": {"AWS": case.user.arn}, "NotAction": case.touch.action}
        case.put_policy(statement(), statement(**allowed, Action=None))
        case.prepare()
        assert said(case.call(people)) == refusal(case.denial())

    def test_the_own_policy_allows_it_on_this_key(self, people, node, case):
        this = allow(case.touch.action, case.key.arn)
        user = new_user(node, *case.elsewhere, this)
        case.prepare()
        answer = case.call(people, user)
        assert answer.code == "OK", answer.message

    def test_a_grant_allows_it(self, people, case):
        operation = case.touch.action.removeprefix("kms:")
        if case.touch.action not in GRANTABLE:
            # Grants for everything that every key can be granted for.
            case.grant("DescribeKey", "CreateGrant", "RetireGrant")
            case.prepare()
            assert said(case.call(people)) == refusal(case.denial())
            return
        more = case.body.get("Operations", [])
        grant = case.grant(operation, *more)
        if operation == "RetireGrant":
            case.body["GrantId"] = grant
        case.prepare()
        answer = case.call(people)
        assert answer.code == "OK", answer.message

    def test_a_grant_allows_it_but_a_policy_denies_it(self, people, node, case):
        if case.touch.action not in GRANTABLE:
            return
        user = new_user(node, *case.elsewhere, deny(case.touch.action, case.key.arn))
        case.user = user
        grant = case.grant(case.touch.action.removeprefix("kms:"))
        if case.touch.action == "kms:RetireGrant":
            case.body["GrantId"] = grant
        case.prepare()
        assert said(case.call(people)) == refusal(case.explicit_denial(user))


def test_what_can_be_granted_is_reached():
    reached = {touch.action for _, touch in TOUCHES}
    print(f"{len(reached & GRANTABLE)} of {len(GRANTABLE)} operations of grants are reached")
    assert GRANTABLE <= reached
