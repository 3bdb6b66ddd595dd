"""Whether a claim is about something that is there: the piece, its lines, the quote byte for byte, a changed line. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_agentgate.review.pieces import Piece, Row
from pytest_agentgate.review.schema import Claim, Refutation

Shown = Mapping[str, tuple[Piece, int]]
"""What one request showed: pieces by id, each at its level."""

LEAST = 6
"""Characters of a quote that is not a whole line: a bracket stands everywhere."""
REASONS = {
    "no-such-hunk": "it names a hunk that was not shown",
    "no-such-lines": "it names lines that the hunk has not",
    "no-such-quote": "its quote does not stand there",
    "no-changed-line": "it touches no line that the change added or removed",
}


def rows_of(piece: Piece, level: int, side: str) -> list[Row]:
    """The rows of one side: ``head`` has added lines and context, ``base`` removed lines."""
    return [r for r in piece.rows(level) if (r.side == "-") == (side == "base")]


def anchor(claim: Claim | Refutation, shown: Shown, *, changed: bool = True) -> str:
    """Empty where the claim is anchored, else the code of the reason (see `REASONS`). `changed`: must touch a changed line."""
    if claim.hunk not in shown:
        return "no-such-hunk"
    piece, level = shown[claim.hunk]
    rows = {r.number: r for r in rows_of(piece, level, claim.side)}
    wanted = range(claim.first_line, claim.last_line + 1)
    if not wanted or len(wanted) > len(rows) or any(n not in rows for n in wanted):
        return "no-such-lines"
    text, quote = "\n".join(rows[n].text for n in wanted), claim.quote.strip()
    if quote not in text or (len(quote) < LEAST and quote not in (rows[n].text.strip() for n in wanted)) or not quote:
        return "no-such-quote"
    if changed and all(rows[n].side == " " for n in wanted):
        return "no-changed-line"
    return ""


def quoted(quote: str, shown: Shown, texts: tuple[str, ...] = ()) -> bool:
    """Whether a text that is given as a basis stands in what was shown, or in one of the further `texts`."""
    wanted = quote.strip()
    if len(wanted) < 8:
        return False
    places = ("\n".join(r.text for r in rows_of(p, level, side)) for p, level in shown.values() for side in ("head", "base"))
    return any(wanted in text for text in (*places, *texts))
