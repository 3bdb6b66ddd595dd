"""Assertions that are true whatever the code under test does. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from pytest_agentgate.checks.integrity.literals import literal
from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.testfiles import Function, assertions, tail
from pytest_agentgate.checks.integrity.truth import constant_truth
from pytest_agentgate.syntax import unparsed

REPEATED = re.compile(
    r"seed|random|\brng\b|determin|repeat|idempot|reproduc|cache|same|identi|singleton|reflexiv|\beq\b|equal|hash|nan\b|stable|stabil|consist|twice|\bagain\b|\bpure|memo"
)
"""Words of a test that asks whether the code says the same twice, or equals itself."""
MATCHES_ALL = re.compile(r"(\(\?s\))?\^?(\.\*\$?)?")
"""Patterns that match every text."""
ASKS = re.compile(r"assert_((not_)?(called|awaited)|(called|awaited)(_once)?(_with)?|any_(call|await)|has_(calls|awaits))")
"""Methods of mocks that have to be called to assert anything."""
MISSPELT = re.compile(
    r"(called|awaited)_(once|with|once_with)|(not|never)_(called|awaited)|has_(calls|awaits|any_calls?)|any_calls?"
)
"""What a mock's methods of assertions are called without their beginning."""
MOCKS = r"\b(Async|Magic|NonCallable|NonCallableMagic)?Mock\(|\bpatch(\.object|\.dict)?\(|\bcreate_autospec\("
TOLD = "it asks its own mock for what it told it"
UNASKED = re.compile(r"(called|awaited)_(once|with|once_with)|(not|never)_(called|awaited)")
"""The same on a line of its own."""
MAY_AGREE = "if this is a mock it asserts nothing: its methods of assertions begin with assert_"
WEAK = frozenset({TOLD, MAY_AGREE})
"""Reasons that a human has to look at."""
AFTER_A_CLASS = r"\bcreate_autospec\(|\b\w*Mock\([^\n]*\bspec(_set)?="
AGREES = "a mock says yes to whatever it is asked: its own methods of assertions begin with assert_"
SOMETHING = frozenset({"len", "bool", "isinstance"})
"""Functions that never give nothing."""
FAR = 10
"""A tolerance of so many times the expected value tells right from wrong no longer."""
LEAVES = frozenset({"skip", "xfail", "skipTest"})
OPPOSITE: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
}  # fmt: skip


def tautologies(node: Function) -> Iterator[tuple[str, int]]:
    """Assertions of a test that cannot fail, each with why and its line; none where another assertion of the test can."""
    made, every = _made(node), [a for a, _ in assertions(node)]
    found = [(why, a.lineno) for a in every if isinstance(a, ast.Assert | ast.Call) and (why := _why(a, node, made))]
    if len(found) == len(every):
        yield from found
    else:
        named = [
            a for a in every if isinstance(a, ast.Assert) and isinstance(a.test, ast.Attribute) and ASKS.fullmatch(a.test.attr)
        ]
        yield from (("a mock's assertion is named and not called", a.lineno) for a in named)
        yield from ((AGREES, a.lineno) for a in every if isinstance(a, ast.Assert | ast.Call) and _asks_a_mock(a, node))
    yield from _leaves_first(node, alone=len(every) == 1)
    for part in walk([node]):
        if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call) and isinstance(part.value.func, ast.Attribute):
            if UNASKED.fullmatch(part.value.func.attr) and (why := _unasked(part.value.func.value, node)):
                yield why, part.lineno


def _why(part: ast.Assert | ast.Call, node: Function, made: Mapping[str, ast.expr]) -> str:
    """Why an assertion cannot fail; empty where it can."""
    if _asks_a_mock(part, node):
        return AGREES
    if _told_it_itself(part, node, made):
        return TOLD
    if isinstance(part, ast.Call):
        number = len(part.args) == 2 and isinstance(part.args[1], ast.Constant) and not isinstance(part.args[1].value, str | None)
        if tail(part) == "assertTrue" and number:
            return "assertTrue takes the second value for a message, and does not compare with it"
        return (
            "the assertion is true whatever the code does"
            if tail(part) == "assertTrue" and part.args and _always(part.args[0])
            else ""
        )
    if _always(part.test) or (_compares_itself(part.test, made) and not _asks_again(part.test, node)):
        return "the assertion is true whatever the code does"
    return ""


def _asks_a_mock(part: ast.Assert | ast.Call, node: Function) -> bool:
    """``assert sent.called_once_with(3)``: a mock has every method, and what it gives back is true."""
    asked = part.test if isinstance(part, ast.Assert) else part.args[0] if tail(part) == "assertTrue" and part.args else None
    if not (isinstance(asked, ast.Call) and isinstance(asked.func, ast.Attribute) and MISSPELT.fullmatch(asked.func.attr)):
        return False
    return _is_mock(asked.func.value, node)


@lru_cache(maxsize=8)
def _text(node: Function) -> str:
    """A test as Python writes it out, once for all of its assertions."""
    return unparsed(node)


def _root(value: ast.expr) -> str:
    """The name that an attribute is of; empty where it is no name's."""
    while isinstance(value, ast.Attribute):
        value = value.value
    return value.id if isinstance(value, ast.Name) else ""


def _is_mock(value: ast.expr, node: Function, made_by: str = MOCKS) -> bool:
    """Whether an expression is a mock that the test made, or an attribute of one."""
    name = _root(value)
    return bool(name) and bool(re.search(rf"\b{name} = [\w.]*({made_by})|({made_by})[^\n]* as {name}\b", _text(node)))


def _unasked(value: ast.expr, node: Function) -> str:
    """Why such a line asserts nothing: on a mock for sure; on what is not made by a call it may be one."""
    return AGREES if _is_mock(value, node) else MAY_AGREE if _root(value) else ""


def _told_it_itself(part: ast.Assert | ast.Call, node: Function, made: Mapping[str, ast.expr]) -> bool:
    """``order = Mock(); order.total.return_value = 7; assert order.total() == 7``: the test asks for what it said, and for nothing else.

    So it does where the mock was made after a class, whatever is beside it: its answer stands in the place of what that class does.
    """
    text = _text(node)
    if "return_value" not in text or "wraps=" in text:
        return False
    if isinstance(part, ast.Assert):
        sides = [part.test.left, *part.test.comparators] if isinstance(part.test, ast.Compare) else [part.test]
    else:
        sides = part.args[:2] if tail(part).startswith(("assertE", "assertIs", "assertTrue", "assertIn")) else []
    sides = [made.get(s.id, s) if isinstance(s, ast.Name) else s for s in sides]
    asked = [s.func for s in sides if isinstance(s, ast.Call) and _is_mock(s.func, node)]
    others = [s for s in sides if not (isinstance(s, ast.Call) and s.func in asked)]
    return any(_is_mock(f, node, AFTER_A_CLASS) for f in asked) or (bool(asked) and all(literal(s) is not None for s in others))


def _made(node: Function) -> dict[str, ast.expr]:
    """Names that the test binds once, to what a function (no class) gave it."""
    parts = walk([node])
    bound = [(t.id, n.value) for n in parts if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
    if not bound:
        return {}
    names = [n.id for n in parts if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return {
        name: value for name, value in bound if isinstance(value, ast.Call) and names.count(name) == 1 and tail(value)[:1].islower()
    }


def _always(test: ast.expr) -> bool:
    """Whether an expression is true by its form: a full container, a text, a function or generator that is not called."""
    if isinstance(test, ast.Tuple | ast.List | ast.Set | ast.Dict):
        return bool(getattr(test, "elts", getattr(test, "keys", ())))
    if isinstance(test, ast.Lambda | ast.GeneratorExp) or (isinstance(test, ast.Attribute) and ASKS.fullmatch(test.attr)):
        return True
    if isinstance(test, ast.JoinedStr):
        return any(isinstance(v, ast.Constant) or isinstance(v.value, ast.Compare | ast.BoolOp) for v in test.values)  # type: ignore[attr-defined]  # a FormattedValue
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        if any(constant_truth(v) or _always(v) or (isinstance(v, ast.Name) and v.id == "self") for v in test.values):
            return True
        wants = {ast.dump(c) for v in test.values if isinstance(v, ast.Compare) for c in v.comparators}
        return any(ast.dump(v) in wants for v in test.values)
    if isinstance(test, ast.Call):
        pattern = test.args[0] if len(test.args) > 1 and tail(test) in ("match", "search", "fullmatch") else None
        return isinstance(pattern, ast.Constant) and isinstance(pattern.value, str) and bool(MATCHES_ALL.fullmatch(pattern.value))
    return isinstance(test, ast.Compare) and (_is_all(test) or _is_something(test))


def _is_something(test: ast.Compare) -> bool:
    """``len(x) is not None``: what never gives nothing is asked whether it does."""
    call, nothing = test.left, [isinstance(c, ast.Constant) and c.value is None for c in test.comparators] == [True]
    known = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in SOMETHING
    return nothing and known and isinstance(test.ops[0], ast.IsNot | ast.NotEq)


def _is_all(test: ast.Compare) -> bool:
    """Whether one side equals whatever the other is."""
    sides = (test.left, test.comparators[0])
    return len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq) and any(_equals_all(side) for side in sides)


def _equals_all(side: ast.expr) -> bool:
    """``mock.ANY``, or `approx` with a tolerance far beyond its value."""
    if isinstance(side, ast.Name | ast.Attribute):
        return ast.unparse(side).rpartition(".")[2] == "ANY"
    if not (isinstance(side, ast.Call) and tail(side) == "approx" and side.args and isinstance(side.args[0], ast.Constant)):
        return False
    value, given = side.args[0].value, {k.arg: k.value.value for k in side.keywords if isinstance(k.value, ast.Constant)}
    if not isinstance(value, int | float):
        return False
    least = FAR * max(abs(value), 1)
    wide, relative = given.get("abs"), given.get("rel")
    return (isinstance(wide, int | float) and wide >= least) or (isinstance(relative, int | float) and relative >= FAR)


def _compares_itself(test: ast.expr, made: Mapping[str, ast.expr]) -> bool:
    """``f(x) == f(x)``, ``got == got`` and ``want = f(x); f(x) == want`` with what a function gave."""
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
        return False
    sides = [test.left, test.comparators[0]]
    one, other = (made.get(s.id, s) if isinstance(s, ast.Name) else s for s in sides)
    called = any(isinstance(n, ast.Call) for n in walk([one]))
    of_a_class = isinstance(one, ast.Call) and tail(one)[:1].isupper()  # two values of a class: its equality is tested
    return called and not of_a_class and ast.dump(one) == ast.dump(other)


def _asks_again(test: ast.expr, node: Function) -> bool:
    """``f(x, seed=7) == f(x, seed=7)``: that the code answers the same twice can be what is tested, and the test says so."""
    words = f"{node.name} {ast.unparse(test)} {ast.get_docstring(node) or ''}".lower()
    return isinstance(test, ast.Compare) and bool(REPEATED.search(words))


def _leaves_first(node: Function, *, alone: bool) -> Iterator[tuple[str, int]]:
    """``if f(x) != 2: return`` (or skip, or xfail) before its one assertion ``assert f(x) == 2``: it fails for nobody."""
    opposites: set[str] = set()
    for statement in node.body:
        if isinstance(statement, ast.If) and not statement.orelse and _leaves(statement.body[-1]):
            opposites.add(_turned(statement.test))
        elif alone and isinstance(statement, ast.Assert) and ast.dump(statement.test) in opposites:
            yield "it ends before its assertion where that would fail", statement.lineno
        elif isinstance(statement, ast.Assign | ast.AugAssign):
            opposites.clear()  # other values may be compared from here on


def _leaves(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(statement, ast.Return) or (isinstance(call, ast.Call) and tail(call) in LEAVES)


def _turned(test: ast.expr) -> str:
    """The opposite of a condition, as it would be written."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return ast.dump(test.operand)
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and (other := OPPOSITE.get(type(test.ops[0]))):
        return ast.dump(ast.Compare(test.left, [other()], test.comparators))
    return ast.dump(ast.UnaryOp(ast.Not(), test))
