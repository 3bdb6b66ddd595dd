"""The project's interpreter: which one, what it holds, and a fingerprint of its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import msgspec

from pytest_agentgate.cache import Cache, digest
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import ToolError, UsageError
from pytest_agentgate.process import Processes, clean_environment

DESCRIBE = """
import sys, json, os, site
from importlib import metadata
packages = {}
for d in metadata.distributions():
    name = (d.metadata["Name"] or "").lower().replace("_", "-")
    if name:
        packages.setdefault(name, d.version)
json.dump({"version": "%d.%d.%d" % sys.version_info[:3], "executable": sys.executable, "prefix": sys.prefix,
           "base_prefix": sys.base_prefix, "paths": [p for p in sys.path if os.path.isdir(p)],
           "packages": packages}, sys.stdout)
"""


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python interpreter with the packages that it sees."""

    version: str
    executable: str
    prefix: str
    base_prefix: str
    paths: tuple[str, ...]
    packages: dict[str, str]
    """Installed distributions: normalised name to version."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the interpreter or a package in it does."""
        return digest(self.version, self.executable, sorted(self.packages.items()), _stamps(self))

    @property
    def bound(self) -> bool:
        """Whether what it imports can depend on where a checkout lies: something is installed in editable mode."""
        inside = (self.prefix + os.sep, self.base_prefix + os.sep)
        folders = [p for p in self.paths if os.path.isdir(p)]
        names = (n for p in folders if p.endswith(("site-packages", "dist-packages")) for n in os.listdir(p))
        return any(not p.startswith(inside) for p in folders) or any("editable" in n or n.endswith(".egg-link") for n in names)

    @property
    def visible(self) -> tuple[str, ...]:
        """Folders that a process needs to see to start this interpreter."""
        real = os.path.dirname(os.path.dirname(os.path.realpath(self.executable)))
        return tuple(dict.fromkeys(p for p in (self.base_prefix, real, self.prefix, *self.paths) if os.path.isdir(p) and p != "/"))


class _Stored(msgspec.Struct, frozen=True):
    interpreter: Interpreter
    stamps: list[tuple[str, int]]


def _stamps(interpreter: Interpreter) -> list[tuple[str, int]]:
    """Modification times (ns) that change with each installation."""
    watched = (interpreter.executable, os.path.join(interpreter.prefix, "pyvenv.cfg"), *interpreter.paths)
    return [(p, os.stat(p).st_mtime_ns) for p in watched if os.path.exists(p)]


def choose(top: str, named: str, policy_python: str, environment: Mapping[str, str]) -> str:
    """Path of the project's interpreter: as named, as in the policy, the active or the checkout's ``.venv``, else ours."""
    for python, origin in ((named, "--python"), (policy_python, "policy key python")):
        if python:
            path = os.path.join(top, os.path.expanduser(python))
            if not os.access(path, os.X_OK) or os.path.isdir(path):
                raise UsageError(
                    f"{origin} names {python}, which is no program that can be run",
                    hint="name the project's interpreter, for instance .venv/bin/python",
                )
            return path
    active = environment.get("VIRTUAL_ENV", "")
    foreign = active if os.path.realpath(active) != os.path.realpath(sys.prefix) else ""
    candidates = [foreign, os.path.join(top, ".venv"), os.path.join(top, "venv")]
    if "PRE_COMMIT" in environment:
        candidates += _beside_our_own(environment.get("PATH", ""))
    for prefix in candidates:
        if prefix and os.access(os.path.join(prefix, "bin", "python"), os.X_OK):
            return os.path.join(prefix, "bin", "python")
    return sys.executable


def _beside_our_own(path: str) -> list[str]:
    """Prefixes of the interpreters on PATH save our own: pre-commit hides the user's environment behind the hook's."""
    own = os.path.realpath(os.path.join(sys.prefix, "bin"))
    folders = [f for f in path.split(os.pathsep) if os.path.isabs(f) and os.path.realpath(f) != own]
    return [os.path.dirname(f) for f in folders if os.path.basename(f) == "bin"]


def describe(python: str, processes: Processes, cache: Cache) -> Interpreter:
    """Ask the interpreter what it is (about 30 ms; remembered until something is installed)."""
    key = digest("interpreter", os.path.abspath(python), os.path.realpath(python))
    stored = cache.get(key)
    if stored is not None:
        try:
            known = from_json(stored, _Stored)
            if [tuple(s) for s in known.stamps] == _stamps(known.interpreter):
                return known.interpreter
        except (msgspec.DecodeError, OSError):
            pass
    done = processes.run([python, "-I", "-B", "-c", DESCRIBE], cwd="/", env=clean_environment({"HOME": "/nonexistent"}), timeout=60)
    try:
        found = from_json(done.stdout, Interpreter)
    except msgspec.DecodeError:
        raise ToolError(
            f"{python} does not run as a Python interpreter: {done.error or 'it printed nothing'}",
            hint="name the project's interpreter with --python",
        ) from None
    cache.put(key, msgspec.json.encode(_Stored(found, _stamps(found))))
    return found


def own_program(name: str) -> str:
    """A program of the environment that the gate runs in; empty where it has none of that name."""
    path = os.path.join(os.path.dirname(sys.executable), name)
    return path if os.access(path, os.X_OK) else ""
