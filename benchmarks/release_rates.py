"""What the static rules say of real releases: ``python benchmarks/release_rates.py [--pairs N] [--write]``.

Takes the last N+1 releases of well-known projects from the package index, looks at each step from one to the next with the check
`integrity`, and counts how many steps it would reject or hold. A release is many commits, so that the rate per commit is lower.
``--write`` puts the table into docs/error-rates.md.
"""

from __future__ import annotations

import argparse
import itertools
import re
import subprocess
import sys
import tarfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests/real"), str(ROOT / "benchmarks")]

from error_rates import put, rate  # noqa: E402  # found through the path above
from projects import archive  # noqa: E402  # found through the path above

from pytest_agentgate.checks.integrity.check import BUILT_IN  # noqa: E402  # after the path above
from pytest_agentgate.checks.integrity.view import view_of  # noqa: E402  # after the path above

PROJECTS = ("anyio", "attrs", "blinker", "cachetools", "certifi", "charset-normalizer", "click", "filelock", "flask", "h11", "httpcore",
            "humanize", "idna", "iniconfig", "itsdangerous", "jinja2", "markupsafe", "more-itertools", "packaging", "pathspec", "platformdirs",
            "pluggy", "pyparsing", "requests", "rich", "sniffio", "sortedcontainers", "starlette", "tabulate", "tenacity", "tomlkit", "tqdm",
            "typer", "urllib3", "wcwidth", "werkzeug")  # fmt: skip
TEXT = re.compile(
    r"\.(py|pyi|toml|cfg|ini|ya?ml|txt|md|rst|in|lock|json)$|(^|/)(Makefile|\.gitattributes|\.gitignore|CODEOWNERS|py\.typed)$"
)


def versions(name: str, count: int) -> list[str]:
    """The last final releases of a project, oldest first; none where the index does not know it."""
    done = subprocess.run([sys.executable, "-m", "pip", "index", "versions", name], capture_output=True, text=True, check=False)
    found = re.search(r"Available versions: (.*)", done.stdout)
    final = [v for v in (found[1].split(", ") if found else []) if re.fullmatch(r"[\d.]+", v)]
    return final[:count][::-1]


def contents(name: str, version: str) -> dict[str, str]:
    """Text files of a release by path."""
    files: dict[str, str] = {}
    with tarfile.open(archive(name, version)) as tar:
        for member in tar:
            path = member.name.partition("/")[2]
            if member.isfile() and member.size < 1_000_000 and TEXT.search(path) and not re.search(r"(^|/)[^/]*\.egg-info/", path):
                stream = tar.extractfile(member)
                files[path] = stream.read().decode("utf-8", "surrogateescape") if stream else ""
    return files


def step(name: str, old: str, new: str) -> tuple[str, dict[str, list[str]]]:
    """What the rules say of one step: effects with the rules and places."""
    try:
        base, head = contents(name, old), contents(name, new)
    except (subprocess.CalledProcessError, StopIteration, tarfile.TarError):
        return f"{name} {old} to {new}", {"unknown": []}
    change = {p: head.get(p) for p in {*base, *head} if base.get(p) != head.get(p)}
    view = view_of(base, change)
    said: dict[str, list[str]] = {}
    for group in BUILT_IN:
        effects = {r.id: r.effect for r in group.rules}
        for hit in group.find(view):
            said.setdefault(hit.effect or effects[hit.rule], []).append(f"{hit.rule} {hit.path}:{hit.line or ''} {hit.message}")
    return f"{name} {old} to {new}", said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2, help="steps of each project")
    parser.add_argument("--write", action="store_true", help="put the table into docs/error-rates.md")
    parser.add_argument("--project", action="append", help="only this project; repeatable")
    given = parser.parse_args()
    with ThreadPoolExecutor(2) as pool:
        known = list(pool.map(lambda n: (n, versions(n, given.pairs + 1)), given.project or PROJECTS))
        steps = [(n, a, b) for n, found in known for a, b in itertools.pairwise(found)]
        results = [r for r in pool.map(lambda s: step(*s), steps) if "unknown" not in r[1]]
    rejected = [r for r in results if "reject" in r[1]]
    held = [r for r in results if "hold" in r[1] and "reject" not in r[1]]
    for title, said in results:
        for effect in ("reject", "hold"):
            for words in said.get(effect, []):
                print(f"{title}: {effect} {words}")
    rules = Counter(rule for _, said in results for rule in {w.split()[0] for e in ("reject", "hold") for w in said.get(e, [])})
    lines = [f"Steps between releases that the static rules reject: {rate(len(rejected), len(results))}; hold: {rate(len(held), len(results))}.",
             f"Rules that speak, by steps: {', '.join(f'{r} {n}' for r, n in rules.most_common())}."]  # fmt: skip
    print("\n".join(lines))
    if given.write:
        put("releases", "\n\n".join(lines))


if __name__ == "__main__":
    main()
