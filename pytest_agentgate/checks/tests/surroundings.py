"""Which tests of the base the patch touched: their own text, or what in their file and around it could change what they ask for. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from pytest_agentgate.syntax import parsed

Def = ast.FunctionDef | ast.AsyncFunctionDef
_HOOK = re.compile(r"(setup|teardown|setUp|tearDown|pytest_|async(SetUp|TearDown)|__)")
"""Functions that run without being named."""


def bodies(source: bytes, names: Collection[str]) -> dict[str, str]:
    """Text of each named test (``Class::test``), decorators included, without layout; of two definitions the last."""
    found: dict[str, str] = {}
    for name, node in _functions(_parse(source)):
        if name in names:
            found[name] = ast.dump(node)
    return found


def source_of(source: bytes, name: str) -> str:
    """A test (``Class::test``) as Python writes it out; empty where there is none."""
    return next((ast.unparse(node) for known, node in _functions(_parse(source)) if known == name), "")


def asserting(source: bytes, *, every: bool = False) -> dict[str, str]:
    """Text of each function (``Class::function``) that asserts, or of `every` one."""
    if every:
        return {name: ast.dump(node) for name, node in _functions(_parse(source))}
    if b"assert" not in source and b"AssertionError" not in source:
        return {}
    return {
        name: ast.dump(node)
        for name, node in _functions(_parse(source))
        if any(isinstance(n, ast.Assert) or (isinstance(n, ast.Name) and n.id == "AssertionError") for n in ast.walk(node))
    }


def around_differs(old: bytes, new: bytes, names: Collection[str]) -> bool:
    """Whether anything but the named tests was changed in a test file that they could notice.

    New tests, functions, classes, imports and constants under names that the file did not have are nothing of that kind.
    """
    before, after = _parse(old), _parse(new)
    words = {w for n in ast.walk(before) for w in _words(n)}
    was, now = _pieces(before, names), _pieces(after, names)
    gone = [node for key, node in was.items() if key not in now and not isinstance(node, ast.Import | ast.ImportFrom)]
    new_classes = tuple(f"{n.name}::" for n in after.body if isinstance(n, ast.ClassDef) and n.name not in words)
    added = [node for key, node in now.items() if key not in was and not key.startswith(new_classes)]
    return bool(gone) or any(not _harmless(node, words) for node in added)


def _parse(source: bytes) -> ast.Module:
    return parsed(source) or ast.Module([], [])


def _functions(tree: ast.Module) -> Iterator[tuple[str, Def]]:
    """Functions of the module and of its classes, with their names as in node ids."""
    stack: list[tuple[str, ast.stmt]] = [("", n) for n in tree.body]
    while stack:
        prefix, node = stack.pop(0)
        if isinstance(node, Def):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            stack += [(f"{prefix}{node.name}::", n) for n in node.body]
        elif isinstance(node, ast.If | ast.Try | ast.With):
            stack += [(prefix, n) for field in ("body", "orelse", "finalbody") for n in getattr(node, field, [])]


def _pieces(tree: ast.Module, names: Collection[str]) -> dict[str, ast.stmt]:
    """Statements of the module and of its classes but the named tests, by their text; imports name by name."""
    found: dict[str, ast.stmt] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    one: ast.stmt = (
                        ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], node.level)
                    )
                    found[prefix + ast.dump(one)] = one
            elif isinstance(node, ast.ClassDef):
                head = ast.ClassDef(node.name, node.bases, node.keywords, [], node.decorator_list)
                found[prefix + ast.dump(head)] = head
                visit(node.body, f"{prefix}{node.name}::")
            elif not (isinstance(node, Def) and prefix + node.name in names):
                found[prefix + ast.dump(node)] = node

    visit(tree.body, "")
    return found


def _words(node: ast.AST) -> Iterator[str]:
    for field in ("id", "attr", "name", "arg", "asname"):
        value = getattr(node, field, None)
        if isinstance(value, str):
            yield value
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value  # a fixture that is asked for by name


def _harmless(node: ast.stmt, words: frozenset[str] | set[str]) -> bool:
    """Whether an added statement cannot change what the tests that were there ask for."""
    if isinstance(node, Def):
        if _HOOK.match(node.name) or any("autouse" in ast.dump(d) for d in node.decorator_list):
            return False
        marks = [
            c.value for d in node.decorator_list if "fixture" in ast.dump(d) for c in ast.walk(d) if isinstance(c, ast.Constant)
        ]
        return words.isdisjoint(m for m in marks if isinstance(m, str)) and (node.name.startswith("test") or node.name not in words)
    if isinstance(node, ast.ClassDef):
        return node.name not in words
    if isinstance(node, ast.Import | ast.ImportFrom):
        return all((a.asname or a.name.partition(".")[0]) not in words for a in node.names) and node.names[0].name != "*"
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(isinstance(t, ast.Name) and t.id not in words and not t.id.startswith("pytest") for t in targets)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
