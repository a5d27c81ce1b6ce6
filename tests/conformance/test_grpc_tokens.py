"""gRPC callers with nothing but a token: a session's, or that of an issuer with a role."""

import importlib
import json
import time

import grpc
import pytest
from certificates import Authority
from iam_world import allow, fresh, policy
from node import ACCOUNT, Server
from oidc import AUDIENCE, SUBJECT, Issuer
from people import new_user
from protos import PACKAGE, generated, message
from sessions import assume, keys_of, new_role

UNAUTHENTICATED = "UNAUTHENTICATED"


@pytest.fixture(scope="module")
def authority():
    return Authority("servers")


@pytest.fixture(scope="module")
def issuer():
    return Issuer("https://by-file.example.com")


@pytest.fixture(scope="module")
def secure(tmp_path_factory, authority, issuer):
    """A server that knows an issuer, and no authority of callers."""
    folder = tmp_path_factory.mktemp("tokens")
    own = authority.issue(dns=["localhost"])
    certificate, key = own.write(folder / "own.pem", folder / "own.key")
    (folder / "servers.pem").write_bytes(authority.pem)
    (folder / "jwks.json").write_text(issuer.jwks())
    settings = {
        "tls": {"certificate": certificate, "key": key},
        "oidc.issuer": [{"url": issuer.url, "jwks_file": str(folder / "jwks.json")}],
    }
    server = Server(folder, settings).initialise()
    server.authority = str(folder / "servers.pem")
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def provider(secure, issuer):
    iam = secure.client("iam")
    made = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=[AUDIENCE])
    return made["OpenIDConnectProviderArn"]


@pytest.fixture
def role(secure, provider, issuer):
    """One that everybody whom the issuer calls by this name may take on."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{issuer.name}:sub": SUBJECT}},
    }
    return new_role(secure, allow("kms:ListKeys"), document=json.dumps(policy(statement)))


@pytest.fixture(scope="module")
def call(secure, authority, generated):
    """Calls with a token: the status."""
    service = importlib.import_module(f"{PACKAGE}.service_pb2_grpc")
    credentials = grpc.ssl_channel_credentials(authority.pem)
    with grpc.secure_channel(f"localhost:{secure.port}", credentials) as channel:
        stub = service.KeyManagementServiceStub(channel)

        def call(token, role=None, operation="ListKeys"):
            metadata = [("authorization", f"Bearer {token}")] if token is not None else []
            metadata += [("keystead-role-arn", role)] if role else []
            try:
                request = message(f"{operation}Request")()
                getattr(stub, operation)(request, metadata=metadata, timeout=30)
            except grpc.RpcError as error:
                return error.code().name
            return "OK"

        yield call


def identity(server):
    last = json.loads((server.folder / "audit.json").read_text().splitlines()[-1])
    return last["userIdentity"]


class TestSessions:
    def test_a_session_of_a_role(self, secure, call):
        role = new_role(secure, allow("kms:ListKeys"))
        reply = assume(new_user(secure, allow("sts:AssumeRole")).client("sts"), role)
        access_key, _, token = keys_of(reply)
        assert call(token) == "OK"
        assert identity(secure)["accessKeyId"] == access_key
        assert call(token, operation="ListAliases") == "PERMISSION_DENIED"
        secure.client("iam").delete_role_policy(RoleName=role["RoleName"], PolicyName="own")
        secure.client("iam").delete_role(RoleName=role["RoleName"])
        assert call(token) == UNAUTHENTICATED

    def test_what_is_no_token(self, secure, call):
        key, secret = secure.credentials()
        for token in ("", "x", f"{key}:{secret}", key, "a.b.c"):
            assert call(token) == UNAUTHENTICATED, token
        assert call(None) == UNAUTHENTICATED

    def test_without_tls_there_is_none(self, server, generated):
        """Whoever listens would have the token."""
        service = importlib.import_module(f"{PACKAGE}.service_pb2_grpc")
        token = server.client("sts").get_session_token()["Credentials"]["SessionToken"]
        with grpc.insecure_channel(f"localhost:{server.port}") as channel:
            stub = service.KeyManagementServiceStub(channel)
            metadata = [("authorization", f"Bearer {token}")]
            with pytest.raises(grpc.RpcError) as caught:
                stub.ListKeys(message("ListKeysRequest")(), metadata=metadata, timeout=30)
            assert caught.value.code().name == UNAUTHENTICATED


class TestIssuers:
    def test_a_role(self, secure, call, issuer, role, provider):
        token = issuer.token()
        assert call(token, role["Arn"]) == "OK"
        found = identity(secure)
        assert found["type"] == "AssumedRole"
        assert found["sessionContext"]["sessionIssuer"]["arn"] == role["Arn"]
        web = found["sessionContext"]["webIdFederationData"]
        assert web["federatedProvider"] == provider
        assert call(token, role["Arn"], "ListAliases") == "PERMISSION_DENIED"

    def test_the_newest_trust_policy_decides(self, secure, call, issuer, role):
        token, iam = issuer.token(), secure.client("iam")
        assert call(token, role["Arn"]) == "OK"
        nobody = {"Effect": "Deny", "Principal": "*", "Action": "sts:*"}
        iam.update_assume_role_policy(
            RoleName=role["RoleName"], PolicyDocument=json.dumps(policy(nobody))
        )
        assert call(token, role["Arn"]) == UNAUTHENTICATED

    def test_tokens_that_are_not_taken(self, call, issuer, role):
        now = int(time.time())
        for claims in (
            {"exp": now - 1},
            {"nbf": now + 600},
            {"aud": "another"},
            {"sub": "system:serviceaccount:another:one"},
            {"iss": "https://another.example.com"},
        ):
            assert call(issuer.token(**claims), role["Arn"]) == UNAUTHENTICATED, claims
        head, body, signature = issuer.token().split(".")
        for token in (f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}"):
            assert call(token, role["Arn"]) == UNAUTHENTICATED

    def test_roles_that_are_not_taken_on(self, secure, call, issuer):
        unwilling = new_role(secure, allow("kms:ListKeys"))
        for arn in (
            None,
            "x",
            unwilling["Arn"],
            f"arn:aws:iam::{ACCOUNT}:role/{fresh('absent')}",
            f"arn:aws:iam::{ACCOUNT}:user/alice",
        ):
            assert call(issuer.token(), arn) == UNAUTHENTICATED, arn
