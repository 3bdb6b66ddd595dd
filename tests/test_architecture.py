"""The floors of the house: imports go down only, one module a job, small modules and functions, nothing lazy but the three doors."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "pytest_agentgate"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "injected" not in p.parts)

FLOORS = [
    {"", "errors", "model"},
    {
        "process",
        "git",
        "store",
        "sandbox",
        "diff",
        "baseline",
        "cache",
        "slots",
        "layout",
        "generated",
        "effects",
        "interpreter",
        "suppressions",
        "syntax",
        "decode",
        "tables",
        "text",
        "bases",
        "leash",
        "quick",
        "notes",
        "index",
        "who",
        "secrets",
        "rulebook",
        "bugs",
        "tool_pages",
        "agent_events",
    },
    {"resolve", "read_policy", "base_tests", "named_like_tests", "trees", "protocols", "workspace"},
    {"checks", "review", "reporters", "decide", "feedback"},
    {"hookspecs", "builtin", "plugins"},
    {"examine", "consult", "pipeline"},
    {"demo", "last", "live", "hooks", "doctor", "review_doors", "stored", "agent_hooks", "propose"},
    {"options", "commands", "review_commands", "report_commands", "info_commands", "cli", "pytest_plugin"},
]
LAZY = {
    "quick.py": {"pytest_agentgate.cli"},
    "reporters/terminal.py": {"rich"},
    "checks/mypy/run.py": {"importlib.metadata"},
    "checks/integrity/pipelines.py": {"yaml"},
    "review/client.py": {"anthropic"},
    "review_doors.py": {"ctypes"},
    "review_commands.py": {"rich"},
    "index.py": {"http.client", "urllib"},
    "propose.py": {"yaml", "packaging"},
    "info_commands.py": {"shtab"},
    "cli.py": {"pytest_agentgate.bugs"},
    "examine.py": {"pytest_agentgate.bugs"},
    "agent_hooks.py": {"pytest_agentgate.bugs"},
    "checks/tests/blind.py": {"pytest"},
    "checks/integrity/versions.py": {"packaging"},
}
"""Imports inside functions: rich where colour is wanted, and the gate's own mypy where the project has none."""
DOORS = {
    "cli",
    "commands",
    "info_commands",
    "review_commands",
    "report_commands",
    "demo",
    "live",
    "pytest_plugin",
    "checks/compile",
    "leash",
}


def name_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE).with_suffix("")
    return "/".join(p for p in relative.parts if p != "__init__")


def floor_of(name: str) -> int:
    return next(i for i, floor in enumerate(FLOORS) if name.split("/", 1)[0] in floor)


@functools.cache
def imports(path: Path) -> list[tuple[str, int, bool]]:
    """Imported modules, with the line and whether the import stands inside a function."""
    tree = ast.parse(path.read_text())
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(a.name, node.lineno, id(node) in inside) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append((node.module or "", node.lineno, id(node) in inside))
    return found


def test_imports_go_down_only():
    for path in MODULES:
        _imports_go_down_only(path)


def _imports_go_down_only(path: Path) -> None:
    mine = name_of(path)
    for module, line, _ in imports(path):
        if not module.startswith("pytest_agentgate"):
            continue
        other = module.removeprefix("pytest_agentgate").strip(".").replace(".", "/")
        if (mine, other) == ("quick", "cli"):
            continue  # the quick door opens the whole one, and only where it has no answer
        assert floor_of(other) <= floor_of(mine), f"{mine}:{line} imports {other} from a higher floor"
        if mine.startswith("checks/") and other.startswith("checks/"):
            assert mine.split("/")[1] == other.split("/")[1], f"{mine}:{line}: checks never import each other"


def test_there_are_no_cycles():
    graph = {
        name_of(p): {
            m.removeprefix("pytest_agentgate").strip(".").replace(".", "/")
            for m, _, _ in imports(p)
            if m.startswith("pytest_agentgate.")
        }
        for p in MODULES
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name in done:
            return
        for other in graph.get(name, set()) - ({"cli"} if name == "quick" else set()):
            visit(other, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


def test_source_is_parsed_and_types_are_learned_in_one_place():
    """Elsewhere, threads that parse at once would trip over each other."""
    for path in MODULES:
        if name_of(path) != "syntax":
            assert not re.search(r"\bast\.parse\(", path.read_text()), f"{path}: use pytest_agentgate.syntax"
        if name_of(path) != "decode":
            assert not re.search(r"decode\(.*type=|\.convert\(|\bDecoder\(", path.read_text()), (
                f"{path}: use pytest_agentgate.decode"
            )


def test_modules_and_functions_are_small():
    for path in MODULES:
        _modules_and_functions_are_small(path)


def _modules_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300, path
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, f"{path.name}:{node.lineno} {node.name}"


def test_one_module_a_job():
    for path in MODULES:
        _one_module_a_job(path)


def _one_module_a_job(path: Path) -> None:
    mine = name_of(path)
    relative = str(path.relative_to(PACKAGE))
    for module, line, lazy in imports(path):
        top = module.split(".", 1)[0]
        if top == "subprocess":
            assert mine in ("process", "pytest_plugin"), f"{mine}:{line}: processes are started in process.py alone"
        if top in ("anthropic", "httpx2"):
            assert mine == "review/client", f"{mine}:{line}: the SDK is imported in review/client.py alone"
            assert lazy, f"{mine}:{line}: the SDK costs more than a second to import"
        if lazy:
            assert top in {n.split(".", 1)[0] for n in LAZY.get(relative, set())} | (
                {"warnings"} if mine == "plugins" else set()
            ), f"{mine}:{line}: import inside a function"
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert mine in DOORS, f"{mine}:{node.lineno}: print belongs to the doors"
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            ours = [n for n in ast.walk(node) if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("pytest_agentgate")]
            assert not ours, f"{mine}: no TYPE_CHECKING imports of our own names"


def test_every_public_name_has_a_docstring():
    for path in MODULES:
        _every_public_name_has_a_docstring(path)


def _every_public_name_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), path
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_pure_modules_touch_no_world():
    for name in ("decide", "feedback", "baseline", "diff", "layout", "effects", "suppressions", "text"):
        tops = {m.split(".")[0] for m, _, _ in imports(PACKAGE / f"{name}.py")}
        assert tops.isdisjoint(
            {"subprocess", "socket", "shutil", "tempfile", "urllib", "io"} - ({"io"} if name == "suppressions" else set())
        )
        assert "pytest_agentgate.git" not in {m for m, _, _ in imports(PACKAGE / f"{name}.py")}


def test_the_probe_needs_nothing_of_ours_and_old_python_can_read_it():
    probe = PACKAGE / "checks/tests/injected/agentgate_probe.py"
    ast.parse(probe.read_text(), feature_version=(3, 9))
    tops = {m.split(".")[0] for m, _, _ in imports(probe)}
    assert tops <= {*sys.stdlib_module_names, "pytest", "_pytest"}


def test_a_run_that_is_not_accepted_imports_no_sdk():
    script = "import sys; from pytest_agentgate.cli import main\ntry: main(['check', '--repo', '/'])\nexcept SystemExit: pass\nprint('anthropic' in sys.modules)"
    out = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("False")


def test_the_command_starts_without_what_only_some_runs_need():
    heavy = {
        "anthropic",
        "httpx2",
        "pydantic",
        "yaml",
        "urllib.request",
        "http.client",
        "ssl",
        "email.parser",
        "playwright",
        "pytest",
    }
    script = f"import sys, pytest_agentgate.cli; print(sorted(set(sys.modules) & {heavy}))"
    out = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
