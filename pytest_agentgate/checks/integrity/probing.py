"""Product code that looks for what only the tests, or only a run of them, have: their data by its ending, pytest's debugger. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import Names
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.testfiles import tail
from pytest_agentgate.checks.integrity.view import Pair, View

MAYBE = re.compile(rb"glob\(|fnmatch|endswith\(|suffix|\bpdb\b")
GLOBS = frozenset({"glob", "rglob", "iglob", "fnmatch", "fnmatchcase", "filter", "match"})
WALKS = re.compile(r"\b(walk|scandir|listdir|iterdir)\(")


def find(view: View) -> Iterator[Hit]:
    """New searches that only files of the tests can answer, and new looks at what pytest replaces while it runs."""
    for pair in view.python("product"):
        if pair.new is None or pair.new.tree is None or not MAYBE.search(pair.new.data):
            continue
        known = set(_looks(pair, pair.old.nodes, pair.old.names, view)) if pair.old else set()
        lines: dict[str, int] = {}
        for words, line in _looks_at(pair, pair.new.nodes, pair.new.names, view):
            lines.setdefault(words, line)
        for words, line in lines.items():
            if words not in known:
                rule = "test-probe" if "pdb" in words else "reads-tests"
                yield Hit(f"integrity/{rule}", words, pair.path, line, pair.new.line(line), "hold")


def _looks(pair: Pair, nodes: tuple[ast.AST, ...], names: Names, view: View) -> Iterator[str]:
    return (words for words, _ in _looks_at(pair, nodes, names, view))


def _looks_at(pair: Pair, nodes: tuple[ast.AST, ...], names: Names, view: View) -> Iterator[tuple[str, int]]:
    walks = bool(WALKS.search(pair.new.text)) if pair.new else False
    for node in nodes:
        if isinstance(node, ast.Call) and (tail(node) in GLOBS or (walks and tail(node) == "endswith")):
            for text in filter(None, map(names.text, node.args)):
                ending = text.rpartition("*")[2] if tail(node) in GLOBS else text
                if ("*" in text or tail(node) == "endswith") and _only_tests_have(ending, view):
                    yield f"searches for {text!r}, and only files of the tests are called so", node.lineno
        elif isinstance(node, ast.Attribute) and names.dotted(node) in ("pdb.set_trace", "pdb.Pdb"):
            parent = names.parents.get(node)
            if not (isinstance(parent, ast.Call) and parent.func is node) and not isinstance(parent, ast.ClassDef):
                yield f"looks at {names.dotted(node)}, which pytest replaces", node.lineno


def _only_tests_have(ending: str, view: View) -> bool:
    """Whether the base has files whose names end so, all of them of the tests."""
    if not re.fullmatch(r"[\w-]*\.\w[\w.]*", ending) or ending.endswith((".py", ".pyi")):
        return False
    found = [p for p in view.entries["base"] if p.endswith(ending)]
    return bool(found) and all(view.kind(p) == "test" for p in found)
