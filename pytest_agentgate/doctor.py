"""`agentgate doctor`: what this machine can do for a verdict, and how to get what is missing."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping

from pytest_agentgate.errors import GateError
from pytest_agentgate.git import open_checkout
from pytest_agentgate.interpreter import choose, describe
from pytest_agentgate.process import Processes, find_program
from pytest_agentgate.sandbox import probe
from pytest_agentgate.workspace import open_workspace

USER_NAMESPACES = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"


def consult(directory: str, python: str, cache_folder: str, environment: Mapping[str, str]) -> Iterator[tuple[bool, str, str]]:
    """Each thing that a run needs: whether it is there, what was found, and what to do where it is not."""
    processes = Processes()
    git = find_program("git")
    yield bool(git), f"git: {git or 'not found'}", "install git 2.38 or newer"
    yield _sandbox(processes)
    limiter = find_program("prlimit")
    yield bool(limiter), f"limits: {limiter or 'no prlimit'}", "install util-linux for limits.memory_mb and limits.processes"
    if not git:
        return
    try:
        checkout = open_checkout(processes, directory)
        with open_workspace(checkout, cache_folder, use_cache=True) as place:
            yield not place.note, f"cache: {place.root}", place.note or ""
            found = describe(choose(checkout.top, python, "", environment), processes, place.cache)
    except GateError as error:
        yield False, f"repository: {error}", "run it in a checkout that you want to gate"
        return
    yield True, f"interpreter: {found.executable} ({found.version})", ""
    for name in ("pytest", "mypy", "ruff"):
        version = found.packages.get(name)
        mine = (
            "the gate's own" if name != "pytest" and os.path.exists(os.path.join(os.path.dirname(sys.executable), name)) else "none"
        )
        words = f"{name}: {version} of the project" if version else f"{name}: {mine}"
        yield bool(version) or name != "pytest", words, f"{found.executable} -m pip install {name}"


def _sandbox(processes: Processes) -> tuple[bool, str, str]:
    sandbox = probe(processes, "auto")
    if sandbox.program:
        return True, f"sandbox: {sandbox.program} works, assurance up to A3", ""
    if platform.system() != "Linux":
        return (
            False,
            "sandbox: none on this system, assurance A0",
            'judge in CI on Linux, or in a container, and say `sandbox = "require"` there',
        )
    fix = "apt install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora)"
    if find_program("bwrap") and _restricted():
        fix = "this Ubuntu forbids user namespaces: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or an AppArmor profile for bwrap"
    elif find_program("bwrap"):
        fix = "allow user namespaces: in a container `--security-opt seccomp=unconfined`, else `sysctl -w kernel.unprivileged_userns_clone=1`"
    return False, f"sandbox: {sandbox.reason}; assurance A0", fix


def _restricted() -> bool:
    try:
        with open(USER_NAMESPACES, encoding="ascii") as stream:
            return stream.read().strip() == "1"
    except OSError:
        return not os.path.exists("/proc/self/ns/user")
