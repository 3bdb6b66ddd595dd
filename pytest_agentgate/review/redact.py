"""Takes credentials out of texts before they leave this machine. Pure."""

from __future__ import annotations

import re

from pytest_agentgate.secrets import SECRET_TEXT

ASSIGNED = re.compile(r"""(?i)((?:password|passwd|secret|token|api_?key|private_?key)["']?\s*[:=]\s*)(["'])([^"'\s{}]{8,400})\2""")
URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://[^/\s:@\"']{1,100}:)([^/\s@\"'{}]{3,200})(@)")
WORD = "[redacted]"


KEY = re.compile(r"(-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----)(.*?)(?=-----END|\Z)", re.DOTALL)


def redact_keys(text: str | None) -> str | None:
    """`text` without the bodies of private keys, line for line."""
    if not text or "PRIVATE KEY-----" not in text:
        return text
    return KEY.sub(
        lambda m: m[1] + "".join(c if c == "\n" else WORD if n and m[2][n - 1] == "\n" else "" for n, c in enumerate(m[2])), text
    )


def redact(text: str) -> str:
    """`text` with every known form of a credential replaced; the rest of the line stays, so that it can be reviewed."""
    text = SECRET_TEXT.sub(WORD, text)
    text = URL.sub(rf"\1{WORD}\3", text)
    return ASSIGNED.sub(rf"\1\2{WORD}\2", text)
