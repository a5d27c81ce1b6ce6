"""Users, their policies and what those let them do with keys, told through boto3."""

import json

import pytest
from expect import (
    denied,
    denied_ciphertext,
    denied_elsewhere,
    denied_explicitly,
    key_arn,
    refused,
)
from node import ACCOUNT, OTHER_ACCOUNT
from people import delete_user, iam_of, new_user, put_policy, unique_name
from policies import FOREIGN_ROOT, allow, deny, policy, statement, text_of

SECRET = b"four weeks' notice"
FINANCE = {"department": "finance"}
PRINCIPAL = "Policy contains a statement with one or more invalid principals."


@pytest.fixture(scope="module")
def iam(node):
    """The root's, for what the tests take for granted."""
    return iam_of(node)


@pytest.fixture
def put(kms, key):
    """Gives the test's key a policy: what it leaves to the account, and these statements."""

    def call(*statements):
        document = text_of(policy(statement(), *statements))
        kms.put_key_policy(KeyId=key["KeyId"], Policy=document)

    return call


@pytest.fixture
def user(node):
    """Somebody who may do nothing yet."""
    return new_user(node)


def named(user, action="kms:*", **elements):
    """A statement of a key policy that allows a user something."""
    return statement(Principal={"AWS": user.arn}, Action=action, **elements)


def when(action, condition, effect=allow):
    return effect(action, Condition=condition)


def managed(iam, *statements):
    """The ARN of a new managed policy."""
    made = iam.create_policy(
        PolicyName=unique_name("policy"), PolicyDocument=text_of(policy(*statements))
    )
    return made["Policy"]["Arn"]


class TestAdministrator:
    """Somebody other than the root makes users, and lets them do things."""

    def test_an_administrator_at_work(self, node, kms):
        admin = new_user(node, allow(["iam:*", "kms:*"]))
        iam, own_kms = admin.client("iam"), admin.client()
        key = own_kms.create_key()["KeyMetadata"]
        clerk = new_user(node)
        with refused("AccessDeniedException", denied(clerk.arn, "kms:Encrypt", key["Arn"])):
            clerk.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        reads = managed(iam, allow(["kms:Encrypt", "kms:DescribeKey"], key["Arn"]))
        iam.attach_user_policy(UserName=clerk.name, PolicyArn=reads)
        clerk.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        with refused("AccessDeniedException", denied(clerk.arn, "kms:DisableKey", key["Arn"])):
            clerk.client().disable_key(KeyId=key["KeyId"])
        # The root finds what the administrator made.
        attached = iam_of(node).list_attached_user_policies(UserName=clerk.name)
        assert [each["PolicyArn"] for each in attached["AttachedPolicies"]] == [reads]
        assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] == key

    def test_a_user_is_no_administrator(self, node, user):
        with refused("AccessDenied", status=403) as caught:
            user.client("iam").create_user(UserName=unique_name())
        assert f"User: {user.arn} is not authorized to perform: iam:CreateUser" in str(caught.value)

    def test_who_is_asked_about(self, node, user):
        identity = user.client("sts").get_caller_identity()
        identity.pop("ResponseMetadata")
        assert identity == {"UserId": user.unique_id, "Account": ACCOUNT, "Arn": user.arn}

    def test_an_access_key_that_is_inactive_or_gone(self, node, iam):
        user = new_user(node, allow("kms:*"))
        client, key = user.client(), user.access_key[0]
        client.list_keys(Limit=1)
        for status, works in (("Inactive", False), ("Active", True)):
            iam.update_access_key(UserName=user.name, AccessKeyId=key, Status=status)
            if works:
                client.list_keys(Limit=1)
            else:
                with refused("UnrecognizedClientException"):
                    client.list_keys(Limit=1)
        iam.delete_access_key(UserName=user.name, AccessKeyId=key)
        with refused("UnrecognizedClientException"):
            client.list_keys(Limit=1)


class TestEncryptionContext:
    """Somebody may encrypt for the finance department only."""

    CONDITION = {"StringEquals": {"kms:EncryptionContext:department": "finance"}}

    @pytest.mark.parametrize("where", ["own policy", "key policy"])
    def test_department(self, node, put, key, user, iam, where):
        if where == "own policy":
            put_policy(iam, user.name, when("kms:Encrypt", self.CONDITION))
        else:
            put(named(user, "kms:Encrypt", Condition=self.CONDITION))
        client, about = user.client(), {"KeyId": key["KeyId"], "Plaintext": SECRET}
        client.encrypt(**about, EncryptionContext=FINANCE)
        client.encrypt(**about, EncryptionContext=FINANCE | {"month": "May"})
        # The name of the pair is compared without regard to case, its value is not.
        client.encrypt(**about, EncryptionContext={"Department": "finance"})
        for other in ({}, {"department": "Finance"}, {"department": "law"}, {"team": "finance"}):
            with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", key["Arn"])):
                client.encrypt(**about, EncryptionContext=other)

    def test_all_pairs(self, node, key, user, iam):
        keys = {"kms:EncryptionContextKeys": ["department", "month"]}
        put_policy(iam, user.name, when("kms:Encrypt", {"ForAllValues:StringEquals": keys}))
        client, about = user.client(), {"KeyId": key["KeyId"], "Plaintext": SECRET}
        for fitting in ({}, FINANCE, FINANCE | {"month": "May"}):
            client.encrypt(**about, EncryptionContext=fitting)
        with refused("AccessDeniedException"):
            client.encrypt(**about, EncryptionContext=FINANCE | {"year": "1999"})


class TestDenial:
    """An explicit denial beats whatever allows, wherever either stands."""

    @pytest.fixture
    def allowed(self, kms, put, key, user, iam):
        """The user, allowed in every way at once."""
        put_policy(iam, user.name, allow("kms:*"))
        put(named(user))
        operations = ["Encrypt", "Decrypt"]
        kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=user.arn, Operations=operations)
        user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        return user

    def check(self, user, key, text):
        with refused("AccessDeniedException", text):
            user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        user.client().describe_key(KeyId=key["KeyId"])

    def explicitly(self, user, key, by="an identity-based policy"):
        return denied_explicitly(user.arn, "kms:Encrypt", key["Arn"], by)

    def test_own_policy(self, allowed, key, iam):
        put_policy(iam, allowed.name, allow("kms:*"), deny("kms:Encrypt"))
        self.check(allowed, key, self.explicitly(allowed, key))

    def test_managed_policy(self, allowed, key, iam):
        arn = managed(iam, deny("kms:Enc*", key["Arn"]))
        iam.attach_user_policy(UserName=allowed.name, PolicyArn=arn)
        self.check(allowed, key, self.explicitly(allowed, key))
        iam.detach_user_policy(UserName=allowed.name, PolicyArn=arn)
        allowed.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)

    def test_group(self, allowed, key, iam):
        group = unique_name("group")
        iam.create_group(GroupName=group)
        document = text_of(policy(deny("kms:Encrypt")))
        iam.put_group_policy(GroupName=group, PolicyName="no", PolicyDocument=document)
        iam.add_user_to_group(GroupName=group, UserName=allowed.name)
        self.check(allowed, key, self.explicitly(allowed, key))

    def test_boundary(self, allowed, key, iam):
        arn = managed(iam, allow("*"), deny("kms:Encrypt"))
        iam.put_user_permissions_boundary(UserName=allowed.name, PermissionsBoundary=arn)
        self.check(allowed, key, self.explicitly(allowed, key, "a permissions boundary"))

    @pytest.mark.parametrize("principal", ["user", "everybody"])
    def test_key_policy(self, allowed, put, key, principal):
        who = {"AWS": allowed.arn if principal == "user" else "*"}
        put(named(allowed), statement(Effect="Deny", Principal=who, Action="kms:Encrypt"))
        self.check(allowed, key, denied(allowed.arn, "kms:Encrypt", key["Arn"]))

    def test_all_but(self, node, allowed, put, key):
        """Who is not among those exempted is denied, and those are not."""
        exempted = new_user(node, allow("kms:*"))
        names = [exempted.arn, ACCOUNT]
        denial = {"Effect": "Deny", "Principal": None, "NotPrincipal": {"AWS": names}}
        put(named(allowed), statement(**denial, Action="kms:Encrypt"))
        self.check(allowed, key, denied(allowed.arn, "kms:Encrypt", key["Arn"]))
        exempted.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)


class TestOtherAccount:
    """A key is used from another account only if both sides accept it."""

    @pytest.fixture
    def guest(self, node):
        return new_user(node, account=OTHER_ACCOUNT)

    @pytest.mark.parametrize("who", ["the account", "the user", "everybody"])
    def test_both_sides(self, node, put, key, guest, who):
        named_here = {"the account": FOREIGN_ROOT, "the user": guest.arn, "everybody": "*"}[who]
        theirs, client = iam_of(node, OTHER_ACCOUNT), guest.client()
        here = statement(Principal={"AWS": named_here}, Action="kms:Encrypt")
        about = {"KeyId": key["Arn"], "Plaintext": SECRET}
        said = denied_elsewhere("kms:Encrypt", who=guest.arn)

        with refused("AccessDeniedException", said):
            client.encrypt(**about)
        put(here)
        with refused("AccessDeniedException", said):
            client.encrypt(**about)
        put_policy(theirs, guest.name, allow("kms:Encrypt", key["Arn"]))
        assert client.encrypt(**about)["KeyId"] == key["Arn"]
        put()
        with refused("AccessDeniedException", said):
            client.encrypt(**about)
        put(here)
        put_policy(theirs, guest.name, allow("kms:Encrypt", key_arn("*", account=OTHER_ACCOUNT)))
        with refused("AccessDeniedException", said):
            client.encrypt(**about)

    def test_the_root_needs_no_policy_of_its_own(self, other_account, put, key):
        about = {"KeyId": key["Arn"], "Plaintext": SECRET}
        with refused("AccessDeniedException"):
            other_account.encrypt(**about)
        put(statement(Principal={"AWS": OTHER_ACCOUNT}, Action="kms:Encrypt"))
        other_account.encrypt(**about)

    def test_by_ciphertext(self, kms, put, key, guest, node):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)["CiphertextBlob"]
        put_policy(iam_of(node, OTHER_ACCOUNT), guest.name, allow("kms:Decrypt"))
        with refused("AccessDeniedException", denied_ciphertext("kms:Decrypt", who=guest.arn)):
            guest.client().decrypt(CiphertextBlob=blob)
        put(statement(Principal={"AWS": guest.arn}, Action="kms:Decrypt"))
        assert guest.client().decrypt(CiphertextBlob=blob)["Plaintext"] == SECRET


class TestNamesake:
    """Who comes under the name of somebody who is gone is somebody else."""

    def again(self, node, user):
        delete_user(iam_of(node), user.name)
        return new_user(node, name=user.name)

    def shown(self, kms, key):
        return json.loads(kms.get_key_policy(KeyId=key["KeyId"])["Policy"])["Statement"]

    def test_key_policy(self, node, kms, put, key, user):
        put(named(user))
        user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        assert self.shown(kms, key)[1]["Principal"] == {"AWS": user.arn}
        namesake = self.again(node, user)
        assert namesake.arn == user.arn and namesake.unique_id != user.unique_id
        with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", key["Arn"])):
            namesake.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        with refused("UnrecognizedClientException"):
            user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        assert self.shown(kms, key)[1]["Principal"] == {"AWS": user.unique_id}

    @pytest.mark.parametrize("gone", [True, False], ids=["gone", "renamed"])
    def test_only_principals_change(self, kms, key, user, iam, gone):
        """What says the same elsewhere in the policy is as it was given."""
        condition = {"ArnLike": {"aws:PrincipalArn": user.arn}}
        given = policy(statement(), named(user, Sid=user.arn, Condition=condition), Id=user.arn)
        kms.put_key_policy(KeyId=key["KeyId"], Policy=json.dumps(given, indent=1))
        if gone:
            delete_user(iam, user.name)
            known_as = user.unique_id
        else:
            new_name = unique_name()
            iam.update_user(UserName=user.name, NewUserName=new_name)
            known_as = f"arn:aws:iam::{ACCOUNT}:user/{new_name}"
        given["Statement"][1]["Principal"] = {"AWS": known_as}
        assert kms.get_key_policy(KeyId=key["KeyId"])["Policy"] == json.dumps(given, indent=1)

    @pytest.mark.parametrize("escape", ["\\/", "\\u002f"])
    def test_a_principal_with_escapes(self, kms, key, user, iam, escape):
        document = text_of(policy(statement(), named(user)))
        written = document.replace(user.arn, user.arn.replace("/", escape))
        kms.put_key_policy(KeyId=key["KeyId"], Policy=written)
        assert kms.get_key_policy(KeyId=key["KeyId"])["Policy"] == written
        user.client().describe_key(KeyId=key["KeyId"])
        delete_user(iam, user.name)
        assert self.shown(kms, key)[1]["Principal"] == {"AWS": user.unique_id}

    def test_two_who_swap_their_names(self, node, kms, put, key, user, iam):
        other, between = new_user(node), unique_name()
        put(named(user), named(other))
        for old, new in ((user.name, between), (other.name, user.name), (between, other.name)):
            iam.update_user(UserName=old, NewUserName=new)
        assert user.client("sts").get_caller_identity()["Arn"] == other.arn
        shown = [each["Principal"]["AWS"] for each in self.shown(kms, key)[1:]]
        assert shown == [other.arn, user.arn]

    def test_the_policy_of_somebody_gone_is_not_put_again(self, node, kms, put, key, user):
        put(named(user))
        self.again(node, user)
        document = kms.get_key_policy(KeyId=key["KeyId"])["Policy"]
        with refused("MalformedPolicyDocumentException", PRINCIPAL):
            kms.put_key_policy(KeyId=key["KeyId"], Policy=document)

    def test_a_denial(self, node, put, key, user, iam):
        put(statement(Effect="Deny", Principal={"AWS": user.arn}))
        namesake = self.again(node, user)
        put_policy(iam, namesake.name, allow("kms:*"))
        namesake.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)

    def test_grant(self, node, kms, key, user):
        asked = {"KeyId": key["KeyId"], "GranteePrincipal": user.arn, "Operations": ["Encrypt"]}
        grant = kms.create_grant(**asked, RetiringPrincipal=user.arn)["GrantId"]
        user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        namesake = self.again(node, user)
        with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", key["Arn"])):
            namesake.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        with refused("AccessDeniedException", denied(user.arn, "kms:RetireGrant", key["Arn"])):
            namesake.client().retire_grant(KeyId=key["Arn"], GrantId=grant)
        listed = kms.list_retirable_grants(RetiringPrincipal=namesake.arn)["Grants"]
        assert listed == []
        [still] = kms.list_grants(KeyId=key["KeyId"])["Grants"]
        assert still["GrantId"] == grant

    def test_a_user_who_is_renamed_stays_who_he_is(self, kms, put, key, user, iam):
        put(named(user))
        new_name = unique_name()
        iam.update_user(UserName=user.name, NewUserName=new_name)
        user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        arn = f"arn:aws:iam::{ACCOUNT}:user/{new_name}"
        assert user.client("sts").get_caller_identity()["Arn"] == arn
        assert self.shown(kms, key)[1]["Principal"] == {"AWS": arn}


class TestPaths:
    """A path is part of who somebody is, and not of his name."""

    def test_arn_and_name(self, node, kms, key):
        condition = {"StringLike": {"aws:username": "user-????????-*"}}
        user = new_user(node, when("kms:Encrypt", condition), Path="/team/blue/")
        assert user.arn == f"arn:aws:iam::{ACCOUNT}:user/team/blue/{user.name}"
        user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        with refused("AccessDeniedException", denied(user.arn, "kms:DescribeKey", key["Arn"])):
            user.client().describe_key(KeyId=key["KeyId"])
        short = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{user.name}"}
        with refused("MalformedPolicyDocumentException", PRINCIPAL):
            document = text_of(policy(statement(), statement(Principal=short)))
            kms.put_key_policy(KeyId=key["KeyId"], Policy=document)
        document = text_of(policy(statement(), named(user)))
        kms.put_key_policy(KeyId=key["KeyId"], Policy=document)
        # It is he as well who puts the policy that names him alone.
        document = text_of(policy(named(user)))
        user.client().put_key_policy(KeyId=key["KeyId"], Policy=document)
        user.client().describe_key(KeyId=key["KeyId"])
        with refused("AccessDeniedException"):
            kms.describe_key(KeyId=key["KeyId"])


class TestBoundary:
    """A boundary allows nothing and limits what a user's own policies allow."""

    def test_limits(self, node, kms, key, iam, user):
        client, about = user.client(), {"KeyId": key["KeyId"]}
        boundary = managed(iam, allow(["kms:DescribeKey", "kms:Encrypt"]))
        iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=boundary)
        with refused("AccessDeniedException"):
            client.describe_key(**about)
        put_policy(iam, user.name, allow("kms:*"))
        client.describe_key(**about)
        with refused("AccessDeniedException", denied(user.arn, "kms:DisableKey", key["Arn"])):
            client.disable_key(**about)
        iam.delete_user_permissions_boundary(UserName=user.name)
        client.disable_key(**about)

    def test_a_key_policy_that_names_the_user_is_not_limited(self, put, key, iam, user):
        boundary = managed(iam, allow("kms:Encrypt"))
        iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=boundary)
        put(named(user))
        user.client().describe_key(KeyId=key["KeyId"])

    def test_everybody_is_limited(self, put, key, iam, user):
        """Whom a key policy names along with everybody is not named himself."""
        boundary = managed(iam, allow("kms:Encrypt"))
        iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=boundary)
        put(statement(Principal="*"))
        user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        with refused("AccessDeniedException", denied(user.arn, "kms:DescribeKey", key["Arn"])):
            user.client().describe_key(KeyId=key["KeyId"])

    def test_grants_are_limited(self, kms, key, iam, user):
        boundary = managed(iam, allow("kms:Encrypt"))
        iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=boundary)
        operations = ["Encrypt", "DescribeKey"]
        kms.create_grant(KeyId=key["KeyId"], GranteePrincipal=user.arn, Operations=operations)
        user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        with refused("AccessDeniedException", denied(user.arn, "kms:DescribeKey", key["Arn"])):
            user.client().describe_key(KeyId=key["KeyId"])

    def test_a_boundary_from_the_start(self, node, key, iam):
        boundary = managed(iam, allow("kms:Encrypt"))
        user = new_user(node, allow("kms:*"), PermissionsBoundary=boundary)
        user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        with refused("AccessDeniedException"):
            user.client().describe_key(KeyId=key["KeyId"])


class TestGroups:
    def test_members_come_and_go(self, node, key, iam, user):
        client, group = user.client(), unique_name("group")
        iam.create_group(GroupName=group)
        iam.attach_group_policy(GroupName=group, PolicyArn=managed(iam, allow("kms:DescribeKey")))
        for _ in range(2):
            with refused("AccessDeniedException"):
                client.describe_key(KeyId=key["KeyId"])
            iam.add_user_to_group(GroupName=group, UserName=user.name)
            client.describe_key(KeyId=key["KeyId"])
            iam.remove_user_from_group(GroupName=group, UserName=user.name)
        # A policy of the group of which somebody is a member already counts at once, too.
        iam.add_user_to_group(GroupName=group, UserName=user.name)
        with refused("AccessDeniedException"):
            client.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        document = text_of(policy(allow("kms:Encrypt")))
        iam.put_group_policy(GroupName=group, PolicyName="more", PolicyDocument=document)
        client.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        iam.delete_group_policy(GroupName=group, PolicyName="more")
        with refused("AccessDeniedException"):
            client.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)


class TestVersions:
    def test_the_default_version_counts_at_once(self, key, iam, user):
        client, arn = user.client(), managed(iam, allow("kms:DescribeKey"))
        iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
        client.describe_key(KeyId=key["KeyId"])
        document = text_of(policy(allow("kms:Encrypt")))
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document)
        client.describe_key(KeyId=key["KeyId"])
        for _ in range(3):
            iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
            client.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
            with refused("AccessDeniedException"):
                client.describe_key(KeyId=key["KeyId"])
            iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
            client.describe_key(KeyId=key["KeyId"])
            with refused("AccessDeniedException"):
                client.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        denial = text_of(policy(deny("*")))
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=denial, SetAsDefault=True)
        said = denied_explicitly(user.arn, "kms:DescribeKey", key["Arn"])
        with refused("AccessDeniedException", said):
            client.describe_key(KeyId=key["KeyId"])
