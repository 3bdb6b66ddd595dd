"""What a set of rules of integrity is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pytest_agentgate.checks.integrity.view import View
from pytest_agentgate.model import Effect
from pytest_agentgate.rulebook import Rule


@dataclass(frozen=True)
class Hit:
    """One place that breaks a rule, before the policy has spoken."""

    rule: str
    message: str
    path: str | None = None
    line: int | None = None
    text: str = ""
    effect: Effect | None = None
    """Weaker than the rule's own effect, where the place itself gives a reason."""


Find = Callable[[View], Iterator[Hit]]


@dataclass(frozen=True)
class RuleSet:
    """Rules that are looked for together; the shape that the hook `agentgate_integrity_rules` returns."""

    rules: Sequence[Rule]
    find: Find
    also: frozenset[str] = frozenset()
    """Ids of rules of other sets, of which this one finds further ways."""
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Ids of the rules that it may report."""
        object.__setattr__(self, "names", frozenset(r.id for r in self.rules) | self.also)
