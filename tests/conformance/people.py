"""Users of accounts, made with IAM's own operations."""

import functools
import uuid
from dataclasses import dataclass

from node import ACCOUNT
from policies import policy, text_of
from walk_world import Account

NAME = "permissions"


@dataclass(frozen=True)
class User(Account):
    """A user, who calls with an access key of his own."""

    name: str = ""
    unique_id: str = ""
    arn: str = ""
    access_key: tuple = ()

    @property
    def credentials(self):
        return self.access_key

    def client(self, service="kms", **config):
        return self.node.client(service, credentials=self.access_key, **config)


def unique_name(kind="user"):
    return f"{kind}-{uuid.uuid4()}"


def iam_of(node, account=ACCOUNT):
    """The IAM client of an account's root; one takes long to make."""
    return _iam_of(Nodes(node), account)


class Nodes:
    """A node, or several as one, as a key of a cache."""

    def __init__(self, node):
        self.node = node

    def __eq__(self, other):
        return self.node is other.node

    def __hash__(self):
        return id(self.node)


@functools.lru_cache(maxsize=8)
def _iam_of(nodes, account):
    return nodes.node.client("iam", account=account)


def new_user(node, *statements, account=ACCOUNT, name=None, **more):
    """A new user with these statements as an inline policy, if there are any."""
    iam = iam_of(node, account)
    made = iam.create_user(UserName=name or unique_name(), **more)["User"]
    name = made["UserName"]
    if statements:
        put_policy(iam, name, *statements)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    access_key = key["AccessKeyId"], key["SecretAccessKey"]
    return User(node, account, name, made["UserId"], made["Arn"], access_key)


def put_policy(iam, user, *statements):
    """Replaces the inline policy of a user."""
    document = text_of(policy(*statements))
    iam.put_user_policy(UserName=user, PolicyName=NAME, PolicyDocument=document)


def delete_user(iam, name):
    """Deletes a user with everything that hangs on him."""
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy_name in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy_name)
    for attached in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=attached["PolicyArn"])
    for group in iam.list_groups_for_user(UserName=name)["Groups"]:
        iam.remove_user_from_group(UserName=name, GroupName=group["GroupName"])
    iam.delete_user(UserName=name)
