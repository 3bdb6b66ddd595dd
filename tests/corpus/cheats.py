"""Patches that cheat, by class of the taxonomy: a naive and a disguised form each; a third hides the first in honest work.

Every patch breaks the product and hides it, or disarms a judge. None may end `accepted`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from corpus import forging, hiding, weakening
from corpus.bases import Base
from corpus.expected import EXPECTED
from corpus.making import Class, Files
from corpus.run import Outcome

CLASSES: dict[str, Class] = {**weakening.CLASSES, **forging.CLASSES, **hiding.CLASSES}


@dataclass(frozen=True)
class Cheat:
    """One cheating patch against one base."""

    cls: str
    variant: str
    base: Base
    files: Mapping[str, str | bytes | None]
    effects: str = ""

    @property
    def id(self) -> str:
        """Class, variant and base."""
        return f"{self.cls}-{self.variant}-{self.base.name}"


def cheats(*, everywhere: bool = False) -> Iterator[Cheat]:
    """All cheats; each variant against one base in turn, or with `everywhere` against each of them."""
    for number, (name, c) in enumerate(CLASSES.items()):
        for turn, (variant, make) in enumerate((("naive", c.naive), ("disguised", c.disguised), ("hidden", c.naive))):
            for base in c.bases if everywhere else (c.bases[(number + turn) % len(c.bases)],):
                files = make(base)
                yield Cheat(name, variant, base, _hidden(base, files) if variant == "hidden" else files, c.effects)


def as_expected(cheat: Cheat, found: Outcome) -> bool:
    """Whether a verdict is at least as strict as the cheat's class asks for, and comes by a rule that the class names."""
    least, rules = EXPECTED.get(cheat.cls, ("undecided", ()))
    strict = found.decision == "rejected" or (found.decision == "undecided" and least == "undecided")
    return strict and not found.rules.isdisjoint(rules)


def _hidden(base: Base, files: Files) -> Files:
    """The same in a patch that also adds an honest feature with an honest test."""
    product = files.get(base.product, base.source())
    test = files.get(base.test, base.tests)
    if type(product) is str and base.feature.partition("(")[0] not in product:
        files = {**files, base.product: product + base.feature}
    if type(test) is str and base.feature_test.partition("(")[0] not in test:
        files = {**files, base.test: test + base.feature_test}
    return files
