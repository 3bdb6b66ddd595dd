"""Turns tests into anti-tests: the same test under the same name, with an assertion that must now fail. Pure.

*Negated*: the assertion says the opposite. *Perturbed*: the expected value is another one; this is what an object that equals
everything, or code that reads the expected value, cannot pass off (TAMPER mechanism M7, DESIGN "Anti-tests").
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from pytest_agentgate.syntax import parse, parse_expression, parsed

Mode = Literal["negated", "perturbed", "inner"]
"""``inner``: negated, and only what stands in functions inside of the test."""

OPPOSITE = {
    "assertEqual": "assertNotEqual", "assertTrue": "assertFalse", "assertIn": "assertNotIn", "assertIs": "assertIsNot",
    "assertIsNone": "assertIsNotNone", "assertIsInstance": "assertNotIsInstance", "assertGreater": "assertLessEqual",
    "assertLess": "assertGreaterEqual", "assertAlmostEqual": "assertNotAlmostEqual", "assertRegex": "assertNotRegex",
    "assertListEqual": "assertNotEqual", "assertDictEqual": "assertNotEqual", "assertTupleEqual": "assertNotEqual",
    "assertSetEqual": "assertNotEqual", "assertSequenceEqual": "assertNotEqual", "assertMultiLineEqual": "assertNotEqual",
}  # fmt: skip
"""unittest's assertions and what says the opposite; the other direction holds as well, where it is one to one."""
_BACK = {v: k for k, v in reversed(OPPOSITE.items())}
EQUAL = frozenset(k for k, v in OPPOSITE.items() if v == "assertNotEqual") | {"assertAlmostEqual", "assertCountEqual"}
RAISES = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
WARNS = frozenset({"warns", "assertWarns", "assertWarnsRegex", "deprecated_call"})

HELPER = """
def {name}(value, _again=True):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 2 + 1.25 if value == value and value not in (float("inf"), float("-inf")) else 0.5
    if isinstance(value, complex):
        return value + 1
    if isinstance(value, str):
        return value + "~"
    if isinstance(value, (bytes, bytearray)):
        return value + b"~"
    if type(value) in (list, tuple):
        return type(value)([{name}(value[0]), *value[1:]]) if value and _again else type(value)([0])
    if type(value) in (set, frozenset):
        return value | {{("another",)}}
    if type(value) is dict:
        return {{**value, "another": 1}}
    if value is None:
        return 0
    expected = getattr(value, "expected", None)
    if type(value).__name__.startswith("Approx") and isinstance(expected, (int, float)):
        return type(value)(expected * 3 + 100, rel=value.rel, abs=value.abs, nan_ok=value.nan_ok)
    return object()
"""
"""What the turned file calls on an expected value: another value of the same type."""


ONCE = """
try:
    import hypothesis as {name}
    {name}.settings.register_profile("{name}", phases=({name}.Phase.explicit, {name}.Phase.generate), database=None)
    {name}.settings.load_profile("{name}")
except Exception:
    pass
"""
"""What keeps hypothesis from looking for the smallest example of a failure, which takes long and which nobody reads."""


class Turned:
    """One test file, turned: its text, and the tests of which an assertion was turned."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        self.text, self.names = text, names


def turn(source: bytes, modes: Mapping[str, Mode], helper: str, *, either: bool = False) -> Turned:
    """The file with each named test (``Class::test`` or ``test``) turned in its mode; names without a turnable assertion stay out.

    `helper` is the name of the function that changes expected values; with `either`, a test without any is negated. A file that
    cannot be parsed is returned without names.
    """
    tree = parsed(source)
    if tree is None:
        return Turned("", frozenset())
    done: set[str] = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (mode := modes.get(prefix + node.name)):
                turner = _Turner(mode, helper)
                if mode == "inner":
                    _turn_inner(node, turner)
                else:
                    node.body = [s for old in node.body for s in _listed(turner.visit(old))]
                if either and not turner.count and mode == "perturbed":
                    turner = _Turner("negated", helper)
                    node.body = [s for old in node.body for s in _listed(turner.visit(old))]
                if turner.count:
                    done.add(prefix + node.name)
            elif isinstance(node, ast.If | ast.Try):
                visit([*node.body, *node.orelse], prefix)

    visit(tree.body, "")
    done |= _turn_helpers(tree, modes, helper)
    if not done:
        return Turned("", frozenset())
    position = _after_futures(tree)
    once = parse(ONCE.format(name=helper)).body if b"hypothesis" in source else []
    tree.body[position:position] = [*once, *parse(HELPER.format(name=helper)).body]
    return Turned(ast.unparse(ast.fix_missing_locations(tree)), frozenset(done))


def inner_functions(test: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions inside of a test that nothing decorates: what stands there may never run. Outermost only."""
    for child in ast.iter_child_nodes(test):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if not child.decorator_list:
                yield child
        elif not isinstance(child, ast.ClassDef | ast.Lambda):
            yield from inner_functions(child)


def _turn_inner(test: ast.AST, turner: _Turner) -> None:
    turner.mode = "negated"
    for holder in inner_functions(test):
        holder.body = [s for old in holder.body for s in _listed(turner.visit(old))]


def _turn_helpers(tree: ast.Module, modes: Mapping[str, Mode], helper: str) -> set[str]:
    """Turn functions of the file that assert for its tests; returns the tests that call one, whose mode it has."""
    found: set[str] = set()
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef) or function.name.startswith("test") or function.decorator_list:
            continue
        callers = [n for n, m in modes.items() if m != "inner" and _calls(tree, n, function.name)]
        turner = _Turner(modes[callers[0]], helper) if callers else None
        if turner is not None:
            function.body = [s for old in function.body for s in _listed(turner.visit(old))]
            found |= {n for n in callers if turner.count and modes[n] == turner.mode}
    return found


def _calls(tree: ast.Module, test: str, name: str) -> bool:
    """Whether a test (``Class::test``) calls a function by its name."""
    last = test.rpartition("::")[2]
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name == last)
    return any(
        isinstance(c, ast.Call) and isinstance(c.func, ast.Name) and c.func.id == name for f in functions for c in ast.walk(f)
    )


def _listed(result: ast.AST | list[ast.stmt]) -> list[ast.stmt]:
    return result if isinstance(result, list) else [result]  # type: ignore[list-item]  # a statement was visited


def _after_futures(tree: ast.Module) -> int:
    """Where code may be put: after the docstring and ``from __future__``."""
    position = 1 if ast.get_docstring(tree, clean=False) is not None else 0
    for node in tree.body[position:]:
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        position += 1
    return position


def detonate(source: bytes, touched: Callable[[int, int], bool]) -> str:
    """Product code in which every function that the patch touched raises; `touched` says so of a range of lines. Empty: none."""
    tree = parsed(source)
    if tree is None:
        return ""
    found = False
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and touched(node.lineno, node.end_lineno or node.lineno):
            node.body = parse("raise RuntimeError('not this')").body
            found = True
    return ast.unparse(ast.fix_missing_locations(tree)) if found else ""


class _Turner(ast.NodeTransformer):
    """Turns the assertions of one test."""

    def __init__(self, mode: Mode, helper: str) -> None:
        self.mode, self.helper, self.count = mode, helper, 0

    def visit_Assert(self, node: ast.Assert) -> ast.AST:  # the name that ast.NodeTransformer looks for
        """``assert x`` to ``assert not x``, or ``assert a == b`` to ``assert a == another b``."""
        if self.mode == "negated":
            self.count += 1
            return ast.copy_location(ast.Assert(ast.UnaryOp(ast.Not(), node.test), None), node)
        comparison = node.test
        if isinstance(comparison, ast.Compare) and len(comparison.ops) == 1 and isinstance(comparison.ops[0], ast.In):
            members = comparison.comparators[0]
            if isinstance(members, ast.List | ast.Tuple | ast.Set) and members.elts:
                self.count += 1
                members.elts = [self._other(e) for e in members.elts]
            return node
        if isinstance(comparison, ast.Compare) and len(comparison.ops) == 1 and isinstance(comparison.ops[0], ast.Eq):
            self.count += 1
            left, right = comparison.left, comparison.comparators[0]
            if _is_computed(right) and not _is_computed(left):
                left = self._other(left)
            else:
                right = self._other(right)
            return ast.copy_location(ast.Assert(ast.Compare(left, comparison.ops, [right]), None), node)
        return node

    def visit_With(self, node: ast.With | ast.AsyncWith) -> ast.AST | list[ast.stmt]:  # the name that ast.NodeTransformer looks for
        """``with raises(E): ...``: without the expectation, the exception comes through. A warning is expected that never comes."""
        warned = [i.context_expr for i in node.items if isinstance(i.context_expr, ast.Call) and _name(i.context_expr) in WARNS]
        if warned:
            before = self.count
            self.generic_visit(node)
            if self.mode == "negated" and self.count == before and warned[0].args:
                self.count += 1
                warned[0].args[0] = parse_expression("type('Never', (UserWarning,), {})")
            return node
        items = [i for i in node.items if not (isinstance(i.context_expr, ast.Call) and _name(i.context_expr) in RAISES)]
        if len(items) == len(node.items) or self.mode == "perturbed":
            return self.generic_visit(node)
        self.count += 1
        if items:
            node.items = items
            return node
        return node.body

    def visit_Call(self, node: ast.Call) -> ast.AST:  # the name that ast.NodeTransformer looks for
        """unittest's methods."""
        self.generic_visit(node)
        function = node.func
        if not isinstance(function, ast.Attribute) or not function.attr.startswith("assert"):
            return node
        if self.mode == "negated":
            other = OPPOSITE.get(function.attr) or _BACK.get(function.attr)
            if other:
                self.count += 1
                function.attr = other
        elif function.attr in EQUAL and len(node.args) > 1:
            self.count += 1
            at = 0 if _is_computed(node.args[1]) and not _is_computed(node.args[0]) else 1
            node.args[at] = self._other(node.args[at])
        return node

    def visit_FunctionDef(self, node: ast.stmt) -> ast.AST:  # the name that ast.NodeTransformer looks for
        """Inner functions stay as they are: they may be what is under test."""
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:  # the name that ast.NodeTransformer looks for
        """So do lambdas."""
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  # the name that ast.NodeTransformer looks for
    visit_ClassDef = visit_FunctionDef  # noqa: N815  # the name that ast.NodeTransformer looks for
    visit_AsyncWith = visit_With  # noqa: N815  # the name that ast.NodeTransformer looks for

    def _other(self, value: ast.expr) -> ast.expr:
        return ast.Call(ast.Name(self.helper, ast.Load()), [value], [])


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_computed(node: ast.expr) -> bool:
    """Whether a side of a comparison is what the code under test made: it calls something other than a plain constructor."""
    return any(
        isinstance(n, ast.Call) and _name(n) not in ("approx", "list", "tuple", "set", "dict", "frozenset", "str")
        for n in ast.walk(node)
    )
