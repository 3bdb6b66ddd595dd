"""The blind oracle: expected values are cut out of the tests before these enter the sandbox, and compared outside of it.

The process that runs the patch's code only says which value it came to, in a form that holds exact types and no code; what is
not there cannot be read, matched or forged (TAMPER mechanism M9, DESIGN "The blind oracle"). Pure.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pytest

UNKNOWN = object()
"""A value that has no exact form."""


@dataclass(frozen=True)
class Expectation:
    """One assertion that was cut out: the test's function, and what its value must equal."""

    function: str
    value: object

    def holds(self, found: object) -> bool:
        """Python's own equality: ``2 == 2.0``, sets, the order of dicts, `approx`."""
        return bool(found == self.value)


@dataclass(frozen=True)
class Blinded:
    """A test file without some of its expected values."""

    text: str
    expectations: Mapping[str, Expectation]
    """By the token that the child says with each value."""
    assertions: int
    """How many assertions the named tests have, for the share that could be judged so."""


def blind(source: bytes, names: Collection[str], token: str, teller: str) -> Blinded:
    """Cut the expected literals out of the named tests (``Class::test``); `token` begins the tokens of this file.

    `teller` is the name of the function that takes the values.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return Blinded("", {}, 0)
    cutter = _Cutter(token, teller)

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and prefix + node.name in names:
                cutter.function = prefix + node.name
                node.body = [cutter.visit(s) for s in node.body]

    visit(tree.body, "")
    text = ast.unparse(ast.fix_missing_locations(tree)) if cutter.found else ""
    return Blinded(text, cutter.found, cutter.assertions)


class _Cutter(ast.NodeTransformer):
    """Replaces ``assert a == literal`` by a call that only tells `a`."""

    def __init__(self, token: str, teller: str) -> None:
        self.token, self.teller, self.function = token, teller, ""
        self.found: dict[str, Expectation] = {}
        self.assertions = 0

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """``assert a == 2``, either way round."""
        self.assertions += 1
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            return self._cut(node, test.left, test.comparators[0])
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """``self.assertEqual(a, 2)``, either way round."""
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr.startswith("assert"):
            self.assertions += 1
            if call.func.attr in ("assertEqual", "assertListEqual", "assertDictEqual", "assertTupleEqual") and len(call.args) > 1:
                return self._cut(node, call.args[0], call.args[1])
        return node

    def _cut(self, node: ast.stmt, left: ast.expr, right: ast.expr) -> ast.AST:
        for value, expected in ((left, right), (right, left)):
            literal = _literal(expected)
            if literal is not UNKNOWN and _literal(value) is UNKNOWN:
                token = f"{self.token}{len(self.found)}"
                self.found[token] = Expectation(self.function, literal)
                teller = ast.parse(f"__import__('__main__').{self.teller}({token!r}, 0)", mode="eval").body
                if isinstance(teller, ast.Call):
                    teller.args[1] = value
                return ast.copy_location(ast.Expr(teller), node)
        return node

    def visit_FunctionDef(self, node: ast.stmt) -> ast.AST:
        """Inner functions stay as they are."""
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # the name that ast.NodeTransformer looks for
    visit_ClassDef = visit_FunctionDef  # noqa: N815  # the name that ast.NodeTransformer looks for


def _literal(node: ast.expr) -> object:
    """The value of a literal, or of ``approx`` of one; UNKNOWN otherwise."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        inner = _literal(node.args[0])
        options = {k.arg: _literal(k.value) for k in node.keywords if k.arg}
        if (
            name == "approx"
            and inner is not UNKNOWN
            and UNKNOWN not in options.values()
            and options.keys() <= {"rel", "abs", "nan_ok"}
        ):
            try:
                return pytest.approx(inner, **options)  # type: ignore[arg-type]  # literals, refused by approx itself
            except (TypeError, ValueError):
                return UNKNOWN
        return UNKNOWN
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def told(text: str) -> object:
    """The value that the child told (`agentgate_probe.exact`); UNKNOWN where it has no exact form, or is none."""
    try:
        return _value(json.loads(text))
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return UNKNOWN


def _value(form: object) -> object:
    """The inverse of `exact`: ``[type, content]``. Only built-in types are made, whatever is said."""
    if not isinstance(form, list) or len(form) != 2:
        return UNKNOWN
    kind, content = form
    simple = {"none": None, "true": True, "false": False}
    if kind in simple:
        return simple[kind]
    if kind == "int":
        return int(content)
    if kind == "float":
        return float.fromhex(content)
    if kind == "complex":
        return complex(float.fromhex(content[0]), float.fromhex(content[1]))
    if kind == "str":
        return str(content)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind in ("list", "tuple", "set", "frozenset") and isinstance(content, list):
        items = [_value(c) for c in content]
        makers = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
        return UNKNOWN if any(i is UNKNOWN for i in items) else makers[kind](items)
    if kind == "dict" and isinstance(content, list):
        pairs = [(_value(k), _value(v)) for k, v in content]
        return UNKNOWN if any(k is UNKNOWN or v is UNKNOWN for k, v in pairs) else dict(pairs)
    return UNKNOWN
