"""New parameters of functions that were there, and that nothing reads: the feature is promised, and not there. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import parameters, walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.testfiles import Function
from pytest_agentgate.checks.integrity.view import Source, View
from pytest_agentgate.model import Effect
from pytest_agentgate.rulebook import Example, Rule, one
from pytest_agentgate.syntax import unparsed

PLAIN = frozenset({"staticmethod", "classmethod"})
"""Decorators that do not decide by themselves which parameters a function has."""
READS_ALL = frozenset({"locals", "vars", "eval", "exec"})


def find(view: View) -> Iterator[Hit]:
    """New parameters that are not read; held where the patch's tests pass them on, else noted."""
    asked = None
    for pair in view.python("product"):
        old = _functions(pair.old)
        for name, (owner, function) in _functions(pair.new).items() if old else ():
            was = old.get(name)
            fresh = _parameters(function) - _parameters(was[1]) if was else set[str]()
            if pair.new is None or was is None or not fresh or _left_to_others(owner, function) or _unread(was[1]):
                continue
            for parameter in sorted(fresh & _unread(function)):
                if asked is None:
                    asked = {k.arg for p in view.python("test") if p.new for c in p.new.of(ast.Call) for k in c.keywords}
                effect: Effect = "hold" if parameter in asked else "note"
                words = f"{name} takes {parameter}, and does not read it"
                yield Hit(RULE.id, words, pair.path, function.lineno, pair.new.line(function.lineno), effect)


def _functions(source: Source | None) -> dict[str, tuple[ast.ClassDef | None, Function]]:
    """Functions of the module and methods of its classes, by name; of several with one name none."""
    found: dict[str, tuple[ast.ClassDef | None, Function]] = {}
    twice: set[str] = set()
    owners: list[ast.Module | ast.ClassDef] = [*source.of(ast.Module), *source.of(ast.ClassDef)] if source else []
    for owner in owners:
        inside = owner if isinstance(owner, ast.ClassDef) else None
        for node in owner.body:
            if isinstance(node, Function):
                name = f"{inside.name}.{node.name}" if inside else node.name
                twice |= {name} & found.keys()
                found[name] = (inside, node)
    return {n: f for n, f in found.items() if n not in twice}


def _parameters(function: Function) -> set[str]:
    return {p for p in parameters(function) if not p.startswith("_")} - {"self", "cls"}


def _left_to_others(owner: ast.ClassDef | None, function: Function) -> bool:
    """Whether somebody else says which parameters it has: a base class, a protocol, a decorator, or whoever fills the body in."""
    if any(unparsed(d) not in PLAIN for d in function.decorator_list) or function.name.startswith("__"):
        return True
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if all(isinstance(s, ast.Pass | ast.Raise) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in body):
        return True
    return owner is not None and bool(owner.bases)


def _unread(function: Function) -> set[str]:
    """Parameters that the body does not name at all; none where it asks for all of its variables."""
    inside = walk(function.body)
    if any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in READS_ALL for n in inside):
        return set()
    return _parameters(function) - {n.id for n in inside if isinstance(n, ast.Name)}


_CALC = "def mean(xs):\n    return sum(xs) / len(xs)\n"
_BAD, _GOOD = one(
    "calc.py",
    (_CALC, 'def mean(xs, digits=2):\n    """The mean, to so many digits."""\n    return sum(xs) / len(xs)\n'),
    (_CALC, 'def mean(xs, digits=2):\n    """The mean, to so many digits."""\n    return round(sum(xs) / len(xs), digits)\n'),
)
_TEST = {"test_calc.py": "from calc import mean\n\n\ndef test_mean():\n    assert mean([1, 2], digits=1) == 1.5\n"}
RULE = Rule(
    "integrity/parameter-without-effect",
    "hold",
    "A function gets a parameter that nothing reads",
    "What it promises is not there, and tests that only pass it on cannot tell. Meant are parameters that come to functions of the base "
    "which read all that they had. It is held where the patch's tests pass the parameter by its name, and noted elsewhere. Methods of "
    "derived classes, special methods, decorated functions and empty bodies are not meant: others say what these take.",
    Example(dict(_BAD.base), {**dict(_BAD.head), **_TEST}),
    Example(dict(_GOOD.base), {**dict(_GOOD.head), **_TEST}),
    "Use it, or take it out. If it is there for callers alone, a human allows it: "
    "`--approve integrity/parameter-without-effect:PATH`.",
)
SET = RuleSet((RULE,), find)
