"""Classes of the base whose values are equal more easily than before. Pure.

A test that compares two values of a class asks the class itself whether they are equal: who loosens that passes the test with a
wrong value, and neither a turned assertion nor the blind oracle sees it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.rulebook import Example, Rule
from pytest_agentgate.syntax import unparsed

MAKERS = frozenset({"dataclass", "define", "frozen", "mutable", "attrs", "s", "attributes", "total_ordering"})
"""Decorators that write a class's equality (``total_ordering`` keeps it)."""
TUPLES = frozenset({"NamedTuple", "Struct", "BaseModel"})
"""Base classes that do."""
BUILT_IN = frozenset(
    {
        "int",
        "float",
        "str",
        "bytes",
        "list",
        "tuple",
        "dict",
        "set",
        "frozenset",
        "OrderedDict",
        "Decimal",
        "UserList",
        "UserDict",
        "UserString",
    }
)
"""Types that tests compare with literals."""
SEQUENCES = frozenset({"str", "bytes", "list", "tuple", "UserList", "UserString"})
LOOSE = frozenset(
    {"round", "abs", "lower", "upper", "casefold", "strip", "isclose", "startswith", "endswith", "len", "int", "any", "sum", "hash"}
)
"""Calls by which different values become equal."""


ENUM = re.compile(rb"(Enum|Flag|Choices)\b")
"""Kinds of enumerations, as the names of their classes end."""


def find(view: View) -> Iterator[Hit]:
    """Generated equality that is written by hand now, and written one that looks at less."""
    pairs = [p for p in view.python("product") if p.old is not None and b"__eq__" in p.old.data]
    moved = {ast.dump(e) for p in pairs for _, node in _classes(p.old) if (e := _equality(node))}
    for pair in view.python("product"):
        if pair.new is not None and (b"__eq__" in pair.new.data or b"eq=" in pair.new.data or b"__contains__" in pair.new.data):
            yield from _loosened(pair, moved)
            yield from _assigned(pair) if pair.old is not None else ()
        if pair.new is not None and pair.old is not None and ENUM.search(pair.new.data):
            yield from _other_names_of_members(pair, view)


def _loosened(pair: Pair, moved: Collection[str]) -> Iterator[Hit]:
    before, other = dict(_classes(pair.old)), _other_names(pair.new)
    for name, node in _classes(pair.new):
        names = [name, *(given for known, given in other if known == name)]
        now, was = _equality(node), next((before[n] for n in names if n in before), None)
        if was is None:
            kinds = [unparsed(b).partition("[")[0].rpartition(".")[2] for b in node.bases]
            if (
                now is not None
                and ast.dump(now) not in moved
                and _is_easy(now)
                and (kind := next((k for k in kinds if k in BUILT_IN), ""))
            ):
                words = f"{name} is a {kind} that is equal to more than its like"
                yield Hit(RULE.id, words, pair.path, now.lineno, pair.new.line(now.lineno) if pair.new else "")
            holds = next((s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__contains__"), None)
            if holds is not None and (kind := next((k for k in kinds if k in SEQUENCES), "")):
                words = f"{name} is a {kind} that says itself what it contains"
                yield Hit(RULE.id, words, pair.path, holds.lineno, pair.new.line(holds.lineno) if pair.new else "")
            continue
        if now is None:
            if (
                _is_generated(was)
                and not _is_generated(node)
                and [ast.dump(b) for b in was.bases] != [ast.dump(b) for b in node.bases]
            ):
                words = f"{name} compared all its fields, and takes its comparison from another class now"
                yield Hit(RULE.id, words, pair.path, node.lineno, pair.new.line(node.lineno) if pair.new else "")
            continue
        had = _equality(was)
        if had is None and _is_generated(was):
            why = f"{name} compared all its fields, and compares by a method of its own now"
        elif had is not None and ast.dump(had) != ast.dump(now) and (what := _less(had, now)):
            why = f"{name}.__eq__ {what}"
        else:
            continue
        yield Hit(RULE.id, why, pair.path, now.lineno, pair.new.line(now.lineno) if pair.new else "")


def _assigned(pair: Pair) -> Iterator[Hit]:
    """``Coin.__eq__ = other``, or ``__eq__ = other`` in a class: by whatever name it was written."""
    for node in pair.fresh_nodes[1]:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any((t.attr if isinstance(t, ast.Attribute) else getattr(t, "id", "")) == "__eq__" for t in targets):
            line = getattr(node, "lineno", 1)
            yield Hit(RULE.id, "a class is given another comparison", pair.path, line, pair.new.line(line) if pair.new else "")


def _other_names_of_members(pair: Pair, view: View) -> Iterator[Hit]:
    """New members of an enumeration with the value of an old one: no member, but a second name that is equal to the first.

    Noted where no new line of the tests asks for it: an honest second name is not what a test expects to come.
    """
    lines = [line for p in view.python("test") for _, line in p.added()]
    before = dict(_classes(pair.old))
    for name, node in _classes(pair.new):
        was = before.get(name)
        if was is None or not any(ENUM.search(unparsed(b).encode("utf-8", "surrogateescape")) for b in node.bases):
            continue
        old, new = _members(was), _members(node)
        for member, value in new.items():
            first = value.id if isinstance(value, ast.Name) else next((n for n, v in new.items() if _is_same(v, value)), member)
            if member not in old and first in old and first in new and _is_same(old[first], new[first]):
                words = f"{name}.{member} is {name}.{first} by another name: whoever asks for the one is content with the other"
                asked = any(f"{name}.{member}" in line and f"{name}.{first}" not in line for line in lines)
                text = pair.new.line(value.lineno) if pair.new else ""
                yield Hit(RULE.id, words, pair.path, value.lineno, text, None if asked else "note")


def _members(node: ast.ClassDef) -> dict[str, ast.expr]:
    assigned = [s for s in node.body if isinstance(s, ast.Assign) and len(s.targets) == 1]
    return {
        s.targets[0].id: s.value for s in assigned if isinstance(s.targets[0], ast.Name) and not s.targets[0].id.startswith("_")
    }


def _is_same(one: ast.expr, other: ast.expr) -> bool:
    return isinstance(one, ast.Constant | ast.Tuple | ast.UnaryOp) and ast.dump(one) == ast.dump(other)


def _classes(source: Source | None) -> Iterator[tuple[str, ast.ClassDef]]:
    return ((n.name, n) for n in (source.of(ast.ClassDef) if source else ()))


def _other_names(source: Source | None) -> list[tuple[str, str]]:
    """Classes with the further names that they are given (``Coin = BetterCoin``): whoever asks for that name gets them."""
    body = source.tree.body if source and source.tree else []
    found = []
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Name):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [(node.value.id, t.id) for t in targets if isinstance(t, ast.Name)]
    return found


def _equality(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__eq__"), None)


def _is_generated(node: ast.ClassDef) -> bool:
    """Whether something else writes the class's equality, from all of its fields."""
    made = [ast.unparse(d) for d in node.decorator_list]
    decorated = any(d.partition("(")[0].rpartition(".")[2] in MAKERS and "eq=False" not in d for d in made)
    return decorated or any(ast.unparse(b).rpartition(".")[2] in TUPLES for b in node.bases)


def _less(had: ast.FunctionDef, now: ast.FunctionDef) -> str:
    """How an equality looks at less than before; empty where it does not."""
    if gone := sorted(_attributes(had) - _attributes(now)):
        return f"no longer looks at {', '.join(gone)}"
    ways = _ways(now) - _ways(had)
    return f"compares by {', '.join(sorted(ways))} now" if ways else ""


def _is_easy(node: ast.FunctionDef) -> bool:
    """Whether an equality answers yes without a plain comparison, or by a way that makes different values equal."""
    returned = [n.value for n in walk([node]) if isinstance(n, ast.Return) and n.value is not None]
    return any(_ways(v) or not _compares(v) for v in returned)


def _compares(value: ast.expr) -> bool:
    if isinstance(value, ast.Name) or (isinstance(value, ast.Constant) and value.value is False):
        return True  # a name: what it holds was computed before
    parts = walk([value])
    return any(
        isinstance(n, ast.Compare) and any(isinstance(o, ast.Eq | ast.Is | ast.NotEq | ast.IsNot) for o in n.ops) for n in parts
    ) or any(isinstance(n, ast.Attribute) and n.attr in ("__eq__", "eq") for n in parts)


def _attributes(node: ast.FunctionDef) -> set[str]:
    own = node.args.args[0].arg if node.args.args else "self"
    return {
        n.attr for n in walk([node]) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == own
    } - {
        "__class__",
        "__eq__",
    }


def _ways(node: ast.AST) -> set[str]:
    """What makes different values equal: alternatives, remainders, rounding, orders instead of equality."""
    found: set[str] = set()
    for part in walk([node]):
        if isinstance(part, ast.BoolOp) and isinstance(part.op, ast.Or):
            found.add("an alternative (`or`)")
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod | ast.FloorDiv | ast.BitAnd):
            found.add("a remainder or quotient")
        elif isinstance(part, ast.Compare) and any(isinstance(o, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for o in part.ops):
            found.add("an order")
        elif isinstance(part, ast.Call):
            name = part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
            found |= {f"`{name}`"} if name in LOOSE else set()
    return found


_COIN = "from dataclasses import dataclass\n\n\n@dataclass\nclass Coin:\n    cents: int\n    currency: str\n"
RULE = Rule(
    "integrity/equality-loosened", "hold", "Values of a class are equal more easily than before",
    "A test that compares values of a class asks the class itself. An equality that leaves out a field, or rounds, passes it with a "
    "wrong value.",
    Example({"coin.py": _COIN}, {"coin.py": _COIN + "\n    def __eq__(self, other):\n        return isinstance(other, Coin) and self.cents == other.cents\n"}),
    Example({"coin.py": _COIN}, {"coin.py": _COIN + "\n    def __str__(self):\n        return f'{self.cents} {self.currency}'\n"}),
    "Leave the equality as it was, or let a human say that the new one is meant: `--approve integrity/equality-loosened:PATH`.",
)  # fmt: skip
SET = RuleSet((RULE,), find)
