"""Who may do what in a session: every operation, over both wires, for sessions of roles, of users
and of the root, with every policy that has a say in them; and what key policies and grants give."""

import functools
import itertools

import pytest
from policies import allow, statement
from session_cells import (
    ALLOWS,
    BOUNDARY,
    CELLS,
    DENIES,
    IDENTITY,
    IMPLICIT,
    LACKS,
    OK,
    SESSION,
    Callers,
    Cell,
    another_session,
    role_of,
)
from test_authorisation import TOUCHES, each_touch
from test_permission_matrix import (
    APART_FROM_KEY_POLICIES,
    GRANTABLE,
    Case,
    bypassing,
    each_row,
    first_denial,
    refusal,
    said,
    valid,
)
from walk_rows import ROWS
from walk_wires import generated, wire
from walk_world import MULTI_REGION, Account

pytestmark = pytest.mark.dev("every node decides by the same state")


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


@pytest.fixture(scope="module")
def callers(node):
    return Callers(node)


def check(answer, outcome, implicit, operation):
    """The answer is what the cell says."""
    if outcome == OK:
        assert answer.code == "OK", answer.message
        return
    text = implicit
    if outcome != IMPLICIT:
        reason = f" because no identity-based policy allows the kms:{operation} action"
        text = implicit.replace(reason, f" with an explicit deny in {outcome}")
    assert said(answer) == refusal(text)


def test_the_cells_differ():
    """A table in which all came out alike would tell nothing."""
    outcomes = [cell.outcome() for cell in CELLS.values()]
    counts = {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}
    print(f"{len(CELLS)} callers, {len(ROWS)} operations, 2 wires: {counts}")
    assert set(counts) == {OK, IMPLICIT, IDENTITY, BOUNDARY, SESSION}
    assert counts[OK] * 3 > len(CELLS) and counts[IMPLICIT] * 3 > len(CELLS)


@pytest.fixture(scope="module")
def refused_input(own):
    """Of a row: an input for those who are denied, which leaves everything as it is."""
    return functools.cache(lambda operation: valid(ROWS[operation], own))


@each_row
@pytest.mark.parametrize("name", CELLS)
def test_every_operation(wire, own, callers, refused_input, row, name):
    actions = {touch.action for touch in row.touches} or {f"kms:{row.operation}"}
    caller, outcome = callers.of(CELLS[name], actions, row.operation), CELLS[name].outcome()
    body, key = valid(row, own) if outcome == OK else refused_input(row.operation)
    answer = wire.call(caller, row.operation, body)
    check(answer, outcome, first_denial(row, body, key, caller), row.operation)


LAYERS = [ALLOWS, LACKS, DENIES]


@pytest.mark.parametrize("operation", ["Encrypt", "ListKeys"])
@pytest.mark.parametrize("chained", [None, "with nothing"])
def test_all_policies_together(wire, own, callers, operation, chained):
    """What role, boundary, session policy and managed session policy say, in every combination."""
    row, layers = ROWS[operation], [LAYERS, *3 * [[None, *LAYERS]]]
    body, key = valid(row, own)
    for policies in itertools.product(*layers):
        says, boundary, session, managed = policies
        managed = (managed,) if managed else ()
        cell = Cell(says, boundary, session, managed, chained=chained)
        caller = callers.of(cell, {f"kms:{operation}"}, operation)
        answer = wire.call(caller, operation, body)
        implicit, outcome = first_denial(row, body, key, caller), cell.outcome()
        if outcome in (OK, IMPLICIT):
            check(answer, outcome, implicit, operation)
        else:
            # Of several policies that deny it, any is told.
            layers = [(IDENTITY, says), (BOUNDARY, boundary), (SESSION, session)]
            layers += [(SESSION, one) for one in managed]
            start = implicit.partition(" because")[0]
            denying = [name for name, says in layers if says == DENIES]
            texts = [f"{start} with an explicit deny in {name}" for name in denying]
            assert said(answer) in map(refusal, texts), policies


# Callers who may do all but one thing to one key, by whom a key policy or a grant names, and what a
# boundary or a session policy that lacks just that leaves of it. Where a key policy names the
# session itself, neither limits it.
NAMED = {
    "role": (Cell(LACKS), "role", True),
    "chained": (Cell(LACKS, chained="with nothing"), "role", True),
    "session": (Cell(LACKS), "session", True),
    "another-session": (Cell(LACKS), "another", False),
    "another-role": (Cell(LACKS), "another role", False),
    "role-session-policy-allows": (Cell(LACKS, session=ALLOWS), "role", True),
    "role-session-policy-lacks": (Cell(LACKS, session=LACKS), "role", False),
    "session-session-policy-lacks": (Cell(LACKS, session=LACKS), "session", True),
    "role-managed-lacks": (Cell(LACKS, managed=(LACKS,)), "role", False),
    "role-boundary-allows": (Cell(LACKS, boundary=ALLOWS), "role", True),
    "role-boundary-lacks": (Cell(LACKS, boundary=LACKS), "role", False),
    "session-boundary-lacks": (Cell(LACKS, boundary=LACKS), "session", True),
}
# A grant is limited whomever it names.
GRANTED = {
    name: (cell, whom, may and LACKS not in (cell.session, cell.boundary))
    for name, (cell, whom, may) in NAMED.items()
}


class SessionCase(Case):
    """One touch of one key, which all callers have in common."""

    def __init__(self, own, operation, touch):
        self.own, self.operation, self.touch = own, operation, touch
        self._take_key()

    def _take_key(self):
        action = self.touch.action
        self.key = self.own.key(self.touch.kind)
        self.elsewhere = [
            {"Effect": "Allow", "NotAction": action, "Resource": "*"},
            {"Effect": "Allow", "Action": action, "NotResource": self.key.arn},
        ]

    def begin(self, callers, cell, whom):
        """Makes the caller and the input, of a key that nothing hangs on any more."""
        if MULTI_REGION in self.touch.kind:
            # What is done to its relatives can be done once.
            self._take_key()
        self.key.become("Enabled")
        self.put_policy(statement())
        for grant in self.own.ok("ListGrants", {"KeyId": self.key.id})["Grants"]:
            self.own.ok("RevokeGrant", {"KeyId": self.key.id, "GrantId": grant["GrantId"]})
        self.body = bypassing(self.operation, self.touch.body(self.own, self.key))
        says = {LACKS: self.elsewhere, ALLOWS: [allow("kms:*")]}
        self.user = callers.with_texts(cell, says.get)
        role = role_of(self.user)
        self.named = {
            "role": role,
            "session": self.user.arn,
            "another": another_session(self.user),
            "another role": role_of(callers.source("with nothing")),
        }[whom]

    def grant_to_named(self):
        operations = {self.touch.action.removeprefix("kms:"), *self.body.get("Operations", [])}
        body = {"KeyId": self.key.id, "GranteePrincipal": self.named}
        grant = self.own.ok("CreateGrant", body | {"Operations": sorted(operations)})["GrantId"]
        if self.operation == "RetireGrant":
            self.body["GrantId"] = grant

    def check(self, wire, may):
        self.prepare()
        answer = self.call(wire)
        if may:
            assert answer.code == "OK", answer.message
        else:
            assert said(answer) == refusal(self.denial())


@pytest.fixture(scope="module")
def cases(own):
    return functools.cache(lambda operation, at: SessionCase(own, operation, TOUCHES[at][1]))


@pytest.fixture
def case(cases, operation, touch):
    return cases(operation, TOUCHES.index((operation, touch)))


@each_touch
class TestEveryKey:
    @pytest.mark.parametrize("name", NAMED)
    def test_a_key_policy_names(self, wire, callers, case, name):
        cell, whom, may = NAMED[name]
        case.begin(callers, cell, whom)
        allowed = {"Principal": {"AWS": case.named}, "Action": case.touch.action}
        case.put_policy(statement(), statement(**allowed))
        case.check(wire, may and case.touch.action not in APART_FROM_KEY_POLICIES)

    @pytest.mark.parametrize("name", GRANTED)
    def test_a_grant_names(self, wire, callers, case, name):
        if case.touch.action not in GRANTABLE:
            return
        cell, whom, may = GRANTED[name]
        case.begin(callers, cell, whom)
        case.grant_to_named()
        case.check(wire, may)
