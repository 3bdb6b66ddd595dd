"""Killed, interrupted, crowded, out of space: the user's repository keeps every byte, nothing stays behind, and the next run
says the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import CALC, TEST_CALC, Repo, policy

KILLER = Path(__file__).parent / "killer.py"
RANDOM_KILLS = 200
SHARDS = 4
OWN_CACHE = True
HONEST = CALC + "\n\nONE = 1\n"
"""Nothing is wrong with it: a run starts a third of the processes that a failing test costs, and each is killed as often."""
LAW = policy("scope", "compile", "ruff", "pytest", more="[tool.agentgate.tests]\nreruns = 1\n")


def bytes_of(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, time and content of everything below a folder, ``.git`` included."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = os.path.join(place, name)
            stat = os.lstat(path)
            content = os.readlink(path) if os.path.islink(path) else ""
            if os.path.isfile(path) and not content:
                with open(path, "rb") as stream:
                    content = hashlib.sha256(stream.read()).hexdigest()
            found[os.path.relpath(path, folder)] = (stat.st_mode, 0 if os.path.isdir(path) else stat.st_mtime_ns, content)
    return found


def living(word: str) -> list[str]:
    """Command lines of processes that mention `word`, ours excepted."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                line = stream.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if word in line and int(pid) != os.getpid() and "pytest_agentgate" not in line.split(" ")[0]:
            found.append(f"{pid}: {line}")
    return found


def gone(word: str, seconds: float = 2.0) -> list[str]:
    """What is still alive after at most `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := living(word)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


@pytest.fixture
def victim(repo: Repo) -> Repo:
    """A repository with everything that could be lost: stash, hooks, staged and unstaged work, untracked and ignored files."""
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": LAW}, "base")
    repo.write(**{"calc.py": CALC + "stashed = 1\n"})
    repo.git("stash")
    repo.git("tag", "v1")
    repo.files({".gitignore": "ignored\n", "ignored": "keep me\n", ".git/hooks/pre-commit": "#!/bin/sh\nexit 0\n"})
    repo.write(**{"calc.py": CALC.replace("a + b", "a - b")})
    repo.git("add", "calc.py")
    repo.write(**{"untracked.md": "u\n"})
    return repo


def argv(repo: Repo, *more: str) -> list[str]:
    return ["check", "--repo", str(repo.path), "--python", repo.python, "--cache-dir", str(repo.cache), "-q", *more]


class Killer:
    """Gates in children of one process that has imported everything (see killer.py)."""

    def __init__(self) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "AGENTGATE_", "CI", "GITHUB_"))}
        self.server = subprocess.Popen(
            [sys.executable, str(KILLER)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, arguments: list[str], limit: int = 0) -> int:
        """Start a gate; its process id."""
        assert self.server.stdin and self.server.stdout
        self.server.stdin.write(json.dumps({"argv": arguments, "limit": limit}) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def ended(self, seconds: float | None = None) -> tuple[int, int] | None:
        """Exit code of the gate, and how many moments it had; None where it has not ended in that time."""
        assert self.server.stdout
        if seconds is not None and not select.select([self.server.stdout], [], [], seconds)[0]:
            return None
        code, moments = json.loads(self.server.stdout.readline())
        return code, moments

    def run(self, arguments: list[str], limit: int = 0) -> tuple[int, int]:
        """A gate to its end, or until it is killed."""
        self.start(arguments, limit)
        done = self.ended()
        assert done
        return done


@pytest.fixture
def killer() -> Iterator[Killer]:
    killer = Killer()
    yield killer
    assert killer.server.stdin
    killer.server.stdin.close()
    assert killer.server.wait(timeout=10) == 0


def verdict(repo: Repo) -> list[object]:
    """Decision and findings of an undisturbed run."""
    target = repo.path.parent / "verdict.json"
    done = repo.cli(*argv(repo), "--report", f"json={target}")
    assert done.returncode in (0, 1, 3), done.stderr
    report = json.loads(target.read_text())
    return [
        report["verdict"]["decision"],
        sorted((f["rule"], f["path"], f["line"]) for e in report["evidence"] for f in e["findings"]),
    ]


def clean(repo: Repo) -> None:
    """No run folder is left, and every cached value is whole."""
    runs = repo.cache / "runs"
    leftovers = [p for p in runs.iterdir() if (p / "lock").exists()] if runs.exists() else []
    assert leftovers == []


@pytest.mark.kill
def test_killed_at_every_process_start_and_rename(victim: Repo, killer: Killer):
    victim.write(**{"calc.py": HONEST})
    victim.git("add", "calc.py")
    truth = bytes_of(victim.path)
    code, moments = killer.run(argv(victim))
    assert code == 0 and moments > 20
    expected = verdict(victim)
    killed = 0
    for number in range(1, moments + 1):
        code, _ = killer.run(argv(victim, "--no-cache"), number)
        assert code in (-signal.SIGKILL, 0), f"moment {number}"
        killed += code != 0
        assert gone(str(victim.cache)) == [], f"moment {number}"
        assert bytes_of(victim.path) == truth, f"moment {number}"
        if number % 5 == 0 or number == moments:
            assert verdict(victim) == expected
            clean(victim)
    assert killed > moments // 2  # the first run also fills a cache, and so has more moments than these


@pytest.mark.kill
@pytest.mark.parametrize("shard", range(SHARDS))
def test_killed_at_random(victim: Repo, killer: Killer, shard: int):
    victim.write(**{"calc.py": HONEST})
    truth = bytes_of(victim.path)
    expected = verdict(victim)
    dice = random.Random(shard)
    whole, killed, number = [1.0, 1.0], 0, 0  # seconds of a run with and without a cache
    while killed < RANDOM_KILLS // SHARDS:
        number, kind, started = number + 1, number % 2, time.monotonic()
        process = killer.start(argv(victim, *(["--no-cache"] if kind else [])))
        if killer.ended(dice.uniform(0.02, whole[kind])):
            whole[kind] = time.monotonic() - started  # it ended before it could be killed
        else:
            with contextlib.suppress(ProcessLookupError):  # it has ended in this very moment
                os.kill(process, signal.SIGKILL)
                killed += 1
            killer.ended()
            whole[kind] = min(whole[kind] * 1.1, 10.0)  # until a run ends first: how long they take depends on the machine
        assert gone(str(victim.cache)) == []
        assert bytes_of(victim.path) == truth
    assert verdict(victim) == expected
    clean(victim)


@pytest.mark.kill
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_everything_within_two_seconds(victim: Repo, number: int):
    victim.write(**{"calc.py": CALC.replace("return a + b", "import time; time.sleep(60)")})
    truth = bytes_of(victim.path)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "AGENTGATE_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_agentgate.cli", *argv(victim)[:-1]],
        env=env,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads yet; a shell's background job ignores SIGINT
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not any("agentgate_probe" in line for line in living(str(victim.cache))) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "interrupted; known so far: scope passed, compile passed, ruff passed" in err
    assert gone(str(victim.cache)) == []
    assert bytes_of(victim.path) == truth
    clean(victim)


@pytest.mark.kill
def test_thirty_two_gates_at_once_on_one_repository(victim: Repo):
    truth = bytes_of(victim.path)
    with ThreadPoolExecutor(32) as pool:
        done = list(pool.map(lambda n: victim.cli(*argv(victim), *(["--no-cache"] if n % 4 == 0 else [])), range(32)))
    assert {d.returncode for d in done} == {1}, [d.stderr for d in done if d.returncode != 1]
    assert {d.stdout.strip().splitlines()[-1] for d in done} == {"rejected: the agent has to mend the problems above"}
    assert bytes_of(victim.path) == truth
    clean(victim)


def test_a_stale_index_lock_is_nobodys_business(victim: Repo):
    (victim.path / ".git/index.lock").write_text("")
    truth = bytes_of(victim.path)
    assert verdict(victim)[0] == "rejected"
    assert bytes_of(victim.path) == truth


@pytest.mark.parametrize("how", ["unshare", "readonly"])
def test_a_full_disk_is_said_and_costs_nothing(victim: Repo, tmp_path: Path, how: str):
    truth = bytes_of(victim.path)
    small = tmp_path / "small"
    small.mkdir()
    command = [sys.executable, "-m", "pytest_agentgate.cli", *argv(Repo(victim.path, victim.python, small / "cache"))]
    size = "64k" if how == "unshare" else "64k,ro"
    script = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"'
    probe = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", size, str(small), "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", size, str(small), *command], capture_output=True, text=True)
    assert done.returncode in (1, 3), done.stderr
    assert "Traceback" not in done.stderr
    if how == "unshare":
        assert "could not run" in done.stdout or "rejected" in done.stdout or "disk" in done.stderr
    assert bytes_of(victim.path) == truth


def test_clocks_that_jump_change_nothing(victim: Repo):
    expected = verdict(victim)
    for place, _, files in os.walk(victim.cache):
        for name in files:
            if name != "manifest":
                os.utime(os.path.join(place, name), (4_000_000_000 if len(name) % 2 else 1, 1))
    assert verdict(victim) == expected


def test_half_a_cached_value_is_no_value(victim: Repo):
    expected = verdict(victim)
    for place, _, files in os.walk(victim.cache / "values"):
        for name in files:
            path = os.path.join(place, name)
            with open(path, "r+b") as stream:
                stream.truncate(os.path.getsize(path) // 2)
    assert verdict(victim) == expected
