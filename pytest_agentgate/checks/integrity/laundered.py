"""Values that are taken from the type checker: more `Any` and `cast` than before, and casts of casts. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.view import Pair, Source
from pytest_agentgate.syntax import unparsed

LAUNDERS = re.compile(rb"\bAny\b|\bcast\b")


def find(pair: Pair) -> Iterator[Hit]:
    """Files with more of them than before."""
    new = pair.new
    if new is None or not LAUNDERS.search(new.data):
        return
    before, after = ([n.lineno for n in _twice(s)] for s in (pair.old, new))
    if len(after) > len(before) and pair.kind == "product":
        words, effect = "a value is cast to one type and from there to another: mypy is asked for neither", "hold"
    else:
        before, after = (_launderers(s) for s in (pair.old, new))
        count = len(after) - len(before)
        words, effect = f"{count} more use{'s' if count > 1 else ''} of Any and cast: mypy checks nothing there", "note"
    if len(after) > len(before):
        line = next((n for n in after if pair.change.touches(n)), after[-1])
        yield Hit("integrity/any-laundering", words, pair.path, line, new.line(line), "hold" if effect == "hold" else None)
    yield from _open_ended(pair, new)


def _open_ended(pair: Pair, new: Source) -> Iterator[Hit]:
    """Classes that now have every attribute there is, of any type: a misspelt one is an error for nobody."""
    known = {c.name: c for c in pair.old.of(ast.ClassDef)} if pair.old and pair.kind == "product" else {}
    for node in new.of(ast.ClassDef) if known else ():
        was = known.get(node.name)
        if was is None or any(isinstance(s, ast.FunctionDef) and s.name == "__getattr__" for s in was.body):
            continue
        for method in node.body:
            if not isinstance(method, ast.FunctionDef) or method.name != "__getattr__" or method.returns is None:
                continue
            hands_on = any(isinstance(n, ast.Call) and getattr(n.func, "id", "") == "getattr" for n in walk(method.body))
            if "Any" in unparsed(method.returns) and not hands_on:
                words = f"from now on the type checker finds every attribute in {node.name}, whatever its name is"
                yield Hit("integrity/any-laundering", words, pair.path, method.lineno, new.line(method.lineno), "hold")


def _twice(source: Source | None) -> Iterator[ast.Call]:
    """Casts of what was cast, or is computed from what was; an argument of another call has a type of its own again."""
    for node in source.of(ast.Call) if source else ():
        inner = node.args[1:2] if source and _is_typings(node, source) else []
        while inner:
            part = inner.pop()
            if isinstance(part, ast.Call) and source and _is_typings(part, source):
                yield node
                break
            if isinstance(part, ast.BinOp | ast.BoolOp | ast.IfExp | ast.UnaryOp | ast.NamedExpr):
                inner += [n for n in ast.iter_child_nodes(part) if isinstance(n, ast.expr)]


def _is_typings(node: ast.Call, source: Source) -> bool:
    return _is_cast(node) and source.names.dotted(node.func) in ("typing.cast", "typing_extensions.cast")


def _is_cast(node: ast.Call) -> bool:
    return getattr(node.func, "id", getattr(node.func, "attr", "")) == "cast"


def _launderers(source: Source | None) -> list[int]:
    nodes = source.nodes if source else ()
    return [
        n.lineno
        for n in nodes
        if (isinstance(n, ast.Name) and n.id == "Any")
        or (isinstance(n, ast.Attribute) and n.attr == "Any" and unparsed(n.value) in ("typing", "t"))
        or (isinstance(n, ast.Call) and _is_cast(n))
    ]
