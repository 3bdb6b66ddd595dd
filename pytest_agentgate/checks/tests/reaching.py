"""What the patch's code reached for while tests ran, and the base's does not: hosts, secrets of other processes, files and processes that stay."""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

from pytest_agentgate.checks.tests.classify import files_of
from pytest_agentgate.checks.tests.session import Ask, Sessions
from pytest_agentgate.checks.tests.work import Work
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import is_test

RULE = "integrity/reaches-out"
WORDS = {
    "host": "looked for the host {}, which no test names",
    "running": "left a process running when the tests had ended: {}",
    "process": "tried to read {}, the secrets of a process that is not its own",
    "file": "tried to write {}, which outlives the tests",
}


class Seen(msgspec.Struct):
    """What the base's tests reach for: test, kind and name."""

    rows: list[tuple[str, str, str]]


def reaching(sessions: Sessions, work: Work) -> dict[str, str]:
    """Words for each test (nothing: while modules were imported) in which the patch's code reached for what the base's leaves alone."""
    rows = list(dict.fromkeys(row for run in (work.suite, work.own) if run for row in run.reached))
    if not rows:
        return {}
    before = {(kind, _brief(name, kind)) for _, kind, name in _on_base(sessions, {i for i, *_ in rows})}
    named = _named(sessions)
    found: dict[str, list[str]] = {}
    for node_id, kind, name in rows:
        if (kind, _brief(name, kind)) in before or (kind == "host" and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", named)):
            continue
        found.setdefault(node_id, []).append(WORDS[kind].format(name) if kind in WORDS else name)
    return {
        i: f"while {'it ran' if i else 'its modules were used'} the patch's code {'; it '.join(w[:3])}" for i, w in found.items()
    }


def _named(sessions: Sessions) -> str:
    """The text of all files of the tests: what they name they may ask for."""
    context = sessions.context
    paths = [p for p in context.trees.entries("head") if p.endswith(".py") and is_test(p, context.policy)]
    return "\n".join(d.decode("utf-8", "replace").lower() for d in context.trees.read_many("head", paths).values())


def _on_base(sessions: Sessions, ids: Collection[str]) -> list[tuple[str, str, str]]:
    """What the tests of the same files (of all, where modules reach at import) reach for on the base, remembered; nothing where they cannot run."""
    context = sessions.context
    present = [f for f in files_of([i for i in ids if i]) if f in context.trees.entries("base")]
    if not present and "" not in ids:
        return []

    def make() -> Seen:
        files = () if "" in ids else tuple(present)
        return Seen(sessions.run(Ask("base", files), "what do these tests reach for on the base?").reached)

    parts = ("reached-on-base", context.trees.key("base"), context.interpreter.fingerprint, "" in ids, *present)
    try:
        return context.remember(parts, make, Seen).rows
    except ToolError:
        return []


def _brief(name: str, kind: str = "host") -> str:
    """A host without its first labels, which can be made up anew each time; no command, of which ports and folders vary; else as it is."""
    if kind == "running":
        return ""
    return (
        name if name.startswith(("/", "~")) or re.fullmatch(r"[\d.]+|.*:.*", name) else ".".join(name.rstrip(".").split(".")[-2:])
    )
