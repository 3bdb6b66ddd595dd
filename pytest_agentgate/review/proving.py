"""What becomes of an anchored claim: its test runs, a fresh conversation tries to refute it, a fix is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from pytest_agentgate.model import Dismissed, Level, Material, ReviewFinding
from pytest_agentgate.model.policy import ReviewPolicy
from pytest_agentgate.protocols import Hands
from pytest_agentgate.review import prompt, schema
from pytest_agentgate.review.anchor import anchor
from pytest_agentgate.review.backend import Request
from pytest_agentgate.review.findings import Anchored
from pytest_agentgate.review.packing import cost as size_of
from pytest_agentgate.review.pieces import Piece, enclosing, statements
from pytest_agentgate.review.planning import EXECUTED, LATER_BYTES, REFUTE_TOKENS, REFUTED
from pytest_agentgate.review.reproduction import RUNS, Lines, is_public, level, vet
from pytest_agentgate.review.till import Till


@dataclass
class Prover:
    """Everything that proving needs."""

    material: Material
    policy: ReviewPolicy
    till: Till
    hands: Hands
    notes: list[str] = field(default_factory=list)
    modules: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Top-level names of the project, as tests import them."""
        paths = [p for p, _ in (*self.material.head_sources, *self.material.base_sources)]
        parts = [p.removesuffix(".py").split("/") for p in paths]
        self.modules = frozenset(name for p in parts for name in p if name.isidentifier())

    def prove(self, item: Anchored) -> ReviewFinding:
        """The finding at the level that its test reaches."""
        claim, piece = item.claim, item.piece
        source = claim.test or ""
        vetoed = vet(source, self.modules) if source else "it brings no test"
        came = None
        if not vetoed and self.policy.execute and self.hands.prove is not None:
            came = self.hands.prove(source, RUNS)
        elif not vetoed:
            vetoed = "its test was not run (review.execute is off, or there is nothing to run it in)"
        public = bool(source) and not vetoed and is_public(source, self.modules)
        reached, why = level(came, self._changed(), public=public, backed=item.backed, vetoed=vetoed)
        return ReviewFinding(
            level=reached,
            path=piece.path,
            side=claim.side,
            line=claim.first_line,
            last_line=claim.last_line,
            quote=claim.quote,
            claim=claim.claim,
            trigger=claim.trigger,
            observed=claim.observed,
            expected=claim.expected,
            basis=claim.basis,
            category=claim.category,
            severity=claim.severity,
            confidence=claim.confidence,
            reproduction=source if reached in ("E4", "E3", "E2") else "",
            why=why,
        )

    def _changed(self) -> Lines:
        """Lines that a test has to reach: added ones with the statements that they are part of; around a pure deletion, the function."""
        found: set[tuple[str, int]] = set()
        for file in self.material.files:
            path, text = file.change.path, file.new or ""
            starts = statements(text) if path.endswith(".py") else {}
            for hunk in file.change.hunks:
                if hunk.new_lines:
                    lines = range(hunk.new_start, hunk.new_start + hunk.new_lines)
                else:
                    first, last = enclosing(text, hunk.new_start, hunk.new_start + 1) if path.endswith(".py") else (0, -1)
                    lines = range(first + 1, last + 1) if last > first else range(hunk.new_start - 1, hunk.new_start + 3)
                found |= {(path, n) for line in lines for n in (line, starts.get(line, line))}
        return frozenset(found)

    def refute(self, item: Anchored) -> Dismissed | None:
        """A fresh conversation about this claim alone; it counts only with evidence that is itself anchored."""
        claim = item.claim
        said = {"hunk": claim.hunk, "lines": f"{claim.side} {claim.first_line}-{claim.last_line}", "claim": claim.claim}
        said |= {"trigger": claim.trigger, "observed": claim.observed, "expected": claim.expected}
        request = self._request(prompt.REFUTE, item, said, schema.REFUTATION, self.policy.refuter or self.policy.model)
        answer, why = self.till.ask_for(request, schema.Refutation)
        if answer is None:
            self.notes.append(f"a finding could not be refuted or upheld: {why}")
            return None
        if not answer.refuted or anchor(answer, item.asked.shown, changed=False):
            return None
        return Dismissed(reason="refuted", claim=claim.claim, path=item.piece.path, words=answer.reason)

    def _request(self, rules: str, item: Anchored, said: Mapping[str, str], shape: dict[str, object], model: str) -> Request:
        near = [(p, lv) for p, lv in item.asked.pieces if p.id != item.asked.canary and p.path == item.piece.path]
        pieces: list[tuple[Piece, int]] = []
        left = LATER_BYTES
        for piece, lv in sorted(near, key=lambda pair: (pair[0].id != item.claim.hunk, abs(pair[0].first - item.piece.first))):
            left -= size_of(piece, lv)
            if left > 0 or not pieces:
                pieces.append((piece, lv))
        return Request(
            model=model,
            system=({"type": "text", "text": rules},),
            question=prompt.about(said, pieces),
            shape=shape,
            max_tokens=REFUTE_TOKENS,
            effort=self.policy.effort,
        )

    def mend(self, finding: ReviewFinding, item: Anchored) -> ReviewFinding:
        """The finding with a fix, where one was offered after which its test passes and the gate stays green."""
        if self.hands.mend is None or not finding.reproduction:
            return finding
        said = {"claim": finding.claim, "expected": finding.expected, "test": finding.reproduction}
        request = self._request(prompt.MEND, item, said, schema.FIX, self.policy.model)
        fix, _ = self.till.ask_for(request, schema.Fix)
        file = next((f for f in self.material.files if fix and f.change.path == fix.path and f.new is not None), None)
        if fix is None or file is None or not file.new or file.new.count(fix.old) != 1 or not fix.old:
            self.notes.append("a fix was asked for and none came that fits the head")
            return finding
        diff, why = self.hands.mend(fix.path, file.new.replace(fix.old, fix.new), finding.reproduction)
        if why:
            self.notes.append(f"a fix was tried and is not shown: {why}")
        return msgspec.structs.replace(finding, fix=diff)


def settle_all(prover: Prover, claims: Sequence[Anchored]) -> tuple[list[ReviewFinding], list[Dismissed]]:
    """Every claim as a finding, or dismissed; at most `REFUTED` of them cost anything."""
    findings: list[tuple[ReviewFinding, Anchored]] = []
    executed = 0
    for item in claims:
        executed += item.claim.test is not None
        bare = Anchored(msgspec.structs.replace(item.claim, test=None), item.asked, item.backed)
        findings.append((prover.prove(item if executed <= EXECUTED else bare), item))
    if executed > EXECUTED:
        prover.notes.append(f"only the tests of {EXECUTED} of {executed} findings were run")
    strong: tuple[Level, ...] = ("E4", "E3")
    unproved = [item for f, item in findings if f.level not in strong]
    doubtful = unproved[:REFUTED]
    if len(unproved) > REFUTED and prover.policy.refuter != "off":
        prover.notes.append(f"only {REFUTED} of {len(unproved)} unproved findings were put up for refutation")
    gone: dict[int, Dismissed] = {}
    if prover.policy.refuter != "off" and doubtful:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(prover.refute, doubtful))
        gone = {id(item): answer for item, answer in zip(doubtful, answers, strict=True) if answer}
    kept = [(f, item) for f, item in findings if id(item) not in gone]
    if prover.policy.fixes:
        kept = [(prover.mend(f, item) if n < REFUTED else f, item) for n, (f, item) in enumerate(kept)]
    return [f for f, _ in kept], list(gone.values())
