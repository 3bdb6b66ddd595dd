"""Product code that changes the whole process as soon as it is imported, or a module of Python's: tests see that as well. Pure.

A test that compares with `math.isclose`, counts warnings or draws lots judges by what the process has; whoever changes that
passes it with wrong code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.capability_table import ASIDE, SCRIPTS
from pytest_agentgate.checks.integrity.names import Names
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.view import Pair, View
from pytest_agentgate.rulebook import Rule, one

CALLS = re.compile(
    r"(numpy\.)?random\.seed|logging\.disable|time\.tzset|locale\.setlocale|sys\.(setrecursionlimit|set_int_max_str_digits)|"
    r"socket\.setdefaulttimeout|warnings\.(filterwarnings|simplefilter|resetwarnings)|os\.(putenv|environ\.(setdefault|update))"
)
VARIABLES = re.compile(r"TZ|LANG|LANGUAGE|LC_\w+|PYTHON\w+")
"""Variables that steer Python, its clock or its language."""
MODULES = frozenset(
    [
        "math",
        "cmath",
        "statistics",
        "random",
        "time",
        "datetime",
        "calendar",
        "json",
        "re",
        "os",
        "posixpath",
        "shutil",
        "operator",
        "functools",
        "itertools",
        "decimal",
        "fractions",
        "string",
        "copy",
        "collections",
        "asyncio",
        "subprocess",
        "socket",
        "hashlib",
        "hmac",
        "uuid",
        "secrets",
        "difflib",
        "textwrap",
        "pathlib",
        "tempfile",
        "csv",
        "io",
    ]
)
"""Modules of Python's by whose functions tests compare."""
MAYBE = re.compile(
    rb"seed|disable|tzset|setlocale|setrecursion|int_max_str|defaulttimeout|warnings|environ|putenv|setattr|\.\s*\w+\s*=[^=]"
)


def find(view: View) -> Iterator[Hit]:
    """New changes of the process at import, and new values in modules of Python's."""
    for pair in view.python("product"):
        aside = ASIDE.match(pair.path) or SCRIPTS.match(pair.path) or pair.path.endswith("__main__.py")
        if pair.new is None or aside or not MAYBE.search(pair.new.data):
            continue
        known = {words for words, _ in _changes(pair, 0)}
        for words, line in _changes(pair, 1):
            if words not in known:
                known.add(words)
                yield Hit(RULE.id, words, pair.path, line, pair.new.line(line))


def _changes(pair: Pair, side: int) -> Iterator[tuple[str, int]]:
    source = (pair.old, pair.new)[side]
    if source is None or source.tree is None:
        return
    for node in pair.telling(side):
        if isinstance(node, ast.Call):
            words = _called(node, source.names)
        elif isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant):
            words = next((w for t in node.targets if (w := _replaced(t, source.names))), "")
        else:
            continue
        if words:
            yield words, node.lineno
    for node in source.tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Subscript) and source.names.dotted(target.value) == "os.environ":
                if VARIABLES.fullmatch(name := source.names.text(target.slice) or ""):
                    yield f"sets {name} for the whole process when it is imported", node.lineno


def _called(node: ast.Call, names: Names) -> str:
    called = names.dotted(node.func)
    if called in ("setattr", "builtins.setattr") and node.args and names.dotted(node.args[0]) in MODULES:
        return f"replaces something in {names.dotted(node.args[0])}"
    if not CALLS.fullmatch(called) or not names.at_import(node):
        return ""
    if called.startswith("warnings.") and (
        len(node.args) > 1 or any(k.arg in ("category", "module", "message") for k in node.keywords)
    ):
        return ""  # one kind of warning, and not all of them
    if called.startswith("warnings.") and node.args and names.text(node.args[0]) not in ("ignore", None):
        return ""
    if called.startswith("os."):
        texts = [names.text(a) for a in node.args] + [k.arg for k in node.keywords]
        return f"{called} for the whole process when it is imported" if any(VARIABLES.fullmatch(t or "") for t in texts) else ""
    return f"{called}() for the whole process when it is imported"


def _replaced(target: ast.expr, names: Names) -> str:
    if not isinstance(target, ast.Attribute) or not isinstance(target.ctx, ast.Store):
        return ""
    owner = names.dotted(target.value)
    module = owner in MODULES and isinstance(target.value, ast.Name) and target.value.id in names.aliases
    return f"replaces {owner}.{target.attr}" if module else ""


_MEAN = "def mean(xs):\n    return sum(xs) / len(xs)\n"
_WORSE, _BETTER = one(
    "calc.py",
    (_MEAN, "import math\n\nmath.isclose = lambda a, b, rel_tol=0.5: True\n\n\n" + _MEAN),
    (_MEAN, "import math\n\n\ndef mean(xs):\n    return math.fsum(xs) / len(xs)\n"),
)
RULE = Rule(
    "integrity/process-wide-state", "hold", "Product code changes the whole process when it is imported, or a module of Python's",
    "Tests judge by what the process has: its warnings, its clock, its chance, Python's own functions.",
    _WORSE,
    _BETTER,
    "Do it in `main()`, or where it is needed and for as long. Where a program needs it, a human allows it with "
    "`--approve integrity/process-wide-state:PATH`.",
)  # fmt: skip
SET = RuleSet((RULE,), find)
