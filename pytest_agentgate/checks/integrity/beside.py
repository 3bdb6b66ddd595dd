"""Files beside the tools' own configuration that steer what judges: runners, ignore files, attributes, the environment. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.view import Pair, View
from pytest_agentgate.layout import matches

RUNS = re.compile(
    r"\b(pytest|py\.test|ruff|mypy|tox|nox|coverage|unittest|agentgate|flake8|pyright|hatch (run )?test|pre-commit)\b"
)
ENVIRONMENT = re.compile(
    r"\b(PYTEST_ADDOPTS|PYTEST_PLUGINS|PYTEST_DONT_REWRITE|PYTHONOPTIMIZE|PYTEST_DISABLE_PLUGIN_AUTOLOAD|PYTHONPATH|PYTHONSTARTUP)\b"
)
HIDING = re.compile(
    r"(^|\s)(-diff|-text|binary|filter=\S+|diff=\S+|linguist-generated\S*|linguist-vendored\S*|working-tree-encoding=\S+|ident|merge=ours)(\s|$)"
)
QUIET = re.compile(r"^\.IGNORE\b|^\s*(SHELL|MAKEFLAGS|\.SHELLFLAGS)\s*:?=|success_codes|ignore_outcome|ignore_errors")
RUNNERS = frozenset(
    {"Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", "noxfile.py", "tox.ini", "tox.toml", "Taskfile.yml"}
)
NOTHING = re.compile(
    r"^(--(collect-only|co|setup-plan|setup-only|fixtures|fixtures-per-test|markers|version|help|cache-show)|-h|-V)\b"
)
FEWER = re.compile(r"^(--deselect|--ignore|--ignore-glob|-k|-m|-p|--lf|--last-failed|--sw|--stepwise|--nf|--assert|--no-cov|--disable-warnings|"
                   r"--continue-on-collection-errors|-W|--pythonwarnings|--runxfail|--noconftest|--confcutdir|--rootdir|-c|--import-mode|--doctest-continue|"
                   r"--suppress-tests-failed-exit-code|--exitfirst|-x|--maxfail|--reruns|--only-rerun|--timeout|-n|--dist|--exitzero)\b")  # fmt: skip


MERGER = re.compile(r"(^|/)\.?renovate\w*(\.json5?)?$")
MERGES = re.compile(r"automerge['\"]?\s*:\s*true|platformAutomerge['\"]?\s*:\s*true|automergeType")
"""What lets a bot merge by itself."""


def _merger(pair: Pair) -> Iterator[Hit]:
    """A bot that may merge what nobody looked at."""
    for number, line in pair.added() if MERGER.search(pair.path) else ():
        if MERGES.search(line):
            yield Hit("integrity/config-weakened", "changes are merged without a look", pair.path, number, line.strip())


def other_files(pair: Pair, view: View) -> Iterator[Hit]:
    """What a changed file beside the tools' own configuration does to them."""
    name = posixpath.basename(pair.path)
    if pair.kind == "config" or name.startswith(".env") or name in RUNNERS:
        for number, line in pair.added():
            if (match := ENVIRONMENT.search(line)) and not line.lstrip().startswith("#"):
                yield Hit("integrity/config-weakened", f"{match[1]} steers the tests from outside", pair.path, number, line.strip())
    if name in RUNNERS:
        yield from _runner(pair)
        for number, line in pair.added():
            if QUIET.search(line):
                yield Hit("integrity/config-weakened", "failures of commands no longer count", pair.path, number, line.strip())
    if pair.path.startswith((".husky/", ".git-hooks/", ".githooks/")):
        yield Hit("integrity/config-weakened", "a hook of git was changed", pair.path)
    if name == ".gitattributes":
        for number, line in pair.added():
            if HIDING.search(line) and _shows_code(line.split()[0], view):
                yield Hit(
                    "integrity/attributes-hide", "git would show or store these files differently", pair.path, number, line.strip()
                )
    if name in (".gitignore", ".ignore", ".dockerignore"):
        yield from _ignored(pair, view)
    yield from _merger(pair)
    if name == "CODEOWNERS":
        yield Hit("integrity/config-weakened", "who has to review was changed", pair.path)


def _shows_code(pattern: str, view: View) -> bool:
    """Whether a pattern of git's attributes is about anything that a reviewer of code reads."""
    paths = [p for p in view.entries["head"] if p.endswith((".py", ".pyi", ".toml", ".cfg", ".ini", ".yml", ".yaml", ".sh"))]
    return any(matches(p, (pattern,)) for p in (*paths, "any_new_module.py", "tests/test_any.py"))


COMMAND = re.compile(r"^\s*(commands?\s*=|\t|-|@|run\b|session\.run|\w+ .*\{posargs|(py\.?test|tox|nox|ruff|mypy|coverage)\b)")
NO_COMMAND = re.compile(r"^\s*(#|\[|\.PHONY|deps|envlist|env_list|description|requires|skip_install|\{?py\d)|[<>=]=")


def _runner(pair: Pair) -> Iterator[Hit]:
    """Commands of a Makefile, tox, nox … that judge: gone, allowed to fail, or with less to look at."""
    kept = [line.strip() for line in pair.new.lines] if pair.new else []
    for _, line in pair.removed():
        tool = RUNS.search(line)
        if tool is None or line.strip() in kept or NO_COMMAND.search(line) or not COMMAND.search(line):
            continue
        like = [k for k in kept if tool[1] in k and not NO_COMMAND.search(k)]
        had = set(line.split())
        if not any(not narrower(set(k.split()) - had) for k in like):
            yield Hit("integrity/config-weakened", f"a command that judges was changed or removed: {line.strip()[:120]}", pair.path)


def narrower(words_: set[str]) -> bool:
    """Whether further words of a command make it look at less: paths, selections, and what lets it fail."""
    fails = re.compile(r"-(pytest|ruff|mypy|tox|nox|coverage)|\|\|")
    return any(FEWER.match(w) or NOTHING.match(w) or fails.match(w) or "/" in w or w.endswith(".py") for w in words_)


def _ignored(pair: Pair, view: View) -> Iterator[Hit]:
    folder = posixpath.dirname(pair.path)
    prefix = f"{folder}/" if folder else ""
    inside = [p.removeprefix(prefix) for p in view.entries["head"] if p.startswith(prefix) and p.endswith(".py")]
    for number, line in pair.added():
        pattern = line.strip()
        if pattern and not pattern.startswith(("#", "!")) and (hit := next((p for p in inside if matches(p, (pattern,))), None)):
            yield Hit(
                "integrity/ignore-hides", f"tools that honour this file no longer look at {prefix}{hit}", pair.path, number, pattern
            )
