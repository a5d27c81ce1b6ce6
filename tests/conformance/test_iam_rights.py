"""Who may manage whom: by policies, within boundaries, in the own account; retries; suspension."""

import concurrent.futures
import json

import pytest
from iam_world import (
    allow,
    arn,
    client,
    deny,
    fresh,
    key_of,
    losing_first_replies,
    new_user,
    policy,
    refused,
    unauthorised,
)
from node import ACCOUNT, OTHER_ACCOUNT, serving


@pytest.fixture(scope="module")
def iam(node):
    return node.client("iam")


def managed(iam, *statements, **more):
    document = json.dumps(policy(*statements))
    made = iam.create_policy(PolicyName=fresh("policy"), PolicyDocument=document, **more)
    return made["Policy"]["Arn"]


def acting(node, iam, *statements, **more):
    """A new user's name, and its client."""
    name = new_user(iam, *statements, **more)
    return name, client(node, key_of(iam, name))


def denied(user, action, resource):
    return refused("AccessDenied", unauthorised(arn("user", user), action, resource))


def test_an_administrator_manages_and_others_do_not(node, iam):
    _, admin = acting(node, iam, allow("iam:*"))
    other, nobody = acting(node, admin)
    with denied(other, "iam:CreateUser", arn("user", "x")):
        nobody.create_user(UserName="x")
    with denied(other, "iam:ListUsers", arn("user", "", "/a/")):
        nobody.list_users(PathPrefix="/a/")
    with denied(other, "iam:GetUser", arn("user", other)):
        nobody.get_user()
    with denied(other, "iam:GetAccessKeyLastUsed", "*"):
        nobody.get_access_key_last_used(AccessKeyId="AKIAAAAAAAAAAAAAAAAA")
    admin.put_user_policy(
        UserName=other, PolicyName="p", PolicyDocument=json.dumps(policy(allow("iam:GetUser")))
    )
    assert nobody.get_user()["User"]["UserName"] == other
    admin.delete_user_policy(UserName=other, PolicyName="p")
    with denied(other, "iam:GetUser", arn("user", other)):
        nobody.get_user()


def test_a_denial_does_not_tell_whether_anything_exists(node, iam):
    somebody = new_user(iam, Path="/hidden/", Tags=[{"Key": "secret", "Value": "yes"}])
    hidden = managed(iam, allow("kms:*"), Path="/hidden/")
    group = fresh("group")
    iam.create_group(GroupName=group, Path="/hidden/")
    key = key_of(iam, somebody)["AccessKeyId"]
    me, mine = acting(
        node,
        iam,
        deny("iam:*", Condition={"StringEquals": {"iam:ResourceTag/secret": "yes"}}),
        deny("iam:*", arn("user", "*", "/hidden/")),
    )
    for name in (somebody, fresh("absent")):
        for action, call in [
            ("GetUser", lambda name: mine.get_user(UserName=name)),
            ("DeleteUser", lambda name: mine.delete_user(UserName=name)),
            ("CreateAccessKey", lambda name: mine.create_access_key(UserName=name)),
            (
                "PutUserPolicy",
                lambda name: mine.put_user_policy(
                    UserName=name, PolicyName="p", PolicyDocument="none"
                ),
            ),
        ]:
            with denied(me, f"iam:{action}", arn("user", name)):
                call(name)
    for name in (group, fresh("absent")):
        with denied(me, "iam:GetGroup", arn("group", name)):
            mine.get_group(GroupName=name)
    for name in (hidden, arn("policy", "absent"), "arn:aws:iam::aws:policy/AdministratorAccess"):
        with denied(me, "iam:GetPolicy", name):
            mine.get_policy(PolicyArn=name)
    for name in (key, "AKIAAAAAAAAAAAAAAAAA"):
        with denied(me, "iam:GetAccessKeyLastUsed", "*"):
            mine.get_access_key_last_used(AccessKeyId=name)


def test_an_explicit_denial_says_so(node, iam):
    me, mine = acting(node, iam, allow("iam:*"), deny("iam:CreateUser"))
    text = f"User: {arn('user', me)} is not authorized to perform: iam:CreateUser on resource: "
    text += f"{arn('user', 'x')} with an explicit deny in an identity-based policy"
    with refused("AccessDenied", text):
        mine.create_user(UserName="x")


def test_names_in_another_case_are_the_same_to_policies(node, iam):
    protected, other = new_user(iam, Path="/vip/"), new_user(iam)
    _, mine = acting(node, iam, allow("iam:*"), deny("iam:*", arn("user", protected, "/vip/")))
    with refused("AccessDenied"):
        mine.delete_user(UserName=protected.upper())
    forbidden = managed(iam, allow("*"))
    attach = deny("iam:AttachUserPolicy", Condition={"ArnEquals": {"iam:PolicyARN": forbidden}})
    _, mine = acting(node, iam, allow("iam:*"), attach)
    name = forbidden.rpartition("/")[2]
    for written in (forbidden, forbidden.replace(name, name.upper())):
        with refused("AccessDenied"):
            mine.attach_user_policy(UserName=other, PolicyArn=written)
    iam.attach_user_policy(UserName=other, PolicyArn=forbidden.replace(name, name.upper()))


def test_nobody_does_anything_in_another_account(node, iam):
    theirs = node.client("iam", account=OTHER_ACCOUNT)
    name = fresh("user")
    iam.create_user(UserName=name)
    with refused("NoSuchEntity"):
        theirs.get_user(UserName=name)
    mine = managed(iam, allow("kms:*"))
    root = f"arn:aws:iam::{OTHER_ACCOUNT}:root"
    calls = {
        "GetPolicy": theirs.get_policy,
        "DeletePolicy": theirs.delete_policy,
        "ListPolicyTags": theirs.list_policy_tags,
    }
    for action, call in calls.items():
        with refused("AccessDenied", unauthorised(root, f"iam:{action}", mine)):
            call(PolicyArn=mine)
    with refused("NoSuchEntity"):
        theirs.create_user(UserName=fresh("user"), PermissionsBoundary=mine)
    key = key_of(iam, name)
    with refused("NoSuchEntity"):
        theirs.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
    with refused("NoSuchEntity"):
        theirs.delete_access_key(AccessKeyId=key["AccessKeyId"])


def test_a_boundary_bounds_and_can_be_made_a_condition(node, iam):
    boundary, wider = managed(iam, allow("iam:Get*")), managed(iam, allow("*"))
    bounded, mine = acting(node, iam, allow("iam:*"), PermissionsBoundary=boundary)
    assert mine.get_user()["User"]["UserName"] == bounded
    with refused("AccessDenied"):
        mine.create_user(UserName=fresh("user"))
    with refused("AccessDenied"):
        mine.delete_user_permissions_boundary(UserName=bounded)

    condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    gated = [f"iam:{name}UserPolicy" for name in ("Put", "Delete", "Attach", "Detach")]
    gated += ["iam:CreateUser", "iam:PutUserPermissionsBoundary"]
    _, limited = acting(node, iam, allow(gated, Condition=condition))
    free, made = new_user(iam), fresh("user")
    for more in ({}, {"PermissionsBoundary": wider}):
        with refused("AccessDenied"):
            limited.create_user(UserName=made, **more)
    limited.create_user(UserName=made, PermissionsBoundary=boundary)
    document = json.dumps(policy(allow("*")))
    for call in [
        lambda user: limited.put_user_policy(
            UserName=user, PolicyName="p", PolicyDocument=document
        ),
        lambda user: limited.delete_user_policy(UserName=user, PolicyName="p"),
        lambda user: limited.attach_user_policy(UserName=user, PolicyArn=wider),
        lambda user: limited.detach_user_policy(UserName=user, PolicyArn=wider),
    ]:
        with refused("AccessDenied"):
            call(free)
        call(made)
    with refused("AccessDenied"):
        limited.put_user_permissions_boundary(UserName=made, PermissionsBoundary=wider)
    limited.put_user_permissions_boundary(UserName=free, PermissionsBoundary=boundary)
    with refused("NoSuchEntity"):
        iam.put_user_permissions_boundary(
            UserName=free, PermissionsBoundary=arn("policy", "absent")
        )


def test_policies_may_ask_about_tags(node, iam):
    mine = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}
    given = {"StringEquals": {"aws:RequestTag/team": "a"}}
    me, tagged = acting(
        node,
        iam,
        allow("iam:GetUser", Condition=mine),
        allow(["iam:CreateUser", "iam:TagUser"], Condition=given),
        Tags=[{"Key": "team", "Value": "a"}],
    )
    for team, allowed in (("a", True), ("b", False)):
        tags = [{"Key": "team", "Value": team}]
        name = new_user(iam, Tags=tags)
        calls = [
            lambda: tagged.get_user(UserName=name),
            lambda: tagged.tag_user(UserName=name, Tags=tags),
            lambda: tagged.create_user(UserName=fresh("user"), Tags=tags),
        ]
        for call in calls:
            if allowed:
                call()
            else:
                with refused("AccessDenied"):
                    call()
    # Whoever may not tag may not create what is tagged.
    me, creator = acting(node, iam, allow(["iam:CreateUser", "iam:CreatePolicy"]))
    creator.create_user(UserName=fresh("user"))
    with denied(me, "iam:TagUser", arn("user", "x")):
        creator.create_user(UserName="x", Tags=[{"Key": "team", "Value": "a"}])
    with denied(me, "iam:TagPolicy", arn("policy", "x")):
        document = json.dumps(policy(allow("*")))
        creator.create_policy(
            PolicyName="x", PolicyDocument=document, Tags=[{"Key": "k", "Value": "v"}]
        )


def test_renaming_needs_both_names(node, iam):
    name, path = new_user(iam), "/free/"
    both = [arn("user", name), arn("user", "*", path)]
    me, mine = acting(node, iam, allow("iam:UpdateUser", both))
    with denied(me, "iam:UpdateUser", arn("user", "root")):
        mine.update_user(UserName=name, NewUserName="root")
    mine.update_user(UserName=name, NewPath=path)


def test_users_of_the_same_name_are_not_the_same(node, iam):
    name, old = acting(node, iam, allow("iam:*"))
    (key,) = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="own")
    iam.delete_user(UserName=name)
    iam.create_user(UserName=name)
    with refused("InvalidClientTokenId"):
        old.get_user()


def test_what_is_written_down_holds_no_secret(tmp_path):
    with serving(tmp_path) as server:
        iam = server.client("iam")
        name = new_user(iam, allow("iam:GetUser"))
        key = key_of(iam, name)
        with refused("AccessDenied"):
            client(server, key).list_users()
        trail = "".join(path.read_text() for path in tmp_path.rglob("audit*.json*"))
        assert key["SecretAccessKey"] not in trail
        assert key["SecretAccessKey"] not in server.output()
        records = {}
        for record in map(json.loads, trail.splitlines()):
            records[record["eventName"]] = record
        made = records["CreateAccessKey"]
        assert made["eventSource"] == "iam.amazonaws.com"
        assert made["requestParameters"] == {"userName": name}
        assert made["responseElements"]["accessKey"]["accessKeyId"] == key["AccessKeyId"]
        assert made["readOnly"] is False
        assert records["PutUserPolicy"]["requestParameters"]["policyName"] == "own"
        refusal = records["ListUsers"]
        assert (refusal["errorCode"], refusal["readOnly"]) == ("AccessDenied", True)
        assert refusal["userIdentity"]["userName"] == name


def test_a_repeated_call_takes_effect_once(tmp_path):
    with serving(tmp_path) as server:
        iam = losing_first_replies(server.client("iam", retries={"mode": "standard"}))
        user = iam.create_user(UserName="repeated")
        assert user["ResponseMetadata"]["RetryAttempts"] == 1
        made = iam.create_access_key(UserName="repeated")["AccessKey"]
        direct = server.client("iam")
        (listed,) = direct.list_access_keys(UserName="repeated")["AccessKeyMetadata"]
        assert listed["AccessKeyId"] == made["AccessKeyId"]
        assert client(server, made, "sts").get_caller_identity()["Arn"] == user["User"]["Arn"]
        document = json.dumps(policy(allow("*")))
        arn = iam.create_policy(PolicyName="p", PolicyDocument=document)["Policy"]["Arn"]
        version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document)
        assert version["PolicyVersion"]["VersionId"] == "v2"
        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
        iam.delete_policy(PolicyArn=arn)
        iam.delete_access_key(UserName="repeated", AccessKeyId=made["AccessKeyId"])
        iam.delete_user(UserName="repeated")


def test_changes_of_one_user_at_the_same_time_all_take_effect(node, iam):
    user, names = new_user(iam), [f"tag-{n}" for n in range(40)]

    def tag(name):
        iam.tag_user(UserName=user, Tags=[{"Key": name, "Value": ""}])

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(tag, names))
    tags = iam.list_user_tags(UserName=user)["Tags"]
    assert {entry["Key"] for entry in tags} == set(names)


def test_a_suspended_account_is_refused_and_keeps_its_keys(tmp_path):
    with serving(tmp_path) as server:
        iam = server.client("iam")
        user = key_of(iam, new_user(iam, allow("kms:*")))
        kms = client(server, user, "kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]

        def account(*arguments):
            return server.run("account", *arguments)

        def status():
            listed = json.loads(account("list", "--output", "json").stdout)["Accounts"]
            return {entry["AccountId"]: entry["Status"] for entry in listed}

        assert status() == {ACCOUNT: "active"}
        assert account("suspend", ACCOUNT).returncode == 0
        assert status() == {ACCOUNT: "suspended"}
        with refused("InvalidClientTokenId"):
            iam.list_users()
        with refused("InvalidClientTokenId"):
            client(server, user, "sts").get_caller_identity()
        with refused("UnrecognizedClientException"):
            kms.describe_key(KeyId=key)
        assert account("resume", ACCOUNT).returncode == 0
        assert status() == {ACCOUNT: "active"}
        assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
        unknown = account("suspend", OTHER_ACCOUNT)
        assert unknown.returncode != 0
        assert f"there is no account {OTHER_ACCOUNT}" in unknown.stderr
