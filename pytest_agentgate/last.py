"""The last report of a checkout, kept beside the cache for ``agentgate explain last``, and what it says in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from pytest_agentgate.cache import Cache, digest
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import UsageError
from pytest_agentgate.model import Finding, Report
from pytest_agentgate.rulebook import Rule
from pytest_agentgate.text import approval, visible
from pytest_agentgate.workspace import cache_root

MOST = 50
"""So many findings are explained; the rest is counted."""


def keep(report: Report, top: str, folder: str) -> str:
    """Keep a report of the checkout at `top`, in the file that is returned; where nothing can be written, nothing is kept."""
    cache = Cache(cache_root(folder))
    cache.put(_key(top), msgspec.json.encode(report))
    return cache.path(_key(top))


def load(top: str, folder: str) -> Report:
    """The report that was kept last; raises `UsageError` where there is none."""
    stored = Cache(cache_root(folder)).get(_key(top))
    if stored is not None:
        try:
            return from_json(stored, Report)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # of another version
    raise UsageError("there is no last report of this checkout", hint="run `agentgate check` first")


def _key(top: str) -> str:
    return digest("last-report", top)


def explain(report: Report, rules: Mapping[str, Rule], words: Mapping[str, str]) -> str:
    """Each finding that counts: why, the lines, how to repeat it, how to mend it, how a human allows it."""
    found = [f for e in report.evidence for f in e.findings if f.counts]
    lines = [f"{report.verdict.decision}: {'; '.join(visible(r) for r in report.verdict.reasons)}"]
    lines += [f"{e.check} {e.status}: {visible(e.reason)}" for e in report.evidence if e.status == "errored"]
    for number, finding in enumerate(found[:MOST], 1):
        lines += ["", *_one(number, finding, rules.get(finding.rule), words)]
    if len(found) > MOST:
        lines += ["", f"{len(found) - MOST} more findings are in the report: agentgate check --report json=FILE"]
    if not found:
        lines += ["", "No finding counts against this change."]
    return "\n".join(lines) + "\n"


def _one(number: int, finding: Finding, rule: Rule | None, words: Mapping[str, str]) -> Iterator[str]:
    place = finding.node_id or (f"{finding.path}:{finding.line}" if finding.line else finding.path or "the change")
    yield f"{number}. {visible(place)}: {visible(finding.rule)} [{finding.effect}]"
    yield f"   {visible(finding.message)}"
    yield from (f"   | {visible(text)}" for text in finding.text.splitlines()[:12])
    meaning = words.get(finding.rule) or words.get(finding.rule.partition("/")[0] + "/*", "")
    why = f"{rule.title}. {rule.why}" if rule else meaning
    if why:
        yield f"   why:       {visible(why)}"
    if finding.command:
        yield f"   to repeat: {visible(finding.command)}"
    mend = finding.advice or (rule.instead if rule else "")
    if mend:
        yield f"   to mend:   {visible(mend)}"
    if finding.effect == "hold":
        allow = approval(finding.rule, finding.node_id or finding.path)
        yield f"   to allow:  a human runs `agentgate check --approve {visible(allow)}`"
    else:
        yield f'   to allow:  the base\'s policy sets another effect: "{visible(finding.rule)}" under [tool.agentgate.effects]'
