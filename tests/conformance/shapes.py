"""The service's table of operations: samples of its shapes, and every way to break them."""

import base64
import json
import re

from node import ROOT

TABLE = ROOT / "crates/api/tests/data/operations.json"
OPERATIONS = json.loads(TABLE.read_text())
# No pattern of the table takes this letter.
FOREIGN = "\u0100"
# Shapes whose samples must be more than the right number of letters.
SAMPLES = {"GrantConstraintSourceArnType": "arn:aws:s3:us-east-1:000000000000:x"}


def lower_camel(name):
    """A member's name as texts about violations spell it."""
    return name[0].lower() + name[1:]


def blob(length):
    return base64.b64encode(b"x" * length).decode()


def sample(shape):
    """A value that fits the shape; of structures, the required members only."""
    match shape["type"]:
        case "string":
            if "enum" in shape:
                return shape["enum"][0]
            return SAMPLES.get(shape["shape"], "0" * max(shape.get("min", 1), 1))
        case "blob":
            return blob(max(shape.get("min", 1), 1))
        case "integer":
            return shape.get("min", 1)
        case "timestamp":
            return 0
        case "boolean":
            return False
        case "list":
            return [sample(shape["item"])] * max(shape.get("min", 1), 1)
        case "map":
            return {"name": "value"}
        case "structure":
            return {name: sample(shape["members"][name]) for name in shape["required"]}


def broken(path, shape):
    """Every way to break a shape's constraints once: path, value, the constraint in words."""
    yield from broken_itself(path, shape)
    match shape["type"]:
        case "list":
            for where, value, constraint in broken(f"{path}.1.member", shape["item"]):
                yield where, [value], constraint
        case "structure":
            whole = sample(shape)
            for name in shape["required"]:
                rest = {other: value for other, value in whole.items() if other != name}
                yield f"{path}.{lower_camel(name)}", rest, "not be null"
            for name, member in shape["members"].items():
                for where, value, constraint in broken(f"{path}.{lower_camel(name)}", member):
                    yield where, whole | {name: value}, constraint


def broken_itself(path, shape):
    """The same for the value as such, without what is inside."""
    low, high = shape.get("min", 0), shape.get("max")
    many = {
        "string": lambda count: "0" * count,
        "blob": blob,
        "list": lambda count: [sample(shape["item"])] * count,
    }.get(shape["type"])
    if shape["type"] == "integer":
        if "min" in shape:
            yield path, low - 1, f"have value greater than or equal to {low}"
        if high is not None:
            yield path, high + 1, f"have value less than or equal to {high}"
    elif many and "enum" not in shape:
        if low > 0:
            yield path, many(low - 1), f"have length greater than or equal to {low}"
        if high is not None:
            yield path, many(high + 1), f"have length less than or equal to {high}"
    if "enum" in shape:
        yield path, "NO_SUCH_TEXT", f"satisfy enum value set: [{', '.join(shape['enum'])}]"
    if "pattern" in shape:
        yield path, FOREIGN * max(low, 1), "satisfy regular expression pattern: "


def wrong_type(shape):
    """A value of another JSON type."""
    return "text" if shape["type"] == "list" else []


def problems(path, shape, value):
    """What is wrong with a value that a reply holds; one sentence each."""
    kinds = {
        "string": str,
        "blob": str,
        "integer": int,
        "timestamp": (int, float),
        "boolean": bool,
        "list": list,
        "map": dict,
        "structure": dict,
    }
    if not isinstance(value, kinds[shape["type"]]):
        yield f"{path} is a {type(value).__name__}"
        return
    if shape["type"] == "structure":
        yield from structure_problems(path, shape["members"], shape["required"], value)
    elif shape["type"] == "list":
        for index, item in enumerate(value):
            yield from problems(f"{path}[{index}]", shape["item"], item)
    elif shape["type"] == "map":
        if not all(isinstance(text, str) for text in value.values()):
            yield f"{path} holds more than texts"
    else:
        yield from scalar_problems(path, shape, value)


def structure_problems(path, members, required, value):
    for name in required:
        if name not in value:
            yield f"{path}.{name} is missing"
    for name, member in value.items():
        if name in members:
            yield from problems(f"{path}.{name}", members[name], member)
        else:
            yield f"{path}.{name} does not exist"


def scalar_problems(path, shape, value):
    if "enum" in shape and value not in shape["enum"]:
        yield f"{path} is {value!r}"
    size = value
    if shape["type"] == "blob":
        size = len(base64.b64decode(value, validate=True))
    elif shape["type"] == "string":
        size = len(value)
        if "pattern" in shape and not re.fullmatch(shape["pattern"], value, re.ASCII):
            yield f"{path} does not match {shape['pattern']}"
    if "min" in shape and size < shape["min"]:
        yield f"{path} is too small: {size}"
    if "max" in shape and size > shape["max"]:
        yield f"{path} is too large: {size}"
