"""Gates a patch of the corpus in a real repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from corpus.bases import Base
from pytest_agentgate.model import Report
from pytest_agentgate.pipeline import Gate, judge
from pytest_agentgate.resolve import Source

SOFT = "\n[tool.agentgate]\nfail_fast = false\n[tool.agentgate.limits]\ntimeout = 20.0\n[tool.agentgate.effects]\n'integrity/*' = 'hold'\n'scope/*' = 'hold'\n'compile/*' = 'hold'\n"
"""The barriers only hold, so that each further layer says what it sees on its own."""
LAW = "\n[tool.agentgate.limits]\ntimeout = 20.0\n"
ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.invalid", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.invalid", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What the gate said, and which layers would have stopped the patch."""

    decision: str
    rules: frozenset[str]
    layers: frozenset[str] = field(default=frozenset())


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
    return path


def _write(path: Path, files: Mapping[str, str | bytes | None]) -> None:
    for name, content in files.items():
        place = path / name
        if content is None:
            place.unlink()
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)


def gate(base: Base, files: Mapping[str, str | bytes | None], python: str, *, soft: bool = False, cache: str = "") -> Report:
    """The gate's report on a patch; with `soft` no layer stands in another's way. `cache`: a folder that other gates filled."""
    folder = Path(tempfile.mkdtemp(prefix="agentgate-corpus-"))
    try:
        path = make_repository(base, files, folder / "repo", SOFT if soft else LAW)
        return judge(
            Source(kind="staged", base="HEAD"),
            Gate(directory=str(path), python=python, cache_folder=cache or str(folder / "cache"), environment={}, index="off"),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def outcome(report: Report) -> Outcome:
    """The report, condensed: layers are the static rules, the tools, the trusted suite with its channel, and the anti-tests."""
    layers, rules = set(), set()
    for evidence in report.evidence:
        for finding in evidence.findings:
            if finding.counts:
                rules.add(finding.rule)
                layers.add("anti-tests" if finding.rule == "integrity/anti-test-passed" else _layer(evidence.check))
        if evidence.status == "errored" or (
            evidence.status == "skipped" and not evidence.leave and "not run, because" not in evidence.reason
        ):
            layers.add(_layer(evidence.check))
            rules.add(f"{evidence.check}: {evidence.status}")
    if any("assurance" in r for r in report.verdict.reasons):
        layers.add("assurance")
        rules.add("assurance")
    return Outcome(report.verdict.decision, frozenset(rules), frozenset(layers))


def _layer(check: str) -> str:
    return {"integrity": "static", "scope": "static", "pytest": "suite"}.get(check, "tools")
