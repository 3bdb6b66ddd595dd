"""A content-keyed store outside every repository: atomic, safe under many gates at once and under ``kill -9``.

A value is written to a file of its own name and then renamed; a reader sees the old, the new or nothing, never half.
A value that cannot be read is no value. Keys are digests of everything that the value depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass

MAX_BYTES = 512 * 1024 * 1024
MAX_AGE = 30 * 24 * 3600.0
"""Seconds after its last use that a value is kept."""


def digest(*parts: object) -> str:
    """SHA-256 over the parts, each with its length, so that no two lists of parts collide."""
    state = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()


@dataclass(frozen=True)
class Cache:
    """Values by key in one folder. `enabled=False` reads nothing and writes nothing."""

    folder: str
    enabled: bool = True

    def path(self, key: str) -> str:
        """File of a key."""
        return os.path.join(self.folder, "values", key[:2], key)

    def get(self, key: str) -> bytes | None:
        """The value, or None."""
        if not self.enabled:
            return None
        try:
            with open(self.path(key), "rb") as stream:
                data = stream.read()
        except OSError:
            return None
        checksum, _, value = data.partition(b"\n")
        return value if checksum == hashlib.sha256(value).hexdigest().encode() else None

    def put(self, key: str, value: bytes) -> None:
        """Store a value. A full disk or a read-only cache costs the next run some time, never this run its verdict."""
        if not self.enabled:
            return
        target = self.path(key)
        temporary = f"{target}.{os.getpid()}.{time.monotonic_ns()}.tmp"
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(temporary, "wb") as stream:
                stream.write(hashlib.sha256(value).hexdigest().encode() + b"\n" + value)
            os.replace(temporary, target)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def files(self) -> Iterable[os.DirEntry[str]]:
        """Every stored file."""
        places = (p for name in ("values", "answers") for p, _, _ in os.walk(os.path.join(self.folder, name)))
        for folder in places:
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                yield from (e for e in entries if e.is_file(follow_symlinks=False))

    def prune(self, now: float) -> None:
        """Forget values that are old, and the oldest ones while all together are too large."""
        known: list[tuple[float, int, str]] = []
        for entry in self.files():
            with contextlib.suppress(OSError):
                stat = entry.stat()
                known.append((stat.st_mtime, stat.st_size, entry.path))
        total = sum(size for _, size, _ in known)
        for modified, size, path in sorted(known):
            if total <= MAX_BYTES and now - modified <= MAX_AGE:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size

    def clear(self) -> None:
        """Forget everything. Gates that run at this moment make what they need anew."""
        for name in ("values", "repositories", "answers"):
            shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)
