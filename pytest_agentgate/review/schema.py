"""The shapes of a model's answers: as JSON Schema for the API, and as values. Pure.

The schemas keep to what structured outputs support (no numeric bounds, every key required, no further keys).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

import msgspec

from pytest_agentgate.decode import from_json

T = TypeVar("T")
CATEGORIES = ("correctness", "security", "error-handling", "concurrency", "resource", "api", "performance", "test", "other")


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One finding as a model states it, before anything of it was checked."""

    hunk: str
    side: Literal["head", "base"]
    first_line: int
    last_line: int
    quote: str
    claim: str
    trigger: str
    observed: str
    expected: str
    basis: str
    basis_quote: str
    category: str
    severity: Literal["high", "medium", "low"]
    confidence: Literal["high", "medium", "low"]
    test: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to the question for findings."""

    findings: tuple[Claim, ...]


class Refutation(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to the question whether a finding is wrong."""

    refuted: bool
    reason: str
    hunk: str
    side: Literal["head", "base"]
    first_line: int
    last_line: int
    quote: str


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """A replacement of text in one file of the head."""

    path: str
    old: str
    new: str


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A scout's choice from our list."""

    ids: tuple[str, ...]


def _object(properties: Mapping[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}


_TEXT: dict[str, object] = {"type": "string"}
_NUMBER: dict[str, object] = {"type": "integer"}
_GRADE: dict[str, object] = {"type": "string", "enum": ["high", "medium", "low"]}
_PLACE: dict[str, object] = {
    "hunk": _TEXT,
    "side": {"type": "string", "enum": ["head", "base"]},
    "first_line": _NUMBER,
    "last_line": _NUMBER,
    "quote": _TEXT,
}
FINDINGS = _object(
    {
        "findings": {
            "type": "array",
            "items": _object(
                {
                    **_PLACE,
                    **dict.fromkeys(("claim", "trigger", "observed", "expected", "basis", "basis_quote"), _TEXT),
                    "category": {"type": "string", "enum": list(CATEGORIES)},
                    "severity": _GRADE,
                    "confidence": _GRADE,
                    "test": {"anyOf": [_TEXT, {"type": "null"}]},
                }
            ),
        }
    }
)
REFUTATION = _object({"refuted": {"type": "boolean"}, "reason": _TEXT, **_PLACE})
FIX = _object({"path": _TEXT, "old": _TEXT, "new": _TEXT})
CHOSEN = _object({"ids": {"type": "array", "items": _TEXT}})


def parse(text: str, kind: type[T]) -> tuple[T | None, str]:
    """The answer as a value, or None and why it is unreadable."""
    try:
        return from_json(text, kind), ""
    except (msgspec.DecodeError, UnicodeError) as error:
        return None, f"the answer is not of the agreed shape: {error}"
