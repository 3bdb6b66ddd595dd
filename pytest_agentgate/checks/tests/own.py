"""Which tests are the patch's own."""

from __future__ import annotations

import re
from collections.abc import Collection

from pytest_agentgate.base_tests import PYTEST_FILES, pytest_table
from pytest_agentgate.checks.tests.session import test_files
from pytest_agentgate.layout import is_test, kind, packages
from pytest_agentgate.protocols import Context

INERT = re.compile(
    r"\.(md|rst|adoc|png|jpe?g|gif|svg|pdf|ico)$|(^|/)(LICEN[CS]E|COPYING|NOTICE|AUTHORS|CONTRIBUTORS|CODEOWNERS|"
    r"CHANGE(S|LOG)|NEWS|README)(\.\w+)?$|^(docs?|\.github|\.gitlab)/|^\.(gitignore|gitattributes|editorconfig|mailmap)$",
    re.IGNORECASE,
)
"""Files that neither code nor tests depend on, wherever they are."""


def own_arguments(context: Context) -> tuple[str, ...] | None:
    """What to run with the patch's own files: the test files that it adds or edits; None: the whole suite.

    For another file of the tests (a helper, a fixture, a data file) every test in that file's folder, or in the nearest
    folder above that has any. The whole suite where something was changed or deleted that anything could depend on.
    """
    head, base = context.trees.entries("head"), context.trees.entries("base")
    product = packages([*base, *head])
    tests: set[str] = set()
    for file in context.change.files:
        kinds = {kind(p, context.policy, product) for p in (file.path, file.old_path) if p}
        if file.odd or kinds == {"product"}:
            continue
        if "test" in kinds:
            mine = _around(file.path, head, context) if file.new else None
            if mine is None:
                return None
            tests |= set(mine)
        elif "config" in kinds:
            if _pytest_differs(context):
                return None
        elif not INERT.search(file.path):
            return None
    return tuple(sorted(tests))


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


def _pytest_differs(context: Context) -> bool:
    """Whether the patch changes pytest's own configuration."""
    files = [f for f in PYTEST_FILES if f in context.trees.entries("base") or f in context.trees.entries("head")]
    return pytest_table(context.trees.read_many("base", files)) != pytest_table(context.trees.read_many("head", files))
