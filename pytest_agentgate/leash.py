"""Runs one command and leaves nothing of it behind. Stand-alone: ``python -I -S leash.py COMMAND [ARG ...]``.

For machines without a sandbox: when the gate dies (even by SIGKILL) or the command ends, every descendant is killed,
daemons that left the process group included (Linux: `prctl(2)` PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def descendants(pid: int) -> list[int]:
    """Process ids below `pid`, from /proc; empty where there is no /proc."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as stream:
            children = [int(word) for word in stream.read().split()]
    except OSError:
        return []
    return children + [grandchild for child in children for grandchild in descendants(child)]


def end_all(child: int) -> None:
    """Kill the child's group and whatever else is below us, until nothing is left."""
    for _ in range(50):
        living = descendants(os.getpid())
        for pid in [-child, *living]:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def main() -> int:
    """Start the command, wait for it or for our parent's end, clean up, and pass the exit code on."""
    parent = os.getppid()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, setpgroup=0)

    def stop(*_: object) -> None:
        end_all(child)
        os._exit(137)

    signal.signal(signal.SIGTERM, stop)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if os.getppid() != parent:
            stop()
        time.sleep(0.005)
    end_all(child)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
