"""What a test file holds: its tests with their marks and the strength of their assertions. Pure.

The lattice of strength (weakest first): nothing; truth (``assert x``, ``is not None``); order, membership and type (``<``,
``in``, ``isinstance``); loose equality (`approx` with a tolerance of its own, `raises` without `match`); equality (``==``,
``is``, `raises` with `match`). A test is as strong as the sum over its assertions, times the rows of its parametrisation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.view import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef
SKIPS = frozenset({"skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure"})
IMPERATIVE = frozenset({"skip", "xfail", "importorskip", "skipTest"})
BROAD = frozenset({"Exception", "BaseException", "AssertionError"})


@dataclass(frozen=True)
class Test:
    """One test function or method."""

    __test__ = False

    name: str
    """With its classes, joined by dots."""
    node: Function
    marks: tuple[ast.expr, ...]
    """Decorators of the function and its classes, and the module's `pytestmark`."""

    @property
    def body(self) -> str:
        """The body without its docstring, in one spelling."""
        rest = self.node.body[1:] if ast.get_docstring(self.node) is not None else self.node.body
        return "\n".join(ast.dump(s) for s in rest)


def tests_of(source: Source | None) -> dict[str, Test]:
    """The tests of a file by name; the last of several definitions, as Python sees it."""
    return functions_of(source, "test")


def functions_of(source: Source | None, begin: str = "") -> dict[str, Test]:
    """The functions of a file and its classes whose names begin so, with their marks."""
    if source is None or source.tree is None:
        return {}
    found: dict[str, Test] = {}
    module_marks = tuple(_pytestmark(source.tree.body))

    def visit(body: list[ast.stmt], prefix: str, marks: tuple[ast.expr, ...]) -> None:
        for node in body:
            if isinstance(node, Function) and node.name.startswith(begin):
                found[prefix + node.name] = Test(prefix + node.name, node, (*marks, *node.decorator_list))
            elif isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}.", (*marks, *node.decorator_list, *_pytestmark(node.body)))
            elif isinstance(node, ast.If | ast.Try):
                visit([*node.body, *node.orelse], prefix, marks)

    visit(source.tree.body, "", module_marks)
    return found


def _pytestmark(body: list[ast.stmt]) -> Iterator[ast.expr]:
    for node in body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
            yield from node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]


def tail(node: ast.expr) -> str:
    """The last word of a name, an attribute or what is called."""
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def skips(test: Test) -> list[ast.expr]:
    """Marks and calls that skip the test or expect it to fail."""
    found = [m for m in test.marks if tail(m) in SKIPS]
    for node in walk([test.node]):
        if any(node is mark for mark in found):
            continue  # a decorator is looked at once
        if isinstance(node, ast.Call) and tail(node) in IMPERATIVE:
            found.append(node)
        elif isinstance(node, ast.Raise) and node.exc is not None and "SkipTest" in ast.unparse(node.exc):
            found.append(node.exc)
    return found


def assertions(node: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Assertions below a node, with their rank in the lattice (1 to 4)."""
    for part in walk([node]):
        if isinstance(part, ast.Assert):
            yield part, _rank(part.test)
        elif isinstance(part, ast.With | ast.AsyncWith):
            for item in part.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and tail(call) in (
                    "raises",
                    "warns",
                    "assertRaises",
                    "assertRaisesRegex",
                    "assertWarns",
                ):
                    exact = any(k.arg == "match" for k in call.keywords) or tail(call) == "assertRaisesRegex"
                    broad = bool(call.args) and not BROAD.isdisjoint(n.id for n in walk([call.args[0]]) if isinstance(n, ast.Name))
                    yield part, 1 if broad and not exact else 4 if exact else 3
        elif (
            isinstance(part, ast.Call)
            and (name := tail(part)).startswith(("assert_", "assert"))
            and isinstance(part.func, ast.Attribute)
        ):
            yield (
                part,
                4
                if "Equal" in name or name.startswith("assert_") or name == "assertIs"
                else 1
                if name in ("assertTrue", "assertIsNotNone")
                else 2,
            )
        elif isinstance(part, ast.Call) and tail(part) == "fail":
            yield part, 2


def _rank(test: ast.expr) -> int:
    if isinstance(test, ast.BoolOp):
        ranks = [_rank(v) for v in test.values]
        return min(ranks) if isinstance(test.op, ast.Or) else max(ranks)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return 2
    if not isinstance(test, ast.Compare):
        return 2 if isinstance(test, ast.Call) and tail(test) in ("isinstance", "issubclass", "all") else 1
    operator, right = test.ops[0], test.comparators[0]
    if isinstance(operator, ast.IsNot) and isinstance(right, ast.Constant):
        return 1
    if isinstance(operator, ast.Eq | ast.Is):
        loose = [
            n
            for n in walk([test])
            if isinstance(n, ast.Call) and tail(n) in ("approx", "isclose", "allclose") and (n.keywords or len(n.args) > 2)
        ]
        return 3 if loose else 4
    return 2


def rows(test: Test) -> int:
    """How many rows the parametrisation has, as far as it is written out."""
    count = 1
    for mark in test.marks:
        if isinstance(mark, ast.Call) and tail(mark) == "parametrize" and len(mark.args) > 1:
            values = mark.args[1]
            count *= max(len(values.elts), 1) if isinstance(values, ast.List | ast.Tuple) else 1
    return count


def strength(test: Test) -> int:
    """Sum of the ranks of its assertions, times its rows."""
    return sum(rank for _, rank in assertions(test.node)) * rows(test)
