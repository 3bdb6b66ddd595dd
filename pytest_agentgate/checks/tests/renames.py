"""Tests that the patch edited in nothing but private names, which it renamed in the product as well: they ask what they asked. Pure.

A name that users have is another matter: it breaks them, and a human decides on that.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping

from pytest_agentgate.checks.tests.noticing import helpers_changed
from pytest_agentgate.layout import is_test
from pytest_agentgate.protocols import Context
from pytest_agentgate.syntax import parsed

PRIVATE = re.compile(r"_[A-Za-z]\w*")
NAMES = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name"}
"""Where a name of the product stands; one in a text, a key or a parameter is another thing."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def same_but_names(context: Context, ids: Collection[str], passed: Collection[str]) -> set[str]:
    """Of some tests of the base, those of which the patch's version (in `passed`) is the same but for private names that it renamed."""
    if not ids or helpers_changed(context):
        return set()
    changed = [f for f in context.change.files if f.old and f.new and not f.odd and f.path.endswith(".py")]
    product = [f.path for f in changed if not is_test(f.path, context.policy)]
    old, new = (
        {w for d in context.trees.read_many(side, product).values() for w in re.findall(r"\w+", d.decode("utf-8", "replace"))}
        for side in ("base", "head")
    )
    gone, came = ({n for n in names if PRIVATE.fullmatch(n)} for names in (old - new, new - old))
    paths = {i.partition("::")[0] for i in ids} & {f.path for f in changed} if gone and came else set()
    before, after = (context.trees.read_many(side, sorted(paths)) for side in ("base", "head"))
    found: set[str] = set()
    for path in before:
        pairs = alike(before[path], after.get(path, b""), gone, came)
        for node_id in (i for i in ids if i.partition("::")[0] == path):
            function, bracket, row = node_id.partition("::")[2].partition("[")
            now = pairs.get(function)
            if now is not None and f"{path}::{now}{bracket}{row}" in passed:
                found.add(node_id)
    return found


def alike(old: bytes, new: bytes, gone: Collection[str], came: Collection[str]) -> Mapping[str, str]:
    """Functions of a file by their name on either side, where they and all around them are the same but for names; else nothing.

    Further tests may come; anything else that comes could change what the others ask.
    """
    before, after = parsed(old), parsed(new)
    if before is None or after is None:
        return {}
    renamer = _Renamer(gone, came)
    (functions, rest), (others, others_rest) = _parts(before), _parts(after)
    if len(rest) != len(others_rest) or not all(renamer.same(a, b) for a, b in zip(rest, others_rest, strict=True)):
        return {}
    found: dict[str, str] = {}
    for name, node in functions.items():
        candidates = [name] if name in others else [n for n in others if n not in functions]
        match = next((n for n in candidates if renamer.same(node, others[n])), None)
        if match is not None:
            found[name] = match
    fresh = [n for n in others if n not in found.values() and n not in functions]
    return found if all(n.rpartition("::")[2].startswith("test") for n in fresh) else {}


def _parts(tree: ast.Module) -> tuple[dict[str, Function], list[ast.AST]]:
    """Functions by their name (``Class::name``), and everything else in its order: statements, and the heads of classes."""
    functions: dict[str, Function] = {}
    rest: list[ast.AST] = []

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, Function):
                functions[prefix + node.name] = node
            elif isinstance(node, ast.ClassDef):
                rest.append(ast.ClassDef(node.name, node.bases, node.keywords, [], node.decorator_list))
                visit(node.body, f"{prefix}{node.name}::")
            else:
                rest.append(node)

    visit(tree.body, "")
    return functions, rest


class _Renamer:
    """Compares syntax under one renaming, which it finds on its way: no two names become one."""

    def __init__(self, gone: Collection[str], came: Collection[str]) -> None:
        self.gone, self.came = gone, came
        self.names: dict[str, str] = {}

    def same(self, one: ast.AST, other: ast.AST) -> bool:
        """Whether two nodes differ in renamed names alone; the name of a function itself does not count."""
        known = dict(self.names)
        top = ("name",) if isinstance(one, Function) else ()
        if self._fields(one, other, top) and len(set(self.names.values())) == len(self.names):
            return True
        self.names = known
        return False

    def _fields(self, one: ast.AST, other: ast.AST, skip: tuple[str, ...] = ()) -> bool:
        if type(one) is not type(other):
            return False
        for field in one._fields:
            a, b = getattr(one, field, None), getattr(other, field, None)
            if field not in skip and not self._values(a, b, named=NAMES.get(type(one)) == field):
                return False
        return True

    def _values(self, a: object, b: object, *, named: bool) -> bool:
        if isinstance(a, list):
            return (
                isinstance(b, list) and len(a) == len(b) and all(self._values(x, y, named=False) for x, y in zip(a, b, strict=True))
            )
        if isinstance(a, ast.AST):
            return isinstance(b, ast.AST) and self._fields(a, b)
        if named and isinstance(a, str) and isinstance(b, str) and a in self.gone and b in self.came:
            return self.names.setdefault(a, b) == b
        return type(a) is type(b) and a == b
