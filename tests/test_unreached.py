"""New tests whose assertions are never reached."""

from __future__ import annotations

import ast

from conftest import CALC, TEST_CALC, Repo, counting, findings, policy

from pytest_agentgate.checks.tests.unreached import _asks_otherwise

HELP = '''\
import functools


def documented(test):
    """Say how a test ends."""

    @functools.wraps(test)
    def call(*args, **kwargs):
        try:
            test(*args, **kwargs)
        except AssertionError as error:
            print(test.__name__, error)

    return call


def assert_close(came, wanted):
    assert abs(came - wanted) < 0.1
'''
CODE = CALC + "\n\nTABLE = {}\n\n\ndef sub(a, b):\n    return a - b\n"
IMPORTS = (
    TEST_CALC.replace("import add, mul", "import TABLE, add, mul, sub")
    + "\n\ndef test_sub():\n    assert sub(5, 3) == 2\n\n\nimport functools\nimport shutil\nimport sys\nimport warnings\nfrom unittest import mock\n\nimport pytest\nimport support\nfrom support import documented\n"
)
IDLE = {
    "loop": "def test_loop():\n    for a, b in TABLE:\n        assert sub(a, b) == a + b\n",
    "swallowed": "@documented\ndef test_swallowed():\n    assert sub(5, 3) == 9\n",
    "condition": "def test_condition():\n    came = sub(5, 3)\n    if came == 9:\n        assert came == 8\n",
    "handler": "def test_handler():\n    try:\n        sub(5, 3)\n    except TypeError as error:\n        assert 'no' in str(error)\n",
    "rows": "@pytest.mark.parametrize('a', [1, 2])\ndef test_rows(a):\n    for row in TABLE:\n        assert sub(a, row) == 1\n",
    "table": "@pytest.mark.parametrize('a', sorted(TABLE))\ndef test_table(a):\n    assert sub(a, 1) == 1\n",
    "helper": "def check(came):\n    try:\n        assert came == 9\n    except AssertionError:\n        print(came)\n\n\ndef test_helper():\n    check(sub(5, 3))\n",
    "method": "class TestSub:\n    def test_method(self):\n        while TABLE:\n            assert sub(2, 1) == TABLE.popitem()\n",
}
IDLE_INSIDE = {
    "listener": "def test_listener():\n    def told(came):\n        assert came == 9\n\n    TABLE.get(told)\n    assert sub(5, 3) == 2\n",
    "dropped": "def test_dropped():\n    def told(came):\n        assert came == 9\n\n    try:\n        told(sub(5, 3))\n    except Exception:\n        pass\n    assert sub(5, 3) == 2\n",
    "never": "def test_never():\n    async def go():\n        assert sub(5, 3) == 9\n\n    assert go is not None and sub(5, 3) == 2\n",
}
HONEST_INSIDE = {
    "besides": "def test_besides():\n    assert sub(5, 3) == 2\n    for row in TABLE:\n        assert sub(row, 1) == 9\n",
    "called": "def test_called():\n    def told(came):\n        assert came == 2\n\n    told(sub(5, 3))\n    assert sub(5, 3) == 2\n",
    "not_called": "def test_not_called():\n    def told(came):\n        assert False, came\n\n    TABLE.get(told)\n    assert sub(5, 3) == 2\n",
    "under_test": "def test_under_test():\n    @functools.cache\n    def told(came):\n        assert came == 9\n\n    assert told is not None and sub(5, 3) == 2\n",
}
HONEST = {
    "forbids": "def test_forbids():\n    with warnings.catch_warnings(record=True) as seen:\n        sub(5, 3)\n    for one in seen:\n        assert 'sub' not in str(one)\n",
    "elsewhere": "def test_elsewhere():\n    if sys.platform == 'win32':\n        assert sub(5, 3) == 2\n",
    "some": "@pytest.mark.parametrize('a', [1, 2])\ndef test_some(a):\n    if a == 2:\n        assert sub(a, 1) == 1\n",
    "callback": "def test_callback():\n    def call():\n        assert False, 'never'\n    sub(5, 3)\n",
    "raises": "def test_raises():\n    with pytest.raises(TypeError):\n        sub('a', 3)\n",
    "swallows": "def test_swallows():\n    with pytest.raises(AssertionError):\n        assert sub(5, 3) == 9\n",
    "skipped": "@pytest.mark.parametrize('a', [pytest.param(1, marks=pytest.mark.skipif(sys.version_info > (3,), reason='old')), 2])\ndef test_skipped(a):\n    assert sub(a, 1) == a - 1\n",
    "mock": "def test_mock():\n    seen = mock.Mock()\n    seen(sub(5, 3))\n    seen.assert_called_once_with(2)\n    for call in seen.other.call_args_list:\n        assert call.args[0] == 9\n",
    "help": "def test_help():\n    support.assert_close(sub(5, 3), 2)\n    for one in TABLE:\n        assert one == 9\n",
    "raised": "def test_raised():\n    if sub(5, 3) != 2:\n        raise AssertionError('no')\n    for one in TABLE:\n        assert one == 9\n",
    "which": "def test_which():\n    if shutil.which('no such program'):\n        assert sub(5, 3) == 2\n",
    "tools": "@pytest.mark.parametrize('a', [t for t in ('none',) if shutil.which(t)])\ndef test_tools(a):\n    assert sub(5, 3) == 2\n",
    "nothing": "def test_nothing():\n    sub(5, 3)\n",
}  # fmt: skip


def test_help_of_the_file_itself_was_turned_and_help_from_elsewhere_was_not():
    for code, asks in (
        ("check(1)", False),
        ("support.check(1)", True),
        ("verify(1)", True),
        ("self.assertEqual(1, 1)", False),
        ("m.assert_called()", True),
    ):
        assert _asks_otherwise(ast.parse(code), {"check"}) == asks, code


def gate(calc: Repo, tests: dict[str, str]):
    calc.commit({"pyproject.toml": policy("pytest", assurance="A2"), "support.py": HELP})
    calc.write(**{"calc.py": CODE, "test_calc.py": IMPORTS + "".join(f"\n\n{t}" for t in tests.values())})
    return calc.gate()


def test_new_tests_that_reach_no_assertion_are_held(calc: Repo):
    report = gate(calc, IDLE)
    found = {
        f.node_id.rpartition("_")[2].partition("[")[0] for f in findings(report, "integrity/assertion-not-reached") if f.node_id
    }
    assert found == IDLE.keys()
    assert {f[3] for f in counting(report)} == {"hold"}


def test_new_tests_that_reach_one_here_or_elsewhere_are_not(calc: Repo):
    report = gate(calc, HONEST)
    assert findings(report, "integrity/assertion-not-reached") == []
    assert counting(report) == []


def test_assertions_of_functions_inside_of_new_tests_are_reached_too(calc: Repo):
    report = gate(calc, IDLE_INSIDE | HONEST_INSIDE)
    found = {f.node_id.partition("::test_")[2]: f.message for f in findings(report, "integrity/assertion-not-reached") if f.node_id}
    assert found.keys() == IDLE_INSIDE.keys()
    assert "told()" in found["listener"]
