"""Marks by which a test tells less of its failures: warnings that nobody hears, runs until one passes. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from pytest_agentgate.base_tests import PYTEST_FILES, pytest_table, words_of
from pytest_agentgate.checks.integrity.config import HUSHED
from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.testfiles import Function, Test, assertions, tail, tests_of
from pytest_agentgate.checks.integrity.view import Pair, View
from pytest_agentgate.text import is_tracked

AGAIN = "it is run again and again until it passes"
BLANKET = re.compile(r"(i|ignore|default|once|always)\s*(:\s*:?\s*(\w*\.)?Warning\s*)?:*$")
"""Filters for all warnings, whatever they say."""


def find(view: View, modules: Sequence[Pair]) -> Iterator[Hit]:
    """Tests of changed test `modules` that got such a mark."""
    marked = [
        p for p in modules if p.new is not None and re.search(rb"filterwarnings|flaky|reruns|max_runs|retries|tries", p.new.data)
    ]
    if not marked:
        return
    table = pytest_table(view.read("base", PYTEST_FILES))
    strict = any(w.strip() == "error" for w in _lines(table.get("filterwarnings"))) or "-Werror" in words_of(table, "addopts")
    for pair in marked:
        before = tests_of(pair.old)
        found = [(t, why) for n, t in tests_of(pair.new).items() if (why := _hushed(before.get(n), t, strict=strict))]
        if found:
            test, why = found[0]
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            rule = "integrity/test-skipped" if why == AGAIN else "integrity/test-weakened"
            yield Hit(rule, f"{test.name}{more}: {why}", pair.path, test.node.lineno, effect="hold")


def _hushed(was: Test | None, now: Test, *, strict: bool) -> str:
    """Why a test tells less than the base's version of it, or than a new one should; empty where it does not."""
    if was and not any(map(_is_again, was.marks)) and any(_is_again(m) and not is_tracked(ast.unparse(m)) for m in now.marks):
        return AGAIN
    new = _filters(now) - (_filters(was) if was else set())
    if any(HUSHED.match(w) and "Pytest" in w for w in new) and _asserts_elsewhere(now):
        return "what fails in a thread or a callback is no longer told"
    return "warnings, which are errors here, are all ignored" if was and strict and any(map(BLANKET.match, new)) else ""


def _is_again(mark: ast.expr) -> bool:
    """Whether a mark or a decorator runs a test again that failed (pytest-rerunfailures, flaky, pytest-retry)."""
    given = {k.arg for k in mark.keywords} if isinstance(mark, ast.Call) else set()
    return tail(mark) == "flaky" or bool(given & {"reruns", "max_runs", "retries", "tries"})


def _filters(test: Test) -> set[str]:
    calls = [m for m in test.marks if isinstance(m, ast.Call) and tail(m) == "filterwarnings"]
    return {a.value.strip() for c in calls for a in c.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}


def _asserts_elsewhere(test: Test) -> bool:
    """Whether a function inside the test asserts something: what it raises goes nowhere if it runs in a thread."""
    inner = [n for n in walk(test.node.body) if isinstance(n, Function)]
    return any(any(assertions(n)) for n in inner)


def _lines(value: object) -> list[str]:
    return value.splitlines() if isinstance(value, str) else [str(v) for v in value] if isinstance(value, list) else []
