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

TOKEN = re.compile(rb"\w+|[^\w\s]")
PRIVATE = re.compile(rb"_[A-Za-z]\w*")
Names = dict[bytes, bytes]


def same_but_names(context: Context, ids: Collection[str], passed: Collection[str]) -> set[str]:
    """Of some tests of the base, those of which the patch's version (in `passed`) is the same but for private names that it renamed."""
    if not ids or helpers_changed(context):
        return set()
    changed = [f for f in context.change.files if f.old and f.new and not f.odd and f.path.endswith(".py")]
    product = [f for f in changed if not is_test(f.path, context.policy)]
    old, new = (
        [w for d in context.trees.read_many(side, [f.path for f in product]).values() for w in re.findall(rb"\w+", d)]
        for side in ("base", "head")
    )
    gone = {n for n in set(old) - set(new) if PRIVATE.fullmatch(n)}
    came = {n for n in set(new) - set(old) if PRIVATE.fullmatch(n)}
    paths = {i.partition("::")[0] for i in ids} & {f.path for f in changed} if gone and came else set()
    before, after = (context.trees.read_many(side, sorted(paths)) for side in ("base", "head"))
    found: set[str] = set()
    for path in before:
        pairs = _alike(before[path], after.get(path, b""), gone, came)
        for node_id in (i for i in ids if i.partition("::")[0] == path):
            function, bracket, row = node_id.partition("::")[2].partition("[")
            now = pairs.get(function)
            if now is not None and f"{path}::{now}{bracket}{row}" in passed:
                found.add(node_id)
    return found


def _alike(old: bytes, new: bytes, gone: Collection[bytes], came: Collection[bytes]) -> Mapping[str, str]:
    """Functions of a file by their name on either side, where all around them and they themselves are the same but for names."""
    (functions, rest), (others, others_rest) = _parts(old), _parts(new)
    names: Names = {}
    lines = {_joined(line) for line in others_rest}
    if any(_joined(_renamed(line, gone, came, others_rest, names)) not in lines for line in rest):
        return {}
    known = {_joined(r) for r in rest} | {_joined(_put(line, names)) for line in rest}
    if any(_joined(line) not in known and line[:1] not in ([b"import"], [b"from"]) for line in others_rest):
        return {}
    found = {}
    for name, text in functions.items():
        candidates = [name] if name in others else [n for n in others if n not in functions]
        match = next((n for n in candidates if _same(text, others[n], gone, came, names)), None)
        if match is not None:
            found[name] = match
    return found


def _parts(source: bytes) -> tuple[dict[str, list[bytes]], list[list[bytes]]]:
    """Tokens of each function (``Class::name``, without its name), and of each line that is in none."""
    tree, lines = parsed(source), source.split(b"\n")
    functions: dict[str, list[bytes]] = {}
    taken: set[int] = set()
    stack: list[tuple[str, ast.stmt]] = [("", n) for n in tree.body] if tree else []
    for prefix, node in stack:
        if isinstance(node, ast.ClassDef):
            stack += [(f"{prefix}{node.name}::", n) for n in node.body]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first, last = min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno or node.lineno
            taken |= set(range(first, last + 1))
            tokens = TOKEN.findall(b"\n".join(lines[first - 1 : last]))
            at = tokens.index(b"def") + 1
            functions[prefix + node.name] = tokens[:at] + tokens[at + 1 :]
    rest = [TOKEN.findall(line) for n, line in enumerate(lines, 1) if n not in taken]
    return functions, [r for r in rest if r]


def _same(one: list[bytes], other: list[bytes], gone: Collection[bytes], came: Collection[bytes], names: Names) -> bool:
    """Whether two lists of tokens differ in renamed names alone; `names` are the known ones, and get those that are new."""
    if len(one) != len(other):
        return False
    mine = dict(names)
    for a, b in zip(one, other, strict=True):
        if a == b and a not in mine:
            continue
        if a not in gone or b not in came or mine.setdefault(a, b) != b:
            return False
    if len(set(mine.values())) != len(mine):
        return False
    names.update(mine)
    return True


def _renamed(
    line: list[bytes], gone: Collection[bytes], came: Collection[bytes], others: list[list[bytes]], names: Names
) -> list[bytes]:
    """A line as the other side has it, if it is there under other names."""
    if not any(t in gone for t in line):
        return line
    return next((o for o in others if _same(line, o, gone, came, names)), line)


def _put(line: list[bytes], names: Names) -> list[bytes]:
    return [names.get(t, t) for t in line]


def _joined(line: list[bytes]) -> bytes:
    return b" ".join(line)
