"""pytest's bytecode for environments that hold none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import CALC, TEST_CALC, Repo, environment, pick, policy

from pytest_agentgate.checks.tests.bytecode import COMPILE

ASKS = """

def test_nothing_of_it_is_seen():
    import glob
    import os
    import sys

    assert sys.pycache_prefix is None and "PYTHONPYCACHEPREFIX" not in os.environ
    for name in glob.glob("{place}/**/*.pyc", recursive=True):
        try:
            open(name, "ab").close()
        except OSError:
            continue
        raise AssertionError(name)
"""


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """An environment as uv makes it by default."""
    python = environment(tmp_path / "bare")
    for folder in (tmp_path / "bare").rglob("__pycache__"):
        shutil.rmtree(folder)
    return python


def test_pytest_is_compiled_once_and_judged_code_cannot_touch_it(repo: Repo, bare: str, tmp_path: Path):
    cache = tmp_path / "cache"
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC + ASKS.format(place=cache), "pyproject.toml": policy("pytest")})
    repo.write(**{"calc.py": CALC + "ONE = 1\n"})
    report = repo.gate(python=bare, cache_folder=str(cache))
    assert pick(report, "pytest").tests == {"pass-to-pass": 3}, report
    (made,) = [p for p in cache.rglob("python.*.pyc") if p.parent.name == "_pytest"]
    before = made.stat()
    repo.write(**{"calc.py": CALC + "ONE = 2\n"})
    assert repo.gate(python=bare, cache_folder=str(cache)).verdict.decision == "accepted"
    assert made.stat() == before
    assert not list((tmp_path / "bare").rglob("__pycache__")), "nothing of the user's is changed"


def test_a_compiled_environment_needs_none(repo: Repo, tmp_path: Path):
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("pytest")})
    repo.write(**{"calc.py": CALC + "ONE = 1\n"})
    assert repo.gate(cache_folder=str(tmp_path / "cache")).verdict.decision == "accepted"
    assert not list(tmp_path.rglob("bytecode-*"))


def test_only_what_is_installed_is_imported_for_it(bare: str, tmp_path: Path):
    """An editable project, which is judged code, could write what all later sessions run."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "colorama.py").write_text("open('/proc/self/cwd/seen', 'w')\n")
    (project / "exceptiongroup.py").write_text("open('/proc/self/cwd/seen', 'w')\n")
    site = next((tmp_path / "bare").rglob("site-packages"))
    finder = "import sys; sys.meta_path.insert(0, type('F', (), {'find_spec': lambda self, name, *a: name == 'colorama' and open('/proc/self/cwd/seen', 'w') and None or None})())"
    (site / "editable.pth").write_text(f"{project}\n{finder}\n")
    made = tmp_path / "made"
    done = subprocess.run([bare, "-I", "-c", COMPILE, str(made)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(made.rglob("_pytest/python.*.pyc"))
    for code in (COMPILE, "import pytest"):
        subprocess.run(
            [bare, "-I", "-c", code.replace("import pytest", "import colorama"), str(made)], cwd=tmp_path, capture_output=True
        )
        assert (tmp_path / "seen").exists() == (code is not COMPILE)
