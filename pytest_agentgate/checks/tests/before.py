"""What the base says of the patch's own tests that do not pass: what was so before is nothing that the patch introduced."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from concurrent.futures import Future

from pytest_agentgate.checks.tests.classify import Classifier, Verdict, files_of
from pytest_agentgate.checks.tests.records import Result, Run
from pytest_agentgate.checks.tests.session import Ask, Sessions
from pytest_agentgate.checks.tests.work import Work
from pytest_agentgate.errors import ToolError


def on_base(sessions: Sessions, work: Work) -> dict[str, Result]:
    """The base's own outcomes of tests that do not pass in the patch's version and are not judged otherwise.

    Tests of the base, and tests in files that the patch does not touch although the base's configuration never collects them: naming
    such a file runs it.
    """
    if work.own is None:
        return {}
    known, marked, entries = set(work.expected.ids), work.expected.marked, sessions.context.trees.entries("base")
    bad = [i for i, r in work.own.results.items() if r.outcome not in ("passed", "xpassed") and i not in work.verdicts]
    asked = [i for i in bad if i in known or (_file(i) in entries and sessions.context.change.file(_file(i)) is None)]
    if work.suite is not None:  # the base's version of a skipped test ran on the patch's code already
        asked = [i for i in asked if work.own.outcome(i) in ("failed", "error") or i not in known]
    found = {i: marked[i] for i in bad if i in marked}
    return found | Classifier(sessions).on_base([i for i in asked if i not in found])


def flaking(sessions: Sessions, work: Work, old: Mapping[str, Result]) -> dict[str, Verdict]:
    """Tests of files that the patch does not touch, that failed in its own run and pass when they run again there.

    The patch can have broken them (they read a file that it changed), so that all others stay failed.
    """
    change, known = sessions.context.change, set(work.expected.ids)
    failed = {i: r for i, r in work.own.results.items() if r.outcome in ("failed", "error")} if work.own else {}
    asked = [i for i in failed if i in known and i not in work.verdicts and i not in old and change.file(_file(i)) is None]
    if not asked:
        return {}
    try:
        again = sessions.run(Ask("head", files_of(asked), frozenset(asked)), "rerun to classify")
    except ToolError:
        return {}
    return {i: Verdict("flaky", "passed", failed[i]) for i in asked if again.outcome(i) == "passed"}


def not_collected(sessions: Sessions, work: Work) -> dict[str, str]:
    """Files that the patch does not touch and that cannot be collected, on the base either, with the base's error."""
    context = sessions.context
    strange = [
        p
        for p in (work.own.errors if work.own else ())
        if p not in work.expected.errors and p in context.trees.entries("base") and context.change.file(p) is None
    ]
    if not strange:
        return {}
    try:
        return dict(sessions.run(Ask("base", tuple(strange)), "can the base collect them?").errors)
    except ToolError:
        return {}


OWN = "the patch's own tests"
BASE_O = "base+head-tests"
ENDLESS = 20.0
"""Seconds that the patch's tests get on the base's code in any case."""


def without_the_patch(sessions: Sessions, own: tuple[str, ...], mine: Future[Run], began: float) -> Run | None:
    """The patch's own tests on the base's code. They are meant to fail there: that they cannot even run is an answer.

    What they test may never end without the patch; then none of them passes there. One session has ended since they `began`, which says
    how long they take here; where the patch's own took longer, they get that time once more.
    """
    most, limit = max(ENDLESS, 5 * (time.monotonic() - began)), sessions.context.policy.limits.timeout or math.inf
    for _ in range(2):
        started = time.monotonic()
        try:
            return sessions.run(
                Ask(BASE_O, own, background=True, timeout=min(most, limit)), "do the patch's tests notice the patch?"
            )
        except ToolError:
            if time.monotonic() - started < min(most, limit):
                return None
        try:
            passed = mine.result().passed()
        except ToolError:
            return None
        longest = 5 * max((s.duration for s in sessions.steps if s.what == OWN), default=0.0)
        if longest < 1.5 * most:
            break
        most = longest
    return Run(sorted(passed), {i: Result("failed", "did not come to an end without the patch") for i in passed}, {}, {})


LEFT_OUT = "the project's own settings leave the file out here"


def left_out(sessions: Sessions, work: Work) -> dict[str, str]:
    """New files that cannot be collected by name, and that the project does not collect when it is asked for their folder.

    To name a file on pytest's command line overrides `collect_ignore` and the like, by which a project leaves out what needs another
    Python or a package that is not there. A patch that edits these settings is judged for that elsewhere.
    """
    context = sessions.context
    known = {_file(i) for i in work.expected.ids} | set(work.expected.errors)
    changed = [p for p in (work.own.errors if work.own else ()) if p not in known and context.change.file(p)]
    if not changed:
        return {}
    folders = tuple(sorted({p.rpartition("/")[0] or "." for p in changed}))
    try:
        run = sessions.run(Ask("head", folders, frozenset()), "does the project collect them?")
    except ToolError:
        return {}
    seen = {_file(i) for i in run.exists} | set(run.errors)
    return {p: LEFT_OUT for p in changed if p not in seen}


def _file(node_id: str) -> str:
    return node_id.partition("::")[0]
