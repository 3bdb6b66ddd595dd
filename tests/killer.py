"""Runs `agentgate` and kills it with SIGKILL at its Nth process start or rename. ``python killer.py N FILE ARG ...``.

With N = 0 nothing is killed and FILE receives how many such moments there are.
"""

import os
import signal
import sys
import threading

EVENTS = {"subprocess.Popen", "os.rename", "os.posix_spawn"}
count = 0
lock = threading.Lock()
limit, report = int(sys.argv[1]), sys.argv[2]


def watch(event: str, arguments: object) -> None:
    global count  # noqa: PLW0603  # an audit hook is a plain function
    if event in EVENTS:
        with lock:
            count += 1
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(watch)
from pytest_agentgate.cli import main  # noqa: E402  # the hook has to see everything

code = main(sys.argv[3:])
with open(report, "w", encoding="utf-8") as stream:
    stream.write(str(count))
sys.exit(code)
