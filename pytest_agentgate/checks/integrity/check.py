"""The `integrity` check: static, a barrier, before any of the patch's code runs."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from pytest_agentgate.checks.integrity import (
    answers,
    capability,
    config,
    dependencies,
    egress,
    equality,
    hidden,
    hijack,
    idle_parameters,
    installs,
    judges,
    locks,
    manifests,
    pipelines,
    probing,
    process_state,
    set_by_tests,
    suppressed,
    weakened,
)
from pytest_agentgate.checks.integrity.consent import consented
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.view import View, make_view
from pytest_agentgate.model import Evidence, Finding
from pytest_agentgate.protocols import Context
from pytest_agentgate.rulebook import Example, Rule
from pytest_agentgate.text import approval

UNREADABLE = Rule(
    "integrity/unreadable",
    "hold",
    "A changed file cannot be parsed, so that nothing in it was judged",
    "What cannot be read cannot be trusted. The check `compile` says whether it is valid for the project's Python; if it is, the "
    "gate's own Python may be too old for it.",
    Example({"calc.py": "X = 1\n"}, {"calc.py": "X = = 1\n"}),
    Example({"calc.py": "X = 1\n"}, {"calc.py": "X = 2\n"}),
    "Mend the syntax, or install the gate under a Python at least as new as the project's.",
)


def _unreadable(view: View) -> Iterator[Hit]:
    """Python files that have no syntax tree on the side of the head."""
    for pair in view.python("product", "test", "config", "other"):
        if pair.new is not None and pair.new.tree is None:
            yield Hit(UNREADABLE.id, pair.new.parsed[1], pair.path)


BUILT_IN: tuple[RuleSet, ...] = (
    capability.SET,
    answers.SET,
    hijack.SET,
    weakened.SET,
    suppressed.SET,
    config.SET,
    pipelines.SET,
    judges.SET,
    dependencies.SET,
    equality.SET,
    egress.SET,
    locks.SET,
    idle_parameters.SET,
    process_state.SET,
    hidden.SET,
    probing.SET,
    set_by_tests.SET,
    RuleSet((UNREADABLE,), _unreadable),
)


def hits(view: View, sets: Sequence[RuleSet] = BUILT_IN) -> list[tuple[Hit, RuleSet]]:
    """Everything that the rules say of a change, each with the set that says it.

    Garbage is not collected meanwhile: syntax trees are many objects in no circle, and to look at all of them again and again
    takes as long as to make them.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return [(h, s) for s in sets for h in s.find(view)]
    finally:
        if collects:
            gc.enable()


def _advice(rule: Rule, effect: str, path: str | None) -> str:
    """What to do; what is only held although the rule rejects can be honest in this place."""
    if effect == "hold" and rule.effect == "reject":
        return f"Take it out, or let a human who knows why it is needed here allow it: `--approve {approval(rule.id, path)}`."
    return rule.instead.replace(f"{rule.id}:PATH", approval(rule.id, path))


MOST = 3
"""So many findings of one rule and effect are listed for a file."""


class Integrity:
    """Runs every rule set over one view of the change."""

    name, barrier, fast = "integrity", True, True

    def __init__(self, sets: Sequence[RuleSet] = BUILT_IN) -> None:
        self.sets = sets
        self.by_id: Mapping[str, Rule] = {r.id: r for s in sets for r in s.rules}

    @property
    def rules(self) -> Mapping[str, str]:
        """Rule ids with what they mean."""
        return {r.id: f"{r.title}." for r in self.by_id.values()}

    def depends_on(self, context: Context) -> Sequence[object] | None:
        """Both trees: rules may look at files that the patch did not touch. What an index says is asked each time."""
        if any(manifests.is_manifest(f.path) or installs.installs(f.path) for f in context.change.files):
            return None
        return [context.trees.key("base"), context.trees.key("head"), *sorted(self.by_id)]

    def examine(self, context: Context) -> Evidence:
        """Look at the change from every side. A rule that raises breaks the check: it never counts as silence."""
        trees = context.trees
        entries = {side: trees.entries(side) for side in ("base", "head")}
        view = make_view(context.change, context.policy, entries, trees.read_many, context.packages)
        findings = [f for h, s in hits(view, self.sets) if (f := self._finding(h, s, context))]
        return Evidence.of(self.name, tuple(_condensed(_specific(findings))), len(context.change.files))

    def _finding(self, hit: Hit, group: RuleSet, context: Context) -> Finding | None:
        if hit.rule not in group.names:
            raise ValueError(f"a rule set reported {hit.rule!r}, which it does not declare")
        rule = self.by_id[hit.rule]
        default = hit.effect or rule.effect
        if default == "hold" and consented(hit, context.task):
            default = "note"
        effect = context.effect(hit.rule, hit.path, default)
        if effect is None:
            return None
        return Finding(
            rule=hit.rule,
            message=hit.message,
            effect=effect,
            path=hit.path,
            line=hit.line,
            text=hit.text[:300],
            advice=_advice(rule, effect, hit.path) if effect != "note" else "",
            command=f"agentgate explain {hit.rule}",
        )


def _specific(findings: Sequence[Finding]) -> list[Finding]:
    """Without the word that a judge was edited, where another rule says of the same file what is wrong with it."""
    spoken = {f.path for f in findings if f.effect != "note" and f.rule != judges.RULE.id}
    return [f for f in findings if f.rule != judges.RULE.id or f.path not in spoken]


def _condensed(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The first few of each rule in a file, the last of them with how many there are: thirty lines say no more than three."""
    counts = Counter((f.rule, f.path, f.effect) for f in findings)
    seen: Counter[tuple[str, str | None, str]] = Counter()
    for finding in findings:
        key = finding.rule, finding.path, finding.effect
        seen[key] += 1
        if seen[key] == MOST and counts[key] > MOST:
            more = f"{finding.message} ({counts[key] - MOST} more of this rule in the file)"
            yield msgspec.structs.replace(finding, message=more)
        elif seen[key] <= MOST:
            yield finding
