"""How a test's failure shows again outside the gate, and why it does not with all of the patch."""

from __future__ import annotations

import difflib

from pytest_agentgate.checks.tests.surroundings import around_differs, bodies, source_of
from pytest_agentgate.checks.tests.turn import Mode, turn
from pytest_agentgate.layout import kind
from pytest_agentgate.protocols import Context
from pytest_agentgate.text import command


def repeat(context: Context, node_id: str, *, own: bool) -> str:
    """A shell command for the user's checkout.

    Where the patch changed what the base's tests are made of, they run in a tree of their own: the checkout holds the
    patch's version, in which the very same test can pass.
    """
    run = command("python", "-m", "pytest", node_id)
    if own or context.trees.entries("head+base-tests") == context.trees.entries("head"):
        return run
    change = context.change
    flags = {"commit": f" --head {change.head[:12]}", "staged": " --staged", "patch": " --patch FILE"}.get(change.source, "")
    return f"agentgate tree /tmp/judged --base {change.base[:12]}{flags} && cd /tmp/judged && {run}"


def turned_text(context: Context, node_id: str, mode: Mode) -> str:
    """The assertions of a test of the base as they were turned, one a line; empty where they cannot be shown."""
    path, _, name = node_id.partition("[")[0].partition("::")
    data = context.trees.read("base", path) or b""
    turned = turn(data, {name: mode}, "another_value").text.encode("utf-8", "surrogateescape")
    before, after = (source_of(text, name).splitlines() for text in (data, turned))
    rows = [
        row[1:].strip() for row in difflib.unified_diff(before, after, n=0) if row.startswith("+") and not row.startswith("+++")
    ]
    return "\n".join(rows[:3])


def why_changed(context: Context, node_id: str) -> str:
    """What the patch changed so that a test passes with it."""
    others = [f.path for f in context.change.files if kind(f.path, context.policy) != "product"]
    path, _, name = node_id.partition("[")[0].partition("::")
    file = context.change.file(path)
    if file is not None:
        sides = (("base", file.old_path or file.path), ("head", file.path))
        old, new = (context.trees.read(side, p) or b"" for side, p in sides)
        was, now = (bodies(text, {name}).get(name) for text in (old, new))
        if was is None or was != now:
            return "the patch's own version of the tests passes"
        if around_differs(old, new, {name}):
            return "it was not edited itself, and passes with what the patch edited around it in its file"
        others = [p for p in others if p != path]
    if not others:
        return "the patch's own version of the tests passes"
    data = "" if any(p.endswith(".py") for p in others[:3]) else " (data of the product? Name it under `data`)"
    return f"it was not edited, and passes with {', '.join(others[:3])} of the patch{data}"
