"""Every operation in the states that only keys with relatives in another Region are in, for as long
as that is out of reach: what the table of key states of the AWS KMS developer guide says."""

import pytest
from expect import ANY, alias_arn, key_arn
from link import Links
from node import OTHER_REGION, eventually
from regions import connected
from walk import ANSWERS, States
from walk_rows import ROWS
from walk_wires import Json
from walk_world import EXTERNAL, IMPORTED, MATERIALS, MULTI_REGION, SYMMETRIC, Account, Key

pytestmark = pytest.mark.dev("it starts two Regions itself")

WITHIN = 20
TOUCHES = [(row.operation, touch) for row in ROWS.values() for touch in row.touches]
# Nobody can have been granted anything on a key that was never usable.
IMPOSSIBLE = {("RetireGrant", "Creating"), ("RevokeGrant", "Creating")}


class At:
    """A node whose callers sign for its own Region."""

    def __init__(self, member):
        self.member, self.region = member, member.cluster.region

    def __getattr__(self, name):
        return getattr(self.member, name)

    def call(self, *what, **how):
        return self.member.call(*what, region=self.region, **how)


class Related(Key):
    """A multi-Region key in one Region. What only its relative can make yet, that lends."""

    def __init__(self, owner, key_id, kind, name=None, lender=None):
        super().__init__(owner, key_id, kind, name)
        self.lender, self.parameters = lender, None

    @property
    def arn(self):
        return key_arn(self.id, self.owner.node.region, self.owner.number)

    def blob(self):
        return self.lender.blob() if self.lender else super().blob()

    def signature(self):
        return self.lender.signature() if self.lender else super().signature()

    def mac(self):
        return self.lender.mac() if self.lender else super().mac()

    def encapsulated(self):
        return self.lender.encapsulated() if self.lender else super().encapsulated()

    def material(self):
        """The tokens of one Region are nothing to the other."""
        if self.lender:
            return self.owner.key(IMPORTED).material()
        self.parameters = self.parameters or self.wrapped(MATERIALS[self.id])
        return self.parameters

    def state(self):
        reply = self.owner.node.call("DescribeKey", {"KeyId": self.id})
        return reply.body["KeyMetadata"]["KeyState"] if reply.status == 200 else None

    def await_state(self, state):
        eventually(lambda: self.state() == state, WITHIN, lambda: f"{self.id}: {self.state()}")


@pytest.fixture(scope="module")
def links():
    return Links()


@pytest.fixture(scope="module")
def both(links):
    with connected(size=1, ways=links) as both:
        yield both
        links.heal()


@pytest.fixture(scope="module")
def here(both):
    return account(both.here)


@pytest.fixture(scope="module")
def there(both):
    return account(both.there)


def account(cluster):
    [member] = cluster.nodes
    return Account(At(member))


def new_primary(here, touch):
    """A multi-Region key of the kind that a touch needs."""
    kind = touch.kind if MULTI_REGION in touch.kind else touch.kind + MULTI_REGION
    key = here.key(kind.removesuffix("/REPLICATED"))
    return Related(here, key.id, kind)


def replicate(here, there, key, lender=None):
    here.ok("ReplicateKey", {"KeyId": key.id, "ReplicaRegion": OTHER_REGION})
    return Related(there, key.id, key.kind, lender=lender)


def wrong(operation, touch, state, key, body, column=None):
    """What is wrong with the answer, if anything: the row of the walk says what it has to be."""
    answer = Json(key.owner.node).call(key.owner, operation, body)
    code, text = ANSWERS[getattr(States(*touch.states), column or state)]
    if state == "PendingReplicaDeletion" and text is not ANY:
        text = text.replace("is pending deletion.", "is pending replica deletion.")
    if answer.code != code:
        return f"{operation} {touch.role} {state}: {answer.code} {answer.message}"
    alias = body.get("AliasName")
    alias = alias and alias_arn(alias, key.owner.node.region)
    if text is not ANY and answer.message != text.format(
        arn=key.arn, alias=alias, action=touch.action
    ):
        return f"{operation} {touch.role} {state}: {answer.message}"
    return None


def check(cells):
    found = [mistake for cell in cells if (mistake := wrong(*cell))]
    print(f"\nfigures: {len(cells)} cells of the table of key states")
    assert not found, "\n".join(found)


def test_pending_replica_deletion(here, there):
    cells = []
    for operation, touch in TOUCHES:
        key = new_primary(here, touch)
        replicate(here, there, key)
        body = touch.body(here, key)
        here.ok("ScheduleKeyDeletion", {"KeyId": key.id, "PendingWindowInDays": 7})
        state = "PendingReplicaDeletion"
        assert key.state() == state
        cells.append((operation, touch, state, key, body, "PendingDeletion"))
    check(cells)


def test_creating(here, there, both, links):
    """The replica cannot say that it is there."""
    for link in links.to(both.here):
        link.cut()
    cells = []
    for operation, touch in TOUCHES:
        if (operation, "Creating") in IMPOSSIBLE:
            continue
        primary = new_primary(here, touch)
        key = replicate(here, there, primary, lender=primary)
        key.await_state("Creating")
        cells.append((operation, touch, "Creating", key, touch.body(there, key)))
    check(cells)
    links.heal()
    cells[0][3].await_state("Enabled")


def test_updating(here, there, both, links):
    """The new primary cannot say that it is one; the old one, which asked, is asked once more."""
    keys = []
    for operation, touch in TOUCHES:
        primary = new_primary(here, touch)
        key = replicate(here, there, primary)
        if EXTERNAL in touch.kind:
            key.await_state("PendingImport")
            there.ok("ImportKeyMaterial", {"KeyId": key.id} | key.material())
        key.await_state("Enabled")
        keys.append((operation, touch, primary, key, touch.body(there, key)))
    for link in links.to(both.here):
        link.cut()
    cells = []
    for operation, touch, primary, key, body in keys:
        move = {"KeyId": key.id, "PrimaryRegion": OTHER_REGION}
        here.ok("UpdatePrimaryRegion", move)
        key.await_state("Updating")
        assert primary.state() == "Updating"
        if operation == "UpdatePrimaryRegion":
            key, body = primary, move
        cells.append((operation, touch, "Updating", key, body))
    check(cells)

    # What is shared stays as it is until the answer of the new one comes.
    primary = next(primary for _, touch, primary, *_ in keys if touch.kind == SYMMETRIC)
    refused = {"EnableKeyRotation": {}, "DisableKeyRotation": {}}
    for operation, more in refused.items():
        reply = here.node.call(operation, {"KeyId": primary.id} | more)
        assert reply.code == "KMSInvalidStateException"
        assert reply.message == f"{primary.arn} is updating."
    links.heal()
    keys[0][3].await_state("Enabled")
    primary.await_state("Enabled")
