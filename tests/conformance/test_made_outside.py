"""Keys, MACs and signatures made outside, and what is made with keys that were: others and Keystead
agree on all of them, and both refuse what was changed.

Keystead is its key material here (`keystead-harness material`), into which a key can be brought
in the form in which it is imported.
"""

import functools
import json
import os
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from families import ALGORITHMS, MACS, MESSAGES, SIGNERS
from made_outside import (
    given,
    mac,
    mac_by_openssl,
    make_key,
    make_key_by_openssl,
    pkcs8,
    sign,
    sign_by_openssl,
    verifies_mac,
)
from node import harness
from outside import CURVES, der, openssl_verifies, require_openssl, verifies

# Around the blocks of both sizes: a key that is longer than a block is hashed first.
KEYS = [*MACS.values(), 47, 63, 65, 100, 127, 128, 129]
LONGEST_KEY = 128
# Around the blocks of both sizes and the padding at their ends, and as long as the API takes.
TEXTS = [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000, 4096]
IMPORTED = [spec for spec, _ in ALGORITHMS if spec.startswith("RSA_") or spec in CURVES]
MAKERS = ["cryptography", "openssl"]
MESSAGE = b"what is signed"


@pytest.fixture(scope="module")
def ours():
    """Asks Keystead's key material, and returns its answer."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([harness(), "material"], **pipes) as process:

        def ask(do, spec, **asked):
            hexed = {name: is_.hex() for name, is_ in asked.items() if isinstance(is_, bytes)}
            process.stdin.write(json.dumps({"do": do, "spec": spec} | asked | hexed) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()
    assert process.returncode == 0


def made(answer):
    return bytes.fromhex(answer["made"])


def changed(value):
    """The same with one bit changed, at either end and between them."""
    for at in {0, len(value) // 2, len(value) - 1} if value else ():
        yield value[:at] + bytes([value[at] ^ 1 << at % 8]) + value[at + 1 :]


@pytest.mark.parametrize("spec", MACS)
class TestMacs:
    @pytest.fixture
    def algorithm(self, spec):
        [algorithm] = ALGORITHMS[spec, "GENERATE_VERIFY_MAC"]
        return algorithm

    @pytest.fixture
    def check(self, ours, spec, algorithm):
        """Checks that Keystead makes and takes the MAC that others made, and nothing near it."""

        def check(key, text, theirs):
            how = {"algorithm": algorithm, "imported": key, "message": text}
            assert made(ours("mac", spec, **how)) == theirs

            def taken(**other):
                return ours("verify_mac", spec, **(how | {"proof": theirs} | other))["valid"]

            assert taken()
            assert not any(taken(proof=proof) for proof in [*changed(theirs), theirs[:-1], b""])
            assert not any(taken(message=message) for message in [*changed(text), text + b"\0"])
            assert not any(taken(imported=imported) for imported in changed(key))

        return check

    @pytest.mark.parametrize("length", KEYS)
    def test_with_cryptography(self, ours, check, spec, algorithm, length):
        if not MACS[spec] <= length <= LONGEST_KEY:
            asked = {"algorithm": algorithm, "message": b"", "imported": os.urandom(length)}
            assert ours("mac", spec, **asked) == {"refused": "this is no key material of this spec"}
            return
        for text in map(os.urandom, TEXTS):
            key = os.urandom(length)
            check(key, text, mac(key, algorithm, text))
            asked = {"algorithm": algorithm, "imported": key, "message": text}
            own = made(ours("mac", spec, **asked))
            assert verifies_mac(key, algorithm, text, own)
            assert not any(verifies_mac(key, algorithm, text, bad) for bad in changed(own))

    def test_with_openssl(self, check, tmp_path, spec, algorithm):
        for length in range(MACS[spec], LONGEST_KEY + 1, 20):
            for text in map(os.urandom, TEXTS[::4]):
                key = os.urandom(length)
                check(key, text, mac_by_openssl(tmp_path, key, algorithm, text))


@pytest.fixture(scope="module")
def outside_key(tmp_path_factory):
    """Gives a private key in PKCS#8 of a spec, the same each time."""
    keys = {}

    def of(spec, maker, number=0):
        if (spec, maker, number) not in keys:
            folder = tmp_path_factory.mktemp("key")
            by_openssl = maker == "openssl"
            new = make_key_by_openssl(folder, spec) if by_openssl else pkcs8(make_key(spec))
            keys[spec, maker, number] = new
        return keys[spec, maker, number]

    return of


@functools.cache
def parsed(private):
    return load_der_private_key(private, None)


@functools.cache
def public_of(private):
    return der(parsed(private).public_key())


def ways(spec, private):
    """Keystead has the public key, or, where such keys can be imported, the private one."""
    return [{"public": public_of(private)}, *([{"imported": private}] if spec in IMPORTED else [])]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("spec, algorithm", SIGNERS)
class TestSignatures:
    @pytest.fixture(autouse=True)
    def possible(self, maker, spec, algorithm):
        if maker == "openssl":
            require_openssl(algorithm)

    @pytest.fixture
    def private(self, outside_key, spec, maker):
        return outside_key(spec, maker)

    @pytest.fixture
    def check(self, ours, outside_key, spec, algorithm, maker, private):
        """Checks that Keystead takes a signature that others made, and nothing near it."""
        other = outside_key(spec, maker, 1)

        def check(signature, text):
            # One of a text is one of its digest, but with Ed25519.
            types = set(MESSAGES[algorithm]) & {"RAW", "DIGEST"}
            for way, message_type in ((w, t) for w in ways(spec, private) for t in types):
                how = {"algorithm": algorithm, "message_type": message_type, "proof": signature}
                how["message"] = given(algorithm, message_type, text)

                def taken(**more):
                    return ours("verify", spec, **more)["valid"]

                assert taken(**how, **way)
                bad = [*changed(signature), signature[:-1], signature + b"\0", b""]
                assert not any(taken(**(how | way | {"proof": each})) for each in bad)
                bad = changed(how["message"])
                assert not any(taken(**(how | way | {"message": each})) for each in bad)
                assert not any(taken(**how, **foreign) for foreign in ways(spec, other))

        return check

    def test_by_libraries(self, check, spec, algorithm, maker, private):
        message_type = next(iter(MESSAGES[algorithm]))
        for text in (MESSAGE, b"", b"x" * 4096):
            message = given(algorithm, message_type, text)
            check(sign(parsed(private), algorithm, message_type, message), text)

    def test_by_openssl(self, check, tmp_path, spec, algorithm, maker, private):
        require_openssl(algorithm)
        message_type = next(iter(MESSAGES[algorithm]))
        for text in (MESSAGE, b"x" * 4096):
            message = given(algorithm, message_type, text)
            check(sign_by_openssl(tmp_path, algorithm, private, message), text)

    def test_with_an_imported_key(self, ours, tmp_path, spec, algorithm, maker, private):
        if spec not in IMPORTED:
            assert "refused" in ours("public_key", spec, imported=private)
            return
        encoded = public_of(private)
        assert made(ours("public_key", spec, imported=private)) == encoded
        public = load_der_public_key(encoded)
        for message_type in MESSAGES[algorithm]:
            message = given(algorithm, message_type, MESSAGE)
            how = {"algorithm": algorithm, "message_type": message_type, "imported": private}
            signature = made(ours("sign", spec, message=message, **how))
            assert verifies(public, algorithm, message_type, message, signature)
            assert openssl_verifies(tmp_path, algorithm, encoded, MESSAGE, signature)
            for bad in changed(signature):
                assert not verifies(public, algorithm, message_type, message, bad)
                assert not openssl_verifies(tmp_path, algorithm, encoded, MESSAGE, bad)
            for bad in changed(message):
                assert not verifies(public, algorithm, message_type, bad, signature)
            for bad in changed(MESSAGE):
                assert not openssl_verifies(tmp_path, algorithm, encoded, bad, signature)
