"""`agentgate doctor`: what this machine can do for a verdict, and how to get what is missing."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping

import msgspec

from pytest_agentgate.bases import find_base
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import GateError
from pytest_agentgate.git import Checkout, open_checkout
from pytest_agentgate.interpreter import Interpreter, choose, describe
from pytest_agentgate.layout import source_roots, top_modules
from pytest_agentgate.model import Limits, Policy
from pytest_agentgate.process import Processes, clean_environment, find_program
from pytest_agentgate.sandbox import Box, Sandbox, probe
from pytest_agentgate.tables import table_of
from pytest_agentgate.text import visible
from pytest_agentgate.workspace import open_workspace

USER_NAMESPACES = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
Line = tuple[bool, str, str]
"""Whether it is well, what was found, and what to do where it is not."""
TRY = """
import json, os, socket, sys
def tried(what):
    try:
        what()
        return True
    except OSError:
        return False
home, port, outside, allowed = sys.argv[1], int(sys.argv[2]), sys.argv[3], set(sys.argv[4:])
print(json.dumps({"write outside its tree": tried(lambda: open(os.path.join(outside, "written"), "w").close()),
                  "reach the network": tried(lambda: socket.create_connection(("127.0.0.1", port), 2).close()),
                  "read the home folder": tried(lambda: set(os.listdir(home)) - allowed or (_ for _ in ()).throw(OSError())),
                  "see this program's environment": "ANTHROPIC_API_KEY" in os.environ}))
"""
"""What code under judgement must not be able to do, tried from inside."""
WHERE = """
import importlib.util, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        spec = None
    if spec is not None and spec.origin:
        found[name] = spec.origin
print(json.dumps(found))
"""
RUNS = re.compile(
    r"^(core\.(fsmonitor|sshcommand|hookspath|pager|editor|askpass|gitproxy|alternaterefscommand)|(gpg|gpg\..*)\.(program|defaultkeycommand)|"
    r"diff\.external|diff\..*\.(textconv|command)|filter\..*\.(clean|smudge|process)|credential(\..*)?\.helper|alias\..*|pager\..*|"
    r"merge\..*\.driver|(merge|diff)tool\..*\.(cmd|path)|remote\..*\.(uploadpack|receivepack|vcs|proxy)|sequence\.editor|"
    r"uploadpack\.packobjectshook|interactive\.difffilter|sendemail\..*(cmd|smtpserver)|browser\..*\.(cmd|path)|man\..*\.(cmd|path)|"
    r"trailer\..*\.(cmd|command)|hook\..*\.command|submodule\..*\.update|protocol\.(.*\.)?allow|init\.templatedir|include\.path|includeif\..*\.path)$"
)
"""Settings of git that name programs, or let in more: in a repository's own configuration they run when its owner uses git."""


def consult(directory: str, python: str, cache_folder: str, environment: Mapping[str, str]) -> Iterator[Line]:
    """Each thing that a run needs: whether it is there, what was found, and what to do where it is not."""
    processes = Processes()
    git = find_program("git")
    yield bool(git), f"git: {git or 'not found'}", "install git 2.38 or newer"
    sandbox = probe(processes, "auto")
    yield _sandbox(sandbox)
    if sandbox.program:
        yield from _tight(sandbox, processes)
    limiter = find_program("prlimit")
    yield bool(limiter), f"limits: {limiter or 'no prlimit'}", "install util-linux for limits.memory_mb and limits.processes"
    if not git:
        return
    try:
        checkout = open_checkout(processes, directory)
        with open_workspace(checkout, cache_folder, use_cache=True) as place:
            yield not place.note, f"cache: {place.root}", place.note or ""
            yield from _repository(checkout, environment)
            try:
                found = describe(choose(checkout.top, python, "", environment), processes, place.cache)
            except GateError as error:
                yield False, f"interpreter: {error}", "name the project's own with --python"
                return
    except GateError as error:
        yield False, f"repository: {error}", "run it in a checkout that you want to gate"
        return
    own = found.prefix == sys.prefix and not _holds(found, checkout)
    words = ", the gate's own: no .venv is here and none is active" if own else ""
    yield not own, f"interpreter: {found.executable} ({found.version}){words}", "install the project into .venv, or name --python"
    yield from _tools(found)
    yield from _installed(checkout, found, processes)


def _holds(found: Interpreter, checkout: Checkout) -> bool:
    """Whether the checkout is installed in the interpreter's environment, or is the folder that it lives in."""
    inside = os.path.realpath(found.prefix).startswith(os.path.realpath(checkout.top) + os.sep)
    try:
        with open(os.path.join(checkout.top, "pyproject.toml"), "rb") as stream:
            name = table_of(tomllib.load(stream), "project").get("name", "")
    except (OSError, tomllib.TOMLDecodeError):
        name = ""
    return inside or re.sub(r"[-_.]+", "-", str(name)).lower() in found.packages


def _tools(found: Interpreter) -> Iterator[Line]:
    for name in ("pytest", "mypy", "ruff"):
        version = found.packages.get(name)
        own = name != "pytest" and os.path.exists(os.path.join(os.path.dirname(sys.executable), name))
        ours = "the gate's own" if own else "none"
        words = f"{name}: {version} of the project" if version else f"{name}: {ours}"
        yield bool(version) or name != "pytest", words, f"{found.executable} -m pip install {name}"


def _tight(sandbox: Sandbox, processes: Processes) -> Iterator[Line]:
    """Try from inside what must not be possible there."""
    with tempfile.TemporaryDirectory(prefix="agentgate-doctor-") as folder, socket.create_server(("127.0.0.1", 0)) as server:
        tree, outside = os.path.join(folder, "tree"), os.path.join(folder, "outside")
        os.makedirs(tree)
        os.makedirs(outside)
        home = os.path.expanduser("~")
        below = [os.path.relpath(p, home) for p in (sys.prefix, sys.base_prefix, *sys.path) if p.startswith(home + os.sep)]
        inner = sorted({p.split(os.sep)[0] for p in below})
        box = Box(tree, tree, tuple(p for p in (sys.prefix, sys.base_prefix, *sys.path) if os.path.isdir(p)))
        argv = [sys.executable, "-I", "-S", "-c", TRY, home, str(server.getsockname()[1]), outside, *inner]
        env = clean_environment(sandbox.environment(box))
        done = processes.run(sandbox.wrap(argv, box, Limits()), cwd=tree, env=env, timeout=30)
    try:
        could = [words for words, possible in from_json(done.stdout, dict[str, bool]).items() if possible]
    except msgspec.MsgspecError:
        yield False, f"inside the sandbox: Python does not start: {done.error}", "report this, please"
        return
    words = (
        f"could {', '.join(could)}"
        if could
        else "cannot write outside its tree, reach the network, read the home folder or see secrets"
    )
    yield not could, f"inside the sandbox: code under judgement {words}", "report this, please: nothing of it should be possible"


def _repository(checkout: Checkout, environment: Mapping[str, str]) -> Iterator[Line]:
    """The base that would be found, and settings of git that run programs."""
    head = checkout.commit("HEAD")
    try:
        base, how = find_base(checkout, head, environment) if head else ("", "there is no commit yet")
        guessed = how == "HEAD" or not head
        fix = (
            "make a first commit"
            if not head
            else "name it with --base: no upstream or default branch was found, so that only uncommitted work is compared"
        )
        yield not guessed, f"base: {base[:12]} ({how})", fix
    except GateError as error:
        yield False, f"base: {error}", "fetch it, or name it with --base"
    rows = []
    for scope in ("--local", "--worktree"):  # the second reads the first once more where a repository has no worktree configuration
        text = checkout.git.attempt("config", scope, "--includes", "-z", "--list").stdout.decode("utf-8", "replace")
        rows += [row for row in text.split("\0") if row not in rows]
    for key, _, value in (row.partition("\n") for row in rows):
        if RUNS.fullmatch(key.lower()) and not _harmless(key.lower(), value):
            words = f"git setting {visible(key)} of this repository can run a program: {visible(value)}"
            yield False, words, f"is it yours? The gate ignores it; you do not: git config --local --unset {visible(key)}"


def _harmless(key: str, value: str) -> bool:
    """Whether a setting that could name a program, or let one in, has a value that does not."""
    if key == "core.fsmonitor":
        return value in ("true", "false")
    if key.startswith(("protocol.", "submodule.")):
        return value in ("never", "user", "none", "checkout", "rebase", "merge")
    return key.startswith("alias.") and not value.startswith("!")


def _installed(checkout: Checkout, found: Interpreter, processes: Processes) -> Iterator[Line]:
    """Whether the project's modules would be imported from this checkout: an installed copy would be tested instead."""
    paths = checkout.git.attempt("ls-files", "-z").stdout.decode("utf-8", "surrogateescape").split("\0")
    policy = Policy()
    names = sorted(top_modules(paths, source_roots(paths, paths, policy), policy))[:20]
    if not names:
        return
    env = clean_environment({"HOME": "/nonexistent"})
    done = processes.run([found.executable, "-I", "-B", "-c", WHERE, *names], cwd="/", env=env, timeout=30)
    try:
        origins = from_json(done.stdout, dict[str, str])
    except msgspec.MsgspecError:
        return
    top = os.path.realpath(checkout.top)
    copies = [n for n, o in origins.items() if "site-packages" in o and not os.path.realpath(o).startswith(top + os.sep)]
    words = f"{', '.join(copies)} would be imported from site-packages" if copies else f"{', '.join(names[:5])} of this checkout"
    yield not copies, f"modules: {words}", f"{found.executable} -m pip install -e ."


def _sandbox(sandbox: Sandbox) -> Line:
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
