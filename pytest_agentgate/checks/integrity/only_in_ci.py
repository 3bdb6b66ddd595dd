"""Tests that are left out, or end early, only where CI runs, or in a checkout: the judge is neither, and sees nothing of it. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.testfiles import Function, assertions, functions_of
from pytest_agentgate.checks.integrity.view import Pair, Source
from pytest_agentgate.syntax import unparsed

VARIABLE = re.compile(
    r"(CI|CI_\w+|CONTINUOUS_INTEGRATION|GITHUB_\w+|GITLAB_\w+|TF_BUILD|TRAVIS\w*|CIRCLE\w*|BUILDKITE\w*|JENKINS\w*|APPVEYOR\w*|TEAMCITY\w*|"
    r"(.*/)?\.git(/.*)?)"
)
"""Variables by which programs know that a pipeline runs them, and the folder by which they know a checkout: the judged tree has none."""
ENVIRONMENT = re.compile(r"(?<![\w.])(os\.)?(environ|getenv)\b")
LEAVES = frozenset(
    {"skip", "xfail", "exit", "skipTest", "add_marker", "force_result", "extend", "append", "clear", "remove", "deselect"}
)
"""Calls that take a test out, or its result."""
SKIPS = frozenset({"skip", "xfail", "exit", "skipTest"})
MARKS = frozenset({"skipif", "skipIf", "skipUnless", "xfail"})


def find(pair: Pair) -> Iterator[Hit]:
    """New conditions on CI in a file of the tests that skip, return, or change what is collected or reported."""
    if pair.kind != "test" or pair.new is None or pair.new.tree is None:
        return
    yield from _asserts_by_environment(pair)
    if not VARIABLE.search(pair.new.text):
        return
    known = {ast.dump(n) for n in pair.old.of(ast.If, ast.Call)} if pair.old else set()
    names = _names(pair.new)
    for node in pair.new.nodes:
        marked = (
            isinstance(node, ast.Call) and getattr(node.func, "attr", "") in MARKS and any(_leaves_out(a, names) for a in node.args)
        )
        ends = isinstance(node, ast.If) and _asks(node.test, names) and _ends(node, pair)
        if (marked or ends) and ast.dump(node) not in known:
            line = getattr(node, "lineno", 1)
            yield Hit(
                "integrity/test-skipped",
                "only in a pipeline or a checkout, tests are left out or end early",
                pair.path,
                line,
                pair.new.line(line),
            )


def _asserts_by_environment(pair: Pair) -> Iterator[Hit]:
    """Assertions that ran always on the base, and that only a variable of the environment switches on now."""
    if pair.old is None or pair.new is None or not ENVIRONMENT.search(pair.new.text):
        return
    before, after = functions_of(pair.old), functions_of(pair.new)
    for name in sorted(after.keys() & before.keys()):
        free = _free(before[name].node) - _free(after[name].node)
        for node in walk(after[name].node.body) if free else ():
            if isinstance(node, ast.If) and ENVIRONMENT.search(unparsed(node.test)):
                sides = [{ast.dump(n) for s in side for n, _ in assertions(s)} for side in (node.body, node.orelse)]
                if free & (sides[0] ^ sides[1]):
                    words = "an assertion that ran always runs only where an environment variable is set"
                    yield Hit("integrity/test-skipped", words, pair.path, node.lineno, pair.new.line(node.lineno), "hold")


def _free(function: Function) -> set[str]:
    """Assertions of a function that stand under no condition."""
    under = {
        id(n) for i in walk(function.body) if isinstance(i, ast.If | ast.While) for s in (*i.body, *i.orelse) for n in walk([s])
    }
    return {ast.dump(n) for n, _ in assertions(ast.Module(list(function.body), [])) if id(n) not in under}


def _names(source: Source) -> set[str]:
    """Names that hold what the environment says of CI."""
    assigned = [n for n in source.of(ast.Assign) if _asks(n.value, ())]
    return {t.id for n in assigned for t in n.targets if isinstance(t, ast.Name)}


def _asks(node: ast.AST, names: Collection[str]) -> bool:
    return any(
        (isinstance(n, ast.Constant) and isinstance(n.value, str) and VARIABLE.fullmatch(n.value))
        or (isinstance(n, ast.Name) and n.id in names)
        for n in walk([node])
    )


def _leaves_out(node: ast.AST, names: Collection[str]) -> bool:
    """Whether a mark asks; what runs in a checkout alone (``not exists(".git")``) is left out of nothing but the judge."""
    outside = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and ".git" in ast.unparse(node)
    return _asks(node, names) and not outside


def _ends(node: ast.If, pair: Pair) -> bool:
    """Whether a branch ends a test or leaves one out.

    Tests have folders called `.git` of their own: of a condition on one only a skip counts there, or the end of the test itself.
    """
    inner = [n for s in (*node.body, *node.orelse) for n in walk([s])]
    if ".git" not in ast.unparse(node.test) or pair.path.endswith("conftest.py"):
        return any(_leaves(s) for s in (*node.body, *node.orelse))
    skips = any(isinstance(n, ast.Call) and getattr(n.func, "attr", getattr(n.func, "id", "")) in SKIPS for n in inner)
    test = pair.new.names.function_of(node).rpartition(".")[2] if pair.new else ""
    return skips or (test.startswith(("test", "setup", "setUp")) and any(isinstance(n, ast.Return) for n in inner))


def _leaves(node: ast.stmt) -> bool:
    return any(
        isinstance(n, ast.Return | ast.Continue)
        or (isinstance(n, ast.Call) and getattr(n.func, "attr", getattr(n.func, "id", "")) in LEAVES)
        or (isinstance(n, ast.Assign) and any(isinstance(t, ast.Attribute | ast.Subscript) for t in n.targets))
        or (isinstance(n, ast.Assign | ast.AugAssign) and "collect_ignore" in ast.unparse(n))
        or (isinstance(n, ast.Assign) and isinstance(n.value, ast.ListComp) and any(g.ifs for g in n.value.generators))
        for n in walk([node])
    )
