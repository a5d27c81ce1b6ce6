"""Listings: their markers, and that each item is listed once whatever comes and goes."""

import base64
import subprocess
import uuid

import pytest
from expect import refused
from node import ACCOUNT, OTHER_ACCOUNT, binary, harness

INVALID = "The marker is not valid for this request."
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


@pytest.fixture(scope="module")
def kms(node):
    return node.client()


@pytest.fixture(scope="module")
def mark(node):
    """What names begin with: those of other nodes' turns are in the same account."""
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def keys(kms, mark):
    """Two keys with aliases, tags and grants each, so that every list has pages."""
    made = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2)]
    for place, key in enumerate(made):
        for number in range(3):
            kms.create_alias(AliasName=f"alias/{mark}-listed-{place}-{number}", TargetKeyId=key)
            kms.tag_resource(KeyId=key, Tags=[{"TagKey": f"k{number}", "TagValue": "v"}])
            principals = {"GranteePrincipal": ROOT, "RetiringPrincipal": ROOT}
            kms.create_grant(KeyId=key, Operations=["Encrypt"], Name=f"n{number}", **principals)
    return made


def lists(first, second):
    """Each list with its arguments, and arguments that make it another list."""
    return [
        ("list_keys", {}, None),
        ("list_aliases", {}, {"KeyId": first}),
        ("list_aliases", {"KeyId": first}, {"KeyId": second}),
        ("list_aliases", {"KeyId": first}, {}),
        ("list_resource_tags", {"KeyId": first}, {"KeyId": second}),
        ("list_grants", {"KeyId": first}, {"KeyId": second}),
        (
            "list_grants",
            {"KeyId": first},
            {"KeyId": first, "GranteePrincipal": ROOT},
        ),
        ("list_retirable_grants", {"RetiringPrincipal": ROOT}, None),
    ]


def test_a_marker_is_for_its_own_call(kms, node, keys):
    markers = {}
    for operation, arguments, others in lists(*keys):
        call = getattr(kms, operation)
        marker = call(**arguments, Limit=1)["NextMarker"]
        call(**arguments, Limit=2, Marker=marker)
        if others is not None:
            with refused("InvalidMarkerException", INVALID):
                call(**others, Marker=marker)
        markers[operation, *arguments] = marker
    for operation, arguments, _ in lists(*keys):
        for (name, *_), marker in markers.items():
            if name != operation:
                with refused("InvalidMarkerException", INVALID):
                    getattr(kms, operation)(**arguments, Marker=marker)

    other = node.client(account=OTHER_ACCOUNT)
    for operation in ("list_keys", "list_aliases"):
        with refused("InvalidMarkerException", INVALID):
            getattr(other, operation)(Marker=markers[(operation,)])


def test_a_marker_cannot_be_made_up(kms, keys):
    for operation, arguments, _ in lists(*keys):
        call = getattr(kms, operation)
        marker = call(**arguments, Limit=1)["NextMarker"]
        made_up = base64.urlsafe_b64encode(f"ListKeys:{keys[0]}".encode()).decode().rstrip("=")
        changed = ("B" if marker[-6] == "A" else "A").join((marker[:-6], marker[-5:]))
        for text in ("x", made_up, marker[:-4], marker + "AAAA", changed):
            with refused("InvalidMarkerException", INVALID):
                call(**arguments, Marker=text)
        assert keys[0] not in marker


def test_policies_of_a_key_have_no_marker(kms, keys):
    marker = kms.list_keys(Limit=1)["NextMarker"]
    with refused("InvalidMarkerException", INVALID):
        kms.list_key_policies(KeyId=keys[0], Marker=marker)


def test_what_stays_is_listed_once_while_others_come_and_go(kms, keys, mark):
    stays = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(8)}
    names = {f"alias/{mark}-stays-{number}" for number in range(8)}
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=keys[0])
    seen_keys, seen_names = [], []
    marker, number = {}, 0
    while marker is not None:
        page = kms.list_aliases(Limit=2, **marker)
        seen_names += [entry["AliasName"] for entry in page["Aliases"]]
        # The last one seen goes, others come before and after it.
        last = page["Aliases"][-1]["AliasName"]
        if last not in names and last.startswith(f"alias/{mark}-passes"):
            kms.delete_alias(AliasName=last)
        for prefix in (f"alias/{mark}-passes-", f"alias/{mark}-stays-3-"):
            if number < 6:
                kms.create_alias(AliasName=f"{prefix}{number}", TargetKeyId=keys[1])
        number += 1
        marker = {"Marker": page["NextMarker"]} if page["Truncated"] else None
    marker = {}
    while marker is not None:
        page = kms.list_keys(Limit=3, **marker)
        seen_keys += [entry["KeyId"] for entry in page["Keys"]]
        kms.create_key()
        marker = {"Marker": page["NextMarker"]} if page["Truncated"] else None
    assert len(seen_keys) == len(set(seen_keys)) and stays <= set(seen_keys)
    assert len(seen_names) == len(set(seen_names)) and names <= set(seen_names)


def test_aliases_of_a_key(kms, keys, mark):
    seen, marker = [], {}
    while marker is not None:
        page = kms.list_aliases(KeyId=keys[1], Limit=2, **marker)
        seen += [entry["AliasName"] for entry in page["Aliases"]]
        assert all(entry["TargetKeyId"] == keys[1] for entry in page["Aliases"])
        marker = {"Marker": page["NextMarker"]} if page["Truncated"] else None
    assert {f"alias/{mark}-listed-1-{number}" for number in range(3)} <= set(seen)
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("prefix", ["aws:", "AWS:", "aWs:"])
def test_tags_with_the_prefix_of_aws(kms, keys, prefix):
    with refused("TagException", "Tags beginning with aws: are reserved"):
        kms.tag_resource(KeyId=keys[0], Tags=[{"TagKey": f"{prefix}x", "TagValue": ""}])
    with refused("TagException", "Tags beginning with aws: are reserved"):
        kms.untag_resource(KeyId=keys[0], TagKeys=[f"{prefix}x"])


def test_characters_of_tags(kms, keys):
    text = "Tag keys and values can have letters, numbers, spaces and + - = . _ : / @ only"
    good = {"TagKey": "Größe 1+2-3=4.5_6:7/8@9", "TagValue": "日本 äß"}
    kms.tag_resource(KeyId=keys[0], Tags=[good])
    assert good in kms.list_resource_tags(KeyId=keys[0])["Tags"]
    for bad in "*&#<\"'\\\n\0":
        for tag in ({"TagKey": f"a{bad}", "TagValue": ""}, {"TagKey": "a", "TagValue": bad}):
            with refused("TagException", text):
                kms.tag_resource(KeyId=keys[0], Tags=[tag])
            with refused("TagException", text):
                kms.create_key(Tags=[tag])
    kms.untag_resource(KeyId=keys[0], TagKeys=[good["TagKey"], "never there"])


def test_names_of_aliases(kms, keys, mark):
    with refused("NotAuthorizedException", 'The prefix "alias/aws/" is reserved.'):
        kms.create_alias(AliasName="alias/aws/own", TargetKeyId=keys[0])
    with refused("InvalidAliasNameException", "Invalid alias name 'alias/a:b'"):
        kms.create_alias(AliasName="alias/a:b", TargetKeyId=keys[0])
    name = f"alias/aws{mark}"
    kms.create_alias(AliasName=name, TargetKeyId=keys[0])
    arn = kms.list_aliases(KeyId=keys[0])["Aliases"][0]["AliasArn"].partition("alias/")[0]
    with refused("AlreadyExistsException", f"An alias with the name {arn}{name} already exists"):
        kms.create_alias(AliasName=name, TargetKeyId=keys[1])
    kms.create_alias(AliasName=f"alias/AWS{mark}", TargetKeyId=keys[1])


def test_two_thousand_keys_are_listed_once_each():
    """The small version of `scripts/long listings`."""
    command = [harness(), "listings", "--binary", binary(), "--keys", "2000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
