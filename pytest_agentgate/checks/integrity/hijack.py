"""Files that take over the judges: hooks that change results, modules in the place of tools, code that runs at start-up. Pure."""

from __future__ import annotations

import ast
import posixpath
import re
import sys
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.hijack_rules import RULES
from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.takeover import elsewhere, set_up, starters
from pytest_agentgate.checks.integrity.view import Pair, View, is_plugin
from pytest_agentgate.layout import source_roots

TOOLS = frozenset(
    {"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "mypy", "mypyc", "ruff", "coverage", "xdist", "execnet", "hypothesis",
     "tomllib", "tomli", "typing_extensions", "pytest_cov", "pytest_asyncio", "anyio", "pip", "setuptools", "pkg_resources", "agentgate", "pytest_agentgate"}
)  # fmt: skip
OPENS = re.compile(rb'"runOn"\s*:\s*"folderOpen"')
NO_HOOKS = re.compile(r"core\.hooksPath[\s=\"',]+(/dev/null|/tmp|nul\b|[\"']{2})", re.IGNORECASE)
PATHS = re.compile(rb"pythonpath|sys\s*\.\s*path\b|syspath", re.IGNORECASE)
STARTUP = frozenset({"sitecustomize.py", "usercustomize.py"})
RESULT_HOOKS = frozenset(
    {"pytest_runtest_makereport", "pytest_sessionfinish", "pytest_pyfunc_call", "pytest_cmdline_main", "pytest_runtest_protocol",
     "pytest_runtestloop", "pytest_report_teststatus", "pytest_runtest_call", "pytest_runtest_logreport", "pytest_report_to_serializable",
     "pytest_report_from_serializable", "pytest_make_collect_report", "pytest_collection", "pytest_keyboard_interrupt", "pytest_unconfigure",
     "pytest_assertrepr_compare", "pytest_fixture_setup", "pytest_assertion_pass", "pytest_load_initial_conftests", "pytest_cmdline_parse"}
)  # fmt: skip
SELECT_HOOKS = frozenset({"pytest_collection_modifyitems", "pytest_ignore_collect", "pytest_pycollect_makeitem", "pytest_generate_tests",
                          "pytest_collect_file", "pytest_pycollect_makemodule", "pytest_itemcollected", "pytest_deselected", "pytest_collection_finish"})  # fmt: skip
OUTCOMES = frozenset(
    {"outcome", "longrepr", "excinfo", "exitstatus", "wasxfail", "testsfailed", "result", "_result", "_excinfo", "when"}
)

FORGERS = frozenset({"force_result", "force_exception", "_exit", "exit", "skip", "xfail", "__setattr__", "from_item_and_call"})


def find(view: View) -> Iterator[Hit]:
    """Everything in the change that takes a judge's place."""
    yield from _places(view)
    yield from elsewhere(view)
    yield from starters(view)
    for pair in view.python("test", "product", "config", "other"):
        if pair.new is not None and pair.new.tree is not None:
            for hit in _hooks(pair, view):
                mine = pair.kind == "product" and hit.rule == "integrity/result-hook" and is_plugin(view)
                yield Hit(hit.rule, hit.message, hit.path, hit.line, hit.text, "hold") if mine else hit
            yield from set_up(pair, view)


def _places(view: View) -> Iterator[Hit]:
    base, head = view.entries["base"], view.entries["head"]
    product = {*source_roots(base, head, view.policy), ""}
    roots = product | {posixpath.dirname(p) for p in head if posixpath.basename(p) == "conftest.py"}
    own = {p.partition("/")[0].removesuffix(".py") for p in base} | {
        p.partition("/")[2].partition("/")[0].removesuffix(".py") for p in base if p.startswith("src/")
    }
    for pair in view.pairs:
        for number, line in pair.added() if pair.new and b"hooksPath" in pair.new.data and pair.kind != "test" else ():
            if NO_HOOKS.search(line) and not pair.path.endswith((".md", ".rst", ".py")):
                yield Hit("integrity/pipeline-weakened", "git's hooks are switched off", pair.path, number, line.strip(), "hold")
        if pair.path.endswith(".vscode/tasks.json") and OPENS.search(pair.new.data if pair.new else b""):
            if not OPENS.search(pair.old.data if pair.old else b""):
                words = "a command runs whenever somebody opens the folder in an editor"
                yield Hit("integrity/start-up-code", words, pair.path, effect="hold")
        if pair.new is None or pair.change.status not in ("added", "renamed"):
            continue
        folder, name = posixpath.split(pair.path)
        if name in STARTUP or name.endswith(".pth"):
            aside = bool(folder) and folder not in roots
            words = f"{name} runs whenever Python starts{' with this folder on its path' if aside else ''}"
            yield Hit("integrity/start-up-code", words, pair.path, effect="hold" if aside else None)
            continue
        yield from (
            h for h in _shadows(view, pair, folder, name, roots, own) if folder in product or not _is_no_place(view, folder)
        )
        yield from _twins(view, pair, folder, name)


def _is_no_place(view: View, folder: str) -> bool:
    """Whether a folder is a package of tests on both sides, which pytest puts on no path, and nothing else does so by name."""
    base, head = view.entries["base"], view.entries["head"]
    if f"{folder}/__init__.py" not in base or f"{folder}/__init__.py" not in head:
        return False
    for side, entries in view.entries.items():
        paths = [p for p in entries if posixpath.basename(p) == "conftest.py" or view.kind(p) == "config"]
        if any(PATHS.search(data) for data in view.read(side, paths).values()):
            return False
    return True


def _has_place(view: View, parent: str, module: str) -> bool:
    """Whether the base has the package there, or the folder above it is a package itself, so that it is on no path."""
    base, head = (view.entries[side] for side in ("base", "head"))
    return any(p.startswith(f"{parent}/{module}/") for p in base) or f"{parent}/__init__.py" in head


def _shadows(view: View, pair: Pair, folder: str, name: str, roots: set[str], own: set[str]) -> Iterator[Hit]:
    package = name == "__init__.py"
    module = posixpath.basename(folder) if package else name.partition(".")[0]
    parent = posixpath.dirname(folder) if package else folder
    if package and parent and parent in roots and module in own and not _has_place(view, parent, module):
        yield Hit(
            "integrity/shadowed-module", f"a second {module} that the tests in {parent}/ import first", pair.path, effect="hold"
        )
    if not name.endswith((".py", ".pyd", ".so")) or parent not in roots or module in own:
        return
    if module in TOOLS or (module in sys.stdlib_module_names and module not in ("test", "this", "antigravity")):
        kind = "a tool of the judges" if module in TOOLS else "a module of the standard library"
        yield Hit("integrity/shadowed-module", f"{module} would be imported instead of {kind}", pair.path)


def _twins(view: View, pair: Pair, folder: str, name: str) -> Iterator[Hit]:
    """A package beside a module of its name, a stub beside its module."""
    head = view.entries["head"]
    if name == "__init__.py" and folder and f"{folder}.py" in head:
        yield Hit("integrity/shadowed-module", f"the package {folder}/ is imported instead of {folder}.py", pair.path)
    stem = pair.path.rpartition(".")[0].partition(".cpython")[0].partition(".abi3")[0]
    if name.endswith((".so", ".pyd")) and f"{stem}.py" in head:
        yield Hit("integrity/shadowed-module", f"compiled code is imported instead of {stem}.py", pair.path)
    if name.endswith(".pyi") and f"{pair.path[:-1]}" in head:
        base = view.entries["base"]
        usual = pair.path[:-1] not in base and any(p.endswith(".pyi") and p[:-1] in base for p in base)  # as its other modules
        words = f"mypy reads this stub and no longer {posixpath.basename(pair.path)[:-1]}"
        yield Hit("integrity/stub-twin", words, pair.path, 1, effect="note" if usual else None)


def _hooks(pair: Pair, view: View) -> Iterator[Hit]:
    if pair.new is None or not re.search(rb"pytest_|collect_ignore|load_tests", pair.new.data):
        return
    old = _dumps(pair)
    for node in pair.new.nodes if pair.new else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in RESULT_HOOKS | SELECT_HOOKS:
            if old.get(node.name) != ast.dump(node):
                yield from _hook(node, pair)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and old.get(node.name) != ast.dump(node):
            yield from _other_function(node, pair)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            yield from _assignment(node, pair, view)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and pair.change.touches(node.lineno):
            if isinstance(node.func.value, ast.Name) and node.func.value.id in ("collect_ignore", "collect_ignore_glob"):
                words = "files are taken out of collection"
                yield Hit("integrity/selection-hook", words, pair.path, node.lineno, _line(pair, node.lineno))


def _other_function(node: ast.FunctionDef | ast.AsyncFunctionDef, pair: Pair) -> Iterator[Hit]:
    """A hook under another name (``specname``), or unittest's own way to choose what a module's tests are."""
    named = [k.value for d in node.decorator_list if isinstance(d, ast.Call) for k in d.keywords if k.arg == "specname"]
    hook = next((k.value for k in named if isinstance(k, ast.Constant) and isinstance(k.value, str)), "")
    if named and (not hook or hook in RESULT_HOOKS | SELECT_HOOKS):
        words = f"{node.name} stands for {hook or 'a computed hook'}"
        yield Hit("integrity/result-hook", words, pair.path, node.lineno, _line(pair, node.lineno))
    if node.name == "load_tests" and pair.kind == "test":
        words = "load_tests chooses what unittest runs"
        yield Hit("integrity/selection-hook", words, pair.path, node.lineno, _line(pair, node.lineno))


def _dumps(pair: Pair) -> dict[str, str]:
    tree = pair.old.tree if pair.old else None
    return {n.name: ast.dump(n) for n in walk([tree]) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)} if tree else {}


def _is_own_help(value: ast.expr, view: View) -> bool:
    """Whether plugins are named as texts, and each is pytest's own `pytester` or a file of the project's tests, which is judged as such."""
    names = [value] if isinstance(value, ast.Constant) else value.elts if isinstance(value, ast.List | ast.Tuple) else []
    texts = [n.value for n in names if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    files = [[f"{t.replace('.', '/')}{end}" for end in (".py", "/__init__.py")] for t in texts if t != "pytester"]
    known = all(any(p in view.entries["head"] and view.kind(p) == "test" for p in places) for places in files)
    return bool(texts) and len(texts) == len(names) and known


def _assignment(node: ast.Assign | ast.AnnAssign | ast.AugAssign, pair: Pair, view: View) -> Iterator[Hit]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = {t.id for t in targets if isinstance(t, ast.Name)}
    if not pair.change.touches(node.lineno) or node.value is None:
        return
    if names & {"collect_ignore", "collect_ignore_glob"}:
        yield Hit("integrity/selection-hook", "files are taken out of collection", pair.path, node.lineno, _line(pair, node.lineno))
    if "pytest_plugins" in names:
        yield Hit(
            "integrity/plugin-loaded",
            "further plugins are loaded into the runner",
            pair.path,
            node.lineno,
            _line(pair, node.lineno),
            "note" if _is_own_help(node.value, view) else None,
        )


def _line(pair: Pair, number: int) -> str:
    return pair.new.line(number) if pair.new else ""


def _hook(node: ast.FunctionDef | ast.AsyncFunctionDef, pair: Pair) -> Iterator[Hit]:
    """Judge a new or edited hook by what it does: storing, sorting and reporting are harmless."""
    place = (pair.path, node.lineno, _line(pair, node.lineno))
    if node.name in SELECT_HOOKS:
        if removal := _drops_items(node):
            yield Hit("integrity/selection-hook", f"{node.name} {removal}", *place)
        return
    if forged := _forges(node):
        yield Hit("integrity/result-hook", f"{node.name} {forged}", *place)


def _forges(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    harmless = _guarded_exit(node)
    for part in walk([node]):
        if isinstance(part, ast.Assign | ast.AugAssign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr in OUTCOMES and part not in harmless:
                    return f"sets .{target.attr}"
        if isinstance(part, ast.Call):
            name = part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
            if name in FORGERS or (name == "setattr" and len(part.args) > 1 and not _harmless_name(part.args[1])):
                return f"calls {name}"
        if isinstance(part, ast.Delete | ast.Global):
            return "changes what is not its own"
    returns = [r for r in walk([node]) if isinstance(r, ast.Return) and r.value is not None and not _is_none(r.value)]
    yields = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in walk([node]))
    if returns and not yields and node.name in {"pytest_pyfunc_call", "pytest_cmdline_main", "pytest_runtest_protocol", "pytest_runtestloop",
                                                "pytest_runtest_makereport", "pytest_report_teststatus", "pytest_collection",
                                                "pytest_make_collect_report", "pytest_report_from_serializable"}:  # fmt: skip
        return "answers in pytest's place"
    catches = [n for n in walk([node]) if isinstance(n, ast.ExceptHandler)]
    if yields and catches and not any(isinstance(n, ast.Raise) for c in catches for n in walk([c])):
        return "swallows the test's exception"
    return ""


def _harmless_name(node: ast.expr) -> bool:
    """A name that is none of an outcome's, or that begins with a constant, as in ``"rep_" + report.when``."""
    start = (
        node.left if isinstance(node, ast.BinOp) else node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node
    )
    text = start.value if isinstance(start, ast.Constant) else None
    return (
        isinstance(text, str)
        and bool(text)
        and (start is not node or text not in OUTCOMES)
        and not (start is not node and text.startswith("_"))
    )


def _guarded_exit(node: ast.AST) -> set[ast.AST]:
    """Assignments that only turn "no tests collected" (5) into success, as sharded runs do."""
    found: set[ast.AST] = set()
    for part in walk([node]):
        if (
            isinstance(part, ast.If)
            and isinstance(part.test, ast.Compare)
            and len(part.test.ops) == 1
            and isinstance(part.test.ops[0], ast.Eq)
        ):
            right = part.test.comparators[0]
            five = (isinstance(right, ast.Constant) and right.value == 5) or ast.unparse(right).endswith("NO_TESTS_COLLECTED")
            if five:
                found |= {n for n in part.body if isinstance(n, ast.Assign)}
    return found


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _drops_items(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    if node.name == "pytest_ignore_collect":
        return "takes files out of collection"
    if node.name == "pytest_generate_tests":
        return ""
    for part in walk([node]):
        if isinstance(part, ast.Assign):
            for target in part.targets:
                if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice) and not _keeps_all(part.value):
                    return "leaves tests out"
        if isinstance(part, ast.Call):
            name = part.func.attr if isinstance(part.func, ast.Attribute) else ""
            if name in ("clear", "remove", "pop", "__delitem__", "__setitem__"):
                return "leaves tests out"
            if name == "add_marker" and any(w in ast.unparse(node) for w in ("skip", "xfail")):
                return "marks tests as skipped or expected to fail"
        if isinstance(part, ast.Delete):
            return "leaves tests out"
    returns = any(isinstance(n, ast.Return) and n.value is not None for n in walk([node]))
    return "decides what is a test" if returns and node.name.startswith("pytest_pycollect") else ""


def _keeps_all(value: ast.expr) -> bool:
    """``sorted(items)``, ``reversed(items)``, ``list(items)``, ``a + b``: another order of the same tests."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in ("sorted", "reversed", "list"):
        return bool(value.args) and (isinstance(value.args[0], ast.Name) or _keeps_all(value.args[0]))
    return isinstance(value, ast.Name) or (
        isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice) and value.slice.step is not None
    )


SET = RuleSet(RULES, find, frozenset({"integrity/pipeline-weakened"}))
