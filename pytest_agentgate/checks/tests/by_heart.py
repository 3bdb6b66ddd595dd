"""New code that answers the inputs of its own tests, and gives one and the same for everything beside them. Pure.

`mirror` needs the base's answers to compare with; where the function is new there are none. But what was written down, in
whatever form, shows all the same: each of twelve sets of neighbouring inputs falls through to what the code does with
everything that it does not know (a constant, the input itself, an error).
"""

from __future__ import annotations

import ast
import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from pytest_agentgate.checks.tests.agreement import failed
from pytest_agentgate.checks.tests.neighbours import inputs
from pytest_agentgate.checks.tests.plain import NEAR, Space
from pytest_agentgate.checks.tests.rows import is_mark
from pytest_agentgate.checks.tests.told import UNKNOWN, Raised, told
from pytest_agentgate.syntax import UNPARSABLE, parse_expression, parsed

LEAST = 6
"""So many sets of neighbouring inputs must have an answer."""
SMALL = 12
"""Numbers up to this one are counts, months, places: tables of the real world have them as keys."""
ROWS, SURE = 2, 3
"""So many answers of a test must be known so; and where everything else is an error, or nothing, so many of inputs that are no edge case."""
ERROR, NOTHING = "an error", "None"
Known = dict[tuple[str, int], list[list[object]]]
"""The inputs of a test (``path::Class::test``), row by row, by variant."""


def given(spaces: Iterable[Space], teller: str) -> Known:
    """What the tests and their variants give to the code under test: literals of their bodies and of their rows."""
    found: Known = defaultdict(list)
    for space in spaces:
        path, text = space.texts[-1]
        tree = parsed(text)
        bodies = {n.name: n.body for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)} if tree else {}
        for play in space.plays:
            cells = [c for kind, text in play.arguments.values() if kind == "cell" for c in _cell(text)]
            nodes: list[ast.AST] = [*bodies.get(play.function, ()), *cells]
            found[f"{path}::{play.key}", play.variant].append([c.value for c in inputs(nodes, teller)])
    return found


def _cell(text: str) -> list[ast.expr]:
    """A cell of a table; what stands for an expected value is none."""
    with contextlib.suppress(*UNPARSABLE):
        cell = parse_expression(text)
        return [] if is_mark(cell) else [cell]
    return []


def by_heart(head: Mapping[str, Sequence[str]], tests: Mapping[str, str], seen: Collection[str], known: Known) -> dict[str, str]:
    """Tests of which every answer is one that only their own inputs get, with an example.

    `head` holds what was told, by token and variant; `tests` the test of each token, of those that the base has no answer for;
    `seen` those whose inputs are no edge case; `known` what each was given.
    """
    alone: dict[str, list[str]] = defaultdict(list)
    hard: set[str] = set()
    others: set[str] = set()
    variants: dict[str, dict[int, list[object]]] = defaultdict(dict)
    for key, values in head.items():
        token, _, number = key.partition("~")
        if token in tests and number.isdecimal() and int(number) <= NEAR:
            variants[token][int(number)] = [told(v) for v in values]
    errors = failed(head, NEAR)
    for token, came in variants.items():
        node_id, own = tests[token], came.pop(0, [])
        name = node_id.partition("::")[2]
        came |= {n: [Raised((kind,), "")] for n, kind in errors.get(name, {}).items() if n not in came}
        if not own or not all(_is_plain(v) and not isinstance(v, bool | None) for v in own):
            continue
        fallback = _fallback(own, came, node_id, known) if len(came) >= LEAST else ""
        if not fallback:
            others.add(node_id)
            continue
        if fallback in (ERROR, NOTHING):
            hard.add(node_id)
        alone[node_id].append(f"{repr(own[0])[:80]} here, and {fallback} beside")
    return {
        n: words[0]
        for n, words in alone.items()
        if n not in others and _are_rich(known.get((n, 0), [])) and _is_enough(len({*words}), hard=n in hard, composite=n in seen)
    }


def _is_enough(answers: int, *, hard: bool, composite: bool) -> bool:
    if hard:  # a check digit, a key: what knows nothing else can be right
        return composite and answers >= SURE
    return composite or answers >= ROWS


def _fallback(own: Sequence[object], beside: Mapping[int, Sequence[object]], node_id: str, known: Known) -> str:
    """What everything beside the inputs comes to, in words; empty where it is not one and the same, or what they come to themselves."""
    if any(v is UNKNOWN for values in beside.values() for v in values) or any(repr(v) == repr(own) for v in beside.values()):
        return ""
    if all(isinstance(values[0], Raised) for values in beside.values()):
        return ERROR
    if len(every := {repr(values[0]) for values in beside.values()}) == 1:
        return every.pop()[:80]
    passed_on = all(_is_among(values[0], _flat(known, node_id, n)) for n, values in beside.items())
    return "an input as it came" if passed_on and not _is_among(own[0], _flat(known, node_id, 0)) else ""


def _is_among(value: object, those: Iterable[object]) -> bool:
    return any(type(value) is type(v) and value == v for v in those)


def _flat(known: Known, node_id: str, variant: int) -> list[object]:
    return [value for row in known.get((node_id, variant), ()) for value in row]


def _are_rich(rows: Sequence[Sequence[object]]) -> bool:
    """Whether the inputs of each row are more than a key."""
    return bool(rows) and all(map(_is_rich, rows))


def _is_rich(values: Sequence[object]) -> bool:
    """Whether inputs are more than a key: two or more, and among them a number that is no count."""
    numbers = [v for v in values if isinstance(v, int | float)]
    return len(values) > 1 and any(abs(n) > SMALL or n != int(n) for n in numbers if n == n and abs(n) < 1e300)  # noqa: PLR0124  # no NaN


def _is_plain(value: object) -> bool:
    return value is not UNKNOWN and not isinstance(value, Raised)
