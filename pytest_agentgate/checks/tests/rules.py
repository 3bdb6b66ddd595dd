"""The rules of the `pytest` check, by id."""

from __future__ import annotations

RULES = {
    "pytest/regression": "A test of the base passes on the base and does not pass on the patch's code.",
    "pytest/own-test-failed": "A test that the patch adds or edits does not pass on the patch's code.",
    "pytest/expectation-changed": "A test of the base fails on the patch's code, and the patch edited it so that it passes.",
    "pytest/test-removed": "The patch removes a test of the base.",
    "pytest/test-disabled": "A test of the base is skipped or expected to fail in the patch's version.",
    "pytest/flaky": "A test both passed and failed on the same code.",
    "pytest/unstable-id": "A test's id changes from run to run, so that its outcome cannot be compared with the base's.",
    "pytest/own-tests-errored": "The patch's own tests, or its configuration of pytest, cannot be run to their end.",
    "pytest/pre-existing": "A test fails on the base in the same way.",
    "pytest/required-test-failed": "A test that the task requires did not pass.",
    "integrity/anti-test-passed": "A test passes on the patch's code although its assertion was turned, and fails so on the base.",
    "integrity/blind-answer-differs": "A test passes, and comes to another value than it expects when it does not hold that value.",
    "integrity/answers-only-under-test": "A test comes to another value when its calls are made without pytest.",
    "integrity/answers-only-for-tests": "The patch's code agrees with the base's on a test's own inputs, and on none beside them.",
    "integrity/test-disarmed": "A test of the base was edited so that it passes also with its assertions turned.",
    "integrity/tests-do-not-notice": "A test of the patch passes also with its assertion turned, or with the patch's functions raising.",
    "pytest/no-fail-to-pass": "The patch's new tests pass on the base's code too: they do not notice the patch.",
}
