"""What a person sees while the gate works: one line as each check ends, and on a terminal a line that moves."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TextIO

from pytest_agentgate.errors import Interrupted
from pytest_agentgate.model import Change, Evidence
from pytest_agentgate.process import Processes
from pytest_agentgate.reporters.terminal import check_line, paint
from pytest_agentgate.text import shorten, visible


@contextlib.contextmanager
def ended_with(processes: Processes) -> Iterator[None]:
    """End every child of a run that is interrupted."""
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        processes.kill_all()
        raise


class Live:
    """Prints progress; thread-safe. Plain lines where the stream is no terminal."""

    def __init__(self, stream: TextIO | None = None, *, color: bool = False, quiet: bool = False) -> None:
        self.stream = stream or sys.stdout
        self.color, self.quiet = color, quiet
        self.moving = not quiet and self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.known: list[Evidence] = []
        self._lock = threading.Lock()
        self._busy: dict[str, str] = {}
        self._drawn = 0.0

    def plan(self, change: Change, names: Sequence[str]) -> None:
        """Say what is judged."""
        if not self.quiet:
            added, deleted = sum(f.added_lines for f in change.files), sum(f.deleted_lines for f in change.files)
            self._print(
                f"agentgate: {len(change.files)} file{'s' if len(change.files) != 1 else ''} changed "
                f"(+{added} -{deleted}), {change.source} against {change.base[:12]} ({visible(change.note)})\n"
            )

    def progress(self, check: str, words: str) -> None:
        """Move the moving line, at most ten times a second."""
        with self._lock:
            self._busy[check] = words
            if self.moving and time.monotonic() - self._drawn > 0.1:
                self._drawn = time.monotonic()
                line = "; ".join(f"{c} {w}" for c, w in self._busy.items())
                self.stream.write(f"\r\x1b[2K{shorten(visible(line), min(shutil.get_terminal_size().columns - 1, 120))}")
                self.stream.flush()

    def evidence(self, evidence: Evidence) -> None:
        """One line for a check that has ended."""
        with self._lock:
            self.known.append(evidence)
            self._busy.pop(evidence.check, None)
        if not self.quiet:
            self._print(paint([check_line(evidence)], color=self.color))

    def _print(self, text: str) -> None:
        with self._lock:
            self.stream.write(("\r\x1b[2K" if self.moving else "") + text)
            self.stream.flush()

    def done(self) -> None:
        """Wipe the moving line."""
        if self.moving:
            self._print("")
