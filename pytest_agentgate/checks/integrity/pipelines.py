"""What runs in CI and before a commit, compared as meaning: what judges less, or may do more, than before. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.beside import RUNS, narrower
from pytest_agentgate.checks.integrity.handouts import handed_out, jobs, namesakes, restored
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.rulebook import Example, Rule
from pytest_agentgate.tables import rows

READ = re.compile(r"\.github/(workflows/[^/]+|actions/.*)|\.gitlab/ci/.*|(\.(gitlab-ci|travis|circleci/config)|azure-\w+)\.ya?ml")
WORKFLOW = re.compile(
    r"^\.github/(workflows|actions)/.*\.ya?ml$|(^|/)(\.gitlab-ci|azure-pipelines|\.travis)\.ya?ml$|^\.gitlab/.*\.ya?ml$|^\.circleci/.*\.ya?ml$"
)
HOOKS = frozenset({".pre-commit-config.yaml", ".pre-commit-config.yml"})
SOFT = re.compile(r"\|\|\s*(true|:|exit 0)\b|;\s*true\s*$|\bset \+e\b|--exit-zero\b|--no-verify\b")
FETCHES = re.compile(r"(python\d?\S* -m )?(pip\d?|uv|pipx|apt\S*|sudo|curl|wget|brew|npm|conda|poetry|pdm)\b(?! run)")
RUNNER = re.compile(r"(python\d?\S* -m |(uv|poetry|pdm|hatch|rye|pixi) run (-\S+ )*|uvx |coverage run -m |tox (run )?-e \S+ -- )+")
PARALLEL = re.compile(r"(-n\S*|--dist\S*|--numprocesses\S*|auto|worksteal|loadscope|loadfile|\d+|tests?/?|\.)$")
"""Words behind a command that take nothing away."""
STEERING = (
    "repo",
    "entry",
    "args",
    "files",
    "exclude",
    "types",
    "types_or",
    "exclude_types",
    "stages",
    "always_run",
    "pass_filenames",
    "language",
    "verbose",
)
ALIASES = {"ruff": "ruff-check"}
"""Hooks that upstream renamed."""
TRIGGERS = ("pull_request", "push", "merge_group")


def find(view: View) -> Iterator[Hit]:
    """Weaker pipelines, and stronger rights."""
    if not view.entries["base"]:
        return  # the first commit weakens nothing
    for pair in view.pairs:
        if pair.path in HOOKS:
            yield from _hooks(pair)
        elif WORKFLOW.search(pair.path) or (pair.change.old_path and WORKFLOW.search(pair.change.old_path)):
            yield from _workflow(pair, view)


def load(source: Source | None) -> object:
    """The data of a YAML file; empty where there is no file, ``{"unreadable": why}`` where it is none."""
    if source is None:
        return {}
    import yaml

    try:
        data = yaml.safe_load(source.text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return {"unreadable": str(error)[:200]}
    return {"unreadable": "it unfolds to too much"} if _unfolds(data) > MOST_NODES else data


MOST_NODES = 100_000


def _unfolds(data: object) -> int:
    """How many values a reader would meet, who follows each reference: a few aliases make billions, or go in circles."""
    waiting, met = [data], 0
    while waiting and met <= MOST_NODES:
        value = waiting.pop()
        met += 1
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return met


def _hit(pair: Pair, message: str, line: int | None = None, rule: str = "pipeline-weakened") -> Hit:
    return Hit(f"integrity/{rule}", message, pair.path, line, pair.new.line(line) if pair.new and line else "")


def _hooks(pair: Pair) -> Iterator[Hit]:
    """pre-commit's configuration: versions may change, hooks may come, what a hook looks at may not shrink."""
    before, after = load(pair.old), load(pair.new)
    if not isinstance(after, dict) or "unreadable" in after or pair.new is None:
        yield _hit(pair, "the hooks are gone or cannot be read")
        return
    old = _by_id(before)
    new = _by_id(after)
    for name, hook in old.items():
        now = new.get(name)
        if now is None:
            yield _hit(pair, f"the hook {name} was removed")
        elif changed := [k for k in STEERING if hook.get(k) != now.get(k)]:
            yield _hit(pair, f"{', '.join(changed)} of the hook {name} changed", _line_of(pair, name))
    had = before if isinstance(before, dict) else {}
    for key in ("default_stages", "files", "exclude", "fail_fast", "default_install_hook_types"):
        if had.get(key) != after.get(key) and had:
            yield _hit(pair, f"{key} changed", _line_of(pair, key))
    skipped = (after.get("ci") or {}).get("skip") if isinstance(after.get("ci"), dict) else None
    if skipped and skipped != ((had.get("ci") or {}).get("skip") if isinstance(had.get("ci"), dict) else None):
        yield _hit(pair, f"CI skips {skipped}", _line_of(pair, "skip"))


def _by_id(data: object) -> dict[str, dict[str, object]]:
    repos = rows(data.get("repos")) if isinstance(data, dict) else []
    return {
        ALIASES.get(str(hook.get("id")), str(hook.get("id"))): {**hook, "repo": repo.get("repo")}
        for repo in repos
        if isinstance(repo, dict)
        for hook in rows(repo.get("hooks"))
        if isinstance(hook, dict)
    }


def _line_of(pair: Pair, word: str) -> int | None:
    return next((n for n, text in enumerate(pair.new.lines, 1) if word in text), None) if pair.new else None


def _workflow(pair: Pair, view: View) -> Iterator[Hit]:
    before, after = load(pair.old), load(pair.new)
    if isinstance(after, dict) and "unreadable" in after:
        yield _hit(pair, f"the workflow cannot be read: {after['unreadable']}")
        return
    old_runs, new_runs = commands(before), commands(after)
    moved_away = pair.new is None or not WORKFLOW.search(pair.path)
    others = everywhere(view, pair.path) if old_runs else []
    for command in old_runs:
        if (
            RUNS.search(command)
            and not FETCHES.match(command)
            and (moved_away or not survives(command, new_runs))
            and command not in others
        ):
            yield _hit(pair, f"a step that judges was changed or removed: {command[:120]}")
    for command in new_runs:
        if SOFT.search(command) and command not in old_runs and RUNS.search(command):
            yield _hit(pair, f"a step may fail unnoticed: {command[:120]}", _line_of(pair, command[:30]))
    yield from _switches(pair, before, after)
    for name, level in sorted(_rights(after) - _rights(before)):
        if pair.old is not None or name in ("all", "id-token", "packages", "actions"):
            yield _hit(pair, f"the workflow gains the right {name}: {level}", _line_of(pair, str(name)), "pipeline-rights")
    yield from (_hit(pair, words, number, "pipeline-rights") for words, number in handed_out(pair))
    for path in restored(before, after, view.entries["head"]):
        yield _hit(pair, f"the repository's own files come from a cache: {path}", _line_of(pair, path))
    if pair.old is None:
        known = [load(Source(p, d)) for p, d in view.read("base", [p for p in view.entries["base"] if WORKFLOW.search(p)]).items()]
        for name in namesakes(after, {name: job for data in known for name, job in jobs(data).items()}):
            yield _hit(pair, f"the job {name} has the name of one that judges, and judges nothing", _line_of(pair, name))


def survives(command: str, commands: list[str]) -> bool:
    """Whether a step still runs the same: as it was, behind a known runner, or with further flags that take nothing away."""
    command = RUNNER.sub("", command, count=1) if RUNNER.match(command) else command
    for other in commands:
        prefix, found, rest = other.partition(command)
        if found and not rest.strip() and (not prefix or RUNNER.fullmatch(prefix)):
            return True
        more = {w for w in set(RUNNER.sub("", other, count=1).split()) - set(command.split()) if not PARALLEL.match(w)}
        if set(command.split()) <= set(other.split()) and not narrower(more) and not re.search(r"[|;&]|\becho\b", " ".join(more)):
            return True
    return False


def everywhere(view: View, path: str) -> list[str]:
    """What all other pipelines of the head run for each change, unless a job is switched or may fail: a step may have moved."""
    found: list[str] = []
    paths = [p for p in view.entries["head"] if READ.fullmatch(p) and p != path]
    for name, text in view.read("head", paths).items():
        data = load(Source(name, text))
        jobs = data.get("jobs") if isinstance(data, dict) else None
        if name.startswith(".github/") and not _triggers(data) & set(TRIGGERS):
            continue
        parts = [j for j in jobs.values() if isinstance(j, dict) and "if" not in j] if isinstance(jobs, dict) else [data]
        found += [c for part in parts if "continue-on-error" not in str(part) for c in commands(part)]
    return found


def commands(data: object) -> list[str]:
    """Every line that a workflow runs."""
    found: list[str] = []
    if isinstance(data, dict):
        for key, value in data.items():
            if key in ("run", "script", "before_script") and isinstance(value, str | list):
                lines = value.splitlines() if isinstance(value, str) else [str(v) for v in value]
                found += [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
            else:
                found += commands(value)
    elif isinstance(data, list):
        for value in data:
            found += commands(value)
    return found


def _switches(pair: Pair, before: object, after: object) -> Iterator[Hit]:
    for words, count in (("continue-on-error", _soft), ("if: false", _never), ("allow_failure", _allowed)):
        if count(after) > count(before):
            yield _hit(pair, f"{words}: failures no longer count", _line_of(pair, words.partition(":")[0]))
    for words in ("shell", "if", "needs", "environment", "entrypoint"):
        if _judging(after, words) - _judging(before, words) and before != {}:
            yield _hit(pair, f"`{words}` of a job or step that judges was changed", _line_of(pair, f"{words}:"))
    had_filters, has_filters = _filters(before), _filters(after)
    wider = had_filters.keys() == has_filters.keys() and all(
        _wider(has_filters[k], v) if k.endswith("-ignore") else _wider(v, has_filters[k]) for k, v in had_filters.items()
    )
    if not wider and before != {}:
        yield _hit(pair, "it runs for other branches or paths than before", _line_of(pair, "paths"))
    had, has = _triggers(before), _triggers(after)
    for name in sorted((had - has) & set(TRIGGERS)):
        yield _hit(pair, f"it no longer runs on {name}")
    if "pull_request_target" in has - had or "workflow_run" in has - had:
        yield _hit(
            pair, "it runs with the repository's rights on foreign code", _line_of(pair, "pull_request_target"), "pipeline-rights"
        )


def _judging(data: object, key: str) -> set[str]:
    """Values of a key in every job or step that runs something that judges."""
    found = set()
    for _, value in _walk({"": data}):
        if isinstance(value, dict) and key in value and any(RUNS.search(c) and not FETCHES.match(c) for c in commands(value)):
            found.add(str(value[key]))
    return found


def _filters(data: object) -> dict[str, object]:
    """Branches and paths that the triggers are limited to."""
    on = (data.get(True) or data.get("on")) if isinstance(data, dict) else None
    return {f"{name}.{k}": v for name, rules in (on.items() if isinstance(on, dict) else ()) if name in TRIGGERS and isinstance(rules, dict)
            for k, v in rules.items() if k.startswith(("branches", "paths"))}  # fmt: skip


def _wider(old: object, new: object) -> bool:
    """Whether a list of branches or paths names at least what it named."""
    return old == new or (isinstance(old, list) and isinstance(new, list) and set(map(str, old)) <= set(map(str, new)))


def _walk(data: object) -> Iterator[tuple[str, object]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield str(key), value
            yield from _walk(value)
    elif isinstance(data, list):
        for value in data:
            yield "", value
            yield from _walk(value)


def _soft(data: object) -> int:
    return sum(1 for k, v in _walk(data) if k == "continue-on-error" and v not in (False, "false"))


def _never(data: object) -> int:
    return sum(
        1 for k, v in _walk(data) if k == "if" and re.fullmatch(r"(\$\{\{\s*)?(false|0)(\s*\}\})?", str(v).strip(), re.IGNORECASE)
    )


def _allowed(data: object) -> int:
    return sum(1 for k, v in _walk(data) if k == "allow_failure" and v is not False)


def _triggers(data: object) -> set[str]:
    on = (data.get(True) or data.get("on")) if isinstance(data, dict) else None  # YAML 1.1 reads the word `on` as true
    return {str(o) for o in on} if isinstance(on, dict | list) else {str(on)} if on else set()


def _rights(data: object) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for key, value in _walk(data):
        if key == "permissions":
            rights = value.items() if isinstance(value, dict) else [("all", value)]
            found |= {(str(k), str(v)) for k, v in rights if "write" in str(v)}
    return found


_FILE = ".github/workflows/ci.yml"
_CI = "on: [push, pull_request]\npermissions:\n  contents: read\njobs:\n  test:\n    steps:\n      - uses: actions/checkout@v4\n      - run: pytest\n"
RULES = (
    Rule(
        "integrity/pipeline-weakened", "hold", "CI or the commit hooks judge less than before",
        "A step that is gone, allowed to fail or never triggered finds nothing.",
        Example({_FILE: _CI}, {_FILE: _CI.replace("run: pytest", "run: pytest || true")}),
        Example({_FILE: _CI}, {_FILE: _CI.replace("checkout@v4", "checkout@v5")}),
        "Version bumps and further steps are not affected. A human allows the rest: `--approve integrity/pipeline-weakened:PATH`.",
    ),
    Rule(
        "integrity/pipeline-rights", "hold", "A workflow gains rights",
        "A token that may write, or a trigger that runs foreign code with the repository's rights, is what an attacker needs.",
        Example({_FILE: _CI}, {_FILE: _CI.replace("contents: read", "contents: write")}),
        Example({_FILE: _CI}, {_FILE: _CI.replace("contents: read", "contents: read\n  issues: read")}),
        "A human allows it: `--approve integrity/pipeline-rights:PATH`.",
    ),
)  # fmt: skip
SET = RuleSet(RULES, find)
