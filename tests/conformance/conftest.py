"""Nodes and clients that the tests share."""

import contextlib
import datetime
import functools
import zlib

import botocore.auth
import botocore.compat
import grpc
import pytest
from cluster import running
from in_turn import InTurn
from node import ACCOUNT, CREDENTIALS, OTHER_ACCOUNT, OTHER_REGION, REGION, Node, features, serving
from regions import Connected

ACCOUNTS = [
    argument
    for account, (key, secret) in CREDENTIALS.items()
    for argument in ("--account", f"{account}:{key}:{secret}")
]
REGIONS = ["--region", REGION, "--region", OTHER_REGION]
# Where a run against a cluster tests.
IN_TURN = "in-turn"
NODES = ["node-1", "node-2", "node-3"]
LEFT_OUT = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption(
        "--cluster",
        choices=["one", "all"],
        help="test nodes of a cluster in the place of a keystead dev: for each file one of the "
        "three, or all of them; and then all of them in turn",
    )


def pytest_generate_tests(metafunc):
    which = metafunc.config.getoption("cluster")
    if which and "node" in metafunc.fixturenames:
        one = [NODES[zlib.crc32(metafunc.module.__name__.encode()) % len(NODES)]]
        places = NODES if which == "all" else one
        if metafunc.definition.get_closest_marker("one_node"):
            places = one
        # A gRPC channel leads to one node.
        elif not has_channel(metafunc):
            places = [*places, IN_TURN]
        metafunc.parametrize("node", places, indirect=True, scope="session")


def has_channel(metafunc):
    return "channels" in metafunc.fixturenames


def pytest_collection_modifyitems(config, items):
    """Leaves out, of a run against a cluster, what is about `keystead dev` or about nodes that a
    test starts itself."""
    if config.getoption("cluster"):
        left_out = [item for item in items if why_left_out(item)]
        items[:] = [item for item in items if not why_left_out(item)]
        config.hook.pytest_deselected(items=left_out)
        reasons = {item.nodeid.partition("[")[0]: why_left_out(item) for item in left_out}
        config.stash[LEFT_OUT] = [f"left out: {name}: {why}" for name, why in reasons.items()]


def why_left_out(item):
    if "node" not in item.fixturenames:
        return "it calls no node, or one of its own"
    marker = item.get_closest_marker("dev")
    return marker and marker.args[0]


def pytest_report_collectionfinish(config):
    """With `--collect-only`: what is left out, and why."""
    return config.stash.get(LEFT_OUT, []) if config.option.collectonly else []


@pytest.fixture(scope="session")
def cluster():
    """The three nodes of a run against a cluster, which is connected with another Region."""
    with running() as cluster, running(region=OTHER_REGION, size=1) as other:
        Connected(cluster, other).connect()
        yield cluster


@pytest.fixture(scope="session")
def node(request):
    """One node in memory with two accounts and two Regions; the tests share it. In a run against
    a cluster a node of that, with the same accounts, or all of them in turn."""
    if place := getattr(request, "param", None):
        nodes = request.getfixturevalue("cluster").nodes
        yield InTurn(nodes) if place == IN_TURN else nodes[NODES.index(place)]
        return
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


@pytest.fixture(scope="module")
def channels(node):
    """Gives the gRPC channel of an account, the same one each time."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def channel(account):
            address, credentials = f"{node.host}:{node.port}", node.channel_credentials(account)
            if credentials is None:
                return stack.enter_context(grpc.insecure_channel(address))
            return stack.enter_context(grpc.secure_channel(address, credentials))

        yield channel


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
    """A node of two Regions whose clock the test moves."""
    environment = {"KEYSTEAD_TEST_CLOCK": str(clock.file)}
    arguments = ["--ephemeral", "--account", f"{ACCOUNT}:test:test", *REGIONS]
    node = Node(arguments, environment).start()
    yield node
    assert node.stop() == 0
