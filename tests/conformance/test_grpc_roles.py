"""gRPC callers whose certificates name a role, or a workload that has one."""

import importlib
import json

import grpc
import pytest
from certificates import Authority
from node import ACCOUNT, OTHER_ACCOUNT, Server
from policies import allow, policy, text_of
from protos import PACKAGE, generated, message

ANYWHERE = "rolesanywhere.amazonaws.com"
URI = "aws:PrincipalTag/x509SAN/URI"
WEB = "spiffe://example.org/ns/shop/sa/web"
SHOP = "spiffe://example.org/ns/shop"
OTHER = "spiffe://example.com/ns/shop/sa/web"


def arn(name, account=ACCOUNT):
    return f"arn:aws:iam::{account}:role/{name}"


def trust(principal=None, **condition):
    statement = {
        "Effect": "Allow",
        "Principal": principal or {"Service": ANYWHERE},
        "Action": "sts:AssumeRole",
    }
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.fixture(scope="module")
def authorities():
    return {name: Authority(name) for name in ("servers", "callers", "others")}


@pytest.fixture(scope="module")
def secure(tmp_path_factory, authorities):
    """A server with two authorities of callers, both of which speak for the account."""
    folder = tmp_path_factory.mktemp("roles")
    own = authorities["servers"].issue(dns=["localhost"])
    certificate, key = own.write(folder / "own.pem", folder / "own.key")
    for name, authority in authorities.items():
        (folder / f"{name}.pem").write_bytes(authority.pem)
    settings = {
        "tls": {"certificate": certificate, "key": key},
        "client_ca": [
            {"file": str(folder / "others.pem"), "accounts": [ACCOUNT]},
            {"file": str(folder / "callers.pem"), "accounts": [ACCOUNT]},
        ],
    }
    server = Server(folder, settings).initialise()
    server.authority = str(folder / "servers.pem")
    workloads = [(WEB, "web"), (f"{SHOP}/*", "team/shop")]
    spiffe = ", ".join(f'{{ id = "{id}", role = "{arn(role)}" }}' for id, role in workloads)
    with server.configuration.open("a") as file:
        file.write(f"spiffe = [{spiffe}]\n")
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def iam(secure):
    return secure.client("iam")


@pytest.fixture
def role(iam):
    """Makes roles that may list keys, and removes them in the end."""
    made = []

    def make(name, trusted=None, path="/"):
        iam.create_role(
            RoleName=name, Path=path, AssumeRolePolicyDocument=text_of(trusted or trust())
        )
        made.append(name)
        document = text_of(policy(allow("kms:ListKeys")))
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)

    yield make
    for name in made:
        iam.delete_role_policy(RoleName=name, PolicyName="own")
        iam.delete_role(RoleName=name)


@pytest.fixture
def caller(secure, authorities, generated):
    """Connects with a certificate of these URIs; gives a function that calls."""
    service = importlib.import_module(f"{PACKAGE}.service_pb2_grpc")
    channels = []

    def connect(*uris, authority="callers"):
        issued = authorities[authority].issue(uris=uris)
        roots = authorities["servers"].pem
        credentials = grpc.ssl_channel_credentials(roots, issued.key, issued.certificate)
        channel = grpc.secure_channel(f"localhost:{secure.port}", credentials)
        channels.append(channel)
        stub = service.KeyManagementServiceStub(channel)

        def call(operation="ListKeys", **members):
            """The status of a call."""
            try:
                getattr(stub, operation)(message(f"{operation}Request")(**members), timeout=30)
            except grpc.RpcError as error:
                return error.code().name
            return "OK"

        return call

    yield connect
    for channel in channels:
        channel.close()


def last_record(server):
    return json.loads((server.folder / "audit.json").read_text().splitlines()[-1])


class TestRoles:
    def test_a_role_that_lets_certificates_in(self, secure, caller, role):
        role("web")
        call = caller(arn("web"))
        assert call() == "OK"
        identity = last_record(secure)["userIdentity"]
        assert identity["type"] == "AssumedRole"
        session = identity["arn"].removeprefix(f"arn:aws:sts::{ACCOUNT}:assumed-role/web/")
        assert int(session, 16)
        assert identity["sessionContext"]["sessionIssuer"]["arn"] == arn("web")
        # It may do what the role may, and nothing else.
        assert call("ListAliases") == "PERMISSION_DENIED"

    @pytest.mark.parametrize(
        "trusted",
        [
            trust({"Service": "ec2.amazonaws.com"}),
            trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
            trust({"AWS": "*"}),
            trust(StringEquals={URI: arn("other")}),
        ],
        ids=["another service", "the account", "everybody signed", "another certificate"],
    )
    def test_a_role_that_does_not(self, caller, role, trusted):
        role("web", trusted)
        assert caller(arn("web"))() == "UNAUTHENTICATED"

    def test_a_condition_on_the_certificate(self, caller, role):
        role("web", trust(StringEquals={URI: arn("web")}))
        assert caller(arn("web"))() == "OK"

    def test_what_is_not_there(self, caller, role):
        role("web", path="/team/")
        assert caller(arn("nobody"))() == "UNAUTHENTICATED"
        assert caller(arn("web"))() == "UNAUTHENTICATED"
        assert caller(arn("team/web"))() == "OK"

    def test_the_newest_trust_policy_decides(self, iam, caller, role):
        """On a connection that was there before."""
        role("web")
        call = caller(arn("web"))
        assert call() == "OK"
        iam.update_assume_role_policy(
            RoleName="web", PolicyDocument=text_of(trust({"Service": "ec2.amazonaws.com"}))
        )
        assert call() == "UNAUTHENTICATED"
        iam.update_assume_role_policy(RoleName="web", PolicyDocument=text_of(trust()))
        assert call() == "OK"
        iam.delete_role_policy(RoleName="web", PolicyName="own")
        assert call() == "PERMISSION_DENIED"
        iam.put_role_policy(
            RoleName="web", PolicyName="own", PolicyDocument=text_of(policy(allow("kms:*")))
        )
        # What changes something goes through the state, which asks once more.
        assert call("CreateKey") == "OK"

    def test_the_certificate_is_a_tag_of_the_session(self, iam, caller, role):
        role("web")
        statement = allow("kms:ListKeys", Condition={"StringEquals": {URI: arn("web")}})
        iam.put_role_policy(
            RoleName="web", PolicyName="own", PolicyDocument=text_of(policy(statement))
        )
        assert caller(arn("web"))() == "OK"

    @pytest.mark.parametrize(
        "uris",
        [
            (arn("web", OTHER_ACCOUNT),),
            (arn("web"), arn("other")),
            (f"arn:aws:iam::{ACCOUNT}:group/web",),
        ],
        ids=["another account's", "two", "of no role"],
    )
    def test_whom_no_authority_speaks_for(self, caller, role, uris):
        role("web")
        assert caller(*uris)() == "UNAVAILABLE"


class TestWorkloads:
    def test_the_role_of_an_id(self, secure, caller, role):
        role("web", trust(StringLike={URI: f"{SHOP}/*"}))
        assert caller(WEB)() == "OK"
        issuer = last_record(secure)["userIdentity"]["sessionContext"]["sessionIssuer"]
        assert issuer["arn"] == arn("web")

    def test_the_role_of_all_below_an_id(self, secure, caller, role):
        role("shop", path="/team/")
        assert caller(f"{SHOP}/sa/db")() == "OK"
        issuer = last_record(secure)["userIdentity"]["sessionContext"]["sessionIssuer"]
        assert issuer["arn"] == arn("team/shop")

    def test_its_trust_policy_decides_too(self, caller, role):
        role("web", trust(StringEquals={URI: f"{SHOP}/sa/db"}))
        assert caller(WEB)() == "UNAUTHENTICATED"

    @pytest.mark.parametrize("id", [SHOP, f"{SHOP}-2/sa/web", OTHER, "https://example.org/web"])
    def test_ids_without_a_role(self, caller, role, id):
        role("web")
        assert caller(id)() == "UNAVAILABLE"

    def test_an_authority_that_does_not_vouch_for_it(self, caller, role):
        role("web")
        assert caller(WEB, authority="others")() == "UNAVAILABLE"
        assert caller(WEB)() == "OK"

    @pytest.mark.parametrize(
        ("spiffe", "said"),
        [
            ('[{ id = "example.org/web", role = "ROLE" }]', "is no SPIFFE id"),
            ('[{ id = "spiffe://a/b", role = "web" }]', "is no ARN of a role"),
            ('[{ id = "spiffe://a/b", role = "OTHER" }]', "does not speak for"),
            ('[{ id = "spiffe://a/b" }]', "client_ca.spiffe"),
            ('[{ id = "spiffe://a/b", roll = "ROLE" }]', "client_ca.spiffe"),
            ('"spiffe://a/b"', "client_ca.spiffe"),
        ],
    )
    def test_a_configuration_with_a_mistake(self, secure, spiffe, said):
        text = secure.configuration.read_text()
        spiffe = spiffe.replace("ROLE", arn("web")).replace("OTHER", arn("web", OTHER_ACCOUNT))
        wrong = "\n".join(text.splitlines()[:-1] + [f"spiffe = {spiffe}"])
        secure.configuration.write_text(wrong)
        try:
            checked = secure.run("config", "check")
        finally:
            secure.configuration.write_text(text)
        assert checked.returncode == 1
        assert said in checked.stderr
