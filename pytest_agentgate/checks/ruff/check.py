"""ruff, configured from the base, with suppressions switched off on both sides; only what the patch introduced counts.

ruff judges one file at a time, but its answer also depends on which files exist (import sorting, implicit namespace
packages), so that the whole tree is looked at; it takes tens of milliseconds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

import msgspec

from pytest_agentgate import tool_pages
from pytest_agentgate.baseline import Lines, introduced
from pytest_agentgate.checks.ruff import guard
from pytest_agentgate.checks.ruff.formatting import format_findings, unformatted
from pytest_agentgate.checks.ruff.pinned import note_unknown, rule_names
from pytest_agentgate.checks.ruff.tool import PYTHON, ROLE, lint, version
from pytest_agentgate.checks.ruff.unenforced import note_unenforced
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model import Evidence, Finding
from pytest_agentgate.protocols import Context, Tree
from pytest_agentgate.suppressions import UNREASONED, ruff_spelling, silencing_lines, statement_lines, worth
from pytest_agentgate.tables import table_of

RULES = {
    "ruff/*": "A rule of ruff, by its code. PLE2502, PLE251x, PLC2401, PLC2403, S102, S302, S323, S501 and S506 are looked at everywhere, and hold.",
    "ruff/format": "A file that was formatted (or is new in a formatted repository) is not what `ruff format` writes.",
}
CONFIG = ("ruff.toml", ".ruff.toml")
CORRECTNESS = ("--isolated", "--select", "E9,F", "--per-file-ignores", "__init__.py:F401")
"""What a repository gets that does not configure ruff: errors, never somebody else's taste (nor its way to re-export)."""


class Ruff:
    """The `ruff` check."""

    name, barrier, fast, rules, pages = "ruff", False, True, RULES, tool_pages.RUFF

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
            found = _tracked(lint(head, context, flags, ("--ignore-noqa", ".")), context)
            loose = unformatted(head, context) if configured else []
            new = _introduced(found, context, flags)
            judged = _judge_suppressed(new, head, context, flags)
            misleading = _tracked(guard.lint_misleading(head, context), context)
        judged = _judge_reconfigured(judged, context, flags)
        judged = note_unknown([*note_unenforced(judged, context, flags), *format_findings(loose, context)], context)
        told = [f for f in judged if f.effect != "note"]
        judged += guard.select(_introduced(misleading, context, guard.FLAGS), told, context)
        return Evidence.of(
            self.name,
            tuple(judged),
            len(python),
            tool_version=f"ruff {version(context)}",
            reason="" if configured else "ruff is not configured here: only E9, F and what misleads readers were looked at",
        )


def _tracked(found: Sequence[Finding], context: Context) -> list[Finding]:
    """Without what ruff finds in files that were only carried along (a generated ``_version.py``): they are no part of any patch."""
    entries = context.trees.entries(ROLE)
    return [f for f in found if not f.path or f.path in entries]


def is_configured(context: Context) -> bool:
    """Whether the base says at its root how ruff is to look at it."""
    entries = context.trees.entries("base")
    if any(name in entries for name in CONFIG):
        return True
    try:
        text = context.trees.read("base", "pyproject.toml") or b""
        return "ruff" in table_of(tomllib.loads(text.decode()), "tool")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False


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
            base = lint(tree, context, flags, ("--ignore-noqa", "--", *before))
    head_text = Lines(context.trees.read_many(ROLE, paths))
    base_text = Lines(context.trees.read_many("base", before))
    matched = introduced(found, base, context.change, head_text, base_text)
    return [msgspec.structs.replace(f, text=head_text(f.path or "", f.line or 0).strip()) for f in matched]


def _judge_suppressed(findings: list[Finding], tree: Tree, context: Context, flags: Sequence[str]) -> list[Finding]:
    """Give each new finding that a suppression hides the effect that the policy has for its spelling."""
    paths = sorted({f.path for f in findings if f.path and f.baseline_state == "new"})
    if not paths:
        return findings
    seen = {(f.rule, f.path, f.line, f.column) for f in lint(tree, context, flags, ("--", *paths))}
    sources = context.trees.read_many(ROLE, paths)
    lines = Lines(sources)
    silenced = {
        p
        for p, t in sources.items()
        if (c := context.change.file(p)) and any(c.touches(n) for n in silencing_lines(t.decode("utf-8", "replace")))
    }
    named = rule_names(context) if any(b"ruff" in sources[p] for p in silenced) else {}
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
        code = finding.rule.partition("/")[2]
        spelling = ruff_spelling(texts, lines(path, first - 1), code, named.get(code, ""))
        effect = worth(spelling, path, context.policy)
        if effect != "off" and finding.effect != "note":
            words = {"blanket": "for everything", "coded": "without a reason", "reasoned": "with a reason"}[spelling]
            result.append(
                msgspec.structs.replace(
                    finding,
                    effect=effect,
                    message=f"{finding.message} (silenced {words} by a suppression in the patch)",
                    advice=UNREASONED if spelling == "coded" and effect == "hold" else finding.advice,
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
            reported = {(f.rule, f.path, f.line, f.column) for f in lint(tree, context, (), ("--ignore-noqa", "--", *paths))}
    except ToolError:
        return findings
    words = "the patch's own configuration of ruff does not report it"
    return [
        msgspec.structs.replace(f, effect="hold", advice=words)
        if f.path in paths and f.effect == "reject" and (f.rule, f.path, f.line, f.column) not in reported
        else f
        for f in findings
    ]
