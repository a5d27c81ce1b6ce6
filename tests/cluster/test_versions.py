"""A region that is upgraded node by node: what is new waits until every node knows it."""

import time

import pytest
from cluster import running
from expect import refused
from node import eventually, features

pytestmark = pytest.mark.skipif(
    "test-clock" not in features(), reason="only a test build pretends to be older"
)

UPGRADE_FIRST = (
    "Some nodes of this region run an older version, which does not know this change. Upgrade them "
    "first."
)
OLDER = {"KEYSTEAD_TEST_UNDERSTANDS": "1"}
QUOTAS = {"quotas": {"aliases_per_key": 1}}
# Longer than a leader takes to look again.
A_WHILE = 3


def versions(cluster):
    return {node.status()["ClusterVersion"] for node in cluster.nodes}


def upgrade(node):
    node.environment.clear()
    node.restart()


def test_the_last_upgraded_node_brings_what_is_new():
    with running(QUOTAS, OLDER) as cluster:
        kms = cluster.nodes[0].client()
        key = kms.create_key()["KeyMetadata"]["KeyId"]

        def is_old():
            assert versions(cluster) == {1}
            with refused("UnsupportedOperationException", UPGRADE_FIRST):
                kms.enable_key_rotation(KeyId=key)
            with refused("UnsupportedOperationException", UPGRADE_FIRST):
                kms.create_key(Origin="EXTERNAL")
            with refused("UnsupportedOperationException", UPGRADE_FIRST):
                kms.describe_key(KeyId="alias/aws/s3")

        is_old()
        for number in range(2):
            kms.create_alias(AliasName=f"alias/{number}", TargetKeyId=key)
        first, second, last = cluster.nodes
        for node in (first, second):
            upgrade(node)
            cluster.await_leader()
            time.sleep(A_WHILE)
            is_old()

        upgrade(last)
        cluster.await_leader()
        eventually(lambda: versions(cluster) == {7}, 30, cluster.describe)
        kms.enable_key_rotation(KeyId=key)
        assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
        assert kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyManager"] == "AWS"
        # It has two by the rules of then.
        with refused("LimitExceededException", "A key cannot have more than 1 aliases."):
            kms.create_alias(AliasName="alias/third", TargetKeyId=key)
        eventually(
            lambda: "TrackingStartDate" in kms.get_key_last_usage(KeyId=key), 30, cluster.describe
        )
