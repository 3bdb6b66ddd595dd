"""Tests that cannot fail, and why. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from pytest_agentgate.checks.integrity.names import FUNCTIONS, walk
from pytest_agentgate.checks.integrity.tautology import tautologies
from pytest_agentgate.checks.integrity.testfiles import Function, assertions, tail

LOOPS = (ast.For, ast.While)
CATCHES = frozenset({"Exception", "BaseException", "AssertionError"})


def vacuous(node: Function, imports: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Why a test cannot fail, with the line; `imports`: names of its file that are imported, with the module they are of."""
    parts = walk([node])
    tried_again = _tried_again(parts)
    for part in parts:
        if isinstance(part, ast.Try) and part not in tried_again and any(_asserts(s) for s in part.body):
            for handler in part.handlers:
                if _catches_assertions(handler) and not any(
                    isinstance(n, ast.Raise | ast.Assert) or _asserts(n) for s in handler.body for n in walk([s])
                ):
                    yield "a failed assertion is caught and dropped", handler.lineno
        if isinstance(part, ast.With) and any(
            isinstance(i.context_expr, ast.Call) and _suppresses(i.context_expr) for i in part.items
        ):
            if any(_asserts(s) for s in part.body):
                yield "a failed assertion is suppressed", part.lineno
    yield from tautologies(node)
    yield from _mocked_away(node, parts, imports)
    yield from _never_reached(node, parts)


def _tried_again(parts: Sequence[ast.AST]) -> set[ast.stmt]:
    """``try: assert ...; break`` in a loop of which the ``else`` raises or asserts: what does not come true in time fails."""
    loops = [n for n in parts if isinstance(n, LOOPS)]
    strict = [n for n in loops if any(isinstance(p, ast.Raise) or _asserts(p) for s in n.orelse for p in walk([s]))]
    tries = [s for loop in strict for s in loop.body if isinstance(s, ast.Try)]
    return {t for t in tries if any(isinstance(s, ast.Break | ast.Return) for s in [*t.body[-1:], *t.orelse])}


def _mocked_away(node: Function, parts: Sequence[ast.AST], imports: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """What the test replaces by a mock, and then calls in its assertion: the same name of the same owner."""
    patched: set[tuple[str, str]] = set()
    for part in parts:
        if isinstance(part, ast.Call) and (tail(part) in ("patch", "object", "setattr")):
            first = part.args[0] if part.args else None
            texts = [a.value for a in part.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if isinstance(first, ast.Constant) and texts:
                owner, _, name = texts[0].rpartition(".")
                patched.add((owner.rpartition(".")[2], name))
            elif first is not None and texts:
                patched.add((ast.unparse(first).rpartition(".")[2], texts[0]))
    if not patched:
        return
    made = {t.id: tail(n.value) for n in parts if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call)
            for t in n.targets if isinstance(t, ast.Name)}  # fmt: skip
    local = {n.id for n in parts if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} - made.keys()
    local |= {a.arg for a in parts if isinstance(a, ast.arg)}
    for part, _ in assertions(node):
        root = part.test if isinstance(part, ast.Assert) else part
        if isinstance(part, ast.With | ast.AsyncWith):
            continue
        called = {(tail(n), _owner(n.func, made, imports)) for n in walk([root]) if isinstance(n, ast.Call)}
        called = {(name, owner) for name, owner in called if owner not in local}
        if hidden := sorted(name for name, owner in called if any(n == name and owner in ("", o) for o, n in patched)):
            yield f"{hidden[0]} is replaced by a mock, and the mock is asserted", getattr(part, "lineno", node.lineno)


def _owner(function: ast.expr, made: Mapping[str, str], imports: Mapping[str, str]) -> str:
    """Last word of what a called attribute is of: the class of an object that the test made, the module of a name; or nothing."""
    if isinstance(function, ast.Name):
        return imports.get(function.id, "").rpartition(".")[2]
    if not isinstance(function, ast.Attribute):
        return ""
    owner = function.value
    if isinstance(owner, ast.Call):
        return tail(owner)
    return made.get(owner.id, owner.id) if isinstance(owner, ast.Name) else ast.unparse(owner).rpartition(".")[2]


def _asserts(node: ast.AST) -> bool:
    return any(True for _ in assertions(node))


def _catches_assertions(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return not CATCHES.isdisjoint(n.id for n in walk([handler.type]) if isinstance(n, ast.Name))


def _suppresses(call: ast.Call) -> bool:
    return tail(call) == "suppress" and not CATCHES.isdisjoint(
        n.id for a in call.args for n in walk([a]) if isinstance(n, ast.Name)
    )


def _never_reached(node: Function, parts: Sequence[ast.AST]) -> Iterator[tuple[str, int]]:
    """Assertions that do not run, or results that nobody looks at."""
    inner = [n for n in parts[1:] if isinstance(n, FUNCTIONS)]
    used = {n.id for n in parts if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} if inner else set()
    within = set(walk(inner))
    outside = [a for a, _ in assertions(node) if a not in within]
    for function in inner:
        if not outside and _asserts(function) and not function.decorator_list:
            if function.name not in used:
                yield f"the inner function {function.name} is never called", function.lineno
            elif isinstance(function, ast.AsyncFunctionDef) and _never_awaited(node, function.name):
                yield f"the coroutine {function.name} is never awaited", function.lineno
    for position, statement in enumerate(node.body):
        if isinstance(statement, ast.Return):
            if any(_asserts(s) for s in node.body[position + 1 :]):
                yield "it returns before its assertions", statement.lineno
            if isinstance(statement.value, ast.Compare) and not outside:
                yield "it returns the comparison instead of asserting it", statement.lineno


def _never_awaited(node: ast.AST, name: str) -> bool:
    """Every call of the coroutine function is a statement of its own."""
    calls = [n for n in walk([node]) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == name]
    bare = [n.value for n in walk([node]) if isinstance(n, ast.Expr)]
    return bool(calls) and all(c in bare for c in calls)
