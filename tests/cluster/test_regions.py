"""Two regions of three nodes that share multi-Region keys."""

import json

import pytest
from node import OTHER_REGION, eventually
from regions import add, await_state, client, connected, described, remove, replicated, status

WITHIN = 10


@pytest.fixture(scope="module")
def both():
    with connected() as both:
        yield both


class TestTogether:
    def test_every_node_opens_what_any_other_has_encrypted(self, both):
        key = replicated(*both.clients(), OTHER_REGION)
        nodes = [*both.here.nodes, *both.there.nodes]
        for node in nodes:
            blob = client(node).encrypt(KeyId=key, Plaintext=node.name.encode())
            for other in nodes:
                opened = client(other).decrypt(CiphertextBlob=blob["CiphertextBlob"])
                assert opened["Plaintext"] == node.name.encode()

    def test_operators_see_each_other(self, both):
        for cluster, peer in (both.clusters, reversed(both.clusters)):
            eventually(
                lambda c=cluster: status(c)["Waiting"] == 0, WITHIN, lambda c=cluster: status(c)
            )
            found = status(cluster)
            assert (found["Region"], found["State"]) == (peer.region, "in step")
            assert found["OldestSeconds"] == 0
            assert found["LastError"] is None
            [listed] = json.loads(cluster.nodes[0].done("region", "peer", "list", "--output=json"))[
                "Peers"
            ]
            assert listed["Endpoints"].split() == [node.regions for node in peer.nodes]

    def test_the_trails_of_both_regions_tell_of_it(self, both):
        here, there = both.clients()
        key = replicated(here, there, OTHER_REGION)
        here.update_primary_region(KeyId=key, PrimaryRegion=OTHER_REGION)
        for kms in (here, there):
            await_state(kms, key, "Enabled")
        trails = ["".join(node.output() for node in cluster.nodes) for cluster in both.clusters]
        events = [
            [
                event["eventName"]
                for line in trail.splitlines()
                if line.startswith('{"eventVersion"') and key in line
                for event in [json.loads(line)]
            ]
            for trail in trails
        ]
        assert {"ReplicateKey", "UpdatePrimaryRegion"} <= set(events[0])
        assert {"CreateKey", "UpdatePrimaryRegion", "SynchronizeMultiRegionKey"} <= set(events[1])


class TestStrangers:
    def test_one_that_was_never_added_gets_nothing(self):
        with connected(size=1, connect=False) as both:
            here, there = both.clients()
            key = here.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
            add(both.here, both.there)
            here.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
            eventually(
                lambda: status(both.here)["LastError"], WITHIN, lambda: status(both.here)
            )
            assert status(both.here)["Waiting"] == 1
            assert described(there, key) is None
            assert described(here, key)["MultiRegionConfiguration"]["ReplicaKeys"]
            # What it is told once it knows who speaks.
            add(both.there, both.here)
            await_state(there, key, "Enabled")

    def test_one_that_was_removed_gets_nothing_more(self):
        with connected(size=1) as both:
            here, there = both.clients()
            key = replicated(here, there, OTHER_REGION)
            old = described(there, key)["CurrentKeyMaterialId"]
            remove(both.here, both.there)
            here.rotate_key_on_demand(KeyId=key)
            new = described(here, key)["CurrentKeyMaterialId"]
            assert new != old, "nothing waits for one that is gone"
            eventually(
                lambda: status(both.there)["LastError"], WITHIN, lambda: status(both.there)
            )
            assert described(there, key)["CurrentKeyMaterialId"] == old
            # One that is connected anew is told all.
            add(both.here, both.there)
            eventually(
                lambda: described(there, key)["CurrentKeyMaterialId"] == new,
                WITHIN,
                lambda: status(both.here),
            )
