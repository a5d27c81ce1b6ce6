"""OIDC: providers through IAM's operations, and sessions for those for whom they answer, with
clients that know nothing but their environment."""

import base64
import functools
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import time

import boto3
import botocore
import botocore.config
import expect
import pytest
from botocore.exceptions import ClientError
from iam_world import allow, fresh, policy, refused
from node import ACCOUNT, REGION, binary, clean_environment, eventually, serving
from oidc import AUDIENCE, SUBJECT, Issuer, Key, Site, b64, keyed, part, publish, signed

HERE = pathlib.Path(__file__).parent
ASSUME = "sts:AssumeRoleWithWebIdentity"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
THUMBPRINT = "0123456789abcdef0123456789ABCDEF01234567"


class World:
    """A server, and three issuers whose keys it has in three ways."""

    def __init__(self, folder):
        self.folder = folder
        self.site, self.plain = Site(folder), Site()
        self.issuer = Issuer(f"https://localhost:{self.site.port}")
        publish(self.site, self.issuer)
        self.by_url = Issuer("https://by-url.example.com/tenant/", Key("ec", "ES256"))
        self.plain.pages["/jwks"] = self.by_url.jwks()
        self.by_file = Issuer("https://by-file.example.com")
        self.file = folder / "jwks.json"
        self.file.write_text(self.by_file.jwks())
        self.settings = {
            "oidc.issuer": [
                {"url": self.issuer.url, "ca_file": str(self.site.authority)},
                {
                    "url": self.by_url.url,
                    "jwks_url": f"http://127.0.0.1:{self.plain.port}/jwks",
                },
                {"url": self.by_file.url, "jwks_file": str(self.file)},
            ]
        }

    def began(self, server):
        self.server = server
        self.iam = server.client("iam")
        self.arns = {
            issuer.url: self.provider(issuer) for issuer in (self.issuer, self.by_url, self.by_file)
        }
        return self

    def provider(self, issuer):
        made = self.iam.create_open_id_connect_provider(
            Url=issuer.url, ClientIDList=[AUDIENCE, "other-client"]
        )
        return made["OpenIDConnectProviderArn"]

    def trust(self, issuer=None, actions=ASSUME, **conditions):
        issuer = issuer or self.issuer
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": self.arns[issuer.url]},
            "Action": actions,
        }
        keys = {f"{issuer.name}:{name}": value for name, value in conditions.items()}
        return json.dumps(
            policy(statement | ({"Condition": {"StringEquals": keys}} if keys else {}))
        )

    def role(self, trust=None, name=None):
        """A role that may do everything, and that everybody of the issuer may take on."""
        name = name or fresh("role")
        document = trust or self.trust()
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
        text = json.dumps(policy(allow(["kms:*", "sts:AssumeRole"])))
        self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=text)
        return role

    def assume(self, role, token=None, session="session-1", **more):
        return self.sts.assume_role_with_web_identity(
            RoleArn=role["Arn"],
            RoleSessionName=session,
            WebIdentityToken=token or self.issuer.token(),
            **more,
        )

    @functools.cached_property
    def sts(self):
        """A client that signs nothing."""
        return boto3.session.Session().client(
            "sts",
            region_name=REGION,
            endpoint_url=self.server.endpoint,
            config=botocore.config.Config(
                signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1}
            ),
        )

    def client(self, reply, service="kms"):
        made = reply["Credentials"]
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=self.server.endpoint,
            aws_access_key_id=made["AccessKeyId"],
            aws_secret_access_key=made["SecretAccessKey"],
            aws_session_token=made["SessionToken"],
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )

    def environment(self, role, token):
        """All that a client is told."""
        file = self.folder / fresh("token")
        file.write_text(token)
        return {
            "AWS_ROLE_ARN": role["Arn"],
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(file),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_STS": self.server.endpoint,
            "AWS_ENDPOINT_URL_KMS": self.server.endpoint,
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("oidc"))
    with serving(world.folder / "server", world.settings) as server:
        yield world.began(server)


@pytest.fixture(scope="module")
def role(world):
    return world.role()


def invalid(message=expect.ANY):
    return refused("InvalidIdentityToken", message)


def denied(action=ASSUME):
    return refused("AccessDenied", f"Not authorized to perform {action}")


def soon(call, within=30):
    """What a call answers once the server has the keys that it needs."""
    deadline = time.monotonic() + within
    while True:
        try:
            return call()
        except ClientError as error:
            waits = error.response["Error"]["Code"] in (
                "IDPCommunicationError",
                "InvalidIdentityToken",
            )
            if not waits or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def test_a_provider_from_its_making_to_its_end(world):
    iam, name = world.iam, f"{fresh('idp')}.example.com/a"
    made = iam.create_open_id_connect_provider(
        Url=f"https://{name}",
        ClientIDList=["one", "two", "one"],
        ThumbprintList=[THUMBPRINT],
        Tags=[{"Key": "Team", "Value": "a"}],
    )
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"
    assert made["OpenIDConnectProviderArn"] == arn
    assert made["Tags"] == [{"Key": "Team", "Value": "a"}]
    with refused("EntityAlreadyExists", f"Provider with url https://{name} already exists."):
        iam.create_open_id_connect_provider(Url=f"https://{name}")

    def found():
        return iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)

    assert (found()["Url"], found()["ClientIDList"]) == (name, ["one", "two"])
    assert found()["ThumbprintList"] == [THUMBPRINT]
    listed = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert {"Arn": arn} in listed
    which = {"OpenIDConnectProviderArn": arn}
    for client in ("three", "three"):
        iam.add_client_id_to_open_id_connect_provider(ClientID=client, **which)
    for client in ("one", "never"):
        iam.remove_client_id_from_open_id_connect_provider(ClientID=client, **which)
    assert found()["ClientIDList"] == ["two", "three"]
    iam.update_open_id_connect_provider_thumbprint(ThumbprintList=["a" * 40], **which)
    assert found()["ThumbprintList"] == ["a" * 40]
    iam.tag_open_id_connect_provider(Tags=[{"Key": "team", "Value": "b"}], **which)
    iam.tag_open_id_connect_provider(Tags=[{"Key": "x", "Value": ""}], **which)
    iam.untag_open_id_connect_provider(TagKeys=["X"], **which)
    tags = [{"Key": "team", "Value": "b"}]
    assert iam.list_open_id_connect_provider_tags(**which)["Tags"] == found()["Tags"] == tags
    iam.delete_open_id_connect_provider(**which)
    with refused("NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}"):
        found()
    with refused("NoSuchEntity"):
        iam.delete_open_id_connect_provider(**which)


@pytest.mark.parametrize(
    "url", ["http://a.example.com", "https://a.example.com?b=c", "a.example.com", "https://"]
)
def test_urls_that_no_issuer_has(world, url):
    with refused("ValidationError"):
        world.iam.create_open_id_connect_provider(Url=url)


def test_a_provider_has_at_most_a_hundred_clients(world):
    url = f"https://{fresh('idp')}.example.com"
    clients = [f"client-{at}" for at in range(100)]
    with refused("LimitExceeded"):
        world.iam.create_open_id_connect_provider(Url=url, ClientIDList=[*clients, "more"])
    made = world.iam.create_open_id_connect_provider(Url=url, ClientIDList=clients)
    which = {"OpenIDConnectProviderArn": made["OpenIDConnectProviderArn"]}
    with refused("LimitExceeded"):
        world.iam.add_client_id_to_open_id_connect_provider(ClientID="more", **which)
    with refused("InvalidInput"):
        world.iam.update_open_id_connect_provider_thumbprint(ThumbprintList=["g" * 40], **which)
    world.iam.delete_open_id_connect_provider(**which)


def test_boto3_by_its_environment_alone(world, role, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = clean_environment(**world.environment(role, world.issuer.token()))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    session = boto3.session.Session()
    kms = session.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"secret"
    who = session.client("sts").get_caller_identity()["Arn"]
    assert who.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/")


def test_what_is_answered(world, role):
    reply = world.assume(role, session="till-7", DurationSeconds=900)
    assert reply["SubjectFromWebIdentityToken"] == SUBJECT
    assert (reply["Audience"], reply["Provider"]) == (AUDIENCE, world.issuer.url)
    assert reply["AssumedRoleUser"] == {
        "AssumedRoleId": f"{role['RoleId']}:till-7",
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/till-7",
    }
    assert "PackedPolicySize" not in reply
    assert 880 < reply["Credentials"]["Expiration"].timestamp() - time.time() < 910
    # A signature is not asked for, and not looked at.
    signing = world.server.client("sts")
    assert signing.assume_role_with_web_identity(
        RoleArn=role["Arn"], RoleSessionName="xx", WebIdentityToken=world.issuer.token()
    )


def test_keys_come_from_a_url_or_from_a_file(world):
    for issuer in (world.by_url, world.by_file):
        role = world.role(world.trust(issuer))
        reply = soon(lambda issuer=issuer, role=role: world.assume(role, issuer.token()))
        assert reply["Provider"] == issuer.url
        # The other issuer's keys are not this one's.
        mine = issuer.keys[0]
        theirs = Key(mine.kid, mine.algorithm)
        with invalid():
            world.assume(role, issuer.token(theirs))


def altered(token, **claims):
    """The same token with other claims."""
    header, payload, signature = token.split(".")
    padded = payload + "=" * (-len(payload) % 4)
    changed = json.loads(base64.urlsafe_b64decode(padded)) | claims
    return ".".join([header, part(changed), signature])


def code_of(world, role, token):
    """The code of the error for a token; none if it is taken."""
    try:
        world.assume(role, token)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_tokens_that_are_not_taken(world, role):
    issuer, key = world.issuer, world.issuer.keys[0]
    header = {"alg": "RS256", "kid": key.kid}
    now = int(time.time())
    good = issuer.token()
    assert world.assume(role, good)
    unsigned = f"{part({'alg': 'none'})}.{part(issuer.claims())}."
    hs256 = {"alg": "HS256", "kid": key.kid}
    twice = f'{{"iss":"{issuer.url}","sub":"x","sub":"{SUBJECT}"}}'.encode()
    data = f"{part(header)}.{b64(twice)}"
    for why, token in {
        "not yet valid": issuer.token(nbf=now + 300),
        "made in the future": issuer.token(iat=now + 300),
        "no exp": issuer.token(exp=None),
        "exp as a text": issuer.token(exp=str(now + 600)),
        "another audience": issuer.token(aud="somebody"),
        "no audience": issuer.token(aud=None),
        "an empty audience": issuer.token(aud=[]),
        "given to another party": issuer.token(azp="somebody"),
        "another issuer": issuer.token(iss=f"{issuer.url}/"),
        "an issuer of http": issuer.token(iss=issuer.url.replace("https", "http")),
        "no issuer": issuer.token(iss=None),
        "no subject": issuer.token(sub=None),
        "an empty subject": issuer.token(sub=""),
        "none": unsigned,
        "none with a signature": signed(key, header | {"alg": "none"}, issuer.claims()),
        "HS256 by the public key": keyed(key.pem(), hs256, issuer.claims()),
        "HS256 by the key set": keyed(issuer.jwks().encode(), hs256, issuer.claims()),
        "another key by its id": issuer.token(Key(key.kid)),
        "an algorithm of other keys": signed(key, header | {"alg": "ES256"}, issuer.claims()),
        "an algorithm that did not sign": signed(key, header | {"alg": "RS512"}, issuer.claims()),
        "critical parameters": issuer.token(header={"crit": ["exp"], "exp": now + 600}),
        "altered claims": altered(good, sub="somebody"),
        "altered audience": altered(issuer.token(aud="somebody"), aud=AUDIENCE),
        "a claim twice": f"{data}.{b64(key.sign(data.encode()))}",
        "cut off": good[:-2],
        "padded": good + "==",
        "four parts": good + ".x",
        "no token": "x" * 100,
    }.items():
        assert code_of(world, role, token) == "InvalidIdentityToken", why
    with refused("ExpiredTokenException"):
        world.assume(role, issuer.token(exp=now - 1, iat=now - 600))
    assert world.assume(role, issuer.token(aud=["x", AUDIENCE]))["Audience"] == AUDIENCE
    given = issuer.token(aud="x", azp="other-client")
    assert world.assume(role, given)["Audience"] == "other-client"


def test_an_issuer_without_a_provider_and_a_role_without_trust(world, role):
    stranger = Issuer("https://stranger.example.com", *world.issuer.keys)
    text = f"No OpenIDConnect provider found in your account for {stranger.url}"
    with invalid(text):
        world.assume(role, stranger.token())
    with denied():
        world.assume({"Arn": f"arn:aws:iam::{ACCOUNT}:role/absent"})
    own = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ASSUME}
    for trust in (json.dumps(policy(own)), world.trust(world.by_file)):
        with denied():
            world.assume(world.role(trust))
    with refused("ValidationError"):
        world.assume(role, ProviderId="www.amazon.com")
    with refused("ValidationError"):
        world.assume(role, DurationSeconds=7200)
    with refused("MalformedPolicyDocument"):
        world.assume(role, Policy="{}")


def test_trust_policies_ask_for_claims(world):
    issuer = world.issuer
    for conditions, taken, refused_claims in [
        ({"sub": SUBJECT}, {}, {"sub": "system:serviceaccount:shop:other"}),
        ({"aud": "other-client"}, {"aud": "other-client"}, {}),
        # The audience is the party that the token was given to.
        (
            {"aud": "other-client"},
            {"azp": "other-client"},
            {"aud": "other-client", "azp": AUDIENCE},
        ),
        ({"repository": "a/b"}, {"repository": "a/b"}, {"repository": "a/c"}),
        ({"repository": "a/b"}, {"repository": "a/b"}, {}),
        # No claim passes for another one by its case.
        ({"sub": "boss"}, {"sub": "boss"}, {"SUB": "boss"}),
        ({"team": "boss"}, {"team": "boss"}, {"team": "x", "Team": "boss"}),
    ]:
        role = world.role(world.trust(**conditions))
        assert world.assume(role, issuer.token(**taken)), conditions
        with denied():
            world.assume(role, issuer.token(**refused_claims))
    amr = {"ForAnyValue:StringEquals": {f"{issuer.name}:amr": "mfa"}}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": world.arns[issuer.url]},
        "Action": ASSUME,
        "Condition": amr,
    }
    role = world.role(json.dumps(policy(statement)))
    assert world.assume(role, issuer.token(amr=["pwd", "mfa"]))
    with denied():
        world.assume(role, issuer.token(amr=["pwd"]))


def test_sessions_are_narrowed(world, role):
    text = json.dumps(policy(allow("kms:ListKeys")))
    reply = world.assume(role, Policy=text)
    assert reply["PackedPolicySize"] > 0
    kms = world.client(reply)
    kms.list_keys()
    with expect.refused("AccessDeniedException"):
        kms.create_key()


def test_tags_and_source_identity_come_from_the_token(world):
    tags = {"principal_tags": {"Team": ["red"], "Cost": "7"}, "transitive_tag_keys": ["Team"]}
    token = world.issuer.token(
        **{
            "https://aws.amazon.com/tags": tags,
            "https://aws.amazon.com/source_identity": "alice",
        }
    )
    everything = [ASSUME, "sts:TagSession", "sts:SetSourceIdentity"]
    for missing in everything[1:]:
        actions = [action for action in everything if action != missing]
        with denied(missing):
            world.assume(world.role(world.trust(actions=actions)), token)
    role = world.role(world.trust(actions=everything))
    condition = {
        "StringEquals": {
            "aws:PrincipalTag/Team": "red",
            "aws:PrincipalTag/Cost": "7",
            "aws:SourceIdentity": "alice",
            "aws:FederatedProvider": world.arns[world.issuer.url],
        }
    }
    text = json.dumps(policy(allow("kms:ListKeys", Condition=condition)))
    world.iam.put_role_policy(RoleName=role["RoleName"], PolicyName="all", PolicyDocument=text)
    reply = world.assume(role, token)
    assert reply["SourceIdentity"] == "alice"
    world.client(reply).list_keys()
    with expect.refused("AccessDeniedException"):
        world.client(world.assume(role)).list_keys()
    odd = {"principal_tags": {"Team": ["red", "blue"]}}
    with invalid():
        world.assume(role, world.issuer.token(**{"https://aws.amazon.com/tags": odd}))


def test_the_issuer_takes_other_keys(world, role):
    issuer, old = world.issuer, world.issuer.keys[0]
    new = Key("key-2")
    issuer.keys = [new, old]
    publish(world.site, issuer)
    # The server hears of the key from the first token that names it.
    assert soon(lambda: world.assume(role, issuer.token(new)))
    assert world.assume(role, issuer.token(old))
    with world.site.away():
        assert world.assume(role, issuer.token(new))
        assert code_of(world, role, issuer.token(Key("never"))) in (
            "IDPCommunicationError",
            "InvalidIdentityToken",
        )
    third = Key("key-3")
    issuer.keys = [third, new]
    publish(world.site, issuer)
    assert soon(lambda: world.assume(role, issuer.token(third)))
    # What the issuer has given up is taken no more.
    token, asked, begun = issuer.token(old), len(world.site.asked), time.monotonic()
    for _ in range(50):
        assert code_of(world, role, token) in ("IDPCommunicationError", "InvalidIdentityToken")
    # However often somebody asks for it: two documents in ten seconds.
    fetched = (len(world.site.asked) - asked) / 2
    assert fetched <= (time.monotonic() - begun) / 10 + 1


def test_a_file_of_keys_is_read_again(world):
    issuer = world.by_file
    role = world.role(world.trust(issuer))
    old = issuer.keys[0]
    assert world.assume(role, issuer.token(old))
    issuer.keys = [Key("key-2")]
    world.file.write_text(issuer.jwks())
    eventually(
        lambda: code_of(world, role, issuer.token()) is None, 10, lambda: world.server.output()
    )
    assert code_of(world, role, issuer.token(old)) is not None
    # What cannot be read takes nothing away, and is told.
    world.file.write_text('{"keys": [')
    eventually(
        lambda: world.server.logged("the keys of an issuer cannot be had"),
        10,
        lambda: world.server.output(),
    )
    assert world.assume(role, issuer.token())
    world.file.unlink()
    time.sleep(2)
    assert world.assume(role, issuer.token())
    issuer.keys.append(Key("key-3"))
    world.file.write_text(issuer.jwks())
    added = issuer.keys[1]
    eventually(
        lambda: code_of(world, role, issuer.token(added)) is None,
        10,
        lambda: world.server.output(),
    )


def test_sessions_end_with_their_provider_and_their_role(world):
    issuer = Issuer("https://by-file.example.com", *world.by_file.keys)
    role = world.role(world.trust(issuer))

    def in_session():
        return world.client(world.assume(role, issuer.token()))

    kms = in_session()
    kms.list_keys()
    # A session that was made from one of the provider's ends with it.
    account = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
    next_role = world.role(json.dumps(policy(account)))
    sts = world.client(world.assume(role, issuer.token()), "sts")
    reply = sts.assume_role(RoleArn=next_role["Arn"], RoleSessionName="next")
    chained = world.client(reply)
    chained.list_keys()
    arn = world.arns[issuer.url]
    world.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    for ended in (kms, chained):
        with expect.refused("UnrecognizedClientException"):
            ended.list_keys()
    assert world.provider(issuer) == arn
    for ended in (kms, chained):
        with expect.refused("UnrecognizedClientException"):
            ended.list_keys()
    again = soon(in_session)
    again.list_keys()
    name = role["RoleName"]
    world.iam.delete_role_policy(RoleName=name, PolicyName="all")
    world.iam.delete_role(RoleName=name)
    with expect.refused("UnrecognizedClientException"):
        again.list_keys()
    world.role(world.trust(issuer), name=name)
    with expect.refused("UnrecognizedClientException"):
        again.list_keys()
    in_session().list_keys()


def test_a_client_that_is_taken_away_gets_no_new_sessions(world, role):
    which = {"OpenIDConnectProviderArn": world.arns[world.issuer.url]}
    token = world.issuer.token(aud="passing")
    with invalid("Incorrect token audience"):
        world.assume(role, token)
    world.iam.add_client_id_to_open_id_connect_provider(ClientID="passing", **which)
    assert world.assume(role, token)
    world.iam.remove_client_id_from_open_id_connect_provider(ClientID="passing", **which)
    with invalid("Incorrect token audience"):
        world.assume(role, token)


def audited(world, request_id):
    lines = (world.server.folder / "audit.json").read_text().splitlines()
    [event] = [event for event in map(json.loads, lines) if event["requestID"] == request_id]
    return event


def test_the_audit_trail_knows_who_answered(world, role):
    token, arn = world.issuer.token(), world.arns[world.issuer.url]
    reply = world.assume(role, token)
    event = audited(world, reply["ResponseMetadata"]["RequestId"])
    assert event["eventName"] == "AssumeRoleWithWebIdentity"
    assert event["userIdentity"] == {
        "type": "WebIdentityUser",
        "principalId": f"{arn}:{AUDIENCE}:{SUBJECT}",
        "userName": SUBJECT,
        "identityProvider": arn,
    }
    assert event["requestParameters"] == {"roleArn": role["Arn"], "roleSessionName": "session-1"}
    shown = event["responseElements"]
    assert shown["subjectFromWebIdentityToken"] == SUBJECT
    assert set(shown["credentials"]) == {"accessKeyId", "expiration"}
    trail = (world.server.folder / "audit.json").read_text()
    assert token not in trail and token.split(".")[2] not in trail
    asked = world.client(reply).list_keys()
    context = audited(world, asked["ResponseMetadata"]["RequestId"])["userIdentity"]
    assert context["type"] == "AssumedRole"
    data = context["sessionContext"]["webIdFederationData"]
    assert data == {"federatedProvider": arn, "attributes": {}}
    with pytest.raises(ClientError) as caught:
        world.assume(role, altered(token, sub="somebody"))
    event = audited(world, caught.value.response["ResponseMetadata"]["RequestId"])
    assert (event["errorCode"], event["userIdentity"]) == (
        "InvalidIdentityToken",
        {"type": "Unknown"},
    )


def test_the_command_line_gives_credentials_to_other_tools(world, role, tmp_path, monkeypatch):
    told = world.environment(role, world.issuer.token())
    command = [
        str(binary()),
        "credentials",
        *("--role-arn", role["Arn"]),
        *("--token-file", told["AWS_WEB_IDENTITY_TOKEN_FILE"]),
        *("--endpoint", world.server.endpoint),
        *("--session-name", "tool"),
    ]
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {shlex.join(command)}\n")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    sts = boto3.session.Session().client(
        "sts", region_name=REGION, endpoint_url=world.server.endpoint
    )
    assert sts.get_caller_identity()["Arn"].endswith(f"/{role['RoleName']}/tool")
    pathlib.Path(told["AWS_WEB_IDENTITY_TOKEN_FILE"]).write_text(world.issuer.token(aud="x"))
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "keystead: InvalidIdentityToken: Incorrect token audience\n"


def test_the_sdk_for_javascript_by_its_environment_alone(world, role, tmp_path):
    packages = os.environ.get("KEYSTEAD_JS")
    if packages is None:
        pytest.skip("KEYSTEAD_JS does not name the installed packages; see scripts/parts")
    script = shutil.copy(HERE / "js/story.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(pathlib.Path(packages) / "node_modules")
    told = clean_environment(**world.environment(role, world.issuer.token()))
    done = subprocess.run(["node", script], env=told, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_the_sdk_for_rust_by_its_environment_alone(world, role):
    story = os.environ.get("KEYSTEAD_RUST_STORY")
    if story is None:
        pytest.skip("KEYSTEAD_RUST_STORY does not name the built program; see scripts/parts")
    told = clean_environment(**world.environment(role, world.issuer.token()))
    done = subprocess.run([story], env=told, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
