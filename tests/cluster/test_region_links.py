"""Two regions over a way that is cut, slow, or changes what it carries."""

import contextlib
import itertools
import os

import pytest
from link import Links
from node import OTHER_REGION, eventually
from regions import await_agreement, await_state, connected, primaries, replicated, status

# What changes while the link is cut.
MUTATIONS = int(os.environ.get("KEYSTEAD_CUT_MUTATIONS", "600"))
KEYS = 20
WITHIN = 10


@pytest.fixture(scope="module")
def links():
    return Links()


@pytest.fixture(scope="module")
def both(links):
    with connected(size=1, ways=links) as both:
        yield both
        links.heal()


@pytest.fixture
def clients(both, links):
    yield both.clients()
    links.heal()


def change(kms, keys, count):
    """Changes what keys share, so many times in all; returns the days of each key's rotation and
    what is new."""
    periods, made = {}, []
    for turn in range(count):
        key = keys[turn * 7 % len(keys)]
        match turn % 10:
            case 0:
                made.append(kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"])
            case 1:
                kms.replicate_key(KeyId=made[-1], ReplicaRegion=OTHER_REGION)
            case 2:
                kms.disable_key_rotation(KeyId=key)
                periods[key] = None
            case _:
                periods[key] = 90 + turn % 2000
                kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=periods[key])
    return periods, made


def check_blobs(clients, keys):
    """What either region encrypts, the other one opens."""
    for key in keys:
        for one, other in itertools.permutations(clients):
            blob = one.encrypt(KeyId=key, Plaintext=key.encode())["CiphertextBlob"]
            assert other.decrypt(CiphertextBlob=blob)["Plaintext"] == key.encode()


def test_a_long_cut(both, links, clients):
    here, there = clients
    keys = [replicated(here, there, OTHER_REGION) for _ in range(KEYS)]
    links.cut()
    for key in keys:
        here.rotate_key_on_demand(KeyId=key)
    periods, made = change(here, keys, MUTATIONS)
    eventually(lambda: status(both.here)["LastError"], WITHIN, lambda: status(both.here))
    found = status(both.here)
    assert found["Waiting"] > 0 and found["OldestSeconds"] > 0
    links.heal()
    took = await_agreement(clients, [*keys, *made])
    print(f"\nfigures: {MUTATIONS} mutations during a cut, in step after {took:.1f} s")
    for key in keys:
        assert len(there.list_key_rotations(KeyId=key)["Rotations"]) == 1
        status_of = there.get_key_rotation_status(KeyId=key)
        assert status_of.get("RotationPeriodInDays") == periods.get(key)
    check_blobs(clients, [*keys[:5], *made[:5]])
    eventually(lambda: status(both.here)["Waiting"] == 0, WITHIN, lambda: status(both.here))


@pytest.mark.parametrize(
    "how",
    [
        {"delay": 0.05},
        {"damage": 0.05},
        {"double": 0.05},
        {"swap": 0.05},
        {"damage": 0.02, "double": 0.02, "swap": 0.02, "delay": 0.01},
    ],
    ids=["slow", "damages", "doubles", "reorders", "all of it"],
)
def test_a_bad_way(links, clients, how):
    here, there = clients
    keys = [replicated(here, there, OTHER_REGION) for _ in range(4)]
    links.set(**how)
    rotations = dict.fromkeys(keys, 0)
    for turn in range(40):
        key = keys[turn % 4]
        with contextlib.suppress(here.exceptions.KMSInvalidStateException):
            # The last material may not be there yet.
            here.rotate_key_on_demand(KeyId=key)
            rotations[key] += 1
        here.enable_key_rotation(KeyId=key, RotationPeriodInDays=90 + turn)
    links.heal()
    await_agreement(clients, keys)
    for key in keys:
        assert len(there.list_key_rotations(KeyId=key)["Rotations"]) == rotations[key]
    check_blobs(clients, keys)


def test_a_primary_moves_when_the_cut_ends(links, clients):
    here, there = clients
    key = replicated(here, there, OTHER_REGION)
    links.cut()
    here.update_primary_region(KeyId=key, PrimaryRegion=OTHER_REGION)
    assert here.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Updating"
    blob = here.encrypt(KeyId=key, Plaintext=b"used meanwhile")["CiphertextBlob"]
    assert there.decrypt(CiphertextBlob=blob)["Plaintext"] == b"used meanwhile"
    links.heal()
    for kms in clients:
        await_state(kms, key, "Enabled")
    await_agreement(clients, [key])
    assert primaries(clients, key) == 1
    assert there.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"][
        "MultiRegionKeyType"
    ] == "PRIMARY"
