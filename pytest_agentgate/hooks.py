"""What commit and push hooks are about to let through, as sources."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_agentgate.bases import find_base
from pytest_agentgate.git import Checkout
from pytest_agentgate.resolve import EMPTY, Source


def commit_source(checkout: Checkout, environment: Mapping[str, str]) -> Source:
    """The refs that pre-commit names, else the index against HEAD, else (nothing is staged) the last commit."""
    named = _named_refs(checkout, environment)
    if named is not None:
        return named
    if checkout.commit("HEAD") is None or checkout.differs_from_head():
        return Source("staged", base_is_head=True)
    return Source("commit", base="HEAD~1" if checkout.commit("HEAD~1") else EMPTY, head="HEAD")


def push_sources(checkout: Checkout, environment: Mapping[str, str], stdin: str) -> list[Source]:
    """Each pushed range: from pre-commit's variables, else from git's own lines (githooks(5)) on standard input."""
    named = _named_refs(checkout, environment)
    if named is not None:
        return [named]
    if "PRE_COMMIT" in environment or not stdin.strip():
        return [_range(checkout, "", "HEAD")]
    rows = [line.split() for line in stdin.splitlines()]
    pushed = [(row[1], row[3]) for row in rows if len(row) == 4 and row[1].strip("0")]
    return [_range(checkout, remote, local) for local, remote in pushed]


def _named_refs(checkout: Checkout, environment: Mapping[str, str]) -> Source | None:
    to = environment.get("PRE_COMMIT_TO_REF", "")
    if not to:
        return None
    return _range(checkout, environment.get("PRE_COMMIT_FROM_REF", ""), to)


def _range(checkout: Checkout, old: str, new: str) -> Source:
    """A first push names no old commit: then the base is where the branch left the default one, or nothing at all."""
    if old.strip("0") and checkout.commit(old):
        return Source("commit", base=old, head=new)
    tip = checkout.commit(new)
    base = find_base(checkout, tip, {})[0] if tip else ""
    if base == tip:
        base = EMPTY
    return Source("commit", base=base or EMPTY, head=new)
