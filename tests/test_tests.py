"""The `pytest` check on real sessions: what counts against a patch, and what must not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import CALC, TEST_CALC, Repo, counting, findings, pick, policy

from pytest_agentgate.checks.tests.records import Run
from pytest_agentgate.checks.tests.session import Ask, Sessions
from pytest_agentgate.generated import version_files
from pytest_agentgate.resolve import Source

BROKEN = CALC.replace("a + b", "a - b")


def test_a_broken_function_is_a_regression_at_its_test(calc: Repo):
    calc.write(**{"calc.py": BROKEN})
    report = calc.gate()
    assert counting(report) == [("pytest/regression", "test_calc.py", 5, "reject")]
    assert report.verdict.decision == "rejected"
    assert pick(report, "pytest").tests == {"pass-to-fail": 1, "pass-to-pass": 1}


def test_an_honest_fix_with_its_test_is_fail_to_pass(calc: Repo, tmp_path: Path):
    calc.cache = tmp_path / "cache"  # nothing is known of the base
    new = TEST_CALC.replace("import add, mul", "import add, mul, sub") + "\n\ndef test_sub():\n    assert sub(3, 1) == 2\n"
    calc.write(**{"calc.py": CALC + "\n\ndef sub(a, b):\n    return a - b\n", "test_calc.py": new})
    report = calc.gate()
    assert report.verdict.decision == "accepted"
    evidence = pick(report, "pytest")
    assert evidence.tests["fail-to-pass"] == 1
    assert report.assurance == "A1"
    assert [(o.node_id, o.trees) for o in evidence.outcomes] == [("test_calc.py::test_sub", {"head": "passed"})]
    assert {s.tree for s in evidence.steps} == {"base", "head", "head+base-tests", "base+head-tests"}
    assert all(0 < s.duration <= evidence.duration and evidence.started <= s.started for s in evidence.steps)


@pytest.mark.parametrize(
    ("name", "cheat"),
    [
        ("skip", "import pytest\n\n" + TEST_CALC.replace("def test_add", "@pytest.mark.skip\ndef test_add")),
        ("xfail", "import pytest\n\n" + TEST_CALC.replace("def test_add", "@pytest.mark.xfail\ndef test_add")),
        ("renamed", TEST_CALC.replace("def test_add", "def check_add")),
        ("weakened", TEST_CALC.replace("assert add(1, 2) == 3", "assert add(1, 2)")),
        ("deleted", "from calc import mul\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"),
        ("module skipped", "import pytest\n\npytest.skip('todo', allow_module_level=True)\n"),
    ],
)
def test_editing_the_test_does_not_hide_a_bug(calc: Repo, name: str, cheat: str):
    calc.write(**{"calc.py": BROKEN, "test_calc.py": cheat})
    report = calc.gate()
    assert report.verdict.decision != "accepted", name
    assert {f.node_id for e in report.evidence for f in e.findings if f.counts} >= {"test_calc.py::test_add"}


@pytest.mark.parametrize(
    "forger",
    [
        "import pytest\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport(item, call):\n"
        "    out = yield\n    out.get_result().outcome = 'passed'\n",
        "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n",
        "def pytest_collection_modifyitems(items):\n    items[:] = items[1:]\n",
        "collect_ignore = ['test_calc.py']\n",
    ],
)
def test_a_new_conftest_has_no_say_over_the_bases_tests(calc: Repo, forger: str):
    calc.write(**{"calc.py": BROKEN, "conftest.py": forger})
    assert calc.gate().verdict.decision != "accepted"


@pytest.mark.parametrize(
    "addopts", ["--collect-only", "--deselect=test_calc.py::test_add", "-k mul", "--ignore=test_calc.py", "-p no:python"]
)
def test_configuration_of_the_head_has_no_say(calc: Repo, addopts: str):
    calc.write(**{"calc.py": BROKEN, "pytest.ini": f"[pytest]\naddopts = {addopts}\n"})
    report = calc.gate()
    assert [f.rule for f in findings(report, "pytest/regression")] == ["pytest/regression"]


@pytest.mark.parametrize(
    "line", ["import os; os._exit(0)", "raise SystemExit(0)", "import atexit, os; atexit.register(os._exit, 0)"]
)
def test_product_code_that_ends_the_session_proves_nothing(calc: Repo, line: str):
    calc.write(**{"calc.py": BROKEN + f"\n\n{line}\n"})
    report = calc.gate()
    assert report.verdict.decision in ("undecided", "rejected")


def test_product_code_that_skips_its_tests_is_a_regression(calc: Repo):
    calc.write(**{"calc.py": "import pytest\n\n\ndef add(a, b):\n    pytest.skip('slow')\n\n\ndef mul(a, b):\n    return a * b\n"})
    assert ("pytest/regression", "test_calc.py") in [(f[0], f[1]) for f in counting(calc.gate())]


def test_a_failure_that_was_there_before_does_not_count(calc: Repo):
    calc.commit({"test_calc.py": TEST_CALC + "\n\ndef test_broken_before():\n    assert add(1, 1) == 3\n"})
    calc.write(**{"calc.py": CALC + "\n\ndef sub(a, b):\n    return a - b\n"})
    report = calc.gate()
    assert report.verdict.decision == "accepted"
    assert [f.baseline_state for f in findings(report, "pytest/pre-existing")] == ["unchanged"]
    assert pick(report, "pytest").tests["fail-to-fail"] == 1


def test_a_failure_that_was_there_before_does_not_count_in_the_patchs_own_run_either(calc: Repo):
    """The helper's folder is run as the patch has it, and the base's broken test with it."""
    broken = TEST_CALC + "\n\ndef test_broken_before():\n    assert add(1, 1) == 3\n"
    calc.commit({"tests/test_calc.py": broken, "tests/helper.py": "ONE = 1\n", "test_calc.py": None})
    calc.write(**{"calc.py": CALC + "\n\ndef sub(a, b):\n    return a - b\n", "tests/helper.py": "ONE = 1\nTWO = 2\n"})
    report = calc.gate()
    assert report.verdict.decision == "accepted", report.verdict.reasons
    assert len(findings(report, "pytest/pre-existing")) == 2


READS = {
    "its name": "def test_page():\n    with open('docs/usage.md') as page:\n        assert 'mean' in page.read()\n",
    "its kind": "import pathlib\n\n\ndef test_page():\n    assert all('mean' in p.read_text() for p in pathlib.Path('.').rglob('*.md'))\n",
    "its folder": "import os\n\n\ndef test_page():\n    assert [open(f'docs/{n}').read() for n in os.listdir('docs')] == ['the mean']\n",
}


@pytest.mark.parametrize("what", READS)
def test_a_page_that_a_test_reads_is_judged_as_the_patch_has_it(calc: Repo, what: str):
    calc.commit({"docs/usage.md": "the mean", "tests/test_docs.py": READS[what]})
    calc.write(**{"docs/usage.md": "nothing"})
    report = calc.gate()
    assert [f.node_id for f in findings(report, "pytest/own-test-failed")] == ["tests/test_docs.py::test_page"]
    calc.write(**{"docs/usage.md": "the mean" if what == "its folder" else "the mean, and more", "calc.py": CALC + "\n\nx = 1\n"})
    assert calc.gate().verdict.decision == "accepted"


def test_a_page_that_only_scripts_name_runs_nothing(calc: Repo):
    calc.commit(
        {"NEWS.md": "old", "scripts/release.py": "print(open('NEWS.md').read())\n", "docs/conf.py": "source_suffix = ['.md']\n"}
    )
    calc.write(**{"NEWS.md": "new"})
    assert pick(calc.gate(), "pytest").leave
    calc.commit({"NEWS.md": "old", "calc.py": CALC + "\n\ndef news():\n    return open('NEWS.md').read()\n"})
    calc.write(**{"NEWS.md": "new"})
    assert pick(calc.gate(), "pytest").status == "passed"


def test_a_setting_that_a_test_reads_is_judged_as_the_patch_has_it(calc: Repo):
    table = policy("pytest") + "\n[project]\nname = 'calc'\nversion = '{}'\n"
    reads = "import tomllib\n\nimport calc\n\n\ndef test_version():\n    with open('pyproject.toml', 'rb') as file:\n        assert tomllib.load(file)['project']['version'] == calc.VERSION\n"
    calc.commit({"pyproject.toml": table.format(1), "test_version.py": reads, "calc.py": CALC + "\n\nVERSION = '1'\n"})
    calc.write(**{"pyproject.toml": table.format(2)})
    assert [f.node_id for f in findings(calc.gate(), "pytest/own-test-failed")] == ["test_version.py::test_version"]
    calc.write(**{"pyproject.toml": table.format(2), "calc.py": CALC + "\n\nVERSION = '2'\n"})
    report = calc.gate()  # not with the base's settings: a human has to see that both were changed
    assert [f[0] for f in counting(report)] == ["pytest/expectation-changed"]
    assert "passes with pyproject.toml of the patch" in findings(report, "pytest/expectation-changed")[0].message


def test_a_test_that_passes_with_what_was_edited_around_it_is_said_to(calc: Repo):
    tests = "import calc\n\n\nclass TestAll:\n    names = [n for n in ('add', 'mul', 'sub') if hasattr(calc, n)]\n\n    def test_all(self):\n        assert self.names == ['add', 'mul']\n"
    calc.commit({"test_all.py": tests, "NEWS.md": "old"})
    more = {"calc.py": CALC + "\n\ndef sub(a, b):\n    return a - b\n", "NEWS.md": "new"}
    calc.write(**more, **{"test_all.py": tests.replace("('add', 'mul', 'sub')", "('add', 'mul')")})
    found = findings(calc.gate(), "pytest/expectation-changed")
    assert found[0].message.endswith("it was not edited itself, and passes with what the patch edited around it in its file")


def test_skips_that_the_base_has_do_not_count(calc: Repo):
    skipped = "import pytest\n\n\n@pytest.mark.skipif(True, reason='not here')\ndef test_elsewhere():\n    assert 0\n"
    calc.commit({"test_more.py": skipped + "\n\n@pytest.mark.xfail\ndef test_known_bug():\n    assert 0\n"})
    calc.write(**{"calc.py": CALC + "\n\nx = 1\n"})
    report = calc.gate()
    assert report.verdict.decision == "accepted" and counting(report) == []
    assert pick(report, "pytest").tests == {"pass-to-pass": 2, "skip-to-skip": 1, "xfail-to-xfail": 1}


def test_a_changed_expectation_is_held_for_a_human_and_can_be_allowed(calc: Repo):
    calc.write(**{"calc.py": CALC.replace("a * b", "a * b * 10"), "test_calc.py": TEST_CALC.replace("== 6", "== 60")})
    report = calc.gate()
    assert report.verdict.decision == "undecided"
    assert counting(report) == [("pytest/expectation-changed", "test_calc.py", 9, "hold")]
    allowed = calc.gate(approvals=("pytest/expectation-changed:test_calc.py::test_mul",))
    assert allowed.verdict.decision == "accepted"
    assert calc.gate(approvals=("pytest/expectation-changed:test_calc.py::test_add",)).verdict.decision == "undecided"


def test_what_fails_is_repeated_in_a_tree_that_the_patch_did_not_edit(calc: Repo, tmp_path: Path):
    wrong, edited = CALC.replace("a + b", "a - b"), TEST_CALC.replace("== 3", "== -1")
    calc.write(**{"calc.py": wrong})
    assert findings(calc.gate(), "pytest/regression")[0].command == "python -m pytest test_calc.py::test_add"
    calc.commit({"calc.py": wrong, "test_calc.py": edited}, "wrong, and says so")
    report = calc.gate(Source("commit", "HEAD~1", "HEAD"))
    (finding,) = findings(report, "pytest/expectation-changed")
    made, _, command = finding.command.partition(" && ")
    assert (
        made.split()[:3] == ["agentgate", "tree", "/tmp/judged"] and made.split()[-1] == calc.git("rev-parse", "HEAD").strip()[:12]
    )
    folder = tmp_path / "judged"
    done = calc.cli("tree", str(folder), *made.split()[3:])
    assert (done.returncode, (folder / "calc.py").read_text(), (folder / "test_calc.py").read_text()) == (0, wrong, TEST_CALC)
    assert command == "cd /tmp/judged && python -m pytest test_calc.py::test_add"
    inside = calc.cli("tree", str(calc.path / "x"))
    assert inside.returncode == 4 and "lies in the checkout" in inside.stderr and not (calc.path / "x").exists()
    again = calc.cli("tree", str(folder))
    assert again.returncode == 4 and "exists" in again.stderr


def test_what_a_pattern_names_is_carried_out_of_an_ignored_folder(calc: Repo):
    law = policy("pytest", more='carry = ["gen/deep/**", "other/*.py"]')
    calc.commit({".gitignore": "gen/\nother/\n", "calc.py": "from gen.deep.made import V\n\n\n" + CALC, "pyproject.toml": law})
    calc.files(
        {
            "gen/deep/made.py": "V = 1\n",
            "gen/else/made.py": "V = 1\n",
            "calc.py": "from gen.deep.made import V\n\n\n" + CALC + "W = V\n",
        }
    )
    report = calc.gate()
    assert report.verdict.decision == "accepted", report.verdict.reasons
    assert pick(report, "pytest").tests == {"pass-to-pass": 2}


@pytest.mark.parametrize(
    ("manifest", "path"),
    [
        ("[tool.setuptools_scm]\nversion_file = 'app/version.py'\n", "app/version.py"),
        ("[tool.hatch.build.hooks.vcs]\nversion-file = 'src/app/release.py'\n", "src/app/release.py"),
        ("[tool.pdm.version]\nwrite_to = 'app/release.py'\n", "src/app/release.py"),
    ],
)
def test_the_version_that_the_manifest_names_is_carried(calc: Repo, manifest: str, path: str):
    module = path.removeprefix("src/").removesuffix(".py").replace("/", ".")
    package = path.rpartition("/")[0]
    code = f"from {module} import V\n\n\n" + CALC
    law = policy("pytest", more=manifest + "[tool.pytest.ini_options]\npythonpath = ['src']\n")
    calc.commit({".gitignore": path + "\n", f"{package}/__init__.py": "", "calc.py": code, "pyproject.toml": law})
    calc.files({path: "V = 1\n", "calc.py": code + "W = V\n"})
    assert calc.gate().verdict.decision == "accepted"


@pytest.mark.parametrize(
    "text", [b"\xff", b"[tool.setuptools_scm", b"tool = 1", b"[tool]\nsetuptools_scm = 2", b"[tool.pdm]\nversion = []"]
)
def test_a_manifest_that_names_no_version_file(text: bytes):
    assert version_files(text) == ()


def test_a_test_that_flakes_in_the_patchs_own_run_is_no_failure_of_the_patch(calc: Repo):
    """It fails while there is a trace of the run of the whole file, which the second run has not."""
    other = "import os\n\n\ndef test_first():\n    os.environ['SEEN'] = 'usage.md'\n\n\ndef test_second():\n    assert not os.environ.get('SEEN') or open('usage.md').read() == 'old'\n"
    calc.commit({"usage.md": "old", "tests/test_page.py": other})
    calc.write(**{"usage.md": "new"})
    report = calc.gate()
    assert [f[0] for f in counting(report)] == ["pytest/flaky"], counting(report)
    assert report.verdict.decision == "undecided"


@pytest.mark.parametrize(
    ("ignored", "rules"), [("test_more.py", ["pytest/pre-existing"]), ("test_other.py", ["pytest/own-test-failed"])]
)
def test_a_new_file_that_the_project_leaves_out_here_is_noted(calc: Repo, ignored: str, rules: list[str]):
    """Its package is not there, and the base's conftest says what then."""
    left_out = f"try:\n    import no_such_package\nexcept ImportError:\n    collect_ignore = [{ignored!r}]\n"
    calc.commit({"conftest.py": left_out})
    calc.write(**{"test_more.py": "import no_such_package\n\n\ndef test_it():\n    assert no_such_package.x == 1\n"})
    calc.write(**{"calc.py": CALC + "\n\nONE = 1\n"})
    found = {f.rule: f for f in pick(calc.gate(), "pytest").findings if f.path == "test_more.py"}
    assert sorted(found) == rules
    calc.write(**{"test_calc.py": "import no_such_package\n", "conftest.py": left_out.replace(ignored, "test_calc.py")})
    assert "pytest/own-test-failed" in {f.rule for f in pick(calc.gate(), "pytest").findings if f.path == "test_calc.py"}
    if rules == ["pytest/pre-existing"]:
        assert "leave the file out here: nothing in it was judged" in found[rules[0]].message


def test_a_test_that_never_ends_without_the_patch_does_not_hold_the_gate_up(calc: Repo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pytest_agentgate.checks.tests.before.ENDLESS", 3.0)
    endless = CALC + "\n\ndef halve(x: float) -> int:\n    n = 0\n    while x != 1:\n        x, n = x / 2, n + 1\n    return n\n"
    calc.commit({"calc.py": endless})
    calc.write(**{"calc.py": endless.replace("x != 1", "x > 1")})
    calc.write(**{"test_calc.py": TEST_CALC + "\n\ndef test_halve():\n    from calc import halve\n\n    assert halve(3) == 2\n"})
    asked: list[float | None] = []
    run = Sessions.run

    def watched(self: Sessions, ask: Ask, words: str = "") -> Run:
        asked.append(ask.timeout if ask.role == "base+head-tests" else None)
        return run(self, ask, words)

    monkeypatch.setattr(Sessions, "run", watched)
    report = calc.gate()
    assert report.verdict.decision == "accepted", report.verdict.reasons
    assert [t for t in asked if t] and all(3 <= t < 900 for t in asked if t), "limits.timeout is 900"


def test_the_task_may_name_tests_to_edit_and_tests_that_must_pass(calc: Repo, tmp_path):
    task = tmp_path / "task.toml"
    task.write_text('objective = "mul"\ntests_may_be_edited = ["test_calc.py"]\ntests_must_pass = ["test_calc.py::test_mul"]\n')
    calc.write(**{"calc.py": CALC.replace("a * b", "a * b * 10"), "test_calc.py": TEST_CALC.replace("== 6", "== 60")})
    assert calc.gate(task=str(task)).verdict.decision == "accepted"
    task.write_text('objective = "mul"\ntests_may_be_edited = ["test_calc.py"]\ntests_must_pass = ["test_calc.py::test_gone"]\n')
    assert [f.rule for f in findings(calc.gate(task=str(task)), "pytest/required-test-failed")]


def test_a_failing_new_test_is_the_patchs_fault(calc: Repo):
    calc.write(**{"test_new.py": "def test_new():\n    assert 1 == 2\n"})
    assert counting(calc.gate()) == [("pytest/own-test-failed", "test_new.py", 2, "reject")]


def test_a_new_test_file_that_cannot_be_imported_is_the_patchs_fault(calc: Repo):
    calc.write(**{"test_new.py": "import nothing_of_this_name\n"})
    report = calc.gate()
    assert [(f[0], f[1]) for f in counting(report)] == [("pytest/own-test-failed", "test_new.py")]


def test_removing_passing_tests_without_others_needs_a_human(calc: Repo):
    calc.write(**{"test_calc.py": TEST_CALC.partition("\n\n\ndef test_mul")[0] + "\n"})
    report = calc.gate()
    assert counting(report) == [("pytest/test-removed", "test_calc.py", None, "hold")]


def test_moving_and_parametrising_tests_is_silent(calc: Repo):
    calc.commit({"tests/test_a.py": TEST_CALC})
    calc.git("mv", "tests/test_a.py", "tests/test_b.py")
    assert calc.gate().verdict.decision == "accepted"
    calc.write(
        **{
            "test_calc.py": "import pytest\nfrom calc import add, mul\n\n\n@pytest.mark.parametrize('f, w', [(add, 5), (mul, 6)])\n"
            "def test_both(f, w):\n    assert f(2, 3) == w\n"
        }
    )
    assert calc.gate().verdict.decision == "accepted"


def test_a_flaky_test_leaves_the_change_undecided_and_green_reruns_do_not_help(calc: Repo, tmp_path):
    flaky = "import itertools, os\nN = os.path.join(os.path.dirname(__file__), 'n')\n\n\ndef test_flaky():\n    import random\n    from calc import STABLE\n    assert STABLE or random.random() < 0.5\n"
    calc.commit({"calc.py": CALC + "\nSTABLE = True\n", "test_flaky.py": flaky})
    calc.write(**{"calc.py": CALC + "\nSTABLE = False\n"})
    for _ in range(12):
        report = calc.gate(use_cache=False)
        if findings(report, "pytest/flaky"):
            assert report.verdict.decision == "undecided"
            return
    pytest.fail("the coin fell on one side twelve times")


def test_order_dependence_that_the_base_has_does_not_count(calc: Repo):
    dependent = "STATE = []\n\n\ndef test_first():\n    STATE.append(1)\n\n\ndef test_second():\n    assert not STATE\n"
    calc.commit({"test_order.py": dependent})
    calc.write(**{"calc.py": CALC + "\n\nx = 1\n"})
    report = calc.gate()
    assert report.verdict.decision == "accepted"


@pytest.mark.parametrize("breaks", [True, False])
def test_a_test_that_needs_its_neighbours_is_asked_behind_them_and_no_more_is_run(calc: Repo, breaks: bool):
    needs = "import test_calc\n\n\ndef test_first():\n    test_calc.READY = True\n\n\ndef test_second():\n    from calc import add\n    assert test_calc.READY and add(1, 2) == 3\n"
    calc.commit({"test_d.py": needs.replace("test_calc.READY and", "READY and") if not breaks else needs,
                 "test_e.py": "".join(f"def test_{n}():\n    pass\n\n\n" for n in range(40))})  # fmt: skip
    calc.write(**{"calc.py": BROKEN if breaks else CALC + "\n\nx = 1\n"})
    report = calc.gate()
    told = {f.node_id for f in findings(report, "pytest/regression")}
    assert ("test_d.py::test_second" in told) == breaks
    company = next(s for s in pick(report, "pytest").steps if "as far as" in s.what)
    assert company.tests < 10


def test_zero_tests_are_never_a_pass(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("pytest")})
    repo.write(**{"calc.py": CALC + "x = 1\n"})
    report = repo.gate()
    assert (pick(report, "pytest").status, report.verdict.decision) == ("skipped", "undecided")
    repo.commit({"pyproject.toml": policy("scope", "pytest", more='may_skip = ["pytest"]'), "calc.py": CALC})
    repo.write(**{"calc.py": CALC + "x = 1\n"})
    assert repo.gate().verdict.decision == "accepted"


def test_a_hanging_test_is_errored_with_its_cause(calc: Repo):
    calc.commit({"pyproject.toml": policy("pytest", more="[tool.agentgate.limits]\ntimeout = 3.0")})
    calc.write(**{"calc.py": CALC.replace("return a + b", "while True: pass")})
    evidence = pick(calc.gate(), "pytest")
    assert evidence.status == "errored" and "limits.timeout" in evidence.reason


def test_a_crashing_test_process_is_errored_with_the_test(calc: Repo):
    calc.write(**{"calc.py": CALC.replace("return a * b", "import os; os.abort()")})
    evidence = pick(calc.gate(), "pytest")
    assert evidence.status == "errored" and "test_calc.py::test_" in evidence.reason


def test_missing_test_dependencies_are_named(calc: Repo):
    calc.commit({"test_calc.py": "import not_installed_here\n" + TEST_CALC})
    calc.write(**{"calc.py": CALC + "x = 1\n"})
    evidence = pick(calc.gate(), "pytest")
    assert evidence.status == "errored" and "not_installed_here" in evidence.reason and "dependencies" in evidence.reason


def test_workers_are_used_where_the_policy_says_so(calc: Repo, workers_python: str):
    inside = "import os\n\n\ndef test_inside():\n    assert os.environ['PYTEST_XDIST_WORKER']\n"
    calc.commit({"pyproject.toml": policy("pytest", more='[tool.agentgate.tests]\nworkers = "2"'), "test_inside.py": inside})
    calc.write(**{"calc.py": BROKEN})
    report = calc.gate(python=workers_python)
    assert {(f[0], f[1]) for f in counting(report)} == {("pytest/regression", "test_calc.py")}
    calc.write(**{"calc.py": CALC + "x = 1\n"})
    assert calc.gate(python=workers_python).verdict.decision == "accepted"


def test_documentation_alone_is_accepted_without_running_tests(calc: Repo):
    calc.commit({"pyproject.toml": policy("scope", "compile", "ruff", "pytest")})
    calc.write(**{"README.md": "Hello\n"})
    report = calc.gate()
    assert report.verdict.decision == "accepted"
    assert (pick(report, "pytest").status, pick(report, "pytest").leave) == ("skipped", True)


def test_a_subtest_that_fails_counts(calc: Repo):
    calc.commit(
        {
            "test_sub.py": "from calc import add\n\n\ndef test_all(subtests):\n    for n in range(3):\n        with subtests.test(n=n):\n            assert add(n, 1) == n + 1\n"
        }
    )
    calc.write(**{"calc.py": BROKEN})
    assert "test_sub.py::test_all" in {f.node_id for f in findings(calc.gate(), "pytest/regression")}


SRC_PROJECT = '[build-system]\nrequires = []\nbuild-backend = "none"\n'


@pytest.fixture
def editable(repo: Repo, tmp_path, project_python: str) -> Repo:
    """A src layout with a virtual environment inside the checkout, into which it is installed in editable mode."""
    import subprocess

    subprocess.run([project_python, "-m", "venv", "--system-site-packages", "--without-pip", str(repo.path / ".venv")], check=True)
    outer = subprocess.run(
        [project_python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    ).stdout
    site = next((repo.path / ".venv/lib").glob("python*/site-packages"))
    (site / "outer.pth").write_text(outer)
    (site / "editable.pth").write_text(f"{repo.path / 'src'}\n")
    repo.commit({".gitignore": ".venv/\n"})
    repo.git("rm", "-rq", "--cached", ".venv", check=False)
    repo.git("commit", "-qam", "venv", check=False)
    repo.files({"src/calc/__init__.py": CALC, "tests/test_calc.py": TEST_CALC, "pyproject.toml": policy("pytest")})
    repo.git("add", ".")
    repo.git("commit", "-qm", "base")
    repo.python = str(repo.path / ".venv/bin/python")
    return repo


def test_an_editable_install_tests_the_judged_tree_and_not_the_checkout(editable: Repo):
    editable.files({"src/calc/__init__.py": BROKEN})
    editable.git("commit", "-qam", "broken")
    editable.files({"src/calc/__init__.py": CALC})
    from pytest_agentgate.resolve import Source

    report = editable.gate(Source("commit", base="HEAD~1", head="HEAD"))
    assert [f.node_id for f in findings(report, "pytest/regression")] == ["tests/test_calc.py::test_add"], (
        "the checkout holds good code"
    )
    editable.git("commit", "-qam", "mended")
    editable.files({"src/calc/__init__.py": BROKEN})
    assert editable.gate(Source("commit", base="HEAD~1", head="HEAD")).verdict.decision == "accepted", "the checkout holds bad code"


def test_an_installed_copy_that_shadows_the_judged_tree_is_errored(editable: Repo):
    site = next((editable.path / ".venv/lib").glob("python*/site-packages"))
    (site / "editable.pth").unlink()
    (site / "calc.py").write_text(CALC)
    (site / "aaa_early.pth").write_text("import calc\n")
    editable.files({"src/calc/__init__.py": BROKEN})
    evidence = pick(editable.gate(), "pytest")
    assert evidence.status == "errored"
    assert "not the judged tree" in evidence.reason and "pip install -e ." in evidence.reason


def test_ignored_generated_files_are_carried_and_stale_binaries_are_not(calc: Repo):
    calc.commit({".gitignore": "_version.py\n*.so\n", "calc.py": "from _version import V\n\n\n" + CALC})
    calc.write(**{"_version.py": "V = 1\n", "calc.cpython-311-x86_64-linux-gnu.so": b"\0"})
    calc.git("rm", "-q", "--cached", "_version.py", "*.so", check=False)
    calc.write(**{"calc.py": "from _version import V\n\n\n" + CALC + "W = V\n"})
    assert calc.gate().verdict.decision == "accepted"


def test_a_new_testpaths_does_not_hide_the_tests_that_the_patch_guts(calc: Repo):
    calc.write(
        **{
            "pytest.ini": "[pytest]\ntestpaths = nowhere\n",
            "test_calc.py": "import pytest\n\n\n@pytest.mark.skip\ndef test_add():\n    pass\n",
        }
    )
    assert calc.gate().verdict.decision != "accepted"


@pytest.mark.parametrize(
    "files",
    [
        {"rates.json": "{"},
        {"helpers/util.py": "raise ImportError\n"},
        {"test_other.py": None},
    ],
)
def test_whatever_tests_depend_on_is_judged(calc: Repo, files):
    reader = "import json, pathlib\nfrom helpers import util\n\n\ndef test_rates():\n    assert json.loads(pathlib.Path(__file__).with_name('rates.json').read_text())\n"
    law = policy("pytest", more='[tool.agentgate.tests]\npaths = ["test_*.py", "helpers/**"]')
    calc.commit(
        {
            "rates.json": "[1]",
            "helpers/util.py": "",
            "test_rates.py": reader,
            "test_other.py": "def test_other():\n    pass\n",
            "pyproject.toml": law,
        }
    )
    calc.files(files)
    assert calc.gate().verdict.decision != "accepted"


def test_a_patch_makes_no_golden_file_a_product(calc: Repo):
    golden = "import json, pathlib\nfrom calc import add\n\n\ndef test_golden():\n    assert add(1, 1) == json.loads(pathlib.Path('golden/total.json').read_text())\n"
    calc.commit({"golden/total.json": "2", "test_golden.py": golden})
    calc.files(
        {"calc.py": BROKEN, "golden/total.json": "0", "golden/__init__.py": "", "test_calc.py": TEST_CALC.replace("== 3", "== -1")}
    )
    assert calc.gate().verdict.decision != "accepted"


def test_a_test_that_needs_its_neighbour_is_no_excuse(calc: Repo):
    pair = "from calc import add\nSTATE = {}\n\n\ndef test_put():\n    STATE['x'] = add(1, 1)\n\n\ndef test_get():\n    assert STATE['x'] == 2\n"
    calc.commit({"test_pair.py": pair})
    calc.write(**{"calc.py": BROKEN})
    assert "test_pair.py::test_get" in {f.node_id for f in findings(calc.gate(), "pytest/regression")}


def test_random_parameters_hide_nothing_and_honest_ones_pass(calc: Repo):
    fresh = "import uuid, pytest\nfrom calc import add\n\n\n@pytest.mark.parametrize('name', [str(uuid.uuid4())])\ndef test_name(name):\n    assert add(len(name), 1) == 37\n"
    calc.commit({"test_fresh.py": fresh})
    calc.write(**{"calc.py": CALC + "x = 1\n"})
    assert calc.gate().verdict.decision == "accepted"
    calc.write(**{"calc.py": BROKEN, "test_calc.py": TEST_CALC.replace("== 3", "== -1")})
    assert calc.gate(approvals=("pytest/expectation-changed",)).verdict.decision != "accepted"


def test_an_added_src_folder_does_not_point_away_from_the_package(calc: Repo):
    calc.commit(
        {
            "pay/__init__.py": "def pay():\n    return 'good'\n",
            "test_pay.py": "from pay import pay\n\n\ndef test_pay():\n    assert pay() == 'good'\n",
        }
    )
    calc.files({"pay/__init__.py": "def pay():\n    return 'evil'\n", "src/helper.py": "x = 1\n"})
    assert [f.node_id for f in findings(calc.gate(), "pytest/regression")] == ["test_pay.py::test_pay"]


def test_an_interpreter_that_the_patch_brings_along_is_never_started(calc: Repo):
    calc.files({".venv/bin/python": "#!/bin/sh\ntouch /tmp/agentgate-was-here-$PPID\n", ".venv/pyvenv.cfg": ""})
    (calc.path / ".venv/bin/python").chmod(0o755)
    calc.commit()
    calc.write(**{"calc.py": BROKEN})
    from pytest_agentgate.errors import UsageError

    with pytest.raises(UsageError, match="part of the judged tree"):
        calc.gate(python="")


def test_a_conftest_that_cannot_be_imported_any_more_is_a_regression(calc: Repo):
    calc.commit({"conftest.py": "from calc import mul\n"})
    calc.write(**{"calc.py": "def add(a, b):\n    return a + b\n"})
    report = calc.gate()
    assert report.verdict.decision == "rejected"
    assert {f.node_id for f in findings(report, "pytest/regression")} == {"test_calc.py::test_add", "test_calc.py::test_mul"}


def test_a_suite_in_which_nothing_passes_proves_nothing(calc: Repo):
    calc.commit({"test_calc.py": "import os\n\n\ndef test_db():\n    assert os.environ['DATABASE_URL']\n"})
    calc.write(**{"calc.py": BROKEN})
    assert pick(calc.gate(), "pytest").status == "errored"


def test_two_thousand_large_files_do_not_block_the_pipes(calc: Repo):
    calc.commit({f"data/f{n}.txt": f"{n}\n" * 2000 for n in range(2000)})
    calc.write(**{"calc.py": CALC + "x = 1\n"})
    assert calc.gate().verdict.decision == "accepted"


def test_an_example_in_a_docstring_is_a_test_that_the_patch_may_not_quietly_edit(calc: Repo):
    doc = 'def double(n):\n    """Twice.\n\n    >>> double(2)\n    4\n    """\n    return n * 2\n'
    law = policy("pytest", more='[tool.pytest.ini_options]\naddopts = "--doctest-modules"')
    calc.commit({"doc.py": doc, "pyproject.toml": law})
    calc.write(**{"doc.py": doc.replace("n * 2", "n * 3").replace("    4\n", "    6\n")})
    assert counting(calc.gate()) == [("pytest/expectation-changed", "doc.py", None, "hold")]
    calc.write(**{"doc.py": doc.replace("n * 2", "n * 3")})
    assert ("pytest/regression", "doc.py") in {f[:2] for f in counting(calc.gate())}
    calc.write(**{"doc.py": doc.replace("double", "twice")})
    assert {f[3] for f in counting(calc.gate())} == {"hold"}, "renamed with its example: a human looks, nobody is blamed"
    calc.write(**{"doc.py": doc + "\n\nx = 1\n"})
    assert calc.gate().verdict.decision == "accepted"


def test_a_suite_that_is_skipped_as_a_whole_proves_nothing(calc: Repo):
    calc.commit({"test_calc.py": "import pytest\n\n\n@pytest.mark.skip\ndef test_add():\n    pass\n"})
    calc.write(**{"calc.py": BROKEN})
    report = calc.gate()
    assert (pick(report, "pytest").status, report.verdict.decision) == ("skipped", "undecided")


def test_what_the_base_marks_is_asked_in_the_session_that_collects_it(calc: Repo):
    marked = (
        "import pytest\nfrom calc import add\n\n\n@pytest.mark.skip(reason='later')\ndef test_later():\n    assert False\n\n\n"
        "@pytest.mark.xfail(reason='known')\ndef test_known():\n    assert add(1, 1) == 3\n\n\n"
        "@pytest.mark.xfail(reason='known')\ndef test_mended():\n    assert add(1, 1) == 2\n\n\ndef test_add():\n    assert add(1, 1) == 2\n"
    )
    calc.commit({"test_marked.py": marked})
    calc.write(**{"calc.py": CALC.replace("return a + b", "return a + b + 1 if a == b == 1 else a + b")})
    report = calc.gate()
    rows = {o.node_id: (o.base, o.head) for o in pick(report, "pytest").outcomes}
    assert rows["test_marked.py::test_later"] == ("skipped", "skipped")
    assert rows["test_marked.py::test_known"] == ("xfailed", "xpassed") and rows["test_marked.py::test_mended"] == (
        "xpassed",
        "xfailed",
    )
    assert report.verdict.decision == "rejected"


def test_a_text_that_is_no_unicode_does_not_damage_the_channel(calc: Repo):
    calc.write(**{"calc.py": CALC.replace("return a + b", "raise ValueError('\\udc80')")})
    report = calc.gate()
    assert pick(report, "pytest").status == "failed" and report.verdict.decision == "rejected"


def test_a_project_that_has_the_plugin_and_always_asks_for_it_is_judged_once(calc: Repo):
    calc.commit({"pyproject.toml": policy("pytest") + '[tool.pytest.ini_options]\naddopts = "--agent-gate"\n'})
    calc.write(**{"calc.py": CALC + "import os\n\nSEEN = [n for n in os.environ if 'AGENTGATE' in n]\n"})
    calc.write(**{"test_seen.py": "from calc import SEEN\n\n\ndef test_seen():\n    assert SEEN == []\n"})
    report = calc.gate(python=sys.executable)
    assert report.verdict.decision == "accepted", report.verdict.reasons


@pytest.mark.parametrize("is_plugin", [False, True])
def test_installed_plugins_are_not_rewritten_save_where_the_project_is_one(calc: Repo, workers_python: str, is_plugin: bool):
    entry = "\n[project]\nname = 'calc'\nversion = '1'\n[project.entry-points.pytest11]\ncalc = 'calc'\n" if is_plugin else ""
    looks = f"\n\ndef test_looks():\n    import xdist.dsession\n    assert ('@pytest_ar' in vars(xdist.dsession)) is {is_plugin}\n"
    calc.commit({"pyproject.toml": policy("pytest") + entry, "test_calc.py": TEST_CALC + looks})
    calc.write(**{"calc.py": CALC.replace("a + b", "b + a")})
    assert pick(calc.gate(python=workers_python), "pytest").tests == {"pass-to-pass": 3}


NEEDS = "import test_calc\n\n\ndef test_needs():\n    from calc import add\n    assert test_calc.READY and add(2, 2) == 4\n"


def test_a_file_that_needs_another_ones_imports_is_judged_in_company(calc: Repo):
    calc.commit({"test_calc.py": TEST_CALC + "\n\ndef test_ready():\n    global READY\n    READY = True\n", "test_d.py": NEEDS})
    calc.write(**{"test_d.py": NEEDS + "\n\ndef test_more():\n    assert test_calc.READY\n"})
    report = calc.gate()
    assert report.verdict.decision == "accepted" and len(findings(report, "pytest/order-dependent")) == 2
    calc.write(**{"test_d.py": NEEDS + "\n\ndef test_more():\n    assert not test_calc.READY\n"})
    assert [f[:2] for f in counting(calc.gate())] == [("pytest/own-test-failed", "test_d.py")]


WRONG = TEST_CALC + "\n\ndef test_wrong():\n    assert add(2, 2) == 5\n"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (WRONG.replace("== 5", "== 4"), "pytest/expectation-changed"),
        (
            WRONG.replace("def test_wrong", "import pytest\n\n\n@pytest.mark.skip(reason='x')\ndef test_wrong"),
            "pytest/expectation-changed",
        ),
        (TEST_CALC, "pytest/test-removed"),
    ],
)
def test_a_failing_test_is_mended_in_the_code_or_by_a_human(calc: Repo, text: str, rule: str):
    calc.commit({"test_calc.py": WRONG})
    calc.write(**{"test_calc.py": text, "calc.py": CALC + "\n\nX = 1\n"})
    report = calc.gate()
    assert rule in [f[0] for f in counting(report)] and report.verdict.decision == "undecided"
    calc.write(**{"test_calc.py": WRONG, "calc.py": CALC + "\n\nX = 1\n"})
    assert calc.gate().verdict.decision == "accepted", "nobody has to mend what was broken before"


def test_a_folder_of_testpaths_that_holds_the_product_stays_the_product(calc: Repo):
    calc.commit({"pytest.ini": "[pytest]\ntestpaths = shop tests\npython_files = *.py\n", "shop/__init__.py": "", "shop/calc.py": CALC,
                 "tests/test_shop.py": TEST_CALC.replace("from calc", "from shop.calc")})  # fmt: skip
    calc.write(
        **{"shop/calc.py": BROKEN, "tests/test_shop.py": TEST_CALC.replace("from calc", "from shop.calc").replace("== 5", "== -1")}
    )
    report = calc.gate()
    assert report.verdict.decision == "rejected"
    assert [f.node_id for f in findings(report, "pytest/regression")] == ["tests/test_shop.py::test_add"]


@pytest.mark.parametrize("place", ["shop/tests/test_shop.py", "shop/test_calc.py"])
def test_tests_inside_of_the_package_that_testpaths_names_leave_it_the_product(calc: Repo, place: str):
    inner = TEST_CALC.replace("from calc", "from shop.calc")
    calc.commit(
        {
            "pytest.ini": "[pytest]\ntestpaths = shop\n",
            "shop/__init__.py": "",
            "shop/calc.py": CALC,
            place: inner,
            "test_calc.py": None,
        }
    )
    report = calc.files({"shop/calc.py": BROKEN, place: inner.replace("== 3", "== -1")}).gate()
    assert [f.node_id for f in findings(report, "pytest/expectation-changed")] == [f"{place}::test_add"]
    assert report.verdict.decision == "undecided"


def test_tests_that_the_base_skips_or_expects_to_fail_are_not_disabled_by_a_new_test(calc: Repo):
    marked = (
        "import pytest\nfrom calc import add\n\n\n@pytest.mark.xfail\ndef test_known():\n    assert add(1, 1) == 3\n\n\n"
        "@pytest.mark.skipif(True, reason='elsewhere')\ndef test_elsewhere():\n    assert 0\n\n\ndef test_some():\n    pytest.skip('now')\n"
    )
    calc.commit({"test_more.py": marked})
    report = calc.files({"test_more.py": marked + "\n\ndef test_two():\n    assert add(2, 2) == 4\n"}).gate()
    assert report.verdict.decision == "accepted" and findings(report, "pytest/test-disabled") == []
    assert pick(report, "pytest").tests == {"fail-to-pass": 1, "skip-to-skip": 2, "xfail-to-xfail": 1}
    report = calc.files({"test_more.py": marked.replace("    assert add(1, 1) == 3", "    assert 0"), "test_calc.py": TEST_CALC.replace(
        "def test_add", "@pytest.mark.skip\ndef test_add").replace("from calc", "import pytest\nfrom calc")}).gate()  # fmt: skip
    assert [f.node_id for f in findings(report, "pytest/test-disabled")] == ["test_calc.py::test_add"]


def test_files_that_the_base_never_collects_are_not_blamed_on_a_helper(calc: Repo):
    calc.commit({"pytest.ini": "[pytest]\nnorecursedirs = tests/cases\n", "tests/cases/test_typed.py": "import not_there\n",
                 "tests/cases/test_wrong.py": "def test_wrong():\n    assert 0\n",
                 "tests/conftest.py": "", "tests/test_calc.py": TEST_CALC})  # fmt: skip
    report = calc.files({"tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef one():\n    return 1\n"}).gate()
    assert report.verdict.decision == "accepted", counting(report)


def test_moved_tests_are_no_removed_ones(calc: Repo):
    calc.git("mv", "test_calc.py", "test_moved.py")
    report = calc.gate()
    assert report.verdict.decision == "accepted" and findings(report, "pytest/test-removed") == []


def test_sets_have_one_order_in_every_session(calc: Repo):
    calc.write(**{"test_seed.py": "import sys\n\n\ndef test_seed():\n    assert sys.flags.hash_randomization == 0\n"
                  "    assert not any(p.endswith('injected') for p in sys.path)\n"})  # fmt: skip
    assert calc.gate().verdict.decision == "accepted"


def test_modules_that_only_the_projects_own_environment_has_are_asked_for(calc: Repo):
    lazy = TEST_CALC + "\n\ndef test_lazy():\n    import nobody_has_this\n"
    calc.commit({"test_calc.py": lazy})
    calc.write(**{"calc.py": CALC + "\n\nX = 1\n"})
    evidence = pick(calc.gate(python=sys.executable), "pytest")
    assert evidence.status == "errored" and "nobody_has_this" in evidence.reason and "own interpreter" in evidence.reason
    assert calc.gate().verdict.decision == "accepted", "in the project's own environment it is as it was"


def test_an_environment_that_nobody_ignores_is_no_part_of_the_change(calc: Repo):
    calc.files({".venv/pyvenv.cfg": "home = x\n", ".venv/lib/thing.py": "import nothing\n", "calc.py": CALC + "\n\nX = 1\n"})
    report = calc.gate()
    assert [f.path for f in report.change.files] == ["calc.py"]
    calc.git("add", "-f", ".venv/lib/thing.py")
    assert {f.path for f in calc.gate().change.files} == {"calc.py", ".venv/lib/thing.py"}, "what git tracks is judged"


def test_an_approval_of_no_rule_is_a_usage_error(calc: Repo):
    from pytest_agentgate.errors import UsageError

    calc.write(**{"calc.py": CALC + "\n\nX = 1\n"})
    with pytest.raises(UsageError, match=r"pytest/test-remvoed.*did you mean 'pytest/test-removed'"):
        calc.gate(approvals=("pytest/test-remvoed:test_calc.py",))


def test_progress_says_how_many_tests_there_are_and_what_is_left(calc: Repo):
    slow = "import time\n\nimport pytest\n\n\n@pytest.mark.parametrize('n', range(12))\ndef test_slow(n):\n    time.sleep(0.3)\n"
    calc.commit({"test_slow.py": slow})
    calc.write(**{"calc.py": CALC + "\n\nX = 1\n"})
    said: list[str] = []
    calc.gate(on_progress=lambda check, words: said.append(words))
    assert any("14 of 14 tests" in words for words in said) and any("s left" in words for words in said)
