"""Stored reports: load one, and say whether it is about this tree, this policy and this version."""

from __future__ import annotations

import os

import msgspec

from pytest_agentgate import __version__
from pytest_agentgate.bases import find_base, named_base
from pytest_agentgate.decide import approve, decide, settle
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import UsageError
from pytest_agentgate.git import open_checkout
from pytest_agentgate.model import Report
from pytest_agentgate.pipeline import Gate, law_of
from pytest_agentgate.store import open_store
from pytest_agentgate.who import marks
from pytest_agentgate.workspace import open_workspace

LARGEST = 64_000_000
"""Bytes of a report; a larger file is not read: it may come from a job that ran the patch's code."""


def load(path: str) -> Report:
    """A stored report; raises `UsageError` where the file is none."""
    try:
        if os.path.getsize(path) > LARGEST:
            raise UsageError(f"the report {path} is larger than {LARGEST:,} bytes", hint="is it a report?")
        with open(path, "rb") as stream:
            return from_json(stream.read(), Report)
    except OSError as error:
        raise UsageError(
            f"cannot read the report {path}: {error.strerror}", hint="write one with `agentgate check --report json=FILE`"
        ) from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is no report of agentgate: {error}", hint="write one with `agentgate check --report json=FILE`"
        ) from error


def differences(report: Report, revision: str, base: str, gate: Gate) -> list[str]:
    """Everything in which a report is not about `revision` judged against its base by this program; empty where it is.

    The base is found as a new judgement would find it, never taken from the report: a report against a base of its own choice would
    bring its own law. Its verdict is not believed either: it is decided once more, from its evidence, with the approvals of this
    caller. The evidence is believed: a report proves nothing unless it comes from a place that no patch's code can write to.
    Raises `UsageError` where a revision does not exist.
    """
    checkout = open_checkout(gate.processes, gate.directory)
    found: list[str] = []
    with open_workspace(checkout, gate.cache_folder, use_cache=False) as place:
        store = open_store(checkout, os.path.join(place.run, "store.git"))
        head = checkout.commit(revision)
        if head is None:
            raise UsageError(f"there is no revision {revision!r}", hint="see `git log --all`")
        start = (named_base(checkout, base, head) if base else find_base(checkout, head, gate.environment))[0]
        for name, commit, tree in (("head", head, report.change.head_tree), ("base", start, report.change.base_tree)):
            if store.tree_of(commit) != tree:
                found.append(f"it is about the {name} tree {tree[:12]}, and {commit[:12]} has {store.tree_of(commit)[:12]}")
        if found:
            return found
        policy, law, required = law_of(store, report.change, gate)
        passes = policy.only == "agents" and not marks(checkout, start, head, gate.environment)
    if report.policy_digest != law:
        found.append(f"it was judged by another policy or task ({report.policy_digest[:12]}; the base's is {law[:12]})")
    if report.version != __version__:
        found.append(f"agentgate {report.version} wrote it, and this is {__version__}")
    bare = [
        msgspec.structs.replace(e, findings=tuple(msgspec.structs.replace(f, approved=False) for f in e.findings))
        for e in report.evidence
    ]
    verdict = settle(decide(approve(bare, gate.approvals), policy, required), report.review, policy)
    if not report.judged and passes:
        return found
    if verdict.decision != "accepted" or report.verdict.decision != "accepted":
        found.append(f"its evidence makes it {verdict.decision}: {verdict.reasons[0]}, and it says {report.verdict.decision}")
    return found
