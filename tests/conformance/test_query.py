"""The query protocol: which service answers, and in which words it refuses."""

import botocore.awsrequest
import pytest
from expect import refused

NAMESPACES = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}


def unsigned(node, body):
    """Sends a form without a signature."""
    request = botocore.awsrequest.AWSRequest("POST", node.endpoint + "/", data=body)
    request.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    return node.send(request.prepare())


def test_actions_that_are_not_served(node):
    with refused("InvalidAction", "Could not find operation GenerateCredentialReport"):
        node.client("iam").generate_credential_report()
    with refused("InvalidAction", "Could not find operation GetFederationToken"):
        node.client("sts").get_federation_token(Name="bob")


@pytest.mark.parametrize("service", NAMESPACES)
def test_errors_are_in_the_namespace_of_the_service(node, service):
    texts = []
    client = node.client(service)
    client.meta.events.register(
        "before-parse",
        lambda response_dict, **_: texts.append(response_dict["body"].decode()),
    )
    with refused("InvalidAction", "Could not find operation Nothing"):
        client.meta.events.register(
            "before-call", lambda params, **_: params["body"].update(Action="Nothing")
        )
        (client.get_caller_identity if service == "sts" else client.list_users)()
    assert f'<ErrorResponse xmlns="{NAMESPACES[service]}">' in texts[0]


def test_without_a_signature_the_action_tells_the_service(node):
    reply = unsigned(node, "Action=GetCallerIdentity&Version=2011-06-15")
    assert reply.status == 403
    assert "<Code>MissingAuthenticationToken</Code>" in reply.text
    assert NAMESPACES["sts"] in reply.text


@pytest.mark.parametrize(
    "body",
    ["Action", "Action=a&Action=b", "Action=%zz", "=", "&".join(f"p{n}=" for n in range(1001))],
)
def test_forms_that_cannot_be_read(node, body):
    reply = unsigned(node, body)
    assert reply.status == 400
    assert "<Type>Sender</Type><Code>MalformedInput</Code>" in reply.text


def test_a_form_that_is_too_large(node):
    reply = unsigned(node, "a=" + "b" * (1024 * 1024))
    assert reply.status == 413
    assert "<Code>RequestEntityTooLarge</Code>" in reply.text


def test_an_action_is_repeated_only_so_far(node):
    reply = unsigned(node, "Action=" + "b" * 1000)
    assert reply.status == 400
    assert "b" * 128 in reply.text
    assert "b" * 129 not in reply.text
