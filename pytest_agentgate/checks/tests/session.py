"""Runs one pytest session in one tree and proves that it tested that tree."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pytest_agentgate.checks.tests.records import Run, Stream, read
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import kind, packages, source_roots, top_modules
from pytest_agentgate.protocols import Context, Tree

INJECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "injected")
PROBE = os.path.join(INJECTED, "agentgate_probe.py")
ARGS = (
    "-q",
    "--continue-on-collection-errors",
    "--maxfail=0",
    "-o",
    "cache_dir=$TMPDIR/agentgate-pytest-cache",
    "-p",
    "no:terminalprogress",
)


@dataclass(frozen=True)
class Ask:
    """What one session shall do."""

    role: str
    files: tuple[str, ...] = ()
    """Arguments for pytest, relative to the tree; empty: what the base's configuration collects."""
    ids: frozenset[str] | None = None
    """Only these tests; None: all."""
    collect_only: bool = False


class Sessions:
    """Starts the sessions of one check."""

    def __init__(self, context: Context) -> None:
        self.context = context
        if "pytest" not in context.interpreter.packages:
            raise ToolError(
                f"pytest is not installed for {context.interpreter.executable}",
                hint="install the project's test dependencies there, or name its interpreter with --python",
            )
        paths = context.trees.entries("base").keys() | context.trees.entries("head").keys()
        known = packages(paths)
        changed = [f.path for f in context.change.files if kind(f.path, context.policy, known) == "product"]
        everything = top_modules(paths, context.policy)
        tops = {p.split("/")[1 if p.startswith("src/") else 0].removesuffix(".py") for p in changed}
        self.modules = tuple(sorted(everything & tops or everything))

    def run(self, ask: Ask, words: str = "") -> Run:
        """Run one session to its end; raises `ToolError` where it is incomplete, or tested other code."""
        with self.context.trees.place(ask.role) as tree:
            return self.run_in(tree, ask, words)

    def run_in(self, tree: Tree, ask: Ask, words: str = "") -> Run:
        """The same in a tree that is laid out already."""
        context = self.context
        roots = [tree.inside(r) for r in source_roots(context.trees.entries(ask.role), context.policy)]
        args = [
            *ARGS,
            f"--rootdir={tree.inside()}",
            *context.policy.tests.args,
            *(["--collect-only"] if ask.collect_only else []),
            *ask.files,
        ]
        workers = context.policy.tests.workers if ask.ids is None and not ask.collect_only else "0"
        if "pytest-xdist" not in context.interpreter.packages:
            workers = "0"
        request = {
            "roots": roots,
            "modules": self.modules,
            "args": args,
            "workers": workers,
            "ids": None if ask.ids is None else sorted(ask.ids),
        }
        stream = Stream()

        def feed(data: bytes) -> None:
            stream.feed(data)
            if words:
                context.progress("pytest", f"{words}: {stream.finished} tests")

        done = tree.run(
            [context.interpreter.executable, "-I", "-B", PROBE, "{records}"],
            stdin=msgspec.json.encode(request),
            records=feed,
            env=self._environment(),
            visible=(INJECTED,),
        )
        run = read(stream, done, collect_only=ask.collect_only)
        self._prove(run, tree, ask.role)
        return run

    def _environment(self) -> dict[str, str]:
        python = self.context.interpreter
        path = os.pathsep.join([os.path.dirname(python.executable), "/usr/local/bin", "/usr/bin", "/bin"])
        virtual = {"VIRTUAL_ENV": python.prefix} if python.prefix != python.base_prefix else {}
        return {"PATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_AGENTGATE_INSIDE": "1", **virtual}

    def _prove(self, run: Run, tree: Tree, role: str) -> None:
        """Every project module that was imported must be a file of the judged tree."""
        known: Collection[str] = self.context.trees.entries(role).keys() | self.context.trees.carried().keys()
        root = tree.inside()
        for name, (file, inode) in sorted(run.files.items()):
            inside = os.path.relpath(file, root)
            if inside not in known or os.stat(os.path.join(tree.path, inside)).st_ino != inode:
                raise ToolError(
                    f"the tests imported {name} from {file}, which is not the judged tree",
                    hint=f"install the project in editable mode: {self.context.interpreter.executable} -m pip install -e .",
                )


def test_files(paths: Sequence[str]) -> list[str]:
    """Those paths that pytest takes for test modules by default."""
    names = ((p, p.rpartition("/")[2]) for p in paths)
    return [p for p, n in names if n.endswith(".py") and (n.startswith("test") or n.endswith("_test.py"))]


CONFIG_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""Where pytest 9 looks for its configuration, in its order."""


def testpaths(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Folders that the project's own configuration collects; empty: all. A pattern counts up to its first wildcard."""
    for name in CONFIG_FILES:
        section: Mapping[str, object] | None = None
        text = files.get(name, b"").decode("utf-8", "replace")
        with contextlib.suppress(tomllib.TOMLDecodeError, configparser.Error, AttributeError):
            if name.endswith(".toml"):
                table = tomllib.loads(text)
                pytest = table.get("tool", {}).get("pytest", {}) if name == "pyproject.toml" else table.get("pytest", {})
                section = pytest.get("ini_options", pytest) or None
            else:
                parser = configparser.ConfigParser(interpolation=None)
                parser.read_string(text)
                title = "tool:pytest" if name == "setup.cfg" else "pytest"
                section = dict(parser[title]) if parser.has_section(title) else None
        if section is not None:
            found = section.get("testpaths", ())
            rows = found.split() if isinstance(found, str) else [str(p) for p in found] if isinstance(found, list) else []
            return tuple(re.split(r"[*?\[]", p)[0].strip("./").rstrip("/") for p in rows if p not in (".", "./"))
    return ()
