"""What reviews have cost on this machine: one line for each reservation, one for what came of it.

A reservation is written before a request is sent and settled with the real price afterwards. One that was never settled
(a crash, a lost answer) counts as spent: the API may well have done the work. Lines are only ever added, under a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import ToolError


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the file."""

    id: str
    run: str
    time: float
    model: str = ""
    reserved: Decimal | None = None
    settled: Decimal | None = None


@dataclass(frozen=True)
class Ledger:
    """One file; every run of every repository of this user writes to it."""

    path: str

    def reserve(self, run: str, model: str, amount: Decimal, most: Decimal) -> str:
        """Reserve an amount for one request; raises `ToolError` where the run would then have spent more than `most`."""
        name = uuid.uuid4().hex
        with self._locked() as file:
            spent = _spent(_lines(file), run)
            if spent + amount > most:
                raise ToolError(
                    f"the review may cost ${spent + amount:.2f}, and review.max_usd allows ${most:.2f}",
                    hint="raise review.max_usd, or review less",
                )
            append_line(file, Line(id=name, run=run, time=time.time(), model=model, reserved=amount))
        return name

    def settle(self, name: str, run: str, amount: Decimal) -> None:
        """Replace a reservation by the real price."""
        with self._locked() as file:
            append_line(file, Line(id=name, run=run, time=time.time(), settled=amount))

    def spent(self, run: str = "", since: float = 0.0) -> Decimal:
        """Dollars of one run, or of all, since a moment; unsettled reservations count."""
        with self._locked() as file:
            return _spent([line for line in _lines(file) if line.time >= since], run)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """The open file, alone."""
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ToolError(
                f"the ledger {self.path} cannot be written: {error.strerror}", hint="nothing is spent that cannot be counted"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)


def _lines(fd: int) -> Iterator[Line]:
    os.lseek(fd, 0, os.SEEK_SET)
    with os.fdopen(os.dup(fd), "rb") as stream:
        for raw in stream:
            try:
                yield from_json(raw, Line)
            except msgspec.MsgspecError:
                continue  # half a line of a run that was killed: its request was not sent yet


def append_line(fd: int, value: object) -> None:
    """Add one JSON line to a file, safely on disk before this returns; after half a line that a killed process left, a new one."""
    size = os.lseek(fd, 0, os.SEEK_END)
    whole = size == 0 or os.pread(fd, 1, size - 1) == b"\n"
    os.write(fd, (b"" if whole else b"\n") + msgspec.json.encode(value) + b"\n")
    os.fsync(fd)


def _spent(lines: Iterator[Line] | list[Line], run: str) -> Decimal:
    amounts: dict[str, Decimal] = {}
    for line in lines:
        if run and line.run != run:
            continue
        if line.settled is not None:
            amounts[line.id] = line.settled
        elif line.reserved is not None:
            amounts.setdefault(line.id, line.reserved)
    return sum(amounts.values(), Decimal(0))
