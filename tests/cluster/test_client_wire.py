"""gRPC callers by mutual TLS: an authority speaks for its accounts, and for no other."""

import importlib

import grpc
import pytest
from certificates import Authority, Issued
from cluster import ABSENT_ACCOUNT
from expect import key_arn
from node import ACCOUNT, OTHER_ACCOUNT
from peers import HOUR
from protos import PACKAGE, generated, message

UNLISTED_ACCOUNT = "888888888888"


def root(account):
    return f"arn:aws:iam::{account}:root"


@pytest.fixture
def call(cluster, generated):
    """Calls an operation at every node with a certificate; the answers, or the errors."""
    service = importlib.import_module(f"{PACKAGE}.service_pb2_grpc")

    def called(channel, operation, members):
        method = getattr(service.KeyManagementServiceStub(channel), operation)
        try:
            return method(message(f"{operation}Request")(**members), timeout=30)
        except grpc.RpcError as error:
            return error

    def at_every_node(certificate, operation="CreateKey", **members):
        key, chain = (certificate.key, certificate.certificate) if certificate else (None, None)
        answers = []
        for node in cluster.nodes:
            credentials = grpc.ssl_channel_credentials(cluster.authority.pem, key, chain)
            with grpc.secure_channel(f"localhost:{node.port}", credentials) as channel:
                answers.append(called(channel, operation, members))
        return answers

    return at_every_node


@pytest.fixture(autouse=True)
def only_what_is_allowed(cluster):
    """A call that is refused makes no key."""
    before, made = keys(cluster), []
    yield made
    assert keys(cluster) == before + len(made)


def keys(cluster):
    """How many there are, by the node that knows of most."""
    return max(node.status()["Keys"] for node in cluster.nodes)


@pytest.mark.parametrize("account", [ACCOUNT, OTHER_ACCOUNT])
def test_an_account_by_its_own_authority(cluster, call, account, only_what_is_allowed):
    for answer in call(cluster.caller(account)):
        key = answer.key_metadata
        assert key.arn == key_arn(key.key_id, account=account)
        only_what_is_allowed.append(key)


@pytest.mark.parametrize(
    "account, authority",
    [(OTHER_ACCOUNT, ACCOUNT), (ACCOUNT, OTHER_ACCOUNT), (UNLISTED_ACCOUNT, ACCOUNT)],
)
def test_an_account_by_anothers_authority(cluster, call, account, authority):
    for error in call(cluster.caller(account, authority)):
        assert error.code() == grpc.StatusCode.UNAVAILABLE


def certificates(cluster):
    """Certificates that nobody is let in with, by what is wrong with them."""
    authority = cluster.client_authorities[ACCOUNT]
    uri = [root(ACCOUNT)]
    return {
        "of an unknown authority": Authority("of somebody").issue(uris=uri),
        "of the server's own": cluster.authority.issue(uris=uri),
        "expired": authority.issue(uris=uri, begins=-2 * HOUR, ends=-HOUR),
        "not valid yet": authority.issue(uris=uri, begins=HOUR),
        "without a principal": authority.issue(dns=["caller.example"]),
        "with two principals": authority.issue(uris=[*uri, root(OTHER_ACCOUNT)]),
        "with a principal that is none": authority.issue(uris=["arn:aws:iam::1:root"]),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "of an unknown authority",
        "of the server's own",
        "expired",
        "not valid yet",
        "without a principal",
        "with two principals",
        "with a principal that is none",
    ],
)
def test_a_wrong_certificate(cluster, call, wrong):
    for error in call(certificates(cluster)[wrong]):
        assert error.code() == grpc.StatusCode.UNAVAILABLE


def test_a_member_is_no_caller(cluster, call):
    """The members' authority is not one of the callers'."""
    folder = cluster.nodes[0].data / "peer"
    node = Issued((folder / "node.crt").read_bytes(), (folder / "node.key").read_bytes())
    for error in call(node):
        assert error.code() == grpc.StatusCode.UNAVAILABLE


def test_an_account_that_does_not_exist(cluster, call):
    for error in call(cluster.caller(ABSENT_ACCOUNT)):
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error.details()


def test_no_certificate(call):
    for error in call(None):
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        assert "needs a client certificate" in error.details()


def test_another_accounts_key(cluster, call, key, only_what_is_allowed):
    only_what_is_allowed.append(key)
    for error in call(cluster.caller(OTHER_ACCOUNT), "DescribeKey", key_id=key_arn(key)):
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_certificate_is_not_needed_for_a_signature(cluster):
    assert cluster.nodes[0].call("ListKeys").status == 200
