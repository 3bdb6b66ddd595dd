"""The pure parts: illegal states do not construct, the verdict is a total function, line arithmetic follows git."""

from __future__ import annotations

import difflib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_agentgate.baseline import introduced, map_line
from pytest_agentgate.checks.tests import records
from pytest_agentgate.decide import approve, decide
from pytest_agentgate.errors import PolicyError
from pytest_agentgate.feedback import CHARACTERS_PER_TOKEN, feedback
from pytest_agentgate.model import Change, Evidence, FileChange, Finding, Hunk, Policy, Report, Review, Verdict
from pytest_agentgate.plugins import Plugins
from pytest_agentgate.process import Capture, Completed
from pytest_agentgate.read_policy import check_names, parse_policy
from pytest_agentgate.text import visible

BAD = Finding(rule="ruff/F401", message="unused", path="a.py", line=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "passed"},
        {"status": "passed", "examined": 1, "findings": (BAD,)},
        {"status": "failed", "examined": 1},
        {"status": "failed", "examined": 1, "findings": (msgspec.structs.replace(BAD, effect="note"),)},
        {"status": "failed", "examined": 1, "findings": (msgspec.structs.replace(BAD, baseline_state="unchanged"),)},
        {"status": "errored"},
        {"status": "skipped"},
    ],
)
def test_illegal_evidence_does_not_construct(fields):
    with pytest.raises(ValueError, match="needs"):
        Evidence(check="x", **fields)


def test_evidence_has_no_truth_value():
    with pytest.raises(TypeError):
        bool(Evidence(check="x", status="passed", examined=1))


PASSED = Evidence(check="a", status="passed", examined=1)
FAILED = Evidence(check="b", status="failed", examined=1, findings=(BAD,))
HELD = Evidence(check="c", status="failed", examined=1, findings=(msgspec.structs.replace(BAD, effect="hold"),))
ERRORED = Evidence(check="d", status="errored", reason="broke")
SKIPPED = Evidence(check="e", status="skipped", reason="none")
LEFT = Evidence(check="f", status="skipped", reason="nothing", leave=True)


@pytest.mark.parametrize(
    ("evidence", "required", "decision"),
    [
        ([], [], "undecided"),
        ([PASSED], ["a"], "accepted"),
        ([PASSED, FAILED, ERRORED, HELD], ["a"], "rejected"),
        ([PASSED, ERRORED], ["a"], "undecided"),
        ([PASSED, HELD], ["a"], "undecided"),
        ([PASSED, SKIPPED], ["a", "e"], "undecided"),
        ([PASSED, SKIPPED], ["a"], "accepted"),
        ([PASSED, LEFT], ["a", "f"], "accepted"),
        ([LEFT], ["f"], "undecided"),
        ([PASSED], ["a", "z"], "undecided"),
    ],
)
def test_the_verdict_is_the_first_row_that_fits(evidence, required, decision):
    assert decide(evidence, Policy(), required).decision == decision


def test_only_a_hold_can_be_allowed():
    assert decide(approve([PASSED, HELD], ["ruff/F401:a.py"]), Policy(), ["a"]).decision == "accepted"
    assert decide(approve([PASSED, FAILED], ["ruff/F401"]), Policy(), ["a"]).decision == "rejected"
    assert decide(approve([PASSED, HELD], ["ruff/F401:b.py"]), Policy(), ["a"]).decision == "undecided"


def test_who_allows_that_a_test_is_deleted_is_not_asked_again_by_its_sessions():
    deleted = Finding(rule="integrity/test-deleted", message="", effect="hold", path="test_a.py", text="def test_x")
    removed = [
        Finding(rule="pytest/test-removed", message="", effect="hold", path="test_a.py", node_id=f"test_a.py::{name}")
        for name in ("test_x", "test_x[1]", "TestA::test_x[a-b]")
    ]
    other = msgspec.structs.replace(removed[0], node_id="test_a.py::test_y[2]")
    evidence = [Evidence.of("a", (deleted,), 1), Evidence.of("pytest", tuple(removed), 1)]
    more = [*evidence, Evidence.of("pytest", (other,), 1)]
    assert decide(approve(more, ["integrity/test-deleted"]), Policy(), ["a", "pytest"]).decision == "undecided", "another test"
    for approvals, decision in (
        (["integrity/test-deleted:test_a.py"], "accepted"),
        (["integrity/test-deleted"], "accepted"),
        (["integrity/test-deleted:test_b.py"], "undecided"),
        (["pytest/test-removed"], "undecided"),
    ):
        assert decide(approve(evidence, approvals), Policy(), ["a", "pytest"]).decision == decision


LINES = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12)


@given(LINES, LINES)
@settings(max_examples=200)
def test_lines_are_mapped_as_the_hunks_say(old: list[str], new: list[str]):
    hunks = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            hunks.append(Hunk(i1 + 1 if i2 > i1 else i1, i2 - i1, j1 + 1 if j2 > j1 else j1, j2 - j1))
    for number, text in enumerate(old, 1):
        there = map_line(hunks, number)
        assert there is None or new[there - 1] == text


def change(*hunks: Hunk) -> Change:
    files = (FileChange(path="a.py", status="modified", hunks=hunks),)
    return Change(source="commit", base="b", head="h", base_tree="t", head_tree="u", files=files)


def at(*lines: int) -> list[Finding]:
    return [msgspec.structs.replace(BAD, line=n) for n in lines]


def test_a_moved_finding_is_old_and_a_second_one_is_new():
    same = lambda path, line: "import os"  # noqa: E731  # every line is alike
    found = introduced(at(5, 9), at(3), change(Hunk(0, 0, 1, 2)), same, same)
    assert [(f.line, f.baseline_state) for f in found] == [(5, "unchanged"), (9, "new")]


def test_an_edited_line_that_had_the_problem_before_is_old():
    found = introduced(at(3), at(3), change(Hunk(3, 1, 3, 1)), lambda p, n: "new text", lambda p, n: "old text")
    assert [f.baseline_state for f in found] == ["unchanged"]
    found = introduced(at(3), at(7), change(Hunk(3, 1, 3, 1)), lambda p, n: "new text", lambda p, n: "old text")
    assert [f.baseline_state for f in found] == ["new"]


def test_feedback_keeps_its_cap_and_never_blames_for_what_a_human_settles():
    many = tuple(msgspec.structs.replace(BAD, message="x" * 200, line=n) for n in range(500))
    report = Report(
        version="1", change=change(), policy_digest="", assurance="A0", review=Review(status="not-run"),
        evidence=(Evidence(check="ruff", status="failed", examined=1, findings=many), HELD),
        verdict=Verdict(decision="rejected", reasons=()),
    )  # fmt: skip
    text = feedback(report, 500)
    assert len(text) <= 500 * CHARACTERS_PER_TOKEN
    assert "more problems are not shown" in text
    undecided = msgspec.structs.replace(report, evidence=(HELD,), verdict=Verdict(decision="undecided", reasons=("c: hold",)))
    assert "nothing for you to mend" in feedback(undecided)
    assert "ruff/F401" not in feedback(undecided)


def read(text: str) -> None:
    """Parse and check a policy, as a run does."""
    law = parse_policy(text.encode(), "pyproject.toml at the base")
    checks = Plugins(entry_points=False).checks(law)
    check_names(law, [c.name for c in checks], [r for c in checks for r in c.rules], "pyproject.toml at the base")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[tool.agentgate]\nchekcs = ["ruff"]', "did you mean 'checks'"),
        ("[tool.agentgate.limits]\nfile = 3", "tool.agentgate.limits has no key 'file'; did you mean 'files'"),
        ('[tool.agentgate]\nchecks = ["rufff"]', "did you mean 'ruff'"),
        ('[tool.agentgate.effects]\n"pytest/regresion" = "note"', "did you mean 'pytest/regression'"),
        ('[tool.agentgate]\nsandbox = "yes"', "tool.agentgate.sandbox"),
        ('[tool.agentgate]\nenvironment = ["AWS_SECRET_ACCESS_KEY"]', "looks like a secret"),
        ("[tool.agentgate]\nchecks = []", "lets everything through"),
        ("[tool.agentgate", "not valid TOML"),
        ('[tool.agentgate.effects]\n"ruff/*" = "rejct"', "did you mean 'reject'"),
        ('[tool.agentgate]\nsandbox = "on"', "valid are auto, off, require"),
        ("[tool.agentgate.limits]\nfiles = -1", "limits.files is -1; it takes 0 or more"),
        ("[tool.agentgate.tests]\nreruns = -1", "tests.reruns is -1"),
        ('[[tool.agentgate.command]]\nname = "x"\nargv = []', "has an empty argv"),
        (
            '[[tool.agentgate.command]]\nname = "x"\nargv = ["a"]\n[[tool.agentgate.command]]\nname = "x"\nargv = ["b"]',
            "two entries of the name 'x'",
        ),
    ],
)
def test_wrong_policies_name_key_place_and_nearest(text: str, words: str):
    with pytest.raises(PolicyError) as caught:
        read(text)
    assert words in str(caught.value)
    assert "pyproject.toml at the base" in str(caught.value)


@given(st.lists(st.binary(max_size=40)), st.integers(2, 60))
def test_a_capture_keeps_head_and_tail(parts: list[bytes], cap: int):
    capture = Capture(cap)
    for part in parts:
        capture.feed(part)
    whole, kept = b"".join(parts), capture.value()
    if len(whole) <= cap // 2 * 2:
        assert kept == whole
    else:
        assert kept.startswith(whole[: cap // 2])
        assert kept.endswith(whole[-(cap // 2) :])
        assert capture.truncated


@given(st.text())
def test_no_text_of_a_patch_moves_the_cursor(text: str):
    shown = visible(text)
    assert not any(c < " " or c in "\x7f\x9b\u202e\u2066\u200b" for c in shown)


def test_a_flood_of_records_damages_the_channel_and_fills_no_memory(monkeypatch):
    monkeypatch.setattr(records, "FLOOD", 1000)
    stream = records.Stream()
    for _ in range(50):
        stream.feed(b"x" * 100)
    assert "records" in stream.broken and len(stream._rest) <= 1000


def test_a_problem_moves_with_its_line_once_and_only_where_another_file_lost_it():
    def found(*places: tuple[str, int]) -> list[Finding]:
        return [Finding(rule="ruff/E722", message="bare except", effect="reject", path=p, line=n) for p, n in places]

    def text(path: str, line: int) -> str:
        return "except:"

    files = (
        FileChange(path="a.py", status="modified", hunks=(Hunk(3, 1, 2, 0),)),
        FileChange(path="b.py", status="added", hunks=(Hunk(0, 0, 1, 9),)),
    )
    moved = Change(source="", base="", head="", base_tree="", head_tree="", files=files)
    states = [f.baseline_state for f in introduced(found(("b.py", 4), ("b.py", 6)), found(("a.py", 3)), moved, text, text)]
    assert sorted(states) == ["new", "unchanged"]
    assert [f.baseline_state for f in introduced(found(("b.py", 4)), found(("b.py", 3)), moved, text, lambda p, n: "other")] == [
        "new"
    ]
    kept = introduced(found(("a.py", 3), ("b.py", 4)), found(("a.py", 3)), moved, text, text)
    assert [f.baseline_state for f in kept] == ["unchanged", "new"]


@pytest.mark.parametrize(
    ("said", "heart"),
    [
        (b"PytestDeprecationWarning: unset\n  warnings.warn(PytestDeprecationWarning(X))\n", "it said nothing"),
        (b"UserWarning: an error may come\nFatal Python error: Aborted\nlast\n", "Fatal Python error: Aborted"),
        (b"one\ntwo\n", "two"),
        (b"ERROR: DeprecationWarning: bar\n", "ERROR: DeprecationWarning: bar"),
        (
            b"Traceback (most recent call last):\npytest.PytestConfigWarning: Unknown option\n",
            "pytest.PytestConfigWarning: Unknown option",
        ),
    ],
)
def test_a_warning_is_not_what_ended_a_process(said: bytes, heart: str):
    assert records._heart(Completed(("pytest",), 0, b"", said, 1.0)) == heart
