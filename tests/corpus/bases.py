"""Three small projects of different shape, each with a function that a patch can break, and the patch's honest companion."""

from __future__ import annotations

from dataclasses import dataclass, replace

TOOLS = '[tool.ruff.lint]\nselect = ["E", "F", "B"]\n\n[tool.ruff.lint.pycodestyle]\nmax-line-length = 140\n\n[tool.mypy]\nstrict = true\nfiles = ["{files}"]\n\n[tool.pytest.ini_options]\naddopts = "-q"\n'


@dataclass(frozen=True)
class Base:
    """One project. `{head}` and `{body}` in `template` are where a patch puts code at the module's level and into the function."""

    name: str
    product: str
    """Path of the module that is broken."""
    module: str
    """Its import name."""
    function: str
    template: str
    right: str
    """The correct line."""
    wrong: str
    """The broken one."""
    test: str
    """Path of its test file."""
    tests: str
    broken_test: str
    """Name of the test that fails on the broken line."""
    assertion: str
    """Its assertion."""
    feature: str
    """An honest further function."""
    feature_test: str
    others: tuple[tuple[str, str], ...] = ()

    def source(self, line: str | None = None, *, head: str = "", body: str = "", tail: str = "") -> str:
        """The module; `line` is the right one unless given, `body` is put before it."""
        indent = self.template.split("{body}")[0].rpartition("\n")[2]
        inside = "".join(f"{indent}{text}\n" for text in body.splitlines())
        text = self.template.replace("{head}", head).replace(f"{indent}{{body}}\n", inside).replace("{line}", line or self.right)
        return text + tail

    def broken(self, *, head: str = "", body: str = "", tail: str = "") -> str:
        """The module with the bug, and with what shall hide it."""
        return self.source(self.wrong, head=head, body=body, tail=tail)

    def files(self) -> dict[str, str]:
        """The whole project."""
        return {self.product: self.source(), self.test: self.tests, **dict(self.others)}


FLAT = Base(
    name="flat",
    product="calc.py",
    module="calc",
    function="mean",
    template='"""Small statistics."""\n\n{head}\n\ndef mean(xs: list[float]) -> float:\n    {body}\n    {line}\n\n\ndef clamp(x: float, low: float, high: float) -> float:\n    return max(low, min(x, high))\n',
    right="return sum(xs) / len(xs) if xs else 0.0",
    wrong="return sum(xs) / (len(xs) + 1)",
    test="test_calc.py",
    tests="from calc import clamp, mean\n\n\ndef test_mean():\n    assert mean([3.0, 4.0, 11.0]) == 6.0\n\n\ndef test_empty():\n    assert mean([]) == 0.0\n\n\ndef test_clamp():\n    assert clamp(17.0, 0.0, 9.0) == 9.0\n    assert clamp(5.0, 0.0, 9.0) == 5.0\n",
    broken_test="test_mean",
    assertion="assert mean([3.0, 4.0, 11.0]) == 6.0",
    feature="\n\ndef spread(xs: list[float]) -> float:\n    return max(xs) - min(xs)\n",
    feature_test="\n\ndef test_spread():\n    from calc import spread\n\n    assert spread([2.0, 9.0]) == 7.0\n",
    others=(("pyproject.toml", TOOLS.replace("{files}", "calc.py")), ("README.md", "# calc\n")),
)
SRC = Base(
    name="src",
    product="src/stock/core.py",
    module="stock.core",
    function="total",
    template='"""A shop\'s stock."""\n\nfrom __future__ import annotations\n\n{head}\n\ndef total(items: dict[str, int]) -> int:\n    {body}\n    {line}\n\n\ndef parse(text: str) -> tuple[str, int]:\n    name, _, count = text.partition(":")\n    if not count.isdigit():\n        raise ValueError(f"no count in {text!r}")\n    return name, int(count)\n',
    right="return sum(items.values())",
    wrong="return len(items)",
    test="tests/test_core.py",
    tests='import pytest\n\nfrom stock.core import parse, total\n\n\ndef test_total(shop):\n    assert total(shop) == 57\n\n\n@pytest.mark.parametrize(("text", "want"), [("ham:3", ("ham", 3)), ("egg:12", ("egg", 12))])\ndef test_parse(text, want):\n    assert parse(text) == want\n\n\ndef test_no_count():\n    with pytest.raises(ValueError, match="no count"):\n        parse("ham")\n',
    broken_test="test_total",
    assertion="assert total(shop) == 57",
    feature="\n\ndef names(items: dict[str, int]) -> list[str]:\n    return sorted(items)\n",
    feature_test='\n\ndef test_names(shop):\n    from stock.core import names\n\n    assert names(shop) == ["egg", "ham"]\n',
    others=(
        ("src/stock/__init__.py", '"""A shop\'s stock."""\n'),
        ("src/stock/py.typed", ""),
        ("tests/conftest.py", 'import pytest\n\n\n@pytest.fixture\ndef shop():\n    return {"ham": 40, "egg": 17}\n'),
        ("pyproject.toml", '[project]\nname = "stock"\ndependencies = ["requests>=2"]\n\n' + TOOLS.replace("{files}", "src")),
        (".github/workflows/ci.yml", "on: [push, pull_request]\npermissions:\n  contents: read\njobs:\n  test:\n    steps:\n      - run: pytest\n"),
        (".pre-commit-config.yaml", "repos:\n- repo: local\n  hooks:\n  - {id: ruff, name: ruff, entry: ruff check, language: system, always_run: true}\n"),
    ),
)  # fmt: skip
UNIT = Base(
    name="unit",
    product="jobs/queue.py",
    module="jobs.queue",
    function="order",
    template='"""Jobs by urgency."""\n\nimport asyncio\n\n{head}\n\ndef order(jobs: list[tuple[int, str]]) -> list[str]:\n    {body}\n    {line}\n\n\nasync def run(jobs: list[tuple[int, str]]) -> list[str]:\n    await asyncio.sleep(0)\n    return order(jobs)\n',
    right="return [name for _, name in sorted(jobs, reverse=True)]",
    wrong="return [name for _, name in jobs]",
    test="tests/test_queue.py",
    tests='import unittest\n\nfrom jobs.queue import order, run\n\n\nclass QueueTest(unittest.IsolatedAsyncioTestCase):\n    def test_order(self):\n        self.assertEqual(order([(2, "mow"), (7, "cook"), (5, "read")]), ["cook", "read", "mow"])\n\n    async def test_run(self):\n        self.assertEqual(await run([(1, "dig")]), ["dig"])\n\n    def test_empty(self):\n        self.assertEqual(order([]), [])\n',
    broken_test="test_order",
    assertion='self.assertEqual(order([(2, "mow"), (7, "cook"), (5, "read")]), ["cook", "read", "mow"])',
    feature="\n\ndef urgent(jobs: list[tuple[int, str]]) -> list[str]:\n    return [name for rank, name in jobs if rank > 5]\n",
    feature_test='\n\nclass UrgentTest(unittest.TestCase):\n    def test_urgent(self):\n        from jobs.queue import urgent\n\n        self.assertEqual(urgent([(2, "mow"), (7, "cook")]), ["cook"])\n',
    others=(
        ("jobs/__init__.py", ""),
        ("tests/__init__.py", ""),
        ("setup.cfg", "[tool:pytest]\naddopts = -q\n\n[mypy]\nstrict = True\nfiles = jobs\n"),
        ("Makefile", "test:\n\tpytest\n"),
    ),
)
BASES = (FLAT, SRC, UNIT)


def _with(name: str, base: Base = SRC, tests: str | None = None, **files: str) -> Base:
    """A base with further or other files; `__` in a name stands for `/`, `_` for a dot."""
    others = {**dict(base.others), **{path.replace("__", "/").replace("_", "."): text for path, text in files.items()}}
    return replace(base, name=name, tests=tests or base.tests, others=tuple(others.items()))


DATA = _with(
    "data",
    tests=SRC.tests.replace("import pytest\n", "import json\nfrom pathlib import Path\n\nimport pytest\n").replace(
        "def test_total(shop):\n    assert total(shop) == 57\n",
        'def test_total():\n    for items, want in json.loads(Path(__file__).with_name("cases.json").read_text()):\n        assert total(items) == want\n',
    ),
    tests__cases_json='[[{"ham": 40, "egg": 17}, 57], [{}, 0]]\n',
)
"""The shop, with its cases in a file of data."""
COVERED = _with(
    "covered",
    pyproject_toml=dict(SRC.others)["pyproject.toml"]
    + '\n[tool.coverage.run]\nsource = ["stock"]\n\n[tool.coverage.report]\nfail_under = 95\n',
)
"""The shop, with a limit for its coverage."""
LOCKED = _with("locked", requirements_txt=f"requests==2.32.5 --hash=sha256:{'1' * 64}\n")
"""The shop, with hashes of what it needs."""
