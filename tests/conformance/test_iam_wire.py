"""IAM's replies, as the api crate's tests keep them, in the eyes of botocore."""

import json

import botocore.parsers
import botocore.session
import pytest
from node import ROOT

REPLIES = json.loads((ROOT / "crates/api/tests/data/iam-replies.json").read_text())
MODEL = botocore.session.get_session().get_service_model("iam")


def seconds(value):
    """Times as seconds since 1970, as the kept values have them."""
    match value:
        case dict():
            return {name: seconds(item) for name, item in value.items()}
        case list():
            return [seconds(item) for item in value]
        case _:
            return int(value.timestamp()) if hasattr(value, "timestamp") else value


def lists(shape):
    """What a reply without any value has: its lists, empty."""
    members = shape.members if shape else {}
    return {name: [] for name, member in members.items() if member.type_name == "list"}


@pytest.mark.parametrize("operation", REPLIES)
def test_reply_is_parsed_as_meant(operation):
    shape = MODEL.operation_model(operation).output_shape
    for reply in REPLIES[operation]:
        response = {"status_code": 200, "headers": {}, "body": reply["xml"].encode()}
        parsed = botocore.parsers.create_parser("query").parse(response, shape)
        assert parsed.pop("ResponseMetadata")["RequestId"] == "id-1"
        assert seconds(parsed) == lists(shape) | reply["meant"]
