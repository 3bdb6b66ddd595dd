"""Untrusted text made fit to be shown. Pure."""

from __future__ import annotations

import unicodedata

INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


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


def shorten(text: str, most: int) -> str:
    """At most `most` characters, the cut marked."""
    return text if len(text) <= most else text[: max(most - 1, 0)] + "…"
