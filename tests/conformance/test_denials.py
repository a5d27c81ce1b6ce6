"""A denial tells nothing: neither by what it says nor by the time that it takes does anybody learn
whether what was asked for exists, who may not use it by policies of his own."""

import itertools
import math
import os
import random
import re
import secrets
import time
from collections import Counter
from statistics import fmean, variance

import pytest
from conftest import ACCOUNTS, REGIONS
from denials import Asked, Subject
from expect import refused, unique_alias
from keep_alive import Connection
from node import Node
from people import new_user, unique_name
from policies import allow, policy, text_of
from test_authorisation import TOUCHES, each_touch
from walk_world import Account

pytestmark = pytest.mark.dev("its times need a node of their own")

PAIRS = int(os.environ.get("KEYSTEAD_PAIRS", "100"))
# Samples of each class; the times of a few tell nothing.
SAMPLES = int(os.environ.get("KEYSTEAD_SAMPLES", "2000"))
MOST = 4.5
# What is different in any two replies.
VARYING = re.compile(rb"^(x-amzn-requestid|x-keystead-index|date): .*$", re.MULTILINE)


@pytest.fixture(scope="module")
def own():
    """The account of a node that no other test makes wait."""
    node = Node(["--ephemeral", *ACCOUNTS, *REGIONS]).start()
    yield Account(node)
    assert node.stop() == 0


def shown(reply, asked):
    """All of a reply but what must be different."""
    body = reply.body
    for name in filter(None, asked.names):
        body = body.replace(name.encode(), b"NAME")
    return VARYING.sub(rb"\1", reply.head), body


@each_touch
def test_existing_and_absent(own, operation, touch):
    subject = Subject(own, operation, touch)
    callers = list(subject.callers())
    codes = Counter()
    for what, caller, by_arn in callers:
        with Connection(own.node, *caller.credentials) as connection:
            count = math.ceil(PAIRS / len(callers))
            for asked, absent in itertools.islice(subject.pairs(by_arn), count):
                replies = [connection.call(operation, each.body) for each in (asked, absent)]
                one, other = map(shown, replies, (asked, absent))
                assert one == other, f"{what}: {asked.body}"
                codes[replies[0].code] += 1
    # A ciphertext that must lead to a key may be none, before any key is looked for.
    earlier = {"ValidationException", "InvalidCiphertextException"}
    assert codes.keys() <= {"AccessDeniedException"} | earlier
    assert codes.total() >= PAIRS and codes["AccessDeniedException"] > PAIRS // 2


def grant_on(own, key):
    return {"KeyId": key.arn, "GrantId": key.grant()}


def new_grant(*_):
    return {"GrantId": secrets.token_hex(32)}


def new_name(*_):
    return {"AliasName": unique_alias()}


# What may exist besides keys: an operation, a body about it, and members of one that does not.
BESIDES = [
    ("RetireGrant", grant_on, new_grant),
    ("RevokeGrant", grant_on, new_grant),
    ("ListGrants", grant_on, new_grant),
    ("CreateAlias", lambda own, key: {"AliasName": key.alias(), "TargetKeyId": key.id}, new_name),
    ("UpdateAlias", lambda own, key: {"AliasName": key.alias(), "TargetKeyId": key.id}, new_name),
    ("DeleteAlias", lambda own, key: {"AliasName": key.alias()}, new_name),
    (
        "ListRetirableGrants",
        lambda own, key: {"RetiringPrincipal": new_user(own.node).arn},
        lambda own, key: {"RetiringPrincipal": f"arn:aws:iam::{own.number}:user/{unique_name()}"},
    ),
]


@pytest.mark.parametrize("operation, exists, absent", BESIDES, ids=[each[0] for each in BESIDES])
def test_what_hangs_on_keys(own, operation, exists, absent):
    """Grants, aliases and users, for somebody who may do nothing, on a key that there is."""
    key = own.key()
    caller = new_user(own.node)
    with Connection(own.node, *caller.credentials) as connection:
        for _ in range(20):
            body = exists(own, key)
            other = absent(own, key)
            [name] = other
            one, two = Asked(body, (body[name],)), Asked(body | other, (other[name],))
            replies = [connection.call(operation, each.body) for each in (one, two)]
            assert [reply.code for reply in replies] == ["AccessDeniedException"] * 2
            assert shown(replies[0], one) == shown(replies[1], two)


# Operations of IAM on users, groups and policies.
ENTITIES = {
    "get_user": "UserName",
    "create_user": "UserName",
    "delete_user": "UserName",
    "update_user": "UserName",
    "list_access_keys": "UserName",
    "create_access_key": "UserName",
    "list_user_policies": "UserName",
    "list_groups_for_user": "UserName",
    "get_group": "GroupName",
    "create_group": "GroupName",
    "delete_group": "GroupName",
    "list_group_policies": "GroupName",
    "get_policy": "PolicyArn",
    "delete_policy": "PolicyArn",
    "list_policy_versions": "PolicyArn",
}


@pytest.mark.parametrize("operation", ENTITIES)
def test_entities_of_iam(own, operation):
    """Nor does a denial tell the path of what it names."""
    iam, member = own.node.client("iam"), ENTITIES[operation]
    name, absent = unique_name(), unique_name()
    if member == "UserName":
        new_user(own.node, name=name, Path="/team/")
    elif member == "GroupName":
        iam.create_group(GroupName=name, Path="/team/")
    else:
        document = text_of(policy(allow("*")))
        made = iam.create_policy(PolicyName=name, Path="/team/", PolicyDocument=document)
        name = made["Policy"]["Arn"]
        absent = name.rpartition("/")[0] + "/" + absent
    caller = new_user(own.node).client("iam")
    said = []
    for asked in (name, absent):
        with refused("AccessDenied", status=403) as caught:
            getattr(caller, operation)(**{member: asked})
        said.append(caught.value.response["Error"]["Message"].replace(asked, "NAME"))
    assert said[0] == said[1]


def test_how_many_there_are():
    print(f"\nfigures: {PAIRS} pairs of replies alike for each of {len(TOUCHES)} touches of keys")


# Operations, and where they lead to a key from.
TIMED = [
    ("DescribeKey", "KeyId", "id"),
    ("Encrypt", "KeyId", "id"),
    ("Encrypt", "KeyId", "alias"),
    ("Decrypt", "CiphertextBlob", "body"),
]


@pytest.mark.parametrize("operation, role, name", TIMED)
class TestTime:
    """Welch's t of interleaved samples, without the slowest tenth of each, which is where the
    machine speaks and not the program."""

    @pytest.fixture
    def pairs(self, own, operation, role, name):
        touch = next(touch for known, touch in TOUCHES if (known, touch.role) == (operation, role))
        subject = Subject(own, operation, touch)
        subject.ways, subject.variants = [name], [{}]
        # As many that do not exist as exist: memory of names would tell, too.
        return list(itertools.islice(subject.pairs(by_arn=False), len(subject.keys)))

    def test_existing_and_absent(self, own, operation, role, name, pairs):
        t, figures = compare(own, operation, pairs)
        print(f"\nfigures: {operation} by {name}: {figures}")
        assert abs(t) < MOST, figures

    def test_absent_and_absent(self, own, operation, role, name, pairs):
        """The measurement finds nothing where there is nothing."""
        half = len(pairs) // 2
        pairs = [
            (one, other) for (_, one), (_, other) in zip(pairs[:half], pairs[half:], strict=True)
        ]
        t, figures = compare(own, operation, pairs)
        assert abs(t) < MOST, figures


def compare(own, operation, pairs):
    """Welch's t of the times that the first and the second of pairs take, and it in words."""
    times = ([], [])
    with Connection(own.node, *new_user(own.node).credentials) as connection:
        for asked in itertools.chain(*pairs * 20):
            connection.call(operation, asked.body)
        while len(times[0]) < SAMPLES:
            # Signed before, and soon enough to be sent in time.
            for which, request in presigned(connection, operation, itertools.cycle(pairs)):
                times[which].append(timed(connection, request))
    samples = [sorted(sample)[: len(sample) * 9 // 10] for sample in times]
    t = welch(*samples)
    one, other = map(fmean, samples)
    return t, f"t {t:.2f} of {one:.0f} ns and {other:.0f} ns, {len(times[0])} of each"


def presigned(connection, operation, pairs, count=500):
    """Requests in random order, each with which of its pair it is."""
    requests = [
        (which, connection.request(operation, asked.body))
        for pair in itertools.islice(pairs, count)
        for which, asked in enumerate(pair)
    ]
    random.shuffle(requests)
    return requests


def timed(connection, request):
    """How long a refusal took, in nanoseconds."""
    start = time.perf_counter_ns()
    reply = connection.exchange(request)
    took = time.perf_counter_ns() - start
    assert reply.code == "AccessDeniedException", reply.body
    return took


def welch(one, other):
    error = math.sqrt(variance(one) / len(one) + variance(other) / len(other))
    return (fmean(one) - fmean(other)) / error
