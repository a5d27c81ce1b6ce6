"""What the walk asks of an operation: the columns of the rows in `walk_rows`.

No column has a default. A row that lacks one fails the test run with the names of both, and so
does an operation that is built and has no row.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

from expect import ANY, denied_ciphertext

# Answers about a key, as the rows abbreviate them: code and text.
ANSWERS = {
    "ok": ("OK", ""),
    "D1": ("DisabledException", "{arn} is disabled."),
    "S3": ("KMSInvalidStateException", "{arn} is pending deletion."),
    "S4": ("KMSInvalidStateException", "{arn} is not pending deletion."),
    "S5": ("KMSInvalidStateException", "{arn} is pending import."),
    "S11": ("KMSInvalidStateException", "{arn} is unavailable."),
    "S14": ("KMSInvalidStateException", "{arn} is creating."),
    "S15": ("KMSInvalidStateException", "{arn} is updating."),
    "U6": (
        "UnsupportedOperationException",
        "{arn} origin is EXTERNAL which is not valid for this operation.",
    ),
    "U7": ("UnsupportedOperationException", ANY),
    "U9": ("UnsupportedOperationException", ANY),
    "gone": ("NotFoundException", "Key '{arn}' does not exist"),
    "no alias": ("NotFoundException", "Alias {alias} is not found."),
    "hidden": ("AccessDeniedException", denied_ciphertext("{action}")),
}


class States(NamedTuple):
    """What an operation answers for a key in each state; one that no key can be brought into yet
    has its column all the same."""

    Enabled: str
    Disabled: str
    PendingDeletion: str
    PendingImport: str
    Unavailable: str
    Creating: str
    Updating: str
    Deleted: str


@dataclass(frozen=True, kw_only=True)
class Touch:
    """One way in which an operation touches a key."""

    # What the key is to the operation.
    role: str
    # The member that names it; None where a ciphertext or an alias leads to it.
    member: str | None
    # Whether that member takes aliases.
    aliases: bool
    # Of which spec it must be, and for what: one of `walk_world`'s kinds.
    kind: str
    # The action that must be allowed on it.
    action: str
    # What a stranger is told: that it may not be used ("elsewhere", "ciphertext"), or that there is
    # no such alias in the stranger's own account ("own alias").
    stranger: str
    # Of account and key: an input, all of which is the account's own but what is about the key.
    body: Callable
    # One of `ANSWERS` for each of `States`.
    states: tuple


class Call(NamedTuple):
    """A call that succeeded: who made it, about which key, what was sent and what came back."""

    account: object
    key: object
    body: dict
    output: dict


@dataclass(frozen=True, kw_only=True)
class Items:
    """How an operation lists."""

    # The member of the output that holds the items.
    member: str
    # Gives a key one item more; None where a caller cannot.
    add: Callable | None


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What the audit trail tells of a call."""

    read_only: bool
    # Of a `Call`: the ARNs of its resources.
    resources: Callable
    # The members of requestParameters and responseElements.
    parameters: set
    response: set


@dataclass(frozen=True, kw_only=True)
class Row:
    """Everything that is asked of one operation."""

    operation: str
    # The keys it touches: states and authorisation. The first one's body is the valid input.
    touches: list
    # The valid input of an operation that touches none; else None.
    alone: dict | None
    # The members of the output.
    shape: set
    # How it lists; None if it does not.
    items: Items | None
    # An `Audit`.
    audit: Audit
    # The members of the output that differ between one call and the next, over gRPC as over AWS
    # JSON; all others must be the same on both wires.
    grpc: set

    def first_state(self):
        """A state of the first key in which the valid input is accepted."""
        answers = States(*self.touches[0].states)._asdict()
        return next(state for state, answer in answers.items() if answer == "ok")

    def input(self, account, key=None):
        """A valid input and the key that it is about, in a state that accepts it."""
        if not self.touches:
            return dict(self.alone), None
        key = key or account.key(self.touches[0].kind)
        key.become("Enabled")
        body = self.touches[0].body(account, key)
        key.become(self.first_state())
        return body, key


ROWS = {}


def row(operation, **columns):
    """Adds an operation's row; its parts are given as dicts.

    Raises LookupError naming the operation and the column that is missing.
    """
    require(operation, Row, {"operation", *columns})
    columns["touches"] = [make(operation, Touch, touch) for touch in columns["touches"]]
    for touch in columns["touches"]:
        require(operation, States, States._fields[: len(touch.states)])
    columns["audit"] = make(operation, Audit, columns["audit"])
    columns["items"] = columns["items"] and make(operation, Items, columns["items"])
    ROWS[operation] = Row(operation=operation, **columns)


def make(operation, kind, columns):
    require(operation, kind, columns)
    return kind(**columns)


def require(operation, kind, given):
    names = getattr(kind, "_fields", None) or [field.name for field in fields(kind)]
    for name in names:
        if name not in given:
            raise LookupError(f"{operation} has no column {name!r} in its {kind.__name__}")
