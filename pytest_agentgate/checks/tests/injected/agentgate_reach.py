"""What judged code reaches for while its tests run: hosts, other processes' secrets, files that outlive the tests. Never imported by the gate.

An audit hook sees what Python opens and looks up, whatever the source calls it. It is no protection (the sandbox
is): it tells what was tried. Each thing is told once for each test; `pytest-xdist`'s workers load this file as a plugin.
"""

import _thread
import os
import re
import sys
import time

MOST, ALIKE = 400, 20
"""Things that are told of one session, and of them hosts of one domain: a flood hides nothing."""
HERE = re.compile(
    r"((::ffff:)?127(\.\d+){3}|0\.0\.0\.0|::1?|255\.255\.255\.255|(.*\.)?localhost(\.localdomain)?\.?|ip6-(localhost|loopback)|)$"
)
SECRETS = re.compile(r"/proc/(\d+)/(task/\d+/)?(environ|mem)$")
OUTLIVES = re.compile(
    r"(\.ssh/|\.(bashrc|bash_profile|bash_login|profile|zshrc|zshenv|zprofile|gitconfig|netrc|pypirc|npmrc)$|"
    r"\.config/(git|autostart|fish|systemd)/|\.gnupg/|\.aws/|\.claude/|\.codex/|\.local/bin/|.*/(site|dist)-packages/)"
)
"""Below the home directory: what a later program or log-in reads and does."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
MOVES = ("os.rename", "os.link", "os.symlink", "shutil.move", "shutil.copyfile")
NAMES = ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto", "socket.sendmsg")
EVENTS = frozenset(("open", *MOVES, *NAMES))
SEEN = {}
"""Test, kind and detail of what was tried, in its order."""


class Watch:
    """The audit hook's memory of where this process began."""

    def __init__(self):
        self.home = os.path.join(os.path.realpath(os.path.expanduser("~")), "")
        self.installed = tuple(
            os.path.join(os.path.realpath(p), "") for p in sys.path if p.endswith(("site-packages", "dist-packages"))
        )
        self.own = {os.getpid()}
        self.host = os.uname().nodename if hasattr(os, "uname") else ""
        self.busy = set()
        self.counts = {}

    def __call__(self, event, args):
        """One event. What it cannot make sense of is nobody's concern: an error here would be one of the judged code."""
        if event not in EVENTS:
            return
        thread = _thread.get_ident()
        if thread in self.busy:
            return
        self.busy.add(thread)
        try:
            found = self.moved(*args) if event in MOVES else self.file(*args) if event == "open" else self.net(event, args)
            if found:
                self.remember(*found)
        except Exception:  # noqa: S110  # judged code must not meet an error of ours, and nobody could read a log here
            pass
        finally:
            self.busy.discard(thread)

    def remember(self, kind, detail):
        """One thing, told once for each test."""
        alike = (kind, ".".join(detail.split(".")[-2:]))
        self.counts[alike] = self.counts.get(alike, 0) + 1
        if self.counts[alike] <= ALIKE and len(SEEN) < MOST:
            detail = detail.encode("utf-8", "replace").decode()
            SEEN.setdefault((os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0], kind, detail[:300]))

    def moved(self, *args):
        """A file that is put, or linked, where it outlives the tests."""
        return self.file(args[1], "w", WRITES)

    def file(self, path, mode, flags):
        """A file that holds another process's secrets, or one that is written and outlives the tests."""
        if isinstance(path, int):
            return None
        writes = isinstance(flags, int) and flags & WRITES
        text = os.fsdecode(path)
        if not writes and not text.endswith(("environ", "mem")):
            return None
        text = re.sub("^/+", "/", os.path.abspath(text))
        secret = SECRETS.match(text)
        if secret:
            return ("process", "/proc/N/" + secret[3]) if int(secret[1]) in self.ancestors() else None
        if not writes:
            return None
        real = os.path.realpath(text)
        if real.startswith(self.home) and OUTLIVES.match(real[len(self.home) :]):
            return "file", "~/" + real[len(self.home) :]
        return ("file", real) if real.startswith(("/etc/", *self.installed)) else None

    def ancestors(self):
        """Processes that began this one: the gate's own, where there is no sandbox."""
        found, pid = set(), os.getpid()
        while pid > 0 and pid not in found:
            found.add(pid)
            try:
                with open("/proc/%d/stat" % pid) as stream:
                    pid = int(stream.read().rpartition(")")[2].split()[1])
            except OSError:
                break
        return (found | {1}) - self.own - {os.getpid()}

    def net(self, event, args):
        """Another host."""
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            sock, address = args[0], args[-1]
            if not isinstance(address, tuple) or (event == "socket.connect" and getattr(sock, "type", 0) & 0xF == 2):
                return None  # a local socket; and one without a connection sends nothing yet
            host = address[0]
        else:
            host = args[0]
        host = os.fsdecode(host).lower().strip() if host else ""
        return None if HERE.match(host) or host == self.host.lower() else ("host", host)


def stayed():
    """Commands of processes that left our session or group and still run; in the sandbox only, where all processes are ours."""
    mine = os.getsid(0) if hasattr(os, "getsid") else None
    try:
        with open("/proc/1/comm") as stream:
            boxed = stream.read().strip() == "bwrap"
        pids = [pid for pid in os.listdir("/proc") if pid.isdigit() and pid != "1"] if boxed else []
    except OSError:
        return
    for pid in pids:
        try:
            with open("/proc/%s/stat" % pid) as stream:
                fields = stream.read().rpartition(")")[2].split()
            with open("/proc/%s/cmdline" % pid, "rb") as stream:
                line = " ".join(stream.read().decode("utf-8", "replace").replace("\0", " ").split())
        except OSError:
            continue
        elsewhere = len(fields) > 3 and (int(fields[3]) != mine or int(fields[2]) != os.getpgrp())
        if elsewhere and fields[0] not in "ZX" and int(pid) != os.getpid():
            yield line[:200] or pid


def watch():
    """Begin to watch this process; there is no end to it."""
    sys.addaudithook(Watch())


class Plugin:
    """Tells at the end what was tried, from this process and from workers."""

    def __init__(self, channel):
        self.channel = channel

    def pytest_testnodedown(self, node, error):
        """What a worker saw."""
        SEEN.update({tuple(row): None for row in getattr(node, "workeroutput", {}).get("agentgate_reached", ())})

    def pytest_sessionfinish(self, session):
        """All of it, and what is still running."""
        for test, kind, detail in list(SEEN):
            self.channel.send(k="reached", id=test, when=kind, text=detail)
        staying = set(stayed())
        if staying:
            time.sleep(0.3)  # one that was told to end needs a moment
            staying &= set(stayed())
        for line in sorted(staying)[:3]:
            self.channel.send(k="reached", id="", when="running", text=line)


def plugin(pytest, channel):
    """The plugin for the process that the gate listens to; watches from now on."""
    Plugin.pytest_testnodedown = pytest.hookimpl(optionalhook=True)(Plugin.pytest_testnodedown)
    Plugin.pytest_sessionfinish = pytest.hookimpl(trylast=True)(Plugin.pytest_sessionfinish)
    watch()
    return Plugin(channel)


def pytest_configure(config):
    """In a worker of pytest-xdist."""
    if hasattr(config, "workeroutput"):
        watch()


def pytest_sessionfinish(session):
    """In a worker: hand over what it saw."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["agentgate_reached"] = [list(row) for row in SEEN]
