"""What the tests expect of replies."""

import contextlib
import re
import uuid

import pytest
from botocore.exceptions import ClientError

ANY = object()
EMPTY = ""
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# An id of the right form that no key has.
ABSENT_ID = "00000000-0000-4000-8000-00000000dead"


@contextlib.contextmanager
def refused(code, message=ANY, status=400):
    """The block's call is refused with this code, this text and this status."""
    with pytest.raises(ClientError) as caught:
        yield caught
    check_error(caught.value.response, code, message, status)


def check_error(response, code, message=ANY, status=400):
    """An error as botocore parsed it."""
    error = response["Error"]
    assert error["Code"] == code, error
    if message is not ANY:
        assert error.get("Message", "") == message
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert UUID.fullmatch(response["ResponseMetadata"]["RequestId"])


def violations(*texts):
    """The text of a ValidationException with these violations, in any order."""
    word = "error" if len(texts) == 1 else "errors"
    return f"{len(texts)} validation {word} detected: " + "; ".join(texts)


def violation(member, constraint, value=None):
    """One violation. `value` is what was sent, as shown; None for what is never shown."""
    shown = "" if value is None else f" {value}"
    return f"Value{shown} at '{member}' failed to satisfy constraint: Member must {constraint}"


def missing(member):
    """The text when one member is not there that must be."""
    return violations(violation(member, "not be null", "null"))


def key_arn(key_id, region="us-east-1", account="000000000000"):
    return f"arn:aws:kms:{region}:{account}:key/{key_id}"


def alias_arn(name, region="us-east-1", account="000000000000"):
    return f"arn:aws:kms:{region}:{account}:{name}"


def no_such_key(key_id, account="000000000000"):
    return f"Key '{key_arn(key_id, account=account)}' does not exist"


def no_such_alias(name, account="000000000000"):
    return f"Alias {alias_arn(name, account=account)} is not found."


# Why somebody may not do what, where whether it exists is not told.
UNSEEN = (
    "because the resource does not exist in this Region, no resource-based policies allow "
    "access, or a resource-based policy explicitly denies access"
)


def denied_elsewhere(action, account="000000000000", who=None):
    """The text for what belongs to another account, whether it exists or not."""
    return f"{denied_to(account, who)}{action} on this resource {UNSEEN}"


def denied_ciphertext(action, account="000000000000", who=None):
    """The text for a ciphertext whose key the caller may not use, or that is gone."""
    ciphertext = "on the resource associated with this ciphertext"
    return f"{denied_to(account, who)}{action} {ciphertext} {UNSEEN}"


def denied(who, action, resource):
    """The text for what nothing allows, or what is denied by policies that are not the caller's."""
    why = f"because no identity-based policy allows the {action} action"
    return f"{denied_to(who=who)}{action} on resource: {resource} {why}"


def denied_explicitly(who, action, resource, policy="an identity-based policy"):
    """The text for what the caller's own policies deny."""
    return f"{denied_to(who=who)}{action} on resource: {resource} with an explicit deny in {policy}"


def denied_to(account=None, who=None):
    return f"User: {who or f'arn:aws:iam::{account}:root'} is not authorized to perform: "


def unique_alias():
    return f"alias/test-{uuid.uuid4()}"


def pages(call, member, **parameters):
    """All items of a listing, one page after the other, and how long the pages were."""
    items, lengths = [], []
    while True:
        reply = call(**parameters)
        items += reply[member]
        lengths.append(len(reply[member]))
        assert ("NextMarker" in reply) == reply["Truncated"]
        if not reply["Truncated"]:
            return items, lengths
        parameters["Marker"] = reply["NextMarker"]
