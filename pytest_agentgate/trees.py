"""The trees of a run: composed from git objects, laid out raw, run confined."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_agentgate.cache import digest
from pytest_agentgate.diff import odd_name
from pytest_agentgate.errors import ToolError
from pytest_agentgate.generated import version_files
from pytest_agentgate.git import Checkout
from pytest_agentgate.interpreter import Interpreter
from pytest_agentgate.layout import compose, matches
from pytest_agentgate.model import Change, Entry, Policy
from pytest_agentgate.process import Completed, Processes, clean_environment
from pytest_agentgate.sandbox import Box, Sandbox, probe
from pytest_agentgate.slots import Blobs, Slot, acquire
from pytest_agentgate.store import Store


@dataclass(frozen=True)
class Folders:
    """Where a run keeps things; all of them outside the user's repository."""

    run: str
    """The run's own folder, removed at its end."""
    slots: str
    """Persistent trees of this repository."""
    hidden: tuple[str, ...]
    """What judged code must not see."""


@dataclass(frozen=True)
class PlacedTree:
    """One tree on disk for the time of a block (see `protocols.Tree`)."""

    key: str
    path: str
    box: Box
    confine: Callable[[], Sandbox]
    processes: Processes
    policy: Policy

    @property
    def sandbox(self) -> Sandbox:
        """How processes in this tree are confined; probed at the first question."""
        return self.confine()

    def inside(self, path: str = "") -> str:
        """Absolute path of something in the tree, as a process in it sees it."""
        return os.path.join(self.sandbox.where(self.box), path) if path else self.sandbox.where(self.box)

    def where(self, writable: Mapping[str, str]) -> Mapping[str, str]:
        """Each writable folder's path as a process in the tree sees it."""
        return writable if self.sandbox.program else {here: here for here in writable}

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
        """Run a command in the tree, confined. ``{records}`` in `argv` becomes the number of the records pipe."""
        pairs = tuple((writable or {}).items())
        box = Box(
            self.box.tree, self.box.at, (*self.box.visible, *visible), self.box.hidden, pairs, self.box.read_only, self.box.scratch
        )
        environment = clean_environment({**self.sandbox.environment(box), **(env or {})}, self.policy.environment)
        pipe = os.pipe() if records is not None else None
        if pipe is not None:
            argv = [a.replace("{records}", str(pipe[1])) for a in argv]
        limits = self.policy.limits
        return self.processes.run(
            self.sandbox.wrap(argv, box, limits),
            cwd=box.tree,
            env=environment,
            stdin=stdin,
            timeout=limits.timeout if timeout is None else timeout,
            cap=limits.output_bytes,
            records=records,
            record_fd=pipe,
            background=background,
        )


class Trees:
    """The trees of one run (see `protocols.TreeSource`). Thread-safe."""

    def __init__(
        self,
        store: Store,
        change: Change,
        policy: Policy,
        checkout: Checkout,
        folders: Folders,
        interpreter: Interpreter,
        named: tuple[str, ...] = (),
    ) -> None:
        self._store, self._policy, self._checkout, self._folders = store, policy, checkout, folders
        self._lock = threading.RLock()
        self._interpreter = interpreter
        self.prepare: Callable[[PlacedTree, str], None] | None = None
        """Called with each tree that code will run in, after it was laid out."""
        self._sandbox: Sandbox | None = None
        self._carried: dict[str, bytes] | None = None
        self._composed: dict[str, dict[str, Entry]] = {}
        self._keys: dict[str, str] = {}
        self._named = named
        for role, tree in (("base", change.base_tree), ("head", change.head_tree)):
            self._composed[role] = {p: e for p, e in store.entries(tree).items() if not odd_name(p)}

    @property
    def sandbox(self) -> Sandbox:
        """How processes are confined; probed at the first question."""
        with self._lock:
            if self._sandbox is None:
                self._sandbox = probe(self._store.git.processes, self._policy.sandbox)
            return self._sandbox

    def entries(self, role: str) -> Mapping[str, Entry]:
        """Leaves of a tree by path."""
        with self._lock:
            if role not in self._composed:
                base, head = self._composed["base"], self._composed["head"]
                self._composed[role] = compose(role, base, head, self._policy, self._named)
            return self._composed[role]

    def key(self, role: str) -> str:
        """Digest of a tree's content, equal for equal trees."""
        with self._lock:
            if role not in self._keys:
                rows = sorted(f"{p}\0{e.mode}\0{e.oid}" for p, e in self.entries(role).items())
                carried = [part for item in sorted(self.carried().items()) for part in item]
                self._keys[role] = digest("tree", *rows, "carried", *carried)
            return self._keys[role]

    def read(self, role: str, path: str) -> bytes | None:
        """One file of a tree, or None."""
        return self.read_many(role, [path]).get(path)

    def read_many(self, role: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        """Several files of a tree; those that do not exist are left out."""
        entries = self.entries(role)
        wanted = {p: entries[p].oid for p in paths if p in entries and entries[p].mode.startswith("100")}
        contents = dict(self._store.blobs(wanted.values())) if wanted else {}
        return {p: contents[oid] for p, oid in wanted.items()}

    def link_target(self, role: str, path: str) -> bytes:
        """Where a symbolic link leads."""
        return self._store.blob(self.entries(role)[path].oid)

    def sizes(self, role: str, paths: Sequence[str]) -> Mapping[str, int]:
        """Sizes in bytes, without reading."""
        entries = self.entries(role)
        wanted = {p: entries[p].oid for p in paths if p in entries and entries[p].mode.startswith("100")}
        found = self._store.sizes(list(dict.fromkeys(wanted.values())))
        return {p: found[oid] for p, oid in wanted.items() if oid in found}

    @contextlib.contextmanager
    def place(self, role: str, *, read_only: bool = False, overlay: Mapping[str, bytes] | None = None) -> Iterator[PlacedTree]:
        """Lay a tree out on disk for the time of the block, with `overlay` instead of some files; nobody else writes there.

        Without a sandbox a judged process could outlive its run, so that each layout then gets a new folder.
        """
        persistent = read_only or bool(self.sandbox.program)
        slot = acquire(self._folders.slots if persistent else os.path.join(self._folders.run, "slots"))
        try:
            entries, blobs = _overlaid(self.entries(role), self._store.blobs, overlay or {})
            slot.lay_out(entries, blobs)
            self._carry(slot)
            scratch = os.path.join(self._folders.run, f"scratch-{threading.get_ident()}")
            box = Box(slot.tree, self._checkout.top, self._interpreter.visible, self._folders.hidden, (), read_only, scratch)
            key = digest(self.key(role), *(p for item in sorted(overlay.items()) for p in item)) if overlay else self.key(role)
            tree = PlacedTree(key, slot.tree, box, lambda: self.sandbox, self._store.git.processes, self._policy)
            if self.prepare is not None and not read_only:
                self.prepare(tree, role)
                if changed := slot.changed():
                    raise ToolError(
                        f"a plugin's agentgate_prepare changed {changed[0]}, which git tracks", hint="it may only add files"
                    )
            yield tree
        finally:
            slot.release()

    def carried(self) -> Mapping[str, bytes]:
        """Generated files of the checkout that git ignores, by the policy's patterns or as the manifest says, with their contents.

        A compiled module beside tracked source of the same name stays out: Python would prefer the stale binary.
        """
        with self._lock:
            if self._carried is None:
                known = self._composed["head"].keys() | self._composed["base"].keys()
                patterns = (*self._policy.carry, *version_files(self.read("base", "pyproject.toml") or b""))
                named = [_literal(pattern) for pattern in patterns]
                ignored = self._checkout.ignored_files([n for n in named if n])
                wanted = (p for p in ignored if matches(p, patterns) and p not in known)
                self._carried = {}
                for path in wanted:
                    full = os.path.join(self._checkout.top, path)
                    twin = os.path.join(os.path.dirname(path), os.path.basename(path).split(".", 1)[0]) + ".py"
                    if twin not in known and not odd_name(path) and os.path.isfile(full) and not os.path.islink(full):
                        with open(full, "rb") as stream:
                            self._carried[path] = stream.read()
            return self._carried

    def _carry(self, slot: Slot) -> None:
        for path, content in self.carried().items():
            target = os.path.join(slot.tree, path)
            folder = os.path.dirname(target)
            if not os.path.lexists(target) and os.path.realpath(folder) == os.path.join(
                os.path.realpath(slot.tree), os.path.dirname(path)
            ).rstrip("/"):
                os.makedirs(folder, exist_ok=True)
                with open(target, "xb") as copy:
                    copy.write(content)


def _literal(pattern: str) -> str:
    """The folders that a pattern names without any wildcard: what lies there is looked for, however large the rest is."""
    parts = pattern.strip("/").split("/")[:-1]
    stop = next((n for n, part in enumerate(parts) if re.search(r"[*?\[!]", part)), len(parts))
    return "/".join(parts[:stop])


def _overlaid(entries: Mapping[str, Entry], blobs: Blobs, overlay: Mapping[str, bytes]) -> tuple[Mapping[str, Entry], Blobs]:
    """Entries and contents with some files replaced; the new contents are named as git would name them."""
    if not overlay:
        return entries, blobs
    made = {_blob_id(data): data for data in overlay.values()}
    replaced = dict(entries) | {p: Entry(entries[p].mode if p in entries else "100644", _blob_id(d)) for p, d in overlay.items()}

    def contents(oids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        wanted = list(oids)
        yield from ((oid, made[oid]) for oid in wanted if oid in made)
        yield from blobs([oid for oid in wanted if oid not in made])

    return replaced, contents


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def escapes(path: str, target: bytes) -> bool:
    """Whether a symlink at `path` points out of its tree (absolute, or by too many ``..``)."""
    if target.startswith(b"/"):
        return True
    joined = os.path.normpath(os.path.join(os.path.dirname(path), os.fsdecode(target)))
    return joined == ".." or joined.startswith("../")
