"""OIDC providers that a file of `keystead apply` declares."""

import pytest
from declaring import operator, own_server, signs

URL = "https://idp.example.com/tenant"
PROVIDER = f"""
[[account.oidc_provider]]
url = "{URL}"
client_ids = ["sts.amazonaws.com", "app"]
tags = {{ team = "web" }}
"""


@pytest.fixture
def declared(operator):
    """An operator whose file has a provider, which is there."""
    operator.write(operator.text + PROVIDER)
    operator.iam = operator.begin()
    operator.arn = f"arn:aws:iam::{operator.account}:oidc-provider/idp.example.com/tenant"
    return operator


def found(operator):
    reply = operator.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=operator.arn)
    return {name: reply[name] for name in ("Url", "ClientIDList", "ThumbprintList", "Tags")}


def listed(operator):
    providers = operator.iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return [one["Arn"] for one in providers]


def test_it_comes_and_twice_changes_nothing(declared):
    assert listed(declared) == [declared.arn]
    assert found(declared) == {
        "Url": URL.removeprefix("https://"),
        "ClientIDList": ["sts.amazonaws.com", "app"],
        "ThumbprintList": [],
        "Tags": [{"Key": "team", "Value": "web"}],
    }
    assert declared.apply() == "Nothing to change.\n"


def test_what_changes(declared):
    before = len(declared.steps())
    changed = PROVIDER.replace('"app"]', f'"portal"]\nthumbprints = ["{"a" * 40}"]')
    declared.write(declared.text + changed.replace('team = "web"', 'stage = "live"'))
    assert signs(declared.apply()) == [
        f"~ provider {URL}: client id",
        f"~ provider {URL}: client id",
        f"~ provider {URL}: thumbprints",
        f"~ provider {URL}: tags",
        f"~ provider {URL}: tags",
    ]
    assert declared.operations(before) == [
        "AddClientIDToOpenIDConnectProvider",
        "RemoveClientIDFromOpenIDConnectProvider",
        "UpdateOpenIDConnectProviderThumbprint",
        "UntagOpenIDConnectProvider",
        "TagOpenIDConnectProvider",
    ]
    assert found(declared) == {
        "Url": URL.removeprefix("https://"),
        "ClientIDList": ["sts.amazonaws.com", "portal"],
        "ThumbprintList": ["a" * 40],
        "Tags": [{"Key": "stage", "Value": "live"}],
    }
    assert declared.apply() == "Nothing to change.\n"


def test_only_pruning_deletes_it(declared):
    declared.write(declared.text)
    assert declared.apply() == "Nothing to change.\n"
    assert listed(declared) == [declared.arn]
    assert signs(declared.apply("--prune")) == [f"- provider {URL}"]
    assert listed(declared) == []


@pytest.mark.parametrize(
    "old, new, problem",
    [
        ("https://", "http://", "its url is no issuer's"),
        ('"app"', '"sts.amazonaws.com"', "a client id is named twice"),
        ("tags =", 'thumbprints = ["x"]\ntags =', "thumbprint"),
        ("url =", "uri =", "unknown field `uri`"),
        ("[[account.", PROVIDER + "[[account.", "it is declared twice"),
    ],
)
def test_mistakes_change_nothing(operator, old, new, problem):
    operator.write(operator.text + PROVIDER.replace(old, new, 1))
    done = operator.run("--yes")
    assert done.returncode != 0
    assert problem in done.stderr.lower()
    assert operator.steps() == []
