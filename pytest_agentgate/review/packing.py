"""Packs pieces of a change into requests under a budget of bytes. Pure, deterministic; nothing is dropped silently.

Each piece is first placed with its changed lines alone, in order, in the first request that is not closed yet; then every
request spends what is left on context, greedily by value per byte. A piece that does not fit even alone is not sent, and
is named. Whatever the budget: a larger one sends every piece that a smaller one sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

from pytest_agentgate.review.pieces import LEVELS, Piece

VALUE = {2: 10.0, 3: 8.0, 4: 4.0}
"""What a level of context is worth, relative to the others (see `pieces` for why it falls)."""


@dataclass(frozen=True)
class Packed:
    """One request's pieces, each at its level."""

    pieces: tuple[tuple[Piece, int], ...]

    def text(self) -> str:
        """All pieces as the model is shown them."""
        return "".join(p.render(level) for p, level in self.pieces)

    @property
    def size(self) -> int:
        """Bytes of the text."""
        return sum(cost(p, level) for p, level in self.pieces)


def cost(piece: Piece, level: int) -> int:
    """Bytes of a piece at a level."""
    return len(piece.render(level).encode("utf-8", "surrogatepass"))


def pack(pieces: Sequence[Piece], budget: int) -> tuple[list[Packed], list[Piece]]:
    """Requests of at most `budget` bytes each, and the pieces that do not fit."""
    groups: list[list[Piece]] = []
    unsent: list[Piece] = []
    used = 0
    for piece in pieces:
        size = cost(piece, 1)
        if size > budget:
            unsent.append(piece)
            continue
        if not groups or used + size > budget:
            groups.append([])
            used = 0
        groups[-1].append(piece)
        used += size
    return [_enrich(group, budget) for group in groups], unsent


def _enrich(group: Sequence[Piece], budget: int) -> Packed:
    """Spend what is left on context: the best step first, each piece level by level."""
    levels = [1] * len(group)
    sizes = [[cost(p, level) for level in range(LEVELS + 1)] for p in group]
    left = budget - sum(s[1] for s in sizes)
    while True:
        steps = []
        for number, piece in enumerate(group):
            target = levels[number] + 1
            if target > LEVELS:
                continue
            extra = sizes[number][target] - sizes[number][levels[number]]
            if extra == 0:
                levels[number] = target
                steps.append((float("inf"), -number, 0))
            elif extra <= left:
                steps.append((VALUE[target] * log2(2 + len(piece.changed)) / extra, -number, extra))
        if not steps:
            return Packed(tuple(zip(group, levels, strict=True)))
        worth, number, extra = max(steps)
        if worth != float("inf"):
            levels[-number] += 1
            left -= extra
