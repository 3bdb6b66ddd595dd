"""What a rule of integrity is: an id with an effect, and everything that its page says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_agentgate.checks.integrity.view import View
from pytest_agentgate.index import Package
from pytest_agentgate.model import Effect

Files = Mapping[str, str]
"""Contents by path."""


@dataclass(frozen=True)
class Example:
    """A small change: files before and after it. Files of `base` that `head` does not name are unchanged; None deletes."""

    base: Files
    head: Mapping[str, str | None]
    index: Mapping[str, Package] | None = None
    """What the package index says; it knows no other name. None: it is not asked."""


@dataclass(frozen=True)
class Rule:
    """One rule id, and the text of its page in docs/rules/."""

    id: str
    effect: Effect
    """By default; the policy may say otherwise."""
    title: str
    """What a patch does that breaks the rule, in one line."""
    why: str
    bad: Example
    """Breaks the rule."""
    good: Example
    """An honest look-alike, which does not."""
    instead: str
    """What an honest author does, or how a human allows it."""


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
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Ids of the rules."""
        object.__setattr__(self, "names", frozenset(r.id for r in self.rules))


def one(path: str, bad: tuple[str, str], good: tuple[str, str]) -> tuple[Example, Example]:
    """Two examples of a change to one file, each as (before, after)."""
    return Example({path: bad[0]}, {path: bad[1]}), Example({path: good[0]}, {path: good[1]})
