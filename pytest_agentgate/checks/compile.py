"""Does every changed Python file compile, under the project's interpreter? A barrier: nothing else is worth a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pytest_agentgate.decode import from_json
from pytest_agentgate.errors import ToolError
from pytest_agentgate.interpreter import own_program
from pytest_agentgate.layout import is_test
from pytest_agentgate.model import Evidence, Finding
from pytest_agentgate.protocols import Context
from pytest_agentgate.text import command
from pytest_agentgate.tool_pages import COMPILE

SCRIPT = """
import sys, json, warnings
warnings.simplefilter("ignore")
sys.setrecursionlimit(5000)
for path, text in json.load(sys.stdin):
    row = {"path": path, "message": None, "line": None, "column": None}
    try:
        compile(text.encode("latin-1"), path, "exec", dont_inherit=True)
    except SyntaxError as e:
        row.update(message="%s: %s" % (type(e).__name__, e.msg), line=e.lineno, column=e.offset)
    except (ValueError, RecursionError, MemoryError, OverflowError, LookupError) as e:
        row.update(message="%s: %s" % (type(e).__name__, e))
    print(json.dumps(row), flush=True)
"""


NEWEST = "py315"
"""The newest Python whose syntax ruff knows; one that does not know it changes nothing."""


class _Row(msgspec.Struct):
    path: str
    message: str | None
    line: int | None
    column: int | None


class Compile:
    """The `compile` check."""

    name, barrier, fast = "compile", True, True
    rules, pages = {r.id: f"{r.title}." for r in COMPILE}, COMPILE

    def depends_on(self, context: Context) -> Sequence[object] | None:
        """The changed files and the interpreter."""
        return [(f.path, f.new.oid if f.new else "") for f in context.change.files] + [
            context.change.base_tree,
            context.interpreter.fingerprint,
        ]

    def examine(self, context: Context) -> Evidence:
        """Compile each changed file; one that does not compile at the base either is not the patch's fault."""
        changed = [f for f in context.change.files if f.new and f.path.endswith(".py") and not f.odd]
        contents = context.trees.read_many("head", [f.path for f in changed])
        if not contents:
            return Evidence(check=self.name, status="skipped", leave=True, reason="the change touches no Python file")
        failing = [row for row in _compile(contents, context) if row.message]
        before = {f.path: f.old_path or f.path for f in changed}
        old = context.trees.read_many("base", [before[r.path] for r in failing])
        broken = {row.path for row in _compile(old, context) if row.message} if old else set()
        newer = {r.path for r in failing if before[r.path] not in broken and _is_newer(contents[r.path], context)}
        findings = [_finding(row, context, before[row.path] in broken, row.path in newer) for row in failing]
        return Evidence.of(
            self.name, tuple(f for f in findings if f), len(contents), tool_version=f"Python {context.interpreter.version}"
        )


def _is_newer(data: bytes, context: Context) -> bool:
    """Whether a newer Python reads what the project's interpreter cannot, by the gate's own ruff: it is the version that ruff minds."""
    ruff = own_program("ruff")
    here = "py" + "".join(context.interpreter.version.split(".")[:2])

    def reads(target: str) -> bool | None:
        flags = ("--isolated", "--no-cache", "--select", "E9", "--target-version", target, "--output-format", "json", "-")
        done = context.run_tool([ruff, "check", *flags], cwd="/", stdin=data, timeout=30)
        return done.stdout.strip() == b"[]" if done.returncode in (0, 1) else None

    return bool(ruff) and reads(NEWEST) is True and reads(here) is False


def _finding(row: _Row, context: Context, broken_before: bool, newer: bool) -> Finding | None:
    fixture = is_test(row.path, context.policy) and not row.path.rpartition("/")[2].startswith(("test", "conftest"))
    effect = context.effect("compile/error", row.path, "note" if fixture else "hold" if newer else "reject")
    if effect is None:
        return None
    words = f"; it is valid for a newer Python than {context.interpreter.version}, and was not judged"
    return Finding(
        rule="compile/error",
        message=f"{row.message}{words if newer else ''}",
        effect=effect,
        advice="Give the gate an interpreter that can read it: `--python PATH`." if newer else "",
        path=row.path,
        line=row.line,
        column=row.column,
        baseline_state="unchanged" if broken_before else "new",
        command=command(context.interpreter.executable, "-m", "py_compile", row.path),
    )


def _compile(contents: Mapping[str, bytes], context: Context) -> list[_Row]:
    """One row a file; raises `ToolError` unless every file was answered for."""
    request = msgspec.json.encode([(path, data.decode("latin-1")) for path, data in contents.items()])
    done = context.run_tool([context.interpreter.executable, "-I", "-S", "-B", "-c", SCRIPT], cwd="/", stdin=request, timeout=60)
    rows = [from_json(line, _Row) for line in done.stdout.splitlines() if line.startswith(b"{")]
    if {r.path for r in rows} != set(contents):
        missing = sorted(set(contents) - {r.path for r in rows})
        raise ToolError(
            f"the interpreter ended with {done.returncode} while compiling {missing[0]}",
            hint=f"try: {context.interpreter.executable} -m py_compile {missing[0]}",
        )
    return rows
