"""Examples in docstrings: tests that live in product files, and so come from the patch. Pure."""

from __future__ import annotations

import ast
import doctest
from collections import Counter

from pytest_agentgate.syntax import parsed


def examples(source: bytes) -> Counter[tuple[str, str]]:
    """Every example with what it expects, from the docstrings of a module; empty where it does not parse."""
    found: Counter[tuple[str, str]] = Counter()
    tree = parsed(source)
    if tree is None:
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            try:
                shown = doctest.DocTestParser().get_examples(ast.get_docstring(node) or "")
            except ValueError:
                continue
            found.update((e.source, e.want) for e in shown)
    return found


def lost_examples(base: bytes, head: bytes) -> int:
    """How many examples of the base the head does not have as they were."""
    return (examples(base) - examples(head)).total()
