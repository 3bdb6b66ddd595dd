"""The verdict, the review and the whole report."""

from __future__ import annotations

from typing import Literal

import msgspec

from pytest_agentgate.model.change import Change
from pytest_agentgate.model.evidence import Evidence
from pytest_agentgate.model.review import Review

Decision = Literal["accepted", "rejected", "undecided"]
EXIT_CODES = {"accepted": 0, "rejected": 1, "undecided": 3}
"""pytest's own numbers; 2 is interrupted, 4 a usage error."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`rejected` is the agent's to mend; `undecided` is a human's to settle."""

    decision: Decision
    reasons: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 accepted, 1 rejected, 3 undecided."""
        return EXIT_CODES[self.decision]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one run found out, as one value."""

    version: str
    """Version of the gate that wrote it."""
    change: Change
    policy_digest: str
    assurance: str
    """A0: exit codes only. A1: complete result channel, inside a sandbox. A2: anti-tests agree. A3: the blind oracle agrees."""
    evidence: tuple[Evidence, ...]
    verdict: Verdict
    review: Review
    interpreter: str = ""
    unsandboxed: bool = False
    """Code of the patch ran without a sandbox."""
    diff: str = ""
    """The change as a unified diff, cut after 200,000 characters: untrusted."""
    notes: tuple[str, ...] = ()
    """What the run had to do without: a lasting cache, a sandbox."""
    duration: float = 0.0

    @property
    def judged(self) -> bool:
        """Whether any check looked at the change; False where the policy passes it through (`only = "agents"`)."""
        return bool(self.evidence) or self.verdict.decision != "accepted"
