"""The one place where Python source becomes a syntax tree: one thread at a time.

CPython (3.11 and 3.12 at least) counts the depth of the tree it is building in one number for all threads; where the
garbage collector hands over to another thread that parses too, one of them ends in `SystemError` or in a `RecursionError`
that is none (https://github.com/python/cpython/issues/106905).
"""

from __future__ import annotations

import ast
import threading

UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What `parse` raises for source that is no Python, or too deeply nested for the parser."""
_ONE_AT_A_TIME = threading.Lock()


def parse(source: str | bytes) -> ast.Module:
    """`ast.parse` of a module, safe in threads; raises one of `UNPARSABLE`."""
    with _ONE_AT_A_TIME:
        return ast.parse(source)


def parse_expression(source: str) -> ast.expr:
    """`ast.parse` of an expression, safe in threads; raises one of `UNPARSABLE`."""
    with _ONE_AT_A_TIME:
        return ast.parse(source, mode="eval").body


def unparsed(node: ast.AST) -> str:
    """`ast.unparse`; the empty text where the node is too deeply nested for it."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return ""


def parsed(source: str | bytes) -> ast.Module | None:
    """The tree of a module; None where it is no Python."""
    try:
        return parse(source)
    except UNPARSABLE:
        return None
