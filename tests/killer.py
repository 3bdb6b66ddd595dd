"""Runs `agentgate` again and again, each time in a fresh child of this process, and kills it where it is told to.

Reads lines of JSON, ``{"argv": [...], "limit": N}``, and answers each with two: the child's process id, and, once it has ended,
``[exit code, moments]``. With a limit the child dies by SIGKILL at its Nth process start or rename; `moments` says how many a
whole run had. The program's modules are imported once for all: a killed run and the next share nothing else.
"""

import json
import os
import signal
import sys
import threading

import pytest_agentgate.commands  # noqa: F401  # imported once, before the children part
from pytest_agentgate.cli import main

EVENTS = {"subprocess.Popen", "os.rename", "os.posix_spawn"}


def run(argv: list[str], limit: int, told: int) -> None:
    """The child: never comes back."""
    count, lock = 0, threading.Lock()

    def watch(event: str, arguments: object) -> None:
        nonlocal count
        if event in EVENTS:
            with lock:
                count += 1
                if count == limit:
                    os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    code = 70
    try:
        code = main(argv)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os.write(told, str(count).encode())
        os._exit(code)


for line in sys.stdin:
    asked = json.loads(line)
    mine, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(mine)
        run(asked["argv"], asked.get("limit", 0), theirs)
    os.close(theirs)
    print(child, flush=True)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(mine) as stream:
        print(json.dumps([ended, int(stream.read() or 0)]), flush=True)
