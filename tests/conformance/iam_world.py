"""Names, policies and clients for the tests of IAM."""

import json
import uuid

import boto3
import botocore.config
import expect
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from node import ACCOUNT, REGION


STATUSES = {
    "AccessDenied": 403,
    "DeleteConflict": 409,
    "EntityAlreadyExists": 409,
    "InvalidClientTokenId": 403,
    "LimitExceeded": 409,
    "NoSuchEntity": 404,
}


def refused(code, message=expect.ANY):
    """The block's call is refused with this code, its status, and this text."""
    return expect.refused(code, message, STATUSES.get(code, 400))


def fresh(kind):
    """A name that no other test has."""
    return f"{kind}-{uuid.uuid4().hex[:12]}"


def arn(kind, name, path="/", account=ACCOUNT):
    return f"arn:aws:iam::{account}:{kind}{path}{name}"


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def deny(action, resource="*", **more):
    return allow(action, resource, **more) | {"Effect": "Deny"}


def client(node, access_key, service="iam", **config):
    """A client with an access key as `create_access_key` returns it."""
    settings = {"retries": {"total_max_attempts": 1}, "parameter_validation": False} | config
    return boto3.session.Session().client(
        service,
        region_name=REGION,
        endpoint_url=node.endpoint,
        aws_access_key_id=access_key["AccessKeyId"],
        aws_secret_access_key=access_key["SecretAccessKey"],
        verify=node.authority,
        config=botocore.config.Config(**settings),
    )


def losing_first_replies(iam):
    """The same client, which does not hear what the server says to the first attempt of a call."""
    heard = set()

    def send(request, **_):
        invocation = request.headers["amz-sdk-invocation-id"]
        if invocation not in heard:
            heard.add(invocation)
            assert URLLib3Session().send(request).status_code == 200
            raise ConnectionClosedError(endpoint_url=request.url)

    iam.meta.events.register("before-send.iam", send)
    return iam


def new_user(iam, *statements, **more):
    """A user with an inline policy of these statements; its name."""
    name = fresh("user")
    iam.create_user(UserName=name, **more)
    if statements:
        document = json.dumps(policy(*statements))
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    return name


def key_of(iam, name):
    return iam.create_access_key(UserName=name)["AccessKey"]


def unauthorised(user, action, resource):
    """The text of a denial."""
    return (
        f"User: {user} is not authorized to perform: {action} on resource: {resource} because no "
        f"identity-based policy allows the {action} action"
    )
