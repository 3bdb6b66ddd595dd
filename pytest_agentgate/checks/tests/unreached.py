"""New tests that assert something and never get there: a loop over nothing, an empty table, a failure that is swallowed."""

from __future__ import annotations

import ast
import random
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence

from pytest_agentgate.checks.tests.antitests import one_round
from pytest_agentgate.checks.tests.classify import files_of
from pytest_agentgate.checks.tests.noticing import function_of
from pytest_agentgate.checks.tests.records import Result, Run
from pytest_agentgate.checks.tests.session import Sessions
from pytest_agentgate.checks.tests.turn import OPPOSITE, Mode, inner_functions
from pytest_agentgate.errors import ToolError
from pytest_agentgate.protocols import Context
from pytest_agentgate.syntax import parsed, unparsed

MOST_ROWS = 200
"""Nothing is said of tests with more rows."""
EMPTY = "got empty parameter set"
"""How pytest begins its reason where it skips a test because its table is empty."""
HELP = re.compile(r"_?(assert|check|verify|expect|ensure|compare|validate)", re.IGNORECASE)
"""Names of functions that ask something, wherever they come from."""
TURNED = frozenset(OPPOSITE) | frozenset(OPPOSITE.values()) | {"assertCountEqual"}
ELSEWHERE = re.compile(r"\bwhich\(|\b(sys|platform|os)\.|\b(IS|HAS|HAVE|PY|WIN)_?[A-Z0-9_]*\b|version|installed|available")
"""Conditions that hold on other machines."""
FORBIDS = (ast.NotIn, ast.NotEq, ast.IsNot, ast.Lt, ast.LtE)
Branch = ast.For | ast.AsyncFor | ast.While | ast.If
INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def empty_tables(context: Context, own: Run | None, known: Collection[str]) -> dict[str, str]:
    """Tests that the base does not know and that have not one row, with what there is to say; not where a table is sifted or asks what machine this is."""
    results = own.results.items() if own else ()
    empty = [i for i, r in results if i not in known and r.outcome == "skipped" and EMPTY in r.text]
    found: dict[str, str] = {}
    for path, data in context.trees.read_many("head", files_of(empty)).items() if empty else ():
        tree = parsed(data)
        tests = dict(_named(tree.body, "")) if tree else {}
        for node_id in (i for i in empty if i.partition("::")[0] == path):
            marks = getattr(tests.get(function_of(node_id).partition("::")[2]), "decorator_list", [])
            sifted = any(isinstance(n, ast.comprehension) and n.ifs for m in marks for n in ast.walk(m))
            if not sifted and not any(ELSEWHERE.search(unparsed(m)) for m in marks):
                found[node_id] = "its table of parameters is empty: the test never runs"
    return found


def unreached(sessions: Sessions, vacuous: Collection[str], passed: Mapping[str, Result]) -> dict[str, str]:
    """Of new tests that passed with their assertions turned, those of which no row reaches one, with what there is to say.

    Once more, all rows, and negated: an assertion that is reached cannot hold both ways.
    """
    functions = _asserting(sessions, {function_of(i) for i in vacuous})
    functions = {f for f in functions if sum(function_of(i) == f for i in passed) <= MOST_ROWS}
    words = "it passes with its assertions negated: none is reached, or what they raise is dropped"
    return dict.fromkeys(_still_passing(sessions, functions, passed, "negated"), words)


def _still_passing(sessions: Sessions, functions: Collection[str], passed: Mapping[str, Result], mode: Mode) -> list[str]:
    """Of tests whose rows are turned once more, all of them, the first row of each of which none fails; none where the session breaks."""
    rows = [i for f in sorted(functions) for i in passed if function_of(i) == f]
    if not rows:
        return []
    generator = random.Random(secrets.randbits(64))  # noqa: S311  # seeded from the system: it names what the turned file calls
    try:
        turned, run = one_round(
            sessions, ("head", "head", None), rows, dict.fromkeys(functions, mode), generator, either=mode == "negated"
        )
    except ToolError:
        return []  # that they notice nothing is noted in any case
    reached = {function_of(i) for i in rows if i not in turned or run is None or run.outcome(i) not in ("passed", "skipped")}
    return [next(r for r in rows if function_of(r) == f) for f in sorted({*functions} - reached)]


def idle(sessions: Sessions, new: Collection[str], passed: Mapping[str, Result]) -> dict[str, str]:
    """New tests of which nothing that is asserted in functions inside of them is reached, or what it raises is dropped; with words.

    One assertion that holds is no reason to believe those that never run (a listener that nobody calls, a coroutine that nobody
    awaits). Loops are not looked at: beside other assertions an honest one can run over nothing.
    """
    held: dict[str, str] = {}
    for path, data in sessions.context.trees.read_many("head", files_of(new)).items():
        tree = parsed(data)
        names = {function_of(i).partition("::")[2] for i in new if i.partition("::")[0] == path}
        for name, node in _named(tree.body, "") if tree else ():
            if name in names and (words := _inner_words(node)):
                held[f"{path}::{name}"] = words
    held = {f: w for f, w in held.items() if sum(function_of(i) == f for i in passed) <= MOST_ROWS}
    return {i: held[function_of(i)] for i in _still_passing(sessions, held, passed, "inner")}


def _inner_words(test: ast.AST) -> str:
    """What to say of a test if nothing that its inner functions assert is reached; empty where there is nothing to ask."""
    for holder in inner_functions(test):
        asserted = list(_assertions(holder, ()))
        asks = [node for node, _ in asserted if not _forbids(node) and not isinstance(node, ast.Constant)]
        if asks and not any(isinstance(b, ast.If) for _, branches in asserted for b in branches):
            return (
                f"it passes with what {holder.name}() asserts (line {asks[0].lineno}) negated: that is never reached, "
                "or what it raises is dropped"
            )
    return ""


def _asserting(sessions: Sessions, functions: set[str]) -> set[str]:
    """Without the tests that only forbid something, wherever it should turn up, or that ask on other machines."""
    found: set[str] = set()
    for path, data in sessions.context.trees.read_many("head", files_of(functions)).items():
        wanted = {f.partition("::")[2] for f in functions if f.partition("::")[0] == path}
        tree = parsed(data)
        nodes = _named(tree.body, "") if tree else ()
        own = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)} if tree else set()
        optional = b"ImportError" in data or b"ModuleNotFoundError" in data
        found |= {
            f"{path}::{name}"
            for name, node in nodes
            if name in wanted and not _asks_otherwise(node, own) and not _may_miss(node, optional)
        }
    return found


def _named(body: Sequence[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _named(node.body, f"{prefix}{node.name}::")
        elif isinstance(node, ast.If | ast.Try):
            yield from _named([*node.body, *node.orelse], prefix)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node


def _asks_otherwise(test: ast.AST, own: Collection[str]) -> bool:
    """Whether the test also asks in a way that was not turned: by help from elsewhere, of a mock, or by raising itself."""
    for node in ast.walk(test):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call):
            attribute = isinstance(call.func, ast.Attribute)
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name == "fail" or (HELP.match(name) and name not in TURNED and (attribute or name not in own)):
                return True
    return False


def _may_miss(test: ast.AST, optional: bool) -> bool:
    """Whether every assertion stands in a branch, and only forbids something there or asks what machine this is.

    `optional`: the file does without some modules.
    """
    asserts = list(_assertions(test, ()))
    return bool(asserts) and all(
        branches
        and (_forbids(node) or any(isinstance(b, ast.If) and (optional or ELSEWHERE.search(unparsed(b.test))) for b in branches))
        for node, branches in asserts
    )


def _assertions(node: ast.AST, branches: tuple[Branch, ...]) -> Iterator[tuple[ast.expr, tuple[Branch, ...]]]:
    """What is asserted below a node, each with the branches around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, INNER):
            continue
        if isinstance(child, ast.Assert):
            yield child.test, branches
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr.startswith("assert"):
            yield child, branches
        yield from _assertions(child, (*branches, child) if isinstance(child, Branch) else branches)


def _forbids(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr.startswith(("assertNot", "assertIsNot", "assertLess", "assertFalse", "assert_not"))
    if isinstance(node, ast.Compare):
        return all(isinstance(op, FORBIDS) for op in node.ops)
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
