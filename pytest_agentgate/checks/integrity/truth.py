"""What is true whatever it is given: comparison methods, constant expressions, conditions on Python's version. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import Names, walk
from pytest_agentgate.syntax import parse_expression, unparsed

TRUE = frozenset({"__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__", "__instancecheck__", "__subclasscheck__"})
FALSE = frozenset({"__ne__"})


def constantly_equal(node: ast.ClassDef, names: Names) -> Iterator[str]:
    """Comparison methods of a class that are true whatever they are compared with."""
    if _is_protocol(node, names):
        return
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and item.name in TRUE | FALSE:
            answers = [r.value for r in walk([item]) if isinstance(r, ast.Return)]
            if answers and all(a is not None and constant_truth(a) is (item.name in TRUE) for a in answers):
                yield item.name
        elif isinstance(item, ast.Assign):
            for target in item.targets:
                if isinstance(target, ast.Name) and target.id in TRUE | FALSE and isinstance(item.value, ast.Lambda):
                    if constant_truth(item.value.body) is (target.id in TRUE):
                        yield target.id


def _is_protocol(node: ast.ClassDef, names: Names) -> bool:
    return any(names.dotted(b).rpartition(".")[2] == "Protocol" for b in node.bases)


def constant_truth(node: ast.expr) -> bool | None:
    """Truth of an expression that does not depend on anything; None where it does."""
    if isinstance(node, ast.Constant):
        return bool(node.value) if node.value is not NotImplemented else None
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return bool(node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = constant_truth(node.operand)
        return None if inner is None else not inner
    if isinstance(node, ast.BoolOp):
        return _operation(node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _comparison(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id == "bool" and len(node.args) == 1:
            return constant_truth(node.args[0])
        if (
            node.func.id == "isinstance"
            and len(node.args) == 2
            and isinstance(node.args[1], ast.Name)
            and node.args[1].id == "object"
        ):
            return True
    return None


def _operation(node: ast.BoolOp) -> bool | None:
    parts = [constant_truth(v) for v in node.values]
    decisive = isinstance(node.op, ast.Or)
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def _comparison(node: ast.Compare) -> bool | None:
    left, right, operator = node.left, node.comparators[0], node.ops[0]
    if isinstance(left, ast.Constant) and isinstance(right, ast.Constant) and isinstance(operator, ast.Eq | ast.NotEq):
        return (left.value == right.value) is isinstance(operator, ast.Eq)
    same = ast.dump(left) == ast.dump(right) and not any(isinstance(n, ast.Call | ast.Await) for n in walk([left]))
    if same and isinstance(operator, ast.Eq | ast.Is | ast.LtE | ast.GtE):
        return True
    return False if same and isinstance(operator, ast.NotEq | ast.IsNot | ast.Lt | ast.Gt) else None


NEWEST = {"version_info": (99, 99, 0, "final", 0), "hexversion": 0x63630000}
"""What a Python newer than all says of itself."""
VERSION = re.compile(r"\bversion_info\b|\bhexversion\b")
"""Words of a condition on Python's version."""
LATER = re.compile(r"version_info\s*(\[[^\]]*\])?\s*>|<=?\s*(sys\.)?version_info")
"""The same where the condition cannot be told: it is true from some version on."""
SIMPLE = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Tuple, ast.Constant, ast.Subscript, ast.Slice, ast.expr_context, ast.cmpop, ast.boolop,
          ast.unaryop)  # fmt: skip
"""Nodes of an expression that compares constants and does nothing else."""


def skips_newer(mark: ast.expr) -> bool:
    """Whether a mark (``skipif(condition)``, ``skipUnless(condition)``) skips on the newest Python, as far as can be told."""
    if not isinstance(mark, ast.Call) or not mark.args or not VERSION.search(text := unparsed(mark.args[0])):
        return False
    truth = _true_on_newer_pythons(mark.args[0])
    unless = getattr(mark.func, "attr", getattr(mark.func, "id", "")) == "skipUnless"
    return bool(LATER.search(text)) if truth is None else truth != unless


def _true_on_newer_pythons(test: ast.expr) -> bool | None:
    """Truth of a condition on a Python that is newer than all; None where it depends on something else, or asks for no version."""
    asks = False

    class Newest(ast.NodeTransformer):
        """Puts the newest version in the place of the running one."""

        def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
            nonlocal asks
            if node.attr in ("major", "minor") and "version_info" in ast.unparse(node.value):
                asks = True
                return ast.Constant(99)
            if node.attr in NEWEST:
                asks = True
                return parse_expression(repr(NEWEST[node.attr]))
            return node

    try:
        replaced = Newest().visit(parse_expression(unparsed(test)))
        if not asks or not all(isinstance(n, SIMPLE) for n in ast.walk(replaced)):
            return None
        code = compile(ast.fix_missing_locations(ast.Expression(replaced)), "condition", "eval")
        return bool(eval(code, {"__builtins__": {}}))  # noqa: S307  # comparisons of constants, and nothing else
    except (TypeError, ValueError, IndexError, RecursionError, MemoryError):
        return None
