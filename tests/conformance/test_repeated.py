"""A request that is sent again, since its reply was lost, is told what the first one was told, even
where what it did stands in its own way by now, or what has become of the key since."""

import datetime
import os
import time
import uuid

import pytest
from expect import unique_alias
from policies import policy, statement, text_of
from test_story_boto3 import wait_until
from walk_world import IMPORTED, SYMMETRIC, Account, Key, root_of

DAY = datetime.timedelta(days=1)
MINUTE = datetime.timedelta(minutes=1)


def marked():
    """The headers by which a request is known again."""
    return {"amz-sdk-invocation-id": str(uuid.uuid4())}


def revoke(key):
    return "RevokeGrant", {"KeyId": key.id, "GrantId": key.grant()}


def retire(key):
    return "RetireGrant", {"KeyId": key.arn, "GrantId": key.grant()}


def delete_alias(key):
    return "DeleteAlias", {"AliasName": key.alias()}


def create_alias(key):
    return "CreateAlias", {"AliasName": unique_alias(), "TargetKeyId": key.id}


def rotate(key):
    return "RotateKeyOnDemand", {"KeyId": key.id}


def grant(key):
    who = {"GranteePrincipal": root_of(key.owner), "Operations": ["Decrypt"]}
    return "CreateGrant", {"KeyId": key.id} | who


def import_material(key):
    return "ImportKeyMaterial", {"KeyId": key.id} | key.material()


def enable_rotation(key):
    return "EnableKeyRotation", {"KeyId": key.id, "RotationPeriodInDays": 100}


def disable_rotation(key):
    return "DisableKeyRotation", {"KeyId": key.id}


def describe(key):
    return "UpdateKeyDescription", {"KeyId": key.id, "Description": "new"}


@pytest.fixture
def key(node) -> Key:
    return Account(node).key()


@pytest.mark.parametrize("request_for", [revoke, retire, delete_alias, create_alias])
def test_the_second_reply_is_the_first(node, key, request_for):
    operation, body = request_for(key)
    headers = marked()
    for _ in range(3):
        reply = node.call(operation, body, headers=headers)
        assert (reply.status, reply.text) == (200, "")
    assert node.call(operation, body, headers=marked()).status == 400


def test_a_rotation_happens_once(node, key):
    """The last one that there may be, too: the limit stands in its way when it comes again."""
    for count in range(1, 26):
        headers = marked()
        for _ in range(2):
            reply = node.call("RotateKeyOnDemand", {"KeyId": key.id}, headers=headers)
            assert (reply.status, reply.body) == (200, {"KeyId": key.arn})
        listed = node.call("ListKeyRotations", {"KeyId": key.id}).body["Rotations"]
        assert len(listed) == count
    assert node.call("RotateKeyOnDemand", {"KeyId": key.id}).code == "LimitExceededException"


def outcome(reply):
    assert reply.status == 200, reply.text
    return reply.body


def told(reply):
    """What a reply says, but for a token, of which no two are alike."""
    said = outcome(reply) or {}
    return {member: value for member, value in said.items() if member != "GrantToken"}


@pytest.mark.parametrize(
    "request_for, kind, state",
    [
        (rotate, SYMMETRIC, "Disabled"),
        (rotate, SYMMETRIC, "PendingDeletion"),
        (grant, SYMMETRIC, "Disabled"),
        (grant, SYMMETRIC, "PendingDeletion"),
        (grant, IMPORTED, "PendingImport"),
        (import_material, IMPORTED, "PendingDeletion"),
        (enable_rotation, SYMMETRIC, "Disabled"),
        (enable_rotation, SYMMETRIC, "PendingDeletion"),
        (disable_rotation, SYMMETRIC, "Disabled"),
        (describe, SYMMETRIC, "PendingDeletion"),
    ],
)
def test_whatever_has_become_of_the_key(node, request_for, kind, state):
    key = Account(node).key(kind)
    operation, body = request_for(key)
    headers = marked()
    first = told(node.call(operation, body, headers=headers))
    key.become(state)
    before = outcome(node.call("DescribeKey", {"KeyId": key.id}))
    for _ in range(2):
        assert told(node.call(operation, body, headers=headers)) == first
    assert node.call(operation, body, headers=marked()).status == 400
    assert outcome(node.call("DescribeKey", {"KeyId": key.id})) == before


def test_a_grant_is_made_once_and_each_token_names_it(node, key):
    operation, body = grant(key)
    headers = marked()
    first = outcome(node.call(operation, body, headers=headers))
    key.become("Disabled")
    again = outcome(node.call(operation, body, headers=headers))
    for made in (first, again):
        reply = node.call("RetireGrant", {"GrantToken": made["GrantToken"], "DryRun": True})
        assert reply.code == "DryRunOperationException"
    [only] = outcome(node.call("ListGrants", {"KeyId": key.id}))["Grants"]
    assert only["GrantId"] == first["GrantId"]


def test_material_that_has_expired_since(node):
    """The first answer, and no material again."""
    key = Account(node).key(IMPORTED)
    ends = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": int(time.time()) + 3}
    body = {"KeyId": key.id} | key.material() | ends
    headers = marked()
    first = outcome(node.call("ImportKeyMaterial", body, headers=headers))
    assert first["KeyId"] == key.arn and first["KeyMaterialId"]

    def state():
        described = outcome(node.call("DescribeKey", {"KeyId": key.id}))
        return described["KeyMetadata"]["KeyState"]

    wait_until(lambda: state() == "PendingImport")
    assert outcome(node.call("ImportKeyMaterial", body, headers=headers)) == first
    assert node.call("ImportKeyMaterial", body, headers=marked()).code == "ValidationException"
    assert state() == "PendingImport"


def test_a_token_that_has_expired_since(clock_node, clock):
    key = Account(clock_node).key(IMPORTED)
    operation, body = import_material(key)
    clock.set(DAY - MINUTE)
    headers = marked()
    first = outcome(clock_node.call(operation, body, headers=headers))
    clock.set(DAY + MINUTE)
    assert outcome(clock_node.call(operation, body, headers=headers)) == first
    reply = clock_node.call(operation, body, headers=marked())
    assert reply.code == "ExpiredImportTokenException"


def test_material_that_waited_is_deleted_once(node):
    own = Account(node)
    key = own.key(IMPORTED)
    new = key.wrapped(os.urandom(32)) | {"ImportType": "NEW_KEY_MATERIAL"}
    waiting = own.ok("ImportKeyMaterial", {"KeyId": key.id} | new)["KeyMaterialId"]
    body, headers = {"KeyId": key.id, "KeyMaterialId": waiting}, marked()
    first = outcome(node.call("DeleteImportedKeyMaterial", body, headers=headers))
    assert first == {"KeyId": key.arn, "KeyMaterialId": waiting}
    for _ in range(2):
        again = node.call("DeleteImportedKeyMaterial", body, headers=headers)
        assert outcome(again) == first
    reply = node.call("DeleteImportedKeyMaterial", body, headers=marked())
    assert reply.code == "NotFoundException"


def test_scheduling_and_cancelling_a_deletion(node, key):
    asked = {"KeyId": key.id, "PendingWindowInDays": 7}
    schedule, cancel, other = marked(), marked(), marked()
    first = outcome(node.call("ScheduleKeyDeletion", asked, headers=schedule))
    assert first["KeyState"] == "PendingDeletion"
    for _ in range(2):
        again = node.call("ScheduleKeyDeletion", asked, headers=schedule)
        assert outcome(again) == first
    # Another request, and the same one for something else, meet the state that there is.
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
    headers = marked()
    body = {"KeyId": key.id}
    outcome(node.call("ScheduleKeyDeletion", body, headers=headers))
    denial = statement(Effect="Deny", Principal="*", Action="kms:ScheduleKeyDeletion")
    document = text_of(policy(statement(), denial))
    outcome(node.call("CancelKeyDeletion", body))
    outcome(node.call("PutKeyPolicy", body | {"Policy": document}))
    reply = node.call("ScheduleKeyDeletion", body, headers=headers)
    assert reply.code == "AccessDeniedException"


def test_a_policy_that_denies_its_author(node, key):
    headers = marked()
    denial = statement(Effect="Deny", Principal="*", Action="kms:PutKeyPolicy")
    document = text_of(policy(statement(), denial))
    body = {"KeyId": key.id, "Policy": document, "BypassPolicyLockoutSafetyCheck": True}
    for _ in range(2):
        assert node.call("PutKeyPolicy", body, headers=headers).status == 200
    assert node.call("PutKeyPolicy", body).code == "AccessDeniedException"
