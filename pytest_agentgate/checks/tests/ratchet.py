"""Do the patch's tests notice as much as the base's? Asked with wrong code: mutants of the product that the base's tests kill.

A test can be made to ask for less in many ways that no comparison of texts sees: a helper that no longer asserts, a shorter
table, a looser fixture. Where code is right all of them pass. So single decisions of the patch's code are switched to wrong
ones: what the base's version of an edited test notices, some test of the patch has to notice too.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_agentgate.checks.tests.classify import HEAD_O, files_of
from pytest_agentgate.checks.tests.mutants import KIND, KINDS, MOST_TEXT, Mutant, schemata
from pytest_agentgate.checks.tests.noticing import function_of
from pytest_agentgate.checks.tests.records import Result, Run
from pytest_agentgate.checks.tests.session import Ask, Sessions, holds_tests
from pytest_agentgate.checks.tests.surroundings import around_differs, asserting, bodies
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import is_test, kind, packages
from pytest_agentgate.protocols import Context

FOR_TESTS = re.compile(r"(^|_)(tests?|testing)(_|$)")
"""Names of modules that help tests."""
HELP = re.compile(r"_?(assert|expect|verify|check)_")
"""Names of functions that help tests."""
SECONDS, SAMPLE = 2.0, 2.0
"""Seconds of mutated runs in a session, and of tests that are run for them."""
MOST = 3
"""Mutants that are shown, and asked about again."""


def touched_tests(context: Context, known: Collection[str], files: Collection[str] | None) -> set[str]:
    """Tests of the base that the patch could have made to ask for less.

    Their text or their file's other text was changed, they are gone, or a helper in reach was (`files`: the test files that the
    patch's helpers can reach; None: all).
    """
    found: set[str] = set()
    edited = [f for f in context.change.files if f.old and not f.odd and f.path.endswith(".py")]
    old = context.trees.read_many("base", [f.old_path or f.path for f in edited])
    new = context.trees.read_many("head", [f.path for f in edited if f.new])
    for file in edited:
        path = file.old_path or file.path
        mine = [i for i in known if i.partition("::")[0] == path]
        if mine:
            names = {function_of(i).partition("::")[2] for i in mine}
            was, now = old.get(path, b""), new.get(file.path, b"")
            before, after = bodies(was, names), bodies(now, names)
            whole = around_differs(was, now, names)
            found |= {i for i in mine if whole or before.get(name := function_of(i).partition("::")[2]) != after.get(name)}
    if any(_helper(f.path, f.old is not None, context) for f in context.change.files if not f.odd):
        found |= {i for i in known if files is None or i.partition("::")[0] in files}
    if help_changed := {n.encode() for _, changed in _asserting(context).values() for n in changed}:
        texts = context.trees.read_many("base", files_of(known))
        found |= {i for i in known if help_changed.intersection(re.findall(rb"\w+", texts.get(i.partition("::")[0], b"")))}
    return found


def _asserting(context: Context) -> dict[str, tuple[bytes, set[str]]]:
    """Product files of which the patch edited functions that assert (help for tests), with the base's text and these names."""
    files = [f for f in context.change.files if f.old and f.new and not f.odd and f.path.endswith(".py")]
    files = [f for f in files if not is_test(f.path, context.policy)]
    old = context.trees.read_many("base", [f.old_path or f.path for f in files])
    new = context.trees.read_many("head", [f.path for f in files])
    found = {}
    for file in files:
        was, now = old.get(file.old_path or file.path, b""), new.get(file.path, b"")
        before, after = (asserting(t, every=_is_help(file.path)) for t in (was, now))
        if names := {n for n, text in before.items() if after.get(n) != text}:
            found[file.path] = (was, {n.rpartition("::")[2] for n in names})
    return found


def _is_help(path: str, names: Collection[str] = ()) -> bool:
    """Whether a product file, or functions of it, are there for tests, as their names say."""
    stem = path.rpartition("/")[2].removesuffix(".py")
    return bool(FOR_TESTS.search(stem)) or any(HELP.match(n) for n in names)


def _helper(path: str, old: bool, context: Context) -> bool:
    """Whether a changed file is a helper of tests that were there before: a new one is only reached by what was edited as well."""
    return is_test(path, context.policy) and not holds_tests(path, context) and (old or path.rpartition("/")[2] == "conftest.py")


@dataclass(frozen=True)
class Loss:
    """What a test of the base notices, and no test of the patch."""

    node_id: str
    mutant: Mutant


def weaker(sessions: Sessions, touched: Collection[str], own: Run | None) -> list[Loss]:
    """What the `touched` tests of the base notice on the patch's code, and the patch's tests do not; `own`: what came of these.

    Blames nobody where a session breaks, or runs out of time.
    """
    try:
        return _weaker(sessions, touched, own)
    except ToolError:
        return []


def _weaker(sessions: Sessions, touched: Collection[str], own: Run | None) -> list[Loss]:
    context, name = sessions.context, f"_{secrets.token_hex(6)}"
    base = context.trees.read_many("base", files_of(touched))
    overlay, mutants = _switchable(context, b"\n".join(base.values()), name)
    generator = random.Random(secrets.randbits(64))  # noqa: S311  # seeded from the system: a patch cannot foresee it
    durations = {i: own.results[i] for i in own.passed()} if own else {}
    if not mutants or not touched:
        return []

    law = {path: was for path, (was, _) in _asserting(context).items()}

    def ask(role: str, ids: Sequence[str] | None, wanted: Sequence[int] | None, words: str) -> Run:
        seconds = SECONDS if ids else 4 * SECONDS
        request = {"name": name, "wanted": wanted, "seconds": seconds, "seed": generator.randrange(1 << 30)}
        chosen = None if ids is None else frozenset(ids)
        files = overlay | law if role == HEAD_O else overlay  # what asserts is a judge, and the base's, wherever it is
        return sessions.run(Ask(role, files_of(ids or ()), chosen, overlay=files, mutants=request), words)

    ids = _sample(touched, durations, generator)
    first = ask(HEAD_O, ids, None, "what do the base's tests notice?")
    told = _told(first, "failed")
    killed = {
        n: i for n, i in told.items() if 0 <= n % KIND < len(mutants) and 0 <= n // KIND < len(KINDS) and i in ids
    }  # judged code shares the process that says so
    mine = _sample(durations, durations, generator, first=set(touched) | set(ids))
    left = list(killed)
    if mine and left:
        left = _survivors(ask("head", mine, left, "do the patch's tests notice it too?"), left)
    left = _survivors(ask("head", None, left[: 10 * MOST], "does any test of the patch notice it?"), left) if left else []
    losses = _lenient(sessions, [i for i in ids if first.outcome(i) == "failed"])
    places = {n % KIND: n for n in sorted(left, reverse=True)}  # one of each place, the plainest
    for number in sorted(places.values())[:MOST]:
        again = _told(ask(HEAD_O, [killed[number]], [number], "the same once more"), "failed")
        losses += [Loss(killed[number], _named(mutants[number % KIND], number // KIND))] if number in again else []
    return losses


def _named(mutant: Mutant, kind: int) -> Mutant:
    return replace(mutant, what=mutant.what + KINDS[kind])


def _lenient(sessions: Sessions, failing: Sequence[str]) -> list[Loss]:
    """Tests of the base that fail on the patch's code with the base's own help for tests, which the patch changed."""
    context = sessions.context
    law = {path: was for path, (was, names) in _asserting(context).items() if _is_help(path, names)}
    if not failing or not law:
        return []
    run = sessions.run(Ask(HEAD_O, files_of(failing), frozenset(failing), overlay=law), "with the base's help for tests")
    path = next(iter(law))
    file = context.change.file(path)
    line = file.hunks[0].new_start if file and file.hunks else 1
    said = {i: f"{r.text}{r.message}" for i, r in run.results.items() if r.outcome == "failed"}
    fails = [i for i in failing if "AssertionError" in said.get(i, "") or "assert " in said.get(i, "")]  # not for want of a name
    return [Loss(i, Mutant(path, line, "is as on the base")) for i in fails][:MOST]


def _told(run: Run, outcome: str) -> dict[int, str]:
    """Mutants with an outcome, and the test that says so."""
    return {number: node_id for node_id, number, came in run.mutants if came == outcome}


def _survivors(run: Run, asked: Collection[int]) -> list[int]:
    told = {**_told(run, "survived"), **_told(run, "unreached")}
    return [n for n in asked if n in told]


def _sample(
    ids: Collection[str], durations: Mapping[str, Result], generator: random.Random, first: Collection[str] = ()
) -> list[str]:
    """Some tests, in any order, that take SAMPLE seconds at most; those in `first` before others."""
    ordered = sorted(ids)
    generator.shuffle(ordered)
    ordered.sort(key=lambda i: i not in first)
    chosen, left = [], SAMPLE
    for node_id in ordered:
        cost = durations[node_id].duration if node_id in durations else 0.01
        if cost <= left:
            chosen.append(node_id)
            left -= cost
    return chosen


def _switchable(context: Context, tests: bytes, name: str) -> tuple[dict[str, bytes], list[Mutant]]:
    """The patch's product code with switches, as far as MOST_TEXT goes; first the files of which the tests name most."""
    entries = context.trees.entries("head")
    known = packages([*context.trees.entries("base"), *entries])
    files = [p for p in entries if p.endswith(".py") and kind(p, context.policy, known) == "product"]
    words = set(re.findall(rb"\w+", tests))
    contents = context.trees.read_many("head", files)
    weights = {p: _weight(p, d, words) for p, d in contents.items()}
    overlay: dict[str, bytes] = {}
    mutants: list[Mutant] = []
    room = MOST_TEXT
    for path in sorted(contents, key=lambda p: (-weights[p], p)):
        if not weights[path] or len(contents[path]) > room:
            continue
        text, found = schemata(contents[path], path, name, len(mutants))
        if found:
            room -= len(contents[path])
            overlay[path] = text.encode("utf-8", "surrogateescape")
            mutants += found
    return overlay, mutants


def _weight(path: str, source: bytes, words: Collection[bytes]) -> int:
    """How many of a file's functions and classes the tests name, and whether they name its module."""
    stem = path.removesuffix("/__init__.py").removesuffix(".py").rpartition("/")[2].encode()
    return sum(w in words for w in re.findall(rb"(?:def|class) (\w+)", source)) + (stem in words)
