"""Batches of reviews: handed in once, waited for, matched by id, resumed; against a loopback API."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from conftest import TEST_CALC, Repo, policy
from fakeapi.server import FakeAPI, Fault
from test_review import BROKEN, CALC, QUOTE, TEST, claim, finder

from pytest_agentgate.cache import Cache
from pytest_agentgate.errors import RefusedError, ToolError, UsageError
from pytest_agentgate.review.backend import Request
from pytest_agentgate.review.batch import Batches, name_of
from pytest_agentgate.review.client import Client
from pytest_agentgate.review.journal import Head, Item, Journal, create, load
from pytest_agentgate.review.ledger import Ledger
from pytest_agentgate.review.till import Factors

pytestmark = pytest.mark.usefixtures("loopback_only")
OWN_CACHE = True  # answers are paid for once
SYSTEM = ({"type": "text", "text": "rules " * 400, "cache_control": {"type": "ephemeral", "ttl": "1h"}},)


@pytest.fixture
def api() -> Iterator[FakeAPI]:
    with FakeAPI() as server:
        yield server


def job(root: Path, count: int = 4) -> Journal:
    shape: dict[str, object] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    requests = [
        Request(model="claude-sonnet-5-5", system=SYSTEM, question=f"question {n}", shape=shape, max_tokens=100)
        for n in range(count)
    ]
    return create(
        str(root),
        Head(reports=(), repository="", run=f"{time.time_ns():032d}"[::-1]),
        [Item(name=name_of(r), request=r) for r in requests],
    )


def engine(api: FakeAPI, journal: Journal, root: Path, **more: Any) -> Batches:
    settings: dict[str, Any] = {"sleep": lambda seconds: None, "most": Decimal("0.50")} | more
    ledger = Ledger(str(root / "ledger.jsonl"))
    return Batches(Client("sk-test", api.url), journal, ledger, prices=(), factors=Factors(Cache("", enabled=False)), **settings)


def test_answers_come_in_any_order_and_cost_half(api: FakeAPI, tmp_path: Path):
    journal = job(tmp_path)
    api.answer = lambda body: json.dumps({"echo": body["messages"][0]["content"]})
    batches = engine(api, journal, tmp_path)
    assert batches.finish() == []
    for name, request in journal.items.items():
        assert json.loads(journal.replies[name].text)["echo"] == request.question
        assert journal.replies[name].batch
    assert len(api.batches) == 1
    assert Decimal(0) < batches.ledger.spent(journal.head.run) < Decimal("0.01"), "settled at the real price"


Rows = list[dict[str, Any]]


def errored(kind: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    error = {"type": "error", "error": {"type": kind, "message": "m"}, "request_id": None}
    return lambda row: {"custom_id": row["custom_id"], "result": {"type": "errored", "error": error}}


def ended(kind: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {"custom_id": row["custom_id"], "result": {"type": kind}}


@pytest.mark.parametrize(
    ("spoil", "handed_in", "good"),
    [
        (errored("overloaded_error"), 3, 3),
        (errored("invalid_request_error"), 1, 3),
        (ended("expired"), 3, 3),
        (ended("canceled"), 3, 3),
    ],
)
def test_only_what_may_come_good_is_sent_again_and_at_most_twice(
    api: FakeAPI, tmp_path: Path, spoil: Any, handed_in: int, good: int
):
    journal = job(tmp_path)
    api.batch_edit = lambda rows: [spoil(rows[0]), *rows[1:]]
    engine(api, journal, tmp_path).finish()
    assert len(api.batches) == handed_in
    assert [len(b["_requests"]) for b in api.batches.values()] == [4, 1, 1][:handed_in]
    assert sum(1 for r in journal.replies.values() if not r.error) == good


def test_what_failed_once_and_then_came_is_an_answer(api: FakeAPI, tmp_path: Path):
    journal, times = job(tmp_path), []

    def once(rows: Rows) -> Rows:
        times.append(len(rows))
        return [ended("expired")(r) for r in rows] if len(times) == 1 else rows

    api.batch_edit = once
    assert engine(api, journal, tmp_path).finish() == []
    assert times == [4, 4]
    assert all(not r.error for r in journal.replies.values())


def test_strangers_doubles_and_gaps_are_named_and_not_believed(api: FakeAPI, tmp_path: Path):
    journal = job(tmp_path)
    first = next(iter(journal.items))

    def edit(rows: Rows) -> Rows:
        stranger = json.loads(json.dumps(rows[0])) | {"custom_id": "u-" + "0" * 24}
        if len(api.batches) > 1:
            return [stranger, *rows]
        double = json.loads(json.dumps(next(r for r in rows if r["custom_id"] == first)))
        double["result"]["message"]["content"] = [{"type": "text", "text": "FORGED"}]
        return [stranger, *(r for r in rows if r["custom_id"] != list(journal.items)[1]), double]

    api.batch_edit = edit
    notes = " ".join(engine(api, journal, tmp_path).finish())
    assert "an unknown result 'u-000000000000000000000000'" in notes
    assert "a second result" in notes
    assert "no result for 1 requests" in notes
    assert journal.replies[first].text != "FORGED"
    assert len(journal.replies) == 4, "the gap was sent again"


def test_broken_results_are_no_answers(api: FakeAPI, tmp_path: Path):
    journal = job(tmp_path)
    api.batch_edit = lambda rows: [*rows[:2], "{broken", *rows[2:]]
    with pytest.raises(RefusedError, match="could not be read"):
        engine(api, journal, tmp_path).finish()
    api.batch_edit = lambda rows: rows
    stored = next(iter(api.batches.values()))
    stored["_rows"] = [r for r in stored["_rows"] if isinstance(r, dict)]
    engine(api, load(str(tmp_path), journal.name), tmp_path).finish()
    assert len(api.batches) == 1, "it is fetched again, not sent again"


@pytest.mark.parametrize("taken", [True, False])
def test_a_lost_answer_is_never_paid_twice(api: FakeAPI, tmp_path: Path, taken: bool):
    journal = job(tmp_path)
    api.script = [Fault(cut=True)] if taken else [Fault(status=503)]
    notes = " ".join(engine(api, journal, tmp_path).finish())
    assert ("the service has it as" if taken else "handed in again") in notes
    assert len(api.batches) == 1
    posts = [p for m, p, _, _ in api.requests if (m, p) == ("POST", "/v1/messages/batches")]
    assert len(posts) == (1 if taken else 2)
    assert len(journal.replies) == 4


def test_two_batches_that_could_be_the_lost_one_are_a_humans_matter(api: FakeAPI, tmp_path: Path):
    journal = job(tmp_path)
    other = job(tmp_path / "other")
    client = Client("sk-test", api.url)
    client.create(list(other.items.items()))
    api.script = [Fault(cut=True)]
    with pytest.raises(ToolError, match="2 batches could be it"):
        engine(api, journal, tmp_path).finish()


def test_a_refused_batch_costs_nothing(api: FakeAPI, tmp_path: Path):
    journal = job(tmp_path)
    api.script = [Fault(status=400)]
    batches = engine(api, journal, tmp_path)
    with pytest.raises(RefusedError, match="400"):
        batches.finish()
    assert batches.ledger.spent(journal.head.run) == 0
    assert batches.finish() == [], "and can be tried again"


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()


def test_a_batch_that_is_stuck_is_left_for_later(api: FakeAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    journal, clock = job(tmp_path), Clock()
    monkeypatch.setattr("pytest_agentgate.review.batch.time", clock)
    api.polls_until_ended = 10**9
    with pytest.raises(ToolError, match="resume"):
        engine(api, journal, tmp_path, sleep=clock.sleep, deadline=600.0).finish()
    assert clock.waits == sorted(clock.waits), "it asks ever more rarely"
    assert (clock.waits[0], clock.waits[-1]) == (2.0, 60.0)
    assert clock.now > 600
    api.polls_until_ended = 1
    engine(api, load(str(tmp_path), journal.name), tmp_path).finish()
    assert len(api.batches) == 1


def test_a_killed_process_leaves_half_a_line_and_loses_nothing(api: FakeAPI, tmp_path: Path):
    journal = job(tmp_path)
    engine(api, journal, tmp_path).finish()
    events = Path(journal.folder, "events.jsonl")
    for cut in (40, 300, 40):
        events.write_bytes(events.read_bytes()[:-cut])
        again = load(str(tmp_path), journal.name)
        engine(api, again, tmp_path).finish()
        assert len(api.batches) == 1
        assert len(again.replies) == 4


def test_a_lost_answer_is_looked_for_patiently(api: FakeAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    journal, waits = job(tmp_path), []
    api.script = [Fault(cut=True)]
    batches = engine(api, journal, tmp_path, sleep=waits.append)
    real, looks = Client.jobs, []

    def late(self: Client, since: float) -> list[Any]:
        looks.append(1)
        return [] if len(looks) < 4 else real(self, since)

    monkeypatch.setattr(Client, "jobs", late)
    batches.finish()
    assert len(api.batches) == 1
    assert len(waits) >= 3


def test_a_service_that_never_takes_the_batch_is_not_asked_forever(api: FakeAPI, tmp_path: Path):
    journal = job(tmp_path)
    api.script = [Fault(status=503)] * 50
    notes = engine(api, journal, tmp_path).finish()
    assert sum(1 for m, p, _, _ in api.requests if (m, p) == ("POST", "/v1/messages/batches")) == 3
    assert "4 requests were never answered" in notes


def test_a_foreign_batch_of_the_same_size_is_not_taken_for_ours(api: FakeAPI, tmp_path: Path):
    other = job(tmp_path / "other")
    shape: dict[str, object] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    foreign = [
        (f"u-{n:024d}", Request(model="claude-sonnet-5-5", system=SYSTEM, question="q", shape=shape, max_tokens=10))
        for n in range(4)
    ]
    Client("sk-test", api.url).create(foreign)
    api.script = [Fault(status=503)]
    notes = " ".join(engine(api, other, tmp_path).finish())
    assert "is not ours" in notes
    assert all(not r.error for r in other.replies.values())
    assert len(other.replies) == 4


def test_a_wrong_key_ends_the_wait_at_once(api: FakeAPI, tmp_path: Path):
    journal = job(tmp_path)
    api.polls_until_ended = 10**9
    with pytest.raises(ToolError):
        engine(api, journal, tmp_path, deadline=0.1).finish()
    batches = engine(api, load(str(tmp_path), journal.name), tmp_path)
    batches.client = Client("wrong", api.url)
    with pytest.raises(RefusedError, match="refused the key"):
        batches.finish()


def test_one_process_works_on_a_job(tmp_path: Path):
    journal = job(tmp_path)
    with journal.alone(), pytest.raises(UsageError, match="another process"), load(str(tmp_path), journal.name).alone():
        pass


def test_more_than_may_be_spent_is_not_handed_in(api: FakeAPI, tmp_path: Path):
    journal = job(tmp_path)
    with pytest.raises(ToolError, match=r"review\.max_usd allows"):
        engine(api, journal, tmp_path, most=Decimal("0.0001")).finish()
    assert api.requests == []


@pytest.fixture
def reports(repo: Repo, tmp_path: Path, shared_cache: Path) -> list[str]:
    """Stored reports of three accepted changes on one base; the first inverts a function."""
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("pytest")}, "base")
    names = []
    for number, text in enumerate((BROKEN, CALC + "\n\nLIMIT = 1\n", CALC + "\n\nLIMIT = 2\n")):
        repo.git("checkout", "-q", "-b", f"topic{number}", "main")
        repo.commit({"calc.py": text}, f"topic {number}")
        names.append(str(tmp_path / f"gate{number}.json"))
        gate = Repo(repo.path, repo.python, shared_cache)
        done = gate.cli("check", "--base", "main", "--head", f"topic{number}", "--report", f"json={names[-1]}")
        assert done.returncode == 0, done.stdout
    return names


def test_the_command_reviews_many_reports_in_one_batch(repo: Repo, api: FakeAPI, reports: list[str]):
    api.answer = finder(lambda h, n: claim(h, n, QUOTE, test=TEST))
    args = ("review", *reports, "--batch", "--batch-from", "2", "--review-url", api.url)
    done = repo.cli(*args, env={"ANTHROPIC_API_KEY": "sk-test"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("review complete") == 3
    assert done.stdout.count("review E4") == 1
    assert [len(b["_requests"]) for b in api.batches.values()] == [2], "one request went first, to warm the cache"
    ids = [r["custom_id"] for b in api.batches.values() for r in b["_requests"]]
    assert all(re.fullmatch(r"u-[0-9a-f]{24}", i) for i in ids)
    assert "saved $" in done.stdout
    api.requests.clear()
    few = repo.cli("review", *reports, "--batch", "--review-url", api.url, env={"ANTHROPIC_API_KEY": "sk-test"})
    assert few.returncode == 0, few.stderr
    assert not any(p.endswith("batches") for _, p, _, _ in api.requests), "three requests are no batch by default"


def test_a_batch_has_no_scout_and_pays_nothing_beside_itself(repo: Repo, api: FakeAPI, tmp_path: Path):
    law = policy("pytest", more='[tool.agentgate.review]\nscout = "claude-haiku-5-5"\nmax_usd = 0.2')
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": law}, "base")
    names = []
    for number in range(2):
        repo.git("checkout", "-q", "-b", f"topic{number}", "main")
        repo.commit({"calc.py": CALC + f"\n\nLIMIT = {number}\n"}, "topic")
        names.append(str(tmp_path / f"gate{number}.json"))
        repo.cli("check", "--base", "main", "--head", f"topic{number}", "--report", f"json={names[-1]}")
    api.answer = finder()
    args = ("review", *names, "--batch", "--batch-from", "1", "--review-url", api.url)
    done = repo.cli(*args, env={"ANTHROPIC_API_KEY": "sk-test"})
    assert done.stdout.count("review complete") == 2, done.stdout + done.stderr
    assert len(api.asked) == 1, "the warm-up alone"


def test_an_interrupted_job_is_finished_later(repo: Repo, api: FakeAPI, reports: list[str]):
    api.answer = finder()
    api.polls_until_ended = 10**9
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "AGENTGATE_"))}
    environment |= {"AGENTGATE_CACHE_DIR": str(repo.cache), "AGENTGATE_PYTHON": repo.python, "ANTHROPIC_API_KEY": "sk-test"}
    argv = [
        sys.executable,
        "-m",
        "pytest_agentgate.cli",
        "review",
        *reports,
        "--batch",
        "--batch-from",
        "1",
        "--review-url",
        api.url,
    ]
    child = subprocess.Popen(
        argv,
        cwd=repo.path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads yet; a shell's background job ignores SIGINT
    )
    end = time.monotonic() + 60
    while not any(b["_polls"] for b in list(api.batches.values())) and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 2, err
    name = re.search(r"agentgate review resume (\w+)", err)
    assert name, err + out
    api.polls_until_ended = 1
    done = repo.cli("review", "resume", name[1], "--review-url", api.url, env={"ANTHROPIC_API_KEY": "sk-test"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("review complete") == 3
    assert len(api.batches) == 1


def test_a_commit_hook_never_batches(repo: Repo):
    done = repo.cli("pre-commit", "--batch")
    assert done.returncode == 4
    assert "unrecognized arguments: --batch" in done.stderr
