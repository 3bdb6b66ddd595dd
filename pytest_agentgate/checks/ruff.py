"""ruff, configured from the base, with suppressions switched off on both sides; only what the patch introduced counts.

ruff judges one file at a time, but its answer also depends on which files exist (import sorting, implicit namespace
packages), so that the whole tree is looked at; it takes tens of milliseconds.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Sequence
from typing import Any

import msgspec

from pytest_agentgate.baseline import Lines, introduced
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model import Evidence, Finding
from pytest_agentgate.protocols import Context, Tree
from pytest_agentgate.suppressions import ruff_spelling, silencing_lines, statement_lines

RULES = {
    "ruff/*": "A rule of ruff, by its code.",
    "ruff/format": "A file that was formatted (or is new in a formatted repository) is not what `ruff format` writes.",
}
ROLE = "head+base-config"
PYTHON = (".py", ".pyi", ".ipynb")
CONFIG = ("ruff.toml", ".ruff.toml")
CORRECTNESS = ("--isolated", "--select", "E9,F", "--per-file-ignores", "__init__.py:F401")
"""What a repository gets that does not configure ruff: errors, never somebody else's taste (nor its way to re-export)."""


class Ruff:
    """The `ruff` check."""

    name, barrier, fast, rules = "ruff", False, True, RULES

    def depends_on(self, context: Context) -> Sequence[object] | None:
        """The trees and the tool."""
        return [*(context.trees.key(r) for r in (ROLE, "base", "head")), version(context)]

    def examine(self, context: Context) -> Evidence:
        """Lint and format-check the head; look at the base only where the head is not clean."""
        configured = is_configured(context)
        flags = () if configured else CORRECTNESS
        python = [p for p in context.trees.entries(ROLE) if p.endswith(PYTHON)]
        if not python:
            return Evidence(check=self.name, status="skipped", leave=True, reason="the tree holds no Python file")
        with context.trees.place(ROLE, read_only=True) as head:
            found = _lint(head, context, flags, ("--ignore-noqa", "."))
            unformatted = _unformatted(head, context) if configured else []
            new = _introduced(found, context, flags)
            judged = _judge_suppressed(new, head, context, flags)
        judged = _judge_reconfigured(judged, context, flags)
        judged += _format_findings(unformatted, context)
        return Evidence.of(
            self.name,
            tuple(judged),
            len(python),
            tool_version=f"ruff {version(context)}",
            reason="" if configured else "ruff is not configured here: only E9 and F were looked at",
        )


def program(context: Context) -> str:
    """The project's own ruff where it has one, else the gate's."""
    own = os.path.join(os.path.dirname(context.interpreter.executable), "ruff")
    if "ruff" in context.interpreter.packages and os.access(own, os.X_OK):
        return own
    mine = os.path.join(os.path.dirname(sys.executable), "ruff")
    if os.access(mine, os.X_OK):
        return mine
    raise ToolError("ruff was not found", hint=f"{sys.executable} -m pip install ruff")


def version(context: Context) -> str:
    """Version of the ruff that is used."""
    known = context.interpreter.packages.get("ruff")
    if known:
        return known
    done = context.run_tool([program(context), "--version"], cwd="/", timeout=30)
    return done.stdout.decode().strip().removeprefix("ruff ")


def is_configured(context: Context) -> bool:
    """Whether the base says at its root how ruff is to look at it."""
    entries = context.trees.entries("base")
    if any(name in entries for name in CONFIG):
        return True
    try:
        text = context.trees.read("base", "pyproject.toml") or b""
        return "ruff" in tomllib.loads(text.decode()).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False


def _run(tree: Tree, context: Context, args: Sequence[str]) -> list[dict[str, Any]]:
    argv = [program(context), *args]
    done = context.run_tool(argv, cwd=tree.path, timeout=context.policy.limits.timeout)
    if done.timed_out or done.flooded or done.truncated:
        why = "took longer than limits.timeout" if done.timed_out else "wrote more than limits.output_bytes"
        raise ToolError(f"ruff {why}", hint=f"try: {' '.join(['ruff', *args[:3]])}")
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


def _lint(tree: Tree, context: Context, flags: Sequence[str], rest: Sequence[str]) -> list[Finding]:
    rows = _run(
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
        effect = context.effect(rule, path)
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
                    command=f"ruff check --ignore-noqa {' '.join(flags)} {path}".replace("  ", " "),
                )
            )
    return found


def _introduced(found: list[Finding], context: Context, flags: Sequence[str]) -> list[Finding]:
    """Findings with their baseline state and the offending text; the base is linted only where the head is not clean."""
    if not found:
        return []
    paths = sorted({f.path for f in found if f.path})
    lost = {f.old_path or f.path for f in context.change.files if f.old and f.path.endswith(PYTHON)}
    renamed = {f.path: f.old_path or f.path for f in context.change.files}
    before = sorted(lost.union(renamed.get(p, p) for p in paths).intersection(context.trees.entries("base")))
    base: list[Finding] = []
    if before:
        with context.trees.place("base", read_only=True) as tree:
            base = _lint(tree, context, flags, ("--ignore-noqa", "--", *before))
    head_text = Lines(context.trees.read_many(ROLE, paths))
    base_text = Lines(context.trees.read_many("base", before))
    matched = introduced(found, base, context.change, head_text, base_text)
    return [msgspec.structs.replace(f, text=head_text(f.path or "", f.line or 0).strip()) for f in matched]


def _judge_suppressed(findings: list[Finding], tree: Tree, context: Context, flags: Sequence[str]) -> list[Finding]:
    """Give each new finding that a suppression hides the effect that the policy has for its spelling."""
    paths = sorted({f.path for f in findings if f.path and f.baseline_state == "new"})
    if not paths:
        return findings
    seen = {(f.rule, f.path, f.line, f.column) for f in _lint(tree, context, flags, ("--", *paths))}
    sources = context.trees.read_many(ROLE, paths)
    lines = Lines(sources)
    silenced = {
        p
        for p, t in sources.items()
        if (c := context.change.file(p)) and any(c.touches(n) for n in silencing_lines(t.decode("utf-8", "replace")))
    }
    result = []
    for finding in findings:
        hidden = finding.baseline_state == "new" and (finding.rule, finding.path, finding.line, finding.column) not in seen
        if not hidden:
            result.append(finding)
            continue
        if finding.path not in silenced:
            continue  # what hides it was there before: the base's own decision
        path, line = finding.path or "", finding.line or 0
        first, last = statement_lines(sources[path].decode("utf-8", "replace"), line)
        texts = [lines(path, n) for n in range(first, last + 1)]
        spelling = ruff_spelling(texts, lines(path, first - 1), finding.rule.partition("/")[2])
        effect = getattr(context.policy.suppressed, spelling)
        if effect != "off" and finding.effect != "note":
            words = {"blanket": "for everything", "coded": "without a reason", "reasoned": "with a reason"}[spelling]
            result.append(
                msgspec.structs.replace(
                    finding, effect=effect, message=f"{finding.message} (silenced {words} by a suppression in the patch)"
                )
            )
    return result


def _judge_reconfigured(findings: list[Finding], context: Context, flags: Sequence[str]) -> list[Finding]:
    """Hold what the base's configuration reports and the patch's own one does not: a human decides on configuration."""
    paths = sorted({f.path for f in findings if f.path and f.baseline_state == "new" and f.effect == "reject"})
    if not paths or flags or context.trees.key("head") == context.trees.key(ROLE):
        return findings
    try:
        with context.trees.place("head", read_only=True) as tree:
            reported = {(f.rule, f.path, f.line, f.column) for f in _lint(tree, context, (), ("--ignore-noqa", "--", *paths))}
    except ToolError:
        return findings
    words = "the patch's own configuration of ruff does not report it"
    return [
        msgspec.structs.replace(f, effect="hold", advice=words)
        if f.path in paths and f.effect == "reject" and (f.rule, f.path, f.line, f.column) not in reported
        else f
        for f in findings
    ]


def _unformatted(tree: Tree, context: Context) -> list[str]:
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
    rows = _run(tree, context, (*args, "--", *paths))
    root = os.path.realpath(tree.path)
    return sorted({os.path.relpath(os.path.realpath(r["filename"]), root) for r in rows if r["code"] == "unformatted"})


def _format_findings(unformatted: Sequence[str], context: Context) -> list[Finding]:
    """A file that was formatted and no longer is; a new one only where every file of the base is formatted."""
    if not unformatted:
        return []
    before = {p: (c.old_path or p) for p in unformatted if (c := context.change.file(p))}
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
                    command=f"ruff format {path}",
                    message="the file was formatted and no longer is" if was in known else "the new file is not formatted",
                )
            )
    return found
