"""Notes what an answer depended on, for `quick`. Nothing is noted that changed while the gate was at work."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from _blake2 import blake2b
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_agentgate.model import Report
from pytest_agentgate.quick import eligible, notes_folder, question, stamp

GIT_FILES = ("HEAD", "index", "packed-refs", "config", "config.worktree", "shallow", "info/exclude", "objects/info/alternates")
USER_FILES = (".gitconfig", ".config/git/config", ".config/git/ignore", ".config/git/attributes")


@dataclass(frozen=True)
class Places:
    """What a run looked at, as `pipeline.judge` knows it."""

    top: str
    git_folders: tuple[str, ...]
    files: tuple[str, ...]
    """Paths of the head and of what was carried, relative to `top`."""
    others: tuple[str, ...]
    """The interpreter, its folders, its environment."""


@dataclass(frozen=True)
class Moment:
    """When a run began, by two clocks: where they disagree about its length, somebody set the clock."""

    wall_ns: int
    monotonic: float


def now() -> Moment:
    """The present moment."""
    return Moment(time.time_ns(), time.monotonic())


def note(argv: Sequence[str], began: Moment, places: Places, report: Report, code: int, output: str, last: str) -> None:
    """Keep the answer, if it came from lasting evidence and nothing that it depends on changed since the run began.

    `last` is where ``agentgate explain last`` finds the report: after another verdict that has to be written anew.
    """
    argv = list(argv)
    folder = notes_folder(argv)
    lasting = all(e.status != "errored" and (e.cached or e.check == "scope" or e.leave) for e in report.evidence)
    elapsed = time.monotonic() - began.monotonic
    steady = abs((time.time_ns() - began.wall_ns) / 1e9 - elapsed) < 0.5
    if not (folder and eligible(argv) and lasting and steady and not report.unsandboxed):
        return
    rows = [f"{stamp(last)} {last}".encode("utf-8", "surrogateescape")]
    for path in dict.fromkeys(_paths(places)):
        word = stamp(path)
        if word != "-" and int(word.rpartition(":")[2]) > began.wall_ns - 20_000_000:
            return
        rows.append(f"{word} {path}".encode("utf-8", "surrogateescape"))
    data = b"%d\n%s\0\0%s" % (code, b"\0".join(rows), output.encode("utf-8", "surrogateescape"))
    target = os.path.join(folder, question(argv))
    temporary = f"{target}.{os.getpid()}.tmp"
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        with open(temporary, "wb") as stream:
            stream.write(blake2b(data, digest_size=20).hexdigest().encode() + b"\n" + data)
        os.replace(temporary, target)


def _paths(places: Places) -> Iterator[str]:
    """Every path whose change could change the answer."""
    yield places.top
    folders: set[str] = set()
    for path in places.files:
        yield os.path.join(places.top, path)
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            yield os.path.join(places.top, parent)
            parent = parent.rpartition("/")[0]
    for folder in places.git_folders:
        yield from (os.path.join(folder, name) for name in GIT_FILES)
        for place, _, _ in os.walk(os.path.join(folder, "refs")):
            yield place
            yield from _files(place)
    yield from (os.path.join(os.path.expanduser("~"), name) for name in USER_FILES)
    yield from places.others
    yield from (p for p in sys.path if os.path.isdir(p))
    own = os.path.dirname(os.path.abspath(__file__))
    for place, _, _ in os.walk(own):
        if not place.endswith("__pycache__"):
            yield from _files(place)


def _files(folder: str) -> Iterable[str]:
    with os.scandir(folder) as entries:
        return [e.path for e in entries if not e.is_dir(follow_symlinks=False)]
