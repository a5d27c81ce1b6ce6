"""IAM's operations, with boto3 and the `aws` command line: the lives of users, access keys, groups
and policies, what is listed, what is refused in which words."""

import datetime
import json
import re

import pytest
from iam_world import allow, arn, client, fresh, key_of, new_user, policy, refused
from node import ACCOUNT, OTHER_ACCOUNT
from test_cli_aws import run

READ = policy(allow("kms:Describe*"))
WRITE = policy(
    allow("kms:Encrypt", Condition={"StringEquals": {"aws:PrincipalTag/t": "Ärger + %2B"}})
)


@pytest.fixture(scope="module")
def iam(node):
    return node.client("iam")


@pytest.fixture
def user(iam):
    return new_user(iam)


@pytest.fixture
def group(iam):
    name = fresh("group")
    iam.create_group(GroupName=name)
    return name


def new_policy(iam, document=READ, **more):
    name = fresh("policy")
    made = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document), **more)
    return made["Policy"]["Arn"]


def whole(listed, member):
    """A list that is not cut off."""
    assert listed["IsTruncated"] is False
    assert "Marker" not in listed
    return listed[member]


def test_a_user_from_its_making_to_its_end(iam):
    name, renamed = fresh("User"), fresh("Renamed")
    made = iam.create_user(
        UserName=name,
        Path="/team/",
        Tags=[{"Key": "Team", "Value": "a"}, {"Key": "b", "Value": ""}],
    )["User"]
    assert (made["UserName"], made["Path"]) == (name, "/team/")
    assert made["Arn"] == arn("user", name, "/team/")
    assert re.fullmatch("AIDA[A-Z0-9]{17}", made["UserId"])
    age = datetime.datetime.now(datetime.UTC) - made["CreateDate"]
    assert datetime.timedelta(seconds=-2) < age < datetime.timedelta(seconds=60)
    assert iam.get_user(UserName=name.upper())["User"] == made
    with refused("EntityAlreadyExists", f"User with name {name.lower()} already exists."):
        iam.create_user(UserName=name.lower())

    iam.update_user(UserName=name, NewUserName=renamed, NewPath="/other/")
    found = iam.get_user(UserName=renamed)["User"]
    assert (found["UserId"], found["Arn"]) == (made["UserId"], arn("user", renamed, "/other/"))
    with refused("NoSuchEntity", f"The user with name {name} cannot be found."):
        iam.get_user(UserName=name)
    listed = iam.list_users(PathPrefix="/other/")["Users"]
    assert {"Tags", "PermissionsBoundary"}.isdisjoint(*listed)
    assert renamed in {user["UserName"] for user in listed}
    assert name not in {user["UserName"] for user in iam.list_users(PathPrefix="/team/")["Users"]}

    iam.delete_user(UserName=renamed)
    with refused("NoSuchEntity", f"The user with name {renamed} cannot be found."):
        iam.delete_user(UserName=renamed)


def test_the_root_is_no_user(iam):
    root = iam.get_user()["User"]
    assert root["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert root["UserId"] == ACCOUNT
    assert "UserName" not in root


def test_tags_of_users_and_policies(iam, user):
    users = (iam.tag_user, iam.untag_user, iam.list_user_tags), {"UserName": user}
    arn = new_policy(iam, Tags=[{"Key": "made", "Value": "with"}])
    assert iam.get_policy(PolicyArn=arn)["Policy"]["Tags"] == [{"Key": "made", "Value": "with"}]
    iam.untag_policy(PolicyArn=arn, TagKeys=["made"])
    policies = (iam.tag_policy, iam.untag_policy, iam.list_policy_tags), {"PolicyArn": arn}
    for (tag, untag, listed), named in [users, policies]:
        tag(**named, Tags=[{"Key": "A", "Value": "1"}, {"Key": "b:c", "Value": "2"}])
        tag(**named, Tags=[{"Key": "a", "Value": "3"}])
        tags = [{"Key": "a", "Value": "3"}, {"Key": "b:c", "Value": "2"}]
        assert whole(listed(**named), "Tags") == tags
        first = listed(**named, MaxItems=1)
        assert (first["Tags"], first["IsTruncated"]) == (tags[:1], True)
        assert whole(listed(**named, Marker=first["Marker"]), "Tags") == tags[1:]
        untag(**named, TagKeys=["A", "absent"])
        assert whole(listed(**named), "Tags") == tags[1:]
        with refused(
            "InvalidInput",
            "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
        ):
            tag(**named, Tags=[{"Key": "x", "Value": "1"}, {"Key": "X", "Value": "2"}])
        with refused("InvalidInput", "Tag keys that start with 'aws:' are reserved."):
            tag(**named, Tags=[{"Key": "AWS:x", "Value": "1"}])
        tag(**named, Tags=[{"Key": f"t{n}", "Value": ""} for n in range(49)])
        with refused("LimitExceeded", "The number of tags has reached the maximum limit."):
            tag(**named, Tags=[{"Key": "one more", "Value": ""}])


def test_an_access_key_from_its_making_to_its_end(node, iam, user):
    made = key_of(iam, user)
    assert (made["UserName"], made["Status"]) == (user, "Active")
    assert re.fullmatch("AKIA[A-Z2-7]{16}", made["AccessKeyId"])
    assert re.fullmatch("[A-Za-z0-9+/]{40}", made["SecretAccessKey"])
    identity = client(node, made, "sts").get_caller_identity()
    assert identity["Arn"] == arn("user", user)
    assert identity["UserId"] == iam.get_user(UserName=user)["User"]["UserId"]

    second = key_of(iam, user)
    with refused("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2"):
        key_of(iam, user)
    listed = whole(iam.list_access_keys(UserName=user), "AccessKeyMetadata")
    ids = sorted([made["AccessKeyId"], second["AccessKeyId"]])
    assert [key["AccessKeyId"] for key in listed] == ids
    assert all(key.keys() == {"UserName", "AccessKeyId", "Status", "CreateDate"} for key in listed)
    used = iam.get_access_key_last_used(AccessKeyId=made["AccessKeyId"])
    assert used["UserName"] == user
    assert used["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}

    named = {"UserName": user, "AccessKeyId": made["AccessKeyId"]}
    iam.update_access_key(**named, Status="Inactive")
    with refused("InvalidClientTokenId"):
        client(node, made, "sts").get_caller_identity()
    client(node, second, "sts").get_caller_identity()
    iam.update_access_key(**named, Status="Active")
    client(node, made, "sts").get_caller_identity()
    with refused("ValidationError", "The status Expired cannot be set."):
        iam.update_access_key(**named, Status="Expired")
    iam.delete_access_key(**named)
    with refused("InvalidClientTokenId"):
        client(node, made, "sts").get_caller_identity()
    gone = f"The Access Key with id {made['AccessKeyId']} cannot be found."
    for refuses in [
        lambda: iam.delete_access_key(**named),
        lambda: iam.update_access_key(**named, Status="Active"),
        lambda: iam.get_access_key_last_used(AccessKeyId=made["AccessKeyId"]),
        # It is the user's, not the root's who asks.
        lambda: iam.delete_access_key(AccessKeyId=made["AccessKeyId"]),
    ]:
        with refused("NoSuchEntity", gone):
            refuses()


def test_without_a_name_the_caller_is_meant(node, iam):
    name = new_user(iam, allow("iam:*AccessKey*"), allow("iam:GetUser"))
    own = client(node, key_of(iam, name))
    assert own.get_user()["User"]["UserName"] == name
    second = own.create_access_key()["AccessKey"]
    assert second["UserName"] == name
    assert len(own.list_access_keys()["AccessKeyMetadata"]) == 2
    own.update_access_key(AccessKeyId=second["AccessKeyId"], Status="Inactive")
    own.delete_access_key(AccessKeyId=second["AccessKeyId"])
    assert len(iam.list_access_keys(UserName=name)["AccessKeyMetadata"]) == 1
    # The root's are the account's.
    made = iam.create_access_key()["AccessKey"]
    assert client(node, made, "sts").get_caller_identity()["Arn"].endswith(":root")
    ids = {key["AccessKeyId"] for key in iam.list_access_keys()["AccessKeyMetadata"]}
    assert made["AccessKeyId"] in ids
    iam.delete_access_key(AccessKeyId=made["AccessKeyId"])


def test_a_group_from_its_making_to_its_end(iam, user):
    name, renamed = fresh("Group"), fresh("Renamed")
    made = iam.create_group(GroupName=name, Path="/g/")["Group"]
    assert (made["Arn"], made["Path"]) == (arn("group", name, "/g/"), "/g/")
    assert re.fullmatch("AGPA[A-Z0-9]{17}", made["GroupId"])
    with refused("EntityAlreadyExists", f"Group with name {name.upper()} already exists."):
        iam.create_group(GroupName=name.upper())
    for _ in range(2):
        iam.add_user_to_group(GroupName=name, UserName=user)
    found = iam.get_group(GroupName=name)
    assert found["Group"] == made
    assert [member["UserName"] for member in whole(found, "Users")] == [user]
    assert whole(iam.list_groups_for_user(UserName=user), "Groups") == [made]
    member = "Cannot delete entity, must remove users from group first."
    with refused("DeleteConflict", member):
        iam.delete_group(GroupName=name)
    with refused("DeleteConflict", member):
        iam.delete_user(UserName=user)
    iam.update_group(GroupName=name, NewGroupName=renamed, NewPath="/h/")
    assert made["GroupId"] in {g["GroupId"] for g in iam.list_groups(PathPrefix="/h/")["Groups"]}
    assert [g["GroupName"] for g in iam.list_groups_for_user(UserName=user)["Groups"]] == [renamed]
    iam.remove_user_from_group(GroupName=renamed, UserName=user)
    iam.delete_group(GroupName=renamed)
    with refused("NoSuchEntity", f"The group with name {renamed} cannot be found."):
        iam.get_group(GroupName=renamed)
    with refused("NoSuchEntity", f"The group with name {renamed} cannot be found."):
        iam.add_user_to_group(GroupName=renamed, UserName=user)


@pytest.mark.parametrize("kind", ["user", "group"])
def test_policies_within_users_and_groups(iam, request, kind):
    name = request.getfixturevalue(kind)
    named = {f"{kind.title()}Name": name}
    put, get, listed, delete = (
        getattr(iam, operation.format(kind))
        for operation in (
            "put_{}_policy",
            "get_{}_policy",
            "list_{}_policies",
            "delete_{}_policy",
        )
    )
    put(**named, PolicyName="one", PolicyDocument=json.dumps(READ))
    put(**named, PolicyName="two", PolicyDocument=json.dumps(READ))
    put(**named, PolicyName="two", PolicyDocument=json.dumps(WRITE, ensure_ascii=False))
    found = get(**named, PolicyName="two")
    assert found["PolicyDocument"] == WRITE
    assert (found[f"{kind.title()}Name"], found["PolicyName"]) == (name, "two")
    assert whole(listed(**named), "PolicyNames") == ["one", "two"]
    assert listed(**named, MaxItems=1)["PolicyNames"] == ["one"]
    with refused("DeleteConflict", "Cannot delete entity, must delete policies first."):
        getattr(iam, f"delete_{kind}")(**named)
    delete(**named, PolicyName="one")
    gone = f"The {kind} policy with name one cannot be found."
    for refuses in (get, delete):
        with refused("NoSuchEntity", gone):
            refuses(**named, PolicyName="one")
    limit = {"user": 2048, "group": 5120}[kind]
    long = policy(allow("kms:" + "a" * limit))
    exceeded = f"Maximum policy size of {limit} bytes exceeded for {kind} {name}"
    with refused("LimitExceeded", exceeded):
        put(**named, PolicyName="long", PolicyDocument=json.dumps(long))
    with refused("MalformedPolicyDocument"):
        put(**named, PolicyName="bad", PolicyDocument='{"Version": "2012-10-17"}')
    with refused("MalformedPolicyDocument"):
        principal = policy(allow("kms:*", Principal="*"))
        put(**named, PolicyName="bad", PolicyDocument=json.dumps(principal))
    delete(**named, PolicyName="two")


@pytest.mark.parametrize("kind", ["user", "group"])
def test_managed_policies_on_users_and_groups(iam, request, kind):
    name = request.getfixturevalue(kind)
    named = {f"{kind.title()}Name": name}
    attach, detach = getattr(iam, f"attach_{kind}_policy"), getattr(iam, f"detach_{kind}_policy")
    listed = getattr(iam, f"list_attached_{kind}_policies")
    inner, outer = new_policy(iam, Path="/inner/"), new_policy(iam)
    for arn in (inner, outer, outer):
        attach(**named, PolicyArn=arn)
    attached = whole(listed(**named), "AttachedPolicies")
    assert {entry["PolicyArn"] for entry in attached} == {inner, outer}
    prefixed = listed(**named, PathPrefix="/inner/")["AttachedPolicies"]
    assert [entry["PolicyArn"] for entry in prefixed] == [inner]
    with refused("DeleteConflict", "Cannot delete entity, must detach all policies first."):
        getattr(iam, f"delete_{kind}")(**named)
    with refused("DeleteConflict", "Cannot delete a policy attached to entities."):
        iam.delete_policy(PolicyArn=inner)
    entities = iam.list_entities_for_policy(PolicyArn=inner)
    assert [e[f"{kind.title()}Name"] for e in entities[f"Policy{kind.title()}s"]] == [name]
    assert sum(len(entities[f"Policy{kinds}s"]) for kinds in ("User", "Group", "Role")) == 1
    assert iam.get_policy(PolicyArn=inner)["Policy"]["AttachmentCount"] == 1
    detach(**named, PolicyArn=inner)
    with refused("NoSuchEntity", f"Policy {inner} was not found."):
        detach(**named, PolicyArn=inner)
    other_path = inner.replace("/inner/", "/")
    for absent in (
        other_path,
        inner.replace(ACCOUNT, OTHER_ACCOUNT),
        "arn:aws:iam::aws:policy/AdministratorAccess",
    ):
        with refused("NoSuchEntity", f"Policy {absent} does not exist or is not attachable."):
            attach(**named, PolicyArn=absent)
    for _ in range(9):
        attach(**named, PolicyArn=new_policy(iam))
    with refused("LimitExceeded", f"Cannot exceed quota for PoliciesPer{kind.title()}: 10"):
        attach(**named, PolicyArn=inner)


def test_a_managed_policy_from_its_making_to_its_end(iam):
    name = fresh("Policy")
    made = iam.create_policy(
        PolicyName=name, Path="/p/", PolicyDocument=json.dumps(READ), Description="What for"
    )["Policy"]
    assert (made["Arn"], made["PolicyName"]) == (arn("policy", name, "/p/"), name)
    assert re.fullmatch("ANPA[A-Z0-9]{17}", made["PolicyId"])
    assert (made["DefaultVersionId"], made["IsAttachable"]) == ("v1", True)
    assert (made["AttachmentCount"], made["PermissionsBoundaryUsageCount"]) == (0, 0)
    named = {"PolicyArn": made["Arn"]}
    assert iam.get_policy(**named)["Policy"] == made
    assert made["Description"] == "What for"
    exists = f"A policy called {name} already exists. Duplicate names are not allowed."
    with refused("EntityAlreadyExists", exists):
        iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(READ))

    write = json.dumps(WRITE, ensure_ascii=False)
    second = iam.create_policy_version(**named, PolicyDocument=write)["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", False)
    third = iam.create_policy_version(**named, PolicyDocument=write, SetAsDefault=True)
    assert third["PolicyVersion"]["IsDefaultVersion"] is True
    assert "Document" not in third["PolicyVersion"]
    for _ in range(2):
        iam.create_policy_version(**named, PolicyDocument=write)
    with refused(
        "LimitExceeded",
        "A managed policy can have up to 5 versions. Before you create a new version, you must "
        "delete an existing version.",
    ):
        iam.create_policy_version(**named, PolicyDocument=write)
    versions = whole(iam.list_policy_versions(**named), "Versions")
    assert [version["VersionId"] for version in versions] == ["v5", "v4", "v3", "v2", "v1"]
    assert [version["IsDefaultVersion"] for version in versions].index(True) == 2
    shown = iam.get_policy_version(**named, VersionId="v2")["PolicyVersion"]
    assert (shown["Document"], shown["IsDefaultVersion"]) == (WRITE, False)
    with refused("DeleteConflict", "Cannot delete the default version of a policy."):
        iam.delete_policy_version(**named, VersionId="v3")
    iam.set_default_policy_version(**named, VersionId="v2")
    iam.delete_policy_version(**named, VersionId="v3")
    absent = f"Policy {made['Arn']} version v3 does not exist or is not attachable."
    for refuses in (
        iam.get_policy_version,
        iam.delete_policy_version,
        iam.set_default_policy_version,
    ):
        with refused("NoSuchEntity", absent):
            refuses(**named, VersionId="v3")
    with refused("DeleteConflict"):
        iam.delete_policy(**named)
    for version in ("v1", "v4", "v5"):
        iam.delete_policy_version(**named, VersionId=version)
    assert iam.get_policy(**named)["Policy"]["DefaultVersionId"] == "v2"
    iam.delete_policy(**named)
    with refused("NoSuchEntity", f"Policy {made['Arn']} was not found."):
        iam.get_policy(**named)


def test_the_size_of_a_managed_policy_is_without_white_space(iam):
    most = policy(allow("kms:Encrypt"))
    compact = json.dumps(most, separators=(",", ":"))
    filler = "x" * (6144 - len(compact) - len(',"Sid":""'))
    most["Statement"][0]["Sid"] = filler
    arn = new_policy(iam, most)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 0
    most["Statement"][0]["Sid"] += "x"
    with refused("LimitExceeded", "Cannot exceed quota for PolicySize: 6144"):
        new_policy(iam, most)


def test_which_policies_are_listed(iam, user):
    path = f"/{fresh('path')}/"
    idle, attached, bounding = (new_policy(iam, Path=path) for _ in range(3))
    iam.attach_user_policy(UserName=user, PolicyArn=attached)
    iam.put_user_permissions_boundary(UserName=user, PermissionsBoundary=bounding)

    def listed(**how):
        return {entry["Arn"] for entry in iam.list_policies(PathPrefix=path, **how)["Policies"]}

    assert listed() == listed(Scope="Local") == listed(Scope="All") == {idle, attached, bounding}
    assert listed(Scope="AWS") == set()
    assert listed(OnlyAttached=True) == {attached, bounding}
    assert listed(PolicyUsageFilter="PermissionsPolicy") == {attached}
    assert listed(PolicyUsageFilter="PermissionsBoundary") == {bounding}
    entities = iam.list_entities_for_policy
    assert entities(PolicyArn=bounding)["PolicyUsers"][0]["UserName"] == user
    assert not entities(PolicyArn=bounding, PolicyUsageFilter="PermissionsPolicy")["PolicyUsers"]
    assert not entities(PolicyArn=bounding, EntityFilter="Group")["PolicyUsers"]
    assert not entities(PolicyArn=bounding, PathPrefix="/elsewhere/")["PolicyUsers"]
    iam.attach_user_policy(UserName=user, PolicyArn=bounding)
    assert len(entities(PolicyArn=bounding)["PolicyUsers"]) == 1
    whole_user = iam.get_user(UserName=user)["User"]
    assert whole_user["PermissionsBoundary"] == {
        "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
        "PermissionsBoundaryArn": bounding,
    }
    iam.delete_user_permissions_boundary(UserName=user)
    assert "PermissionsBoundary" not in iam.get_user(UserName=user)["User"]


def test_two_hundred_and_fifty_users_in_pages(iam):
    path, group = f"/{fresh('many')}/", fresh("group")
    iam.create_group(GroupName=group)
    names = [fresh("U" if n % 2 else "u") for n in range(250)]
    for name in names:
        iam.create_user(UserName=name, Path=path)
        iam.add_user_to_group(GroupName=group, UserName=name)
    in_order = sorted(names, key=str.lower)

    def pages(operation, **how):
        marker = {}
        while True:
            page = operation(**how, **marker)
            yield [user["UserName"] for user in page["Users"]]
            assert page["IsTruncated"] == ("Marker" in page)
            if not page["IsTruncated"]:
                return
            marker = {"Marker": page["Marker"]}

    for operation, named in [
        (iam.list_users, {"PathPrefix": path}),
        (iam.get_group, {"GroupName": group}),
    ]:
        for how, sizes in [
            ({}, [100, 100, 50]),
            ({"MaxItems": 125}, [125, 125]),
            ({"MaxItems": 1000}, [250]),
        ]:
            found = list(pages(operation, **named, **how))
            assert [len(page) for page in found] == sizes
            assert sum(found, []) == in_order
    users = iam.list_users(MaxItems=1)["Marker"]
    for marker in ("nonsense", users[:-1] + "A", users + "A"):
        with refused("ValidationError", "Invalid Marker."):
            iam.list_groups(Marker=marker)
    with refused("ValidationError", "Invalid Marker."):
        iam.get_group(GroupName=group, Marker=users)


def test_all_violations_are_named_at_once(iam):
    with refused("ValidationError") as told:
        iam.create_user(UserName="a b", Path="nowhere", PermissionsBoundary="short")
    text = told.value.response["Error"]["Message"]
    assert text.startswith("3 validation errors detected: ")
    for invalid in ("arn:aws:iam::aws:user/somebody", arn("role", "r"), arn("user", "u")):
        with refused("InvalidInput", f"ARN {invalid} is not valid."):
            iam.get_policy(PolicyArn=invalid)


def test_a_user_with_access_keys_stays(iam, user):
    key = key_of(iam, user)
    with refused("DeleteConflict", "Cannot delete entity, must delete access keys first."):
        iam.delete_user(UserName=user)
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=user)


def test_the_command_line(node):
    environment = node.shell(AWS_DEFAULT_OUTPUT="json")
    name, group = fresh("cli"), fresh("cli-group")

    def aws(operation, *arguments, as_user=None):
        key = as_user and {
            "AWS_ACCESS_KEY_ID": as_user["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": as_user["SecretAccessKey"],
        }
        done = run(environment | (key or {}), *operation.split(), *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    user = aws("iam create-user", "--user-name", name, "--tags", "Key=team,Value=a")["User"]
    assert user["Tags"] == [{"Key": "team", "Value": "a"}]
    aws("iam create-group", "--group-name", group)
    document = json.dumps(policy(allow("iam:Get*")))
    inline = ("--group-name", group, "--policy-name", "p")
    aws("iam put-group-policy", *inline, "--policy-document", document)
    aws("iam add-user-to-group", "--group-name", group, "--user-name", name)
    key = aws("iam create-access-key", "--user-name", name)["AccessKey"]
    assert aws("sts get-caller-identity", as_user=key)["Arn"] == user["Arn"]
    assert aws("iam get-user", as_user=key)["User"]["UserId"] == user["UserId"]
    shown = aws("iam get-group-policy", *inline, as_user=key)
    assert shown["PolicyDocument"] == json.loads(document)
    listed = aws("iam list-users", "--page-size", "1")["Users"]
    assert name in {user["UserName"] for user in listed}
    assert len({user["UserId"] for user in listed}) == len(listed)
