"""How a comment that silences a linter or a type checker is spelt. Pure."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from typing import Literal

from pytest_agentgate.layout import is_test
from pytest_agentgate.model import Policy
from pytest_agentgate.model.policy import PolicyEffect
from pytest_agentgate.syntax import parsed

Spelling = Literal["blanket", "coded", "reasoned"]

_RUFF_LINE = re.compile(
    r"#\s*(?:noqa:\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)|"
    r"ruff:\s*ignore\s*\[(?P<names>[^\]]+)\])(?P<rest>.*)",
    re.IGNORECASE,
)
_MYPY_LINE = re.compile(r"#\s*type:\s*ignore\s*\[(?P<codes>[^\]]+)\](?P<rest>.*)")
_MYPY_ANY = re.compile(r"#\s*(?:type:\s*ignore\b|mypy:\s*\S).*")
_NO_TYPE_CHECK = re.compile(r"^\s*@(?:\w+\.)*(?P<name>\w+)\s*(?:#.*)?$")
_ALIAS = re.compile(r"\bno_type_check(?:_decorator)?\b(?:\s+as\s+(?P<name>\w+))?")
_RUFF_ANY = re.compile(r"#\s*(?:noqa\b|(?:ruff|flake8):|isort:\s*skip|fmt:\s*(?:off|skip))", re.IGNORECASE)
_MAYBE = re.compile(r"noqa|ignore|ruff|flake8|mypy:|no_type_check|type_checking|isort|fmt:", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]{3,}")


def ruff_spelling(lines: Sequence[str], above: str, code: str, name: str = "") -> Spelling:
    """How ruff's finding `code` was silenced: in the lines of its statement, on the line above, or wholesale.

    `name` is what ruff calls the rule; where a project has preview on, its comments may say that instead of the code.
    """
    for text in (*lines, above if above.lstrip().startswith("#") else ""):
        for match in _RUFF_LINE.finditer(text):
            named = re.split(r"[,\s]+", (match["codes"] or match["names"]).upper().strip())
            if any(n in (code.upper(), name.upper()) or (code.upper().startswith(n) and len(n) > 2) for n in named if n):
                return "reasoned" if _WORD.search(_rest(match["rest"])) else "coded"
    return "blanket"


UNREASONED = "mend it, or write the reason behind the comment"
"""What to do about a code that is silenced without a reason."""


def worth(spelling: Spelling, path: str, policy: Policy) -> PolicyEffect:
    """The policy's effect of a new problem that is silenced so in a file."""
    found = policy.suppressed
    if spelling == "coded":
        return found.in_tests if is_test(path, policy) else found.coded
    return found.blanket if spelling == "blanket" else found.reasoned


PARENTS = {
    "method-assign": "assignment",
    "typeddict-unknown-key": "typeddict-item",
    "import-not-found": "import",
    "import-untyped": "import",
    "call-arg": "misc",
    "overload-cannot-match": "misc",
    "overload-overlap": "misc",
    "prop-decorator": "misc",
}
"""mypy's error codes that an ignore of another code silences as well (`mypy.errorcodes.sub_code_map`, mypy 2.4)."""


def mypy_spelling(lines: Sequence[str], code: str) -> Spelling:
    """How mypy's error `code` was silenced, given the lines of the statement that it is in."""
    for line in lines:
        match = _MYPY_LINE.search(line)
        if match and not {code, PARENTS.get(code, code)}.isdisjoint(c.strip() for c in match["codes"].split(",")):
            return "reasoned" if _WORD.search(_rest(match["rest"])) else "coded"
    return "blanket"


def statement_lines(source: str, line: int) -> tuple[int, int]:
    """First and last line of the simple statement, or of the header of the compound one, that `line` (1-based) is in."""
    tree = parsed(source)
    if tree is None:
        return line, line
    best = (line, line)
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            body = getattr(node, "body", None)
            last = max(body[0].lineno - 1, node.lineno) if body else node.end_lineno or node.lineno
            if node.lineno <= line <= last:
                best = (node.lineno, last)
    return best


def _rest(text: str) -> str:
    """What follows a suppression, without further suppressions."""
    return re.sub(r"#\s*(noqa|type:\s*ignore|ruff:|pragma)\b[^#]*", "", text)


def _comments(source: str) -> Iterator[tuple[int, int, str]]:
    """Comments with 1-based line and 0-based column; by line where the source does not tokenize with our grammar."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        for number, line in enumerate(source.splitlines(), 1):
            if "#" in line:
                yield number, line.index("#"), line[line.index("#") :]
        return
    for token in tokens:
        if token.type == tokenize.COMMENT:
            yield *token.start, token.string


def _second_definitions(source: str) -> list[ast.If]:
    """``if TYPE_CHECKING: def f(): ... else: def f(): ...``: the type checker never reads the branch that runs."""
    if "TYPE_CHECKING" not in source:
        return []
    tree = parsed(source)
    if tree is None:
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and node.test.lineno == node.test.end_lineno:
            one, other = (
                {n.name for n in b if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)} for b in (node.body, node.orelse)
            )
            if one & other:
                found.append(node)
    return found


def casts_of_casts(source: str) -> list[ast.Call]:
    """Calls of ``typing.cast`` by which a value goes to one type and from there to another, the inner ones too.

    One cast says what somebody knows; with a second one around it the type checker is asked for neither.
    """
    if source.count("cast") < 3 or "typing" not in source or "\r" in source.replace("\r\n", ""):  # it is imported, and called twice
        return []
    tree = parsed(source)
    found: dict[int, ast.Call] = {}
    for node in ast.walk(tree) if tree else ():
        if not (isinstance(node, ast.Call) and _is_cast(node)):
            continue
        direct = isinstance(node.args[1], ast.Call) and _is_cast(node.args[1])
        inner = [node.args[1]]
        while inner:
            part = inner.pop()
            if isinstance(part, ast.Call) and _is_cast(part) and (direct or _is_open(part.args[0])):
                found |= {id(node): node, id(part): part}
            elif isinstance(part, ast.BinOp | ast.BoolOp | ast.IfExp | ast.UnaryOp | ast.NamedExpr):
                inner += [n for n in ast.iter_child_nodes(part) if isinstance(n, ast.expr)]
    return list(found.values())


def _is_open(kind: ast.expr) -> bool:
    """Whether a type lets everything be done, or is everything's: a value that was cast to it is asked for nothing."""
    name = kind.value if isinstance(kind, ast.Constant) else getattr(kind, "id", getattr(kind, "attr", ""))
    return name in ("Any", "object")


def _is_cast(node: ast.Call) -> bool:
    """Whether a call has the shape of ``cast(type, value)``; an argument of another call has a type of its own again."""
    return (
        getattr(node.func, "id", getattr(node.func, "attr", "")) == "cast"
        and len(node.args) == 2
        and not node.keywords
        and not isinstance(node.args[1], ast.Starred)
    )


def _unwrap(lines: list[str], node: ast.Call) -> None:
    """Leave of a cast its value, in brackets; lines and columns stay."""
    value = node.args[1]
    _blank(lines, (node.lineno, node.col_offset), (value.lineno, value.col_offset), "(")
    end = (node.end_lineno or node.lineno, (node.end_col_offset or 1) - 1)
    _blank(lines, (value.end_lineno or value.lineno, value.end_col_offset or 0), end, "")


def _blank(lines: list[str], start: tuple[int, int], end: tuple[int, int], first: str) -> None:
    """Spaces from one place to another, behind `first`; places as `ast` counts them: lines from 1, columns in bytes."""
    for number in range(start[0], end[0] + 1):
        raw = lines[number - 1].encode("utf-8", "surrogateescape")
        left = start[1] if number == start[0] else 0
        right = end[1] if number == end[0] else len(raw)
        held = (first.encode() if number == start[0] else b"").ljust(right - left)
        lines[number - 1] = b"".join((raw[:left], held, raw[right:])).decode("utf-8", "surrogateescape")


def silencing_lines(source: str) -> set[int]:
    """Lines (1-based) that silence a linter or a type checker in any way."""
    if not _MAYBE.search(source):
        return set()
    found = {number for number, _, comment in _comments(source) if _MYPY_ANY.search(comment) or _RUFF_ANY.search(comment)}
    for node in _second_definitions(source):
        found |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return found | {n for n, line in enumerate(source.splitlines(), 1) if "no_type_check" in line}


def without_type_suppressions(source: str) -> str:
    """The same lines without comments and decorators that silence the type checker; line numbers stay.

    Of two definitions of a function, one for the type checker and one for run time, it reads the latter; of a cast of a cast the value.
    """
    lines = source.split("\n")
    for call in casts_of_casts(source):
        _unwrap(lines, call)
    for node in _second_definitions(source):
        raw = lines[node.test.lineno - 1].encode("utf-8", "surrogateescape")  # ast counts bytes
        first, last = node.test.col_offset, node.test.end_col_offset
        lines[node.test.lineno - 1] = b"".join((raw[:first], b"not (", raw[first:last], b")", raw[last:])).decode(
            "utf-8", "surrogateescape"
        )
    for number, column, comment in _comments(source):
        match = _MYPY_ANY.search(comment)
        if match and number <= len(lines):
            lines[number - 1] = lines[number - 1][: column + match.start()].rstrip()
    names = {"no_type_check", "no_type_check_decorator", *(m["name"] for m in _ALIAS.finditer(source) if m["name"])}
    return "\n".join("" if (m := _NO_TYPE_CHECK.match(line)) and m["name"] in names else line for line in lines)
