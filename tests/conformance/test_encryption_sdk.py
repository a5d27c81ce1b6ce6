"""The AWS Encryption SDK for Python in both of its styles: master key providers and keyrings."""

import os

import aws_encryption_sdk
import pytest
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import CreateAwsKmsKeyringInput
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.key_providers.kms import (
    DiscoveryAwsKmsMasterKeyProvider,
    StrictAwsKmsMasterKeyProvider,
)

SIZE = 10 << 20
CONTEXT = {"file": "report", "version": "1"}


@pytest.fixture(scope="module", autouse=True)
def shell(node):
    """The SDK makes its own clients, from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in node.shell().items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def client():
    return aws_encryption_sdk.EncryptionSDKClient()


@pytest.fixture(scope="module")
def file():
    return os.urandom(SIZE)


def master_keys(kms, arn):
    return {"key_provider": StrictAwsKmsMasterKeyProvider(key_ids=[arn])}


def keyring(kms, arn):
    materials = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
    settings = CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=kms)
    return {"keyring": materials.create_aws_kms_keyring(settings)}


STYLES = pytest.mark.parametrize("style", [master_keys, keyring])


@STYLES
def test_ten_megabytes(client, kms, key, file, style):
    how = style(kms, key["Arn"])
    sealed, header = client.encrypt(source=file, encryption_context=CONTEXT, **how)
    assert len(header.encrypted_data_keys) == 1
    opened, header = client.decrypt(source=sealed, **how)
    assert opened == file
    assert CONTEXT.items() <= header.encryption_context.items()


@STYLES
def test_wrong_context(client, kms, key, style):
    """The context stands in the message; changed there, the node does not open the data key."""
    how = style(kms, key["Arn"])
    sealed, _ = client.encrypt(source=b"secret", encryption_context=CONTEXT, **how)
    assert sealed.count(b"report") == 1
    with pytest.raises(AWSEncryptionSDKClientError if style is master_keys else Exception):
        client.decrypt(source=sealed.replace(b"report", b"retort"), **how)


@STYLES
def test_disabled_key(client, kms, key, style):
    how = style(kms, key["Arn"])
    sealed, _ = client.encrypt(source=b"secret", **how)
    kms.disable_key(KeyId=key["KeyId"])
    with pytest.raises(Exception, match="(?i)able to decrypt|is disabled"):
        client.decrypt(source=sealed, **how)
    kms.enable_key(KeyId=key["KeyId"])
    assert client.decrypt(source=sealed, **how)[0] == b"secret"


def test_the_styles_read_each_other(client, kms, key):
    sealed, _ = client.encrypt(source=b"secret", **master_keys(kms, key["Arn"]))
    assert client.decrypt(source=sealed, **keyring(kms, key["Arn"]))[0] == b"secret"
    sealed, _ = client.encrypt(source=b"secret", **keyring(kms, key["Arn"]))
    assert client.decrypt(source=sealed, **master_keys(kms, key["Arn"]))[0] == b"secret"


def test_discovery(client, kms, key):
    """The ARN in the message leads to the key."""
    sealed, _ = client.encrypt(source=b"secret", **master_keys(kms, key["Arn"]))
    opened, _ = client.decrypt(source=sealed, key_provider=DiscoveryAwsKmsMasterKeyProvider())
    assert opened == b"secret"


def test_two_keys(client, kms, key):
    """Either of the keys under which a message was encrypted opens it."""
    other = kms.create_key()["KeyMetadata"]
    both = StrictAwsKmsMasterKeyProvider(key_ids=[key["Arn"], other["Arn"]])
    sealed, _ = client.encrypt(source=b"secret", key_provider=both)
    kms.disable_key(KeyId=key["KeyId"])
    assert client.decrypt(source=sealed, **master_keys(kms, other["Arn"]))[0] == b"secret"
