"""Blinded tests as a plain program: what is called with what, without pytest and without a name that says "test". Pure.

Reach: functions and methods whose parameters are rows of ``parametrize``, fixtures of the file or of a `conftest.py` above it
that need nothing else, ``tmp_path``, ``monkeypatch`` or ``capsys``. What needs more is left out.
"""

from __future__ import annotations

import ast
import copy
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from pytest_agentgate.checks.tests.neighbours import beside, reshape
from pytest_agentgate.checks.tests.rows import Function, is_mark, tables
from pytest_agentgate.syntax import parsed

VARIANTS, SINGLE, SHAPES = 8, 4, 8
"""How many sets of neighbouring inputs each test is asked with; how many more with a single one of them changed; and with another shape."""
NEAR = VARIANTS + SINGLE
"""Variants behind this one have another shape."""
MOST_ROWS, MOST_PLAYS = 6, 500
OWN = ("tmp_path", "monkeypatch", "capsys")
"""Fixtures of pytest that a plain program can have."""
Source = tuple[str, str]
"""Where an argument comes from: ``cell`` and its text, ``fixture`` and its name, or one of OWN."""


class Play(msgspec.Struct):
    """One call of one test."""

    key: str
    variant: int
    function: str
    arguments: dict[str, Source]
    autouse: list[str]
    kind: str = msgspec.field(default="", name="class")


class Plan(msgspec.Struct):
    """How a fixture is made."""

    function: str
    arguments: dict[str, Source]


class Space(msgspec.Struct):
    """One test file with the `conftest.py` files above it."""

    texts: list[tuple[str, str]]
    plays: list[Play]
    fixtures: dict[str, list[Plan]]


@dataclass
class _Stage:
    """What is known while the space of one file is made."""

    teller: str
    generator: random.Random
    fixtures: dict[str, list[Plan]] = field(default_factory=dict)
    autouse: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    """Fixtures that cannot be had."""


def space(
    path: str, text: str, names: Sequence[str], above: Mapping[str, str], teller: str, generator: random.Random
) -> Space | None:
    """The named tests (``Class::test``) of a blinded file; `above` holds the `conftest.py` files that it sees, outermost first.

    None where there is nothing to play.
    """
    stage, found, texts = _Stage(teller, generator), list[Play](), []
    for place, source in (*above.items(), (path, text)):
        tree = parsed(source)
        if tree is None:
            return None
        _fixtures(tree, stage)
        if place == path:
            found = list(_plays(tree, names, stage))
        texts.append((place, ast.unparse(ast.fix_missing_locations(tree))))
    if not found or stage.unknown & set(stage.autouse):
        return None
    return Space(texts, found[:MOST_PLAYS], stage.fixtures)


def _fixtures(tree: ast.Module, stage: _Stage) -> None:
    """Take the decorators off the fixtures of a file, and put a copy beside each for each variant."""
    for node in list(tree.body):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        mark = next((d for d in node.decorator_list if _called(d) == "fixture"), None)
        if mark is None:
            continue
        given = {k.arg: k.value for k in mark.keywords} if isinstance(mark, ast.Call) else {}
        named = given.get("name")
        name = named.value if isinstance(named, ast.Constant) else node.name
        if given.get("autouse") is not None:
            stage.autouse.append(str(name))
        sources = _sources(node, {}, stage)
        if "params" in given or len(node.decorator_list) > 1 or sources is None or isinstance(node, ast.AsyncFunctionDef):
            stage.unknown.add(str(name))
            stage.fixtures.pop(str(name), None)
            continue
        node.decorator_list = []
        stage.fixtures[str(name)] = [Plan(f, sources) for f in _copies(node, tree.body, node.name, stage)]


def _copies(node: Function, body: list[ast.stmt], name: str, stage: _Stage) -> list[str]:
    """Put the function's variants behind it; the names of all, the function's own first."""
    node.name = name
    found = [name]
    for number in range(1, NEAR + SHAPES + 1):
        made = copy.deepcopy(node)
        made.name = f"{name}_{number}"
        _vary(made.body, number, stage)
        body.append(made)
        found.append(made.name)
    return found


def _plays(tree: ast.Module, names: Sequence[str], stage: _Stage) -> Iterator[Play]:
    """The named tests, renamed, with their variants."""
    for number, name in enumerate(names):
        kind, _, last = name.rpartition("::")
        holder = next((c for c in tree.body if isinstance(c, ast.ClassDef) and c.name == kind), None) if kind else tree
        if holder is None or (kind and any(_called(d) for d in getattr(holder, "decorator_list", ()))):
            continue
        node = next((f for f in holder.body if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) and f.name == last), None)
        if node is None or not all(_is_harmless(d) for d in node.decorator_list):
            continue
        rows = [dict(pair for cells in chosen for pair in cells) for chosen in _rows(node, tree, stage)]
        if (kind and rows != [{}]) or not rows:
            continue
        if any(_sources(node, row, stage, method=bool(kind)) is None for row in rows):
            continue
        node.decorator_list = []
        functions = _copies(node, holder.body, f"work_{number}", stage)
        for variant, function in enumerate(functions):
            for row in rows:
                cells = row if not variant else _beside(row, stage, variant)
                arguments = _sources(node, cells, stage, method=bool(kind)) or {}
                yield Play(name, variant, function, arguments, stage.autouse, kind)


def _rows(node: Function, tree: ast.Module, stage: _Stage) -> list[tuple[list[tuple[str, ast.expr]], ...]]:
    """Some rows of a test's tables, each as names with cells; one empty row where it has none, and none where a table is not known."""
    known = tables(node, tree)
    if len(known) != sum(1 for d in node.decorator_list if _called(d) == "parametrize"):
        return []
    each = [[list(zip(t.names, cells, strict=True)) for cells in t.rows] for t in known]
    every = list(itertools.islice(itertools.product(*each), 1000))
    return stage.generator.sample(every, min(len(every), MOST_ROWS))


def _vary(nodes: Sequence[ast.AST], variant: int, stage: _Stage) -> None:
    """Change inputs, in place, as the number of a variant says."""
    if variant > NEAR:
        reshape(nodes, stage.teller, stage.generator, variant - NEAR - 1)
    else:
        beside(nodes, stage.teller, stage.generator, one=variant > VARIANTS)


def _beside(row: Mapping[str, ast.expr], stage: _Stage, variant: int) -> dict[str, ast.expr]:
    """A row with other inputs. What stands for an expected value (`rows.mark`) stays: it is looked up by it."""
    made = {name: copy.deepcopy(cell) for name, cell in row.items()}
    _vary([c for c in made.values() if not is_mark(c)], variant, stage)
    return made


def _sources(node: Function, row: Mapping[str, ast.expr], stage: _Stage, *, method: bool = False) -> dict[str, Source] | None:
    """Where each argument comes from; None where one cannot be had."""
    arguments = node.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        return None
    names = [a.arg for a in (*arguments.args, *arguments.kwonlyargs)][1 if method else 0 :]
    found: dict[str, Source] = {}
    for name in names:
        if name in row:
            found[name] = ("cell", ast.unparse(row[name]))
        elif name in stage.fixtures:
            found[name] = ("fixture", name)
        elif name in OWN:
            found[name] = (name, "")
        else:
            return None
    return None if method and found else found


def _is_harmless(decorator: ast.expr) -> bool:
    """Whether a decorator is a mark that changes nothing of what the test calls."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    mark = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "mark"
    return mark and _called(decorator) not in ("usefixtures", "skip", "skipif", "xfail")


def _called(decorator: ast.expr) -> str:
    """Last name of a decorator."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
