"""What the project's own ruff does not know: rules that came after the version that the base pins are no reason to stop a patch.

A project that pins ruff (in pre-commit's configuration, a lock, a requirement) has chosen its rules by that version. Where the gate
has only a newer one, what the newer one adds is noted: rules that are stable since then, the larger default selection of 0.16, and
what its formatter writes otherwise.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from pytest_agentgate.checks.ruff.tool import program, version
from pytest_agentgate.model import Finding
from pytest_agentgate.protocols import Context
from pytest_agentgate.tables import rows, table_of

PLACES = re.compile(
    r"\.pre-commit-config\.ya?ml|(uv|poetry|pdm)\.lock|pyproject\.toml|tox\.ini|setup\.cfg|(requirements/)?[\w.-]*requirements[\w.-]*\.txt"
    r"|requirements/[\w.-]+\.txt"
)
PIN = re.compile(
    r"ruff-pre-commit['\"]?\s*\n(?:\s*#.*\n)*\s*rev:\s*(?:[0-9a-f]{40}\s*#\s*(?:frozen:)?\s*)?['\"]?v?(?P<rev>\d+(?:\.\d+)+)|"
    r"name = \"ruff\"\nversion = \"(?P<lock>\d+(?:\.\d+)+)\"|"
    r"(?m:(?:^|[\s\"'\[,])ruff\s*[=~]=\s*(?P<exact>\d+(?:\.\d+)+))|required-version\s*=\s*[\"']==\s*(?P<required>\d+(?:\.\d+)+)"
)
Version = tuple[int, ...]
WIDE: Version = (0, 16)
"""Since this version a configuration without `select` selects some 400 rules; before, those of NARROW."""
NARROW = ("E4", "E7", "E9", "F")


def pin(context: Context) -> Version:
    """The newest version of ruff that the base pins; empty where it pins none."""
    places = [p for p in context.trees.entries("base") if PLACES.fullmatch(p)]
    texts = (d.decode("utf-8", "replace") for d in context.trees.read_many("base", places).values())
    return max((numbers(next(filter(None, m.groups()))) for text in texts for m in PIN.finditer(text)), default=())


def numbers(text: str) -> Version:
    """A version as numbers, which compare as versions do."""
    return tuple(int(n) for n in re.findall(r"\d+", text)[:3])


def note_unknown(findings: Sequence[Finding], context: Context) -> list[Finding]:
    """Findings with those noted that the pinned version would not report."""
    new = [f for f in findings if f.baseline_state == "new" and f.effect != "note"]
    pinned = pin(context) if new else ()
    if not pinned or pinned >= numbers(version(context)):
        return list(findings)
    known = _read_since(_rules(context))
    narrow = selected(context) if pinned < WIDE else None
    words = f"the project pins ruff {'.'.join(map(str, pinned))}, which does not report it; install that version to be judged by it"

    def unknown(finding: Finding) -> bool:
        code = finding.rule.partition("/")[2]
        if code == "format":
            return pinned[:2] < numbers(version(context))[:2]
        return known.get(code, ()) > pinned or (narrow is not None and code in known and not picks(narrow, code))

    return [msgspec.structs.replace(f, effect="note", advice=words) if f in new and unknown(f) else f for f in findings]


def _rules(context: Context) -> bytes:
    """All rules of ruff, as it says of itself in JSON."""
    return context.run_tool([program(context), "rule", "--all", "--output-format", "json"], cwd="/", timeout=30).stdout


@lru_cache(maxsize=2)
def _read_since(data: bytes) -> Mapping[str, Version]:
    """Since which version each rule is stable."""
    try:
        return {r["code"]: numbers(r["status"]["Stable"]["since"]) for r in json.loads(data) if "Stable" in r["status"]}
    except (ValueError, KeyError, TypeError):
        return {}


def rule_names(context: Context) -> Mapping[str, str]:
    """What ruff calls its rules, by code; nothing where it does not say."""
    try:
        return {r["code"]: r["name"] for r in json.loads(_rules(context))}
    except (ValueError, KeyError, TypeError):
        return {}


def picks(selectors: Sequence[str], code: str) -> bool:
    """Whether ruff's selectors mean a code: `F` is pyflakes, and not `FURB`."""
    return any(s == "ALL" or re.fullmatch(re.escape(s) + (r"[CERW]?\d*" if s == "PL" else r"\d*"), code) for s in selectors)


def selected(context: Context) -> tuple[str, ...] | None:
    """What a configuration without `select` selects before WIDE; None where it selects by itself, or cannot be read."""
    chosen: list[str] = list(NARROW)
    for name in ("pyproject.toml", "ruff.toml", ".ruff.toml"):
        try:
            data = tomllib.loads((context.trees.read("base", name) or b"").decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            return None
        top = table_of(data, "tool", "ruff") if name == "pyproject.toml" else data
        for part in (top, table_of(top, "lint")):
            if "select" in part or "extend" in part:
                return None
            chosen += rows(part.get("extend-select"))
    return tuple(chosen)
