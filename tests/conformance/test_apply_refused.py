"""`keystead apply`: files that are refused, which change nothing."""

import json

import pytest
from declaring import (
    ATTACHED,
    BAD_POLICY,
    LIMIT,
    OWN,
    USE,
    listing,
    operator,
    own_server,
    signs,
    trust,
)
from policies import text_of

MISTAKES = {
    "no TOML": (("[[account]]", "[[account"), "TOML parse error"),
    "an unknown key": (('path = "/staff/"', 'paht = "/staff/"'), "unknown field `paht`"),
    "no account id": (('id = "{account}"', 'id = "12"'), 'account "12"'),
    "no document": (('document_file = "use-keys.json"\n', ""), "document is missing"),
    "no such file": (("use-keys.json", "use-keis.json"), "use-keis.json"),
    "two documents": (
        ('document_file = "use-keys.json"', 'document_file = "use-keys.json"\ndocument = "{{}}"'),
        "document and document_file",
    ),
    "a bad managed policy": (("'''{limit}'''", f"'''{BAD_POLICY}'''"), "policy limit: "),
    "a bad inline policy": (
        ("'''{own}'''", f"'''{BAD_POLICY}'''"),
        "user alice: inline policy own: ",
    ),
    "a bad trust policy": (("'''{trusts_base}'''", "'''{own}'''"), "role web: trust policy: "),
    "a stranger who is trusted": (
        ("'''{trusts_base}'''", "'''{stranger}'''"),
        "role web: Invalid principal in policy",
    ),
    "a name of nobody": (('name = "alice"', 'name = "al ice"'), "user al ice: it cannot be"),
    "a path that is none": (('"/staff/"', '"staff"'), 'user alice: "staff" is no path'),
    "twice the same": (('name = "base"', 'name = "WEB"'), "role WEB: it is declared twice"),
    "no such group": (
        ('groups = ["operators"]', 'groups = ["nobody"]'),
        "there is no group nobody",
    ),
    "no such policy": (
        (f"{ATTACHED}boundary", 'attached_policies = ["no"]\nboundary'),
        "role web: there is no policy no",
    ),
    "no such boundary": (
        ('boundary = "limit"\ntags', 'boundary = "no"\ntags'),
        "there is no policy no",
    ),
    "a reserved tag": (("mail =", '"aws:mail" ='), "user alice: "),
    "too long sessions": (('"4h"', '"13h"'), "role web: sessions last between"),
    "no unit": (('"4h"', '"4"'), "say a number and a unit"),
    "too many policies attached": (
        ('attached_policies = ["use-keys"]\n\n', "attached_policies = {many}\n\n"),
        "group operators: ",
    ),
}


class TestRefusing:
    @pytest.mark.parametrize("mistake", MISTAKES)
    @pytest.mark.parametrize("exists", [False, True], ids=["new", "there"])
    def test_a_mistake_changes_nothing(self, operator, mistake, exists):
        (old, new), said = MISTAKES[mistake]
        iam = operator.begin() if exists else None
        before = listing(iam) if exists else None
        audited = operator.steps()
        own = {"own": text_of(OWN), "limit": text_of(LIMIT), "account": operator.account}
        own |= {"trusts_base": text_of(trust(f"arn:aws:iam::{operator.account}:role/base"))}
        own |= {"stranger": text_of(trust(f"arn:aws:iam::{operator.account}:user/mallory"))}
        own |= {"many": json.dumps([f"p{count}" for count in range(11)])}

        def filled(text):
            for name, value in own.items():
                text = text.replace("{" + name + "}", value)
            return text.replace("{{", "{").replace("}}", "}")

        operator.change((filled(old), filled(new)))
        if "{many}" in new:
            more = "".join(
                f"[[account.policy]]\nname = \"p{count}\"\ndocument = '''{text_of(USE)}'''\n"
                for count in range(11)
            )
            operator.write(operator.file.read_text() + more)
        refused = operator.run("--yes")
        assert refused.returncode == 1
        assert said in refused.stderr
        assert operator.steps() == audited
        if exists:
            assert listing(iam) == before
        else:
            accounts = operator.server.run("account", "list").stdout
            assert operator.account not in accounts

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('path = "/app/"', 'path = "/apps/"', "policy use-keys: its path is"),
            ("Encrypt and decrypt.", "Other.", "policy use-keys: its description is"),
            ('name = "base"', 'name = "base"\npath = "/x/"', "role base: its path is"),
            ('name = "alice"', 'name = "Alice"', "user Alice: there is one that is written alice"),
        ],
    )
    def test_what_never_changes(self, operator, old, new, said):
        iam = operator.begin()
        before = listing(iam)
        operator.change((old, new))
        refused = operator.run("--yes")
        assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr
        assert listing(iam) == before

    def test_a_bad_policy_is_told_with_its_place(self, operator):
        operator.change((text_of(OWN), BAD_POLICY))
        said = operator.run("--yes").stderr
        assert f"account {operator.account}, user alice: inline policy own: " in said
        assert "Statement" in said

    def test_without_a_terminal_it_is_said_that_it_is_meant(self, operator):
        done = operator.run()
        assert done.returncode == 1
        assert "say --yes" in done.stderr
        assert "+ role base" in signs(done.stdout)
        assert operator.steps() == []
