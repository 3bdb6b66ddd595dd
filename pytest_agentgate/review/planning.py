"""What will be asked, and what that may cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pytest_agentgate.model import Material
from pytest_agentgate.model.policy import ReviewPolicy
from pytest_agentgate.review import prompt, schema
from pytest_agentgate.review.backend import Request
from pytest_agentgate.review.canary import canary
from pytest_agentgate.review.findings import Asked
from pytest_agentgate.review.money import Planned, estimate
from pytest_agentgate.review.packing import Packed, pack
from pytest_agentgate.review.pieces import Piece, cut
from pytest_agentgate.review.till import SLACK, Till

FRAME = 900
"""Bytes of a question besides its pieces: fences, the canary, a longer number in an id."""
SIGNATURES = 1_200
"""Bytes kept free for what a scout chooses."""
LEAST = 1_500
"""Bytes of change that a request must have room for."""
REFUTED = 6
"""Most findings that are refuted, or mended, in one run."""
EXECUTED = 24
"""Most findings whose test runs; that costs time and no money."""
LATER_TOKENS = 4_000
LATER_BYTES = 8_000
"""A prompt for one finding, by estimate, and the bytes of hunks in it."""
REFUTE_TOKENS = 1_500
SCOUT_TOKENS = 1_000


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first request."""

    policy: ReviewPolicy
    material: Material
    system: tuple[dict[str, object], ...]
    packed: tuple[Packed, ...] = ()
    unsent: tuple[Piece, ...] = ()
    planned: tuple[Planned, ...] = ()
    price: tuple[Decimal, Decimal, Decimal] | None = None
    trouble: str = ""
    notes: tuple[str, ...] = field(default=())
    secret: str = ""
    """What the author of the change does not know, and what chooses the canaries."""

    def requests(self, signatures: Sequence[str] = ()) -> list[tuple[Asked, Request]]:
        """The questions for findings, in order; each with a canary."""
        paths = {f.change.path for f in self.material.files}
        found = []
        for number, group in enumerate(self.packed):
            extra, at = canary(self.material.key + self.secret, number, len(group.pieces), paths)
            pieces, name = prompt.named(group.pieces, extra, at)
            question = prompt.question(pieces, signatures, besides(self.material))
            found.append((Asked(tuple(pieces), name), self._request(question)))
        return found

    def _request(self, question: str) -> Request:
        return Request(
            model=self.policy.model,
            system=self.system,
            question=question,
            shape=schema.FINDINGS,
            max_tokens=self.policy.answer_tokens,
            effort=self.policy.effort,
        )


def besides(material: Material) -> list[str]:
    """What changed of the files besides their lines: names and modes."""
    found = []
    for change in (f.change for f in material.files):
        if change.old_path and change.old_path != change.path:
            found.append(f"renamed {change.old_path} to {change.path}")
        if change.old and change.new and change.old.mode != change.new.mode:
            found.append(f"mode of {change.path} {change.old.mode} to {change.new.mode}")
    return found[:50]


def make_plan(material: Material, policy: ReviewPolicy, till: Till, *, exact: bool = False, secret: str = "") -> Plan:
    """Pack the change and price it. With `exact` the service counts the tokens (for nothing) and the packing follows it."""
    pieces = cut(material)
    system = tuple(prompt.system(material))
    plan = _packed(Plan(policy, material, system, secret=secret), pieces, till.factors.packing(policy.model, material.key), till)
    if not exact or plan.trouble:
        return plan
    counts = [(request, till.backend.count(request)) for _, request in plan.requests()]
    if any(count is None for _, count in counts):
        return replace(
            plan,
            notes=(
                *plan.notes,
                "the service could not be asked for exact token counts; estimates were used",
            ),
        )
    tokens = {request.key: count for request, count in counts if count}
    if any(count > policy.tokens for count in tokens.values()):
        tightest = min(request.size / tokens[request.key] for request, _ in counts)
        plan = _packed(plan, pieces, tightest, till)
        return replace(
            plan,
            notes=(
                *plan.notes,
                "the parts were made smaller after the service had counted their tokens",
            ),
        )
    exactly = [replace(till.factors.planned(r), prompt_tokens=tokens[r.key]) for r, _ in counts]
    planned = (*exactly, *plan.planned[len(exactly) :])
    return replace(plan, planned=planned, price=estimate(planned, policy.price))


def _packed(plan: Plan, pieces: Sequence[Piece], factor: float, till: Till) -> Plan:
    policy = plan.policy
    room = _room(plan, factor)
    if room < LEAST:
        plan = replace(
            plan,
            system=tuple(prompt.system(plan.material, with_map=False)),
            notes=(*plan.notes, "there is no room for the map of the project"),
        )
        room = _room(plan, factor)
    if room < LEAST:
        return replace(
            plan, trouble=f"review.tokens = {policy.tokens} leaves no room for the change beside rules, standards and map"
        )
    packed, unsent = pack(pieces, room)
    plan = replace(plan, packed=tuple(packed), unsent=tuple(unsent))
    if pieces and not packed:
        return replace(plan, trouble="no part of the change fits into one request")
    if not packed:  # names and modes alone
        plan = replace(plan, packed=(Packed(()),))
    planned = (*(till.factors.planned(r) for _, r in plan.requests()), *_later(policy, plan, till))
    return replace(plan, planned=planned, price=estimate(planned, policy.price))


def _room(plan: Plan, factor: float) -> int:
    """Bytes that the change may have in one request."""
    prefix = sum(len(str(b["text"]).encode("utf-8", "replace")) for b in plan.system)
    more = sum(len(b) + 10 for b in besides(plan.material)) + (SIGNATURES if plan.policy.scout else 0)
    return int((plan.policy.tokens - SLACK) * factor) - prefix - len(str(schema.FINDINGS)) - FRAME - more


def _later(policy: ReviewPolicy, plan: Plan, till: Till) -> list[Planned]:
    """What may be asked afterwards, at most."""
    found = []
    if policy.scout:
        found.append(Planned(policy.scout, policy.tokens, SCOUT_TOKENS))
    many = REFUTED
    if policy.refuter != "off":
        found += [Planned(policy.refuter or policy.model, LATER_TOKENS, REFUTE_TOKENS)] * many
    if policy.fixes:
        found += [Planned(policy.model, LATER_TOKENS, REFUTE_TOKENS)] * many
    return found
