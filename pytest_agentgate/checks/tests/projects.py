"""Projects below the root of a repository, each with pytest's configuration of its own, as a monorepo has them."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatch

import msgspec

from pytest_agentgate.base_tests import configurations, tables, words_of
from pytest_agentgate.checks.tests.records import Expected, Run
from pytest_agentgate.protocols import Context


class Projects:
    """Which test file belongs to which of them; by the base, whose configuration is the law."""

    def __init__(self, context: Context) -> None:
        self.base = context.trees.entries("base")
        found = configurations(self.base)
        self.tables = tables(context.trees.read_many("base", found)) if found else {}

    def of(self, path: str) -> str:
        """Folder of the innermost project that a file lies in; empty for the root's own."""
        folder = posixpath.dirname(path)
        while folder and folder not in self.tables:
            folder = posixpath.dirname(folder)
        return folder

    def groups(self, files: Sequence[str]) -> list[tuple[str, ...]]:
        """Files that one session can run: pytest takes one configuration for all its arguments."""
        by_project: dict[str, list[str]] = {}
        for path in files:
            by_project.setdefault(self.of(path), []).append(path)
        return [tuple(group) for group in by_project.values()]

    def apart(self, expected: Expected) -> list[tuple[str, ...]]:
        """Test files that the root's session could not collect, or did not look for, by the project below the root that can.

        Where the root's configuration says in which folders its tests are, only these are looked at.
        """
        known = {i.partition("::")[0] for i in expected.ids}
        wanted = {f for e in expected.errors for f in self._below(e)}
        if not words_of(self.tables.get("", {}), "testpaths"):
            wanted |= {f for f in self.base if self._named(f)}
        return self.groups(sorted(f for f in wanted - known if self.of(f)))

    def _below(self, place: str) -> list[str]:
        """A test file, or the test files of a folder, for instance one whose `conftest.py` cannot be imported."""
        if place.endswith(".py"):
            return [place]
        return [f for f in self.base if f.startswith(f"{place}/") and (self._named(f) or is_named(f, PATTERNS))]

    def _named(self, path: str) -> bool:
        """Whether the project of a file says itself that it is a test module: by a name or a folder that is not the usual one."""
        table = self.tables.get(place := self.of(path), {})
        patterns, folders = words_of(table, "python_files"), words_of(table, "testpaths")
        if not (place and path.endswith(".py") and patterns):
            return False
        inside = not folders or any(path.startswith(posixpath.join(place, f.strip("./"), "")) for f in folders)
        return inside and is_named(path, patterns)


PATTERNS = ("test_*.py", "*_test.py")


def is_named(path: str, patterns: Sequence[str]) -> bool:
    """Whether pytest takes a file for a test module by its name."""
    return any(fnmatch(posixpath.basename(path), p) for p in patterns)


def still(errors: Mapping[str, str], seen: Collection[str]) -> dict[str, str]:
    """Errors of collection that no other session has overcome; `seen`: the files of collected tests."""
    return {p: t for p, t in errors.items() if p not in seen and not any(f.startswith(f"{p}/") for f in seen)}


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
            errors=still(first.errors | run.errors, seen),
            files=first.files | run.files,
            exists=list(exists),
            told=first.told | run.told,
            mutants=[*first.mutants, *run.mutants],
            reached=[*first.reached, *run.reached],
        )
    return first


def joined(root: Expected, others: Expected) -> Expected:
    """What the root's session knows of the base, and that of a project below it."""
    seen = {i.partition("::")[0] for i in others.ids}
    return Expected(
        list(dict.fromkeys([*root.ids, *others.ids])), still(root.errors | others.errors, seen), root.marked | others.marked
    )
