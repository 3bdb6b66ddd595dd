"""What is required of a change. Read from the base, never from the head."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from pytest_agentgate.model.finding import Effect

SandboxMode = Literal["require", "auto", "off"]
PolicyEffect = Literal["reject", "hold", "note", "off"]

DEFAULT_CARRY = ("**/_version.py", "**/__version__.py", "**/*.so", "**/*.pyd")
DEFAULT_TEST_PATHS = (
    "tests/**",
    "test/**",
    "testing/**",
    "Tests/**",
    "Test/**",
    "unit_tests/**",
    "**/tests/**",
    "**/test/**",
    "**/test_*.py",
    "**/*_test.py",
    "**/*_tests.py",
    "**/tests.py",
    "**/conftest.py",
)


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Upper bounds. A number of 0 means: no limit."""

    files: int = 0
    """Changed files in one patch."""
    lines: int = 0
    """Added plus deleted lines in one patch."""
    file_bytes: int = 1_000_000
    """Size of one added or edited file."""
    timeout: float = 900.0
    """Seconds that one process of a check may take."""
    package_days: int = 30
    """A new dependency whose first release is younger than this many days is held as such. 0: of any age."""
    output_bytes: int = 8_000_000
    """Bytes of output kept of one process; one that writes eight times as much is stopped."""
    memory_mb: int = 0
    """Address space of one process, in MiB."""
    processes: int = 0
    """Processes and threads of the user, while a check runs."""


class TestsPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the tests are found and run."""

    __test__ = False

    paths: tuple[str, ...] = DEFAULT_TEST_PATHS
    """Patterns of the judge's files: tests, fixtures, golden files."""
    args: tuple[str, ...] = ()
    """Further arguments for pytest."""
    workers: str = "0"
    """`0`: one process. A number or `auto`: pytest-xdist, where the project has it."""
    reruns: int = 2
    """How often a failing test is run again to classify it. A rerun never turns red into green."""


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other effects for findings in some paths."""

    paths: tuple[str, ...]
    """Where."""
    effects: dict[str, PolicyEffect]
    """Effect by rule id, as in the main table."""


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command-line tool as a check."""

    name: str
    """Name of the check."""
    argv: tuple[str, ...]
    """Program and arguments; ``{python}`` is replaced by the project's interpreter."""
    format: Literal["sarif", "json-lines", "exit-code"] = "exit-code"
    """How to read what it prints. `exit-code`: any code but 0 is a finding."""
    effect: Effect = "reject"
    """Effect of its findings."""
    version: tuple[str, ...] = ()
    """Command that prints the tool's version, for the report."""


class Suppressed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Effect of a new problem that the patch hides with a suppression, by how it is spelt."""

    blanket: PolicyEffect = "reject"
    """Without a code, or for a whole file or block."""
    coded: PolicyEffect = "hold"
    """With a code and no reason, in anything but the tests."""
    in_tests: PolicyEffect = "note"
    """The same in a file of the tests, where wrong types and odd code are often the point."""
    reasoned: PolicyEffect = "note"
    """With a code and a reason."""


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one piece of work may do; kept outside the judged tree (``--task FILE``)."""

    objective: str
    """What the change is for, in words."""
    allowed_paths: tuple[str, ...] = ()
    """Patterns; a change elsewhere is rejected. Empty: everywhere."""
    tests_must_pass: tuple[str, ...] = ()
    """Node ids, or prefixes of them, that have to pass on the head."""
    tests_may_be_edited: tuple[str, ...] = ()
    """Patterns of paths, or node ids, whose expectation the patch may change without a hold."""
    judges_may_be_edited: tuple[str, ...] = ()
    """Patterns of paths of configuration, pipelines and hooks that the patch may change, also for weaker ones, without a hold."""
    dependencies_may_be_added: tuple[str, ...] = ()
    """Names of packages that the patch may bring in without a hold; one that is unknown or young is named all the same."""
    max_files: int = 0
    """Changed files. 0: no limit."""
    max_lines: int = 0
    """Added plus deleted lines. 0: no limit."""


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model costs, in dollars per million tokens."""

    model: str
    """Id of the model."""
    input: Decimal
    """Prompt tokens."""
    output: Decimal
    """Tokens of the answer, thinking included."""
    write_5m: Decimal
    """Prompt tokens written to the cache for five minutes."""
    write_1h: Decimal
    """The same for an hour."""
    read: Decimal
    """Prompt tokens read from the cache."""
    batch: Decimal = Decimal("0.5")
    """Factor for requests in a batch."""
    up_to: int = 0
    """Prompt tokens up to which the price holds. 0: any number."""
    since: str = ""
    """Date from which it holds; the latest entry of a model counts."""
    source: str = ""
    """Where the price is published."""


class ReviewPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AI review: asked only after `accepted`."""

    enabled: bool = False
    """Review every accepted change, as ``--review`` does for one run."""
    model: str = "claude-sonnet-5-5"
    """Who looks for findings."""
    refuter: str = ""
    """Who tries to refute them. Empty: the same model; ``off``: nobody."""
    scout: str = ""
    """A cheap model that chooses further signatures to show, for instance claude-haiku-5-5. Empty: none."""
    effort: Literal["low", "medium", "high"] = "medium"
    """How long the model thinks."""
    tokens: int = 10_000
    """Prompt tokens of one request, by estimate."""
    answer_tokens: int = 4_000
    """Most tokens of one answer, thinking included."""
    max_usd: Decimal = Decimal("0.50")
    """Most dollars of one run. A review whose ceiling is higher is not begun."""
    block_on: tuple[str, ...] = ()
    """Findings that reject: levels, or a level and a severity, for instance ``["E4", "E3:high"]``. Then an incomplete review leaves the change undecided."""
    exclude: tuple[str, ...] = ("*.lock", "*.min.js", "*.min.css", "*.svg", "*.ipynb", "*.snap", "package-lock.json")
    """Patterns of files that nobody reviews."""
    execute: bool = True
    """Run the tests that a model writes, in the sandbox, to prove its findings."""
    fixes: bool = False
    """Ask for a fix of each proved finding, and show it where its test then passes and the gate stays green."""
    batch_from: int = 100
    """With ``--batch``: so many requests and more are handed in as a batch, at half the price and within a day; fewer are asked at once."""
    price: tuple[Price, ...] = ()
    """Prices of further models, or other prices."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy of one run: ``[tool.agentgate]`` of the base's ``pyproject.toml``."""

    checks: tuple[str, ...] = ("scope", "compile", "integrity", "ruff", "mypy", "pytest")
    """Checks that run, and that are required."""
    hook_checks: tuple[str, ...] = ("scope", "compile", "integrity", "ruff", "mypy")
    """Checks of the fast pre-commit stage."""
    only: Literal["all", "agents"] = "all"
    """`agents`: commits without an agent's mark (`agentgate who`) are passed through with a note. An agent can leave its marks out."""
    may_skip: tuple[str, ...] = ()
    """Checks that may be skipped without leaving the change undecided."""
    effects: dict[str, PolicyEffect] = {}
    """Effect by rule id; ``ruff/*`` stands for all rules of a check, the longest match wins."""
    overrides: tuple[Override, ...] = ()
    """Other effects for some paths; the last that fits wins."""
    suppressed: Suppressed = Suppressed()
    """What a suppression that hides a new problem is worth."""
    allow: tuple[str, ...] = ()
    """Patterns of paths that a change may touch. Empty: all."""
    forbid: tuple[str, ...] = ()
    """Patterns of paths that a change must not touch."""
    src: tuple[str, ...] = ()
    """Roots of the product's modules. Empty: ``src`` where it exists, else the repository's root."""
    data: tuple[str, ...] = ()
    """Patterns of data files that count as product. Files inside product packages always do."""
    carry: tuple[str, ...] = DEFAULT_CARRY
    """Ignored, generated files of the checkout that the code needs; what the manifest names as the version's file comes along too."""
    python: str = ""
    """The project's interpreter, relative to the checkout or absolute."""
    mypy_targets: tuple[str, ...] = ()
    """What mypy checks. Empty: what its configuration names, else the product's packages."""
    sandbox: SandboxMode = "auto"
    """`require`: undecided without one. `auto`: used where it works, and said. `off`: never."""
    assurance: Literal["A0", "A1", "A2", "A3"] = "A2"
    """The least assurance of the tests that is accepted, where a sandbox works (see how-it-decides). Below A2 no anti-tests run."""
    environment: tuple[str, ...] = ()
    """Names of further environment variables that the checks may see."""
    tests: TestsPolicy = TestsPolicy()
    """How tests are found and run."""
    limits: Limits = Limits()
    """Upper bounds."""
    review: ReviewPolicy = ReviewPolicy()
    """AI review of accepted changes."""
    command: tuple[Command, ...] = ()
    """Further tools as checks."""
    fail_fast: bool = False
    """Stop at the first rejection."""


class PolicyValue(msgspec.Struct, frozen=True, kw_only=True):
    """One effective setting and where it came from."""

    key: str
    value: object
    origin: str
