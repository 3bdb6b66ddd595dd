"""Tests that fail on the base and pass on the patch's code for their own inputs alone. Pure.

The mirror image of an answer by heart that replaced a rule: here the rule stays as it was, and the test's inputs are answered beside
it, in whatever spelling (a table by sums, by hashes, in a data file). Honest code of that kind exists: edge cases, words of a
language. So only inputs are looked at that are no edge of anything: three or more different numbers, or a long text.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from pytest_agentgate.checks.tests.neighbours import inputs
from pytest_agentgate.checks.tests.plain import NEAR
from pytest_agentgate.checks.tests.rows import Function, is_mark, tables
from pytest_agentgate.checks.tests.told import UNKNOWN, Raised, told
from pytest_agentgate.syntax import parsed

NUMBERS, LETTERS = 3, 12
"""So many different numbers, or letters and digits in one text, are no edge case."""
LEAST = 6
"""So many sets of neighbouring inputs must have an answer on both sides."""
SHAPES_LEAST = 6
"""Of eight sets of another shape: so many must have an answer on both sides."""
MOMENTS = frozenset({"date", "datetime", "time", "timedelta", "fromisoformat", "strptime", "fromtimestamp"})
"""Calendars are full of edges."""


def composite(text: str, names: Collection[str], teller: str) -> set[str]:
    """The tests (``Class::test``) of a blinded file whose inputs are no edge case, in most of their rows."""
    tree = parsed(text)
    if tree is None:
        return set()
    return {name for name, node in _functions(tree) if name in names and _is_composite(node, tree, teller)}


def _functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    owners: list[ast.Module | ast.ClassDef] = [tree, *(c for c in tree.body if isinstance(c, ast.ClassDef))]
    for owner in owners:
        prefix = f"{owner.name}::" if isinstance(owner, ast.ClassDef) else ""
        yield from ((prefix + n.name, n) for n in owner.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def _is_composite(node: Function, tree: ast.Module, teller: str) -> bool:
    calls = {getattr(n.func, "attr", getattr(n.func, "id", "")) for n in ast.walk(node) if isinstance(n, ast.Call)}
    if calls & MOMENTS:
        return False
    own = [c.value for s in node.body for c in inputs([s], teller)]
    rows = [[c.value for c in inputs([x for x in cells if not is_mark(x)], teller)] for t in tables(node, tree) for cells in t.rows]
    told_apart = [_apart([*own, *row]) for row in rows or [[]]]
    return 2 * sum(told_apart) >= len(told_apart)


def _apart(values: Sequence[object]) -> bool:
    numbers = [v for v in values if isinstance(v, int | float)]
    texts = [v for v in values if isinstance(v, str | bytes)]
    long = any(sum(c.isalnum() for c in (t if isinstance(t, str) else t.decode("latin-1"))) >= LETTERS for t in texts)
    return long or (len(numbers) >= NUMBERS and len(set(numbers)) == len(numbers))


def mended_alone(
    head: Mapping[str, Sequence[str]], before: Mapping[str, Sequence[str]], tests: Mapping[str, str], seen: Collection[str]
) -> dict[str, str]:
    """Tests that come to something else than on the base, and beside their inputs never do, with an example.

    `head` and `before` hold what was told, by token and variant (``token~3``); `tests` the test of each token; `seen` those whose
    inputs are no edge case. A test is left out as soon as one of its assertions moves beside its inputs as well.
    """
    alone: dict[str, str] = {}
    moved: dict[str, int] = defaultdict(int)
    for token, node_id in tests.items():
        own, was = head.get(f"{token}~0"), before.get(f"{token}~0")
        if node_id not in seen or not own or not was or own == was:
            continue
        came, had = ([told(v) for v in values] for values in (own, was))
        if not all(_is_plain(v) and not isinstance(v, bool | None) for v in (*came, *had)):
            continue
        numbers = [int(n) for k in before for t, _, n in [k.partition("~")] if t == token and n.isdecimal() and n != "0"]
        keys = {n: f"{token}~{n}" for n in numbers}
        both = {n: k for n, k in keys.items() if k in head and all(_is_plain(v) for v in map(told, before[k]))}
        far = [k for n, k in both.items() if n > NEAR]
        words = f"{repr(had[0])[:80]} on the base, {repr(came[0])[:80]} on the patch's code"
        if len(both) >= LEAST and all(head[k] == before[k] for k in both.values()):
            alone.setdefault(node_id, words)
        elif len(far) >= SHAPES_LEAST and all(head[k] == before[k] for k in far):
            alone.setdefault(node_id, f"{words}, and nothing else where lists, texts or numbers have another size")
        else:
            moved[node_id] += 1
    return {n: words for n, words in alone.items() if not moved[n]}


def _is_plain(value: object) -> bool:
    return value is not UNKNOWN and not isinstance(value, Raised)
