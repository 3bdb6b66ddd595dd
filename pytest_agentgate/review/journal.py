"""What is known of a batch job, on disk: a job survives its process, and is finished by ``agentgate review resume JOB``.

Lines are only added. Before a batch is handed in, the journal says so; after it, which one it became. Between the two nobody
knows, and the list of the service is asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import UsageError
from pytest_agentgate.review.backend import Reply, Request
from pytest_agentgate.review.ledger import append_line

MAX_TRIES = 3
"""How often one request is sent at most: once, and again twice."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a job is about."""

    reports: tuple[str, ...]
    """Paths of the stored reports."""
    repository: str
    run: str
    """Name of the run in the ledger."""
    factors: dict[str, float] = {}
    """Bytes per token that the requests were packed with, by model: the same packing is made again at the end."""
    secret: str = ""
    """What the canaries were chosen with."""
    max_usd: str = ""
    url: str = ""
    allow_unpriced: bool = False


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a job under the name that the service knows."""

    name: str
    request: Request


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal."""

    kind: str
    """``warm`` (one request is about to be sent alone), ``begin`` (a batch is about to be handed in), ``batch`` (it was),
    ``refused`` (it was not), ``void`` (the service does not have it), ``foreign`` (that batch was not ours), ``reply``, ``done``
    (all of it was fetched)."""
    chunk: int = -1
    names: tuple[str, ...] = ()
    batch: str = ""
    time: float = 0.0
    ticket: str = ""
    reserved: str = ""
    """Dollars."""
    reply: Reply | None = None


@dataclass
class Journal:
    """One job's folder."""

    folder: str
    head: Head
    items: dict[str, Request]
    events: list[Event] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The JOB of ``agentgate review resume JOB``."""
        return os.path.basename(self.folder)

    def add(self, event: Event) -> None:
        """Write one line, safely on disk before this returns."""
        self.events.append(event)
        fd = os.open(os.path.join(self.folder, "events.jsonl"), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            append_line(fd, event)
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else works on this job; raises `UsageError` where somebody does."""
        fd = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"another process works on job {self.name}", hint="wait for it") from None
        else:
            yield
        finally:
            os.close(fd)

    @property
    def replies(self) -> dict[str, Reply]:
        """The answers so far, by name; the first of two counts, and a whole one before one that is none."""
        found: dict[str, Reply] = {}
        for event in self.events:
            if event.kind == "reply" and event.reply is not None and (event.names[0] not in found or found[event.names[0]].error):
                found[event.names[0]] = event.reply
        return found

    def tries(self, name: str) -> int:
        """How often a request was handed in, or may have been."""
        refused = {e.chunk for e in self.events if e.kind == "refused"}
        return sum(1 for e in self.events if e.kind == "begin" and e.chunk not in refused and name in e.names)

    def open_chunks(self) -> Iterator[tuple[Event, str]]:
        """Chunks that were handed in, or may have been, and were not fetched yet; each with its batch id (empty: unknown)."""
        ended = {e.chunk for e in self.events if e.kind in ("done", "void", "refused")}
        foreign = {e.batch for e in self.events if e.kind == "foreign"}
        batches = {e.chunk: e.batch for e in self.events if e.kind == "batch" and e.batch not in foreign}
        yield from ((e, batches.get(e.chunk, "")) for e in self.events if e.kind == "begin" and e.chunk not in ended)

    def waiting(self) -> list[str]:
        """Names that have no answer, are in no open chunk, and may still be sent."""
        flying = {n for e, _ in self.open_chunks() for n in e.names}
        good = {n for n, r in self.replies.items() if not r.error or not r.sent}
        return [n for n in self.items if n not in flying and n not in good and self.tries(n) < MAX_TRIES]


def create(root: str, head: Head, items: Sequence[Item]) -> Journal:
    """A new job's folder."""
    folder = os.path.join(root, "jobs", head.run[:12])
    os.makedirs(folder, mode=0o700)
    for name, data in (
        ("requests.jsonl", b"".join(msgspec.json.encode(i) + b"\n" for i in items)),
        ("job.json", msgspec.json.encode(head)),
    ):
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    return Journal(folder, head, {i.name: i.request for i in items})


def load(root: str, job: str) -> Journal:
    """A job as its folder tells it; raises `UsageError` where there is none."""
    folder = os.path.join(root, "jobs", job)
    try:
        with open(os.path.join(folder, "job.json"), "rb") as stream:
            head = from_json(stream.read(), Head)
        with open(os.path.join(folder, "requests.jsonl"), "rb") as stream:
            items = [from_json(line, Item) for line in stream]
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"there is no job {job!r} in {os.path.join(root, 'jobs')}", hint=str(error)) from error
    journal = Journal(folder, head, {i.name: i.request for i in items})
    try:
        with open(os.path.join(folder, "events.jsonl"), "rb") as stream:
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return journal
    for line in lines:
        try:
            journal.events.append(from_json(line, Event))
        except msgspec.MsgspecError:
            continue  # half a line: the process was killed while it wrote it, before it acted on it
    return journal
