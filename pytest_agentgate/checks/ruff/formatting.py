"""`ruff format --check`: what was formatted and no longer is."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pytest_agentgate.checks.ruff.tool import ROLE, run
from pytest_agentgate.model import Finding
from pytest_agentgate.protocols import Context, Tree
from pytest_agentgate.text import command


def unformatted(tree: Tree, context: Context) -> list[str]:
    """Changed files that are not what the base's formatter settings would write."""
    changed = [
        f.path
        for f in context.change.files
        if f.new and not f.odd and f.path.endswith((".py", ".pyi")) and f.path in context.trees.entries(ROLE)
    ]
    return _format_check(tree, context, changed)


def _format_check(tree: Tree, context: Context, paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    args = ("format", "--check", "--no-cache", "--output-format", "json", "--no-respect-gitignore", "--force-exclude")
    rows = run(tree, context, (*args, "--", *paths))
    root = os.path.realpath(tree.path)
    return sorted({os.path.relpath(os.path.realpath(r["filename"]), root) for r in rows if r["code"] == "unformatted"})


def format_findings(loose: Sequence[str], context: Context) -> list[Finding]:
    """A file that was formatted and no longer is; a new one only where every file of the base is formatted."""
    if not loose:
        return []
    before = {p: (c.old_path or p) for p in loose if (c := context.change.file(p))}
    known = context.trees.entries("base")
    with context.trees.place("base", read_only=True) as tree:
        old = _format_check(tree, context, [b for b in before.values() if b in known])
        new = [p for p, b in before.items() if b not in known]
        strict = bool(new) and not _format_check(tree, context, [p for p in known if p.endswith((".py", ".pyi"))])
    found = []
    for path, was in before.items():
        introduced_now = strict if was not in known else was not in old
        effect = context.effect("ruff/format", path)
        if introduced_now and effect is not None:
            found.append(
                Finding(
                    rule="ruff/format",
                    path=path,
                    line=1,
                    effect=effect,
                    command=command("ruff", "format", path),
                    message="the file was formatted and no longer is" if was in known else "the new file is not formatted",
                )
            )
    return found
