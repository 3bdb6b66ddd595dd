"""Any command-line tool as a check, from the policy alone (``[[tool.agentgate.command]]``)."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlparse

import msgspec

from pytest_agentgate.baseline import Lines, introduced
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model import Command, Evidence, Finding
from pytest_agentgate.process import Completed
from pytest_agentgate.protocols import Context, Tree
from pytest_agentgate.text import command

ROLE = "head+base-config"


class CommandCheck:
    """One tool of the policy. It runs in the sandbox, on the head and, where it found something, on the base."""

    barrier, fast = False, False

    def __init__(self, command: Command) -> None:
        self.command, self.name = command, command.name
        self.rules: Mapping[str, str] = {f"{command.name}/*": f"What `{' '.join(command.argv)}` reports."}

    def depends_on(self, context: Context) -> Sequence[object] | None:
        """Never cached: what a foreign tool depends on is not known."""
        return None

    def examine(self, context: Context) -> Evidence:
        """Run the tool; only what the base has not counts."""
        with context.trees.place(ROLE) as tree:
            version = self._version(tree, context)
            head = self._run(tree, context)
        base: list[Finding] = []
        if head:
            with context.trees.place("base") as tree:
                base = self._run(tree, context)
        paths = sorted({f.path for f in (*head, *base) if f.path})
        found = introduced(
            head, base, context.change, Lines(context.trees.read_many(ROLE, paths)), Lines(context.trees.read_many("base", paths))
        )
        return Evidence.of(
            self.name, found, len(context.trees.entries(ROLE)), tool_version=version, sandbox=context.trees.sandbox.kind
        )

    def _argv(self, argv: Sequence[str], context: Context) -> list[str]:
        return [a.replace("{python}", context.interpreter.executable) for a in argv]

    def _version(self, tree: Tree, context: Context) -> str:
        if not self.command.version:
            return ""
        done = tree.run(self._argv(self.command.version, context))
        return done.stdout.decode("utf-8", "replace").strip().splitlines()[0] if done.stdout.strip() else ""

    def _run(self, tree: Tree, context: Context) -> list[Finding]:
        path = os.pathsep.join([os.path.dirname(context.interpreter.executable), os.environ.get("PATH", os.defpath)])
        argv = self._argv(self.command.argv, context)
        done = tree.run(argv, env={"PATH": path}, visible=_home_of(argv[0], path))
        if done.timed_out or done.flooded or (done.truncated and self.command.format != "exit-code"):
            why = "took longer than limits.timeout" if done.timed_out else "wrote more than limits.output_bytes"
            raise ToolError(f"{self.name} {why}", hint=f"try: {' '.join(self.command.argv)}")
        number = -done.returncode if done.returncode < 0 else done.returncode - 128
        if number > 0:
            name = next((s.name for s in signal.Signals if s == number), str(number))
            raise ToolError(f"{self.name} was ended by the signal {name}: {done.error}", hint=f"try: {command(*self.command.argv)}")
        if done.returncode in (126, 127):
            raise ToolError(
                f"{self.name} could not run (exit code {done.returncode}): {done.error}",
                hint=f"is {self.command.argv[0]} installed?",
            )
        try:
            rows = self._rows(done, tree)
            found = [f for row in rows if (f := self._finding(row, context))]
        except (ValueError, KeyError, TypeError, AttributeError, msgspec.MsgspecError) as error:
            raise ToolError(
                f"{self.name} wrote no {self.command.format} that can be read: {error}",
                hint=f"exit code {done.returncode}: {done.error[:200]}",
            ) from error
        if not rows and done.returncode != 0:
            row = {"rule": "exit-code", "message": f"ended with {done.returncode}", "text": done.error}
            found = [f for f in (self._finding(row, context),) if f]
        return found

    def _rows(self, done: Completed, tree: Tree) -> list[dict[str, Any]]:
        if self.command.format == "exit-code":
            return []
        if self.command.format == "json-lines":
            rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
            if any(not isinstance(row, dict) for row in rows):
                raise TypeError("each line has to be an object")
            return rows
        if not isinstance(log := json.loads(done.stdout), dict):
            raise TypeError("it has to be an object")
        return [row for run in log["runs"] for row in (_sarif(r, tree) for r in run["results"])]

    def _finding(self, row: Mapping[str, Any], context: Context) -> Finding | None:
        name = str(row.get("rule") or row.get("code") or "finding")
        rule = name if name.startswith(f"{self.name}/") else f"{self.name}/{name}"
        path = row.get("path") or row.get("filename") or row.get("file")
        effect = context.effect(rule, path, self.command.effect)
        if effect is None:
            return None
        return Finding(
            rule=rule,
            message=str(row["message"]),
            effect=effect,
            path=path,
            line=row.get("line"),
            text=str(row.get("text", ""))[:600],
            command=command(*self.command.argv),
        )


def _home_of(program: str, path: str) -> tuple[str, ...]:
    """Folders that a program needs to see of itself: its own, and its virtual environment where it lives in one."""
    found = shutil.which(program, path=path)
    if found is None:
        return ()
    folders = [os.path.dirname(found), os.path.dirname(os.path.realpath(found))]
    prefixes = [os.path.dirname(f) for f in folders if os.path.exists(os.path.join(os.path.dirname(f), "pyvenv.cfg"))]
    homes = []
    for prefix in prefixes:
        with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8") as stream:
            homes += [os.path.dirname(row.partition("=")[2].strip()) for row in stream if row.startswith("home")]
    return tuple(dict.fromkeys([*folders, *prefixes, *(h for h in homes if h not in ("", "/", "/usr"))]))


def _sarif(result: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    """One result of a SARIF log (OASIS SARIF 2.1.0 section 3.27) in our words."""
    row: dict[str, Any] = {"rule": result.get("ruleId"), "message": result["message"]["text"]}
    for location in result.get("locations", [])[:1]:
        physical = location["physicalLocation"]
        uri = unquote(urlparse(physical["artifactLocation"]["uri"]).path)
        row["path"] = os.path.relpath(uri, tree.inside()) if os.path.isabs(uri) else uri
        row["line"] = physical.get("region", {}).get("startLine")
    return row
