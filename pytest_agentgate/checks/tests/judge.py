"""From outcomes on the four trees to findings and transitions. Pure, save that it may ask the base about a failing own test."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby

from pytest_agentgate.checks.tests.before import LEFT_OUT
from pytest_agentgate.checks.tests.classify import Verdict
from pytest_agentgate.checks.tests.doctests import lost_examples
from pytest_agentgate.checks.tests.noticing import moved
from pytest_agentgate.checks.tests.ratchet import Loss
from pytest_agentgate.checks.tests.records import Result, Run
from pytest_agentgate.checks.tests.renames import same_but_names
from pytest_agentgate.checks.tests.repeat import repeat, turned_text, why_changed
from pytest_agentgate.checks.tests.rules import ANSWERS, KNOWN
from pytest_agentgate.checks.tests.turn import Mode
from pytest_agentgate.layout import is_test, matches
from pytest_agentgate.model import Effect, Finding
from pytest_agentgate.protocols import Context
from pytest_agentgate.text import is_tracked


class Judge:
    """Everything that the sessions said, and the questions that the check asks of it."""

    def __init__(
        self,
        context: Context,
        expected: Sequence[str],
        suite: Run | None,
        own: Run | None,
        before: Run | None,
        verdicts: dict[str, Verdict],
        base_errors: Mapping[str, str],
        old: Mapping[str, Result],
    ) -> None:
        self.context, self.expected, self.suite, self.own = context, frozenset(expected), suite, own
        self.before, self.verdicts, self.base_errors, self.old = before, verdicts, base_errors, old

    def _finding(
        self, rule: str, default: Effect, message: str, node_id: str, result: Result | None, *, new: bool = True, advice: str = ""
    ) -> Iterator[Finding]:
        path = node_id.partition("::")[0] or None
        effect = self.context.effect(rule, path, default)
        if effect is not None:
            text = result.message or result.text if result else ""
            yield Finding(
                rule=rule,
                message=message,
                effect=effect,
                path=path,
                node_id=node_id or None,
                text=text.strip()[:600],
                line=self._line(result, path or ""),
                baseline_state="new" if new else "unchanged",
                advice=advice,
                command=repeat(self.context, node_id, own="own-test" in rule),
            )

    def _line(self, result: Result | None, path: str) -> int | None:
        return result.line if result is not None and result.path.endswith(path.rpartition("/")[2]) else None

    def regressions(self) -> Iterator[Finding]:
        """Tests of the base that do not come back as the base itself reports them."""
        asked = [i for i, v in self.verdicts.items() if v.classification in ("expectation-changed", "removed")]
        renamed = same_but_names(self.context, asked, self.own.passed() if self.own else ())
        for node_id, verdict in sorted(self.verdicts.items()):
            now, was = verdict.result.outcome, verdict.base
            words = f"{was} on the base, {now} on the patch's code"
            effect: Effect = "note" if node_id in renamed else self._may_edit(node_id)
            match verdict.classification:
                case "regression":
                    yield from self._finding("pytest/regression", "reject", words, node_id, verdict.result)
                case "expectation-changed":
                    yield from self._finding(
                        "pytest/expectation-changed",
                        effect,
                        f"{words}; {why_changed(self.context, node_id)}",
                        node_id,
                        verdict.result,
                        advice="a human has to say whether the new expectation is meant",
                    )
                case "removed":
                    yield from self._finding(
                        "pytest/test-removed", effect, f"{words}; the patch removes it", node_id, verdict.result
                    )
                case "unstable-id":
                    message = f"{now} on the patch's code, and the base cannot run it by this id"
                    yield from self._finding("pytest/unstable-id", "hold", message, node_id, verdict.result)
                case "flaky" | "order-dependent":
                    words = f"{now} in the whole run and passed when run again ({verdict.classification})"
                    yield from self._finding("pytest/flaky", "hold", words, node_id, verdict.result)
                case "worse":
                    words = "fails on the patch's code each time; on the base it fails otherwise, and passes at times"
                    yield from self._finding("pytest/flaky", "hold", words, node_id, verdict.result)
                case "known-flaky":
                    yield from self._finding(
                        "pytest/flaky", "note", "flaky, on the base as well", node_id, verdict.result, new=False
                    )
                case "pre-existing" | "environment":
                    words = f"{now}, and {was} on the base ({verdict.classification})"
                    yield from self._finding("pytest/pre-existing", "note", words, node_id, verdict.result, new=False)

    def lonely(self, ids: Collection[str]) -> Iterator[Finding]:
        """Tests that fail in their file alone, as the base's do, and pass in the whole suite."""
        for node_id in sorted(ids):
            words = "fails in its file alone, as the base's tests of that file do, and passes behind the others"
            yield from self._finding("pytest/order-dependent", "note", words, node_id, None)

    def unproven(self, reason: str) -> Iterator[Finding]:
        """The patch's own tests could not be run: nobody knows what they say."""
        if reason:
            yield from self._finding("pytest/own-tests-errored", "hold", reason, "", None)

    def edited_examples(self) -> Iterator[Finding]:
        """Examples in docstrings that the base runs as tests, and that the patch edits together with their code."""
        files = {i.partition("::")[0] for i in self.expected}
        changed = [
            f for f in self.context.change.files if (f.old_path or f.path) in files and not is_test(f.path, self.context.policy)
        ]
        old = self.context.trees.read_many("base", [f.old_path or f.path for f in changed])
        new = self.context.trees.read_many("head", [f.path for f in changed])
        for file in changed:
            lost = lost_examples(old.get(file.old_path or file.path, b""), new.get(file.path, b""))
            if lost:
                words = f"{lost} examples in docstrings were edited or removed"
                yield from self._finding("pytest/expectation-changed", self._may_edit(file.path), words, file.path, None)

    def strangers(self) -> Iterator[Finding]:
        """Failing tests of the base's files that the base did not collect, and files that the base cannot collect."""
        for node_id, result in sorted(self.suite.results.items() if self.suite else ()):
            if node_id not in self.expected and result.outcome in ("failed", "error"):
                yield from self._finding(
                    "pytest/unstable-id", "hold", "fails, and the base knows no test of this id", node_id, result
                )
        most = len(self.base_errors) > len({i.partition("::")[0] for i in self.expected})
        for path, text in sorted(self.base_errors.items()):
            message = f"{LEFT_OUT if text == LEFT_OUT else 'cannot be collected on the base either'}: nothing in it was judged"
            effect: Effect = "hold" if most and self.suite else "note"
            yield from self._finding(
                "pytest/pre-existing", effect, message, path, Result("error", _last(text)), new=effect == "hold"
            )

    def _may_edit(self, node_id: str) -> Effect:
        task = self.context.task
        if task is None:
            return "hold"
        path = node_id.partition("::")[0]
        named = any(node_id == n or node_id.startswith((f"{n}::", f"{n}[")) for n in task.tests_may_be_edited)
        return "note" if named or matches(path, task.tests_may_be_edited) else "hold"

    def own_tests(self) -> Iterator[Finding]:
        """Tests of the patch that fail, or that switch off what the base had."""
        if self.own is None:
            return
        whole = {
            i for i in self.verdicts if self.context.change.file(i.partition("::")[0]) is None
        }  # the patch has no version of them
        told = {i: v.classification for i, v in self.verdicts.items() if i in whole or v.classification != "known-flaky"}
        counted = {i for i, kind in told.items() if kind in ("regression", "flaky") or (kind == "worse" and i in whole)}
        failing = {i: r for i, r in self.own.results.items() if r.outcome in ("failed", "error") and i not in counted}
        for node_id, result in sorted(failing.items()):
            before = self.old[node_id].outcome in ("failed", "error") if node_id in self.old else False
            if before or told.get(node_id) in ("pre-existing", "environment", "known-flaky"):
                yield from self._finding("pytest/pre-existing", "note", "fails on the base as well", node_id, result, new=False)
            else:
                yield from self._finding(
                    "pytest/own-test-failed", "reject", f"{result.outcome} on the patch's code", node_id, result
                )
        for path, text in sorted(self.own.errors.items()):
            if path in self.base_errors:
                continue
            yield from self._finding("pytest/own-test-failed", "reject", "cannot be collected", path, Result("error", _last(text)))
        for node_id, result in sorted(self.own.results.items()):
            was = self.old[node_id].outcome if node_id in self.old else "passed"
            if (
                result.outcome in ("skipped", "xfailed")
                and node_id in self.expected
                and was != result.outcome
                and node_id not in self.verdicts
            ):
                effect = "note" if is_tracked(result.text) and self._base_version_passes(node_id) else self._may_edit(node_id)
                yield from self._finding(
                    "pytest/test-disabled", effect, f"the patch's version is {result.outcome}", node_id, result
                )

    def rewritten(self, edited: Collection[str]) -> Iterator[Finding]:
        """Tests that fail on the base and still on the patch's code, and that the patch rewrote or took away.

        A real repair makes the base's own version pass. `edited`: ids whose text, or whose helpers, the patch changed.
        """
        collected = set(self.own.collected) if self.own else set()
        files = {i.partition("::")[0] for i in collected}
        gone = {p for f in self.context.change.files if f.new is None or f.status == "renamed" for p in (f.old_path or f.path,)}
        for node_id, verdict in sorted(self.verdicts.items()):
            if verdict.classification not in ("pre-existing", "environment"):
                continue
            now = self.own.outcome(node_id) if self.own else "missing"
            words = "fails on the base and on the patch's code"
            if node_id in edited and now in ("passed", "xfailed", "skipped"):
                tracked = now != "passed" and self.own is not None and is_tracked(self.own.results[node_id].text)
                effect: Effect = "note" if tracked else self._may_edit(node_id)
                yield from self._finding(
                    "pytest/expectation-changed", effect, f"{words}; the patch's own version is {now}", node_id, verdict.result
                )
            elif node_id not in collected and node_id.partition("::")[0] in files | gone:
                yield from self._finding(
                    "pytest/test-removed", self._may_edit(node_id), f"{words}; the patch removes it", node_id, verdict.result
                )

    def _base_version_passes(self, node_id: str) -> bool:
        """Whether the base's own version of the test passes on the patch's code, or no code was changed."""
        return self.suite is None or self.suite.outcome(node_id) == "passed"

    def removed(self, own: Sequence[str]) -> Iterator[Finding]:
        """Tests of changed or deleted files that are gone although they pass: a loss if none came for them."""
        gone_files = {f.old_path or f.path for f in self.context.change.files if f.new is None or f.status == "renamed"}
        collected = set(self.own.collected) if self.own else set()
        touched = set(own) | gone_files if own else {i.partition("::")[0] for i in self.expected}
        now = moved(self.context, self.expected)
        lost = {i for i in self.expected if i.partition("::")[0] in touched and now[i] not in collected} - set(self.verdicts)
        if self.own is not None:
            lost -= {i for i in lost if i.partition("::")[0] in self.own.errors}
        new = collected - set(now.values())
        for node_id in sorted(lost):
            net = len(lost) > len(new)
            words = "removed, and no test came for it" if net else "removed or renamed; as many tests were added"
            yield from self._finding("pytest/test-removed", self._may_edit(node_id) if net else "note", words, node_id, None)

    def required(self) -> Iterator[Finding]:
        """Tests that the task names and that did not pass."""
        for name in self.context.task.tests_must_pass if self.context.task else ():
            found = {
                i: r
                for run in (self.suite, self.own)
                if run
                for i, r in run.results.items()
                if i == name or i.startswith((f"{name}::", f"{name}[", f"{name}/"))
            }
            bad = [i for i, r in found.items() if r.outcome != "passed"]
            if not found or bad:
                words = f"{len(bad)} of {len(found)} did not pass" if found else "no such test was run"
                yield from self._finding("pytest/required-test-failed", "reject", words, name, found[bad[0]] if bad else None)

    def new_tests(self) -> Iterator[Finding]:
        """Whether any new test fails without the patch."""
        new = [i for i in self.own.collected if i not in self.expected] if self.own else []
        if new and self.suite is not None and self.before is not None and all(self.before.outcome(i) == "passed" for i in new):
            yield from self._finding(
                "pytest/no-fail-to-pass", "note", f"{len(new)} new tests, and all pass without the patch", new[0], None
            )

    def forged(self, passed: Mapping[str, Mode]) -> Iterator[Finding]:
        """Tests that pass whatever they assert, on the patch's code only."""
        for node_id, mode in sorted(passed.items()):
            words = "its assertions were negated" if mode == "negated" else "its expected values were changed"
            words += ": it fails on the base, as it must, and passes on the patch's code"
            turned = Result("passed", turned_text(self.context, node_id, mode))
            yield from self._finding("integrity/anti-test-passed", "reject", words, node_id, turned, advice=ANSWERS)

    def disarmed(self, ids: Sequence[str]) -> Iterator[Finding]:
        """Tests of the base that the patch edited so that they notice nothing any more."""
        for node_id in ids:
            words = "the patch's version passes with its assertions turned as well, and the base's had assertions"
            yield from self._finding("integrity/test-disarmed", self._may_edit(node_id), words, node_id, None)

    def weaker(self, losses: Sequence[Loss], known: Collection[str | None]) -> Iterator[Finding]:
        """What tests of the base notice in wrong code and no test of the patch does; `known`: tests that are told already."""
        for node_id, lost in groupby((x for x in losses if x.node_id not in known), key=lambda x: x.node_id):
            places = "; ".join(f"where {x.mutant.path}:{x.mutant.line} {x.mutant.what}" for x in lost)
            words = f"the base's version fails {places}, and no test of the patch does"
            yield from self._finding("integrity/tests-notice-less", self._may_edit(node_id), words, node_id, None)

    def blind(self, differing: Mapping[str, str], effect: Effect = "reject") -> Iterator[Finding]:
        """Tests that only pass as long as they hold the answer."""
        for node_id, came in sorted(differing.items()):
            words = f"without its expected value in the sandbox the test comes to {came}; on the base, to what it expects"
            yield from self._finding("integrity/blind-answer-differs", effect, words, node_id, None, advice=ANSWERS)

    def aware(self, came: Mapping[str, str]) -> Iterator[Finding]:
        """Tests of which the calls answer otherwise in a plain program."""
        words = {i: f"it passes under pytest, and the same calls in a plain program come to {value}" for i, value in came.items()}
        yield from self.told("integrity/answers-only-under-test", "hold", words, "look for code that asks whether it is tested")

    def known(self, examples: Mapping[str, str], rule: str, words: str = "") -> Iterator[Finding]:
        """Tests of which the inputs are the only ones that are answered so (`rule` is one of KNOWN)."""
        said = {i: f"{words or KNOWN[rule]}: {example}" for i, example in examples.items()}
        yield from self.told(rule, "hold", said, "look for answers that are written down; or is it meant, and lacks its tests?")

    def told(self, rule: str, effect: Effect, words: Mapping[str, str], advice: str = "") -> Iterator[Finding]:
        """A finding for each test, with its own words."""
        for node_id, text in sorted(words.items()):
            yield from self._finding(rule, effect, text, node_id, None, advice=advice)


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
