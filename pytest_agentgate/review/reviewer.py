"""The built-in reviewer: find, anchor, execute, refute. It sees texts, and may have tests run; it sees no tree and no verdict."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal

from pytest_agentgate.layout import matches
from pytest_agentgate.model import Material, Review, ReviewFinding, SourceFile
from pytest_agentgate.model.policy import ReviewPolicy
from pytest_agentgate.protocols import Hands, ReviewOptions
from pytest_agentgate.review.backend import Backend, Reply, Request
from pytest_agentgate.review.findings import once, read
from pytest_agentgate.review.ledger import Ledger
from pytest_agentgate.review.planning import Plan, make_plan
from pytest_agentgate.review.proving import Prover, settle_all
from pytest_agentgate.review.scout import choose
from pytest_agentgate.review.till import Factors, Till

AT_ONCE = 4
"""Requests on the way at the same time, after the first has warmed the cache."""


@dataclass
class ModelReviewer:
    """Asks a model through a backend."""

    policy: ReviewPolicy
    options: ReviewOptions
    backend: Backend
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    factors: Mapping[str, float] = field(default_factory=dict)
    """Bytes per token that a batch job was packed with."""

    def review(self, material: Material, hands: Hands) -> Review:
        """The review. It never raises for what the service does: that makes it `incomplete`, with the reason."""
        till = self._till()
        material, unsent = readable(material, self.policy)
        if not material.files:
            return Review(status="not-run", reason="nothing in the change can be reviewed", unsent=tuple(unsent))
        plan = make_plan(material, self.policy, till, exact=self.options.exact_cost)
        unsent += [f"{p.place}: too long for one request" for p in plan.unsent]
        if refusal := self._refusal(plan, till):
            return Review(
                status="not-run", reason=refusal, model=self.policy.model, unsent=tuple(unsent), spent=till.spent(plan.price)
            )
        return self._ask(material, plan, till, hands, unsent)

    def plan(self, material: Material) -> tuple[Plan, str]:
        """What would be asked of this material, and why it would not be (empty: it would)."""
        till = self._till()
        wanted, _ = readable(material, self.policy)
        if not wanted.files:
            return Plan(self.policy, wanted, ()), "nothing in the change can be reviewed"
        plan = make_plan(wanted, self.policy, till)
        return plan, plan.trouble or ("" if plan.price or self.options.allow_unpriced else "its model has no price")

    def _till(self) -> Till:
        most = Decimal(self.options.max_usd) if self.options.max_usd else self.policy.max_usd
        return Till(
            self.backend, Ledger(self.options.ledger), self.run, most, self.policy.price, Factors(self.options.cache, self.factors)
        )

    def _refusal(self, plan: Plan, till: Till) -> str:
        """Why nothing is sent; empty where it may be."""
        if plan.trouble:
            return plan.trouble
        if plan.price is None:
            models = ", ".join(sorted({p.model for p in plan.planned}))
            words = f"a model among {models} has no price, so that nobody can say what a review would cost"
            return "" if self.options.allow_unpriced else f"{words} (add it to review.price, or give --allow-unpriced)"
        low, expected, ceiling = plan.price
        if ceiling > till.most:
            return (
                f"the review may cost ${ceiling:.2f} (expected ${expected:.2f}, at least ${low:.2f}), and ${till.most:.2f} is allowed "
                "(raise review.max_usd, or give --max-usd)"
            )
        return ""

    def _ask(self, material: Material, plan: Plan, till: Till, hands: Hands, unsent: list[str]) -> Review:
        signatures, scouted = choose(material, self.policy.scout, till) if self.policy.scout else ([], "")
        pairs = plan.requests(signatures)
        asked, replies = [a for a, _ in pairs], _all(till, [r for _, r in pairs])
        texts = tuple(text for _, text in material.standards)
        found, gone, troubles = [], [], []
        for one, reply in zip(asked, replies, strict=True):
            kept, dropped, trouble = read(one, reply, texts)
            found += kept
            gone += dropped
            if trouble:
                troubles.append(trouble)
                unsent += [f"{place}: {trouble}" for place in one.places]
        claims, twice = once(found)
        prover = Prover(material, self.policy, till, hands)
        findings, refuted = settle_all(prover, claims)
        notes = [*plan.notes, *([scouted] if scouted else []), *_cache_note(till), *prover.notes]
        if till.remembered:
            notes.append(
                f"{till.remembered} answer{'s' if till.remembered > 1 else ''} to the same questions were known and cost nothing"
            )
        reason = f"{troubles[0]} ({len(troubles)} of {len(asked)} requests)" if troubles else ""
        if unsent and not reason:
            reason = (
                f"{len(unsent)} part{'s' if len(unsent) > 1 else ''} of the change could not be shown, the first is {unsent[0]}"
            )
        return Review(
            status="incomplete" if reason else "complete",
            reason=reason or f"{len(findings)} finding{'s' if len(findings) != 1 else ''}",
            model=self.policy.model,
            findings=tuple(_sorted(findings)),
            dismissed=(*gone, *twice, *refuted),
            unsent=tuple(unsent),
            spent=till.spent(plan.price),
            notes=tuple(notes),
        )


def _all(till: Till, requests: Sequence[Request]) -> list[Reply]:
    """The first request alone, so that it warms the cache for the rest."""
    first = [till.ask(requests[0])]
    if len(requests) == 1:
        return first
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return first + list(pool.map(till.ask, requests[1:]))


def _cache_note(till: Till) -> list[str]:
    """Said once: a prefix that the API neither wrote to its cache nor read from it."""
    if till.used and not any(u.cache_read or u.cache_write_1h or u.cache_write_5m for _, u, _ in till.used):
        return ["the API did not cache the prefix (it may be shorter than the model's minimum)"]
    return []


def _sorted(findings: Sequence[ReviewFinding]) -> list[ReviewFinding]:
    grades = {"high": 0, "medium": 1, "low": 2}
    return sorted(findings, key=lambda f: (-int(f.level[1]), grades[f.severity], f.path, f.line))


def readable(material: Material, policy: ReviewPolicy) -> tuple[Material, list[str]]:
    """The material without what nobody reviews, and the places of what nobody can read."""
    kept: list[SourceFile] = []
    unsent: list[str] = []
    for file in material.files:
        if matches(file.change.path, policy.exclude):
            continue
        if file.change.odd or (file.old is None and file.new is None):
            unsent.append(f"{file.change.path}: no text")
        elif file.change.hunks:
            kept.append(file)
    return Material(
        files=tuple(kept),
        standards=material.standards,
        base_sources=material.base_sources,
        head_sources=material.head_sources,
        key=material.key,
    ), unsent
