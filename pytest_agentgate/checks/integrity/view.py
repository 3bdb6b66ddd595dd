"""A two-sided view of a change: base and head as bytes, text and syntax trees. Pure, and lazy: what no rule asks for costs nothing."""

from __future__ import annotations

import ast
import contextlib
import difflib
import io
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from pytest_agentgate.checks.integrity.names import Names, walk
from pytest_agentgate.checks.integrity.renamed import parted
from pytest_agentgate.index import Package
from pytest_agentgate.layout import Kind, kind, packages, source_roots, top_modules
from pytest_agentgate.model import Change, Entry, FileChange, Hunk, Policy
from pytest_agentgate.model.change import FileStatus
from pytest_agentgate.syntax import UNPARSABLE, parse

Read = Callable[[str, Sequence[str]], Mapping[str, bytes]]
"""Contents of files: ``(side, paths) -> bytes by path``; `side` is "base" or "head"."""

Look = Callable[[Sequence[str]], Mapping[str, Package]]
"""What a package index knows of normalised names."""


def unasked(names: Sequence[str]) -> Mapping[str, Package]:
    """A `Look` where there is no index."""
    return {n: Package(None, reason="no package index was asked") for n in names}


N = TypeVar("N", bound=ast.AST)


@dataclass(frozen=True)
class Source:
    """One file on one side."""

    path: str
    data: bytes

    @cached_property
    def text(self) -> str:
        """The content as text; bytes that are not UTF-8 are kept as surrogates."""
        return self.data.decode("utf-8", "surrogateescape")

    @cached_property
    def lines(self) -> list[str]:
        """Lines of the text, as git counts them: a form feed ends no line, or it would shift every line after it."""
        rows = self.text.replace("\r\n", "\n").split("\n")
        return rows[:-1] if rows[-1] == "" else rows

    @cached_property
    def parsed(self) -> tuple[ast.Module | None, str]:
        """The syntax tree, or None and why there is none."""
        try:
            return parse(self.data), ""
        except UNPARSABLE as error:
            return None, f"{type(error).__name__}: {error}"

    @property
    def tree(self) -> ast.Module | None:
        """The syntax tree, or None."""
        return self.parsed[0]

    @cached_property
    def family(self) -> tuple[tuple[ast.AST, ...], dict[ast.AST, ast.AST]]:
        """Every node of the syntax tree, as `walk` gives them, and the parent of each; walked once for all rules."""
        parents: dict[ast.AST, ast.AST] = {}
        return (tuple(walk([self.tree], parents)) if self.tree is not None else ()), parents

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the syntax tree; none where there is no tree."""
        return self.family[0]

    @cached_property
    def by_kind(self) -> Mapping[type[ast.AST], list[ast.AST]]:
        """Its nodes by their class, sorted once for all rules."""
        found: dict[type[ast.AST], list[ast.AST]] = {}
        for node in self.nodes:
            found.setdefault(node.__class__, []).append(node)
        return found

    def of(self, *kinds: type[N]) -> list[N]:
        """Its nodes of some classes (of these, and not of classes below them), class by class."""
        return [n for kind in kinds for n in self.by_kind.get(kind, ())]  # type: ignore[misc]  # that is what they were sorted by

    @property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Its functions and methods."""
        return [*self.of(ast.FunctionDef), *self.of(ast.AsyncFunctionDef)]

    @cached_property
    def names(self) -> Names:
        """What its names mean."""
        return Names(*self.family)

    @cached_property
    def imported(self) -> Mapping[str, str]:
        """Names that it imports from modules, with the module of each."""
        return {a.asname or a.name: n.module or "" for n in self.of(ast.ImportFrom) for a in n.names}

    @cached_property
    def chunks(self) -> tuple[tuple[str, ast.stmt], ...]:
        """The statements of the module's own level, each with its text, decorators included."""
        body = self.tree.body if self.tree is not None else []
        firsts = [min([n.lineno, *(d.lineno for d in getattr(n, "decorator_list", ()))]) for n in body]
        return tuple(("\n".join(self.lines[a - 1 : n.end_lineno]), n) for a, n in zip(firsts, body, strict=True))

    @cached_property
    def tokens(self) -> tuple[tokenize.TokenInfo, ...]:
        """Its tokens, as far as they can be read."""
        found: list[tokenize.TokenInfo] = []
        with contextlib.suppress(tokenize.TokenError, SyntaxError, ValueError):
            found.extend(tokenize.generate_tokens(io.StringIO(self.text).readline))
        return tuple(found)

    def line(self, number: int) -> str:
        """One line's text (1-based), stripped."""
        return self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""


@dataclass(frozen=True)
class Pair:
    """One changed file, before and after."""

    change: FileChange
    kind: Kind
    old: Source | None
    new: Source | None

    @property
    def path(self) -> str:
        """Path at the head (at the base where it was deleted)."""
        return self.change.path

    @property
    def is_python(self) -> bool:
        """Whether it is Python source on the side that it has."""
        return self.path.endswith((".py", ".pyi", ".pyw"))

    @cached_property
    def fresh(self) -> tuple[tuple[ast.stmt, ...], tuple[ast.stmt, ...]]:
        """Statements of the module's own level that only the base has, and those that only the head has, compared as text."""
        before, after = (s.chunks if s else () for s in (self.old, self.new))
        sides = []
        for mine, others in ((before, after), (after, before)):
            left = Counter(text for text, _ in others)
            left.subtract(text for text, _ in mine)
            sides.append(tuple(n for text, n in mine if left[text] < 0))
        return sides[0], sides[1]

    @cached_property
    def fresh_nodes(self) -> tuple[list[ast.AST], list[ast.AST]]:
        """Every node of these statements, walked once for all rules."""
        return walk(self.fresh[0]), walk(self.fresh[1])

    def telling(self, side: int) -> Sequence[ast.AST]:
        """Nodes of the base (0) or the head (1) in which something new can be: those of fresh statements, where the others mean what they meant."""
        source = (self.old, self.new)[side]
        return self.fresh_nodes[side] if self.is_local else source.nodes if source else ()

    @cached_property
    def is_local(self) -> bool:
        """Whether statements that both sides have mean the same on both: no name in them is imported or assigned otherwise."""
        if self.old is None or self.new is None:
            return False
        one, other = self.old.names, self.new.names
        if one.stars != other.stars:
            return False
        changed = {k for k, _ in {*one.aliases.items()} ^ {*other.aliases.items()}}
        changed |= {k for k, _ in {*one.texts.items()} ^ {*other.texts.items()}}
        shared = {id(n) for n in self.fresh[1]}
        text = "\n".join(t for t, n in self.new.chunks if id(n) not in shared)
        return changed.isdisjoint(re.findall(r"\w+", text))

    def added(self) -> Iterator[tuple[int, str]]:
        """Lines of the head that the base has not, with their numbers."""
        for hunk in self.change.hunks:
            for number in range(hunk.new_start, hunk.new_start + hunk.new_lines):
                if self.new is not None and 0 < number <= len(self.new.lines):
                    yield number, self.new.lines[number - 1]

    def removed(self) -> Iterator[tuple[int, str]]:
        """Lines of the base that the head has not, with their numbers there."""
        for hunk in self.change.hunks:
            for number in range(hunk.old_start, hunk.old_start + hunk.old_lines):
                if self.old is not None and 0 < number <= len(self.old.lines):
                    yield number, self.old.lines[number - 1]


@dataclass(frozen=True)
class View:
    """Everything that a rule of integrity may look at."""

    change: Change
    policy: Policy
    entries: Mapping[str, Mapping[str, Entry]]
    """Leaves of both trees, by side and path."""
    read: Read
    pairs: tuple[Pair, ...] = field(default=())
    look: Look = unasked

    def python(self, *kinds: Kind) -> Iterator[Pair]:
        """Changed Python files of these kinds."""
        return (p for p in self.pairs if p.is_python and p.kind in kinds)

    def kind(self, path: str) -> Kind:
        """What a file is to the judge."""
        return kind(path, self.policy, self.packages)

    @cached_property
    def own(self) -> frozenset[str]:
        """Names of the base's importable top-level modules."""
        base = self.entries["base"]
        return top_modules(base, source_roots(base, (), self.policy), self.policy)

    @cached_property
    def packages(self) -> frozenset[str]:
        """Folders of both trees that are packages."""
        return packages([*self.entries["base"], *self.entries["head"]])


def is_plugin(view: View) -> bool:
    """Whether the base declares itself a plugin of pytest."""
    declared = view.read("base", ["pyproject.toml", "setup.cfg", "setup.py"])
    return any(b"pytest11" in data for data in declared.values())


def make_view(change: Change, policy: Policy, entries: Mapping[str, Mapping[str, Entry]], read: Read, look: Look = unasked) -> View:
    """The view of a change; every changed regular file is read once, in two batches."""
    bare = View(change, policy, entries, read)
    files = [f for f in change.files if not f.odd]
    old = read("base", [f.old_path or f.path for f in files if f.old])
    new = read("head", [f.path for f in files if f.new])
    halves = [(old.get(f.old_path or f.path, b""), new.get(f.path, b"")) for f in files]
    files = [part for f, (before, after) in zip(files, halves, strict=True) for part in parted(f, bare.kind, before, after)]
    pairs = []
    for file in files:
        before, after = old.get(file.old_path or file.path), new.get(file.path)
        kinds = {bare.kind(p) for p in (file.path, file.old_path) if p}
        strictest: Kind = next((k for k in ("config", "test", "product") if k in kinds), "other")
        pairs.append(
            Pair(
                file,
                strictest,
                Source(file.old_path or file.path, before) if file.old and before is not None else None,
                Source(file.path, after) if file.new and after is not None else None,
            )
        )
    return View(change, policy, entries, read, tuple(pairs), look)


def view_of(
    base: Mapping[str, str],
    head: Mapping[str, str | None],
    policy: Policy | None = None,
    index: Mapping[str, Package] | None = None,
) -> View:
    """The view of a change that is given as texts: `head` names what differs from `base`, None deletes."""
    after = {p: t for p, t in {**base, **head}.items() if t is not None}
    files = []
    for path, text in head.items():
        old, new = base.get(path), text
        status: FileStatus = "deleted" if new is None else "added" if old is None else "modified"
        lines = difflib.SequenceMatcher(None, (old or "").splitlines(), (new or "").splitlines(), autojunk=False)
        hunks = tuple(Hunk(a + (b > a), b - a, c + (d > c), d - c) for op, a, b, c, d in lines.get_opcodes() if op != "equal")
        entry = Entry("100644", "0" * 40)
        files.append(
            FileChange(
                path=path,
                status=status,
                hunks=hunks,
                old=entry if old is not None else None,
                new=entry if new is not None else None,
            )
        )
    sides = {"base": dict(base), "head": after}
    entries = {side: dict.fromkeys(texts, Entry("100644", "0" * 40)) for side, texts in sides.items()}
    change = Change(source="patch", base="", head="", base_tree="", head_tree="", files=tuple(files))

    def read(side: str, paths: Sequence[str]) -> dict[str, bytes]:
        return {p: sides[side][p].encode("utf-8", "surrogateescape") for p in paths if p in sides[side]}

    look = unasked if index is None else lambda names: {n: index.get(n, Package(exists=False)) for n in names}
    return make_view(change, policy or Policy(), entries, read, look)
