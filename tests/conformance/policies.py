"""Policies for the tests, as objects; `text_of` makes a document of one."""

import json

from node import ACCOUNT, OTHER_ACCOUNT

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
FOREIGN_ROOT = f"arn:aws:iam::{OTHER_ACCOUNT}:root"


def statement(**elements):
    """One that allows everything to the account, but for what is said; None leaves out."""
    usual = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
    return {name: value for name, value in (usual | elements).items() if value is not None}


def allow(action, resource="*", **elements):
    """A statement of an identity policy."""
    return {"Effect": "Allow", "Action": action, "Resource": resource} | elements


def deny(action, resource="*", **elements):
    return allow(action, resource, **elements) | {"Effect": "Deny"}


def policy(*statements, **elements):
    """A policy with these statements, by default the one that allows everything."""
    usual = {"Version": "2012-10-17", "Statement": list(statements) or [statement()]}
    return {name: value for name, value in (usual | elements).items() if value is not None}


def conditional(operator, key, value="x"):
    return policy(statement(Condition={operator: {key: value}}))


def second(**elements):
    """A policy whose second statement has these elements."""
    return policy(statement(), statement(**elements))


def text_of(document):
    return document if isinstance(document, str) else json.dumps(document)
