"""Uses of capabilities, and which of them the base has not. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pytest_agentgate.checks.integrity.view import Pair


@dataclass(frozen=True)
class Use:
    """One use of a capability."""

    rule: str
    primitive: str
    function: str
    line: int


def fresh_uses(
    found: list[tuple[Pair, Use]], known: list[tuple[Pair, Use]], lenient: Collection[str]
) -> Iterator[tuple[Pair, Use]]:
    """Uses that the base has not: neither in the same function nor, for the rules in `lenient`, as the same line in another."""
    before = Counter((u.rule, u.primitive, u.function) for _, u in known)
    left = Counter((u.rule, u.primitive, p.old.line(u.line).strip() if p.old else "") for p, u in known)
    others = []
    for pair, use in found:
        text = pair.new.line(use.line).strip() if pair.new else ""
        if before[use.rule, use.primitive, use.function] > 0:
            before[use.rule, use.primitive, use.function] -= 1
            left[use.rule, use.primitive, text] -= 1
        else:
            others.append((pair, use, text))
    for pair, use, text in others:
        if use.rule in lenient and use.function and left[use.rule, use.primitive, text] > 0:
            left[use.rule, use.primitive, text] -= 1
        else:
            yield pair, use
