"""Baseline arithmetic: which findings of the head did the patch introduce? Pure.

Findings are matched by content, not by number: rule, path after renames, message without coordinates, and the text of
the line; among equal ones the hunk map decides which is which, and a surplus at the head is new.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from pytest_agentgate.model import Change, Finding, Hunk

LineText = Callable[[str, int], str]
"""Text of a line: ``(path, line) -> text``; an empty string where there is none."""

_COORDINATE = re.compile(r"\b(?:line|lines|col|column)\s+\d+\b|\(\d+ > \d+\)")
_Key = tuple[str, str, str, str]
_Place = tuple[str, str, str]
"""Rule, path and words."""


class Lines:
    """Text of lines by path and 1-based number; an empty string where there is none."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._lines = {p: c.decode("utf-8", "replace").splitlines() for p, c in contents.items()}

    def __call__(self, path: str, line: int) -> str:
        """The line's text."""
        lines = self._lines.get(path, [])
        return lines[line - 1] if 0 < line <= len(lines) else ""


def map_line(hunks: Sequence[Hunk], line: int) -> int | None:
    """Where line `line` of the base stands in the head; None where the patch removed or replaced it."""
    shift = 0
    for hunk in hunks:
        start = hunk.old_start + (1 if hunk.old_lines == 0 else 0)
        if line < start:
            break
        if hunk.old_lines and line < hunk.old_start + hunk.old_lines:
            return None
        shift = (hunk.new_start + hunk.new_lines + (1 if hunk.new_lines == 0 else 0)) - (start + hunk.old_lines)
    return line + shift


def introduced(
    head: Iterable[Finding],
    base: Iterable[Finding],
    change: Change,
    head_text: LineText,
    base_text: LineText,
) -> tuple[Finding, ...]:
    """Every finding of the head with its baseline state: `unchanged` where the base has its like, else `new`."""
    renamed = {f.old_path: f.path for f in change.files if f.old_path}
    hunks = {f.path: f.hunks for f in change.files}
    known: defaultdict[_Key, list[tuple[int | None, int]]] = defaultdict(list)
    for finding in base:
        path = finding.path or ""
        now = renamed.get(path, path)
        line = map_line(hunks.get(now, ()), finding.line) if finding.line else None
        known[_key(finding, now, base_text(path, finding.line or 0))].append((line, finding.line or 0))
    groups: defaultdict[_Key, list[Finding]] = defaultdict(list)
    for finding in head:
        path = finding.path or ""
        groups[_key(finding, path, head_text(path, finding.line or 0))].append(finding)
    old: list[Finding] = []
    new: list[Finding] = []
    left: defaultdict[_Place, list[tuple[int, str]]] = defaultdict(list)
    for key, findings in groups.items():
        paired, rest = _pair(findings, known.get(key, []))
        old += paired
        new += rest
    for key, lines in known.items():
        surplus = len(lines) - len(groups.get(key, []))
        left[key[:3]] += [(line, key[3]) for _, line in lines[: max(surplus, 0)]]
    kept = [f for f in new if not _was_edited(f, hunks.get(f.path or "", ()), left)]
    kept = _without_moved(kept, head_text, left)
    old += [f for f in new if f not in kept]
    result = [msgspec.structs.replace(f, baseline_state="unchanged") for f in old] + kept
    return tuple(sorted(result, key=lambda f: (f.path or "", f.line or 0, f.column or 0, f.rule, f.message)))


def _pair(findings: list[Finding], lines: list[tuple[int | None, int]]) -> tuple[list[Finding], list[Finding]]:
    """Old and new among equal findings: first those on the very line that the hunk map names, then by count."""
    left = [line for line, _ in lines]
    old: list[Finding] = []
    rest: list[Finding] = []
    for finding in findings:
        if finding.line in left:
            left.remove(finding.line)
            old.append(finding)
        else:
            rest.append(finding)
    kept = min(len(rest), len(left))
    return old + rest[:kept], rest[kept:]


def _without_moved(findings: list[Finding], head_text: LineText, left: Mapping[_Place, list[tuple[int, str]]]) -> list[Finding]:
    """Without those that came along with a line that another file lost, problem and all."""
    gone: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    count: Counter[tuple[str, str, str]] = Counter()
    for (rule, path, words), lines in left.items():
        for _, text in lines:
            gone[rule, words, text].add(path)
            count[rule, words, text] += 1
    kept = []
    for finding in findings:
        text = " ".join(head_text(finding.path or "", finding.line or 0).split())
        key = (finding.rule, _words(finding), text)
        if text and count[key] and gone[key] - {finding.path or ""}:
            count[key] -= 1
        else:
            kept.append(finding)
    return kept


def _was_edited(finding: Finding, hunks: Sequence[Hunk], left: dict[_Place, list[tuple[int, str]]]) -> bool:
    """Whether the hunk that this finding is in replaced a line with the very same problem (and takes that one off `left`)."""
    lines = left.get((finding.rule, finding.path or "", _words(finding)), [])
    for hunk in hunks:
        if finding.line is not None and hunk.new_start <= finding.line < hunk.new_start + hunk.new_lines:
            for row in lines:
                if hunk.old_start <= row[0] < hunk.old_start + hunk.old_lines:
                    lines.remove(row)
                    return True
    return False


def _words(finding: Finding) -> str:
    return _COORDINATE.sub("", finding.message)


def _key(finding: Finding, path: str, text: str) -> _Key:
    return finding.rule, path, _words(finding), " ".join(text.split())
