"""Whole files and definitions that are taken from linters and type checkers. Pure.

What a suppression in a line hides is judged by the checks `ruff` and `mypy` themselves, with suppressions switched off on
both sides; here it is the spellings that hide more than a line, and the code that hides from mypy without a comment.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections import Counter
from collections.abc import Iterator

from pytest_agentgate.checks.integrity import laundered
from pytest_agentgate.checks.integrity.capability_table import ASIDE, SCRIPTS
from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.truth import constant_truth
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.model import Effect
from pytest_agentgate.rulebook import Example, Rule
from pytest_agentgate.syntax import unparsed

WHOLE_FILE = re.compile(
    r"#\s*(?:(?:ruff|flake8)\s*:\s*(?:noqa|file-ignore|disable)\b(?P<codes>[^#]*)|mypy\s*:\s*(?P<mypy>[^#]+)|pylint\s*:\s*skip-file|"
    r"(?:ruff\s*:\s*)?isort\s*:\s*skip_file|pyright\s*:\s*basic\b|type:\s*ignore\s*$)",
    re.IGNORECASE,
)
OTHERS = re.compile(
    r"#\s*(pyright\s*:.*(=\s*(false|none)\b|\boff\b)|pyrefly\s*:\s*ignore-errors|pyre-(ignore-all-errors|unsafe|placeholder-stub)|pytype\s*:\s*skip-file|"
    r"pylint\s*:\s*disable\s*=\s*all)\b",
    re.IGNORECASE,
)
"""What takes a file from type checkers and linters that this gate does not run itself."""
WEAK_MYPY = re.compile(
    r"ignore[-_]errors|disable[-_]error[-_]code|allow[-_]|no[-_](strict|check|warn|disallow)|follow[-_]imports|=\s*false",
    re.IGNORECASE,
)
SMALL = re.compile(
    r"#\s*(pragma:?\s*no\s*(cover|branch)|nosec\b|fmt:\s*(off|skip)|nosemgrep|lgtm|pylint:\s*disable|pyright:\s*ignore)",
    re.IGNORECASE,
)
MAYBE = re.compile(
    r"noqa|ruff|mypy|pylint|isort|pyright|pyrefly|pyre-|pytype|type:|pragma|nosec|fmt:|nosemgrep|lgtm", re.IGNORECASE
)
BLANKET = re.compile(r"#\s*(noqa(?!\s*:\s*[A-Z]+\d)\b|type:\s*ignore(?!\s*\[))", re.IGNORECASE)
WHOLE_BLOCK = re.compile(r"#\s*pragma:?\s*no\s*cover\s*", re.IGNORECASE)
"""On the line of a definition, and without a reason."""
SELDOM_RUN = re.compile(r"(^|_)(main|cli|app)(_|$)|^run$|^__\w+__$|abstract|overload|Protocol|debug|^_?(repr|compat)")
"""Names, decorators and bases of what tests seldom run."""
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
REASON = re.compile(r"[A-Za-z]{3,}")


def find(view: View) -> Iterator[Hit]:
    """New suppressions of whole files, definitions and coverage."""
    for pair in view.python("product", "test", "config", "other"):
        if pair.new is None:
            continue
        yield from _comments(pair)
        if pair.new.tree is not None:
            yield from _split_definitions(pair)
            yield from laundered.find(pair)
            yield from _unchecked(pair)
    for pair in view.pairs:
        was = pair.old.path if pair.old else ""
        left = pair.path != was and was.removesuffix("py.typed") + "__init__.py" in view.entries["head"]
        if was.endswith("py.typed") and (pair.new is None or left):
            yield Hit("integrity/types-unpublished", "users of the package lose its types", was)


def _comments(pair: Pair) -> Iterator[Hit]:
    new = pair.new
    if new is None or not any("#" in line and MAYBE.search(line) for _, line in pair.added()):
        return  # to read a file's tokens takes as long as all the rest
    known = Counter(t.string for t in pair.old.tokens if t.type == tokenize.COMMENT) if pair.old else Counter()
    before = _blankets(pair.old)
    first_code = next((t.start[0] for t in new.tokens if t.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING)), 1 << 30)
    for token in new.tokens:
        if token.type != tokenize.COMMENT:
            continue
        if known[token.string] > 0:
            known[token.string] -= 1
            before[token.line[: token.start[1]].strip()] -= 1  # this line is the base's own
            continue
        yield from _comment(pair, token, first_code, before)


def _comment(pair: Pair, token: tokenize.TokenInfo, first_code: int, before: Counter[str]) -> Iterator[Hit]:
    text, line = token.string, token.start[0]
    match = WHOLE_FILE.search(text)
    if match and not (match["mypy"] and not WEAK_MYPY.search(match["mypy"])):
        if "type:" in match[0].lower() and (line > first_code or not token.line.lstrip().startswith("#")):
            return  # in a line: the check `mypy` judges what it hides
        codes = (match["codes"] or "").strip(" :=-")
        named = re.search(r"[A-Z]+\d+|\[.+\]", codes)
        rest = re.sub(r"\[[^\]]*\]|[A-Z]+\d+|[,:\s-]", " ", codes)
        if not named:
            yield Hit("integrity/file-suppressed", "everything in the file is taken from a tool", pair.path, line, text)
        else:
            effect: Effect = "note" if REASON.search(rest) or pair.kind == "test" else "hold"
            yield Hit("integrity/file-suppressed", "rules are switched off for the file", pair.path, line, text, effect)
    elif OTHERS.search(text):
        yield Hit(
            "integrity/file-suppressed", "a type checker or linter no longer looks at the file", pair.path, line, text, "hold"
        )
    elif BLANKET.search(text) and pair.kind == "product":
        code = token.line[: token.start[1]].strip()
        if code and before[code] > 0:
            before[code] -= 1
            return
        yield Hit("integrity/blanket-suppression", "everything in the line is taken from a tool", pair.path, line, text)
    elif SMALL.search(text):
        alone = token.line.lstrip().startswith("#")
        name = "" if alone or not WHOLE_BLOCK.fullmatch(re.sub(r"\s*#\s*noqa\b.*", "", text)) else _unmeasured(pair, line)
        words = f"no coverage is asked of all of {name}" if name else "coverage, security or format are not looked at here"
        yield Hit("integrity/line-suppressed", words, pair.path, line, text, "hold" if name else None)


def _blankets(source: Source | None) -> Counter[str]:
    """Code of the lines that a comment takes from everything, without layout and comment."""
    if source is None or not BLANKET.search(source.text):
        return Counter()
    found = ((line, m) for line in source.text.splitlines() if (m := BLANKET.search(line)))
    return Counter(line[: m.start()].partition("#")[0].strip() for line, m in found)


def _unmeasured(pair: Pair, line: int) -> str:
    """Name of the function or class of the product that starts in a line; empty where it is one that tests seldom run.

    Entry points, special methods, what is left to others to define, and what runs elsewhere only (below an ``if`` or ``try``).
    """
    above = pair.new.line(line - 1).strip() if pair.new and line > 1 else ""
    said = above.startswith("#") and REASON.search(above)
    aside = ASIDE.match(pair.path) or SCRIPTS.match(pair.path)
    tree = pair.new.tree if pair.new and pair.kind == "product" and not said and not aside else None
    owners: list[ast.Module | ast.ClassDef] = [tree, *(n for n in tree.body if isinstance(n, ast.ClassDef))] if tree else []
    node = next((n for o in owners for n in o.body if isinstance(n, Definition) and _first(n) <= line <= _head(n)), None)
    if node is None or SELDOM_RUN.search(node.name) or any(SELDOM_RUN.search(unparsed(d)) for d in node.decorator_list):
        return ""
    if isinstance(node, ast.ClassDef):
        return "" if any(SELDOM_RUN.search(unparsed(b)) for b in node.bases) else node.name
    empty = all(
        isinstance(s, ast.Raise | ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in node.body
    )
    return "" if empty else node.name


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """The line of a definition's first decorator, or its own."""
    return min(node.lineno, *(d.lineno for d in node.decorator_list)) if node.decorator_list else node.lineno


def _head(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """The last line of a definition before its body."""
    return max(node.lineno, node.body[0].lineno - 1)


FOR_CHECKERS = re.compile(r"(not )?\b(?:typing\.)?(?:TYPE_CHECKING|MYPY)\b")
"""Names that mypy takes for true, and that are false at run time."""


def _split_definitions(pair: Pair) -> Iterator[Hit]:
    """Functions and classes that are one thing for the type checker and another at run time."""
    if pair.new is None or not (b"TYPE_CHECKING" in pair.new.data or b"MYPY" in pair.new.data):
        return
    old = set(_splits(pair.old)) if pair.old else set()
    for name, line in _splits(pair.new):
        if name not in {n for n, _ in old}:
            yield Hit(
                "integrity/two-definitions", f"{name} is defined once for the type checker and once for run time", pair.path, line
            )


def _splits(source: Source | None) -> Iterator[tuple[str, int]]:
    for node in source.of(ast.If) if source else ():
        if words := FOR_CHECKERS.search(ast.unparse(node.test)):
            unseen = node.body if words[1] else node.orelse
            if any(
                isinstance(n, ast.Return) for s in unseen for n in walk([s]) if not isinstance(s, ast.FunctionDef | ast.ClassDef)
            ):
                yield "a result", node.lineno
            one, other = (
                {n.name for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)}
                for body in (node.body, node.orelse)
            )
            for name in sorted(one & other):
                yield name, node.lineno
            negated = isinstance(node.test, ast.UnaryOp)
            for name in sorted((one if negated else other) - (one & other)):
                yield name, node.lineno


def _unchecked(pair: Pair) -> Iterator[Hit]:
    yield from _undeclared(pair)
    if pair.new is None or b"no_type_check" not in pair.new.data:
        return
    before, after = (_no_type_check(s) for s in (pair.old, pair.new))
    for line in after[len(before) :] if len(after) > len(before) else []:
        yield Hit("integrity/not-type-checked", "the type checker does not look into this definition", pair.path, line)


def _undeclared(pair: Pair) -> Iterator[Hit]:
    """Functions that lost every annotation, into which mypy no longer looks, and guards that say yes to everything."""
    if pair.new is None or pair.kind != "product":
        return
    old, guards = _functions(pair.old), b"TypeGuard" in pair.new.data or b"TypeIs" in pair.new.data
    for name, node in _functions(pair.new).items():
        before = old.get(name)
        if before is not None and _annotated(before) and not _annotated(node) and pair.change.touches(node.lineno):
            words = f"{name} lost all its annotations: by default mypy does not look into it any more"
            yield Hit("integrity/not-type-checked", words, pair.path, node.lineno, pair.new.line(node.lineno))
        if not guards or node.returns is None or not re.search(r"\bType(Guard|Is)\b", ast.unparse(node.returns)):
            continue
        answers = [constant_truth(r.value) for r in walk([node]) if isinstance(r, ast.Return) and r.value is not None]
        if answers and all(answers) and (before is None or ast.dump(before) != ast.dump(node)):
            words = f"{name} tells the type checker that a value has a type, and does not look at it"
            yield Hit("integrity/not-type-checked", words, pair.path, node.lineno, pair.new.line(node.lineno))


def _functions(source: Source | None) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions by name, methods with their class."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    owners: list[ast.Module | ast.ClassDef] = [*source.of(ast.Module), *source.of(ast.ClassDef)] if source else []
    for owner in owners:
        prefix = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
        found |= {f"{prefix}{n.name}": n for n in owner.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    return found


def _annotated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = node.args
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
    return node.returns is not None or any(a is not None and a.annotation is not None for a in every)


def _no_type_check(source: Source | None) -> list[int]:
    nodes = source.nodes if source else ()
    return [
        n.lineno
        for n in nodes
        if (isinstance(n, ast.ImportFrom) and any(a.name.startswith("no_type_check") for a in n.names))
        or (isinstance(n, ast.Attribute) and n.attr.startswith("no_type_check"))
    ]


_MEAN = "def mean(xs):\n    return sum(xs) / len(xs)\n"
_BASE = {"calc.py": _MEAN}


def _rule(name: str, effect: Effect, title: str, why: str, bad: str, good: str, instead: str) -> Rule:
    return Rule(
        f"integrity/{name}", effect, title, why, Example(_BASE, {"calc.py": bad}), Example(_BASE, {"calc.py": good}), instead
    )


RULES = (
    _rule("file-suppressed", "reject", "A comment takes a whole file from a linter or type checker",
          "One line hides every problem in the file, today's and tomorrow's.",
          "# ruff: noqa\n" + _MEAN, "import os  # noqa: F401  # re-exported for old callers\n\n\n" + _MEAN,
          "Silence the one line, with its code and the reason. With codes it is held; with codes and a reason, noted."),
    _rule("blanket-suppression", "hold", "A comment takes a line of the product from every rule",
          "Without a code it hides today's problem and any other that comes to the line.",
          "import os  # noqa\n\n\n" + _MEAN, "import os  # noqa: F401  # re-exported for old callers\n\n\n" + _MEAN,
          "Name the code, and the reason. What it hides now is judged by the checks `ruff` and `mypy`."),
    _rule("line-suppressed", "note", "A comment takes a line from coverage, security or format",
          "What is not measured is not seen; most such comments are honest. On the line of a whole function or class of the product, without a reason, it is held; not for entry points, special methods and what others define.",
          _MEAN + "\n\nif mean([1]) != 1:  # pragma: no cover\n    raise SystemExit\n", _MEAN + "\n\nONE = mean([1])  # the mean of one\n",
          "Say why behind the comment, or test it. For a line nothing has to be done; the policy can ask for more."),
    _rule("two-definitions", "hold", "A definition is one thing for mypy and another at run time",
          "mypy checks the branch that never runs.",
          "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    def mean(xs: list[int]) -> float: ...\nelse:\n    def mean(xs):\n        return ''\n",
          "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from collections.abc import Sequence\n\n\n" + _MEAN,
          "Define it once. Imports under TYPE_CHECKING are not affected."),
    _rule("any-laundering", "note", "More Any and cast than before",
          "A value of type Any is checked against nothing. A cast of what was cast before (`cast(int, cast(Any, x))`) is held: it says that mypy would object to either. So is a class that gets a `__getattr__` which gives Any.",
          "from typing import Any\n\n\ndef mean(xs: Any) -> Any:\n    return sum(xs) / len(xs)\n", "def mean(xs: list[float]) -> float:\n    return sum(xs) / len(xs)\n",
          "Nothing has to be done; the policy can ask for more."),
    _rule("not-type-checked", "hold", "A definition is taken from the type checker",
          "`no_type_check` hides every error in the function or class.",
          "from typing import no_type_check\n\n\n@no_type_check\n" + _MEAN, "from functools import cache\n\n\n@cache\n" + _MEAN,
          "Annotate what can be; a human allows the rest: `--approve integrity/not-type-checked:PATH`."),
    Rule("integrity/types-unpublished", "hold", "The marker py.typed is removed",
         "Type checkers of all users stop looking at the package. None of 7,500 honest commits did it.",
         Example({**_BASE, "py.typed": ""}, {"py.typed": None}), Example({**_BASE, "py.typed": ""}, {"calc.py": _MEAN + "\n\nX = 1\n"}),
         "Leave it in place."),
)  # fmt: skip
SET = RuleSet(RULES, find)
