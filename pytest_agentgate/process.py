"""The one module that starts processes.

Argument vectors only, a session of its own for each child, output that is read while it is written and kept up to a cap
(head and tail), a time limit, and the whole group killed at the end, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_agentgate.errors import Interrupted, ToolError

ALLOWED_ENVIRONMENT = ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "SYSTEMROOT", "TZ")
"""Names that code under judgement may inherit. No key, token or cloud credential is ever among them."""

GRACE = 1.0
"""Seconds for pipes to close after the process itself has ended."""

SETTLE = 0.2
"""Seconds that a background process gives those that start at the same moment to go first."""


@dataclass(frozen=True)
class Completed:
    """How a process ended. `returncode` is negative for a signal, as in `subprocess`."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    duration: float
    timed_out: bool = False
    truncated: bool = False
    flooded: bool = False

    @property
    def error(self) -> str:
        """Last lines of standard error (else of standard output), as text for people."""
        text = (self.stderr or self.stdout).decode("utf-8", "replace").strip()
        return "\n".join(text.splitlines()[-12:])


class Capture:
    """Keeps the head and the tail of a stream, `cap` bytes in all."""

    def __init__(self, cap: int) -> None:
        self.half, self.total = max(cap // 2, 1), 0
        self.head, self.tail = bytearray(), bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self.total += len(data)
        room = self.half - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        self.tail += data
        if len(self.tail) > 2 * self.half:
            del self.tail[: -self.half]

    @property
    def truncated(self) -> bool:
        """Whether the middle of the stream was dropped."""
        return self.total > len(self.head) + min(len(self.tail), self.half)

    def value(self) -> bytes:
        """Everything kept, with a line that says what was left out."""
        tail = bytes(self.tail[-self.half :])
        dropped = self.total - len(self.head) - len(tail)
        return bytes(self.head) + (b"\n... %d bytes left out ...\n" % dropped if dropped else b"") + tail


@dataclass
class _Streams:
    """The pipes of one running child."""

    selector: selectors.BaseSelector
    captures: dict[int, Capture]
    feed: bytearray
    records: Callable[[bytes], None] | None = None
    open: set[int] = field(default_factory=set)

    def pump(self, timeout: float) -> None:
        """Read and write what is ready within `timeout` seconds."""
        for key, _ in self.selector.select(timeout):
            if key.data == "stdin":
                self._write(key.fd)
            elif key.data == "exit":
                self.selector.unregister(key.fd)
                os.close(key.fd)
            else:
                self._read(key.fd)

    def _write(self, fd: int) -> None:
        try:
            sent = os.write(fd, self.feed[:65536])
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionError):
            sent = len(self.feed)
        del self.feed[:sent]
        if not self.feed:
            self.selector.unregister(fd)
            os.close(fd)

    def _read(self, fd: int) -> None:
        data = os.read(fd, 65536)
        if not data:
            self.selector.unregister(fd)
            self.open.discard(fd)
            os.close(fd)
        elif fd in self.captures:
            self.captures[fd].feed(data)
        elif self.records is not None:
            self.records(data)


class Processes:
    """Starts children and knows which of them live, so that one call can end them all (thread-safe)."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._alive: set[int] = set()
        self._closed = False

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        stdin: bytes = b"",
        timeout: float = 600.0,
        cap: int = 8_000_000,
        records: Callable[[bytes], None] | None = None,
        record_fd: tuple[int, int] | None = None,
        background: bool = False,
    ) -> Completed:
        """Run `argv` to its end and return how it ended. With `background` it starts when a processor is idle.

        `records` receives the bytes of a further pipe as they come; `record_fd` is that pipe, ``(read, write)``, of
        which the child inherits the write end. Raises `ToolError` where the program cannot be started, and
        `Interrupted` after `kill_all`.
        """
        if background:
            self._wait_for_idle()
        started = time.monotonic()
        process = self._start(argv, cwd, env, bool(stdin), record_fd)
        try:
            return self._attend(process, argv, started, stdin, timeout, cap, records, record_fd)
        finally:
            self._end(process)

    def _wait_for_idle(self) -> None:
        """Until fewer children of ours live than there are processors: nice(1) has no say between sessions (autogroups)."""
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        time.sleep(SETTLE)
        with self._lock:
            self._lock.wait_for(lambda: self._closed or len(self._alive) < processors)

    def _start(
        self, argv: Sequence[str], cwd: str, env: Mapping[str, str], feeds: bool, record_fd: tuple[int, int] | None
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise Interrupted("interrupted")
            try:
                process = subprocess.Popen(
                    list(argv),
                    cwd=cwd,
                    env=dict(env),
                    stdin=subprocess.PIPE if feeds else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                    pass_fds=(record_fd[1],) if record_fd else (),
                )
            except OSError as error:
                if record_fd:
                    os.close(record_fd[0])
                raise ToolError(f"cannot start {argv[0]}: {error.strerror}") from error
            finally:
                if record_fd:
                    os.close(record_fd[1])
            self._alive.add(process.pid)
        return process

    def _attend(
        self,
        process: subprocess.Popen[bytes],
        argv: Sequence[str],
        started: float,
        stdin: bytes,
        timeout: float,
        cap: int,
        records: Callable[[bytes], None] | None,
        record_fd: tuple[int, int] | None,
    ) -> Completed:
        if process.stdout is None or process.stderr is None:
            raise ToolError("no pipes")
        out, err = os.dup(process.stdout.fileno()), os.dup(process.stderr.fileno())
        process.stdout.close()
        process.stderr.close()
        captures = {out: Capture(cap or 1 << 40), err: Capture(cap or 1 << 40)}
        with selectors.DefaultSelector() as selector:
            streams = _Streams(selector, captures, bytearray(stdin), records, {out, err})
            for fd in (out, err, *((record_fd[0],) if record_fd else ())):
                selector.register(fd, selectors.EVENT_READ, "read")
                streams.open.add(fd)
            if process.stdin is not None:
                feed = os.dup(process.stdin.fileno())
                os.set_blocking(feed, False)  # a child that waits for us to read must not make us wait for it to read
                selector.register(feed, selectors.EVENT_WRITE, "stdin")
                process.stdin.close()
            timed_out, flooded = self._loop(process, streams, started + (timeout or float("inf")), cap or 1 << 40)
            for fd in [k.fd for k in selector.get_map().values()]:
                os.close(fd)
        if self._closed:
            raise Interrupted("interrupted")
        return Completed(
            tuple(argv),
            process.returncode,
            captures[out].value(),
            captures[err].value(),
            time.monotonic() - started,
            timed_out,
            any(c.truncated for c in captures.values()),
            flooded,
        )

    def _loop(self, process: subprocess.Popen[bytes], streams: _Streams, deadline: float, cap: int) -> tuple[bool, bool]:
        """Pump until the process has ended and its pipes are shut; returns (timed out, flooded)."""
        watched = timed_out = flooded = False
        with contextlib.suppress(OSError, AttributeError):
            streams.selector.register(os.pidfd_open(process.pid), selectors.EVENT_READ, "exit")
            watched = True
        ended: float | None = None
        while streams.open:
            now = time.monotonic()
            if ended is None and process.poll() is not None:
                ended = now
                _kill_group(process.pid)
            if ended is not None and now - ended > GRACE:
                break
            if ended is None and (now > deadline or any(c.total > 8 * cap for c in streams.captures.values())):
                timed_out, flooded = now > deadline, now <= deadline
                _kill_group(process.pid)
            streams.pump(0.05 if ended is not None or not watched else min(max(deadline - now, 0.01), 0.5))
        process.wait()
        return timed_out, flooded

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        _kill_group(process.pid)
        process.wait()
        with self._lock:
            self._alive.discard(process.pid)
            self._lock.notify_all()

    def kill_all(self) -> None:
        """End every living child and start no more; calls of `run` in other threads then raise `Interrupted`."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
            for pid in self._alive:
                _kill_group(pid)


def _kill_group(pid: int) -> None:
    """Kill the session's process group; a group that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def find_program(program: str) -> str | None:
    """Absolute path of `program`, or None. Relative entries of PATH are skipped: they would name the judged tree."""
    path = os.pathsep.join(p for p in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(p))
    return shutil.which(program, path=path)


def which(program: str, *, hint: str) -> str:
    """Absolute path of `program`; raises `ToolError` with the `hint` when there is none."""
    found = find_program(program)
    if found is None:
        raise ToolError(f"{program} was not found", hint=hint)
    return found


def clean_environment(extra: Mapping[str, str], names: Sequence[str] = ()) -> dict[str, str]:
    """The allow-listed part of our own environment, the further `names`, and `extra`."""
    kept = {name: os.environ[name] for name in (*ALLOWED_ENVIRONMENT, *names) if name in os.environ}
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_CTYPE": "C.UTF-8", **kept, **extra}
