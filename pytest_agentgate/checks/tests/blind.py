"""The blind oracle: expected values are cut out of the tests before these enter the sandbox, and compared outside of it.

The process that runs the patch's code only says which value it came to, in a form that holds exact types and no code; what is
not there cannot be read, matched or forged (TAMPER mechanism M9, DESIGN "The blind oracle"). Pure.
"""

from __future__ import annotations

import ast
import copy
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from pytest_agentgate.checks.tests.rows import Function, Table, loads, mark, marks, put, tables
from pytest_agentgate.checks.tests.told import UNKNOWN, Raised
from pytest_agentgate.syntax import parse_expression, parsed

Operation = Callable[[object, object], object]
COMPARE: dict[type[ast.cmpop], Operation] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,  # type: ignore[dict-item]  # operands that cannot be compared raise
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,  # type: ignore[operator]  # so does this
}  # fmt: skip
EQUALS = ("assertEqual", "assertListEqual", "assertDictEqual", "assertTupleEqual", "assertSetEqual", "assertMultiLineEqual")
TWO: dict[str, type[ast.cmpop]] = {**dict.fromkeys(EQUALS, ast.Eq), "assertNotEqual": ast.NotEq, "assertIn": ast.In, "assertNotIn": ast.NotIn,
       "assertGreater": ast.Gt, "assertLess": ast.Lt, "assertGreaterEqual": ast.GtE, "assertLessEqual": ast.LtE}  # fmt: skip
ONE: dict[str, tuple[object, type[ast.cmpop]]] = {
    "assertTrue": (True, ast.Eq), "assertFalse": (False, ast.Eq), "assertIsNone": (None, ast.Is), "assertIsNotNone": (None, ast.IsNot),
}  # fmt: skip
"""unittest's methods, as comparisons with one more operand; the first two ask whether a value is true."""
RAISES = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
CATCHES = frozenset({"AssertionError", "Exception", "BaseException"})
"""What catches a failed assertion."""


PAIR = "the other side, which is computed too"


@dataclass(frozen=True)
class Expectation:
    """One assertion that was cut out: the test's function, and what its value is held against."""

    function: str
    value: object
    operation: Operation = operator.eq
    swapped: bool = False
    """The expected value stood on the left."""

    @property
    def is_pair(self) -> bool:
        """Whether both sides are computed, and told: only that the comparison itself is made outside."""
        return self.value is PAIR

    @property
    def is_exact(self) -> bool:
        """Whether the expectation is a value, and not the name of an exception, which the test may mean in another way."""
        return self.operation is not _raises

    def holds(self, found: object) -> bool:
        """Python's own comparison: ``2 == 2.0``, sets, the order of dicts, `approx`."""
        try:
            return bool(self.operation(self.value, found) if self.swapped else self.operation(found, self.value))
        except Exception:  # operands that cannot be compared: the test would have failed
            return False


@dataclass(frozen=True)
class Awaited:
    """Names of the exceptions that a block may raise, and the pattern of their message."""

    names: tuple[str, ...]
    pattern: str | None


@dataclass(frozen=True)
class Blinded:
    """A test file without some of its expected values."""

    text: str
    expectations: Mapping[str, Expectation]
    """By the token that the child says with each value."""
    assertions: int
    """How many assertions the named tests have, for the share that could be judged so."""
    renamed: frozenset[str] = frozenset()
    """Tests whose ids are others now."""


def blind(source: bytes, names: Collection[str], token: str, teller: str) -> Blinded:
    """Cut the expected values out of the named tests (``Class::test``); `token` begins the tokens of this file.

    `teller` is the name of the function that takes the values.
    """
    tree = parsed(source)
    if tree is None:
        return Blinded("", {}, 0)
    cutter = _Cutter(token, teller)

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and prefix + node.name in names:
                cutter.cut_function(prefix + node.name, node, tables(node, tree))

    visit(tree.body, "")
    text = ast.unparse(ast.fix_missing_locations(tree)) if cutter.found else ""
    return Blinded(text, cutter.found, cutter.assertions, frozenset(cutter.renamed))


class _Cutter(ast.NodeTransformer):
    """Replaces ``assert a == literal`` by a call that only tells `a`, and ``with raises(E)`` by a block that tells what it raised."""

    def __init__(self, token: str, teller: str) -> None:
        self.token, self.teller, self.function = token, teller, ""
        self.found: dict[str, Expectation] = {}
        self.assertions = self.cut = 0
        self.renamed: set[str] = set()
        self._tables: list[Table] = []
        self._banned: set[str] = set()
        self._blanked: dict[str, Table] = {}

    def cut_function(self, name: str, node: Function, rows: list[Table]) -> None:
        """All assertions of one test. A parameter that it reads elsewhere too keeps its values: a first try finds that out."""
        trial = _Cutter(self.token, self.teller)
        trial._tables = rows
        tried = [trial.visit(s) for s in copy.deepcopy(node.body)]
        self._banned = {p for p in trial._blanked if any(loads(s, p) > marks(s, p, self.teller) for s in tried)}
        self.function, self._tables, self._blanked = name, rows, {}
        node.body = [self.visit(s) for s in node.body]
        for parameter, table in self._blanked.items():
            table.blank(parameter)
            self.renamed.add(name)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """``assert a == 2``, either way round, and ``assert a``."""
        self.assertions += 1
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in COMPARE:
            return self._compare(node, test.left, test.comparators[0], type(test.ops[0]))
        wanted = not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))
        asked = test if wanted else test.operand  # type: ignore[attr-defined]  # a UnaryOp
        if isinstance(asked, ast.Call | ast.Name | ast.Attribute | ast.Subscript | ast.Await):
            return self._tell(node, asked, wanted, ast.Eq, truth=True)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """``self.assertEqual(a, 2)``, either way round, and its kin."""
        call = node.value
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr.startswith("assert")):
            return node
        self.assertions += 1
        name = call.func.attr
        if name in TWO and len(call.args) > 1:
            return self._compare(node, call.args[0], call.args[1], TWO[name])
        if name in ONE and call.args:
            value, how = ONE[name]
            return self._tell(node, call.args[0], value, how, truth=value is not None)
        return node

    def visit_With(self, node: ast.With | ast.AsyncWith) -> ast.AST:
        """``with raises(E, match="..."):`` whose exception is not looked at afterwards."""
        for item in node.items:
            call = item.context_expr
            if not (isinstance(call, ast.Call) and _name(call) in RAISES):
                continue
            self.assertions += 1
            expected = _exceptions(call)
            if expected is not None and item.optional_vars is None:
                token = self._new(Expectation(self.function, expected, _raises))
                item.context_expr = self._call(".raised", ast.Constant(token))
            if expected is None or CATCHES & set(expected.names):
                return node  # what it asserts inside is meant to fail
        return self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> ast.AST:  # the name that ast.NodeTransformer looks for
        """What is asserted where a failure is caught may be meant to fail."""
        caught = [n for h in node.handlers if not _hands_on(h) for n in ast.walk(h.type or ast.Name("Exception"))]
        return node if any(getattr(n, "id", getattr(n, "attr", "")) in CATCHES for n in caught) else self.generic_visit(node)

    def _compare(self, node: ast.stmt, left: ast.expr, right: ast.expr, how: type[ast.cmpop]) -> ast.AST:
        for value, expected, swapped in ((left, right, False), (right, left, True)):
            if _literal(value) is not UNKNOWN:
                continue
            literal = _literal(expected)
            if literal is not UNKNOWN:
                return self._tell(node, value, literal, how, swapped=swapped)
            if made := self._by_row(value, expected, how, swapped=swapped):
                return ast.copy_location(ast.Expr(made), node)
        if how is ast.Eq and _literal(left) is UNKNOWN is _literal(right):
            token = self._new(Expectation(self.function, PAIR, _pair))
            return ast.copy_location(ast.Expr(self._call("", ast.Constant(token), ast.Tuple([left, right], ast.Load()))), node)
        return node

    def _by_row(self, value: ast.expr, expected: ast.expr, how: type[ast.cmpop], *, swapped: bool) -> ast.expr | None:
        """The same where the expected value is a parameter."""
        for table in self._tables:
            for column, name in enumerate(table.names):
                if name in self._banned or loads(expected, name) != 1 or loads(value, name):
                    continue
                values = [_literal(put(expected, name, row[column])) for row in table.rows]
                if any(v is UNKNOWN for v in values):
                    continue
                token = self._token()
                self.found |= {
                    f"{token}/{mark(n)}": Expectation(self.function, v, COMPARE[how], swapped) for n, v in enumerate(values)
                }
                self._blanked[name] = table
                return self._call("", ast.BinOp(ast.Constant(f"{token}/"), ast.Add(), ast.Name(name, ast.Load())), value)
        return None

    def _tell(
        self, node: ast.stmt, value: ast.expr, literal: object, how: type[ast.cmpop], *, swapped: bool = False, truth: bool = False
    ) -> ast.AST:
        token = self._new(Expectation(self.function, literal, COMPARE[how], swapped))
        asked = ast.Call(ast.Name("bool", ast.Load()), [value], []) if truth else value
        return ast.copy_location(ast.Expr(self._call("", ast.Constant(token), asked)), node)

    def _new(self, expectation: Expectation) -> str:
        token = self._token()
        self.found[token] = expectation
        return token

    def _token(self) -> str:
        self.cut += 1
        return f"{self.token}{self.cut - 1}"

    def _call(self, attribute: str, *args: ast.expr) -> ast.Call:
        function = parse_expression(f"__import__('__main__').{self.teller}{attribute}")
        return ast.Call(function, list(args), [])

    def visit_FunctionDef(self, node: ast.stmt) -> ast.AST:
        """Inner functions stay as they are."""
        return node

    visit_AsyncWith = visit_With  # noqa: N815  # the name that ast.NodeTransformer looks for
    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # the name that ast.NodeTransformer looks for
    visit_ClassDef = visit_FunctionDef  # noqa: N815  # the name that ast.NodeTransformer looks for


def _hands_on(handler: ast.ExceptHandler) -> bool:
    """Whether what was caught is raised again at the end."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _pair(found: object, _expected: object) -> bool:
    return isinstance(found, tuple) and len(found) == 2 and found[0] == found[1]


def _raises(found: object, expected: object) -> bool:
    if not isinstance(found, Raised) or not isinstance(expected, Awaited) or not set(expected.names) & set(found.names):
        return False
    return expected.pattern is None or re.search(expected.pattern, found.message) is not None


def _exceptions(call: ast.Call) -> Awaited | None:
    """Names of the expected exceptions, and the pattern of their message; None where they are no plain names."""
    pattern = next((k.value for k in call.keywords if k.arg == "match"), None)
    allowed = 2 if _name(call) == "assertRaisesRegex" else 1
    if len(call.args) != allowed or any(k.arg != "match" for k in call.keywords):
        return None
    pattern = call.args[1] if allowed > 1 else pattern
    text = _literal(pattern) if pattern is not None else None
    kinds = call.args[0].elts if isinstance(call.args[0], ast.Tuple) else [call.args[0]]
    names = [k.id if isinstance(k, ast.Name) else k.attr for k in kinds if isinstance(k, ast.Name | ast.Attribute)]
    classes = len(names) == len(kinds) and all(n[:1].isupper() for n in names)  # not a parameter that holds one
    if not classes or not (text is None or isinstance(text, str)):
        return None
    return Awaited(tuple(names), text)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _literal(node: ast.expr) -> object:
    """The value of a literal, or of ``approx`` of one; UNKNOWN otherwise."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        inner = _literal(node.args[0])
        options = {k.arg: _literal(k.value) for k in node.keywords if k.arg}
        known = inner is not UNKNOWN and UNKNOWN not in options.values() and options.keys() <= {"rel", "abs", "nan_ok"}
        if _name(node) != "approx" or not known:
            return UNKNOWN
        import pytest  # lazy: it takes longer to import than all of the gate

        try:
            return pytest.approx(inner, **options)  # type: ignore[arg-type]  # literals, refused by approx itself
        except (TypeError, ValueError):
            return UNKNOWN
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN
