"""Which commits a coding agent made, by the marks that agents leave: trailers, authors, branch names (table: agents.json).

Marks are courtesy: an agent that leaves none is taken for a human. Where that matters, judge everything (the default).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from pytest_agentgate.decode import from_json
from pytest_agentgate.git import Checkout

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agents.json")
BRANCHES = ("GITHUB_HEAD_REF", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "PRE_COMMIT_LOCAL_BRANCH")
TRAILER = re.compile(r"^(co-authored-by|generated-by|assisted-by|authored-by|amp-thread-id):\s*(.*)$", re.IGNORECASE | re.MULTILINE)


class Marks(msgspec.Struct, frozen=True):
    """What one agent leaves; all in lower case."""

    name: str
    authors: tuple[str, ...]
    """Parts of ``Name <address>`` of author or committer."""
    trailers: tuple[str, ...]
    """Parts of a trailer that names who helped."""
    lines: tuple[str, ...]
    """Parts of any line of the message."""
    branches: tuple[str, ...]
    """Beginnings of branch names."""


@dataclass(frozen=True)
class Mark:
    """One mark that was found."""

    agent: str
    place: str
    """``commit ID`` or ``branch NAME``."""
    words: str


@lru_cache(maxsize=1)
def table() -> tuple[Marks, ...]:
    """The agents that are known."""
    with open(TABLE, "rb") as stream:
        return tuple(from_json(stream.read(), list[Marks]))


def marks(checkout: Checkout, base: str, head: str, environment: Mapping[str, str]) -> list[Mark]:
    """Every mark in the commits from `base` (empty: all before `head`) to `head`, and in the branch's name."""
    found = [m for name in _branches(checkout, head, environment) for m in in_branch(name)]
    span = f"{base}..{head}" if base else head
    text = checkout.git.text("log", "-z", "--max-count=1000", "--format=%H%n%an <%ae>%n%cn <%ce>%n%B", span, "--")
    for entry in filter(None, text.split("\0")):
        commit, author, committer, *message = entry.split("\n")
        found += in_commit(commit, (author, committer), "\n".join(message))
    return found


def _branches(checkout: Checkout, head: str, environment: Mapping[str, str]) -> Iterator[str]:
    yield from (environment[v].removeprefix("refs/heads/") for v in BRANCHES if environment.get(v))
    done = checkout.git.attempt("for-each-ref", "--format=%(refname)", f"--points-at={head}", "refs/heads", "refs/remotes")
    for name in done.stdout.decode("utf-8", "replace").split():
        yield re.sub(r"^refs/(heads|remotes/[^/]+)/", "", name)


def in_branch(name: str) -> Iterator[Mark]:
    """Marks in a branch's name."""
    for agent in table():
        if any(name.lower().startswith(b) for b in agent.branches):
            yield Mark(agent.name, f"branch {name}", name)


def in_commit(commit: str, people: tuple[str, ...], message: str) -> Iterator[Mark]:
    """Marks in a commit: each agent once."""
    trailers = [m[2] for m in TRAILER.finditer(message)] + [m[0] for m in TRAILER.finditer(message)]
    for agent in table():
        for words, parts in ((people, agent.authors), (trailers, agent.trailers), (message.splitlines(), agent.lines)):
            hit = next((w for w in words if any(p in w.lower() for p in parts)), None)
            if hit is not None:
                yield Mark(agent.name, f"commit {commit[:12]}", hit.strip())
                break
