"""`keystead login`: a person signs in by a device code (RFC 8628), and boto3 has a profile."""

import json
import subprocess
import time

import boto3
import pytest
from node import ACCOUNT, REGION, binary, clean_environment, serving
from oidc import Issuer, Site

CLIENT = "keystead-cli"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SUBJECT = "ada@example.com"
DISCOVERY = "/.well-known/openid-configuration"


class World:
    """A server that has a role for those whom an issuer knows, and the issuer."""

    def __init__(self, folder):
        self.folder, self.site = folder, Site(folder)
        self.issuer = Issuer(f"https://localhost:{self.site.port}")
        self.settings = {
            "oidc.issuer": [{"url": self.issuer.url, "ca_file": str(self.site.authority)}]
        }

    def began(self, server):
        self.server, iam = server, server.client("iam")
        made = iam.create_open_id_connect_provider(Url=self.issuer.url, ClientIDList=[CLIENT])
        self.role = iam.create_role(
            RoleName="people",
            AssumeRolePolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Effect": "Allow",
                        "Principal": {"Federated": made["OpenIDConnectProviderArn"]},
                        "Action": "sts:AssumeRoleWithWebIdentity",
                        "Condition": {"StringEquals": {f"{self.issuer.name}:sub": SUBJECT}},
                    },
                }
            ),
        )["Role"]["Arn"]
        allow = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": allow})
        iam.put_role_policy(RoleName="people", PolicyName="all", PolicyDocument=document)
        return self

    def publish(self, **more):
        """What the issuer says of itself; what is None it does not say."""
        url = self.issuer.url
        discovery = {
            "issuer": url,
            "jwks_uri": f"{url}/keys",
            "device_authorization_endpoint": f"{url}/device",
            "token_endpoint": f"{url}/token",
        } | more
        said = {name: value for name, value in discovery.items() if value is not None}
        self.site.pages[DISCOVERY] = json.dumps(said)
        self.site.pages["/keys"] = self.issuer.jwks()

    def answers(self, *answers, **device):
        """The issuer gives these answers in turn, errors by name, to those who ask for a token.

        What was asked, and when, is in the list that this returns.
        """
        asked, left = [], list(answers)
        self.publish()
        code = {
            "device_code": "device-secret",
            "user_code": "WDJB-MJHT",
            "verification_uri": "https://idp.example.com/device",
            "expires_in": 60,
            "interval": 1,
        } | device

        def begin(form):
            asked.append((time.monotonic(), form))
            return 200, {name: value for name, value in code.items() if value is not None}

        def token(form):
            asked.append((time.monotonic(), form))
            answer = left.pop(0)
            return (400, {"error": answer}) if isinstance(answer, str) else (200, answer)

        self.site.forms |= {"/device": begin, "/token": token}
        return asked

    def signed_in(self, **claims):
        claims = {"aud": CLIENT, "sub": SUBJECT} | claims
        return {"id_token": self.issuer.token(**claims), "access_token": "of-no-use"}

    def environment(self, folder):
        return clean_environment(
            AWS_CA_BUNDLE=str(self.site.authority),
            AWS_SHARED_CREDENTIALS_FILE=str(folder / "aws" / "credentials"),
        )

    def login(self, folder, *arguments, issuer=None):
        command = [
            *(str(binary()), "login"),
            *("--issuer", issuer or self.issuer.url),
            *("--client-id", CLIENT),
            *("--role-arn", self.role),
            *("--endpoint", self.server.endpoint),
            *arguments,
        ]
        told = self.environment(folder)
        return subprocess.run(command, env=told, capture_output=True, text=True, timeout=120)

    def refused(self, folder, why, *arguments, code=1, **more):
        done = self.login(folder, *arguments, **more)
        assert (done.returncode, done.stdout) == (code, "")
        assert why in done.stderr
        assert not (folder / "aws" / "credentials").exists()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("login"))
    world.publish()
    with serving(world.folder / "server", world.settings) as server:
        yield world.began(server)


def test_who_signs_in_has_a_profile(world, tmp_path, monkeypatch):
    asked = world.answers("authorization_pending", world.signed_in())
    done = world.login(tmp_path, "--profile", "dev", "--session-name", "ada")
    assert done.returncode == 0, done.stderr
    assert "https://idp.example.com/device" in done.stderr and "WDJB-MJHT" in done.stderr
    assert done.stdout.startswith("Profile dev is signed in until ")
    (_, begun), (_, first), (_, last) = asked
    assert begun == {"client_id": CLIENT, "scope": "openid"}
    assert first == last == {
        "client_id": CLIENT,
        "grant_type": GRANT,
        "device_code": "device-secret",
    }
    file = tmp_path / "aws" / "credentials"
    assert file.stat().st_mode & 0o777 == 0o600
    secrets = [line.split(" = ")[1] for line in file.read_text().splitlines() if " = " in line]
    assert len(secrets) == 3
    for secret in [*secrets, "device-secret"]:
        assert secret not in done.stdout + done.stderr

    for name, value in world.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    session = boto3.session.Session(profile_name="dev")
    place = {"region_name": REGION, "endpoint_url": world.server.endpoint}
    who = session.client("sts", **place).get_caller_identity()["Arn"]
    assert who == f"arn:aws:sts::{ACCOUNT}:assumed-role/people/ada"
    kms = session.client("kms", **place)
    made = session.get_credentials().get_frozen_credentials()
    told = clean_environment(
        AWS_ACCESS_KEY_ID=made.access_key,
        AWS_SECRET_ACCESS_KEY=made.secret_key,
        AWS_SESSION_TOKEN=made.token,
        AWS_REGION=REGION,
        AWS_ENDPOINT_URL_KMS=world.server.endpoint,
    )
    shown = subprocess.run([str(binary()), "key", "list"], env=told, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"


def test_a_later_sign_in_replaces_its_profile_alone(world, tmp_path):
    file = tmp_path / "aws" / "credentials"
    file.parent.mkdir()
    others = "[default]\naws_access_key_id = mine\n# kept\n"
    file.write_text(others)
    sections = []
    for _ in range(2):
        world.answers(world.signed_in())
        assert world.login(tmp_path).returncode == 0
        assert file.read_text().startswith(others + "[keystead]\n")
        sections.append(file.read_text().removeprefix(others))
    assert sections[0] != sections[1]
    assert len(sections[0].splitlines()) == len(sections[1].splitlines()) == 5

    asked = world.answers(world.signed_in())
    done = world.login(tmp_path, "--profile", "default")
    assert done.returncode == 1 and "[default] of somebody else" in done.stderr
    assert file.read_text().startswith(others) and not asked, "before anybody signs in"


def test_an_issuer_that_is_asked_too_often_is_asked_less_often(world, tmp_path):
    asked = world.answers("slow_down", world.signed_in())
    assert world.login(tmp_path).returncode == 0
    (begun, _), (first, _), (second, _) = asked
    assert 0.9 < first - begun < 5
    assert second - first > 5.9


def test_a_client_with_a_secret_says_it(world, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush hush\n")
    asked = world.answers(world.signed_in())
    done = world.login(tmp_path, "--client-secret-file", str(secret), "--scope", "openid email")
    assert done.returncode == 0
    assert [form["client_secret"] for _, form in asked] == ["hush hush"] * 2
    assert asked[0][1]["scope"] == "openid email"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("access_denied", "the sign-in was refused at https://localhost"),
        ("expired_token", "nobody signed in in time"),
        ("invalid_client", "refuses: invalid_client"),
        ("\x1b[2J", "refuses: \\u{1b}[2J"),
        ({"access_token": "alone"}, "gives no ID token"),
    ],
)
def test_who_does_not_sign_in_has_nothing(world, tmp_path, answer, why):
    world.answers(answer)
    world.refused(tmp_path, why)


def test_a_code_ends(world, tmp_path):
    world.answers(*["authorization_pending"] * 9, expires_in=2)
    world.refused(tmp_path, "nobody signed in in time")


def test_the_node_decides(world, tmp_path):
    world.answers(world.signed_in(sub="eve@example.com"))
    world.refused(tmp_path, "AccessDenied", code=3)
    world.answers(world.signed_in(aud="somebody-else"))
    world.refused(tmp_path, "InvalidIdentityToken: Incorrect token audience", code=3)


def test_issuers_that_are_none(world, tmp_path):
    world.answers(world.signed_in())
    world.publish(issuer="https://other.example.com")
    world.refused(tmp_path, "is of another issuer")
    world.publish(device_authorization_endpoint=None)
    world.refused(tmp_path, "has no device_authorization_endpoint")
    world.publish(token_endpoint="http://idp.example.com/token")
    world.refused(tmp_path, "is no URL of https")
    world.site.pages[DISCOVERY] = " " * (5 * 1024 * 1024)
    world.refused(tmp_path, "the answer cannot be read")
    world.publish()
    world.refused(tmp_path, "is no URL of https", issuer="http://idp.example.com")
    world.refused(tmp_path, "answered 404", issuer=f"{world.issuer.url}/tenant")


def test_names_of_profiles(world, tmp_path):
    world.answers(world.signed_in())
    for name in ("", "a b", "a]\nb"):
        world.refused(tmp_path, "a profile is named by", "--profile", name)
