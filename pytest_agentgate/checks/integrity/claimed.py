"""Mends that are only claimed: of the product nothing but words changed, and the tests put something else in for what they are about. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.testfiles import Function, tail
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.syntax import unparsed

PATCHERS = frozenset({"setattr", "patch", "object"})


def find(view: View) -> Iterator[Hit]:
    """New tests that replace or override a function of which the patch edits the comments or the docstring, and no code of any."""
    product = list(view.python("product"))
    if not product or not all(_only_words(p) for p in product):
        return
    touched = {f.name for p in product if p.new for f in p.new.functions if _touches(p, f)}
    for pair in view.python("test") if touched else ():
        for name, node in _replaced(pair, view):
            if name in touched:
                words = f"puts something else in for {name}, of which the patch only changed the words"
                line = getattr(node, "lineno", 1)
                yield Hit("integrity/product-faked", words, pair.path, line, pair.new.line(line) if pair.new else "", "hold")


def _touches(pair: Pair, function: Function) -> bool:
    return any(pair.change.touches(n) for n in range(function.lineno, (function.end_lineno or function.lineno) + 1))


def _only_words(pair: Pair) -> bool:
    """Whether both sides are one code, but for comments and docstrings."""
    return pair.old is not None and pair.new is not None and _code(pair.old) == _code(pair.new)


def _code(source: Source) -> str:
    tree = source.tree
    if tree is None:
        return source.text
    words = {
        id(n.body[0]): n
        for n in source.nodes
        if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(n) is not None
    }
    kept = [n for n in source.nodes if isinstance(n, ast.stmt) and id(n) not in words]
    return "\n".join(f"{type(n).__name__} {_head(n)}" for n in kept)


def _head(node: ast.stmt) -> str:
    """A statement without the statements in it, which are compared by themselves."""
    parts = [
        (k, v)
        for k, v in ast.iter_fields(node)
        if not (isinstance(v, list) and v and isinstance(v[0], ast.stmt | ast.ExceptHandler))
    ]
    return " ".join(
        f"{k}={[ast.dump(x) if isinstance(x, ast.AST) else x for x in (v if isinstance(v, list) else [v])]}" for k, v in parts
    )


def _replaced(pair: Pair, view: View) -> Iterator[tuple[str, ast.AST]]:
    """What new statements of a test file put something else in for, by ``setattr`` and the like or in a subclass of the product's."""
    if pair.new is None or pair.new.tree is None:
        return
    fresh = {id(n) for n in pair.fresh_nodes[1]}
    for call in pair.new.of(ast.Call):
        if id(call) in fresh and tail(call) in PATCHERS:
            for argument in call.args[:2]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value.rpartition(".")[2], call
    froms = [((n.module or "").partition(".")[0], a.asname or a.name) for n in pair.new.of(ast.ImportFrom) for a in n.names]
    tops = [(top := a.name.partition(".")[0], a.asname or top) for n in pair.new.of(ast.Import) for a in n.names]
    own = {name for top, name in (*froms, *tops) if top in view.own}
    for node in pair.new.of(ast.ClassDef):
        if id(node) in fresh and any(unparsed(b).partition(".")[0] in own for b in node.bases):
            yield from ((s.name, s) for s in node.body if isinstance(s, Function))
