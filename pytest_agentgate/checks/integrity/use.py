"""Uses of capabilities, and which of them the base has not. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pytest_agentgate.checks.integrity.view import Pair
from pytest_agentgate.syntax import parsed


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
    """Uses that the base has not: neither in a function of that name nor, for the rules in `lenient`, as the same line of that file.

    Each use of the base pays for one of the head's.
    """
    texts = [p.old.line(u.line).strip() if p.old else "" for p, u in known]
    by_function: dict[tuple[str, str, str], list[int]] = {}
    by_line: dict[tuple[int, str, str, str], list[int]] = {}
    for number, (pair, use) in enumerate(known):
        by_function.setdefault((use.rule, use.primitive, use.function), []).append(number)
        by_line.setdefault((id(pair), use.rule, use.primitive, texts[number]), []).append(number)
    spent: set[int] = set()
    others = []
    for pair, use in found:
        text = pair.new.line(use.line).strip() if pair.new else ""
        mine = [n for n in by_function.get((use.rule, use.primitive, use.function), ()) if n not in spent]
        if mine:
            spent.add(next((n for n in mine if texts[n] == text), mine[0]))
        else:
            others.append((pair, use, text))
    for pair, use, text in others:
        moves = use.rule in lenient and use.function and parsed(text) is not None  # a whole statement, and no part of one
        mine = [n for n in by_line.get((id(pair), use.rule, use.primitive, text), ()) if moves and n not in spent]
        if mine:
            spent.add(mine[0])
        else:
            yield pair, use
