"""From answers to claims that are anchored, each once, with the reason for every one that is not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_agentgate.model import Dismissed
from pytest_agentgate.review.anchor import REASONS, Shown, anchor, quoted
from pytest_agentgate.review.backend import Reply
from pytest_agentgate.review.pieces import Piece
from pytest_agentgate.review.schema import Answer, Claim, parse

GRADES = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True)
class Asked:
    """One request for findings: what it showed, and which of the pieces is the canary."""

    pieces: tuple[tuple[Piece, int], ...]
    canary: str

    @property
    def shown(self) -> Shown:
        """The real pieces by id; a claim about the canary is anchored nowhere."""
        return {p.id: (p, level) for p, level in self.pieces if p.id != self.canary}

    @property
    def places(self) -> tuple[str, ...]:
        """Where the real pieces are."""
        return tuple(p.place for p, _ in self.pieces if p.id != self.canary)


@dataclass(frozen=True)
class Anchored:
    """A claim whose place and quote are real."""

    claim: Claim
    asked: Asked
    backed: bool
    """Its basis is quoted, and stands where it is said to."""

    @property
    def piece(self) -> Piece:
        """The piece that it is about."""
        return self.asked.shown[self.claim.hunk][0]


def read(asked: Asked, reply: Reply, texts: tuple[str, ...]) -> tuple[list[Anchored], list[Dismissed], str]:
    """Anchored claims, dismissed ones, and why the answer does not count (empty: it does). `texts` can be quoted as a basis."""
    if reply.trouble:
        return [], [], reply.trouble
    answer, why = parse(reply.text, Answer)
    if answer is None:
        return [], [], why
    planted = {p.id: (p, level) for p, level in asked.pieces if p.id == asked.canary}
    if asked.canary and not any(c.hunk == asked.canary and not anchor(c, planted) for c in answer.findings):
        return [], [], "the answer missed a defect that was planted to see whether it reads (canary)"
    kept: list[Anchored] = []
    gone: list[Dismissed] = []
    for claim in answer.findings:
        if claim.hunk == asked.canary:
            continue
        code = anchor(claim, asked.shown)
        piece = asked.shown.get(claim.hunk)
        if code:
            gone.append(Dismissed(reason=code, claim=claim.claim, path=piece[0].path if piece else "", words=REASONS[code]))
        else:
            kept.append(Anchored(claim, asked, quoted(claim.basis_quote, asked.shown, texts)))
    return kept, gone, ""


def once(found: Sequence[Anchored]) -> tuple[list[Anchored], list[Dismissed]]:
    """Each place and category once, the surest claim of it; the worst first."""
    best: dict[tuple[str, ...], Anchored] = {}
    gone: list[Dismissed] = []
    for item in sorted(found, key=lambda i: (i.claim.test is None, _order(i))):
        claim = item.claim
        place = (item.piece.path, claim.side, str(claim.first_line), claim.category)
        key = (*place, claim.test) if claim.test else place
        best.setdefault(place, item)
        if best.get(key, item) is not item:
            gone.append(
                Dismissed(reason="said-twice", claim=item.claim.claim, path=item.piece.path, words="another finding says it")
            )
        else:
            best[key] = item
    return sorted({id(i): i for i in best.values()}.values(), key=_order), gone


def _order(item: Anchored) -> tuple[int, int, bool, str, int]:
    claim = item.claim
    return GRADES[claim.severity], GRADES[claim.confidence], claim.test is None, item.piece.path, claim.first_line
