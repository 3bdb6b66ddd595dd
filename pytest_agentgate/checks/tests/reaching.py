"""What the patch's code reached for while tests ran, and the base's does not: hosts, secrets of other processes, files that stay."""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

from pytest_agentgate.checks.tests.classify import files_of
from pytest_agentgate.checks.tests.session import Ask, Sessions
from pytest_agentgate.checks.tests.work import Work
from pytest_agentgate.errors import ToolError

RULE = "integrity/reaches-out"
WORDS = {
    "host": "looked for the host {}, which the test does not name",
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
    known = set(work.expected.ids)
    before = {(i, kind, _brief(name)) for i, kind, name in _on_base(sessions, {i for i, *_ in rows if i in known or not i})}
    files = files_of([i for i, *_ in rows if i])
    named = {p: d.decode("utf-8", "replace").lower() for p, d in sessions.context.trees.read_many("head", list(files)).items()}
    found: dict[str, list[str]] = {}
    for node_id, kind, name in rows:
        if (node_id, kind, _brief(name)) in before or (
            kind == "host" and _brief(name) in named.get(node_id.partition("::")[0], "")
        ):
            continue
        found.setdefault(node_id, []).append(WORDS[kind].format(name) if kind in WORDS else name)
    return {i: f"while {'it ran' if i else 'it was imported'} the patch's code {'; it '.join(w[:3])}" for i, w in found.items()}


def _on_base(sessions: Sessions, ids: Collection[str]) -> list[tuple[str, str, str]]:
    """What the same tests reach for on the base, remembered; nothing where they cannot run there."""
    context = sessions.context
    if not ids:
        return []

    def make() -> Seen:
        files = () if "" in ids else tuple(files_of(ids))
        return Seen(sessions.run(Ask("base", files, frozenset(ids)), "what do these tests reach for on the base?").reached)

    parts = ("reached-on-base", context.trees.key("base"), context.interpreter.fingerprint, *sorted(ids))
    try:
        return context.remember(parts, make, Seen).rows
    except ToolError:
        return []


def _brief(name: str) -> str:
    """A host without its first labels, which can be made up anew each time; anything else as it is."""
    return (
        name if name.startswith(("/", "~")) or re.fullmatch(r"[\d.]+|.*:.*", name) else ".".join(name.rstrip(".").split(".")[-2:])
    )
