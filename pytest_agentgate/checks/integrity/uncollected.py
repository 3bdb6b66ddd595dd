"""Tests that look like some and are not run: by their name, as fixtures, or outside of where pytest looks. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from pytest_agentgate.base_tests import PYTEST_FILES, pytest_table, words_of
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.testfiles import Function, assertions, tail, tests_of
from pytest_agentgate.checks.integrity.view import Pair, View

SELECTS = re.compile(r"(?<![\w-])-m(?:[\"'], *|[ =]*)(\"[^\"]*\"|'[^']*'|\w+)")
"""Expressions over marks in a call of pytest."""
NOT = re.compile(r"\bnot\s+\(?\s*(\w+)")


def find(view: View, modules: Sequence[Pair], pairs: Sequence[Pair]) -> Iterator[Hit]:
    """Of the changed test `modules`, what is not collected any more, or was never; `pairs`: all changed files of the tests."""
    table = pytest_table(view.read("base", PYTEST_FILES))
    yield from _moved_out(words_of(table, "testpaths"), modules)
    if "python_classes" not in table and "python_functions" not in table:
        for pair in modules:
            yield from _uncollected(pair, pairs)
    yield from _deselected(view, modules)


def _moved_out(testpaths: Sequence[str], modules: Sequence[Pair]) -> Iterator[Hit]:
    """Test files that were in the folders where pytest looks by itself, and are not."""
    folders = tuple(f"{p.strip('./').rstrip('/')}/" for p in testpaths if not re.search(r"[*?\[]", p))
    for pair in modules if folders and "/" not in folders else ():
        if (
            pair.old is not None
            and pair.new is not None
            and pair.old.path.startswith(folders)
            and not pair.path.startswith(folders)
        ):
            words = f"the file left testpaths ({', '.join(testpaths)}): pytest does not find it by itself any more"
            yield Hit("integrity/test-deleted", words, pair.path)


def _deselected(view: View, modules: Sequence[Pair]) -> Iterator[Hit]:
    """Tests that got a mark which a pipeline or a setting leaves out, and nothing else runs: the judge runs them, and nobody else."""
    gained = {p.path: found for p in modules if p.old and p.new and "mark" in p.new.text and (found := _gained(p))}
    if not gained:
        return
    judges = view.read("head", [p for p in view.entries["head"] if view.kind(p) == "config"])
    lines = [
        (p, line)
        for p, data in judges.items()
        for line in data.decode("utf-8", "replace").splitlines()
        if not re.search(r"\bgit\s", line)
    ]
    said = [(path, e.replace("\\", "").strip("\"'")) for path, line in lines for e in SELECTS.findall(line)]
    left_out = {m: path for path, text in said for m in NOT.findall(text)}
    run = {w for _, text in said for w in re.findall(r"\w+", NOT.sub("", text))}
    for path, tests in gained.items():
        names = sorted(n for n, (new, old) in tests.items() if new & left_out.keys() - run and not old & left_out.keys())
        if names:
            mark = min(tests[names[0]][0] & left_out.keys() - run)
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            words = f"{names[0]}{more} got the mark {mark}, which {left_out[mark]} leaves out"
            yield Hit("integrity/test-skipped", words, path, effect="hold")


def _gained(pair: Pair) -> dict[str, tuple[set[str], set[str]]]:
    """Marks that tests of the base have now and had not, and those that they had, by test."""
    before, after = tests_of(pair.old), tests_of(pair.new)
    old = {n: {tail(m) for m in before[n].marks} for n in before if n in after}
    return {n: (new, had) for n, had in old.items() if (new := {tail(m) for m in after[n].marks} - had)}


def _uncollected(pair: Pair, pairs: Sequence[Pair]) -> Iterator[Hit]:
    """New tests that look like some and are none: in a class without `Test` in front that nobody derives from, or made fixtures."""
    if pair.new is None or pair.new.tree is None:
        return
    known = {n.name for n in pair.old.nodes if isinstance(n, Function | ast.ClassDef)} if pair.old else set()
    for node in pair.new.tree.body:
        if isinstance(node, ast.ClassDef) and node.name not in known and not node.bases and not node.name.startswith("Test"):
            tests = [s for s in node.body if isinstance(s, Function) and s.name.startswith("test")]
            word = re.compile(rf"\b{re.escape(node.name)}\b")
            if any(any(assertions(t)) for t in tests) and sum(len(word.findall(p.new.text)) for p in pairs if p.new) == 1:
                words = f"pytest does not collect {node.name}: its name does not begin with Test"
                yield Hit("integrity/test-shadowed", words, pair.path, node.lineno, effect="hold")
        elif isinstance(node, Function) and node.name.startswith("test") and node.name not in known:
            marks = " ".join(map(ast.unparse, node.decorator_list))
            asked = (
                re.search(rf"\W{re.escape(node.name)}\b[^(]", pair.new.text)
                or "autouse" in marks
                or pair.path.endswith("conftest.py")
                or any(re.search(rf"\b{re.escape(node.name)}\b", p.new.text) for p in pairs if p.new and p is not pair)
            )
            if "fixture" in map(tail, node.decorator_list) and not asked and any(assertions(node)):
                words = f"{node.name} is a fixture, which nothing asks for: it runs no test"
                yield Hit("integrity/test-shadowed", words, pair.path, node.lineno, effect="hold")
