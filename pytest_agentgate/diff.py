"""Reads git's own description of a change. Pure.

Paths, modes and object ids come from ``--raw -z`` records, never from patch headers; line ranges come from ``-U0 --text``
hunks, whose bodies are skipped by count, so that no content can pose as a header. Where the two disagree, `GitError`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from pytest_agentgate.errors import GitError, SourceError
from pytest_agentgate.model import Entry, FileChange, Hunk
from pytest_agentgate.model.change import FileStatus

ARGUMENTS = (
    "diff-tree",
    "-r",
    "--raw",
    "--full-index",
    "--no-abbrev",
    "-M",
    "-p",
    "-U0",
    "--text",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--diff-algorithm=histogram",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--ignore-submodules=none",
    "--submodule=short",
)
STATUS: dict[str, FileStatus] = {"A": "added", "M": "modified", "D": "deleted", "R": "renamed", "T": "type-changed"}
NO_MODE = "000000"
MAX_PATCH_BYTES = 64_000_000
"""Size of a patch file, and of all its declared binary contents together."""

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def odd_name(path: str) -> str:
    """Why a name is not judged as usual, or an empty string. `path` is decoded with `surrogateescape`."""
    if any("\udc80" <= c <= "\udcff" for c in path):
        return "bytes that are not UTF-8"
    if any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in path):
        return "control or invisible characters"
    parts = path.split("/")
    if any(p in ("", ".", "..") or p.lower() == ".git" for p in parts):
        return "a component that git or the file system treats in a special way"
    if any(p.startswith("-") for p in parts):
        return "a component that a tool would read as an option"
    return ""


def printable(path: str) -> str:
    r"""A name that can be shown and stored: everything odd as ``\\xNN`` escapes."""
    if not odd_name(path):
        return path
    raw = path.encode("utf-8", "surrogateescape")
    return "".join(chr(b) if 32 <= b < 127 and b != 92 else "\\\\" if b == 92 else f"\\x{b:02x}" for b in raw)


def parse_raw(data: bytes) -> tuple[list[FileChange], bytes]:
    """The ``--raw -z`` records at the start of `data`, and what follows them."""
    files: list[FileChange] = []
    at = 0
    while data[at : at + 1] == b":":
        end = data.index(b"\0", at)
        old_mode, new_mode, old_oid, new_oid, status = data[at + 1 : end].decode().split(" ")
        names = []
        for _ in range(2 if status[0] in "RC" else 1):
            at, end = end + 1, data.index(b"\0", end + 1)
            names.append(data[at:end].decode("utf-8", "surrogateescape"))
        at = end + 1
        odd = next((why for name in names if (why := odd_name(name))), "")
        files.append(
            FileChange(
                path=printable(names[-1]),
                old_path=printable(names[0]) if len(names) == 2 else None,
                status=STATUS[status[0]],
                odd=odd,
                old=Entry(old_mode, old_oid) if old_mode != NO_MODE else None,
                new=Entry(new_mode, new_oid) if new_mode != NO_MODE else None,
            )
        )
    return files, data[at:].removeprefix(b"\0")


def parse_sections(patch: bytes) -> Iterator[tuple[Hunk, ...]]:
    """The hunks of each ``diff --git`` section of a ``-U0`` patch, in order."""
    hunks: list[Hunk] | None = None
    lines = iter(patch.split(b"\n"))
    for line in lines:
        if line.startswith(b"diff --git "):
            if hunks is not None:
                yield tuple(hunks)
            hunks = []
        elif (match := _HUNK.match(line)) and hunks is not None:
            a, b, c, d = (int(g) if g is not None else 1 for g in match.groups())
            hunks.append(Hunk(a, b, c, d))
            for _ in range(b + d):
                body = next(lines, b"")
                if body[:1] == b"\\":
                    body = next(lines, b"")
                if body[:1] not in (b"+", b"-"):
                    raise GitError("git's patch and its hunk headers disagree")
    if hunks is not None:
        yield tuple(hunks)


def parse_change(raw: bytes, patch: bytes | None = None) -> tuple[FileChange, ...]:
    """Files with their hunks from the output of `ARGUMENTS` with ``-z``.

    Names that hold control characters make ``-z`` patches ambiguous: then `patch` is the same command's output without
    ``-z`` and without ``--raw``, whose names are quoted.
    """
    files, rest = parse_raw(raw)
    sections = parse_sections(rest if patch is None else patch)
    result = []
    try:
        for file in files:
            if file.old and file.new and file.old == file.new and file.status != "renamed":
                hunks: tuple[Hunk, ...] = ()
            else:
                hunks = next(sections)
                if file.status == "type-changed":
                    hunks += next(sections)
            result.append(FileChange(**{f: getattr(file, f) for f in file.__struct_fields__ if f != "hunks"}, hunks=hunks))
    except StopIteration:
        raise GitError("git's list of files and its patch disagree") from None
    if next(sections, None) is not None:
        raise GitError("git's list of files and its patch disagree")
    return tuple(result)


def hunk_of(patch: bytes, path: str, line: int) -> str:
    """Which hunk of a patch file starts at `line` of `path`, in words: ``hunk 2 (@@ -12,3 +12,4 @@)``."""
    current, number = b"", 0
    for row in patch.split(b"\n"):
        if row.startswith((b"--- ", b"+++ ")):
            current = row[4:].split(b"\t")[0].strip().partition(b"/")[2] or current
            number = 0 if row.startswith(b"--- ") else number
        elif (match := _HUNK.match(row)) and current.decode("utf-8", "surrogateescape") == path:
            number += 1
            if int(match[1]) == line:
                return f"hunk {number} ({match[0].decode()})"
    return f"the hunk at line {line}"


def check_patch(patch: bytes, max_bytes: int = MAX_PATCH_BYTES) -> None:
    """Refuse a patch file that git should not even be shown; raises `SourceError` with the reason.

    Declared sizes of binary contents are summed before anything is unpacked: a few bytes can claim gigabytes.
    """
    if not patch.strip():
        raise SourceError("the patch is empty", hint="nothing to judge")
    if len(patch) > max_bytes:
        raise SourceError(f"the patch has {len(patch):,} bytes, more than the {max_bytes:,} that are read")
    if not re.search(rb"(?m)^diff --git ", patch):
        raise SourceError(
            "the patch has no `diff --git` header, so that modes, renames and paths are ambiguous",
            hint="make it with `git diff --binary` or `git format-patch --stdout`",
        )
    declared = sum(int(n) for n in re.findall(rb"(?m)^(?:literal|delta) (\d{1,18})\r?$", patch))
    if declared > max_bytes:
        raise SourceError(f"the patch declares {declared:,} bytes of binary content, more than the {max_bytes:,} that are read")
    for name in _header_names(patch):
        parts = name.replace(b"\\", b"/").split(b"/")
        if name.startswith((b"/", b"\\")) or b".." in parts or any(p.lower() == b".git" for p in parts):
            raise SourceError(f"the patch names {name.decode('utf-8', 'backslashreplace')!r}, which is not inside the tree")


def _header_names(patch: bytes) -> Iterator[bytes]:
    """Names in the headers of each file section, without their one-letter prefix."""
    in_header = False
    for row in patch.replace(b"\r\n", b"\n").split(b"\n"):
        if row.startswith(b"diff --git "):
            in_header = True
            yield from (part for part in re.split(rb' "?[a-z]/', row[10:]) if part.strip())
        elif row.startswith((b"@@ ", b"literal ", b"delta ")):
            in_header = False
        elif in_header and (match := re.match(rb'(?:---|\+\+\+) "?(?:[a-z]/)?(.*?)"?(?:\t.*)?$', row)):
            if match[1] != b"dev/null" and row[4:] != b"/dev/null":
                yield match[1]
        elif in_header and (match := re.match(rb'(?:rename|copy) (?:from|to) "?(.*?)"?$', row)):
            yield match[1]
