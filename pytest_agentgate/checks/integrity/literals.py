"""Literal values in one spelling, and tables of them. Pure."""

from __future__ import annotations

import ast
from typing import Any

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.view import Pair

LITERALS = (ast.Constant, ast.Tuple, ast.List, ast.UnaryOp)
WIDE = 20
"""So many entries of a table that no test asks about make it one of the world's, and not of the tests'."""


def literal(node: ast.AST) -> str | None:
    """A literal value in one spelling; containers of literals too, lists as tuples; None where it is none."""
    if isinstance(node, ast.Constant):
        return repr(node.value)
    if isinstance(node, LITERALS):
        try:
            return repr(_frozen(ast.literal_eval(node)))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
    return None


def _frozen(value: Any) -> object:
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value


def wide_entries(pair: Pair, wants: set[str]) -> set[tuple[str, str]]:
    """Entries of a module's tables that the base has as well, and that hold many more of which no test asks: words, names, codes."""
    known = {ast.unparse(t) for n in (pair.old.tree.body if pair.old and pair.old.tree else ()) for t in _targets(n)}
    found: set[tuple[str, str]] = set()
    for node in pair.new.tree.body if pair.new and pair.new.tree else ():
        if not any(ast.unparse(t) in known for t in _targets(node)):
            continue
        for table in (n for n in walk([node]) if isinstance(n, ast.Dict)):
            entries = [
                (k, v)
                for key, value in zip(table.keys, table.values, strict=True)
                if key and (k := literal(key)) and (v := literal(value))
            ]
            if sum(v not in wants for _, v in entries) >= WIDE:
                found |= {e for k, v in entries for e in ((k, v), (v, k))}
    return found


def _targets(node: ast.stmt) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
