"""Asks a package index what it knows of a name (the simple API: PEP 503, PEP 691, PEP 700).

Only names that a change newly depends on are asked for, and never by a process that can see the judged code.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from pytest_agentgate.cache import Cache, digest
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import UsageError

PYPI = "https://pypi.org/simple/"
VARIABLES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
FURTHER = ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
"""Where one of them is set, one index's silence proves nothing."""
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
TIMEOUT = 5.0
"""Seconds for one answer."""
MOST = 20
"""Names asked for in one run: more new dependencies than that are for a human anyway."""
MAX_BYTES = 64_000_000
FORGET = 24 * 3600.0
"""Seconds that "it does not exist" is believed: somebody may register the name."""


class Package(msgspec.Struct, frozen=True):
    """What an index says of a name."""

    exists: bool | None
    """None: it could not be asked, for the `reason`."""
    first: str = ""
    """Date of the first upload, as ISO 8601; empty where the index does not say."""
    reason: str = ""
    asked: float = 0.0
    """When, in seconds since the epoch."""

    def days(self, now: float) -> int | None:
        """Age in days, or None."""
        try:
            return int((now - datetime.fromisoformat(self.first).timestamp()) // 86400) if self.first else None
        except ValueError:
            return None


@dataclass(frozen=True)
class Index:
    """One package index, with what it said before."""

    url: str
    """Of the simple API; empty: nobody is asked."""
    cache: Cache
    further: bool = False
    """Packages may come from elsewhere as well."""

    def look(self, names: Sequence[str]) -> Mapping[str, Package]:
        """What the index knows of each normalised name. Never raises: what cannot be had has a reason."""
        asked, rest = names[:MOST], names[MOST:]
        found = {name: Package(None, reason=f"more than {MOST} names are new") for name in rest}
        if not self.url:
            return found | {name: Package(None, reason="no package index may be asked (--index off)") for name in asked}
        with ThreadPoolExecutor(max_workers=8) as pool:
            return found | {n: self._weighed(p) for n, p in zip(asked, pool.map(self._one, asked), strict=True)}

    def _weighed(self, package: Package) -> Package:
        if package.exists is False and self.further:
            return Package(None, reason="the index does not know it, and the environment names further ones")
        return package

    def _one(self, name: str) -> Package:
        key = digest("package", self.url, name)
        stored = self.cache.get(key)
        if stored is not None:
            try:
                known = from_json(stored, Package)
                if known.exists or time.time() - known.asked < FORGET:
                    return known
            except msgspec.DecodeError:
                pass
        answer = ask(self.url, name)
        if answer.exists is not None:
            self.cache.put(key, msgspec.json.encode(answer))
        return answer


def ask(url: str, name: str) -> Package:
    """One question to the simple API at `url`."""
    import http.client
    import urllib.error
    import urllib.request

    plain, headers = _without_user(url)
    headers |= {"Accept": ACCEPT, "User-Agent": "pytest-agentgate"}
    request = urllib.request.Request(f"{plain.rstrip('/')}/{name}/", headers=headers)  # noqa: S310  # index_url lets http and https pass alone
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310  # as above
            kind, data = answer.headers.get_content_type(), answer.read(MAX_BYTES)
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            return Package(False, asked=time.time())
        return Package(None, reason=f"the index answered {error.code}")
    except (OSError, ValueError, http.client.HTTPException) as error:  # its words could hold the address, and that a token
        return Package(None, reason=f"the index could not be reached ({type(error).__name__})")
    return Package(exists=True, first=_first(data) if kind.endswith("json") else "", asked=time.time())


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """The address without user and password, and a header that holds them."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, {}
    user, _, host = parts.netloc.rpartition("@")
    token = base64.b64encode(unquote(user).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {token}"}


class _File(msgspec.Struct, rename="kebab"):
    upload_time: str = ""


class _Page(msgspec.Struct):
    files: list[_File] = []


def _first(data: bytes) -> str:
    try:
        files = from_json(data, _Page).files
        moments = [datetime.fromisoformat(f.upload_time) for f in files if f.upload_time]
    except ValueError:
        return ""
    aware = [m if m.tzinfo else m.replace(tzinfo=UTC) for m in moments]
    return min(aware).isoformat() if aware else ""


def index_url(given: str, environment: Mapping[str, str]) -> str:
    """The index to ask: `given` (``off``: none), else that of pip or uv in the caller's environment, else PyPI."""
    if given == "off":
        return ""
    url = given or next((environment[v] for v in VARIABLES if environment.get(v)), PYPI)
    if not url.startswith(("https://", "http://")):
        if given:
            raise UsageError(f"--index takes the address of a simple API or off, not {given!r}")
        return ""
    return url
