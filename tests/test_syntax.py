"""Syntax trees are made by one thread at a time."""

import ast
import gc
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_agentgate.syntax import parse, parse_expression, parsed

SOURCE = "".join(f"def f{n}(a, b=[{n}]):\n    return [a + (b[0] * {n}) for x in (1, 2, (3, {n}))]\n" for n in range(60))


def hand_over(phase: str, details: object) -> None:
    """What the collector does where a finalizer runs long: it lets another thread go on."""
    time.sleep(0.0005)


@pytest.fixture
def busy_collector():
    before = gc.get_threshold()
    gc.callbacks.append(hand_over)
    gc.set_threshold(200)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(hand_over)


def test_threads_can_parse_at_once(busy_collector):
    """CPython 3.11 without the lock: SystemError, AST constructor recursion depth mismatch."""
    wanted = ast.dump(ast.parse(SOURCE))
    with ThreadPoolExecutor(4) as pool:
        for tree in pool.map(parse, [SOURCE] * 16):
            assert ast.dump(tree) == wanted


@pytest.mark.parametrize(
    "source", ["def", b"\xff", "a\0b", "(" * 300, "[" * 5000], ids=["syntax", "encoding", "null", "deep", "deeper"]
)
def test_what_is_no_python_has_no_tree(source: str | bytes):
    assert parsed(source) is None


def test_an_expression_is_one():
    assert ast.unparse(parse_expression("f(1)")) == "f(1)"
    with pytest.raises(SyntaxError):
        parse_expression("x = 1")
