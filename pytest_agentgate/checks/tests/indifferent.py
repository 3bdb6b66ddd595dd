"""New tests that say nothing about what the patch changed: they do not reach it, or whatever it gives is fine with them.

A test that fails where a function raises has been there, no more (``assert total(items) is not None``). So what the patch's
functions give is changed, one decision at a time: where no test of the patch notices any of it, those that name the function
notice nothing (mutants of changed lines: Petrovic and Ivankovic, State of mutation testing at Google, ICSE-SEIP 2018).
"""

from __future__ import annotations

import ast
import re
import secrets
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pytest_agentgate.checks.tests.classify import files_of
from pytest_agentgate.checks.tests.mutants import Mutant, schemata
from pytest_agentgate.checks.tests.noticing import MOST_NEW, changed_product, immune
from pytest_agentgate.checks.tests.session import Ask, Sessions, test_files
from pytest_agentgate.checks.tests.surroundings import bodies
from pytest_agentgate.errors import ToolError
from pytest_agentgate.syntax import parsed

ELSEWHERE = "it passes also where every function that the patch touched raises: it tests something else"
SECONDS = 2.0
"""Seconds of mutated runs in a session."""
MOST_FILES = 12
"""Test files in which others may ask for the values."""
EACH = 4
"""Mutants of a function that are asked about."""
PATCHERS = frozenset({"setattr", "patch", "object"})
"""``monkeypatch.setattr(Cache, "get", ...)``, ``mock.patch("shop.Cache.get")``, ``mock.patch.object(Cache, "get")``."""
Place = tuple[str, str, int]
"""A function: its file, its name, and the line of its `def`."""


@dataclass(frozen=True)
class _Wrong:
    """Code with switches, and which of them belong to a function that the patch touched."""

    name: str
    overlay: dict[str, bytes]
    wanted: dict[int, Place]


def indifferent(sessions: Sessions, ids: Collection[str]) -> dict[str, str]:
    """Of the patch's own passing tests, those that notice nothing of what the patch changed, each with words that say so.

    Blames nobody where a session breaks, or where none of the mutants was reached in time.
    """
    ids = list(ids)[:MOST_NEW]
    wrong = _wrong(sessions) if ids else None
    if wrong is None or not wrong.wanted:
        return dict.fromkeys(immune(sessions, ids), ELSEWHERE)
    failed, survived = _ask(sessions, wrong, Ask("head", files_of(ids), frozenset(ids)), list(wrong.wanted))
    if not failed and (deaf := immune(sessions, ids)):
        return dict.fromkeys(deaf, ELSEWHERE)
    noticed = {wrong.wanted[n] for n in failed}
    left = [n for n in survived if wrong.wanted[n] not in noticed]
    if not left or not _words(sessions, ids, {wrong.wanted[n] for n in left}):
        return {}
    others = _naming(sessions, {wrong.wanted[n][1] for n in left})
    if not others.files:
        return {}
    failed, survived = _ask(sessions, wrong, others, left)
    noticed = {wrong.wanted[n] for n in failed}
    return _words(sessions, ids, {wrong.wanted[n] for n in survived} - noticed)


def replacing(sessions: Sessions, deaf: Collection[str]) -> dict[str, str]:
    """Of tests that reach nothing of what the patch changed, those beside which new lines put something else in for a function that it touched."""
    if not deaf:
        return {}
    context = sessions.context
    touched = {
        n
        for f, data in changed_product(context)
        for a, z, (_, n, _) in _functions(data, f.path)
        if any(map(f.touches, range(a, z + 1)))
    }
    found: dict[str, str] = {}
    for path, text in context.trees.read_many("head", files_of(deaf)).items():
        tree, change = parsed(text), context.change.file(path)
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and change and change.touches(n.lineno)] if tree else []
        patching = [c for c in calls if getattr(c.func, "attr", getattr(c.func, "id", "")) in PATCHERS]
        texts = [a.value for c in patching for a in c.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if names := ", ".join(sorted({t.rpartition(".")[2] for t in texts} & touched)):
            words = (
                f"it passes where every function that the patch touched raises, and its file replaces {names}, which is one of them"
            )
            found |= {i: words for i in deaf if i.partition("::")[0] == path}
    return found


def _wrong(sessions: Sessions) -> _Wrong:
    """The patch's product code with switches in the functions that it touched."""
    context, name = sessions.context, f"_{secrets.token_hex(6)}"
    overlay: dict[str, bytes] = {}
    wanted: dict[int, Place] = {}
    first = 0
    for file, data in changed_product(context):
        text, mutants = schemata(data, file.path, name, first)
        if not text:
            continue
        by_function: dict[Place, list[int]] = defaultdict(list)
        functions = _functions(data, file.path)
        for number, mutant in enumerate(mutants, first):
            if file.touches(mutant.line) and (place := _around(functions, mutant)):
                by_function[place].append(number)
        for place, numbers in by_function.items():
            values = [n for n in numbers if mutants[n - first].what.endswith("another value")]  # these say most
            rest = [n for n in numbers if n not in values]
            wanted |= dict.fromkeys((*values, *rest)[:EACH], place)
        first += len(mutants)
        if by_function:
            overlay[file.path] = text.encode("utf-8", "surrogateescape")
    return _Wrong(name, overlay, wanted)


def _functions(source: bytes, path: str) -> list[tuple[int, int, Place]]:
    """Functions of a file with their first and last line, inner ones behind outer ones."""
    tree = parsed(source)
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)] if tree else []
    return sorted((n.lineno, n.end_lineno or n.lineno, (path, n.name, n.lineno)) for n in nodes)


def _around(functions: Sequence[tuple[int, int, Place]], mutant: Mutant) -> Place | None:
    return next((place for first, last, place in reversed(functions) if first <= mutant.line <= last), None)


def _naming(sessions: Sessions, names: Collection[str]) -> Ask:
    """A session of the test files that name one of some functions; without files where there are none, or more than MOST_FILES."""
    context = sessions.context
    texts = context.trees.read_many("head", test_files(sorted(context.trees.entries("head"))))
    words = re.compile(b"|".join(rb"\b%s\b" % re.escape(n).encode() for n in sorted(names)))
    files = tuple(path for path, text in texts.items() if words.search(text))
    return Ask("head", files if len(files) <= MOST_FILES else ())


def _ask(sessions: Sessions, wrong: _Wrong, ask: Ask, wanted: Sequence[int]) -> tuple[set[int], set[int]]:
    """Which of some mutants a test notices, and which are reached by tests and noticed by none of them; none where the session breaks."""
    request = {"name": wrong.name, "wanted": sorted(wanted), "seconds": SECONDS, "seed": secrets.randbelow(1 << 30)}
    try:
        run = sessions.run(replace(ask, overlay=wrong.overlay, mutants=request), "do the new tests notice wrong values?")
    except ToolError:
        return set(), set()
    told = {
        outcome: {n for _, n, came in run.mutants if came == outcome and n in wrong.wanted} for outcome in ("failed", "survived")
    }
    return told["failed"], told["survived"] - told["failed"]


def _words(sessions: Sessions, ids: Sequence[str], places: Collection[Place]) -> dict[str, str]:
    """The tests that name a function of which nobody notices wrong values."""
    found: dict[str, str] = {}
    texts = sessions.context.trees.read_many("head", files_of(ids))
    for node_id in ids:
        path, _, name = node_id.partition("[")[0].partition("::")
        text = bodies(texts.get(path, b""), {name}).get(name, "")
        named = [f"{n} ({p}:{line})" for p, n, line in sorted(places) if re.search(rf"'{re.escape(n)}'", text)]
        if named:
            found[node_id] = f"whatever {', '.join(named[:3])} gives, no test of the patch notices it"
    return found
