"""Roles and temporary credentials."""

import json
from dataclasses import dataclass

from iam_world import fresh, policy
from node import ACCOUNT
from people import iam_of
from walk_world import Account

ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def trust(principal=ROOT, actions="sts:AssumeRole", **more):
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions} | more
    return json.dumps(policy(statement))


def new_role(node, *statements, document=None, account=ACCOUNT, name=None, **more):
    """A new role with these statements as an inline policy, if there are any."""
    iam = iam_of(node, account)
    document = document or trust(f"arn:aws:iam::{account}:root")
    name = name or fresh("role")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, **more)["Role"]
    if statements:
        text = json.dumps(policy(*statements))
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=text)
    return role


def delete_role(node, name):
    iam = iam_of(node)
    for policy_name in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy_name)
    iam.delete_role(RoleName=name)


def keys_of(reply):
    """The credentials of a reply, as clients here take them."""
    made = reply["Credentials"]
    return made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]


def assume(client, role, session="session-1", **more):
    """A session of a role, made by a client of STS: the whole reply."""
    return client.assume_role(RoleArn=role["Arn"], RoleSessionName=session, **more)


@dataclass(frozen=True)
class Session(Account):
    """Whom temporary credentials stand for."""

    arn: str = ""
    credentials_held: tuple = ()

    @property
    def credentials(self):
        """Access key, secret and session token."""
        return self.credentials_held


def session_of(node, reply, arn=None):
    """The caller with the credentials of a reply; `arn` where it does not tell."""
    return Session(node, ACCOUNT, arn or reply["AssumedRoleUser"]["Arn"], keys_of(reply))


def sts_of(node, caller):
    """A client of STS for a session."""
    return node.client("sts", credentials=caller.credentials)
