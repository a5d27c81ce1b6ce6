"""Ten megabytes by envelope encryption: a data key from the node, AES-GCM here."""

import os

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from expect import EMPTY, refused

SIZE = 10 << 20
CONTEXT = {"file": "report", "version": "1"}


@pytest.fixture(scope="module")
def sealed(kms):
    """The file, and what is stored of it: wrapped data key, nonce, ciphertext."""
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    data_key = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext=CONTEXT)
    file, nonce = os.urandom(SIZE), os.urandom(12)
    ciphertext = AESGCM(data_key["Plaintext"]).encrypt(nonce, file, None)
    return file, data_key["CiphertextBlob"], nonce, ciphertext


def test_round_trip(kms, sealed):
    file, wrapped, nonce, ciphertext = sealed
    data_key = kms.decrypt(CiphertextBlob=wrapped, EncryptionContext=CONTEXT)["Plaintext"]
    assert AESGCM(data_key).decrypt(nonce, ciphertext, None) == file


def test_wrong_context(kms, sealed):
    _, wrapped, _, _ = sealed
    with refused("InvalidCiphertextException", EMPTY):
        kms.decrypt(CiphertextBlob=wrapped, EncryptionContext=CONTEXT | {"version": "2"})


def test_another_data_key(kms, sealed):
    _, _, nonce, ciphertext = sealed
    other = kms.generate_random(NumberOfBytes=32)["Plaintext"]
    with pytest.raises(InvalidTag):
        AESGCM(other).decrypt(nonce, ciphertext, None)


def test_the_wrapped_key_moves_to_another_key(kms, sealed):
    """The data stay as they are when the key above them changes."""
    file, wrapped, nonce, ciphertext = sealed
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    moved = kms.re_encrypt(
        CiphertextBlob=wrapped,
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=other,
        DestinationEncryptionContext={"moved": "yes"},
    )["CiphertextBlob"]
    data_key = kms.decrypt(CiphertextBlob=moved, EncryptionContext={"moved": "yes"})["Plaintext"]
    assert AESGCM(data_key).decrypt(nonce, ciphertext, None) == file
