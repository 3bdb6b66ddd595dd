"""Which tests are the patch's own."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from pytest_agentgate.base_tests import PYTEST_FILES, pytest_table
from pytest_agentgate.checks.tests.session import holds_tests, test_files
from pytest_agentgate.layout import is_test, kind, packages
from pytest_agentgate.protocols import Context

INERT = re.compile(
    r"\.(md|rst|adoc|png|jpe?g|gif|svg|pdf|ico)$|(^|/)(LICEN[CS]E|COPYING|NOTICE|AUTHORS|CONTRIBUTORS|CODEOWNERS|"
    r"CHANGE(S|LOG)|NEWS|README)(\.\w+)?$|^(docs?|\.github|\.gitlab)/|^\.(gitignore|gitattributes|editorconfig|mailmap)$",
    re.IGNORECASE,
)
"""Files that neither code nor tests depend on, wherever they are, unless they name them."""
KINDS = re.compile(r"\.(md|rst|adoc|png|jpe?g|gif|svg|pdf|ico)$", re.IGNORECASE)
"""Kinds of files that are read by their kind, as in ``glob("*.md")``."""


def own_arguments(context: Context) -> tuple[str, ...] | None:
    """What to run with the patch's own files: the test files that it adds or edits; None: the whole suite.

    For another file of the tests (a helper, a fixture, a data file) every test in that file's folder, or in the nearest
    folder above that has any. The whole suite where something was changed or deleted that anything could depend on.
    """
    head, base = context.trees.entries("head"), context.trees.entries("base")
    product = packages([*base, *head])
    tests: set[str] = set()
    beside: list[str] = []
    for file in context.change.files:
        paths = [p for p in (file.path, file.old_path) if p]
        kinds = {kind(p, context.policy, product) for p in paths}
        if file.odd or kinds == {"product"}:
            continue
        if "test" in kinds:
            mine = (
                _around(file.path, head, context)
                if file.new and (holds_tests(file.path, context) or not test_files([file.path]))
                else None
            )
            if mine is None:
                return None
            tests |= set(mine)
        elif pytest_differs(context) if "config" in kinds else not INERT.search(file.path):
            return None
        else:
            beside += paths
    readers = _readers(beside, context)
    return None if readers is None else tuple(sorted(tests | (readers & set(head))))


def _readers(paths: Sequence[str], context: Context) -> set[str] | None:
    """Test files of the base that name one of some files, its folder or its kind; None where anything else does, or it holds examples that run."""
    if not paths:
        return set()
    entries = context.trees.entries("base")
    files = [f for f in PYTEST_FILES if f in entries]
    if any(p.endswith((".md", ".rst")) for p in paths) and "doctest" in str(pytest_table(context.trees.read_many("base", files))):
        return None
    words = {re.escape(p.rpartition("/")[2]) for p in paths}
    words |= {re.escape(f".{p.rpartition('.')[2]}") + r"\b" for p in paths if KINDS.search(p)}
    words |= {f"['\"/]{re.escape(f)}['\"/]" for p in paths for f in p.split("/")[:-1]}
    named = re.compile("|".join(sorted(words)).encode("utf-8", "surrogateescape"))
    known = packages(entries)
    read = [p for p in entries if p.endswith(".py") and _reads(p, kind(p, context.policy, known), known)]
    found = {p for p, data in context.trees.read_many("base", read).items() if named.search(data)}
    return found if len(test_files(sorted(found))) == len(found) else None


def _reads(path: str, what: str, known: Collection[str]) -> bool:
    """Whether a Python file runs when the suite does: tests, and product that is no script in a folder beside it."""
    folder = path.rpartition("/")[0]
    return what == "test" or (
        what == "product" and not INERT.search(path) and (not folder or folder in known or path.startswith("src/"))
    )


def _around(path: str, head: Collection[str], context: Context) -> list[str] | None:
    """The test file itself, or the test files nearest to a file of the tests; None where there are none."""
    if test_files([path]):
        return [path]
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        prefix = f"{folder}/" if folder else ""
        if found := test_files([p for p in head if p.startswith(prefix) and is_test(p, context.policy)]):
            return found
    return None


def pytest_differs(context: Context) -> bool:
    """Whether the patch changes pytest's own configuration."""
    files = [f for f in PYTEST_FILES if f in context.trees.entries("base") or f in context.trees.entries("head")]
    return pytest_table(context.trees.read_many("base", files)) != pytest_table(context.trees.read_many("head", files))
