"""Services, whichever nodes they ask: each call counts once, and a suspended service acts for nobody
from then on."""

import concurrent.futures

import pytest
from expect import refused
from iam_world import allow
from people import new_user
from services import S3, Refused, Service, put_object, register

# So many calls, each sent to every node so often at once.
CALLS = 60
COPIES = 3
SUSPENSIONS = 40


@pytest.fixture(scope="module")
def s3(cluster):
    """The service at each node."""
    keys = register(cluster.nodes[0]).keys
    return [Service(node, S3, keys) for node in cluster.nodes]


@pytest.fixture(scope="module")
def user(cluster):
    return new_user(cluster.nodes[0], allow("*"))


def new_call(service, user):
    return service.call(service.form(put_object(user.credentials)))


def is_taken(service, call):
    try:
        return bool(service.send(call)["SessionToken"])
    except Refused as refusal:
        assert refusal.code == "InvalidForwardedRequest", refusal
        return False


def test_a_call_counts_once_in_a_cluster(s3, user):
    ways = s3 * COPIES
    with concurrent.futures.ThreadPoolExecutor(len(ways)) as threads:
        for _ in range(CALLS):
            call = new_call(s3[0], user)
            taken = list(threads.map(is_taken, ways, [call] * len(ways)))
            assert sum(taken) == 1, taken
            assert not any(is_taken(service, call) for service in s3)


def test_a_suspended_service_acts_for_nobody(cluster, s3, user):
    """Neither with what it was given nor with its own key; the other nodes know at once."""
    for number in range(SUSPENSIONS):
        changer = cluster.nodes[number % len(s3)]
        others = [service for service in s3 if service.node is not changer]
        own = [service.client() for service in others]
        given = [service.acting_for(put_object(user.credentials)) for service in others]
        clients = own + given
        for kms in clients:
            assert kms.list_keys()
        changer.done("service", "suspend", S3)
        for kms in clients:
            with refused("UnrecognizedClientException"):
                kms.list_keys()
        with pytest.raises(Refused):
            others[0].forward(put_object(user.credentials))
        changer.done("service", "resume", S3)
        for kms in clients:
            assert kms.list_keys()


def test_a_new_leader_remembers_what_was_forwarded(cluster, s3, user):
    call = new_call(s3[0], user)
    assert is_taken(s3[0], call)
    leader = cluster.await_leader()
    leader.kill()
    cluster.settle()
    for service in s3:
        if service.node is not leader:
            assert not is_taken(service, call)
    cluster.start()
    assert not any(is_taken(service, call) for service in s3)
