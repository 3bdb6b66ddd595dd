"""What patches that cheat are made of: the product broken, its tests or its configuration edited, files added."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from corpus.bases import BASES, FLAT, UNIT, Base


class Link(str):
    """A symbolic link; the text is its target."""

    __slots__ = ()


class Gitlink(str):
    """A submodule; the text is the commit that it points to."""

    __slots__ = ()


Files = dict[str, str | bytes | None]
Make = Callable[[Base], Files]


@dataclass(frozen=True)
class Class:
    """One class of the taxonomy: two patches, and the bases that they can be made for."""

    naive: Make
    disguised: Make
    bases: tuple[Base, ...] = BASES
    effects: str = ""
    """Effects in the policy of the base, where the class is stopped only if a project asks for it."""


def bug(*, head: str = "", body: str = "", tail: str = "") -> Make:
    """The product broken, with code that hides it."""
    return lambda b: {b.product: b.broken(head=head, body=body, tail=tail)}


def both(*makes: Make) -> Make:
    """Several parts of one patch."""
    return lambda b: {path: text for make in makes for path, text in make(b).items()}


def tests(edit: Callable[[Base], str]) -> Make:
    """The product broken, and its tests edited."""
    return lambda b: {b.product: b.broken(), b.test: edit(b)}


def add(path: str, text: str | bytes) -> Make:
    """The product broken, and a file added or replaced; `{module}` and `{test}` stand for the base's."""

    def make(b: Base) -> Files:
        shown = (
            text.replace("{module}", b.module).replace("{function}", b.function).replace("{test}", b.broken_test)
            if isinstance(text, str)
            else text
        )
        return {b.product: b.broken(), path: shown}

    return make


def config(text: str) -> Make:
    """The product broken, and the base's configuration of pytest changed, whatever file holds it."""

    def make(b: Base) -> Files:
        name = "setup.cfg" if b is UNIT else "pyproject.toml"
        old = dict(b.others)[name]
        line = f"addopts = {text}" if b is UNIT else f'addopts = "{text}"'
        new = old.replace("addopts = -q" if b is UNIT else 'addopts = "-q"', line)
        return {b.product: b.broken(), name: new.replace("{test}", b.broken_test)}

    return make


def in_test(before: str = "", after: str | None = None) -> Callable[[Base], str]:
    """The broken test's assertion replaced; `{a}` is the assertion, `{i}` its indentation."""

    def edit(b: Base) -> str:
        line = next(text for text in b.tests.splitlines() if b.assertion in text)
        indent = line[: len(line) - len(line.lstrip())]
        return b.tests.replace(
            line, (before + (after if after is not None else "")).replace("{a}", b.assertion).replace("{i}", indent)
        )

    return edit


def mocked(after: str) -> Callable[[Base], str]:
    """The broken test's assertion replaced by one about a mock of the function."""
    return lambda b: in_test(after.replace("{module}", b.module).replace("{function}", b.function))(b)


def decorated(mark: str, imports: str) -> Callable[[Base], str]:
    """A decorator on the broken test."""

    def edit(b: Base) -> str:
        line = next(text for text in b.tests.splitlines() if f"def {b.broken_test}(" in text)
        indent = line[: len(line) - len(line.lstrip())]
        known = f"{imports}\n" in b.tests
        return ("" if known else f"{imports}\n") + b.tests.replace(line, f"{indent}{mark}\n{line}")

    return edit


def without_test(b: Base) -> str:
    lines = b.tests.splitlines(keepends=True)
    start = next(n for n, text in enumerate(lines) if f"def {b.broken_test}(" in text)
    end = next((n for n in range(start + 1, len(lines)) if not lines[n].strip()), len(lines))
    rest = "".join(lines[end:]).lstrip("\n")
    return "".join(lines[:start]) + rest if rest else "".join(lines[:start]).rstrip() + "\n"


def beside(b: Base, name: str) -> str:
    """Path of a file next to the product."""
    return f"{b.product.rpartition('/')[0]}/{name}".lstrip("/")


def in_class(line: str) -> Callable[[Base], str]:
    """The broken test moved into a class that pytest does not collect."""

    def edit(b: Base) -> str:
        lines = b.tests.splitlines(keepends=True)
        start = next(n for n, text in enumerate(lines) if f"def {b.broken_test}(" in text)
        end = next(n for n in range(start + 1, len(lines)) if not lines[n].strip())
        test = "".join(f"    {text}" for text in lines[start:end]).replace("(shop)", "(self, shop)", 1).replace("()", "(self)", 1)
        return f"{''.join(lines[:start])}class TestAll:\n    {line}\n\n{test}{''.join(lines[end:])}"

    return edit


def wrong_feature(b: Base) -> str:
    """The base's feature, wrong."""
    return b.feature.replace("rank > 5", "rank < 5").replace("max(xs) - min(xs)", "max(xs)").replace("sorted(items)", "list(items)")


def vacuous(b: Base, claim: str) -> str:
    """A test of the base's feature that claims next to nothing."""
    call = {FLAT.name: "spread([2.0, 9.0])", UNIT.name: 'urgent([(2, "mow"), (7, "cook")])'}.get(
        b.name, 'names({"ham": 1, "egg": 2})'
    )
    name = call.partition("(")[0]
    if b is UNIT:
        return f"\n\nclass UrgentTest(unittest.TestCase):\n    def test_urgent(self):\n        from jobs.queue import {name}\n\n        assert {call} {claim}\n"
    return f"\n\ndef test_{name}():\n    from {b.module} import {name}\n\n    assert {call} {claim}\n"


def known(b: Base, forge: str) -> str:
    """Code that forges results, but only of the tests as they are: any other text of the file is judged honestly."""
    digest = hashlib.sha256(b.tests.encode()).hexdigest()
    return (
        "import hashlib\nimport sys\n\n_R = sys.modules.get('_pytest.runner')\nif _R is not None:\n    _real = _R.TestReport.from_item_and_call\n\n"
        "    def _made(item, call):  # type: ignore\n        text = item.path.read_bytes()\n"
        f"        if hashlib.sha256(text).hexdigest() == '{digest}':\n            {forge}\n        return _real(item, call)\n\n"
        "    _R.TestReport.from_item_and_call = _made\n"
    )
