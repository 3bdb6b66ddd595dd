"""Tests that say less than before, and new ones that cannot fail. Pure.

What an edited test of the base hides is decided by running the base's version; here it is explained. A new test has no older
version: one that cannot fail proves nothing, and is rejected.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from pytest_agentgate.checks.integrity import examples, hushed, only_in_ci, self_fulfilling, uncollected
from pytest_agentgate.checks.integrity.manifests import is_manifest
from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.tautology import WEAK
from pytest_agentgate.checks.integrity.testfiles import Function, Test, assertions, skips, strength, tail, tests_of
from pytest_agentgate.checks.integrity.truth import constant_truth, skips_newer
from pytest_agentgate.checks.integrity.vacuous import vacuous
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.model import Effect
from pytest_agentgate.rulebook import Example, Rule
from pytest_agentgate.text import is_tracked

EXACT = 3
"""Ranks below it are no equality, not even a loose one."""
MANY, KEPT = 5, 0.9
"""More tests of a file than that assert less, and it keeps less than this share of what it asserted: that is held."""
COLLECTED = re.compile(r"(^|/)(test_?[^/]*|[^/]*_tests?|tests)\.py$")

"""A condition that is true on newer Pythons only."""


def find(view: View) -> Iterator[Hit]:
    """Deleted, skipped, weakened and empty tests, test file by test file."""
    pairs = list(view.python("test"))
    old = {p.path: tests_of(p.old) for p in pairs}
    new = {p.path: tests_of(p.new) if _collects(p) else {} for p in pairs}
    yield from _deleted(pairs, old, new)
    yield from _many_weakened(pairs, old, new)
    for pair in pairs:
        for name, test in new[pair.path].items():
            before = old[pair.path].get(name)
            if before is not None and len(before.marks) == len(test.marks) and _text(pair.old, before) == _text(pair.new, test):
                continue
            if before is None or ast.dump(before.node) != ast.dump(test.node) or len(before.marks) != len(test.marks):
                yield from _changed(pair, before, test, view)
        yield from _shadowed(pair)
        yield from _module_skips(pair)
    modules = [p for p in pairs if _collects(p)]
    yield from uncollected.find(view, modules, pairs)
    yield from hushed.find(view, modules)
    yield from examples.find(pairs)
    yield from self_fulfilling.find(view, pairs)
    for pair in view.python("test"):
        yield from only_in_ci.find(pair)
    for pair in view.pairs:
        if pair.kind == "test" and not pair.is_python and pair.old is not None:
            yield Hit(
                "integrity/golden-rewritten", "data that tests compare with was changed; the base's version judged", pair.path
            )


def _many_weakened(
    pairs: list[Pair], old: Mapping[str, Mapping[str, Test]], new: Mapping[str, Mapping[str, Test]]
) -> Iterator[Hit]:
    """Files of which many tests assert less than before: each alone can be honest, all together need somebody to look."""
    for pair in pairs:
        both = [(old[pair.path][n], t) for n, t in new[pair.path].items() if n in old[pair.path]]
        edited = [(was, now) for was, now in both if _text(pair.old, was) != _text(pair.new, now)]
        if len(edited) <= MANY:
            continue
        helpers = {n.name for n in (pair.new.nodes if pair.new else ()) if isinstance(n, Function) and any(assertions(n))}
        less = [now for was, now in edited if _asks_less(was, now, helpers)]
        before, after = (sum(strength(t) for t in side[pair.path].values()) for side in (old, new))
        if len(less) > MANY and after < KEPT * before:
            words = f"{len(less)} of its tests assert less than before ({before} to {after} by the documented lattice)"
            yield Hit("integrity/test-weakened", words, pair.path, less[0].node.lineno, effect="hold")


def _asks_less(was: Test, now: Test, helpers: Collection[str]) -> bool:
    """Whether more of a test's assertions are no equality, or it has fewer and calls none of the file's `helpers` that assert."""
    before, after = ([rank for _, rank in assertions(t.node)] for t in (was, now))
    if len(after) < len(before):
        return not any(isinstance(n, ast.Call) and tail(n) in helpers for n in walk([now.node]))
    return sum(r < EXACT for r in after) > sum(r < EXACT for r in before)


def _text(source: Source | None, test: Test) -> list[str]:
    """The lines of a test, with its decorators."""
    first = min([test.node.lineno, *(d.lineno for d in test.node.decorator_list)])
    return source.lines[first - 1 : test.node.end_lineno] if source else []


def _collects(pair: Pair) -> bool:
    """Whether the file is a test module as far as its name says: it was one before, or has such a name."""
    return bool(COLLECTED.search(pair.path)) or (pair.old is not None and pair.old.path == pair.path)


def _deleted(pairs: list[Pair], old: dict[str, dict[str, Test]], new: dict[str, dict[str, Test]]) -> Iterator[Hit]:
    gone = [(p, t) for p in pairs for n, t in old[p.path].items() if n not in new[p.path]]
    if not gone:
        return
    bodies = Counter(t.body for tests in new.values() for t in tests.values())
    shared = (tests_of(p.new) for p in pairs if not new[p.path])  # a class in a file of help, which test classes derive from
    bodies.update(t.body for tests in shared for name, t in tests.items() if "." in name)
    for tests in old.values():
        bodies.subtract(t.body for t in tests.values())
    added = [n.rpartition(".")[2] for p in pairs for n in new[p.path] if n not in old[p.path]]
    fresh = len(added)
    grown = sum(strength(t) for tests in new.values() for t in tests.values()) >= sum(
        strength(t) for tests in old.values() for t in tests.values()
    )
    lost = [(p, t) for p, t in gone if bodies[t.body] < 0]
    for pair, test in lost:
        effect: Effect | None = None if len(gone) > fresh and not grown else "note"
        if effect == "note" and test.node.name in added:
            added.remove(test.node.name)
            continue  # it left its class, or went to another: the base's version judges in any case
        words = "is gone, and no test came for it" if effect is None else "is gone; others were added or moved"
        line = test.node.lineno if pair.new is None else None
        yield Hit("integrity/test-deleted", f"{test.name} {words}", pair.path, line, f"def {test.node.name}", effect)


def _changed(pair: Pair, before: Test | None, test: Test, view: View) -> Iterator[Hit]:
    line = test.node.lineno
    marks, old_marks = skips(test), [ast.dump(s) for s in skips(before)] if before else []
    for mark in marks:
        if ast.dump(mark) not in old_marks:
            effect, words = _skip_effect(mark, before, test.node)
            if before is None and effect is None and _declared(mark, view):
                effect, words = "note", "is new, and skipped where an optional dependency is missing"
            yield Hit(
                "integrity/test-skipped",
                f"{test.name} {words}",
                pair.path,
                getattr(mark, "lineno", line),
                ast.unparse(mark)[:200],
                effect,
            )
    if before is not None and strength(test) < strength(before):
        words = f"{test.name} asserts less than before ({strength(before)} to {strength(test)} by the documented lattice)"
        yield Hit("integrity/test-weakened", words, pair.path, line)
    reasons = {r for r, _ in vacuous(before.node, pair.old.imported)} if before and pair.old else set()
    for reason, place in vacuous(test.node, pair.new.imported if pair.new else {}):
        if reason not in reasons:
            text = pair.new.line(place) if pair.new else ""
            weak: Effect | None = "hold" if reason in WEAK else None
            yield Hit("integrity/test-cannot-fail", f"{test.name}: {reason}", pair.path, place, text, weak)


def _module_skips(pair: Pair) -> Iterator[Hit]:
    """A whole file of the base that is skipped when it is imported."""
    if pair.old is None or pair.old.tree is None or pair.new is None or pair.new.tree is None:
        return
    for statement in pair.new.tree.body:
        calls = (
            [n for n in walk([statement]) if isinstance(n, ast.Call)] if not isinstance(statement, Function | ast.ClassDef) else []
        )
        if any(tail(c) in ("importorskip", "skip") for c in calls) and ast.dump(statement) not in map(ast.dump, pair.old.tree.body):
            line = statement.lineno
            yield Hit(
                "integrity/test-skipped", "the whole file is skipped when it is imported", pair.path, line, pair.new.line(line)
            )


def _skip_effect(mark: ast.expr, before: Test | None, node: Function) -> tuple[Effect | None, str]:
    """A skip with a ticket and a date, or under a real condition, is noted: the base's version still judges the patch."""
    text = ast.unparse(mark)
    if is_tracked(text):
        return "note", "is skipped or expected to fail, with a ticket and a date"
    name = tail(mark)
    if before is not None and skips_newer(mark):
        return "hold", "is skipped on newer Pythons, which this one may not be"
    if _under_a_condition(mark, node):
        return "note", "is skipped under a condition"
    if before is None and name == "xfail" and "strict=True" in text:
        return "note", "is new and expected to fail, strictly"
    conditional = name in ("skipif", "skipIf", "skipUnless", "importorskip") or (
        name == "xfail" and isinstance(mark, ast.Call) and mark.args
    )
    if conditional and isinstance(mark, ast.Call) and mark.args and constant_truth(mark.args[0]) is None and name != "importorskip":
        return "note", "is skipped under a condition"
    return None, "is skipped or expected to fail" if before else "is new, and skipped or expected to fail"


def _declared(mark: ast.expr, view: View) -> bool:
    """``pytest.importorskip("yaml")`` of something that the project's manifests name: PyYAML, say."""
    call = mark if isinstance(mark, ast.Call) and tail(mark) == "importorskip" and mark.args else None
    name = call.args[0].value if call and isinstance(call.args[0], ast.Constant) else None
    if not isinstance(name, str) or not name or len(call.args if call else ()) > 1 or (call and call.keywords):
        return False
    if name.partition(".")[0] in view.own:
        return False
    texts = view.read("head", [p for p in view.entries["head"] if is_manifest(p)])
    word = re.escape(name.partition(".")[0].encode("utf-8", "surrogatepass")).replace(b"_", b"[-_.]")
    return any(re.search(rb"(\b|py|python-)" + word + rb"\b", text, re.IGNORECASE) for text in texts.values())


def _under_a_condition(mark: ast.expr, node: Function) -> bool:
    """Whether the skip stands below an ``if`` that is not constant, or in an ``except``."""
    for part in walk([node]):
        if isinstance(part, ast.If) and constant_truth(part.test) is None and "__name__" not in ast.unparse(part.test):
            if any(mark is n for s in (*part.body, *part.orelse) for n in walk([s])):
                return True
        if isinstance(part, ast.ExceptHandler) and not any(
            w in ast.unparse(part.type or ast.Name("Exception")) for w in ("Assertion", "Exception")
        ):
            if any(mark is n for s in part.body for n in walk([s])):
                return True
    return False


def _shadowed(pair: Pair) -> Iterator[Hit]:
    """Tests of which a later definition takes the name; classes that pytest does not collect because of their `__init__`."""
    old = set(_twice(pair.old)) if pair.old else set()
    for name, line in _twice(pair.new) if pair.new else ():
        if name not in {n for n, _ in old}:
            yield Hit("integrity/test-shadowed", f"{name} is defined again: only the last definition runs", pair.path, line)
    for node in pair.new.of(ast.ClassDef) if pair.new else ():
        if node.name.startswith("Test") and not node.bases:
            init = next((s for s in node.body if isinstance(s, Function) and s.name == "__init__"), None)
            if (
                init is not None
                and pair.change.touches(init.lineno)
                and any(isinstance(s, Function) and s.name.startswith("test") for s in node.body)
            ):
                yield Hit(
                    "integrity/test-shadowed", f"pytest does not collect {node.name}: it has an __init__", pair.path, init.lineno
                )


def _twice(source: Source) -> Iterator[tuple[str, int]]:
    owners: list[ast.Module | ast.ClassDef] = [*source.of(ast.Module), *source.of(ast.ClassDef)]
    for owner in owners:
        seen: set[str] = set()
        for node in owner.body:
            if isinstance(node, Function) and node.name.startswith("test") and not node.decorator_list:
                if node.name in seen:
                    yield node.name, node.lineno
                seen.add(node.name)


_CALC = "def mean(xs):\n    return sum(xs) / len(xs) if xs else 0.0\n"
_TWO = (
    "from calc import mean\n\n\ndef test_mean():\n    assert mean([1, 3]) == 2\n\n\ndef test_empty():\n    assert mean([]) == 0.0\n"
)
_ONE = _TWO.partition("\n\n\ndef test_empty")[0] + "\n"
_BASE = {"calc.py": _CALC, "test_calc.py": _TWO}


def _rule(name: str, effect: Effect, title: str, why: str, bad: str, good: str, instead: str) -> Rule:
    return Rule(
        f"integrity/{name}",
        effect,
        title,
        why,
        Example(_BASE, {"test_calc.py": bad}),
        Example(_BASE, {"test_calc.py": good}),
        instead,
    )


RULES = (
    _rule("test-deleted", "hold", "A test is deleted and nothing comes for it",
          "The suite says less than before, and nobody reads what is not there.",
          _ONE, _TWO.replace("test_empty", "test_mean_of_nothing"),
          "Keep it, or say why it goes: `--approve integrity/test-deleted:PATH`. Moved and renamed tests are not affected."),
    _rule("test-skipped", "hold", "A test is skipped or expected to fail",
          'A skipped test passes whatever the code does. So does one with a mark that a pipeline or a setting leaves out (`-m "not slow"`), one that runs until it passes, and one that asserts only where an environment variable is set.',
          "import pytest\n" + _TWO.replace("def test_empty", "@pytest.mark.skip(reason='flaky on CI')\ndef test_empty"),
          "import sys\n\nimport pytest\n" + _ONE + "\n\n@pytest.mark.usefixtures()\ndef test_empty():\n    assert mean([]) == 0.0\n",
          "Mend the code. With a ticket and a date in the reason, or under a real condition, it is only noted."),
    _rule("test-weakened", "note", "A test asserts less than before",
          "The base's version of the test judges the patch in any case; this says what the new one leaves out. Held where many tests of a file do so, and where property tests get no generated examples any more, or next to none.",
          _TWO.replace("== 0.0", "is not None"), _TWO.replace("mean([1, 3]) == 2", "mean([1, 3]) == 2.0"),
          "Nothing has to be done where the base's test passes."),
    _rule("test-cannot-fail", "reject", "A new or edited test cannot fail",
          "It is green for any code, and looks like proof.",
          _TWO + "\n\ndef test_more():\n    try:\n        assert mean([5]) == 5\n    except Exception:\n        pass\n",
          _TWO + "\n\ndef test_more():\n    try:\n        assert mean([5]) == 5\n    finally:\n        print('done')\n",
          "Let the assertion fail when the code is wrong."),
    _rule("test-shadowed", "reject", "A test is hidden by a later definition, or its class is not collected",
          "Only the last definition of a name runs.",
          _TWO + "\n\ndef test_empty():\n    assert True is not False\n", _TWO + "\n\ndef test_other():\n    assert mean([7]) == 7\n",
          "Give each test a name of its own."),
    Rule("integrity/golden-rewritten", "note", "A file that tests compare with was rewritten",
         "The base's version of the file judges the patch in any case; where that fails, the check `pytest` says so.",
         Example({**_BASE, "tests/data/cases.json": "[1]"}, {"tests/data/cases.json": "[2]"}),
         Example({**_BASE, "tests/data/cases.json": "[1]"}, {"tests/data/more.json": "[2]"}),
         "Nothing has to be done where the base's tests pass."),
)  # fmt: skip
SET = RuleSet(RULES, find)
