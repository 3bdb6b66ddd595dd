"""`agentgate init`: what a repository needs to be gated, proposed as a diff. Nothing is written unless that is asked for."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_agentgate import __version__

HOOKS = """\
{indent}- repo: local
{indent}  hooks:
{indent}    - id: agentgate
{indent}      name: agentgate (staged change)
{indent}      entry: agentgate pre-commit
{indent}      language: system
{indent}      pass_filenames: false
{indent}      always_run: true
{indent}    - id: agentgate-push
{indent}      name: agentgate (pushed commits)
{indent}      entry: agentgate pre-push
{indent}      language: system
{indent}      pass_filenames: false
{indent}      always_run: true
{indent}      stages: [pre-push]
"""
WORKFLOW = """\
name: agentgate
on: pull_request
permissions:
  contents: read
jobs:
  agentgate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
        with:
          fetch-depth: 0
          ref: ${{{{ github.event.pull_request.head.sha }}}}
          persist-credentials: false
      - uses: actions/setup-python@v6
        with:
          python-version: "{python}"
      - run: sudo apt-get update -qq && sudo apt-get install -y -qq bubblewrap
      - run: cd "$RUNNER_TEMP" && python -I -m venv gate && gate/bin/pip install -q pytest-agentgate=={version}
      - run: git worktree add -q "$RUNNER_TEMP/base" "${{{{ github.event.pull_request.base.sha }}}}" && cd "$RUNNER_TEMP/base" && {install}
      - run: >-
          "$RUNNER_TEMP/gate/bin/agentgate" check --base "${{{{ github.event.pull_request.base.sha }}}}" --head HEAD
          --python "$(command -v python)" --report terminal --report github --report "github-summary=$GITHUB_STEP_SUMMARY"
"""


@dataclass(frozen=True)
class Proposal:
    """One file as it would be."""

    path: str
    before: str | None
    after: str
    why: str

    def diff(self) -> str:
        """The change as a unified diff."""
        names = ("/dev/null" if self.before is None else f"a/{self.path}", f"b/{self.path}")
        rows = difflib.unified_diff((self.before or "").splitlines(keepends=True), self.after.splitlines(keepends=True), *names)
        return "".join(row if row.endswith("\n") else row + "\n\\ No newline at end of file\n" for row in rows)


@dataclass(frozen=True)
class Looked:
    """What a repository has."""

    top: str
    pyproject: str | None
    tables: frozenset[str]
    """Names below ``[tool]``."""
    extras: tuple[str, ...]
    groups: tuple[str, ...]
    broken: bool = False
    """There is a ``pyproject.toml`` that cannot be read."""

    def has(self, path: str) -> bool:
        """Whether a file is there."""
        return os.path.exists(os.path.join(self.top, path))


def look(top: str) -> Looked:
    """Read what matters."""
    text = _read(top, "pyproject.toml")
    broken = text is None and os.path.lexists(os.path.join(top, "pyproject.toml"))
    try:
        data = tomllib.loads(text or "")
    except tomllib.TOMLDecodeError:
        data, broken = {}, True
    extras = _table(_table(data, "project"), "optional-dependencies")
    return Looked(top, text, frozenset(_table(data, "tool")), tuple(extras), tuple(_table(data, "dependency-groups")), broken)


def _table(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    """The table under a key; empty where there is none, or something else."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _read(top: str, path: str) -> str | None:
    try:
        with open(os.path.join(top, path), encoding="utf-8", newline="") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError):
        return None


def proposals(top: str) -> Iterator[Proposal]:
    """What to add; nothing for what is there already."""
    seen = look(top)
    before = seen.pyproject
    section = _section(seen)
    after = section if before is None else f"{before}{'' if before.endswith(chr(10)) or not before else chr(10)}\n{section}"
    if "agentgate" not in seen.tables and not seen.broken and _parses(after):
        yield Proposal("pyproject.toml", before, after, "the law: it is read from the base of a change")
    yield from _hooks(seen)
    if seen.has(".github") and not seen.has(".github/workflows/agentgate.yml"):
        text = WORKFLOW.format(python="3.12", install=_install(seen), version=__version__)
        yield Proposal(".github/workflows/agentgate.yml", None, text, "CI repeats the verdict on what was pushed")


def _parses(text: str) -> bool:
    """Whether what would be written is TOML: an inline ``tool = {...}`` takes no further tables."""
    try:
        return "agentgate" in _table(tomllib.loads(text), "tool")
    except tomllib.TOMLDecodeError:
        return False


def _section(seen: Looked) -> str:
    ruff = bool({"ruff"} & seen.tables) or seen.has("ruff.toml") or seen.has(".ruff.toml")
    mypy = bool({"mypy"} & seen.tables) or seen.has("mypy.ini") or seen.has(".mypy.ini")
    tests = any(seen.has(p) for p in ("tests", "test", "pytest.ini", "conftest.py")) or "pytest" in seen.tables
    lines = ["[tool.agentgate]"]
    missing = [name for name, there in (("mypy", mypy), ("pytest", tests)) if not there]
    if missing:
        names = ", ".join(f'"{n}"' for n in missing)
        lines.append(f"may_skip = [{names}]  # not set up here yet")
    if not ruff:
        lines.append("# ruff is not configured here: only its correctness rules (E9, F) count")
    if not mypy:
        lines.append("# mypy is not configured here: what it finds is noted")
    return "\n".join(lines) + "\n"


def _install(seen: Looked) -> str:
    extra = next((e for e in ("test", "tests", "testing", "dev") if e in seen.extras), "")
    group = next((g for g in ("test", "tests", "dev") if g in seen.groups), "")
    plain = "pip install ." if seen.pyproject or seen.has("setup.py") else "pip install pytest"
    if extra:
        return f"pip install '.[{extra}]'"
    return f"{plain} --group {group}" if group else f"{plain} pytest" if plain.endswith(".") else plain


def _hooks(seen: Looked) -> Iterator[Proposal]:
    name = next((n for n in (".pre-commit-config.yaml", ".pre-commit-config.yml") if seen.has(n)), ".pre-commit-config.yaml")
    before = _read(seen.top, name)
    if before is None and os.path.lexists(os.path.join(seen.top, name)):
        return
    if before is None:
        yield Proposal(
            name, None, "repos:\n" + HOOKS.format(indent="  "), "what is staged and pushed is judged (a local hook is advice)"
        )
        return
    import yaml

    try:
        data = yaml.safe_load(before)
    except yaml.YAMLError:
        return
    if "agentgate" in before or not isinstance(data, dict) or not isinstance(data.get("repos"), list) or list(data)[-1] != "repos":
        return
    indent = next((m[1] for m in re.finditer(r"(?m)^([ ]*)-[ ]+repo\b", before)), "  ")
    after = before + ("" if before.endswith("\n") else "\n") + HOOKS.format(indent=indent)
    try:
        grown = len(yaml.safe_load(after)["repos"]) == len(data["repos"]) + 1
    except yaml.YAMLError:
        return
    if grown:
        yield Proposal(name, before, after, "what is staged and pushed is judged (a local hook is advice)")
