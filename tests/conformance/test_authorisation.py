"""Who may use a key, over both wires: its account may, no other account may, and a stranger cannot
tell a key that exists from one that does not, nor in which state it is."""

import pytest
from expect import (
    alias_arn,
    denied_ciphertext,
    denied_elsewhere,
    key_arn,
    no_such_alias,
    no_such_key,
)
from node import ACCOUNT, OTHER_ACCOUNT
from walk_rows import ROWS
from walk_wires import generated, wire
from walk_world import WAYS, Account, key_of, reachable

TOUCHES = [(row.operation, touch) for row in ROWS.values() for touch in row.touches]
each_touch = pytest.mark.parametrize(
    "operation, touch",
    [pytest.param(name, touch, id=f"{name}-{touch.role}") for name, touch in TOUCHES],
)


@pytest.fixture(scope="module")
def own(node):
    return Account(node, ACCOUNT)


@pytest.fixture(scope="module")
def stranger(node):
    return Account(node, OTHER_ACCOUNT)


def told(touch, body):
    """Code and text for a stranger."""
    match touch.stranger:
        case "elsewhere":
            return "AccessDeniedException", denied_elsewhere(touch.action, OTHER_ACCOUNT)
        case "ciphertext":
            return "AccessDeniedException", denied_ciphertext(touch.action, OTHER_ACCOUNT)
        case "own alias":
            return "NotFoundException", no_such_alias(body["AliasName"], OTHER_ACCOUNT)


def names(key, touch):
    """The key by each name that another account can call it by."""
    if not touch.member:
        return [key]
    aliases = [alias_arn(key.alias(), account=key.owner.number)] * touch.aliases
    return [key.named(name) for name in (key.arn, *aliases)]


def everything_about(key):
    """All that can be read about a key."""
    body = {"KeyId": key.id}
    reads = ("DescribeKey", "ListAliases", "ListResourceTags", "GetKeyPolicy")
    return [key.owner.ok(operation, body) for operation in reads]


@each_touch
class TestStranger:
    @pytest.mark.parametrize("state", WAYS)
    def test_an_existing_key(self, wire, own, stranger, operation, touch, state):
        if not reachable(touch, state):
            pytest.skip("no material can be imported into such a key")
        key = key_of(own, touch, state)
        bodies = [touch.body(stranger, named) for named in names(key, touch)]
        key.become(state)
        before = everything_about(key)
        for body in bodies:
            answer = wire.call(stranger, operation, body)
            assert (answer.code, answer.message) == told(touch, body)
        assert everything_about(key) == before

    def test_an_absent_key(self, wire, own, stranger, operation, touch):
        for key in names(own.absent_key(touch.kind), touch):
            body = touch.body(stranger, key)
            answer = wire.call(stranger, operation, body)
            assert (answer.code, answer.message) == told(touch, body)

    def test_a_bare_name_is_one_of_the_own_account(self, wire, own, stranger, operation, touch):
        """The key's id and the alias's name without their account lead nowhere."""
        if touch.member:
            key = own.key(touch.kind)
            answer = wire.call(stranger, operation, touch.body(stranger, key))
            said = no_such_key(key.id, OTHER_ACCOUNT)
            assert (answer.code, answer.message) == ("NotFoundException", said)
        if touch.aliases:
            alias = key.alias()
            answer = wire.call(stranger, operation, touch.body(stranger, key.named(alias)))
            said = no_such_alias(alias, OTHER_ACCOUNT)
            assert (answer.code, answer.message) == ("NotFoundException", said)


@each_touch
class TestOwner:
    @pytest.mark.parametrize("account", [ACCOUNT, OTHER_ACCOUNT])
    def test_an_own_key(self, wire, node, operation, touch, account):
        owner = Account(node, account)
        for key in names(owner.key(touch.kind), touch):
            body = touch.body(owner, key)
            key.become(ROWS[operation].first_state())
            assert wire.call(owner, operation, body).code == "OK"
            key.become("Enabled")

    def test_an_absent_key(self, wire, own, operation, touch):
        """Who owns the account is told that there is no such key, unless a ciphertext asks."""
        for key in names(own.absent_key(touch.kind), touch):
            body = touch.body(own, key)
            answer = wire.call(own, operation, body)
            assert (answer.code, answer.message) == absence(touch, key, body)


def absence(touch, key, body):
    if touch.stranger == "ciphertext":
        return "AccessDeniedException", denied_ciphertext(touch.action)
    if touch.stranger == "own alias":
        return "NotFoundException", no_such_alias(body["AliasName"])
    prefix = alias_arn("alias/")
    if key.name.startswith(prefix):
        return "NotFoundException", no_such_alias("alias/" + key.name.removeprefix(prefix))
    return "NotFoundException", no_such_key(key.id)


class TestAccounts:
    """What touches no key is about the caller's own account."""

    def test_every_operation_has_touches_or_is_here(self):
        alone = {name for name, row in ROWS.items() if not row.touches}
        assert alone == {"CreateKey", "GenerateRandom", "ListKeys", "ListRetirableGrants"}

    def test_a_new_key_is_the_creators(self, wire, stranger):
        made = wire.call(stranger, "CreateKey", {}).body["KeyMetadata"]
        assert made["AWSAccountId"] == OTHER_ACCOUNT
        assert made["Arn"] == key_arn(made["KeyId"], account=OTHER_ACCOUNT)

    def test_random_bytes_are_for_everybody(self, wire, stranger):
        assert wire.call(stranger, "GenerateRandom", {"NumberOfBytes": 1}).code == "OK"

    def test_keys_are_listed_for_their_account_only(self, wire, own, stranger):
        mine, theirs = own.key(), stranger.key()
        listed = everything(wire, stranger, "ListKeys", "Keys")
        assert theirs.arn in {entry["KeyArn"] for entry in listed}
        assert mine.id not in {entry["KeyId"] for entry in listed}
        assert {entry["KeyArn"].split(":")[4] for entry in listed} == {OTHER_ACCOUNT}

    def test_aliases_are_listed_for_their_account_only(self, wire, own, stranger):
        mine, theirs = own.key().alias(), stranger.key().alias()
        listed = everything(wire, stranger, "ListAliases", "Aliases")
        found = {entry["AliasName"] for entry in listed}
        assert theirs in found and mine not in found
        assert {entry["AliasArn"].split(":")[4] for entry in listed} == {OTHER_ACCOUNT}


def everything(wire, account, operation, member):
    """All items of a listing."""
    items, body = [], {}
    while True:
        page = wire.call(account, operation, body).body
        items += page[member]
        if not page["Truncated"]:
            return items
        body["Marker"] = page["NextMarker"]
