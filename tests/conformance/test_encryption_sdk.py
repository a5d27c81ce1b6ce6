"""The AWS Encryption SDK for Python in both of its styles: master key providers and keyrings."""

import os

import aws_encryption_sdk
import pytest
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    CreateAwsKmsKeyringInput,
    CreateAwsKmsMrkDiscoveryKeyringInput,
    CreateAwsKmsMrkKeyringInput,
)
from aws_cryptographic_material_providers.mpl.models import DiscoveryFilter as AccountFilter
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.key_providers.kms import (
    DiscoveryAwsKmsMasterKeyProvider,
    DiscoveryFilter,
    MRKAwareDiscoveryAwsKmsMasterKeyProvider,
    MRKAwareStrictAwsKmsMasterKeyProvider,
    StrictAwsKmsMasterKeyProvider,
)
from node import ACCOUNT, OTHER_REGION

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
    settings = CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=kms)
    return {"keyring": materials().create_aws_kms_keyring(settings)}


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


@pytest.mark.dev("it calls the other Region of the same process")
class TestRelatives:
    """A multi-Region key: what one Region encrypts, the other one opens, without its relative."""

    @pytest.fixture
    def arns(self, kms):
        primary = kms.create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
        replica = kms.replicate_key(KeyId=primary, ReplicaRegion=OTHER_REGION)
        return primary, replica["ReplicaKeyMetadata"]["Arn"]

    def test_master_keys(self, client, arns):
        for one, other in (arns, reversed(arns)):
            sealed, _ = client.encrypt(
                source=b"both", key_provider=MRKAwareStrictAwsKmsMasterKeyProvider(key_ids=[one])
            )
            opened, _ = client.decrypt(
                source=sealed, key_provider=MRKAwareStrictAwsKmsMasterKeyProvider(key_ids=[other])
            )
            assert opened == b"both"

    def test_master_keys_that_are_discovered(self, client, arns):
        provider = MRKAwareStrictAwsKmsMasterKeyProvider(key_ids=arns[:1])
        sealed, _ = client.encrypt(source=b"both", key_provider=provider)
        accounts = DiscoveryFilter(partition="aws", account_ids=[ACCOUNT])
        found = MRKAwareDiscoveryAwsKmsMasterKeyProvider(
            discovery_filter=accounts, discovery_region=OTHER_REGION
        )
        assert client.decrypt(source=sealed, key_provider=found)[0] == b"both"

    def test_keyrings(self, client, kms, other_region, arns):
        clients = (kms, other_region)
        rings = [mrk_keyring(*of) for of in zip(clients, arns, strict=True)]
        for one, other in (rings, reversed(rings)):
            sealed, _ = client.encrypt(source=b"both", keyring=one)
            assert client.decrypt(source=sealed, keyring=other)[0] == b"both"

    def test_keyrings_that_are_discovered(self, client, kms, other_region, arns):
        sealed, _ = client.encrypt(source=b"both", keyring=mrk_keyring(kms, arns[0]))
        settings = CreateAwsKmsMrkDiscoveryKeyringInput(
            kms_client=other_region,
            region=OTHER_REGION,
            discovery_filter=AccountFilter(partition="aws", account_ids=[ACCOUNT]),
        )
        ring = materials().create_aws_kms_mrk_discovery_keyring(settings)
        assert client.decrypt(source=sealed, keyring=ring)[0] == b"both"

    def test_a_key_of_one_region_has_none(self, client, kms, other_region, key):
        sealed, _ = client.encrypt(source=b"one", keyring=keyring(kms, key["Arn"])["keyring"])
        elsewhere = key["Arn"].replace(kms.meta.region_name, OTHER_REGION)
        with pytest.raises(Exception, match="(?i)unable to decrypt|no .*keys"):
            client.decrypt(source=sealed, keyring=mrk_keyring(other_region, elsewhere))


def materials():
    return AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())


def mrk_keyring(kms, arn):
    settings = CreateAwsKmsMrkKeyringInput(kms_key_id=arn, kms_client=kms)
    return materials().create_aws_kms_mrk_keyring(settings)
