"""Conditions of policies that ask about tags, aliases, names and services, told through boto3."""

import pytest
from expect import (
    alias_arn,
    denied,
    denied_ciphertext,
    denied_elsewhere,
    refused,
    unique_alias,
)
from node import OTHER_ACCOUNT
from people import new_user, put_policy
from policies import allow, deny, policy, statement, text_of
from test_story_permissions import SECRET, iam, named, put, user, when

TEAM = {"TagKey": "team", "TagValue": "blue"}


class TestVariables:
    def test_the_name_of_a_user(self, node, put, key):
        """One statement for all: everybody encrypts for himself."""
        condition = {"StringEquals": {"kms:EncryptionContext:owner": "${aws:username}"}}
        alice, bob = new_user(node), new_user(node)
        everybody = {"AWS": [alice.arn, bob.arn]}
        put(statement(Principal=everybody, Action="kms:Encrypt", Condition=condition))
        about = {"KeyId": key["KeyId"], "Plaintext": SECRET}
        for own, other in ((alice, bob), (bob, alice)):
            client = own.client()
            client.encrypt(**about, EncryptionContext={"owner": own.name})
            for owner in (other.name, own.name.upper(), "${aws:username}", "*"):
                with refused("AccessDeniedException"):
                    client.encrypt(**about, EncryptionContext={"owner": owner})

    def test_a_name_is_no_pattern(self, kms, key, user, iam):
        """What stands for a variable is taken as it is, whatever is in it."""
        condition = {"StringLike": {"kms:EncryptionContext:path": "/${kms:RequestAlias}/*"}}
        put_policy(iam, user.name, when("kms:Encrypt", condition))
        alias = unique_alias()
        kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
        about = {"KeyId": alias, "Plaintext": SECRET}
        user.client().encrypt(**about, EncryptionContext={"path": f"/{alias}/x"})
        with refused("AccessDeniedException"):
            user.client().encrypt(**about, EncryptionContext={"path": "/alias/other/x"})

    def test_the_older_language_has_none(self, node, key, user, iam):
        condition = {"StringEquals": {"kms:EncryptionContext:owner": "${aws:username}"}}
        document = policy(when("kms:Encrypt", condition), Version="2008-10-17")
        given = {"UserName": user.name, "PolicyName": "old", "PolicyDocument": text_of(document)}
        iam.put_user_policy(**given)
        about = {"KeyId": key["KeyId"], "Plaintext": SECRET}
        with refused("AccessDeniedException"):
            user.client().encrypt(**about, EncryptionContext={"owner": user.name})
        user.client().encrypt(**about, EncryptionContext={"owner": "${aws:username}"})

    def test_tags_of_principals(self, node, kms, key):
        condition = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
        blue, red = (
            new_user(node, when("kms:*", condition), Tags=[{"Key": "team", "Value": team}])
            for team in ("blue", "red")
        )
        kms.tag_resource(KeyId=key["KeyId"], Tags=[TEAM])
        blue.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        with refused("AccessDeniedException"):
            red.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)


class TestTags:
    def test_of_the_key(self, kms, key, user, iam):
        condition = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
        put_policy(iam, user.name, when("kms:Encrypt", condition))
        client, about = user.client(), {"KeyId": key["KeyId"], "Plaintext": SECRET}
        said = denied(user.arn, "kms:Encrypt", key["Arn"])
        for tags, may in ([], False), ([TEAM], True), ([TEAM | {"TagValue": "Blue"}], False):
            if tags:
                kms.tag_resource(KeyId=key["KeyId"], Tags=tags)
            if may:
                client.encrypt(**about)
                kms.untag_resource(KeyId=key["KeyId"], TagKeys=["team"])
            with refused("AccessDeniedException", said):
                client.encrypt(**about)

    def test_a_denial_by_a_tag_of_the_key_is_not_told(self, kms, key, user, iam):
        """It would tell that the key exists, and that it has the tag."""
        condition = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
        secret = when("kms:Encrypt", condition, deny)
        put_policy(iam, user.name, secret)
        kms.tag_resource(KeyId=key["KeyId"], Tags=[TEAM])
        with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", key["Arn"])):
            user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)

    def test_of_a_new_key(self, user, iam):
        """Keys may be made with a tag for the team, with no other one and not without."""
        condition = {
            "StringEquals": {"aws:RequestTag/team": ["blue", "green"]},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]},
        }
        put_policy(iam, user.name, when(["kms:CreateKey", "kms:TagResource"], condition))
        client = user.client()
        client.create_key(Tags=[TEAM])
        for tags in (
            [],
            [TEAM | {"TagValue": "red"}],
            [TEAM, {"TagKey": "cost", "TagValue": "1"}],
            [{"TagKey": "Team2", "TagValue": "blue"}],
        ):
            with refused("AccessDeniedException", denied(user.arn, "kms:CreateKey", "*")):
                client.create_key(Tags=tags)

    def test_a_key_with_tags_needs_both_actions(self, user, iam):
        put_policy(iam, user.name, allow("kms:CreateKey"))
        user.client().create_key()
        with refused("AccessDeniedException", denied(user.arn, "kms:TagResource", "*")):
            user.client().create_key(Tags=[TEAM])

    def test_keys_of_tags(self, kms, key, user, iam):
        kms.tag_resource(KeyId=key["KeyId"], Tags=[TEAM])
        condition = {"ForAnyValue:StringLike": {"aws:TagKeys": "cost*"}}
        put_policy(iam, user.name, when(["kms:TagResource", "kms:UntagResource"], condition))
        client = user.client()
        client.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": "cost-a", "TagValue": "1"}])
        client.untag_resource(KeyId=key["KeyId"], TagKeys=["cost-a"])
        with refused("AccessDeniedException", denied(user.arn, "kms:TagResource", key["Arn"])):
            client.tag_resource(KeyId=key["KeyId"], Tags=[TEAM])
        with refused("AccessDeniedException", denied(user.arn, "kms:UntagResource", key["Arn"])):
            client.untag_resource(KeyId=key["KeyId"], TagKeys=["team"])


class TestAliases:
    @pytest.fixture
    def alias(self, kms, key):
        name = unique_alias()
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        return name

    @pytest.mark.parametrize("where", ["own policy", "key policy"])
    def test_of_the_request(self, put, key, alias, user, iam, where):
        """The key may be used by this name and by no other one."""
        condition = {"StringEquals": {"kms:RequestAlias": alias}}
        if where == "own policy":
            put_policy(iam, user.name, when("kms:Encrypt", condition))
        else:
            put(named(user, "kms:Encrypt", Condition=condition))
        client = user.client()
        for name in (alias, alias_arn(alias)):
            client.encrypt(KeyId=name, Plaintext=SECRET)
        for name in (key["KeyId"], key["Arn"]):
            with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", key["Arn"])):
                client.encrypt(KeyId=name, Plaintext=SECRET)

    def test_another_one_of_the_request(self, kms, key, alias, user, iam):
        other = unique_alias()
        kms.create_alias(AliasName=other, TargetKeyId=key["KeyId"])
        condition = {"StringEquals": {"kms:RequestAlias": alias}}
        put_policy(iam, user.name, when("kms:Encrypt", condition))
        with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", alias_arn(other))):
            user.client().encrypt(KeyId=other, Plaintext=SECRET)

    def test_of_a_request_from_another_account(self, node, put, key, alias):
        guest = new_user(node, allow("kms:Encrypt", key["Arn"]), account=OTHER_ACCOUNT)
        condition = {"StringEquals": {"kms:RequestAlias": alias}}
        put(named(guest, "kms:Encrypt", Condition=condition))
        client = guest.client()
        client.encrypt(KeyId=alias_arn(alias), Plaintext=SECRET)
        for name in (key["Arn"], alias_arn(unique_alias())):
            said = denied_elsewhere("kms:Encrypt", who=guest.arn)
            with refused("AccessDeniedException", said):
                client.encrypt(KeyId=name, Plaintext=SECRET)

    def test_the_same_key_by_another_name(self, kms, key, alias, user, iam):
        """Who may only renew ciphertexts may do so whatever the key is called."""
        condition = {"Bool": {"kms:ReEncryptOnSameKey": "true"}}
        put_policy(iam, user.name, when("kms:ReEncrypt*", condition))
        client, other = user.client(), kms.create_key()["KeyMetadata"]
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)["CiphertextBlob"]
        for name in (key["KeyId"], key["Arn"], alias):
            client.re_encrypt(CiphertextBlob=blob, DestinationKeyId=name)
        with refused("AccessDeniedException", denied_ciphertext("kms:ReEncryptFrom", who=user.arn)):
            client.re_encrypt(CiphertextBlob=blob, DestinationKeyId=other["KeyId"])

    def test_of_the_key(self, kms, key, alias, user, iam):
        """As long as the key has the alias, whatever it is called by."""
        condition = {"ForAnyValue:StringLike": {"kms:ResourceAliases": f"{alias}*"}}
        put_policy(iam, user.name, when("kms:Encrypt", condition))
        client = user.client()
        for name in (alias, key["KeyId"], key["Arn"]):
            client.encrypt(KeyId=name, Plaintext=SECRET)
        kms.delete_alias(AliasName=alias)
        with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", key["Arn"])):
            client.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)

    def test_an_alias_is_no_resource_of_a_key(self, key, alias, user, iam):
        """Whoever may use the alias by its ARN may not use the key, except to change the alias."""
        put_policy(iam, user.name, allow("kms:*", alias_arn(alias)))
        with refused("AccessDeniedException", denied(user.arn, "kms:Encrypt", alias_arn(alias))):
            user.client().encrypt(KeyId=alias, Plaintext=SECRET)

    def test_both_halves_of_an_alias(self, kms, key, alias, user, iam):
        """An alias is deleted by whoever may do so to it and to its key."""
        client = user.client()
        said = denied(user.arn, "kms:DeleteAlias", alias_arn(alias))
        for resources in ([alias_arn(alias)], [key["Arn"]]):
            put_policy(iam, user.name, allow("kms:DeleteAlias", resources))
            with refused("AccessDeniedException", said):
                client.delete_alias(AliasName=alias)
        put_policy(iam, user.name, allow("kms:DeleteAlias", [alias_arn(alias), key["Arn"]]))
        client.delete_alias(AliasName=alias)


class TestService:
    """Here nobody calls through a service: `kms:ViaService` is absent."""

    S3 = "s3.us-east-1.amazonaws.com"

    @pytest.mark.parametrize(
        "statements, may",
        [
            ([("StringEquals", S3, allow)], False),
            ([("StringLike", "*", allow)], False),
            ([("StringEqualsIfExists", S3, allow)], True),
            ([("StringNotEquals", S3, allow)], True),
            ([("Null", "true", allow)], True),
            ([("Null", "false", allow)], False),
            ([("Null", "true", allow), ("StringEquals", S3, deny)], True),
            ([("Null", "true", allow), ("StringNotEquals", S3, deny)], False),
            ([("Null", "true", allow), ("StringNotEqualsIfExists", S3, deny)], False),
        ],
    )
    @pytest.mark.parametrize("where", ["own policy", "key policy"])
    def test_absent(self, put, key, user, iam, statements, may, where):
        conditions = [
            (effect, {operator: {"kms:ViaService": value}})
            for operator, value, effect in statements
        ]
        if where == "own policy":
            own = [when("kms:Encrypt", condition, effect) for effect, condition in conditions]
            put_policy(iam, user.name, *own)
        else:
            effects = {allow: "Allow", deny: "Deny"}
            put(
                *(
                    named(user, "kms:Encrypt", Effect=effects[effect], Condition=condition)
                    for effect, condition in conditions
                )
            )
        if may:
            user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        else:
            with refused("AccessDeniedException"):
                user.client().encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
