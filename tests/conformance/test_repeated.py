"""A request that is sent again, since its reply was lost, is told what the first one was told, even
where what it did stands in its own way by now."""

import uuid

import pytest
from expect import unique_alias
from policies import policy, statement, text_of
from walk_world import Account, Key


def revoke(key):
    return "RevokeGrant", {"KeyId": key.id, "GrantId": key.grant()}


def retire(key):
    return "RetireGrant", {"KeyId": key.arn, "GrantId": key.grant()}


def delete_alias(key):
    return "DeleteAlias", {"AliasName": key.alias()}


def create_alias(key):
    return "CreateAlias", {"AliasName": unique_alias(), "TargetKeyId": key.id}


@pytest.fixture
def key(node) -> Key:
    return Account(node).key()


@pytest.mark.parametrize("request_for", [revoke, retire, delete_alias, create_alias])
def test_the_second_reply_is_the_first(node, key, request_for):
    operation, body = request_for(key)
    marked = {"amz-sdk-invocation-id": str(uuid.uuid4())}
    for _ in range(3):
        reply = node.call(operation, body, headers=marked)
        assert (reply.status, reply.text) == (200, "")
    other = {"amz-sdk-invocation-id": str(uuid.uuid4())}
    assert node.call(operation, body, headers=other).status == 400


def test_a_rotation_happens_once(node, key):
    """The last one that there may be, too: the limit stands in its way when it comes again."""
    for count in range(1, 26):
        marked = {"amz-sdk-invocation-id": str(uuid.uuid4())}
        for _ in range(2):
            reply = node.call("RotateKeyOnDemand", {"KeyId": key.id}, headers=marked)
            assert (reply.status, reply.body) == (200, {"KeyId": key.arn})
        listed = node.call("ListKeyRotations", {"KeyId": key.id}).body["Rotations"]
        assert len(listed) == count
    assert node.call("RotateKeyOnDemand", {"KeyId": key.id}).code == "LimitExceededException"


def outcome(reply):
    assert reply.status == 200, reply.text
    return reply.body


def test_scheduling_and_cancelling_a_deletion(node, key):
    asked = {"KeyId": key.id, "PendingWindowInDays": 7}
    schedule = {"amz-sdk-invocation-id": str(uuid.uuid4())}
    cancel = {"amz-sdk-invocation-id": str(uuid.uuid4())}
    first = outcome(node.call("ScheduleKeyDeletion", asked, headers=schedule))
    assert first["KeyState"] == "PendingDeletion"
    for _ in range(2):
        again = node.call("ScheduleKeyDeletion", asked, headers=schedule)
        assert outcome(again) == first
    # Another request, and the same one for something else, meet the state that there is.
    other = {"amz-sdk-invocation-id": str(uuid.uuid4())}
    for body, headers in ((asked, other), (asked | {"PendingWindowInDays": 8}, schedule)):
        reply = node.call("ScheduleKeyDeletion", body, headers=headers)
        assert reply.code == "KMSInvalidStateException"
    for _ in range(3):
        reply = node.call("CancelKeyDeletion", {"KeyId": key.id}, headers=cancel)
        assert outcome(reply) == {"KeyId": key.arn}
    reply = node.call("CancelKeyDeletion", {"KeyId": key.id}, headers=other)
    assert reply.code == "KMSInvalidStateException"
    # What was repeated was not carried out once more.
    assert outcome(node.call("ScheduleKeyDeletion", asked, headers=schedule)) == first
    described = outcome(node.call("DescribeKey", {"KeyId": key.id}))
    assert described["KeyMetadata"]["KeyState"] == "Disabled"


def test_who_may_not_any_more_is_not_told_the_first_answer(node, key):
    marked = {"amz-sdk-invocation-id": str(uuid.uuid4())}
    body = {"KeyId": key.id}
    outcome(node.call("ScheduleKeyDeletion", body, headers=marked))
    denial = statement(Effect="Deny", Principal="*", Action="kms:ScheduleKeyDeletion")
    document = text_of(policy(statement(), denial))
    outcome(node.call("CancelKeyDeletion", body))
    outcome(node.call("PutKeyPolicy", body | {"Policy": document}))
    reply = node.call("ScheduleKeyDeletion", body, headers=marked)
    assert reply.code == "AccessDeniedException"


def test_a_policy_that_denies_its_author(node, key):
    marked = {"amz-sdk-invocation-id": str(uuid.uuid4())}
    denial = statement(Effect="Deny", Principal="*", Action="kms:PutKeyPolicy")
    document = text_of(policy(statement(), denial))
    body = {"KeyId": key.id, "Policy": document, "BypassPolicyLockoutSafetyCheck": True}
    for _ in range(2):
        assert node.call("PutKeyPolicy", body, headers=marked).status == 200
    assert node.call("PutKeyPolicy", body).code == "AccessDeniedException"
