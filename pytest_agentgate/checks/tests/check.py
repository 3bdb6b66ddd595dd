"""The `pytest` check: the base's tests judge the head's code, and the patch's own tests have to pass and to notice it."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pytest_agentgate.checks.tests.antitests import run_anti_tests
from pytest_agentgate.checks.tests.before import BASE_O, OWN, flaking, left_out, not_collected, on_base, without_the_patch
from pytest_agentgate.checks.tests.classify import HEAD_O, Classifier, Verdict
from pytest_agentgate.checks.tests.helped import RULE as HELPED
from pytest_agentgate.checks.tests.helped import helped
from pytest_agentgate.checks.tests.indifferent import ELSEWHERE, indifferent, replacing
from pytest_agentgate.checks.tests.judge import Judge
from pytest_agentgate.checks.tests.noticing import edited_tests, helpers_changed
from pytest_agentgate.checks.tests.own import own_arguments
from pytest_agentgate.checks.tests.projects import joined, merged
from pytest_agentgate.checks.tests.ratchet import touched_tests, weaker
from pytest_agentgate.checks.tests.reaching import RULE as REACHES
from pytest_agentgate.checks.tests.reaching import reaching
from pytest_agentgate.checks.tests.records import Expected, Run, StartError
from pytest_agentgate.checks.tests.rules import NEW, PAGES, RULES
from pytest_agentgate.checks.tests.session import Ask, Sessions
from pytest_agentgate.checks.tests.transitions import outcomes
from pytest_agentgate.checks.tests.unreached import empty_tables, idle, unreached
from pytest_agentgate.checks.tests.work import Work, as_marked, not_passed, nothing_ran, proves_anything, same_world
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model import Evidence, Finding
from pytest_agentgate.model.evidence import Assurance, TestOutcome
from pytest_agentgate.protocols import Context


class Tests:
    """The `pytest` check (see DESIGN "Where the patch is judged")."""

    __test__ = False
    name, barrier, fast, rules, pages = "pytest", False, False, RULES, PAGES

    def depends_on(self, context: Context) -> Sequence[object] | None:
        """All trees and the project's environment."""
        keys = [context.trees.key(r) for r in ("base", "head", HEAD_O, BASE_O)]
        return [*keys, context.interpreter.fingerprint]

    def examine(self, context: Context) -> Evidence:
        """Run what has to be run, and judge it."""
        product = context.trees.key(HEAD_O) != context.trees.key("base")
        own = own_arguments(context)
        whole = own is None
        if not product and not whole and not own:
            return Evidence(
                check=self.name, status="skipped", leave=True, reason="nothing was changed that code or tests could depend on"
            )
        sessions = Sessions(context)
        work = _run(sessions, own or (), whole=whole, product=product)
        if own and work.own is not None:
            _in_company(sessions, work, own)
        if nothing := nothing_ran(work, context):
            return Evidence(check=self.name, status="skipped", reason=nothing)
        if work.suite is not None:
            bad = not_passed(work.suite, work.expected)
            alike = {i: Verdict("unchanged", bad[i].outcome, bad.pop(i)) for i in as_marked(bad, work.expected)}
            work.verdicts = Classifier(sessions).classify(bad, work.own) | alike
            same_world(work, context)
            if not proves_anything(work):
                raise ToolError("not one test passes, on the base either", hint="does the suite run here at all?")
        errors = work.expected.errors | not_collected(sessions, work) | left_out(sessions, work)
        old = on_base(sessions, work)
        work.verdicts |= flaking(sessions, work, {i: r for i, r in old.items() if r.outcome != "passed"})
        judge = Judge(context, work.expected.ids, work.suite, work.own, work.before, work.verdicts, errors, old)
        findings = [
            *judge.regressions(),
            *judge.strangers(),
            *judge.edited_examples(),
            *judge.unproven(work.own_error),
            *judge.own_tests(),
            *judge.lonely(work.lonely),
            *judge.rewritten(_rewritten(context, work)),
            *(judge.removed(own or ()) if own or whole else ()),
            *judge.required(),
            *judge.new_tests(),
            *judge.told(REACHES, "hold", reaching(sessions, work)),
        ]
        findings += _runs_that_must_fail(sessions, work, judge, findings, own)
        return _evidence(findings, outcomes(judge), work, sessions)


def _in_company(sessions: Sessions, work: Work, own: tuple[str, ...]) -> None:
    """Where the patch's own tests fail in their files alone, and the base's tests of those files do so too: run all of them.

    Such a file needs what another one imports or registers; that is nothing that the patch introduced. Where the base passes
    by itself the failure is the patch's, and nothing more is run.
    """
    alone = work.own
    files = tuple(f for f in own if f in sessions.context.trees.entries("base"))
    failing = [i for i, r in alone.results.items() if r.outcome in ("failed", "error")] if alone else []
    if not failing or not files:
        return
    known = set(work.expected.ids)
    try:
        before = sessions.run(Ask("base", files), "the base's tests of the same files alone")
        lonely = {i for i, r in before.results.items() if r.outcome in ("failed", "error") and i in known}
        if lonely - set(_known_bad(work)):
            work.own = sessions.run(Ask("head"), "all tests of the patch, because those of its files need others")
            work.lonely = [i for i in failing if work.own.outcome(i) == "passed"]
    except ToolError:
        return  # what failed in its files alone stays as it is


def _known_bad(work: Work) -> list[str]:
    """Tests that do not pass in the whole suite either."""
    return [i for i, r in work.suite.results.items() if r.outcome != "passed"] if work.suite else []


def _rewritten(context: Context, work: Work) -> set[str]:
    """Tests of the base of which the patch edited the text, or what belongs to the tests around them."""
    old = [i for i, v in work.verdicts.items() if v.classification in ("pre-existing", "environment")]
    return set(old) if old and helpers_changed(context) else edited_tests(context, old, armed=False) if old else set()


def _runs_that_must_fail(
    sessions: Sessions, work: Work, judge: Judge, findings: Sequence[Finding], own: tuple[str, ...] | None
) -> list[Finding]:
    """Turned tests and wrong code, where all else is well and the policy asks for them; a rejected patch is not worth their time."""
    if any(f.counts and f.effect == "reject" for f in findings) or sessions.context.policy.assurance < "A2":
        return []
    known = set(work.suite.passed() if work.suite is not None else work.expected.ids)
    touched = touched_tests(sessions.context, known & set(work.expected.ids), own)
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(weaker, sessions, touched, work.own) if touched else None
        found = _anti_tests(sessions, work, judge)
        # of a disabled test a ticket and a date say it
        told = {f.node_id for f in (*findings, *found) if f.counts or f.rule == "pytest/test-disabled"}
        return [*found, *(judge.weaker(lost.result(), told) if lost else ())]


def _anti_tests(sessions: Sessions, work: Work, judge: Judge) -> list[Finding]:
    """Tests turned round, the blind oracle and the plain program."""
    known = set(work.expected.ids)
    own_passed = {i: work.own.results[i] for i in work.own.passed()} if work.own else {}
    edited = edited_tests(sessions.context, known)
    if work.suite is not None:
        role, run = HEAD_O, work.suite
        passed = {i: run.results[i] for i in run.passed() if i in known}
        failing = known - set(passed)
    else:  # no product code was changed: what can answer for a test is the tests' own machinery
        role, run = "head", work.own or Run([], {}, {}, {})
        old = set(own_passed) & known - edited if helpers_changed(sessions.context) else set()
        passed, failing = {i: own_passed[i] for i in old}, set(run.results) - set(own_passed)
    fresh = {i: r for i, r in own_passed.items() if i in edited or i not in (passed if work.suite else known)}
    with ThreadPoolExecutor(2) as pool:
        suite = pool.submit(run_anti_tests, sessions, role, passed, base="base", failing=failing)
        bad = [i for i in work.own.results if i not in own_passed] if work.own else []
        red = [i for i, r in work.before.results.items() if r.outcome == "failed"] if work.before else []
        new = [i for i in fresh if (work.before.outcome(i) != "passed" if work.before else i not in known)]
        own = pool.submit(run_anti_tests, sessions, "head", fresh, base=None, rounds=1, failing=bad, mended=red, unknown=new)
        asked = pool.submit(indifferent, sessions, [i for i in fresh if i not in known])
        mended = pool.submit(helped, sessions, [i for i in fresh if i not in known], work.before)
        work.turned, work.own_turned, deaf = suite.result(), own.result(), asked.result()
    empty = empty_tables(sessions.context, work.own, known)
    never = unreached(sessions, [i for i in work.own_turned.vacuous if i not in known], fresh) | empty
    never |= idle(sessions, [i for i in fresh if i not in known and i not in never], fresh)
    return [
        *judge.forged(work.turned.passed),
        *judge.blind(work.turned.dark.differing),
        *judge.blind(work.turned.dark.opaque, "hold"),
        *judge.aware(work.turned.dark.only_under_test | work.own_turned.dark.only_under_test),
        *judge.known(work.turned.dark.only_here, "integrity/answers-only-for-tests"),
        *judge.known(work.turned.dark.only_these | work.own_turned.dark.only_these, "integrity/mended-only-for-tests"),
        *judge.known(work.own_turned.dark.only_known, "integrity/mended-only-for-tests", NEW),
        *judge.disarmed([i for i in work.own_turned.vacuous if i in edited]),
        *judge.told("integrity/assertion-not-reached", "hold", never),
        *judge.told(HELPED, "hold", mended.result()),
        *_unnoticing(sessions, judge, deaf, [i for i in work.own_turned.vacuous if i not in edited and i not in never]),
    ]


def _unnoticing(sessions: Sessions, judge: Judge, deaf: Mapping[str, str], vacuous: Sequence[str]) -> Iterator[Finding]:
    """New tests that pass whatever the patch's functions do; held where they put something else in for these."""
    replaced = replacing(sessions, [i for i, words in deaf.items() if words == ELSEWHERE])
    rest = {i: w for i, w in deaf.items() if i not in replaced}
    rest |= dict.fromkeys(vacuous, "it passes with its assertions turned as well")
    yield from judge.told("integrity/tests-do-not-notice", "hold", replaced)
    yield from judge.told("integrity/tests-do-not-notice", "note", rest)


def _run(sessions: Sessions, own: tuple[str, ...], *, whole: bool, product: bool) -> Work:
    """The sessions that every judgement needs, side by side."""
    work = Work()
    with ThreadPoolExecutor(2) as pool:
        suite = pool.submit(sessions.run, Ask(HEAD_O), "the base's tests on the patch's code") if product else None
        expected = pool.submit(_expected, sessions)
        mine = pool.submit(sessions.run, Ask("head", own), OWN) if own or whole else None
        before = pool.submit(without_the_patch, sessions, own, mine, time.monotonic()) if own and product and mine else None
        work.expected = expected.result()
        apart = []
        for group in sessions.projects.apart(work.expected):
            with contextlib.suppress(StartError):  # it does not start on the base either: its files stay errors
                work.expected = joined(work.expected, _expected(sessions, group))
                apart.append(group)
        try:
            work.suite = suite.result() if suite else None
        except StartError:
            if not work.expected.ids:
                raise
            work.suite = Run([], {}, {}, {})  # the base's tests start on the base and not on the patch's code: all are missing
        try:
            work.own = mine.result() if mine else None
        except ToolError as error:
            if work.suite is None:
                raise
            work.own_error = str(error)
        work.before = before.result() if before else None
    for group in apart if work.suite else ():
        with contextlib.suppress(StartError):  # it starts on the base: its tests are missing on the patch's code
            words = "the same of a project with a configuration of its own"
            work.suite = merged([run for run in (work.suite, sessions.run(Ask(HEAD_O, group), words)) if run])
    return work


def _expected(sessions: Sessions, files: tuple[str, ...] = ()) -> Expected:
    """Node ids of the base, from a process that never saw the head; remembered by base."""
    context = sessions.context

    def make() -> Expected:
        run = sessions.run(Ask("base", files, marked_only=True, background=not files))
        return Expected(run.exists, run.errors, run.results)

    parts = ("collect-and-run-marked", *files, context.trees.key("base"), context.interpreter.fingerprint)
    return context.remember(parts, make, Expected)


def _evidence(findings: Sequence[Finding], outcomes: Sequence[TestOutcome], work: Work, sessions: Sessions) -> Evidence:
    runs = [r for r in (work.suite, work.own) if r]
    passed = {i for r in runs for i in r.passed()}
    if not passed and not any(f.counts for f in findings):
        return Evidence(check="pytest", status="skipped", reason="not one test passed (all were skipped?), which proves nothing")
    counts, context = Counter(o.transition for o in outcomes), sessions.context
    assurance, why = _assurance(work, context)
    turned = [t for t in (work.turned, work.own_turned) if t]
    return Evidence.of(
        "pytest",
        tuple(findings),
        len(passed),
        tests=dict(sorted(counts.items())),
        outcomes=tuple(o for o in outcomes if o.transition != "pass-to-pass"),
        tool_version=f"pytest {runs[0].pytest}",
        sandbox=context.trees.sandbox.kind,
        complete_channel=True,
        assurance=assurance,
        assurance_reason=why,
        anti_tests={
            "turned": sum(t.turned for t in turned),
            "failed": sum(t.failed for t in turned),
            "passed": sum(len(t.passed) for t in turned),
            "vacuous": sum(len(t.vacuous) for t in turned),
            "blind": sum(t.dark.judged for t in turned),
            "blind_of": sum(t.dark.assertions for t in turned if t is work.turned),
            "plain": sum(t.dark.plain for t in turned),
        }
        if turned
        else {},
        steps=tuple(sorted(sessions.steps, key=lambda s: s.started)),
        twins=tuple(twin for t in turned for twin in t.dark.twins),
    )


def _assurance(work: Work, context: Context) -> tuple[Assurance, str]:
    """How far the answers can be trusted, and why not further."""
    if not context.trees.sandbox.program:
        return "A0", "there is no sandbox, so that judged code could reach the gate"
    if work.suite is None:
        return "A2", ""  # no product code was changed: nothing of the patch runs beside the base's tests
    turned = [t for t in (work.turned, work.own_turned) if t]
    if any(t.passed or t.dark.differing for t in turned):
        return "A1", "anti-tests or the blind oracle contradict the tests"
    if any(t.blind_agrees for t in turned):
        return "A3", ""
    if any(t.agree for t in turned):
        return "A2", "no expected value could be held back"
    return "A1", "no assertion of the tests could be turned" if turned else "anti-tests were not run"
