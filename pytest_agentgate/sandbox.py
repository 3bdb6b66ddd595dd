"""The one module that knows the sandbox: bubblewrap where it works, a leash where it does not.

Inside: the whole file system read-only; home, ``/tmp`` and the gate's own folders replaced by empty ones; no network;
no capabilities; namespaces of its own for processes; and the judged tree mounted at the path of the user's checkout, so
that editable installs, absolute paths and tool caches mean the judged tree.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_agentgate.errors import ToolError
from pytest_agentgate.model import Limits
from pytest_agentgate.model.policy import SandboxMode
from pytest_agentgate.process import Processes, find_program

HOME = "/tmp/agentgate-home"  # noqa: S108  # a path inside the sandbox's own empty /tmp
ISOLATION = (
    "--unshare-all",
    "--new-session",
    "--die-with-parent",
    "--cap-drop",
    "ALL",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
)
LEASH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "leash.py")


@dataclass(frozen=True)
class Box:
    """What one process may see and where it runs."""

    tree: str
    """The judged tree on disk."""
    at: str
    """The path of the user's checkout: where the tree is mounted."""
    visible: tuple[str, ...] = ()
    """Folders that stay readable although their place is masked: interpreters, site-packages."""
    hidden: tuple[str, ...] = ()
    """Folders that are replaced by empty ones: caches and run folders of the gate."""
    writable: tuple[tuple[str, str], ...] = ()
    """Pairs of (folder on disk, path inside) that the process may write."""
    read_only: bool = False
    """The tree itself cannot be written."""
    scratch: str = ""
    """An empty folder for HOME and TMPDIR where there is no sandbox."""


@dataclass(frozen=True)
class Sandbox:
    """How processes are confined in this run."""

    program: str
    """Absolute path of bubblewrap; empty: unsandboxed."""
    reason: str = ""
    """Why there is no sandbox."""
    limiter: str = ""
    """Absolute path of prlimit(1); empty: no resource limits."""

    @property
    def kind(self) -> str:
        """`bubblewrap` or `none`."""
        return "bubblewrap" if self.program else "none"

    def where(self, box: Box) -> str:
        """The path at which a process in the box sees the tree."""
        return box.at if self.program else box.tree

    def environment(self, box: Box) -> Mapping[str, str]:
        """HOME and TMPDIR of a process in the box."""
        if self.program:
            return {"HOME": HOME, "TMPDIR": "/tmp"}  # noqa: S108  # the sandbox's own
        return {"HOME": os.path.join(box.scratch, "home"), "TMPDIR": os.path.join(box.scratch, "tmp")}

    def wrap(self, argv: Sequence[str], box: Box, limits: Limits) -> list[str]:
        """The argument vector that runs `argv` confined."""
        limited = [*self._limits(limits), *argv]
        if not self.program:
            for name in ("home", "tmp"):
                os.makedirs(os.path.join(box.scratch, name), exist_ok=True)
            return [sys.executable, "-I", "-S", LEASH, *limited]
        return [self.program, *ISOLATION, *_mounts(box), "--chdir", box.at, "--", *limited]

    def _limits(self, limits: Limits) -> list[str]:
        if not self.limiter:
            return []
        wanted = ["--core=0"]
        if limits.memory_mb:
            wanted.append(f"--as={limits.memory_mb * 1024 * 1024}")
        if limits.processes:
            wanted.append(f"--nproc={limits.processes}")
        return [self.limiter, *wanted, "--"]


def masked_folders() -> tuple[str, ...]:
    """Folders whose contents no judged process sees."""
    homes = {os.path.realpath(h) for h in (os.path.expanduser("~"), pwd.getpwuid(os.getuid()).pw_dir, "/root", "/home")}
    places = {"/tmp", "/var/tmp", "/run", *homes}  # noqa: S108  # masked, not used
    return tuple(sorted(p for p in places if p != "/" and os.path.isdir(p) and not os.path.islink(p)))


def _mounts(box: Box) -> list[str]:
    masks = (*masked_folders(), *(h for h in box.hidden if os.path.isdir(h)))
    mounts = [arg for folder in masks for arg in ("--tmpfs", folder)]
    mounts += ["--dir", HOME]
    inner = [p for p in box.visible if _below(p, box.at)]
    environments = [p for p in inner if _in_environment(p, box.at)]
    within = [p for p in environments if not any(p != other and _below(p, other) for other in environments)]
    for path in box.visible:
        if path not in inner and any(_below(path, mask) for mask in masks):
            mounts += ["--ro-bind", path, path]
    mounts += ["--ro-bind" if box.read_only else "--bind", box.tree, box.at]
    for path in within:
        place = Path(box.tree, os.path.relpath(path, box.at))
        if any(files for _, _, files in os.walk(place)):
            raise ToolError(f"the interpreter's folder {path} is part of the judged tree", hint="do not track virtual environments")
        place.mkdir(parents=True, exist_ok=True)
        mounts += ["--ro-bind", path, path]
    for here, there in box.writable:
        mounts += ["--bind", here, there]
    return mounts


def _in_environment(path: str, at: str) -> bool:
    """Whether a folder inside the checkout belongs to a virtual environment there.

    Everything else inside the checkout (the target of an editable install!) must stay the judged tree's.
    """
    while path != at:
        if os.path.isfile(os.path.join(path, "pyvenv.cfg")):
            return True
        path = os.path.dirname(path)
    return False


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def probe(processes: Processes, mode: SandboxMode) -> Sandbox:
    """Try the sandbox once and say what there is; raises `ToolError` where the policy requires one and none works."""
    limiter = find_program("prlimit") or ""
    if mode == "off":
        return Sandbox("", 'the policy says sandbox = "off"', limiter)
    program = find_program("bwrap")
    if program is None:
        reason = "bubblewrap is not installed"
    else:
        done = processes.run(
            [program, *ISOLATION, "--tmpfs", "/tmp", "--", "/bin/sh", "-c", ":"],  # noqa: S108
            cwd="/",
            env={"PATH": os.defpath},
            timeout=20,
        )
        if done.returncode == 0:
            return Sandbox(program, "", limiter)
        reason = f"bubblewrap does not work here: {done.error or 'no message'}"
    if mode == "require":
        raise ToolError(
            f"the policy requires a sandbox, and {reason}", hint="Debian, Ubuntu: apt install bubblewrap, and allow user namespaces"
        )
    return Sandbox("", reason, limiter)
