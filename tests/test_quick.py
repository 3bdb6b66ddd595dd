"""The quick door: the same answer while nothing has changed, and never one that something could have changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import CALC, TEST_CALC, Repo, policy, warmed

AGENTGATE = Path(sys.executable).parent / "agentgate"

OWN_CACHE = True


@pytest.fixture
def known(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A clean topic branch that was gated twice, so that its answer is noted."""
    repo.commit(
        {
            "pkg/calc.py": CALC,
            "test_calc.py": TEST_CALC.replace("calc", "pkg.calc"),
            "pyproject.toml": policy("scope", "compile", "pytest"),
        }
    )
    repo.git("checkout", "-qb", "topic")
    repo.commit({"pkg/calc.py": CALC + "x = 1\n"})
    warmed(repo, "quick", tmp_path_factory.getbasetemp() / "quick")
    time.sleep(0.1)
    assert [ask(repo)[0], ask(repo)[0]] == [0, 0]
    assert len(list((repo.cache / "answers").iterdir())) == 1
    return repo


def ask(repo: Repo, *more: str, strace: bool = False) -> tuple[int, str]:
    argv = [str(AGENTGATE), "check", "--python", repo.python, "--cache-dir", str(repo.cache), *more]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "AGENTGATE_", "CI", "GITHUB_", "PYTEST_"))}
    done = subprocess.run(argv, cwd=repo.path, env=env, capture_output=True, text=True)
    return done.returncode, done.stdout


def from_notes(repo: Repo) -> bool:
    """Whether the answer comes from notes: then no run folder is made."""
    runs = repo.cache / "runs"
    before = runs.stat().st_mtime_ns
    ask(repo)
    return runs.stat().st_mtime_ns == before


def test_the_same_question_gets_the_same_answer_without_a_run(known: Repo):
    assert from_notes(known)
    code, text = ask(known)
    assert (code, text.strip().splitlines()[-1]) == (0, "accepted: every required check passed")


@pytest.mark.parametrize(
    "change",
    [
        "edit",
        "same size and old time",
        "untracked",
        "untracked below",
        "delete",
        "commit",
        "moved main",
        "staged",
        "exclude",
        "installed",
        "interpreter",
    ],
)
def test_whatever_changes_leads_to_a_whole_run(known: Repo, change: str):
    source = known.path / "pkg/calc.py"
    broken = source.read_text().replace("a + b", "a - b")
    site = next((Path(known.python).parent.parent / "lib").glob("python*/site-packages"))
    match change:
        case "edit":
            source.write_text(broken)
        case "same size and old time":
            old = source.stat()
            source.write_text(broken)
            os.utime(source, ns=(old.st_atime_ns, old.st_mtime_ns))
        case "untracked":
            (known.path / "new.py").write_text("def broken(:\n")
        case "untracked below":
            (known.path / "pkg/new.py").write_text("def broken(:\n")
        case "delete":
            source.unlink()
        case "commit":
            known.commit({"pkg/calc.py": broken})
        case "moved main":
            known.git("branch", "-f", "main", "topic")
        case "staged":
            known.git("rm", "-q", "--cached", "pkg/calc.py")
        case "exclude":
            (known.path / ".git/info").mkdir(exist_ok=True)
            (known.path / ".git/info/exclude").write_text("x\n")
        case "installed":
            (site / "new_package").mkdir()
        case "interpreter":
            os.utime(Path(known.python).parent.parent / "pyvenv.cfg")
    try:
        assert not from_notes(known)
    finally:
        if change == "installed":
            (site / "new_package").rmdir()
    if change in ("edit", "same size and old time", "untracked", "untracked below", "delete", "commit"):
        assert ask(known)[0] == 1


def test_another_environment_or_directory_is_another_question(known: Repo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOMETHING", "else")
    assert not from_notes(known)


def test_damaged_notes_are_no_notes(known: Repo):
    note = next((known.cache / "answers").iterdir())
    note.write_bytes(note.read_bytes().replace(b"0\n", b"1\n", 1))
    assert ask(known)[0] == 0


def test_nothing_is_noted_of_a_run_that_was_overtaken(known: Repo):
    for item in (known.cache / "answers").iterdir():
        item.unlink()
    (known.path / "pkg/calc.py").write_text(CALC + "x = 1\n")
    ask(known)
    noted = list((known.cache / "answers").iterdir())
    assert noted == [] or (known.path / "pkg/calc.py").stat().st_ctime_ns < noted[0].stat().st_ctime_ns - 20_000_000


def test_the_quick_door_imports_almost_nothing():
    script = "import sys; before = set(sys.modules); import pytest_agentgate.quick; print(sorted(set(sys.modules) - before))"
    out = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['__future__', '_blake2', 'pytest_agentgate', 'pytest_agentgate.quick']"


def test_explain_last_is_about_the_answer_that_was_given_last(known: Repo):
    assert from_notes(known)
    assert ask(known, "--base", "main~0", "--head", "main")[0] == 4, "nothing to judge"
    known.git("checkout", "-qb", "other")
    known.commit({"pkg/calc.py": CALC.replace("a + b", "a - b")})
    assert ask(known, "--base", "topic")[0] == 1
    known.git("checkout", "-q", "topic")
    assert ask(known)[0] == 0
    assert ask(known, "--base", "topic", "--head", "other")[0] == 1
    for _ in range(2):
        assert ask(known)[0] == 0
        assert known.cli("explain", "last", env={"AGENTGATE_CACHE_DIR": str(known.cache)}).stdout.startswith("accepted")


def test_an_early_interrupt_is_one_line(known: Repo, tmp_path: Path):
    (tmp_path / "argparse.py").write_text(
        "import os, signal, time\nprint('now', flush=True)\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
        "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(20)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    argv = [sys.executable, "-m", "pytest_agentgate.quick", "check", "--repo", str(known.path), "--no-cache"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (2, "now\n", "agentgate: interrupted; nothing was judged\n")


def test_a_locale_that_is_not_utf_8_judges_all_the_same(known: Repo):
    known.files({"naïve.py": "x: int = 1\n"})
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    argv = [str(AGENTGATE), "check", "--python", known.python, "--cache-dir", str(known.cache), "--report", "json"]
    done = subprocess.run(argv, cwd=known.path, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "naïve.py" in [f["path"] for f in json.loads(done.stdout)["change"]["files"]]
    shown = subprocess.run(argv[:-2], cwd=known.path, env={**env, "PYTHONIOENCODING": "ascii"}, capture_output=True)
    assert shown.returncode == 0 and shown.stdout.isascii()
