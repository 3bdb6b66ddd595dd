"""What the doors do with a review: take its options from the caller, and write its tests down."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from pytest_agentgate.cache import digest
from pytest_agentgate.errors import UsageError
from pytest_agentgate.model import Report
from pytest_agentgate.protocols import ReviewOptions
from pytest_agentgate.review.backend import split

Values = Mapping[str, object]
KEY = "ANTHROPIC_API_KEY"


def review_options(values: Values, environment: Mapping[str, str]) -> ReviewOptions:
    """The caller's options; raises `UsageError` for values that mean nothing. The key comes from the environment alone."""
    backend = str(values.get("review_backend") or "api")
    split(backend)
    limit = str(values.get("max_usd") or "")
    try:
        if limit and not Decimal(limit) > 0:
            raise InvalidOperation
    except InvalidOperation:
        raise UsageError(f"--max-usd takes a number of dollars above 0, not {limit!r}") from None
    url = str(values.get("review_url") or "")
    if url and not _is_safe(url):
        raise UsageError(f"--review-url takes an https address without a user, not {url!r}", hint="the key is sent there")
    key = environment.get(KEY, "").strip()
    if key:
        hide_environment()
    return ReviewOptions(
        wanted=bool(values.get("review")),
        key=key,
        url=url,
        backend=backend,
        max_usd=limit,
        allow_unpriced=bool(values.get("allow_unpriced")),
        exact_cost=bool(values.get("exact_cost")),
        execute=not values.get("no_execute"),
    )


def _is_safe(url: str) -> bool:
    """https, or this machine; nothing before an @, where the name of a host could be pretended."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(parts.hostname) and "@" not in parts.netloc and (parts.scheme == "https" or local)


def hide_environment() -> None:
    """Make this process's own environment unreadable for other processes of the same user (Linux; root may still look).

    Without a sandbox, judged code could read the key in ``/proc``.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE, see prctl(2)


def save_repros(report: Report, folder: str) -> list[str]:
    """Write each finding's test into the folder; returns the paths. Existing files with other contents are never replaced."""
    made: list[str] = []
    for finding in report.review.findings:
        if not finding.reproduction:
            continue
        os.makedirs(folder, exist_ok=True)
        stem = re.sub(r"\W+", "_", finding.path.removesuffix(".py")).strip("_")[-60:]
        mark = digest("repro", finding.reproduction)[:8]
        path = os.path.join(folder, f"test_review_{stem}_{finding.line}_{finding.level.lower()}_{mark}.py")
        claim = " ".join(finding.claim.split())
        text = f"# {finding.level} {finding.path}:{finding.line}: {claim}\n{finding.reproduction.rstrip()}\n"
        if os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                if stream.read() == text:
                    continue
            raise UsageError(f"{path} exists and holds something else", hint="name an empty folder with --save-repros")
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(text)
        made.append(path)
    return made
