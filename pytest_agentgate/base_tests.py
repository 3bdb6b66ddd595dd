"""What the base's own configuration of pytest calls tests: at the root, and in the projects of a monorepo."""

from __future__ import annotations

import configparser
import contextlib
import posixpath
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatch

import msgspec

from pytest_agentgate.model import Policy
from pytest_agentgate.tables import table_of

PYTEST_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""Where pytest 9 looks for its configuration, in its order."""
INI = frozenset({"pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"})
"""Files that configure pytest even where they are empty."""
TESTLIKE = re.compile(r"(^|[_-])(tests?|testing|specs?|checks?)($|[_-])")
"""Names of folders of tests."""


def pytest_table(files: Mapping[str, bytes]) -> Mapping[str, object]:
    """pytest's own configuration, from the first file that has any; empty where there is none or it cannot be read."""
    for name in PYTEST_FILES:
        text = files.get(name, b"").decode("utf-8", "replace")
        with contextlib.suppress(tomllib.TOMLDecodeError, configparser.Error, RecursionError):
            if name.endswith(".toml"):
                data = tomllib.loads(text)
                found = table_of(data, "tool", "pytest") if name == "pyproject.toml" else table_of(data, "pytest")
                section: Mapping[str, object] = table_of(found, "ini_options") if "ini_options" in found else found
            else:
                parser = configparser.ConfigParser(interpolation=None)
                parser.read_string(text)
                title = "tool:pytest" if name == "setup.cfg" else "pytest"
                section = dict(parser[title]) if parser.has_section(title) else {}
            if section:
                return section
    return {}


def words_of(table: Mapping[str, object], key: str) -> tuple[str, ...]:
    """A setting that is a list, or words in a string."""
    value = table.get(key, ())
    return tuple(value.split()) if isinstance(value, str) else tuple(str(v) for v in value) if isinstance(value, list) else ()


def configurations(paths: Iterable[str]) -> list[str]:
    """Files of a tree that can configure pytest, at the root and below."""
    return [p for p in paths if posixpath.basename(p) in PYTEST_FILES]


def tables(files: Mapping[str, bytes]) -> dict[str, Mapping[str, object]]:
    """pytest's configuration of each folder that has one, by the folder; an empty file of pytest's own counts below the root."""
    places: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        places.setdefault(posixpath.dirname(path), {})[posixpath.basename(path)] = data
    found = {place: pytest_table(own) for place, own in places.items()}
    return {p: t for p, t in found.items() if t or (p and not INI.isdisjoint(places[p]))}


def with_base_tests(policy: Policy, files: Mapping[str, bytes], known: Collection[str]) -> Policy:
    """The policy with what the base's own pytest configuration calls tests added to the judge's files.

    A folder among `testpaths` can hold the product (for its doctests), and a pattern of `python_files` can fit anything: what
    is mostly no test module by its name stays the product, or a patch of it would be judged by nothing. `known`: the base's files.
    """
    paths = list(policy.tests.paths)
    for place, table in tables(files).items():
        patterns = tuple(p for p in words_of(table, "python_files") if re.search(r"[a-z]{3}", p.removesuffix(".py")))
        folders = [posixpath.join(place, f) for p in words_of(table, "testpaths") if (f := p.strip("./").rstrip("/"))]
        mine = [f for f in folders if not re.search(r"[*?\[]", f) and not _is_product(f, patterns, known)]
        paths += [*(f"{f}/**" for f in mine), *(posixpath.join(place, "**", p) for p in patterns)]
    return msgspec.structs.replace(policy, tests=msgspec.structs.replace(policy.tests, paths=tuple(dict.fromkeys(paths))))


def _is_product(folder: str, patterns: Collection[str], known: Collection[str]) -> bool:
    """Whether a folder that pytest looks into holds the product, with its tests below it, beside its modules, or elsewhere."""
    shapes = ("test*.py", "*_test.py", "*_tests.py", *patterns)
    inside = [p.removeprefix(f"{folder}/") for p in known if p.endswith(".py") and p.startswith(f"{folder}/")]
    own = [p for p in inside if not any(TESTLIKE.search(f) for f in p.split("/")[:-1])]
    inits = [p.removesuffix("__init__.py") for p in own if p.rpartition("/")[2] == "__init__.py"]
    sources = folder.rpartition("/")[2] == "src" or any("src" in p.split("/")[:-1] for p in own)
    if not (inits or sources) or TESTLIKE.search(folder.rpartition("/")[2]):
        return False
    names = [n for p in own if (n := p.rpartition("/")[2]) not in ("__init__.py", "conftest.py")]
    tests = [n for n in names if any(fnmatch(n, s) for s in shapes)]
    if not names:  # nothing but packages: the product, unless they hold tests
        return any(not any(p.startswith(i) and p not in own for p in inside) for i in inits)
    pairs = any(f"test_{n}" in tests or n.replace(".py", "_test.py") in tests for n in names)
    return bool(names) and (len(own) < len(inside) or 2 * len(tests) < len(names) or (pairs and 2 * len(tests) <= len(names)))
