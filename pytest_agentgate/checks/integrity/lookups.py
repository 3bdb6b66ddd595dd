"""Uses of powerful names that only look. Pure."""

from __future__ import annotations

import ast

from pytest_agentgate.checks.integrity.capability_table import HARNESS
from pytest_agentgate.checks.integrity.names import Names


def is_own_module(node: ast.AST, names: Names) -> bool:
    """``sys.modules[__name__]``: a module that looks at itself."""
    parent = names.parents.get(node)
    key = parent.slice if isinstance(parent, ast.Subscript) else None
    return isinstance(key, ast.Name) and key.id == "__name__"


def looked_up(node: ast.AST, names: Names) -> str:
    """The module that ``sys.modules.get("x")`` or ``"x" in sys.modules`` only looks for; empty for any other use, or a runner's."""
    parent = names.parents.get(node)
    call = names.parents.get(parent) if isinstance(parent, ast.Attribute) and parent.attr == "get" else None
    key = call.args[0] if isinstance(call, ast.Call) and call.func is parent and call.args else None
    if isinstance(parent, ast.Compare) and parent.comparators == [node] and isinstance(parent.ops[0], ast.In | ast.NotIn):
        key = parent.left
    text = names.text(key) if key is not None else None
    return text if text and not HARNESS.fullmatch(text) else ""


def has_prefix(node: ast.expr) -> bool:
    """``f"own.package.{name}"``: a name below a constant one."""
    first = (
        node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node.left if isinstance(node, ast.BinOp) else None
    )
    return (
        isinstance(first, ast.Constant) and isinstance(first.value, str) and "." in first.value and not HARNESS.match(first.value)
    )
