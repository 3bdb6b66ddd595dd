"""What only the tests switch on: variables that nothing else sets, and product that the tests' own files replace. Pure.

A fix that hangs on such a switch is there while the patch's tests run, and nowhere else.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from pytest_agentgate.checks.integrity import claimed
from pytest_agentgate.checks.integrity.names import Names, walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.testfiles import tail
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.syntax import unparsed

ASKS = frozenset({"os.getenv", "os.environ.get", "os.environ.__getitem__", "os.environ.pop", "os.environ.__contains__"})
SETS = frozenset({"setdefault", "putenv", "setenv", "update", "dict"})
"""Calls that set variables; the last one is ``mock.patch.dict``."""


def find(view: View) -> Iterator[Hit]:
    """New questions for variables that only the tests set for all, and product that a file of the tests replaces when it is imported."""
    for pair in view.python("product"):
        if pair.new is not None and pair.new.tree is not None and (b"environ" in pair.new.data or b"getenv" in pair.new.data):
            yield from _variables(pair, view)
    yield from claimed.find(view)
    for pair in view.python("test"):
        if pair.new is not None and pair.new.tree is not None and not pair.path.endswith("conftest.py"):
            yield from _replaced(pair, view)


def _variables(pair: Pair, view: View) -> Iterator[Hit]:
    asked: dict[str, int] = {}
    for node in pair.telling(1):
        if pair.new is not None and (name := _asked(node, pair.new.names)) and _decides(node, pair.new):
            asked.setdefault(name, getattr(node, "lineno", 1))
    paths = [p for p in view.entries["base"] if p.endswith(".py") and view.kind(p) == "product"] if asked else []
    known = b"\n".join(view.read("base", paths).values())
    asked = {
        name: line
        for name, line in asked.items()
        if not re.search(rf"['\"]{re.escape(name)}['\"]".encode("utf-8", "surrogatepass"), known)
    }
    if not asked:
        return
    tests = [p for p in view.entries["head"] if p.endswith(".py") and view.kind(p) == "test"]
    for path, data in view.read("head", tests).items():
        for name in [n for n in asked if n.encode("utf-8", "surrogatepass") in data]:
            if line := _sets(Source(path, data), name):
                words = f"asks for the variable {name}, which the tests set for all of them ({path}:{line})"
                number = asked.pop(name)
                yield Hit("integrity/test-probe", words, pair.path, number, pair.new.line(number) if pair.new else "", "hold")


def _decides(node: ast.AST, source: Source) -> bool:
    """Whether what a node reads decides which way the code goes, at once or through a name; an address that is only used decides nothing."""
    current: ast.AST | None = node
    while current is not None and not isinstance(current, ast.stmt):
        if isinstance(current, ast.Compare | ast.BoolOp | ast.comprehension):
            return True
        parent = source.names.parents.get(current)
        if getattr(parent, "test", None) is current:  # of an `if`, a loop or an assertion
            return True
        current = parent
    if isinstance(current, ast.Return):
        return isinstance(node, ast.Compare)
    targets = current.targets if isinstance(current, ast.Assign) else [current.target] if isinstance(current, ast.AnnAssign) else []
    held = {
        n.id if isinstance(n, ast.Name) else n.attr for t in targets for n in walk([t]) if isinstance(n, ast.Name | ast.Attribute)
    }
    tests = [*(n.test for n in source.of(ast.If)), *(n.test for n in source.of(ast.IfExp)), *(n.test for n in source.of(ast.While))]
    asked = {
        n.id if isinstance(n, ast.Name) else n.attr
        for n in walk([*tests, *source.of(ast.BoolOp)])
        if isinstance(n, ast.Name | ast.Attribute)
    }
    return not held.isdisjoint(asked)


def _asked(node: ast.AST, names: Names) -> str:
    """The variable of the environment that a node reads; empty where it reads none."""
    if isinstance(node, ast.Call) and node.args and names.dotted(node.func) in ASKS:
        return names.text(node.args[0]) or ""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and names.dotted(node.value) == "os.environ":
        return names.text(node.slice) or ""
    if isinstance(node, ast.Compare) and any(names.dotted(c) == "os.environ" for c in node.comparators):
        return names.text(node.left) or ""
    return ""


def _sets(source: Source, name: str) -> int:
    """The line in which a file of the tests sets a variable when it is imported, in a hook, or for every test; 0 where it does not."""
    names = source.names
    for node in source.nodes:
        stored = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and names.text(node.slice) == name
        called = (
            isinstance(node, ast.Call) and _sets_some(node) and any(_holds(a, name, names) for a in (*node.args, *node.keywords))
        )
        joined = isinstance(node, ast.AugAssign) and names.dotted(node.target) == "os.environ" and _holds(node.value, name, names)
        if (stored or called or joined) and (names.at_import(node) or _for_all(node, names)):
            return int(getattr(node, "lineno", 1))
    return 0


def _sets_some(node: ast.Call) -> bool:
    """Whether a call sets variables: of ``dict`` only ``patch.dict`` does."""
    if tail(node) != "dict":
        return tail(node) in SETS
    return isinstance(node.func, ast.Attribute) and unparsed(node.func.value).endswith("patch")


def _holds(argument: ast.AST, name: str, names: Names) -> bool:
    if isinstance(argument, ast.keyword):
        return argument.arg == name
    return any(isinstance(n, ast.expr) and names.text(n) == name for n in walk([argument]))


def _for_all(node: ast.AST, names: Names) -> bool:
    """Whether a node is in a hook, in a fixture that every test has, or in what unittest calls first."""
    current = names.around(node)
    if current is None:
        return False
    autouse = any("autouse" in unparsed(d) for d in current.decorator_list)
    return autouse or current.name.startswith("pytest_") or current.name in ("setUpModule", "setup_module")


def _replaced(pair: Pair, view: View) -> Iterator[Hit]:
    """``Catalogue.lend = _lend`` at the level of a file of the tests: from then on it is the product."""
    stores = list(_stores(pair.new)) if pair.new else []
    if pair.new is None or not stores:
        return
    imported = claimed.from_product(pair.new, view) | _own_help(pair.new, view)
    made = {f.name for f in pair.new.functions} | {c.name for c in pair.new.of(ast.ClassDef)}
    fresh = {id(n) for n in pair.fresh_nodes[1]}
    for node, owner, value, words in stores:
        root = owner
        while isinstance(root, ast.Attribute):
            root = root.value
        own = isinstance(root, ast.Name) and root.id in imported and id(node) in fresh and pair.new.names.at_import(node)
        if own and (isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and value.id in made)):
            said = f"replaces {words} for every test when it is imported"
            yield Hit("integrity/product-faked", said, pair.path, node.lineno, pair.new.line(node.lineno))


def _own_help(source: Source, view: View) -> set[str]:
    """Names of the tests' own modules that a file imports: of its own package, or of one in the tree."""
    paths = [p for p in view.entries["head"] if p.endswith(".py") and view.kind(p) == "test"]
    stems, tops = {p.rpartition("/")[2].removesuffix(".py") for p in paths}, {p.partition("/")[0] for p in paths if "/" in p}
    froms = [
        (a.name, a.asname or a.name)
        for n in source.of(ast.ImportFrom)
        for a in n.names
        if n.level or (n.module or "").partition(".")[0] in tops
    ]
    plain = [(a.name, a.asname or a.name) for n in source.of(ast.Import) for a in n.names if a.name not in sys.stdlib_module_names]
    return {name for module, name in (*froms, *plain) if module in stems}


def _stores(source: Source) -> Iterator[tuple[ast.stmt | ast.Call, ast.expr, ast.expr, str]]:
    """What is put where: the node, whose attribute it becomes, the value, and the attribute in words."""
    for node in source.of(ast.Assign):
        for target, value in (pair for t in node.targets for pair in _pairs(t, node.value)):
            if isinstance(target, ast.Attribute):
                yield node, target.value, value, unparsed(target)
    for call in source.of(ast.Call):
        if isinstance(call.func, ast.Name) and call.func.id == "setattr" and len(call.args) == 3:
            yield call, call.args[0], call.args[2], ".".join(unparsed(a).strip("'") for a in call.args[:2])


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets of an assignment with what each gets, where several get theirs at once."""
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for one, other in zip(target.elts, value.elts, strict=False):
            yield from _pairs(one, other)
    else:
        yield target, value


SET = RuleSet((), find, frozenset({"integrity/test-probe", "integrity/product-faked"}))
