"""What the sessions of the check found, and whether it proves anything."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_agentgate.checks.tests.antitests import AntiTests
from pytest_agentgate.checks.tests.classify import Verdict
from pytest_agentgate.checks.tests.records import Expected, Result, Run
from pytest_agentgate.errors import ToolError
from pytest_agentgate.protocols import Context


@dataclass
class Work:
    """What the sessions found."""

    expected: Expected = field(default_factory=lambda: Expected([], {}))
    suite: Run | None = None
    own: Run | None = None
    before: Run | None = None
    """The patch's own tests on the base's code."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    turned: AntiTests | None = None
    """Anti-tests of the base's suite on the patch's code."""
    own_turned: AntiTests | None = None
    lonely: list[str] = field(default_factory=list)
    """Own tests that fail in their file alone, as the base's do, and pass in the whole suite."""
    own_error: str = ""
    """Why the patch's own tests could not be run, although the base's could."""


def same_world(work: Work, context: Context) -> None:
    """Raise `ToolError` where tests fail for want of a module in the gate's own environment, which is not the project's."""
    if context.interpreter.prefix != sys.prefix:
        return
    known = {p.split("/")[0].removesuffix(".py") for p in context.trees.entries("base")}
    for verdict in work.verdicts.values():
        missing = re.search(r"No module named '([\w.]+)'", verdict.result.text) if verdict.base != "passed" else None
        if missing and missing[1].partition(".")[0] not in known:
            raise ToolError(
                f"the tests need {missing[1]}, which the gate's own interpreter {context.interpreter.executable} does not have",
                hint="install the project and what its tests need into .venv, or name its interpreter with --python",
            )


def nothing_ran(work: Work, context: Context) -> str:
    """Why zero tests ran, which is never a pass; raises `ToolError` where they could not even be imported or none passes."""
    runs = [r for r in (work.suite, work.own) if r]
    ran = [r for run in runs for r in run.results.values()]
    failing = [r for r in ran if r.outcome in ("failed", "error")]
    if any(r.outcome in ("passed", "xpassed", "xfailed") for r in ran):
        return ""
    if work.suite is not None and work.expected.ids and not failing:
        return ""  # all are skipped or missing: the classifier asks the base
    if work.suite is None and (failing or (work.own and work.own.errors and (work.expected.ids or not work.expected.errors))):
        return ""  # the patch's own tests fail: the judge says so
    errors = [text for run in runs for text in run.errors.values()] or list(work.expected.errors.values())
    if errors and not failing:
        last = [line for line in errors[0].strip().splitlines() if line.strip()][-1:] or ["no message"]
        raise ToolError(
            f"pytest could not import the tests: {last[0].strip()}",
            hint=f"are the project's test dependencies installed for {context.interpreter.executable}?",
        )
    if failing:
        return _none_passes(work, failing)
    return 'no test was run, and nothing run is not a pass (add a test, name the files of tests in tests.args, or set may_skip = ["pytest"])'


def proves_anything(work: Work) -> bool:
    """Whether any test passed, or any failure is new: else the suite says nothing about the patch."""
    passed = any(r.outcome == "passed" for run in (work.suite, work.own) if run for r in run.results.values())
    old = ("pre-existing", "environment", "known-flaky")
    return passed or any(v.classification not in old for v in work.verdicts.values()) or not work.expected.ids


def _none_passes(work: Work, failing: Sequence[Result]) -> str:
    """Every test fails on the patch's code: a broken machine or a broken patch. The classifier asks the base which."""
    if work.expected.errors:
        heart = (failing[0].message or failing[0].text)[-200:]
        raise ToolError(f"not one test passed, the first says: {heart}", hint="does the suite run here at the base?")
    return ""


def not_passed(suite: Run, expected: Expected) -> dict[str, Result]:
    """Tests of the base that did not come back passed.

    Ids that are made anew in each run (a random parameter) are forgiven where as many new ids of the same test passed.
    """
    bad = {
        i: suite.results.get(i, Result("missing", suite.errors.get(i.partition("::")[0], "")))
        for i in expected.ids
        if suite.outcome(i) != "passed"
    }
    known = set(expected.ids)
    fresh = Counter(i.partition("[")[0] for i, r in suite.results.items() if i not in known and r.outcome == "passed" and "[" in i)
    for node_id in [i for i, r in bad.items() if r.outcome == "missing" and "[" in i]:
        name = node_id.partition("[")[0]
        if fresh[name]:
            fresh[name] -= 1
            del bad[node_id]
    return bad


def as_marked(bad: dict[str, Result], expected: Expected) -> list[str]:
    """Tests that come back skipped, or failed as expected, just as on the base."""
    before = {i: r.outcome for i, r in expected.marked.items() if r.outcome in ("skipped", "xfailed", "xpassed")}
    return [i for i, r in bad.items() if before.get(i) == r.outcome]
