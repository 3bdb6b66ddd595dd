"""What a pipeline newly gives away, and jobs that only have the name of one that judges. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase

from pytest_agentgate.checks.integrity.beside import RUNS
from pytest_agentgate.checks.integrity.view import Pair

HANDS_OUT = re.compile(
    r"toJSON\(\s*secrets|secrets:\s*inherit|\bgh pr (merge|review)\b|github\.event\.(comment|issue|pull_request|review|head_commit)\.(body|title|message)"
)
"""All secrets at once, a pull request that lets itself in, and texts of strangers that a shell could run."""
SECRET = re.compile(r"\bsecrets\.(\w+)")
EVERYDAY = re.compile(r"GITHUB_TOKEN|(CODECOV|COVERALLS)\w*")
"""Secrets that pipelines everywhere use, and that open little."""


def handed_out(pair: Pair) -> Iterator[tuple[str, int]]:
    """Lines of a pipeline that give away secrets, approvals or foreign text, with what they do."""
    known = set(SECRET.findall(pair.old.text)) if pair.old else set()
    for number, line in pair.added():
        if HANDS_OUT.search(line):
            yield f"secrets, approvals or foreign text reach a step: {line.strip()[:120]}", number
        fresh = [s for s in SECRET.findall(line) if s not in known and not EVERYDAY.fullmatch(s)]
        if pair.old is not None and fresh:
            yield f"a secret that this pipeline did not have reaches it: {fresh[0]}", number


def restored(old: object, new: object, entries: Collection[str]) -> Iterator[str]:
    """Paths of the repository's own files that a pipeline newly takes from a cache: it judges those, and not what was committed."""
    known = set(_cached(old))
    for path in dict.fromkeys(_cached(new)):
        place = re.sub(
            r"^(\./|\$\{\{ ?github\.workspace ?\}\}/?|\$\{?(GITHUB_WORKSPACE|CI_PROJECT_DIR)\}?/?)+|(^|/)(\.|\*\*?)?/?$", "", path
        )
        own = path not in known and not place.startswith(("~", "/", "$", "..", "!"))
        if own and (not place or any(e == place or e.startswith(f"{place}/") or fnmatchcase(e, place) for e in entries)):
            yield path


def _cached(data: object) -> Iterator[str]:
    """Paths of GitHub's ``actions/cache`` steps, and of GitLab's ``cache``."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            inputs, cache = value.get("with"), value.get("cache")
            if re.match(r"actions/cache(/restore)?@", str(value.get("uses"))) and isinstance(inputs, dict):
                yield from filter(None, map(str.strip, str(inputs.get("path", "")).splitlines()))
            for one in cache if isinstance(cache, list) else [cache]:
                paths = one.get("paths") if isinstance(one, dict) else None
                yield from map(str, paths if isinstance(paths, list) else ())
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def namesakes(new: object, others: Mapping[str, object]) -> Iterator[str]:
    """Jobs of a new pipeline that have the name of one that judges (`others`: the base's jobs), and judge nothing.

    Whoever requires a check by its name takes the one for the other.
    """
    judging = {name for name, job in others.items() if RUNS.search(str(job))}
    for name, job in jobs(new).items():
        if name in judging and not RUNS.search(str(job)) and "uses" not in (job if isinstance(job, dict) else {}):
            yield name


def jobs(data: object) -> dict[str, object]:
    """Jobs of a GitHub workflow by the name under which they report."""
    found = data.get("jobs") if isinstance(data, dict) else None
    named = found.items() if isinstance(found, dict) else []
    return {str(job.get("name", key)) if isinstance(job, dict) else str(key): job for key, job in named}
