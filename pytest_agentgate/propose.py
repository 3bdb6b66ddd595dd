"""`agentgate init`: what a repository needs to be gated, proposed as a diff. Nothing is written unless that is asked for."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_agentgate import __version__
from pytest_agentgate.layout import is_test
from pytest_agentgate.model import Policy

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
      - run: sudo apt-get update -qq && sudo apt-get install -y -qq bubblewrap && sudo sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0
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
    python: str = ""
    """What ``requires-python`` says."""
    files: tuple[str, ...] = ()
    """What git tracks."""

    def has(self, path: str) -> bool:
        """Whether a file is there."""
        return os.path.exists(os.path.join(self.top, path))


@dataclass(frozen=True)
class Left:
    """A file that has to be changed by hand."""

    path: str
    why: str


def look(top: str, files: Sequence[str] = ()) -> Looked:
    """Read what matters."""
    text = _read(top, "pyproject.toml")
    broken = text is None and os.path.lexists(os.path.join(top, "pyproject.toml"))
    try:
        data = tomllib.loads(text or "")
    except tomllib.TOMLDecodeError:
        data, broken = {}, True
    project = _table(data, "project")
    extras, python = _table(project, "optional-dependencies"), str(project.get("requires-python", ""))
    groups = tuple(_table(data, "dependency-groups"))
    return Looked(top, text, frozenset(_table(data, "tool")), tuple(extras), groups, broken, python, tuple(files))


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


def proposals(top: str, files: Sequence[str]) -> Iterator[Proposal | Left]:
    """What to add to a checkout that tracks `files`, and what is left to its owner; nothing for what is there already."""
    seen = look(top, files)
    before = seen.pyproject
    after = _appended(before, ("\n" if before else "") + _section(seen))
    if "agentgate" not in seen.tables:
        if seen.broken or not _parses(after):
            yield Left("pyproject.toml", "it is no TOML, or of a form that no table can be added to; add [tool.agentgate] by hand")
        else:
            yield Proposal("pyproject.toml", before, after, "the law: it is read from the base of a change")
    yield from _hooks(seen)
    if seen.has(".github") and not seen.has(".github/workflows/agentgate.yml"):
        text = WORKFLOW.format(python=_python(seen.python), install=_install(seen), version=__version__)
        yield Proposal(".github/workflows/agentgate.yml", None, text, "CI repeats the verdict on what was pushed")
    if seen.has(".gitlab-ci.yml") and "agentgate" not in (_read(top, ".gitlab-ci.yml") or ""):
        yield Left(".gitlab-ci.yml", 'its job is in docs/ci.md, "GitLab"')


def _appended(before: str | None, text: str) -> str:
    """A file with further lines, ended as its own lines are."""
    if not before:
        return text
    end = "\r\n" if "\r\n" in before else "\n"
    return before + ("" if before.endswith("\n") else end) + text.replace("\n", end)


def _python(wanted: str) -> str:
    """A version of Python that the project runs on, and the gate as well."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # lazy: only `init` asks

    try:
        allowed = SpecifierSet(wanted)
    except InvalidSpecifier:
        return "3.12"
    return next((v for v in ("3.12", "3.13", "3.11", "3.14", "3.15") if allowed.contains(f"{v}.99")), "3.12")


def _parses(text: str) -> bool:
    """Whether what would be written is TOML: an inline ``tool = {...}`` takes no further tables."""
    try:
        return "agentgate" in _table(tomllib.loads(text), "tool")
    except tomllib.TOMLDecodeError:
        return False


def _section(seen: Looked) -> str:
    ruff = bool({"ruff"} & seen.tables) or seen.has("ruff.toml") or seen.has(".ruff.toml")
    mypy = bool({"mypy"} & seen.tables) or seen.has("mypy.ini") or seen.has(".mypy.ini") or _names(seen, "setup.cfg", "mypy")
    asked = any(_names(seen, f, s) for f, s in (("setup.cfg", "tool:pytest"), ("tox.ini", "pytest"), ("pytest.ini", "pytest")))
    tests = asked or "pytest" in seen.tables or any(p.endswith(".py") and is_test(p, Policy()) for p in seen.files)
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


def _names(seen: Looked, path: str, section: str) -> bool:
    """Whether an INI file has a section."""
    return re.search(rf"(?m)^\[{section}\]", _read(seen.top, path) or "") is not None


def _install(seen: Looked) -> str:
    extra = next((e for e in ("test", "tests", "testing", "dev") if e in seen.extras), "")
    group = next((g for g in ("test", "tests", "dev") if g in seen.groups), "")
    plain = "pip install ." if seen.pyproject or seen.has("setup.py") else "pip install pytest"
    if extra:
        return f"pip install '.[{extra}]'"
    return f"{plain} --group {group}" if group else f"{plain} pytest" if plain.endswith(".") else plain


def _hooks(seen: Looked) -> Iterator[Proposal | Left]:
    by_hand = "it cannot be read, or its last key is not `repos`; add the hooks that the README names by hand"
    name = next((n for n in (".pre-commit-config.yaml", ".pre-commit-config.yml") if seen.has(n)), ".pre-commit-config.yaml")
    before = _read(seen.top, name)
    if before is None and os.path.lexists(os.path.join(seen.top, name)):
        yield Left(name, by_hand)
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
        data = None
    if "agentgate" in before:
        return
    if not isinstance(data, dict) or not isinstance(data.get("repos"), list) or list(data)[-1] != "repos":
        yield Left(name, by_hand)
        return
    indent = next((m[1] for m in re.finditer(r"(?m)^([ ]*)-[ ]+repo\b", before)), "  ")
    after = _appended(before, HOOKS.format(indent=indent))
    try:
        grown = len(yaml.safe_load(after)["repos"]) == len(data["repos"]) + 1
    except yaml.YAMLError:
        grown = False
    yield (
        Proposal(name, before, after, "what is staged and pushed is judged (a local hook is advice)")
        if grown
        else Left(name, by_hand)
    )
