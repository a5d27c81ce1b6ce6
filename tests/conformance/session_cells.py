"""Callers in sessions: what each of their policies says of an action, and what follows from that.

A cell's outcome is reckoned from the cell alone.
"""

import functools
import json
from dataclasses import dataclass

from node import ACCOUNT
from people import iam_of, new_user, unique_name
from policies import ROOT, allow, deny, policy, text_of
from sessions import assume, new_role, session_of, sts_of, trust

# What a policy says of an action.
ALLOWS, LACKS, DENIES = "allows", "lacks", "denies"
# What it says by the tag `team` of whoever asks, and by when the session was issued.
ALLOWS_BLUE, DENIES_RED = "allows blue", "denies red"
DENIES_OLD, DENIES_ANCIENT = "denies old", "denies ancient"
# Outcomes, besides the policy that denies.
OK, IMPLICIT = "OK", "implicit"
IDENTITY, BOUNDARY = "an identity-based policy", "a permissions boundary"
SESSION = "a session policy"
TRUST = trust(actions=["sts:AssumeRole", "sts:TagSession"])


@dataclass(frozen=True)
class Cell:
    """A caller in a session: of a role unless it is said of whom, and who made it."""

    own: str = ALLOWS
    boundary: str | None = None
    # The inline session policy and managed ones.
    session: str | None = None
    managed: tuple = ()
    holder: str = "role"
    # Which session of a role took this role on; None for a user.
    chained: str | None = None
    # The tag `team` of the role, and that of the session.
    role_team: str | None = None
    team: str | None = None

    def outcome(self):
        """`OK`, `IMPLICIT`, or which policy denies."""
        layers = [(IDENTITY, self.own), (BOUNDARY, self.boundary), (SESSION, self.session)]
        layers += [(SESSION, says) for says in self.managed]
        said = [(name, self._resolved(says)) for name, says in layers if says]
        for name, says in said:
            if says == DENIES:
                return name
        in_session = [says for name, says in said if name == SESSION]
        must = [says for name, says in said if name != SESSION]
        allowed = all(says == ALLOWS for says in must)
        return OK if allowed and (not in_session or ALLOWS in in_session) else IMPLICIT

    def _resolved(self, says):
        # What the session says of itself hides what the role does.
        inherited = HANDED_DOWN.get(self.chained)
        team = self.team or inherited or self.role_team
        return {
            ALLOWS_BLUE: ALLOWS if team == "blue" else LACKS,
            DENIES_RED: DENIES if team == "red" else ALLOWS,
            DENIES_OLD: DENIES,
            DENIES_ANCIENT: ALLOWS,
        }.get(says, says)


# Sessions that take roles on, and the tag that they hand down.
HANDED_DOWN = {"with nothing": None, "denied": None, "blue for good": "blue", "blue": None}
CELLS = {
    "role": Cell(),
    "role-lacks": Cell(own=LACKS),
    "role-denies": Cell(own=DENIES),
    "chained": Cell(chained="with nothing"),
    "chained-lacks": Cell(own=LACKS, chained="with nothing"),
    "chained-denies": Cell(own=DENIES, chained="with nothing"),
    "chained-from-a-role-that-is-denied": Cell(chained="denied"),
    "session-policy": Cell(session=ALLOWS),
    "session-policy-lacks": Cell(session=LACKS),
    "session-policy-denies": Cell(session=DENIES),
    "session-policy-but-the-role-lacks": Cell(own=LACKS, session=ALLOWS),
    "managed": Cell(managed=(ALLOWS,)),
    "managed-lacks": Cell(managed=(LACKS,)),
    "managed-one-of-two": Cell(managed=(LACKS, ALLOWS)),
    "managed-one-of-two-denies": Cell(managed=(ALLOWS, DENIES)),
    "managed-beside-a-session-policy-that-lacks": Cell(session=LACKS, managed=(ALLOWS,)),
    "managed-but-the-role-lacks": Cell(own=LACKS, managed=(ALLOWS,)),
    "chained-session-policy-lacks": Cell(session=LACKS, chained="with nothing"),
    "boundary": Cell(boundary=ALLOWS),
    "boundary-lacks": Cell(boundary=LACKS),
    "boundary-denies": Cell(boundary=DENIES),
    "boundary-but-the-role-lacks": Cell(own=LACKS, boundary=ALLOWS),
    "boundary-and-session-policy": Cell(boundary=ALLOWS, session=ALLOWS),
    "boundary-lacks-what-the-session-policy-allows": Cell(boundary=LACKS, session=ALLOWS),
    "tag": Cell(own=ALLOWS_BLUE, team="blue"),
    "tag-of-another-value": Cell(own=ALLOWS_BLUE, team="red"),
    "no-tag": Cell(own=ALLOWS_BLUE),
    "tag-of-the-role": Cell(own=ALLOWS_BLUE, role_team="blue"),
    "tag-of-the-session-before-that-of-the-role": Cell(
        own=ALLOWS_BLUE, role_team="blue", team="red"
    ),
    "tag-that-is-denied": Cell(own=DENIES_RED, team="red"),
    "tag-that-is-not-denied": Cell(own=DENIES_RED, team="blue"),
    "tag-handed-down": Cell(own=ALLOWS_BLUE, chained="blue for good"),
    "tag-not-handed-down": Cell(own=ALLOWS_BLUE, chained="blue"),
    "tag-in-a-boundary": Cell(boundary=ALLOWS_BLUE, team="red"),
    "tag-in-a-session-policy": Cell(session=ALLOWS_BLUE, team="blue"),
    "issued-before-a-time": Cell(own=DENIES_OLD),
    "issued-after-a-time": Cell(own=DENIES_ANCIENT),
    "user": Cell(holder="user"),
    "user-lacks": Cell(own=LACKS, holder="user"),
    "user-denies": Cell(own=DENIES, holder="user"),
    "user-boundary-lacks": Cell(boundary=LACKS, holder="user"),
    "user-issued-before-a-time": Cell(own=DENIES_OLD, holder="user"),
    "root": Cell(holder="root"),
}


def statements(says, actions, operation):
    """A policy that says this of an operation which needs these actions."""
    this = f"kms:{operation}*"

    def team(colour):
        return {"StringEquals": {"aws:PrincipalTag/team": colour}}

    def older(date):
        return {"DateLessThan": {"aws:TokenIssueTime": date}}

    return {
        ALLOWS: [allow("kms:*")],
        LACKS: [{"Effect": "Allow", "NotAction": sorted(actions), "Resource": "*"}],
        DENIES: [allow("*"), deny(this)],
        ALLOWS_BLUE: [allow("kms:*", Condition=team("blue"))],
        DENIES_RED: [allow("*"), deny(this, Condition=team("red"))],
        DENIES_OLD: [allow("*"), deny(this, Condition=older("2099-01-01T00:00:00Z"))],
        DENIES_ANCIENT: [allow("*"), deny(this, Condition=older("2001-01-01T00:00:00Z"))],
    }[says]


class Callers:
    """Makes callers at a node; what was made once for the same policies is not made again."""

    def __init__(self, node):
        self.node, self.iam = node, iam_of(node)
        self.taker = new_user(node, allow("sts:*")).client("sts")
        makers = "root user_session session role managed source"
        for maker in makers.split():
            setattr(self, maker, functools.cache(getattr(self, f"_{maker}")))

    def of(self, cell, actions, operation):
        """The caller of a cell for an operation that needs these actions."""
        return self.with_texts(cell, lambda says: statements(says, actions, operation))

    def with_texts(self, cell, statements_of):
        """The caller of a cell whose policies are made of these statements."""

        def text(says):
            return says and text_of(policy(*statements_of(says)))

        own, boundary = text(cell.own), text(cell.boundary)
        if cell.holder == "root":
            return self.root()
        if cell.holder == "user":
            return self.user_session(own, boundary)
        role = self.role(own, boundary, cell.role_team)
        managed = tuple(self.managed(text(says)) for says in cell.managed)
        return self.session(role, cell.chained, text(cell.session), managed, cell.team)

    def _root(self):
        return session_of(self.node, self.node.client("sts").get_session_token(), ROOT)

    def _user_session(self, text, boundary):
        user = new_user(self.node, *json.loads(text)["Statement"])
        if boundary:
            arn = self.managed(boundary)
            self.iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=arn)
        return session_of(self.node, user.client("sts").get_session_token(), user.arn)

    def _session(self, role, chained, inline, managed, team):
        more = {"Policy": inline} if inline else {}
        if managed:
            more["PolicyArns"] = [{"arn": arn} for arn in managed]
        if team:
            more["Tags"] = tags(team)
        sts = sts_of(self.node, self.source(chained)) if chained else self.taker
        return session_of(self.node, assume(sts, {"Arn": role}, **more))

    def _role(self, text, boundary, team):
        more = {"PermissionsBoundary": self.managed(boundary)} if boundary else {}
        if team:
            more["Tags"] = tags(team)
        statements = json.loads(text)["Statement"]
        return new_role(self.node, *statements, document=TRUST, **more)["Arn"]

    def _managed(self, text):
        name = unique_name("policy")
        return self.iam.create_policy(PolicyName=name, PolicyDocument=text)["Policy"]["Arn"]

    def _source(self, kind):
        """A session that takes roles on."""
        denied = [deny("kms:*")] if kind == "denied" else []
        role = new_role(self.node, allow("sts:*"), *denied, document=TRUST)
        more = {"Tags": tags("blue")} if kind.startswith("blue") else {}
        if kind == "blue for good":
            more["TransitiveTagKeys"] = ["team"]
        return session_of(self.node, assume(self.taker, role, "source", **more))


def tags(team):
    return [{"Key": "team", "Value": team}]


def another_session(session):
    """The ARN of another session of the same role."""
    return session.arn.rpartition("/")[0] + "/session-2"


def role_of(session):
    """The ARN of a session's role, which has no path."""
    name = session.arn.split("/")[1]
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"
