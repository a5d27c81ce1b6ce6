"""What the tests of a region of three nodes share."""

import pytest
from cluster import running


@pytest.fixture(scope="module")
def cluster():
    """A cluster that the tests of a module share; each leaves it whole."""
    with running() as cluster:
        yield cluster


@pytest.fixture
def kms(cluster):
    return cluster.nodes[0].client()


@pytest.fixture
def key(kms):
    """The id of a key of the test's own."""
    return kms.create_key()["KeyMetadata"]["KeyId"]
