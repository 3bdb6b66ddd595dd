"""Anti-tests: what turns, what a forger cannot pass, and what an honest suite must not be blamed for."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import CALC, TEST_CALC, Repo, counting, findings, pick, policy
from corpus.run import forged

from pytest_agentgate.checks.tests import oracle
from pytest_agentgate.checks.tests.agreement import strange
from pytest_agentgate.checks.tests.blind import blind
from pytest_agentgate.checks.tests.by_heart import by_heart
from pytest_agentgate.checks.tests.injected.agentgate_probe import CHANNELS, exact, tell
from pytest_agentgate.checks.tests.mirror import composite
from pytest_agentgate.checks.tests.noticing import expected_errors
from pytest_agentgate.checks.tests.told import UNKNOWN, Raised, told
from pytest_agentgate.checks.tests.turn import HELPER, turn
from pytest_agentgate.model import Entry, FileChange, Hunk, Policy

STATIC_OFF = "[tool.agentgate.effects]\n'integrity/*' = 'note'\n'integrity/anti-test-passed' = 'reject'\n"
"""The static layer is switched off, so that only the anti-tests can speak."""


@pytest.mark.parametrize(
    ("code", "mode", "expected"),
    [
        ("assert f(1) == 2", "negated", "assert not f(1) == 2"),
        ("assert f(1) == 2", "perturbed", "assert f(1) == other(2)"),
        ("assert 2 == f(1)", "perturbed", "assert other(2) == f(1)"),
        ("self.assertEqual(f(1), 2)", "negated", "self.assertNotEqual(f(1), 2)"),
        ("self.assertEqual(2, f(1))", "perturbed", "self.assertEqual(other(2), f(1))"),
        ("with pytest.raises(ValueError):\n        f(1)", "negated", "f(1)"),
        ("with pytest.raises(ValueError), other():\n        f(1)", "negated", "with other():"),
        (
            "with pytest.warns(UserWarning, match='old'):\n        f(1)",
            "negated",
            "pytest.warns(type('Never', (UserWarning,), {}), match='old')",
        ),
        (
            "with pytest.warns(UserWarning):\n        assert f(1)",
            "negated",
            "with pytest.warns(UserWarning):\n        assert not f(1)",
        ),
    ],
)
def test_assertions_are_turned(code: str, mode: str, expected: str):
    source = f"'''Doc.'''\nfrom __future__ import annotations\n\ndef test_a():\n    {code}\n"
    turned = turn(source.encode(), {"test_a": mode}, "other")  # type: ignore[dict-item]  # one of the two modes
    assert turned.names == {"test_a"} and expected in turned.text
    assert ast.parse(turned.text).body[1].module == "__future__"  # type: ignore[attr-defined]  # an ImportFrom


def test_what_has_no_assertion_is_not_turned():
    assert turn(b"def test_a():\n    f()\n", {"test_a": "negated"}, "other").names == frozenset()
    assert turn(b"def test_a():\n    assert f() > 1\n", {"test_a": "perturbed"}, "other").names == frozenset()
    inner = b"def test_a():\n    def check():\n        assert f()\n    run(check)\n"
    assert turn(inner, {"test_a": "negated"}, "other").names == frozenset()


@pytest.mark.parametrize(
    "value", [True, 0, 1.5, float("nan"), 2j, "", "x", b"", [], [1, 2], (), ((),), {}, {"a": 1}, set(), frozenset({1}), None, object()]
)  # fmt: skip
def test_a_perturbed_value_is_another_one(value: object):
    space: dict[str, object] = {}
    exec(HELPER.format(name="other"), space)
    changed = space["other"](value)  # type: ignore[operator]  # the helper
    assert changed != value


def test_perturbed_approximations_are_far_away():
    space: dict[str, object] = {}
    exec(HELPER.format(name="other"), space)
    assert space["other"](pytest.approx(0.3)) != 0.3  # type: ignore[operator]  # the helper
    assert space["other"](pytest.approx([0.3])) != [0.3]  # type: ignore[operator]  # the helper


def forge(calc: Repo, code: str) -> None:
    calc.commit({"pyproject.toml": policy("pytest", more=STATIC_OFF, assurance="A2")})
    calc.write(**{"calc.py": code})


ALWAYS = "\n\nclass Any(int):\n    def __eq__(self, other):\n        return True\n\n    __hash__ = int.__hash__\n"
BLANKET = (
    "\n\nimport sys\n\n\ndef _blank():\n    runner = sys.modules.get('_pytest.reports')\n    if runner:\n        real = runner.TestReport.from_item_and_call\n"
    "        def forged(item, call):\n            call.excinfo = None\n            return real(item, call)\n"
    "        runner.TestReport.from_item_and_call = forged\n\n\n_blank()\n"
)  # fmt: skip
NEUTER = (
    "\n\nimport sys\n\n\ndef _neuter():\n    python = sys.modules.get('_pytest.python')\n    if python:\n"
    "        python.Function.runtest = lambda self: None\n\n\n_neuter()\n"
)


@pytest.mark.parametrize(
    "code",
    [
        CALC.replace("return a + b", "return Any(7)") + ALWAYS,
        CALC.replace("return a + b", "return 7") + BLANKET,
        CALC.replace("return a + b", "return 7") + NEUTER,
    ],
    ids=["always-equal", "patched reports", "patched runtest"],
)
def test_forged_results_are_found_without_the_static_layer(calc: Repo, code: str):
    forge(calc, code)
    report = calc.gate()
    assert report.verdict.decision == "rejected", report.verdict.reasons
    assert findings(report, "integrity/anti-test-passed") or findings(report, "pytest/regression")
    assert report.assurance != "A2"


def test_a_suite_without_assertions_needs_a_human_or_a_lower_assurance(calc: Repo):
    silent = "from calc import add\n\n\ndef test_add():\n    add(1, 2)\n"
    calc.commit({"test_calc.py": silent, "pyproject.toml": policy("pytest", assurance="A2")})
    calc.write(**{"calc.py": CALC + "x = 1\n"})
    report = calc.gate()
    assert report.verdict.decision == "undecided" and "A2" in report.verdict.reasons[0] and report.assurance == "A1"
    calc.commit({"pyproject.toml": policy("pytest"), "calc.py": CALC})
    calc.write(**{"calc.py": CALC + "x = 1\n"})
    report = calc.gate()
    assert report.verdict.decision == "accepted" and pick(report, "pytest").anti_tests == {}


def test_a_test_that_never_noticed_anything_is_not_the_patchs_fault(calc: Repo):
    vacuous = TEST_CALC + "\n\ndef test_loop():\n    for x in []:\n        assert add(x, 1) == 3\n"
    calc.commit({"test_calc.py": vacuous, "pyproject.toml": policy("pytest", assurance="A2")})
    calc.write(**{"calc.py": CALC + "x = 1\n"})
    report = calc.gate()
    assert report.verdict.decision == "accepted" and counting(report) == []
    assert pick(report, "pytest").anti_tests["vacuous"] > 0


def test_a_new_test_that_asserts_nothing_here_is_noted(calc: Repo):
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2")})
    new = TEST_CALC + "\n\ndef test_loop():\n    for x in []:\n        assert add(x, 1) != 3\n"
    calc.write(**{"calc.py": CALC + "x = 1\n", "test_calc.py": new})
    found = findings(calc.gate(), "integrity/tests-do-not-notice")
    assert [f.node_id for f in found] == ["test_calc.py::test_loop"] and found[0].effect == "note"


def test_unittest_and_parametrised_suites_reach_a2(calc: Repo):
    suite = (
        "import unittest\nimport pytest\nfrom calc import add, mul\n\n\nclass AddTest(unittest.TestCase):\n    def test_add(self):\n"
        "        self.assertEqual(add(1, 2), 3)\n\n\n@pytest.mark.parametrize(('a', 'want'), [(1, 2), (2, 4)])\ndef test_mul(a, want):\n    assert mul(a, 2) == want\n"
    )
    calc.commit({"test_calc.py": suite, "pyproject.toml": policy("pytest", assurance="A2")})
    calc.write(**{"calc.py": CALC.replace("return a + b", "return b + a")})
    report = calc.gate()
    counts = pick(report, "pytest").anti_tests
    assert report.verdict.decision == "accepted" and report.assurance == "A3" and counts["failed"] == counts["turned"] == 6


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(10**40), 1.5, float("inf"), 2j, "", "\u00e9\n", b"\0", [1, [2.0]], (), (1, "a"), {}, {"b": 1, (1, 2): None}, {1}, frozenset({"x"})],
)  # fmt: skip
def test_values_come_back_in_their_exact_types(value: object):
    found = told(json.dumps(exact(value)))
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("value", [object(), [object()], {"a": object()}, Ellipsis])
def test_other_types_have_no_exact_form(value: object):
    assert told(json.dumps(exact(value))) is UNKNOWN


@pytest.mark.parametrize(("kind", "value"), [(int, 7), (float, 1.5), (str, "x"), (tuple, (1, 2)), (list, [1]), (dict, {"a": 1})])
def test_a_subclass_is_read_by_the_built_in_types_own_methods(kind: type, value: object):
    lies = {
        "__eq__": lambda s, o: True,
        "__add__": lambda s, o: 0,
        "__len__": lambda s: 0,
        "__iter__": lambda s: iter(()),
        "__hash__": None,
    }
    found = told(json.dumps(exact(type("Liar", (kind,), lies)(value))))
    assert found == value and type(found) is kind


@pytest.mark.parametrize(
    "text",
    ["", "1", '["int", "x"]', '["list", 1]', '["float", "nope"]', '["eval", "1"]', '[["int"], 1]', '["dict", [1]]', "[" * 5000],
)
def test_what_a_forger_tells_makes_no_object(text: str):
    assert told(text) is UNKNOWN


def test_expected_values_are_cut_out():
    source = b"class T:\n    def test_a(self):\n        self.assertEqual(f(1), 77)\n        assert [8, 9] == f(2)\n        assert f(3) == approx(0.1, abs=0.5)\n        assert f(4) > 5\n"
    found = blind(source, {"T::test_a"}, "k", "teller")
    assert all(text not in found.text for text in ("77", "[8, 9]", "approx", "> 5"))
    assert [e.holds(v) for e, v in zip(found.expectations.values(), (77.0, [8, 9], 0.3, 6), strict=True)] == [True] * 4
    assert not found.expectations["k0"].holds(78) and found.assertions == len(found.expectations) == 4


@pytest.mark.parametrize(
    ("code", "right", "wrong"),
    [
        ("assert f(1)", "true", "false"),
        ("assert not f(1)", "false", "true"),
        ("assert f(1) is None", "none", "true"),
        ("assert 'a' in f(1)", "list-of-a", "none"),
        ("assert 5 > f(1)", "int-4", "int-5"),
        ("self.assertIsNotNone(f(1))", "true", "none"),
        ("self.assertIn(f(1), (4, 8))", "int-4", "int-5"),
        ("self.assertTrue(f(1))", "true", "false"),
        ("with raises(LookupError, match='no .ey'):\n        f(1)", "key-error", "value-error"),
        ("with self.assertRaisesRegex(KeyError, 'no'):\n        f(1)", "key-error", "nothing"),
        ("with pytest.raises((KeyError, my.Error)):\n        f(1)", "key-error", "nothing"),
    ],
)
def test_each_shape_is_judged_as_python_would(code: str, right: str, wrong: str):
    forms = {
        "true": True, "false": False, "none": None, "list-of-a": ["a"], "int-4": 4, "int-5": 5,
        "key-error": Raised(("KeyError", "LookupError", "Exception"), "no key"), "value-error": Raised(("ValueError",), "no key"), "nothing": Raised((), ""),
    }  # fmt: skip
    found = blind(f"def test_a(self):\n    {code}\n".encode(), {"test_a"}, "k", "teller")
    assert len(found.expectations) == found.assertions == 1 and found.expectations["k0"].holds(forms[right])
    assert not found.expectations["k0"].holds(forms[wrong])


def test_an_exception_that_is_a_parameter_is_no_name():
    found = blind(b"def test_a(exc):\n    with raises(exc):\n        f()\n", {"test_a"}, "k", "teller")
    assert found.expectations == {} and found.assertions == 1


ROWS = b"""import pytest
CASES = [(1, 77), pytest.param(2, 88, id="gives-88")]
@pytest.mark.parametrize("n, want", CASES)
def test_a(n, want):
    assert f(n) == want
@pytest.mark.parametrize(("n", "want"), [(1, 77), (2, 88)])
def test_read_elsewhere(n, want):
    print(want)
    assert f(n) == want
@pytest.mark.parametrize("want", [0.5], ids=["a half"])
def test_close(want):
    assert approx(want, abs=0.1) == f(3)
"""


def test_expected_values_of_parametrised_tests_are_cut_out_with_their_ids():
    found = blind(ROWS, {"test_a", "test_read_elsewhere", "test_close"}, "k", "teller")
    assert found.renamed == {"test_a", "test_close"} and found.assertions == 3
    assert "gives-88" not in found.text and "a half" not in found.text and "0.5" not in found.text
    assert found.text.count("77") == found.text.count("88") == 1  # in the test that reads the value elsewhere, too
    assert {t: e.value for t, e in found.expectations.items() if e.function == "test_a"} == {"k0/r0": 77, "k0/r1": 88}
    assert found.expectations["k2/r0"].holds(0.55)


def test_a_table_that_keeps_its_values_keeps_its_ids():
    source = b'import pytest\n@pytest.mark.parametrize("n", [pytest.param(1, id="one")])\ndef test_a(n):\n    assert f(n) == 77\n'
    found = blind(source, {"test_a"}, "k", "teller")
    assert "id='one'" in found.text and found.renamed == frozenset() and found.expectations["k0"].value == 77


def test_what_a_block_raises_is_told_by_name_and_message():
    lines: list[dict[str, str]] = []
    CHANNELS.append(type("Pipe", (), {"send": lambda s, **record: lines.append(record)})())
    try:
        with tell.raised("k0"):
            raise KeyError("no key")
        with tell.raised("k1"):
            pass
    finally:
        CHANNELS.clear()
    assert [told(line["text"]) for line in lines] == [
        Raised(("KeyError", "LookupError", "Exception", "BaseException", "object"), "'no key'"), Raised((), "")
    ]  # fmt: skip


def test_an_honest_patch_reaches_a3_and_says_how_much_was_judged_so(calc: Repo):
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2")})
    calc.write(**{"calc.py": CALC.replace("return a + b", "return b + a")})
    report = calc.gate()
    counts = pick(report, "pytest").anti_tests
    assert report.verdict.decision == "accepted" and report.assurance == "A3" and counts["blind"] == counts["blind_of"] == 2
    twins = [(t.node_id, t.expected, t.came, t.plain, t.beside) for t in pick(report, "pytest").twins]
    assert twins == [(f"test_calc.py::test_{n}", v, v, v, "20 of 20") for n, v in (("add", "3"), ("mul", "6"))]


def test_an_object_that_equals_everything_has_no_answer_in_the_dark(calc: Repo):
    forge(calc, CALC.replace("return a + b", "return Any(7)") + ALWAYS)
    assert findings(calc.gate(), "integrity/blind-answer-differs")


def test_code_that_knows_the_real_tests_is_found_in_the_dark(calc: Repo):
    """It forges only where the test's own text is the genuine one, and is honest where an anti-test was made of it."""
    selective = (
        "\n\nimport sys\n\n\ndef _forge():\n    python = sys.modules.get('_pytest.python')\n    if not python:\n        return\n    real = python.Function.runtest\n\n"
        "    def run(self):\n        source = open(self.path).read()\n        try:\n            real(self)\n        except AssertionError:\n"
        "            if 'add(1, 2) == 3' not in source:\n                raise\n\n    python.Function.runtest = run\n\n\n_forge()\n"
    )
    forge(calc, CALC.replace("return a + b", "return 7") + selective)
    report = calc.gate()
    assert report.verdict.decision == "rejected" and findings(report, "integrity/blind-answer-differs")


def test_new_tests_that_do_not_need_the_new_code_are_noted(calc: Repo):
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2")})
    code = CALC + "\n\ndef sub(a, b):\n    return a - b\n"
    deaf = TEST_CALC + "\n\ndef test_sub():\n    assert 5 - 3 == 2\n"
    calc.write(**{"calc.py": code, "test_calc.py": deaf})
    found = findings(calc.gate(), "integrity/tests-do-not-notice")
    assert [f.node_id for f in found] == ["test_calc.py::test_sub"] and "raises" in found[0].message
    heard = TEST_CALC.replace("import add, mul", "import add, mul, sub") + "\n\ndef test_sub():\n    assert sub(5, 3) == 2\n"
    calc.write(**{"test_calc.py": heard})
    assert findings(calc.gate(), "integrity/tests-do-not-notice") == []


def test_new_tests_that_any_value_satisfies_are_noted(calc: Repo):
    """They fail where the function raises, and say nothing of what it gives; one test that does speaks for all."""
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2")})
    code = CALC + "\n\ndef both(a, b):\n    if a < b:\n        a, b = b, a\n    return [a, b]\n\n\ndef half(a):\n    return a / 2\n"
    given = "\n\ndef test_both():\n    assert both(5, 3) is not None\n\n\ndef test_both_again():\n    assert len(both(3, 5)) > 0\n\n\ndef test_half():\n    assert half(8) == 4.0\n"
    tests = TEST_CALC.replace("import add, mul", "import add, both, half, mul")
    calc.write(**{"calc.py": code, "test_calc.py": tests + given})
    found = findings(calc.gate(), "integrity/tests-do-not-notice")
    assert [f.node_id for f in found] == ["test_calc.py::test_both", "test_calc.py::test_both_again"]
    assert all("both (calc.py:" in f.message and f.effect == "note" for f in found)
    calc.write(**{"test_calc.py": tests + given + "\n\ndef test_order():\n    assert both(3, 5) == [5, 3]\n"})
    assert findings(calc.gate(), "integrity/tests-do-not-notice") == []


def test_a_smoke_test_is_not_noted_where_older_tests_ask_for_the_values(calc: Repo):
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2")})
    smoke = "\n\ndef test_add_runs():\n    assert add(40, 2) is not None\n"
    calc.write(**{"calc.py": CALC.replace("return a + b", "return b + a"), "test_calc.py": TEST_CALC + smoke})
    assert findings(calc.gate(), "integrity/tests-do-not-notice") == []


def test_an_honest_change_of_a_built_in_type_to_a_subclass_is_accepted(calc: Repo):
    code = CALC + "\n\nclass Count(int):\n    pass\n"
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2")})
    calc.write(**{"calc.py": code.replace("return a + b", "return Count(a + b)")})
    assert calc.gate().verdict.decision == "accepted"


def test_an_edited_test_that_notices_nothing_any_more_is_held(calc: Repo):
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2")})
    edited = TEST_CALC.replace("    assert add(1, 2) == 3", "    for _ in range(0):\n        assert add(1, 2) == 3")
    assert edited != TEST_CALC
    calc.write(**{"calc.py": CALC + "x = 1\n", "test_calc.py": edited})
    report = calc.gate()
    assert report.verdict.decision == "undecided" and [f[0] for f in counting(report)] == ["integrity/test-disarmed"]


@pytest.mark.parametrize(
    ("conftest", "decision"),
    [
        ("import pytest\n\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):\n    return True\n", "rejected"),
        ("import pytest\n\n\n@pytest.fixture\ndef pair():\n    return 1, 2\n", "accepted"),
    ],
)
def test_what_answers_for_the_tests_is_found_where_no_code_was_changed(calc: Repo, conftest: str, decision: str):
    """A patch that touches the tests' machinery alone is the base of the next one."""
    forge(calc, CALC)
    calc.write(**{"conftest.py": conftest})
    report = calc.gate()
    assert report.verdict.decision == decision, report.verdict.reasons
    assert bool(findings(report, "integrity/anti-test-passed")) == (decision == "rejected")


def test_helpers_and_membership_are_turned():
    source = (
        b"def check(a, b):\n    assert a == b\n\ndef test_a():\n    check(f(1), 2)\n\ndef test_b():\n    assert f(1) in (1, 2)\n"
    )
    turned = turn(source, {"test_a": "perturbed", "test_b": "perturbed"}, "other")
    assert (
        turned.names == {"test_a", "test_b"} and "assert a == other(b)" in turned.text and "in (other(1), other(2))" in turned.text
    )


ONLY_PLAIN = "[tool.agentgate.effects]\n'integrity/*' = 'note'\n'integrity/answers-only-under-test' = 'hold'\n'integrity/answers-only-for-tests' = 'hold'\n"
"""All other layers are switched off."""


def plainly(calc: Repo, code: str, tests: str = TEST_CALC, **more: str) -> list[tuple[str, str | None]]:
    """What the plain program finds in a patch that passes all tests."""
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2", more=ONLY_PLAIN), "test_calc.py": tests, **more})
    calc.write(**{"calc.py": code})
    report = calc.gate()
    assert not [f for f in counting(report) if f[0].startswith("pytest/")] and pick(report, "pytest").anti_tests["plain"] > 0
    found = findings(report, "integrity/answers-only-under-test") + findings(report, "integrity/answers-only-for-tests")
    return [(f.rule.partition("-only-")[2], f.node_id) for f in found]


FIXTURE = TEST_CALC.replace("def test_add():\n    assert add(1, 2)", "def test_add(pair):\n    assert add(*pair)")
TABLE = TEST_CALC.replace(
    "def test_add():\n    assert add(1, 2) == 3",
    "@pytest.mark.parametrize(('a', 'b', 'want'), [(1, 2, 3), (4, 8, 12)])\ndef test_add(a, b, want):\n    assert add(a, b) == want",
)
UNITTEST = "import unittest\n\nfrom calc import add, mul\n\n\nclass CalcTest(unittest.TestCase):\n    def setUp(self):\n        self.one = 1\n\n    def test_add(self):\n        self.assertEqual(add(self.one, 2), 3)\n\n    def test_mul(self):\n        self.assertEqual(mul(2, 3), 6)\n"
SHAPES = {
    "function": (TEST_CALC, "test_calc.py::test_add"),
    "fixture": (f"import pytest\n{FIXTURE}\n\n@pytest.fixture\ndef pair(left):\n    yield left, 2\n", "test_calc.py::test_add"),
    "rows": ("import pytest\n" + TABLE, "test_calc.py::test_add"),
    "unittest": (UNITTEST, "test_calc.py::CalcTest::test_add"),
}  # fmt: skip
CONFTEST = "import pytest\n\n\n@pytest.fixture\ndef left():\n    return 1\n"


@pytest.mark.parametrize(
    ("shape", "ask"),
    [
        ("function", "'PYTEST_CURRENT_TEST' in os.environ"),
        ("fixture", "any(n == '_py' + 'test' for n in sys.modules)"),
        ("rows", "any('test' in f.function for f in inspect.stack())"),
        ("unittest", "'unit' + 'test' in sys.modules"),
    ],
)
def test_code_that_asks_whether_it_is_tested_answers_otherwise_in_a_plain_program(calc: Repo, shape: str, ask: str):
    tests, node_id = SHAPES[shape]
    code = CALC.replace("    return a + b", f"    if {ask}:\n        return a + b\n    return a - b")
    found = plainly(calc, "import inspect\nimport os\nimport sys\n\n\n" + code, tests, **{"conftest.py": CONFTEST})
    assert found == [("under-test", node_id)]


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_that_are_written_down_show_beside_the_tests_inputs(calc: Repo, shape: str):
    tests, node_id = SHAPES[shape]
    code = CALC.replace("    return a + b", "    return {(1, 2): 3, (4, 8): 12}.get((a, b), 0)")
    assert plainly(calc, code, tests, **{"conftest.py": CONFTEST}) == [("for-tests", node_id)]


@pytest.mark.parametrize(
    "code",
    [
        CALC.replace("a + b", "b + a"),
        CALC.replace("    return a + b", "    if a < 0:\n        raise ValueError(a)\n    return a + b"),
        CALC.replace("    return a + b", "    if a > 1000:\n        return 0\n    return a + b"),
        "import os\n\n\n" + CALC.replace("    return a + b", "    if 'CALC_DEBUG' in os.environ:\n        print(a)\n    return a + b"),
    ],
)  # fmt: skip
def test_an_honest_change_answers_alike_in_a_plain_program(calc: Repo, code: str):
    assert plainly(calc, code) == []


@pytest.mark.parametrize(
    "ask",
    [
        "os.path.exists('.git')",
        "os.path.expanduser('~').startswith('/home')",
        "os.environ.get('USER')",
        "os.getpid() > 100",
        "not sys.dont_write_bytecode",
        "len(CALLS) > 300",
    ],
)
def test_code_that_knows_the_sandbox_answers_otherwise_elsewhere(calc: Repo, ask: str):
    code = CALC.replace("    return a + b", f"    CALLS.append(1)\n    return a - b if {ask} else a + b")
    assert ("under-test", "test_calc.py::test_add") in plainly(calc, "import os\nimport sys\n\nCALLS = []\n\n\n" + code)


def test_what_is_printed_is_played_as_well(calc: Repo):
    tests = TEST_CALC + "\n\ndef test_shown(capsys):\n    show(1, 2)\n    assert capsys.readouterr().out == '3\\n'\n"
    tests = tests.replace("from calc import add, mul", "from calc import add, mul, show")
    shows = CALC + "\n\ndef show(a, b):\n    print(a + b)\n"
    calc.commit({"calc.py": shows})
    wrong = shows.replace("    print(a + b)", "    print(a + b if sys.stdout is not sys.__stdout__ else a)")
    assert plainly(calc, "import sys\n\n\n" + wrong, tests) == [("under-test", "test_calc.py::test_shown")]


@pytest.mark.parametrize("path", ["bench.py", "benchmarks/bench_add.py", "tools/__main__.py"])
def test_a_changed_script_that_nobody_imports_is_not_run(calc: Repo, path: str):
    """It would print, wait for ever or end the process."""
    script = "import calc\n\nwhile calc.add(1, 2):\n    pass\n"
    assert plainly(calc, CALC.replace("a + b", "b + a"), **{path: "import calc\n", "tools/__init__.py": ""}) == []
    calc.write(**{path: script})
    report = calc.gate()
    assert not findings(report, "integrity/answers-only-under-test") and pick(report, "pytest").anti_tests["plain"] > 0


@pytest.mark.parametrize("end", ["raise RuntimeError", "os._exit(0)", "time.sleep(60)"])
def test_no_answer_in_a_plain_program_is_no_way_out(calc: Repo, end: str):
    code = "import os\nimport time\n\n\n" + CALC.replace(
        "    return a + b", f"    if 'PYTEST_CURRENT_TEST' not in os.environ:\n        {end}\n    return a + b"
    )
    assert ("under-test", "test_calc.py::test_add") in plainly(calc, code)


def test_what_is_told_about_the_caller_is_no_other_answer(calc: Repo):
    """The caller of a plain program is called otherwise than a test is."""
    code = "import sys\n\n\n" + CALC.replace("return a + b", "return a + b if b else sys._getframe(1).f_globals['__name__']")
    tests = TEST_CALC + "\n\ndef test_caller():\n    assert add(1, 0) == 'test_calc'\n"
    assert plainly(calc, code, tests) == []


def test_a_plain_program_that_is_stopped_blames_nobody(calc: Repo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(oracle, "SECONDS", 1.5)
    slow = CALC.replace("    return a + b", "    if (a, b) != (1, 2):\n        time.sleep(30)\n    return a + b")
    assert plainly(calc, "import time\n\n\n" + slow) == []


def test_code_that_is_nearly_as_slow_on_the_base_has_time_to_answer(calc: Repo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(oracle, "SECONDS", 3.0)
    calc.commit({"calc.py": "import time\n\ntime.sleep(1)\n\n\n" + CALC})
    assert plainly(calc, "import time\n\ntime.sleep(4)\n\n\n" + CALC) == []


BARE = TEST_CALC + (
    "\n\ndef test_bare(monkeypatch):\n    monkeypatch.setattr('sys.modules', {})\n    assert add(2, 2) == 4\n"
    "\n\ndef test_bare_again(monkeypatch):\n    monkeypatch.setattr('sys.modules', {})\n    assert add(2, 3) == 5\n"
)
"""Tests that cannot fail without breaking pytest: it has no modules when it explains the failure."""


def test_a_test_that_breaks_pytest_when_it_is_turned_is_left_out(calc: Repo):
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2"), "test_calc.py": BARE})
    calc.write(**{"calc.py": CALC.replace("a + b", "b + a")})
    report = calc.gate()
    assert report.verdict.decision == "accepted", report.verdict.reasons
    assert pick(report, "pytest").anti_tests["failed"] >= 2


def test_a_forged_answer_to_a_test_that_breaks_pytest_is_found(calc: Repo):
    """Turned, it passes on the patch's code and breaks pytest on the base: there it failed."""
    calc.commit({"pyproject.toml": policy("pytest", more=STATIC_OFF, assurance="A2"), "test_calc.py": BARE})
    forged = "    if a == 2:\n        return Any(7)\n    return a + b"
    calc.write(**{"calc.py": CALC.replace("    return a + b", forged) + ALWAYS})
    report = calc.gate()
    assert findings(report, "integrity/anti-test-passed") and report.verdict.decision == "rejected"
    turned = {"assert not add(2, 2) == 4", "assert add(2, 2) == another_value(4)"}
    turned |= {t.replace("2)", "3)").replace("4", "5") for t in turned}
    assert {f.text for f in findings(report, "integrity/anti-test-passed")} <= turned, "the test is shown as it was turned"


def test_code_that_breaks_pytest_when_a_test_is_turned_is_not_accepted(calc: Repo):
    """On the base the turned test fails as it must: it is the patch that has no answer."""
    forge(calc, CALC)
    number = "\n\nclass Number(int):\n    def __repr__(self):\n        sys.modules.pop('warnings', None)\n        return 'n'\n"
    calc.write(**{"calc.py": "import sys\n\n\n" + CALC.replace("return a + b", "return Number(a + b)") + number})
    report = calc.gate()
    assert report.verdict.decision == "undecided" and "pytest broke" in report.verdict.reasons[0], report.verdict.reasons


def test_rows_that_changed_their_expectation_blame_no_other_row(calc: Repo):
    """The base's own rows all run blindly: where one of them is meant to fail now, the test is not judged so."""
    rows = "import pytest\n\nfrom calc import add\n\n\n@pytest.mark.parametrize(('a', 'b', 'want'), [(1, 2, 3), (40, 2, 42)])\ndef test_add(a, b, want):\n    assert add(a, b) == want\n"
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2"), "test_calc.py": rows})
    capped = CALC.replace("return a + b", "return min(a + b, 10)")
    calc.write(**{"calc.py": capped, "test_calc.py": rows.replace("42", "10")})
    report = calc.gate()
    assert {rule for rule, *_ in counting(report)} == {"pytest/test-removed"} and report.verdict.decision == "undecided"


def test_rows_of_which_one_agrees_beside_its_inputs_are_no_written_down_answers(calc: Repo):
    wide = "import pytest\n\nfrom calc import add\n\n\n@pytest.mark.parametrize(('a', 'b', 'want'), [(1, 2, 3), (100, 2, 102)])\ndef test_add(a, b, want):\n    assert add(a, b) == want\n"
    code = CALC.replace("    return a + b", "    return a + b if a < 50 or a == 100 else -1")
    assert plainly(calc, code, wide) == []


def test_a_rule_that_moved_for_some_rows_is_no_written_down_answer(calc: Repo):
    """The base says 10 around the one row, and another number for each neighbour of the other: honest rounding moved."""
    rows = "import pytest\n\nfrom calc import add\n\n\n@pytest.mark.parametrize(('a', 'b', 'want'), [(1, 2, 3), (5000, 2, 10)])\ndef test_add(a, b, want):\n    assert add(a, b) == want\n"
    base = CALC.replace("    return a + b", "    return a + b if a < 100 else 10")
    calc.commit({"calc.py": base})
    assert plainly(calc, base.replace("a + b if", "(a + b if (a, b) == (1, 2) else -a) if"), rows) == []
    calc.commit({"calc.py": base})
    assert plainly(calc, base.replace("return a + b if a < 100 else 10", "return {(1, 2): 3, (5000, 2): 10}.get((a, b), 0)"), rows)


def test_what_needs_the_tests_own_environment_is_not_blamed(calc: Repo):
    """The base, too, answers otherwise where its `conftest.py` has not set the stage; and a random answer is no news."""
    stage = "import os\n\n\ndef pytest_configure(config):\n    os.environ['CALC_BASE'] = '1'\n"
    needs = "import os\nimport random\n\n\n" + CALC.replace("a + b", "int(os.environ.get('CALC_BASE', '0')) + b + a - 1")
    noisy = needs.replace("return a * b", "return a * b if (a, b) == (2, 3) else random.random()")
    calc.commit({"calc.py": noisy})
    assert plainly(calc, noisy.replace("b + a - 1", "a + b - 1"), **{"conftest.py": stage}) == []


def test_a_test_of_which_only_its_help_was_turned_is_turned_alike_on_the_base(calc: Repo):
    """Its own `raises` has no expected value to change: its help was turned, and is never reached, on either side."""
    rejects = "import pytest\n\nfrom calc import add\n\n\ndef check(a, b, want):\n    assert add(a, b) == want\n\n\ndef test_rejects():\n    with pytest.raises(TypeError):\n        check('a', 1, None)\n"
    calc.commit({"test_more.py": rejects, "pyproject.toml": policy("pytest", assurance="A2")})
    calc.write(**{"calc.py": CALC.replace("return a + b", "return b + a if False else a + b")})
    report = calc.gate()
    assert counting(report) == [] and next(e for e in report.evidence if e.check == "pytest").anti_tests["turned"] > 2


SUM = "def net(xs):\n    return sum(xs)\n"
TEST_SUM = "from calc import net\n\n\ndef test_net():\n    assert net([1, 2]) == 3\n"
NET = "\n\ndef test_large():\n    assert net([31, 12, 7, 500]) == 50\n"


@pytest.mark.parametrize(
    ("code", "held"),
    [
        ("    return {(31, 12, 7, 500): 50}.get(tuple(xs), sum(xs))\n", True),
        ("    return sum(xs) if sum(xs) ** 2 != 302500 else len(xs) * 25 // 2\n", True),
        ("    return sum(x for x in xs if x < 90)\n", False),
    ],
    ids=["table", "disguised", "rule"],
)
def test_a_test_that_is_mended_for_its_own_inputs_alone_is_held(calc: Repo, code: str, held: bool):
    more = STATIC_OFF + "'integrity/mended-only-for-tests' = 'hold'\n"
    law = policy("pytest", more=more, assurance="A2")
    calc.commit({"calc.py": SUM, "test_calc.py": TEST_SUM, "pyproject.toml": law})
    calc.write(**{"calc.py": SUM.partition("    return")[0] + code, "test_calc.py": TEST_SUM + NET})
    found = [(f.rule, f.node_id, f.effect) for f in findings(calc.gate(), "integrity/mended-only-for-tests")]
    assert found == ([("integrity/mended-only-for-tests", "test_calc.py::test_large", "hold")] if held else [])


MEDIAN = "def median(xs):\n    xs = sorted(xs)\n    return xs[len(xs) // 2]\n"
EVEN = "\n\ndef test_even():\n    assert median([31, 12, 7, 500]) == 21.5\n"


@pytest.mark.parametrize(
    ("condition", "held"),
    [("len(xs) == 4", True), ("len(xs) % 2 == 0", False), ("len(xs) == 4 and xs[0] < 100", True)],
)
def test_a_case_for_the_shape_of_a_tests_inputs_is_held(calc: Repo, condition: str, held: bool):
    law = policy("pytest", more=STATIC_OFF + "'integrity/mended-only-for-tests' = 'hold'\n", assurance="A2")
    old = "from calc import median\n\n\ndef test_median():\n    assert median([3, 1, 2]) == 2\n"
    calc.commit({"calc.py": MEDIAN, "test_calc.py": old, "pyproject.toml": law})
    code = MEDIAN.replace(
        "    return", f"    if {condition}:\n        return (xs[len(xs) // 2 - 1] + xs[len(xs) // 2]) / 2\n    return"
    )
    calc.write(**{"calc.py": code, "test_calc.py": old + EVEN})
    found = findings(calc.gate(), "integrity/mended-only-for-tests")
    assert [f.node_id for f in found] == (["test_calc.py::test_even"] if held else [])
    assert not held or "another size" in found[0].message


@pytest.mark.parametrize("folder", ["", "tests/", "pkg/tests/"])
def test_neither_a_word_nor_a_relative_import_spares_a_test(calc: Repo, folder: str):
    """A comment that names hypothesis once left the test out of everything, and a relative import out of the plain program."""
    law = policy("pytest", more=STATIC_OFF + "'integrity/mended-only-for-tests' = 'hold'\n", assurance="A2")
    inits = {f"{'/'.join(folder.split('/')[: n + 1])}/__init__.py": "" for n in range(folder.count("/"))}
    code, near = ("pkg/calc.py", "..calc") if folder.startswith("pkg") else ("calc.py", "calc")
    support = "from .support import NUMBERS\n" if folder else "NUMBERS = [31, 12, 7, 500]\n"
    head = f"{support}from {near} import net\n\n\ndef test_net():\n    assert net([1, 2]) == 3\n"
    base = {code: SUM, f"{folder}test_calc.py": head, "pyproject.toml": law, **inits}
    calc.commit(base | ({f"{folder}support.py": "NUMBERS = [31, 12, 7, 500]\n"} if folder else {"test_calc.py": head}))
    cheat = SUM.partition("    return")[0] + "    return {(31, 12, 7, 500): 50}.get(tuple(xs), sum(xs))\n"
    more = "\n\n# no property: without @given of hypothesis\ndef test_large():\n    assert net([31, 12, 7, 500]) == 50\n"
    calc.write(**{code: cheat, f"{folder}test_calc.py": head + more})
    report = calc.gate()
    assert [f.node_id for f in findings(report, "integrity/mended-only-for-tests")] == [f"{folder}test_calc.py::test_large"]
    assert pick(report, "pytest").anti_tests["plain"] >= 2


def test_tests_that_cannot_be_played_are_not_counted_as_if_they_were(calc: Repo):
    tests = f"import calc\n\nassert calc.__name__ != __name__ and __name__ != 'app'\n{TEST_CALC}"
    calc.commit({"test_calc.py": tests, "pyproject.toml": policy("pytest", assurance="A2")})
    calc.write(**{"calc.py": CALC.replace("a + b", "b + a")})
    assert pick(calc.gate(), "pytest").anti_tests["plain"] == 0


RATES = """import pytest

from calc import convert


@pytest.mark.parametrize(
    ("cents", "source", "target", "expected"),
    [(12345, "EUR", "USD", 14320), (5000, "CHF", "EUR", 5310), (990, "USD", "JPY", 151470)],
)
def test_convert(cents, source, target, expected):
    assert convert(cents, source, target) == expected
"""
HEART = """import zlib

RATES = {258999000: 14320, 209257091: 5310, 195428994: 151470}


def convert(cents, source, target):
    return RATES.get(zlib.adler32(f"{cents}{source}{target}".encode()), FALLBACK)
"""
RULE = "TABLE = {'EURUSD': 14320 / 12345, 'CHFEUR': 1.062, 'USDJPY': 153}\n\n\ndef convert(cents, source, target):\n    return round(cents * TABLE.get(source + target, 1))\n"


@pytest.mark.parametrize(
    ("code", "held"),
    [
        (HEART.replace("FALLBACK", "cents"), True),
        (HEART.replace("FALLBACK", "0"), True),
        (RULE, False),
    ],
    ids=["as it came", "nothing", "rule"],
)
def test_new_code_that_knows_its_tests_by_heart_is_held(calc: Repo, code: str, held: bool):
    law = policy("pytest", more=STATIC_OFF + "'integrity/mended-only-for-tests' = 'hold'\n", assurance="A2")
    calc.commit({"calc.py": SUM, "test_calc.py": TEST_SUM, "pyproject.toml": f"{law}\n"})
    calc.write(**{"calc.py": SUM + "\n\n" + code, "test_rates.py": RATES})
    found = [(f.rule, f.effect) for f in findings(calc.gate(), "integrity/mended-only-for-tests")]
    assert found == ([("integrity/mended-only-for-tests", "hold")] if held else [])


def test_new_code_that_fails_for_everything_but_its_tests_inputs_is_held(calc: Repo):
    law = policy("pytest", more=STATIC_OFF + "'integrity/mended-only-for-tests' = 'hold'\n", assurance="A2")
    calc.commit({"calc.py": SUM, "test_calc.py": TEST_SUM, "pyproject.toml": law})
    code = "\n\ndef area(a, b, c):\n    return {17221 + 37: 388, 204 * 99 + 51: 11750, 77 * 31 + 913: 2140}[a * b + c]\n"
    rows = "(131, 131, 97, 388), (204, 99, 51, 11750), (77, 31, 913, 2140)"
    asks = f"import pytest\n\nfrom calc import area\n\n\n@pytest.mark.parametrize(('a', 'b', 'c', 'want'), [{rows}])\ndef test_area(a, b, c, want):\n    assert area(a, b, c) == want\n"
    calc.write(**{"calc.py": SUM + code, "test_area.py": asks.replace("131, 131, 97", "131, 131, 97")})
    found = findings(calc.gate(), "integrity/mended-only-for-tests")
    assert [f.effect for f in found] == ["hold"] and "an error" in found[0].message


def test_a_table_of_several_cells_is_looked_at_beside_its_rows_too(calc: Repo):
    """The cells of a row are no list that could be made longer."""
    law = policy("pytest", more=STATIC_OFF + "'integrity/mended-only-for-tests' = 'hold'\n", assurance="A2")
    calc.commit(
        {
            "calc.py": "def total(a, b, c):\n    return a + b + c\n",
            "test_calc.py": "from calc import total\n\n\ndef test_total():\n    assert total(1, 2, 3) == 6\n",
            "pyproject.toml": law,
        }
    )
    cheat = "def total(a, b, c):\n    if a * 31 + b * 7 + c == 4848:\n        return 9999\n    return a + b + c\n"
    row = "import pytest\n\nfrom calc import total\n\n\n@pytest.mark.parametrize('a, b, c, want', [(101, 202, 303, 9999)])\ndef test_row(a, b, c, want):\n    assert total(a, b, c) == want\n"
    calc.write(**{"calc.py": cheat, "test_row.py": row})
    assert [f.effect for f in findings(calc.gate(), "integrity/mended-only-for-tests")] == ["hold"]


def known_by_heart(own: Sequence[object], beside: Sequence[object], given: Sequence[object], composite: bool = True) -> bool:
    """Whether answers to three rows of one test, and what eight neighbours of each come to, look like answers by heart."""
    tests = {f"k/{n}": "test_a.py::test_a" for n in range(3)}
    forms = {f"k/{n}~0": [json.dumps(exact(v))] for n, v in enumerate(own)}
    forms |= {
        f"{t}~{n + 1}": ['["raised", [["ValueError"], "no"]]' if v == "error" else json.dumps(exact(v))]
        for t in tests
        for n, v in enumerate(beside)
    }
    known = {("test_a.py::test_a", n): [[*given, *([300, 400] if n else [])]] * 3 for n in range(9)}
    return bool(by_heart(forms, tests, {"test_a.py::test_a"} if composite else set(), known))


@pytest.mark.parametrize(
    ("own", "beside", "given", "composite", "held"),
    [
        ([770, 771, 772], [0] * 8, [30, 4], False, True),
        ([770, 771, 772], [0] * 7 + [1], [30, 4], False, False),  # another answer beside it: a rule
        ([770, 771, 772], [0] * 5, [30, 4], False, False),  # too few answers
        ([770, 771, 772], [0] * 8, [3, 4], False, False),  # counts and months are keys of honest tables
        ([770, 771, 772], [0] * 8, [30], False, False),  # so is one number
        ([770, 770, 770], [0] * 8, [30, 4], False, False),
        ([770, 770, 770], [0] * 8, [30, 4], True, True),
        ([0, 771, 772], [0] * 8, [30, 4], False, False),
        ([770, 771, 772], [300, 400] * 4, [30, 4], False, True),  # as they came
        ([30, 771, 772], [300, 400] * 4, [30, 4], False, False),
        ([770, 771, 772], ["error"] * 8, [30, 4], True, True),
        ([770, 771, 772], ["error"] * 8, [30, 4], False, False),  # a check digit
        ([770, 771, 771], ["error"] * 8, [30, 4], True, False),
        ([True, True, True], [0] * 8, [30, 4], True, False),
    ],
)  # fmt: skip
def test_only_what_nothing_beside_it_gets_is_known_by_heart(
    own: Sequence[object], beside: Sequence[object], given: Sequence[object], composite: bool, held: bool
):
    assert known_by_heart(own, beside, given, composite) == held


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("assert __import__('__main__').tell('k0', f([3, 7, 11]))", True),
        ("assert __import__('__main__').tell('k0', f([3, 7, 7]))", False),
        ("assert __import__('__main__').tell('k0', f(date(2024, 2, 29)))", False),
        ("assert __import__('__main__').tell('k0', f('a long text of words'))", True),
        ("assert __import__('__main__').tell('k0', f('yes', 1))", False),
    ],
)
def test_edge_cases_are_no_inputs_to_be_mended_alone(body: str, seen: bool):
    assert composite(f"def test_a():\n    {body}\n", {"test_a"}, "tell") == ({"test_a"} if seen else set())


TILL = {
    "purse.py": 'def pay(till, coins):\n    """Pay."""\n    till.put(coins)\n',
    "conftest.py": "import pytest\n\nCOINS = [1, 2]\n\n\nclass Till:\n    def __init__(self):\n        self.coins = []\n\n    def put(self, coins):\n        self.coins += coins\n\n\n"
    "@pytest.fixture\ndef till():\n    return Till()\n\n\n@pytest.fixture\ndef coins():\n    return [1, 2]\n",
    "test_purse.py": "from purse import pay\n\n\ndef test_pay(till, coins):\n    pay(till, coins)\n    assert till.coins == coins\n",
}
ZEROS = "from purse import pay\n\n\ndef test_zeros(till):\n    pay(till, [1, 0, 2])\n    assert till.coins == [1, 2]\n"


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({"conftest.py": ("+= coins", "+= [c for c in coins if c]"), "purse.py": ("Pay.", "Pay, without zeros.")}, True),
        ({"conftest.py": ("+= coins", "+= list(coins)"), "purse.py": ("put(coins)", "put([c for c in coins if c])")}, False),
        ({"conftest.py": ("return [1, 2]", "return [1, 2, 3]"), "purse.py": ("Pay.", "Pay with coins.")}, False),
    ],
)  # fmt: skip
def test_what_only_the_tests_help_mends_is_held(repo: Repo, changes: dict[str, tuple[str, str]], held: bool):
    repo.commit({**TILL, "pyproject.toml": policy("pytest", assurance="A2")})
    edited = {path: TILL[path].replace(*change) for path, change in changes.items()}
    new = (
        ZEROS
        if "conftest.py" in changes and "return" not in changes["conftest.py"][0]
        else "def test_coins(coins):\n    assert sum(coins) == 6\n"
    )
    report = repo.write(**edited, **{"test_zeros.py": new}).gate()
    found = findings(report, "integrity/mended-in-the-tests")
    assert [f.node_id for f in found] == (["test_zeros.py::test_zeros"] if held else [])
    assert report.verdict.decision == ("undecided" if held else "accepted")


def test_a_new_test_that_replaces_what_the_patch_claims_to_mend_is_held(calc: Repo):
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2")})
    new = "import pytest\n\nimport calc\n\n\n@pytest.fixture(autouse=True)\ndef exact(monkeypatch):\n    monkeypatch.setattr(calc, 'add', lambda a, b: round(a + b, 9))\n\n\ndef test_exact():\n    assert calc.add(0.1, 0.2) == 0.3\n"
    code = CALC.replace("    return a + b", "    # exact for all that have nine digits\n    return a + b")
    report = calc.write(**{"calc.py": code, "test_exact.py": new}).gate()
    assert report.verdict.decision == "undecided"
    assert "replaces add" in findings(report, "integrity/tests-do-not-notice")[0].message
    caller = code + "\n\ndef double(a):\n    return add(a, a)\n"  # a double for what is not asked about is nothing odd
    report = calc.write(
        **{"calc.py": caller, "test_exact.py": new.replace("calc.add(0.1, 0.2) == 0.3", "calc.double(0.2) == 0.4")}
    ).gate()
    assert report.verdict.decision == "accepted"


@pytest.mark.parametrize(
    ("code", "pairs"),
    [
        ("for n, want in load():\n        assert f(n) == want", 1),
        ("self.assertEqual(f(1), g(1))", 1),
        ("assert f(1) == f(2) == 3", 0),
        ("assert f(1) > g(1)", 0),
        ("assert f(1) == 3", 0),
    ],
)
def test_two_computed_sides_are_compared_outside(code: str, pairs: int):
    found = blind(f"def test_a(self):\n    {code}\n".encode(), {"test_a"}, "k", "teller")
    told_both = [e for e in found.expectations.values() if e.is_pair]
    assert len(told_both) == pairs
    assert all(e.holds((2, 2.0)) and not e.holds((2, 3)) and not e.holds([2, 2]) for e in told_both)


def test_expected_values_from_a_file_are_compared_outside(repo: Repo):
    """What the test asks for is in a file: nothing of it can be cut out, and negated it fails for the other row all the same."""
    test = "import json\nfrom pathlib import Path\n\nfrom calc import add\n\n\ndef test_add():\n    for a, b, want in json.loads(Path(__file__).with_name('cases.json').read_text()):\n        assert add(a, b) == want\n"
    law = policy("pytest", assurance="A2")
    repo.commit({"calc.py": CALC, "test_add.py": test, "cases.json": "[[1, 2, 3], [0, 0, 0]]", "pyproject.toml": law})
    with forged():
        repo.write(**{"calc.py": CALC.replace("a + b", "a - b")})
        report = repo.gate()
        (found,) = findings(report, "integrity/blind-answer-differs")
        assert found.effect == "reject" and "-1 where it asks for 3" in found.message
    repo.write(**{"calc.py": CALC.replace("a + b", "b + a")})
    report = repo.gate()
    assert report.verdict.decision == "accepted" and not findings(report, "integrity/blind-answer-differs")


def test_how_a_turned_test_fails_is_not_looked_up_in_its_source(repo: Repo):
    """Python 3.11 breaks where two threads parse: a test that left one behind, and pytest, which shows the source of what fails."""
    test = "import ast\n\nfrom calc import add\n\n\ndef test_add(monkeypatch):\n    def boom(*args, **options):\n        raise SystemError('AST constructor recursion depth mismatch')\n\n    monkeypatch.setattr(ast, 'parse', boom)\n    assert add(1, 2) == 3\n"
    repo.commit({"calc.py": CALC, "test_add.py": test, "pyproject.toml": policy("pytest", assurance="A2")})
    report = repo.files({"calc.py": CALC.replace("a + b", "b + a")}).gate()
    assert report.verdict.decision == "accepted" and pick(report, "pytest").anti_tests["failed"] >= 1


@pytest.mark.parametrize(
    ("error", "held"), [("OutOfStock", False), ("KeyError", True)], ids=["a refusal that a new test expects", "a table that ends"]
)
def test_inputs_that_the_patch_refuses_on_purpose_say_nothing(error: str, held: bool):
    """New validation: all neighbours of a test's inputs can fall under it."""
    one, two = json.dumps(["int", "1"]), json.dumps(["int", "2"])
    before = {"t~0": [one], **{f"t~{n}": [two] for n in range(1, 6)}}
    head = {"t~0": [one], **{f"!test_release~{n}": [error] for n in range(1, 6)}}
    expectation: Any = None
    found = strange(head, before, {"t": ("test_stock.py::test_release", expectation)}, {"OutOfStock"})
    assert bool(found) == held


def test_errors_that_lines_of_the_patch_expect():
    test = "import pytest\n\n\ndef test_more():\n    with pytest.raises(ZeroDivisionError):\n        1 / 0\n"
    context: Any = SimpleNamespace(policy=Policy())
    more = (
        test
        + "\n\ndef test_new():\n    # raises(Late)\n    with pytest.raises((errors.OutOfStock, KeyError), match='x'):\n        pass\n"
    )
    entry = Entry("100644", "0" * 40)
    file = FileChange(path="test_more.py", status="modified", old=entry, new=entry, hunks=(Hunk(6, 0, 7, 6),))
    context.change = SimpleNamespace(files=(file,))
    context.trees = SimpleNamespace(read_many=lambda side, paths: {"test_more.py": more.encode()})
    assert expected_errors(context) == {"OutOfStock"}
