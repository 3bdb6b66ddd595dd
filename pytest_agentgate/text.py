"""Untrusted text made fit to be shown. Pure."""

from __future__ import annotations

import re
import shlex
import unicodedata

INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def visible(text: str, *, keep: str = "") -> str:
    """`text` with everything that could move a cursor, hide or reorder characters written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c
        if c in keep or unicodedata.category(c) not in INVISIBLE
        else c.encode("unicode_escape", "surrogatepass").decode()
        if c != "\t"
        else "    "
        for c in text
    )


def command(*words: str) -> str:
    """Words as one shell command that can be copied: names come from the patch, and a name can be a command."""
    return shlex.join(w for w in words if w)


def approval(rule: str, place: str | None) -> str:
    """What ``--approve`` has to be given, quoted for a shell."""
    return shlex.quote(f"{rule}:{place}" if place else rule)


def shorten(text: str, most: int) -> str:
    """At most `most` characters, the cut marked."""
    return text if len(text) <= most else text[: max(most - 1, 0)] + "…"


_TICKET = re.compile(r"#\d+|\b[A-Z][A-Z0-9]+-\d+\b|https?://|\bgh-\d+", re.IGNORECASE)
_DATE = re.compile(r"\b\d{4}-\d{2}(-\d{2})?\b|\b\d{1,2}[./]\d{1,2}[./]\d{4}\b")


def is_tracked(reason: str) -> bool:
    """Whether a reason names a ticket and a date, so that somebody will come back to it."""
    return bool(_TICKET.search(reason) and _DATE.search(reason))
