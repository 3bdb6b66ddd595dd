"""Uses of a capability that honest code has as well, and what they count then. Pure."""

from __future__ import annotations

import ast
import re

from pytest_agentgate.checks.integrity.capability_table import SCRIPTS
from pytest_agentgate.checks.integrity.names import Names
from pytest_agentgate.checks.integrity.view import Pair, View
from pytest_agentgate.model import Effect

DOUBTFUL = ("may ask", "importlib.metadata.packages_distributions", "import pluggy", "leaves with a message")
"""Probes that honest code uses as well: which distribution a module is of, for its version."""


HANDLED = re.compile(r"\bsignal\.signal\(\s*(signal\.)?SIG(TERM|INT|HUP|QUIT|BREAK|PIPE|USR[12]|WINCH|CHLD|TSTP|CONT)\b")
"""Signals by which a program is told to stop, to read its settings again, and the like."""


CLEANS = re.compile(r"\batexit\.register\(\s*(shutil\.rmtree|os\.(remove|unlink|rmdir))\b[^#]*$")
HELP = re.compile(r"(^|/)_?(testing|test_?utils?|test_?helpers?)(\.py$|/)")
"""Modules that help the tests of whoever uses the product."""


def weaker(rule: str, primitive: str, text: str, view: View, pair: Pair) -> Effect | None:
    """A weaker effect than the rule's own, where the use itself (its line is `text`) gives a reason."""
    if (primitive == "signal.signal" and HANDLED.search(text.partition("#")[0])) or (
        rule == "exit-hook" and CLEANS.search(text.partition("#")[0])
    ):
        return "note"
    if rule == "harness-in-product" and primitive.startswith("import unittest") and _is_help(view, pair.path):
        return "note"
    if rule in ("import-time-exit", "test-probe", "reads-tests") and _is_script(view, pair.path):
        return "note"
    if primitive.startswith("compare=False"):
        field = re.escape(primitive.rpartition(" ")[2])
        return "hold" if pair.old is not None and re.search(rf"(?m)^\s+{field}\s*:", pair.old.text) else "note"
    if primitive.startswith("looks up"):
        return "note"
    if primitive.startswith(DOUBTFUL):
        return "hold"
    if rule == "always-equal" and not primitive.endswith(("__eq__", "__ne__")):
        return "hold"
    if rule == "reads-tests" and not _is_test_of(view, primitive.partition("'")[2].rstrip("'")):
        return "hold" if "*" in primitive else "note"
    return None


def _is_script(view: View, path: str) -> bool:
    """Whether a file is a program beside the product: in a folder of such, no package, and imported by nothing."""
    if not SCRIPTS.match(path) or path.partition("/")[0] in view.packages:
        return False
    stem = re.escape(path.rpartition("/")[2].removesuffix(".py")).encode()
    others = [p for p in view.entries["head"] if p.endswith((".py", ".toml", ".cfg", ".ini")) and p != path]
    named = re.compile(rb"\b" + stem + rb"\b|pythonpath[^\n]*" + path.partition("/")[0].encode())
    return not any(named.search(data) for data in view.read("head", others).values())


def _is_help(view: View, path: str) -> bool:
    """Whether a module is there for the users' tests, and nothing else of the product imports it."""
    if not HELP.search(path):
        return False
    names = [re.escape(p) for p in path.removesuffix(".py").split("/") if HELP.search(f"{p}.py")]
    imports = re.compile(rf"^\s*(from|import)\b.*\b({'|'.join(names)})\b".encode(), re.MULTILINE)
    others = [p for p in view.entries["head"] if p.endswith(".py") and view.kind(p) == "product" and not HELP.search(p)]
    return not any(imports.search(data) for data in view.read("head", others).values())


def _is_test_of(view: View, text: str) -> bool:
    """Whether a path in the code can be that of a file which the tests have."""
    inner = f"/{text.strip('./')}"
    return any(inner in f"/{p}" for side in ("base", "head") for p in view.entries[side] if view.kind(p) == "test")


def exit_words(call: ast.Call | None, words: str) -> str:
    """A text or a code other than 0 is a failure for whoever imports it, and cannot look like a pass."""
    value = call.args[0] if call and call.args else None
    fails = isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and bool(value.value))
    return f"leaves with a message: {words}" if fails else words


def is_written(node: ast.expr, names: Names) -> bool:
    """``os.environ["X"] = ...``: what is set is not asked."""
    parent = names.parents.get(node)
    return isinstance(parent, ast.Subscript) and parent.slice is node and isinstance(parent.ctx, ast.Store)


def handed_on(node: ast.AST, names: Names) -> bool:
    """``[sys.executable, "-m", "pytest", *sys.argv[1:]]``: arguments that are passed on beside the word, not held against it."""
    listed = False
    while node is not None and not isinstance(node, ast.stmt):
        if isinstance(node, ast.Compare | ast.comprehension | ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
            return False
        listed = listed or isinstance(node, ast.List | ast.Starred)
        node = names.parents.get(node)  # type: ignore[assignment]  # the module has no parent
    return listed
