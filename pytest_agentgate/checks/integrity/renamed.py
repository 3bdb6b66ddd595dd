"""Renamed files that no longer are what they were: for every rule one file that is gone, and one that came. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

import msgspec

from pytest_agentgate.layout import GITHUB_WORKFLOW, REQUIREMENTS, Kind, is_config
from pytest_agentgate.model import FileChange, Hunk


def parted(file: FileChange, kind_of: Callable[[str], Kind], before: bytes, after: bytes) -> tuple[FileChange, ...]:
    """The change as it is, or its two halves where the new name makes another thing of the file.

    `tox.ini` under the name `tox.ini.off` configures nothing, and what a rule would find in the one or in the other it does not find in both
    at once. A test file that moves among the tests, a module that moves in the product and a workflow that gets another name stay whole.
    """
    old = file.old_path
    if file.status != "renamed" or old is None or not _is_another(old, file.path, kind_of):
        return (file,)
    gone = msgspec.structs.replace(
        file, path=old, status="deleted", old_path=None, new=None, hunks=(Hunk(1, _lines(before), 0, 0),)
    )
    came = msgspec.structs.replace(file, status="added", old_path=None, old=None, hunks=(Hunk(0, 0, 1, _lines(after)),))
    return gone, came


def _lines(data: bytes) -> int:
    return data.count(b"\n") + (data[-1:] not in (b"", b"\n"))


ALIKE = (
    frozenset({"Makefile", "makefile", "GNUmakefile"}),
    frozenset({"CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS"}),
    frozenset({".github/dependabot.yml", ".github/dependabot.yaml"}),
    frozenset({"mypy.ini", ".mypy.ini"}),
    frozenset({"ruff.toml", ".ruff.toml"}),
    frozenset({"noxfile.py", "nox.py"}),
    frozenset({"justfile", "Justfile", ".justfile"}),
    frozenset({"Taskfile.yml", "Taskfile.yaml"}),
)
"""Names under which a tool looks for the same file."""


def _is_another(old: str, new: str, kind_of: Callable[[str], Kind]) -> bool:
    if is_config(old):
        same = any(all(p.search(name) for name in (old, new)) for p in (GITHUB_WORKFLOW, REQUIREMENTS))
        return not same and not any({old, new} <= names for names in ALIKE)
    if kind_of(old) != kind_of(new) or posixpath.splitext(old)[1] != posixpath.splitext(new)[1]:
        return True
    return posixpath.basename(old) == "conftest.py" != posixpath.basename(new)
