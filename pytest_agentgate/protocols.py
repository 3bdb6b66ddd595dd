"""The seams: what a check, a reporter and a reviewer are. Structural, so that a plugin need not inherit anything."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from pytest_agentgate.cache import Cache, digest
from pytest_agentgate.decode import from_json
from pytest_agentgate.effects import effect_of
from pytest_agentgate.index import Package
from pytest_agentgate.interpreter import Interpreter
from pytest_agentgate.model import Change, Effect, Entry, Evidence, Material, Policy, Report, Reproduced, Review, Task
from pytest_agentgate.process import Completed
from pytest_agentgate.sandbox import Sandbox

T = TypeVar("T")


class Tree(Protocol):
    """A git tree on disk, as the processes of a check see it."""

    @property
    def key(self) -> str:
        """Digest of the content."""

    @property
    def path(self) -> str:
        """Where it is on disk, for tools that do not execute what they read."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        records: Callable[[bytes], None] | None = None,
        visible: Sequence[str] = (),
        writable: Mapping[str, str] | None = None,
        background: bool = False,
    ) -> Completed:
        """Run a command in the tree, confined; `background`: when a processor is idle.

        ``{records}`` in `argv` becomes the number of the records pipe.
        """

    def inside(self, path: str = "") -> str:
        """Absolute path of something in the tree, as a process in it sees it."""

    def where(self, writable: Mapping[str, str]) -> Mapping[str, str]:
        """Each writable folder's path as a process in the tree sees it."""


class TreeSource(Protocol):
    """The trees of one run, made when they are asked for."""

    @property
    def sandbox(self) -> Sandbox:
        """How processes are confined."""

    def entries(self, role: str) -> Mapping[str, Entry]:
        """Leaves of a tree by path."""

    def key(self, role: str) -> str:
        """Digest of a tree's content, equal for equal trees."""

    def read(self, role: str, path: str) -> bytes | None:
        """One file of a tree, or None."""

    def read_many(self, role: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        """Several files of a tree; those that do not exist are left out."""

    def link_target(self, role: str, path: str) -> bytes:
        """Where a symbolic link leads."""

    def sizes(self, role: str, paths: Sequence[str]) -> Mapping[str, int]:
        """Sizes in bytes, without reading."""

    def carried(self) -> Mapping[str, bytes]:
        """Generated files of the checkout that every tree gets as well."""

    def place(
        self, role: str, *, read_only: bool = False, overlay: Mapping[str, bytes] | None = None
    ) -> AbstractContextManager[Tree]:
        """Lay a tree out on disk for the time of the block, with `overlay` instead of some files; nobody else writes there."""


@dataclass(frozen=True)
class Context:
    """Everything a check may use. It holds no way to the user's repository, to the verdict or to other checks."""

    change: Change
    policy: Policy
    trees: TreeSource
    interpreter: Interpreter
    cache: Cache
    run_tool: Callable[..., Completed]
    """`Processes.run` with a clean environment, for tools that do not execute the judged code."""
    progress: Callable[[str, str], None]
    """Called with the check's name and a few words, as work goes on."""
    packages: Callable[[Sequence[str]], Mapping[str, Package]]
    """What a package index knows of names that are new among the dependencies."""
    task: Task | None = None
    tool_caches: str = ""
    """A folder in which tools may keep their own caches of this repository."""

    salt: str = ""
    """Digest of the environment that the tools inherit."""

    def effect(self, rule: str, path: str | None = None, default: Effect = "reject") -> Effect | None:
        """Effect of a rule at a path by the policy; None where the policy turns the rule off."""
        return effect_of(self.policy, rule, path, default)

    def remember(self, parts: Sequence[object], make: Callable[[], T], kind: type[T]) -> T:
        """A value from the cache, or made now and kept.

        `parts` name what the value depends on besides policy, environment and sandbox. Nothing is kept or believed where
        judged code could have reached the cache.
        """
        if not self.trees.sandbox.program:
            return make()
        key = digest("remember", kind.__name__, self.salt, msgspec.json.encode(self.policy, order="sorted"), *parts)
        stored = self.cache.get(key)
        if stored is not None:
            with contextlib.suppress(msgspec.DecodeError):
                return from_json(stored, kind)
        value = make()
        self.cache.put(key, msgspec.json.encode(value))
        return value


class Check(Protocol):
    """One judge. Objects of this shape come from the hook `agentgate_checks`."""

    @property
    def name(self) -> str:
        """Short name, also the first half of its rule ids."""

    @property
    def barrier(self) -> bool:
        """Whether later checks wait for it and do not run when it rejects."""

    @property
    def fast(self) -> bool:
        """Whether it runs before the slow checks start (tens of milliseconds)."""

    @property
    def rules(self) -> Mapping[str, str]:
        """Rule ids (or ``name/*``) that findings may carry, each with what it means."""

    def depends_on(self, context: Context) -> Sequence[object] | None:
        """Everything that the evidence depends on, besides policy and task; None: never take it from the cache."""

    def examine(self, context: Context) -> Evidence:
        """Judge the change. Raises `ToolError` where it could not run: the runner makes `errored` evidence of it."""


class Reporter(Protocol):
    """Writes a report in one format. Pure: text out, no decision.

    One with a true attribute `appends` is added to its file instead of replacing it.
    """

    @property
    def name(self) -> str:
        """The FORMAT of ``--report FORMAT=FILE``."""

    def render(self, report: Report) -> str:
        """The whole report as text."""


Prove = Callable[[str, int], Reproduced]
"""Runs a test module (its text) so many times on the head and on the base, in the sandbox."""
Mend = Callable[[str, str, str], tuple[str, str]]
"""Tries a new text of one file: ``(path, text, test) -> (diff, why not)``. There is a diff where the test passes then and the
gate stays green."""


@dataclass(frozen=True)
class Hands:
    """What a reviewer may have done: it never sees a tree itself. None: nobody does that in this run."""

    prove: Prove | None = None
    mend: Mend | None = None


@dataclass(frozen=True)
class ReviewOptions:
    """What the caller says of reviews; nothing of it comes from the judged tree."""

    wanted: bool = False
    key: str = field(default="", repr=False)
    """Of the API. It is given to the reviewer and to nobody else."""
    url: str = ""
    """Of the API; empty: Anthropic's own."""
    backend: str = "api"
    """``api``, ``replay:DIR`` or ``record:DIR``."""
    max_usd: str = ""
    """Instead of the policy's `review.max_usd`."""
    allow_unpriced: bool = False
    exact_cost: bool = False
    """Let the service count tokens before anything is sent."""
    execute: bool = True
    """Whether tests of the model may run; the policy has to allow it, too."""
    ledger: str = ""
    """File that keeps what reviews cost."""
    cache: Cache = Cache("", enabled=False)  # noqa: RUF009  # frozen, and holds nothing


class Reviewer(Protocol):
    """Asks a model for its opinion of an accepted change."""

    def review(self, material: Material, hands: Hands) -> Review:
        """The review, `incomplete` with a reason where it could not be had."""
