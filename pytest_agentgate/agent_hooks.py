"""Before an agent says that it is done: the hooks of coding agents, in their own protocol.

Claude Code and Codex start a command, write JSON to its standard input and read JSON from its standard output. A stop is blocked by
``{"decision": "block", "reason": ...}`` with exit code 0 (exit code 1 blocks nothing). An error of ours never traps the agent.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from pytest_agentgate.agent_events import LARGEST_EVENT, Event, paths, places, read_event
from pytest_agentgate.bases import find_base
from pytest_agentgate.cache import digest
from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import GateError, NothingToJudge, PolicyError, SourceError
from pytest_agentgate.feedback import CHARACTERS_PER_TOKEN, feedback
from pytest_agentgate.git import Checkout, open_checkout
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
MOST_HELD = 5
"""Held findings that the user is told."""
ALWAYS = ("**/.git", "**/.git/**", "**/.claude/settings*.json", "**/.codex/hooks.json", "**/.codex/config.toml")
"""Paths that no agent edits: with them it could switch the gate off."""
MATCHERS = {"claude-code": "Edit|Write|MultiEdit|NotebookEdit", "codex": "apply_patch|Edit|Write"}


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
    words = visible(words, keep="\n")
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
        try:
            if len(data) > LARGEST_EVENT:
                raise RecursionError(f"more than {LARGEST_EVENT:,} bytes")
            told = read_event(data)
        except RecursionError as error:  # an edit of such a size or depth must not go past its protection
            words = f"the event is too large to be looked at ({error})"
            return deny(f"agentgate: {words}") if event == "pre-tool" else let_go(f"{words}; nothing was judged")
        except (ValueError, TypeError) as error:
            return let_go(f"what came on standard input is no event of a hook ({error}); nothing was judged")
        place = gate.environment.get("CLAUDE_PROJECT_DIR", "") or told.cwd  # an agent can change its folder, not its project
        if place and os.path.isdir(place) and gate.directory == ".":
            gate = replace(gate, directory=place)
        return ANSWERS[event](told, gate)
    except GateError as error:
        return let_go(f"could not judge: {error}")
    except Exception as error:  # a bug of ours must not trap the agent
        from pytest_agentgate.bugs import bug  # lazy: only a broken run needs it

        return let_go(f"{bug(error)}; nothing was judged")


def _stop(told: Event, gate: Gate) -> Answer:
    session = _Session(open_checkout(gate.processes, gate.directory), gate, told.session_id)
    report = _judged(gate, session.state.began)
    if report is None:
        session.blocked(0)
        return Answer()
    if report.verdict.decision != "rejected":
        session.blocked(0)
        words = "\n".join(("undecided: " + "; ".join(visible(r) for r in report.verdict.reasons), *_held(report)))
        return Answer() if report.verdict.decision == "accepted" else let_go(words)
    blocked = session.state.blocked + 1
    if blocked > BLOCKS or (not session.blocked(blocked) and told.stop_hook_active):
        session.blocked(0)
        return let_go(
            f"still rejected after {BLOCKS} rounds, or as many as could be counted; the agent is let go, and a human has to look\n{_feedback(report)}"
        )
    return block(_feedback(report))


def _held(report: Report) -> list[str]:
    """What a human has to allow, a line each."""
    held = [f for e in report.evidence for f in e.findings if f.counts and f.effect == "hold"]
    lines = [f"{f.node_id or f.path or '-'}{f':{f.line}' if f.line and not f.node_id else ''}: {f.rule}: {f.message}" for f in held]
    return [shorten(visible(line), 240) for line in lines[:MOST_HELD]] + (
        [f"and {len(lines) - MOST_HELD} more; `agentgate explain last` goes through them"] if len(lines) > MOST_HELD else []
    )


def _judged(gate: Gate, began: str) -> Report | None:
    """The report of what the session did; None where it did nothing. On a branch without a base, since the commit it began at."""
    unknown: SourceError | None = None
    mine = began and _is_own(open_checkout(gate.processes, gate.directory), began, gate)
    sources = (Source(base=began),) if mine else (Source(), Source(base=began)) if began else (Source(),)
    for source in sources:
        try:
            return judge(source, gate)
        except NothingToJudge:
            unknown = None
        except SourceError as error:  # no base can be found: the session's own beginning is one
            unknown = error
    if unknown is not None:
        raise unknown
    return None


def _is_own(checkout: Checkout, began: str, gate: Gate) -> bool:
    """Whether the base that would be found is a commit of this session: what the agent committed has to be judged as well."""
    with contextlib.suppress(SourceError):
        base = find_base(checkout, checkout.commit("HEAD") or began, gate.environment)[0]
        return base != began and checkout.merge_base(began, base) == began
    return False


def _post_edit(told: Event, gate: Gate) -> Answer:
    """Only what is quick, and only what concerns the edited files."""
    checkout = open_checkout(gate.processes, gate.directory)
    _Session(checkout, gate, told.session_id)
    try:
        report = judge(Source(base_is_head=True), replace(gate, fast=True))
    except NothingToJudge:
        return Answer()
    edited = set(paths(told, checkout.top))
    mine = any(f.counts and f.effect == "reject" and (f.path in edited or not edited) for e in report.evidence for f in e.findings)
    return block(_feedback(report)) if mine else Answer()


def _pre_tool(told: Event, gate: Gate) -> Answer:
    checkout = open_checkout(gate.processes, gate.directory)
    session = _Session(checkout, gate, told.session_id)
    home = os.path.expanduser("~")
    mine = [os.path.join(home, ".claude"), os.path.join(home, ".codex"), cache_root(gate.cache_folder), checkout.common_dir]
    for full in places(told, checkout.top):
        if any(full == m or full.startswith(m + os.sep) for m in mine):
            return deny(f"agentgate: {visible(full)} is protected")
    edited = list(paths(told, checkout.top))
    path = next((p for p in edited if matches(p, ALWAYS)), "")  # before any policy: one that cannot be read opens nothing
    if not path and edited:
        forbidden = _forbidden(checkout, gate, session.state.began)
        path = next((p for p in edited if matches(p, forbidden)), "")
    words = f"agentgate: {visible(path)} is protected; leave it as it is, and say so where the task needs it changed"
    return deny(words) if path else Answer()


def _forbidden(checkout: Checkout, gate: Gate, began: str) -> tuple[str, ...]:
    """What the policies forbid of the base and of the commit that the session began at: HEAD can be the agent's own."""
    head = checkout.commit("HEAD")
    if head is None:
        return ()
    base = began or head
    with contextlib.suppress(SourceError):
        base = find_base(checkout, head, gate.environment)[0]
    with open_workspace(checkout, gate.cache_folder, use_cache=False) as place:
        store = open_store(checkout, os.path.join(place.run, "store.git"))
        found = parse_policy(policy_text(store, store.tree_of(began or head)), "pyproject.toml").forbid
        with contextlib.suppress(PolicyError):  # a later commit, perhaps the agent's
            found += parse_policy(policy_text(store, store.tree_of(base)), "pyproject.toml").forbid
        return found


def _feedback(report: Report) -> str:
    return feedback(report, LONGEST // CHARACTERS_PER_TOKEN)


class _State(msgspec.Struct):
    """What is known of a session of an agent."""

    began: str = ""
    blocked: int = 0


class _Session:
    """What is known of a session: how often it was blocked in a row, and the commit that it began at. Kept outside the repository."""

    def __init__(self, checkout: Checkout, gate: Gate, name: str) -> None:
        self.path = os.path.join(cache_root(gate.cache_folder), "hooks", digest("hook", checkout.top, name)[:24])
        try:
            with open(self.path, "rb") as stream:
                self.state = from_json(stream.read(), _State)
        except (OSError, msgspec.MsgspecError):
            self.state = _State(began=checkout.commit("HEAD") or "")
            self._write()

    def blocked(self, times: int) -> bool:
        """Remember how often in a row; whether that could be remembered."""
        if times == self.state.blocked:
            return True
        self.state.blocked = times
        return self._write()

    def _write(self) -> bool:
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            with open(self.path, "wb") as stream:
                stream.write(msgspec.json.encode(self.state))
        except OSError:
            return False
        return True


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
