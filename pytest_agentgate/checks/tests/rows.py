"""The rows of ``pytest.mark.parametrize``, as syntax: what a test's parameters are, cell by cell. Pure.

Only plain tables: names as one string or a list of them, rows as a literal list, in the decorator itself or in a constant of
the module that nothing else reads.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef
MOST_ROWS = 200
"""Longer tables are left alone."""


@dataclass(frozen=True)
class Table:
    """One ``parametrize`` of one test."""

    call: ast.Call
    names: tuple[str, ...]
    holders: tuple[tuple[list[ast.expr], int], ...]
    """For each row, the list of nodes that holds its first cell, and the cell's place there."""
    params: tuple[ast.Call, ...] = ()
    """The rows that are written as ``pytest.param(...)``, which may have an id of their own."""

    @property
    def rows(self) -> list[list[ast.expr]]:
        """The cells of each row."""
        return [nodes[at : at + len(self.names)] for nodes, at in self.holders]

    def blank(self, name: str) -> None:
        """Put the row's own mark (`mark`) in the place of each value of a parameter, and of every id: ids show values."""
        column = self.names.index(name)
        for number, (nodes, at) in enumerate(self.holders):
            nodes[at + column] = ast.Constant(mark(number))
        for param in self.params:
            param.keywords = [k for k in param.keywords if k.arg != "id"]
        keywords = [k for k in self.call.keywords if k.arg != "ids"]
        ids = ast.List([ast.Constant(mark(n)) for n in range(len(self.holders))], ast.Load())
        self.call.keywords = [*keywords, ast.keyword("ids", ids)]


def mark(number: int) -> str:
    """What stands for the value of a row."""
    return f"r{number}"


def is_mark(cell: ast.expr) -> bool:
    """Whether a cell holds such a mark."""
    return isinstance(cell, ast.Constant) and isinstance(cell.value, str) and cell.value[:1] == "r" and cell.value[1:].isdigit()


def tables(function: Function, module: ast.Module) -> list[Table]:
    """The tables of one test, from its own decorators."""
    found = (_table(d, module) for d in function.decorator_list if isinstance(d, ast.Call) and _is_parametrize(d))
    return [t for t in found if t]


def loads(node: ast.AST, name: str) -> int:
    """How often a name is read below a node."""
    return sum(1 for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load))


def _is_parametrize(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "parametrize"


def _table(call: ast.Call, module: ast.Module) -> Table | None:
    given = {k.arg: k.value for k in call.keywords}
    if "indirect" in given or len(call.args) != 2:
        return None
    names = _names(call.args[0])
    values = call.args[1]
    if isinstance(values, ast.Name):
        values = _constant(module, values.id) or values
    if not names or not isinstance(values, ast.List | ast.Tuple) or not 0 < len(values.elts) <= MOST_ROWS:
        return None
    params = tuple(r for r in values.elts if isinstance(r, ast.Call) and _is_param(r, len(names)))
    holders = tuple(_holders(values.elts, len(names)))
    return Table(call, names, holders, params) if len(holders) == len(values.elts) else None


def _names(node: ast.expr) -> tuple[str, ...]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return tuple(n.strip() for n in node.value.split(",") if n.strip())
    if isinstance(node, ast.List | ast.Tuple):
        return tuple(e.value for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str))
    return ()


def _constant(module: ast.Module, name: str) -> ast.expr | None:
    """The value of a constant of the module that is read once."""
    made = [
        s for s in module.body if isinstance(s, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in s.targets)
    ]
    return made[0].value if len(made) == 1 and loads(module, name) == 1 else None


def _is_param(row: ast.Call, width: int) -> bool:
    return getattr(row.func, "attr", getattr(row.func, "id", "")) == "param" and len(row.args) == width


def _holders(elements: list[ast.expr], width: int) -> Iterator[tuple[list[ast.expr], int]]:
    for number, row in enumerate(elements):
        if isinstance(row, ast.Call) and _is_param(row, width):
            yield row.args, 0
        elif width == 1:
            yield elements, number
        elif isinstance(row, ast.List | ast.Tuple) and len(row.elts) == width:
            yield row.elts, 0


def marks(node: ast.AST, parameter: str, teller: str) -> int:
    """How often a parameter stands in a token."""
    calls = (n for n in ast.walk(node) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == teller and n.args)
    return sum(loads(c.args[0], parameter) for c in calls)


def put(expected: ast.expr, name: str, cell: ast.expr) -> ast.expr:
    """The expected expression with a row's value in the place of the parameter."""

    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:  # the name that ast.NodeTransformer looks for
            return cell if node.id == name else node

    return Put().visit(copy.deepcopy(expected))  # type: ignore[no-any-return]  # an expression stays one
