"""``pytest --agent-gate``: checks as items, the verdict's exit code, and nothing of the judged tree has a say."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from conftest import CALC, TEST_CALC, Repo, policy

LAW = policy("scope", "compile", "pytest")
BROKEN = "def add(:\n"
"""Rejected by `compile`, before anything slow runs."""


@pytest.fixture
def judged(repo: Repo) -> Repo:
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": LAW}, "base")
    return repo


def run(repo: Repo, *args: str, env: dict[str, str] | None = None, gate: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GIT_", "COV_"))}
    argv = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest"]  # it takes half of the time, and is not asked anything
    argv += ["--agent-gate", f"--agent-gate-python={repo.python}", f"--agent-gate-cache-dir={repo.cache}"] if gate else []
    return subprocess.run([*argv, *args], cwd=repo.path, env=environment | (env or {}), capture_output=True, text=True, timeout=300)


def test_checks_are_items_and_the_exit_code_is_the_verdicts(judged: Repo, tmp_path):
    judged.write(**{"calc.py": CALC.replace("a * b", "b * a")})
    done = run(judged, "-v", f"--junitxml={tmp_path / 'junit.xml'}")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("scope", "compile", "pytest"):
        assert f"agent-gate::{name} PASSED" in done.stdout
    assert "accepted: every required check passed" in done.stdout
    cases = ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    assert [c.attrib["name"] for c in cases] == ["scope", "compile", "pytest"]


def test_rejected_is_1_undecided_is_3_and_usage_is_4(judged: Repo):
    judged.write(**{"calc.py": CALC.replace("a + b", "a - b")})
    done = run(judged)
    assert done.returncode == 1
    assert "pytest/regression" in done.stdout
    judged.write(**{"calc.py": CALC.replace("a + b", "a - b"), "test_calc.py": TEST_CALC.replace("== 3", "== -1")})
    assert run(judged).returncode == 3
    assert run(judged, "--agent-gate-base=nope").returncode == 4
    judged.git("checkout", "-q", ".")
    done = run(judged)
    assert done.returncode == 4
    assert "nothing to judge" in done.stdout


@pytest.mark.parametrize("setting", ["strict_config = true", "strict = true", "addopts = --strict-config"])
def test_settings_of_plugins_that_are_not_there_are_no_error(judged: Repo, setting: str):
    judged.commit({"pytest.ini": f"[pytest]\nnobody_knows_this = 1\n{setting}\n"})
    judged.write(**{"calc.py": BROKEN})
    done = run(judged)
    assert done.returncode == 1 and "rejected" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "addopts",
    [
        "--collect-only",
        "--help",
        "--markers",
        "--fixtures",
        "--cache-show",
        "--setup-plan",
        "-k zzz",
        "--deselect agent-gate",
        "-m slow",
        "--maxfail=1",
        "-n2",
        "--version",
        "-h",
        "-p no:agentgate",
        "-p no:terminal",
        "--exitfirst",
    ],
)
@pytest.mark.parametrize("where", ["ini", "environment"])
def test_judged_addopts_never_make_it_green(judged: Repo, addopts: str, where: str):
    files = {"calc.py": BROKEN}
    if where == "ini":
        files["pytest.ini"] = f"[pytest]\naddopts = {addopts}\nmarkers = slow\n"
    judged.files(files)
    done = run(judged, env={"PYTEST_ADDOPTS": addopts} if where == "environment" else None)
    assert done.returncode != 0, done.stdout
    if addopts != "-p no:agentgate":
        assert done.returncode == 1, done.stdout + done.stderr


def test_the_judged_conftest_is_not_loaded(judged: Repo):
    judged.write(**{"conftest.py": "import os\nos._exit(0)\n", "calc.py": BROKEN})
    assert run(judged).returncode != 0
    judged.write(**{"conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"})
    assert run(judged).returncode in (1, 3)


def test_without_the_flag_the_plugin_is_not_noticed(judged: Repo):
    done = run(judged, "-q", gate=False)
    assert done.returncode == 0
    assert "2 passed" in done.stdout and "gate" not in done.stdout


def test_importing_the_plugin_costs_only_what_pytest_has_loaded():
    script = (
        "import sys, pytest, _pytest.config\n"
        "for name in _pytest.config.default_plugins: __import__('_pytest.' + name)\n"
        "before = set(sys.modules)\nimport pytest_agentgate.pytest_plugin\n"
        "new = {m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)\n"
        "print(sorted(new))"
    )
    out = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['pytest_agentgate']"
    script = script.replace(
        "{m.partition('.')[0] for m in set(sys.modules) - before}", "{m for m in sys.modules if m.startswith('pytest_agentgate')}"
    )
    out = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['pytest_agentgate', 'pytest_agentgate.pytest_plugin']"


def test_the_doors_have_the_same_options():
    from pytest_agentgate import pytest_plugin
    from pytest_agentgate.options import OPTIONS

    kinds = {"value": pytest_plugin.VALUES, "flag": pytest_plugin.FLAGS, "repeat": pytest_plugin.REPEATED}
    for kind, names in kinds.items():
        assert sorted(names) == sorted(o.name for o in OPTIONS if o.kind == kind and o.pytest)
