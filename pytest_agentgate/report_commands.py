"""What is done with stored reports, and for agents: show, diff, verify, hook."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from pytest_agentgate.agent_events import LARGEST_EVENT
from pytest_agentgate.agent_hooks import answer, config
from pytest_agentgate.errors import UsageError
from pytest_agentgate.pipeline import Gate
from pytest_agentgate.plugins import Plugins
from pytest_agentgate.reporters.difference import difference
from pytest_agentgate.reporters.terminal import TerminalReporter
from pytest_agentgate.stored import differences, load
from pytest_agentgate.text import visible

NOT_ABOUT = 3
"""Exit code where a report is not about the tree: nobody has judged that, so that it is undecided."""


def show(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate show REPORT [--format FORMAT]`."""
    report = load(given.stored)
    if given.format == "terminal":
        color = sys.stdout.isatty() and not environment.get("NO_COLOR")
        sys.stdout.write(TerminalReporter(color=color, verbosity=given.verbose - given.quiet).render(report))
        return 0
    reporters = Plugins().reporters()
    if given.format not in reporters:
        raise UsageError(f"there is no format {given.format!r}", hint=f"formats: {', '.join(sorted(reporters))}")
    write_out(reporters[given.format].render(report), plain=False)
    return 0


def write_out(text: str, *, plain: bool) -> None:
    """A report on standard output: words for a person in the terminal's encoding, every other format in UTF-8."""
    if plain:
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()


def diff(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate diff A.json B.json`."""
    sys.stdout.write(difference(load(given.before), load(given.after)))
    return 0


def verify(given: argparse.Namespace, gate: Gate) -> int:
    """`agentgate verify REPORT --tree REV`: 0 where the report accepts that very tree, else 3."""
    found = differences(load(given.stored), given.tree, str(given.base or ""), gate)
    for words in found:
        print(f"agentgate: {given.stored} does not stand for {given.tree}: {visible(words)}", file=sys.stderr)
    if not found:
        print(f"{given.stored} accepts the tree of {given.tree}")
    return NOT_ABOUT if found else 0


def hook(given: argparse.Namespace, gate: Gate) -> int:
    """`agentgate hook EVENT --target AGENT`: always 0, the answer is in the JSON."""
    if given.event == "print-config":
        sys.stdout.write(config(given.target))
        return 0
    said = answer(given.event, sys.stdin.buffer.read(LARGEST_EVENT + 1), gate)
    sys.stdout.write(said.text)
    if said.words:
        print(f"agentgate: {said.words}", file=sys.stderr)
    return 0
