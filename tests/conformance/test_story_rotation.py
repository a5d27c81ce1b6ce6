"""The rotation of keys, told through boto3: by themselves when due, at once when asked for; and
that whatever was encrypted before still opens."""

import datetime
import json

import grpc
import pytest
from expect import pages, refused
from node import ACCOUNT, Node
from test_story_boto3 import wait_until
from walk_wires import Grpc, generated
from walk_world import Account

DAY = datetime.timedelta(days=1)
ON_DEMAND_LIMIT = 25
# Of so many materials, so many ciphertexts each.
MATERIALS, OF_EACH = 27, 371


def status(kms, key):
    reply = kms.get_key_rotation_status(KeyId=key["KeyId"])
    assert reply["KeyId"] == key["Arn"]
    assert "OnDemandRotationStartDate" not in reply
    return reply


def rotations(kms, key, **more):
    reply = kms.list_key_rotations(KeyId=key["KeyId"], **more)
    assert reply["Truncated"] is False
    return reply["Rotations"]


def current(kms, key):
    return kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"]


def about(moment, expected):
    return abs(moment - expected) < datetime.timedelta(minutes=10)


def now():
    return datetime.datetime.now(datetime.UTC)


class TestSchedule:
    @pytest.mark.parametrize("days", [None, 90, 365, 2560])
    def test_it_starts_counts_and_ends(self, kms, key, days):
        assert status(kms, key)["KeyRotationEnabled"] is False
        kms.enable_key_rotation(
            KeyId=key["KeyId"], **({} if days is None else {"RotationPeriodInDays": days})
        )
        days = days or 365
        found = status(kms, key)
        assert (found["KeyRotationEnabled"], found["RotationPeriodInDays"]) == (True, days)
        assert about(found["NextRotationDate"], now() + days * DAY)
        assert rotations(kms, key) == [], "it is a date, not a rotation"

        for _ in range(2):  # doing it again changes nothing
            kms.disable_key_rotation(KeyId=key["Arn"])
            found = status(kms, key)
            assert found["KeyRotationEnabled"] is False
            assert not {"RotationPeriodInDays", "NextRotationDate"} & found.keys()

    def test_another_period_counts_from_now(self, kms, key):
        for days in (2560, 90):
            kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=days)
            found = status(kms, key)
            assert found["RotationPeriodInDays"] == days
            assert about(found["NextRotationDate"], now() + days * DAY)

    @pytest.mark.parametrize("days", [0, 89, 2561])
    def test_the_period_has_bounds(self, kms, key, days):
        with refused("ValidationException"):
            kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=days)
        assert status(kms, key)["KeyRotationEnabled"] is False

    def test_a_disabled_key_keeps_its_schedule(self, kms, key):
        kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=100)
        before = status(kms, key)
        kms.disable_key(KeyId=key["KeyId"])
        found = status(kms, key)
        assert found["NextRotationDate"] == before["NextRotationDate"]
        with refused("DisabledException", f"{key['Arn']} is disabled."):
            kms.disable_key_rotation(KeyId=key["KeyId"])

    def test_a_doomed_key_reads_as_not_rotating_until_it_is_spared(self, kms, key):
        kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=100)
        before = status(kms, key)
        kms.schedule_key_deletion(KeyId=key["KeyId"])
        found = status(kms, key)
        assert found["KeyRotationEnabled"] is False
        assert not {"RotationPeriodInDays", "NextRotationDate"} & found.keys()
        kms.cancel_key_deletion(KeyId=key["KeyId"])
        found = status(kms, key)
        assert found["KeyRotationEnabled"] is True
        assert found["NextRotationDate"] == before["NextRotationDate"]


class TestWhenDue:
    """By a clock that the test moves."""

    def start(self, kms, days=90):
        key = kms.create_key()["KeyMetadata"]
        kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=days)
        return key

    def test_a_key_rotates_and_the_trail_says_so(self, clock_node, clock):
        kms = clock_node.client()
        key, other = self.start(kms), self.start(kms, 200)
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"before")["CiphertextBlob"]
        first = current(kms, key)

        clock.set(90 * DAY - datetime.timedelta(hours=1))
        kms.create_key()  # Some command brings the time along.
        assert rotations(kms, key) == []
        clock.set(90 * DAY + datetime.timedelta(minutes=1))
        wait_until(lambda: rotations(kms, key))

        [rotation] = rotations(kms, key)
        second = current(kms, key)
        assert second != first
        assert about(rotation.pop("RotationDate"), now() + 90 * DAY)
        assert rotation == {
            "KeyId": key["KeyId"],
            "KeyMaterialId": second,
            "KeyMaterialState": "CURRENT",
            "RotationType": "AUTOMATIC",
        }
        assert about(status(kms, key)["NextRotationDate"], now() + 180 * DAY)
        opened = kms.decrypt(CiphertextBlob=blob)
        assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"before", first)
        assert rotations(kms, other) == []

        events = [json.loads(line) for line in clock_node.output().splitlines() if line[0] == "{"]
        [event] = [event for event in events if event["eventName"] == "RotateKey"]
        assert event["eventType"] == "AwsServiceEvent"
        assert event["userIdentity"] == {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}
        assert event["resources"][0]["ARN"] == key["Arn"]
        details = {"keyId": key["KeyId"], "rotationType": "AUTOMATIC"}
        assert event["serviceEventDetails"] == details
        assert event["requestParameters"] is None and event["readOnly"] is False

    def test_many_at_once(self, clock_node, clock):
        """More than one command takes."""
        kms = clock_node.client()
        keys = [self.start(kms) for _ in range(130)]
        clock.set(91 * DAY)
        wait_until(lambda: all(rotations(kms, key) for key in keys))
        assert all(len(rotations(kms, key)) == 1 for key in keys)

    def test_a_key_that_was_out_of_use(self, clock_node, clock):
        kms = clock_node.client()
        disabled, doomed, ended = (self.start(kms) for _ in range(3))
        kms.disable_key(KeyId=disabled["KeyId"])
        kms.disable_key_rotation(KeyId=ended["KeyId"])
        clock.set(80 * DAY)
        kms.schedule_key_deletion(KeyId=doomed["KeyId"], PendingWindowInDays=30)
        clock.set(100 * DAY)
        witness = self.start(kms)
        clock.set(109 * DAY)
        assert rotations(kms, disabled) == rotations(kms, doomed) == []
        assert status(kms, disabled)["NextRotationDate"] < now() + 100 * DAY

        kms.cancel_key_deletion(KeyId=doomed["KeyId"])
        for key in (disabled, doomed):
            kms.enable_key(KeyId=key["KeyId"])
            wait_until(lambda key=key: rotations(kms, key))
            assert len(rotations(kms, key)) == 1, "once, however often it was missed"
            assert about(status(kms, key)["NextRotationDate"], now() + 199 * DAY)
        assert rotations(kms, ended) == rotations(kms, witness) == []

    def test_not_on_demand_when_it_is_about_to_happen(self, clock_node, clock):
        kms = clock_node.client()
        key = self.start(kms)
        clock.set(90 * DAY - datetime.timedelta(minutes=10))
        said = f"{key['Arn']} is about to be rotated automatically."
        with refused("ConflictException", said):
            kms.rotate_key_on_demand(KeyId=key["KeyId"])
        kms.disable_key_rotation(KeyId=key["KeyId"])
        kms.rotate_key_on_demand(KeyId=key["KeyId"])


class TestOnDemand:
    def test_new_material_encrypts_and_the_old_one_decrypts(self, kms, key):
        kms.enable_key_rotation(KeyId=key["KeyId"])
        before = status(kms, key)
        sealed, context = [], {"purpose": "rotation"}
        for number in range(4):
            made = kms.encrypt(
                KeyId=key["KeyId"], Plaintext=b"%d" % number, EncryptionContext=context
            )
            sealed.append((current(kms, key), made["CiphertextBlob"]))
            assert kms.rotate_key_on_demand(KeyId=key["KeyId"])["KeyId"] == key["Arn"]
        assert len({material for material, _ in sealed} | {current(kms, key)}) == 5
        for number, (material, blob) in enumerate(sealed):
            opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)
            assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"%d" % number, material)
        assert status(kms, key) | {"ResponseMetadata": None} == before | {"ResponseMetadata": None}

        described = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        described["CurrentKeyMaterialId"] = key["CurrentKeyMaterialId"]
        assert described == key, "nothing else of the key is new"

    def test_every_answer_names_the_material(self, kms, key):
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
        first = current(kms, key)
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
        second = current(kms, key)
        name = {"KeyId": key["KeyId"]}
        for made in (
            kms.generate_data_key(**name, KeySpec="AES_256"),
            kms.generate_data_key_without_plaintext(**name, KeySpec="AES_256"),
            kms.generate_data_key_pair(**name, KeyPairSpec="ECC_NIST_P256"),
            kms.generate_data_key_pair_without_plaintext(**name, KeyPairSpec="ECC_NIST_P256"),
        ):
            assert made["KeyMaterialId"] == second
        assert "KeyMaterialId" not in kms.encrypt(**name, Plaintext=b"x")
        moved = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key["KeyId"])
        assert moved["SourceKeyMaterialId"] == first
        assert moved["DestinationKeyMaterialId"] == second
        opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])
        assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"x", second)

    def test_there_is_a_limit(self, kms, key):
        for _ in range(ON_DEMAND_LIMIT):
            kms.rotate_key_on_demand(KeyId=key["KeyId"])
        said = (
            "The on-demand rotations limit has been reached for the given keyId. No more on-demand "
            f"rotations can be performed for this key: {key['Arn']}"
        )
        before = current(kms, key)
        with refused("LimitExceededException", said):
            kms.rotate_key_on_demand(KeyId=key["KeyId"])
        assert current(kms, key) == before
        assert len(rotations(kms, key)) == ON_DEMAND_LIMIT


class TestListing:
    def test_rotations_and_all_material(self, kms, key):
        first = current(kms, key)
        assert rotations(kms, key) == []
        [only] = rotations(kms, key, IncludeKeyMaterial="ALL_KEY_MATERIAL")
        assert only == {
            "KeyId": key["KeyId"],
            "KeyMaterialId": first,
            "KeyMaterialState": "CURRENT",
        }
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
        kms.rotate_key_on_demand(KeyId=key["KeyId"])
        found = rotations(kms, key, IncludeKeyMaterial="ALL_KEY_MATERIAL")
        assert found[0] == only | {"KeyMaterialState": "NON_CURRENT"}
        states = [entry["KeyMaterialState"] for entry in found]
        assert states == ["NON_CURRENT", "NON_CURRENT", "CURRENT"]
        assert [entry["RotationType"] for entry in found[1:]] == ["ON_DEMAND"] * 2
        assert found[1]["RotationDate"] <= found[2]["RotationDate"]
        assert rotations(kms, key) == found[1:]
        assert rotations(kms, key, IncludeKeyMaterial="ROTATIONS_ONLY") == found[1:]

    def test_pages(self, kms, key):
        for _ in range(7):
            kms.rotate_key_on_demand(KeyId=key["KeyId"])
        for more in ({}, {"IncludeKeyMaterial": "ALL_KEY_MATERIAL"}):
            whole = rotations(kms, key, **more)
            for limit in (1, 3, 7, 1000):
                asked = {"KeyId": key["KeyId"], "Limit": limit} | more
                found, lengths = pages(kms.list_key_rotations, "Rotations", **asked)
                assert found == whole and max(lengths) <= limit

    def test_the_marker_of_another_key(self, kms, key):
        other = kms.create_key()["KeyMetadata"]
        for each in (key, other):
            kms.rotate_key_on_demand(KeyId=each["KeyId"])
            kms.rotate_key_on_demand(KeyId=each["KeyId"])
        marker = kms.list_key_rotations(KeyId=other["KeyId"], Limit=1)["NextMarker"]
        with refused("InvalidMarkerException"):
            kms.list_key_rotations(KeyId=key["KeyId"], Marker=marker)


class TestOtherKeys:
    @pytest.fixture(params=["RSA_2048 ENCRYPT_DECRYPT", "HMAC_256 GENERATE_VERIFY_MAC"])
    def other(self, kms, request):
        spec, usage = request.param.split()
        return kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]

    def test_they_have_one_material(self, kms, other):
        refusing = {
            "EnableKeyRotation": kms.enable_key_rotation,
            "DisableKeyRotation": kms.disable_key_rotation,
            "ListKeyRotations": kms.list_key_rotations,
        }
        what = f"{other['Arn']} key spec is {other['KeySpec']}"
        for operation, call in refusing.items():
            said = f"{what} which is not valid for {operation}."
            with refused("UnsupportedOperationException", said):
                call(KeyId=other["KeyId"])
        with refused("UnsupportedOperationException", ""):
            kms.rotate_key_on_demand(KeyId=other["KeyId"])
        assert status(kms, other)["KeyRotationEnabled"] is False


def test_all_that_was_ever_encrypted_opens(tmp_path, clock, generated):
    """Ten thousand ciphertexts of 27 materials, also after a restart."""
    environment = {"KEYSTEAD_TEST_CLOCK": str(clock.file)}
    data = ["--data-dir", tmp_path / "data", "--account", f"{ACCOUNT}:test:test"]
    node = Node(data, environment).start()
    own = Account(node)
    key = own.key()
    own.ok("EnableKeyRotation", {"KeyId": key.id, "RotationPeriodInDays": 90})
    sealed = []

    def listed():
        return own.ok("ListKeyRotations", {"KeyId": key.id})["Rotations"]

    def called(operation, bodies):
        with grpc.insecure_channel(f"{node.host}:{node.port}") as channel:
            wire = Grpc(node, lambda _: channel)
            answers = [wire.call(own, operation, body) for body in bodies]
        assert {answer.code for answer in answers} == {"OK"}
        return [answer.body for answer in answers]

    def encrypt():
        bodies = [{"KeyId": key.id, "Plaintext": "bm9ydGg="}] * OF_EACH
        metadata = own.ok("DescribeKey", {"KeyId": key.id})["KeyMetadata"]
        made = called("Encrypt", bodies)
        sealed.extend((one["CiphertextBlob"], metadata["CurrentKeyMaterialId"]) for one in made)

    def check():
        opened = called("Decrypt", [{"CiphertextBlob": blob} for blob, _ in sealed])
        found = [(one["Plaintext"], one["KeyMaterialId"]) for one in opened]
        assert found == [("bm9ydGg=", material) for _, material in sealed]

    encrypt()
    for _ in range(ON_DEMAND_LIMIT):
        key.rotate()
        encrypt()
    clock.set(91 * DAY)
    wait_until(lambda: len(listed()) == ON_DEMAND_LIMIT + 1)
    encrypt()
    assert len({material for _, material in sealed}) == MATERIALS
    assert len(sealed) == MATERIALS * OF_EACH > 10_000
    check()
    before = listed()
    assert node.stop() == 0
    node.start()
    check()
    assert listed() == before
    assert node.stop() == 0
