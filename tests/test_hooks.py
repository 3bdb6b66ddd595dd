"""Commit and push hooks: through our own command, real pre-commit and prek."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CALC, GIT_ENVIRONMENT, TEST_CALC, Repo, policy

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
BROKEN = "def add(:\n"


@pytest.fixture
def hooked(repo: Repo) -> Repo:
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("scope", "compile", "pytest")}, "base")
    return repo


def test_pre_commit_judges_the_index_and_falls_back_to_the_last_commit(hooked: Repo):
    done = hooked.cli("pre-commit")
    assert done.returncode == 0, "nothing staged: the last commit, which is the first"
    hooked.write(**{"calc.py": BROKEN})
    assert hooked.cli("pre-commit").returncode == 0, "not staged, not judged"
    hooked.git("add", "calc.py")
    done = hooked.cli("pre-commit")
    assert done.returncode == 1
    assert "calc.py:1: compile/error" in done.stdout
    hooked.git("commit", "-qm", "broken")
    assert hooked.cli("pre-commit").returncode == 1, "the last commit broke it"


def test_a_real_git_hook_is_stopped_and_leaves_the_commit_undone(hooked: Repo):
    hook = hooked.path / ".git/hooks/pre-commit"
    hook.write_text(f'#!/bin/sh\nexec "{BIN}/agentgate" pre-commit --cache-dir "{hooked.cache}" --python "{hooked.python}"\n')
    hook.chmod(0o755)
    hooked.write(**{"calc.py": BROKEN})
    env = {**os.environ, **GIT_ENVIRONMENT}
    before = hooked.git("rev-parse", "HEAD")
    assert subprocess.run(["git", "commit", "-qam", "x"], cwd=hooked.path, env=env, capture_output=True).returncode == 1
    assert hooked.git("rev-parse", "HEAD") == before
    hooked.write(**{"calc.py": CALC + "x = 1\n"})
    assert subprocess.run(["git", "commit", "-qam", "x"], cwd=hooked.path, env=env, capture_output=True).returncode == 0


def test_pre_push_reads_gits_own_lines(hooked: Repo):
    base = hooked.git("rev-parse", "HEAD")
    head = hooked.commit({"calc.py": CALC.replace("a + b", "a - b")})
    zero = "0" * 40
    assert hooked.cli("pre-push", stdin=f"refs/heads/main {head} refs/heads/main {base}\n".encode()).returncode == 1
    assert hooked.cli("pre-push", stdin=f"(delete) {zero} refs/heads/main {base}\n".encode()).returncode == 0
    hooked.git("branch", "topic", base)
    hooked.git("update-ref", "refs/remotes/origin/main", base)
    first = hooked.cli("pre-push", stdin=f"refs/heads/main {head} refs/heads/main {zero}\n".encode())
    assert first.returncode == 1, "a first push is compared with where it left the remote's branches"
    assert "merge base" not in first.stderr


def test_pre_push_reads_pre_commits_variables(hooked: Repo):
    base = hooked.git("rev-parse", "HEAD")
    hooked.commit({"calc.py": CALC.replace("a + b", "a - b")})
    env = {"PRE_COMMIT": "1", "PRE_COMMIT_FROM_REF": base, "PRE_COMMIT_TO_REF": "HEAD"}
    assert hooked.cli("pre-push", env=env).returncode == 1
    env = {"PRE_COMMIT": "1", "PRE_COMMIT_TO_REF": "HEAD"}
    assert hooked.cli("pre-push", env=env).returncode == 1, "a first push to an empty remote: the tests of the push itself fail"


def test_real_try_repo_of_pre_commit_and_of_prek(hooked: Repo, tmp_path: Path):
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".git", ".venv", "*.egg-info", "__pycache__", ".*_cache", "site"))
    copy = Repo(source, hooked.python, hooked.cache)
    copy.git("init", "-q")
    copy.commit()
    hooked.write(**{"calc.py": BROKEN})
    hooked.git("add", "-A")
    env = {
        **os.environ,
        "PIP_NO_COMPILE": "1",  # what is imported once need not be compiled whole
        **GIT_ENVIRONMENT,
        "AGENTGATE_CACHE_DIR": str(hooked.cache),
        "AGENTGATE_PYTHON": hooked.python,
        "PRE_COMMIT_HOME": str(tmp_path / "store"),
        "GIT_CONFIG_COUNT": "0",
    }
    argv = [str(BIN / "pre-commit"), "try-repo", str(source), "agentgate", "--verbose"]
    done = subprocess.run(argv, cwd=hooked.path, env=env, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "calc.py:1: compile/error [reject]" in done.stdout
    hooked.write(**{"calc.py": CALC + "x = 1\n"})
    hooked.git("add", "-A")
    argv[0] = str(BIN / "prek")
    env |= {"PREK_HOME": str(tmp_path / "prek"), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(argv, cwd=hooked.path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accepted" in done.stdout


def test_prek_runs_the_hooks_and_accepts_the_manifest(hooked: Repo, tmp_path: Path):
    prek = str(BIN / "prek")
    subprocess.run([prek, "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")], check=True, capture_output=True)
    config = (
        "repos:\n- repo: local\n  hooks:\n  - id: agentgate\n    name: agentgate\n    language: system\n    pass_filenames: false\n"
    )
    config += f"    always_run: true\n    entry: {BIN}/agentgate pre-commit --cache-dir {hooked.cache} --python {hooked.python}\n"
    hooked.commit({".pre-commit-config.yaml": config})
    hooked.write(**{"calc.py": BROKEN})
    hooked.git("add", "-A")
    env = {**os.environ, **GIT_ENVIRONMENT, "PREK_HOME": str(tmp_path / "prek")}
    done = subprocess.run([prek, "run"], cwd=hooked.path, env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "compile/error" in done.stdout + done.stderr
