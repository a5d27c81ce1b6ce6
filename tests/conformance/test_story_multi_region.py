"""Multi-Region keys between two Regions of one node, told through boto3."""

import datetime
import json

import pytest
from expect import key_arn, refused
from importing import import_material, new_external_key
from node import ACCOUNT, OTHER_REGION, REGION, Node, eventually
from policies import policy

pytestmark = pytest.mark.dev("it calls the other Region of the same process")

WITHIN = 10
DAY = datetime.timedelta(days=1)


def described(kms, key_id):
    return kms.describe_key(KeyId=key_id)["KeyMetadata"]


def await_state(kms, key_id, state):
    """Waits until a key is in a state."""

    def holds():
        try:
            return described(kms, key_id)["KeyState"] == state
        except kms.exceptions.NotFoundException:
            return False

    eventually(holds, WITHIN, lambda: f"{key_id} is not {state}")


def no_primary(arn):
    return f"{arn} is not a multi-region primary key."


def relatives(kms, key_id):
    """The kind of a key, the Region of its primary, and those of its replicas."""
    found = described(kms, key_id)["MultiRegionConfiguration"]
    for one in (found["PrimaryKey"], *found["ReplicaKeys"]):
        assert one["Arn"] == key_arn(key_id, one["Region"])
    replicas = [one["Region"] for one in found["ReplicaKeys"]]
    return found["MultiRegionKeyType"], found["PrimaryKey"]["Region"], replicas


@pytest.fixture
def primary(kms):
    """The id of a multi-Region key."""
    return kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]


@pytest.fixture
def replicated(kms, other_region, primary):
    """The id of one that has a replica."""
    kms.replicate_key(KeyId=primary, ReplicaRegion=OTHER_REGION)
    await_state(other_region, primary, "Enabled")
    return primary


class TestReplicas:
    def test_a_key_is_alone_at_first(self, kms, other_region, primary):
        metadata = described(kms, primary)
        assert primary.startswith("mrk-")
        assert metadata["MultiRegion"] is True
        assert relatives(kms, primary) == ("PRIMARY", REGION, [])
        with refused("NotFoundException"):
            described(other_region, primary)

    def test_a_replica_has_the_standard_properties(self, kms, other_region):
        given = policy()
        made = kms.create_key(
            MultiRegion=True,
            Description="of the primary",
            Policy=json.dumps(given),
            Tags=[{"TagKey": "of", "TagValue": "the primary"}],
        )["KeyMetadata"]
        key_id = made["KeyId"]
        reply = kms.replicate_key(KeyId=made["Arn"], ReplicaRegion=OTHER_REGION)
        metadata = reply["ReplicaKeyMetadata"]
        assert metadata["Arn"] == key_arn(key_id, OTHER_REGION)
        assert (metadata["KeyState"], metadata["Enabled"]) == ("Creating", False)
        assert "CurrentKeyMaterialId" not in metadata
        assert metadata["MultiRegionConfiguration"] == {
            "MultiRegionKeyType": "REPLICA",
            "PrimaryKey": {"Arn": key_arn(key_id, REGION), "Region": REGION},
            "ReplicaKeys": [{"Arn": key_arn(key_id, OTHER_REGION), "Region": OTHER_REGION}],
        }
        assert "ReplicaTags" not in reply
        await_state(other_region, key_id, "Enabled")

        found = described(other_region, key_id)
        assert found["CurrentKeyMaterialId"] == described(kms, key_id)["CurrentKeyMaterialId"]
        assert found["Description"] == ""
        assert other_region.list_resource_tags(KeyId=key_id)["Tags"] == []
        there = other_region.get_key_policy(KeyId=key_id)["Policy"]
        assert json.loads(there) == json.loads(reply["ReplicaPolicy"])
        assert json.loads(there) != given
        assert relatives(kms, key_id) == ("PRIMARY", REGION, [OTHER_REGION])
        assert relatives(other_region, key_id) == ("REPLICA", REGION, [OTHER_REGION])

    def test_a_replica_has_what_it_is_given(self, kms, other_region, primary):
        given, tags = json.dumps(policy()), [{"TagKey": "of", "TagValue": "the replica"}]
        reply = kms.replicate_key(
            KeyId=primary,
            ReplicaRegion=OTHER_REGION,
            Description="of the replica",
            Policy=given,
            Tags=tags,
        )
        assert (reply["ReplicaPolicy"], reply["ReplicaTags"]) == (given, tags)
        await_state(other_region, primary, "Enabled")
        assert described(other_region, primary)["Description"] == "of the replica"
        assert other_region.get_key_policy(KeyId=primary)["Policy"] == given
        assert other_region.list_resource_tags(KeyId=primary)["Tags"] == tags

    def test_blobs_of_one_region_open_in_the_other(self, kms, other_region, replicated):
        for here, there in ((kms, other_region), (other_region, kms)):
            context = {"which": "both"}
            blob = here.encrypt(KeyId=replicated, Plaintext=b"both", EncryptionContext=context)
            opened = there.decrypt(
                CiphertextBlob=blob["CiphertextBlob"], EncryptionContext=context
            )
            assert opened["Plaintext"] == b"both"
            assert opened["KeyId"] == described(there, replicated)["Arn"]
            assert opened["KeyMaterialId"] == described(kms, replicated)["CurrentKeyMaterialId"]

    @pytest.mark.parametrize(
        ("spec", "usage", "algorithm"),
        [
            ("ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"),
            ("RSA_2048", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
            ("ML_DSA_44", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
        ],
    )
    def test_signatures_of_one_region_hold_in_the_other(
        self, kms, other_region, spec, usage, algorithm
    ):
        key = kms.create_key(MultiRegion=True, KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
        kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
        await_state(other_region, key, "Enabled")
        what = {"KeyId": key, "Message": b"both", "SigningAlgorithm": algorithm}
        signature = kms.sign(**what)["Signature"]
        assert other_region.verify(**what, Signature=signature)["SignatureValid"]
        public = [one.get_public_key(KeyId=key)["PublicKey"] for one in (kms, other_region)]
        assert public[0] == public[1]

    def test_macs_of_one_region_hold_in_the_other(self, kms, other_region):
        key = kms.create_key(MultiRegion=True, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        key = key["KeyMetadata"]["KeyId"]
        kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
        await_state(other_region, key, "Enabled")
        what = {"KeyId": key, "Message": b"both", "MacAlgorithm": "HMAC_SHA_256"}
        mac = kms.generate_mac(**what)["Mac"]
        assert other_region.verify_mac(**what, Mac=mac)["MacValid"]

    def test_each_region_has_its_own_properties(self, kms, other_region, replicated):
        def all_of(client):
            metadata = described(client, replicated)
            aliases = client.list_aliases(KeyId=replicated)["Aliases"]
            return {
                "description": metadata["Description"],
                "state": metadata["KeyState"],
                "tags": client.list_resource_tags(KeyId=replicated)["Tags"],
                "policy": client.get_key_policy(KeyId=replicated)["Policy"],
                "aliases": [alias["AliasName"] for alias in aliases],
                "grants": len(client.list_grants(KeyId=replicated)["Grants"]),
            }

        changes = {
            "description": lambda one: one.update_key_description(
                KeyId=replicated, Description="another"
            ),
            "tags": lambda one: one.tag_resource(
                KeyId=replicated, Tags=[{"TagKey": "a", "TagValue": "b"}]
            ),
            "policy": lambda one: one.put_key_policy(
                KeyId=replicated, Policy=json.dumps(policy())
            ),
            "aliases": lambda one: one.create_alias(
                AliasName=f"alias/{replicated}", TargetKeyId=replicated
            ),
            "grants": lambda one: one.create_grant(
                KeyId=replicated,
                GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:root",
                Operations=["Decrypt"],
            ),
            "state": lambda one: one.disable_key(KeyId=replicated),
        }
        for here, there in ((kms, other_region), (other_region, kms)):
            for name, change in changes.items():
                before, kept = all_of(here), all_of(there)
                change(here)
                after = all_of(here)
                assert {one for one in after if after[one] != before[one]} == {name}
                assert all_of(there) == kept
            here.enable_key(KeyId=replicated)


class TestRefusals:
    def test_only_a_primary_is_replicated(self, kms, other_region, key, replicated):
        for client, key_id in ((kms, key["KeyId"]), (other_region, replicated)):
            arn = described(client, key_id)["Arn"]
            with refused("UnsupportedOperationException", no_primary(arn)):
                client.replicate_key(KeyId=key_id, ReplicaRegion=REGION)

    def test_a_region_has_one_related_key(self, kms, replicated):
        for region in (OTHER_REGION, REGION):
            with refused("AlreadyExistsException"):
                kms.replicate_key(KeyId=replicated, ReplicaRegion=region)

    def test_a_region_that_is_not_connected(self, kms, primary):
        with refused("ValidationException"):
            kms.replicate_key(KeyId=primary, ReplicaRegion="ap-south-1")

    def test_only_the_primary_rotates(self, kms, other_region, replicated):
        calls = (
            other_region.enable_key_rotation,
            other_region.disable_key_rotation,
            other_region.rotate_key_on_demand,
        )
        for call in calls:
            with refused("UnsupportedOperationException", no_primary(key_arn(replicated, OTHER_REGION))):
                call(KeyId=replicated)

    def test_a_policy_that_locks_its_author_out(self, kms, primary):
        nobody = {"Version": "2012-10-17", "Statement": []}
        with refused("MalformedPolicyDocumentException"):
            kms.replicate_key(
                KeyId=primary, ReplicaRegion=OTHER_REGION, Policy=json.dumps(nobody)
            )
        assert relatives(kms, primary) == ("PRIMARY", REGION, [])


class TestRotation:
    def test_new_material_reaches_replicas_before_it_encrypts(
        self, kms, other_region, replicated
    ):
        old = described(kms, replicated)["CurrentKeyMaterialId"]
        blob = kms.encrypt(KeyId=replicated, Plaintext=b"old")["CiphertextBlob"]
        kms.rotate_key_on_demand(KeyId=replicated)
        for client in (kms, other_region):
            eventually(
                lambda c=client: described(c, replicated)["CurrentKeyMaterialId"] != old,
                WITHIN,
                lambda: "the new material did not come",
            )
        new = [described(one, replicated)["CurrentKeyMaterialId"] for one in (kms, other_region)]
        assert new[0] == new[1]
        for client in (kms, other_region):
            assert client.decrypt(CiphertextBlob=blob)["Plaintext"] == b"old"
            (rotation,) = client.list_key_rotations(KeyId=replicated)["Rotations"]
            assert rotation["RotationType"] == "ON_DEMAND"
        newer = other_region.encrypt(KeyId=replicated, Plaintext=b"new")["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=newer)["KeyMaterialId"] == new[0]

    def test_the_schedule_is_shared(self, kms, other_region, replicated):
        def status(client):
            found = client.get_key_rotation_status(KeyId=replicated)
            return found["KeyRotationEnabled"], found.get("RotationPeriodInDays")

        kms.enable_key_rotation(KeyId=replicated, RotationPeriodInDays=100)
        eventually(
            lambda: status(other_region) == (True, 100), WITHIN, lambda: status(other_region)
        )
        kms.disable_key_rotation(KeyId=replicated)
        eventually(
            lambda: status(other_region) == (False, None), WITHIN, lambda: status(other_region)
        )


class TestPromotion:
    def test_primary_and_replica_change_places(self, kms, other_region, replicated):
        kms.update_primary_region(KeyId=replicated, PrimaryRegion=OTHER_REGION)
        for client in (kms, other_region):
            await_state(client, replicated, "Enabled")
        eventually(
            lambda: relatives(kms, replicated) == ("REPLICA", OTHER_REGION, [REGION]),
            WITHIN,
            lambda: relatives(kms, replicated),
        )
        assert relatives(other_region, replicated) == ("PRIMARY", OTHER_REGION, [REGION])
        other_region.enable_key_rotation(KeyId=replicated)
        with refused("UnsupportedOperationException"):
            kms.disable_key_rotation(KeyId=replicated)
        other_region.update_primary_region(KeyId=replicated, PrimaryRegion=REGION)
        eventually(
            lambda: relatives(kms, replicated) == ("PRIMARY", REGION, [OTHER_REGION]),
            WITHIN,
            lambda: relatives(kms, replicated),
        )
        assert kms.get_key_rotation_status(KeyId=replicated)["KeyRotationEnabled"]

    def test_there_has_to_be_a_replica(self, kms, primary):
        with refused("NotFoundException"):
            kms.update_primary_region(KeyId=primary, PrimaryRegion=OTHER_REGION)

    def test_a_replica_cannot_give_it_away(self, other_region, replicated):
        with refused("UnsupportedOperationException", no_primary(key_arn(replicated, OTHER_REGION))):
            other_region.update_primary_region(KeyId=replicated, PrimaryRegion=REGION)

    def test_a_replica_that_is_disabled_does_not_take_it(self, kms, other_region, replicated):
        other_region.disable_key(KeyId=replicated)
        kms.update_primary_region(KeyId=replicated, PrimaryRegion=OTHER_REGION)
        await_state(kms, replicated, "Enabled")
        assert relatives(kms, replicated) == ("PRIMARY", REGION, [OTHER_REGION])


class TestDeletion:
    @pytest.fixture
    def clients(self, clock):
        arguments = ["--ephemeral", "--account", f"{ACCOUNT}:test:test"]
        arguments += ["--region", REGION, "--region", OTHER_REGION]
        node = Node(arguments, {"KEYSTEAD_TEST_CLOCK": str(clock.file)}).start()
        yield node.client(), node.client(region=OTHER_REGION)
        assert node.stop() == 0

    def test_a_primary_waits_for_its_replicas(self, clients, clock):
        kms, other = clients
        key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
        await_state(other, key, "Enabled")

        reply = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        assert "DeletionDate" not in reply
        assert (reply["KeyState"], reply["PendingWindowInDays"]) == ("PendingReplicaDeletion", 7)
        metadata = described(kms, key)
        assert metadata["KeyState"] == "PendingReplicaDeletion"
        assert metadata["PendingDeletionWindowInDays"] == 7
        assert "DeletionDate" not in metadata
        with refused("KMSInvalidStateException", f"{key_arn(key)} is pending replica deletion."):
            kms.encrypt(KeyId=key, Plaintext=b"late")
        blob = other.encrypt(KeyId=key, Plaintext=b"the replica is used")["CiphertextBlob"]

        kms.cancel_key_deletion(KeyId=key)
        assert described(kms, key)["KeyState"] == "Disabled"
        kms.enable_key(KeyId=key)
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"the replica is used"

        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        other.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        clock.set(8 * DAY)
        await_state(kms, key, "PendingDeletion")
        date = described(kms, key)["DeletionDate"]
        assert date > datetime.datetime.now(datetime.UTC) + 14 * DAY
        with refused("NotFoundException"):
            described(other, key)
        clock.set(16 * DAY)
        eventually(
            lambda: not kms.list_keys()["Keys"], WITHIN, lambda: described(kms, key)["KeyState"]
        )

    def test_a_replica_goes_alone_and_comes_again(self, clients, clock):
        kms, other = clients
        key = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
        await_state(other, key, "Enabled")
        kms.rotate_key_on_demand(KeyId=key)
        blob = kms.encrypt(KeyId=key, Plaintext=b"both")["CiphertextBlob"]

        other.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        assert described(kms, key)["KeyState"] == "Enabled"
        with refused("AlreadyExistsException"):
            kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
        clock.set(8 * DAY)
        eventually(
            lambda: relatives(kms, key) == ("PRIMARY", REGION, []),
            WITHIN,
            lambda: relatives(kms, key),
        )
        with refused("NotFoundException"):
            described(other, key)
        kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
        await_state(other, key, "Enabled")
        assert other.decrypt(CiphertextBlob=blob)["Plaintext"] == b"both"
        assert len(other.list_key_rotations(KeyId=key)["Rotations"]) == 1


class TestImported:
    def test_each_region_imports_the_primarys_material(self, kms, other_region):
        metadata = new_external_key(kms, MultiRegion=True)
        key = metadata["KeyId"]
        material, other = bytes(range(32)), bytes(32)
        import_material(kms, metadata, material)
        kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
        await_state(other_region, key, "PendingImport")
        with refused("IncorrectKeyMaterialException"):
            import_material(other_region, metadata, other)
        import_material(other_region, metadata, material)
        blob = other_region.encrypt(KeyId=key, Plaintext=b"both")["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"both"
        other_region.delete_imported_key_material(KeyId=key)
        assert described(other_region, key)["KeyState"] == "PendingImport"
        assert described(kms, key)["KeyState"] == "Enabled"
