"""The `pytest` check: the base's tests judge the head's code, and the patch's own tests have to pass and to notice it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from pytest_agentgate.checks.tests.classify import HEAD_O, Classifier, Verdict
from pytest_agentgate.checks.tests.judge import RULES, Judge
from pytest_agentgate.checks.tests.records import Result, Run
from pytest_agentgate.checks.tests.session import CONFIG_FILES, Ask, Sessions, test_files, testpaths
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import is_test
from pytest_agentgate.model import Evidence, Finding
from pytest_agentgate.model.evidence import TestOutcome
from pytest_agentgate.protocols import Context

BASE_O = "base+head-tests"


class Expected(msgspec.Struct):
    """The base's node ids, and its files that cannot be collected."""

    ids: list[str]
    errors: dict[str, str]


@dataclass
class _Work:
    """What the sessions found."""

    expected: Expected = field(default_factory=lambda: Expected([], {}))
    suite: Run | None = None
    own: Run | None = None
    before: Run | None = None
    """The patch's own tests on the base's code."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)


class Tests:
    """The `pytest` check (see DESIGN "Where the patch is judged")."""

    __test__ = False
    name, barrier, fast, rules = "pytest", False, False, RULES

    def depends_on(self, context: Context) -> Sequence[object] | None:
        """All trees and the project's environment."""
        keys = [context.trees.key(r) for r in ("base", "head", HEAD_O, BASE_O)]
        return [*keys, context.interpreter.fingerprint]

    def examine(self, context: Context) -> Evidence:
        """Run what has to be run, and judge it."""
        product = context.trees.key(HEAD_O) != context.trees.key("base")
        own = own_arguments(context)
        if not product and not own:
            return Evidence(
                check=self.name, status="skipped", leave=True, reason="neither the product's code nor a test was changed"
            )
        sessions = Sessions(context)
        work = _run(sessions, own, product)
        if nothing := _nothing_ran(work, context):
            return Evidence(check=self.name, status="skipped", reason=nothing)
        if work.suite is not None:
            bad = {
                i: work.suite.results.get(i, Result("missing", work.suite.errors.get(i.partition("::")[0], "")))
                for i in work.expected.ids
                if work.suite.outcome(i) != "passed"
            }
            work.verdicts = Classifier(sessions).classify(bad, work.own)
        judge = Judge(context, work.expected.ids, work.suite, work.own, work.before, work.verdicts)
        findings = [
            *judge.regressions(),
            *judge.own_tests(Classifier(sessions)),
            *judge.removed(own),
            *judge.required(),
            *judge.new_tests(),
        ]
        return _evidence(findings, judge.outcomes(), work, context)


def own_arguments(context: Context) -> tuple[str, ...]:
    """What to run of the patch's own tests: the test files that it adds or edits.

    For another file of the tests (a `conftest.py`, a fixture, a data file): everything in that file's folder.
    """
    head = context.trees.entries("head").keys()
    collected = testpaths(context.trees.read_many("head", CONFIG_FILES))

    def ours(path: str) -> bool:
        return is_test(path, context.policy) and (not collected or any(path == p or path.startswith(f"{p}/") for p in collected))

    changed = [f.path for f in context.change.files if f.new and not f.odd and ours(f.path)]
    tests = set(test_files(changed))
    for path in changed:
        if path not in tests:
            folder = path.rpartition("/")[0]
            tests |= set(test_files([p for p in head if p.startswith(f"{folder}/" if folder else "") and ours(p)]))
    return tuple(sorted(tests))


def _run(sessions: Sessions, own: tuple[str, ...], product: bool) -> _Work:
    """The sessions that every judgement needs, the base's collection beside the head's suite."""
    work = _Work()
    with ThreadPoolExecutor(2) as pool:
        suite = pool.submit(sessions.run, Ask(HEAD_O), "the base's tests on the patch's code") if product else None
        expected = pool.submit(_expected, sessions)
        mine = pool.submit(sessions.run, Ask("head", own), "the patch's own tests") if own else None
        before = pool.submit(_before, sessions, own) if own and product else None
        work.suite = suite.result() if suite else None
        work.expected = expected.result()
        work.own = mine.result() if mine else None
        work.before = before.result() if before else None
    return work


def _expected(sessions: Sessions) -> Expected:
    """Node ids of the base, from a process that never saw the head; remembered by base."""
    context = sessions.context

    def make() -> Expected:
        run = sessions.run(Ask("base", collect_only=True))
        return Expected(run.collected, run.errors)

    parts = ("collect", context.trees.key("base"), context.interpreter.fingerprint, context.policy.tests.args)
    return context.remember(parts, make, Expected)


def _before(sessions: Sessions, own: tuple[str, ...]) -> Run | None:
    """The patch's own tests on the base's code. They are meant to fail there: that they cannot even run is an answer."""
    try:
        return sessions.run(Ask(BASE_O, own), "do the patch's tests notice the patch?")
    except ToolError:
        return None


def _nothing_ran(work: _Work, context: Context) -> str:
    """Why zero tests ran, which is never a pass; raises `ToolError` where they could not even be imported."""
    ran = [r for run in (work.suite, work.own) if run for r in run.results.values()]
    if any(r.outcome != "skipped" for r in ran) or (work.expected.ids and work.suite is not None):
        return ""
    errors = [text for run in (work.suite, work.own) if run for text in run.errors.values()] or list(work.expected.errors.values())
    if work.own is not None and work.own.errors and (work.expected.ids or not work.expected.errors):
        return ""
    if errors:
        last = [line for line in errors[0].strip().splitlines() if line.strip()][-1:] or ["no message"]
        raise ToolError(
            f"pytest could not import the tests: {last[0].strip()}",
            hint=f"are the project's test dependencies installed for {context.interpreter.executable}?",
        )
    return 'no test was run, and nothing run is not a pass (add a test, or set may_skip = ["pytest"])'


def _evidence(findings: Sequence[Finding], outcomes: Sequence[TestOutcome], work: _Work, context: Context) -> Evidence:
    runs = [r for r in (work.suite, work.own) if r]
    passed = {i for r in runs for i, result in r.results.items() if result.outcome == "passed"}
    counts = Counter(o.transition for o in outcomes)
    return Evidence.of(
        "pytest",
        tuple(findings),
        len(passed) or len({i for r in runs for i in r.results}),
        tests=dict(sorted(counts.items())),
        outcomes=tuple(o for o in outcomes if o.transition != "pass-to-pass"),
        tool_version=f"pytest {runs[0].pytest}",
        sandbox=context.trees.sandbox.kind,
        complete_channel=True,
    )
