"""A change as a value: base, head, files and hunks."""

from __future__ import annotations

from typing import Literal

import msgspec

FileStatus = Literal["added", "modified", "deleted", "renamed", "type-changed"]
SourceKind = Literal["working-tree", "staged", "commit", "patch"]

REGULAR = frozenset({"100644", "100755", "100664"})
SYMLINK = "120000"
GITLINK = "160000"


class Entry(msgspec.Struct, frozen=True):
    """One leaf of a git tree: its octal `mode` as git prints it, and the object id."""

    mode: str
    oid: str


class Hunk(msgspec.Struct, frozen=True):
    """One hunk without context: 1-based line ranges, as in ``@@ -old_start,old_lines +new_start,new_lines @@``."""

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the change. Paths are relative to the repository's root, with ``/``."""

    path: str
    status: FileStatus
    old_path: str | None = None
    """The path at the base when the file was renamed."""
    old: Entry | None = None
    new: Entry | None = None
    hunks: tuple[Hunk, ...] = ()
    odd: str = ""
    """Why the name is not judged as usual (bytes that are not UTF-8, control characters); `path` is then escaped."""

    @property
    def added_lines(self) -> int:
        """Lines that the head has and the base has not."""
        return sum(h.new_lines for h in self.hunks)

    @property
    def deleted_lines(self) -> int:
        """Lines that the base has and the head has not."""
        return sum(h.old_lines for h in self.hunks)

    def touches(self, line: int) -> bool:
        """Whether `line` (1-based, in the head) was added or edited."""
        return any(h.new_start <= line < h.new_start + h.new_lines for h in self.hunks)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: from which tree to which tree, and every difference between them."""

    source: SourceKind
    base: str
    """Commit id of the base."""
    head: str
    """Commit id of the head, or its tree id where the head is no commit."""
    base_tree: str
    head_tree: str
    files: tuple[FileChange, ...]
    note: str = ""
    """How base and head were found, in words."""

    def file(self, path: str) -> FileChange | None:
        """The change of the file that has `path` at the head (or had it, when deleted)."""
        return next((f for f in self.files if f.path == path), None)
