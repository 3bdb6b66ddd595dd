"""Product code in which single decisions can be switched to wrong ones at run time: all mutants of a file in one text. Pure.

Each place (what is returned, yielded or kept in an attribute, which branch is taken, whether an error is raised or a call made) calls a switch
with its number, which changes the value where that number is on (mutant schemata: Untch, Offutt and Harrold, ISSTA 1993).
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from pytest_agentgate.syntax import parse, parsed

MOST_TEXT = 250_000
"""Bytes of product code that are made switchable; what the tests name most comes first."""

PREAMBLE = """
try:
    {name}
except NameError:
    def {name}(number, value, branch=0):
        return value
"""
"""In a process that has no switch (a program that the tests start) everything stays as it is."""


SHORT = 30
"""Parts of a comparison."""
ONCE = (
    ast.Compare,
    ast.IfExp,
    ast.BinOp,
    ast.BoolOp,
    ast.Lambda,
    ast.NamedExpr,
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
    ast.GeneratorExp,
)
"""What does not stand in two places, as it is long or would be twice as long each time."""
QUIET = re.compile(r"__init__|(^|\.)_?(log|logger|logging)\.")
"""Calls that have to be made, or that nobody looks at."""


KIND = 1_000_000
"""As in `injected/agentgate_mutants.py`: what the number of a mutant grows by for each kind."""
KINDS = (
    "",
    " (the order)",
    " (the case)",
    " (white space)",
    " (its class)",
    " (an item twice)",
    " (numbers as text)",
    " (what is None left out)",
    " (a mark left out)",
    " (its last line end)",
    " (its first part)",
)
"""How values differ that only some comparisons can tell apart, by the kinds of `injected/agentgate_mutants.py`."""


@dataclass(frozen=True)
class Mutant:
    """One place that can be switched."""

    path: str
    line: int
    what: str
    """What is wrong then, in words."""


def schemata(source: bytes, path: str, name: str, first: int) -> tuple[str, list[Mutant]]:
    """The file with calls of the switch `name`, numbered from `first`; the empty text where it has no place, or does not parse."""
    tree = parsed(source)
    if tree is None:
        return "", []
    switcher = _Switcher(path, name, first)
    try:
        tree = switcher.visit(tree)
        position = 1 if ast.get_docstring(tree, clean=False) is not None else 0
        while position < len(tree.body) and _is_future(tree.body[position]):
            position += 1
        tree.body[position:position] = parse(PREAMBLE.format(name=name)).body
        text = ast.unparse(ast.fix_missing_locations(tree))
    except RecursionError:
        return "", []
    return (text, switcher.found) if switcher.found else ("", [])


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


class _Switcher(ast.NodeTransformer):
    """Puts the calls in, inside of functions only: what is computed while a module is imported is computed once."""

    def __init__(self, path: str, name: str, first: int) -> None:
        self.path, self.name, self.first = path, name, first
        self.found: list[Mutant] = []
        self.depth = 0

    def _call(self, value: ast.expr, line: int, what: str, *, branch: int = 0) -> ast.expr:
        """The switch around a value; `branch`: the value decides, and is turned (1), false (2) or true (3)."""
        number = self.first + len(self.found)
        self.found.append(Mutant(self.path, line, what))
        more = [ast.Constant(branch)] if branch else []
        return ast.copy_location(ast.Call(ast.Name(self.name, ast.Load()), [ast.Constant(number), value, *more], []), value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:  # the name that ast looks for
        """Only the body: decorators and defaults run with the module."""
        self.depth += 1
        visited = [self.visit(s) for s in node.body]
        node.body = [s for v in visited for s in (v if isinstance(v, list) else [v])]
        self.depth -= 1
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # the name that ast.NodeTransformer looks for

    def visit_Return(self, node: ast.Return) -> ast.AST:  # the name that ast looks for
        """Another value; `self` and constants of the protocol say nothing."""
        self.generic_visit(node)
        if node.value is not None and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "NotImplemented")):
            node.value = self._call(node.value, node.lineno, "returns another value")
        return node

    def visit_Yield(self, node: ast.Yield) -> ast.AST:  # the name that ast looks for
        """Another value."""
        self.generic_visit(node)
        if node.value is not None:
            node.value = self._call(node.value, node.lineno, "yields another value")
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:  # the name that ast looks for
        """Another value in an attribute or under a key: what a method without a result leaves behind."""
        self.generic_visit(node)
        if self.depth and any(isinstance(t, ast.Attribute | ast.Subscript) for t in node.targets):
            node.value = self._call(node.value, node.lineno, "keeps another value")
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:  # the name that ast looks for
        """Nothing is added."""
        self.generic_visit(node)
        if not self.depth:
            return node
        adding = self._call(ast.copy_location(ast.Constant(1), node), node.lineno, "does not add it", branch=1)
        return ast.copy_location(ast.If(adding, [node], []), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:  # the name that ast looks for
        """One of two operands alone; not where the other holds such places itself: it stands there twice then."""
        nested = any(isinstance(n, ast.BinOp | ast.IfExp) for n in ast.walk(node.right))
        self.generic_visit(node)
        if (
            nested
            or not self.depth
            or not isinstance(node.op, ast.Add)
            or isinstance(node.left, ast.Constant)
            or isinstance(node.right, ast.Constant)
        ):
            return node
        both = self._call(ast.copy_location(ast.Constant(1), node), node.lineno, "leaves out what it adds to", branch=1)
        return ast.copy_location(ast.IfExp(both, node, node.right), node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:  # the name that ast looks for
        """The error comes through."""
        self.generic_visit(node)
        if self.depth:
            handled = self._call(ast.copy_location(ast.Constant(1), node), node.lineno, "does not handle the error", branch=1)
            node.body.insert(0, ast.copy_location(ast.If(ast.UnaryOp(ast.Not(), handled), [ast.Raise()], []), node))
        return node

    def visit_For(self, node: ast.For | ast.AsyncFor | ast.While) -> ast.AST:  # the name that ast looks for
        """It ends after one round."""
        self.generic_visit(node)
        if self.depth and not node.orelse:
            more = self._call(ast.copy_location(ast.Constant(1), node), node.lineno, "ends its loop after one round", branch=1)
            node.body.append(ast.copy_location(ast.If(ast.UnaryOp(ast.Not(), more), [ast.Break()], []), node))
        return node

    visit_AsyncFor = visit_For  # noqa: N815  # the name that ast.NodeTransformer looks for
    visit_While = visit_For  # noqa: N815  # the name that ast.NodeTransformer looks for

    def visit_If(self, node: ast.If | ast.IfExp) -> ast.AST:  # the name that ast looks for
        """Never its branch, or always: tests of which one side is enough notice only one of them."""
        self.generic_visit(node)
        if self.depth:
            never = self._call(node.test, node.lineno, "never takes its branch", branch=2)
            node.test = self._call(never, node.lineno, "always takes its branch", branch=3)
        return node

    visit_IfExp = visit_If  # noqa: N815  # the name that ast.NodeTransformer looks for

    def visit_Compare(self, node: ast.Compare) -> ast.AST:  # the name that ast looks for
        """Without its limits, or with them; not where an operand is long, which stands there twice then."""
        inner = [n for operand in (node.left, *node.comparators) for n in ast.walk(operand)]
        self.generic_visit(node)
        strict = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
        turned = [strict[type(op)]() if type(op) in strict else op for op in node.ops]
        if not self.depth or len(inner) > SHORT or turned == node.ops or any(isinstance(n, ONCE) for n in inner):
            return node
        kept = self._call(ast.copy_location(ast.Constant(1), node), node.lineno, "takes its limit otherwise", branch=1)
        other = ast.copy_location(ast.Compare(node.left, turned, node.comparators), node)
        return ast.copy_location(ast.IfExp(kept, node, other), node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:  # the name that ast looks for
        """A call that is not made, made twice, or with another last value: what it does to others is all that it is for."""
        self.generic_visit(node)
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if not self.depth or not isinstance(call, ast.Call) or QUIET.search(ast.unparse(call.func)):
            return node
        if call.args and not isinstance(call.args[-1], ast.Starred | ast.Lambda):
            call.args[-1] = self._call(call.args[-1], node.lineno, "hands on another value")
        calling = self._call(ast.copy_location(ast.Constant(1), node), node.lineno, "does not make its call", branch=1)
        once = self._call(ast.copy_location(ast.Constant(1), node), node.lineno, "makes its call twice", branch=2)
        again = ast.If(ast.UnaryOp(ast.Not(), once), [node], [])
        return [ast.copy_location(ast.If(calling, [node], []), node), ast.copy_location(again, node)]

    def visit_Raise(self, node: ast.Raise) -> ast.AST:  # the name that ast looks for
        """No error, or another one."""
        self.generic_visit(node)
        if not self.depth or node.exc is None:
            return node
        node.exc = self._call(node.exc, node.lineno, "raises another error")
        raising = self._call(ast.copy_location(ast.Constant(1), node), node.lineno, "does not raise", branch=1)
        return ast.copy_location(ast.If(raising, [node], []), node)
