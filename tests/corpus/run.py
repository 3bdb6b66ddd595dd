"""Gates a patch of the corpus in a real repository."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from corpus.bases import Base
from corpus.making import Gitlink, Link
from pytest_agentgate.checks.integrity import judges
from pytest_agentgate.checks.integrity.check import BUILT_IN
from pytest_agentgate.checks.tests.classify import HEAD_O
from pytest_agentgate.checks.tests.records import Result, Run
from pytest_agentgate.checks.tests.session import Ask, Sessions
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model import Report
from pytest_agentgate.pipeline import Gate, judge
from pytest_agentgate.resolve import Source

LAW = "\n[tool.agentgate.limits]\ntimeout = 20.0\n"
OFF = {
    "rules": '\n[tool.agentgate]\nchecks = ["compile", "ruff", "mypy", "integrity", "pytest"]\n[tool.agentgate.effects]\n'
    + "".join(f'"{r.id}" = "off"\n' for s in BUILT_IN for r in s.rules if r.id != judges.RULE.id),
    "judges": '\n[tool.agentgate.effects]\n"integrity/judges-edited" = "off"\n',
    "tools": '\n[tool.agentgate]\nchecks = ["scope", "integrity", "pytest"]\n',
    "suite": "",
    "anti-tests": '\n[tool.agentgate]\nassurance = "A1"\n',
}
"""Policies that switch one layer off. The suite cannot be switched off, only be forged: see `forged`."""
ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.invalid", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.invalid", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What the gate said, and what counted."""

    decision: str
    rules: frozenset[str]


def make_repository(base: Base, files: Mapping[str, str | bytes | None], path: Path, law: str = LAW) -> Path:
    """A repository with the base as its commit and the patch in its working tree."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | ENVIRONMENT
    path.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=path, env=env, check=True)
    before = base.files()
    _write(path, {**before, "pyproject.toml": before.get("pyproject.toml", "") + law})
    subprocess.run(["git", "add", "-A", "-f"], cwd=path, env=env, check=True)
    subprocess.run(["git", "commit", "-qm", "base"], cwd=path, env=env, check=True)
    after = {p: t + law if p == "pyproject.toml" and isinstance(t, str) else t for p, t in files.items()}
    _write(path, after)
    subprocess.run(["git", "add", "-A", "-f"], cwd=path, env=env, check=True)
    for name, content in after.items():
        if isinstance(content, Gitlink):
            entry = f"160000,{content},{name}"
            subprocess.run(["git", "update-index", "--add", "--cacheinfo", entry], cwd=path, env=env, check=True)
    return path


def _write(path: Path, files: Mapping[str, str | bytes | None]) -> None:
    for name, content in files.items():
        place = path / name
        if content is None:
            place.unlink()
            continue
        if isinstance(content, Gitlink):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            place.unlink(missing_ok=True)
            place.symlink_to(content)
            continue
        place.write_bytes(content.encode() if isinstance(content, str) else content)


def gate(
    base: Base,
    files: Mapping[str, str | bytes | None],
    python: str,
    *,
    off: str = "",
    cache: str = "",
    place: Path | None = None,
    effects: str = "",
) -> Report:
    """The gate's report on a patch, with the layer `off` switched off. `cache`: a folder that other gates filled.

    `effects`: what the base's policy says of effects. `place`: where the repository shall be, one at a time. What the tools remember of the one before it there is of use to the next.
    """
    folder = Path(tempfile.mkdtemp(prefix="agentgate-corpus-"))
    try:
        path = place / base.name if place else folder / "repo"
        shutil.rmtree(path, ignore_errors=True)
        policy = OFF.get(off, "")
        table = "" if not effects or "[tool.agentgate.effects]" in policy else "\n[tool.agentgate.effects]\n"
        path = make_repository(base, files, path, policy + table + (effects if off != "rules" else "") + LAW)
        return judge(
            Source(kind="staged", base="HEAD"),
            Gate(directory=str(path), python=python, cache_folder=cache or str(folder / "cache"), environment={}, index="off"),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def forged() -> Iterator[None]:
    """As if the patch had the channel of the suite in its hands: every test that is run as it stands comes back passed.

    Runs of turned and of blinded tests answer as they do. This is the suite's layer, switched off.
    """
    real = Sessions.run

    def run(self: Sessions, ask: Ask, words: str = "") -> Run:
        if ask.role not in (HEAD_O, "head") or ask.overlay is not None or ask.teller or ask.ids is not None:
            return real(self, ask, words)
        try:
            said = real(self, ask, words)
        except ToolError:
            said = Run([], {}, {}, {})
        known = real(self, Ask("base", marked_only=True)).exists if ask.role == HEAD_O else said.collected
        results = {i: Result("passed", duration=said.results[i].duration if i in said.results else 0.0) for i in known}
        return Run(list(known), results, {}, said.files, said.pytest, list(known), said.told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sessions, "run", run)
        yield


def outcome(report: Report) -> Outcome:
    """The report, condensed."""
    rules = set()
    for evidence in report.evidence:
        rules |= {f.rule for f in evidence.findings if f.counts}
        if evidence.status == "errored" or (
            evidence.status == "skipped" and not evidence.leave and "not run, because" not in evidence.reason
        ):
            rules.add(f"{evidence.check}: {evidence.status}")
    if any("assurance" in r for r in report.verdict.reasons):
        rules.add("assurance")
    return Outcome(report.verdict.decision, frozenset(rules))
