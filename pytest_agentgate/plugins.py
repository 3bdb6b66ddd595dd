"""Finds and calls plugins: our own plugin manager, with entry points of the gate's environment only."""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from pytest_agentgate import builtin, hookspecs
from pytest_agentgate.checks.integrity.check import Integrity
from pytest_agentgate.checks.integrity.rule import RuleSet
from pytest_agentgate.errors import UsageError
from pytest_agentgate.model import Change, Evidence, Policy, Report
from pytest_agentgate.protocols import Check, Reporter, Reviewer, ReviewOptions, Tree
from pytest_agentgate.rulebook import Rule


class Plugins:
    """What plugins provide, checked when it is asked for. Never pytest's own manager: that one runs judged code."""

    def __init__(self, *, entry_points: bool = True) -> None:
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self.manager.register(builtin, "builtin")
        if entry_points:
            self.manager.load_setuptools_entrypoints(hookspecs.PROJECT)
        self.manager.check_pending()

    def checks(self, policy: Policy) -> list[Check]:
        """All checks; raises `UsageError` where two have the same name or one has not the shape of a check."""
        found: dict[str, Check] = {}
        for check in (c for group in self.manager.hook.agentgate_checks(policy=policy) for c in group):
            missing = [a for a in ("name", "barrier", "fast", "rules", "depends_on", "examine") if not hasattr(check, a)]
            if missing:
                raise UsageError(f"the check {check!r} of a plugin has no {missing[0]!r}", hint="see docs/plugins.md")
            if check.name in found:
                raise UsageError(f"two plugins provide a check named {check.name!r}", hint="uninstall or rename one")
            found[check.name] = Integrity(self.rule_sets()) if isinstance(check, Integrity) else check
        return list(found.values())

    def rule_sets(self) -> list[RuleSet]:
        """All rules of the check `integrity`; raises `UsageError` where two have the same id, or a wrong one."""
        sets = [s for group in self.manager.hook.agentgate_integrity_rules() for s in group]
        seen: set[str] = set()
        for rule in (r for s in sets for r in s.rules):
            if rule.id in seen or not rule.id.startswith("integrity/"):
                words = f"the integrity rule {rule.id!r} of a plugin is taken, or has no name of the form integrity/..."
                raise UsageError(words, hint="rename it, or uninstall one of the plugins")
            seen.add(rule.id)
        return sets

    def pages(self) -> dict[str, Rule]:
        """Every rule that has a page, by id: those of `integrity`, and what a check lists in an attribute `pages`."""
        listed = [r for s in self.rule_sets() for r in s.rules]
        for check in self.checks(Policy()):
            listed += getattr(check, "pages", ())
        return {r.id: r for r in listed}

    def reporters(self) -> dict[str, Reporter]:
        """Reporters by format."""
        return {r.name: r for group in self.manager.hook.agentgate_reporters() for r in group}

    def reviewer(self, policy: Policy, options: ReviewOptions) -> Reviewer | None:
        """The reviewer, or None."""
        found: Reviewer | None = self.manager.hook.agentgate_reviewer(policy=policy, options=options)
        return found

    def prepare(self, tree: Tree, role: str, change: Change, policy: Policy) -> None:
        """Let plugins add generated files to a tree."""
        self.manager.hook.agentgate_prepare(tree=tree, role=role, change=change, policy=policy)

    def tell(self, evidence: Evidence) -> None:
        """Tell observers of a piece of evidence; what they do with it changes nothing."""
        _each(self.manager.hook.agentgate_evidence.get_hookimpls(), evidence)

    def tell_report(self, report: Report) -> None:
        """Tell observers of the report."""
        _each(self.manager.hook.agentgate_report.get_hookimpls(), report)


def _each(implementations: Sequence[pluggy.HookImpl], value: object) -> None:
    """One observer that raises must not cost the others their call, nor the run its verdict."""
    for implementation in reversed(implementations):
        try:
            implementation.function(value)
        except Exception as error:  # an observer's bug is named and goes no further
            import warnings

            warnings.warn(f"plugin {implementation.plugin_name}: {type(error).__name__}: {error}", stacklevel=2)
