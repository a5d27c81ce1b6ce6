#!/usr/bin/env python3
"""Writes what the fuzz targets begin with, from the data of the repository's tests.

    seeds.py FOLDER

makes FOLDER/seeds/TARGET with a file per seed, and where seeds have words, FOLDER/TARGET.dict with
them.
"""

import json
import pathlib
import random
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORD = re.compile(rb"[A-Za-z][A-Za-z0-9:*.-]{2,39}|\$\{[^}]{1,30}\}")
MOST_WORDS = 1000


def listed(value):
    """A value, or those of a list."""
    return value if isinstance(value, list) else [value]


def policies():
    """Every policy of tests/policies, and every value in it."""
    for path in sorted((ROOT / "tests/policies").glob("*.json")):
        file = json.loads(path.read_text())
        for name in ("key", "identity", "boundary", "session"):
            for policy in listed(file.get(name, [])):
                yield json.dumps(policy, ensure_ascii=False).encode()
                for statement in listed(policy["Statement"]):
                    yield from map(lines, values(statement))


def lines(value):
    """An element, a key and a value, as targets/policy.rs reads them."""
    element, key, text = value
    text = text if isinstance(text, str) else json.dumps(text)
    return "\n".join([element, key, text, text]).encode()


def values(statement):
    """The actions, resources, principals and conditions of a statement."""
    for element in ("Action", "Resource"):
        for value in listed(statement.get(element, [])):
            yield element, "", value
    named = [("Principal", statement.get("Principal", {}))]
    for element, block in [*named, *statement.get("Condition", {}).items()]:
        for key, value in block.items() if isinstance(block, dict) else []:
            for one in listed(value):
                yield element, key, one


def signed_requests():
    """The requests of the signature suite."""
    folder = ROOT / "crates/server/tests/data/sigv4"
    for path in sorted(folder.glob("*/header-signed-request.txt")):
        yield path.read_bytes()


def forms():
    """The forms of all operations as botocore writes them."""
    file = json.loads((ROOT / "crates/api/tests/data/iam-forms.json").read_text())
    for operation in file.values():
        yield operation["form"].encode()


def choices():
    """Bytes enough for the choices of a whole case each."""
    source = random.Random(1)
    for _ in range(50):
        yield source.randbytes(400)


def write(folder, target, seeds, words=True):
    """Writes the seeds of a target, each once, and its dictionary if they have words."""
    seeds = list(dict.fromkeys(seeds))
    place = folder / "seeds" / target
    place.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (place / f"{number:03}").write_bytes(seed)
    if not words:
        return
    found = sorted({word for seed in seeds for word in WORD.findall(seed)})[:MOST_WORDS]
    lines = [f'"{word.decode()}"\n' for word in found]
    (folder / f"{target}.dict").write_text("".join(lines))


def main():
    """Writes everything."""
    folder = pathlib.Path(sys.argv[1])
    write(folder, "policy", policies())
    write(folder, "sigv4", signed_requests())
    write(folder, "query", forms())
    write(folder, "evaluator", choices(), words=False)


if __name__ == "__main__":
    main()
