"""Which tests of a model may prove something, and what they prove. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from pytest_agentgate.model import Level, Proof, Reproduced
from pytest_agentgate.syntax import parse, parsed

LONGEST = 40
"""Lines of a reproduction."""
RUNS = 3
"""Runs on each tree: what does not come out alike each time proves nothing."""

Lines = frozenset[tuple[str, int]]
"""Changed lines of the head, as path and number."""


LOOKS = frozenset({"inspect", "getsource", "open", "read_text", "read_bytes", "__file__", "__code__", "__doc__", "__annotations__"})


def vet(source: str, modules: Collection[str]) -> str:
    """Empty where the test may prove something about `modules` (the project's top-level names), else why it cannot."""
    if len([line for line in source.splitlines() if line.strip()]) > LONGEST:
        return f"its test has more than {LONGEST} lines"
    tree = parsed(source)
    if tree is None:
        return "its test is no Python"
    tests = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name.startswith("test")]
    if not tests:
        return "its test has no test function"
    product = _product_names(tree, modules)
    if not product:
        return "its test imports nothing of the project"
    if _mocks(tree, product):
        return "its test replaces what it claims to test"
    if any(isinstance(n, ast.Name | ast.Attribute) and getattr(n, "id", getattr(n, "attr", "")) in LOOKS for n in ast.walk(tree)):
        return "its test looks at source code or files instead of behaviour"
    if any(_is_constant(n.test) for n in ast.walk(tree) if isinstance(n, ast.Assert)) or _fails_by_itself(tree):
        return "its test fails whatever the project does"
    if not any(isinstance(n, ast.Name) and n.id in product for t in tests for n in ast.walk(t)) and not _in_helpers(tree, product):
        return "its test uses nothing of the project"
    return ""


def _product_names(tree: ast.Module, modules: Collection[str]) -> set[str]:
    """Names that the test binds to something of the project."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(a.asname or a.name).partition(".")[0] for a in node.names if a.name.partition(".")[0] in modules}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in modules and node.level == 0:
            found |= {a.asname or a.name for a in node.names}
    return found


def _in_helpers(tree: ast.Module, product: set[str]) -> bool:
    """Whether a fixture or helper of the test uses the project."""
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return any(isinstance(n, ast.Name) and n.id in product for f in functions for n in ast.walk(f))


def _mocks(tree: ast.Module, product: set[str]) -> bool:
    """Whether it patches anything, or assigns to attributes of what it imported from the project."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("mock", "mocker", "monkeypatch")
        ):
            return True
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("unittest.mock", "mock")):
            return True
        if isinstance(node, ast.Import) and any(a.name in ("unittest.mock", "mock") for a in node.names):
            return True
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        for target in targets:
            root: ast.expr = target
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if root is not target and isinstance(root, ast.Name) and root.id in product:
                return True
    return any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "setattr" for n in ast.walk(tree))


def _is_constant(node: ast.expr) -> bool:
    """Whether an assertion speaks of no name at all: ``assert False``, ``assert 1 == 2``."""
    return not any(isinstance(n, ast.Name | ast.Call | ast.Attribute) for n in ast.walk(node))


def _fails_by_itself(tree: ast.Module) -> bool:
    """``pytest.fail()`` or a bare ``raise`` that no condition and no handler stands before."""
    for function in [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name.startswith("test")]:
        for node in function.body:
            call = node.value if isinstance(node, ast.Expr) else None
            if isinstance(node, ast.Raise) or (isinstance(call, ast.Call) and ast.unparse(call.func) in ("pytest.fail", "fail")):
                return True
    return False


def is_public(source: str, modules: Collection[str]) -> bool:
    """Whether a test goes through public names of the project alone."""
    tree = parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in modules:
            parts = [*(node.module or "").split("."), *(a.name for a in node.names)]
            if any(p.startswith("_") for p in parts):
                return False
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            return False
    return True


def level(came: Reproduced | None, lines: Lines, *, public: bool, backed: bool, vetoed: str = "") -> tuple[Level, str]:
    """What a reproduction proves, and why. `backed`: a quoted text says what is expected; `vetoed`: why it was not run."""
    if came is None:
        return "E1", vetoed or "it brings no test"
    if why := unusable(came):
        return "E1", why
    first = came.head[0]
    reached = bool(lines & {place for proof in came.head for place in proof.reached})
    alike = any(p.outcome == "failed" and _kind(p) == _kind(first) for p in came.base)
    if alike:
        return "E1", "its test fails on the base as well, in the same way"
    if reached and all(p.outcome == "passed" for p in came.base):
        return "E4", "its test fails on the head, passes on the base and reaches a changed line"
    if not _is_assertion(first) and (first.path, first.line) in lines and public:
        return "E3", "its test makes a changed line raise, through public names"
    if _is_assertion(first) and backed and reached:
        return "E2", "its test fails, and what it expects stands in a text that is quoted"
    return "E1", "its test fails on the base as well" if reached else "its test fails, and reaches no changed line"


def unusable(came: Reproduced) -> str:
    """Why the runs prove nothing; empty where the test failed alike each time."""
    runs = (*came.head, *came.base)
    if broken := next((p for p in runs if p.outcome == "broken"), None):
        return f"its test could not be run: {broken.message}"
    kinds = {(p.outcome, _kind(p)) for p in came.head}
    if len(kinds) > 1 or len({p.outcome for p in came.base}) > 1:
        return "its test does not come out alike each time"
    outcome = came.head[0].outcome if came.head else "missing"
    if outcome == "passed":
        return "its own test passes on the head"
    if outcome != "failed":
        return f"its test does not run on the head ({outcome})"
    return ""


def _kind(proof: Proof) -> str:
    """What kind of failure it is: the exception, without the addresses of objects."""
    return re.sub(r"0x[0-9a-f]+", "0x", proof.message).partition(":")[0]


def _is_assertion(proof: Proof) -> bool:
    return proof.message.startswith(("AssertionError", "assert ", "Failed")) or not proof.message
