"""A model's opinion as values: what it may see, what it found, what was proved of that, and what it cost."""

from __future__ import annotations

from typing import Literal

import msgspec

from pytest_agentgate.model.change import FileChange

Level = Literal["E4", "E3", "E2", "E1", "E0"]
"""How well a finding of a review is proved. E4: its test fails on the head, passes on the base and reaches a changed line.
E3: its test raises in a changed line, through public names. E2: its test fails on an expectation that a quoted text backs.
E1: its place and quote are real, and it was not refuted. E0: none of these; hidden."""

Severity = Literal["high", "medium", "low"]


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file with its texts; None on a side where there is none, or where it is no text."""

    change: FileChange
    old: str | None = None
    new: str | None = None


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a reviewer may see of a change: texts, and no way to any tree.

    No verdict, commit message, branch name or text of a pull request is in it: what a change says of itself lowers what
    models find in it by 16 to 93 % (arXiv 2603.18740).
    """

    files: tuple[SourceFile, ...]
    standards: tuple[tuple[str, str], ...] = ()
    """Texts on how code is reviewed here, by path, from the base alone."""
    base_sources: tuple[tuple[str, str], ...] = ()
    """Product's Python files of the base, by path: for the map of the repository."""
    head_sources: tuple[tuple[str, str], ...] = ()
    """The same of the head: for signatures of called functions."""
    key: str = ""
    """Digest of base and head, which chooses what rotates."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What came of running a test on one tree, once."""

    outcome: str
    """`passed`, `failed`, `error`, `skipped`, `missing`, or `broken` where it could not be run (with `message`)."""
    message: str = ""
    path: str = ""
    """Where it failed, relative to the tree; empty where that is elsewhere."""
    line: int = 0
    reached: tuple[tuple[str, int], ...] = ()
    """Lines of changed files that ran: path and 1-based number."""


class Reproduced(msgspec.Struct, frozen=True, kw_only=True):
    """A test of a reviewer, run several times on head and base."""

    head: tuple[Proof, ...] = ()
    base: tuple[Proof, ...] = ()


class ReviewFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One claim of a review that is anchored in the change. All texts are a model's: untrusted."""

    level: Level
    path: str
    side: Literal["head", "base"]
    line: int
    last_line: int
    quote: str
    claim: str
    trigger: str = ""
    observed: str = ""
    expected: str = ""
    basis: str = ""
    category: str = ""
    severity: Severity = "medium"
    confidence: Severity = "medium"
    reproduction: str = ""
    """A pytest module that shows the problem; empty where there is none that proves anything."""
    why: str = ""
    """Why the finding has this level."""
    fix: str = ""
    """A unified diff after which the reproduction passes and the gate stays green."""


class Dismissed(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that is not shown as a finding, with the reason as a code and in words."""

    reason: str
    claim: str
    path: str = ""
    words: str = ""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a review used. Tokens as the API counted them; dollars by the price table, None where a model has no price."""

    requests: int = 0
    input_tokens: int = 0
    """Without those that were read from, or written to, the prompt cache."""
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    saved_usd: float = 0.0
    """Less than the same without prompt cache and batch discount (negative: the writes cost more than the reads saved)."""
    estimated_usd: tuple[float, float, float] | None = None
    """Low, expected and ceiling, before anything was sent."""

    @property
    def hit_rate(self) -> float:
        """Share of all input tokens that came from the prompt cache."""
        total = self.input_tokens + self.cache_write_tokens + self.cache_read_tokens
        return self.cache_read_tokens / total if total else 0.0


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A model's opinion, asked for only after `accepted`. `incomplete` never means that nothing was found."""

    status: Literal["not-run", "complete", "incomplete"]
    reason: str = ""
    model: str = ""
    findings: tuple[ReviewFinding, ...] = ()
    dismissed: tuple[Dismissed, ...] = ()
    unsent: tuple[str, ...] = ()
    """Places of the change that the model did not see, each with the reason."""
    spent: Spent | None = None
    notes: tuple[str, ...] = ()
