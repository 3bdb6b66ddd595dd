"""Commands around the gate: policy, explain, doctor, schema, cache, who, init."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import time
from collections.abc import Mapping

import msgspec

from pytest_agentgate import last
from pytest_agentgate.bases import find_base, named_base
from pytest_agentgate.cache import Cache
from pytest_agentgate.doctor import consult
from pytest_agentgate.errors import UsageError
from pytest_agentgate.git import open_checkout
from pytest_agentgate.model import Policy
from pytest_agentgate.options import settle
from pytest_agentgate.plugins import Plugins
from pytest_agentgate.process import Processes
from pytest_agentgate.propose import Left, Proposal, proposals
from pytest_agentgate.read_policy import effective, parse_policy, policy_text
from pytest_agentgate.reporters.json import schema
from pytest_agentgate.rulebook import page
from pytest_agentgate.store import open_store
from pytest_agentgate.text import visible
from pytest_agentgate.who import marks
from pytest_agentgate.workspace import cache_root, open_workspace


def policy(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate policy`."""
    values = settle(vars(given), environment)
    checkout = open_checkout(Processes(), str(values["repo"] or "."))
    revision = str(values["base"] or "HEAD")
    commit = checkout.commit(revision)
    if commit is None:
        raise UsageError(f"there is no revision {revision!r}", hint="see `git log --all`")
    with open_workspace(checkout, str(values["cache_dir"] or ""), use_cache=False) as place:
        store = open_store(checkout, os.path.join(place.run, "store.git"))
        text = policy_text(store, store.tree_of(commit))
    origin = f"pyproject.toml at {commit[:12]}"
    for item in effective(parse_policy(text, origin), text, origin):
        print(f"{item.key} = {msgspec.json.encode(item.value).decode()}  # {item.origin}")
    return 0


def explain(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate explain RULE`, or the findings of the last verdict."""
    plugins = Plugins()
    rules = plugins.pages()
    pages = {name: page(rule) for name, rule in rules.items()}
    words = {rule: meaning for check in plugins.checks(Policy()) for rule, meaning in check.rules.items()}
    wanted = str(given.rule)
    if wanted == "last":
        values = settle(vars(given), environment)
        top = open_checkout(Processes(), str(values["repo"] or ".")).top
        sys.stdout.write(last.explain(last.load(top, str(values["cache_dir"] or "")), rules, words))
        return 0
    known = next((r for r in (wanted, wanted.partition("/")[0] + "/*") if r in words), None)
    if known in pages:
        sys.stdout.write(pages[known])
        return 0
    if known is None:
        near = difflib.get_close_matches(wanted, [*pages, *words], n=1, cutoff=0.7)
        raise UsageError(f"there is no rule {wanted!r}", hint=f"did you mean {near[0]}?" if near else "see docs/policy.md")
    print(f"{wanted}: {words[known]}")
    return 0


def completion(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate completion SHELL`."""
    import shtab  # lazy: nothing else needs it

    sys.stdout.write(shtab.complete(given.parser, given.shell) + "\n")
    return 0


def doctor(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate doctor`: 0 where nothing is missing, else 1."""
    values = settle(vars(given), environment)
    missing = 0
    directory, python, folder = (str(values[n] or "") for n in ("repo", "python", "cache_dir"))
    for works, words, fix in consult(directory or ".", python, folder, environment):
        missing += not works
        print(f"{'ok     ' if works else 'problem'}  {words}" + (f"\n         to do: {fix}" if not works and fix else ""))
    return 1 if missing else 0


def print_schema(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate schema`."""
    sys.stdout.write(schema())
    return 0


def cache(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate cache info|clear`."""
    root = cache_root(str(settle(vars(given), environment)["cache_dir"] or ""))
    store = Cache(root)
    if given.action == "clear":
        store.clear()
        print(f"cleared {root}")
    else:
        sizes = [e.stat().st_size for e in store.files()]
        trees = [os.path.join(folder, f) for folder, _, files in os.walk(os.path.join(root, "repositories")) for f in files]
        room = sum(s.st_size for f in trees if (s := _stat(f)))
        print(
            f"{root}: {len(sizes)} values, {sum(sizes) / 1e6:.1f} MB; trees and tools' caches: {len(trees)} files, {room / 1e6:.1f} MB"
        )
        store.prune(time.time())
    return 0


def _stat(path: str) -> os.stat_result | None:
    """What is known of a file that a gate at work may just have removed."""
    try:
        return os.lstat(path)
    except OSError:
        return None


def who(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate who`: every agent's mark in a range of commits."""
    values = settle(vars(given), environment)
    checkout = open_checkout(Processes(), str(values["repo"] or "."))
    head = checkout.commit(str(values["head"] or "HEAD"))
    if head is None:
        raise UsageError(f"there is no revision {values['head'] or 'HEAD'!r}", hint="see `git log --all`")
    base = named_base(checkout, str(values["base"]), head)[0] if values["base"] else find_base(checkout, head, environment)[0]
    found = marks(checkout, base, head, environment)
    for mark in found:
        print(f"{mark.agent}: {visible(mark.place)}: {visible(mark.words)}")
    if not found:
        print(f"no mark of an agent between {base[:12]} and {head[:12]}")
    return 0


def init(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate init`: propose the policy, the hooks and the workflow; write them with ``--write``."""
    checkout = open_checkout(Processes(), str(settle(vars(given), environment)["repo"] or "."))
    top = checkout.top
    tracked = checkout.git.attempt("ls-files", "-z").stdout.decode("utf-8", "surrogateescape").split("\0")
    looked = list(proposals(top, tracked))
    found = [item for item in looked if isinstance(item, Proposal)]
    for item in found:
        print(f"# {item.path}: {item.why}\n{item.diff()}")
    for left in looked:
        if isinstance(left, Left):
            print(f"# {left.path} is left to you: {left.why}\n")
    if not looked:
        print("nothing to propose: policy, hooks and workflow are there")
    elif found and not given.write:
        print("nothing was written; `agentgate init --write` writes it")
    for item in found if given.write else ():
        path = os.path.join(top, item.path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x" if item.before is None else "w", encoding="utf-8", newline="") as stream:
            stream.write(item.after)
        print(f"wrote {item.path}")
    if found and given.write:
        print("commit this first: the policy is read from the base of a change, and a change of the policy is for a human")
        if any(item.path.startswith(".github/") for item in found):
            print("the workflow installs pytest-agentgate from the package index; if you have it from elsewhere, edit that line")
    return 0
