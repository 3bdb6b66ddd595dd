"""Requirements that ask for older versions than before. Pure.

An old release is a known one: with its published holes, and without the checks that a newer one makes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_agentgate.checks.integrity.manifests import normal, requirements
from pytest_agentgate.checks.integrity.view import Pair

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version


def downgrades(pair: Pair) -> Iterator[tuple[str, str, str]]:
    """Requirements that no longer allow the least version that they asked for, only older ones: name, before, after."""
    if pair.old is None or pair.new is None:
        return
    before, after = (_once(requirements(s)) for s in (pair.old, pair.new))
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name] and _only_older(before[name], after[name]):
            yield name, before[name], after[name]


def _once(rows: Sequence[str]) -> dict[str, str]:
    """Requirements by name, of those that stand there once."""
    counts = Counter(normal(r) for r in rows)
    return {n: r for r in rows if (n := normal(r)) and counts[n] == 1}


def _only_older(before: str, after: str) -> bool:
    """Whether a requirement now excludes what it asked for at least, and all that is newer."""
    from packaging.requirements import InvalidRequirement, Requirement  # lazy: few patches edit a requirement

    try:
        old, new = (Requirement(r).specifier for r in (before, after))
    except InvalidRequirement:
        return False
    least, most = _bound(old, (">=", "==", "~=", ">"), max), _bound(new, ("<", "<=", "==", "~="), min)
    return least is not None and most is not None and most <= least and not new.contains(least, prereleases=True)


def _bound(specifiers: SpecifierSet, operators: Sequence[str], choose: Callable[[list[Version]], Version]) -> Version | None:
    """The least or greatest version that a set of specifiers names with one of some operators."""
    from packaging.version import InvalidVersion, Version  # lazy: few patches edit a requirement

    found = []
    for specifier in specifiers:
        if specifier.operator in operators:
            try:
                found.append(Version(specifier.version.removesuffix(".*")))
            except InvalidVersion:
                return None
    return choose(found) if found else None
