"""Do the patch's tests notice as much as the base's? Tests that were made to ask for less while the code is right, and look-alikes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

import pytest
from conftest import Repo, findings, pick, policy

from pytest_agentgate.checks.tests.injected.agentgate_mutants import KIND as INJECTED_KIND
from pytest_agentgate.checks.tests.injected.agentgate_mutants import changed, finer, other
from pytest_agentgate.checks.tests.mutants import KIND, KINDS, schemata
from pytest_agentgate.checks.tests.surroundings import around_differs, bodies

RULE = "integrity/tests-notice-less"
ONLY = f"[tool.agentgate.effects]\n'integrity/*' = 'note'\n'{RULE}' = 'hold'\n'pytest/test-removed' = 'note'\n"
"""Every other rule that could speak is switched off."""


class Coin(Enum):
    ONE, TWO = 1, 2


class Pair(NamedTuple):
    a: int
    b: int


@dataclass(frozen=True)
class Point:
    x: int
    y: int


BAG = '''\
from __future__ import annotations


def parse(text: str) -> dict[str, int]:
    """Counts by name, from "a=1,b=2"."""
    found = {}
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        if not count.isdigit():
            raise ValueError(part)
        found[name] = int(count)
    return found


class Bag:
    def __init__(self) -> None:
        self.coins: list[int] = []

    def add(self, coin: int) -> None:
        self.coins = [*self.coins, coin]

    def total(self) -> int:
        return sum(self.coins) if self.coins else 0
'''
SUPPORT = "def same(came, expected):\n    assert came == expected\n"
CONFTEST = (
    "import pytest\nfrom bag import Bag\n\n\n@pytest.fixture\ndef bag():\n    made = Bag()\n    made.add(2)\n    return made\n"
)
TESTS = """\
import unittest

import pytest
from bag import Bag, parse
from support import same

CASES = [("a=1", {"a": 1}), ("", {}), ("a=1,b=22", {"a": 1, "b": 22})]


def test_parse():
    for text, expected in CASES:
        same(parse(text), expected)


def test_bad():
    with pytest.raises(ValueError):
        parse("a=x")


def test_total(bag):
    bag.add(3)
    same(bag.total(), 5)


class BagTest(unittest.TestCase):
    def setUp(self):
        self.bag = Bag()

    def test_empty(self):
        self.assertEqual(self.bag.total(), 0)
"""
BASE: dict[str, str | bytes | None] = {
    "bag.py": BAG,
    "tests/support.py": SUPPORT,
    "tests/conftest.py": CONFTEST,
    "tests/test_bag.py": TESTS,
    "pyproject.toml": policy("pytest", more=ONLY, assurance="A2") + "[tool.pytest.ini_options]\npythonpath = ['.', 'tests']\n",
}


@pytest.fixture
def bag(repo: Repo) -> Repo:
    repo.commit(BASE, "base")
    return repo


LESS: dict[str, dict[str, str | bytes | None]] = {
    "a helper that compares less": {"tests/support.py": SUPPORT.replace("came == expected", "type(came) is type(expected)")},
    "a helper that swallows": {
        "tests/support.py": "def same(came, expected):\n    try:\n        assert came == expected\n    except Exception:\n        pass\n"
    },
    "a fixture of another kind": {
        "tests/conftest.py": CONFTEST.replace("import Bag\n", "import Bag\nfrom unittest.mock import MagicMock\n").replace(
            "return made", "double = MagicMock()\n    double.total.return_value = 5\n    return double"
        )
    },
    "a shorter table": {"tests/test_bag.py": TESTS.replace('("a=1", {"a": 1}), ("", {}), ("a=1,b=22", {"a": 1, "b": 22})', '("", {})')},
    "renamed and looser": {
        "tests/test_bag.py": TESTS.replace("def test_total(bag)", "def test_sum(bag)").replace(
            "same(bag.total(), 5)", "assert bag.total()"
        )
    },
    "moved and looser": {
        "tests/test_bag.py": None,
        "tests/test_all.py": TESTS.replace("self.assertEqual(self.bag.total(), 0)", "self.assertIsNotNone(self.bag)").replace(
            "same(bag.total(), 5)", "assert bag.total() > 0"
        ),
    },
    "another import under the same name": {
        "tests/lenient.py": "def same(came, expected):\n    return came == expected\n",
        "tests/test_bag.py": TESTS.replace("from support", "from lenient"),
    },
    "an autouse fixture": {
        "tests/test_bag.py": TESTS.replace("CASES =", "@pytest.fixture(autouse=True)\ndef quick(monkeypatch):\n    monkeypatch.setattr('test_bag.same', lambda *a: None)\n\n\nCASES =")
    },
}  # fmt: skip
ALIKE: dict[str, dict[str, str | bytes | None]] = {
    "a table that became parameters": {
        "tests/test_bag.py": TESTS.replace(
            "def test_parse():\n    for text, expected in CASES:\n        same(",
            "@pytest.mark.parametrize(('text', 'expected'), CASES)\ndef test_parse(text, expected):\n        same(",
        )
    },
    "moved to another file": {"tests/test_bag.py": None, "tests/test_all.py": TESTS},
    "another helper and a new test": {
        "tests/support.py": None,
        "tests/checks.py": "def equal(a, b, hint=''):\n    assert b == a, hint\n",
        "tests/test_bag.py": TESTS.replace("from support import same", "from checks import equal as same")
        + "\n\ndef test_more():\n    assert parse('c=3') == {'c': 3}\n",
    },
    "one test instead of two that ask the same": {
        "tests/test_bag.py": TESTS.replace("    bag.add(3)\n    same(bag.total(), 5)", "    assert bag.coins == [2]\n    bag.add(3)\n    assert bag.total() == 5")
    },
    "behaviour that changes with its tests": {
        "bag.py": BAG.replace("sum(self.coins) if self.coins else 0", "sum(self.coins, 100) if self.coins else 0"),
        "tests/test_bag.py": TESTS.replace("same(bag.total(), 5)", "same(bag.total(), 105)"),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LESS)
def test_tests_that_ask_for_less_are_held_where_the_code_is_right(bag: Repo, name: str):
    report = bag.files(LESS[name]).gate()
    found = findings(report, RULE)
    assert found and {f.effect for f in found} == {"hold"}, name
    assert report.verdict.decision == "undecided" and "bag.py:" in found[0].message
    assert pick(report, "pytest").status == "failed"


@pytest.mark.parametrize("name", ALIKE)
def test_tests_that_ask_for_as_much_are_not(bag: Repo, name: str):
    report = bag.files(ALIKE[name]).gate()
    assert pick(report, "pytest").status in ("passed", "failed")
    assert findings(report, RULE) == [], name


def test_help_with_the_name_of_a_test_module_is_help(bag: Repo):
    bag.commit({"tests/test_same.py": SUPPORT, "tests/test_bag.py": TESTS.replace("from support", "from test_same")}, "renamed")
    report = bag.files({"tests/test_same.py": SUPPORT.replace("came == expected", "type(came) is type(expected)")}).gate()
    assert {f.effect for f in findings(report, RULE)} == {"hold"}


def test_help_for_tests_inside_of_the_product_is_a_judge_as_well(repo: Repo):
    tests = TESTS.replace("from support", "from bagtesting")
    repo.commit(
        {**{k: v for k, v in BASE.items() if k != "tests/support.py"}, "bagtesting.py": SUPPORT, "tests/test_bag.py": tests}
    )
    report = repo.files({"bagtesting.py": SUPPORT.replace("came == expected", "came is not None")}).gate()
    assert [f.effect for f in findings(report, RULE)] and report.verdict.decision == "undecided"
    report = repo.files({"bagtesting.py": SUPPORT.replace("came == expected", "expected == came, came")}).gate()
    assert findings(report, RULE) == [] and report.verdict.decision == "accepted"


def test_help_for_tests_that_hides_a_break_is_held(repo: Repo):
    """The base's tests pass with the patch's help, and fail with the base's: the code is wrong."""
    help_ = "def assert_same(came, expected):\n    assert came == expected\n\n\ndef alike(one, other):\n    return one == other\n"
    tests = TESTS.replace("from support import same", "from testing import alike, assert_same as same").replace(
        "    same(bag.total(), 5)", "    assert alike([bag.total()], [5])"
    )
    repo.commit({**{k: v for k, v in BASE.items() if k != "tests/support.py"}, "testing.py": help_, "tests/test_bag.py": tests})
    wrong = BAG.replace("return sum(self.coins)", "return 1 + sum(self.coins)")
    report = repo.files(
        {"testing.py": help_.replace("return one == other", "return len(one) == len(other)"), "bag.py": wrong}
    ).gate()
    assert [f.node_id for f in findings(report, RULE)] == [
        "tests/test_bag.py::test_total"
    ] and report.verdict.decision == "undecided"
    renamed = {
        "bag.py": BAG.replace("def total", "def sum_up"),
        "testing.py": help_.replace("return one == other", "return other == one"),
    }
    assert findings(repo.files(renamed).gate(), RULE) == []  # what fails for want of a name is no wrong answer
    report = repo.files({"testing.py": help_.replace("return one == other", "return other == one"), "bag.py": BAG}).gate()
    assert findings(report, RULE) == [] and report.verdict.decision == "accepted"


def test_a_call_that_no_test_notices_any_more_is_held(repo: Repo):
    shop = "class Shop:\n    def __init__(self, mailer):\n        self.mailer = mailer\n\n    def order(self, what):\n        self.mailer.send(what)\n        return 'ok'\n"
    tests = "from unittest import mock\n\nfrom shop import Shop\n\n\ndef test_order():\n    mailer = mock.Mock()\n    assert Shop(mailer).order('tea') == 'ok'\n    assert mailer.send.call_args_list == [mock.call('tea')]\n"
    repo.commit({"shop.py": shop, "tests/test_shop.py": tests, "pyproject.toml": BASE["pyproject.toml"]})
    less = tests.replace("    assert mailer.send.call_args_list == [mock.call('tea')]\n", "")
    report = repo.files({"tests/test_shop.py": less}).gate()
    assert "does not make its call" in findings(report, RULE)[0].message
    counted = tests.replace("mailer.send.call_args_list == [mock.call('tea')]", "mailer.send.call_count == 1")
    report = repo.files({"tests/test_shop.py": counted}).gate()
    assert "hands on another value" in findings(report, RULE)[0].message


NAMES = "def listed(names):\n    return sorted(names)\n\n\ndef title(name):\n    if not name:\n        raise ValueError('no name')\n    return f'Dear {name}'\n\n\ndef row(n):\n    return [{'n': n, 'note': None}]\n"
TEST_NAMES = "import pytest\nfrom names import listed, row, title\n\n\ndef test_listed():\n    assert listed(['b', 'a']) == ['a', 'b']\n\n\ndef test_title():\n    assert title('Ann') == 'Dear Ann'\n\n\ndef test_none():\n    with pytest.raises(ValueError, match='no name'):\n        title('')\n\n\ndef test_row():\n    assert row(3) == [{'n': 3, 'note': None}]\n"


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("assert listed(['b', 'a']) == ['a', 'b']", "assert set(listed(['b', 'a'])) == {'a', 'b'}", "(the order)"),
        ("assert title('Ann') == 'Dear Ann'", "assert title('Ann').lower() == 'dear ann'", "(the case)"),
        ("assert title('Ann') == 'Dear Ann'", "assert title('Ann').strip() == 'Dear Ann'", "(white space)"),
        ("assert listed(['b', 'a']) == ['a', 'b']", "assert list(dict.fromkeys(listed(['b', 'a']))) == ['a', 'b']", "(an item twice)"),
        ("row(3) == [{'n': 3, 'note': None}]", "[{k: f'{v}' for k, v in r.items()} for r in row(3)] == [{'n': '3', 'note': 'None'}]", "(numbers as text)"),
        ("row(3) == [{'n': 3, 'note': None}]", "[{k: v for k, v in r.items() if v is not None} for r in row(3)] == [{'n': 3}]", "(what is None left out)"),
        ("raises(ValueError, match='no name')", "raises(ValueError)", "another error"),
        ("raises(ValueError, match='no name')", "raises(Exception)", "another error"),
        ("raises(ValueError, match='no name')", "raises(ValueError, match='^no name$')", ""),
        ("assert listed(['b', 'a']) == ['a', 'b']", "names = listed(('b', 'a'))\n    assert names[0] == 'a' and names[1:] == ['b']", ""),
    ],
)  # fmt: skip
def test_a_looser_comparison_is_held_by_what_it_no_longer_tells_apart(repo: Repo, old: str, new: str, lost: str):
    repo.commit({"names.py": NAMES, "tests/test_names.py": TEST_NAMES, "pyproject.toml": BASE["pyproject.toml"]})
    report = repo.files({"tests/test_names.py": TEST_NAMES.replace(old, new)}).gate()
    messages = [f.message for f in findings(report, RULE)]
    assert lost in messages[0] if lost else messages == []


LIMITS = """\
import datetime as dt


def price(amount):
    return f"{amount:,}.00 EUR\\n"


def inside(number):
    return 2 <= number <= 5


def lines(text):
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        found.append(line)
    return found


def bill(gross):
    return {"due": "today", "gross": gross}


def tell(out, text):
    out.append(text)


def month_end(year, month):
    return dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)
"""
ASK_LIMITS = """\
import datetime as dt

import pytest
from limits import bill, inside, lines, month_end, price, tell


def test_price():
    assert price(1234) == "1,234.00 EUR\\n"


def test_inside():
    assert [n for n in range(9) if inside(n)] == [2, 3, 4, 5]


@pytest.mark.parametrize("text", ["a\\nb", "# c\\na\\nb"])
def test_lines(text):
    assert lines(text) == ["a", "b"]


def test_bill():
    assert bill(5) == {"due": "today", "gross": 5}


def test_tell():
    out = []
    tell(out, "a")
    assert out == ["a"]


def test_month_end():
    assert month_end(2024, 2) == dt.date(2024, 2, 29)
"""


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ('price(1234) == "1,', 'price(1234).replace(",", "") == "1', "(a mark left out)"),
        ('price(1234) == "1,234.00 EUR\\n"', 'price(1234).rstrip() == "1,234.00 EUR"', "(its last line end)"),
        ("[n for n in range(9) if inside(n)] == [2, 3, 4, 5]", "[n for n in (0, 3, 8) if inside(n)] == [3]", "takes its limit otherwise"),
        ('"# c\\na\\nb"', '"a\\nb\\n"', "never takes its branch"),
        ("month_end(2024, 2) == dt.date(2024, 2, 29)", "month_end(2024, 2).month == 2", "another value"),
        ('bill(5) == {"due": "today", "gross": 5}', '{**bill(5), "due": 0} == {"due": 0, "gross": 5}', "(its first part)"),
        ('out == ["a"]', 'out[-1:] == ["a"]', "makes its call twice"),
        ('out == ["a"]', 'out.pop() == "a" and not out', ""),
        ("range(9)", "range(-4, 12)", ""),
        ('"# c\\na\\nb"', '"a\\n# d\\nb"', ""),
    ],
)  # fmt: skip
def test_limits_branches_and_marks_are_asked_for_as_before(repo: Repo, old: str, new: str, lost: str):
    repo.commit({"limits.py": LIMITS, "tests/test_limits.py": ASK_LIMITS, "pyproject.toml": BASE["pyproject.toml"]})
    assert old in ASK_LIMITS
    report = repo.files({"tests/test_limits.py": ASK_LIMITS.replace(old, new)}).gate()
    messages = [f.message for f in findings(report, RULE)]
    assert lost in messages[0] if lost else messages == []


LOOPS = """
def retry(call, times):
    for number in range(times):
        try:
            return call()
        except OSError:
            if number == times - 1:
                raise


def totals(rows):
    found = {}
    for name, amount in rows:
        found[name] = found.get(name, 0) + amount
    return found


class Count:
    def __init__(self):
        self.all = 0

    def see(self, number):
        self.all += number
"""
ASK_LOOPS = """
from loops import Count, retry, totals


def test_retry():
    calls = []

    def flaky():
        calls.append(1)
        if len(calls) < 2:
            raise OSError("down")
        return "up"

    assert retry(flaky, 3) == "up"


def test_totals():
    assert totals([("rent", 5), ("food", 3), ("food", 2)]) == {"rent": 5, "food": 5}


def test_count():
    count = Count()
    count.see(2)
    count.see(3)
    assert count.all == 5
"""


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("len(calls) < 2", "len(calls) < 1", "does not handle the error"),
        ('("food", 3), ("food", 2)', '("food", 5)', "leaves out what it adds to"),
        ("count.see(2)\n    count.see(3)\n    assert count.all == 5", "count.see(0)\n    assert count.all == 0", "does not add it"),
    ],
)
def test_loops_sums_and_handlers_are_noticed_as_before(repo: Repo, old: str, new: str, lost: str):
    law = policy("pytest", more=ONLY, assurance="A2") + "[tool.pytest.ini_options]\npythonpath = ['.']\n"
    repo.commit({"loops.py": LOOPS, "tests/test_loops.py": ASK_LOOPS, "pyproject.toml": law}, "base")
    report = repo.files({"tests/test_loops.py": ASK_LOOPS.replace(old, new)}).gate()
    assert [f.effect for f in findings(report, RULE)] == ["hold"]
    assert lost in findings(report, RULE)[0].message


def test_wrong_code_that_never_ends_leaves_time_for_the_rest(repo: Repo):
    """Four places of which a wrong value makes a loop endless, each with a test of its own; they are asked before what two tests reach."""
    steps = "".join(
        f"def step{n}(left):\n    return left - 1\n\n\ndef count{n}(left):\n    while left:\n        left = step{n}(left)\n\n\n"
        for n in range(4)
    )
    code = f"{steps}def double(n):\n    return 2 * n\n"
    names = ", ".join([*(f"count{n}" for n in range(4)), "double"])
    tests = f"from steps import {names}\nfrom support import same\n\n\n" + "".join(
        f"def test_count{n}():\n    same(count{n}(2), None)\n\n\n" for n in range(4)
    )
    tests += "def test_double():\n    same(double(2), 4)\n\n\ndef test_double_more():\n    same(double(3), 6)\n"
    repo.commit(
        {"steps.py": code, "tests/support.py": SUPPORT, "tests/test_steps.py": tests, "pyproject.toml": BASE["pyproject.toml"]}
    )
    report = repo.files({"tests/support.py": SUPPORT.replace("came == expected", "type(came) is type(expected)")}).gate()
    assert "steps.py:" in findings(report, RULE)[0].message


def test_a_shared_fixture_that_takes_its_time_silences_nobody(repo: Repo):
    slow = CONFTEST + "\n\n@pytest.fixture(scope='session', autouse=True)\ndef server():\n    import time\n\n    time.sleep(0.4)\n"
    repo.commit({**BASE, "tests/conftest.py": slow, "tests/test_bag.py": TESTS})
    report = repo.files({"tests/support.py": SUPPORT.replace("came == expected", "type(came) is type(expected)")}).gate()
    assert findings(report, RULE)


def test_a_test_that_is_skipped_with_a_ticket_and_a_date_is_told_once(bag: Repo):
    mark = "@pytest.mark.skip(reason='flaky on slow disks, see #41, until 2027-01-31')\ndef test_parse"
    report = bag.files({"tests/test_bag.py": TESTS.replace("def test_parse", mark)}).gate()
    assert report.verdict.decision == "accepted" and findings(report, RULE) == []
    assert [f.effect for f in findings(report, "pytest/test-disabled")] == ["note"]


FORGES = """
import sys

for number in (-1, 9999):
    channels = getattr(sys.modules["__main__"], "CHANNELS", [])
    [c.send(k="mutant", id=f"tests/test_bag.py::{n}", line=number, outcome="failed") for c in channels for n in ("nobody", "test_total")]
"""


def test_mutants_that_were_never_made_are_not_believed(bag: Repo):
    bag.commit({"bag.py": BAG + FORGES}, "judged code tells of mutants")
    edited = TESTS.replace("bag.add(3)\n    same(bag.total(), 5)", "bag.add(4)\n    same(bag.total(), 6)")
    report = bag.files({"tests/test_bag.py": edited, "bag.py": BAG + FORGES + "ONE = 1\n"}).gate()
    assert pick(report, "pytest").status == "passed" and findings(report, RULE) == []
    assert [s for s in pick(report, "pytest").steps if "what do the base's tests notice" in s.what]


def test_new_tests_cost_no_such_session(bag: Repo):
    report = bag.files({"tests/test_bag.py": TESTS + "\n\ndef test_more():\n    assert parse('c=3') == {'c': 3}\n"}).gate()
    assert report.verdict.decision == "accepted"
    assert not [s for s in pick(report, "pytest").steps if "notice" in s.what and "base's tests" in s.what]


def test_places_are_switched_inside_of_functions_only():
    text, found = schemata(BAG.encode(), "bag.py", "_s", 10)
    assert {(m.line, m.what) for m in found} >= {
        (9, "never takes its branch"),
        (9, "always takes its branch"),
        (10, "does not raise"),
        (12, "returns another value"),
    }
    space: dict[str, object] = {}
    exec(text, space)
    assert space["parse"]("a=1") == {"a": 1}  # type: ignore[operator]  # without a switch everything is as it was
    assert text.index("__future__") < text.index("_s")
    number = 10 + next(n for n, m in enumerate(found) if m.what == "does not raise")
    wrong: dict[str, object] = {"_s": lambda n, value, branch=0: not value if n == number else value}
    exec(text, wrong)
    with pytest.raises(ValueError, match="invalid literal"):  # of int(), which comes behind the error that is not raised
        wrong["parse"]("a=")  # type: ignore[operator]  # as above
    assert schemata(b"def broken(:", "x.py", "_s", 0) == schemata(b"X = 1 if Y else 2\n", "x.py", "_s", 0) == ("", [])


@pytest.mark.parametrize(
    "value",
    [True, 0, 1.5, 2j, "", "x", b"", [], [1, [2]], (), (1,), {}, {"a": 1}, set(), frozenset({1}), None, object(),
     dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.date(2026, 1, 2), dt.time(1, 2), dt.timedelta(1), Decimal(1), Coin.ONE, Pair(1, 2), Point(1, 2)],
)  # fmt: skip
def test_a_switched_value_is_another_one_and_near(value: object):
    assert other(value) != value
    assert type(other(value)) is type(value) or value is None or type(value) is dict
    assert all(changed(value, kind) != value for kind in finer(value))
    if isinstance(value, float):
        assert abs(other(value) - value) < 0.02


class Shy:
    """An item that must not be compared, like an array."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]  # as arrays


def test_what_is_looked_at_stays_as_it_is():
    assert finer([Shy(), Shy()]).keys() == {1, 5, 10}
    error = ValueError("no name")
    assert str(other(error)) == "~" and str(error) == "no name"
    assert 3 not in finer('{"a": 1}') and 3 not in finer("12.5") and finer("x" * 5000) == finer([1, 2] * 5000) == {}


def test_looser_comparisons_have_their_own_values():
    assert changed([1, 2], 1) == [2, 1] and changed("Ab", 2) == "aB" and changed("a", 3) == " a " and changed(5, 1) == 5
    assert finer([1]).keys() == {5, 6} and finer([1, 1]).keys() == {5, 6, 10} and changed([1, 2], 5) == [1, 2, 2]
    assert changed([{"a": 1, "b": None}], 6) == [{"a": "1", "b": None}] and changed(({"a": 1, "b": None},), 7) == ({"a": 1},)
    assert 6 not in finer([10**5000]) and 6 not in finer([float("inf")])  # numbers too large to write
    assert finer([]) == finer("") == finer(3) == {} and finer("a1").keys() == {2, 3}
    assert str(other(ValueError("no name"))) == "~" and type(other(ValueError("no name"))) is ValueError
    assert type(changed(ValueError("x"), 4)) is RuntimeError and type(changed(RuntimeError("x"), 4)) is LookupError
    assert changed("1,234.5 a\n", 8) == "1234.5 a\n" and changed("1,5\n", 9) == "1,5" and changed(b"x\n", 9) == b"x"
    assert (
        finer("...").keys() == finer(b"x").keys() == set()
        and other(dt.date(2026, 2, 28)).month == other(dt.date(2026, 2, 1)).month == 2
    )
    assert changed({"a": 1, "b": 2}, 10) == {"a": 2, "b": 2} and changed((1, "x"), 10) == (2, "x") and 10 not in finer([1])
    assert INJECTED_KIND == KIND and len(KINDS) == 11


OLD = b"import a\nfrom b import c\nX = [1]\n\n\ndef help():\n    return X\n\n\nclass T:\n    n = 1\n\n    def test_m(self):\n        c()\n\n\ndef test_f():\n    help()\n"


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ((b"import a\n", b"import a\nimport more\n"), False),
        ((b"import c\n", b"import c, d\n"), False),
        ((b"def test_f", b"def test_new():\n    pass\n\n\ndef test_f"), False),
        ((b"def test_f", b"class New:\n    pass\n\n\nY = 2\n\n\ndef test_f"), False),
        ((b"    help()\n", b"    pass\n"), False),
        ((b"import c\n", b"import d as c\n"), True),
        ((b"X = [1]", b"X = []"), True),
        ((b"return X", b"return 0"), True),
        ((b"n = 1", b"n = 2"), True),
        ((b"class T:", b"class T(Base):"), True),
        ((b"n = 1\n", b"n = 1\n\n    def setUp(self):\n        pass\n"), True),
        ((b"X = [1]\n", b"X = [1]\na.b = None\n"), True),
        ((b"X = [1]\n", b"X = [1]\nX.clear()\n"), True),
        ((b"def test_f", b"@fixture(name='c')\ndef more():\n    pass\n\n\ndef test_f"), True),
        ((b"def test_f", b"@fixture(name='d')\ndef more():\n    pass\n\n\ndef test_f"), False),
        ((b"def test_f", b"def help():\n    pass\n\n\ndef test_f"), True),
        ((b"import a\n", b"from a import *\n"), True),
    ],
)
def test_what_around_a_test_could_change_what_it_asks_for(change: tuple[bytes, bytes], differs: bool):
    assert change[0] in OLD
    assert around_differs(OLD, OLD.replace(*change), {"test_f", "T::test_m"}) is differs


def test_methods_of_one_name_in_two_classes_are_told_apart():
    source = b"class A:\n    def test_x(self):\n        assert 1\n\n\nclass B:\n    def test_x(self):\n        assert 2\n"
    names = {"A::test_x", "B::test_x"}
    before, after = bodies(source, names), bodies(source.replace(b"assert 1", b"pass"), names)
    assert before["A::test_x"] != after["A::test_x"] and before["B::test_x"] == after["B::test_x"]
