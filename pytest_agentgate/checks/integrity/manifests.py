"""Which packages a project's manifests name. Pure, and nothing of them is ever run."""

from __future__ import annotations

import ast
import posixpath
import re
import tomllib
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.view import Source
from pytest_agentgate.layout import REQUIREMENTS
from pytest_agentgate.tables import table_of

NAME = re.compile(r"^\s*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~;@ (]|$)")
DIRECT = re.compile(r"@\s*\S|\.whl\b|\.tar\.gz\b|^\s*(\.{1,2}/|/|file:|https?:|git\+|-e\b)")
"""A requirement that says itself where it is."""
MANIFESTS = frozenset({"pyproject.toml", "setup.cfg", "setup.py", "Pipfile", "tox.ini"})
SETUP = frozenset({"install_requires", "setup_requires", "tests_require", "extras_require"})
"""Keywords of setuptools that name packages."""


def is_manifest(path: str) -> bool:
    """Whether a file can name dependencies."""
    return posixpath.basename(path) in MANIFESTS or bool(REQUIREMENTS.search(path))


def own_names(source: Source) -> set[str]:
    """Names that are no index's to know: the project itself, and what a manifest takes from a folder, a repository or a URL."""
    if posixpath.basename(source.path) != "pyproject.toml":
        mine = re.search(r"(?m)^\s*name\s*=\s*[\"']?([\w.-]+)", source.text) if source.path in ("setup.py", "setup.cfg") else None
        return {n for line in source.lines if DIRECT.search(line) and (n := normal(line))} | ({normal(mine[1])} if mine else set())
    try:
        data = tomllib.loads(source.text)
    except (tomllib.TOMLDecodeError, UnicodeError, RecursionError):
        return set()
    project = data.get("project")
    found = {normal(str(project.get("name", "")))} if isinstance(project, dict) else set()
    found |= {normal(r) for r in _declared(data) if DIRECT.search(r)}
    tool = data.get("tool") if isinstance(data.get("tool"), dict) else {}
    tables = [table_of(tool, "uv", "sources"), *_poetry(tool)]
    for name, value in (item for table in tables for item in table.items()):
        if isinstance(value, dict) and value.keys() & {"path", "git", "url", "workspace", "develop"}:
            found.add(normal(name))
    return found | {normal(str(table_of(tool, "poetry").get("name", "")))}


def _poetry(tool: object) -> list[dict[str, object]]:
    """Every table of dependencies that poetry reads."""
    groups = table_of(tool, "poetry", "group")
    tables = [table_of(tool, "poetry", "dependencies"), table_of(tool, "poetry", "dev-dependencies")]
    return [*tables, *(table_of(groups, name, "dependencies") for name in groups)]


def requirements(source: Source | None) -> list[str]:
    """Requirements with their versions (PEP 508), of ``pyproject.toml`` and of files of requirements; those of other manifests are not read."""
    if source is None:
        return []
    if REQUIREMENTS.search(source.path):
        return [
            line.partition(" #")[0].partition(" --")[0].strip() for line in source.lines if not line.lstrip().startswith(("#", "-"))
        ]
    try:
        return list(_declared(tomllib.loads(source.text))) if posixpath.basename(source.path) == "pyproject.toml" else []
    except (tomllib.TOMLDecodeError, UnicodeError, RecursionError):
        return []


def names(source: Source | None) -> set[str]:
    """Normalised names of the packages that a manifest asks for (PEP 503)."""
    if source is None:
        return set()
    name = posixpath.basename(source.path)
    if name == "pyproject.toml" or REQUIREMENTS.search(source.path):
        return {n for r in requirements(source) if (n := normal(r))}
    if name == "setup.py":
        return {n for r in _of_setup(source) if (n := normal(r))}
    if name == "Pipfile":
        return {normal(n) for table in _pipfile(source) for n in table}
    if name == "tox.ini":
        rows = re.findall(r"(?m)^deps\s*=(.*(?:\n[ \t]+\S.*)*)", source.text)
        lines = [re.sub(r"^\s*[\w{},.!-]+:\s+", "", line) for block in rows for line in block.split("\n")]
        return {n for line in lines if not line.lstrip().startswith(("#", "-", "{", ".")) and (n := normal(line))}
    if name == "setup.cfg":
        blocks = re.findall(
            r"(?ms)^(?:install|setup|tests)_requires?\s*=(.*?)(?=^\S|\Z)|^\[options\.extras_require\](.*?)(?=^\[|\Z)", source.text
        )
        rows = [
            line.partition("=")[2] if re.match(r"^[\w-]+\s*=(?!=)", line) else line
            for pair in blocks
            for b in pair
            for line in b.split("\n")
        ]
        return {n for line in rows if (n := normal(line))}
    return set()


def _declared(data: dict[str, object]) -> Iterator[str]:
    project = data.get("project")
    groups: list[object] = [data.get("dependency-groups")]
    if isinstance(project, dict):
        groups += [{"": project.get("dependencies")}, project.get("optional-dependencies")]
    build = data.get("build-system")
    if isinstance(build, dict):
        groups.append({"": build.get("requires")})
    for group in groups:
        for items in group.values() if isinstance(group, dict) else ():
            yield from (i for i in items if isinstance(i, str)) if isinstance(items, list) else ()
    tool = data.get("tool")
    groups = [
        {"": table_of(tool, "uv").get(key)}
        for key in ("dev-dependencies", "override-dependencies", "build-constraint-dependencies")
    ]
    groups += [table_of(tool, "pdm", "dev-dependencies")]
    for env in table_of(tool, "hatch", "envs").values():
        groups += [{k: v for k, v in env.items() if k in ("dependencies", "extra-dependencies")}] if isinstance(env, dict) else []
    for group in groups:
        for items in group.values() if isinstance(group, dict) else ():
            yield from (i for i in items if isinstance(i, str)) if isinstance(items, list) else ()
    for table in _poetry(tool):
        yield from (n for n in table if n != "python")


def normal(requirement: str) -> str:
    """The normalised name of a requirement; empty where it has none."""
    match = NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""


def _of_setup(source: Source) -> Iterator[str]:
    """Requirements that stand as literals in the call of ``setup``, or in lists that it is given by name."""
    lists = {t.id: n.value for n in source.nodes if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    for node in source.nodes:
        if isinstance(node, ast.keyword) and node.arg in SETUP:
            value = lists.get(node.value.id, node.value) if isinstance(node.value, ast.Name) else node.value
            values = value.values if isinstance(value, ast.Dict) else [value]
            yield from (c.value for v in values for c in walk([v]) if isinstance(c, ast.Constant) and isinstance(c.value, str))


def _pipfile(source: Source) -> list[dict[str, object]]:
    try:
        data = tomllib.loads(source.text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return []
    return [t for k, t in data.items() if isinstance(t, dict) and k not in ("requires", "pipenv", "scripts")]
