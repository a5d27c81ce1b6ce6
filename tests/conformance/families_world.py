"""Keys of every kind, each made once for a test module, and calls with bytes for blobs."""

import base64
import dataclasses
import functools

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from shapes import OPERATIONS
from walk_wires import Answer, Grpc, generated
from walk_world import Account, encoded

__all__ = ["call", "generated", "keys", "own"]


class Boto3:
    """AWS JSON by way of boto3."""

    def __init__(self, node):
        self.client = functools.cache(lambda number: node.client(account=number))

    def call(self, account, operation, body):
        method = getattr(self.client(account.number), xform_name(operation))
        try:
            reply = method(**decoded(body, OPERATIONS[operation]["members"]))
        except ClientError as error:
            said, sent = error.response["Error"], error.response["ResponseMetadata"]
            assert sent["HTTPStatusCode"] == 400, said
            return Answer(said["Code"], said.get("Message", ""), {}, sent["RequestId"])
        request_id = reply.pop("ResponseMetadata")["RequestId"]
        return Answer("OK", "", reply, request_id)


def decoded(body, members):
    """The same with bytes for blobs."""
    blobs = {name for name in body if members.get(name, {}).get("type") == "blob"}
    return body | {name: base64.b64decode(body[name]) for name in blobs}


class Calls:
    """Calls of an account over one wire; `call(operation, Member=value)` gives an `Answer`."""

    def __init__(self, wire, account):
        self.wire, self.account = wire, account

    def __call__(self, operation, **members):
        body = {
            name: encoded(value) if isinstance(value, bytes) else value
            for name, value in members.items()
        }
        answer = self.wire.call(self.account, operation, body)
        if isinstance(self.wire, Boto3):
            return answer
        members = OPERATIONS[operation]["output_members"]
        return dataclasses.replace(answer, body=decoded(answer.body, members))

    def ok(self, operation, **members):
        """The output of a call that must succeed."""
        answer = self(operation, **members)
        assert answer.code == "OK", f"{operation}: {answer.code} {answer.message}"
        return answer.body

    def refused(self, code, message, operation, **members):
        """A call that must not."""
        answer = self(operation, **members)
        assert (answer.code, answer.message) == (code, message), operation


@pytest.fixture(scope="module")
def own(node):
    return Account(node)


@pytest.fixture(scope="module")
def keys(own):
    """Gives the module's key of a spec and usage; `number` is for more than one of a kind."""

    @functools.cache
    def key(spec, usage, number=1):
        return own.key(f"{spec}/{usage}")

    return key


@pytest.fixture(scope="module", params=["boto3", "grpc"])
def call(request, node, generated, channels, own):
    wire = Boto3(node) if request.param == "boto3" else Grpc(node, channels)
    return Calls(wire, own)
