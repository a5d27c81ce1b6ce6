"""The AWS-managed key of a service is one, whichever nodes are asked for it first."""

import concurrent.futures
import itertools

# Of so many services, each by so many requests on every node.
SERVICES = ["s3", "ebs", "rds", "sqs", "sns", "ssm", "lambda", "glue"]
REQUESTS = 4


def described(kms, service):
    return kms.describe_key(KeyId=f"alias/aws/{service}")["KeyMetadata"]


def test_three_nodes_asked_at_once_make_one(cluster):
    clients = [node.client() for node in cluster.nodes for _ in range(REQUESTS)]
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as threads:
        for service in SERVICES:
            made = threads.map(described, clients, itertools.repeat(service))
            [first] = {key["KeyId"] for key in made}
            later = [described(node.client(), service)["KeyId"] for node in cluster.nodes]
            assert set(later) == {first}
    ours = {f"alias/aws/{service}" for service in SERVICES}
    for node in cluster.nodes:
        kms = node.client()
        targets = {
            alias["AliasName"]: alias["TargetKeyId"] for alias in kms.list_aliases()["Aliases"]
        }
        assert targets.keys() == ours and len(set(targets.values())) == len(ours)
        keys = {key["KeyId"] for key in kms.list_keys()["Keys"]}
        assert keys == set(targets.values()), "none was made for nothing"
