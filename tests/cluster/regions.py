"""Two regions that are connected: a cluster each."""

import contextlib
import json
import time

from cluster import running
from node import OTHER_REGION, REGION, eventually

WITHIN = 10


class Connected:
    """Two clusters, `here` and `there`, which the operators of both have connected.

    `ways` gives, for a node, the address at which the other region reaches it: that of a link in
    between, perhaps.
    """

    def __init__(self, here, there, ways=lambda node: node.regions):
        self.here, self.there, self.ways = here, there, ways

    def connect(self):
        """Connects each with the other."""
        add(self.here, self.there, self.ways)
        add(self.there, self.here, self.ways)
        return self

    @property
    def clusters(self):
        return (self.here, self.there)

    def clients(self, number=1):
        """A client of node `number` of each."""
        return [client(cluster.nodes[number - 1]) for cluster in self.clusters]


@contextlib.contextmanager
def connected(size=3, ways=None, connect=True):
    """Two new clusters for as long as the block runs."""
    with running(region=REGION, size=size) as here, running(region=OTHER_REGION, size=size) as there:
        both = Connected(here, there, *([ways] if ways else []))
        yield both.connect() if connect else both


def add(cluster, peer, ways=lambda node: node.regions):
    """Connects a peer with a cluster, by its card."""
    card = cluster.folder / f"{peer.region}.json"
    card.write_text(peer.nodes[0].done("region", "card"))
    endpoints = [argument for node in peer.nodes for argument in ("--endpoint", ways(node))]
    cluster.nodes[0].done("region", "peer", "add", str(card), *endpoints)


def remove(cluster, peer):
    cluster.nodes[0].done("region", "peer", "remove", peer.region)


def status(cluster):
    """What the leader says of the cluster's only peer."""
    said = json.loads(cluster.await_leader().done("region", "status", "--output", "json"))
    [peer] = said["Peers"]
    return peer


def client(node):
    """A client of a node, in its own Region."""
    return node.client(region=node.cluster.region)


def described(kms, key_id):
    """The metadata of a key; None if it is not there."""
    try:
        return kms.describe_key(KeyId=key_id)["KeyMetadata"]
    except kms.exceptions.NotFoundException:
        return None


def await_state(kms, key_id, state, within=WITHIN):
    def holds():
        found = described(kms, key_id)
        return found is not None and found["KeyState"] == state

    eventually(holds, within, lambda: f"{key_id} is not {state}: {described(kms, key_id)}")


def replicated(here, there, region):
    """The id of a new key of `here` that has its replica `there`."""
    key = here.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    here.replicate_key(KeyId=key, ReplicaRegion=region)
    await_state(there, key, "Enabled")
    return key


def relatives(kms, key_id):
    """The kind of a key, the Region of its primary, and those of its replicas."""
    found = described(kms, key_id)["MultiRegionConfiguration"]
    replicas = [one["Region"] for one in found["ReplicaKeys"]]
    return found["MultiRegionKeyType"], found["PrimaryKey"]["Region"], replicas


def shared(kms, key_id):
    """What a key has in common with its relatives."""
    metadata = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    rotation = kms.get_key_rotation_status(KeyId=key_id)
    rotations = kms.list_key_rotations(KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")
    relatives = metadata["MultiRegionConfiguration"]
    return {
        "current": metadata["CurrentKeyMaterialId"],
        "materials": [one["KeyMaterialId"] for one in rotations["Rotations"]],
        "primary": relatives["PrimaryKey"]["Region"],
        "replicas": [one["Region"] for one in relatives["ReplicaKeys"]],
        "rotation": (rotation["KeyRotationEnabled"], rotation.get("RotationPeriodInDays")),
    }


def await_agreement(clients, keys, within=WITHIN):
    """Waits until both regions have the same of keys; returns how long it took."""
    begun = time.monotonic()
    for key in keys:
        eventually(
            lambda k=key: agree(clients, k),
            within,
            lambda k=key: [described(kms, k) for kms in clients],
        )
    return time.monotonic() - begun


def agree(clients, key_id):
    found = [described(kms, key_id) for kms in clients]
    if None in found or any(each["KeyState"] in ("Creating", "Updating") for each in found):
        return False
    one, other = (shared(kms, key_id) for kms in clients)
    return one == other


def primaries(clients, key_id):
    """The number of regions that have a key as the primary."""
    found = [described(kms, key_id)["MultiRegionConfiguration"] for kms in clients]
    return sum(each["MultiRegionKeyType"] == "PRIMARY" for each in found)
