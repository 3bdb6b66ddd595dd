"""What code under judgement can and cannot do, tried from inside by a test of a judged repository."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import CALC, Repo, findings, pick, policy

needs_sandbox = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap on this machine")

ATTEMPTS = {
    "network": ("import socket\n    socket.create_connection(('127.0.0.1', {port}), 2)", True),
    "write outside": ("open('/etc/hostname', 'a')", True),
    "write to the interpreter": ("import os, pytest\n    open(os.path.dirname(pytest.__file__) + '/evil.txt', 'w')", True),
    "read the home": ("import os\n    assert os.listdir({home!r})", True),
    "read the cache": ("import os\n    assert os.listdir({cache!r} + '/runs')", True),
    "write where the verdict is made": ("import glob\n    open(glob.glob({cache!r} + '/runs/*/store.git/HEAD')[0], 'a')", True),
    "signal the gate": ("import os\n    os.kill({gate}, 0)", True),
    "write into the gate": ("import os\n    os.close(os.open('/proc/{gate}/mem', os.O_RDWR))", True),
    "see git": ("import os\n    assert os.path.exists({git!r})", True),
    "read a secret of the environment": ("import os\n    os.environ['ANTHROPIC_API_KEY']", False),
    "read it in another process": (
        "import glob\n    assert any(b'ANTHROPIC_API_KEY=' in open(p, 'rb').read() for p in glob.glob('/proc/[0-9]*/environ'))",
        False,
    ),
    "become privileged": ("import ctypes\n    assert ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0", False),
}
"""What is tried, and whether it succeeds without a sandbox (else something besides it protects, or trying would do harm)."""


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine's loopback on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@needs_sandbox
@pytest.mark.parametrize(
    ("attempt", "mode"),
    [(a, "require") for a in ATTEMPTS] + [(a, "off") for a, (_, outside) in ATTEMPTS.items() if outside],
)
def test_an_attempt_from_inside_fails(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempt: str, mode: str, port: int, project_python: str
):
    """Each attempt fails in the sandbox and succeeds without one: the test notices where its protection is gone."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    home = tmp_path / "home"
    (home / "secret").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    places = {"home": str(home), "cache": str(repo.cache), "git": str(repo.path / ".git"), "gate": os.getpid(), "port": port}
    code = ATTEMPTS[attempt][0].format(**places)
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("pytest"), "test_base.py": "def test_base():\n    pass\n"})
    repo.write(**{"calc.py": CALC + "x = 1\n", "test_attempt.py": f"def test_attempt():\n    {code}\n"})
    report = repo.gate(sandbox=mode)
    for evil in Path(project_python).parent.parent.rglob("evil.txt"):
        evil.unlink()
    evidence = pick(report, "pytest")
    failed = [f.node_id for f in findings(report, "pytest/own-test-failed")]
    assert failed == (["test_attempt.py::test_attempt"] if mode == "require" else []), evidence.reason
    assert evidence.sandbox == ("bubblewrap" if mode == "require" else "none")


@needs_sandbox
@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("a bomb", "import os, time\n    for _ in range(150):\n        if os.fork() == 0:\n            time.sleep(60)\n    time.sleep(60)", "limits.timeout"),
        ("a flood", "import os\n    while True:\n        for fd in range(3, 9):\n            try:\n                os.write(fd, b'x' * 65536)\n            except OSError:\n                pass", ""),
        ("a flood of records", "import os\n    for fd in range(3, 300):\n        try:\n            os.write(fd, b'{}\\n' * 9)\n        except OSError:\n            pass", ""),
        ("silence", "import os\n    os._exit(0)", "before pytest had finished"),
        ("segfault", "import os\n    os.kill(os.getpid(), 11)", "(SIGSEGV) before pytest had finished"),
        ("a stopped runner", "import os, signal\n    os.kill(os.getpid(), signal.SIGSTOP)", "limits.timeout"),
    ],
)  # fmt: skip
def test_what_would_wear_the_gate_out_is_no_verdict_and_leaves_nothing(repo: Repo, name: str, code: str, words: str):
    limits = "[tool.agentgate.limits]\ntimeout = 6.0\noutput_bytes = 100000"
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("pytest", more=limits), "test_base.py": "def test_base():\n    from calc import wear\n    wear()\n"})  # fmt: skip
    repo.write(**{"calc.py": CALC + f"\n\ndef wear():\n    {code}\n"})
    before = set(os.listdir("/proc"))
    report = repo.gate(sandbox="require")
    evidence = pick(report, "pytest")
    assert report.verdict.decision != "accepted"
    if words:
        assert (evidence.status, words in evidence.reason) == ("errored", True), evidence.reason
    mine = [p for p in set(os.listdir("/proc")) - before if p.isdigit() and _command(p).find(str(repo.path)) >= 0]
    assert mine == [], "no process is left"


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


@needs_sandbox
def test_a_daemon_ends_with_its_sandbox(repo: Repo):
    code = (
        "import os, time\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            os.execvp('sleep', ['sleep', '98765.4321'])\n        os._exit(0)\n    time.sleep(0.2)"
    )
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("pytest"), "test_base.py": "def test_base():\n    pass\n"})
    repo.write(**{"calc.py": CALC + "x = 1\n", "test_daemon.py": f"def test_daemon():\n    {code}\n"})
    report = repo.gate(sandbox="require")
    assert (
        "left a process running when the tests had ended: sleep 98765.4321" in findings(report, "integrity/reaches-out")[0].message
    )
    assert [p for p in os.listdir("/proc") if p.isdigit() and "98765.4321" in _command(p)] == []


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
    assert "problem  base: " in repo.cli("doctor").stdout, "no commit is no base"
    repo.commit({"calc.py": CALC}, "base")
    done = repo.cli("doctor")
    assert done.returncode == 0, done.stdout
    assert "sandbox: " in done.stdout and "A3" in done.stdout and "pytest: " in done.stdout
    empty = tmp_path / "bin"
    empty.mkdir()
    (empty / "git").symlink_to(shutil.which("git") or "")
    done = repo.cli("doctor", env={"PATH": str(empty)})
    assert (
        done.returncode == 1
        and "problem  sandbox: bubblewrap is not installed" in done.stdout
        and "apt install bubblewrap" in done.stdout
    )


@needs_sandbox
def test_doctor_tries_the_sandbox_and_looks_at_base_modules_and_git_settings(repo: Repo, tmp_path: Path):
    repo.commit({"calc.py": CALC}, "base")
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit({"calc.py": CALC + "X = 1\n"})
    good = repo.cli("doctor")
    assert good.returncode == 0, good.stdout
    assert "inside the sandbox: code under judgement cannot write outside its tree, reach the network" in good.stdout
    assert "(merge base with main)" in good.stdout
    assert "modules: calc of this checkout" in good.stdout
    repo.git("config", "core.fsmonitor", "touch /tmp/owned")
    repo.git("branch", "-m", "main", "trunk-of-ours")
    bad = repo.cli("doctor")
    assert bad.returncode == 1
    assert "core.fsmonitor of this repository can run a program: touch /tmp/owned" in bad.stdout
    assert "name it with --base" in bad.stdout
