"""Literal values in one spelling, and tables of them. Pure."""

from __future__ import annotations

import ast
from typing import Any

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.view import Pair, Source
from pytest_agentgate.syntax import unparsed

LITERALS = (ast.Constant, ast.Tuple, ast.List, ast.UnaryOp)
HUGE = 10**1000
"""Python writes no number of more than 4,300 digits out."""
WIDE = 20
"""So many entries of a table that no test asks about make it one of the world's, and not of the tests'."""


def literal(node: ast.AST) -> str | None:
    """A literal value in one spelling; containers of literals too, lists as tuples; None where it is none."""
    if isinstance(node, ast.Constant):
        return repr(node.value) if not isinstance(node.value, int) or abs(node.value) < HUGE else None
    if isinstance(node, LITERALS):
        try:
            return repr(_frozen(ast.literal_eval(node)))
        except (OverflowError, ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
    return None


def _frozen(value: Any) -> object:
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value


def wide_entries(pair: Pair, wants: set[str]) -> set[tuple[str, str]]:
    """Entries of tables that were wide on the base already, and still hold what they held: words, names, codes. In both directions."""
    before, after = _tables(pair.old), _tables(pair.new)
    found: set[tuple[str, str]] = set()
    for name, entries in after.items():
        had = before.get(name, set())
        if sum(v not in wants for _, v in had & entries) >= WIDE:
            found |= {e for k, v in entries for e in ((k, v), (v, k))}
    return found


def _tables(source: Source | None) -> dict[str, set[tuple[str, str]]]:
    """The tables of a module's own level by the name that each is given, as pairs of literals."""
    found: dict[str, set[tuple[str, str]]] = {}
    for node in source.tree.body if source and source.tree else ():
        for target in _targets(node):
            tables = [n for n in walk([node]) if isinstance(n, ast.Dict)]
            pairs = [
                (k, v)
                for t in tables
                for key, value in zip(t.keys, t.values, strict=True)
                if key and (k := literal(key)) and (v := literal(value))
            ]
            found.setdefault(unparsed(target), set()).update(pairs)
    return found


def _targets(node: ast.stmt) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
