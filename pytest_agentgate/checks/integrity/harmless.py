"""Which edits of pipelines and hooks are known to take nothing away: the rest is for a human. Pure.

`pipelines` knows how a pipeline is weakened, and can only know what it was told. This is the other way round: everything that is
not listed here counts. Both judge the same files, so that what one does not think of the other finds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping

from pytest_agentgate.checks.integrity.beside import RUNS
from pytest_agentgate.checks.integrity.differences import (
    Difference,
    differences,
    halved,
    lines_of,
    older,
    only_versions,
    same_but_versions,
)
from pytest_agentgate.checks.integrity.pipelines import RUNNER

FETCHES = re.compile(
    r"(?!.*\$\()(((sudo|python\d?\S*|py) (-m )?)*(pip\d?|pipx|apt\S*|brew|choco|npm|conda|mamba|poetry|pdm|hatch|uv|git) "
    r"(-\S+ )*(pip (install|sync|compile)|tool install|install|update|upgrade|venv|sync|lock|ci|create|env create|fetch|python)\b[^|;&>`]*$|"
    r"(echo|ls|cat|which) [^|;&>`]*$)"
)
"""Commands that bring something along, or say something."""
JUDGES = re.compile(
    rf"{RUNS.pattern}|\b(make|just|task|inv(oke)?|doit|tests?|checks?|lint\w*|typecheck|verify|qa)\b|\.sh\b|(test|check|lint|verify)\S*\.py\b"
)
FURTHER = re.compile(
    r"-n\S*|auto|\d+|--dist\S*|worksteal|load\w*|--durations\S*|-[vqr]\S*|--cov(?!-fail)\S*|--junit\S*|--color\S*|--tb\S*|--strict\S*|--output-format\S*|"
    r"--show\S*|--verbose|--locked|--frozen|tests?/?|\.|--diff|--check|--parallel\S*|xml|term\S*|html|full|github"
)
"""Words behind a command that judges which take nothing away."""
KNOWN = re.compile(
    r"(actions|github|astral-sh|codecov|coverallsapp|pypa|docker|pre-commit|conda-incubator|mamba-org|prefix-dev|pdm-project|snok)/"
)
"""Owners of actions that may come before a step that judges."""
ESCAPES = re.compile(r"[|;&>`]|\$\(|--exit-zero|\bexit\b|\btrue\b")
"""What makes a line more than one command, or lets it fail."""
ENVIRONMENT = re.compile(r"^(FORCE_COLOR|NO_COLOR|PY_COLORS|CLICOLOR\w*|TERM|(PIP|UV)_(?!\w*(INDEX|CONFIG|FIND|LINKS|CONSTRAINT|REQUIRE|TARGET|PREFIX|OVERRIDE))\w+|(RUFF|MYPY)_CACHE_DIR|PRE_COMMIT_HOME|\w+_TOKEN|TZ|LANG|LC_\w+)$")  # fmt: skip
FREE = frozenset({"name", "run-name", "description", "concurrency", "fail-fast", "max-parallel", "outputs", "id", "author", "branding",
                  "schedule", "workflow_dispatch", "cache", "artifacts", "retention-days", "interruptible", "timeout-minutes"})  # fmt: skip
"""Keys that decide nothing about what is judged."""
WITH = re.compile(r"^(\w*-?version(-file)?s?|cache\S*|fetch-\S+|architecture|allow-prereleases|check-latest|update-\S+|persist-credentials|"
                  r"enable-cache|token|key|restore-keys|retention-days|name)$")  # fmt: skip
CARRIES = re.compile(r"(actions/(upload|download)-artifact|actions/cache|pypa/gh-action|softprops/|peaceiris/)")
SHA = re.compile(r"\b[0-9a-f]{40}\b")
LOCAL = re.compile(r"\binstall\b.*(\s|=|['\"])\.(\[[\w,-]+\])?['\"]?(\s|$)")
OWN = re.compile(r"\b(uv (sync|run)|poetry install|pdm (install|sync)|hatch|tox|nox|pixi|rye sync|make|just)\b")
"""What installs the project without saying so."""
PLUMBING = re.compile(
    r"actions/(checkout|setup-|cache|upload|download|github-script|configure-pages|deploy-pages|labeler|stale)|astral-sh/setup|docker/|codecov/"
)
HOOK = frozenset({"rev", "name", "description", "additional_dependencies", "minimum_pre_commit_version", "autofix_commit_msg", "autofix_prs",
                  "autoupdate_branch", "autoupdate_commit_msg", "autoupdate_schedule", "submodules", "log_file", "language_version"})  # fmt: skip

Spot = Iterator[str]
"""Texts of what is not known to be harmless."""


def hooks(old: object, new: object) -> Spot:
    """pre-commit's configuration: versions may change, repositories and hooks may come."""
    for d in differences(old, new):
        came = d.old is None and len(d.place) in (2, 4) and d.place[0] == "repos"
        came = came or (d.place == ("ci",) and d.old is None and isinstance(d.new, Mapping) and d.new.keys() <= HOOK)
        more = d.key == "additional_dependencies" and not (d.new is None and not same_but_versions(d.old, d.new))
        if d.key == "id" and {d.old, d.new} == {"ruff", "ruff-check"}:
            continue
        if d.key == "rev" and not SHA.search(f"{d.old} {d.new}") and older(d.old, d.new):
            yield f"an older revision: {words(d)}"
        elif (
            not came
            and not (d.key in HOOK and (d.key != "additional_dependencies" or more))
            and not same_but_versions(d.old, d.new)
        ):
            yield words(d)


def workflow(old: object, new: object, elsewhere: Collection[object] = ()) -> Spot:
    """A pipeline of GitHub or GitLab; of others, everything but versions counts. `elsewhere`: jobs of others that run as often."""
    before, after = (_jobs(side) for side in (old, new))
    if not before:
        yield from (words(d) for d in differences(old, new) if not same_but_versions(old, new))
        return
    everything = [c for name, job in after.items() if job == before.get(name) or not _switched(job) for c in commands(job)]
    for name, job in before.items():
        now = after.get(name)
        if job == now or not _judges(job) or (now is None and job in elsewhere):
            continue
        if now is None:
            if any(not _kept(c, everything) for c in commands(job)) or "uses" in job:
                yield f"the job {name} is gone"
        else:
            yield from (f"{name}: {text}" for text in _job(job, now, everything))
    for d in differences(_rest(old, before), _rest(new, after)):
        if not _trigger(d) and not _harmless(d):
            yield words(d)


def _jobs(data: object) -> dict[str, Mapping[str, object]]:
    """Jobs by name: what has steps, a script, or another workflow to run."""
    if not isinstance(data, Mapping):
        return {}
    if re.search(r"'run': \{", str(data.get("jobs"))):
        return {}  # CircleCI's shape: everything but versions counts
    inner = data.get("jobs", {"": data["runs"]} if isinstance(data.get("runs"), Mapping) else data)
    found = inner.items() if isinstance(inner, Mapping) else []
    return {
        str(k): v for k, v in found if isinstance(v, Mapping) and not v.keys().isdisjoint(("steps", "script", "uses", "extends"))
    }


def _switched(job: object) -> bool:
    """Whether anything of a job depends on a condition, or may fail: what moved there need not run."""
    return bool(re.search(r"'(if|continue-on-error|when|allow_failure|rules|only|except|needs)':", str(job)))


def _rest(data: object, jobs: Mapping[str, object]) -> object:
    if not isinstance(data, Mapping):
        return data
    return {k: v for k, v in data.items() if k not in ("jobs", "runs") and str(k) not in jobs}


def commands(job: object) -> list[str]:
    """Every command line of a job."""
    if not isinstance(job, Mapping):
        return []
    own = [line for key in ("before_script", "script", "run") for line in lines_of(job.get(key))]
    steps = job.get("steps")
    return own + [line for step in (steps if isinstance(steps, list) else []) for line in commands(step)]


def _judges(job: Mapping[str, object]) -> bool:
    foreign = any(
        "uses" in s and not PLUMBING.match(str(s["uses"])) and not CARRIES.match(str(s["uses"])) for s in _list(job.get("steps"))
    )
    return (
        foreign
        or not job.keys().isdisjoint(("uses", "extends"))
        or any(JUDGES.search(c) and not FETCHES.match(c) for c in commands(job))
    )


def _kept(command: str, now: list[str]) -> bool:
    """Whether a command is still run, as it was or with other versions; what only fetches may go."""
    same = command in now or FETCHES.match(command) is not None or any(_versions_alone(command, other) for other in now)
    return same or any(_same_run(command, other) for other in now)


def _same_run(old: str, new: str) -> bool:
    """Whether a command runs what it ran: behind another runner of programs, or with further words that take nothing away."""
    had, has = (RUNNER.sub("", c, count=1).split() for c in (old, new))
    return set(had) <= set(has) and all(FURTHER.fullmatch(w) for w in set(has) - set(had))


def _versions_alone(old: str, new: str) -> bool:
    """Numbers in a command that judges are limits as often as versions, and have to stay."""
    return same_but_versions(old, new) and (old == new or not re.search(r"-(under|lines?|x|k|m|n|count|max\S*|min\S*)[= ]", old))


def _job(old: Mapping[str, object], new: Mapping[str, object], everything: list[str]) -> Spot:
    had, has = commands(old), commands(new)
    yield from (f"no longer runs: {c[:120]}" for c in had if not _kept(c, has) and c not in everything)
    fresh = [c for c in has if c not in had and not any(_versions_alone(o, c) or _same_run(o, c) for o in had)]
    yield from (f"runs as well: {c[:120]}" for c in fresh if not FETCHES.match(c) and (ESCAPES.search(c) or not RUNS.search(c)))
    skip = ("steps", "script", "before_script")
    before, after = ({k: v for k, v in side.items() if k not in skip} for side in (old, new))
    for d in differences(before, after):
        if not _harmless(d) and not _older_gone(d, new) and not _is_a_matrix(d):
            yield words(d)
    if any(LOCAL.search(c) for c in had) and not any(LOCAL.search(c) or OWN.search(c) for c in has):
        yield "it no longer installs the project itself"
    if halved(old.get("strategy"), new.get("strategy")):
        yield "the matrix lost more than half of a row"
    yield from _steps(_list(old.get("steps")), _list(new.get("steps")))


def _list(value: object) -> list[Mapping[str, object]]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


def _steps(old: list[Mapping[str, object]], new: list[Mapping[str, object]]) -> Spot:
    """What steps are given beside their commands. A step is known by what it runs or uses."""
    before = {_what(s): s for s in old}
    last = max((n for n, s in enumerate(new) if JUDGES.search(str(s.get("run", "")))), default=-1)
    for number, step in enumerate(new):
        if number < last and "uses" in step and _what(step) not in before and not KNOWN.match(str(step["uses"])):
            yield f"runs {step['uses']} before what judges"
        was = before.get(_what(step))
        same = was or {}
        if was is None and not (
            JUDGES.search(str(step.get("run", ""))) and not step.keys() <= {"name", "run", "id", "env", "with"}
        ):
            same = {k: v for k, v in step.items() if k != "env"}  # a new step may have its conditions, unless it judges
        for d in differences({k: v for k, v in same.items() if k != "run"}, {k: v for k, v in step.items() if k != "run"}):
            if not _harmless(d) and not CARRIES.match(str(step.get("uses", ""))):
                yield words(d)
    now = {_what(s) for s in new}
    for what, step in before.items():
        if (
            what not in now
            and "uses" in step
            and not re.match(r"(actions|astral-sh)/(setup|cache|upload|download)", str(step["uses"]))
        ):
            yield f"no longer uses {step['uses']}"


def _what(step: Mapping[str, object]) -> str:
    uses = str(step.get("uses", "")).partition("@")[0]
    return uses or "\n".join(line.partition(" #")[0] for line in lines_of(step.get("run")))


def _trigger(d: Difference) -> bool:
    """Whether a difference makes a pipeline run more often, and with no more rights."""
    if d.place[:1] != ("on",) or d.old is not None or re.search(r"pull_request_target|workflow_run", f"{d.key} {d.new}"):
        return False
    further = len(d.place) <= 2 and not (d.new and isinstance(d.new, Mapping))
    return further or (d.key in ("branches", "tags", "types") and not isinstance(d.new, list))


CHECKS: Mapping[str, Callable[[Difference], bool]] = {
    "permissions": lambda d: "write" not in str(d.new),
    "env": lambda d: bool(ENVIRONMENT.match(d.key)),
    "with": lambda d: bool(WITH.match(d.key)),
    "uses": lambda d: _same_action(str(d.old).partition("@"), str(d.new).partition("@")),
    "runs-on": lambda d: bool(re.match(r"(ubuntu|macos|windows)-[\w.-]+$|\$\{\{ ?matrix\.[\w-]+ ?\}\}$", str(d.new))),
}
"""What an edit below a key has to be to be harmless."""


def _harmless(d: Difference) -> bool:
    if not FREE.isdisjoint(d.place):
        return True
    if "matrix" in d.place:
        return "exclude" not in d.place and (d.old is None or only_versions(d.old) or same_but_versions(d.old, d.new))
    for key, fits in CHECKS.items():
        if key in d.place:
            inner = d.new.items() if d.key == key and isinstance(d.new, Mapping) else [(d.key, d.new)]
            return all(fits(Difference((*d.place, str(k)), d.old, v)) for k, v in inner)
    versions = d.old is not None and d.new is not None and same_but_versions(d.old, d.new)
    return versions and d.key in ("image", "container", "include", "ref")


def _same_action(old: tuple[str, str, str], new: tuple[str, str, str]) -> bool:
    """The same action in another version; what was pinned to a commit stays so, and nothing moves to a branch."""
    kept = SHA.fullmatch(new[2]) or (only_versions(new[2]) and not SHA.fullmatch(old[2])) or old[2] == new[2]
    return old[0] == new[0] and bool(kept)


def _is_a_matrix(d: Difference) -> bool:
    """Whether a job that ran once now runs for each value of some lists."""
    if (
        d.old is not None
        or d.place != ("strategy",)
        or not isinstance(d.new, Mapping)
        or not d.new.keys() <= {"matrix", "fail-fast"}
    ):
        return False
    rows = d.new.get("matrix")
    return isinstance(rows, Mapping) and "exclude" not in rows and all(isinstance(v, list) and v for v in rows.values())


def _older_gone(d: Difference, job: Mapping[str, object]) -> bool:
    """Whether a row of a matrix went that differs from the others in nothing but versions."""
    system = re.match(r"(ubuntu|macos|windows)-", str(d.old))
    if "matrix" in d.place and system:
        return system[0] in str(d.new or job.get("strategy"))
    if "include" not in d.place or not isinstance(d.old, Mapping) or d.new is not None:
        return False
    kept = re.sub(r"\d[\d.]*", "#", str(job.get("strategy")))
    return all(only_versions(v) or re.sub(r"\d[\d.]*", "#", str(v)) in kept for v in d.old.values())


def words(d: Difference) -> str:
    """A difference as a sentence."""
    place = ".".join(d.place) or "the file"
    if d.old is None:
        return f"{place}: {_short(d.new)} was added"
    return f"{place}: {_short(d.old)} was taken out" if d.new is None else f"{place}: was {_short(d.old)}, is {_short(d.new)}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
