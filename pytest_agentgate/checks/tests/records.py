"""What the probe said, held against itself and against how the process ended. Pure.

Contradiction, silence and half a story are errors, never a pass: every collected test needs a record for each phase, the
session a finish record, and the exit code has to follow from the outcomes.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable

import msgspec

from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model.evidence import Outcome
from pytest_agentgate.process import Completed

FLOOD = 500_000_000
"""Bytes of records in one session. A failing phase takes at most about 10 kB."""


class StartError(ToolError):
    """pytest did not get as far as its tests: a `conftest.py` cannot be imported, or the configuration is wrong."""


class BrokenError(ToolError):
    """pytest itself broke; `during` is the test that it was at, if any."""

    def __init__(self, message: str, *, during: str = "") -> None:
        super().__init__(message)
        self.during = during


class Record(msgspec.Struct):
    """One record of the probe; which fields are meant depends on `k`."""

    k: str
    id: str = ""
    ids: list[str] = []
    when: str = ""
    outcome: str = ""
    xfail: bool = False
    sub: bool = False
    duration: float = 0.0
    text: str = ""
    message: str = ""
    path: str = ""
    line: int | None = None
    pytest: str = ""
    python: str = ""
    exit: int | None = None
    files: dict[str, tuple[str, int]] = {}
    origins: dict[str, tuple[str, int]] = {}


class Result(msgspec.Struct):
    """What became of one test, and the heart of its failure."""

    outcome: Outcome
    text: str = ""
    message: str = ""
    path: str = ""
    line: int | None = None
    duration: float = 0.0
    """Seconds of all phases."""


class Run(msgspec.Struct):
    """One complete session of pytest."""

    collected: list[str]
    results: dict[str, Result]
    errors: dict[str, str]
    """Files that could not be collected, with the error's text."""
    files: dict[str, tuple[str, int]]
    """Project modules that were imported: name to file and inode."""
    pytest: str = ""
    exists: list[str] = []
    """Every test that was collected, also where only some of them were to run."""
    told: dict[str, list[str]] = {}
    """Values that blinded tests told, by token."""
    mutants: list[tuple[str, int, str]] = []
    """Test (or nothing), number of the mutant, and ``failed``, ``survived``, ``unreached`` or ``spoiled``."""
    reached: list[tuple[str, str, str]] = []
    """Test (or nothing), kind (``host``, ``process`` or ``file``) and name of what judged code reached for."""

    def outcome(self, node_id: str) -> Outcome:
        """Outcome of a test; `missing` where it did not run."""
        result = self.results.get(node_id)
        return result.outcome if result else "missing"

    def passed(self) -> list[str]:
        """Tests that passed, in their order."""
        return [i for i, r in self.results.items() if r.outcome == "passed"]


class Expected(msgspec.Struct):
    """The base's node ids, and its files that cannot be collected."""

    ids: list[str]
    errors: dict[str, str]
    marked: dict[str, Result] = {}
    """What came of those that their marks skip on the base, or expect to fail."""


class Stream:
    """Puts the pipe's bytes together into records, as they come."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.broken = ""
        self.finished, self.known = 0, 0
        """How many tests have ended so far, and of how many."""
        self._rest, self._total = b"", 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes. A flood of them damages the channel; it does not fill our memory."""
        self._total += len(data)
        if self._total > FLOOD:
            self.broken, self._rest = f"more than {FLOOD // 1_000_000} MB of records", b""
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                record = from_json(line, Record)
            except msgspec.MsgspecError as error:
                self.broken = self.broken or f"an unreadable record: {error}"
                continue
            self.records.append(record)
            self.finished += record.k == "phase" and record.when == "teardown"
            self.known = max(self.known, len(record.ids)) if record.k == "collected" else self.known


def read(stream: Stream, done: Completed) -> Run:
    """The session as one value; raises `ToolError` where it is incomplete or contradicts itself."""
    records = stream.records
    _check_end(records, stream.broken, done)
    collected = list(dict.fromkeys(i for r in records if r.k == "collected" for i in r.ids))
    errors = {r.id: r.text for r in records if r.k == "collect-error"}
    results = _results(records, collected)
    exit_code = next(r.exit for r in reversed(records) if r.k == "finish")
    if exit_code != done.returncode:
        raise ToolError(f"pytest reported exit code {exit_code} and the process ended with {done.returncode}")
    bad = bool(errors) or any(r.outcome in ("failed", "error") for r in results.values())
    expected = {2, 1} if bad else {0} if collected else {5, 0}
    if exit_code not in expected:
        raise ToolError(f"pytest ended with {exit_code}, which does not follow from the outcomes of its tests: {_heart(done)}")
    files = next((r.origins | r.files for r in reversed(records) if r.k == "modules"), {})
    exists = list(dict.fromkeys(i for r in records if r.k in ("exists", "collected") for i in r.ids))
    told: dict[str, list[str]] = {}
    for record in records:
        if record.k == "told":
            told.setdefault(record.id, []).append(record.text)
    mutants = [(r.id, r.line, r.outcome) for r in records if r.k == "mutant" and r.line is not None]
    reached = [(r.id, r.when, r.text) for r in records if r.k == "reached"]
    started = next((r.pytest for r in records if r.k == "start"), "")
    return Run(collected, results, errors, files, started, exists, told, mutants, reached)


def _check_end(records: list[Record], broken: str, done: Completed) -> None:
    if done.timed_out:
        last = next((r.id for r in reversed(records) if r.k == "phase"), "")
        raise ToolError(
            f"pytest took longer than limits.timeout{f', after {last}' if last else ''}",
            hint="raise limits.timeout, or find out what hangs",
        )
    if done.flooded:
        raise ToolError("the tests wrote more than eight times limits.output_bytes and were stopped")
    if broken:
        raise ToolError(f"the probe's channel is damaged: {broken}")
    during = ""
    for record in records:
        if record.k == "phase":
            during = record.id
        if record.k in ("internal-error", "worker-down"):
            words = record.text.strip().splitlines()[-1] if record.text.strip() else record.k
            raise BrokenError(f"pytest broke: {words}", during=during)
    if not records:
        raise ToolError(
            f"pytest could not start (exit code {done.returncode}): {done.error}",
            hint="run the project's tests with its own interpreter to see why; name another with --python",
        )
    if not any(r.k == "finish" for r in records):
        last = next((r.id for r in reversed(records) if r.k == "phase"), "collection")
        raise ToolError(
            f"the test process ended with {done.returncode}{_signal(done)} before pytest had finished, during or after {last}: {_heart(done)}"
        )
    finish = next(r.exit for r in records if r.k == "finish")
    if finish == 4:
        raise StartError(f"pytest could not start: {done.error}", hint="is it the base's configuration? Then mend it there")
    if finish in (3, 6):
        raise ToolError(f"pytest ended with {finish}: {done.error}", hint="its configuration is the base's: mend it there")


def _heart(done: Completed) -> str:
    """One line of what a process said: the first that speaks of an error, else the last; warnings are about something else."""
    said = [line.strip() for line in done.error.splitlines() if line.strip()]
    lines = [s for s in said if s.startswith(("ERROR", "E ")) or not re.search(r"\b\w+Warning: |warnings\.warn\(", s)]
    if said and re.match(r"[\w.]+Warning: ", said[-1]) and any(s.startswith("Traceback") for s in said):
        lines.append(said[-1])  # a warning that was made an error
    told = next(
        (line for line in lines if re.search(r"error|fatal|fail", line, re.IGNORECASE)), lines[-1] if lines else "it said nothing"
    )
    return told[:300]


def _signal(done: Completed) -> str:
    """Name of the signal that ended a process, which a sandbox reports as 128 and its number."""
    number = -done.returncode if done.returncode < 0 else done.returncode - 128
    return next((f" ({s.name})" for s in signal.Signals if s == number), "")


def _results(records: Iterable[Record], collected: list[str]) -> dict[str, Result]:
    phases: dict[str, dict[str, Record]] = {}
    failed_parts: dict[str, Record] = {}
    for record in records:
        if record.k != "phase":
            continue
        if record.sub:
            if record.outcome == "failed":
                failed_parts[record.id] = record
            continue
        phases.setdefault(record.id, {})[record.when] = record
    foreign = set(phases) - set(collected)
    if foreign:
        raise ToolError(f"pytest reported a test that it had not collected: {min(foreign)}")
    results = {}
    for node_id in collected:
        if node_id in phases:
            results[node_id] = _result(node_id, phases[node_id], failed_parts.get(node_id))
    silent = [i for i in collected if i not in results]
    if silent:
        raise ToolError(
            f"{len(silent)} collected tests were never reported, the first is {silent[0]}",
            hint="something stopped the session early",
        )
    return results


def _result(node_id: str, phases: dict[str, Record], part: Record | None) -> Result:
    setup, call, teardown = (phases.get(w) for w in ("setup", "call", "teardown"))
    if setup is None or teardown is None or (call is None and setup.outcome == "passed"):
        raise ToolError(f"the record of {node_id} is incomplete")
    if setup.outcome == "failed":
        return _of("error", setup)
    if teardown.outcome == "failed":
        return _of("error", teardown)
    last = call or setup
    seconds = setup.duration + (call.duration if call else 0.0) + teardown.duration
    if last.outcome == "failed" or part is not None:
        return _of("failed", part if part is not None and last.outcome != "failed" else last)
    if last.outcome == "skipped":
        return _of("xfailed" if last.xfail else "skipped", last)
    return _of("xpassed" if last.xfail else "passed", last, seconds)


def _of(outcome: Outcome, record: Record, seconds: float = 0.0) -> Result:
    return Result(outcome, record.text, record.message, record.path, record.line, seconds)
