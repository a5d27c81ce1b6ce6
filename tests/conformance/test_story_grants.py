"""Grants, told through boto3: to whom, for what, how they are made, used, retired and revoked."""

import base64

import pytest
from botocore.exceptions import ClientError
from expect import check_error, denied, denied_ciphertext, denied_elsewhere, refused
from node import ACCOUNT, OTHER_ACCOUNT
from people import delete_user, iam_of, new_user, put_policy, unique_name
from policies import FOREIGN_ROOT, ROOT, allow, deny
from test_story_permissions import FINANCE, SECRET, iam, user, when

SUBSET = {"EncryptionContextSubset": FINANCE}
EQUALS = {"EncryptionContextEquals": FINANCE}
BOTH_WAYS = ["Encrypt", "Decrypt"]
MORE = FINANCE | {"month": "May"}
NO_TOKEN = "The grant token is not valid."


def no_grant(grant):
    return f"Grant ID {grant['GrantId']} not found"


@pytest.fixture
def grant(kms, key, user):
    """Makes grants on the test's key, to the user unless told otherwise."""

    def call(operations=BOTH_WAYS, client=kms, **more):
        asked = {"KeyId": key["Arn"], "GranteePrincipal": user.arn, "Operations": list(operations)}
        made = client.create_grant(**(asked | more))
        made.pop("ResponseMetadata")
        return made

    return call


@pytest.fixture
def may(key):
    """Whether somebody may encrypt with the test's key."""

    def call(user, context=None, **more):
        said = denied(user.arn, "kms:Encrypt", key["Arn"])
        if user.number != ACCOUNT:
            said = denied_elsewhere("kms:Encrypt", who=user.arn)
        about = {"KeyId": key["Arn"], "Plaintext": SECRET, "EncryptionContext": context or {}}
        try:
            user.client().encrypt(**about, **more)
        except ClientError as error:
            check_error(error.response, "AccessDeniedException", said)
            return False
        return True

    return call


class TestUse:
    def test_from_creation_to_retirement(self, node, kms, key, grant, user, may):
        retiring = new_user(node)
        assert not may(user, MORE)
        made = grant(Constraints=SUBSET, RetiringPrincipal=retiring.arn, Name="finance")
        assert may(user, FINANCE) and may(user, MORE)
        assert not may(user) and not may(user, {"department": "law"})
        client = user.client()
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET, EncryptionContext=MORE)
        opened = client.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=MORE)
        assert opened["Plaintext"] == SECRET
        said = denied_ciphertext("kms:Decrypt", who=user.arn)
        with refused("AccessDeniedException", said):
            client.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext={})
        for operation in ("describe_key", "disable_key"):
            with refused("AccessDeniedException"):
                getattr(client, operation)(KeyId=key["KeyId"])

        [listed] = kms.list_grants(KeyId=key["KeyId"])["Grants"]
        listed.pop("CreationDate")
        listed["Operations"].sort()
        assert listed == {
            "KeyId": key["Arn"],
            "GrantId": made["GrantId"],
            "Name": "finance",
            "GranteePrincipal": user.arn,
            "RetiringPrincipal": retiring.arn,
            "IssuingAccount": ROOT,
            "Operations": sorted(BOTH_WAYS),
            "Constraints": SUBSET,
        }
        retirable = kms.list_retirable_grants(RetiringPrincipal=retiring.arn)["Grants"]
        assert [each["GrantId"] for each in retirable] == [made["GrantId"]]

        about = {"KeyId": key["Arn"], "GrantId": made["GrantId"]}
        with refused("AccessDeniedException", denied(user.arn, "kms:RetireGrant", key["Arn"])):
            client.retire_grant(**about)
        with refused("AccessDeniedException"):
            retiring.client().revoke_grant(**about)
        retiring.client().retire_grant(**about)
        assert not may(user, MORE)
        with refused("AccessDeniedException", said):
            client.decrypt(CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=MORE)
        assert kms.list_grants(KeyId=key["KeyId"])["Grants"] == []
        with refused("InvalidGrantIdException", no_grant(made)):
            kms.retire_grant(**about)
        with refused("InvalidGrantIdException", no_grant(made)):
            kms.revoke_grant(**about)

    def test_exactly_this_context(self, grant, user, may):
        grant(Constraints=EQUALS)
        assert may(user, FINANCE)
        for other in ({}, MORE, {"department": "Finance"}):
            assert not may(user, other)

    @pytest.mark.parametrize("constraints", [SUBSET, EQUALS])
    def test_names_in_a_context_are_compared_without_regard_to_case(
        self, grant, user, may, constraints
    ):
        grant(Constraints=constraints)
        assert may(user, {"DEPARTMENT": "finance"})
        assert not may(user, {"DEPARTMENT": "FINANCE"})

    def test_both_constraints_count(self, grant, user, may):
        grant(Constraints=EQUALS | {"EncryptionContextSubset": {"month": "May"}})
        assert not may(user, FINANCE) and not may(user, MORE)

    def test_a_description_has_no_context(self, key, grant, user):
        grant(["DescribeKey"], Constraints=EQUALS)
        user.client().describe_key(KeyId=key["KeyId"])

    def test_revoked(self, kms, key, grant, user, may):
        made = grant()
        assert may(user)
        kms.revoke_grant(KeyId=key["KeyId"], GrantId=made["GrantId"])
        assert not may(user)

    def test_a_grantee_who_may_retire(self, key, grant, user, may):
        made = grant([*BOTH_WAYS, "RetireGrant"])
        assert may(user)
        user.client().retire_grant(KeyId=key["Arn"], GrantId=made["GrantId"])
        assert not may(user)

    def test_retiring_may_be_denied(self, node, key, grant, user, iam):
        retiring = new_user(node, deny("kms:RetireGrant"))
        made = grant(RetiringPrincipal=retiring.arn)
        with refused("AccessDeniedException"):
            retiring.client().retire_grant(KeyId=key["Arn"], GrantId=made["GrantId"])
        with refused("AccessDeniedException"):
            retiring.client().retire_grant(GrantToken=made["GrantToken"])

    def test_who_may_make_grants_and_for_what(self, node, key, grant, user, iam, may):
        """A policy may say which operations may be granted, and to whom."""
        maker = new_user(
            node,
            when(
                "kms:CreateGrant",
                {
                    "ForAllValues:StringEquals": {"kms:GrantOperations": BOTH_WAYS},
                    "StringEquals": {"kms:GranteePrincipal": user.arn},
                    "Bool": {"kms:GrantIsForAWSResource": "false"},
                    "Null": {"kms:RetiringPrincipal": "true"},
                },
            ),
        )
        client = maker.client()
        grant(["Encrypt"], client)
        assert may(user)
        said = denied(maker.arn, "kms:CreateGrant", key["Arn"])
        for other in (
            {"operations": ["Encrypt", "DescribeKey"]},
            {"GranteePrincipal": maker.arn},
            {"RetiringPrincipal": maker.arn},
        ):
            with refused("AccessDeniedException", said):
                grant(client=client, **other)

    def test_the_type_of_a_constraint(self, node, key, grant, iam):
        condition = {"StringEquals": {"kms:GrantConstraintType": "EncryptionContextSubset"}}
        client = new_user(node, when("kms:CreateGrant", condition)).client()
        grant(client=client, Constraints=SUBSET)
        for constraints in ({}, {"Constraints": EQUALS}):
            with refused("AccessDeniedException"):
                grant(client=client, **constraints)


class TestOtherAccounts:
    def test_a_user_of_another_account(self, node, kms, key, grant, may):
        guest = new_user(node, account=OTHER_ACCOUNT)
        assert not may(guest)
        made = grant(GranteePrincipal=guest.arn)
        assert may(guest)
        kms.revoke_grant(KeyId=key["KeyId"], GrantId=made["GrantId"])
        assert not may(guest)

    def test_another_account(self, node, key, grant, other_account, may):
        """Its root may; its users may as far as their own policies let them."""
        guest = new_user(node, account=OTHER_ACCOUNT)
        grant(GranteePrincipal=FOREIGN_ROOT)
        other_account.encrypt(KeyId=key["Arn"], Plaintext=SECRET)
        assert not may(guest)
        put_policy(iam_of(node, OTHER_ACCOUNT), guest.name, allow("kms:Encrypt", key["Arn"]))
        assert may(guest)

    def test_it_retires_grants(self, key, grant, other_account):
        made = grant(RetiringPrincipal=FOREIGN_ROOT)
        listed = other_account.list_retirable_grants(RetiringPrincipal=FOREIGN_ROOT)["Grants"]
        assert made["GrantId"] in {each["GrantId"] for each in listed}
        other_account.retire_grant(GrantToken=made["GrantToken"])

    @pytest.mark.parametrize("who", ["user/nobody", "role/nobody"])
    def test_nobody(self, grant, kms, key, who):
        with refused("InvalidArnException"):
            grant(GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:{who}")
        assert kms.list_grants(KeyId=key["KeyId"])["Grants"] == []


class TestListing:
    """Who is asked about is somebody, whatever he was called when the grant was made."""

    def grants_to(self, kms, key, arn):
        listed = kms.list_grants(KeyId=key["KeyId"], GranteePrincipal=arn)["Grants"]
        return [(each["GrantId"], each["GranteePrincipal"]) for each in listed]

    def test_by_grantee(self, node, kms, key, grant, user):
        made, other = grant()["GrantId"], new_user(node)
        grant(GranteePrincipal=other.arn)
        assert self.grants_to(kms, key, user.arn) == [(made, user.arn)]
        assert self.grants_to(kms, key, ROOT) == []

    def test_somebody_renamed(self, kms, key, grant, user, iam):
        made, new_name = grant(RetiringPrincipal=user.arn)["GrantId"], unique_name()
        iam.update_user(UserName=user.name, NewUserName=new_name)
        arn = f"arn:aws:iam::{ACCOUNT}:user/{new_name}"
        [retirable] = kms.list_retirable_grants(RetiringPrincipal=arn)["Grants"]
        assert (retirable["GrantId"], retirable["RetiringPrincipal"]) == (made, arn)
        assert self.grants_to(kms, key, arn) == [(made, arn)]
        assert self.grants_to(kms, key, user.arn) == []

    def test_a_namesake(self, node, kms, key, grant, user, iam):
        old = grant()["GrantId"]
        delete_user(iam, user.name)
        [listed] = kms.list_grants(KeyId=key["KeyId"], GrantId=old)["Grants"]
        assert listed["GranteePrincipal"] == user.unique_id
        namesake = new_user(node, name=user.name)
        made = grant()["GrantId"]
        assert self.grants_to(kms, key, namesake.arn) == [(made, namesake.arn)]


class TestTokens:
    """A token makes no difference, since grants count at once; one that is none is refused."""

    def test_valid(self, grant, user, may):
        made = grant()
        assert may(user, GrantTokens=[made["GrantToken"]])
        assert may(user, GrantTokens=[made["GrantToken"]] * 10)

    def test_of_somebody_else(self, node, grant, may):
        made = grant()
        assert not may(new_user(node), GrantTokens=[made["GrantToken"]])

    def test_retires(self, node, grant, user, may):
        retiring = new_user(node)
        made = grant(RetiringPrincipal=retiring.arn)
        with refused("AccessDeniedException"):
            user.client().retire_grant(GrantToken=made["GrantToken"])
        retiring.client().retire_grant(GrantToken=made["GrantToken"])
        assert not may(user)
        with refused("InvalidGrantIdException", no_grant(made)):
            retiring.client().retire_grant(GrantToken=made["GrantToken"])

    @pytest.mark.parametrize("operations", [BOTH_WAYS, [*BOTH_WAYS, "DescribeKey"]])
    def test_of_a_revoked_grant(self, kms, key, grant, user, may, operations):
        """It is one still, and lets nobody do anything."""
        made, other = grant(operations), grant(["Decrypt"])
        kms.revoke_grant(KeyId=key["KeyId"], GrantId=made["GrantId"])
        assert not may(user, GrantTokens=[made["GrantToken"]])
        assert not may(user, GrantTokens=[made["GrantToken"], other["GrantToken"]])
        kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET, GrantTokens=[made["GrantToken"]])

    def test_damaged(self, kms, key, grant, user):
        token = grant()["GrantToken"]
        sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        damaged = [token[:-1], token + "A", token[::-1], "A", "AAAA", key["KeyId"]]
        for place in range(len(sealed)):
            other = bytearray(sealed)
            other[place] ^= 1
            damaged.append(base64.urlsafe_b64encode(bytes(other)).decode().rstrip("="))
        client = user.client()
        for text in damaged:
            for who in (kms, client):
                with refused("InvalidGrantTokenException", NO_TOKEN):
                    who.encrypt(KeyId=key["KeyId"], Plaintext=SECRET, GrantTokens=[text])
            with refused("InvalidGrantTokenException", NO_TOKEN):
                kms.retire_grant(GrantToken=text)

    def test_one_damaged_among_others(self, kms, key, grant):
        tokens = [grant()["GrantToken"], "AAAA"]
        with refused("InvalidGrantTokenException", NO_TOKEN):
            kms.describe_key(KeyId=key["KeyId"], GrantTokens=tokens)

    def test_too_many(self, kms, key, grant):
        tokens = [grant()["GrantToken"]] * 11
        with refused("ValidationException"):
            kms.describe_key(KeyId=key["KeyId"], GrantTokens=tokens)


class TestNames:
    """A name makes the creation of a grant repeatable."""

    def test_the_same_again(self, kms, key, grant):
        asked = {"Name": "once", "Constraints": SUBSET, "RetiringPrincipal": ROOT}
        one, other = grant(**asked), grant(**asked)
        assert one["GrantId"] == other["GrantId"]
        assert one["GrantToken"] != other["GrantToken"]
        assert len(kms.list_grants(KeyId=key["KeyId"])["Grants"]) == 1
        for token in (one["GrantToken"], other["GrantToken"]):
            kms.describe_key(KeyId=key["KeyId"], GrantTokens=[token])

    def test_no_name(self, grant):
        assert grant()["GrantId"] != grant()["GrantId"]

    @pytest.mark.parametrize(
        "difference",
        [
            {"Name": "twice"},
            {"Operations": ["Encrypt"]},
            {"Constraints": EQUALS},
            {"Constraints": {"EncryptionContextSubset": MORE}},
            {"RetiringPrincipal": FOREIGN_ROOT},
            {"GranteePrincipal": ROOT},
        ],
        ids=str,
    )
    def test_anything_else(self, kms, key, grant, difference):
        asked = {"Name": "once", "Constraints": SUBSET, "RetiringPrincipal": ROOT}
        first, other = grant(**asked), grant(**(asked | difference))
        assert first["GrantId"] != other["GrantId"]
        assert len(kms.list_grants(KeyId=key["KeyId"])["Grants"]) == 2

    def test_after_the_end(self, kms, key, grant):
        first = grant(Name="once")
        kms.revoke_grant(KeyId=key["KeyId"], GrantId=first["GrantId"])
        assert grant(Name="once")["GrantId"] != first["GrantId"]

    def test_another_key(self, kms, grant):
        other = kms.create_key()["KeyMetadata"]
        assert grant(Name="once")["GrantId"] != grant(Name="once", KeyId=other["Arn"])["GrantId"]


class TestChildren:
    """Who makes grants by a grant alone makes none that allows more than it."""

    @pytest.fixture
    def child(self, node, grant, user):
        """Makes a grant as the grantee of another one, to somebody new; returns who."""

        def call(operations, **more):
            grandchild = new_user(node)
            client = user.client()
            grant(operations, client, GranteePrincipal=grandchild.arn, **more)
            return grandchild

        return call

    def denied(self, user, key):
        said = denied(user.arn, "kms:CreateGrant", key["Arn"])
        return refused("AccessDeniedException", said)

    def test_operations(self, key, grant, user, child, may):
        with self.denied(user, key):
            child(["Encrypt"])
        grant(["CreateGrant", "Encrypt"])
        assert may(child(["Encrypt"]))
        child(["CreateGrant"])
        child(["CreateGrant", "Encrypt"])
        for more in (["Decrypt"], ["Encrypt", "Decrypt"], ["RetireGrant"], ["DescribeKey"]):
            with self.denied(user, key):
                child(more)

    def test_two_parents_are_not_one(self, key, grant, user, child):
        grant(["CreateGrant", "Encrypt"])
        grant(["CreateGrant", "Decrypt"])
        child(["Encrypt"])
        child(["Decrypt"])
        with self.denied(user, key):
            child(["Encrypt", "Decrypt"])

    def test_a_parent_that_may_not_make_any(self, key, grant, user, child):
        grant(["CreateGrant", "Encrypt"])
        grant(["Decrypt"])
        with self.denied(user, key):
            child(["Decrypt"])

    @pytest.mark.parametrize(
        "parent, constraints, allowed",
        [
            (SUBSET, None, False),
            (SUBSET, SUBSET, True),
            (SUBSET, {"EncryptionContextSubset": MORE}, True),
            (SUBSET, EQUALS, True),
            (SUBSET, {"EncryptionContextEquals": MORE}, True),
            (SUBSET, {"EncryptionContextSubset": {"month": "May"}}, False),
            (SUBSET, {"EncryptionContextSubset": {"department": "law"}}, False),
            (SUBSET, {"EncryptionContextEquals": {"month": "May"}}, False),
            (EQUALS, None, False),
            (EQUALS, EQUALS, True),
            (EQUALS, SUBSET, False),
            (EQUALS, {"EncryptionContextEquals": MORE}, False),
            (None, SUBSET, True),
            (None, EQUALS, True),
        ],
    )
    def test_constraints(self, key, grant, user, child, may, parent, constraints, allowed):
        given = {"Constraints": constraints} if constraints else {}
        grant(["CreateGrant", "Encrypt"], **({"Constraints": parent} if parent else {}))
        if not allowed:
            with self.denied(user, key):
                child(["Encrypt"], **given)
            return
        grandchild = child(["Encrypt"], **given)
        [context] = constraints.values()
        assert may(grandchild, context) and not may(grandchild)

    def test_grandchildren(self, node, key, grant, user, child, may):
        grant(["CreateGrant", "Encrypt", "Decrypt"])
        middle = child(["CreateGrant", "Encrypt"])
        last = new_user(node)
        grant(["Encrypt"], middle.client(), GranteePrincipal=last.arn)
        assert may(last)
        with self.denied(middle, key):
            grant(["Decrypt"], middle.client(), GranteePrincipal=last.arn)

    def test_whom_a_policy_allows_it(self, key, grant, user, child, iam, may):
        """Somebody may grant what he may not do himself."""
        put_policy(iam, user.name, allow("kms:CreateGrant"))
        assert not may(user)
        assert may(child(["Encrypt"]))

    def test_without_the_parent(self, kms, key, grant, user, child):
        made = grant(["CreateGrant", "Encrypt"])
        child(["Encrypt"])
        kms.revoke_grant(KeyId=key["KeyId"], GrantId=made["GrantId"])
        with self.denied(user, key):
            child(["Encrypt"])
