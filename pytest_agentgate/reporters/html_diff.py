"""The change as HTML tables, with findings below the lines that they are about. Pure."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from pytest_agentgate.text import visible

HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)$")
NAMED = re.compile(r"^(?:---|\+\+\+|rename to) ([^\t]*)")
NAMES = {"+": "added", "-": "removed", " ": "context", "@": "hunk"}


@dataclass
class File:
    """One file of a unified diff."""

    path: str
    rows: list[tuple[str, int, int, str]] = field(default_factory=list)
    """Mark, old line (0: none), new line (0: none), text."""


def show(text: str) -> str:
    """Untrusted text as HTML text: nothing in it is markup, moves a cursor or reorders characters."""
    return escape(visible(text, keep="\t"))


def parse(diff: str) -> list[File]:
    """Files and rows of a unified diff as git writes it."""
    files: list[File] = []
    old = new = 0
    inside = False
    for line in diff.split("\n"):  # as git ends lines: other line ends are part of the text
        if line.startswith("diff --git "):
            half = line[len("diff --git ") :]
            files.append(File(_name(half[len(half) // 2 + 1 :])))  # both names, alike but for a renamed file
            inside = False
        elif not inside and files and (match := NAMED.match(line)) and match[1] != "/dev/null":
            files[-1].path = _name(match[1])
        elif (match := HUNK.match(line)) and files:
            old, new, inside = int(match[1]), int(match[2]), True
            files[-1].rows.append(("@", 0, 0, line))
        elif inside and files and line[:1] in ("+", "-", " "):
            mark = line[0]
            files[-1].rows.append((mark, 0 if mark == "+" else old, 0 if mark == "-" else new, line[1:]))
            old += mark != "+"
            new += mark != "-"
    return files


def _name(field: str) -> str:
    """A path as git writes it: behind ``a/`` or ``b/``, quoted as in C where it holds other characters than ASCII."""
    if field.startswith('"'):
        with contextlib.suppress(UnicodeError):
            field = field[1:].removesuffix('"').encode("ascii").decode("unicode_escape").encode("latin-1").decode("utf-8")
    return field.removeprefix("a/").removeprefix("b/") if field[:2] in ("a/", "b/") else field


def render(diff: str, notes: Mapping[tuple[str, int], Sequence[str]]) -> Iterator[str]:
    """Each file as a section that can be folded; `notes` are finished HTML by path and line of the head."""
    for number, file in enumerate(parse(diff), 1):
        added = sum(1 for row in file.rows if row[0] == "+")
        removed = sum(1 for row in file.rows if row[0] == "-")
        yield f'<details open id="file{number}"><summary><code>{show(file.path)}</code> +{added} −{removed}</summary>'  # noqa: RUF001  # a minus sign
        yield '<div class="scroll"><table class="diff"><thead class="unseen"><tr><th scope="col">base</th><th scope="col">head</th>'
        yield '<th scope="col">mark</th><th scope="col">text</th></tr></thead><tbody>'
        for mark, old, new, text in file.rows:
            shown = "" if mark == "@" else mark
            yield (
                f'<tr class="{NAMES[mark]}"><td>{old or ""}</td><td>{new or ""}</td><td>{shown}</td>'
                f"<td><code>{show(text) or ' '}</code></td></tr>"
            )
            for note in notes.get((file.path, new), ()) if new else ():
                yield f'<tr class="note"><td colspan="4">{note}</td></tr>'
        yield "</tbody></table></div></details>"
