"""`agentgate review`: a review of changes that were judged before, one by one or as a batch."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from pytest_agentgate.cache import Cache, digest
from pytest_agentgate.errors import Interrupted, UsageError
from pytest_agentgate.model import Policy, Report
from pytest_agentgate.model.policy import ReviewPolicy
from pytest_agentgate.pipeline import Gate, material_again, review_again
from pytest_agentgate.protocols import ReviewOptions
from pytest_agentgate.reporters.terminal import TerminalReporter
from pytest_agentgate.resolve import Source
from pytest_agentgate.review.backend import Prefilled, Request
from pytest_agentgate.review.batch import Batches, name_of
from pytest_agentgate.review.client import URL, Client
from pytest_agentgate.review.journal import Event, Head, Item, Journal, create, load
from pytest_agentgate.review.ledger import Ledger
from pytest_agentgate.review.money import estimate
from pytest_agentgate.review.reviewer import ModelReviewer, secret_of
from pytest_agentgate.review.till import Factors, Till
from pytest_agentgate.review_doors import save_repros
from pytest_agentgate.stored import load as load_report
from pytest_agentgate.workspace import cache_root

Values = Mapping[str, object]
Write = Callable[[Report], None]


@dataclass(frozen=True)
class Desk:
    """What one call of the command works with."""

    values: Values
    given: argparse.Namespace
    gate: Gate
    patch: bytes
    write: Write
    color: bool

    @property
    def root(self) -> str:
        """Where jobs, ledger and cache are."""
        return cache_root(self.gate.cache_folder)

    def source(self, report: Report) -> Source:
        """How to get at a report's change again."""
        change = report.change
        if report.verdict.decision != "accepted":
            raise UsageError(f"the report says {report.verdict.decision}", hint="only an accepted change is reviewed")
        if not report.evidence:
            raise UsageError("the report says that nothing was judged", hint="judge the change first")
        if change.source == "patch" and not self.patch:
            raise UsageError("the report is about a patch file", hint="give it again with --patch")
        return Source(change.source, change.base, head=change.head if change.source == "commit" else "", patch=self.patch)

    def show(self, report: Report) -> int:
        """Print a reviewed report, write what was asked for; its exit code."""
        verbosity = self.given.verbose - self.given.quiet
        sys.stdout.write(TerminalReporter(color=self.color, verbosity=verbosity).render(report))
        self.write(report)
        if self.values.get("save_repros"):
            for made in save_repros(report, str(self.values["save_repros"])):
                print(f"agentgate: a failing test is in {made}", file=sys.stderr)
        return report.verdict.exit_code


def review(desk: Desk) -> int:
    """Review each stored report; the exit code is the worst verdict's."""
    names: list[str] = desk.given.reports
    if names[0] == "resume":
        if len(names) != 2:
            raise UsageError("review resume takes one JOB", hint=f"jobs are in {os.path.join(desk.root, 'jobs')}")
        return _finish(desk, load(desk.root, names[1]))
    reports = [load_report(name) for name in names]
    if desk.given.batch:
        found = _requests(desk, reports)
        if found and len(found.items) >= (desk.given.batch_from or found.batch_from):
            return _finish(desk, _begin(desk, found, [os.path.abspath(n) for n in names]))
    return worst([desk.show(review_again(report, desk.source(report), desk.gate)) for report in reports])


@dataclass(frozen=True)
class _Found:
    """All questions of several reports, each once."""

    items: tuple[Item, ...]
    policy: Policy
    factors: dict[str, float]
    batch_from: int


def _requests(desk: Desk, reports: Sequence[Report]) -> _Found | None:
    """What would be asked about the reports; None where nothing would. They must agree on the policy's review."""
    items: dict[str, Item] = {}
    policies: list[Policy] = []
    factors: dict[str, float] = {}
    for report in reports:
        material, policy = material_again(report, desk.source(report), desk.gate)
        policies.append(policy)
        if policy.review != policies[0].review:
            raise UsageError("the reports' bases ask for different reviews", hint="review them in batches of their own")
        if not factors:
            factors = {policy.review.model: Factors(Cache(desk.root)).of(policy.review.model)}
        plan, why = ModelReviewer(_law(policy), _options(desk), _client(desk), factors=factors, secret=_secret(desk)).plan(material)
        if why:
            print(f"agentgate: {report.change.head[:12]} is not reviewed: {why}", file=sys.stderr)
            continue
        for _, request in plan.requests():
            items.setdefault(name_of(request), Item(name=name_of(request), request=request))
    return _Found(tuple(items.values()), policies[0], factors, policies[0].review.batch_from) if items else None


def _law(policy: Policy) -> ReviewPolicy:
    """The policy's review for a batch: without a scout, whose choice would have to be known before."""
    return msgspec.structs.replace(policy.review, scout="")


def _secret(desk: Desk) -> str:
    return secret_of(Cache(desk.root))


def _options(desk: Desk) -> ReviewOptions:
    return replace(desk.gate.review, wanted=True, cache=Cache(desk.root), ledger=os.path.join(desk.root, "ledger.jsonl"))


def _client(desk: Desk) -> Client:
    key = desk.gate.review.key
    if desk.gate.review.backend != "api":
        raise UsageError("a batch is asked of the API alone", hint="leave out --review-backend, or --batch")
    if not key:
        raise UsageError("a batch needs a key", hint="set ANTHROPIC_API_KEY")
    return Client(key, desk.gate.review.url or URL)


def _begin(desk: Desk, found: _Found, paths: Sequence[str]) -> Journal:
    """Price the whole, refuse what is too dear, and write the job down before anything is sent."""
    factors = Factors(Cache(desk.root), found.factors)
    planned = [factors.planned(i.request) for i in found.items]
    price = estimate(planned, found.policy.review.price, batch=True)
    most = _most(desk, found.policy)
    if price and price[2] > most:
        raise UsageError(
            f"the batch may cost ${price[2]:.2f} (expected ${price[1]:.2f}), and ${most:.2f} is allowed", hint="raise --max-usd"
        )
    run = digest("job", *(i.name for i in found.items), str(os.getpid()), str(os.times().elapsed))[:32]
    head = Head(
        reports=tuple(paths),
        repository=os.path.abspath(desk.gate.directory),
        run=run,
        factors=found.factors,
        secret=_secret(desk),
        max_usd=desk.gate.review.max_usd,
        url=desk.gate.review.url,
        allow_unpriced=desk.gate.review.allow_unpriced,
    )
    journal = create(desk.root, head, found.items)
    print(
        f"agentgate: job {journal.name}, {len(found.items)} requests; if this stops: agentgate review resume {journal.name}",
        flush=True,
    )
    return journal


def _most(desk: Desk, policy: Policy) -> Decimal:
    return Decimal(desk.gate.review.max_usd) if desk.gate.review.max_usd else policy.review.max_usd


def _finish(desk: Desk, journal: Journal) -> int:
    """Bring a job to its end, then review each report with its answers; one process at a time."""
    head, own = journal.head, desk.gate.review
    begun = replace(
        own, max_usd=own.max_usd or head.max_usd, url=own.url or head.url, allow_unpriced=own.allow_unpriced or head.allow_unpriced
    )
    desk = replace(desk, gate=replace(desk.gate, directory=head.repository, review=begun))
    with journal.alone():
        return _bring_home(desk, journal, [load_report(path) for path in head.reports])


def _bring_home(desk: Desk, journal: Journal, reports: Sequence[Report]) -> int:
    _, policy = material_again(reports[0], desk.source(reports[0]), desk.gate)
    ledger, client = Ledger(os.path.join(desk.root, "ledger.jsonl")), _client(desk)
    factors, most = Factors(Cache(desk.root), journal.head.factors), _most(desk, policy)
    _warm_up(journal, Till(client, ledger, journal.head.run, most, policy.review.price, factors))
    batches = Batches(client, journal, ledger, policy.review.price, factors, most, deadline=desk.given.deadline)
    with _bar(len(journal.items)) as batches.progress:
        try:
            notes = batches.finish()
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; the batch goes on: agentgate review resume {journal.name}") from None
    for note in notes:
        print(f"agentgate: {note}", file=sys.stderr)
    backend = Prefilled(client, {journal.items[name].key: reply for name, reply in journal.replies.items()})
    law, options, head = _law(policy), _options(desk), journal.head
    codes = []
    for report in reports:
        reviewer = ModelReviewer(law, options, backend, head.run, head.factors, head.secret, paid=True)
        codes.append(desk.show(review_again(report, desk.source(report), replace(desk.gate, review=options), reviewer)))
    return worst(codes)


def _warm_up(journal: Journal, till: Till) -> None:
    """One request of each prefix that several share goes first and alone, so that the batch reads the prefix from the cache."""
    groups: dict[str, list[tuple[str, Request]]] = {}
    for name, request in journal.items.items():
        groups.setdefault(request.prefix, []).append((name, request))
    tried = {n for e in journal.events if e.kind == "warm" for n in e.names}
    for group in groups.values():
        name, request = group[0]
        if len(group) < 2 or any(n in journal.replies or n in tried or journal.tries(n) for n, _ in group):
            continue
        journal.add(Event(kind="warm", names=(name,)))
        reply = till.ask(request)
        if not reply.error:
            journal.add(Event(kind="reply", names=(name,), reply=reply))


def worst(codes: Sequence[int]) -> int:
    """Of several verdicts' exit codes the one that counts: rejected, then undecided, then accepted."""
    return next((c for c in (1, 3) if c in codes), 0)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, else nothing; told how many answers are here."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("batch", total=total)
        yield lambda done, total: progress.update(task, completed=done)
