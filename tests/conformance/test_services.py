"""Services: for users by what these signed, and for themselves."""

import contextlib
import datetime
import json

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from expect import denied, denied_elsewhere, refused
from iam_world import fresh
from node import ACCOUNT, OTHER_ACCOUNT, REGION, serving
from people import delete_user, iam_of, new_user, put_policy
from policies import ROOT, allow, deny, policy, statement, text_of
from services import S3, Refused, Service, printed, put_object, register
from sessions import assume, keys_of, new_role

VIA_S3 = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("services")) as server:
        done = server.run("account", "create", OTHER_ACCOUNT)
        assert done.returncode == 0, done.stderr
        yield server


@pytest.fixture(scope="module")
def s3(server):
    return register(server)


@pytest.fixture(scope="module")
def logs(server):
    return register(server, "logs.amazonaws.com")


@pytest.fixture
def user(server):
    """A user who may do everything with keys, but through S3 alone."""
    return new_user(server, allow("kms:*", Condition=VIA_S3))


def new_key(server, *statements):
    more = {"Policy": text_of(policy(statement(), *statements))} if statements else {}
    return server.client().create_key(**more)["KeyMetadata"]["Arn"]


def to_service(name, *actions, **more):
    actions = list(actions)
    return statement(Principal={"Service": name}, Action=actions, **more)


def audit_line(server, request_id):
    """The line of the audit trail about one request; there must be exactly one."""
    events = map(json.loads, (server.folder / "audit.json").read_text().splitlines())
    [event] = [event for event in events if event.get("requestID") == request_id]
    return event


def refusal(server_call):
    with pytest.raises(Refused) as caught:
        server_call()
    return caught.value


class TestForAUser:
    def test_what_the_user_may_do_through_it(self, server, s3, user):
        key = new_key(server)
        kms = s3.acting_for(put_object(user.credentials))
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        # Not without the service, nor through another one.
        with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", key)):
            user.client().encrypt(KeyId=key, Plaintext=b"x")

    def test_through_another_service(self, server, logs, user):
        key = new_key(server)
        kms = logs.acting_for(put_object(user.credentials, service="logs"))
        with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", key)):
            kms.encrypt(KeyId=key, Plaintext=b"x")

    def test_who_it_is_for(self, s3, server, user):
        reply = s3.forward(put_object(user.credentials))
        assert (reply["Arn"], reply["UserId"]) == (user.arn, user.unique_id)
        assert reply["Account"] == ACCOUNT
        reply = s3.forward(put_object(server.credentials()))
        assert reply["Arn"] == ROOT

    def test_the_audit_trail_names_both(self, server, s3, user):
        key = new_key(server)
        reply = s3.acting_for(put_object(user.credentials)).encrypt(KeyId=key, Plaintext=b"x")
        event = audit_line(server, reply["ResponseMetadata"]["RequestId"])
        identity = event["userIdentity"]
        assert (identity["type"], identity["arn"]) == ("IAMUser", user.arn)
        assert identity["invokedBy"] == S3
        assert identity["accessKeyId"].startswith("ASIA")

    def test_a_forwarding_is_in_the_audit_trail(self, server, s3, user):
        reply = s3.forward(put_object(user.credentials))
        event = audit_line(server, reply["RequestId"])
        assert event["userIdentity"]["type"] == "AWSService"
        assert event["userIdentity"]["invokedBy"] == S3
        assert event["eventName"] == "GetForwardAccessToken"
        assert event["responseElements"]["caller"]["arn"] == user.arn
        written = server.output() + (server.folder / "audit.json").read_text()
        assert reply["SecretAccessKey"] not in written
        assert reply["SessionToken"] not in written

    def test_a_session_of_a_role(self, server, s3):
        key = new_key(server)
        role = new_role(server, allow("kms:*", Condition=VIA_S3))
        member = new_user(server, allow("sts:AssumeRole"))
        narrow = text_of(policy(allow("kms:Encrypt")))
        keys = keys_of(assume(member.client("sts"), role, Policy=narrow))
        kms = s3.acting_for(put_object(keys))
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        with refused("AccessDeniedException"):
            kms.decrypt(CiphertextBlob=blob)

    def test_conditions_on_the_way(self, server, s3, user):
        way = {"StringEquals": {"aws:CalledViaFirst": S3, "aws:CalledViaLast": S3}}
        way["ForAnyValue:StringEquals"] = {"aws:CalledVia": [S3]}
        way["Bool"] = {"aws:ViaAWSService": "true", "aws:PrincipalIsAWSService": "false"}
        put_policy(iam_of(server), user.name, allow("kms:Encrypt", Condition=way))
        key = new_key(server)
        s3.acting_for(put_object(user.credentials)).encrypt(KeyId=key, Plaintext=b"x")
        with refused("AccessDeniedException"):
            user.client().encrypt(KeyId=key, Plaintext=b"x")

    def test_a_grant_on_a_users_behalf(self, server, s3, user):
        key = new_key(server)
        condition = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
        put_policy(iam_of(server), user.name, allow("kms:CreateGrant", Condition=condition))
        grant = {"KeyId": key, "GranteePrincipal": ROOT, "Operations": ["Decrypt"]}
        with refused("AccessDeniedException"):
            user.client().create_grant(**grant)
        s3.acting_for(put_object(user.credentials)).create_grant(**grant)

    def test_a_deny_on_anything_but_the_service(self, server, s3, user):
        put_policy(
            iam_of(server),
            user.name,
            allow("kms:*"),
            deny("kms:*", Condition={"BoolIfExists": {"aws:ViaAWSService": "false"}}),
        )
        key = new_key(server)
        s3.acting_for(put_object(user.credentials)).describe_key(KeyId=key)
        with refused("AccessDeniedException"):
            user.client().describe_key(KeyId=key)

    def test_headers_of_a_caller_say_nothing(self, server, user):
        """What tells of services follows from credentials, and from nothing that a client sends."""
        bucket = "arn:aws:s3:::bucket"
        sources = {"aws:SourceArn": bucket, "aws:SourceAccount": ACCOUNT}
        theirs = {"Principal": {"AWS": user.arn}, "Action": "kms:Encrypt"}
        key = new_key(
            server,
            *(statement(**theirs, Condition={"StringEquals": {k: v}}) for k, v in sources.items()),
            statement(**theirs, Condition=VIA_S3),
        )
        client = user.client()
        forged = {
            "x-amz-via-service": S3,
            "kms-via-service": f"s3.{REGION}.amazonaws.com",
            "x-amz-source-arn": bucket,
            "x-amz-source-account": ACCOUNT,
        }

        def forge(request, **_):
            for name, value in forged.items():
                request.headers[name] = value

        client.meta.events.register("before-sign.kms", forge)
        with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", key)):
            client.encrypt(KeyId=key, Plaintext=b"x")

    @pytest.mark.parametrize("service", ["iam", "sts"])
    def test_it_is_for_keys_alone(self, server, s3, service):
        reply = s3.forward(put_object(server.credentials()))
        keys = [reply[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        client = server.client(service, credentials=keys)
        call = client.list_users if service == "iam" else client.get_caller_identity
        with refused("InvalidClientTokenId", status=403):
            call()


@contextlib.contextmanager
def earlier(monkeypatch, **ago):
    """What is signed in the block was signed so long ago."""
    real = botocore.auth.get_current_datetime

    def then(*arguments, **named):
        return real(*arguments, **named) - datetime.timedelta(**ago)

    with monkeypatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", then)
        yield


class TestWhatIsNotAuthentic:
    CODE = "InvalidForwardedRequest"

    def code(self, service, request, **changed):
        return refusal(lambda: service.forward(request, **changed)).code

    def test_one_for_another_service(self, logs, user):
        caught = refusal(lambda: logs.forward(put_object(user.credentials)))
        assert caught.code == self.CODE
        assert "Credential should be scoped to correct service: 'logs'." in caught.message

    @pytest.mark.parametrize(
        "changed",
        [
            {"Method": "GET"},
            {"Path": "/bucket/another"},
            {"Path": "/bucket/a%20key"},
            {"PayloadHash": "0" * 64},
        ],
        ids=["method", "path", "query", "payload"],
    )
    def test_a_changed_one(self, s3, user, changed):
        assert self.code(s3, put_object(user.credentials), **changed) == self.CODE

    def test_every_changed_header(self, s3, user):
        request = put_object(user.credentials)
        for name in set(map(str.lower, request.headers)) - {"content-length"}:
            changed = put_object(user.credentials)
            changed.headers[name] = "x" + str(changed.headers[name])
            assert self.code(s3, changed) == self.CODE, name
            changed = put_object(user.credentials)
            del changed.headers[name]
            assert self.code(s3, changed) == self.CODE, name

    def test_an_unsigned_header_of_amazons(self, s3, user):
        request = put_object(user.credentials)
        request.headers["x-amz-acl"] = "public-read"
        assert self.code(s3, request) == self.CODE

    def test_a_wrong_secret(self, s3, user):
        assert self.code(s3, put_object((user.credentials[0], "wrong"))) == self.CODE

    def test_nothing_tells_of_the_body(self, logs, user):
        request = put_object(user.credentials, service="logs")
        caught = refusal(lambda: logs.forward(request, PayloadHash=None))
        assert caught.code == self.CODE
        assert "x-amz-content-sha256" in caught.message

    def test_somebody_unknown(self, s3):
        assert self.code(s3, put_object(("AKIAIOSFODNN7EXAMPLE", "x"))) == self.CODE

    def test_another_region(self, s3, user):
        assert self.code(s3, put_object(user.credentials, region="eu-west-1")) == self.CODE

    def test_a_presigned_one(self, s3, user):
        class Signer(botocore.auth.S3SigV4QueryAuth):
            def __init__(self, credentials, service, region):
                super().__init__(credentials, service, region, expires=60)

        assert self.code(s3, put_object(user.credentials, signer=Signer, body=b"")) == self.CODE

    def test_an_old_one(self, s3, user, monkeypatch):
        with earlier(monkeypatch, minutes=6):
            request = put_object(user.credentials)
        assert self.code(s3, request) == self.CODE

    def test_a_second_time_gives_no_more(self, s3, user):
        """Users sign two equal requests of one second alike, so that it is no replay."""
        request = put_object(user.credentials)
        first, second = s3.forward(request), s3.forward(request)
        assert first["Expiration"] == second["Expiration"]
        assert first["AccessKeyId"] != second["AccessKeyId"]

    def test_a_call_of_the_service_that_somebody_else_sends_again(self, s3, user):
        """Nor does that end what the service was given."""
        call = s3.call(s3.form(put_object(user.credentials)))
        kms = s3.client_of(s3.send(call))
        for _ in range(3):
            caught = refusal(lambda: s3.send(call))
            assert caught.code == self.CODE and "before" in caught.message
        assert kms.list_keys()

    def test_an_old_call_of_the_service(self, s3, user, monkeypatch):
        with earlier(monkeypatch, minutes=6):
            old = s3.call(s3.form(put_object(user.credentials)))
        assert refusal(lambda: s3.send(old)).code == "SignatureDoesNotMatch"

    def test_one_that_was_refused_counts_still(self, s3, logs, user):
        """Another service's try takes nothing away."""
        request = put_object(user.credentials)
        assert self.code(logs, request) == self.CODE
        assert s3.forward(request)["SecretAccessKey"]

    def test_what_one_service_was_given_another_cannot_forward(self, server, s3, logs, user):
        reply = s3.forward(put_object(user.credentials))
        keys = [reply[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        assert self.code(logs, put_object(keys, service="logs")) == self.CODE

    def test_a_service_forwards_no_other(self, s3, logs):
        assert self.code(logs, put_object(s3.keys, service="logs")) == self.CODE

    def test_only_services_forward(self, server, user):
        nobody = Service(server, "user", user.credentials)
        caught = refusal(lambda: nobody.forward(put_object(user.credentials)))
        assert caught.code == "AccessDenied"
        assert user.arn in caught.message

    def test_it_lasts_a_quarter_of_an_hour(self, s3, user):
        reply = s3.forward(put_object(user.credentials))
        expires = datetime.datetime.fromisoformat(reply["Expiration"])
        left = expires - datetime.datetime.now(datetime.UTC)
        assert datetime.timedelta(minutes=14) < left <= datetime.timedelta(minutes=15)

    @pytest.mark.parametrize(
        "form",
        [{}, {"Method": "GET"}, {"Method": "get", "Path": "/"}, {"Method": "GET", "Path": ""}],
        ids=["nothing", "no path", "small letters", "an empty path"],
    )
    def test_what_is_no_request(self, s3, form):
        assert refusal(lambda: s3.ask(form)).code == "ValidationError"

    def test_headers_that_are_none(self, s3):
        form = {"Method": "GET", "Path": "/", "Headers.member.1.Name": "a b"}
        caught = refusal(lambda: s3.ask(form | {"Headers.member.1.Value": "x"}))
        assert caught.code == self.CODE
        form["Headers.member.1.Name"] = "a"
        assert refusal(lambda: s3.ask(form | {"Headers.member.1.Value": "x\ny"})).code == self.CODE


class TestWhatEndsIt:
    @pytest.fixture
    def kms(self, server, s3, user):
        key = new_key(server)
        kms = s3.acting_for(put_object(user.credentials))
        kms.encrypt(KeyId=key, Plaintext=b"x")
        return lambda: kms.encrypt(KeyId=key, Plaintext=b"x")

    def ended(self, use):
        with refused("UnrecognizedClientException"):
            use()

    def test_the_user(self, server, user, kms):
        delete_user(iam_of(server), user.name)
        self.ended(kms)

    def test_the_users_access_key(self, server, user, kms):
        key = user.credentials[0]
        iam_of(server).update_access_key(UserName=user.name, AccessKeyId=key, Status="Inactive")
        self.ended(kms)

    def test_the_users_access_key_that_is_gone(self, server, user, kms):
        key = user.credentials[0]
        iam_of(server).delete_access_key(UserName=user.name, AccessKeyId=key)
        self.ended(kms)

    def test_the_users_policy(self, server, user, kms):
        put_policy(iam_of(server), user.name, deny("kms:*"))
        with refused("AccessDeniedException"):
            kms()

    def test_the_users_sessions(self, server, user, kms):
        end = ("account", "revoke-sessions", "--account", ACCOUNT, "--user", user.name)
        assert server.run(*end).returncode == 0
        self.ended(kms)

    def test_the_service(self, server, kms, s3):
        assert server.run("service", "suspend", S3).returncode == 0
        try:
            self.ended(kms)
            with refused("UnrecognizedClientException"):
                s3.client().list_keys()
        finally:
            assert server.run("service", "resume", S3).returncode == 0
        kms()

    def test_the_services_sessions(self, server, kms):
        [found] = [one for one in services(server) if one["Service"] == S3]
        end = ("account", "revoke-sessions", "--account", found["AccountId"])
        assert server.run(*end).returncode == 0
        self.ended(kms)

    def test_the_services_access_key(self, server, user):
        service = register(server, "backup.amazonaws.com")
        second = printed(server, "service", "new-key", service.name)
        put_policy(iam_of(server), user.name, allow("kms:*"))
        key = new_key(server)
        old = service.acting_for(put_object(user.credentials, service="backup"))
        newer = Service(server, service.name, second)
        new = newer.acting_for(put_object(user.credentials, service="backup"))
        done = server.run("service", "delete-key", service.name, service.keys[0])
        assert done.returncode == 0, done.stderr
        with refused("UnrecognizedClientException"):
            old.describe_key(KeyId=key)
        new.describe_key(KeyId=key)


def services(server):
    done = server.run("service", "list", "--output", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["Services"]


class TestAsItself:
    def test_what_a_key_policy_allows_it(self, server, s3, logs):
        key = new_key(server, to_service(S3, "kms:Encrypt"))
        s3.client().encrypt(KeyId=key, Plaintext=b"x")
        for service, action in ((logs, "Encrypt"), (s3, "DescribeKey")):
            with refused("AccessDeniedException", denied_elsewhere(f"kms:{action}", who=service.name)):
                call = service.client()
                call.encrypt(KeyId=key, Plaintext=b"x") if action == "Encrypt" else (
                    call.describe_key(KeyId=key)
                )

    def test_everybody_is_no_service(self, server, s3):
        key = new_key(server, statement(Principal="*", Action="kms:Encrypt"))
        with refused("AccessDeniedException"):
            s3.client().encrypt(KeyId=key, Plaintext=b"x")

    def test_for_somebodys_resource(self, server, s3):
        bucket = "arn:aws:s3:::bucket"
        condition = {"StringEquals": {"aws:SourceArn": bucket, "aws:SourceAccount": ACCOUNT}}
        key = new_key(server, to_service(S3, "kms:Encrypt", Condition=condition))
        s3.for_source(bucket, ACCOUNT).encrypt(KeyId=key, Plaintext=b"x")
        for source in [(None, None), (bucket, None), ("arn:aws:s3:::other", ACCOUNT)]:
            with refused("AccessDeniedException"):
                s3.for_source(*source).encrypt(KeyId=key, Plaintext=b"x")

    def test_being_a_service(self, server, s3, user):
        condition = {
            "Bool": {"aws:PrincipalIsAWSService": "true", "aws:ViaAWSService": "false"},
            "StringEquals": {"aws:PrincipalServiceName": S3},
            "ForAnyValue:StringEquals": {"aws:PrincipalServiceNamesList": S3},
            "Null": {"kms:ViaService": "true", "aws:PrincipalArn": "true"},
        }
        key = new_key(server, to_service(S3, "kms:Encrypt", Condition=condition))
        s3.client().encrypt(KeyId=key, Plaintext=b"x")

    def test_grants(self, server, s3, logs):
        key, root = new_key(server), server.client()
        bucket = f"arn:aws:s3:{REGION}:{ACCOUNT}:bucket/b"
        grant = {"GranteeServicePrincipal": S3, "RetiringServicePrincipal": S3}
        constraints = {"SourceArn": bucket}
        given = root.create_grant(
            KeyId=key, Operations=["Encrypt", "RetireGrant"], Constraints=constraints, **grant
        )
        own = s3.for_source(bucket)
        own.encrypt(KeyId=key, Plaintext=b"x")
        for other in (s3.client(), logs.for_source(bucket), s3.for_source(f"{bucket}b")):
            with refused("AccessDeniedException"):
                other.encrypt(KeyId=key, Plaintext=b"x")
        listed = s3.client().list_retirable_grants(RetiringServicePrincipal=S3)["Grants"]
        assert given["GrantId"] in [one["GrantId"] for one in listed]
        assert not logs.client().list_retirable_grants(RetiringServicePrincipal=S3)["Grants"]
        own.retire_grant(KeyId=key, GrantId=given["GrantId"])
        with refused("AccessDeniedException"):
            own.encrypt(KeyId=key, Plaintext=b"x")

    def test_a_role_that_trusts_it(self, server, s3, logs):
        trusted = statement(Principal={"Service": S3}, Action="sts:AssumeRole", Resource=None)
        condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
        document = text_of(policy(trusted | {"Condition": condition}))
        role = new_role(server, allow("kms:Encrypt"), document=document)
        key = new_key(server)

        def sts(service, account):
            client = service.client("sts")
            header = ("x-amz-source-account", account)
            client.meta.events.register(
                "before-sign.sts", lambda request, **_: request.headers.add_header(*header)
            )
            return client

        keys = keys_of(assume(sts(s3, ACCOUNT), role))
        server.client(credentials=keys).encrypt(KeyId=key, Plaintext=b"x")
        for client in (sts(s3, OTHER_ACCOUNT), sts(logs, ACCOUNT)):
            with refused("AccessDenied", status=403):
                assume(client, role)

    def test_the_audit_trail(self, server, s3):
        reply = s3.client().list_keys()
        identity = audit_line(server, reply["ResponseMetadata"]["RequestId"])["userIdentity"]
        assert (identity["type"], identity["invokedBy"]) == ("AWSService", S3)
        assert "arn" not in identity

    def test_it_has_no_entities(self, s3):
        with refused("InvalidClientTokenId", status=403):
            s3.client("iam").list_users()
        with refused("AccessDenied", status=403):
            s3.client("sts").get_session_token()


class TestItsOwnKeys:
    def test_nobody_else_sees_them(self, server, s3, logs):
        own = s3.client()
        made = own.create_key(Description="AWS-owned")["KeyMetadata"]
        blob = own.encrypt(KeyId=made["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        assert own.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        assert made["KeyId"] in [key["KeyId"] for key in own.list_keys()["Keys"]]
        for other in (server.client(), logs.client()):
            assert made["KeyId"] not in [key["KeyId"] for key in other.list_keys()["Keys"]]
            with refused("AccessDeniedException"):
                other.describe_key(KeyId=made["Arn"])
            with refused("AccessDeniedException"):
                other.decrypt(CiphertextBlob=blob)

    def test_its_account_is_nobodys(self, server, s3):
        [found] = [one for one in services(server) if one["Service"] == S3]
        listed = json.loads(server.run("account", "list", "--output", "json").stdout)["Accounts"]
        assert found["AccountId"] not in [one["AccountId"] for one in listed]
        assert server.run("account", "create", found["AccountId"]).returncode != 0

    def test_no_quota_counts_them(self, tmp_path):
        with serving(tmp_path / "quota", {"quotas": {"keys_per_account": 1}}) as server:
            own = register(server).client()
            for _ in range(3):
                own.create_key()
            server.client().create_key()
            with refused("LimitExceededException"):
                server.client().create_key()


class TestAwsManagedKeys:
    def test_a_service_makes_it_when_it_first_uses_it(self, server, s3, user):
        """Not the user who asks without the service, and not for somebody who may not."""
        stranger = new_user(server)
        assert "alias/aws/s3" not in aliases(server)
        with refused("NotFoundException"):
            new_user(server, allow("kms:*")).client().encrypt(KeyId="alias/aws/s3", Plaintext=b"x")
        kms = s3.acting_for(put_object(user.credentials))
        with refused("DryRunOperationException"):
            kms.generate_data_key(KeyId="alias/aws/s3", KeySpec="AES_256", DryRun=True)
        assert "alias/aws/s3" not in aliases(server)
        made = kms.generate_data_key(KeyId="alias/aws/s3", KeySpec="AES_256")
        target = aliases(server)["alias/aws/s3"]
        assert made["KeyId"].endswith(target)
        event = audit_line(server, made["ResponseMetadata"]["RequestId"])
        assert [one["ARN"] for one in event["resources"]] == [made["KeyId"]]
        opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"])
        assert opened["Plaintext"] == made["Plaintext"]
        # By its policy every principal of the account uses it through the service.
        through = s3.acting_for(put_object(stranger.credentials))
        through.decrypt(CiphertextBlob=made["CiphertextBlob"])
        with refused("AccessDeniedException"):
            server.client().decrypt(CiphertextBlob=made["CiphertextBlob"])

    def test_not_through_another_service(self, server, s3, logs, user):
        kms = s3.acting_for(put_object(user.credentials))
        made = kms.generate_data_key(KeyId="alias/aws/s3", KeySpec="AES_256")
        other = logs.acting_for(put_object(user.credentials, service="logs"))
        with refused("AccessDeniedException"):
            other.decrypt(CiphertextBlob=made["CiphertextBlob"])


def aliases(server):
    found = server.client().list_aliases()["Aliases"]
    return {one["AliasName"]: one.get("TargetKeyId") for one in found}


class TestTheOperator:
    def test_names_that_are_none(self, server):
        for name in ("s3", "S3.amazonaws.com", "a b.org", ""):
            done = server.run("service", "add", name)
            assert done.returncode == 2, name

    def test_the_name_by_which_certificates_are_trusted(self, server):
        done = server.run("service", "add", "rolesanywhere.amazonaws.com")
        assert done.returncode == 1
        assert "stands for the certificates" in done.stderr

    def test_a_name_is_registered_once(self, server, s3):
        done = server.run("service", "add", S3)
        assert done.returncode == 1
        assert f"service {S3} exists already" in done.stderr

    def test_two_access_keys_at_most(self, server):
        name = f"{fresh('service')}.example.org"
        register(server, name)
        printed(server, "service", "new-key", name)
        assert server.run("service", "new-key", name).returncode == 1
        [found] = [one for one in services(server) if one["Service"] == name]
        assert len(found["AccessKeyIds"].split()) == 2

    def test_what_is_not_there(self, server, s3):
        for arguments in (("suspend", "x.org"), ("resume", "x.org"), ("new-key", "x.org")):
            done = server.run("service", *arguments)
            assert done.returncode == 1
            assert "there is no service x.org" in done.stderr
        assert server.run("service", "delete-key", S3, "AKIAIOSFODNN7EXAMPLE").returncode == 1
