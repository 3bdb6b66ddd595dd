"""What each subcommand of `agentgate` does: call the pipe, print, and return its exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec

from pytest_agentgate import info_commands, report_commands, review_commands
from pytest_agentgate.demo import run_demo
from pytest_agentgate.errors import Interrupted, UsageError
from pytest_agentgate.git import open_checkout
from pytest_agentgate.hooks import commit_source, push_sources
from pytest_agentgate.last import keep
from pytest_agentgate.live import Live, ended_with
from pytest_agentgate.model import Change, Evidence, Report
from pytest_agentgate.notes import Places, note, now
from pytest_agentgate.options import settle
from pytest_agentgate.pipeline import Gate, judge, laid_out
from pytest_agentgate.process import Processes
from pytest_agentgate.reporters.terminal import TerminalReporter
from pytest_agentgate.resolve import Source
from pytest_agentgate.review_doors import review_options, save_repros

Values = Mapping[str, object]


def check(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate check`."""
    values = settle(vars(given), environment)
    return _judge(source_of(values), values, given, environment)


def pre_commit(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate pre-commit`: the index, or the last commit where nothing is staged."""
    values = settle(vars(given), environment)
    source = commit_source(open_checkout(Processes(), str(values["repo"] or ".")), environment)
    return _judge(source, {**values, "fast": True}, given, environment)


def pre_push(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate pre-push`: each ref that is about to be pushed."""
    values = settle(vars(given), environment)
    stdin = "" if "PRE_COMMIT" in environment or sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
    sources = push_sources(open_checkout(Processes(), str(values["repo"] or ".")), environment, stdin)
    if not sources:
        print("agentgate: nothing new is pushed")
        return 0
    return review_commands.worst([_judge(source, values, given, environment) for source in sources])


def source_of(values: Values) -> Source:
    """What the flags name; raises `UsageError` where they contradict each other."""
    for name in ("base", "head", "patch"):
        if values.get(name) == "":
            raise UsageError(f"--{name} is empty", hint="a variable that was not set?")
    heads = [name for name in ("head", "patch", "staged", "working_tree") if values.get(name)]
    if len(heads) > 1:
        raise UsageError(f"--{heads[0]} and --{heads[1].replace('_', '-')} name two heads", hint="give one of them")
    base = str(values.get("base") or "")
    match heads:
        case ["head"]:
            return Source("commit", base, head=str(values["head"]))
        case ["patch"]:
            return Source("patch", base, patch=_read_patch(str(values["patch"])))
        case ["staged"]:
            return Source("staged", base)
    return Source("working-tree", base)


def _read_patch(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        with open(name, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise UsageError(f"cannot read the patch {name}: {error.strerror}") from error


def _judge(source: Source, values: Values, given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    reports = _report_targets(values)
    to_stdout = [name for name, file in reports if not file]
    color = sys.stdout.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    quiet = given.quiet > 0 or bool(to_stdout)
    live = Live(sys.stderr if to_stdout else sys.stdout, color=color, quiet=quiet)
    events = getattr(given, "events", None)
    gate = _gate(values, environment, live, events)
    began, seen = now(), [Places("", (), (), ())]
    gate = replace(gate, on_places=lambda places: seen.__setitem__(0, places))
    for name, _ in reports:
        if name not in gate.plugins.reporters():
            raise UsageError(f"--report knows no format {name!r}", hint=f"formats: {', '.join(sorted(gate.plugins.reporters()))}")
    for _, file in reports:
        folder = os.path.dirname(os.path.abspath(file))
        if file and not (os.path.isdir(folder) and os.access(file if os.path.exists(file) else folder, os.W_OK)):
            raise UsageError(f"--report cannot write {file}", hint=f"is {folder} a folder that you may write to?")
    try:
        with ended_with(gate.processes):
            report = judge(source, gate)
    except (KeyboardInterrupt, Interrupted):
        live.done()
        known = ", ".join(f"{e.check} {e.status}" for e in live.known) or "nothing"
        raise Interrupted(f"interrupted; known so far: {known}") from None
    finally:
        live.done()
    last = keep(report, seen[0].top, gate.cache_folder) if seen[0].top else ""
    if not to_stdout:
        verbosity = given.verbose - given.quiet
        sys.stdout.write(TerminalReporter(color=color, verbosity=verbosity, checks_shown=True).render(report))
        again = TerminalReporter(color=color, verbosity=verbosity).render(report)
        if seen[0].top and given.command == "check" and not values.get("no_cache") and not reports:
            note(sys.argv[1:], began, seen[0], report, report.verdict.exit_code, again, last)
    _write_reports(report, reports, gate)
    _event(events, {"report": msgspec.to_builtins(report)})
    if values.get("save_repros"):
        for path in save_repros(report, str(values["save_repros"])):
            print(f"agentgate: a failing test is in {path}", file=sys.stderr)
    return report.verdict.exit_code


def _gate(values: Values, environment: Mapping[str, str], live: Live, events: int | None) -> Gate:
    def plan(change: Change, names: Sequence[str]) -> None:
        live.plan(change, names)
        _event(events, {"plan": list(names)})

    def evidence(found: Evidence) -> None:
        live.evidence(found)
        _event(events, {"evidence": msgspec.to_builtins(found)})

    def text(name: str) -> str:
        return str(values.get(name) or "")

    approvals = values.get("approve") or []
    return Gate(
        directory=text("repo") or ".",
        python=text("python"),
        task=text("task"),
        approvals=tuple(str(a) for a in approvals) if isinstance(approvals, list) else (),
        fast=bool(values.get("fast")),
        fail_fast=bool(values.get("fail_fast")),
        sandbox=text("sandbox"),
        index=text("index"),
        use_cache=not values.get("no_cache"),
        cache_folder=text("cache_dir"),
        environment=environment,
        review=review_options(values, environment),
        on_plan=plan,
        on_progress=live.progress,
        on_evidence=evidence,
    )


def _event(events: int | None, value: object) -> None:
    """One line on the pipe of the pytest door."""
    if events is not None:
        data = msgspec.json.encode(value) + b"\n"
        while data:
            data = data[os.write(events, data) :]


def _report_targets(values: Values) -> list[tuple[str, str]]:
    wanted = values.get("report") or []
    pairs = [str(item).partition("=") for item in wanted] if isinstance(wanted, list) else []
    return [(name, file) for name, _, file in pairs]


def _write_reports(report: Report, targets: Sequence[tuple[str, str]], gate: Gate) -> None:
    """Write each report. One that cannot be written is named on standard error and changes no exit code."""
    reporters = gate.plugins.reporters()
    for name, file in targets:
        try:
            text = reporters[name].render(report)
            if file:
                if os.path.islink(file) and not file.startswith("/dev/"):
                    raise UsageError(f"{file} is a symbolic link", hint="a patch can make one: name a file outside of the checkout")
                mode = "a" if getattr(reporters[name], "appends", False) else "w"
                with open(file, mode, encoding="utf-8", errors="backslashreplace") as stream:
                    stream.write(text)
            else:
                report_commands.write_out(text, plain=name == "terminal")
        except Exception as error:  # a reporter's bug is named and must not change the verdict
            print(f"agentgate: the report {name} could not be written: {error}", file=sys.stderr)


def review(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate review REPORT`."""
    values = settle({**vars(given), "review": True}, environment)
    live = Live(color=False, quiet=given.quiet > 0)
    gate = _gate(values, environment, live, None)
    reports = _report_targets(values)
    patch = _read_patch(str(values["patch"])) if values.get("patch") else b""
    color = sys.stdout.isatty() and not environment.get("NO_COLOR")
    desk = review_commands.Desk(values, given, gate, patch, lambda report: _write_reports(report, reports, gate), color)
    with ended_with(gate.processes):
        return review_commands.review(desk)


def with_gate(command: Callable[[argparse.Namespace, Gate], int]) -> Callable[[argparse.Namespace, Mapping[str, str]], int]:
    """A command that works with a quiet gate of the caller's options."""

    def run(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
        gate = _gate(settle(vars(given), environment), environment, Live(quiet=True), None)
        with ended_with(gate.processes):
            return command(given, gate)

    return run


def tree(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate tree DIR`: nothing that exists is written over."""
    values = settle(vars(given), environment)
    folder = os.path.realpath(given.folder)
    gate = _gate(values, environment, Live(quiet=True), None)
    top = os.path.realpath(open_checkout(gate.processes, gate.directory).top)
    if os.path.lexists(given.folder) or folder.startswith(top + os.sep):
        why = "exists" if os.path.lexists(given.folder) else "lies in the checkout"
        raise UsageError(f"{given.folder} {why}", hint="name a new folder outside the checkout")
    with ended_with(gate.processes), laid_out(given.of, source_of(values), gate) as placed:
        try:
            shutil.copytree(placed.path, folder, symlinks=True)
        except OSError as error:
            raise UsageError(f"cannot write {given.folder}: {error.strerror or error}") from error
    print(f"{given.folder} holds {given.of} of the change")
    return 0


def demo(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """`agentgate demo`."""
    python = str(settle(vars(given), environment)["python"] or "")
    return run_demo(given.keep, environment, python=python, verbosity=given.verbose - given.quiet)


COMMANDS: Mapping[str, Callable[[argparse.Namespace, Mapping[str, str]], int]] = {
    "check": check,
    "pre-commit": pre_commit,
    "pre-push": pre_push,
    "review": review,
    "show": report_commands.show,
    "diff": report_commands.diff,
    "verify": with_gate(report_commands.verify),
    "tree": tree,
    "hook": with_gate(report_commands.hook),
    "policy": info_commands.policy,
    "who": info_commands.who,
    "init": info_commands.init,
    "explain": info_commands.explain,
    "completion": info_commands.completion,
    "doctor": info_commands.doctor,
    "schema": info_commands.print_schema,
    "cache": info_commands.cache,
    "demo": demo,
}
