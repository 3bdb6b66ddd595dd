"""Repositories of many projects, environments that hold another copy, and suites with settings of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import CALC, TEST_CALC, Repo, counting, environment, findings, pick, policy

from pytest_agentgate.model import Policy
from pytest_agentgate.named_like_tests import with_product_modules

WRONG = CALC.replace("a + b", "a - b")
INI = "[tool.pytest.ini_options]\npythonpath = ['.']\n"
ZERO = "from app.core import add\n\n\ndef test_zero():\n    assert add(0, 0) == 0\n"


def editable(python: str, **modules: Path) -> None:
    """Install folders in editable mode, as a `.pth` file does."""
    site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True)
    (Path(site.stdout.strip()) / "__editable__.x.pth").write_text("".join(f"{p}\n" for p in modules.values()))


@pytest.fixture
def monorepo(repo: Repo) -> Repo:
    """Two projects in sub-directories, each with its own configuration and a package of the same name as the other's."""
    test = TEST_CALC.replace("from calc", "from app.core")
    for place in ("services/api", "services/web"):
        repo.files({f"{place}/pyproject.toml": INI, f"{place}/app/__init__.py": "", f"{place}/app/core.py": CALC})
        repo.files({f"{place}/tests/test_core.py": test})
    repo.commit({"pyproject.toml": policy("pytest", assurance="A2")})
    return repo


def test_a_project_in_a_sub_directory_is_judged_by_its_own_tests(monorepo: Repo):
    api = "services/api"
    monorepo.files({f"{api}/app/core.py": WRONG, f"{api}/tests/test_zero.py": ZERO})
    report = monorepo.gate()
    assert counting(report) == [("pytest/regression", f"{api}/tests/test_core.py", 5, "reject")]
    monorepo.files({f"{api}/app/core.py": CALC + "X = 1\n", "services/web/app/core.py": CALC + "Y = 1\n"})
    report = monorepo.gate()
    assert (report.verdict.decision, report.assurance) == ("accepted", "A3"), report.verdict.reasons
    assert pick(report, "pytest").tests["pass-to-pass"] == 5


def test_a_project_with_names_and_helpers_of_its_own_is_judged_whole(repo: Repo):
    api = "services/api"
    ini = "[tool.pytest.ini_options]\npythonpath = ['.', 'support']\npython_files = ['chk_*.py', 'test_*.py']\ntestpaths = ['verify']\n"
    test = TEST_CALC.replace("from calc", "from app.core")
    repo.files(
        {f"{api}/pyproject.toml": ini, f"{api}/app/__init__.py": "", f"{api}/app/core.py": CALC, f"{api}/support/helping.py": ""}
    )
    repo.files(
        {f"{api}/verify/conftest.py": "import helping\n", f"{api}/verify/chk_core.py": test, f"{api}/verify/test_more.py": test}
    )
    repo.files(
        {"services/old/pytest.ini": "[pytest]\naddopts = --no-such-option\n", "services/old/test_old.py": "import nothing_here\n"}
    )
    repo.commit(
        {"core.py": CALC, "test_core.py": TEST_CALC.replace("calc", "core"), "pyproject.toml": policy("pytest", assurance="A2")}
    )
    repo.files({"core.py": CALC + "X = 1\n"})
    assert repo.gate().verdict.decision == "accepted", "what never starts on the base stops nobody"
    repo.files({f"{api}/app/core.py": WRONG})
    places = {f[1] for f in counting(repo.gate()) if f[0] == "pytest/regression"}
    assert places == {f"{api}/verify/chk_core.py", f"{api}/verify/test_more.py"}


def test_a_test_of_a_project_that_flakes_by_the_patch_is_not_known_to_flake(monorepo: Repo):
    order = CALC.replace("    return a + b", "    SEEN.append(1)\n    return a + b").replace(
        "return a * b", "return a * b + len(SEEN)"
    )
    monorepo.files({"services/api/app/core.py": "SEEN = []\n\n\n" + order})
    assert [(f[0], f[3]) for f in counting(monorepo.gate())] == [("pytest/flaky", "hold")]


def test_a_vendored_copy_is_no_other_checkout(repo: Repo):
    place = "third_party/packaging"
    repo.files({f"{place}/pyproject.toml": "[project]\nname = 'packaging'\nversion = '1'\n", f"{place}/src/packaging/local.py": "X = 1\n", f"{place}/src/packaging/__init__.py": ""})  # fmt: skip
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("pytest")})
    repo.files({f"{place}/src/packaging/local.py": "X = 2\n"})
    assert repo.gate().verdict.decision == "accepted"


def test_most_tests_that_cannot_be_collected_are_for_a_human(calc: Repo):
    broken = "import nothing_of_this_name\n"
    calc.commit({f"test_{n}.py": broken for n in range(3)})
    calc.files({"calc.py": CALC + "X = 1\n"})
    report = calc.gate()
    assert report.verdict.decision == "undecided"
    assert {f.effect for f in findings(report, "pytest/pre-existing")} == {"hold"}
    calc.commit({"test_0.py": TEST_CALC, "test_1.py": TEST_CALC, "calc.py": CALC})
    calc.files({"calc.py": CALC + "X = 1\n"})
    assert calc.gate().verdict.decision == "accepted"


@pytest.mark.parametrize("package", ["packages/a/src/a/__init__.py", "packages/a/src/acme/tools/core.py", "src/acme/core.py"])
def test_a_folder_of_packages_among_testpaths_stays_the_product(repo: Repo, package: str):
    folder = package.partition("/")[0]
    module = package.removesuffix(".py").removesuffix("/__init__").rpartition("src/")[2].replace("/", ".")
    test = TEST_CALC.replace("from calc", f"from {module}")
    ini = f"[tool.pytest.ini_options]\ntestpaths = ['{folder}']\npythonpath = ['{package.partition('src')[0]}src']\n"
    at = f"{package.partition('src')[0]}tests" if folder == "packages" else "src/tests"
    repo.commit({package: CALC, f"{at}/test_core.py": test, "pyproject.toml": policy("pytest") + ini})
    repo.files({package: WRONG, f"{at}/test_new.py": test.replace("== 3", "== -1")})
    assert [f[0] for f in counting(repo.gate())] == ["pytest/regression"]


def test_another_checkout_is_not_what_was_judged(repo: Repo, tmp_path: Path):
    python = environment(tmp_path / "venv")
    repo.commit({"packages/a/src/a/__init__.py": CALC, "packages/a/tests/test_a.py": TEST_CALC.replace("from calc", "from a"), "pyproject.toml": policy("pytest") + "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\n"})  # fmt: skip
    editable(python, a=repo.path / "packages/a/src")
    repo.git("checkout", "-qb", "broke")
    repo.commit({"packages/a/src/a/__init__.py": WRONG})
    repo.git("checkout", "-q", "main")
    other = tmp_path / "worktree"
    repo.git("worktree", "add", "-q", str(other), "broke")
    here = Repo(other, python, repo.cache).gate()
    assert here.verdict.decision == "undecided" and "which is not the judged tree" in pick(here, "pytest").reason
    repo.git("checkout", "-q", "--detach", "broke")
    assert Repo(repo.path, python, repo.cache).gate().verdict.decision == "rejected", "nothing of the other checkout's is believed"


def test_programs_that_tests_start_are_the_judged_ones(repo: Repo, tmp_path: Path):
    python = environment(tmp_path / "venv")
    main = "print('right')\n"
    test = "import subprocess, sys\n\n\ndef test_cli():\n    assert subprocess.check_output([sys.executable, '-m', 'pkg'], text=True) == 'right\\n'\n"
    repo.commit(
        {"src/pkg/__init__.py": "", "src/pkg/__main__.py": main, "tests/test_cli.py": test, "pyproject.toml": policy("pytest")}
    )
    installed = tmp_path / "installed"
    (installed / "pkg").mkdir(parents=True)
    (installed / "pkg/__init__.py").write_text("")
    (installed / "pkg/__main__.py").write_text(main)
    editable(python, pkg=installed)
    repo.files({"src/pkg/__main__.py": "print('wrong')\n"})
    repo.python = python
    for sandbox in ("auto", "off"):
        assert counting(repo.gate(sandbox=sandbox))[0][0] == "pytest/regression"


def test_a_test_that_flakes_on_the_base_hides_no_failure_of_another_kind(repo: Repo, tmp_path: Path):
    often = "import random\nfrom calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n    assert random.SystemRandom().random() < 0.5\n\n\ndef test_other():\n    assert True\n"
    repo.commit({"calc.py": CALC, "test_calc.py": often, "pyproject.toml": policy("pytest")})
    repo.files({"calc.py": WRONG})
    decisions = [repo.gate(use_cache=False).verdict.decision for _ in range(3)]
    assert "accepted" not in decisions, decisions
    named = "import uuid\nfrom calc import add\n\n\ndef test_never():\n    raise RuntimeError(f'no licence {uuid.uuid4()}')\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    repo.commit({"calc.py": CALC, "test_calc.py": named})
    repo.files({"calc.py": CALC + "X = 1\n"})
    report = repo.gate()
    assert report.verdict.decision == "accepted"
    assert sum(s.what == "the base's own answer" for s in pick(report, "pytest").steps) == 1, "the same words, save an id"


def test_a_limit_of_coverage_is_no_failure_of_a_test(repo: Repo, tmp_path: Path):
    repo.python = environment(tmp_path / "venv", "pytest-cov")
    ini = "[tool.pytest.ini_options]\naddopts = '--cov=calc --cov-fail-under=99'\n"
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("pytest", assurance="A2") + ini})
    repo.files({"calc.py": CALC + "\n\ndef sub(a, b):\n    return a - b\n"})
    report = repo.gate()
    assert report.verdict.decision == "accepted", report.verdict.reasons


PREDICATES = "def test_odd(value):\n    return value % 2 == 1\n\n\nTESTS = {'odd': test_odd}\n"
"""Product, although module and function have names of tests."""


@pytest.fixture
def named_alike(calc: Repo) -> Repo:
    package = {
        "pkg/__init__.py": "from pkg.tests import TESTS\nfrom pkg import (\n    ab_test,\n)\n",
        "pkg/tests.py": PREDICATES,
        "pkg/ab_test.py": "def arm(user):\n    return user % 2\n",
    }
    tests = "from pkg import TESTS, ab_test\n\n\ndef test_odd():\n    assert TESTS['odd'](3)\n\n\ndef test_arm():\n    assert ab_test.arm(3) == 1\n"
    calc.commit({**package, "tests/test_pkg.py": tests, "pyproject.toml": policy("integrity", "pytest", assurance="A2")})
    return calc


def test_product_with_the_name_of_a_test_is_judged_as_product(named_alike: Repo):
    named_alike.write(**{"pkg/tests.py": PREDICATES.replace("value % 2 == 1", "bool(value % 2)")})
    report = named_alike.gate()
    assert report.verdict.decision == "accepted", report.verdict.reasons
    named_alike.write(**{"pkg/tests.py": PREDICATES, "pkg/ab_test.py": "def arm(user):\n    return 0\n"})
    report = named_alike.gate()
    assert [f.node_id for f in findings(report, "pytest/regression")] == ["tests/test_pkg.py::test_arm"]


def test_new_product_with_the_name_of_a_test_is_there_for_the_bases_tests(named_alike: Repo):
    init = "from pkg.tests import TESTS\nfrom pkg import ab_test\nfrom pkg.speed_test import fast\n"
    named_alike.write(**{"pkg/__init__.py": init, "pkg/speed_test.py": "def fast():\n    return True\n"})
    assert named_alike.gate().verdict.decision == "accepted"


def test_a_file_that_only_has_the_name_of_a_test_is_asked_by_all_tests(named_alike: Repo):
    """Only tests import it: it is the judge's, so that the base's tests do not see what the patch made of it."""
    alone = {"pkg/__init__.py": "from pkg.tests import TESTS\n", "pkg/more.py": "def more(n):\n    return n + 1\n"}
    more = "from pkg.more import more\n\n\ndef test_more():\n    assert more(1) == 2\n"
    named_alike.commit({**alone, "tests/test_more.py": more})
    added = {"pkg/more.py": alone["pkg/more.py"] + "\n\ndef less(n):\n    return n - 1\n", "tests/test_more.py": more.replace("import more", "import less, more") + "\n\ndef test_less():\n    assert less(1) == 0\n"}  # fmt: skip
    named_alike.write(**added, **{"pkg/ab_test.py": "def arm(user):\n    return 0\n"})
    report = named_alike.gate()
    assert [f.node_id for f in findings(report, "pytest/own-test-failed")] == ["tests/test_pkg.py::test_arm"]


def test_a_patch_cannot_make_a_test_product_by_importing_it(named_alike: Repo):
    named_alike.commit({"pkg/self_test.py": "from pkg import ab_test\n\n\ndef test_self():\n    assert ab_test.arm(5) == 1\n"})
    init = "from pkg.tests import TESTS\nfrom pkg import ab_test\nfrom pkg import self_test\n"
    named_alike.write(**{"pkg/__init__.py": init, "pkg/ab_test.py": "def arm(user):\n    return int(user == 3)\n", "pkg/self_test.py": "def test_self():\n    assert True\n"})  # fmt: skip
    assert named_alike.gate().verdict.decision != "accepted"


BESIDE = {
    "pkg/__init__.py": "",
    "pkg/core.py": "def price(n):\n    return n * 3\n",
    "pkg/test_core.py": "from pkg.core import price\nfrom pkg.test_cases import CASES\nfrom pkg.test_util import same\n\n\ndef test_price():\n    for n, want in CASES:\n        same(price(n), want)\n",
    "pkg/test_cases.py": "CASES = [(1, 3), (2, 6)]\n",
    "pkg/test_util.py": "def same(came, want):\n    assert came == want\n",
}
"""Tests beside the modules, with a table and a helper that only tests import."""


@pytest.mark.parametrize(
    "lies", [{"pkg/test_cases.py": "CASES = [(1, 4), (2, 8)]\n"}, {"pkg/test_util.py": "def same(came, want):\n    assert came\n"}]
)
def test_tables_and_helpers_that_tests_import_stay_the_judges(calc: Repo, lies: dict[str, str]):
    calc.commit({**BESIDE, "pyproject.toml": policy("pytest", assurance="A2")})
    calc.files({"pkg/core.py": "# from pkg import test_cases, test_util\ndef price(n):\n    return n * 4\n", **lies})
    report = calc.gate()
    assert report.verdict.decision != "accepted" and report.verdict.decision in ("rejected", "undecided")
    assert findings(report, "pytest/regression") or findings(report, "pytest/expectation-changed")


def test_names_that_are_no_text_and_long_imports_stop_nobody():
    long = "from .x import (a\n" * 6000
    files = {
        "pkg/__init__.py": b"",
        "pkg/\udcff_test.py": b"",
        "pkg/ab_test.py": b"def arm():\n    return 1\n",
        "pkg/core.py": b"from . import ab_test\nX = '''" + long.encode() + b"'''\n",
    }
    law = with_product_modules(Policy(), files, files, lambda side, paths: {p: files[p] for p in paths})
    assert law.tests.paths[-1] == "!/pkg/ab_test.py"
