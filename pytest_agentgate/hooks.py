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
    if environment.get("PRE_COMMIT_TO_REF"):
        found = [_named_refs(checkout, environment)]
    elif "PRE_COMMIT" in environment or not stdin.strip():
        found = [_range(checkout, "", "HEAD")]
    else:
        rows = [line.split() for line in stdin.splitlines()]
        found = [_range(checkout, row[3], row[1]) for row in rows if len(row) == 4 and row[1].strip("0")]
    return [source for source in found if source is not None]


def _named_refs(checkout: Checkout, environment: Mapping[str, str]) -> Source | None:
    to = environment.get("PRE_COMMIT_TO_REF", "")
    if not to:
        return None
    return _range(checkout, environment.get("PRE_COMMIT_FROM_REF", ""), to)


def _range(checkout: Checkout, old: str, new: str) -> Source | None:
    """A first push names no old commit: then the base is where the branch left the default one, or nothing at all.

    None: the remote has the commit already (a tag, a new branch name), and there is nothing to judge.
    """
    if old.strip("0") and checkout.commit(old):
        return Source("commit", base=old, head=new)
    tip = checkout.commit(new)
    base = find_base(checkout, tip, {})[0] if tip else ""
    if base == tip:
        base = "" if checkout.on_remote(tip) else EMPTY
        if not base:
            return None
    return Source("commit", base=base or EMPTY, head=new)
