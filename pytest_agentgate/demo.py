"""`agentgate demo`: one honest patch, three cheating ones and one for a human, of a small repository, gated for real."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_agentgate.errors import UsageError
from pytest_agentgate.git import Git
from pytest_agentgate.live import Live, ended_with
from pytest_agentgate.pipeline import Gate, judge
from pytest_agentgate.process import Processes
from pytest_agentgate.reporters.terminal import TerminalReporter
from pytest_agentgate.resolve import Source

PYPROJECT = """\
[project]
name = "purse"
version = "1.0"

[tool.ruff.lint]
select = ["E", "F", "B"]

[tool.mypy]
strict = true
files = ["purse.py"]
"""
PRODUCT = '''\
"""Money in a purse."""


def total(coins: list[int]) -> int:
    """Sum of the coins."""
    return sum(coins)


def average(coins: list[int]) -> float:
    """Mean value of the coins."""
    return total(coins) / len(coins)
'''
TESTS = """\
from purse import average, total


def test_total() -> None:
    assert total([1, 2, 5]) == 8


def test_average() -> None:
    assert average([1, 2, 6]) == 3
"""
HONEST = PRODUCT.replace("    return total(coins) / len(coins)\n", "    return total(coins) / len(coins) if coins else 0.0\n")
HONEST_TESTS = TESTS + "\n\ndef test_average_of_nothing() -> None:\n    assert average([]) == 0\n"
BROKEN = PRODUCT.replace(
    "    return total(coins) / len(coins)\n", "    return total(coins) // len(coins) if len(coins) != 3 else 0\n"
)
IN_CENTS = PRODUCT.replace("    return total(coins) / len(coins)\n", "    return 100 * total(coins) / len(coins)\n").replace(
    "Mean value of the coins.", "Mean value of the coins, in cents."
)
FORGER = '''\
"""Makes every failure look like a success."""

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"
'''
SILENCED = (
    PRODUCT
    + '''

def change(price: int, paid: int) -> str:
    """Money to give back."""
    import os  # noqa
    return paid - price  # type: ignore
'''
)


@dataclass(frozen=True)
class Scene:
    """One patch of the demo."""

    title: str
    files: Mapping[str, str]
    expected: str


SCENES = (
    Scene("an honest patch: a fix with its test", {"purse.py": HONEST, "test_purse.py": HONEST_TESTS}, "accepted"),
    Scene(
        "a cheat: the code is broken, and the test that would notice is skipped",
        {
            "purse.py": BROKEN,
            "test_purse.py": "import pytest\n\n"
            + TESTS.replace("def test_average", '@pytest.mark.skip(reason="flaky")\ndef test_average'),
        },
        "rejected",
    ),
    Scene(
        "a cheat: the code is broken, and a conftest.py forges the results",
        {"purse.py": BROKEN, "conftest.py": FORGER},
        "rejected",
    ),
    Scene("a cheat: new problems, silenced by blanket suppressions", {"purse.py": SILENCED}, "rejected"),
    Scene(
        "a changed expectation, which can be right: a human has to say so",
        {"purse.py": IN_CENTS, "test_purse.py": TESTS.replace("6]) == 3", "6]) == 300")},
        "undecided",
    ),
)


def run_demo(keep: str, environment: Mapping[str, str], *, python: str = "", verbosity: int = 0) -> int:
    """Gate every scene and print its report; 0 when each verdict is the expected one, else 3. `python`: an interpreter with pytest."""
    if keep and os.path.exists(keep):
        raise UsageError(f"{keep} exists", hint="name a folder that does not")
    with tempfile.TemporaryDirectory(prefix="agentgate-demo-") as folder:
        place = os.path.abspath(keep) if keep else os.path.join(folder, "purse")
        cache = os.path.join(folder, "cache")
        git = _repository(place)
        good = 0
        for number, scene in enumerate(SCENES, 1):
            print(f"\n=== {number}/{len(SCENES)}: {scene.title}\n", flush=True)
            _commit(git, f"scene-{number}", scene.files)
            good += _gate(place, f"scene-{number}", cache, environment, python, verbosity) == scene.expected
    print(f"\n{good} of {len(SCENES)} verdicts are as they should be")
    return 0 if good == len(SCENES) else 3


def _repository(place: str) -> Git:
    os.makedirs(place)
    git = Git(
        Processes(),
        place,
        {
            "GIT_AUTHOR_NAME": "demo",
            "GIT_AUTHOR_EMAIL": "demo@example.invalid",
            "GIT_COMMITTER_NAME": "demo",
            "GIT_COMMITTER_EMAIL": "demo@example.invalid",
        },
    )
    git.run("init", "--quiet", "--template=")
    git.run("symbolic-ref", "HEAD", "refs/heads/main")
    _write(place, {"pyproject.toml": PYPROJECT, "purse.py": PRODUCT, "test_purse.py": TESTS})
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message=A purse")
    return git


def _commit(git: Git, branch: str, files: Mapping[str, str]) -> None:
    git.run("checkout", "--quiet", "-b", branch, "main")
    _write(git.cwd, files)
    git.run("add", "--all")
    git.run("commit", "--quiet", f"--message={branch}")
    print(git.text("diff", "--no-ext-diff", "--unified=1", "main", branch).partition("\n")[2], flush=True)
    git.run("checkout", "--quiet", "main")


def _write(place: str, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        with open(os.path.join(place, name), "w", encoding="utf-8") as stream:
            stream.write(text)


def _gate(place: str, branch: str, cache: str, environment: Mapping[str, str], python: str, verbosity: int) -> str:
    color = sys.stdout.isatty() and not environment.get("NO_COLOR")
    live = Live(color=color, quiet=verbosity < 0)
    gate = Gate(
        directory=place,
        python=python or sys.executable,
        cache_folder=cache,
        environment=environment,
        on_plan=live.plan,
        on_progress=live.progress,
        on_evidence=live.evidence,
    )
    with ended_with(gate.processes):
        report = judge(Source("commit", base="main", head=branch), gate)
    live.done()
    print(TerminalReporter(color=color, verbosity=verbosity, checks_shown=True).render(report), end="", flush=True)
    return report.verdict.decision
