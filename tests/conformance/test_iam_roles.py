"""Roles, with boto3: their lives, who may take them on, their policies, and what is refused in which
words."""

import datetime
import json
import re

import pytest
from iam_world import (
    allow,
    arn,
    client,
    deny,
    fresh,
    key_of,
    new_user,
    policy,
    refused,
    unauthorised,
)
from node import ACCOUNT, OTHER_ACCOUNT, serving

READ = json.dumps(policy(allow("kms:Describe*")))
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


@pytest.fixture(scope="module")
def iam(node):
    return node.client("iam")


def trust(principal, action="sts:AssumeRole", **more):
    statement = {"Effect": "Allow", "Principal": principal, "Action": action} | more
    return policy(statement)


def new_role(iam, principal=None, **more):
    """A role that the account may take on, or this principal; its name."""
    name = fresh("role")
    document = json.dumps(trust(principal or {"AWS": ROOT}))
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **more)
    return name


@pytest.fixture
def role(iam):
    return new_role(iam)


def new_policy(iam):
    name = fresh("policy")
    return iam.create_policy(PolicyName=name, PolicyDocument=READ)["Policy"]["Arn"]


def absent(name):
    return refused("NoSuchEntity", f"The role with name {name} cannot be found.")


def test_a_role_from_its_making_to_its_end(iam):
    name = fresh("Role")
    document = trust({"AWS": ROOT}, Sid="One")
    made = iam.create_role(
        RoleName=name,
        Path="/team/",
        Description="for tests",
        MaxSessionDuration=7200,
        AssumeRolePolicyDocument=json.dumps(document, indent=1),
        Tags=[{"Key": "Team", "Value": "a"}],
    )["Role"]
    assert (made["RoleName"], made["Path"]) == (name, "/team/")
    assert made["Arn"] == arn("role", name, "/team/")
    assert re.fullmatch("AROA[A-Z0-9]{17}", made["RoleId"])
    age = datetime.datetime.now(datetime.UTC) - made["CreateDate"]
    assert datetime.timedelta(seconds=-2) < age < datetime.timedelta(seconds=60)
    # botocore decodes it, which is URL-encoded on the wire.
    assert made["AssumeRolePolicyDocument"] == document
    assert (made["Description"], made["MaxSessionDuration"]) == ("for tests", 7200)
    assert made["Tags"] == [{"Key": "Team", "Value": "a"}]
    assert "RoleLastUsed" not in made
    assert iam.get_role(RoleName=name.upper())["Role"] == made
    with refused("EntityAlreadyExists", f"Role with name {name.lower()} already exists."):
        iam.create_role(RoleName=name.lower(), AssumeRolePolicyDocument=json.dumps(document))

    iam.update_role(RoleName=name, MaxSessionDuration=43200)
    found = iam.get_role(RoleName=name)["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("for tests", 43200)
    iam.update_role(RoleName=name, Description="other")
    found = iam.get_role(RoleName=name)["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("other", 43200)
    shown = iam.update_role_description(RoleName=name, Description="third")["Role"]
    assert shown == found | {"Description": "third"}

    listed = iam.list_roles(PathPrefix="/team/")["Roles"]
    assert all({"Tags", "PermissionsBoundary"}.isdisjoint(role) for role in listed)
    assert [role["RoleId"] for role in listed if role["RoleName"] == name] == [made["RoleId"]]
    assert name not in {role["RoleName"] for role in iam.list_roles(PathPrefix="/other/")["Roles"]}
    iam.delete_role(RoleName=name)
    with absent(name):
        iam.delete_role(RoleName=name)
    plain = iam.get_role(RoleName=new_role(iam))["Role"]
    assert (plain["Path"], plain["MaxSessionDuration"]) == ("/", 3600)
    assert "Description" not in plain


def test_pages_of_roles(iam):
    path = f"/{fresh('path')}/"
    names = sorted(new_role(iam, Path=path) for _ in range(5))
    pages = iam.get_paginator("list_roles").paginate(
        PathPrefix=path, PaginationConfig={"PageSize": 2}
    )
    pages = [[role["RoleName"] for role in page["Roles"]] for page in pages]
    assert pages == [names[:2], names[2:4], names[4:]]


def test_tags_of_a_role(iam, role):
    iam.tag_role(RoleName=role, Tags=[{"Key": "A", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.tag_role(RoleName=role, Tags=[{"Key": "a", "Value": "3"}])
    tags = [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]
    assert iam.list_role_tags(RoleName=role)["Tags"] == tags
    first = iam.list_role_tags(RoleName=role, MaxItems=1)
    assert (first["Tags"], first["IsTruncated"]) == (tags[:1], True)
    assert iam.list_role_tags(RoleName=role, Marker=first["Marker"])["Tags"] == tags[1:]
    iam.untag_role(RoleName=role, TagKeys=["A", "absent"])
    assert iam.get_role(RoleName=role)["Role"]["Tags"] == tags[1:]
    with refused("InvalidInput", "Tag keys that start with 'aws:' are reserved."):
        iam.tag_role(RoleName=role, Tags=[{"Key": "aws:x", "Value": ""}])
    iam.tag_role(RoleName=role, Tags=[{"Key": f"t{n}", "Value": ""} for n in range(49)])
    with refused("LimitExceeded", "The number of tags has reached the maximum limit."):
        iam.tag_role(RoleName=role, Tags=[{"Key": "one more", "Value": ""}])


def test_policies_in_a_role(iam, role):
    document = json.dumps(policy(allow("kms:Encrypt")))
    iam.put_role_policy(RoleName=role, PolicyName="in", PolicyDocument=document)
    shown = iam.get_role_policy(RoleName=role.upper(), PolicyName="in")
    assert (shown["RoleName"], shown["PolicyName"]) == (role, "in")
    assert shown["PolicyDocument"] == json.loads(document)
    iam.put_role_policy(RoleName=role, PolicyName="also", PolicyDocument=READ)
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["also", "in"]
    with refused("DeleteConflict", "Cannot delete entity, must delete policies first."):
        iam.delete_role(RoleName=role)
    iam.delete_role_policy(RoleName=role, PolicyName="also")
    gone = "The role policy with name also cannot be found."
    for call in (iam.delete_role_policy, iam.get_role_policy):
        with refused("NoSuchEntity", gone):
            call(RoleName=role, PolicyName="also")
    large = json.dumps(policy(allow("kms:Encrypt", ["arn:aws:kms:" + "x" * 9000])))
    with refused("LimitExceeded", f"Maximum policy size of 10240 bytes exceeded for role {role}"):
        for number in range(2):
            iam.put_role_policy(RoleName=role, PolicyName=f"l{number}", PolicyDocument=large)
    with refused("MalformedPolicyDocument"):
        iam.put_role_policy(RoleName=role, PolicyName="in", PolicyDocument="{}")


def test_policies_attached_to_a_role(iam, role):
    attached = new_policy(iam)
    for _ in range(2):
        iam.attach_role_policy(RoleName=role, PolicyArn=attached)
    name = attached.rsplit("/", 1)[1]
    listed = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert listed == [{"PolicyName": name, "PolicyArn": attached}]
    assert iam.get_policy(PolicyArn=attached)["Policy"]["AttachmentCount"] == 1
    role_id = iam.get_role(RoleName=role)["Role"]["RoleId"]
    for filters in ({}, {"EntityFilter": "Role"}, {"PolicyUsageFilter": "PermissionsPolicy"}):
        entities = iam.list_entities_for_policy(PolicyArn=attached, **filters)
        assert entities["PolicyRoles"] == [{"RoleName": role, "RoleId": role_id}]
    assert not iam.list_entities_for_policy(PolicyArn=attached, EntityFilter="User")["PolicyRoles"]
    with refused("DeleteConflict", "Cannot delete entity, must detach all policies first."):
        iam.delete_role(RoleName=role)
    with refused("DeleteConflict", "Cannot delete a policy attached to entities."):
        iam.delete_policy(PolicyArn=attached)
    iam.detach_role_policy(RoleName=role, PolicyArn=attached)
    with refused("NoSuchEntity", f"Policy {attached} was not found."):
        iam.detach_role_policy(RoleName=role, PolicyArn=attached)
    with refused("NoSuchEntity"):
        iam.attach_role_policy(RoleName=role, PolicyArn=arn("policy", "absent"))
    for _ in range(10):
        iam.attach_role_policy(RoleName=role, PolicyArn=new_policy(iam))
    with refused("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"):
        iam.attach_role_policy(RoleName=role, PolicyArn=attached)


def test_the_boundary_of_a_role(iam):
    first, second = new_policy(iam), new_policy(iam)
    role = new_role(iam, PermissionsBoundary=first)

    def boundary():
        return iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary")

    kind = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy"}
    assert boundary() == kind | {"PermissionsBoundaryArn": first}
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=second)
    assert boundary() == kind | {"PermissionsBoundaryArn": second}
    used = iam.get_policy(PolicyArn=second)["Policy"]
    assert (used["AttachmentCount"], used["PermissionsBoundaryUsageCount"]) == (0, 1)
    entities = iam.list_entities_for_policy(
        PolicyArn=second, PolicyUsageFilter="PermissionsBoundary"
    )
    assert [found["RoleName"] for found in entities["PolicyRoles"]] == [role]
    with refused("DeleteConflict", "Cannot delete a policy attached to entities."):
        iam.delete_policy(PolicyArn=second)
    iam.delete_role_permissions_boundary(RoleName=role)
    assert boundary() is None
    iam.delete_policy(PolicyArn=second)
    with refused("NoSuchEntity", f"Policy {second} was not found."):
        iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=second)


def test_trust_policies_that_are_taken(iam, role):
    user = new_user(iam)
    issuer = "oidc.example.com/realms/one"
    web = {"StringEquals": {f"{issuer}:aud": "keystead", f"{issuer}:sub": "job"}}
    external = {"StringEquals": {"sts:ExternalId": "x"}, "StringLike": {"sts:RoleSessionName": "a*"}}
    tags = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    for document in [
        trust({"AWS": [ROOT, OTHER_ACCOUNT, arn("user", user), arn("role", role)]}),
        trust({"AWS": "*"}, ["sts:AssumeRole", "sts:TagSession"], Condition=external | tags),
        trust({"Federated": issuer}, "sts:AssumeRoleWithWebIdentity", Condition=web),
        trust({"Service": "logs.amazonaws.com"}, "sts:*"),
        trust("*", "sts:SetSourceIdentity", Effect="Deny"),
        policy({"Effect": "Deny", "NotPrincipal": {"AWS": ROOT}, "Action": "*"}),
    ]:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))
        assert iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"] == document


def test_trust_policies_that_are_refused(iam, role):
    def refuses(document, code="MalformedPolicyDocument"):
        before = iam.get_role(RoleName=role)
        text = document if isinstance(document, str) else json.dumps(document)
        with refused(code):
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=text)
        with refused(code):
            iam.create_role(RoleName=fresh("role"), AssumeRolePolicyDocument=text)
        assert iam.get_role(RoleName=role)["Role"] == before["Role"]

    for document in [
        "no JSON",
        policy(allow("sts:AssumeRole")),
        policy(allow("sts:AssumeRole", Principal={"AWS": ROOT})),
        policy({"Effect": "Allow", "Action": "sts:AssumeRole"}),
        policy({"Effect": "Allow", "Principal": "*"}),
        policy({"Effect": "Allow", "Principal": "*", "NotAction": "sts:AssumeRole"}),
        policy({"Effect": "Allow", "NotPrincipal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}),
        trust({"AWS": ROOT}, "kms:Decrypt"),
        trust({"AWS": ROOT}, "sts:GetCallerIdentity"),
        trust({"AWS": ROOT}, Condition={"StringNotEquals": {"sts:ExternlId": "x"}}),
        trust({"AWS": arn("user", fresh("nobody"))}),
        trust({"AWS": arn("role", fresh("nobody"))}),
        trust({"AWS": "999999999999"}),
        trust({"AWS": "AROAAAAAAAAAAAAAAAAAA"}),
    ]:
        refuses(document)
    padded = trust({"AWS": ROOT}, Sid="x" * 2048)
    refuses(padded, "LimitExceeded")
    with refused("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"):
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(padded))


def test_a_trust_policy_shows_who_is_meant(iam):
    user = new_user(iam)
    role = new_role(iam, {"AWS": arn("user", user)})
    user_id = iam.get_user(UserName=user)["User"]["UserId"]

    def named():
        document = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        return document["Statement"][0]["Principal"]["AWS"]

    renamed = fresh("renamed")
    iam.update_user(UserName=user, NewUserName=renamed)
    assert named() == arn("user", renamed)
    iam.delete_user(UserName=renamed)
    iam.create_user(UserName=renamed)
    assert named() == user_id


def test_a_key_policy_and_a_grant_name_a_role(node, iam, role):
    kms = node.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    role_arn, role_id = (iam.get_role(RoleName=role)["Role"][part] for part in ("Arn", "RoleId"))
    both = policy(
        allow("kms:*", Principal={"AWS": ROOT}), allow("kms:Encrypt", Principal={"AWS": role_arn})
    )
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(both))
    grant = kms.create_grant(KeyId=key, GranteePrincipal=role_arn, Operations=["Decrypt"])
    assert kms.list_grants(KeyId=key)["Grants"][0]["GranteePrincipal"] == role_arn
    iam.delete_role(RoleName=role)
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust({"AWS": ROOT})))
    shown = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    assert shown["Statement"][1]["Principal"]["AWS"] == role_id
    assert kms.list_grants(KeyId=key)["Grants"][0]["GranteePrincipal"] == role_id
    kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])


def test_what_is_not_there(iam):
    name = fresh("absent")
    for call, more in [
        (iam.get_role, {}),
        (iam.update_role, {}),
        (iam.update_role_description, {"Description": ""}),
        (iam.delete_role, {}),
        (iam.update_assume_role_policy, {"PolicyDocument": json.dumps(trust({"AWS": ROOT}))}),
        (iam.tag_role, {"Tags": [{"Key": "a", "Value": ""}]}),
        (iam.untag_role, {"TagKeys": ["a"]}),
        (iam.list_role_tags, {}),
        (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": READ}),
        (iam.get_role_policy, {"PolicyName": "p"}),
        (iam.list_role_policies, {}),
        (iam.delete_role_policy, {"PolicyName": "p"}),
        (iam.list_attached_role_policies, {}),
        (iam.attach_role_policy, {"PolicyArn": new_policy(iam)}),
        (iam.detach_role_policy, {"PolicyArn": new_policy(iam)}),
        (iam.put_role_permissions_boundary, {"PermissionsBoundary": new_policy(iam)}),
        (iam.delete_role_permissions_boundary, {}),
    ]:
        with absent(name):
            call(RoleName=name, **more)


def test_values_that_are_none(iam, role):
    document = json.dumps(trust({"AWS": ROOT}))
    for more in [
        {"RoleName": "a b"},
        {"RoleName": "x" * 65},
        {"Path": "nowhere"},
        {"MaxSessionDuration": 3599},
        {"MaxSessionDuration": 43201},
        {"Description": "x" * 1001},
        {"PermissionsBoundary": "short"},
    ]:
        with refused("ValidationError"):
            iam.create_role(
                **{"RoleName": fresh("role"), "AssumeRolePolicyDocument": document} | more
            )
    with refused("ValidationError"):
        iam.update_role(RoleName=role, MaxSessionDuration=3599)


def test_operations_on_roles_are_authorised(node, iam):
    role, tagged = new_role(iam), new_role(iam, Tags=[{"Key": "team", "Value": "a"}])
    own = {"StringEquals": {"aws:ResourceTag/team": "a"}}
    user = new_user(
        iam, allow("iam:GetRole", Condition=own), allow("iam:CreateRole"), deny("iam:TagRole")
    )
    theirs = client(node, key_of(iam, user))
    assert theirs.get_role(RoleName=tagged)["Role"]["RoleName"] == tagged
    with refused(
        "AccessDenied", unauthorised(arn("user", user), "iam:GetRole", arn("role", role))
    ):
        theirs.get_role(RoleName=role)
    document = json.dumps(trust({"AWS": ROOT}))
    name = fresh("role")
    with refused("AccessDenied"):
        theirs.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=document,
            Tags=[{"Key": "team", "Value": "a"}],
        )
    theirs.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    with refused("AccessDenied"):
        theirs.update_assume_role_policy(RoleName=name, PolicyDocument=document)


def test_an_operator_ends_sessions(tmp_path):
    with serving(tmp_path) as server:
        iam = server.client("iam")
        role, user = new_role(iam), new_user(iam)

        def revoke(*of, account=ACCOUNT):
            return server.run("account", "revoke-sessions", "--account", account, *of)

        for of in [(), ("--user", user), ("--role", role.upper())]:
            done = revoke(*of)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        nobody = fresh("nobody")
        for of, told in [
            (("--user", nobody), f"there is no user {nobody} in account {ACCOUNT}"),
            (("--role", nobody), f"there is no role {nobody} in account {ACCOUNT}"),
            (("--user", user, "--role", role), "cannot be used with"),
        ]:
            refusal = revoke(*of)
            assert refusal.returncode != 0
            assert told in refusal.stderr
        elsewhere = revoke(account=OTHER_ACCOUNT)
        assert f"there is no account {OTHER_ACCOUNT}" in elsewhere.stderr
        # Keys that are no session's go on.
        assert iam.get_role(RoleName=role)["Role"]["RoleName"] == role
