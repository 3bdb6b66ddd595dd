"""New tests that make what they compare with: by the function under test itself, or where nothing is there yet. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.testfiles import Function, assertions, functions_of, tail
from pytest_agentgate.checks.integrity.view import Pair, Source, View

WRITES = frozenset({"write_text", "write_bytes", "write", "dump", "copy", "copyfile"})
READS = frozenset({"read_text", "read_bytes", "open", "load", "loads", "read"})
EXISTS = frozenset({"exists", "is_file", "isfile"})


def find(view: View, pairs: Sequence[Pair]) -> Iterator[Hit]:
    """In the changed files of the tests: functions that write what they then compare with, and expected values of the function's own making."""
    for pair in pairs:
        if pair.new is None or pair.new.tree is None:
            continue
        before, after = functions_of(pair.old), functions_of(pair.new)
        made = _made(pair.new, pairs, view)
        for name, function in after.items():
            if name in before and ast.dump(before[name].node) == ast.dump(function.node):
                continue
            line = function.node.lineno
            if _writes_first(function.node):
                words = f"{name} writes what it compares with where that is missing: there it cannot fail"
                yield Hit("integrity/test-cannot-fail", words, pair.path, line, pair.new.line(line), "hold")
            elif made and (value := _repeats(function.node, made, pair.new)):
                words = f"{name} expects {value}, which the function that it asks has made itself"
                yield Hit("integrity/test-cannot-fail", words, pair.path, line, pair.new.line(line), "hold")


def _writes_first(function: Function) -> bool:
    """``if not path.exists(): path.write_text(came)`` before ``assert path.read_text() == came``."""
    for node in (n for n in walk([function]) if isinstance(n, ast.If)):
        test = node.test.operand if isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not) else None
        body = node.body if test is not None else node.orelse
        asks = [n for n in walk([test if test is not None else node.test]) if isinstance(n, ast.Call) and tail(n) in EXISTS]
        if not asks:
            continue
        place = {n.id for n in walk(asks) if isinstance(n, ast.Name)} - {"os", "path"} or {"path"}
        if any(_does(s, WRITES, place) for s in body) and any(
            _does(a, READS, place) for a, _ in assertions(function) if getattr(a, "lineno", 0) > node.lineno
        ):
            return not any(
                isinstance(n, ast.Raise) or tail(n) in ("fail", "skip")
                for s in body
                for n in walk([s])
                if isinstance(n, ast.Raise | ast.Call)
            )
    return False


def _does(node: ast.AST, what: frozenset[str], place: set[str]) -> bool:
    calls = [n for n in walk([node]) if isinstance(n, ast.Call) and tail(n) in what]
    return any(isinstance(n, ast.Name) and n.id in place for c in calls for n in walk([c]))


def _made(source: Source, pairs: Sequence[Pair], view: View) -> dict[str, set[str]]:
    """Names at the level of a file of the tests, with the functions of the product that made their values; imported ones too."""
    found = _assigned(source, view)
    for name, module in source.imported.items():
        path = f"{module.replace('.', '/')}.py"
        other = next(
            (p.new for p in pairs if p.new is not None and p.new is not source and f"/{p.path}".endswith(f"/{path}")), None
        )
        if other is not None and name in (theirs := _assigned(other, view)):
            found[name] = theirs[name]
    return found


def _assigned(source: Source, view: View) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for node in source.tree.body if source.tree else ():
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        calls = _functions([value], source, view) if value is not None else set()
        found |= {t.id: calls for t in targets if isinstance(t, ast.Name) and calls}
    return found


def _functions(nodes: Sequence[ast.AST], source: Source, view: View) -> set[str]:
    """Functions (no classes) of the product that are called below some nodes, as dotted names."""
    called = {source.names.dotted(n.func) for n in walk(nodes) if isinstance(n, ast.Call)}
    return {c for c in called if c.partition(".")[0] in view.own and c.rpartition(".")[2][:1].islower()}


def _repeats(function: Function, made: Mapping[str, set[str]], source: Source) -> str:
    """The name whose value came from the function that the test compares it with; empty where there is none."""
    given = dict(made)
    for node in (n for n in walk([function]) if isinstance(n, ast.For)):
        over = next((n.id for n in walk([node.iter]) if isinstance(n, ast.Name) and n.id in made), "")
        if over:
            given |= {n.id: made[over] for n in walk([node.target]) if isinstance(n, ast.Name)}
    for part, _ in assertions(function):
        for one, other in _sides(part):
            called = {source.names.dotted(n.func) for n in walk([one]) if isinstance(n, ast.Call)}
            direct = not any(isinstance(n, ast.Call) for n in walk([other]))
            names = [n.id for n in walk([other]) if isinstance(n, ast.Name) and n.id in given]
            if direct and (same := next((n for n in names if given[n] & called), "")):
                return same
    return ""


def _sides(part: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(part, ast.Assert) and isinstance(part.test, ast.Compare) and isinstance(part.test.ops[0], ast.Eq):
        left, right = part.test.left, part.test.comparators[0]
    elif isinstance(part, ast.Call) and tail(part).endswith("Equal") and len(part.args) > 1:
        left, right = part.args[0], part.args[1]
    else:
        return []
    return [(left, right), (right, left)]
