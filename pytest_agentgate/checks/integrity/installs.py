"""Packages that are installed by name elsewhere than in a manifest: pipelines, hooks, sessions, images, scripts. Pure.

Such a package runs code where the project is built and judged, as a declared one does.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.manifests import normal
from pytest_agentgate.checks.integrity.pipelines import HOOKS, WORKFLOW, load
from pytest_agentgate.checks.integrity.view import Source
from pytest_agentgate.tables import rows, table_of

SCRIPT = re.compile(
    r"(^|/)(GNUmakefile|[Mm]akefile|[Jj]ustfile|Jenkinsfile|(Docker|Container)file[^/]*|[^/]+\.(sh|bash|mk|bat|ps1|dockerfile)|\.?ci/[^/.]+|"
    r"devcontainer\.json|package\.json|lefthook\.ya?ml|Taskfile\.ya?ml|[\w.-]*compose\.ya?ml)$"
)
CONDA = re.compile(r"(^|/)(conda|environment)[\w.-]*\.ya?ml$")
SESSIONS = frozenset({"noxfile.py", "tasks.py", "dodo.py"})
COMMAND = re.compile(
    r"\b(?:pip\d?(?:\.\d+)?|pipx|uv pip|uv tool|uv|conda|mamba|micromamba)\s+(?:install|add|inject)\b(?P<rest>[^\n|;&>#]*)"
)
ONCE = re.compile(r"\b(?:uvx|uv tool run|pipx run)\s+(?:-\S+\s+)*(?P<rest>[\w.-]+(?:\[[\w,-]+\])?(?:[=@~<>]\S*)?)")
"""What is installed and run in one step."""
VALUED = frozenset({"-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-t", "--target", "--prefix", "--root", "-i", "--index-url",
                    "--extra-index-url", "-f", "--find-links", "--python", "-p", "--python-version", "--platform", "--upgrade-package", "-P", "--group",
                    "--extra", "-n", "--name", "--channel", "--trusted-host", "--cache-dir", "--no-binary", "--only-binary", "--config-settings"})  # fmt: skip
"""Options whose next word is no package."""
INLINE = re.compile(r"(?m)^# /// script\s*$(?P<block>(?:\n#.*)*?)\n# ///\s*$")
TOOLS = frozenset({"build", "twine", "tox", "nox", "pre-commit", "prek", "coverage", "hatch", "hatchling", "pip", "wheel", "setuptools", "uv", "virtualenv", "pipx",
                   "cibuildwheel", "codecov", "pytest-cov", "pytest-xdist", "tomli", "flit", "flit-core", "poetry", "poetry-core", "pdm", "setuptools-scm", "auditwheel",
                   "ruff", "mypy", "black", "isort", "flake8", "pylint", "pyright", "bandit", "check-manifest", "pip-audit", "pip-tools", "sphinx", "mkdocs", "pytest",
                   "invoke", "towncrier", "bump2version", "commitizen", "cython", "numpy", "delvewheel", "check-wheel-contents", "cffconvert"})  # fmt: skip
"""Tools that pipelines everywhere install by name."""


def installs(path: str) -> bool:
    """Whether a file, by its path, can install packages beside the manifests."""
    return bool(
        WORKFLOW.search(path) or path in HOOKS or SCRIPT.search(path) or CONDA.search(path) or posixpath.basename(path) in SESSIONS
    )


def is_everyday(name: str) -> bool:
    """Whether a normalised name is that of a tool that needs no second look, or of stubs for a type checker."""
    return name in TOOLS or name.startswith("types-")


def installed(source: Source | None) -> set[str]:
    """Normalised names of the packages that a file installs beside the manifests; of any Python file, what stands in its PEP 723 block."""
    if source is None:
        return set()
    path = source.path
    if path.endswith(".py"):
        found = _inline(source)
        return found | (_sessions(source) if posixpath.basename(path) in SESSIONS else set())
    if not installs(path):
        return set()
    if path in HOOKS:
        return {n for r in _hooks(load(source)) if (n := normal(r))}
    if CONDA.search(path):
        return {n for r in _conda(load(source)) if (n := normal(r))}
    lines = [line for line in source.lines if not re.match(r"[\s-]*(run:|RUN)?\s*(#|REM\b|@?echo\b|//)", line)]
    text = re.sub(r"\$\{\{.*?\}\}|\$\{[^}\n]*\}|\$\([^)\n]*\)", "$", re.sub(r"\\\n", " ", "\n".join(lines)))
    return {n for match in (*COMMAND.finditer(text), *ONCE.finditer(text)) for n in _packages(match["rest"])}


def _packages(rest: str) -> Iterator[str]:
    """The names among the words behind ``pip install``."""
    words = re.sub(r"[\"'`,]|\\n.*", " ", rest).split()
    skip = False
    for word in words:
        if skip or word.startswith("-"):
            skip = not skip and word in VALUED
        elif not re.search(r"[$*{}()/\\:]|^\.|\.(whl|txt|toml|gz|zip)$", word) and (name := normal(word)):
            yield name


def _hooks(data: object) -> Iterator[str]:
    """``additional_dependencies`` of pre-commit's hooks for Python."""
    repos = data.get("repos") if isinstance(data, dict) else None
    for repo in repos if isinstance(repos, list) else []:
        for hook in rows(repo.get("hooks")) if isinstance(repo, dict) else []:
            if isinstance(hook, dict) and str(hook.get("language", "python")) == "python":
                yield from (
                    str(r)
                    for r in rows(hook.get("additional_dependencies"))
                    if not str(r).startswith((".", "@")) and ":" not in str(r)
                )


def _conda(data: object) -> Iterator[str]:
    """Rows below ``pip:``; what conda itself serves is another index's to know."""
    for row in rows(table_of(data).get("dependencies")):
        if isinstance(row, dict):
            yield from (str(r) for r in rows(row.get("pip")) if not str(r).startswith("-"))


def _sessions(source: Source) -> set[str]:
    """``session.install("x")`` and its kin."""
    calls = [
        n
        for n in source.nodes
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr in ("install", "conda_install")
    ]
    words = [a.value for c in calls for a in c.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return {n for text in words for n in _packages(text if " " not in text else f'"{text}"')}


def _inline(source: Source) -> set[str]:
    """Dependencies of a script that says them itself (PEP 723)."""
    match = INLINE.search(source.text) if "# /// script" in source.text else None
    rows = (
        re.findall(r"[\"']([^\"']+)[\"']", "\n".join(re.findall(r"dependencies\s*=\s*\[(.*?)\]", match["block"], re.DOTALL)))
        if match
        else []
    )
    return {n for r in rows if (n := normal(r))}
