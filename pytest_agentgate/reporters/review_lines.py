"""A review as lines of text for people. Pure. All texts of the model are untrusted."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_agentgate.model import Review, ReviewFinding, Spent
from pytest_agentgate.text import shorten, visible

LEVELS = {
    "E4": "proved: its test fails here and passes on the base",
    "E3": "proved: its test makes a changed line raise",
    "E2": "its test fails on an expectation that a quoted text backs",
    "E1": "not proved",
    "E0": "hidden",
}

Line = tuple[str, str]


def summary(review: Review) -> str:
    """The review in one line."""
    words = f"review {review.status}: {visible(review.reason)}"
    if review.model:
        words += f", {visible(review.model)}"
    return words + (f", {money(review.spent)}" if review.spent and review.spent.requests else "")


def money(spent: Spent) -> str:
    """Tokens, cache and dollars in a few words."""
    tokens = spent.input_tokens + spent.cache_write_tokens + spent.cache_read_tokens
    usd = "unpriced" if spent.usd is None else f"${spent.usd:.4f}"
    saved = f", saved ${spent.saved_usd:.4f}" if spent.saved_usd > 0 else ""
    return f"{spent.requests} requests, {tokens:,} tokens in ({spent.hit_rate:.0%} from cache), {spent.output_tokens:,} out, {usd}{saved}"


def review_lines(review: Review, *, verbose: bool = False) -> Iterator[Line]:
    """Every finding with its place, claim and proof; then what was not shown to the model."""
    for finding in review.findings:
        yield from _finding(finding)
    for place in review.unsent[: None if verbose else 5]:
        yield "undecided", f"  not reviewed: {visible(place)}"
    if len(review.unsent) > 5 and not verbose:
        yield "dim", f"  … and {len(review.unsent) - 5} more parts (-v shows all)"
    for note in review.notes:
        yield "dim", f"  {visible(note)}"
    if verbose:
        for gone in review.dismissed:
            yield "dim", f"  dismissed ({gone.reason}): {shorten(visible(gone.claim), 200)}: {shorten(visible(gone.words), 200)}"
        if review.spent and review.spent.estimated_usd:
            low, expected, ceiling = review.spent.estimated_usd
            yield "dim", f"  before: ${low:.4f} at least, ${expected:.4f} expected, ${ceiling:.4f} at most"


def _finding(finding: ReviewFinding) -> Iterator[Line]:
    side = "" if finding.side == "head" else " (removed line)"
    place = f"{visible(finding.path)}:{finding.line}{side}"
    yield "note", f"{place}: review {finding.level} [{finding.severity}] {shorten(visible(finding.claim), 400)}"
    for row in finding.quote.splitlines()[:4]:
        yield "text", f"    | {shorten(visible(row), 160)}"
    for name in ("trigger", "observed", "expected"):
        if value := getattr(finding, name):
            yield "text", f"    {name}: {shorten(visible(value), 300)}"
    yield "text", f"    {LEVELS[finding.level]} ({visible(finding.why)})"
    if finding.fix:
        yield "text", "    a fix that passes the gate:"
        for row in finding.fix.splitlines()[:40]:
            yield "text", f"    {shorten(visible(row), 160)}"
