"""Product code that changes the whole process as soon as it is imported, or a module of Python's: tests see that as well. Pure.

A test that compares with `math.isclose`, counts warnings or draws lots judges by what the process has; whoever changes that
passes it with wrong code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from pytest_agentgate.checks.integrity.capability_table import ASIDE, SCRIPTS
from pytest_agentgate.checks.integrity.names import FUNCTIONS, Names, walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.rulebook import Rule, one
from pytest_agentgate.syntax import unparsed

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
SETTINGS = frozenset(
    {
        "sys",
        "logging",
        "os",
        "signal",
        "threading",
        "matplotlib",
        "pandas",
        "plotly",
        "decimal",
        "django",
        "flask",
        "celery",
        "unittest",
    }
)
"""Modules whose attributes are settings, or that other rules look at."""
MAYBE = re.compile(rb"seed|disable|tzset|setlocale|setrecursion|int_max_str|defaulttimeout|warnings|environ|putenv|setattr")
"""A file without any of these words calls nothing of CALLS, and sets no variable."""


def find(view: View) -> Iterator[Hit]:
    """New changes of the process at import, and new values in modules of Python's."""
    for pair in view.python("product"):
        aside = ASIDE.match(pair.path) or SCRIPTS.match(pair.path) or pair.path.endswith("__main__.py")
        if pair.new is None or aside or not (MAYBE.search(pair.new.data) or _stores(pair.new)):
            continue
        known = {words for words, _ in _changes(pair, 0, view.own)}
        for words, line in _changes(pair, 1, view.own):
            if words not in known:
                known.add(words)
                yield Hit(RULE.id, words, pair.path, line, pair.new.line(line))


def _stores(source: Source) -> bool:
    """Whether anything is assigned to an attribute, in whatever form."""
    return any(not isinstance(n.ctx, ast.Load) for n in source.of(ast.Attribute))


def _is_setting(node: ast.Attribute, names: Names) -> bool:
    """``json.encoder.FLOAT_REPR = ".2f"``: a constant that is assigned is a setting, and no other code."""
    parent = names.parents.get(node)
    return isinstance(parent, ast.Assign | ast.AnnAssign) and isinstance(parent.value, ast.Constant)


def _changes(pair: Pair, side: int, own: Collection[str]) -> Iterator[tuple[str, int]]:
    source = (pair.old, pair.new)[side]
    if source is None or source.tree is None:
        return
    for node in pair.telling(side):
        if isinstance(node, ast.Call):
            words = _called(node, source.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and not _is_setting(node, source.names):
            words = _replaced(node, source.names, own)
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


def _replaced(target: ast.expr, names: Names, own: Collection[str]) -> str:
    """What of a module that is not the project's own (or of a class of one) an assignment replaces; empty where it replaces nothing."""
    root = target
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(target, ast.Attribute) or not isinstance(root, ast.Name) or root.id not in names.imported:
        return ""
    owner = names.dotted(target.value)
    top = owner.partition(".")[0]
    if top in own or top in SETTINGS or _is_bound(root, names) or _is_put_back(target, names):
        return ""
    return f"replaces {owner}.{target.attr}"


def _is_put_back(target: ast.Attribute, names: Names) -> bool:
    """Whether the same function keeps what was there, and puts it back: ``old = pdb.Pdb.x`` … ``pdb.Pdb.x = old``."""
    function, replaced = names.around(target), unparsed(target)
    assigned = [n for n in walk([function]) if isinstance(n, ast.Assign)] if function is not None else []
    kept = {t.id for n in assigned if unparsed(n.value) == replaced for t in n.targets if isinstance(t, ast.Name)}
    back = {n.value.id for n in assigned if isinstance(n.value, ast.Name) and replaced in map(unparsed, n.targets)}
    return not kept.isdisjoint(back)


def _is_bound(name: ast.Name, names: Names) -> bool:
    """Whether a function around it gives the name another meaning: a parameter, or a variable."""
    function = names.parents.get(name)
    while function is not None:
        if isinstance(function, FUNCTIONS):
            inside = walk([function])
            stored = any(isinstance(n, ast.Name) and n.id == name.id and not isinstance(n.ctx, ast.Load) for n in inside)
            if stored or any(isinstance(n, ast.arg) and n.arg == name.id for n in inside):
                return True
        function = names.parents.get(function)
    return False


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
