"""Foreign modules without stubs, for which the patch brings its own exception along. Pure."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator, Sequence

import msgspec

from pytest_agentgate.layout import source_roots, top_modules
from pytest_agentgate.model import Finding
from pytest_agentgate.protocols import Context
from pytest_agentgate.tables import rows, table_of

CODES = frozenset({"mypy/import-not-found", "mypy/import-untyped", "mypy/import"})


def excused(findings: Sequence[Finding], config: str, context: Context) -> list[Finding]:
    """The findings; imports of a foreign module that the head's configuration (the file `config`) excuses by name are noted.

    The base's configuration judges and cannot know them, so that no agent could mend it; nothing else changes by such an entry.
    """
    if not any(f.rule in CODES and f.effect == "reject" for f in findings):
        return list(findings)
    patterns = set(_patterns(context.trees.read("head", config) or b""))
    entries = context.trees.entries("head")
    own = top_modules(entries, source_roots(context.trees.entries("base"), entries, context.policy), context.policy)

    def foreign(finding: Finding) -> bool:
        match = re.search(r'(?:module named|for|importing) "([\w.]+)"', finding.message)
        name = match[1] if match else ""
        return bool(name) and name.partition(".")[0] not in own and not patterns.isdisjoint(_covering(name))

    return [
        msgspec.structs.replace(f, effect="note", advice="the patch's own configuration excuses this foreign module by name")
        if f.rule in CODES and f.effect == "reject" and foreign(f)
        else f
        for f in findings
    ]


def _covering(name: str) -> Iterator[str]:
    """Patterns of mypy that cover a module: itself, and each package above it with a star."""
    yield name
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count]) + ".*"


def _patterns(data: bytes) -> Iterator[str]:
    """Modules for which a configuration ignores missing imports."""
    text = data.decode("utf-8", "replace")
    try:
        for override in rows(table_of(tomllib.loads(text), "tool", "mypy").get("overrides")):
            modules = table_of(override).get("module")
            if table_of(override).get("ignore_missing_imports") is True:
                yield from [modules] if isinstance(modules, str) else (m for m in rows(modules) if isinstance(m, str))
        return
    except (tomllib.TOMLDecodeError, RecursionError):
        pass
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    for section in parser.sections():
        if section.startswith("mypy-") and parser[section].get("ignore_missing_imports", "").lower() in ("true", "yes", "on", "1"):
            yield from (m.strip() for m in section.removeprefix("mypy-").split(","))
