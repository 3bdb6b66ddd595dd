"""Projects below the root of a repository, each with pytest's configuration of its own, as a monorepo has them."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Sequence

import msgspec

from pytest_agentgate.checks.tests.records import Run
from pytest_agentgate.protocols import Context
from pytest_agentgate.read_policy import PYTEST_FILES, pytest_table

INI = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml")
"""Files that configure pytest even where they are empty."""


class Projects:
    """Which test file belongs to which of them; by the base, whose configuration is the law."""

    def __init__(self, context: Context) -> None:
        base = context.trees.entries("base")
        found = [p for p in base if "/" in p and posixpath.basename(p) in PYTEST_FILES]
        texts = context.trees.read_many("base", found) if found else {}
        names = {p: posixpath.basename(p) for p in texts}
        self.folders = frozenset(posixpath.dirname(p) for p, name in names.items() if name in INI or pytest_table({name: texts[p]}))

    def of(self, path: str) -> str:
        """Folder of the innermost project that a file lies in; empty for the root's own."""
        folder = posixpath.dirname(path)
        while folder and folder not in self.folders:
            folder = posixpath.dirname(folder)
        return folder

    def groups(self, files: Sequence[str]) -> list[tuple[str, ...]]:
        """Files that one session can run: pytest takes one configuration for all its arguments."""
        by_project: dict[str, list[str]] = {}
        for path in files:
            by_project.setdefault(self.of(path), []).append(path)
        return [tuple(group) for group in by_project.values()]

    def apart(self, files: Collection[str]) -> tuple[str, ...]:
        """Those of some files that the root's configuration need not be able to run."""
        return tuple(sorted(f for f in files if f.endswith(".py") and self.of(f)))


def merged(runs: Iterable[Run]) -> Run:
    """Several sessions as one: of a test that two have run, the later one's result; errors of files that none could collect."""
    first, *others = runs
    for run in others:
        exists = dict.fromkeys([*first.exists, *run.exists])
        collected = dict.fromkeys([*first.collected, *run.collected])
        seen = {i.partition("::")[0] for i in exists}
        first = msgspec.structs.replace(
            run,
            collected=list(collected),
            results=first.results | run.results,
            errors={p: t for p, t in (first.errors | run.errors).items() if p not in seen},
            files=first.files | run.files,
            exists=list(exists),
            told=first.told | run.told,
            mutants=[*first.mutants, *run.mutants],
        )
    return first
