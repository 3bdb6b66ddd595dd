"""Runs a test that a reviewer wrote, on the head and on the base, several times, in the sandbox."""

from __future__ import annotations

import ast
import os
import secrets
from collections.abc import Callable, Sequence

import msgspec

from pytest_agentgate.checks.tests.classify import HEAD_O
from pytest_agentgate.checks.tests.records import Result, Run
from pytest_agentgate.checks.tests.session import Ask, Sessions
from pytest_agentgate.errors import ToolError
from pytest_agentgate.layout import is_test
from pytest_agentgate.model import Proof, Reproduced
from pytest_agentgate.protocols import Context
from pytest_agentgate.syntax import parse

TIMEOUT = 30.0
"""Seconds for one run of one test."""

HEAD = """\
def _agentgate_trace():
    import sys, threading
    files, seen = {files!r}, {{}}

    def wanted(name):
        return next((f for f in files if name == f or name.endswith("/" + f)), "")

    def line(frame, event, arg):
        if event == "line":
            seen[wanted(frame.f_code.co_filename), frame.f_lineno] = 1
        return line

    def call(frame, event, arg):
        return line if wanted(frame.f_code.co_filename) else None

    threading.settrace(call)
    sys.settrace(call)
    return seen


_agentgate_seen = _agentgate_trace()
"""
TAIL = """

import pytest as _agentgate_pytest


@_agentgate_pytest.fixture(autouse=True)
def _agentgate_reach():
    import sys

    yield
    getattr(sys.modules["__main__"], {teller!r})({token!r}, list(_agentgate_seen)[:2000])
"""
"""Put around a reviewer's test: which lines of the changed files ran, from its imports on. Advice, not judgement: judged code could
forge it."""


def _traced(source: str, files: Sequence[str], teller: str, token: str) -> str:
    """The test with the tracer before everything but its docstring and its ``from __future__`` imports."""
    lines = source.splitlines()
    at = 0
    for node in parse(source).body:
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not text and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        at = node.end_lineno or at
    head = HEAD.format(files=list(files)).splitlines()
    return "\n".join([*lines[:at], *head, *lines[at:]]) + "\n" + TAIL.format(teller=teller, token=token)


def prover(context: Context) -> Callable[[str, int], Reproduced]:
    """A function that runs a test module (its text, and how often) on the patch's code and on the base's."""
    files = [f.path for f in context.change.files if f.path.endswith(".py") and not is_test(f.path, context.policy)]
    folder = _folder(context)

    def prove(source: str, runs: int) -> Reproduced:
        try:
            sessions = Sessions(context)
        except ToolError as error:
            return Reproduced(head=(Proof(outcome="broken", message=str(error)),))
        return Reproduced(
            head=tuple(_once(sessions, HEAD_O, source, files, folder) for _ in range(runs)),
            base=tuple(_once(sessions, "base", source, files, folder) for _ in range(runs)),
        )

    return prove


def _folder(context: Context) -> str:
    """Where a new test module belongs: beside the test modules that lie highest."""
    entries = context.trees.entries("base")
    tests = [p for p in entries if is_test(p, context.policy) and os.path.basename(p).startswith("test") and p.endswith(".py")]
    return os.path.dirname(min(tests, key=lambda p: (p.count("/"), p))) if tests else ""


def _once(sessions: Sessions, role: str, source: str, files: Sequence[str], folder: str) -> Proof:
    token, teller = secrets.token_hex(8), f"_{secrets.token_hex(8)}"
    name = os.path.join(folder, f"test_agentgate_{token}.py")
    try:
        text = _traced(source, files, teller, token)
    except SyntaxError as error:
        return Proof(outcome="missing", message=str(error))
    try:
        run = sessions.run(Ask(role, (name,), overlay={name: text.encode("utf-8", "replace")}, teller=teller, timeout=TIMEOUT))
    except ToolError as error:
        return Proof(outcome="broken", message=str(error).splitlines()[0][:300])
    return _proof(run, token, files)


def _proof(run: Run, token: str, files: Sequence[str]) -> Proof:
    if run.errors:
        last = [line.strip() for line in next(iter(run.errors.values())).splitlines() if line.strip()][-1:]
        return Proof(outcome="missing", message=last[0][:300] if last else "")
    results = list(run.results.values())
    if not results:
        return Proof(outcome="missing", message="it holds no test that runs")
    worst: Result = next((r for r in results if r.outcome in ("error", "failed")), results[0])
    path = worst.path.replace(os.sep, "/")
    return Proof(
        outcome=worst.outcome,
        message=worst.message[:300],
        path=next((f for f in files if path == f or path.endswith(f"/{f}")), ""),
        line=worst.line or 0,
        reached=tuple(_reached(run.told.get(token, []))),
    )


def _reached(told: Sequence[str]) -> list[tuple[str, int]]:
    """What the fixture told, in the probe's form ``["list", [["tuple", [["str", path], ["int", number]]], ...]]``."""
    found: list[tuple[str, int]] = []
    for text in told:
        try:
            for _, pair in msgspec.json.decode(text)[1]:
                found.append((str(pair[0][1]), int(pair[1][1])))
        except (msgspec.MsgspecError, ValueError, TypeError, IndexError, KeyError):
            return []
    return found
