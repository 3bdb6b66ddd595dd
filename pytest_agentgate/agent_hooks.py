"""Before an agent says that it is done: the hooks of coding agents, in their own protocol.

Claude Code and Codex start a command, write JSON to its standard input and read JSON from its standard output. A stop is blocked by
``{"decision": "block", "reason": ...}`` with exit code 0 (exit code 1 blocks nothing). An error of ours never traps the agent.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec

from pytest_agentgate.cache import digest
from pytest_agentgate.errors import GateError, SourceError
from pytest_agentgate.feedback import CHARACTERS_PER_TOKEN, feedback
from pytest_agentgate.git import open_checkout
from pytest_agentgate.layout import matches
from pytest_agentgate.model import Report
from pytest_agentgate.pipeline import Gate, judge
from pytest_agentgate.read_policy import parse_policy, policy_text
from pytest_agentgate.resolve import Source
from pytest_agentgate.store import open_store
from pytest_agentgate.text import shorten, visible
from pytest_agentgate.workspace import cache_root, open_workspace

BLOCKS = 3
"""Stops of one session that are blocked in a row; then the agent is let go, and told so."""
LONGEST = 2000
"""Characters of feedback."""
ALWAYS = (".git/", ".claude/settings*.json", ".codex/hooks.json", ".codex/config.toml")
"""Paths that no agent edits: with them it could switch the gate off."""
PATCHED = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$|^\*\*\* Move to: (.+)$", re.MULTILINE)
TARGETS = {"claude-code": ".claude/settings.json", "codex": ".codex/hooks.json"}
MATCHERS = {"claude-code": "Edit|Write|MultiEdit|NotebookEdit", "codex": "apply_patch|Edit|Write"}


class Event(msgspec.Struct, frozen=True):
    """What an agent tells its hook; other keys are ignored."""

    session_id: str = ""
    cwd: str = ""
    hook_event_name: str = ""
    tool_name: str = ""
    tool_input: object = None


@dataclass(frozen=True)
class Answer:
    """What is written back: a value as JSON, and words for the log."""

    value: Mapping[str, object] | None = None
    words: str = ""

    @property
    def text(self) -> str:
        """Standard output."""
        return msgspec.json.encode(self.value).decode() + "\n" if self.value else ""


def let_go(words: str) -> Answer:
    """The agent goes on; the user sees why."""
    return Answer({"systemMessage": shorten(f"agentgate: {words}", LONGEST)}, words)


def block(reason: str) -> Answer:
    """The agent has to go on working."""
    return Answer({"decision": "block", "reason": shorten(reason, LONGEST)})


def deny(reason: str) -> Answer:
    """A tool is not used."""
    inner = {"hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": shorten(reason, LONGEST)}
    return Answer({"hookSpecificOutput": inner})


def answer(event: str, data: bytes, gate: Gate) -> Answer:
    """The answer to one event (`stop`, `pre-tool`, `post-edit`). Never raises: what we cannot do is said, and blocks nothing."""
    try:
        told = msgspec.json.decode(data or b"{}", type=Event)
        if told.cwd and os.path.isdir(told.cwd) and gate.directory == ".":
            gate = replace(gate, directory=told.cwd)
        return ANSWERS[event](told, gate)
    except GateError as error:
        return let_go(f"could not judge: {error}")
    except Exception as error:  # a bug of ours must not trap the agent
        return let_go(f"a bug in agentgate ({type(error).__name__}: {error}); nothing was judged")


def _stop(told: Event, gate: Gate) -> Answer:
    count = _Counter(gate, told.session_id)
    try:
        report = judge(Source(), gate)
    except SourceError as error:
        count.reset()
        return Answer(words=str(error))
    if report.verdict.decision != "rejected":
        count.reset()
        words = f"undecided: {'; '.join(visible(r) for r in report.verdict.reasons)}"
        return Answer() if report.verdict.decision == "accepted" else let_go(words)
    if count.value >= BLOCKS:
        count.reset()
        return let_go(f"still rejected after {BLOCKS} rounds; the agent is let go, and a human has to look\n{_feedback(report)}")
    count.increase()
    return block(_feedback(report))


def _post_edit(told: Event, gate: Gate) -> Answer:
    """Only what is quick, and only what concerns the edited files."""
    try:
        report = judge(Source(base_is_head=True), replace(gate, fast=True))
    except SourceError:
        return Answer()
    edited = set(_paths(told, open_checkout(gate.processes, gate.directory).top))
    mine = any(f.counts and f.effect == "reject" and (f.path in edited or not edited) for e in report.evidence for f in e.findings)
    return block(_feedback(report)) if mine else Answer()


def _pre_tool(told: Event, gate: Gate) -> Answer:
    checkout = open_checkout(gate.processes, gate.directory)
    forbidden = (*ALWAYS, *_forbidden(gate))
    for path in _paths(told, checkout.top):
        if matches(path, forbidden):
            return deny(f"agentgate: {visible(path)} is protected; leave it as it is, and say so where the task needs it changed")
    return Answer()


def _forbidden(gate: Gate) -> tuple[str, ...]:
    """The policy's `forbid` at HEAD: the law of the base, not of the agent's working tree."""
    checkout = open_checkout(gate.processes, gate.directory)
    commit = checkout.commit("HEAD")
    if commit is None:
        return ()
    with open_workspace(checkout, gate.cache_folder, use_cache=False) as place:
        store = open_store(checkout, os.path.join(place.run, "store.git"))
        return parse_policy(policy_text(store, store.tree_of(commit)), "pyproject.toml").forbid


def _paths(told: Event, top: str) -> Iterator[str]:
    """Files that a tool is about to edit, relative to the repository; by their names, and by where links lead."""
    given = told.tool_input if isinstance(told.tool_input, dict) else {}
    names = [v for k, v in given.items() if k in ("file_path", "notebook_path", "path") and isinstance(v, str)]
    for text in (v for v in given.values() if isinstance(v, str)):
        names += [a or b for a, b in PATCHED.findall(text)]
    folder = told.cwd or top
    for name in names:
        full = os.path.normpath(os.path.join(folder, name.strip()))
        for place in dict.fromkeys((full, os.path.realpath(full))):
            relative = os.path.relpath(place, os.path.realpath(top) if place != full else top)
            if not relative.startswith(".."):
                yield relative


def _feedback(report: Report) -> str:
    return feedback(report, LONGEST // CHARACTERS_PER_TOKEN)


class _Counter:
    """How often a session was blocked in a row; kept outside the repository."""

    def __init__(self, gate: Gate, session: str) -> None:
        top = open_checkout(gate.processes, gate.directory).top
        folder = os.path.join(cache_root(gate.cache_folder), "hooks")
        self.path = os.path.join(folder, digest("hook", top, session)[:24])

    @property
    def value(self) -> int:
        try:
            with open(self.path, encoding="ascii") as stream:
                return int(stream.read())
        except (OSError, ValueError):
            return 0

    def increase(self) -> None:
        count = self.value + 1
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, "w", encoding="ascii") as stream:
            stream.write(str(count))

    def reset(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.path)


ANSWERS: Mapping[str, Callable[[Event, Gate], Answer]] = {"stop": _stop, "post-edit": _post_edit, "pre-tool": _pre_tool}


def config(target: str) -> str:
    """The snippet for the agent's own configuration; nothing is changed."""

    def run(event: str, timeout: int) -> list[dict[str, object]]:
        return [{"type": "command", "command": f"agentgate hook {event} --target {target}", "timeout": timeout}]

    edits = MATCHERS[target]
    hooks = {
        "PreToolUse": [{"matcher": edits, "hooks": run("pre-tool", 30)}],
        "PostToolUse": [{"matcher": edits, "hooks": run("post-edit", 120)}],
        "Stop": [{"hooks": run("stop", 1800)}],
    }
    return msgspec.json.format(msgspec.json.encode({"hooks": hooks}), indent=2).decode() + "\n"
