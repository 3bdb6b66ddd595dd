"""Reporters: what platforms take, and that nothing of an agent's text can do more than be read."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import msgspec
import pytest
from conftest import CALC, TEST_CALC, Repo, policy
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_agentgate.model import (
    Change,
    Evidence,
    FileChange,
    Finding,
    Hunk,
    Report,
    Review,
    ReviewFinding,
    Spent,
    TestOutcome,
    Verdict,
)
from pytest_agentgate.model.evidence import Step, Twin
from pytest_agentgate.plugins import Plugins
from pytest_agentgate.reporters.html_diff import parse
from pytest_agentgate.reporters.markdown import MARKER

REPORTERS = Plugins(entry_points=False).reporters()
SCHEMA = json.loads((Path(__file__).parent / "data" / "sarif-schema-2.1.0.json").read_text())
VALID = jsonschema.Draft7Validator(SCHEMA)
HOSTILE = "</script><script>alert(1)</script>\n::error::owned\n``` @everyone #1 [x](javascript:alert(1)) |a|b| <img src=x onerror=alert(1)>\x1b[2J\u202e\r\n%0A-->"


# fmt: off
def made(text: str = "x = 1", *, many: int = 1, decision: str = "rejected", path: str = "pkg/a b.py") -> Report:
    """A report of a rejected, undecided or accepted change whose every text is `text`."""
    effects = {"rejected": "reject", "undecided": "hold", "accepted": "note"}
    findings = tuple(
        Finding(
            rule="ruff/F401",
            message=text,
            effect=effects[decision],
            path=path,
            line=n + 1,
            column=1,
            text=text,
            advice=text,
            command=text,
        )  # type: ignore[arg-type]
        for n in range(many)
    )
    tests = Finding(rule="pytest/regression", message=text, effect=effects[decision], node_id=f"tests/test_a.py::test_b[{text}]")  # type: ignore[arg-type]
    old = Finding(rule="ruff/E501", message=text, path=path, line=9, baseline_state="unchanged")
    status = "passed" if decision == "accepted" else "failed"
    outcome = TestOutcome(
        node_id=f"tests/test_a.py::test_b[{text}]",
        transition="pass-to-fail",
        base="passed",
        head="failed",
        classification="regression",
        trees={"base": "passed", "head+base-tests": "failed", "head": "passed"},
    )  # type: ignore[arg-type]
    step = Step(what=text, tree="head", started=100.5, duration=0.5, tests=3)
    twin = Twin(node_id=outcome.node_id, expected=text, came=text, plain=text, beside="8 of 8")
    claim = ReviewFinding(
        level="E4", path=path, side="head", line=3, last_line=3, quote=text, claim=text, why=text, reproduction=text
    )
    return Report(
        version="1.0",
        change=Change(source="commit", base="a" * 40, head="b" * 40, base_tree="c" * 40, head_tree="d" * 40, files=(FileChange(path=path, status="modified", hunks=(Hunk(1, 1, 1, 1),)),), note=text),
        policy_digest="e" * 64,
        assurance="A2",
        evidence=(
            Evidence(check="ruff", status=status, examined=3, findings=(*findings, old)),  # type: ignore[arg-type]
            Evidence(check="pytest", status=status, examined=3, findings=(tests,), tests={"pass-to-fail": 1}, outcomes=(outcome,), started=100.0, duration=1.5, steps=(step,), twins=(twin,), anti_tests={"turned": 2, "failed": 2}),  # type: ignore[arg-type]
            Evidence(check="mypy", status="errored" if decision == "undecided" else "skipped", leave=decision != "undecided", reason=text or "-"),
        ),
        verdict=Verdict(decision=decision, reasons=(text,)),  # type: ignore[arg-type]
        review=Review(status="complete", reason="1 finding", model="m", findings=(claim,), unsent=(text,), spent=Spent(requests=1, usd=0.01)) if decision == "accepted" else Review(status="not-run", reason="no"),
        duration=2.0,
    )


# fmt: on
@pytest.mark.parametrize("decision", ["accepted", "rejected", "undecided"])
@pytest.mark.parametrize("text", ["x = 1", HOSTILE, "", "\ud800 \x00\ufffe\uffff"], ids=["plain", "hostile", "empty", "odd"])
def test_every_reporter_renders_every_report(decision: str, text: str):
    report = made(text, decision=decision)
    for name, reporter in REPORTERS.items():
        shown = reporter.render(report)
        assert shown.endswith("\n"), name
        if name != "json":
            assert "\x1b" not in shown, name
            assert "\u202e" not in shown or name in ("sarif", "gitlab"), name


@pytest.mark.parametrize("name", ["terminal", "agent", "github", "junit", "markdown", "html"])
def test_a_forged_report_moves_no_cursor(name: str):
    report = made()
    first = report.evidence[0]
    forged = msgspec.structs.replace(
        first, check="\x1b]0;x\x07", findings=(msgspec.structs.replace(first.findings[0], rule="a/\x1b[31m\0"),)
    )
    shown = REPORTERS[name].render(msgspec.structs.replace(report, assurance="\x1b[2J", evidence=(forged,)))
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", shown)
    if name == "junit":
        assert junitparser.JUnitXml.fromstring(shown.encode())


def test_comments_and_summaries_stay_within_what_the_platform_takes():
    wide = made("\u4e16" * 400, many=900)
    assert 500_000 < len(REPORTERS["github-summary"].render(wide).encode()) < 1_000_000
    report = msgspec.structs.replace(made("(" * 400, many=40), evidence=made("(" * 400, many=40).evidence * 14)
    loud = msgspec.structs.replace(report, verdict=Verdict(decision="rejected", reasons=("(" * 400,) * 200))
    shown = REPORTERS["markdown"].render(loud)
    assert len(shown) < 65_536 and "190 more reasons" in shown and "pkg/a b.py" in shown


def test_the_page_puts_findings_below_lines_of_any_name():
    names = ["na\u00efve.py", "x b/c.py", "a/b/a.py", 'q"uo.py', "old b/new.py"]
    diff = (
        'diff --git "a/na\\303\\257ve.py" "b/na\\303\\257ve.py"\n--- "a/na\\303\\257ve.py"\n+++ "b/na\\303\\257ve.py"\n@@ -1 +1 @@\n-a\n+b\n'
        "diff --git a/x b/c.py b/x b/c.py\n--- a/x b/c.py\t\n+++ b/x b/c.py\t\n@@ -1 +1 @@\n-a\n+b\n"
        "diff --git a/a/b/a.py b/a/b/a.py\n--- /dev/null\n+++ b/a/b/a.py\n@@ -0,0 +1 @@\n+++ b/text\n"
        'diff --git "a/q\\"uo.py" "b/q\\"uo.py"\nold mode 100644\nnew mode 100755\n'
        "diff --git a/old b/old.py b/old b/new.py\nsimilarity index 100%\nrename from old b/old.py\nrename to old b/new.py\n"
    )
    assert [f.path for f in parse(diff)] == names


@pytest.mark.parametrize("decision", ["accepted", "rejected", "undecided"])
def test_sarif_is_valid_by_the_official_schema(decision: str):
    log = json.loads(REPORTERS["sarif"].render(made(HOSTILE, decision=decision)))
    assert [e.message for e in VALID.iter_errors(log)] == []
    run = log["runs"][0]
    result = run["results"][0]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "pkg/a%20b.py", "uriBaseId": "%SRCROOT%"}
    assert {r["baselineState"] for r in run["results"]} == {"new", "unchanged"}
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert "ruff rule CODE" in rule["help"]["text"] and rule["shortDescription"]["text"].startswith("A rule of ruff speaks")
    assert result["ruleId"] == run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"]
    assert len(log["runs"]) == (2 if decision == "accepted" else 1), "a review has a run of its own"
    assert run["invocations"][0]["executionSuccessful"] is (decision != "undecided")


def test_the_page_shows_four_trees_the_oracles_twins_and_each_process():
    page = REPORTERS["html"].render(made("x = 1"))
    matrix = page.partition('id="matrix"')[2].partition("</table>")[0]
    cells = ["passed", "failed", "passed", "-"]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", matrix)[:4] == cells, "base, head\N{DEGREE SIGN}, head, base\N{DEGREE SIGN}"
    assert "8 of 8" in page.partition('id="twins"')[2] and page.count("<rect") == 2 and "0.5 s, head: x = 1" in page
    report = made("x = 1")
    again = tuple(msgspec.structs.replace(e, cached=True) for e in report.evidence)
    assert REPORTERS["html"].render(msgspec.structs.replace(report, evidence=again)).count("<rect") == 1, "those ran another day"


def test_fingerprints_survive_moved_lines_and_tell_twins_apart():
    def marks(report: Report) -> list[str]:
        results = json.loads(REPORTERS["sarif"].render(report))["runs"][0]["results"]
        return [r["partialFingerprints"]["agentgate/v1"] for r in results]

    before = made(many=3)
    evidence = before.evidence[0]
    moved = tuple(msgspec.structs.replace(f, line=(f.line or 0) + 40) for f in evidence.findings)
    after = msgspec.structs.replace(before, evidence=(msgspec.structs.replace(evidence, findings=moved), *before.evidence[1:]))
    assert marks(before) == marks(after)
    assert len(set(marks(before))) == len(marks(before))


def test_junit_is_read_back_by_a_real_consumer():
    for decision, failures, errors in (("accepted", 1, 0), ("rejected", 4, 0), ("undecided", 3, 2)):
        xml = junitparser.JUnitXml.fromstring(REPORTERS["junit"].render(made(HOSTILE, decision=decision)).encode())
        assert [s.name for s in xml] == ["ruff", "pytest", "mypy", "verdict"]
        assert (xml.failures, xml.errors) == (failures, errors), decision
        assert xml.tests == sum(1 for suite in xml for _ in suite)


def test_github_annotations_keep_the_platforms_limits_and_cannot_be_forged():
    text = REPORTERS["github"].render(made(HOSTILE, many=40))
    lines = text.splitlines()
    assert sum(line.startswith("::error ") for line in lines) == 10
    assert all(
        re.match(r"::(error|warning) (file=[^:]*,)?(line=\d+,)?title=[^:]*::[^\r\n]*$|::notice title=agentgate::", line)
        for line in lines
    )
    assert "::error::owned" not in lines
    assert "31 more findings are in the job summary" in lines[-1]
    assert "line=3,title=ruff/F401" in text
    outputs = REPORTERS["github-output"].render(made(HOSTILE))
    assert re.fullmatch(r"(\w+=[\w.]+\n)+", outputs)


def test_reports_for_the_platform_are_added_to_its_file(repo: Repo, tmp_path: Path):
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("scope", "compile")}, "base")
    repo.files({"calc.py": CALC + "X = 1\n"})
    target = tmp_path / "summary.md"
    target.write_text("from an earlier step\n")
    done = repo.cli("check", "--report", f"github-summary={target}", "--report", "github")
    assert done.returncode == 0
    assert target.read_text().startswith("from an earlier step\n## ")
    assert done.stdout == "::notice title=agentgate::agentgate: accepted\n"


def test_gitlab_reads_paths_lines_and_fingerprints():
    rows = json.loads(REPORTERS["gitlab"].render(made(HOSTILE, many=2)))
    assert [(r["location"]["path"], r["location"]["lines"]["begin"], r["severity"]) for r in rows] == [
        ("pkg/a b.py", 1, "critical"),
        ("pkg/a b.py", 2, "critical"),
        ("tests/test_a.py", 1, "critical"),
    ]
    assert len({r["fingerprint"] for r in rows}) == 3


def outside_code(text: str) -> str:
    """Markdown without its fenced blocks and code spans."""
    found, fence = [], ""
    for line in text.splitlines():
        mark = re.match(r"\s*(`{3,})", line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif mark:
            fence = mark[1]
        else:
            found.append(re.sub(r"`[^`\n]*`", "", line))
    assert not fence, "every fence is closed"
    return "\n".join(found)


@given(
    st.text(max_size=300)
    | st.sampled_from([HOSTILE, "````\nx\n````", "a\n```\n@team", "<!-- -->", "| a | b |", "~~~", "$$x$$", "https://evil.example"])
)
@settings(max_examples=120, deadline=None)
def test_nothing_of_the_change_is_markup_in_a_comment(text: str):
    for decision in ("accepted", "rejected"):
        shown = REPORTERS["markdown"].render(made(text, decision=decision))
        assert shown.startswith(MARKER)
        prose = outside_code(shown.removeprefix(MARKER)).replace("<sub>", "").replace("</sub>", "").replace("~~allowed~~", "")
        assert not re.search(r"<[a-zA-Z!/]|\]\(|@\w|https?:|(?<!&)#\d", prose), prose
        tables = [line for line in prose.splitlines() if line.startswith("| ")]
        assert all(line.count("|") == 5 for line in tables)


def test_a_comment_is_never_longer_than_the_platform_takes():
    shown = REPORTERS["markdown"].render(made("long " * 60, many=2000))
    assert len(shown) < 65_536
    assert re.search(r"\*\d+ more did not fit\.\*", shown)


def test_formats_are_named_in_the_help():
    done = subprocess.run(
        [sys.executable, "-m", "pytest_agentgate.cli", "check", "--help"], capture_output=True, text=True, check=True
    )
    words: Any = " ".join(done.stdout.split())
    assert all(name in words for name in REPORTERS)


class Reader(HTMLParser):
    """Every element and attribute of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


KNOWN_TAGS = set(
    re.findall(
        r"\w+",
        "html head meta title style body a header h1 p ul li main h2 h3 div table thead tr th tbody td svg text rect strong code pre dl dt dd details summary footer",
    )
)


@given(
    st.text(max_size=200)
    | st.sampled_from([HOSTILE, '"><svg onload=alert(1)>', "'-alert(1)-'", "</style><script>", "<!--", "]]>", "&lt;script&gt;"])
)
@settings(max_examples=80, deadline=None)
def test_nothing_of_the_change_is_markup_in_the_page(text: str):
    diff = f"diff --git a/pkg/a b.py b/pkg/a b.py\n--- a/x\n+++ b/x\n@@ -1,1 +1,2 @@\n-{text}\n+{text}\n context\n"
    for decision in ("accepted", "rejected"):
        page = REPORTERS["html"].render(msgspec.structs.replace(made(text, decision=decision), diff=diff))
        read = Reader(page)
        assert set(read.tags) <= KNOWN_TAGS
        assert read.tags.count("style") == 1
        names = {name for _, name, _ in read.attributes}
        assert names <= {
            "lang",
            "charset",
            "http-equiv",
            "content",
            "name",
            "class",
            "href",
            "id",
            "scope",
            "open",
            "colspan",
            "role",
            "viewbox",
            "aria-label",
            "x",
            "y",
            "width",
            "height",
            "rx",
        }
        assert all(value.startswith("#") for _, name, value in read.attributes if name == "href")


def test_the_page_allows_no_script_and_no_network_and_its_style_is_named_by_its_digest():
    page = REPORTERS["html"].render(made())
    policy_text = next(v for t, n, v in Reader(page).attributes if (t, n) == ("meta", "content") and "default-src" in v)
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy_text == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"https?://|url\(|@import", page)


def test_findings_stand_below_their_lines_in_the_page(repo: Repo, tmp_path: Path):
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("ruff", "pytest")}, "base")
    repo.files({"calc.py": "import os\n" + CALC.replace("a + b", "a - b")})
    target = tmp_path / "report.html"
    done = repo.cli("check", "--report", f"html={target}")
    assert done.returncode == 1
    page = target.read_text()
    line = page.index("<code>import os</code>")
    assert "ruff/F401" in page[line : line + 400]
    assert "test_calc.py::test_add" in page
    assert "pass-to-fail" in page
    assert '<svg role="img"' in page
    assert page.count('<tr class="added">') == 2


def test_other_line_ends_hide_no_line_and_open_no_file():
    diff = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1,2 @@\n+\x0cimport evil\n+#\x0cdiff --git a/z b/ok.py\n x\n"
    page = REPORTERS["html"].render(msgspec.structs.replace(made(), diff="@@ -1 +1 @@\n+stray\n" + diff))
    assert "\\x0cimport evil" in page
    assert page.count("<details open") == 1
    assert "stray" not in page
    assert "longer than what is shown" not in page


def test_a_link_of_the_patch_is_not_written_through(repo: Repo, tmp_path: Path):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("scope")}, "base")
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    repo.files({"calc.py": CALC + "X = 1\n"})
    (repo.path / "junit.xml").symlink_to(mine)
    done = repo.cli("check", "--report", "junit=junit.xml")
    assert "is a symbolic link" in done.stderr
    assert mine.read_text() == "mine"


@given(st.text(max_size=100))
@settings(max_examples=60, deadline=None)
def test_junit_is_xml_whatever_a_test_is_called(text: str):
    junitparser.JUnitXml.fromstring(REPORTERS["junit"].render(made(text)).encode())
