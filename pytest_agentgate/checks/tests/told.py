"""What a blinded test told, read outside the sandbox: exact built-in values, and how a block ended. Pure.

The inverse of `agentgate_probe.exact`. Only built-in types are made, whatever is said; what has no exact form is UNKNOWN.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

LONGEST = 10_000
"""Characters of a message that are looked at, whatever was told: a pattern is searched in it."""


class _Unknown:
    def __repr__(self) -> str:
        return "a value of its own type"


UNKNOWN = _Unknown()
"""A value that has no exact form."""


@dataclass(frozen=True)
class Raised:
    """How a block ended that is meant to raise."""

    names: tuple[str, ...]
    """Names of the exception's class and of its bases; empty where nothing was raised."""
    message: str

    def __repr__(self) -> str:
        return f"{self.names[0]}: {self.message}" if self.names else "no exception"


def told(text: str) -> object:
    """The value that the child told; UNKNOWN where it has no exact form, or is none."""
    try:
        return _value(json.loads(text))
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return UNKNOWN


def _value(form: object) -> object:
    """``[type, content]`` as a value."""
    if not isinstance(form, list) or len(form) != 2:
        return UNKNOWN
    kind, content = form
    simple = {"none": None, "true": True, "false": False}
    if kind in simple:
        return simple[kind]
    if kind == "int":
        return int(content)
    if kind == "float":
        return float.fromhex(content)
    if kind == "complex":
        return complex(float.fromhex(content[0]), float.fromhex(content[1]))
    if kind == "str":
        return str(content)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "raised" and isinstance(content, list):
        return Raised(tuple(str(n) for n in content[0]), str(content[1])[:LONGEST])
    if kind in ("list", "tuple", "set", "frozenset") and isinstance(content, list):
        items = [_value(c) for c in content]
        makers = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
        return UNKNOWN if any(i is UNKNOWN for i in items) else makers[kind](items)
    if kind == "dict" and isinstance(content, list):
        pairs = [(_value(k), _value(v)) for k, v in content]
        return UNKNOWN if any(k is UNKNOWN or v is UNKNOWN for k, v in pairs) else dict(pairs)
    return UNKNOWN
