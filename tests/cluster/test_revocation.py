"""What one node acknowledged holds on all of them; a call that is repeated takes effect once."""

import concurrent.futures
import json
import time
import uuid

import pytest
from cluster import running
from expect import refused
from iam_world import allow
from people import iam_of, new_user
from sessions import assume, delete_role, keys_of, new_role

# Keys that are disabled one after the other, each that often.
DISABLED = 1000
BOUND_SECONDS = 0.1
BATCH = 50


def disabled_everywhere(cluster, batch, pause=0):
    """Disables keys through one node after the other; the others must refuse every use from then
    on, or from `pause` seconds later on, and serve it again after EnableKey."""
    clients = [node.client() for node in cluster.nodes]
    keys = [clients[0].create_key()["KeyMetadata"]["KeyId"] for _ in range(batch)]
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as threads:
        for number in range(DISABLED // batch):
            changer = clients[number % len(clients)]
            users = [client for client in clients if client is not changer]
            for change, check in [
                (changer.disable_key, encrypt_is_refused),
                (changer.enable_key, encrypt),
            ]:
                for key in keys:
                    change(KeyId=key)
                time.sleep(pause)
                uses = [threads.submit(check, kms, key) for key in keys for kms in users]
                for use in uses:
                    use.result()


def encrypt(kms, key):
    return kms.encrypt(KeyId=key, Plaintext=b"x")


def encrypt_is_refused(kms, key):
    with refused("DisabledException"):
        encrypt(kms, key)


def test_a_disabled_key_is_used_by_nobody(cluster):
    disabled_everywhere(cluster, batch=1)


def test_ended_sessions_are_let_in_by_nobody(cluster):
    """By the key behind them, and by their role; the other nodes know at once."""
    nodes = cluster.nodes
    user = new_user(nodes[0], allow("*"))
    iam, key = iam_of(nodes[0]), {"UserName": user.name, "AccessKeyId": user.access_key[0]}
    for number in range(30):
        changer = nodes[number % len(nodes)]
        others = [node for node in nodes if node is not changer]
        sts = changer.client("sts", credentials=user.access_key)
        role = new_role(nodes[0], allow("kms:*"))
        sessions = [keys_of(sts.get_session_token()), keys_of(assume(sts, role))]
        clients = [node.client(credentials=keys) for node in others for keys in sessions]
        for kms in clients:
            assert kms.list_keys()
        changer.client("iam").update_access_key(Status="Inactive", **key)
        for kms in clients:
            with refused("UnrecognizedClientException"):
                kms.list_keys()
        iam.update_access_key(Status="Active", **key)
        for kms in clients:
            assert kms.list_keys()
        delete_role(changer, role["RoleName"])
        for kms in clients[1::2]:
            with refused("UnrecognizedClientException"):
                kms.list_keys()


def test_under_bounded_reads_after_the_bound():
    reads = {"mode": "bounded", "bound": f"{BOUND_SECONDS * 1000:.0f}ms"}
    with running({"reads": reads}) as cluster:
        disabled_everywhere(cluster, BATCH, pause=BOUND_SECONDS)


@pytest.mark.parametrize("operation", ["CreateKey", "DisableKey", "EnableKey"])
def test_a_repeated_call_takes_effect_once(cluster, key, operation):
    """AWS's clients repeat a call under the same id; here it reaches all nodes, together."""
    body = {} if operation == "CreateKey" else {"KeyId": key}
    before = count(cluster)
    for _ in range(10):
        invocation = {"amz-sdk-invocation-id": str(uuid.uuid4())}
        with concurrent.futures.ThreadPoolExecutor(len(cluster.nodes)) as threads:
            calls = [
                threads.submit(node.call, operation, body, headers=invocation)
                for node in cluster.nodes
            ]
        replies = [call.result() for call in calls]
        assert {reply.status for reply in replies} == {200}
        assert len({json.dumps(reply.body, sort_keys=True) for reply in replies}) == 1
    assert count(cluster) - before == (10 if operation == "CreateKey" else 0)


def test_another_id_is_another_call(cluster):
    ids = {
        node.call("CreateKey", headers={"amz-sdk-invocation-id": str(uuid.uuid4())}).body[
            "KeyMetadata"
        ]["KeyId"]
        for node in cluster.nodes
    }
    assert len(ids) == len(cluster.nodes)


def count(cluster):
    """The keys that there are, by the word of every node."""
    counts = {node.status()["Keys"] for node in cluster.nodes}
    deadline = time.monotonic() + 10
    while len(counts) > 1 and time.monotonic() < deadline:
        counts = {node.status()["Keys"] for node in cluster.nodes}
    [only] = counts
    return only


def test_replies_say_where_they_stand(cluster, key):
    """Index and leader hint, over AWS JSON."""
    leader = cluster.leader.name
    indexes = []
    for node in [*cluster.nodes, *cluster.nodes]:
        reply = node.call("DescribeKey", {"KeyId": key})
        assert reply.headers["x-keystead-leader"] == leader
        indexes.append(int(reply.headers["x-keystead-index"]))
        made = int(node.call("CreateKey").headers["x-keystead-index"])
        assert made > indexes[-1]
    assert indexes == sorted(indexes)
