"""The built-in reviewer: find, anchor, execute, refute. It sees texts, and may have tests run; it sees no tree and no verdict."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from pytest_agentgate.cache import Cache, digest
from pytest_agentgate.layout import matches
from pytest_agentgate.model import Material, Review, ReviewFinding, SourceFile
from pytest_agentgate.model.policy import ReviewPolicy
from pytest_agentgate.protocols import Hands, ReviewOptions
from pytest_agentgate.review.backend import Backend, Reply, Request
from pytest_agentgate.review.findings import GRADES, Asked, once, read
from pytest_agentgate.review.ledger import Ledger
from pytest_agentgate.review.pieces import fits
from pytest_agentgate.review.planning import Plan, make_plan
from pytest_agentgate.review.proving import Prover, settle_all
from pytest_agentgate.review.scout import choose
from pytest_agentgate.review.till import BYTES_PER_TOKEN, Factors, Till

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
    secret: str = ""
    """What its canaries were chosen with."""
    paid: bool = False
    """The questions for findings are answered and paid already: only what is asked besides has a price now."""

    def review(self, material: Material, hands: Hands) -> Review:
        """The review. It never raises for what the service does: that makes it `incomplete`, with the reason."""
        till = self._till()
        material, unsent, notes = readable(material, self.policy)
        if not material.files:
            words = "nothing in the change is for a reviewer to read"
            return Review(status="incomplete" if unsent else "complete", reason=words, unsent=tuple(unsent), notes=tuple(notes))
        plan = make_plan(material, self.policy, till, exact=self.options.exact_cost and not self.paid, secret=self._secret())
        unsent += [f"{p.place}: too long for one request" for p in plan.unsent]
        if refusal := self._refusal(plan, till):
            return Review(
                status="not-run", reason=refusal, model=self.policy.model, unsent=tuple(unsent), spent=till.spent(plan.price)
            )
        return self._ask(material, plan, till, hands, unsent, notes)

    def plan(self, material: Material) -> tuple[Plan, str]:
        """What would be asked of this material, and why it would not be (empty: it would)."""
        till = self._till()
        wanted, _, _ = readable(material, self.policy)
        if not wanted.files:
            return Plan(self.policy, wanted, ()), "nothing in the change is for a reviewer to read"
        plan = make_plan(wanted, self.policy, till, secret=self._secret())
        return plan, plan.trouble or ("" if plan.price or self.options.allow_unpriced else "its model has no price")

    def _secret(self) -> str:
        """What the author of a change does not know; none where answers are recorded or replayed, so that they fit."""
        return "" if self.options.backend != "api" else self.secret or secret_of(self.options.cache)

    def _till(self) -> Till:
        most = Decimal(self.options.max_usd) if self.options.max_usd else self.policy.max_usd
        plain = self.options.backend != "api"
        fixed = {self.policy.model: BYTES_PER_TOKEN} if plain else self.factors
        factors = Factors(self.options.cache, fixed)
        return Till(self.backend, Ledger(self.options.ledger), self.run, most, self.policy.price, factors, keeps=not plain)

    def _refusal(self, plan: Plan, till: Till) -> str:
        """Why nothing is sent; empty where it may be."""
        if plan.trouble:
            return plan.trouble
        if plan.price is None:
            models = ", ".join(sorted({p.model for p in plan.planned}))
            words = f"a model among {models} has no price, so that nobody can say what a review would cost"
            return "" if self.options.allow_unpriced else f"{words} (add it to review.price, or give --allow-unpriced)"
        low, expected, ceiling = plan.price
        if self.paid:
            return ""
        if ceiling > till.most:
            return (
                f"the review may cost ${ceiling:.2f} (expected ${expected:.2f}, at least ${low:.2f}), and ${till.most:.2f} is allowed "
                "(raise review.max_usd, or give --max-usd)"
            )
        return ""

    def _ask(self, material: Material, plan: Plan, till: Till, hands: Hands, unsent: list[str], notes: list[str]) -> Review:
        signatures, scouted = choose(material, self.policy.scout, till) if self.policy.scout else ([], "")
        pairs = plan.requests(signatures)
        texts = tuple(text for _, text in material.standards)
        asked, replies = [a for a, _ in pairs], _all(till, pairs, texts)
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
        notes += [*plan.notes, *([scouted] if scouted else []), *_cache_note(till), *prover.notes]
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


def _all(till: Till, pairs: Sequence[tuple[Asked, Request]], texts: tuple[str, ...]) -> list[Reply]:
    """The first request alone, so that it warms the cache for the rest; only answers that count are kept."""

    def ask(pair: tuple[Asked, Request]) -> Reply:
        return till.ask(pair[1], lambda reply: not read(pair[0], reply, texts)[2])

    first = [ask(pairs[0])]
    if len(pairs) == 1:
        return first
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return first + list(pool.map(ask, pairs[1:]))


def secret_of(cache: Cache) -> str:
    """A secret of this machine, made at its first use."""
    key = digest("canary-secret")
    stored = cache.get(key)
    if stored is None:
        stored = secrets.token_hex(16).encode()
        cache.put(key, stored)
    return stored.decode()


def _cache_note(till: Till) -> list[str]:
    """Said once: a prefix that the API neither wrote to its cache nor read from it."""
    if till.used and not any(u.cache_read or u.cache_write_1h or u.cache_write_5m for _, u, _ in till.used):
        return ["the API did not cache the prefix (it may be shorter than the model's minimum)"]
    return []


def _sorted(findings: Sequence[ReviewFinding]) -> list[ReviewFinding]:
    return sorted(findings, key=lambda f: (-int(f.level[1]), GRADES[f.severity], f.path, f.line))


def readable(material: Material, policy: ReviewPolicy) -> tuple[Material, list[str], list[str]]:
    """The material without what nobody reviews, the places of what nobody can read, and notes."""
    kept: list[SourceFile] = []
    unsent: list[str] = []
    excluded: list[str] = []
    for file in material.files:
        change = file.change
        blind = (change.old is not None and file.old is None) or (change.new is not None and file.new is None)
        if matches(change.path, policy.exclude):
            excluded.append(change.path)
        elif change.odd or blind:
            unsent.append(f"{change.path}: no text, or too large")
        elif not fits(file):
            unsent.append(f"{change.path}: its lines cannot be shown")
        else:
            kept.append(file)
    notes = [f"not for review by review.exclude: {', '.join(excluded[:5])}{' …' if len(excluded) > 5 else ''}"] if excluded else []
    return msgspec.structs.replace(material, files=tuple(kept)), unsent, notes
