"""Seeded regressions and clean refactorings of real functions, each as a patch; regressions with the test that notices them.

A regression is a mutant that some test of the project kills. The killing tests are taken out of the base, so that the gate, which
runs the base's tests, accepts the mutant: what is left is what a reviewer has to find.
"""

from __future__ import annotations

import ast
import builtins
import copy
import json
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LONGEST_TEST = 40


@dataclass(frozen=True)
class Seed:
    """One patch of one file, in a project whose base lacks some tests."""

    project: str
    path: str
    line: int
    """Changed line of the head."""
    text: str
    """The whole file after the change."""
    quote: str
    """The changed line itself."""
    defect: bool
    test: str = ""
    """A pytest module that fails on the head and passes on the base."""
    without: tuple[str, ...] = ()
    """Node ids that are taken out of the base."""
    what: str = ""


SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Add: ast.Sub,
    ast.Sub: ast.Add, ast.Mult: ast.Add, ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}  # fmt: skip


def mutants(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, new text and a word for each mutant: one operator or number, in the body of a function, replaced in its own line."""
    lines = text.splitlines(keepends=True)
    for function in [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]:
        for statement in ast.walk(function):
            if not isinstance(statement, ast.Return | ast.Assign | ast.AugAssign) or statement.lineno != statement.end_lineno:
                continue
            for number, changed in enumerate(_variants(statement)):
                indent = lines[statement.lineno - 1][: statement.col_offset]
                new = f"{indent}{ast.unparse(changed)}\n"
                if not indent.strip() and new != lines[statement.lineno - 1]:
                    out = [*lines[: statement.lineno - 1], new, *lines[statement.lineno :]]
                    yield statement.lineno, "".join(out), f"{function.name} #{number}"


def _variants(statement: ast.stmt) -> Iterator[ast.stmt]:
    for position, node in enumerate(ast.walk(statement)):
        twin = copy.deepcopy(statement)
        target = list(ast.walk(twin))[position]
        match target, node:
            case (ast.BinOp(op=op), _) if type(op) in SWAPS:
                target.op = SWAPS[type(op)]()  # type: ignore[assignment]
            case (ast.Compare(ops=[op]), _) if type(op) in SWAPS:
                target.ops = [SWAPS[type(op)]()]  # type: ignore[list-item]
            case (ast.BoolOp(op=op), _):
                target.op = SWAPS[type(op)]()  # type: ignore[assignment]
            case (ast.Constant(value=bool() as value), _):
                target.value = not value
            case (ast.Constant(value=int() as value), _):
                target.value = value + 1
            case _:
                continue
        yield twin


def refactorings(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, new text and a word for each change that keeps the behaviour: ``return X`` through a local name."""
    lines = text.splitlines(keepends=True)
    for function in [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]:
        names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
        for node in ast.walk(function):
            if not isinstance(node, ast.Return) or node.value is None or node.lineno != node.end_lineno or "outcome" in names:
                continue
            indent = lines[node.lineno - 1][: node.col_offset]
            if not indent.strip():
                new = [f"{indent}outcome = {ast.unparse(node.value)}\n", f"{indent}return outcome\n"]
                yield node.lineno, "".join([*lines[: node.lineno - 1], *new, *lines[node.lineno :]]), function.name


def failing(path: Path, python: str) -> set[str] | None:
    """Node ids that fail in a checkout; None where the suite did not run."""
    script = (
        "import json, sys, pytest\n"
        "class P:\n    bad = []\n    def pytest_runtest_logreport(self, report):\n        if report.failed: self.bad.append(report.nodeid)\n"
        "p = P()\ncode = pytest.main(['-q', '-x', '--maxfail=4', '-p', 'no:cacheprovider'], plugins=[p])\n"
        "print('\\n##' + json.dumps([int(code), sorted(set(p.bad))]))"
    )
    try:
        done = subprocess.run([python, "-B", "-c", script], cwd=path, capture_output=True, text=True, timeout=120, check=False)
        code, bad = json.loads(done.stdout.rpartition("##")[2])
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return set(bad) if code in (0, 1) else None


def as_module(path: Path, node_id: str) -> str:
    """The test of a node id as a module of its own, with the imports of its file; empty where it needs more than that."""
    file, *parts = node_id.split("::")
    name = parts[-1].partition("[")[0]
    tree = ast.parse((path / file).read_text())
    holder = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == parts[0]), None) if len(parts) == 2 else None
    body = holder.body if holder else tree.body
    test = next((n for n in body if isinstance(n, ast.FunctionDef) and n.name == name), None)
    if test is None or not _stands_alone(test):
        return ""
    piece: ast.stmt = test
    if holder:
        kept = [n for n in holder.body if n is test or not getattr(n, "name", "test").startswith("test")]
        piece = ast.ClassDef(name=holder.name, bases=holder.bases, keywords=[], body=kept, decorator_list=[])
    imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom) and getattr(n, "level", 0) == 0]
    text = (
        "\n".join(ast.unparse(i) for i in imports)
        + "\n\n\n"
        + textwrap.dedent(ast.unparse(ast.fix_missing_locations(piece)))
        + "\n"
    )
    return text if not _unknown(ast.parse(text)) and len([t for t in text.splitlines() if t.strip()]) <= LONGEST_TEST else ""


def _stands_alone(test: ast.FunctionDef) -> bool:
    """Whether a test takes nothing but what its own parametrisation gives."""
    given: set[str] = {"self"}
    for decorator in test.decorator_list:
        if not isinstance(decorator, ast.Call) or "parametrize" not in ast.unparse(decorator.func):
            return False
        names = ast.literal_eval(decorator.args[0]) if isinstance(decorator.args[0], ast.Constant | ast.Tuple | ast.List) else ""
        given |= {n.strip() for n in names.split(",")} if isinstance(names, str) else set(names)
    return {a.arg for a in test.args.args} <= given


def _unknown(tree: ast.Module) -> set[str]:
    """Names that a module uses and nowhere binds."""
    bound = set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - bound


def drop(path: Path, node_ids: tuple[str, ...]) -> None:
    """Take test functions out of a checkout."""
    for node_id in node_ids:
        file, _, rest = node_id.partition("::")
        name = rest.partition("[")[0].rpartition("::")[2]
        text = (path / file).read_text()
        lines = text.splitlines(keepends=True)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                lines[first - 1 : node.end_lineno] = ["\n"] * ((node.end_lineno or 0) - first + 1)
        (path / file).write_text("".join(lines))
