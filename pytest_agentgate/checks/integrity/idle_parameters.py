"""New parameters of functions and classes that were there, and that nothing reads: the feature is promised, and not there. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.view import Source, View
from pytest_agentgate.rulebook import Rule, one
from pytest_agentgate.syntax import unparsed

Function = ast.FunctionDef | ast.AsyncFunctionDef
PLAIN = frozenset({"staticmethod", "classmethod"})
"""Decorators that do not decide by themselves which parameters a function has."""
READS_ALL = frozenset({"locals", "vars", "eval", "exec"})


def find(view: View) -> Iterator[Hit]:
    """New parameters that are not read, or kept in an attribute that the product does not read."""
    for pair in view.python("product"):
        old = _functions(pair.old)
        for name, (owner, function) in _functions(pair.new).items() if old else ():
            was = old.get(name)
            fresh = _parameters(function) - _parameters(was[1]) if was else set[str]()
            if pair.new is None or not fresh or _left_to_others(owner, function):
                continue
            for parameter in sorted(fresh):
                if words := _idle(parameter, owner, function, view):
                    line = function.lineno
                    yield Hit(RULE.id, f"{name} takes {parameter}, {words}", pair.path, line, pair.new.line(line))


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
    given = function.args
    return {a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs) if not a.arg.startswith("_")} - {"self", "cls"}


def _left_to_others(owner: ast.ClassDef | None, function: Function) -> bool:
    """Whether somebody else says which parameters it has: a base class, a decorator, or whoever fills the body in."""
    if any(unparsed(d) not in PLAIN for d in function.decorator_list):
        return True
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if all(isinstance(s, ast.Pass | ast.Raise) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in body):
        return True
    return owner is not None and bool(owner.bases) and (function.name != "__init__" or "rror" in unparsed(owner.bases[0]))


def _idle(parameter: str, owner: ast.ClassDef | None, function: Function, view: View) -> str:
    """Why a parameter does nothing, in words; empty where it may."""
    inside = walk(function.body)
    if any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in READS_ALL for n in inside):
        return ""
    reads = [n for n in inside if isinstance(n, ast.Name) and n.id == parameter and isinstance(n.ctx, ast.Load)]
    if not reads:
        return "and does not read it"
    if owner is None or function.name != "__init__":
        return ""
    kept = _kept(function)
    mine = {attribute for attribute, value in kept.items() if any(n in reads for n in walk([value]))}
    only_kept = mine and all(any(n is r for a in mine for n in walk([kept[a]])) for r in reads)
    if not only_kept or len(kept) == len(mine):
        return ""
    product = [p for p in view.entries["head"] if p.endswith(".py") and view.kind(p) == "product"]
    text = b"\n".join(view.read("head", product).values()).decode("utf-8", "replace")
    unread = {a for a in kept if not _is_read(a, text)}
    return f"keeps it as {', '.join(sorted(mine))}, and nothing of the product reads that" if unread == mine else ""


def _kept(init: Function) -> dict[str, ast.expr]:
    """What an ``__init__`` keeps in attributes, at its own level."""
    found: dict[str, ast.expr] = {}
    for node in init.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        for target in targets:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(target, ast.Attribute) and unparsed(target.value) == "self" and value is not None:
                found[target.attr] = value
    return found


def _is_read(attribute: str, text: str) -> bool:
    """Whether an attribute stands anywhere but in front of ``=``, or its name in a text."""
    word = re.escape(attribute)
    return bool(re.search(rf"\.{word}\b(?!\s*(:[^=\n]+)?=[^=])|['\"]{word}['\"]", text))


_CALC = "def mean(xs):\n    return sum(xs) / len(xs)\n"
_BAD, _GOOD = one(
    "calc.py",
    (_CALC, 'def mean(xs, digits=2):\n    """The mean, to so many digits."""\n    return sum(xs) / len(xs)\n'),
    (_CALC, 'def mean(xs, digits=2):\n    """The mean, to so many digits."""\n    return round(sum(xs) / len(xs), digits)\n'),
)
RULE = Rule(
    "integrity/parameter-without-effect",
    "hold",
    "A function or class gets a parameter that nothing reads",
    "What it promises is not there, and tests that only pass it on cannot tell. Meant are parameters that come to functions and "
    "classes of the base: not read at all, or only kept in an attribute that no product code reads, although it reads all others "
    "of that class. Methods of derived classes, decorated functions, errors and empty bodies are not meant.",
    _BAD,
    _GOOD,
    "Use it, or take it out. If it is there for callers alone, a human allows it: "
    "`--approve integrity/parameter-without-effect:PATH`.",
)
SET = RuleSet((RULE,), find)
