"""What a request costs. Pure but for reading the price table that lies beside this module.

Dollars are decimal numbers; the table is in dollars per million tokens. A model that is not in it is *unpriced*: it is never
taken to be free.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

import msgspec

from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import UsageError
from pytest_agentgate.model import Spent
from pytest_agentgate.model.policy import Price

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prices.json")
MILLION = Decimal(1_000_000)


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer, as the API reports them."""

    input_tokens: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output_tokens: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt."""
        return self.input_tokens + self.cache_write_5m + self.cache_write_1h + self.cache_read


@dataclass(frozen=True)
class Planned:
    """A request before it is sent."""

    model: str
    prompt_tokens: int
    """By our own estimate."""
    max_tokens: int
    """Of the answer, thinking included."""
    prefix_tokens: int = 0
    """Tokens of the prompt that may be written to the cache."""


@lru_cache(maxsize=1)
def _table() -> tuple[Price, ...]:
    with open(TABLE, "rb") as stream:
        return tuple(from_json(stream.read(), list[Price]))


def price_of(model: str, own: Sequence[Price] = ()) -> Price | None:
    """The price of a model: the policy's own entry, else the table's, the latest of each; None: unpriced."""
    for table in (own, _table()):
        today = datetime.now(UTC).date().isoformat()
        found = [p for p in table if p.model == model and p.since <= today]
        if found:
            return max(found, key=lambda p: p.since)
    return None


def cost(usage: Usage, price: Price, *, batch: bool = False) -> Decimal:
    """Dollars for one answer."""
    if price.up_to and usage.prompt > price.up_to:
        raise UsageError(f"the price of {price.model} is known up to {price.up_to:,} prompt tokens", hint="add one to review.price")
    parts = (
        (usage.input_tokens, price.input),
        (usage.cache_write_5m, price.write_5m),
        (usage.cache_write_1h, price.write_1h),
        (usage.cache_read, price.read),
        (usage.output_tokens, price.output),
    )
    total = sum((Decimal(n) * p for n, p in parts), Decimal(0)) / MILLION
    return total * price.batch if batch else total


def plain(usage: Usage, price: Price) -> Decimal:
    """Dollars for the same answer without prompt cache and batch."""
    return cost(Usage(input_tokens=usage.prompt, output_tokens=usage.output_tokens), price)


def estimate(
    planned: Iterable[Planned], own: Sequence[Price] = (), *, batch: bool = False
) -> tuple[Decimal, Decimal, Decimal] | None:
    """Dollars low, expected and at most; None where a model is unpriced.

    Low: our estimate of the prompt, a tenth of the answer's limit. Expected: a third of it. Ceiling: the prompt a quarter
    larger, its prefix written to the cache at the highest price, the whole limit used.
    """
    low = expected = ceiling = Decimal(0)
    for request in planned:
        price = price_of(request.model, own)
        if price is None:
            return None
        dear = max(price.input, price.write_5m, price.write_1h)
        factor = price.batch if batch else Decimal(1)
        prompt, most = Decimal(request.prompt_tokens), Decimal(request.max_tokens)
        low += factor * (prompt * price.input + most / 10 * price.output) / MILLION
        expected += factor * (prompt * price.input + most / 3 * price.output) / MILLION
        written = min(Decimal(request.prefix_tokens), prompt)
        ceiling += factor * (Decimal("1.25") * (written * dear + (prompt - written) * price.input) + most * price.output) / MILLION
    return low, expected, ceiling


def spent(
    used: Sequence[tuple[str, Usage, bool]],
    own: Sequence[Price] = (),
    *,
    before: tuple[Decimal, Decimal, Decimal] | None = None,
    lost: Decimal = Decimal(0),
) -> Spent:
    """All answers of a run together, each with its model and whether a batch brought it; `lost`: for answers that never came."""
    prices = [price_of(model, own) for model, _, _ in used]
    known = all(p is not None for p in prices)
    usd = sum((cost(u, p, batch=b) for (_, u, b), p in zip(used, prices, strict=True) if p), lost)
    without = sum((plain(u, p) for (_, u, _), p in zip(used, prices, strict=True) if p), lost)
    return Spent(
        requests=len(used),
        input_tokens=sum(u.input_tokens for _, u, _ in used),
        cache_write_tokens=sum(u.cache_write_5m + u.cache_write_1h for _, u, _ in used),
        cache_read_tokens=sum(u.cache_read for _, u, _ in used),
        output_tokens=sum(u.output_tokens for _, u, _ in used),
        usd=float(round(usd, 6)) if known else None,
        saved_usd=float(round(without - usd, 6)),
        estimated_usd=None
        if before is None
        else (float(round(before[0], 6)), float(round(before[1], 6)), float(round(before[2], 6))),
    )
