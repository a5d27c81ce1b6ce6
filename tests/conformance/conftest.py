"""Nodes and clients that the tests share."""

import datetime

import botocore.auth
import botocore.compat
import pytest
from node import ACCOUNT, CREDENTIALS, OTHER_ACCOUNT, OTHER_REGION, REGION, Node, features, serving

ACCOUNTS = [
    argument
    for account, (key, secret) in CREDENTIALS.items()
    for argument in ("--account", f"{account}:{key}:{secret}")
]
REGIONS = ["--region", REGION, "--region", OTHER_REGION]


@pytest.fixture(scope="session")
def node():
    """One node in memory with two accounts and two Regions; the tests share it."""
    node = Node(["--ephemeral", *ACCOUNTS, *REGIONS]).start()
    yield node
    assert node.stop() == 0


@pytest.fixture
def durable_node(tmp_path):
    """A node with data on disk, which the test may stop and start again."""
    node = Node(["--data-dir", tmp_path / "data"]).start()
    yield node
    if node.process.poll() is None:
        assert node.stop() == 0


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One `keystead server` on the loopback, without TLS."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def kms(node):
    return node.client()


@pytest.fixture(scope="session")
def other_region(node):
    """The same account's client in the other Region."""
    return node.client(region=OTHER_REGION)


@pytest.fixture(scope="session")
def other_account(node):
    return node.client(account=OTHER_ACCOUNT)


@pytest.fixture
def key(kms):
    """The metadata of a key of the test's own."""
    return kms.create_key()["KeyMetadata"]


@pytest.fixture
def disabled_key(kms, key):
    kms.disable_key(KeyId=key["KeyId"])
    return key


@pytest.fixture
def doomed_key(kms, key):
    """A key that is pending deletion."""
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    return key


class Clock:
    """The node's clock and that of the clients here, moved together."""

    def __init__(self, file, monkeypatch):
        self.file, self.monkeypatch = file, monkeypatch
        self.set(datetime.timedelta())

    def set(self, offset):
        """Both clocks are this much ahead from now on."""
        staged = self.file.with_suffix(".new")
        staged.write_text(f"{int(offset.total_seconds())}\n")
        staged.rename(self.file)
        self.monkeypatch.setattr(
            botocore.auth,
            "get_current_datetime",
            lambda *args, **more: botocore.compat.get_current_datetime(*args, **more) + offset,
        )


@pytest.fixture
def clock(tmp_path, monkeypatch):
    if "test-clock" not in features():
        pytest.skip("the program was built without the feature test-clock")
    return Clock(tmp_path / "clock", monkeypatch)


@pytest.fixture
def clock_node(clock):
    """A node whose clock the test moves."""
    environment = {"KEYSTEAD_TEST_CLOCK": str(clock.file)}
    node = Node(["--ephemeral", "--account", f"{ACCOUNT}:test:test"], environment).start()
    yield node
    assert node.stop() == 0
