"""Persistent folders that are made to hold exactly the wanted tree, cheaply.

A slot keeps its files between runs together with a manifest of what was written (size, mtime, ctime, inode). Before use
every file is compared with the manifest by `lstat`; what differs, is missing or is foreign is rewritten or removed.
The kernel sets ctime and nobody inside a sandbox can set it back, so a file that was touched cannot pass for one that was
not. A slot belongs to one run at a time (`flock`, released by the kernel however the run ends).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from pytest_agentgate.decode import from_msgpack
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model.change import GITLINK, SYMLINK, Entry

MAX_SLOTS = 256
TICK = 0.01
"""Seconds between two ticks of the slowest file system clock in use: a change after it shows in ctime."""

Blobs = Callable[[Iterable[str]], Iterator[tuple[str, bytes]]]


class Written(msgspec.Struct, frozen=True, array_like=True):
    """What was written for one path, and what `lstat` said right after."""

    mode: str
    oid: str
    stamp: tuple[int, int, int, int, int]


def _stamp(found: os.stat_result) -> tuple[int, int, int, int, int]:
    return found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@dataclass
class Slot:
    """One locked folder. `tree` is where the files are."""

    folder: str
    lock: int

    @property
    def tree(self) -> str:
        """The folder that holds the tree."""
        return os.path.join(self.folder, "tree")

    def lay_out(self, wanted: Mapping[str, Entry], blobs: Blobs) -> None:
        """Make the folder hold exactly `wanted`; gitlinks stay out. Raises `ToolError` where the disk refuses."""
        try:
            self._sync(wanted, blobs, self._manifest())
        except OSError:
            _remove(self.tree)
            try:
                self._sync(wanted, blobs, {})
            except OSError as error:
                raise ToolError(
                    f"cannot lay out the judged tree: {error.strerror or error}",
                    hint="free some disk space, or set XDG_CACHE_HOME to a folder that can be written",
                ) from error

    def _sync(self, wanted: Mapping[str, Entry], blobs: Blobs, known: Mapping[str, Written]) -> None:
        os.makedirs(self.tree, mode=0o700, exist_ok=True)
        folders = {""}
        for path in wanted:
            parent = path.rpartition("/")[0]
            while parent not in folders:
                folders.add(parent)
                parent = parent.rpartition("/")[0]
        kept: dict[str, Written] = {}
        self._scan("", folders, wanted, known, kept)
        missing = {p: e for p, e in wanted.items() if p not in kept and e.mode != GITLINK}
        by_oid: dict[str, list[str]] = {}
        for path, entry in missing.items():
            by_oid.setdefault(entry.oid, []).append(path)
        for folder in sorted({p.rpartition("/")[0] for p in missing}):
            os.makedirs(os.path.join(self.tree, folder), exist_ok=True)
        for oid, content in blobs(by_oid):
            for path in by_oid[oid]:
                kept[path] = self._write(path, wanted[path], content)
        if missing or len(kept) != len(known):
            self._note(kept)

    def _scan(
        self, folder: str, folders: set[str], wanted: Mapping[str, Entry], known: Mapping[str, Written], kept: dict[str, Written]
    ) -> None:
        """Keep what is as the manifest says; remove all else."""
        base = os.path.join(self.tree, folder) if folder else self.tree
        os.chmod(base, 0o755)  # noqa: S103  # a judged test may have taken the bits away; git trees have none
        with os.scandir(base) as entries:
            for item in entries:
                path = f"{folder}/{item.name}" if folder else item.name
                if item.is_dir(follow_symlinks=False):
                    if path in folders:
                        self._scan(path, folders, wanted, known, kept)
                    else:
                        _remove(item.path)
                    continue
                entry, written = wanted.get(path), known.get(path)
                if (
                    entry is not None
                    and written is not None
                    and written.oid == entry.oid
                    and written.mode == entry.mode
                    and written.stamp == _stamp(item.stat(follow_symlinks=False))
                ):
                    kept[path] = written
                else:
                    os.unlink(item.path)

    def _write(self, path: str, entry: Entry, content: bytes) -> Written:
        target = os.path.join(self.tree, path)
        if entry.mode == SYMLINK:
            os.symlink(content, os.fsencode(target))
        else:
            mode = 0o755 if entry.mode == "100755" else 0o644
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.utime(descriptor, (time_of(entry.oid),) * 2)
                return Written(entry.mode, entry.oid, _stamp(os.fstat(descriptor)))
            finally:
                os.close(descriptor)
        return Written(entry.mode, entry.oid, _stamp(os.lstat(target)))

    def _manifest(self) -> dict[str, Written]:
        """What the last layout wrote; nothing where that is unknown."""
        try:
            with open(os.path.join(self.folder, "manifest"), "rb") as stream:
                return from_msgpack(stream.read(), dict[str, Written])
        except (OSError, msgspec.DecodeError):
            return {}

    def _note(self, files: dict[str, Written]) -> None:
        """Write the manifest, then let the clock tick, so that whatever changes a file from now on shows in its ctime."""
        temporary = os.path.join(self.folder, "manifest.tmp")
        with open(temporary, "wb") as stream:
            stream.write(msgspec.msgpack.encode(files))
        os.replace(temporary, os.path.join(self.folder, "manifest"))
        time.sleep(TICK)

    def changed(self) -> list[str]:
        """Tracked files that are no longer what was laid out."""
        found = []
        for path, written in self._manifest().items():
            try:
                same = _stamp(os.lstat(os.path.join(self.tree, path))) == written.stamp
            except OSError:
                same = False
            if not same:
                found.append(path)
        return sorted(found)

    def release(self) -> None:
        """Give the slot back."""
        os.close(self.lock)


def time_of(oid: str) -> int:
    """A time (s) that belongs to the content: tools that compare times and sizes then compare contents, in every slot."""
    return 1_000_000_000 + int(oid[:8], 16) % 600_000_000


def acquire(folder: str) -> Slot:
    """Lock the first free slot below `folder`, made on demand; raises `ToolError` where none can be had."""
    for number in range(MAX_SLOTS):
        place = os.path.join(folder, str(number))
        try:
            os.makedirs(place, mode=0o700, exist_ok=True)
            lock = os.open(os.path.join(place, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ToolError(
                f"cannot use the cache folder {folder}: {error.strerror}", hint="set XDG_CACHE_HOME to a folder that can be written"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        return Slot(place, lock)
    raise ToolError(f"more than {MAX_SLOTS} gates use {folder} at once")


def _remove(path: str) -> None:
    """Remove a file or a whole folder, also one whose permissions were taken away."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        raise OSError(f"cannot remove {path}")
