"""Which files of a tree are the product, and which are the judge's. Pure.

Deny by default: only product source and declared data may come from the head of a patch when it is judged; everything
else (tests, fixtures, golden files, and every configuration that steers a tool, CI or this gate) is the judge's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Literal

import pathspec

from pytest_agentgate.model import Entry, Policy

Kind = Literal["product", "test", "config", "other"]

CONFIG_NAMES = frozenset(
    {
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "tox.ini",
        "tox.toml",
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        ".pytest.toml",
        "mypy.ini",
        ".mypy.ini",
        "ruff.toml",
        ".ruff.toml",
        ".coveragerc",
        ".coveragerc.toml",
        "noxfile.py",
        ".pre-commit-config.yaml",
        ".pre-commit-config.yml",
        ".pre-commit-hooks.yaml",
        "prek.toml",
        ".flake8",
        ".pylintrc",
        "pylintrc",
        "pyrightconfig.json",
        ".bandit",
        "Makefile",
        "makefile",
        "GNUmakefile",
        "justfile",
        "Justfile",
        ".gitignore",
        ".ignore",
        ".gitattributes",
        ".gitmodules",
        ".gitlab-ci.yml",
        ".travis.yml",
        "azure-pipelines.yml",
        "sitecustomize.py",
        "usercustomize.py",
        "conda.yaml",
        "environment.yml",
        "uv.lock",
        "poetry.lock",
        "pdm.lock",
        "Pipfile",
        "Pipfile.lock",
        "CODEOWNERS",
        ".python-version",
    }
)
REQUIREMENTS = re.compile(r"(^|/)([\w.-]*requirements[\w.-]*|constraints[\w.-]*)\.(txt|in)$|(^|/)requirements/[^/]+\.(txt|in)$")
"""Lists of requirements for pip, by their path."""
GITHUB_WORKFLOW = re.compile(r"\.github/workflows/[^/]+\.ya?ml")
"""Where GitHub looks for workflows; not below."""
CONFIG_FOLDERS = (".github", ".circleci", ".gitlab", ".azure", ".husky", ".git-hooks")
CONFIG_SUFFIXES = (".pth", ".egg-link")
VENDORED = re.compile(r"(^|/)(_?vendor(ed)?|third[_-]?party|extern(al)?s?|node_modules)(/|$)")
"""Folders of other people's code, of which an installed copy can honestly be in use."""
PYTHON_SUFFIXES = (".py", ".pyi", ".pyx", ".pxd")


@lru_cache(maxsize=256)
def _spec(patterns: tuple[str, ...]) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(patterns)


def matches(path: str, patterns: Collection[str]) -> bool:
    """Whether a path matches one of the patterns, which are written as in a `.gitignore`."""
    return bool(patterns) and _spec(tuple(patterns)).match_file(path)


def is_config(path: str) -> bool:
    """Whether a file steers a tool, a build, CI or this gate."""
    name = posixpath.basename(path)
    requirements = name.startswith("requirements") and name.endswith((".txt", ".in"))
    return (
        name in CONFIG_NAMES
        or requirements
        or name.endswith(CONFIG_SUFFIXES)
        or path.split("/", 1)[0] in CONFIG_FOLDERS
        or ".egg-info/" in path
        or ".dist-info/" in path
    )


def is_test(path: str, policy: Policy) -> bool:
    """Whether a file is a test or belongs to the tests; a `conftest.py` always does."""
    return posixpath.basename(path) == "conftest.py" or matches(path, policy.tests.paths)


def packages(paths: Iterable[str]) -> frozenset[str]:
    """Folders that hold an ``__init__.py``."""
    return frozenset(posixpath.dirname(p) for p in paths if posixpath.basename(p) in ("__init__.py", "__init__.pyi"))


def kind(path: str, policy: Policy, known_packages: Collection[str] = ()) -> Kind:
    """What a file is to the judge; `known_packages` are the folders whose data files count as product."""
    if is_config(path):
        return "config"
    if is_test(path, policy):
        return "test"
    if path.endswith(PYTHON_SUFFIXES) or matches(path, policy.data):
        return "product"
    folder = posixpath.dirname(path)
    while folder:
        if folder in known_packages:
            return "product"
        folder = posixpath.dirname(folder)
    return "other"


def compose(
    role: str, base: Mapping[str, Entry], head: Mapping[str, Entry], policy: Policy, named: Collection[str] = ()
) -> dict[str, Entry]:
    """The entries of one of the trees of a run; `named` are judges' own programs in the tree, which come from the base."""
    if role in ("base", "head"):
        return dict(base if role == "base" else head)
    if role == "head+base-config":
        law = {p for p in {*base, *head} if is_config(p)} | set(named)
        kept = {p: e for p, e in head.items() if p not in law}
        return _without_conflicts(kept | {p: e for p, e in base.items() if p in law})
    source, judge = {"head+base-tests": (head, base), "base+head-tests": (base, head)}[role]
    old, known = packages(base), packages([*base, *head])
    # What a file was to the judge at the base it stays: a patch that adds an `__init__.py` makes no golden file a product.
    kinds = {p: kind(p, policy, old if p in base else known) for p in {*base, *head}}
    mixed = {p: e for p, e in judge.items() if kinds[p] != "product"}
    return _without_conflicts(mixed | {p: e for p, e in source.items() if kinds[p] == "product"})


def _without_conflicts(entries: dict[str, Entry]) -> dict[str, Entry]:
    """Leave out leaves of one side whose path is a folder of the other."""
    folders: set[str] = set()
    for path in entries:
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    return {p: e for p, e in entries.items() if p not in folders}


def _roots(paths: Collection[str]) -> list[str]:
    return ["src"] if any(p.startswith("src/") and p.endswith(".py") for p in paths) else [""]


def source_roots(base: Collection[str], head: Collection[str], policy: Policy) -> tuple[str, ...]:
    """Folders from which the product's modules are imported: the policy's, else ``src`` where it exists, else the root.

    Those of the base come first: a patch that adds a ``src/`` must not point away from the package that it breaks.
    """
    if policy.src:
        return tuple("" if root == "." else root.strip("/") for root in policy.src)
    return tuple(dict.fromkeys([*(_roots(base) if any(p.endswith(".py") for p in base) else []), *_roots(head)]))


def project_roots(paths: Collection[str]) -> tuple[str, ...]:
    """Folders below the root from which a monorepo's projects are imported: each ``src``, and each folder with a manifest."""
    found = {posixpath.dirname(p) for p in paths if posixpath.basename(p) in ("pyproject.toml", "setup.py", "setup.cfg")}
    for path in paths:
        if path.endswith(".py") and "/src/" in (whole := f"/{path}"):
            found.add(whole[1 : whole.index("/src/") + 4])
    return tuple(sorted(f for f in found - {""} if not VENDORED.search(f)))


def top_modules(paths: Iterable[str], roots: Iterable[str], policy: Policy) -> frozenset[str]:
    """Names of the product's importable top-level modules and packages below some roots."""
    paths = frozenset(paths)
    names: set[str] = set()
    for root in roots:
        prefix = f"{root}/" if root else ""
        for path in paths:
            if not path.startswith(prefix) or not path.endswith(".py") or is_config(path) or is_test(path, policy):
                continue
            first, slash, _ = path[len(prefix) :].partition("/")
            if not slash:
                names.add(first.removesuffix(".py"))
            elif f"{prefix}{first}/__init__.py" in paths or root:
                names.add(first)
    return frozenset(n for n in names if n.isidentifier())
