"""What a rule means at a place, by the policy. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_agentgate.layout import matches
from pytest_agentgate.model import Effect, Policy


def _best(effects: Mapping[str, str], rule: str) -> str | None:
    """The effect under the longest key that stands for `rule`: itself, ``check/*`` or ``*``."""
    for key in (rule, rule.partition("/")[0] + "/*", "*"):
        if key in effects:
            return effects[key]
    return None


def effect_of(policy: Policy, rule: str, path: str | None, default: Effect) -> Effect | None:
    """Effect of a rule at a path; None where the policy turns it off. The last override that fits wins."""
    value = _best(policy.effects, rule)
    for override in policy.overrides:
        if path is not None and matches(path, override.paths):
            value = _best(override.effects, rule) or value
    value = value or default
    return value if value in ("reject", "hold", "note") else None  # type: ignore[return-value]  # the three words of Effect
