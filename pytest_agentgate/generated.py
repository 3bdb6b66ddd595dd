"""Files that a build backend generates from the version, as the project's manifest names them. Pure."""

from __future__ import annotations

import tomllib

from pytest_agentgate.tables import rows, table_of

PLACES = (
    ("setuptools_scm", "write_to"), ("setuptools_scm", "version_file"), ("setuptools-git-versioning", "version_file"), ("hatch", "build", "hooks", "vcs", "version-file"),
    ("pdm", "version", "write_to"), ("versioningit", "write", "file"), ("flit_scm", "write_to"), ("poetry-version-plugin", "file"),
)  # fmt: skip
"""Keys below ``[tool]`` that name such a file: relative to the project, or to the folder of its source."""


def version_files(manifest: bytes) -> tuple[str, ...]:
    """Paths that a ``pyproject.toml`` says its backend writes the version to; none where it cannot be read."""
    try:
        tool = table_of(tomllib.loads(manifest.decode("utf-8", "replace")), "tool")
    except (tomllib.TOMLDecodeError, RecursionError):
        return ()
    found = []
    for *tables, key in PLACES:
        named = table_of(tool, *tables).get(key)
        if isinstance(named, str) and named:
            found.append(named)
    found += [p for g in rows(table_of(tool, "scikit-build").get("generate")) if isinstance(p := table_of(g).get("path"), str)]
    paths = (p.removeprefix("./") for p in found)
    return tuple(dict.fromkeys(p for path in paths for p in (path, f"src/{path}")))
