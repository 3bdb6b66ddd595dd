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
"""Most findings that are refuted, executed or mended in one run; further ones stay unproved."""
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

    def requests(self, signatures: Sequence[str] = ()) -> list[tuple[Asked, Request]]:
        """The questions for findings, in order; each with a canary."""
        paths = {f.change.path for f in self.material.files}
        found = []
        for number, group in enumerate(self.packed):
            extra, at = canary(self.material.key, number, len(group.pieces), paths)
            pieces, name = prompt.named(group.pieces, extra, at)
            question = prompt.question(pieces, signatures)
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


def make_plan(material: Material, policy: ReviewPolicy, till: Till, *, exact: bool = False) -> Plan:
    """Pack the change and price it. With `exact` the service counts the tokens (for nothing) and the packing follows it."""
    pieces = cut(material)
    system = tuple(prompt.system(material))
    plan = _packed(Plan(policy, material, system), pieces, till.factors.of(policy.model), till)
    if not exact or plan.trouble:
        return plan
    counts = [(request, till.backend.count(request)) for _, request in plan.requests()]
    if any(count is None for _, count in counts):
        return _with(plan, notes=("the service could not be asked for exact token counts; estimates were used",))
    tokens = {request.key: count for request, count in counts if count}
    if any(count > policy.tokens for count in tokens.values()):
        tightest = min(request.size / tokens[request.key] for request, _ in counts)
        plan = _packed(plan, pieces, tightest, till)
        return _with(plan, notes=("the parts were made smaller after the service had counted their tokens",))
    exactly = [replace(till.planned(r), prompt_tokens=tokens[r.key]) for r, _ in counts]
    planned = (*exactly, *plan.planned[len(exactly) :])
    return _with(plan, planned=planned, price=estimate(planned, policy.price))


def _with(plan: Plan, **changes: object) -> Plan:
    values = {name: getattr(plan, name) for name in plan.__dataclass_fields__} | changes
    return Plan(**values)


def _packed(plan: Plan, pieces: Sequence[Piece], factor: float, till: Till) -> Plan:
    policy = plan.policy
    prefix = sum(len(str(b["text"]).encode("utf-8", "replace")) for b in plan.system)
    room = int((policy.tokens - SLACK) * factor) - prefix - len(str(schema.FINDINGS)) - FRAME - (SIGNATURES if policy.scout else 0)
    if room < LEAST:
        return _with(plan, trouble=f"review.tokens = {policy.tokens} leaves no room for the change beside rules, standards and map")
    packed, unsent = pack(pieces, room)
    plan = _with(plan, packed=tuple(packed), unsent=tuple(unsent))
    if not packed:
        return _with(plan, trouble="no part of the change fits into one request")
    planned = (*(till.planned(r) for _, r in plan.requests()), *_later(policy, plan, till))
    return _with(plan, planned=planned, price=estimate(planned, policy.price))


def _later(policy: ReviewPolicy, plan: Plan, till: Till) -> list[Planned]:
    """What may be asked afterwards, at most."""
    prompt_tokens = max(p.prompt_tokens for p in (till.planned(r) for _, r in plan.requests()))
    found = []
    if policy.scout:
        found.append(Planned(policy.scout, policy.tokens, SCOUT_TOKENS))
    many = REFUTED
    if policy.refuter != "off":
        found += [Planned(policy.refuter or policy.model, min(prompt_tokens, 4_000), REFUTE_TOKENS)] * many
    if policy.fixes:
        found += [Planned(policy.model, prompt_tokens, REFUTE_TOKENS)] * many
    return found
