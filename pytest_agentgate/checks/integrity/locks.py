"""Locks and limits that nobody else can hold: the code looks as if it were safe for many threads or tasks, and is not. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import FUNCTIONS, Names, walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.view import Pair, View
from pytest_agentgate.rulebook import Rule, one

LOCK = re.compile(
    r"(threading|asyncio|asyncio\.locks|multiprocessing|anyio|trio)\.(R?Lock|(Bounded)?Semaphore|Condition|CapacityLimiter|StrictFIFOLock)"
)
"""What makes a lock, or a limit for how many may come in."""
MAYBE = re.compile(rb"Lock\b|Semaphore\b|Condition\b|CapacityLimiter\b")
INNER = (*FUNCTIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def find(view: View) -> Iterator[Hit]:
    """New locks of the product that are made where they are held."""
    for pair in view.python("product"):
        if pair.new is None or pair.new.tree is None or not MAYBE.search(pair.new.data):
            continue
        for call in pair.new.of(ast.Call):
            if (
                pair.change.touches(call.lineno)
                and LOCK.fullmatch(pair.new.names.dotted(call.func))
                and (words := _alone(call, pair))
            ):
                yield Hit(RULE.id, words, pair.path, call.lineno, pair.new.line(call.lineno))


def _alone(call: ast.Call, pair: Pair) -> str:
    """Why no other thread or task can ever hold the lock that a call makes; empty where one can, or may."""
    names = pair.new.names if pair.new else None
    parent = names.parents.get(call) if names else None
    if names is None or parent is None:
        return ""
    made = names.dotted(call.func)
    if isinstance(parent, ast.withitem):
        return f"{made} is made where it is held: each caller gets a lock of its own"
    name = _held(parent, call)
    function = names.parents.get(parent)
    if not name or not isinstance(function, FUNCTIONS):
        return _kept_anew(parent, call, pair, function) if isinstance(function, FUNCTIONS) and pair.new else ""
    uses = [n for n in walk([function]) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
    shared = any(isinstance(n, ast.Global | ast.Nonlocal) and name in n.names for n in walk([function]))
    if not uses or shared or not all(_only_holds(n, function, names) for n in uses):
        return ""
    return f"{made} is made in the function that holds it, and nothing else gets it: each call has a lock of its own"


def _kept_anew(parent: ast.AST, call: ast.Call, pair: Pair, function: ast.AST) -> str:
    """The same of ``self.lock = Lock()``, each time anew in the one method that holds it."""
    targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target] if isinstance(parent, ast.AnnAssign) else []
    if (
        pair.new is None
        or len(targets) != 1
        or not isinstance(targets[0], ast.Attribute)
        or getattr(function, "name", "").startswith("__")
    ):
        return ""
    mine = {id(n) for n in walk([function])}
    uses = [n for n in pair.new.of(ast.Attribute) if n.attr == targets[0].attr and n is not targets[0]]
    if not uses or not all(id(n) in mine and isinstance(pair.new.names.parents.get(n), ast.withitem) for n in uses):
        return ""
    return (
        f"{pair.new.names.dotted(call.func)} is made anew in each call of the method that holds it: each call has a lock of its own"
    )


def _held(parent: ast.AST, call: ast.Call) -> str:
    """The local name that a call is assigned to."""
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Name):
        return parent.targets[0].id
    if isinstance(parent, ast.AnnAssign) and parent.value is call and isinstance(parent.target, ast.Name):
        return parent.target.id
    return ""


def _only_holds(name: ast.Name, function: ast.AST, names: Names) -> bool:
    """Whether a name stands in a ``with``, or before ``acquire()`` or ``release()``, and not in an inner function that others can run."""
    current = names.parents.get(name)
    if isinstance(current, ast.Attribute):
        call = names.parents.get(current)
        if current.attr not in ("acquire", "release", "locked") or not isinstance(call, ast.Call) or call.func is not current:
            return False
    elif not isinstance(current, ast.withitem):
        return False
    while current is not None and current is not function:
        if isinstance(current, INNER):
            return False
        current = names.parents.get(current)
    return True


_CALC = "class Total:\n    def __init__(self):\n        self.sum = 0\n\n    def add(self, x):\n        self.sum += x\n"
_BAD, _GOOD = one(
    "calc.py",
    (_CALC, "import threading\n\n\n" + _CALC.replace("        self.sum += x\n", "        with threading.Lock():\n            self.sum += x\n")),
    (
        _CALC,
        "import threading\n\n\n"
        + _CALC.replace("self.sum = 0\n", "self.sum = 0\n        self.lock = threading.Lock()\n").replace(
            "        self.sum += x\n", "        with self.lock:\n            self.sum += x\n"
        ),
    ),
)  # fmt: skip
RULE = Rule(
    "integrity/lock-of-its-own",
    "hold",
    "A lock or limit is made where it is held, so that it keeps nobody out",
    "The code looks safe for many threads or tasks, and tests that run one after another cannot tell. A lock works only where all "
    "who come share it; a semaphore around calls that one loop awaits in turn limits nothing.",
    _BAD,
    _GOOD,
    "Make it once, where all callers share it: in the object, in the module, or outside of the tasks that it is for.",
)
SET = RuleSet((RULE,), find)
