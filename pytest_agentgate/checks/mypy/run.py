"""How mypy is called, and what it said."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from tomllib import TOMLDecodeError, loads

import msgspec

from pytest_agentgate.cache import digest
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import kind, project_roots, source_roots, top_modules
from pytest_agentgate.process import Completed
from pytest_agentgate.protocols import Context, Tree
from pytest_agentgate.slots import time_of
from pytest_agentgate.tables import table_of

ROLE = "head+base-config"
CACHE, SHADOW = "/tmp/agentgate-mypy", "/tmp/agentgate-shadow"  # noqa: S108  # inside the sandbox's own empty /tmp
MINIMUM = (1, 11)
"""The first mypy with ``--output json``."""


class Row(msgspec.Struct):
    """One diagnostic, as ``mypy --output json`` prints it."""

    file: str
    line: int
    column: int
    message: str
    code: str | None
    severity: str


class Errors(msgspec.Struct):
    """What one run of mypy said; `fatal` when it could not check."""

    rows: list[Row]
    fatal: str = ""


@dataclass(frozen=True)
class Plan:
    """How mypy is called in this run, on either side."""

    argv: tuple[str, ...]
    version: str
    config: str
    """Configuration file, relative to the tree; empty: none."""
    targets: tuple[str, ...]
    visible: tuple[str, ...]

    @property
    def identity(self) -> tuple[str, ...]:
        """What a cache of mypy's belongs to."""
        return (*self.argv, self.version, self.config, *self.targets)


def program(context: Context) -> tuple[tuple[str, ...], str]:
    """The project's own mypy where it is new enough, else the gate's looking at the project's interpreter."""
    version = context.interpreter.packages.get("mypy", "0")
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    if numbers >= MINIMUM:
        return (context.interpreter.executable, "-I", "-m", "mypy"), version
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        mine = installed("mypy")
    except PackageNotFoundError:
        raise ToolError("mypy was not found", hint=f"{sys.executable} -m pip install mypy") from None
    return (sys.executable, "-I", "-m", "mypy", "--python-executable", context.interpreter.executable), mine


def _config(context: Context) -> tuple[str, bool]:
    """mypy's configuration file at the base, in mypy's own order, and whether it names what to check."""
    files = context.trees.read_many("base", ["mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg"])
    for name, data in files.items():
        text = data.decode("utf-8", "replace")
        section: Mapping[str, object] | None = None
        with contextlib.suppress(TOMLDecodeError, ConfigError):
            if name.endswith(".toml"):
                section = table_of(loads(text), "tool").get("mypy")
            else:
                parser = ConfigParser(interpolation=None)
                parser.read_string(text)
                section = dict(parser["mypy"]) if "mypy" in parser else None
        if isinstance(section, Mapping):
            return name, any(key in section for key in ("files", "packages", "modules"))
    return "", False


def make_plan(context: Context) -> Plan:
    """How mypy is to be called, from the base's configuration and the policy."""
    argv, version = program(context)
    config, names_targets = _config(context)
    paths = context.trees.entries("base").keys() | context.trees.entries(ROLE).keys()
    targets: tuple[str, ...] = context.policy.mypy_targets
    if not names_targets and not targets:
        targets = _targets(context, paths, everything=bool(config))
        config = config if targets else ""  # without any, mypy would only print how it is called
    own = () if argv[0] == context.interpreter.executable else (sys.prefix, sys.base_prefix)
    return Plan(argv, version, config, targets, own)


def _targets(context: Context, paths: Collection[str], *, everything: bool) -> tuple[str, ...]:
    """The product's packages and modules, where the configuration names none: below the source roots, a monorepo's projects, or the root."""
    folders: set[str] = set()
    for path in paths:
        while path := path.rpartition("/")[0]:
            folders.add(path)
    main = source_roots(context.trees.entries("base"), context.trees.entries(ROLE), context.policy)
    for roots in (main, project_roots(paths)):
        modules = sorted(top_modules(paths, roots, context.policy))
        candidates = [os.path.join(r, m + end) for r in roots for m in modules for end in ("", ".py")]
        found = [c for c in candidates if c in paths or c in folders]
        if found:  # a folder of another target would name its modules otherwise
            return tuple(c for c in found if not any(other.startswith(f"{c}/") for other in found))
    if not everything:
        return ()
    return tuple(sorted({p.partition("/")[0] for p in paths if p.endswith(".py") and kind(p, context.policy) == "product"}))


def run_mypy(tree: Tree, plan: Plan, context: Context, shadows: Mapping[str, str] | None = None) -> Errors:
    """One run of mypy over the whole target set, with `shadows` (path to text) instead of the files of those names."""
    with _cache_folder(context, plan) as folder, tempfile.TemporaryDirectory(prefix="agentgate-") as scratch:
        inside = tree.where({folder: CACHE, scratch: SHADOW})
        argv = [
            *plan.argv,
            "--output",
            "json",
            "--no-color-output",
            "--cache-dir",
            inside[folder],
            f"--config-file={plan.config}",
        ]
        for number, (path, text) in enumerate(sorted((shadows or {}).items())):
            with open(os.path.join(scratch, f"{number}.py"), "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(_of_another_size(text, os.path.join(tree.path, path)))
            os.utime(stream.name, (time_of(digest(text)),) * 2)  # mypy's cache believes a time in seconds and a size
            argv += ["--shadow-file", path, os.path.join(inside[scratch], f"{number}.py")]
        targets = [t for t in plan.targets if os.path.exists(os.path.join(tree.path, t))]
        if plan.targets and not targets:
            return Errors([], "none of the packages is left")
        done = tree.run(
            [*argv, *(["--", *targets] if targets else [])],
            visible=plan.visible,
            writable={folder: CACHE, scratch: SHADOW},
            env={"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    return _parse(done, tree)


def _of_another_size(text: str, file: str) -> str:
    """A line end more where a text is as long as the file that it stands for: mypy's cache would compare that file's hash."""
    return text + "\n" * (len(text.encode("utf-8", "surrogateescape")) == os.path.getsize(file))


def _parse(done: Completed, tree: Tree) -> Errors:
    if done.timed_out or done.flooded or done.truncated:
        raise ToolError(
            "mypy took longer than limits.timeout" if done.timed_out else "mypy wrote more than limits.output_bytes",
            hint="raise the limit in [tool.agentgate.limits], or narrow what mypy checks",
        )
    rows = []
    for line in done.stdout.splitlines():
        if line.startswith(b"{"):
            row = from_json(line, Row)
            row.file = os.path.relpath(row.file, tree.inside()) if os.path.isabs(row.file) else row.file
            rows.append(row)
    errors = [r for r in rows if r.severity == "error"]
    if (done.returncode == 0 and done.stdout) or (done.returncode == 1 and rows):  # mypy ends with 1 for notes alone, too
        return Errors(errors)
    if done.returncode in (0, 1, 2):
        words = f"{errors[0].file}:{errors[0].line}: {errors[0].message}" if errors else "" if rows else done.error
        lines = words.splitlines()
        told = next((line for line in lines if "error:" in line), lines[0] if lines else "it ended without an answer")
        return Errors([], told)
    raise ToolError(f"mypy crashed with {done.returncode}: {done.error}", hint="run mypy by hand to see more")


@contextlib.contextmanager
def _cache_folder(context: Context, plan: Plan) -> Iterator[str]:
    """mypy's own cache of this repository, for one run at a time; a folder of this run only while another gate holds it."""
    folder = os.path.join(context.tool_caches, "mypy-" + digest(*plan.identity, context.interpreter.fingerprint)[:16])
    os.makedirs(folder, exist_ok=True)
    lock = os.open(os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        with tempfile.TemporaryDirectory(prefix="agentgate-mypy-") as own:
            yield own
    else:
        yield folder
    finally:
        os.close(lock)
