"""What one check proved."""

from __future__ import annotations

from typing import Literal

import msgspec

from pytest_agentgate.model.finding import Finding

Status = Literal["passed", "failed", "errored", "skipped"]
Assurance = Literal["A0", "A1", "A2", "A3"]
"""A0: exit codes only. A1: complete result channel, inside a sandbox. A2: anti-tests agree. A3: the blind oracle agrees."""
Outcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed", "missing"]


class TestOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one test, by tree. `transition` uses SWE-bench's words (pass-to-fail, fail-to-pass …)."""

    __test__ = False

    node_id: str
    transition: str
    base: Outcome | None = None
    head: Outcome | None = None
    classification: str = ""
    """`regression`, `pre-existing`, `flaky`, `order-dependent`, `environment` or empty."""
    trees: dict[str, Outcome] = {}
    """What it came to in each tree that it ran in, by the tree's role (`TREES`)."""


TREES = {
    "base": "base: the base's tests on the base's code",
    "head+base-tests": "head\N{DEGREE SIGN}: the base's tests on the patch's code",
    "head": "head: the patch's tests on the patch's code",
    "base+head-tests": "base\N{DEGREE SIGN}: the patch's tests on the base's code",
}
"""The four trees by role, with what runs there."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a check."""

    what: str
    tree: str = ""
    """Role of the tree that it ran in."""
    started: float
    """Seconds since the epoch."""
    duration: float
    """Seconds of wall time."""
    tests: int = 0


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """One assertion that was judged with its expected value held back. Values are shown as Python writes them, cut to 80 characters."""

    node_id: str
    expected: str
    came: str
    """Under pytest."""
    plain: str = ""
    """In a plain program; empty: it was not made there."""
    beside: str = ""
    """How many sets of other inputs agree with the base, such as ``8 of 8``; empty: none was asked."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Status of one check with its proof. Illegal states raise `ValueError`, and so does `bool(evidence)`."""

    check: str
    status: Status
    examined: int = 0
    """How many files, modules or tests were really looked at."""
    reason: str = ""
    leave: bool = False
    """A skipped check had nothing to prove about this change, for the reason given."""
    findings: tuple[Finding, ...] = ()
    tests: dict[str, int] = {}
    """Counts of tests by transition."""
    outcomes: tuple[TestOutcome, ...] = ()
    """Each test that is not simply pass-to-pass."""
    tool_version: str = ""
    sandbox: str = ""
    """`bubblewrap`, `none` (ran unsandboxed) or empty (no process was started)."""
    complete_channel: bool = False
    """Every expected record came through the probe's pipe (assurance A1)."""
    assurance: Assurance | Literal[""] = ""
    """How far the tests' answers can be trusted (`Report.assurance`); empty: this check ran no tests."""
    assurance_reason: str = ""
    """Why it is not more."""
    anti_tests: dict[str, int] = {}
    """Anti-tests by what came of them: `turned`, `failed` (as they must), `passed` (held against the patch), `vacuous`.

    `blind` of `blind_of` assertions of the sample were judged with their expected value held back; `plain` tests were played as a
    plain program."""
    steps: tuple[Step, ...] = ()
    """The processes of a check that starts several."""
    twins: tuple[Twin, ...] = ()
    """The first assertions that the blind oracle judged."""
    started: float = 0.0
    """When, in seconds since the epoch; 0: not known."""
    cached: bool = False
    duration: float = 0.0
    """Seconds of wall time."""

    def __post_init__(self) -> None:
        """Refuse states that would let nothing pass for something."""
        counting = any(f.baseline_state == "new" and f.effect != "note" for f in self.findings)
        if self.status == "passed" and (self.examined < 1 or counting):
            raise ValueError(f"{self.check}: passed needs something examined and no finding that counts")
        if self.status == "failed" and not counting:
            raise ValueError(f"{self.check}: failed needs a new finding with effect reject or hold")
        if self.status in ("errored", "skipped") and not self.reason:
            raise ValueError(f"{self.check}: {self.status} needs a reason")

    def __bool__(self) -> bool:
        """Always raises: a skipped or errored check is neither true nor false."""
        raise TypeError("evidence has no truth value; look at .status")

    @staticmethod
    def of(
        check: str,
        findings: tuple[Finding, ...],
        examined: int,
        *,
        reason: str = "",
        tests: dict[str, int] | None = None,
        outcomes: tuple[TestOutcome, ...] = (),
        tool_version: str = "",
        sandbox: str = "",
        complete_channel: bool = False,
        assurance: Assurance | Literal[""] = "",
        assurance_reason: str = "",
        anti_tests: dict[str, int] | None = None,
        steps: tuple[Step, ...] = (),
        twins: tuple[Twin, ...] = (),
    ) -> Evidence:
        """Passed or failed, by whether a new finding with an effect is among `findings`."""
        counting = any(f.baseline_state == "new" and f.effect != "note" for f in findings)
        return Evidence(
            check=check,
            status="failed" if counting else "passed",
            examined=examined,
            reason=reason,
            findings=findings,
            tests=tests or {},
            outcomes=outcomes,
            tool_version=tool_version,
            sandbox=sandbox,
            complete_channel=complete_channel,
            assurance=assurance,
            assurance_reason=assurance_reason,
            anti_tests=anti_tests or {},
            steps=steps,
            twins=twins,
        )
