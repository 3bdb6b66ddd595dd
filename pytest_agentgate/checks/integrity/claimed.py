"""Mends that are only claimed: of the product nothing but words changed, and the tests put something else in for what they are about. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.testfiles import Function, tail
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.syntax import unparsed

PATCHERS = frozenset({"setattr", "patch", "object"})
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def find(view: View) -> Iterator[Hit]:
    """New tests that replace a function and then ask it, or mend what it gives, of which the patch edits nothing but the words."""
    tests = [p for p in view.python("test") if p.new is not None and p.new.tree is not None]
    product = list(view.python("product")) if tests else []
    if not product or not all(_only_words(p) for p in product):
        return
    touched = {f.name for p in product if p.new for f in p.new.functions if not f.name.startswith("__") and _touches(p, f)}
    for pair in tests if touched else ():
        for name, node in _replaced(pair, view):
            if name in touched:
                words = f"puts something else in for {name}, of which the patch only changed the words"
                line = getattr(node, "lineno", 1)
                yield Hit("integrity/product-faked", words, pair.path, line, pair.new.line(line) if pair.new else "", "hold")


def from_product(source: Source, view: View) -> set[str]:
    """Names that a file has from imports of the project's own modules."""
    froms = [((n.module or "").partition(".")[0], a.asname or a.name) for n in source.of(ast.ImportFrom) for a in n.names]
    tops = [(top := a.name.partition(".")[0], a.asname or top) for n in source.of(ast.Import) for a in n.names]
    return {name for top, name in (*froms, *tops) if top in view.own}


def _touches(pair: Pair, function: Function) -> bool:
    return any(pair.change.touches(n) for n in range(function.lineno, (function.end_lineno or function.lineno) + 1))


def _only_words(pair: Pair) -> bool:
    """Whether both sides are one code, but for comments and docstrings."""
    return pair.old is not None and pair.new is not None and _code(pair.old) == _code(pair.new)


def _code(source: Source) -> str:
    """The code of a module, without its comments and docstrings."""
    if source.tree is None:
        return source.text
    kept = []
    for node in source.nodes:
        fields = [f"{k}={v!r}" for k, v in ast.iter_fields(node) if not isinstance(v, ast.AST | list)]
        depth = node.col_offset if isinstance(node, ast.stmt) else ""  # in which block it stands
        kept.append(f"{type(node).__name__} {depth} {' '.join(fields)}")
    words = {id(n.body[0]) for n in source.nodes if isinstance(n, DOCUMENTED) and ast.get_docstring(n) is not None}
    words |= {id(n.value) for n in source.nodes if id(n) in words and isinstance(n, ast.Expr)}
    return "\n".join(text for text, node in zip(kept, source.nodes, strict=True) if id(node) not in words)


def _replaced(pair: Pair, view: View) -> Iterator[tuple[str, ast.AST]]:
    """What new statements of a test file put something else in for, by ``setattr`` and the like or in a subclass of the product's."""
    if pair.new is None or pair.new.tree is None:
        return
    fresh = {id(n) for n in pair.fresh_nodes[1]}
    names = pair.new.names
    asked = {tail(c) for c in pair.new.of(ast.Call) if id(c) in fresh}
    for call in pair.new.of(ast.Call):
        if id(call) in fresh and tail(call) in PATCHERS:
            texts = [a.value for a in call.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            owner = names.dotted(call.args[0]) if call.args else ""
            for text in texts[:1]:
                top = (text if "." in text else owner).partition(".")[0]
                name = text.rpartition(".")[2]
                if top in view.own and name in asked:
                    yield name, call
    own = from_product(pair.new, view)
    for node in pair.new.of(ast.ClassDef):
        if id(node) in fresh and any(unparsed(b).partition(".")[0] in own for b in node.bases):
            for function in (s for s in node.body if isinstance(s, Function)):
                mends = any(
                    isinstance(n, ast.Call) and tail(n) == function.name and "super()" in unparsed(n.func) for n in walk([function])
                )
                if mends:
                    yield function.name, function
