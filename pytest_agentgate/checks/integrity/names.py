"""What names in a module mean, whatever they were imported or assigned as; and constants, however they were put together. Pure.

Only the plain disguises are seen through (aliases, ``getattr`` with a constant, ``__import__``, string concatenation): what
takes more than that shows as dynamic access, which is a finding of its own.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property

FOLD_LIMIT = 4096
KNOWS = frozenset({"sys", "os", "inspect", "importlib", "pkgutil"})
CALLED = frozenset({"__import__", "import_module", "__builtins__", "vars", "getattr", "__dict__", "globals", "modules"})
"""What calls up modules without importing them."""
SENSITIVE = frozenset({"sys", "os", "gc", "builtins", "inspect", "signal", "ctypes", "marshal", "unittest", "atexit", "types"})
"""Modules that other modules hold as attributes."""


NEVER = (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
"""Nodes that CPython shares between all trees, and that no rule looks at."""


INNER = (ast.stmt, ast.ExceptHandler, ast.match_case, *NEVER)
"""Where the next statement begins."""


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BINDING = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.NamedExpr)
"""What gives a name its meaning."""


class _Fields(dict[type, tuple[str, ...]]):
    """By type of node: the fields that can hold nodes at which a rule looks."""

    BARE = frozenset(
        {"ctx", "op", "ops", "id", "attr", "arg", "asname", "conversion", "is_async", "kind", "level", "module", "name", "rest", "simple"}
        | {"type_comment", "type_ignores"}
    )  # fmt: skip

    def __missing__(self, kind: type) -> tuple[str, ...]:
        bare = self.BARE - {"name"} if kind.__name__ == "TypeAlias" else self.BARE  # its name is a node, since Python 3.12
        fields: tuple[str, ...] = getattr(kind, "_fields", ())
        self[kind] = found = () if kind is ast.Constant else tuple(f for f in fields if f not in bare)
        return found


FIELDS = _Fields()


def walk(roots: Sequence[ast.AST], parents: dict[ast.AST, ast.AST] | None = None) -> list[ast.AST]:
    """What `ast.walk` gives, in its order, without NEVER and in a third of the time; the parent of each node goes into `parents`."""
    found = list(roots)
    add = found.append
    for node in found:  # a list that grows while it is read is a queue
        for name in FIELDS[node.__class__]:
            value = getattr(node, name, None)
            if value.__class__ is list:
                for child in value:
                    if isinstance(child, ast.AST):
                        add(child)
                        if parents is not None:
                            parents[child] = node
            elif isinstance(value, ast.AST):
                add(value)
                if parents is not None:
                    parents[value] = node
    return found


def children(node: ast.AST) -> list[ast.AST]:
    """What `ast.iter_child_nodes` gives, without NEVER."""
    found: list[ast.AST] = []
    for name in FIELDS[node.__class__]:
        value = getattr(node, name, None)
        if value.__class__ is list:
            found += [c for c in value if isinstance(c, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


class Names:
    """Resolves expressions of one module to dotted names such as ``sys.modules``."""

    def __init__(self, nodes: Sequence[ast.AST], parents: Mapping[ast.AST, ast.AST]) -> None:
        self.nodes, self.parents = nodes, parents
        self.aliases: dict[str, str] = {}
        self.imported: set[str] = set()
        """Those of them that an import gave."""
        self.stars: list[str] = []
        assigned: list[tuple[str, ast.expr]] = []
        for node in self.nodes:
            if not isinstance(node, BINDING):
                continue
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.aliases[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and not node.level:
                for alias in node.names:
                    self.aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                    if alias.name == "*" and node.module:
                        self.stars.append(node.module)
            elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                assigned.append((node.targets[0].id, node.value))
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name) and node.value:
                assigned.append((node.target.id, node.value))
        self.imported.update(self.aliases)
        self.texts: dict[str, str] = {}
        for name, value in assigned:
            if (meaning := self.dotted(value)) and name not in self.aliases:
                self.aliases[name] = meaning
            if (text := self.text(value)) is not None:
                self.texts[name] = text

    @cached_property
    def asks(self) -> bool:
        """Whether any name can mean a module that knows who runs (`KNOWS`): imported, called up by name, or held by another module."""
        if self.stars or any(m.partition(".")[0] in KNOWS for m in self.aliases.values()):
            return True
        for node in self.nodes:
            if isinstance(node, ast.Attribute) and (node.attr in KNOWS or node.attr in CALLED):
                return True
            if isinstance(node, ast.Name) and node.id in CALLED:
                return True
        return False

    def starred(self, name: str) -> str:
        """What an unknown name is after ``from module import *``; empty where there is none."""
        return next((f"{m}.{name}" for m in self.stars if hasattr(sys.modules.get(m), name)), "")

    def dotted(self, node: ast.AST, depth: int = 0) -> str:
        """The dotted name of an expression; empty where it has none. ``importlib.sys.modules`` is ``sys.modules``."""
        found = self._dotted(node, depth)
        parts = found.split(".")
        while len(parts) > 1 and parts[0] in sys.stdlib_module_names and parts[1] in SENSITIVE - {parts[0]}:
            del parts[0]
        return ".".join(parts)

    def _dotted(self, node: ast.AST, depth: int = 0) -> str:
        if depth > 20:
            return ""
        if isinstance(node, ast.Name):
            return self.aliases.get(
                node.id, node.id if hasattr(builtins, node.id) or node.id.startswith("__") else self.starred(node.id)
            )
        if isinstance(node, ast.Attribute):
            inner = self.dotted(node.value, depth + 1)
            return f"{inner}.{node.attr}" if inner else ""
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        if isinstance(node, ast.Subscript):
            inner, key = self.dotted(node.value, depth + 1), self.text(node.slice)
            if inner == "sys.modules" and key:
                return key
            if inner.endswith(".__dict__") and key:
                return f"{inner.removesuffix('.__dict__')}.{key}"
        return ""

    def _called(self, node: ast.Call, depth: int) -> str:
        function = self.dotted(node.func, depth + 1)
        first = self.text(node.args[0]) if node.args else None
        if function in ("__import__", "builtins.__import__", "importlib.import_module", "importlib.__import__") and first:
            return first
        if function in ("sys.modules.get", "sys.modules.__getitem__") and first:
            return first
        if function in ("getattr", "builtins.getattr") and len(node.args) > 1 and (key := self.text(node.args[1])):
            inner = self.dotted(node.args[0], depth + 1)
            return f"{inner}.{key}" if inner else ""
        if function in ("vars", "builtins.vars") and node.args:
            inner = self.dotted(node.args[0], depth + 1)
            return f"{inner}.__dict__" if inner else ""
        return ""

    def text(self, node: ast.AST, depth: int = 0) -> str | None:
        """The constant text that an expression makes; None where it is not constant."""
        if depth > 40:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) and len(node.value) < FOLD_LIMIT else None
        if isinstance(node, ast.Name):
            return getattr(self, "texts", {}).get(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.text(node.left, depth + 1), self.text(node.right, depth + 1)
            return left + right if left is not None and right is not None else None
        if isinstance(node, ast.JoinedStr):
            parts = [self.text(v.value if isinstance(v, ast.FormattedValue) else v, depth + 1) for v in node.values]
            return "".join(p for p in parts if p is not None) if None not in parts else None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return self._joined(node, node.func, depth)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            inner = self.text(node.value, depth + 1)
            return inner[::-1] if inner is not None and _is_reversal(node.slice) else None
        return None

    def _joined(self, node: ast.Call, function: ast.Attribute, depth: int) -> str | None:
        base = self.text(function.value, depth + 1)
        if base is None:
            return None
        if function.attr == "join" and node.args and isinstance(node.args[0], ast.List | ast.Tuple):
            parts = [self.text(e, depth + 1) for e in node.args[0].elts]
            return base.join(p for p in parts if p is not None) if None not in parts else None
        if function.attr in ("upper", "lower", "strip", "title") and not node.args:
            return str(getattr(base, function.attr)())
        return None

    def at_import(self, node: ast.AST) -> bool:
        """Whether a node runs when the module is imported: in no function, and not for the main program only."""
        current: ast.AST | None = node
        while current is not None:
            parent = self.parents.get(current)
            if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and (
                isinstance(parent, ast.Lambda) or current in parent.body
            ):
                return False
            if isinstance(parent, ast.If) and current in parent.body and _is_main(parent.test):
                return False
            current = parent
        return True

    def function_of(self, node: ast.AST) -> str:
        """Dotted name of the function or class that a node is in; empty at the module's level."""
        names: list[str] = []
        current: ast.AST | None = self.parents.get(node)
        while current is not None:
            if isinstance(current, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.append(current.name)
            current = self.parents.get(current)
        return ".".join(reversed(names))

    def around(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function that a node is in; None at the level of the module or of a class there."""
        current = self.parents.get(node)
        while current is not None and not isinstance(current, FUNCTIONS):
            current = self.parents.get(current)
        return current

    def statement_of(self, node: ast.AST) -> ast.AST:
        """The innermost statement that a node is in."""
        current = node
        while not isinstance(current, ast.stmt) and current in self.parents:
            current = self.parents[current]
        return current


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names of a function's parameters, without those of ``*args`` and ``**kwargs``."""
    return {a.arg for a in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)}


def header(node: ast.AST) -> list[ast.AST]:
    """The nodes of a statement without those of the statements inside it."""
    found = [node]
    for part in found:
        for name in FIELDS[part.__class__]:
            value = getattr(part, name, None)
            for child in value if value.__class__ is list else (value,):
                if isinstance(child, ast.AST) and not isinstance(child, INNER):
                    found.append(child)  # noqa: PERF401  # a list that grows while it is read is a queue
    return found


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and any(isinstance(n, ast.Name) and n.id == "__name__" for n in walk([test]))


def _is_reversal(part: ast.Slice) -> bool:
    step = part.step
    return part.lower is None and part.upper is None and isinstance(step, ast.UnaryOp) and isinstance(step.op, ast.USub)
