"""Running ruff: which program, which version, what it said."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from pytest_agentgate.errors import ToolError
from pytest_agentgate.interpreter import own_program
from pytest_agentgate.model import Effect, Finding
from pytest_agentgate.protocols import Context, Tree
from pytest_agentgate.text import command

ROLE = "head+base-config"
"""The tree that is linted: the head under the configuration of the base."""
PYTHON = (".py", ".pyi", ".ipynb")


def program(context: Context) -> str:
    """The project's own ruff where it has one, else the gate's."""
    own = os.path.join(os.path.dirname(context.interpreter.executable), "ruff")
    if "ruff" in context.interpreter.packages and os.access(own, os.X_OK):
        return own
    if mine := own_program("ruff"):
        return mine
    raise ToolError("ruff was not found", hint=f"{sys.executable} -m pip install ruff")


def version(context: Context) -> str:
    """Version of the ruff that is used."""
    known = context.interpreter.packages.get("ruff")
    if known:
        return known
    done = context.run_tool([program(context), "--version"], cwd="/", timeout=30)
    return done.stdout.decode().strip().removeprefix("ruff ")


def run(tree: Tree, context: Context, args: Sequence[str]) -> list[dict[str, Any]]:
    """What ruff says of a tree, as its JSON has it; `ToolError` where it did not come to an answer."""
    argv = [program(context), *args]
    done = context.run_tool(argv, cwd=tree.path, timeout=context.policy.limits.timeout)
    if done.timed_out or done.flooded or done.truncated:
        why = "took longer than limits.timeout" if done.timed_out else "wrote more than limits.output_bytes"
        raise ToolError(f"ruff {why}", hint=f"try: {' '.join(['ruff', *args[:3]])}")
    if done.returncode == 0 and not done.stdout.strip() and b"No Python files found" in done.stderr:
        return []  # the base's configuration leaves out all that was named
    try:
        rows = json.loads(done.stdout)
    except ValueError:
        rows = None
    if done.returncode not in (0, 1) or not isinstance(rows, list):
        raise ToolError(
            f"ruff ended with {done.returncode}: {done.error}",
            hint="the configuration is the base's: mend it there, or install the ruff version that it needs",
        )
    return rows


def lint(tree: Tree, context: Context, flags: Sequence[str], rest: Sequence[str], default: Effect = "reject") -> list[Finding]:
    """Findings of `ruff check` in a tree, under the policy; `flags` choose rules, `rest` ends the command line."""
    rows = run(
        tree,
        context,
        ("check", "--no-fix", "--no-cache", "--output-format", "json", "--no-respect-gitignore", "--force-exclude", *flags, *rest),
    )
    root = os.path.realpath(tree.path)
    found = []
    for row in rows:
        path = os.path.relpath(os.path.realpath(row["filename"]), root)
        code = row["code"] or "invalid-syntax"
        rule = f"ruff/{code}"
        effect = context.effect(rule, path, default)
        if effect is not None:
            found.append(
                Finding(
                    rule=rule,
                    message=row["message"],
                    effect=effect,
                    path=path,
                    line=row["location"]["row"],
                    column=row["location"]["column"],
                    advice=(row.get("fix") or {}).get("message") or "",
                    command=command("ruff", "check", "--ignore-noqa", *flags, path),
                )
            )
    return found
