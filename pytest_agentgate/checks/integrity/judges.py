"""Edits of what judges the project that are not known to be harmless. Pure."""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pytest_agentgate.checks.integrity import harmless, pipelines
from pytest_agentgate.checks.integrity.beside import RUNS
from pytest_agentgate.checks.integrity.config import PRECEDENCE, effective
from pytest_agentgate.checks.integrity.differences import Difference, differences, lines_of, only_versions, same_but_versions
from pytest_agentgate.checks.integrity.families import about, fresh
from pytest_agentgate.checks.integrity.harmless import ESCAPES, FETCHES, JUDGES, Spot
from pytest_agentgate.checks.integrity.moved import moved
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.runners import build_steps, installer, other_program, requirements, sessions, takes_place
from pytest_agentgate.checks.integrity.settings import flags, hides, settings_of, words
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.layout import REQUIREMENTS, matches
from pytest_agentgate.rulebook import Example, Rule
from pytest_agentgate.tables import table_of

SCRIPT = re.compile(
    r"(^|/)(GNUmakefile|[Mm]akefile|[Jj]ustfile|Jenkinsfile|Dockerfile[^/]*|[^/]+\.(sh|bash|mk|bat|ps1)|\.?ci/[^/.]+)$"
)
DATA = re.compile(
    r"(^|/)(pyrightconfig\.json|\.?codecov\.ya?ml|Taskfile\.ya?ml|\.pylintrc|\.bandit|sonar-project\.properties|bitbucket-pipelines\.yml|prek\.toml|"
    r"\.?lefthook\.ya?ml|\.drone\.yml|\.mergify\.yml|\.github/(settings|mergify)\.yml|\.claude/settings(\.local)?\.json|\.codex/hooks\.json)$"
)
TABLES = frozenset(
    {
        "pyright",
        "basedpyright",
        "pylint",
        "bandit",
        "interrogate",
        "tox",
        "poe",
        "taskipy",
        "ty",
        "pyrefly",
        "vulture",
        "importlinter",
        "deptry",
        "cibuildwheel",
        "pytype",
        "semgrep",
    }
)
"""Further tools that judge, whose settings are not known key by key."""
GROWS = frozenset({"select", "extend-select", "enable", "enable_error_code", "markers", "testpaths", "files", "packages", "modules",
                   "python_files", "source", "source_pkgs", "required_plugins", "envlist", "env_list", "patch", "fixable", "extend-fixable"})  # fmt: skip
"""Settings that look at more, the more they name."""
ADDS = frozenset(
    {"markers", "enable_error_code", "extend-select", "enable", "required_plugins", "patch", "extend-fixable", "fixable"}
)
"""Of these, the ones that look at more also where nothing was named before."""
SHRINKS = frozenset({"ignore", "extend-ignore", "exclude", "extend-exclude", "disable_error_code", "omit", "exclude_lines", "exclude_also",
                     "norecursedirs", "unfixable", "per-file-ignores", "extend-per-file-ignores"})  # fmt: skip
TASTE = re.compile(
    r"^(line-length|indent-width|future-annotations|required-version|target-version|python_version|minversion|src|preview|fix|unsafe-fixes|(lint\.)?extend-(un)?safe-fixes|output-format|show-fixes|cache.dir|"
    r"namespace-packages|format\.(?!exclude).*|(lint\.)?(isort|pydocstyle|flake8-quotes|pycodestyle)\..*|pretty|show_.*|color.*|sqlite_cache|native_parser|num_workers|fixed_format_cache|"
    r"asyncio_.*|anyio_mode|log_.*|console_output_style|junit_.*|timeout.*|html\..*|xml\..*|paths\..*|json\..*|report\.(show_missing|skip_.*|precision|sort)|"
    r"run\.(parallel|concurrency|data_file|relative_files|core|sigterm)|cache_dir|max-line-length|min.python.version|run\.disable_warnings|per-file-target-version\..*)$"
)
FLAGS = re.compile(r"^(-[qv]+|-r\w*|--(color|tb|durations|show-?locals|verbosity|doctest-modules|strict\S*|cov(=\S*)?|cov-(report|branch|config|append|context)|"
                   r"import-mode=importlib|dist|numprocesses|log-\S+|junit\S*|no-header|no-summary|capture)\b.*|-l|-n\S*|-s|-W=?error.*|-p=?no:(cacheprovider|terminalprogress|doctest))$")  # fmt: skip
LOOSER = re.compile(r"^(ignore_\w+|allow_\w+|implicit_\w+)$")
STRICTER = re.compile(
    r"^(strict\w*|disallow_\w+|warn_\w+|check_\w+|no_implicit\w*|extra_checks|xfail_strict|branch|enable_incomplete\w*)$"
)


def find(view: View) -> Iterator[Hit]:
    """Every edit that is not known to leave the judges as strict as they were."""
    if not view.entries["base"]:
        return
    for pair in view.pairs:
        first = next(_spots(pair, view), None)
        if first is not None:
            line = next((n for n, t in pair.added() if t.strip()), None)
            yield Hit(
                RULE.id, f"not known to be harmless: {first}", pair.path, line, pair.new.line(line) if pair.new and line else ""
            )


def _spots(pair: Pair, view: View) -> Spot:
    name, before = posixpath.basename(pair.path), pair.change.old_path or pair.path
    if pipelines.WORKFLOW.search(before):
        if pair.old is not None and not pipelines.WORKFLOW.search(pair.path if pair.new else ""):
            yield from _gone(pair, view)
        elif pair.old is not None:
            yield from harmless.workflow(pipelines.load(pair.old), pipelines.load(pair.new), moved(view, pair))
    elif before in pipelines.HOOKS:
        yield from harmless.hooks(pipelines.load(pair.old), pipelines.load(pair.new)) if pair.old else ()
    elif SCRIPT.search(before):
        yield from _script(pair) if pair.old is not None and RUNS.search(pair.old.text) else takes_place(pair, view)
    elif DATA.search(before):
        yield from (harmless.words(d) for d in differences(_read(pair.old), _read(pair.new)) if pair.old and not _small(d))
    elif name in ("noxfile.py", "tasks.py", "dodo.py"):
        yield from sessions(pair)
    elif name == "setup.py":
        yield from installer(pair)
    elif REQUIREMENTS.search(before):
        yield from requirements(pair)
    elif name == "py.typed":
        yield from ["the package no longer says that it is typed"] if pair.new is None else ()
    else:
        yield from _tools(pair, view) if pair.kind == "config" else other_program(pair)


def _gone(pair: Pair, view: View) -> Spot:
    """A pipeline that is no more: each command that judges has to be in another one."""
    others = pipelines.everywhere(view, pair.path)
    for command in pipelines.commands(pipelines.load(pair.old)):
        if JUDGES.search(command) and not FETCHES.match(command) and command not in others:
            yield f"no pipeline runs {command[:120]} any more"


def _read(source: Source | None) -> object:
    if source is None:
        return None
    if source.path.endswith((".yml", ".yaml")):
        return pipelines.load(source)
    try:
        return json.loads(source.text)
    except ValueError:
        return source.text


def _script(pair: Pair) -> Spot:
    """A file of commands that judge: lines that went, and lines that came outside of new targets."""
    set_here = frozenset(VARIABLE.findall(pair.new.text)) if pair.new else frozenset()
    old, new = ([_handed_on(t, set_here) for t in side.lines] if side else [] for side in (pair.old, pair.new))
    came = [_handed_on(t, set_here) for _, t in pair.added()]
    for _, line in pair.removed():
        text = _handed_on(line, set_here)
        phony = text.startswith(".PHONY") and not set(text.split()) <= {w for t in new if t.startswith(".PHONY") for w in t.split()}
        if phony or (_says(text) and text not in new and not any(same_but_versions(text, c) for c in came)):
            yield f"{line.strip()[:120]} was taken out"
    target = ""
    for number, text in enumerate(new, 1):
        if match := re.match(r"([\w.-]+)( .*)?:(?!=)", text):
            target = match[1]
        fresh = bool(target) and not any(re.match(rf"{re.escape(target)}\b.*:", t) for t in old)
        if _says(text) and pair.change.touches(number) and not fresh and text not in old:
            if (ESCAPES.search(text) or not RUNS.search(text)) and not any(same_but_versions(text, o) for o in old):
                yield f"{text[:120]} was added"


VARIABLE = re.compile(r"^\s*(?:export\s+)?(\w+)\s*[:?+!]*=", re.MULTILINE)


def _handed_on(line: str, set_here: Collection[str]) -> str:
    """A line of a script without what hands on the arguments of whoever calls it, and without versions.

    A variable that the script sets itself hands nothing on.
    """
    line = re.sub(r'\s*\{posargs\}|\s+"\$@"', "", line)
    line = re.sub(r"\b([A-Za-z][A-Za-z_-]*)3\.?\d{1,2}\b", r"\1#", line)
    line = re.sub(r"\b([A-Za-z][A-Za-z_-]*#)(?: \1)+", r"\1", line)  # a target for each Python
    return re.sub(r"\s+\$[({](\w*(?:ARGS|OPTS|FLAGS))[)}]", lambda m: m[0] if m[1] in set_here else "", line).strip()


def _says(text: str) -> bool:
    """Whether a line of a script does anything to what judges: no comment, and nothing that only fetches."""
    bare = text.strip().lstrip("@")
    return bool(bare) and bare not in ("fi", "done", "esac") and not bare.startswith(("#", ".PHONY")) and not FETCHES.match(bare)


def _tools(pair: Pair, view: View) -> Spot:
    """Settings of ruff, mypy, pytest, coverage and tox, and of tools that are not known key by key."""
    old, new = settings_of(pair.old), settings_of(pair.new)
    for tool in ("ruff", "mypy", "pytest", "coverage", "flake8", "tox"):
        if tool in old:
            moved = tool not in new and "/" not in pair.path and tool in PRECEDENCE
            yield from (
                f"{tool}: {t}" for t in _settings(old[tool], effective(view, "head", tool) if moved else new.get(tool, {}), view)
            )
        elif tool in new and "/" not in pair.path and tool in PRECEDENCE:  # it may take the place of another file's
            had, has = effective(view, "base", tool), effective(view, "head", tool)
            yield from (f"{tool}: {t}" for t in _settings(had, has, view) if had)
    if posixpath.basename(pair.path) == "pyproject.toml" and pair.old is not None:
        before, after = (_tables(s) for s in (pair.old, pair.new))
        yield from (
            harmless.words(d)
            for d in differences(before, after)
            if (d.old is not None or d.key == "backend-path") and not _small(d)
        )
        yield from build_steps(*(_toml(s).get("tool") for s in (pair.old, pair.new)))


def _toml(source: Source | None) -> dict[str, Any]:
    try:
        return tomllib.loads(source.text) if source else {}
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _tables(source: Source | None) -> Mapping[str, object]:
    data = _toml(source)
    tool, build = table_of(data, "tool"), data.get("build-system")
    own = {"build": {"backend-path": build.get("backend-path")}} if isinstance(build, dict) else {"build": {}}
    found = {t: tool[t] for t in TABLES if t in tool}
    envs = table_of(tool, "hatch").get("envs")
    return {**found, **own, **({"hatch": envs} if envs else {})}


def _small(d: Difference) -> bool:
    """Whether a setting of a tool that is not known key by key changes in nothing but words and versions."""
    if d.key in harmless.FREE:
        return True
    versions = re.search(r"version|python|env", d.key, re.IGNORECASE)  # elsewhere a number is a limit
    return bool(versions) and ((d.new is None and only_versions(d.old)) or same_but_versions(d.old, d.new))


def _settings(old: Mapping[str, object], new: Mapping[str, object], view: View) -> Spot:
    before, after = ({k.removeprefix("lint."): v for k, v in side.items()} for side in (old, new))
    families = fresh(before, after)
    for key in dict.fromkeys((*before, *after)):
        had, has = before.get(key), after.get(key)
        if had != has and not (_known(key, had, has, after) or _elsewhere(key, view) or about(key, had, has, families)):
            yield f"{key} was {had!s:.80}, is {has!s:.80}" if key in after else f"{key} was taken out"


def _elsewhere(key: str, view: View) -> bool:
    """Whether a setting for some files is about none of the product's."""
    _, found, pattern = key.partition("per-file-ignores.")
    return bool(found) and not any(view.kind(p) == "product" and matches(p, (pattern,)) for p in view.entries["head"])


def _known(key: str, had: object, has: object, now: Mapping[str, object]) -> bool:
    """Whether an edit of a setting is known to look at no less."""
    name = (
        key.split("ignores.", 1)[0] + "ignores" if "per-file-ignores." in key else re.sub(r"\[.*\]\.", "", key).rpartition(".")[2]
    )
    before, after = (set(words(v)) or set(re.sub(r"\{[^}]*\}", "#", str(v or "")).split()) for v in (had, has))
    if TASTE.match(key) or TASTE.match(name):
        return True
    if name in GROWS:
        only_old = bool(before - after) and all(only_versions(w) for w in before - after)
        return bool(after) and (only_old or (before <= after if before else name in ADDS))
    if name in SHRINKS:
        return (hides(has) if name.startswith("exclude_") else after) <= before
    if name in ("addopts", "commands"):
        return _flags(set(flags(had)), set(flags(has))) if name == "addopts" else _commands(had, has)
    if name == "filterwarnings":
        blanket = any(re.match(r"(ignore|default|once)(:\s*(:\s*(\w*\.)?Warning\b.*)?)?$", w.strip()) for w in after - before)
        return ("error" in after or "error" not in before) and not blanket
    if name == "max-complexity":
        return _number(has, 99) <= _number(had, 99)
    if STRICTER.match(name):
        return has is True or (has is None and now.get("strict") is True)
    if LOOSER.match(name):
        return has in (None, False) or name == "ignore_missing_imports"
    if name == "fail_under":
        return _number(has, 0) >= _number(had, 0)
    return had is not None and has is not None and same_but_versions(had, has)


def _number(value: object, otherwise: float) -> float:
    """A limit as a number; `otherwise` where it is none."""
    try:
        return float(str(value))
    except ValueError:
        return otherwise


def _flags(before: set[str], after: set[str]) -> bool:
    gone = all(FLAGS.match(w) and "strict" not in w and "cov" not in w for w in before - after)
    return gone and all(FLAGS.match(w) for w in after - before)


def _commands(had: object, has: object) -> bool:
    """Whether tox runs what it ran, for other versions of Python or with further commands."""
    noise = re.compile(r"(?<=py)[\d.]+t?|(?<=py3)?\{[\d.,t]*\}|\s*\{posargs:?|(?<=\w)\}")
    old, new = ([noise.sub("#", line).rstrip("#} ") for line in lines_of(v)] for v in (had, has))
    return all(line in new for line in old) and not any(
        line.startswith("-") or ESCAPES.search(line) for line in new if line not in old
    )


_CI = ".github/workflows/ci.yml"
_BASE = {
    _CI: "on: [push, pull_request]\njobs:\n  test:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@v4\n      - run: pytest\n"
}
RULE = Rule(
    "integrity/judges-edited", "hold", "What judges the project was edited, and not in a way that is known to be harmless",
    "Nobody can list every way to make a pipeline, a hook or a setting look away. So this rule lists what takes nothing away, and a "
    "human looks at the rest. It says nothing of a file that another rule speaks of.",
    Example(_BASE, {_CI: _BASE[_CI].replace("run: pytest", "run: pytest\n        working-directory: docs")}),
    Example(_BASE, {_CI: _BASE[_CI].replace("checkout@v4", "checkout@v5").replace("24.04", "26.04") + "  docs:\n    steps:\n      - run: make html\n"}),
    "A human allows it: `--approve integrity/judges-edited:PATH`. Versions, new jobs, further tests and stricter settings are silent.",
)  # fmt: skip
SET = RuleSet((RULE,), find)
