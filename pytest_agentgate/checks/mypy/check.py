"""mypy, configured from the base, on its whole target set; only errors that the patch introduced count.

Suppressions: where the patch adds one, mypy runs once more on copies without them, on both sides, and what is new there
and hidden here is judged by how the suppression is spelt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

import msgspec

from pytest_agentgate.baseline import Lines, introduced
from pytest_agentgate.checks.mypy.imports import excused
from pytest_agentgate.checks.mypy.run import ROLE, Errors, Plan, Row, make_plan, program, run_mypy
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import is_test
from pytest_agentgate.model import Evidence, Finding
from pytest_agentgate.model.policy import PolicyEffect
from pytest_agentgate.protocols import Context
from pytest_agentgate.suppressions import (
    UNREASONED,
    casts_of_casts,
    mypy_spelling,
    silencing_lines,
    statement_lines,
    without_type_suppressions,
    worth,
)
from pytest_agentgate.text import command
from pytest_agentgate.tool_pages import MYPY

_WIDE = re.compile(r"^\s*(#|@)|mypy:|TYPE_CHECKING|no_type_check")
"""Lines that silence more than their own statement."""
ALIKE = 0.8
"""Lines of which so much is the same are one line that was edited."""


class Mypy:
    """The `mypy` check."""

    name, barrier, fast, rules, pages = "mypy", False, False, {r.id: f"{r.title}." for r in MYPY}, MYPY

    def depends_on(self, context: Context) -> Sequence[object] | None:
        """The trees, the tool and the project's environment."""
        return [*(context.trees.key(r) for r in (ROLE, "base", "head")), context.interpreter.fingerprint, program(context)[1]]

    def examine(self, context: Context) -> Evidence:
        """Type-check the head; look at the base only where the head is not clean."""
        plan = make_plan(context)
        python = [p for p in context.trees.entries(ROLE) if p.endswith((".py", ".pyi"))]
        if not python or (not plan.targets and not plan.config):
            return Evidence(check=self.name, status="skipped", leave=True, reason="the tree holds no package to check")
        with context.trees.place(ROLE, read_only=True) as tree:
            head = run_mypy(tree, plan, context)
            if head.fatal:
                return self._fatal(head.fatal, plan, context)
            hidden = _grown(context)
            stripped = run_mypy(tree, plan, context, _stripped(context, ROLE, hidden)) if hidden else head
        findings = _judge(head, stripped, hidden, plan, context)
        return Evidence.of(
            self.name,
            tuple(findings),
            len(python),
            tool_version=f"mypy {plan.version}",
            sandbox=context.trees.sandbox.kind,
            reason="" if plan.config else "mypy is not configured here: its findings are notes",
        )

    def _fatal(self, words: str, plan: Plan, context: Context) -> Evidence:
        """mypy stopped: the patch's fault only where it did not stop on the base."""
        if not plan.config:
            return Evidence(
                check=self.name,
                status="skipped",
                leave=True,
                tool_version=f"mypy {plan.version}",
                reason=f"mypy is not configured here and cannot check this layout: {words}",
            )
        if _base_errors(plan, context, ()).fatal:
            raise ToolError(
                f"mypy cannot check this repository, at the base either: {words}",
                hint='mend its configuration at the base, or set may_skip = ["mypy"]',
            )
        effect, advice = context.effect("mypy/fatal") or "note", ""
        if effect == "reject" and context.trees.read("base", plan.config) != context.trees.read("head", plan.config):
            effect = "hold"  # packages move and the configuration names them: no agent can mend that without a human
            advice = f"the patch changes {plan.config} too; with the base's version mypy cannot check the patch"
        finding = Finding(rule="mypy/fatal", message=words, effect=effect, advice=advice, command="mypy")
        return Evidence.of(self.name, (finding,), 1, tool_version=f"mypy {plan.version}")


def _grown(context: Context) -> tuple[str, ...]:
    """Changed files in which a line that the patch added or edited silences mypy."""
    changed = [
        f
        for f in context.change.files
        if f.new and not f.odd and f.path.endswith((".py", ".pyi")) and f.path in context.trees.entries(ROLE)
    ]
    texts = context.trees.read_many(ROLE, [f.path for f in changed])
    return tuple(f.path for f in changed if any(f.touches(n) for n in _hiding(texts.get(f.path, b"").decode("utf-8", "replace"))))


def _hiding(source: str) -> set[int]:
    """Lines that take something from the type checker, by a comment or by a cast of a cast."""
    return silencing_lines(source) | {c.lineno for c in casts_of_casts(source)}


def _stripped(context: Context, role: str, paths: Sequence[str]) -> dict[str, str]:
    contents = context.trees.read_many(role, list(paths))
    return {p: without_type_suppressions(c.decode("utf-8", "surrogateescape")) for p, c in contents.items()}


def _base_errors(plan: Plan, context: Context, stripped: Sequence[str]) -> Errors:
    """Errors of the base, remembered; `stripped` files without their suppressions."""

    def make() -> Errors:
        with context.trees.place("base", read_only=True) as tree:
            return run_mypy(tree, plan, context, _stripped(context, "base", stripped))

    parts = ("mypy-base", context.trees.key("base"), context.interpreter.fingerprint, *plan.identity, "|", *stripped)
    return context.remember(parts, make, Errors)


def _judge(head: Errors, stripped: Errors, hidden: Sequence[str], plan: Plan, context: Context) -> list[Finding]:
    """New errors of the head, and new ones that suppressions of the patch hide."""
    visible = _introduced(head.rows, (), plan, context) if head.rows else []
    if not hidden:
        return visible
    renamed = {f.path: f.old_path or f.path for f in context.change.files}
    seen = {(r.file, r.line, r.message) for r in head.rows}
    silenced = [r for r in stripped.rows if (r.file, r.line, r.message) not in seen and r.file in hidden]
    sources = context.trees.read_many(ROLE, list(hidden))
    lines = Lines(sources)
    before = [renamed[p] for p in hidden if renamed[p] in context.trees.entries("base")]
    result = list(visible)
    for finding in _introduced(silenced, before, plan, context) if silenced else []:
        path, line = finding.path or "", finding.line or 0
        if _was_silenced(finding, lines(path, line), _base_errors(plan, context, before).rows, context):
            continue  # the base's own decision: the patch only edited the line
        if (told := _told(finding, sources[path].decode("utf-8", "replace"), context)) is not None:
            result.append(told)
    return result


def _told(finding: Finding, source: str, context: Context) -> Finding | None:
    """A finding that the patch hides, with the effect of how it is hidden; None where the policy says that this is fine."""
    path = finding.path or ""
    first, last = statement_lines(source, finding.line or 0)
    span = range(first, last + 1)
    written = source.split("\n")[first - 1 : last]
    spelling = mypy_spelling(written, finding.rule.partition("/")[2])
    effect: PolicyEffect = worth(spelling, path, context.policy)
    words = {"blanket": "for everything", "coded": "without a reason", "reasoned": "with a reason"}[spelling]
    words = f"silenced {words} by a suppression in the patch"
    if casts_of_casts(source) and not any(n in span or _WIDE.search(source.split("\n")[n - 1]) for n in silencing_lines(source)):
        effect = context.policy.suppressed.in_tests if is_test(path, context.policy) else "hold"
        words = "hidden by a cast of a cast in the patch"
    if finding.baseline_state != "new" or finding.effect == "note":
        effect = finding.effect
    if effect == "off":
        return None
    return msgspec.structs.replace(
        finding,
        effect=effect,
        message=f"{finding.message} ({words})",
        advice=UNREASONED if spelling == "coded" and effect == "hold" else finding.advice,
    )


def _was_silenced(finding: Finding, text: str, base: Sequence[Row], context: Context) -> bool:
    """Whether the line was nearly the same on the base, with the same error and the same comment that silences it."""
    file, line = context.change.file(finding.path or ""), finding.line or 0
    hunk = next((h for h in file.hunks if h.new_start <= line < h.new_start + h.new_lines), None) if file else None
    if file is None or hunk is None or hunk.old_lines != hunk.new_lines:
        return False
    path, place = file.old_path or file.path, hunk.old_start + line - hunk.new_start
    if not any(r.file == path and r.line == place and f"mypy/{r.code}" == finding.rule for r in base):
        return False
    old = Lines(context.trees.read_many("base", [path]))(path, place)
    (code, _, comment), (old_code, _, old_comment) = text.partition("#"), old.partition("#")
    return bool(comment) and comment.strip() == old_comment.strip() and SequenceMatcher(None, code, old_code).ratio() >= ALIKE


def _introduced(rows: Sequence[Row], stripped: Sequence[str], plan: Plan, context: Context) -> list[Finding]:
    base = _base_errors(plan, context, stripped)
    if base.fatal:
        base = Errors([])
    head = _findings(rows, plan, context)
    head_text = Lines(context.trees.read_many(ROLE, [r.file for r in rows]))
    base_text = Lines(context.trees.read_many("base", [r.file for r in base.rows]))
    matched = introduced(head, _findings(base.rows, plan, context), context.change, head_text, base_text)
    kept = excused(matched, plan.config, context)
    return [msgspec.structs.replace(f, text=head_text(f.path or "", f.line or 0).strip()) for f in kept]


def _findings(rows: Sequence[Row], plan: Plan, context: Context) -> list[Finding]:
    found = []
    for row in rows:
        rule = f"mypy/{row.code or 'error'}"
        effect = context.effect(rule, row.file, "reject" if plan.config else "note")
        if effect is not None:
            found.append(
                Finding(
                    rule=rule,
                    message=row.message,
                    effect=effect,
                    path=row.file,
                    line=row.line or None,
                    column=row.column + 1,
                    command=command("mypy", *plan.targets),
                )
            )
    return found
