"""The capability diff: what product code newly reaches for that touches its judges rather than its problem. Pure.

Counted by rule, primitive and function over all changed product files, head minus base, so that moved and edited code stays
silent (TAMPER mechanism M11: it flags 31 of 32 measured attacks, at about 1 % of 3,569 honest product commits).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_agentgate.checks.integrity.capability_rules import RULES
from pytest_agentgate.checks.integrity.capability_table import (
    ASIDE,
    ASKED,
    ATTRIBUTES,
    COMPILED,
    GENERIC_WORD,
    HARNESS,
    MAYBE,
    PATCHED,
    PROBES,
    PROCESS_FILE,
    RUNNER_WORD,
    TEST_FILE,
)
from pytest_agentgate.checks.integrity.doubts import exit_words, handed_on, is_written, weaker
from pytest_agentgate.checks.integrity.lookups import (
    PAYLOADS,
    detaches,
    from_table,
    getter,
    has_prefix,
    imports_by_name,
    is_own_module,
    is_payload,
    is_waited_for,
    looked_up,
    reads_signature,
    starts_a_thread,
)
from pytest_agentgate.checks.integrity.names import Names, header, walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.truth import constantly_equal
from pytest_agentgate.checks.integrity.use import Use, fresh_uses
from pytest_agentgate.checks.integrity.view import Pair, Source, View, is_plugin


def find(view: View) -> Iterator[Hit]:
    """Every capability that the head uses more often than the base, function by function."""
    pairs = [p for p in view.python("product") if not p.path.endswith(".pyi")]
    found = [(p, u) for p in pairs for u in uses(p.new, p.telling(1))]
    if not found:
        return
    plugin = is_plugin(view)
    for pair, use in fresh_uses(found, [(p, u) for p in pairs for u in uses(p.old, p.telling(0))], MOVES):
        if use.rule == "import-time-exit" and pair.path.endswith("__main__.py"):
            continue
        hit = _hit(pair, use)
        if effect := weaker(use.rule, use.primitive, hit.text, view, pair):
            hit = replace(hit, effect=effect)
        if use.primitive.startswith("importlib.import_module") and imports_by_name(pair, use, uses(pair.old)):
            hit = replace(hit, message=f"{hit.message}, as elsewhere in the file", effect="note")
        if use.rule in MAY_BE_HONEST and ASIDE.match(pair.path) and not _is_imported(view, pair.path):
            hit = replace(hit, effect="note")
        if plugin and use.rule in ("harness-in-product", "harness-internals", "test-probe", "skip-raise"):
            hit = replace(hit, message=f"{hit.message} (the project is a pytest plugin)", effect="hold")
        yield hit


EXPRESSIONS = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
TEXTS = (ast.Constant, ast.BinOp, ast.JoinedStr)
ASKING = (ast.stmt, ast.comprehension, ast.IfExp)
HANDLED = (*EXPRESSIONS, *TEXTS, ast.AnnAssign, ast.Import, ast.ImportFrom, ast.Raise, ast.ClassDef)
"""Nodes in which a use can be; nothing is asked of the others."""
MOVES = frozenset({"dynamic-code", "dynamic-access", "process-control", "native-access"})
"""Rules that let a line move to another function."""
MAY_BE_HONEST = frozenset(r.id.partition("/")[2] for r in RULES if r.effect == "hold")


def _is_imported(view: View, path: str) -> bool:
    """Whether the folder is a package: then its code is not beside the product, but in it."""
    return path.partition("/")[0] in view.packages


def _hit(pair: Pair, use: Use) -> Hit:
    text = pair.new.line(use.line) if pair.new else ""
    place = f" in {use.function}" if use.function else " at import"
    return Hit(f"integrity/{use.rule}", f"{use.primitive}: new{place}", pair.path, use.line, text)


def uses(source: Source | None, nodes: Sequence[ast.AST] | None = None) -> Iterator[Use]:
    """Every use of a capability in one file (or in some `nodes` of it), each statement's once."""
    if source is None or source.tree is None or not MAYBE.search(source.data):
        return
    names, nodes = source.names, source.nodes if nodes is None else nodes
    docstrings = {id(n.value) for n in nodes if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    seen: set[tuple[str, str, int]] = set()
    asks = names.asks and any(RUNNER_WORD.search(t) for n in nodes if isinstance(n, TEXTS) and (t := names.text(n)))
    handled = (*HANDLED, *ASKING) if asks else HANDLED
    for node in nodes:
        if not isinstance(node, handled):
            continue
        if id(node) in docstrings or (
            isinstance(node, ast.Name) and node.id not in names.aliases and _means_itself(node.id, names)
        ):
            continue
        for rule, primitive in _of_node(node, names):
            line = getattr(node, "lineno", 1)
            if (rule, primitive, line) not in seen:
                seen.add((rule, primitive, line))
                yield Use(rule, primitive, names.function_of(node), line)


def _means_itself(name: str, names: Names) -> bool:
    """Whether a name that was not imported is nothing to look at."""
    return not names.stars and name not in ("exec", "eval", "compile")


def _of_node(node: ast.AST, names: Names) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from _imported(node)
    elif isinstance(node, EXPRESSIONS):
        yield from _expression(node, names)
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield from _assigned(node, names)
    elif isinstance(node, TEXTS):
        yield from _text(node, names)
    elif isinstance(node, ast.Raise) and names.at_import(node) and node.exc is not None and "SystemExit" in ast.unparse(node.exc):
        call = node.exc if isinstance(node.exc, ast.Call) else None
        yield "import-time-exit", exit_words(call, "raise SystemExit")
    if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call):
        if any(k.arg == "compare" and isinstance(k.value, ast.Constant) and k.value.value is False for k in node.value.keywords):
            yield "always-equal", f"compare=False for {ast.unparse(node.target)}"
    if isinstance(node, ast.ClassDef):
        for method in constantly_equal(node, names):
            yield "always-equal", f"{node.name}.{method}"
    elif names.asks and isinstance(node, ASKING):
        yield from _asks_for_the_runner(node, names)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""] if not node.level else []
    for module in modules:
        if HARNESS.fullmatch(module):
            yield (
                ("harness-internals" if module.startswith(("_pytest", "pluggy", "xdist")) else "harness-in-product"),
                f"import {module}",
            )
        if COMPILED["native-access"].fullmatch(module):
            yield "native-access", f"import {module}"
    if isinstance(node, ast.ImportFrom) and not node.level:
        for alias in node.names:
            yield from _dotted(f"{node.module}.{alias.name}")


def _expression(node: ast.expr, names: Names) -> Iterator[tuple[str, str]]:
    dotted = names.dotted(node)
    if dotted == "sys.modules" and is_own_module(node, names):
        return
    if dotted == "sys.modules" and (sought := looked_up(node, names)):
        yield "module-table", f"looks up {sought}"
        return
    if dotted and not (isinstance(node, ast.Name) and dotted == node.id and node.id not in ("exec", "eval", "compile")):
        yield from _dotted(dotted)
        if HARNESS.fullmatch(dotted) and isinstance(node, ast.Call | ast.Subscript):
            yield "harness-internals", dotted
    if isinstance(node, ast.Attribute) and node.attr == "__class__":
        yield from _stands_in(names.dotted(node.value))
    if isinstance(node, ast.Attribute) and not reads_signature(node, names):
        for rule, attributes in ATTRIBUTES.items():
            if node.attr in attributes:
                yield rule, f".{node.attr}"
    if isinstance(node, ast.Call):
        yield from _call(node, names)


def _dotted(dotted: str) -> Iterator[tuple[str, str]]:
    for rule, pattern in COMPILED.items():
        if pattern.fullmatch(dotted) and dotted != "sys.modules":
            yield rule, dotted
    if dotted == "sys.modules":
        yield "module-table", dotted


STOOD_IN_FOR = re.compile(r"sys\.(stdout|stderr|stdin)|(time|random|uuid)\.\w+|datetime\.(datetime|date)(\.\w+)?")
"""What tests replace: captured streams, frozen clocks."""
STARTS_PROCESS = re.compile(r"subprocess\.\w+|asyncio\.(subprocess\.)?create_subprocess_\w+")
REACHES = ("getattr", "setattr", "delattr", "builtins.getattr", "builtins.setattr", "vars")
"""Calls that take an object and the name of an attribute."""


def _call(node: ast.Call, names: Names) -> Iterator[tuple[str, str]]:
    function = names.dotted(node.func)
    tail = function.rpartition(".")[2] or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    if (function in REACHES or tail == "getattr_static") and node.args:
        target = names.dotted(node.args[0])
        key = names.text(node.args[1]) if len(node.args) > 1 else None
        if target in ("sys", "os", "builtins", "gc", "inspect", "__builtins__") and key is None and tail != "vars":
            yield "dynamic-access", f"{tail}({target}, ...)"
        if tail in ("setattr", "delattr") and PATCHED.match(f"{target}."):
            yield "harness-patched", f"{tail}({target})"
        for rule, attributes in ATTRIBUTES.items():
            if key in attributes:
                yield rule, f".{key}"
    if function == "type" and len(node.args) == 1 and not isinstance(node.args[0], ast.Call):
        yield from _stands_in(names.dotted(node.args[0]))
    if tail in ("attrgetter", "methodcaller") and node.args:
        yield from getter(node, tail, names)
    if (
        function in ("__import__", "importlib.import_module", "pkgutil.resolve_name")
        and node.args
        and names.text(node.args[0]) is None
        and not has_prefix(node.args[0])
        and not from_table(node.args[0], names)
    ):
        yield "dynamic-code", f"{function} of a computed name"
    if PAYLOADS.fullmatch(function) and any(is_payload(n, names) for n in walk(node.args)):
        yield "dynamic-code", f"{function} of a constant"
    if STARTS_PROCESS.fullmatch(function) and detaches(node):
        yield "process-control", "a process that leaves its group"
    if names.at_import(node):
        yield from _called_at_import(node, function, tail, names)
    if tail == "open" or tail in ("read_text", "read_bytes", "glob", "rglob", "walk", "listdir", "scandir"):
        yield from _reads(node, names)


def _stands_in(asked: str) -> Iterator[tuple[str, str]]:
    if STOOD_IN_FOR.fullmatch(asked):
        yield "test-probe", f"may ask what stands in the place of {asked}"


def _called_at_import(node: ast.Call, function: str, tail: str, names: Names) -> Iterator[tuple[str, str]]:
    if function in ("sys.exit", "exit", "quit", "os._exit", "os.abort", "builtins.exit"):
        yield "import-time-exit", exit_words(node, function) if function.endswith("exit") and "._" not in function else function
    if function == "subprocess.Popen" and not is_waited_for(node, names):
        yield "process-control", "a process is started and not waited for"
    if tail in ("start", "start_new_thread", "submit") and starts_a_thread(node, names):
        yield "import-time-thread", ast.unparse(node.func)[:60]


def _reads(node: ast.Call, names: Names) -> Iterator[tuple[str, str]]:
    for part in walk([node]):
        if isinstance(part, ast.Name) and part.id == "__file__" and node.args and part in walk([node.args[0]]):
            if isinstance(node.args[0], ast.Name):
                yield "self-read", "open(__file__)"
        text = names.text(part) if isinstance(part, TEXTS) else None
        if text and TEST_FILE.search(text):
            yield "reads-tests", f"reads {text[:60]!r}"


def _text(node: ast.expr, names: Names) -> Iterator[tuple[str, str]]:
    text = names.text(node)
    if not text:
        return
    if PROBES.search(text) and not is_written(node, names):
        yield "test-probe", repr(text[:60])
    if PROCESS_FILE.match(text):
        yield "native-access", repr(text[:60])
    if text == "_pytest" or text.startswith("_pytest."):
        yield "harness-internals", repr(text[:60])


def _assigned(target: ast.Attribute | ast.Subscript, names: Names) -> Iterator[tuple[str, str]]:
    """Something in a place, by whatever statement: an assignment, a loop, a ``with``."""
    dotted = names.dotted(target)
    if PATCHED.match(dotted):
        yield "harness-patched", f"assigns {dotted}"
    elif isinstance(target, ast.Attribute) and target.attr == "__class__":
        yield "class-swap", "assigns __class__"
    elif isinstance(target, ast.Attribute) and target.attr in ("__code__", "__defaults__", "__kwdefaults__"):
        yield "code-object", f"assigns {target.attr}"
    elif isinstance(target, ast.Attribute) and re.fullmatch(r"(sys|threading)\.\w*hook", dotted):
        yield "trace-hook", f"assigns {dotted}"


def _asks_for_the_runner(node: ast.AST, names: Names) -> Iterator[tuple[str, str]]:
    """A statement that holds the runner's name against what is loaded, called or in the environment."""
    parts = list(header(node))
    words = [t for p in parts if isinstance(p, TEXTS) and (t := names.text(p))]
    if not any(RUNNER_WORD.search(w) for w in words):
        return
    for part in parts:
        if (
            isinstance(part, ast.Name | ast.Attribute | ast.Call)
            and names.dotted(part).startswith(ASKED)
            and not handed_on(part, names)
        ):
            word = next(w for w in words if RUNNER_WORD.search(w))
            generic = all(GENERIC_WORD.fullmatch(w) for w in words if RUNNER_WORD.search(w))
            yield "test-probe", f"{'may ask' if generic else 'asks'} {names.dotted(part)} for {word[:40]!r}"
            return


SET = RuleSet(RULES, find)
