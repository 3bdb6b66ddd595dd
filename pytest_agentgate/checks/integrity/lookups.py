"""Uses of powerful names that only look, or hardly do more. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from pytest_agentgate.checks.integrity.capability_table import ATTRIBUTES, HARNESS
from pytest_agentgate.checks.integrity.names import Names
from pytest_agentgate.checks.integrity.testfiles import tail
from pytest_agentgate.checks.integrity.use import Use
from pytest_agentgate.checks.integrity.view import Pair

PAYLOAD = 16
FILE = re.compile(r"\.(pkl|pickle|bin|dat|cache|p)$")
PAYLOADS = re.compile(r"_?pickle\.(loads?|Unpickler)|pkgutil\.resolve_name|(zlib|gzip|bz2|lzma)\.decompress")
"""What brings code in that a constant can hold, or what nobody can read there."""


def is_own_module(node: ast.AST, names: Names) -> bool:
    """``sys.modules[__name__]``: a module that looks at itself."""
    parent = names.parents.get(node)
    key = parent.slice if isinstance(parent, ast.Subscript) else None
    return isinstance(key, ast.Name) and key.id == "__name__"


def looked_up(node: ast.AST, names: Names) -> str:
    """The module that ``sys.modules.get("x")`` or ``"x" in sys.modules`` only looks for; empty for any other use, or a runner's."""
    parent = names.parents.get(node)
    call = names.parents.get(parent) if isinstance(parent, ast.Attribute) and parent.attr == "get" else None
    key = call.args[0] if isinstance(call, ast.Call) and call.func is parent and call.args else None
    if isinstance(parent, ast.Compare) and parent.comparators == [node] and isinstance(parent.ops[0], ast.In | ast.NotIn):
        key = parent.left
    text = names.text(key) if key is not None else None
    return text if text and not HARNESS.fullmatch(text) else ""


def has_prefix(node: ast.expr) -> bool:
    """``f"own.package.{name}"``: a name below a constant one."""
    first = (
        node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node.left if isinstance(node, ast.BinOp) else None
    )
    return (
        isinstance(first, ast.Constant) and isinstance(first.value, str) and "." in first.value and not HARNESS.match(first.value)
    )


SIGNATURE = frozenset(
    {
        "co_varnames",
        "co_argcount",
        "co_kwonlyargcount",
        "co_posonlyargcount",
        "co_flags",
        "co_name",
        "co_qualname",
        "co_firstlineno",
    }
)


def reads_signature(node: ast.Attribute, names: Names) -> bool:
    """``f.__code__.co_varnames``: what a function's parameters are called, and no more."""
    parent = names.parents.get(node)
    signature = isinstance(parent, ast.Attribute) and parent.attr in SIGNATURE and isinstance(parent.ctx, ast.Load)
    return node.attr == "__code__" and isinstance(node.ctx, ast.Load) and signature


LOOKED_AT = frozenset({"sorted", "list", "tuple", "set", "frozenset"})
"""What may be made of a table of names without changing it."""


def from_table(node: ast.expr, names: Names) -> bool:
    """A name that is looked up in a table of constant names, as in a lazy ``__getattr__`` (PEP 562); none of them a runner's.

    The table is bound once and only read, and so is a name that the result is given: whatever else could be in it is not known.
    """
    if isinstance(node, ast.Name):
        made = [
            n.value
            for n in names.nodes
            if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id == node.id for t in n.targets)
        ]
        bound = sum(isinstance(n, ast.Name) and n.id == node.id and not isinstance(n.ctx, ast.Load) for n in names.nodes)
        given = any(isinstance(n, ast.arg) and n.arg == node.id for n in names.nodes)
        return 0 < bound == len(made) and not given and all(isinstance(m, ast.Subscript) and from_table(m, names) for m in made)
    if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
        return False
    uses = [n for n in names.nodes if isinstance(n, ast.Name) and n.id == node.value.id]
    stores = [names.parents.get(n) for n in uses if not isinstance(n.ctx, ast.Load)]
    if len(stores) != 1 or not isinstance(stores[0], ast.Assign | ast.AnnAssign) or not isinstance(stores[0].value, ast.Dict):
        return False
    texts = [names.text(v) for v in stores[0].value.values]
    constant = bool(texts) and all(t is not None and not HARNESS.match(t) for t in texts)
    return constant and all(_only_read(names.parents.get(n)) for n in uses if isinstance(n.ctx, ast.Load))


def _only_read(parent: ast.AST | None) -> bool:
    """Whether what stands around a table's name only looks at it."""
    if isinstance(parent, ast.Call):
        return isinstance(parent.func, ast.Name) and parent.func.id in LOOKED_AT
    return isinstance(parent, ast.Compare | ast.Starred) or (isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Load))


def starts_a_thread(node: ast.Call, names: Names) -> bool:
    """Whether what a call named `start` or `submit` is of is a thread, a process or a pool of them."""
    if names.dotted(node.func) in ("_thread.start_new_thread", "_thread.start_new"):
        return True
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    made = owner.func if isinstance(owner, ast.Call) else owner
    if made is None:
        return False
    dotted = names.dotted(made)
    if re.match(r"(threading|multiprocessing|concurrent\.futures)\.", dotted):
        return True
    return isinstance(owner, ast.Name) and any(
        isinstance(n, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == owner.id for t in n.targets)
        and isinstance(n.value, ast.Call)
        and re.match(r"(threading|multiprocessing|concurrent\.futures)\.", names.dotted(n.value.func))
        for n in names.nodes
    )


def is_payload(node: ast.AST, names: Names) -> bool:
    """A constant, however it is put together, that is no name of a file."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
        return len(node.value) >= PAYLOAD
    text = names.text(node) if isinstance(node, ast.Constant | ast.BinOp | ast.JoinedStr | ast.Name) else None
    return text is not None and len(text) >= PAYLOAD and not FILE.search(text)


def getter(node: ast.Call, tail: str, names: Names) -> Iterator[tuple[str, str]]:
    """``operator.attrgetter("a.b")``: attributes that are named in a text."""
    parts = {p for a in node.args for p in (names.text(a) or "").split(".")}
    for rule, attributes in ATTRIBUTES.items():
        for part in sorted(parts & attributes):
            yield rule, f".{part}"
    if names.text(node.args[0]) is None:
        yield "dynamic-access", f"{tail} of a computed name"


def imports_by_name(pair: Pair, use: Use, before: Iterable[Use]) -> bool:
    """Whether a function imports what its caller names, in a file that does so on the base already, as one that loads plugins does.

    The name has to be a parameter that the function does not set, without a default, and nothing calls it while the file is imported.
    """
    source = pair.new
    if source is None or not any(u.primitive == use.primitive for u in before):
        return False
    calls = [n for n in source.of(ast.Call) if n.lineno == use.line and tail(n) == "import_module" and n.args]
    within = [f for f in source.functions if f.lineno <= use.line <= (f.end_lineno or 0)]
    if not calls or not within:
        return False
    inner = within[-1]
    positional = [a.arg for a in (*inner.args.posonlyargs, *inner.args.args)]
    given = set(positional[: len(positional) - len(inner.args.defaults)])
    given -= {n.id for n in ast.walk(inner) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    at_once = any(tail(n) == inner.name and source.names.at_import(n) for n in source.of(ast.Call))
    return not at_once and all(isinstance(n.args[0], ast.Name) and n.args[0].id in given for n in calls)


def detaches(node: ast.Call) -> bool:
    """Whether a call that starts a process lets it outlive its group: by an argument, or as ``["setsid", ...]``."""
    for word in node.keywords:
        value = word.value.value if isinstance(word.value, ast.Constant) else ...
        minus = isinstance(word.value, ast.UnaryOp) and ast.unparse(word.value) == "-1"
        if (word.arg == "start_new_session" and value is not False) or (
            word.arg == "process_group" and value is not None and not minus
        ):
            return True
        if word.arg == "creationflags" and "DETACHED" in ast.unparse(word.value):
            return True
    first = node.args[0] if node.args else None
    program = first.elts[0] if isinstance(first, ast.List | ast.Tuple) and first.elts else first
    return isinstance(program, ast.Constant) and bool(re.match(r"(setsid|nohup|daemonize|start-stop-daemon)\b", str(program.value)))


def is_waited_for(node: ast.Call, names: Names) -> bool:
    """``Popen(...).communicate()``, ``with Popen(...)``: it ends before anything else happens."""
    parent = names.parents.get(node)
    return isinstance(parent, ast.withitem) or (isinstance(parent, ast.Attribute) and parent.attr in ("communicate", "wait"))
