"""Python files that run the judges or the installation, and what is installed beside them. Pure."""

from __future__ import annotations

import ast
import re

from pytest_agentgate.checks.integrity.differences import older, same_but_versions
from pytest_agentgate.checks.integrity.harmless import JUDGES, Spot
from pytest_agentgate.checks.integrity.view import Pair, Source

TOOL = re.compile(r"(?m)^(pytest|ruff|mypy|coverage|pyright|tox|nox|pre-commit)==(\d[\w.]*)")


def sessions(pair: Pair) -> Spot:
    """Sessions of nox (or tasks of invoke and doit): what they run, which run by default, and for how many Pythons."""
    had, has = ([ast.unparse(n) for n in s.nodes if _steers(n)] if s else [] for s in (pair.old, pair.new))
    for text in had:
        if text not in has and not any(same_but_versions(text, other) for other in has):
            yield f"{text[:120]} was taken out"
    before, after = (sum(_pythons(n) for n in s.nodes) if s else 0 for s in (pair.old, pair.new))
    if 2 * after < before:
        yield f"sessions run for {after} Pythons, and ran for {before}"


def _pythons(node: ast.AST) -> int:
    value = node.value if isinstance(node, ast.keyword) and node.arg == "python" else None
    return len(value.elts) if isinstance(value, ast.List) else 0


def installer(pair: Pair) -> Spot:
    """What runs when the project is installed, beside what ``setup`` is told in literals."""
    had, has = ([ast.dump(n) for n in s.tree.body if not _tells(n)] if s and s.tree else [] for s in (pair.old, pair.new))
    called, calls = (_calls(s) if s and s.tree else set() for s in (pair.old, pair.new))
    if any(text not in had for text in has) or calls - called:
        yield "it runs other code than before when the project is installed"


def _calls(source: Source) -> set[str]:
    """What is called among the arguments of ``setup``, beside the finding of packages."""
    told = [n for s in source.tree.body if _tells(s) for n in ast.walk(s)] if source.tree else []
    inner = [
        n
        for n in told
        if isinstance(n, ast.Call) and not re.search(r"(^|\.)(setup|find_(namespace_)?packages)$", ast.unparse(n.func))
    ]
    return {ast.dump(n) for n in inner}


def _tells(node: ast.stmt) -> bool:
    """Whether a statement of a ``setup.py`` gives names, versions and lists to setuptools, or says something."""
    plain = all(
        isinstance(n, ast.Constant | ast.List | ast.Tuple | ast.Dict | ast.Name | ast.Assign | ast.expr_context)
        for n in ast.walk(node)
    )
    called = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).rpartition(".")[2] == "setup"
    )
    return plain or (called and not any(k in ast.unparse(node) for k in ("cmdclass", "distclass")))


def _steers(node: ast.AST) -> bool:
    """Whether a node runs a command that judges, or is an option of nox."""
    if isinstance(node, ast.Assign):
        return any(ast.unparse(t).startswith("nox.options.") for t in node.targets)
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("run", "notify", "sudo")
    return called and bool(JUDGES.search(ast.unparse(node)))


def requirements(pair: Pair) -> Spot:
    """Requirements that are no longer pinned by hashes, or name an older tool that judges."""
    if pair.old and b"--hash" in pair.old.data and b"--hash" not in (pair.new.data if pair.new else b""):
        yield "nothing is pinned by its hash any more"
    had, has = (dict(TOOL.findall(s.text)) if s else {} for s in (pair.old, pair.new))
    yield from (f"{name} was {had[name]}, is {has[name]}" for name in had if name in has and older(had[name], has[name]))
