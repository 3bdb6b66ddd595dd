"""New tests that make what they compare with: by the function under test itself, or where nothing is there yet. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.tautology import REPEATED
from pytest_agentgate.checks.integrity.testfiles import Function, assertions, functions_of, tail
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.syntax import unparsed

Made = dict[str, set[tuple[str, str]]]
"""Names with the calls that made their values: the function, and its arguments in one spelling."""
VARIES = "…"
WRITES = frozenset({"write_text", "write_bytes", "write", "dump", "copy", "copyfile"})
READS = frozenset({"read_text", "read_bytes", "open", "load", "loads", "read"})
ASKS = re.compile(rb"exists|is_?file")
"""Without one of these words nothing asks whether a file is there."""
EXISTS = frozenset({"exists", "is_file", "isfile"})


def find(view: View, pairs: Sequence[Pair]) -> Iterator[Hit]:
    """In the changed files of the tests: functions that write what they then compare with, and expected values of the function's own making."""
    known = {p.path: _assigned(p.new, view) for p in pairs if p.new is not None and p.new.tree is not None}
    ends = {path.rpartition("/")[2]: path for path, made in known.items() if made}
    stubs = {name for pair in view.python("product") for name in _stubs(pair)}
    for pair in pairs:
        if pair.new is None or pair.new.tree is None:
            continue
        for call, name in _stood_in(pair.new, stubs):
            words = f"the tests put their own code in the place of {name}, which does nothing but raise"
            yield Hit("integrity/test-cannot-fail", words, pair.path, call.lineno, pair.new.line(call.lineno), "hold")
        made, may = _with_imported(pair, known, ends), ASKS.search(pair.new.data)
        before, after = functions_of(pair.old), functions_of(pair.new)
        for name, function in after.items():
            if name in before and ast.dump(before[name].node) == ast.dump(function.node):
                continue
            line = function.node.lineno
            if may and _writes_first(function.node):
                words = f"{name} writes what it compares with where that is missing: there it cannot fail"
                yield Hit("integrity/test-cannot-fail", words, pair.path, line, pair.new.line(line), "hold")
            elif words := _fewer_answers(before[name].node if name in before else None, function.node):
                yield Hit("integrity/test-weakened", f"{name} {words}", pair.path, line, pair.new.line(line), "hold")
            elif made and (value := _repeats(function.node, made, pair.new)):
                words = f"{name} expects {value}, which the function that it asks has made itself"
                yield Hit("integrity/test-cannot-fail", words, pair.path, line, pair.new.line(line), "hold")


def _fewer_answers(before: Function | None, after: Function) -> str:
    """How a test no longer needs the answers that it has: a column that nothing reads any more, or sides that it makes alike itself."""
    if before is None:
        return ""
    columns = {a.arg for a in after.args.args} & {a.arg for a in before.args.args} & _columns(after)
    read, reads = ({n.id for n in walk(_without_messages(f)) if isinstance(n, ast.Name)} for f in (before, after))
    for column in sorted((columns & read) - reads):
        return f"no longer asks for {column}, which its table still has"
    if _makes_alike(after) and not _makes_alike(before):
        return "puts a part of what it expects into what it compares with that"
    return ""


def _columns(function: Function) -> set[str]:
    """Names of the parameters that a test has from its tables."""
    calls = [d for d in function.decorator_list if isinstance(d, ast.Call) and tail(d) == "parametrize" and d.args]
    named = [n.value for c in calls for n in walk([c.args[0]]) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return {name.strip() for text in named for name in text.split(",")}


def _without_messages(function: Function) -> list[ast.AST]:
    """What a test does, but for the words that its assertions would fail with."""
    said = {id(n.msg) for n in walk(function.body) if isinstance(n, ast.Assert) and n.msg is not None}
    waiting, found = list[ast.AST](function.body), list[ast.AST]()
    while waiting:
        node = waiting.pop()
        if id(node) not in said:
            found.append(node) if isinstance(node, ast.Name) else waiting.extend(ast.iter_child_nodes(node))
    return found


def _makes_alike(function: Function) -> bool:
    """``came[key] = wanted[key]`` before ``assert came == wanted``."""
    compared = [
        (n.lineno, {n.test.left.id, n.test.comparators[0].id})
        for n in walk(function.body)
        if isinstance(n, ast.Assert)
        and isinstance(n.test, ast.Compare)
        and isinstance(n.test.left, ast.Name)
        and isinstance(n.test.ops[0], ast.Eq)
        and isinstance(n.test.comparators[0], ast.Name)
    ]
    for node in walk(function.body) if compared else ():
        if isinstance(node, ast.Assign):
            roots = {_root(t) for t in node.targets if isinstance(t, ast.Subscript | ast.Attribute)}
            names = {n.id for n in walk([node.value]) if isinstance(n, ast.Name)}
            if any(node.lineno < line and roots & pair and names & (pair - roots) for line, pair in compared):
                return True
    return False


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _stubs(pair: Pair) -> Iterator[str]:
    """New functions of the product that only raise NotImplementedError, and that it calls itself: no abstract methods."""
    text = pair.new.text if pair.new else ""
    for node in pair.new.functions if pair.new and "NotImplementedError" in text else ():
        body = node.body[1:] if isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant) else node.body
        raises = len(body) == 1 and isinstance(body[0], ast.Raise) and "NotImplementedError" in unparsed(body[0])
        if raises and pair.change.touches(node.lineno) and not node.decorator_list:
            if isinstance(pair.new.names.parents.get(node) if pair.new else None, ast.Module):
                if len(re.findall(rf"\b{re.escape(node.name)}\(", text)) > 1:
                    yield node.name


def _stood_in(source: Source, stubs: Collection[str]) -> Iterator[tuple[ast.Call, str]]:
    """Calls by which a file of the tests replaces one of these functions: ``setattr(app, "_merge", ...)``, ``patch("app._merge")``."""
    for call in source.of(ast.Call) if stubs else ():
        if tail(call) in ("setattr", "patch", "object"):
            words = {str(a.value).rpartition(".")[2] for a in call.args[:2] if isinstance(a, ast.Constant)}
            yield from ((call, name) for name in sorted(words & set(stubs)))


def _writes_first(function: Function) -> bool:
    """``if not path.exists(): path.write_text(came)`` before ``assert path.read_text() == came``."""
    for node in (n for n in walk([function]) if isinstance(n, ast.If)):
        test = node.test.operand if isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not) else None
        body = node.body if test is not None else node.orelse
        asks = [n for n in walk([test if test is not None else node.test]) if isinstance(n, ast.Call) and tail(n) in EXISTS]
        if not asks:
            continue
        place = {n.id for n in walk(asks) if isinstance(n, ast.Name)} - {"os", "path"} or {"path"}
        written = [c for s in body for c in walk([s]) if isinstance(c, ast.Call) and tail(c) in WRITES]
        kept = {n.id for c in written for a in c.args for n in walk([a]) if isinstance(n, ast.Name)} - place
        behind = [a for a, _ in assertions(function) if getattr(a, "lineno", 0) > node.lineno]
        if any(_does(s, WRITES, place) for s in body) and any(
            _does(a, READS, place) and any(isinstance(n, ast.Name) and n.id in kept for n in walk([a])) for a in behind
        ):
            return True
    return False


def _does(node: ast.AST, what: frozenset[str], place: set[str]) -> bool:
    calls = [n for n in walk([node]) if isinstance(n, ast.Call) and tail(n) in what]
    return any(isinstance(n, ast.Name) and n.id in place for c in calls for n in walk([c]))


def _with_imported(pair: Pair, known: Mapping[str, Made], ends: Mapping[str, str]) -> Made:
    """Names at the level of a file of the tests, with the calls of the product that made their values; imported ones too."""
    found = dict(known.get(pair.path, {}))
    for name, module in pair.new.imported.items() if pair.new and ends else ():
        path = ends.get(f"{module.rpartition('.')[2]}.py", "")
        if path and path != pair.path and f"/{path}".endswith(f"/{module.strip('.').replace('.', '/')}.py") and name in known[path]:
            found[name] = known[path][name]
    return found


def _assigned(source: Source, view: View) -> Made:
    found: Made = {}
    for node in source.tree.body if source.tree else ():
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        calls = _calls([value], source, view) if value is not None else set()
        found |= {t.id: calls for t in targets if isinstance(t, ast.Name) and calls}
    return found


def _calls(nodes: Sequence[ast.AST], source: Source, view: View) -> set[tuple[str, str]]:
    """Functions (no classes) of the product that are called below some nodes, as dotted names, each with its arguments."""
    called = {(source.names.dotted(n.func), _given(n)) for n in walk(nodes) if isinstance(n, ast.Call)}
    return {(c, a) for c, a in called if c.partition(".")[0] in view.own and c.rpartition(".")[2][:1].islower()}


def _given(call: ast.Call) -> str:
    """A call's arguments in one spelling; the same for all that hold names, which can stand for anything."""
    arguments = [*call.args, *(k.value for k in call.keywords)]
    names = any(isinstance(n, ast.Name) and not isinstance(getattr(n, "ctx", None), ast.Store) for n in walk(arguments))
    return VARIES if names else " ".join(map(unparsed, arguments))


def _repeats(function: Function, made: Made, source: Source) -> str:
    """The name whose value came from the call that the test compares it with; empty where there is none."""
    if REPEATED.search(f"{function.name} {ast.get_docstring(function) or ''}".lower()):
        return ""  # that the code says the same twice is what is tested
    given = dict(made)
    for node in (n for n in walk([function]) if isinstance(n, ast.For)):
        over = next((n.id for n in walk([node.iter]) if isinstance(n, ast.Name) and n.id in made), "")
        if over:
            given |= {n.id: made[over] for n in walk([node.target]) if isinstance(n, ast.Name)}
    held = {t.id: n.value for n in walk([function]) if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    for part, _ in assertions(function):
        for one, other in _sides(part):
            call = held.get(one.id, one) if isinstance(one, ast.Name) else one
            if any(isinstance(n, ast.Name) and n.id in made for n in _arguments(call)):
                continue
            called = {(source.names.dotted(n.func), _given(n)) for n in walk([call]) if isinstance(n, ast.Call)}
            direct = not any(isinstance(n, ast.Call) for n in walk([other]))
            names = [n.id for n in walk([other]) if isinstance(n, ast.Name) and n.id in given]
            if direct and (same := next((n for n in names if given[n] & called), "")):
                return same
    return ""


def _arguments(call: ast.expr) -> list[ast.AST]:
    """What is below the arguments of a call: a round trip hands the expected value on itself."""
    return walk([*call.args, *(k.value for k in call.keywords)]) if isinstance(call, ast.Call) else []


def _sides(part: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(part, ast.Assert) and isinstance(part.test, ast.Compare) and isinstance(part.test.ops[0], ast.Eq):
        left, right = part.test.left, part.test.comparators[0]
    elif isinstance(part, ast.Call) and tail(part).endswith("Equal") and len(part.args) > 1:
        left, right = part.args[0], part.args[1]
    else:
        return []
    return [(left, right), (right, left)]
