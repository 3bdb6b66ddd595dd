"""Inputs beside those of a test: its literals, each changed to another of the same kind. Pure.

An answer that is known for the test's own inputs, and for no others, shows beside them (metamorphic testing, Chen et al. 1998;
here with the base's code as the reference, so that nobody has to know what the right answers are).
"""

from __future__ import annotations

import ast
import copy
import random
import string
from collections.abc import Sequence

SHARE = 0.6
"""Each literal is changed with this probability, and at least one is."""
CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits)


def inputs(nodes: Sequence[ast.AST], teller: str) -> list[ast.Constant]:
    """The literals below the nodes that are given to the code under test. The teller's tokens are none."""
    finder = _Inputs(teller)
    for node in nodes:
        finder.visit(node)
    return finder.found


def beside(nodes: Sequence[ast.AST], teller: str, generator: random.Random, *, one: bool = False) -> None:
    """Change literals below the nodes, in place; `one`: a single one, so that what holds between the others stays."""
    found = inputs(nodes, teller)
    chosen = [generator.choice(found)] if one and found else [c for c in found if generator.random() < SHARE] or found[:1]
    for constant in chosen:
        constant.value = other(constant.value, generator)  # type: ignore[assignment]  # of the same type


def other(value: object, generator: random.Random) -> object:
    """Another value of the same type, sign and look."""
    step = generator.randint(1, 3)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value - step if value < 0 else value + step
    if isinstance(value, float):
        return value + step if value == value // 1 else value * 1.25 + step / 4
    if isinstance(value, bytes):
        return other(value.decode("latin-1"), generator).encode("latin-1")  # type: ignore[attr-defined]  # a str came for a str
    if isinstance(value, str):
        places = [n for n, c in enumerate(value) if any(c in k for k in CLASSES)]
        letters = list(value)
        for place in generator.sample(places, min(len(places), 2)):
            kind = next(k for k in CLASSES if letters[place] in k)
            letters[place] = generator.choice(kind.replace(letters[place], ""))
        return "".join(letters)
    return value


FAR = 10**300
"""Numbers beyond this one stay as they are: their text, and their product, have no end."""
SIZES = (-1, 1, 2, -2, 3, 5, 4, -3)
"""By how many items, or letters, each of the variants of another shape is longer."""


def reshape(nodes: Sequence[ast.AST], teller: str, generator: random.Random, number: int) -> None:
    """Give the inputs another shape, in place: lists and texts of another length, numbers of another size.

    A special case for the shape of a test's inputs (a list of four, a text of twenty letters) gives a right answer beside them too,
    as long as they have that shape. With one list or more, lists alone; else all texts and numbers.
    """
    finder = _Inputs(teller)
    for node in nodes:
        finder.visit(node)
    size = SIZES[number % len(SIZES)]
    for container in finder.lists:
        kept = container.elts[:size] if size < 0 else container.elts
        more = [copy.deepcopy(kept[n % len(kept)]) for n in range(max(size, 0))] if kept else []
        for node in more:
            beside([node], teller, generator)
        container.elts = [*(kept or container.elts), *more]
    for constant in finder.found if not finder.lists else ():
        constant.value = _resized(constant.value, size, number, generator)  # type: ignore[assignment]  # of the same type


def _resized(value: object, size: int, number: int, generator: random.Random) -> object:
    """A text that is longer or shorter, or a number of another size, of the same type and sign."""
    if isinstance(value, bytes):
        return str(_resized(value.decode("latin-1"), size, number, generator)).encode("latin-1")
    if isinstance(value, str):
        if number == len(SIZES) - 1:
            return f"{value} {value}"
        letters = "".join(generator.choice(string.ascii_lowercase) for _ in range(abs(size)))
        if number % 2:  # another number of words
            return f"{value} {letters}" if size > 0 else value.rpartition(" ")[0] or value
        return value + letters if size > 0 else value[:size] or value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < FAR:
        factor = (10, 3, 7, 2, 100, 5, 30, 11)[number % 8]
        return value * factor + type(value)(number % 3)
    return value


class _Inputs(ast.NodeVisitor):
    """Literals that a test gives to the code under test."""

    def __init__(self, teller: str) -> None:
        self.teller = teller
        self.found: list[ast.Constant] = []
        self.lists: list[ast.List | ast.Tuple] = []
        """Lists and tuples of two or more literals, given as they are."""

    def visit_Constant(self, node: ast.Constant) -> None:  # the name that ast.NodeVisitor looks for
        """Numbers, texts and bytes."""
        if isinstance(node.value, int | float | str | bytes) and not isinstance(node.value, bool) and node.value not in ("", b""):
            self.found.append(node)

    def visit_List(self, node: ast.List | ast.Tuple) -> None:  # the name that ast.NodeVisitor looks for
        """Lists whose items can be told apart from a table of cases: they are all of one kind."""
        plain = all(isinstance(e, ast.Constant | ast.List | ast.Tuple) for e in node.elts)
        kinds = {type(e.value) if isinstance(e, ast.Constant) else type(e) for e in node.elts}
        if plain and len(node.elts) > 1 and len(kinds) == 1 and isinstance(node.ctx, ast.Load):
            self.lists.append(node)
        self.generic_visit(node)

    visit_Tuple = visit_List  # noqa: N815  # the name that ast.NodeVisitor looks for

    def visit_Call(self, node: ast.Call) -> None:
        """The first argument of a teller is its token; the name that `getattr` takes is no input."""
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        told = self.teller in (name, getattr(getattr(node.func, "value", None), "attr", ""))
        if not told:
            self.visit(node.func)
        for argument in node.args[1:] if told else node.args[:1] if name in ("getattr", "setattr", "hasattr") else node.args:
            self.visit(argument)
        for keyword in node.keywords:
            self.visit(keyword.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        """A docstring is no input."""
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Nor is a place in a result."""
        self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """The parts between the braces only."""
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def visit_arguments(self, node: ast.arguments) -> None:
        """Defaults and annotations stay."""
