"""Product code that looks for what only the tests, or only a run of them, have: their data, doubles, pytest's debugger. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import Names
from pytest_agentgate.checks.integrity.only_tests import QUESTIONS, Doubles, questions
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.testfiles import tail
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.syntax import unparsed

MAYBE = re.compile(rb"glob\(|(walk|listdir|scandir|iterdir)\(|\bpdb\b|Mock|mock_|call_args|assert_(called|awaited)|CaptureHandler")
OWN = re.compile(r"cwd\(\)|__file__|\bPath\(\)|\(['\"]\.?['\"]\)|\bcurdir\b")
"""Where a search starts that looks into the project's own tree."""
DOUBLE = re.compile(
    r"(Log)?CaptureHandler|(Magic|Async|NonCallable(Magic)?)?Mock|_?mock_\w+|call_args\w*|assert_(called|awaited)\w*|assert_not_called"
)
"""Names that only test doubles, and the handler of `caplog`, have."""
Look = tuple[str, str]
"""The rule, and what is looked for, in words."""


def find(view: View) -> Iterator[Hit]:
    """New searches that only files of the tests can answer, and new looks at what only a run of tests has."""
    doubles = Doubles(view)
    found = [(p, look, line) for p in view.python("product") for look, line in _looks(p, p.new, view, doubles)]
    if not found:
        return
    known = {look for p in view.python("product") for look, _ in _looks(p, p.old, view, doubles)}
    told: set[tuple[str, Look]] = set()
    for pair, look, line in found:
        if look not in known and (pair.path, look) not in told:
            told.add((pair.path, look))
            yield Hit(f"integrity/{look[0]}", look[1], pair.path, line, pair.new.line(line) if pair.new else "", "hold")


def _looks(pair: Pair, source: Source | None, view: View, doubles: Doubles) -> Iterator[tuple[Look, int]]:
    if source is None or source.tree is None:
        return
    names, searches = source.names, MAYBE.search(source.data)
    for node in pair.telling(1 if source is pair.new else 0):
        if isinstance(node, QUESTIONS):
            for look in questions(node, names, doubles):
                yield look, node.lineno
        if not searches:
            continue
        if isinstance(node, ast.Call):
            for text in _searched(node, names):
                if _only_tests_have(text.rpartition("*")[2], view):
                    yield ("reads-tests", f"searches for {text!r}, and only files of the tests are called so"), node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DOUBLE.fullmatch(node.value):
            if _is_asked(node, names):
                yield ("test-probe", f"asks for {node.value!r}, which only test doubles have"), node.lineno
        elif isinstance(node, ast.Attribute | ast.Name) and names.dotted(node) == "pdb.set_trace":
            if _is_looked_at(node, names):
                yield ("test-probe", "looks at pdb.set_trace, which pytest replaces"), node.lineno


def _searched(node: ast.Call, names: Names) -> Iterator[str]:
    """Patterns and endings that a call looks for in the project's own tree."""
    called = tail(node)
    if called not in ("glob", "rglob", "iglob", "endswith"):
        return
    texts = [t for t in map(names.text, node.args) if t]
    if called != "endswith":
        module = names.dotted(node.func).startswith("glob.")
        own = any(t.startswith("*") for t in texts) if module else bool(OWN.search(unparsed(node.func)))
        yield from (t for t in texts if own and "*" in t)
    else:
        function = names.parents.get(node)
        while function is not None and not isinstance(function, ast.For | ast.FunctionDef | ast.AsyncFunctionDef):
            function = names.parents.get(function)
        if isinstance(function, ast.For) and re.search(r"\b(walk|listdir|scandir|iterdir)\b", text := unparsed(function.iter)):
            yield from texts if OWN.search(text) or text.endswith("()") else ()


def _only_tests_have(ending: str, view: View) -> bool:
    """Whether the base has files whose names end so, all of them of the tests."""
    if not re.fullmatch(r"[\w-]*\.\w[\w.]*", ending) or ending.endswith((".py", ".pyi")):
        return False
    found = [p for p in view.entries["base"] if p.endswith(ending)]
    return bool(found) and all(view.kind(p) == "test" for p in found)


def _is_asked(node: ast.AST, names: Names) -> bool:
    """Whether a text is held against something, or is the name of an attribute that is looked for."""
    parent = names.parents.get(node)
    if isinstance(parent, ast.Tuple | ast.List | ast.Set):
        parent = names.parents.get(parent)
    return isinstance(parent, ast.Compare) or (
        isinstance(parent, ast.Call) and tail(parent) in ("hasattr", "getattr", "endswith", "startswith")
    )


def _is_looked_at(node: ast.AST, names: Names) -> bool:
    """Whether a function is asked what it is, and not called or handed on."""
    parent = names.parents.get(node)
    return isinstance(parent, ast.Attribute | ast.Compare) or (
        isinstance(parent, ast.Call) and parent.func is not node and tail(parent) in ("type", "id", "getattr", "hasattr", "repr")
    )


SET = RuleSet((), find, frozenset({"integrity/reads-tests", "integrity/test-probe"}))
