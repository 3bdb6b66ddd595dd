"""Hooks of the documentation site (mkdocs)."""

from __future__ import annotations

import re
from typing import Any

SECOND_WORD = re.compile(r"^(```\w+) \w+$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A code block's second word is for our tests (``sh setup``); the site's parser would not take it for a block."""
    return SECOND_WORD.sub(r"\1", markdown)
