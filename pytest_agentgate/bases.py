"""Finds the base that a person expects when none was named."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from pytest_agentgate.errors import SourceError
from pytest_agentgate.git import Checkout

NAMES = ("main", "master", "trunk", "develop", "default")
DEFAULT_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", *NAMES)


def _pull_request(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Revisions that a pull request's variables name, each with the words that explain it. One of them must exist."""
    if sha := environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA"):
        return [(sha, "CI_MERGE_REQUEST_DIFF_BASE_SHA")]
    for variable in ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
        if branch := environment.get(variable):
            return [(f"origin/{branch}", f"{variable}={branch}"), (branch, f"{variable}={branch}")]
    return []


def _push(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """The commit before a push to a branch; a forced push can have lost it."""
    before = _github_push(environment) or environment.get("CI_COMMIT_BEFORE_SHA", "")
    return [(before, "the commit before this push")] if before.strip("0") else []


def _github_push(environment: Mapping[str, str]) -> str:
    """The `before` commit of a GitHub push event; empty where there is none."""
    if environment.get("GITHUB_EVENT_NAME") != "push":
        return ""
    try:
        with open(environment.get("GITHUB_EVENT_PATH", ""), encoding="utf-8") as stream:
            before = json.load(stream).get("before", "")
    except (OSError, ValueError, AttributeError):
        return ""
    return before if isinstance(before, str) and before.strip("0") else ""


def is_shallow(checkout: Checkout) -> bool:
    """Whether history was cut off."""
    return os.path.exists(os.path.join(checkout.common_dir, "shallow"))


def _unreachable(checkout: Checkout, what: str) -> SourceError:
    if is_shallow(checkout):
        return SourceError(
            f"this is a shallow clone, and {what} is not in it", hint="git fetch --unshallow, or in CI: fetch-depth: 0"
        )
    return SourceError(f"there is no {what}", hint="see `git log --all`, or name another with --base")


def named_base(checkout: Checkout, revision: str, head_commit: str | None) -> tuple[str, str]:
    """Commit id for ``--base REVISION``: the merge base with the head, so that a moved branch does not count."""
    commit = checkout.commit(revision)
    if commit is None:
        raise _unreachable(checkout, f"revision {revision!r}")
    if head_commit is None:
        return commit, f"--base {revision}"
    common = checkout.merge_base(commit, head_commit)
    if common is None:
        raise _unreachable(checkout, f"common ancestor of {revision!r} and the head")
    return common, f"--base {revision}" if common == commit else f"merge base with {revision}"


def find_base(checkout: Checkout, head_commit: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Commit id of the base and how it was found: the CI's pull request, else upstream, else the default branch."""
    for revision, words in (wanted := _pull_request(environment)):
        if common := _common(checkout, revision, head_commit):
            return common, words
    if wanted:
        raise _unreachable(checkout, f"base {wanted[0][0]!r} (from {wanted[0][1]})")
    others = _others(checkout)
    remotes = [n for n in others if n.partition("/")[2] in ("HEAD", *NAMES)]
    named = [b for name in ("CI_DEFAULT_BRANCH",) if (b := environment.get(name))]
    names = (*_upstream(checkout), *(f"origin/{b}" for b in named), *named, *DEFAULT_BRANCHES, *remotes)
    for revision, words in (*_push(environment), *((r, f"merge base with {r}") for r in names)):
        if common := _common(checkout, revision, head_commit):
            return common, words
    if others:
        raise SourceError(
            "neither an upstream nor a default branch was found, so that nobody knows where this branch began",
            hint=f"name it with --base, for instance --base {others[0]}; --base HEAD judges only what is not committed",
        )
    return head_commit, "HEAD"


def _others(checkout: Checkout) -> list[str]:
    """All branches, also remote ones, save the current one and its pushed copies."""
    current = checkout.git.attempt("rev-parse", "--abbrev-ref", "HEAD").stdout.decode("utf-8", "surrogateescape").strip()
    rows = checkout.git.attempt("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads", "refs/remotes").stdout
    names = rows.decode("utf-8", "surrogateescape").split()
    return [n for n in names if n != current and n.partition("/")[2] != current]


def _common(checkout: Checkout, revision: str, head_commit: str) -> str | None:
    commit = checkout.commit(revision)
    return checkout.merge_base(commit, head_commit) if commit else None


def _upstream(checkout: Checkout) -> list[str]:
    """The branch that the current one is meant to go into; not its own pushed copy, which holds what is to be judged."""
    done = checkout.git.attempt("rev-parse", "--abbrev-ref", "HEAD", "@{upstream}")
    names = done.stdout.decode("utf-8", "surrogateescape").split()
    if done.returncode != 0 or len(names) != 2 or names[1].partition("/")[2] == names[0]:
        return []
    return ["@{upstream}"]
