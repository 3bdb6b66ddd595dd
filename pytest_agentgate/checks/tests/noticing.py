"""What the patch touched, and which of its own tests could notice."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from pytest_agentgate.checks.tests.classify import files_of
from pytest_agentgate.checks.tests.session import Ask, Sessions, holds_tests
from pytest_agentgate.checks.tests.surroundings import bodies
from pytest_agentgate.checks.tests.turn import detonate, turn
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import is_test, kind, packages
from pytest_agentgate.model import FileChange
from pytest_agentgate.protocols import Context
from pytest_agentgate.syntax import parsed

EXPECTS = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
UNMEANT = frozenset(
    {
        "KeyError",
        "IndexError",
        "LookupError",
        "AttributeError",
        "TypeError",
        "NameError",
        "StopIteration",
        "AssertionError",
        "Exception",
    }
)
"""Errors that also come of themselves, where a table ends."""
MOST_NEW = 40
"""New tests that are asked whether they need the new code."""


def function_of(node_id: str) -> str:
    """A node id without its parameters."""
    return node_id.partition("[")[0]


def moved(context: Context, ids: Collection[str]) -> dict[str, str]:
    """Node ids of the base as they are called where the patch renamed or moved their files."""
    files = {f.old_path: f.path for f in context.change.files if f.old_path}
    return {i: files.get(path := i.partition("::")[0], path) + i[len(path) :] for i in ids}


def immune(sessions: Sessions, passed: Collection[str]) -> tuple[str, ...]:
    """Of the patch's own passing tests, those that pass also where every function that the patch touched raises.

    Empty where it touched no function, or where at least one of the tests notices.
    """
    context = sessions.context
    overlay = {}
    for file, data in changed_product(context):
        text = detonate(data, partial(_touched, file))
        if text:
            overlay[file.path] = text.encode("utf-8", "surrogateescape")
    ids = list(passed)[:MOST_NEW]
    if not overlay or not ids:
        return ()
    try:
        run = sessions.run(Ask("head", files_of(ids), frozenset(ids), overlay=overlay), "do the new tests need the new code?")
    except ToolError:
        return ()  # the session itself needs that code: it was noticed
    still = tuple(i for i in ids if run.outcome(i) == "passed")
    return still if len(still) == len(ids) else ()


def helpers_changed(context: Context) -> bool:
    """Whether the patch changed files of the tests that are no test modules: a `conftest.py`, fixtures, a plugin, data."""
    changed = [f.path for f in context.change.files if not f.odd and is_test(f.path, context.policy)]
    return not all(holds_tests(p, context) for p in changed)


def edited_tests(context: Context, known: Collection[str], *, armed: bool = True) -> set[str]:
    """Tests of the base of which the patch edited the text; `armed`: whose base version has an assertion that can be turned."""
    files = [f for f in context.change.files if f.old and f.new and f.path.endswith(".py")]
    old = context.trees.read_many("base", [f.old_path or f.path for f in files])
    new = context.trees.read_many("head", [f.path for f in files])
    found: set[str] = set()
    for file in files:
        was, now = old.get(file.old_path or file.path, b""), new.get(file.path, b"")
        mine = [i for i in known if i.partition("::")[0] == file.path]
        names = {function_of(i).partition("::")[2] for i in mine}
        before, after = (bodies(text, names) for text in (was, now))
        changed = {n for n in names if before.get(n) != after.get(n)}
        names = set(turn(was, dict.fromkeys(changed, "negated"), "x").names) if armed else changed
        found |= {i for i in mine if function_of(i).partition("::")[2] in names}
    return found


def _touched(file: FileChange, first: int, last: int) -> bool:
    return any(file.touches(n) for n in range(first, last + 1))


def changed_names(context: Context) -> set[str]:
    """Names of the functions and classes whose lines the patch changed, and of its changed modules."""
    found = set()
    for file, data in changed_product(context):
        found.add(file.path.rpartition("/")[2].removesuffix(".py"))
        tree = parsed(data)
        if tree is None:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and any(
                h.new_start <= (node.end_lineno or node.lineno) and node.lineno < h.new_start + max(h.new_lines, 1)
                for h in file.hunks
            ):
                found.add(node.name)
    return {n for n in found if len(n) > 2 and not n.startswith("__")}


def changed_modules(context: Context, roots: Sequence[str]) -> list[str]:
    """Import names of the product modules that the patch added or edited, and that something imports.

    A script beside the product is none: to import it is to run it. What is in a package counts as imported, but for a `__main__`.
    """
    entries = context.trees.entries("head")
    known, found = packages(entries), list[str]()
    for file, _ in changed_product(context):
        root = max((r for r in roots if not r or file.path.startswith(f"{r}/")), key=len, default="")
        name = file.path[len(root) :].strip("/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        if name.rpartition(".")[2] != "__main__" and (
            file.path.rpartition("/")[0] in known or _is_imported(context, name.partition(".")[0], file.path)
        ):
            found.append(name)
    return found


def _is_imported(context: Context, name: str, path: str) -> bool:
    """Whether another Python file of the head or of the base imports a top-level name, as far as a line says so."""
    word = re.escape(name.encode())
    words = re.compile(rb"^[ \t]*(?:from|import)\b.*\b%s\b|(?:import_module|__import__)\(\s*['\"]%s\b" % (word, word), re.MULTILINE)
    for side in ("head", "base"):
        paths = [p for p in context.trees.entries(side) if p.endswith(".py") and p != path]
        if any(words.search(data) for data in context.trees.read_many(side, paths).values()):
            return True
    return False


def changed_product(context: Context) -> Iterator[tuple[FileChange, bytes]]:
    """Product modules that the patch added or edited, with their contents."""
    known = packages([*context.trees.entries("base"), *context.trees.entries("head")])
    files = [
        f for f in context.change.files if f.new and f.path.endswith(".py") and kind(f.path, context.policy, known) == "product"
    ]
    contents = context.trees.read_many("head", [f.path for f in files])
    return ((f, contents[f.path]) for f in files if f.path in contents)


def expected_errors(context: Context) -> set[str]:
    """Classes of errors that new calls in the patch's tests expect (``raises(ValueError)``, ``assertRaises((A, B))``), without UNMEANT."""
    files = [f for f in context.change.files if f.new and f.path.endswith(".py") and is_test(f.path, context.policy)]
    contents = context.trees.read_many("head", [f.path for f in files])
    found: set[str] = set()
    for file in files:
        tree = parsed(contents.get(file.path, b""))
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Call) and node.args and file.touches(node.lineno):
                if getattr(node.func, "attr", getattr(node.func, "id", "")) in EXPECTS:
                    first = node.args[0]
                    named = first.elts if isinstance(first, ast.Tuple) else [first]
                    found |= {getattr(n, "attr", getattr(n, "id", "")) for n in named}
    return found - UNMEANT - {""}
