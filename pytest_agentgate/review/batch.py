"""Many requests at half the price: handed in as batches, waited for, fetched; every answer matched by its id.

A batch is handed in once: the service takes no idempotency key, and a lost answer plus a retry would be paid twice. Where the
answer was lost, the service's own list says whether it has the batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from pytest_agentgate.errors import LostError, RefusedError, ToolError
from pytest_agentgate.model.policy import Price
from pytest_agentgate.review.backend import Request
from pytest_agentgate.review.client import Client, Job
from pytest_agentgate.review.journal import Event, Journal
from pytest_agentgate.review.ledger import Ledger
from pytest_agentgate.review.money import cost, estimate, price_of
from pytest_agentgate.review.till import Factors

MAX_REQUESTS = 90_000
MAX_BYTES = 240_000_000
"""The service allows 100,000 requests and 256 MB."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
DEADLINE = 24 * 3600.0
EMPTY_LISTS = 6
"""Looks at the service's list, ever longer apart, before a batch whose answer was lost is taken for not handed in."""
FETCHES = 3
"""Tries to read a batch's results; they are kept for weeks, and the job can be resumed."""
CLOCKS = 300.0
"""Seconds by which the service's clock may differ from ours."""


def name_of(request: Request) -> str:
    """Id of a request for the service, which allows letters, digits, ``_`` and ``-`` up to 64: no file name fits."""
    return f"u-{request.key[:24]}"


def chunks(
    items: Sequence[tuple[str, Request]], most: int = MAX_REQUESTS, size: int = MAX_BYTES
) -> Iterator[list[tuple[str, Request]]]:
    """The requests in batches that the service takes, by the bytes that are really sent."""
    group: list[tuple[str, Request]] = []
    used = 0
    for name, request in items:
        bytes_sent = len(msgspec.json.encode({"custom_id": name, "params": request.body()})) + 2
        if group and (len(group) >= most or used + bytes_sent > size):
            yield group
            group, used = [], 0
        group.append((name, request))
        used += bytes_sent
    if group:
        yield group


@dataclass
class Batches:
    """Brings one job to its end. `sleep` waits; `progress` is told (answers, requests)."""

    client: Client
    journal: Journal
    ledger: Ledger
    prices: Sequence[Price]
    factors: Factors
    most: Decimal
    sleep: Callable[[float], None] = time.sleep
    progress: Callable[[int, int], None] = lambda done, total: None
    deadline: float = DEADLINE
    looked: dict[int, int] = field(default_factory=dict)

    def finish(self) -> list[str]:
        """Hand in, wait, fetch, send again what may be; returns notes. Raises `ToolError` after the deadline."""
        notes: list[str] = []
        end, wait = time.monotonic() + self.deadline, FIRST_WAIT
        while True:
            for group in chunks([(n, self.journal.items[n]) for n in self.journal.waiting()]):
                self._hand_in(group)
            flying = list(self.journal.open_chunks())
            if not flying:
                return [*notes, *self._missing()]
            moved = [self._look(event, batch, notes) for event, batch in flying]
            self.progress(len(self.journal.replies), len(self.journal.items))
            if any(moved):
                wait = FIRST_WAIT
                continue
            if time.monotonic() > end:
                raise ToolError("the batch is not done yet", hint=f"later: agentgate review resume {self.journal.name}")
            self.sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT)

    def _hand_in(self, group: Sequence[tuple[str, Request]]) -> None:
        planned = [self.factors.planned(r) for _, r in group]
        price = estimate(planned, self.prices, batch=True)
        run = self.journal.head.run
        ticket = self.ledger.reserve(run, group[0][1].model, price[2], self.most) if price else ""
        chunk = 1 + max((e.chunk for e in self.journal.events), default=-1)
        begun = Event(
            kind="begin",
            chunk=chunk,
            names=tuple(n for n, _ in group),
            time=time.time(),
            ticket=ticket,
            reserved=str(price[2] if price else 0),
        )
        self.journal.add(begun)
        try:
            job = self.client.create(group)
        except RefusedError:
            self._void(begun, "refused")
            raise
        except LostError:
            return  # `_look` asks the service's list
        self.journal.add(Event(kind="batch", chunk=chunk, batch=job.id))

    def _void(self, begun: Event, kind: str) -> None:
        self.journal.add(Event(kind=kind, chunk=begun.chunk))
        if begun.ticket:
            self.ledger.settle(begun.ticket, self.journal.head.run, Decimal(0))

    def _look(self, begun: Event, batch: str, notes: list[str]) -> bool:
        """One look at one batch; whether anything came of it."""
        if not batch:
            return self._recover(begun, notes)
        try:
            ended = self.client.job(batch).status == "ended"
        except RefusedError as error:
            if error.final:
                raise
            return False  # asked again after a while, until the deadline
        if not ended:
            return False
        for left in reversed(range(FETCHES)):
            try:
                self._fetch(begun, batch, notes)
                break
            except RefusedError:
                if not left:
                    raise
                self.sleep(FIRST_WAIT)
        return True

    def _recover(self, begun: Event, notes: list[str]) -> bool:
        """Whether the service has the batch whose answer was lost: one that is as large, as new, and not known otherwise."""
        try:
            jobs = self.client.jobs(begun.time - CLOCKS)
        except RefusedError as error:
            if error.final:
                raise
            return False
        known = {e.batch for e in self.journal.events if e.kind in ("batch", "foreign")}
        fitting = [j for j in jobs if j.id not in known and _fits(j, begun)]
        if len(fitting) == 1:
            notes.append(f"the answer to a batch was lost; the service has it as {fitting[0].id}")
            self.journal.add(Event(kind="batch", chunk=begun.chunk, batch=fitting[0].id))
        elif not fitting:
            self.looked[begun.chunk] = self.looked.get(begun.chunk, 0) + 1
            if self.looked[begun.chunk] < EMPTY_LISTS:
                return False
            notes.append("the answer to a batch was lost, and the service does not have it: it is handed in again")
            self._void(begun, "void")
        else:
            raise ToolError(
                f"the answer to a batch was lost, and {len(fitting)} batches could be it",
                hint="look at the list of batches in the console",
            )
        return True

    def _fetch(self, begun: Event, batch: str, notes: list[str]) -> None:
        """Every result of a batch, in whatever order; strangers and doubles are named and not believed."""
        wanted, seen = set(begun.names), set()
        paid, strangers = Decimal(0), 0
        for name, reply, again in self.client.results(batch):
            if name not in wanted or name in seen:
                strangers += name not in wanted
                notes.append(
                    f"{batch} brought {'a second' if name in seen else 'an unknown'} result {name[:70]!r}, which is ignored"
                )
                continue
            seen.add(name)
            price = price_of(self.journal.items[name].model, self.prices)
            paid += cost(reply.usage, price, batch=True) if price else Decimal(0)
            kept = (
                msgspec.structs.replace(reply, batch=True, sent=again)
                if reply.error
                else msgspec.structs.replace(reply, batch=True)
            )
            self.journal.add(Event(kind="reply", names=(name,), reply=kept))
        if not seen and strangers:
            notes.append(f"{batch} is not ours: it brought none of our requests")
            self.journal.add(Event(kind="foreign", batch=batch))
            return
        if missing := len(wanted) - len(seen):
            notes.append(f"{batch} brought no result for {missing} requests")
            paid += Decimal(begun.reserved or 0) * missing / len(wanted)  # they may have been done, and charged
        if begun.ticket:
            self.ledger.settle(begun.ticket, self.journal.head.run, paid)
        self.journal.add(Event(kind="done", chunk=begun.chunk))

    def _missing(self) -> list[str]:
        missing = [n for n in self.journal.items if n not in self.journal.replies]
        return [f"{len(missing)} requests were never answered"] if missing else []


def _fits(job: Job, begun: Event) -> bool:
    return sum(job.counts.values()) == len(begun.names) and job.made >= begun.time - CLOCKS
