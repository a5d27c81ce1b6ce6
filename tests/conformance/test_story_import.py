"""Imported key material, told through boto3: made and wrapped outside, by `cryptography` and by the
`openssl` command, imported, used, deleted, expired and imported again."""

import datetime
import os

import pytest
from ber import pkcs8_in_ber
from cryptography.hazmat.primitives import serialization
from expect import EMPTY, refused
from families import enumeration
from importing import (
    FOR_EVER,
    OAEP,
    PAIRS,
    SECRET,
    SECRETS,
    WITH_AES,
    WRAPPING_SPECS,
    import_material,
    make_material,
    new_external_key,
    parameters,
    state,
    until,
    use,
    wrap,
    wrap_by_openssl,
)
from outside import openssl
from test_story_boto3 import wait_until

SPECS = [*SECRETS, *PAIRS]
DAY = datetime.timedelta(days=1)


@pytest.fixture
def external(kms):
    """A symmetric key that waits for its material."""
    return new_external_key(kms)


@pytest.fixture
def imported(kms, external):
    """A symmetric key with material, and that."""
    material = os.urandom(32)
    import_material(kms, external, material)
    return external, material


def pending(key):
    return refused("KMSInvalidStateException", f"{key['Arn']} is pending import.")


class TestImport:
    @pytest.mark.parametrize("spec", SPECS)
    def test_every_spec(self, kms, spec):
        key = new_external_key(kms, spec)
        assert (key["KeyState"], key["Enabled"], key["Origin"]) == (
            "PendingImport",
            False,
            "EXTERNAL",
        )
        assert not key.keys() & {"ExpirationModel", "ValidTo", "CurrentKeyMaterialId"}
        material = make_material(spec)
        answer = import_material(kms, key, material)
        symmetric = spec == "SYMMETRIC_DEFAULT"
        assert answer["KeyId"] == key["Arn"]
        assert ("KeyMaterialId" in answer) == symmetric
        metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        assert (metadata["KeyState"], metadata["Enabled"]) == ("Enabled", True)
        assert metadata["ExpirationModel"] == "KEY_MATERIAL_DOES_NOT_EXPIRE"
        assert "ValidTo" not in metadata
        assert metadata.get("CurrentKeyMaterialId") == answer.get("KeyMaterialId")
        use(kms, key, spec, material)

        # Another one is never taken, the same one always.
        with refused("IncorrectKeyMaterialException", EMPTY):
            import_material(kms, key, make_material(spec))
        kms.delete_imported_key_material(KeyId=key["KeyId"])
        assert state(kms, key) == "PendingImport"
        with refused("IncorrectKeyMaterialException", EMPTY):
            import_material(kms, key, make_material(spec))
        assert state(kms, key) == "PendingImport"
        assert import_material(kms, key, material).get("KeyMaterialId") == answer.get(
            "KeyMaterialId"
        )
        use(kms, key, spec, material)

    @pytest.mark.parametrize("wrapping", WRAPPING_SPECS)
    @pytest.mark.parametrize("algorithm", OAEP + WITH_AES)
    @pytest.mark.parametrize("spec", ["SYMMETRIC_DEFAULT", "HMAC_512", "ECC_NIST_P256"])
    def test_every_way_of_wrapping(self, kms, tmp_path, spec, algorithm, wrapping):
        key = new_external_key(kms, spec)
        given = parameters(kms, key, algorithm, wrapping)
        public = serialization.load_der_public_key(given["PublicKey"])
        assert public.key_size == int(wrapping.removeprefix("RSA_"))
        assert public.public_numbers().e == 65537
        material = make_material(spec, tmp_path)
        for wrapped in (
            wrap_by_openssl(tmp_path, algorithm, given["PublicKey"], material),
            wrap(algorithm, given["PublicKey"], material),
        ):
            kms.import_key_material(
                KeyId=key["Arn"],
                ImportToken=given["ImportToken"],
                EncryptedKeyMaterial=wrapped,
                **FOR_EVER,
            )
            use(kms, key, spec, material)

    @pytest.mark.parametrize("algorithm", WITH_AES)
    @pytest.mark.parametrize("spec", PAIRS)
    def test_pairs_by_openssl(self, kms, tmp_path, spec, algorithm):
        key = new_external_key(kms, spec)
        given = parameters(kms, key, algorithm)
        material = make_material(spec, tmp_path)
        kms.import_key_material(
            KeyId=key["KeyId"],
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=wrap_by_openssl(tmp_path, algorithm, given["PublicKey"], material),
            **FOR_EVER,
        )
        use(kms, key, spec, material)

    @pytest.mark.parametrize("spec", PAIRS)
    def test_ber(self, kms, tmp_path, spec):
        """How a key is encoded makes no difference; the `openssl` command reads the same."""
        material = make_material(spec, tmp_path)
        loose = pkcs8_in_ber(material)
        how = ["pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-outform", "DER", "-in", "loose"]
        assert openssl(tmp_path, *how, loose=loose) == material
        key = new_external_key(kms, spec)
        import_material(kms, key, loose)
        use(kms, key, spec, material)
        import_material(kms, key, material)

    @pytest.mark.parametrize("spec", enumeration("KeySpec"))
    def test_what_cannot_be_imported(self, kms, spec):
        if spec in SPECS:
            return
        usages = {"ML_KEM": "ENCAPSULATE_DECAPSULATE"}
        usage = usages.get(spec.rpartition("_")[0], "SIGN_VERIFY")
        with refused("UnsupportedOperationException"):
            new_external_key(kms, spec, usage)

    @pytest.mark.parametrize("algorithm", ["RSAES_PKCS1_V1_5", "SM2PKE"])
    @pytest.mark.parametrize("wrapping", ["RSA_2048", "SM2"])
    def test_ways_of_wrapping_that_are_refused(self, kms, external, algorithm, wrapping):
        with refused("UnsupportedOperationException"):
            parameters(kms, external, algorithm, wrapping)

    @pytest.mark.parametrize("algorithm", OAEP)
    def test_what_is_too_long_for_oaep(self, kms, algorithm):
        with refused("UnsupportedOperationException"):
            parameters(kms, new_external_key(kms, "RSA_2048"), algorithm, "RSA_4096")
        with refused("UnsupportedOperationException"):
            parameters(kms, new_external_key(kms, "ECC_NIST_P521"), algorithm, "RSA_2048")
        key = new_external_key(kms, "ECC_NIST_P521")
        given = parameters(kms, key, algorithm, "RSA_3072")
        import_material(kms, key, make_material("ECC_NIST_P521"), given, algorithm)

    def test_a_key_whose_material_is_made_here(self, kms, key, external):
        text = f"{key['Arn']} origin is AWS_KMS which is not valid for this operation."
        given = parameters(kms, external)
        with refused("UnsupportedOperationException", text):
            parameters(kms, key)
        with refused("UnsupportedOperationException", text):
            import_material(kms, key, os.urandom(32), given)
        with refused("UnsupportedOperationException", text):
            kms.delete_imported_key_material(KeyId=key["KeyId"])
        # Whatever its state is.
        kms.schedule_key_deletion(KeyId=key["KeyId"])
        with refused("UnsupportedOperationException", text):
            parameters(kms, key)
        with refused("UnsupportedOperationException", text):
            import_material(kms, key, os.urandom(32), given)

    def test_ciphertexts_are_of_the_key_and_not_of_the_bytes(self, kms, imported):
        key, material = imported
        other = new_external_key(kms)
        first = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"]
        assert import_material(kms, other, material)["KeyMaterialId"] != first
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)["CiphertextBlob"]
        with refused("IncorrectKeyException"):
            kms.decrypt(KeyId=other["KeyId"], CiphertextBlob=blob)


class TestToken:
    def test_serves_again_and_again(self, kms, external):
        given, material = parameters(kms, external), os.urandom(32)
        assert given["KeyId"] == external["Arn"]
        ahead = given["ParametersValidTo"] - datetime.datetime.now(datetime.UTC)
        assert abs(ahead - DAY) < datetime.timedelta(minutes=1)
        for _ in range(2):
            import_material(kms, external, material, given)

    def test_is_of_one_key(self, kms, external):
        given = parameters(kms, new_external_key(kms))
        with refused("InvalidImportTokenException"):
            import_material(kms, external, os.urandom(32), given)
        assert state(kms, external) == "PendingImport"

    def test_is_of_one_account(self, kms, external, other_account):
        given = parameters(other_account, new_external_key(other_account))
        with refused("InvalidImportTokenException"):
            import_material(kms, external, os.urandom(32), given)

    def test_is_of_one_wrapping_key(self, kms, external):
        given, other = parameters(kms, external), parameters(kms, external)
        with refused("InvalidCiphertextException", EMPTY):
            import_material(
                kms, external, os.urandom(32), other | {"ImportToken": given["ImportToken"]}
            )

    @pytest.mark.parametrize("made_for", OAEP + WITH_AES)
    def test_is_of_one_algorithm(self, kms, external, made_for):
        given = parameters(kms, external, made_for)
        for algorithm in OAEP + WITH_AES:
            if algorithm != made_for:
                with refused("InvalidCiphertextException", EMPTY):
                    import_material(kms, external, os.urandom(32), given, algorithm)

    def test_altered(self, kms, external):
        given = parameters(kms, external)
        token = given["ImportToken"]
        places = [0, 1, 4, 8, 40, 70, 76, 78, 90, len(token) // 2, len(token) - 1]
        altered = [token[:-1], token + b"x", token[1:], b"x", bytes(len(token)), os.urandom(2000)]
        for place in places:
            changed = bytearray(token)
            changed[place] ^= 1
            altered.append(bytes(changed))
        for bad in altered:
            with refused("InvalidImportTokenException"):
                import_material(kms, external, os.urandom(32), given | {"ImportToken": bad})
        import_material(kms, external, os.urandom(32), given)

    def test_lasts_a_day(self, clock_node, clock):
        kms = clock_node.client()
        key, material = new_external_key(kms), os.urandom(32)
        given = parameters(kms, key)
        clock.set(DAY - datetime.timedelta(minutes=1))
        import_material(kms, key, material, given)
        clock.set(DAY + datetime.timedelta(minutes=1))
        with refused("ExpiredImportTokenException"):
            import_material(kms, key, material, given)
        # Another key's is invalid, however old it is.
        with refused("InvalidImportTokenException"):
            import_material(kms, new_external_key(kms), material, given)


class TestExpiry:
    def test_a_key_waits_for_what_has_expired(self, clock_node, clock):
        kms = clock_node.client()
        key, material = new_external_key(kms), os.urandom(32)
        ends = until(3600)
        import_material(kms, key, material, **ends)
        metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        assert metadata["ExpirationModel"] == "KEY_MATERIAL_EXPIRES"
        assert abs(metadata["ValidTo"] - ends["ValidTo"]) < datetime.timedelta(seconds=1)
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)["CiphertextBlob"]
        clock.set(datetime.timedelta(seconds=3500))
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == SECRET

        before = index_of(clock_node)
        clock.set(datetime.timedelta(seconds=3601))
        # At once, before anybody has swept it up.
        with pending(key):
            kms.decrypt(CiphertextBlob=blob)
        for _ in range(2):
            with pending(key):
                kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
            metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            assert metadata["KeyState"] == "PendingImport"
            assert not metadata.keys() & {"ExpirationModel", "ValidTo"}
            assert "CurrentKeyMaterialId" in metadata
            wait_until(lambda: index_of(clock_node) > before)
        # The clock of a node does not bring it back: the replicated one never goes back.
        clock.set(datetime.timedelta(seconds=3590))
        with pending(key):
            kms.decrypt(CiphertextBlob=blob)

        clock.set(datetime.timedelta(seconds=3700))
        with refused("IncorrectKeyMaterialException", EMPTY):
            import_material(kms, key, os.urandom(32))
        import_material(kms, key, material)
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == SECRET
        clock.set(400 * DAY)
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == SECRET

    def test_another_import_moves_the_date(self, clock_node, clock):
        kms = clock_node.client()
        key, material = new_external_key(kms), os.urandom(32)
        import_material(kms, key, material, **until(3600))
        import_material(kms, key, material, **until(7200))
        clock.set(datetime.timedelta(seconds=3700))
        kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)
        clock.set(datetime.timedelta(seconds=7201))
        with pending(key):
            kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)

    def test_many_keys_expire(self, clock_node, clock):
        """More than one command takes away."""
        kms = clock_node.client()
        keys = [new_external_key(kms, "HMAC_256") for _ in range(130)]
        material = os.urandom(32)
        for key in keys:
            given = parameters(kms, key)
            import_material(kms, key, material, given, **until(3600))
        before = index_of(clock_node)
        clock.set(datetime.timedelta(seconds=3601))
        wait_until(lambda: index_of(clock_node) >= before + 2)
        assert {state(kms, key) for key in keys} == {"PendingImport"}

    @pytest.mark.parametrize(
        "about, text",
        [
            ({}, "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"),
            (
                {"ExpirationModel": "KEY_MATERIAL_EXPIRES"},
                "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
            ),
            (
                until(3600) | FOR_EVER,
                "A validTo date must not be set if the ExpirationModel is "
                "KEY_MATERIAL_DOES_NOT_EXPIRE",
            ),
            (until(-60), "The validTo date must be in the future and at most 365 days ahead."),
            (
                until(366 * 86400),
                "The validTo date must be in the future and at most 365 days ahead.",
            ),
        ],
    )
    def test_dates_that_are_refused(self, kms, external, about, text):
        with refused("ValidationException", text):
            kms.import_key_material(
                KeyId=external["KeyId"], ImportToken=b"x", EncryptedKeyMaterial=b"x", **about
            )


def index_of(node):
    """How far the node's log has come. Nothing but a change moves it, such as by a sweep."""
    return int(node.call("ListKeys", {}).headers["x-keystead-index"])


class TestDeletion:
    def test_deletes_at_once_and_for_good(self, kms, imported):
        key, material = imported
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)["CiphertextBlob"]
        current = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["CurrentKeyMaterialId"]
        for _ in range(2):
            answer = kms.delete_imported_key_material(KeyId=key["KeyId"])
            assert (answer["KeyId"], answer["KeyMaterialId"]) == (key["Arn"], current)
            with pending(key):
                kms.decrypt(CiphertextBlob=blob)
        metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        assert metadata["CurrentKeyMaterialId"] == current
        assert not metadata.keys() & {"ExpirationModel", "ValidTo"}
        import_material(kms, key, material, KeyMaterialId=current)
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == SECRET

    def test_of_nothing(self, kms, external):
        answer = kms.delete_imported_key_material(KeyId=external["KeyId"])
        assert answer["KeyId"] == external["Arn"]
        assert "KeyMaterialId" not in answer

    def test_of_what_the_key_does_not_have(self, kms, imported):
        key, _ = imported
        text = f"Key material '{'0' * 64}' does not exist in key '{key['Arn']}'"
        with refused("NotFoundException", text):
            kms.delete_imported_key_material(KeyId=key["KeyId"], KeyMaterialId="0" * 64)
        assert state(kms, key) == "Enabled"

    def test_on_the_way_to_the_deletion_of_the_key(self, kms, imported):
        key, material = imported
        given = parameters(kms, key)
        kms.schedule_key_deletion(KeyId=key["KeyId"])
        with refused("KMSInvalidStateException", f"{key['Arn']} is pending deletion."):
            parameters(kms, key)
        with refused("KMSInvalidStateException", f"{key['Arn']} is pending deletion."):
            import_material(kms, key, material, given)
        kms.delete_imported_key_material(KeyId=key["KeyId"])
        assert state(kms, key) == "PendingDeletion"
        kms.cancel_key_deletion(KeyId=key["KeyId"])
        assert state(kms, key) == "Disabled"
        kms.enable_key(KeyId=key["KeyId"])
        assert state(kms, key) == "PendingImport"
        with pending(key):
            kms.enable_key(KeyId=key["KeyId"])
        import_material(kms, key, material, given)
        assert state(kms, key) == "Enabled"

    def test_a_disabled_key(self, kms, imported):
        key, material = imported
        kms.disable_key(KeyId=key["KeyId"])
        import_material(kms, key, material)
        assert state(kms, key) == "Disabled"
        kms.delete_imported_key_material(KeyId=key["KeyId"])
        assert state(kms, key) == "PendingImport"


class TestMoreMaterials:
    def test_new_material_waits(self, kms, imported):
        key, material = imported
        about = {"KeyId": key["KeyId"]}
        first = kms.describe_key(**about)["KeyMetadata"]["CurrentKeyMaterialId"]
        second = os.urandom(32)
        with refused("IncorrectKeyMaterialException", EMPTY):
            import_material(kms, key, second, ImportType="EXISTING_KEY_MATERIAL")
        with refused("IncorrectKeyMaterialException", EMPTY):
            import_material(kms, key, material, ImportType="NEW_KEY_MATERIAL")
        waiting = import_material(kms, key, second, ImportType="NEW_KEY_MATERIAL")["KeyMaterialId"]
        metadata = kms.describe_key(**about)["KeyMetadata"]
        assert metadata["CurrentKeyMaterialId"] == first
        assert metadata["KeyState"] == "Enabled"
        assert kms.encrypt(**about, Plaintext=SECRET)
        with refused("KMSInvalidStateException") as caught:
            import_material(kms, key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")
        said = caught.value.response["Error"]["Message"]
        assert said.startswith("New key material (id: ")
        assert said.endswith(
            f") cannot be imported into KMS key {key['KeyId']}, because another key material "
            f"(id: {waiting}) is pending rotation."
        )
        # What waits may be imported again, and be replaced once it is deleted.
        import_material(kms, key, second, KeyMaterialId=waiting, **until(3600))
        assert "ValidTo" not in kms.describe_key(**about)["KeyMetadata"]
        answer = kms.delete_imported_key_material(**about, KeyMaterialId=waiting)
        assert answer["KeyMaterialId"] == waiting
        assert state(kms, key) == "Enabled"
        with refused("IncorrectKeyMaterialException", EMPTY):
            import_material(kms, key, second)
        import_material(kms, key, os.urandom(32), ImportType="NEW_KEY_MATERIAL")

    def test_the_id_must_be_that_of_the_material(self, kms, imported):
        key, material = imported
        with refused("IncorrectKeyMaterialException", EMPTY):
            import_material(kms, key, material, KeyMaterialId="0" * 64)
        with refused("ValidationException"):
            import_material(
                kms,
                key,
                material,
                KeyMaterialId="0" * 64,
                ImportType="NEW_KEY_MATERIAL",
            )

    @pytest.mark.parametrize(
        "about",
        [
            {"ImportType": "NEW_KEY_MATERIAL"},
            {"ImportType": "EXISTING_KEY_MATERIAL"},
            {"KeyMaterialId": "0" * 64},
            {"KeyMaterialDescription": "made elsewhere"},
        ],
    )
    def test_other_keys_have_one(self, kms, about):
        key = new_external_key(kms, "HMAC_256")
        with refused("ValidationException"):
            import_material(kms, key, os.urandom(32), **about)


def test_data_folders_keep_imported_material(durable_node):
    kms = durable_node.client()
    waiting, key, gone = (new_external_key(kms) for _ in range(3))
    material = os.urandom(32)
    import_material(kms, key, material, **until(3600))
    import_material(kms, gone, material)
    kms.delete_imported_key_material(KeyId=gone["KeyId"])
    given = parameters(kms, waiting)
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=SECRET)["CiphertextBlob"]
    before = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert durable_node.stop() == 0
    durable_node.start()
    kms = durable_node.client()
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] == before
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == SECRET
    with refused("IncorrectKeyMaterialException", EMPTY):
        import_material(kms, gone, os.urandom(32))
    import_material(kms, gone, material)
    import_material(kms, waiting, material, given)
