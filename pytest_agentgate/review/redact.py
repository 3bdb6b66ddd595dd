"""Takes credentials out of texts before they leave this machine. Pure."""

from __future__ import annotations

import re

from pytest_agentgate.secrets import SECRET_TEXT

ASSIGNED = re.compile(r"""(?i)((?:password|passwd|secret|token|api_?key|private_?key)["']?\s*[:=]\s*)(["'])([^"'\s]{8,})\2""")
URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^/\s:@\"']+:)([^/\s@\"']{3,})(@)")
WORD = "[redacted]"


def redact(text: str) -> str:
    """`text` with every known form of a credential replaced; the rest of the line stays, so that it can be reviewed."""
    text = SECRET_TEXT.sub(WORD, text)
    text = URL.sub(rf"\1{WORD}\3", text)
    return ASSIGNED.sub(rf"\1\2{WORD}\2", text)
