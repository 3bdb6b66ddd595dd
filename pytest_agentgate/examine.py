"""Runs the checks: barriers first, then the slow ones side by side. Owns order, cache and blame."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import msgspec

from pytest_agentgate import __version__
from pytest_agentgate.cache import digest
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import GateError, Interrupted, PolicyError
from pytest_agentgate.model import Evidence
from pytest_agentgate.protocols import Check, Context
from pytest_agentgate.read_policy import known_rule, policy_digest

Tell = Callable[[Evidence], None]


def examine(checks: Sequence[Check], context: Context, tell: Tell, *, fail_fast: bool = False) -> tuple[Evidence, ...]:
    """One piece of evidence for each check, in the order of `checks`; `tell` hears of each as it ends."""
    found: dict[str, Evidence] = {}

    def keep(evidence: Evidence) -> None:
        found[evidence.check] = evidence
        tell(evidence)

    blocked = ""
    for check in (c for c in checks if c.fast):
        evidence = _blocked(check, blocked) if blocked else run_check(check, context)
        keep(evidence)
        if _rejects(evidence) and (check.barrier or fail_fast):
            blocked = blocked or check.name
    slow = [c for c in checks if not c.fast]
    if blocked:
        for check in slow:
            keep(_blocked(check, blocked))
    else:
        _side_by_side(slow, context, keep, fail_fast=fail_fast)
    return tuple(found[c.name] for c in checks)


def _side_by_side(checks: Sequence[Check], context: Context, keep: Tell, *, fail_fast: bool) -> None:
    """All at once; with `fail_fast` those that have not started when one rejects do not start."""
    if not checks:
        return
    pool = ThreadPoolExecutor(1 if fail_fast else len(checks))
    try:
        futures: dict[Future[Evidence], Check] = {pool.submit(run_check, c, context): c for c in checks}
        waiting: Collection[Future[Evidence]] = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                evidence = future.result()
                keep(evidence)
                if fail_fast and _rejects(evidence):
                    for other in [f for f in waiting if f.cancel()]:
                        keep(_blocked(futures[other], evidence.check))
                        waiting = set(waiting) - {other}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _rejects(evidence: Evidence) -> bool:
    return any(f.counts and f.effect == "reject" for f in evidence.findings)


def _blocked(check: Check, by: str) -> Evidence:
    return Evidence(check=check.name, status="skipped", reason=f"not run, because {by} rejected the change")


def run_check(check: Check, context: Context) -> Evidence:
    """Run one check, from the cache where nothing that it depends on has changed. What it raises becomes `errored`."""
    started, moment = time.monotonic(), round(time.time(), 3)
    try:
        key = _key(check, context)
        known = _cached(key, context)
        evidence = known if known is not None else _examine(check, context)
        evidence = msgspec.structs.replace(evidence, duration=round(time.monotonic() - started, 3), started=moment)
        if key and not evidence.cached and _keepable(evidence):
            context.cache.put(key, msgspec.json.encode(evidence))
        return evidence
    except (Interrupted, PolicyError):
        raise
    except GateError as error:
        reason = str(error)
    except Exception as error:  # a bug in a check is an error with its name, never a finding and never a pass
        from pytest_agentgate.bugs import bug  # lazy: only a broken run needs it

        reason = f"the check itself broke: {bug(error)}"
    return Evidence(
        check=check.name, status="errored", reason=reason, duration=round(time.monotonic() - started, 3), started=moment
    )


def _examine(check: Check, context: Context) -> Evidence:
    context.progress(check.name, "running")
    evidence = check.examine(context)
    if not isinstance(evidence, Evidence) or evidence.check != check.name:
        raise TypeError(f"it returned {evidence!r} instead of evidence of its own name")
    for finding in evidence.findings:
        if not known_rule(finding.rule, check.rules):
            raise ValueError(f"it reported the rule {finding.rule!r}, which it does not declare")
    return evidence


def _key(check: Check, context: Context) -> str | None:
    parts = check.depends_on(context)
    if parts is None:
        return None
    sandbox = "" if check.fast else context.trees.sandbox.kind
    return digest("evidence", __version__, check.name, policy_digest(context.policy, context.task), sandbox, context.salt, *parts)


def _cached(key: str | None, context: Context) -> Evidence | None:
    stored = context.cache.get(key) if key else None
    if stored is None:
        return None
    try:
        return msgspec.structs.replace(from_json(stored, Evidence), cached=True)
    except msgspec.DecodeError:
        return None


def _keepable(evidence: Evidence) -> bool:
    """Not what errored, flaked, or came out of a run in which judged code could have reached the cache."""
    flaky = any(f.rule == "pytest/flaky" for f in evidence.findings)
    return evidence.status in ("passed", "failed") and not flaky and evidence.sandbox != "none"
