"""Questions that only a run of the tests answers with yes: what their doubles are called, what they put in, where they run. Pure."""

from __future__ import annotations

import ast
import datetime as dt
import io
import pathlib
import re
from collections.abc import Iterator
from functools import cache

from pytest_agentgate.checks.integrity.names import Names, parameters, walk
from pytest_agentgate.checks.integrity.testfiles import tail
from pytest_agentgate.checks.integrity.view import View
from pytest_agentgate.layout import is_test
from pytest_agentgate.syntax import unparsed

LEAST, NEWLINE = 3, b"\n"
DEFINED = rb"\b(self|cls)\.NAME\s*(:[^=\n]+)?=[^=]|^[ \t]+(async[ \t]+)?def[ \t]+NAME\b|^[ \t]*class[ \t]+NAME\b|^[ \t]+NAME[ \t]*(=[^=]|:)"
IMITATED = frozenset(
    [
        "acquire",
        "cancel",
        "commit",
        "connect",
        "cursor",
        "disconnect",
        "done",
        "emit",
        "execute",
        "fetchall",
        "fetchone",
        "get",
        "headers",
        "is_alive",
        "iter_content",
        "join",
        "json",
        "notify",
        "post",
        "publish",
        "put",
        "receive",
        "recv",
        "release",
        "request",
        "result",
        "rollback",
        "send",
        "sendall",
        "set",
        "set_result",
        "shutdown",
        "start",
        "status",
        "status_code",
        "stop",
        "submit",
        "text",
        "wait",
    ]
)
"""Methods of clients, connections, threads and the like, which doubles imitate."""
REPLACED = re.compile(
    r"time\.(sleep|(monotonic|perf_counter|process_time|time)(_ns)?|localtime|gmtime|strftime)|asyncio\.(tasks\.)?(sleep|wait_for|open_connection)|"
    r"random\.(random|randint|randrange|choice|choices|shuffle|sample|uniform|gauss)|datetime\.(datetime\.(now|utcnow|today)|date\.today)|"
    r"subprocess\.(run|Popen|call|check_call|check_output)|socket\.(socket|create_connection|getaddrinfo)|urllib\.request\.urlopen|"
    r"uuid\.uuid[14]|secrets\.token_\w+|os\.(urandom|system|listdir|remove|replace|rename)|smtplib\.SMTP(_SSL)?|"
    r"(requests|httpx)\.(get|post|put|delete|patch|head|request|Client|AsyncClient|Session)|shutil\.(which|rmtree|copyfile|move)"
)
"""What tests put something else in for, and a program seldom does."""
CHANCE = re.compile(r"(time|random|datetime|uuid|secrets)\.[\w.]+|asyncio\.(tasks\.)?sleep|os\.urandom")
"""Clocks and chance: what a parameter stands for in tests alone. Clients and connections are given by programs too."""
PLACE = re.compile(r"os\.getpp?id|platform\.node|socket\.(gethostname|getfqdn)|(os|platform)\.uname")
"""What tells one machine, or one process, from another."""


class Doubles:
    """Names that only the tests define, in a class or as one; reads the trees' files when it is first asked, and asks for each name once."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.files: dict[tuple[str, bool], list[tuple[str, bytes]]] = {}
        self.places: dict[str, str] = {}
        self.made: dict[str, str] = {}
        self.choices: dict[ast.AST, dict[str, str]] = {}
        """Of functions that were looked at: which clock stands for which parameter."""

    def _files(self, side: str, *, tests: bool) -> list[tuple[str, bytes]]:
        """The Python files of a side that are tests, or those that are none: the others are read only where a test has the name."""
        if (side, tests) not in self.files:
            paths = [p for p in self.view.entries[side] if p.endswith(".py") and is_test(p, self.view.policy) == tests]
            self.files[side, tests] = [*self.view.read(side, paths).items()]
        return self.files[side, tests]

    def _found(self, side: str, name: str, known: re.Pattern[bytes], defined: re.Pattern[bytes]) -> str:
        """The first place in the tests that fits `defined`; empty where something of the product fits `known`."""
        text, found = name.encode("utf-8", "surrogatepass"), ""
        for path, data in self._files(side, tests=True):
            if text in data and (match := defined.search(data)):
                found = f"{path}:{data.count(NEWLINE, 0, match.start()) + 1}"
                break
        if not found or any(text in data and known.search(data) for _, data in self._files(side, tests=False)):
            return ""
        return found

    def place(self, name: str) -> str:
        """Where the tests define a name that no product of the base knows, as ``path:line``; empty where they do not."""
        if len(name) < LEAST or name.startswith("__") or name in _everyday():
            return ""
        if name not in self.places:
            word = re.escape(name).encode("utf-8", "surrogatepass")
            known = re.compile(rb"\.%b\b|\b%b\s*[=:(]|\b(def|class)\s+%b\b|['\"]%b['\"]" % ((word,) * 4))
            defined = re.compile(DEFINED.replace(b"NAME", word), re.MULTILINE)
            self.places[name] = self._found("base", name, known, defined)
        return self.places[name]

    def defined(self, name: str) -> str:
        """Where a test of the head defines a function or a class of a name that nothing of the product defines; empty where none does."""
        if len(name) < LEAST or name.startswith("__"):
            return ""
        if name not in self.made:
            word = re.escape(name).encode("utf-8", "surrogatepass")
            made = re.compile(rb"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+%b\b" % word, re.MULTILINE)
            self.made[name] = self._found("head", name, made, made)
        return self.made[name]


@cache
def _everyday() -> frozenset[str]:
    """Attributes of the standard library's everyday objects, which doubles imitate."""
    kinds = (io.TextIOWrapper, io.BytesIO, dict, list, set, str, bytes, int, float, dt.datetime, dt.timedelta, pathlib.Path)
    return frozenset(name for kind in (*kinds, OSError, BaseException) for name in dir(kind)) | IMITATED


QUESTIONS = (ast.Compare, ast.Call, ast.Try)
CALLS, PLAIN = (ast.Call, ast.Attribute, ast.Subscript), (ast.Name, ast.Constant)
TESTS = re.compile(r"_?tests?([_.]\w*)?|Tests?|conftest|<locals>|\.?<locals>\.?|work_\d*")
"""What the names of tests, and of functions inside of them, hold."""
NAMED = frozenset({"__name__", "__qualname__", "__module__"})


def questions(node: ast.Compare | ast.Call | ast.Try, names: Names, doubles: Doubles) -> Iterator[tuple[str, str]]:
    """What a node asks that only tests answer so, in words, with the rule that says it."""
    if isinstance(node, ast.Compare):
        yield from _compared(node, names, doubles)
    elif isinstance(node, ast.Call):
        called = tail(node)
        if called in names.aliases or called == "if_nameindex":
            if names.dotted(node.func) == "socket.if_nameindex":
                yield "test-probe", "asks for the network's interfaces, of which a sandbox has none"
        elif called in ("is_relative_to", "startswith", "relative_to", "commonpath") and _asks_for_the_temporary(node, names):
            yield "test-probe", "asks whether a path is below the temporary folder, as those of tests are"
        elif called in ("startswith", "endswith", "partition", "rpartition", "split", "count") and (
            word := _tells_a_test(node, names)
        ):
            yield "test-probe", f"asks whether the name of something given holds {word!r}"
        elif called in ("hasattr", "getattr", "getattr_static") and len(node.args) > 1 and (name := names.text(node.args[1])):
            if (called == "hasattr" or len(node.args) > 2) and (place := doubles.place(name)):
                yield "test-probe", f"asks for the attribute {name!r}, which only a double of the tests has ({place})"
    elif isinstance(node, ast.Try) and any(h.type is not None and "AttributeError" in ast.dump(h.type) for h in node.handlers):
        for name in sorted({n.attr for n in walk(node.body) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}):
            if place := doubles.place(name):
                yield "test-probe", f"tries the attribute {name!r}, which only a double of the tests has ({place})"


def _given(node: ast.Compare, names: Names, doubles: Doubles) -> tuple[str, str]:
    """A parameter that is asked whether it was given, and the clock or chance that stands for it otherwise; not where one is chosen so."""
    if not isinstance(node.left, ast.Name) or not isinstance(node.ops[0], ast.Is | ast.IsNot) or not _is_none(node.comparators[0]):
        return "", ""
    name, parent = node.left.id, names.parents.get(node)
    if isinstance(parent, ast.BoolOp | ast.IfExp) or (isinstance(parent, ast.If) and isinstance(parent.body[-1], ast.Raise)):
        return "", ""  # a choice itself, or a check of what was given
    function = names.around(node)
    if function is None:
        return "", ""
    if function not in doubles.choices:
        doubles.choices[function] = dict(_choices(function, names))
    return name, doubles.choices[function].get(name, "")


def _choices(function: ast.FunctionDef | ast.AsyncFunctionDef, names: Names) -> Iterator[tuple[str, str]]:
    """Parameters with the clock or chance that stands for each where it was not given."""
    given = parameters(function)
    for choice in walk([function]):
        name, parts = "", list[ast.expr]()
        if isinstance(choice, ast.BoolOp) and isinstance(choice.op, ast.Or) and isinstance(choice.values[0], ast.Name):
            name, parts = choice.values[0].id, choice.values[-1:]
        elif isinstance(choice, ast.IfExp) and isinstance(choice.test, ast.Compare) and isinstance(choice.test.left, ast.Name):
            if isinstance(choice.test.ops[0], ast.Is | ast.IsNot):
                name, parts = choice.test.left.id, [choice.body, choice.orelse]
        yield from ((name, d) for part in parts if name in given and CHANCE.fullmatch(d := names.dotted(part)))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _compared(node: ast.Compare, names: Names, doubles: Doubles) -> Iterator[tuple[str, str]]:
    if (found := _given(node, names, doubles))[1]:
        yield "test-probe", f"asks whether {found[0]} was given, for which {found[1]} stands otherwise: tests give something"
    sides = [node.left, *node.comparators]
    for side in () if any(isinstance(s, ast.Constant) and s.value is None for s in sides) else sides:
        aliased = isinstance(side, ast.Name) and side.id in names.aliases
        if (aliased or isinstance(side, ast.Attribute)) and REPLACED.fullmatch(dotted := names.dotted(side)):
            yield "test-probe", f"asks whether something is {dotted} itself: tests put something else in for it"
        elif isinstance(side, CALLS) and (place := _place(side, names)) and any(names.text(s) or _is_number(s) for s in sides):
            yield "test-probe", f"asks whether {place} is one certain value"
    if any(_is_named(n) for s in sides if not isinstance(s, PLAIN) for n in walk([s])):
        for text in sorted({t for n in walk(sides) if isinstance(n, ast.Constant) and isinstance(t := n.value, str)}):
            if TESTS.fullmatch(text):
                yield "test-probe", f"asks whether the name of something given is {text!r}"
            elif text.isidentifier() and (where := doubles.place(text) or doubles.defined(text)):
                yield "test-probe", f"asks for the name {text!r}, which only the tests define ({where})"


def _is_named(node: ast.AST) -> bool:
    """``call.__name__``, or the text of it, as `getattr` takes it."""
    return (isinstance(node, ast.Attribute) and node.attr in NAMED) or (isinstance(node, ast.Constant) and node.value in NAMED)


def _asks_for_the_temporary(node: ast.Call, names: Names) -> bool:
    return any(isinstance(n, ast.Call) and names.dotted(n.func) == "tempfile.gettempdir" for n in walk(node.args))


def _tells_a_test(node: ast.Call, names: Names) -> str:
    """``call.__module__.startswith("test")``: a word of tests that a name is asked for."""
    value = node.func.value if isinstance(node.func, ast.Attribute) else None
    named = value is not None and any(isinstance(n, ast.Attribute) and n.attr in NAMED for n in walk([value]))
    word = names.text(node.args[0]) if named and node.args else None
    return word if word and TESTS.fullmatch(word) else ""


def _place(node: ast.expr, names: Names) -> str:
    """The function that tells one machine or process from another, where an expression is its answer; of ``uname`` the name alone."""
    call = node.value if isinstance(node, ast.Attribute | ast.Subscript) else node
    called = names.dotted(call.func) if isinstance(call, ast.Call) else ""
    if not PLACE.fullmatch(called):
        return ""
    part = node.attr if isinstance(node, ast.Attribute) else unparsed(node.slice) if isinstance(node, ast.Subscript) else ""
    return called if not called.endswith("uname") or part in ("nodename", "node", "1") else ""


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)
