"""What goes with a key, told through boto3: aliases, tags, policy, and the pages of listings."""

import json
import time

import pytest
from expect import alias_arn, pages, refused, unique_alias


class TestAliases:
    def test_life(self, kms, key):
        name, other = unique_alias(), kms.create_key()["KeyMetadata"]
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        [entry] = kms.list_aliases(KeyId=key["KeyId"])["Aliases"]
        created = entry.pop("CreationDate")
        assert entry.pop("LastUpdatedDate") == created
        assert entry == {
            "AliasName": name,
            "AliasArn": alias_arn(name),
            "TargetKeyId": key["KeyId"],
        }

        time.sleep(0.01)
        kms.update_alias(AliasName=name, TargetKeyId=other["Arn"])
        assert kms.list_aliases(KeyId=key["KeyId"])["Aliases"] == []
        [entry] = kms.list_aliases(KeyId=other["KeyId"])["Aliases"]
        assert entry["CreationDate"] == created < entry["LastUpdatedDate"]
        assert entry["TargetKeyId"] == other["KeyId"]

        kms.delete_alias(AliasName=name)
        assert kms.list_aliases(KeyId=other["KeyId"])["Aliases"] == []

    def test_an_alias_leaves_a_doomed_key(self, kms, key, doomed_key):
        name, other = unique_alias(), kms.create_key()["KeyMetadata"]
        kms.create_alias(AliasName=name, TargetKeyId=other["KeyId"])
        with refused("KMSInvalidStateException", f"{doomed_key['Arn']} is pending deletion."):
            kms.update_alias(AliasName=name, TargetKeyId=doomed_key["KeyId"])
        kms.schedule_key_deletion(KeyId=other["KeyId"])
        kms.update_alias(AliasName=name, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
        kms.delete_alias(AliasName=name)

    def test_an_alias_of_a_doomed_key_may_be_deleted(self, kms, key):
        name = unique_alias()
        kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        kms.schedule_key_deletion(KeyId=key["KeyId"])
        kms.delete_alias(AliasName=name)


class TestTags:
    def test_life(self, kms):
        tags = [{"TagKey": "team", "TagValue": "one"}, {"TagKey": "empty", "TagValue": ""}]
        key_id = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]

        def now():
            listed = kms.list_resource_tags(KeyId=key_id)["Tags"]
            return {tag["TagKey"]: tag["TagValue"] for tag in listed}

        assert now() == {"team": "one", "empty": ""}
        changed = [{"TagKey": "team", "TagValue": "two"}, {"TagKey": "Team", "TagValue": "x"}]
        kms.tag_resource(KeyId=key_id, Tags=changed)
        assert now() == {"team": "two", "Team": "x", "empty": ""}
        kms.untag_resource(KeyId=key_id, TagKeys=["Team", "empty", "never-there"])
        assert now() == {"team": "two"}

    def test_fifty_are_enough(self, kms):
        tags = [{"TagKey": f"k{n}", "TagValue": "v"} for n in range(51)]
        with refused("TagException", "Too many tags"):
            kms.create_key(Tags=tags)
        key_id = kms.create_key(Tags=tags[:50])["KeyMetadata"]["KeyId"]
        kms.tag_resource(KeyId=key_id, Tags=tags[:1])
        with refused("TagException"):
            kms.tag_resource(KeyId=key_id, Tags=tags[50:])
        assert len(kms.list_resource_tags(KeyId=key_id)["Tags"]) == 50


class TestReadOnlyParts:
    def test_the_default_policy(self, kms, key):
        reply = kms.get_key_policy(KeyId=key["KeyId"])
        assert reply["PolicyName"] == "default"
        assert json.loads(reply["Policy"]) == {
            "Version": "2012-10-17",
            "Id": "key-default-1",
            "Statement": [
                {
                    "Sid": "Enable IAM User Permissions",
                    "Effect": "Allow",
                    "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        }
        named = kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")
        assert named["Policy"] == reply["Policy"]

    @pytest.mark.parametrize("name", ["AWS_RAM", "other"])
    def test_there_is_no_other_policy(self, kms, key, name):
        with refused("NotFoundException"):
            kms.get_key_policy(KeyId=key["KeyId"], PolicyName=name)

    def test_policy_names(self, kms, key):
        reply = kms.list_key_policies(KeyId=key["KeyId"])
        assert (reply["PolicyNames"], reply["Truncated"]) == (["default"], False)

    def test_no_grants_yet(self, kms, key):
        reply = kms.list_grants(KeyId=key["KeyId"])
        assert (reply["Grants"], reply["Truncated"]) == ([], False)

    def test_no_rotation_yet(self, kms, key):
        reply = kms.get_key_rotation_status(KeyId=key["KeyId"])
        assert reply["KeyRotationEnabled"] is False
        assert "NextRotationDate" not in reply

    def test_description(self, kms, key):
        for text in ("new", "", "x" * 8192, "ünïcode ✓"):
            kms.update_key_description(KeyId=key["Arn"], Description=text)
            metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            assert metadata["Description"] == text


class TestPaging:
    @pytest.fixture(scope="class")
    @classmethod
    def listed(cls, node):
        """An account's client, its six keys, and one of them with seven aliases and tags."""
        kms = node.newcomer()
        keys = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(6)}
        key_id = min(keys)
        names = {unique_alias() for _ in range(7)}
        for name in names:
            kms.create_alias(AliasName=name, TargetKeyId=key_id)
        tags = {f"tag-{n}" for n in range(7)}
        kms.tag_resource(
            KeyId=key_id, Tags=[{"TagKey": name, "TagValue": "v"} for name in sorted(tags)]
        )
        return kms, keys, key_id, names, tags

    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 1000])
    def test_keys(self, listed, limit):
        kms, keys, *_ = listed
        items, lengths = pages(kms.list_keys, "Keys", Limit=limit)
        assert sorted(item["KeyId"] for item in items) == sorted(keys)
        assert all(item["KeyArn"].endswith(item["KeyId"]) for item in items)
        assert max(lengths) <= limit

    @pytest.mark.parametrize("limit", [1, 3, 7, 100])
    @pytest.mark.parametrize("of_key", [False, True])
    def test_aliases(self, listed, limit, of_key):
        kms, _, key_id, names, _ = listed
        which = {"KeyId": key_id} if of_key else {}
        items, lengths = pages(kms.list_aliases, "Aliases", Limit=limit, **which)
        assert sorted(item["AliasName"] for item in items) == sorted(names)
        assert max(lengths) <= limit

    @pytest.mark.parametrize("limit", [1, 3, 7, 50])
    def test_tags(self, listed, limit):
        kms, _, key_id, _, tags = listed
        items, lengths = pages(kms.list_resource_tags, "Tags", KeyId=key_id, Limit=limit)
        assert sorted(item["TagKey"] for item in items) == sorted(tags)
        assert max(lengths) <= limit

    @pytest.mark.parametrize(
        "operation", ["list_keys", "list_aliases", "list_resource_tags", "list_grants"]
    )
    @pytest.mark.parametrize("marker", ["nonsense", "AAAA", "ÿ", "e30="])
    def test_a_marker_that_was_never_given(self, listed, operation, marker):
        kms, _, key_id, *_ = listed
        which = {} if operation == "list_keys" else {"KeyId": key_id}
        with refused("InvalidMarkerException"):
            getattr(kms, operation)(Marker=marker, **which)

    def test_a_marker_of_another_listing(self, listed):
        kms, _, key_id, *_ = listed
        marker = kms.list_keys(Limit=1)["NextMarker"]
        with refused("InvalidMarkerException"):
            kms.list_resource_tags(KeyId=key_id, Marker=marker)

    def test_paging_goes_on_when_the_marked_one_is_gone(self, kms, key):
        names = {unique_alias() for _ in range(4)}
        for name in names:
            kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        first = kms.list_aliases(KeyId=key["KeyId"], Limit=1)
        [gone] = first["Aliases"]
        kms.delete_alias(AliasName=gone["AliasName"])
        rest, _ = pages(
            kms.list_aliases, "Aliases", KeyId=key["KeyId"], Marker=first["NextMarker"], Limit=2
        )
        assert {entry["AliasName"] for entry in rest} == names - {gone["AliasName"]}
        assert len(rest) == 3
