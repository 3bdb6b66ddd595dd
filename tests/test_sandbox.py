"""What code under judgement can and cannot do, tried from inside by a test of a judged repository."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conftest import CALC, Repo, findings, pick, policy

needs_sandbox = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap on this machine")

ATTEMPTS = {
    "network": "import socket\n    s = socket.create_connection(('192.0.2.1', 80), 2)",
    "write outside": "open('/etc/hostname', 'a')",
    "write to the interpreter": "import os, pytest\n    open(os.path.dirname(pytest.__file__) + '/evil.py', 'w')",
    "read the home": "import os\n    assert os.listdir({home!r})",
    "read the cache": "import os\n    assert os.listdir({cache!r})",
    "read a secret of the environment": "import os\n    os.environ['ANTHROPIC_API_KEY']",
    "read it in another process": "import glob\n    assert any(b'ANTHROPIC_API_KEY=' in open(p, 'rb').read() for p in glob.glob('/proc/[0-9]*/environ'))",
    "see git": "import os\n    assert os.path.exists({git!r})",
    "become privileged": "import os\n    os.mount"
    if False
    else "import ctypes\n    assert ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
}


@needs_sandbox
@pytest.mark.parametrize("attempt", list(ATTEMPTS))
def test_an_attempt_from_inside_fails(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempt: str):
    """The attempt succeeds without a sandbox, so that the test would notice if its protection were gone."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    home = tmp_path / "home"
    (home / "secret").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    code = ATTEMPTS[attempt].format(home=str(home), cache=str(repo.cache), git=str(repo.path / ".git"))
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("pytest"), "test_base.py": "def test_base():\n    pass\n"})
    repo.write(**{"calc.py": CALC + "x = 1\n", "test_attempt.py": f"def test_attempt():\n    {code}\n"})
    report = repo.gate(sandbox="require")
    assert [f.node_id for f in findings(report, "pytest/own-test-failed")] == ["test_attempt.py::test_attempt"], pick(
        report, "pytest"
    ).reason
    assert pick(report, "pytest").sandbox == "bubblewrap"


@needs_sandbox
def test_what_a_test_writes_into_the_tree_is_gone_in_the_next_run(repo: Repo):
    dirty = "import os\n\n\ndef test_clean():\n    assert not os.path.exists('left')\n    open('left', 'w').write('x')\n    open('calc.py', 'a').write('# dirt')\n"
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("pytest"), "test_base.py": dirty})
    for number in range(3):
        repo.write(**{"calc.py": CALC + f"x = {number}\n"})
        assert repo.gate().verdict.decision == "accepted"
    assert "dirt" not in (repo.path / "calc.py").read_text()


def test_without_a_sandbox_the_report_says_so_and_nothing_is_kept(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("pytest"), "test_base.py": "def test_base():\n    pass\n"})
    repo.write(**{"calc.py": CALC + "x = 1\n"})
    report = repo.gate(sandbox="off")
    assert (report.unsandboxed, report.assurance, report.verdict.decision) == (True, "A0", "accepted")
    assert report.notes == ('no sandbox: the policy says sandbox = "off"',)
    assert not pick(repo.gate(sandbox="off"), "pytest").cached


def test_without_a_sandbox_no_process_outlives_the_run(repo: Repo, tmp_path: Path):
    daemon = "import subprocess, sys\n\n\ndef test_daemon():\n    subprocess.Popen([sys.executable, '-c', \"import time, os; os.setsid(); time.sleep(1); open({!r}, 'w')\"])\n"
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("pytest"), "test_base.py": "def test_base():\n    pass\n"})
    repo.write(**{"calc.py": CALC + "x = 1\n", "test_daemon.py": daemon.format(str(tmp_path / "late"))})
    repo.gate(sandbox="off")
    import time

    time.sleep(1.5)
    assert not (tmp_path / "late").exists()


def test_a_required_sandbox_that_is_missing_leaves_the_change_undecided(repo: Repo, monkeypatch: pytest.MonkeyPatch):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("pytest"), "test_base.py": "def test_base():\n    pass\n"})
    repo.write(**{"calc.py": CALC + "x = 1\n"})
    empty = os.path.join(repo.path.parent, "bin")
    os.makedirs(empty)
    os.symlink(shutil.which("git") or "git", os.path.join(empty, "git"))
    monkeypatch.setenv("PATH", empty)
    report = repo.gate(sandbox="require")
    assert report.verdict.decision == "undecided"
    assert "bubblewrap is not installed" in pick(report, "pytest").reason


def test_doctor_says_what_is_there_and_how_to_get_what_is_not(repo: Repo, tmp_path: Path):
    done = repo.cli("doctor")
    assert done.returncode == 0, done.stdout
    assert "sandbox: " in done.stdout and "A3" in done.stdout and "pytest: " in done.stdout
    empty = tmp_path / "bin"
    empty.mkdir()
    (empty / "git").symlink_to(shutil.which("git") or "")
    done = repo.cli("doctor", env={"PATH": str(empty)})
    assert (
        done.returncode == 1
        and "missing  sandbox: bubblewrap is not installed" in done.stdout
        and "apt install bubblewrap" in done.stdout
    )
