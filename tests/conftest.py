"""Real repositories, a real project interpreter, and the gate run on them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_agentgate.model import Evidence, Finding, Report
from pytest_agentgate.pipeline import Gate, judge
from pytest_agentgate.resolve import Source

pytest_plugins = ["pytester"]

GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.invalid",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first on each worker, which begins with its own stretch of the list and then takes from the others'."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = sorted((i for i in items if i.get_closest_marker("kill") or i.get_closest_marker("real")), key=lambda i: i.path.name)
    known = set(long)
    short = [i for i in items if i not in known]
    places = {i: (n * workers // len(group), group is short, n) for group in (long, short) for n, i in enumerate(group)}
    items.sort(key=places.__getitem__)


@dataclass
class Repo:
    """A git repository in a temporary folder."""

    path: Path
    python: str
    cache: Path

    def git(self, *args: str, stdin: bytes | None = None, check: bool = True) -> str:
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | GIT_ENVIRONMENT
        done = subprocess.run(["git", *args], cwd=self.path, env=env, input=stdin, capture_output=True)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    def write(self, **files: str | bytes | None) -> Repo:
        return self.files(files)

    def files(self, files: dict[str, str | bytes | None]) -> Repo:
        for name, content in files.items():
            target = self.path / name
            if content is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def commit(self, files: dict[str, str | bytes | None] | None = None, message: str = "change") -> str:
        self.files(files or {})
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def gate(self, source: Source | None = None, **options: object) -> Report:
        """Judge in this process."""
        settings: dict[str, object] = {"python": self.python, "cache_folder": str(self.cache), "environment": {}, "index": "off"}
        return judge(source or Source(), Gate(directory=str(self.path), **{**settings, **options}))  # type: ignore[arg-type]

    def cli(
        self, *args: str, env: dict[str, str] | None = None, stdin: bytes = b"", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command as a user would."""
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "AGENTGATE_", "PRE_COMMIT", "CI", "GITHUB_"))
        }
        environment |= {
            "AGENTGATE_CACHE_DIR": str(self.cache),
            "AGENTGATE_PYTHON": self.python,
            "AGENTGATE_INDEX": "off",
            **(env or {}),
        }
        done = subprocess.run(
            [sys.executable, "-m", "pytest_agentgate.cli", *args],
            cwd=cwd or self.path,
            env=environment,
            input=stdin,
            capture_output=True,
            timeout=300,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        )


def pick(report: Report, check: str) -> Evidence:
    """The evidence of one check."""
    return next(e for e in report.evidence if e.check == check)


def counting(report: Report) -> list[tuple[str, str | None, int | None, str]]:
    """Rule, path, line and effect of every finding that counts."""
    return [(f.rule, f.path, f.line, f.effect) for e in report.evidence for f in e.findings if f.counts]


def findings(report: Report, rule: str) -> list[Finding]:
    """All findings of one rule."""
    return [f for e in report.evidence for f in e.findings if f.rule == rule]


@pytest.fixture(scope="session")
def project_python(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> str:
    """A project's own virtual environment that holds pytest and nothing else of ours."""
    return environment(tmp_path_factory.mktemp("project") / "venv")


@pytest.fixture
def workers_python(tmp_path: Path) -> str:
    """The same with pytest-xdist, which costs each session a tenth more."""
    return environment(tmp_path / "venv", "pytest-xdist")


def environment(place: Path, *more: str) -> str:
    """A virtual environment with pytest and what else is named; its interpreter."""
    uv = shutil.which("uv", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    assert uv, "uv is missing: pip install '.[dev]'"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(place)], check=True)
    subprocess.run(
        [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(place / "bin/python"), "pytest", *more],
        check=True,
    )
    return str(place / "bin/python")


@pytest.fixture
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of this process that leaves loopback fails the test; children are sent to a proxy that is not there."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        assert not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1", "localhost"), f"left loopback: {address}"
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture(scope="session")
def worker_id() -> str:
    """Overridden by pytest-xdist, which is optional."""
    return "main"


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests of a worker: what is known of the interpreter and of equal bases is asked once."""
    return tmp_path_factory.mktemp("shared") / "cache"


@pytest.fixture
def repo(request: pytest.FixtureRequest, tmp_path: Path, project_python: str, shared_cache: Path) -> Repo:
    """An empty repository on branch main; with a cache of its own where the test's module sets `OWN_CACHE`."""
    path = tmp_path / "repo"
    path.mkdir()
    own = getattr(request.module, "OWN_CACHE", False)
    made = Repo(path, project_python, tmp_path / "cache" if own else shared_cache)
    made.git("init", "-q", "-b", "main")
    return made


def warmed(repo: Repo, name: str, place: Path) -> Repo:
    """The repository's own cache with what a gate without review finds, which is asked once under this name below `place`."""
    warm = place.parent / name
    if not warm.exists():
        gate = Repo(repo.path, repo.python, warm)
        assert gate.gate().verdict.decision == "accepted"
    shutil.copytree(warm / "values", repo.cache / "values")
    return repo


CALC = """\
def add(a: int, b: int) -> int:
    return a + b


def mul(a: int, b: int) -> int:
    return a * b
"""
TEST_CALC = """\
from calc import add, mul


def test_add():
    assert add(1, 2) == 3


def test_mul():
    assert mul(2, 3) == 6
"""


def policy(*checks: str, more: str = "", assurance: str = "A1") -> str:
    """A pyproject.toml with a policy that runs only the named checks, by default without anti-tests (which have their own tests)."""
    names = ", ".join(f'"{c}"' for c in checks)
    return f'[tool.agentgate]\nassurance = "{assurance}"\nchecks = [{names}]\nhook_checks = [{names}]\n{more}\n'


@pytest.fixture
def calc(repo: Repo) -> Repo:
    """A flat module with a test, judged by pytest alone."""
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("pytest")}, "base")
    return repo
