"""What the gate says of a project's own commits: ``python benchmarks/commit_rates.py CLONE... [--last N] [--whole --python P] [--task]``.

Gates each of the last N commits of every clone that changes a Python file (merges are left out) against the commit before it. By
default those checks run that need nothing of the project: `scope`, `compile`, `integrity` and `ruff`.
``--whole`` runs every check, with the interpreter ``--python``, in which the project's test dependencies have to be installed.
``--task`` judges what is held once more, with a task that names the test files it edits as those that may be edited; ``--task judges`` names the
configuration and pipelines that it edits, and the packages that it brings in, as well. ``--index off`` asks no package index about new dependencies.
Commits of the projects are taken for honest. ``--write`` puts the tables into docs/error-rates.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

from error_rates import put, rate  # found through the path above

from pytest_agentgate.errors import GateError  # after the path above
from pytest_agentgate.layout import is_test  # after the path above
from pytest_agentgate.model import Finding, Policy, Report  # after the path above
from pytest_agentgate.pipeline import Gate, judge  # after the path above
from pytest_agentgate.resolve import Source  # after the path above

STATIC = ("scope", "compile", "integrity", "ruff")


@dataclass(frozen=True)
class Said:
    """What the gate said of one commit."""

    project: str
    commit: str
    decision: str
    findings: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    tasked: str = ""
    """The same with a task that names the tests to edit; empty where that was not asked."""

    def stopped_by(self, effect: str) -> set[str]:
        """Rules with findings of this effect."""
        return {f.rule for f in self.findings if f.effect == effect}


def commits(clone: Path, last: int) -> list[str]:
    """The last commits with one parent that change a Python file, newest first."""
    argv = ["git", "-C", clone, "log", "--no-merges", "--min-parents=1", f"-{last}", "--format=%H", "--", "*.py"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def task_of(clone: Path, commit: str, folder: str, packages: Collection[str] | None) -> str:
    """A task file that names the Python test files which a commit edits; with `packages` these, and all other files, as well."""
    argv = ["git", "-C", clone, "diff", "--name-only", "--diff-filter=MRD", f"{commit}^", commit]
    paths = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    task = {"objective": "a commit", "tests_may_be_edited": [f"/{p}" for p in paths if p.endswith(".py") and is_test(p, Policy())]}
    if packages is not None:
        task["judges_may_be_edited"] = [f"/{p}" for p in paths if not p.endswith(".py")]
        task["dependencies_may_be_added"] = sorted(packages)
    file = Path(folder, f"{clone.resolve().name}-{commit}.toml")
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in task.items()))
    return str(file)


def with_a_task(source: Source, how: Gate, clone: Path, commit: str, folder: str, *, judges: bool) -> Report:
    """The commit with a task; a report shows three new packages of a file at most, so that it is asked until it shows no further one."""
    packages: set[str] | None = set() if judges else None
    while True:
        tasked = judge(source, replace(how, task=task_of(clone, commit, folder, packages)))
        shown = {f.text for e in tasked.evidence for f in e.findings if f.rule == "integrity/new-dependency"}
        if packages is None or shown <= packages:
            return tasked
        packages |= shown


def gate(clone: Path, commit: str, given: argparse.Namespace, cache: str) -> Said:
    """One commit, judged against its parent."""
    started = time.perf_counter()
    name = clone.resolve().name
    how = Gate(directory=str(clone), python=given.python, cache_folder=cache, index=given.index, environment={})
    source = Source(kind="commit", base=f"{commit}^", head=commit)
    try:
        report = judge(source, how)
        tasked = report if given.task else None
        if given.task and report.verdict.decision == "undecided":
            tasked = with_a_task(source, how, clone, commit, cache, judges=given.task == "judges")
    except GateError as error:
        return Said(name, commit, "not judged", reasons=(str(error),))
    found = tuple(f for e in report.evidence for f in e.findings if f.counts and f.effect in ("reject", "hold"))
    broken = tuple(f"{e.check} {e.status}: {e.reason}" for e in report.evidence if e.status == "errored")
    return Said(
        name,
        commit,
        report.verdict.decision,
        found,
        broken,
        time.perf_counter() - started,
        tasked.verdict.decision if tasked else "",
    )


def table(said: Sequence[Said]) -> list[str]:
    """The rates, by project and for all, and which rules speak, as Markdown.

    What ruff reports is counted apart: today's ruff is asked about commits that an older one has judged.
    """
    rows = [
        "| project | commits | rejected | held | held with a task | only ruff stops it | could not run | seconds, median |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in [*dict.fromkeys(s.project for s in said), "all"]:
        mine = [s for s in said if name in ("all", s.project) and s.decision != "not judged"]
        if mine:
            counts = Counter(_stopped(s) for s in mine)
            still = sum(_stopped(s) == "hold" and s.tasked != "accepted" for s in mine)
            rejected, held, ruff = (rate(counts[d], len(mine)) for d in ("reject", "hold", "ruff"))
            with_task = rate(still, len(mine)) if any(s.tasked for s in mine) else "not asked"
            rates = f"{rejected} | {held} | {with_task} | {ruff}"
            rows.append(
                f"| {name} | {len(mine)} | {rates} | {counts['errored']} | {statistics.median(s.seconds for s in mine):.1f} |"
            )
    lines = ["\n".join(rows)]
    for effect in ("reject", "hold"):
        rules = Counter(rule for s in said for rule in s.stopped_by(effect) if not rule.startswith("ruff/"))
        lines.append(f"Rules that {effect}, by commits: {', '.join(f'{r} {n}' for r, n in rules.most_common()) or 'none'}.")
    return lines


def _stopped(said: Said) -> str:
    ours = [f.effect for f in said.findings if not f.rule.startswith("ruff/")]
    if ours:
        return "reject" if "reject" in ours else "hold"
    return "ruff" if said.findings else "accepted" if said.decision == "accepted" else "errored"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clones", nargs="+", type=Path, metavar="CLONE", help="clones of projects, with their history")
    parser.add_argument("--last", type=int, default=100, help="commits of each project")
    parser.add_argument("--whole", action="store_true", help="every check, mypy and pytest included")
    parser.add_argument("--python", default=sys.executable, help="interpreter with the project's dependencies")
    parser.add_argument(
        "--task",
        nargs="?",
        const="tests",
        choices=["tests", "judges"],
        help="with a task that names the tests (and judges) to edit",
    )
    parser.add_argument("--index", default="", metavar="URL", help="package index (default: PyPI); off: none is asked")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/error-rates.md")
    given = parser.parse_args()
    fewer = contextlib.nullcontext() if given.whole else mock.patch("pytest_agentgate.pipeline._required", return_value=STATIC)
    # no door asks for fewer checks than the policy does
    with fewer, tempfile.TemporaryDirectory(prefix="agentgate-commits-") as cache, ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        work = [(clone, commit) for clone in given.clones for commit in commits(clone, given.last)]
        said = []
        for one in pool.map(lambda w: gate(*w, given, cache), work):
            said.append(one)
            said_of = Counter((f.effect, f.rule, f.path, f.message) for f in one.findings)
            for words in (*(f"{' '.join(map(str, w))} ({n} times)" for w, n in said_of.items()), *one.reasons):
                print(
                    one.project,
                    one.commit[:10],
                    one.decision,
                    f"with a task {one.tasked}:" if given.task else "",
                    words,
                    flush=True,
                )
    lines = table(said)
    print("\n\n".join(lines))
    if given.write:
        put("commits", "\n\n".join(lines))


if __name__ == "__main__":
    main()
