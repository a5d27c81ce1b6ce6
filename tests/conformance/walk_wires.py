"""Both wires, AWS JSON and gRPC, with one kind of answer, so that one test walks over either.

A test module that imports `wire` and `generated` has each of its tests that takes `wire`
run once over AWS JSON and once over gRPC, by the stubs that are generated from the protos.
"""

import base64
import importlib
import types
from dataclasses import dataclass

import grpc
import pytest
from expect import UUID
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from protos import PACKAGE, generated, message

__all__ = ["Grpc", "Json", "generated", "wire"]
# The status of each code that a walk meets, besides the one for everything that is invalid.
STATUS = {
    "AccessDeniedException": grpc.StatusCode.PERMISSION_DENIED,
    "AlreadyExistsException": grpc.StatusCode.ALREADY_EXISTS,
    "DisabledException": grpc.StatusCode.FAILED_PRECONDITION,
    "DryRunOperationException": grpc.StatusCode.FAILED_PRECONDITION,
    "ExpiredTokenException": grpc.StatusCode.UNAUTHENTICATED,
    "KMSInvalidStateException": grpc.StatusCode.FAILED_PRECONDITION,
    "NotFoundException": grpc.StatusCode.NOT_FOUND,
    "UnrecognizedClientException": grpc.StatusCode.UNAUTHENTICATED,
    "UnsupportedOperationException": grpc.StatusCode.UNIMPLEMENTED,
}
# No enumeration has this number.
UNKNOWN_NUMBER = 9999


@dataclass(frozen=True)
class Answer:
    """What came back: AWS's code, or OK; the text; the output in its JSON form."""

    code: str
    message: str
    body: dict
    request_id: str


class Json:
    """AWS JSON, signed."""

    # What a wrong secret is called.
    WRONG_SECRET = "InvalidSignatureException"
    has_secrets = True

    def __init__(self, node):
        self.node = node

    def access_key(self, account):
        """The one that the audit trail names."""
        return account.credentials[0]

    def call(self, account, operation, body, secret=None):
        access_key, own_secret, *token = account.credentials
        how = {"access_key": access_key, "secret": secret or own_secret}
        if token:
            how["headers"] = {"X-Amz-Security-Token": token[0]}
        reply = self.node.call(operation, body, **how)
        assert reply.status in (200, 400), reply.text
        request_id = reply.headers["x-amzn-RequestId"]
        if reply.status == 200:
            return Answer("OK", "", reply.body or {}, request_id)
        return Answer(reply.code, reply.message or "", {}, request_id)


class Grpc:
    """gRPC, with the access key as a bearer token or, where a node has none of those, with a
    certificate of the account; `channels` gives the channel of an account."""

    WRONG_SECRET = "UnrecognizedClientException"

    def __init__(self, node, channels):
        self.has_secrets = node.channel_credentials() is None
        self.channels = channels
        self.service = importlib.import_module(f"{PACKAGE}.service_pb2_grpc")

    def access_key(self, account):
        """The one that the audit trail names."""
        return account.credentials[0] if self.has_secrets else None

    def call(self, account, operation, body, secret=None):
        access_key, own_secret, *token = account.credentials
        stub = self.service.KeyManagementServiceStub(self.channels(account.number))
        bearer = token[0] if token else f"{access_key}:{secret or own_secret}"
        metadata = [("authorization", f"Bearer {bearer}")]
        request = message(f"{operation}Request")()
        fill(request, body)
        method = getattr(stub, operation)
        try:
            reply, call = method.with_call(request, metadata=metadata, timeout=30)
        except grpc.RpcError as error:
            return refused(error)
        request_id = dict(call.initial_metadata())["x-amzn-requestid"]
        return Answer("OK", "", members(reply), request_id)


def refused(error):
    """The answer that a failed call holds; its status must fit its code."""
    [info] = [
        unpacked
        for detail in rpc_status.from_call(error).details
        if detail.Unpack(unpacked := error_details_pb2.ErrorInfo())
    ]
    assert error.code() == STATUS.get(info.reason, grpc.StatusCode.INVALID_ARGUMENT), info.reason
    assert UUID.fullmatch(info.metadata["request_id"])
    return Answer(info.reason, error.details(), {}, info.metadata["request_id"])


@pytest.fixture(params=["json", "grpc"])
def wire(request, node, generated, channels):
    return Json(node) if request.param == "json" else Grpc(node, channels)


def fill(target, body):
    """Sets a message's members to those of its JSON form."""
    for field in target.DESCRIPTOR.fields:
        if field.json_name in body:
            set_field(target, field, body[field.json_name])


def set_field(target, field, value):
    if is_map(field):
        getattr(target, field.name).update(value)
    elif field.is_repeated and field.message_type:
        for item in value:
            fill(getattr(target, field.name).add(), item)
    elif field.is_repeated:
        getattr(target, field.name).extend(scalar(field, item) for item in value)
    elif is_time(field):
        getattr(target, field.name).FromMicroseconds(round(value * 1_000_000))
    elif field.message_type:
        getattr(target, field.name).SetInParent()
        fill(getattr(target, field.name), value)
    else:
        setattr(target, field.name, scalar(field, value))


def members(source):
    """The JSON form of a message; in it, as on this wire, an empty list is the same as none."""
    return {field.json_name: json_form(field, value) for field, value in source.ListFields()}


def json_form(field, value):
    if is_map(field):
        return dict(value)
    if field.is_repeated:
        return [json_item(field, item) for item in value]
    return json_item(field, value)


def json_item(field, value):
    if is_time(field):
        return value.ToMicroseconds() / 1_000_000
    if field.message_type:
        return members(value)
    if field.enum_type:
        return texts(field.enum_type)[value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def scalar(field, value):
    if field.enum_type:
        numbers = {text: number for number, text in texts(field.enum_type).items()}
        return numbers.get(value, UNKNOWN_NUMBER)
    return base64.b64decode(value) if field.type == field.TYPE_BYTES else value


def texts(enum):
    """The texts of an enumeration's numbers, as the protos give them."""
    text = importlib.import_module("keystead.options.options_pb2").text
    return types.MappingProxyType(
        {value.number: value.GetOptions().Extensions[text] for value in enum.values}
    )


def is_map(field):
    return bool(field.message_type) and field.message_type.GetOptions().map_entry


def is_time(field):
    return bool(field.message_type) and field.message_type.full_name == "google.protobuf.Timestamp"
