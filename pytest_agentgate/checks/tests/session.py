"""Runs one pytest session in one tree and proves that it tested that tree."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from pytest_agentgate.checks.tests.bytecode import Bytecode
from pytest_agentgate.checks.tests.projects import Projects, merged
from pytest_agentgate.checks.tests.records import Run, Stream, read
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import kind, packages, project_roots, source_roots, top_modules
from pytest_agentgate.model.evidence import Step
from pytest_agentgate.named_like_tests import DEFINES
from pytest_agentgate.protocols import Context, Tree

INJECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "injected")
PROBE = os.path.join(INJECTED, "agentgate_probe.py")
PROGRAM = os.path.join(INJECTED, "agentgate_plain.py")
RUNNERS = frozenset({"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments"})
"""What pytest itself imports, from where it is installed: a repository can hold a copy of it."""
MANIFESTS = ("pyproject.toml", "setup.cfg", "setup.py")
ARGS = (
    "-q",
    "--continue-on-collection-errors",
    "--maxfail=0",
    "-o",
    "cache_dir=$TMPDIR/agentgate-pytest-cache",
    "-p",
    "no:terminalprogress",
    "--color=no",
    "--tb=native",  # pytest would parse the source of what fails, in which Python 3.11 breaks where a test left a thread behind
)


@dataclass(frozen=True)
class Ask:
    """What one session shall do."""

    role: str
    files: tuple[str, ...] = ()
    """Arguments for pytest, relative to the tree; empty: what the base's configuration collects."""
    ids: frozenset[str] | None = None
    """Only these tests; None: all."""
    until: frozenset[str] | None = None
    """Everything in its order, and no further than the last of these tests; without workers, which have no such order."""
    marked_only: bool = False
    """Collect everything, run only what its marks skip or expect to fail."""
    overlay: Mapping[str, bytes] | None = None
    """Contents by path, instead of those of the tree."""
    teller: str = ""
    """Name under which blinded tests find who takes their values; another one in each session."""
    mutants: Mapping[str, object] | None = None
    """What `injected/agentgate_mutants.py` shall switch, in an overlay that has the switches."""
    timeout: float | None = None
    """Seconds, instead of the policy's limit."""
    background: bool = False
    """Nobody waits for it as long as others run: it starts when a processor is idle."""


class Sessions:
    """Starts the sessions of one check."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.bytecode = Bytecode(context)
        self.steps: list[Step] = []
        """The processes so far."""
        if "pytest" not in context.interpreter.packages:
            raise ToolError(
                f"pytest is not installed for {context.interpreter.executable}",
                hint="install the project's test dependencies there, or name its interpreter with --python",
            )
        base, head = context.trees.entries("base"), context.trees.entries("head")
        self.roots = source_roots(base, head, context.policy)
        self.places = tuple(dict.fromkeys((*self.roots, *project_roots([*base, *head]))))
        """Where the tree could provide modules from: what is imported must come from there, whoever put it on the path."""
        everything = top_modules(base, self.places, context.policy) | top_modules(head, self.places, context.policy)
        known = packages([*base, *head])
        changed = [f.path for f in context.change.files if kind(f.path, context.policy, known) == "product"]
        tops = {top for path in changed for root in self.places if (top := _top(path, root))}
        main = top_modules(base, self.roots, context.policy) | top_modules(head, self.roots, context.policy)
        self.modules = tuple(sorted(everything & tops or main))
        self.projects = Projects(context)
        manifests = context.trees.read_many("base", [f for f in MANIFESTS if f in base])
        self.plugin = any(b"pytest11" in data for data in manifests.values())
        """Whether the project is itself a plugin of pytest, of which the tests may look at rewritten assertions."""

    def run(self, ask: Ask, words: str = "") -> Run:
        """Run one session to its end, or one for each project of a monorepo; raises `ToolError` where it is incomplete, or tested other code."""
        with self.context.trees.place(ask.role, overlay=ask.overlay) as tree:
            groups = self.projects.groups(ask.files) or [()]
            return merged([self.run_in(tree, replace(ask, files=group), words) for group in groups])

    def run_in(self, tree: Tree, ask: Ask, words: str = "") -> Run:
        """The same in a tree that is laid out already."""
        context = self.context
        roots = [tree.inside(r) for r in self.roots]
        args = [
            *ARGS,
            f"--rootdir={tree.inside()}",
            *context.policy.tests.args,
            *ask.files,
        ]
        workers = context.policy.tests.workers if not (ask.ids is not None or ask.marked_only or ask.teller or ask.mutants) else "0"
        if "pytest-xdist" not in context.interpreter.packages:
            workers = "0"
        bytecode = self.bytecode.folder(tree)
        request = {
            "roots": roots,
            "tree": tree.inside(),
            "modules": self.modules,
            "args": args,
            "workers": workers,
            "ids": None if ask.ids is None else sorted(ask.ids),
            "marked": ask.marked_only,
            "until": None if ask.until is None or workers != "0" else sorted(ask.until),
            "teller": ask.teller,
            "plugin": self.plugin,
            "watch": True,
            "mutants": ask.mutants,
            "bytecode": bytecode,
        }
        stream, moment, clock = Stream(), time.time(), time.monotonic()

        def feed(data: bytes) -> None:
            stream.feed(data)
            if words:
                context.progress("pytest", f"{words}: {_so_far(stream, time.monotonic() - clock)}")

        done = tree.run(
            [context.interpreter.executable, "-s", "-B", PROBE, "{records}"],  # -I would not see PYTHONHASHSEED
            stdin=msgspec.json.encode(request),
            records=feed,
            env=self.environment(),
            visible=(INJECTED, *([bytecode] if bytecode else [])),
            background=ask.background,
            timeout=ask.timeout,
        )
        self.note(words or "collect, and run what is marked", ask.role, moment, clock, tests=stream.finished)
        run = read(stream, done)
        self._prove(run, tree, ask.role)
        return run

    def note(self, what: str, role: str, moment: float, clock: float, *, tests: int = 0) -> None:
        """Remember a process that has ended, for the report; it began at `moment` (epoch) and `clock` (monotonic)."""
        seconds = round(time.monotonic() - clock, 3)
        self.steps.append(Step(what=what, tree=role, started=round(moment, 3), duration=seconds, tests=tests))

    def environment(self) -> dict[str, str]:
        """What judged code finds in its environment."""
        python = self.context.interpreter
        path = os.pathsep.join([os.path.dirname(python.executable), "/usr/local/bin", "/usr/bin", "/bin"])
        virtual = {"VIRTUAL_ENV": python.prefix} if python.prefix != python.base_prefix else {}
        return {"PATH": path, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **virtual}

    def _prove(self, run: Run, tree: Tree, role: str) -> None:
        """Every project module that was imported must be a file of the judged tree."""
        known: frozenset[str] = frozenset(self.context.trees.entries(role)) | frozenset(self.context.trees.carried())
        root = tree.inside()
        for name, (file, inode) in sorted(run.files.items()):
            inside = os.path.relpath(file, root)
            if inside in known and _same_file(os.path.join(tree.path, inside), inode):
                continue
            places = self.roots if name.partition(".")[0] in RUNNERS else self.places
            if inside in known or not known.isdisjoint(_candidates(name, places)):
                raise ToolError(
                    f"the tests imported {name} from {file}, which is not the judged tree",
                    hint=f"install the project in editable mode: {self.context.interpreter.executable} -m pip install -e .",
                )


def _so_far(stream: Stream, seconds: float) -> str:
    """How many tests have ended, of how many, and how long the rest takes if it goes on so."""
    if not stream.finished or not stream.known:
        return f"{stream.finished} tests"
    left = seconds / stream.finished * (stream.known - stream.finished)
    return f"{stream.finished} of {stream.known} tests" + (f", about {left:.0f} s left" if seconds > 2 and left > 1 else "")


def _same_file(path: str, inode: int) -> bool:
    """Whether the process saw this very file; one that a test removed since cannot be asked."""
    try:
        return os.stat(path).st_ino == inode
    except OSError:
        return True


def _candidates(module: str, roots: Sequence[str]) -> set[str]:
    """Files from which the tree could provide a module: parts of a namespace package can honestly live elsewhere."""
    stem = module.replace(".", "/")
    return {os.path.join(root, stem + end) for root in roots for end in (".py", "/__init__.py")}


def _top(path: str, root: str) -> str:
    """Name of the top-level module or package below a source root that a file belongs to; empty where it is elsewhere."""
    prefix = f"{root}/" if root else ""
    return path[len(prefix) :].partition("/")[0].removesuffix(".py") if path.startswith(prefix) else ""


def test_files(paths: Sequence[str]) -> list[str]:
    """Those paths that pytest takes for test modules by default."""
    names = ((p, p.rpartition("/")[2]) for p in paths)
    return [p for p, n in names if n.endswith(".py") and (n.startswith("test") or n.endswith("_test.py"))]


def holds_tests(path: str, context: Context) -> bool:
    """Whether a file is a test module, by its name and by what it defines on either side: `testing.py` and `test_data.py` can be help."""
    if not test_files([path]):
        return False
    sides = [context.trees.read_many(s, [path] if path in context.trees.entries(s) else []) for s in ("base", "head")]
    return any(DEFINES.search(data) for side in sides for data in side.values())
