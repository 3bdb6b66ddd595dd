"""New tests that pass because of the tests' own help, which the patch edited, and not because of the product.

A double that now does what the product should, or a helper that mends what came: the patch's tests pass with it, without the
patch's product as well, and fail with the help as it was.
"""

from __future__ import annotations

from collections.abc import Collection

from pytest_agentgate.checks.tests.classify import files_of
from pytest_agentgate.checks.tests.records import Run
from pytest_agentgate.checks.tests.session import Ask, Sessions, holds_tests
from pytest_agentgate.checks.tests.surroundings import asserting
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import is_test

RULE = "integrity/mended-in-the-tests"


def helped(sessions: Sessions, new: Collection[str], before: Run | None) -> dict[str, str]:
    """Of the patch's new tests, those that fail for an assertion with the base's version of the help that the patch edited.

    `before` is what came of them on the base's product. Where one of them needs the patch's product, the product does something;
    nobody is asked then. Data that a fixture makes is no help of that kind.
    """
    if not new or before is None or any(before.outcome(i) != "passed" for i in new):
        return {}
    help_before = _edited(sessions)
    if not help_before:
        return {}
    try:
        run = sessions.run(Ask("head", files_of(new), frozenset(new), overlay=help_before), "with the tests' help as it was")
    except ToolError:
        return {}
    said = {i: r.message for i, r in run.results.items() if r.outcome == "failed"}
    files = ", ".join(sorted(help_before))
    return {
        i: f"it passes without the patch's product too, and fails with {files} as it was"
        for i in new
        if said.get(i, "").startswith(("AssertionError", "assert "))
    }


def _edited(sessions: Sessions) -> dict[str, bytes]:
    """The base's text of files that help tests, in which the patch changed what a function or a method does."""
    context = sessions.context
    files = [f for f in context.change.files if f.old and f.new and not f.odd and f.path.endswith(".py") and not f.old_path]
    files = [f for f in files if is_test(f.path, context.policy) and not holds_tests(f.path, context)]
    old, new = (context.trees.read_many(side, [f.path for f in files]) for side in ("base", "head"))
    found = {}
    for path, was in old.items():
        before, after = (asserting(text, every=True) for text in (was, new.get(path, b"")))
        if any(after.get(n, text) != text and "'fixture'" not in text for n, text in before.items()):
            found[path] = was
    return found
