"""The change cut into pieces that a model can be shown, each at five levels of context. Pure and deterministic.

Level 0 is not shown at all; 1 the changed lines; 2 three lines around them; 3 the definition that encloses them; 4 the
signatures of what they call. More context than that made eight of eight models worse (arXiv 2603.26130).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_agentgate.model import Hunk, Material, SourceFile
from pytest_agentgate.review.redact import redact, redact_keys
from pytest_agentgate.syntax import UNPARSABLE, parse, parsed
from pytest_agentgate.text import visible

LONGEST = 120
HEAVIEST = 4_000
"""Changed lines, and their bytes, of one piece; longer hunks are cut."""
MOST = 3_000
"""Hunks of one file that are cut; a file with more is nobody's to read."""
CALL = re.compile(r"\b([A-Za-z_]\w{0,80})\s{0,3}\(")
AROUND = 3
DEFINITION = 80
"""Lines of an enclosing definition that are shown as a whole; of a longer one its head."""
CALLS = 6
LEVELS = 4


@dataclass(frozen=True)
class Row:
    """One line as the model sees it."""

    side: str
    """``+`` added, ``-`` removed (numbered as in the base), a space for context."""
    number: int
    text: str


@dataclass(frozen=True)
class Piece:
    """Part of one hunk, with everything that can be shown of it."""

    id: str
    path: str
    first: int
    """First line in the head (in the base where lines were only removed)."""
    changed: tuple[Row, ...]
    near: tuple[Row, ...]
    """Level 2: context rows that level 1 has not."""
    around: tuple[Row, ...]
    """Level 3: those that level 2 has not."""
    called: tuple[str, ...]
    """Level 4: signatures."""

    def rows(self, level: int) -> list[Row]:
        """The rows at a level, in reading order: removed lines before those that replace them."""
        if level < 1:
            return []
        found = [*self.changed, *(self.near if level >= 2 else ()), *(self.around if level >= 3 else ())]
        at = min((r.number for r in self.changed if r.side == "+"), default=self.first)
        return sorted(found, key=lambda r: (r.number if r.side != "-" else at, r.side != "-", r.number))

    def render(self, level: int) -> str:
        """What the model is shown; every line begins with the piece's id, so that none can pass for another's."""
        if level < 1:
            return ""
        lines = [f"=== {self.id} {visible(self.path)}"]
        lines += [f"{self.id} {r.side}{r.number}|{r.text}" for r in self.rows(level)]
        if level >= 4:
            lines += [f"{self.id} calls|{text}" for text in self.called]
        return "\n".join(lines) + "\n"

    @property
    def place(self) -> str:
        """``path:line`` for people."""
        return f"{visible(self.path)}:{self.first}"


def cut(material: Material) -> list[Piece]:
    """Every hunk of the change as pieces, numbered in the order of paths and lines."""
    index = signatures(dict(material.head_sources))
    found: list[Piece] = []
    for file in sorted(material.files, key=lambda f: f.change.path):
        sides = _Sides(lines_of(redact_keys(file.old)), lines_of(redact_keys(file.new)), _added(file))
        for hunk in file.change.hunks:
            for part in _parts(hunk, sides):
                found.append(_piece(f"h{len(found) + 1}", file, part, index, sides))
    return found


@dataclass(frozen=True)
class _Sides:
    """Lines of both sides of a file, and the numbers of all added ones."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    added: frozenset[int]


def _added(file: SourceFile) -> frozenset[int]:
    return frozenset(n for h in file.change.hunks for n in range(h.new_start, h.new_start + h.new_lines))


def fits(file: SourceFile) -> bool:
    """Whether the texts have every line that the hunks speak of: else something of the change could not be shown."""
    old, new = len(lines_of(file.old)), len(lines_of(file.new))
    if len(file.change.hunks) > MOST:
        return False
    ends = (
        (h.old_start + h.old_lines - 1 if h.old_lines else 0, h.new_start + h.new_lines - 1 if h.new_lines else 0)
        for h in file.change.hunks
    )
    return all(a <= old and b <= new for a, b in ends)


def _parts(hunk: Hunk, sides: _Sides) -> Iterator[Hunk]:
    """The hunk itself, or slices of it: removed lines first, then added ones."""
    old = sides.old[hunk.old_start - 1 : hunk.old_start - 1 + hunk.old_lines] if hunk.old_lines else ()
    new = sides.new[hunk.new_start - 1 : hunk.new_start - 1 + hunk.new_lines] if hunk.new_lines else ()
    if len(old) + len(new) <= LONGEST and sum(map(_weight, (*old, *new))) <= HEAVIEST:
        yield hunk
        return
    for start, count in _slices(old):
        yield Hunk(hunk.old_start + start, count, hunk.new_start, 0)
    for start, count in _slices(new):
        yield Hunk(hunk.old_start + hunk.old_lines, 0, hunk.new_start + start, count)


def _weight(line: str) -> int:
    return len(line.encode("utf-8", "surrogatepass")) + 14


def _slices(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Start and length of runs that are neither too long nor too heavy; a line that is too heavy alone stays alone."""
    start = used = 0
    for number, line in enumerate(lines):
        weight = _weight(line)
        if number > start and (number - start >= LONGEST or used + weight > HEAVIEST):
            yield start, number - start
            start, used = number, 0
        used += weight
    if len(lines) > start:
        yield start, len(lines) - start


def shown(text: str) -> str:
    """One line as it is shown: credentials taken out, everything invisible made visible."""
    return visible(redact(text), keep="\t")


def _piece(name: str, file: SourceFile, hunk: Hunk, index: Mapping[str, str], sides: _Sides) -> Piece:
    old, new = sides.old, sides.new
    removed = [Row("-", n, shown(old[n - 1])) for n in _range(hunk.old_start, hunk.old_lines, len(old))]
    added = [Row("+", n, shown(new[n - 1])) for n in _range(hunk.new_start, hunk.new_lines, len(new))]
    mine = {r.number for r in added}
    # git numbers a pure deletion by the line before it
    low, high = (hunk.new_start, hunk.new_start + hunk.new_lines - 1) if added else (hunk.new_start + 1, hunk.new_start)
    near = [n for n in range(low - AROUND, high + AROUND + 1) if 0 < n <= len(new) and n not in mine]
    start, end = enclosing(file.new or "", low, max(high, low)) if file.change.path.endswith((".py", ".pyi")) else (0, -1)
    if end - start >= DEFINITION:
        end = start
    around = [n for n in range(start, end + 1) if 0 < n <= len(new) and n not in mine and n not in near]
    text = "\n".join(r.text for r in added)

    def rows(numbers: Sequence[int]) -> tuple[Row, ...]:
        return tuple(Row("+" if n in sides.added else " ", n, shown(new[n - 1])) for n in numbers)

    names = dict.fromkeys(CALL.findall(text))
    calls = [index[n] for n in names if n in index][:CALLS]
    first = added[0].number if added else removed[0].number if removed else hunk.new_start
    return Piece(name, file.change.path, first, (*removed, *added), rows(near), rows(around), tuple(calls))


def _range(start: int, count: int, most: int) -> range:
    return range(max(start, 1), min(start + count, most + 1))


@lru_cache(maxsize=64)
def lines_of(text: str | None) -> tuple[str, ...]:
    """Lines as git counts them: only a line feed ends one."""
    if not text:
        return ()
    return tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))


@lru_cache(maxsize=64)
def _definitions(text: str) -> tuple[tuple[int, int], ...]:
    tree = parsed(text)
    if tree is None:
        return ()
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return tuple(
        (min([n.lineno, *(d.lineno for d in n.decorator_list)]), n.end_lineno or n.lineno)
        for n in ast.walk(tree)
        if isinstance(n, kinds)
    )


def enclosing(text: str, low: int, high: int) -> tuple[int, int]:
    """First and last line of the smallest definition around some lines; (0, -1) where there is none."""
    around = [(end - start, start, end) for start, end in _definitions(text) if start <= low and high <= end]
    return min(around)[1:] if around else (0, -1)


@lru_cache(maxsize=64)
def statements(text: str) -> Mapping[int, int]:
    """First line of the smallest statement (or head of a compound one) that each line belongs to; a tracer sees only those."""
    try:
        nodes = [n for n in ast.walk(parse(text)) if isinstance(n, ast.stmt)]
    except UNPARSABLE:
        return {}
    found: dict[int, tuple[int, int]] = {}
    for node in nodes:
        body = getattr(node, "body", None)
        end = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno or node.lineno
        for line in range(node.lineno, max(end, node.lineno) + 1):
            if line not in found or end - node.lineno < found[line][0]:
                found[line] = (end - node.lineno, node.lineno)
    return {line: start for line, (_, start) in found.items()}


def signatures(sources: Mapping[str, str]) -> dict[str, str]:
    """``path:line def name(...)`` by function name, for names that are defined once."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for path, text in sorted(sources.items()):
        for line, name, words in outline(text):
            twice |= {name} & found.keys()
            found.setdefault(name, shown(f"{path}:{line} {words}"))
    return {name: words for name, words in found.items() if name not in twice}


@lru_cache(maxsize=4096)
def outline(text: str) -> tuple[tuple[int, str, str], ...]:
    """Line, name and signature of every function and class of a module, methods with their class."""
    try:
        return _outline(parse(text))
    except UNPARSABLE:
        return ()


def _outline(tree: ast.Module) -> tuple[tuple[int, str, str], ...]:
    found: list[tuple[int, str, str]] = []

    def look(body: Sequence[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
                found.append((node.lineno, node.name, f"def {prefix}{node.name}({ast.unparse(node.args)}){returns}"))
            elif isinstance(node, ast.ClassDef):
                bases = ", ".join(ast.unparse(b) for b in node.bases)
                found.append(
                    (node.lineno, node.name, f"class {prefix}{node.name}({bases})" if bases else f"class {prefix}{node.name}")
                )
                look(node.body, f"{prefix}{node.name}.")

    look(tree.body, "")
    return tuple(found)
