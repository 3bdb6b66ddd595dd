"""Why a test that does not pass does not pass: the reruns, and what they may and may not say.

A rerun never turns red into green. It only tells *regression* from *was broken before*, *flaky*, *order-dependent* and
*environment*; a flaky test leaves the change undecided unless it is known to flake on the base as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from pytest_agentgate.checks.tests.own import pytest_differs
from pytest_agentgate.checks.tests.records import Result, Run, StartError
from pytest_agentgate.checks.tests.session import Ask, Sessions
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import is_test
from pytest_agentgate.model.evidence import Outcome

ATTEMPTS = 5
"""How often the base is asked whether it passes a test at all that failed there in another way."""
HEAD_O = "head+base-tests"
HEAD_TESTS = "head+base-config"
"""The head's own tests under the base's configuration: a patch cannot deselect by configuration what it fails."""
ENVIRONMENT = re.compile(
    r"Temporary failure in name resolution|Network is unreachable|Name or service not known|"
    r"Read-only file system|Operation not permitted|Connection refused|Could not resolve host"
)


@dataclass(frozen=True)
class Verdict:
    """What one test's failure is."""

    classification: str
    """`unchanged`, `pre-existing`, `environment`, `regression`, `expectation-changed`, `removed`, `flaky`, `order-dependent`,
    `known-flaky`, `worse`, `unstable-id`."""
    base: Outcome
    result: Result


class BaseOutcomes(msgspec.Struct):
    """Outcomes of tests of the base on the base."""

    results: dict[str, Result]


class Classifier:
    """Asks the base (and the head's own tests) about tests that do not pass on the head's code."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions, self.context = sessions, sessions.context

    def on_base(self, ids: Collection[str], *, attempt: int = 0) -> dict[str, Result]:
        """Results of these tests on the base, remembered (save repeated attempts, which look for flakiness)."""
        if not ids:
            return {}

        def make() -> BaseOutcomes:
            run = self.sessions.run(Ask("base", files_of(ids), frozenset(ids)), "the base's own answer")
            return BaseOutcomes({i: run.results.get(i, Result("missing")) for i in ids})

        if attempt:
            return make().results
        parts = ("tests-on-base", self.context.trees.key("base"), self.context.interpreter.fingerprint, *sorted(ids))
        results = self.context.remember(parts, make, BaseOutcomes).results
        doubtful = [i for i, r in results.items() if r.outcome not in ("passed", "skipped", "xfailed", "xpassed")]
        if doubtful:
            results = self._with_company(results, doubtful)
        return results

    def _with_company(self, alone: dict[str, Result], ids: Collection[str]) -> dict[str, Result]:
        """Ask again behind all that runs before them: a test that needs its neighbours fails alone and is no less true.

        What comes after the last of them cannot help it, so that the session ends there.
        """

        def make() -> BaseOutcomes:
            whole = self.sessions.run(Ask("base", until=frozenset(ids)), "the base's suite, as far as what fails")
            return BaseOutcomes({i: whole.results[i] for i in ids if whole.outcome(i) == "passed"})

        # Kept: a test that failed alone and in company was seen to fail twice.
        parts = ("tests-in-company", self.context.trees.key("base"), self.context.interpreter.fingerprint, *sorted(ids))
        return alone | self.context.remember(parts, make, BaseOutcomes).results

    def classify(self, failing: dict[str, Result], own: Run | None) -> dict[str, Verdict]:
        """What each of the base's tests is that did not pass on the head's code."""
        base = self.on_base(list(failing))
        verdicts = {i: self._old(failing[i], base[i]) for i in failing if not _is_worse(base[i].outcome, failing[i].outcome)}
        odd = {i for i, v in verdicts.items() if v.classification == "pre-existing" and not _alike(v.result, base[i])}
        for node_id in self._worse({i: failing[i] for i in odd}):
            verdicts[node_id] = Verdict("worse", base[node_id].outcome, failing[node_id])
        open_ids = {i for i in failing if i not in verdicts}
        unstable = self._unstable(open_ids)
        known_flaky = self._flaky_on_base(set(unstable)) if unstable else set()
        for node_id in unstable:
            kind = "known-flaky" if node_id in known_flaky else unstable[node_id]
            verdicts[node_id] = Verdict(kind, base[node_id].outcome, failing[node_id])
        solid = open_ids - set(unstable)
        on_head = self._on_head(solid, own)
        for node_id in solid:
            now = on_head.get(node_id, Result("missing"))
            kind = {"passed": "expectation-changed", "missing": "removed"}.get(now.outcome, "regression")
            if failing[node_id].outcome == "missing" and not is_test(node_id.partition("::")[0], self.context.policy):
                kind = "removed"  # an example in a docstring: the patch's own file says what is collected
            elif not self._has_own_tests():
                kind = "regression"
            verdicts[node_id] = Verdict(kind, base[node_id].outcome, failing[node_id])
        for node_id in self._with_all_of_it([i for i in solid if verdicts[i].classification == "regression"], own):
            verdicts[node_id] = Verdict("expectation-changed", base[node_id].outcome, failing[node_id])
        return verdicts

    @staticmethod
    def _old(now: Result, before: Result) -> Verdict:
        if now.outcome == before.outcome and now.outcome in ("skipped", "xfailed", "xpassed"):
            return Verdict("unchanged", before.outcome, now)
        if before.outcome == "missing":
            return Verdict("unstable-id", before.outcome, now)
        kind = "environment" if ENVIRONMENT.search(before.text) or ENVIRONMENT.search(now.text) else "pre-existing"
        return Verdict(kind, before.outcome, now)

    def _worse(self, failing: dict[str, Result]) -> set[str]:
        """Of tests that failed on both sides, each in its own way: those that the base passes at times, and the patch's code never."""
        passing: set[str] = set()
        left = set(failing)
        for attempt in range(1, ATTEMPTS + 1):
            found = self.on_base(left, attempt=attempt) if left else {}
            passing |= {i for i, r in found.items() if r.outcome == "passed"}
            left -= {i for i, r in found.items() if r.outcome == "passed" or _alike(failing[i], r)}
        return passing - set(self._unstable(passing))

    def _unstable(self, ids: set[str]) -> dict[str, str]:
        """Tests that pass in one of the reruns on the very same tree: `order-dependent` where they pass in each, else `flaky`."""
        passes = dict.fromkeys(ids, 0)
        reruns = self.context.policy.tests.reruns if ids else 0
        for _ in range(reruns):
            try:
                run = self.sessions.run(Ask(HEAD_O, files_of(ids), frozenset(ids)), "rerun to classify")
            except StartError:
                return {}
            for node_id in ids:
                passes[node_id] += run.outcome(node_id) == "passed"
        return {i: "order-dependent" if n == reruns and reruns > 1 else "flaky" for i, n in passes.items() if n}

    def _flaky_on_base(self, ids: set[str]) -> set[str]:
        """Of tests that flake on the head: those that also fail on the base, in a whole run or alone."""
        found: set[str] = set()
        whole = self.sessions.run(Ask("base"), "the base's whole suite, to know its flaky tests")
        found |= {i for i in ids if i in whole.results and whole.outcome(i) != "passed"}
        for attempt in range(1, self.context.policy.tests.reruns + 1):
            left = ids - found
            if left:
                found |= {i for i, r in self.on_base(left, attempt=attempt).items() if r.outcome != "passed"}
        return found

    def _with_all_of_it(self, ids: Collection[str], own: Run | None) -> list[str]:
        """Of tests that fail with the base's configuration: those that pass with all that the patch changed (a version, say)."""
        if (
            not ids
            or pytest_differs(self.context)
            or self.context.trees.key("head") in (self.context.trees.key(HEAD_TESTS), self.context.trees.key(HEAD_O))
        ):
            return []
        left = frozenset(i for i in ids if own is None or i not in own.results)
        found = [i for i in ids if own is not None and own.outcome(i) == "passed"]
        try:
            run = self.sessions.run(Ask("head", files_of(left), left), "with all that the patch changed") if left else None
        except ToolError:
            run = None  # it says nothing for the patch
        return [*found, *(i for i in left if run is not None and run.outcome(i) == "passed")]

    def _has_own_tests(self) -> bool:
        """Whether the patch changed anything of the tests, so that its own version can say something else."""
        return self.context.trees.key(HEAD_TESTS) != self.context.trees.key(HEAD_O)

    def _on_head(self, ids: set[str], own: Run | None) -> dict[str, Result]:
        """What the same tests do with the head's own files."""
        if not ids or not self._has_own_tests():
            return {}
        same = self.context.trees.key("head") == self.context.trees.key(HEAD_TESTS)
        known = {i: own.results[i] for i in ids if i in own.results} if own is not None and same else {}
        left = frozenset(ids - set(known))
        files = tuple(f for f in files_of(left) if f in self.context.trees.entries(HEAD_TESTS))
        if left and files:
            try:
                run = self.sessions.run(Ask(HEAD_TESTS, files, left), "with the patch's own tests")
            except StartError as error:
                return dict.fromkeys(ids, Result("error", str(error)))
            known |= {i: run.results[i] for i in left if i in run.results}
        return known


def _alike(now: Result, before: Result) -> bool:
    """Whether a failure is the base's own: the same words, save numbers, addresses and names of temporary files."""
    words = [re.sub(r"0x[0-9a-f]+|[0-9a-f-]{8,}|\d+|/tmp/\S+", "#", r.message or r.text[-300:]) for r in (now, before)]
    return words[0] == words[1] or not {now.outcome, before.outcome} <= {"failed", "error"}


def _is_worse(before: Outcome, now: Outcome) -> bool:
    """Whether the head does worse: the base passed, or at least did not fail, and the head differs."""
    if before == now:
        return False
    return before == "passed" or (before in ("skipped", "xfailed", "xpassed") and now in ("failed", "error", "missing"))


def files_of(ids: Collection[str]) -> tuple[str, ...]:
    """Test files of node ids, in order."""
    return tuple(sorted({i.partition("::")[0] for i in ids}))
