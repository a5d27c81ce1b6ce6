"""Keys with several imported materials, told through boto3: each material opens what it encrypted,
and what is lost of them takes the key out of use until that very material is there again."""

import datetime
import os
import time

import pytest
from botocore.exceptions import ClientError
from expect import EMPTY, pages, refused
from importing import FOR_EVER, import_material, new_external_key, parameters, until

NEW = {"ImportType": "NEW_KEY_MATERIAL"}
EXISTING = {"ImportType": "EXISTING_KEY_MATERIAL"}
ALL = {"IncludeKeyMaterial": "ALL_KEY_MATERIAL"}
ON_DEMAND_LIMIT = 25
HOUR = 3600


class Imported:
    """A key with imported materials, and a ciphertext of each that was ever the current one."""

    def __init__(self, kms, materials=1):
        self.kms, self.key = kms, new_external_key(kms)
        self.name = {"KeyId": self.key["KeyId"]}
        self.token = parameters(kms, self.key)
        # By id: the materials in the order in which they came, and what they encrypted.
        self.materials, self.sealed = {}, {}
        for _ in range(materials):
            self.grow()

    def take(self, material=None, **about):
        """Imports a material, a new one unless it is given; returns its id."""
        made = material or os.urandom(32)
        id_ = import_material(self.kms, self.key, made, self.token, **about)["KeyMaterialId"]
        self.materials[id_] = made
        return id_

    def grow(self, **about):
        """Imports a new material, makes it the current one, and encrypts with it."""
        id_ = self.take(**NEW, **about)
        if self.current != id_:
            self.rotate()
        self.seal()
        return id_

    def rotate(self):
        return self.kms.rotate_key_on_demand(**self.name)

    def seal(self):
        blob = self.kms.encrypt(**self.name, Plaintext=self.current.encode())["CiphertextBlob"]
        self.sealed[self.current] = blob

    def lose(self, id_):
        return self.kms.delete_imported_key_material(**self.name, KeyMaterialId=id_)

    @property
    def metadata(self):
        return self.kms.describe_key(**self.name)["KeyMetadata"]

    @property
    def state(self):
        return self.metadata["KeyState"]

    @property
    def current(self):
        return self.metadata["CurrentKeyMaterialId"]

    def listed(self, *members, **more):
        """Of each material these members, the oldest first."""
        found = self.kms.list_key_rotations(**self.name, **(ALL | more))
        assert not found["Truncated"]
        return [tuple(map(entry.get, members)) for entry in found["Rotations"]]

    def check_opens(self):
        """Everything opens, each with its own material."""
        for id_, blob in self.sealed.items():
            opened = self.kms.decrypt(CiphertextBlob=blob)
            assert (opened["Plaintext"], opened["KeyMaterialId"]) == (id_.encode(), id_)

    def check_refuses(self):
        """Nothing opens, whichever material it needs, and the key does nothing else."""
        kms, pending = self.kms, f"{self.key['Arn']} is pending import."
        root = f"arn:aws:iam::{self.key['AWSAccountId']}:root"
        grant = {"GranteePrincipal": root, "Operations": ["Decrypt"]}
        context = {"DestinationEncryptionContext": {"a": "b"}}
        calls = [
            lambda: kms.encrypt(**self.name, Plaintext=b"x"),
            lambda: kms.generate_data_key(**self.name, KeySpec="AES_256"),
            lambda: kms.create_grant(**self.name, **grant),
            lambda: kms.disable_key(**self.name),
            self.rotate,
        ]
        for blob in self.sealed.values():
            about = {"CiphertextBlob": blob}
            calls += [
                lambda about=about: kms.decrypt(**about),
                lambda about=about: kms.decrypt(**about, **self.name),
                lambda about=about: kms.re_encrypt(
                    **about, DestinationKeyId=self.key["KeyId"], **context
                ),
            ]
        for call in calls:
            with refused("KMSInvalidStateException", pending):
                call()
        metadata = self.metadata
        assert (metadata["KeyState"], metadata["Enabled"]) == ("PendingImport", False)
        assert not metadata.keys() & {"ExpirationModel", "ValidTo"}


class TestSeveral:
    def test_each_opens_what_it_encrypted(self, kms):
        key = Imported(kms, materials=5)
        ids = list(key.materials)
        assert len(set(ids)) == 5 and key.current == ids[-1]
        key.check_opens()
        blob = kms.re_encrypt(CiphertextBlob=key.sealed[ids[0]], DestinationKeyId=key.key["Arn"])
        assert (blob["SourceKeyMaterialId"], blob["DestinationKeyMaterialId"]) == (ids[0], ids[-1])
        key.sealed[ids[-1]] = kms.encrypt(**key.name, Plaintext=ids[-1].encode())["CiphertextBlob"]
        key.check_opens()

    def test_new_material_waits_until_the_key_is_rotated(self, kms):
        key = Imported(kms)
        [first] = key.materials
        nothing = f"No available key material pending rotation for the key: {key.key['Arn']}."
        with refused("KMSInvalidStateException", nothing):
            key.rotate()
        second = key.take(**NEW)
        assert key.current == first and key.state == "Enabled"
        key.seal()
        assert key.listed("KeyMaterialId", "KeyMaterialState") == [
            (first, "CURRENT"),
            (second, "PENDING_ROTATION"),
        ]
        assert key.rotate()["KeyId"] == key.key["Arn"]
        assert key.current == second
        assert key.listed("KeyMaterialId", "KeyMaterialState") == [
            (first, "NON_CURRENT"),
            (second, "CURRENT"),
        ]
        key.seal()
        key.check_opens()
        with refused("KMSInvalidStateException", nothing):
            key.rotate()
        # One that was current once is no new one, and does not become current again.
        for id_ in (first, second):
            with refused("IncorrectKeyMaterialException", EMPTY):
                key.take(key.materials[id_], **NEW)
        assert key.take(key.materials[first], **EXISTING) == first
        with refused("KMSInvalidStateException", nothing):
            key.rotate()

    def test_no_rotation_by_itself(self, kms):
        key = Imported(kms, materials=2)
        said = f"{key.key['Arn']} origin is EXTERNAL which is not valid for this operation."
        for call in (kms.enable_key_rotation, kms.disable_key_rotation):
            with refused("UnsupportedOperationException", said):
                call(**key.name)
        assert kms.get_key_rotation_status(**key.name)["KeyRotationEnabled"] is False

    def test_what_is_told_of_each(self, kms):
        key = Imported(kms, materials=0)
        first = key.grow(KeyMaterialDescription="the first", **until(HOUR))
        second = key.grow()
        third = key.take(**NEW, KeyMaterialDescription="waits", **until(2 * HOUR))
        members = ("KeyMaterialId", "ImportState", "ExpirationModel", "KeyMaterialDescription")
        expected = [
            (first, "IMPORTED", "KEY_MATERIAL_EXPIRES", "the first"),
            (second, "IMPORTED", "KEY_MATERIAL_DOES_NOT_EXPIRE", None),
            (third, "IMPORTED", "KEY_MATERIAL_EXPIRES", "waits"),
        ]
        assert key.listed(*members) == expected
        now = datetime.datetime.now(datetime.UTC)
        soon, never, later = (valid_to for (valid_to,) in key.listed("ValidTo"))
        assert never is None
        for valid_to, hours in ((soon, 1), (later, 2)):
            assert abs(valid_to - now - datetime.timedelta(hours=hours)) < datetime.timedelta(
                minutes=5
            )
        kinds = [kind for (kind,) in key.listed("RotationType")]
        dates = [date is not None for (date,) in key.listed("RotationDate")]
        assert (kinds, dates) == ([None, "ON_DEMAND", None], [False, True, False])
        # Of the key, the earliest date counts of what it needs for good.
        metadata = key.metadata
        assert (metadata["ExpirationModel"], metadata["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", soon)
        assert key.listed("KeyMaterialId", IncludeKeyMaterial="ROTATIONS_ONLY") == [(second,)]
        entries, lengths = pages(kms.list_key_rotations, "Rotations", Limit=1, **key.name, **ALL)
        assert [entry["KeyMaterialId"] for entry in entries] == [first, second, third]
        assert lengths == [1, 1, 1]
        # An import of the same material sets date and description anew.
        key.take(key.materials[first], KeyMaterialDescription="still", **FOR_EVER)
        expected[0] = (first, "IMPORTED", "KEY_MATERIAL_DOES_NOT_EXPIRE", "still")
        assert key.listed(*members) == expected
        assert "ValidTo" not in key.metadata

    def test_there_is_a_limit(self, kms):
        key = Imported(kms, materials=1 + ON_DEMAND_LIMIT)
        said = (
            "The on-demand rotations limit has been reached for the given keyId. No more on-demand "
            f"rotations can be performed for this key: {key.key['Arn']}"
        )
        waiting = key.take(**NEW)
        with refused("LimitExceededException", said):
            key.rotate()
        assert key.listed("KeyMaterialState")[-1] == ("PENDING_ROTATION",)
        assert key.current != waiting and len(key.sealed) == 1 + ON_DEMAND_LIMIT
        key.check_opens()


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "current"])
class TestLost:
    def test_that_very_material_brings_the_key_back(self, kms, place):
        key = Imported(kms, materials=3)
        ids = list(key.materials)
        lost, kept = ids[place], [id_ for id_ in ids if id_ != ids[place]]
        assert key.lose(lost)["KeyMaterialId"] == lost
        key.check_refuses()
        states = ["PENDING_IMPORT" if id_ == lost else "IMPORTED" for id_ in ids]
        assert key.listed("ImportState") == [(state,) for state in states]
        assert key.listed("KeyMaterialId") == [(id_,) for id_ in ids]
        assert key.current == ids[-1]

        # Neither another one, nor the same one as if it were new, nor another one by its name.
        for material, about in (
            (os.urandom(32), {}),
            (os.urandom(32), EXISTING),
            (key.materials[lost], NEW),
            (key.materials[kept[0]], {"KeyMaterialId": lost}),
        ):
            with refused("IncorrectKeyMaterialException", EMPTY):
                import_material(kms, key.key, material, key.token, **about)
        # What is there may be imported again, and replaces nothing.
        for id_ in kept:
            assert key.take(key.materials[id_], **EXISTING) == id_
        key.check_refuses()

        assert key.take(key.materials[lost], **EXISTING, KeyMaterialId=lost) == lost
        assert key.state == "Enabled" and key.current == ids[-1]
        key.check_opens()
        assert key.listed("ImportState") == [("IMPORTED",)] * 3

    def test_all_that_is_lost_must_come_back(self, kms, place):
        key = Imported(kms, materials=3)
        ids = list(key.materials)
        gone = [id_ for id_ in ids if id_ != ids[place]]
        for id_ in gone:
            key.lose(id_)
            assert key.lose(id_)["KeyMaterialId"] == id_, "once more does nothing"
            key.check_refuses()
        for id_ in gone:
            key.check_refuses()
            key.take(key.materials[id_])
        assert key.state == "Enabled"
        key.check_opens()

    def test_what_waits_goes_on_waiting(self, kms, place):
        key = Imported(kms, materials=3)
        ids = list(key.materials)
        key.lose(ids[place])
        waiting = key.take(**NEW)
        key.check_refuses()
        key.take(key.materials[ids[place]])
        assert key.current == ids[-1]
        key.check_opens()
        key.rotate()
        assert key.current == waiting
        key.seal()
        key.check_opens()


def test_deleting_without_a_name_deletes_the_current_one(kms):
    key = Imported(kms, materials=2)
    waiting = key.take(**NEW)
    assert kms.delete_imported_key_material(**key.name)["KeyMaterialId"] == key.current
    assert key.listed("ImportState") == [("IMPORTED",), ("PENDING_IMPORT",), ("IMPORTED",)]
    assert key.listed("KeyMaterialId")[-1] == (waiting,)


def test_what_waits_may_be_replaced(kms):
    """It is no part of the key yet: losing it costs nothing, and it is forgotten."""
    key = Imported(kms, materials=2)
    waiting = key.take(**NEW)
    key.lose(waiting)
    assert key.state == "Enabled" and len(key.listed("KeyMaterialId")) == 2
    key.check_opens()
    with refused("IncorrectKeyMaterialException", EMPTY):
        key.take(key.materials[waiting], **EXISTING)
    other = key.take(**NEW)
    key.rotate()
    assert key.current == other
    # The one that went away may still come, as a new one.
    assert key.take(key.materials[waiting], **NEW) == waiting


class TestExpiry:
    """By a clock that the test moves."""

    @pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "current"])
    def test_of_one_of_several(self, clock_node, clock, place):
        key = Imported(clock_node.client(), materials=0)
        ids = [key.grow(**until(HOUR * (1 if n == place else 2))) for n in range(3)]
        lost = ids[place]
        clock.set(datetime.timedelta(seconds=HOUR - 60))
        key.check_opens()
        clock.set(datetime.timedelta(seconds=HOUR + 1))
        key.check_refuses()
        told = key.listed("KeyMaterialId", "ImportState", "ExpirationModel")
        there, gone = ("IMPORTED", "KEY_MATERIAL_EXPIRES"), ("PENDING_IMPORT", None)
        assert told == [(id_, *(gone if id_ == lost else there)) for id_ in ids]
        dates = [valid_to is not None for (valid_to,) in key.listed("ValidTo")]
        assert dates == [id_ != lost for id_ in ids]
        with refused("IncorrectKeyMaterialException", EMPTY):
            key.take()
        key.take(key.materials[lost])
        key.check_opens()
        # The others have their dates still.
        clock.set(datetime.timedelta(seconds=2 * HOUR + 1))
        key.check_refuses()
        states = [state for (state,) in key.listed("ImportState")]
        assert states == ["IMPORTED" if id_ == lost else "PENDING_IMPORT" for id_ in ids]
        for id_ in ids:
            key.take(key.materials[id_])
        key.check_opens()

    def test_of_what_waits(self, clock_node, clock):
        """It is gone before the key was rotated: there is nothing to rotate to."""
        key = Imported(clock_node.client(), materials=2)
        waiting = key.take(**NEW, **until(HOUR))
        assert "ValidTo" not in key.metadata
        clock.set(datetime.timedelta(seconds=HOUR + 1))
        said = f"No available key material pending rotation for the key: {key.key['Arn']}."
        with refused("KMSInvalidStateException", said):
            key.rotate()
        assert key.state == "Enabled" and len(key.listed("KeyMaterialId")) == 2
        key.check_opens()
        with refused("IncorrectKeyMaterialException", EMPTY):
            key.take(key.materials[waiting], **EXISTING)
        assert key.take(key.materials[waiting], **NEW) == waiting
        key.rotate()
        key.seal()
        key.check_opens()

    def test_of_what_waited_and_became_current(self, clock_node, clock):
        """Its date goes with it."""
        key = Imported(clock_node.client())
        waiting = key.take(**NEW, **until(HOUR))
        key.rotate()
        key.seal()
        assert key.metadata["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
        clock.set(datetime.timedelta(seconds=HOUR + 1))
        key.check_refuses()
        key.take(key.materials[waiting])
        assert key.current == waiting
        key.check_opens()

    def test_at_the_instant_and_not_before(self, clock_node, clock):
        """By the node's clock, to the millisecond: the key opens what it sealed until its date, and
        not once from then on."""
        ahead = datetime.timedelta(seconds=HOUR - 4)
        key = Imported(clock_node.client(), materials=2)
        [first, _] = key.materials
        key.take(key.materials[first], **until(HOUR))
        [ends, _] = (valid_to for (valid_to,) in key.listed("ValidTo"))
        clock.set(ahead)
        calls = {True: 0, False: 0}
        while (began := datetime.datetime.now(datetime.UTC) + ahead) < ends + datetime.timedelta(
            seconds=1.5
        ):
            opened = opens(key)
            ended = datetime.datetime.now(datetime.UTC) + ahead
            if ended < ends or began >= ends:
                assert opened == (ended < ends), f"{began} to {ended}, expiry at {ends}"
                calls[opened] += 1
            time.sleep(0.005)
        assert min(calls.values()) >= 10, calls


def opens(key):
    """Whether the key opens the first of its ciphertexts."""
    try:
        key.kms.decrypt(CiphertextBlob=next(iter(key.sealed.values())))
    except ClientError as error:
        assert error.response["Error"]["Code"] == "KMSInvalidStateException"
        return False
    return True
