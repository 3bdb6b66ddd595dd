"""Tests that look like some and are not run: by their name, as fixtures, or outside of where pytest looks. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from pytest_agentgate.base_tests import PYTEST_FILES, pytest_table, words_of
from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.testfiles import Function, Test, assertions, tail, tests_of
from pytest_agentgate.checks.integrity.view import Pair, Source, View

SELECTS = re.compile(r"(?<![\w-])-m(?:[\"'], *|[ =]*)(\"[^\"]*\"|'[^']*'|\w+)")
"""Expressions over marks in a call of pytest."""
MAKERS = frozenset(
    {"dataclasses.dataclass", "attrs.define", "attrs.frozen", "attrs.mutable", "attr.s", "attr.define", "attr.dataclass"}
)
"""Decorators that write an ``__init__``."""
MADE = re.compile(r"typing\.NamedTuple|enum\.\w*(Enum|Flag)")
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
    marked = [p for p in modules if p.old and p.new and any("@" in line or "mark" in line for _, line in p.added())]
    gained = {p.path: found for p in marked if (found := _gained(p, view))}
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


def _gained(pair: Pair, view: View) -> dict[str, tuple[set[str], set[str]]]:
    """Marks that tests of the base (or rows of theirs) have now and had not, and those that they had, by test."""
    before, after = tests_of(pair.old), tests_of(pair.new)
    old = {n: _marks(before[n], pair.old, view) for n in before if n in after}
    return {n: (new, had) for n, had in old.items() if (new := _marks(after[n], pair.new, view) - had)}


def _marks(test: Test, source: Source | None, view: View) -> set[str]:
    """The names of a test's marks and of those of its rows, whatever other name the file gives them (``big = pytest.mark.slow``)."""
    if source is None:
        return set()
    rows = [k.value for m in test.marks for n in walk([m]) if isinstance(n, ast.Call) for k in n.keywords if k.arg == "marks"]
    given = [m for r in (*test.marks, *rows) for m in (r.elts if isinstance(r, ast.List | ast.Tuple) else [r])]
    found = set()
    for mark in given:
        dotted = source.names.dotted(mark.func if isinstance(mark, ast.Call) else mark)
        name = dotted.rpartition(".")[2] or tail(mark)
        imported = isinstance(mark, ast.Name | ast.Call) and name in source.imported
        found.add(_elsewhere(name, view) if imported else name)
    return found


def _elsewhere(name: str, view: View) -> str:
    """The mark that a file of the tests at the head assigns to a name; the name itself where none does."""
    paths = [p for p in view.entries["head"] if p.endswith(".py") and view.kind(p) == "test"]
    assigned = re.compile(rb"^%b\s*=\s*(?:pytest\.)?mark\.(\w+)" % re.escape(name).encode(), re.MULTILINE)
    return next((m[1].decode() for data in view.read("head", paths).values() if (m := assigned.search(data))), name)


def _is_made(node: ast.ClassDef, source: Source) -> str:
    """Why a class that is called like one of tests is none: it has an ``__init__`` or ``__new__``, for which pytest leaves it out.

    Classes that it derives from are looked for in its file; unittest's are collected all the same.
    """
    if not node.name.startswith("Test"):
        return ""
    here = {n.name: n for n in source.of(ast.ClassDef)}
    line, seen = [node], {node.name}
    for one in line:
        bases = [source.names.dotted(b) or ast.unparse(b) for b in one.bases]
        if any("TestCase" in b for b in bases):
            return ""
        line += [here[b] for b in bases if b in here and b not in seen]
        seen |= {*bases}
    for one in line:
        names = [s.name for s in one.body if isinstance(s, Function)]
        names += [t.id for s in one.body if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)]
        if own := next((n for n in names if n in ("__init__", "__new__")), ""):
            return f"it has an {own}"
        for mark in one.decorator_list:
            name = source.names.dotted(mark.func if isinstance(mark, ast.Call) else mark)
            if name in MAKERS:
                return f"{name} gives it an __init__"
        if made := next((b for b in map(source.names.dotted, one.bases) if MADE.fullmatch(b)), ""):
            return f"it is a {made}"
    return ""


def _uncollected(pair: Pair, pairs: Sequence[Pair]) -> Iterator[Hit]:
    """New tests that look like some and are none: in a class without `Test` in front that nobody derives from, or made fixtures."""
    if pair.new is None or pair.new.tree is None:
        return
    known = {n.name for n in (*pair.old.functions, *pair.old.of(ast.ClassDef))} if pair.old else set()
    for node in pair.new.tree.body:
        if isinstance(node, ast.ClassDef) and node.name not in known and (how := _is_made(node, pair.new)):
            if any(isinstance(s, Function) and s.name.startswith("test") and any(assertions(s)) for s in node.body):
                words = f"pytest does not collect {node.name}, because {how}"
                yield Hit("integrity/test-shadowed", words, pair.path, node.lineno, effect="hold")
        elif isinstance(node, ast.ClassDef) and node.name not in known and not node.bases and not node.name.startswith("Test"):
            tests = [s for s in node.body if isinstance(s, Function) and s.name.startswith("test")]
            word = re.compile(rf"\b{re.escape(node.name)}\b")
            if any(any(assertions(t)) for t in tests) and sum(len(word.findall(p.new.text)) for p in pairs if p.new) == 1:
                words = f"pytest does not collect {node.name}: its name does not begin with Test"
                yield Hit("integrity/test-shadowed", words, pair.path, node.lineno, effect="hold")
        elif isinstance(node, Function) and node.name.startswith("test") and node.name not in known:
            if "fixture" not in map(tail, node.decorator_list) or not any(assertions(node)):
                continue
            marks = " ".join(map(ast.unparse, node.decorator_list))
            asked = (
                re.search(rf"\W{re.escape(node.name)}\b[^(]", pair.new.text)
                or "autouse" in marks
                or pair.path.endswith("conftest.py")
                or any(re.search(rf"\b{re.escape(node.name)}\b", p.new.text) for p in pairs if p.new and p is not pair)
            )
            if not asked:
                words = f"{node.name} is a fixture, which nothing asks for: it runs no test"
                yield Hit("integrity/test-shadowed", words, pair.path, node.lineno, effect="hold")
