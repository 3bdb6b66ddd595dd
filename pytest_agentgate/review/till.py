"""Asks, and pays: nothing is sent that was not reserved in the ledger before, and every answer is settled after."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

import msgspec

from pytest_agentgate.cache import Cache, digest
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model import Spent
from pytest_agentgate.model.policy import Price
from pytest_agentgate.review.backend import Backend, Reply, Request
from pytest_agentgate.review.ledger import Ledger
from pytest_agentgate.review.money import Planned, Usage, cost, estimate, price_of, spent
from pytest_agentgate.review.schema import parse

T = TypeVar("T")

BYTES_PER_TOKEN = 3.0
"""Of source code, for a model that has not answered yet; current tokenizers need about 30 % more tokens than older ones."""
LEAST = 2.0
"""Bytes per token that are believed at least: one dense change must not take the room from all later ones."""
ATTEMPTS = 3
"""How often a request is sent whose answer was lost; each attempt is reserved and may be charged."""
MOST = 60
"""Requests of one run, whatever they cost."""
SLACK = 60
"""Tokens of a request that are in no text: roles, the schema's name."""


@dataclass(frozen=True)
class Factors:
    """Bytes per token by model, learned from the usage that the API reports."""

    cache: Cache
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Those of a batch job: its requests must come out the same when its answers are read."""

    def of(self, model: str) -> float:
        """Bytes of prompt per token."""
        if model in self.fixed:
            return self.fixed[model]
        stored = self.cache.get(digest("bytes-per-token", model))
        try:
            return min(max(float(stored.decode()), 1.0), 8.0) if stored else BYTES_PER_TOKEN
        except ValueError:
            return BYTES_PER_TOKEN

    def learn(self, model: str, size: int, tokens: int) -> None:
        """Take one answer's usage into account: downwards in larger steps than upwards, because a budget must hold."""
        if tokens > 50 and size > 200:
            seen, known = max(size / tokens, LEAST), self.of(model)
            share = 0.5 if seen < known else 0.1
            self.cache.put(digest("bytes-per-token", model), repr(known * (1 - share) + seen * share).encode())

    def packing(self, model: str, change: str) -> float:
        """The factor with which a change is packed: that of the first time, so that the same change makes the same requests."""
        if model in self.fixed:
            return self.fixed[model]
        key = digest("packing", model, change)
        stored = self.cache.get(key)
        factor = float(stored.decode()) if stored else self.of(model)
        self.cache.put(key, repr(factor).encode())
        return factor

    def tokens(self, request: Request) -> int:
        """Tokens of a prompt, by estimate; the schema of the answer is part of the prompt."""
        shape = len(msgspec.json.encode(request.shape))
        return int((request.size + shape) / self.of(request.model)) + SLACK

    def planned(self, request: Request) -> Planned:
        """A request as the price table sees it."""
        marked = sum(len(str(b["text"]).encode("utf-8", "replace")) for b in request.system) if request.marked else 0
        prefix = int(marked / self.of(request.model)) + SLACK if marked else 0
        return Planned(request.model, self.tokens(request), request.max_tokens, prefix)


@dataclass
class Till:
    """The money of one run. Thread-safe."""

    backend: Backend
    ledger: Ledger
    run: str
    most: Decimal
    prices: Sequence[Price]
    factors: Factors
    used: list[tuple[str, Usage, bool]] = field(default_factory=list)
    lost: Decimal = Decimal(0)
    remembered: int = 0
    """Answers that were had before, and cost nothing now."""
    sent: int = 0
    keeps: bool = True
    """Whether answers of before may be used; not while they are recorded."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, request: Request, good: Callable[[Reply], bool] = lambda reply: True) -> Reply:
        """Reserve, ask, settle. An answer that never came keeps its reservation: the API may have done the work.

        An answer that is whole and `good` is kept: the same question is never paid twice, and a worthless answer is not believed again.
        """
        if (here := self.backend.known(request)) is not None:
            if not here.error:
                self._note(request, here)
            return here
        name = digest("reply", request.key)
        if self.keeps and (stored := self.factors.cache.get(name)) is not None:
            with contextlib.suppress(msgspec.MsgspecError):
                reply = from_json(stored, Reply)
                with self._lock:
                    self.remembered += 1
                return reply
        reply = self._pay(request)
        for _ in range(ATTEMPTS - 1):
            if not (reply.error and reply.sent and not reply.usage.prompt):
                break
            reply = self._pay(request)
        if not reply.trouble and good(reply):
            self.factors.cache.put(name, msgspec.json.encode(reply))
        return reply

    def ask_for(self, request: Request, kind: type[T]) -> tuple[T | None, str]:
        """The answer as a value, or None and why there is none."""
        reply = self.ask(request, lambda r: parse(r.text, kind)[0] is not None)
        return (None, reply.trouble) if reply.trouble else parse(reply.text, kind)

    def _pay(self, request: Request) -> Reply:
        price = price_of(request.model, self.prices)
        known = estimate([self.factors.planned(request)], self.prices)
        reserved, ticket = known[2] if known else Decimal(0), ""
        with self._lock:
            self.sent += 1
            if self.sent > MOST:
                return Reply(error=f"more than {MOST} requests in one run", sent=False)
        if price is not None:
            try:
                ticket = self.ledger.reserve(self.run, request.model, reserved, self.most)
            except ToolError as error:
                return Reply(error=str(error), sent=False)
        reply = self.backend.send(request)
        came = not reply.error or reply.usage.prompt > 0
        if came:
            self._note(request, reply)
        elif reply.sent:
            with self._lock:
                self.lost += reserved
        if ticket and (came or not reply.sent):
            self.ledger.settle(ticket, self.run, cost(reply.usage, price) if price and came else Decimal(0))
        return reply

    def _note(self, request: Request, reply: Reply) -> None:
        """Count an answer's tokens, and learn from them."""
        with self._lock:
            self.used.append((request.model, reply.usage, reply.batch))
        self.factors.learn(request.model, request.size + len(msgspec.json.encode(request.shape)), reply.usage.prompt)

    def spent(self, before: tuple[Decimal, Decimal, Decimal] | None) -> Spent:
        """Everything so far."""
        return spent(self.used, self.prices, before=before, lost=self.lost)
