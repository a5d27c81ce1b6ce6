"""STS: who am I, and temporary credentials of users and roles."""

import base64
import datetime
import email.utils
import importlib
import json
import re
import time

import boto3
import botocore.config
import grpc
import pytest
from expect import UUID, refused
from iam_world import allow, deny, fresh, policy, unauthorised
from node import ACCOUNT, OTHER_ACCOUNT, Node, serving
from people import delete_user, iam_of, new_user
from protos import PACKAGE, generated, message  # noqa: F401 - a fixture
from sessions import ROOT, assume, delete_role, keys_of, new_role, trust
from test_walk import audit_line


def test_caller_identity(node):
    reply = node.client("sts").get_caller_identity()
    assert UUID.fullmatch(reply["ResponseMetadata"]["RequestId"])
    assert (reply["Account"], reply["Arn"]) == (
        "000000000000",
        "arn:aws:iam::000000000000:root",
    )
    assert reply["UserId"]


def test_another_account(node):
    reply = node.client("sts", account=OTHER_ACCOUNT).get_caller_identity()
    assert (reply["Account"], reply["Arn"]) == (OTHER_ACCOUNT, f"arn:aws:iam::{OTHER_ACCOUNT}:root")


def test_with_nothing_but_the_exports(node, monkeypatch):
    for name, value in node.shell().items():
        monkeypatch.setenv(name, value)
    session = boto3.session.Session()
    assert session.client("sts").get_caller_identity()["Account"] == "000000000000"
    assert session.client("kms").list_keys()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.dev("a server serves one Region")
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_every_region_serves_it(node, region):
    assert node.client("sts", region=region).get_caller_identity()["Account"] == "000000000000"


def sts_with(node, key, secret):
    return boto3.session.Session().client(
        "sts",
        region_name="us-east-1",
        endpoint_url=node.exports["AWS_ENDPOINT_URL_STS"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        verify=node.authority,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def test_wrong_secret(node):
    """The query protocol has spellings and statuses of its own."""
    with refused("SignatureDoesNotMatch", status=403):
        sts_with(node, node.credentials(ACCOUNT)[0], "wrong").get_caller_identity()


def test_unknown_access_key(node):
    with refused("InvalidClientTokenId", status=403):
        sts_with(node, "AKIDEXAMPLE", "wrong").get_caller_identity()


INVALID = "The security token included in the request is invalid."
EXPIRED = "The security token included in the request is expired"


def denied(who, action, role_arn):
    return f"User: {who} is not authorized to perform: {action} on resource: {role_arn}"


def check_dead(node, credentials):
    """Neither protocol lets the session in."""
    with refused("UnrecognizedClientException", INVALID):
        node.client(credentials=credentials).list_keys()
    with refused("InvalidClientTokenId", INVALID, 403):
        node.client("sts", credentials=credentials).get_caller_identity()


@pytest.fixture(scope="module")
def user(node):
    """Somebody who may do everything."""
    return new_user(node, allow("*"))


@pytest.fixture(scope="module")
def sts(user):
    return user.client("sts")


class TestGetSessionToken:
    def test_it_is_the_user(self, node, user, sts):
        reply = sts.get_session_token()
        key, secret, _ = credentials = keys_of(reply)
        assert re.fullmatch("ASIA[A-Z2-7]{16}", key) and len(secret) == 40
        left = reply["Credentials"]["Expiration"] - reply_time(reply)
        assert abs(left.total_seconds() - 43_200) < 60
        identity = node.client("sts", credentials=credentials).get_caller_identity()
        assert (identity["Arn"], identity["UserId"]) == (user.arn, user.unique_id)
        kms = node.client(credentials=credentials)
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
        assert user.client().decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    def test_the_rights_are_those_of_the_user(self, node):
        poor = new_user(node, allow("kms:ListKeys"))
        kms = node.client(credentials=keys_of(poor.client("sts").get_session_token()))
        assert kms.list_keys()
        with refused("AccessDeniedException"):
            kms.create_key()

    @pytest.mark.parametrize("seconds", [900, 129_600])
    def test_durations(self, sts, seconds):
        reply = sts.get_session_token(DurationSeconds=seconds)
        left = reply["Credentials"]["Expiration"] - reply_time(reply)
        assert abs(left.total_seconds() - seconds) < 60

    @pytest.mark.parametrize("seconds", [0, 899, 129_601, -1])
    def test_other_durations(self, sts, seconds):
        with refused("ValidationError"):
            sts.get_session_token(DurationSeconds=seconds)

    def test_of_a_root_it_lasts_an_hour(self, node):
        reply = node.client("sts").get_session_token(DurationSeconds=43_200)
        left = reply["Credentials"]["Expiration"] - reply_time(reply)
        assert abs(left.total_seconds() - 3600) < 60
        identity = node.client("sts", credentials=keys_of(reply)).get_caller_identity()
        assert identity["Arn"] == ROOT

    def test_what_it_cannot_do(self, node, sts):
        credentials = keys_of(sts.get_session_token())
        with refused("AccessDenied", "Cannot call GetSessionToken with session credentials", 403):
            node.client("sts", credentials=credentials).get_session_token()
        with refused("InvalidClientTokenId", INVALID, 403):
            node.client("iam", credentials=credentials).list_users()

    def test_second_factors_are_unknown(self, sts):
        with refused("AccessDenied", status=403):
            sts.get_session_token(SerialNumber="arn:aws:iam::000000000000:mfa/x", TokenCode="123456")


@pytest.fixture(scope="module")
def credentials(sts):
    return keys_of(sts.get_session_token())


class TestTokens:
    """What is no token of this region, or not of this access key."""

    def test_a_key_without_its_token(self, node, credentials):
        check_dead(node, credentials[:2])

    def test_a_token_of_another_session(self, node, sts, credentials):
        key, secret, _ = credentials
        check_dead(node, (key, secret, sts.get_session_token()["Credentials"]["SessionToken"]))

    def test_a_token_with_a_long_term_key(self, node, user, credentials):
        check_dead(node, (*user.access_key, credentials[2]))

    def test_a_wrong_secret(self, node, sts, credentials):
        key, _, token = credentials
        _, other, _ = keys_of(sts.get_session_token())
        with refused("InvalidSignatureException"):
            node.client(credentials=(key, other, token)).list_keys()

    def test_a_token_of_another_region(self, node, credentials):
        foreign = Node(["--ephemeral", "--account", f"{ACCOUNT}:test:test"]).start()
        try:
            other = foreign.client("sts").get_session_token()
            check_dead(node, keys_of(other))
            check_dead(foreign, credentials)
        finally:
            foreign.stop()

    def test_damaged_tokens(self, node, credentials):
        """One bit at a time, over the whole length."""
        key, secret, token = credentials
        sealed = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        bits = range(0, len(sealed) * 8, max(1, len(sealed) * 8 // 300))
        for bit in bits:
            sealed[bit // 8] ^= 1 << bit % 8
            damaged = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
            reply = node.send(with_token(node, key, secret, damaged))
            assert (reply.status, reply.code) == (400, "UnrecognizedClientException"), bit
            sealed[bit // 8] ^= 1 << bit % 8
        assert node.send(with_token(node, key, secret, token)).status == 200

    @pytest.mark.parametrize("token", ["x", "=", "A" * 200, "A" * 8000, "AKIA:secret"])
    def test_what_is_no_token(self, node, credentials, token):
        key, secret, _ = credentials
        reply = node.send(with_token(node, key, secret, token))
        assert (reply.status, reply.code) == (400, "UnrecognizedClientException")

    def test_a_token_that_is_not_signed(self, node, credentials):
        key, secret, token = credentials
        request = node.sign("TrentService.ListKeys", access_key=key, secret=secret)
        request.headers["X-Amz-Security-Token"] = token
        reply = node.send(request)
        assert (reply.status, reply.code) == (400, "InvalidSignatureException")


def with_token(node, key, secret, token):
    headers = {"X-Amz-Security-Token": token}
    return node.sign("TrentService.ListKeys", access_key=key, secret=secret, headers=headers)


def reply_time(reply):
    date = reply["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = datetime.datetime.now(datetime.UTC)
    return email.utils.parsedate_to_datetime(date) if date else now


class TestAssumeRole:
    def test_a_session(self, node, sts):
        role = new_role(node, allow("kms:*"), Path="/team/")
        reply = assume(sts, role, "ci-1")
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/ci-1"
        unique_id = f"{role['RoleId']}:ci-1"
        assert reply["AssumedRoleUser"] == {"AssumedRoleId": unique_id, "Arn": arn}
        assert "PackedPolicySize" not in reply
        left = reply["Credentials"]["Expiration"] - reply_time(reply)
        assert abs(left.total_seconds() - 3600) < 60
        identity = node.client("sts", credentials=keys_of(reply)).get_caller_identity()
        assert (identity["Arn"], identity["UserId"]) == (arn, unique_id)
        kms = node.client(credentials=keys_of(reply))
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        blob = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=key_policy(ROOT))
        with refused("MalformedPolicyDocumentException"):
            lost = key_policy(f"arn:aws:iam::{ACCOUNT}:user/nobody-at-all")
            kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=lost)

    def test_a_denial_names_the_session(self, node, sts):
        role = new_role(node, allow("kms:ListKeys"))
        reply = assume(sts, role)
        kms = node.client(credentials=keys_of(reply))
        assert kms.list_keys()
        arn = reply["AssumedRoleUser"]["Arn"]
        with refused("AccessDeniedException", unauthorised(arn, "kms:CreateKey", "*")):
            kms.create_key()

    def test_who_may_not(self, node, user):
        """In the same words whether or not there is such a role."""
        poor = new_user(node)
        sts = poor.client("sts")
        role = new_role(node, allow("kms:*"))
        absent = role["Arn"] + "-not"
        foreign = f"arn:aws:iam::999999999999:role/{role['RoleName']}"
        for arn in [role["Arn"], absent, foreign]:
            with refused("AccessDenied", denied(poor.arn, "sts:AssumeRole", arn), 403):
                assume(sts, {"Arn": arn})
        for arn in [absent, foreign]:
            with refused("AccessDenied", denied(user.arn, "sts:AssumeRole", arn), 403):
                assume(user.client("sts"), {"Arn": arn})

    def test_the_trust_policy_decides(self, node, user, sts):
        other = new_user(node, allow("*"))
        role = new_role(node, document=trust(other.arn))
        with refused("AccessDenied", status=403):
            assume(sts, role)
        assert assume(other.client("sts"), role)
        # Who is named needs no policy of his own.
        poor = new_user(node)
        assert assume(poor.client("sts"), new_role(node, document=trust(poor.arn)))

    def test_a_root_may_not(self, node):
        with refused("AccessDenied", "Roles may not be assumed by root accounts.", 403):
            assume(node.client("sts"), new_role(node))

    def test_external_ids(self, node, sts):
        condition = {"StringEquals": {"sts:ExternalId": "abc-1"}}
        role = new_role(node, document=trust(Condition=condition))
        assert assume(sts, role, ExternalId="abc-1")
        for more in [{}, {"ExternalId": "abc-2"}]:
            with refused("AccessDenied", status=403):
                assume(sts, role, **more)

    def test_session_names_as_conditions(self, node, sts):
        condition = {"StringLike": {"sts:RoleSessionName": "ci-*"}}
        role = new_role(node, document=trust(Condition=condition))
        assert assume(sts, role, "ci-7")
        with refused("AccessDenied", status=403):
            assume(sts, role, "dev-7")

    def test_durations(self, node, sts):
        role = new_role(node, MaxSessionDuration=7200)
        reply = assume(sts, role, DurationSeconds=7200)
        left = reply["Credentials"]["Expiration"] - reply_time(reply)
        assert abs(left.total_seconds() - 7200) < 60
        text = (
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
        with refused("ValidationError", text):
            assume(sts, role, DurationSeconds=7201)
        for seconds in [899, 43_201]:
            with refused("ValidationError"):
                assume(sts, role, DurationSeconds=seconds)

    @pytest.mark.parametrize(
        "more",
        [
            {"RoleSessionName": "x"},
            {"RoleSessionName": "x" * 65},
            {"RoleSessionName": "a b"},
            {"RoleArn": "arn:aws:iam::000000000000:user/someone"},
            {"RoleArn": "not-an-arn-but-long-enough"},
            {"RoleArn": "short"},
            {"ExternalId": "x"},
            {"SourceIdentity": "a b"},
            {"PolicyArns": [{"arn": f"arn:aws:iam::{ACCOUNT}:policy/p{n}"} for n in range(11)]},
            {"PolicyArns": [{"arn": f"arn:aws:iam::{ACCOUNT}:policy/nothing-there"}]},
            {"Policy": "x" * 2049},
            {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]},
            {"Tags": [{"Key": str(n), "Value": ""} for n in range(51)]},
            {"TransitiveTagKeys": ["none"]},
        ],
    )
    def test_limits(self, node, sts, more):
        role = new_role(node, document=trust(actions="sts:*"))
        asked = {"RoleArn": role["Arn"], "RoleSessionName": "session-1"} | more
        with refused("ValidationError"):
            sts.assume_role(**asked)

    def test_a_policy_that_is_none(self, node, sts):
        with refused("MalformedPolicyDocument"):
            assume(sts, new_role(node), Policy="{}")

    def test_too_much_to_pack(self, node, sts):
        role = new_role(node, document=trust(actions=["sts:AssumeRole", "sts:TagSession"]))
        tags = [{"Key": f"{n:02}" + "k" * 100, "Value": "v" * 200} for n in range(10)]
        reply = assume(sts, role, Tags=tags)
        assert 70 < reply["PackedPolicySize"] <= 100
        assert node.client("sts", credentials=keys_of(reply)).get_caller_identity()
        with refused("PackedPolicyTooLarge"):
            assume(sts, role, Tags=tags + [t | {"Key": "x" + t["Key"]} for t in tags])


def key_policy(*principals):
    statement = {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": "kms:*"}
    return json.dumps(policy(statement | {"Resource": "*"}))


class TestRightsOfSessions:
    def test_a_policy_narrows(self, node, sts):
        role = new_role(node, allow("kms:*"))
        narrow = json.dumps(policy(allow(["kms:ListKeys", "iam:*"])))
        kms = node.client(credentials=keys_of(assume(sts, role, Policy=narrow)))
        assert kms.list_keys()
        for call in [kms.create_key, kms.list_aliases]:
            with refused("AccessDeniedException"):
                call()
        iam = node.client("iam", credentials=keys_of(assume(sts, role, Policy=narrow)))
        with refused("AccessDenied", status=403):
            iam.list_users()

    def test_managed_policies_narrow_and_end_it(self, node, sts):
        iam = iam_of(node)
        document = json.dumps(policy(allow("kms:ListKeys")))
        name = fresh("policy")
        arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
        role = new_role(node, allow("kms:*"))
        reply = assume(sts, role, PolicyArns=[{"arn": arn}])
        assert reply["PackedPolicySize"] > 0
        kms = node.client(credentials=keys_of(reply))
        assert kms.list_keys()
        with refused("AccessDeniedException"):
            kms.create_key()
        iam.delete_policy(PolicyArn=arn)
        check_dead(node, keys_of(reply))
        iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy(allow("*"))))
        check_dead(node, keys_of(reply))

    def test_an_explicit_deny_in_it(self, node, sts):
        role = new_role(node, allow("kms:*"))
        narrow = json.dumps(policy(allow("kms:*"), deny("kms:ListKeys")))
        reply = assume(sts, role, Policy=narrow)
        arn = reply["AssumedRoleUser"]["Arn"]
        text = denied(arn, "kms:ListKeys", "*") + " with an explicit deny in a session policy"
        with refused("AccessDeniedException", text):
            node.client(credentials=keys_of(reply)).list_keys()

    def test_tags_are_conditions(self, node, sts):
        condition = {"StringEquals": {"aws:PrincipalTag/team": "blue"}}
        tags = [{"Key": "team", "Value": "red"}]
        role = new_role(
            node,
            allow("kms:ListKeys", Condition=condition),
            document=trust(actions=["sts:AssumeRole", "sts:TagSession"]),
            Tags=tags,
        )
        with refused("AccessDeniedException"):
            node.client(credentials=keys_of(assume(sts, role))).list_keys()
        blue = assume(sts, role, Tags=[{"Key": "team", "Value": "blue"}])
        assert node.client(credentials=keys_of(blue)).list_keys()
        iam_of(node).tag_role(RoleName=role["RoleName"], Tags=[{"Key": "team", "Value": "blue"}])
        assert node.client(credentials=keys_of(assume(sts, role))).list_keys()
        with refused("AccessDeniedException"):
            red = assume(sts, role, Tags=tags)
            node.client(credentials=keys_of(red)).list_keys()

    def test_tags_need_a_right(self, node, user, sts):
        role = new_role(node, document=trust())
        with refused("AccessDenied", denied(user.arn, "sts:TagSession", role["Arn"]), 403):
            assume(sts, role, Tags=[{"Key": "team", "Value": "blue"}])
        text = denied(user.arn, "sts:SetSourceIdentity", role["Arn"])
        with refused("AccessDenied", text, 403):
            assume(sts, role, SourceIdentity="alice")

    @pytest.mark.parametrize(
        "condition",
        [
            {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/NAME"}},
            {"StringLike": {"aws:userid": "AROA*:session-1"}},
            {"StringEquals": {"aws:PrincipalType": "AssumedRole"}},
            {"Bool": {"aws:MultiFactorAuthPresent": "false"}},
            {"Null": {"aws:TokenIssueTime": "false", "aws:username": "true"}},
            {"StringEquals": {"aws:SourceIdentity": "alice"}},
        ],
    )
    def test_conditions(self, node, sts, condition):
        name = fresh("role")
        condition = json.loads(json.dumps(condition).replace("NAME", name))
        role = new_role(
            node,
            allow("kms:ListKeys", Condition=condition),
            document=trust(actions=["sts:AssumeRole", "sts:SetSourceIdentity"]),
            name=name,
        )
        reply = assume(sts, role, SourceIdentity="alice")
        assert reply["SourceIdentity"] == "alice"
        assert node.client(credentials=keys_of(reply)).list_keys()

    def test_key_policies_and_grants(self, node, sts):
        root = node.client()
        role = new_role(node)
        one, two = [assume(sts, role, name) for name in ["one-1", "two-2"]]
        clients = [node.client(credentials=keys_of(reply)) for reply in [one, two]]

        def may(key_id):
            def tries(client):
                try:
                    return bool(client.encrypt(KeyId=key_id, Plaintext=b"x"))
                except client.exceptions.ClientError as error:
                    assert error.response["Error"]["Code"] == "AccessDeniedException"
                    return False

            return [tries(client) for client in clients]

        session = one["AssumedRoleUser"]["Arn"]
        for principal, expected in [(role["Arn"], [True, True]), (session, [True, False])]:
            text = key_policy(ROOT, principal)
            key_id = root.create_key(Policy=text)["KeyMetadata"]["KeyId"]
            assert may(key_id) == expected, principal
            granted = root.create_key()["KeyMetadata"]["KeyId"]
            assert may(granted) == [False, False]
            root.create_grant(KeyId=granted, GranteePrincipal=principal, Operations=["Encrypt"])
            assert may(granted) == expected, principal

    def test_of_iam_it_is_no_user(self, node, sts):
        role = new_role(node, allow("iam:*"))
        iam = node.client("iam", credentials=keys_of(assume(sts, role)))
        assert iam.list_users()
        for call in [iam.create_access_key, iam.list_access_keys, iam.get_user]:
            with refused("ValidationError", "Must specify userName when calling with non-User credentials"):
                call()
        name = fresh("user")
        iam.create_user(UserName=name)
        iam.delete_user(UserName=name)


class TestChaining:
    def test_tags_and_source_identities_are_handed_down(self, node, sts):
        actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
        first = new_role(node, allow("sts:*"), document=trust(actions=actions))
        condition = {
            "StringEquals": {"aws:PrincipalTag/team": "blue", "aws:SourceIdentity": "alice"},
            "Null": {"aws:PrincipalTag/other": "true"},
        }
        second = new_role(
            node,
            allow("kms:ListKeys", Condition=condition),
            document=trust(first["Arn"], actions),
            MaxSessionDuration=43_200,
        )
        tags = [{"Key": "team", "Value": "blue"}, {"Key": "other", "Value": "x"}]
        reply = assume(sts, first, Tags=tags, TransitiveTagKeys=["team"], SourceIdentity="alice")
        chained = node.client("sts", credentials=keys_of(reply))
        kms = node.client(credentials=keys_of(assume(chained, second)))
        assert kms.list_keys()
        with refused("ValidationError"):
            assume(chained, second, DurationSeconds=3601)
        with refused("ValidationError"):
            assume(chained, second, Tags=[{"Key": "Team", "Value": "red"}])
        with refused("AccessDenied", status=403):
            assume(chained, second, SourceIdentity="bob")
        text = "Cannot call GetSessionToken with session credentials"
        with refused("AccessDenied", text, 403):
            chained.get_session_token()

    def test_session_tokens_of_users_take_on_roles(self, node, sts):
        role = new_role(node, allow("kms:ListKeys"), MaxSessionDuration=7200)
        temporary = node.client("sts", credentials=keys_of(sts.get_session_token()))
        reply = assume(temporary, role, DurationSeconds=7200)
        assert node.client(credentials=keys_of(reply)).list_keys()


class TestTheEndOfASession:
    @pytest.fixture
    def mortal(self, node):
        return new_user(node, allow("*"))

    @pytest.fixture
    def both(self, node, mortal):
        """A session of the user, and one of a role that the user took on."""
        sts = mortal.client("sts")
        role = new_role(node, allow("kms:*"))
        sessions = [keys_of(sts.get_session_token()), keys_of(assume(sts, role))]
        for credentials in sessions:
            assert node.client(credentials=credentials).list_keys()
        return sessions

    def test_the_key_is_deactivated(self, node, mortal, both):
        iam = iam_of(node)
        key = {"UserName": mortal.name, "AccessKeyId": mortal.access_key[0]}
        iam.update_access_key(Status="Inactive", **key)
        for credentials in both:
            check_dead(node, credentials)
        iam.update_access_key(Status="Active", **key)
        assert node.client(credentials=both[0]).list_keys()

    def test_the_key_is_deleted(self, node, mortal, both):
        iam_of(node).delete_access_key(UserName=mortal.name, AccessKeyId=mortal.access_key[0])
        for credentials in both:
            check_dead(node, credentials)

    def test_the_user_is_deleted_and_comes_again(self, node, mortal, both):
        delete_user(iam_of(node), mortal.name)
        for credentials in both:
            check_dead(node, credentials)
        new_user(node, allow("*"), name=mortal.name)
        for credentials in both:
            check_dead(node, credentials)

    def test_the_role_is_deleted_and_comes_again(self, node, sts):
        role = new_role(node, allow("kms:*"))
        credentials = keys_of(assume(sts, role))
        assert node.client(credentials=credentials).list_keys()
        delete_role(node, role["RoleName"])
        check_dead(node, credentials)
        new_role(node, allow("kms:*"), name=role["RoleName"])
        check_dead(node, credentials)

    def test_a_policy_denies_older_sessions(self, node, sts):
        role = new_role(node, allow("kms:*"))
        old = node.client(credentials=keys_of(assume(sts, role)))
        assert old.list_keys()
        time.sleep(1.1)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        older = deny("*", Condition={"DateLessThan": {"aws:TokenIssueTime": now}})
        iam_of(node).put_role_policy(
            RoleName=role["RoleName"], PolicyName="end", PolicyDocument=json.dumps(policy(older))
        )
        with refused("AccessDeniedException"):
            old.list_keys()
        time.sleep(1.1)
        assert node.client(credentials=keys_of(assume(sts, role))).list_keys()


def test_a_session_expires(clock_node, clock):
    """By the clock of the node, at the second that it was told."""
    user = new_user(clock_node, allow("*"))
    credentials = keys_of(user.client("sts").get_session_token(DurationSeconds=900))
    kms, sts = [clock_node.client(service, credentials=credentials) for service in ["kms", "sts"]]
    clock.set(datetime.timedelta(seconds=840))
    assert kms.list_keys() and sts.get_caller_identity()
    clock.set(datetime.timedelta(seconds=901))
    with refused("ExpiredTokenException", EXPIRED):
        kms.list_keys()
    with refused("ExpiredToken", EXPIRED, 403):
        sts.get_caller_identity()
    # The clock of the node goes back; that of the region does not.
    user.client().create_key()
    clock.set(datetime.timedelta())
    with refused("ExpiredTokenException", EXPIRED):
        kms.list_keys()


def test_an_operator_ends_sessions(tmp_path):
    """Those that were issued up to then, also where it is done within the same millisecond."""
    with serving(tmp_path) as server:
        mortal = new_user(server, allow("*"))
        role = new_role(server, allow("kms:*"))
        sts = mortal.client("sts")

        def issued():
            return {
                (): keys_of(server.client("sts").get_session_token()),
                ("--user", mortal.name): keys_of(sts.get_session_token()),
                ("--role", role["RoleName"]): keys_of(assume(sts, role)),
            }

        old = issued()
        for of, credentials in old.items():
            done = server.run("account", "revoke-sessions", "--account", ACCOUNT, *of)
            assert done.returncode == 0, done.stderr
            check_dead(server, credentials)
        for credentials in issued().values():
            kms = server.client(credentials=credentials)
            # A change asks the state once more, which knows when sessions ended.
            assert kms.create_key()
        for credentials in old.values():
            check_dead(server, credentials)


@pytest.mark.dev("the trail of a server is elsewhere")
def test_the_audit_trail_knows_sessions(node, user, sts):
    role = new_role(node, allow("kms:*"), document=trust(actions="sts:*"), Path="/team/")
    reply = assume(sts, role, "ci-1", SourceIdentity="alice")
    event = audit_line(node, reply["ResponseMetadata"]["RequestId"])
    assert event["requestParameters"]["roleArn"] == role["Arn"]
    key, secret, token = keys_of(reply)
    shown = event["responseElements"]["credentials"]
    assert shown["accessKeyId"] == key and "sessionToken" not in shown
    asked = node.client(credentials=(key, secret, token)).list_keys()
    who = audit_line(node, asked["ResponseMetadata"]["RequestId"])["userIdentity"]
    context = who.pop("sessionContext")
    assert who == {
        "type": "AssumedRole",
        "principalId": f"{role['RoleId']}:ci-1",
        "arn": reply["AssumedRoleUser"]["Arn"],
        "accountId": ACCOUNT,
        "accessKeyId": key,
    }
    created = context["attributes"].pop("creationDate")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert context == {
        "sessionIssuer": {
            "type": "Role",
            "principalId": role["RoleId"],
            "arn": role["Arn"],
            "accountId": ACCOUNT,
            "userName": role["RoleName"],
        },
        "attributes": {"mfaAuthenticated": "false"},
        "sourceIdentity": "alice",
    }
    temporary = node.client(credentials=keys_of(sts.get_session_token())).list_keys()
    who = audit_line(node, temporary["ResponseMetadata"]["RequestId"])["userIdentity"]
    assert (who["type"], who["userName"]) == ("IAMUser", user.name)
    assert who["accessKeyId"].startswith("ASIA") and "sessionIssuer" not in who["sessionContext"]
    for hidden in [secret, token]:
        assert hidden not in node.output()


@pytest.mark.dev("a server takes no bearer tokens")
def test_grpc_takes_a_session_token(node, generated, channels, sts):
    role = new_role(node, allow("kms:ListKeys"))
    _, _, token = keys_of(assume(sts, role))
    service = importlib.import_module(f"{PACKAGE}.service_pb2_grpc")
    stub = service.KeyManagementServiceStub(channels(ACCOUNT))

    def call(operation, bearer):
        metadata = (("authorization", f"Bearer {bearer}"),)
        getattr(stub, operation)(message(f"{operation}Request")(), metadata=metadata, timeout=30)

    call("ListKeys", token)
    with pytest.raises(grpc.RpcError) as caught:
        call("CreateKey", token)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    delete_role(node, role["RoleName"])
    for dead in [token, token[1:]]:
        with pytest.raises(grpc.RpcError) as caught:
            call("ListKeys", dead)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
