"""Ratios, measured side by side in one run: ``python benchmarks/compare.py [NAME ...] [--pairs N] [--write]``.

A and B run in turn (A B A B …) and the median of the ratios A/B is quoted, of wall time and of CPU time (user + system of the
process and all its descendants: this script adopts those that the sandbox leaves behind, so that `wait4` counts them). Each comparison has an A/A control: the same command against itself; where its median
ratio is outside 0.95 to 1.05 the machine was too noisy and the comparison is void. ``--write`` puts the table into
docs/performance.md. The projects are downloaded from the package index.
"""

from __future__ import annotations

import argparse
import ast
import ctypes
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests/real"))

from projects import Project, build, git  # noqa: E402  # found through the path above

from pytest_agentgate.checks.integrity.check import hits  # noqa: E402  # after the path above
from pytest_agentgate.checks.integrity.view import Source, View, view_of  # noqa: E402  # after the path above

BIN = Path(sys.executable).parent
PROJECTS = {
    "click": Project("click", "8.3.2", "8.3.3", ("pytest<9",), product="src/click/utils.py"),
    "attrs": Project("attrs", "25.3.0", "25.4.0", ("hypothesis", "cloudpickle", "pympler"), "src/attr/filters.py"),
    "packaging": Project("packaging", "26.1", "26.2", ("pretend", "hypothesis", "tomli-w", "pytest<9.1"), "src/packaging/tags.py"),
}


@dataclass(frozen=True)
class Cost:
    """Seconds of one run."""

    wall: float
    cpu: float


Run = Callable[[], Cost]


def command(
    argv: Sequence[str | Path], cwd: Path, *, before: Callable[[], None] | None = None, ends: tuple[int, ...] = (0,)
) -> Run:
    """A run of a command with all its descendants; `before` is not counted. An exit code not in `ends` voids everything."""

    def run() -> Cost:
        if before is not None:
            before()
        started = time.perf_counter()
        process = subprocess.Popen([str(a) for a in argv], cwd=cwd, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
        if process.returncode not in ends:
            raise SystemExit(f"{argv} ended with {process.returncode}: this measures nothing")
        return Cost(wall, cpu + orphans())

    return run


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends first (prctl PR_SET_CHILD_SUBREAPER; Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def orphans() -> float:
    """CPU seconds of the descendants that outlived their parents: bubblewrap does not wait for its namespace's init."""
    seconds = 0.0
    while True:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return seconds
        seconds += usage.ru_utime + usage.ru_stime


def total(*runs: Run) -> Run:
    """Several runs as one."""

    def run() -> Cost:
        costs = [r() for r in runs]
        return Cost(sum(c.wall for c in costs), sum(c.cpu for c in costs))

    return run


def slower(*runs: Run) -> Run:
    """The slowest of several runs."""

    def run() -> Cost:
        return max((r() for r in runs), key=lambda c: c.wall)

    return run


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    name: str
    target: str
    wall: float
    cpu: float
    control: float
    detail: str

    def row(self) -> str:
        """The line as Markdown."""
        void = "" if 0.95 <= self.control <= 1.05 else " (void: noisy)"
        return f"| {self.name} | {self.target} | {self.wall:.2f} | {self.cpu:.2f} | {self.control:.2f}{void} | {self.detail} |"


def compare(name: str, target: str, a: Run, b: Run, pairs: int) -> Result:
    """Median ratios A/B over pairs, with the control B/B."""
    a(), b()
    couples = [(a(), b()) for _ in range(pairs)]
    controls = [(b(), b()) for _ in range(pairs)]
    middle = statistics.median
    detail = f"A {middle(x.wall for x, _ in couples):.3f} s wall, {middle(x.cpu for x, _ in couples):.3f} s CPU; "
    detail += f"B {middle(y.wall for _, y in couples):.3f} s, {middle(y.cpu for _, y in couples):.3f} s"
    result = Result(name, target, middle(x.wall / y.wall for x, y in couples), middle(x.cpu / y.cpu for x, y in couples),
                    middle(x.wall / y.wall for x, y in controls), detail)  # fmt: skip
    print(result.row(), flush=True)
    return result


ASSURANCE = ["A1"]
"""What the gate's policy asks for; below A2 no anti-tests run, so that the gate does what the other side does."""


def prepared(name: str, folder: Path) -> tuple[Path, str]:
    """A project at its head, with one honest commit on top (a comment and a constant in one product file)."""
    path = folder / name
    python = build(PROJECTS[name], path)
    with open(path / "pyproject.toml", "a", encoding="utf-8") as stream:
        stream.write(f'\n[tool.agentgate]\nassurance = "{ASSURANCE[0]}"\n')
    git(path, "commit", "-qam", "a policy")
    product = path / PROJECTS[name].product
    product.write_text(product.read_text() + "\n\n_MEASURED = True\n")
    git(path, "commit", "-qam", "one commit")
    subprocess.run([python, "-m", "pytest", "-q"], cwd=path, capture_output=True, check=False)
    return path, python


def check(path: Path, python: str, cache: Path, *more: str) -> list[str]:
    return [str(BIN / "agentgate"), "check", "--repo", str(path), "--python", python, "--cache-dir", str(cache), "-qq", *more]


def cold_gate(folder: Path, pairs: int, names: Sequence[str] = tuple(PROJECTS)) -> list[Result]:
    """A whole gate with an empty cache against the slower of cold mypy and the whole suite; and CPU against the sum."""
    results = []
    for name in names:
        path, python = prepared(name, folder)
        cache, mypy_cache = folder / f"cache-{name}", folder / f"mypy-{name}"

        def forget(*folders: Path) -> Callable[[], None]:
            return lambda: [shutil.rmtree(f, ignore_errors=True) for f in folders] and None

        gate = command(check(path, python, cache, "--base", "HEAD~1", "--head", "HEAD"), path, before=forget(cache))
        roots = ["src" if (path / "src").exists() else name]
        mypy = command([python, "-m", "mypy", "--cache-dir", mypy_cache, *roots], path, before=forget(mypy_cache), ends=(0, 1))
        tests = command([python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], path, ends=(0, 1))
        ruff = command([BIN / "ruff", "check", "--no-cache", "."], path, ends=(0, 1))
        results.append(compare(f"cold gate of a one-commit patch of {name} / slower of cold mypy and pytest", "≤ 1.10 wall", gate,
                               slower(mypy, tests), pairs))  # fmt: skip
        results.append(
            compare(f"the same / ruff + mypy + pytest once each ({name})", "≤ 1.10 CPU", gate, total(ruff, mypy, tests), pairs)
        )
        known = command(check(path, python, cache, "--base", "HEAD~1", "--head", "HEAD"), path, before=forget_evidence(cache))
        results.append(
            compare(f"the same where the base was judged before ({name})", "≤ 1.10 CPU", known, total(ruff, mypy, tests), pairs)
        )
        results.append(regate(name, path, python, cache, mypy_cache, tests, pairs))
    return results


def forget_evidence(cache: Path) -> Callable[[], None]:
    """Forget what was found out about this change; keep what is known of the base, trees and mypy's cache."""

    def run() -> None:
        for value in (cache / "values").glob("*/*"):
            if b'"check":"' in value.read_bytes()[:200]:
                value.unlink()

    return run


def regate(name: str, path: Path, python: str, cache: Path, mypy_cache: Path, tests: Run, pairs: int) -> Result:
    """A gate after one more line was edited against the slower of warm mypy and the tests."""
    product = path / PROJECTS[name].product
    number = iter(range(1_000_000))

    def edit() -> None:
        product.write_text(product.read_text().rpartition("\n_MEASURED")[0] + f"\n_MEASURED = {next(number)}\n")

    gate = command(check(path, python, cache, "--base", "HEAD~1"), path, before=edit)
    warm = command(
        [python, "-m", "mypy", "--cache-dir", mypy_cache, "src" if (path / "src").exists() else name],
        path,
        before=edit,
        ends=(0, 1),
    )
    result = compare(
        f"re-gate after a one-line fix of {name} / slower of warm mypy and pytest", "≤ 1.20 wall", gate, slower(warm, tests), pairs
    )
    git(path, "checkout", "-q", ".")
    return result


def cache_hit(folder: Path, pairs: int) -> list[Result]:
    """A gate that knows the answer, against an interpreter that does nothing and against pre-commit doing nothing."""
    path = folder / "hit"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    (path / "a.py").write_text("x = 1\n")
    (path / "test_a.py").write_text("from a import x\n\n\ndef test_x():\n    assert x\n")
    hook = "repos:\n- repo: local\n  hooks:\n  - {id: none, name: none, entry: 'true', language: system, files: ^never$}\n"
    (path / ".pre-commit-config.yaml").write_text(hook)
    git(path, "add", "-A")
    git(path, "commit", "-qm", "one")
    git(path, "checkout", "-qb", "topic")
    (path / "a.py").write_text("x = 2\n")
    git(path, "commit", "-qam", "two")
    gate = command(check(path, sys.executable, folder / "cache-hit"), path, ends=(0, 1, 3))
    nothing = command([sys.executable, "-I", "-S", "-c", "pass"], path)
    precommit = command([BIN / "pre-commit", "run", "--all-files"], path)
    return [compare("cache hit on a clean tree / `python -I -S -c pass`", "≤ 2 CPU", gate, nothing, pairs * 3),
            compare("cache hit / pre-commit's no-op", "≤ 0.15 wall", gate, precommit, pairs)]  # fmt: skip


def unused_plugin(folder: Path, pairs: int) -> list[Result]:
    """One test with the plugin installed and unused against the same with the plugin blocked."""
    path = folder / "one"
    path.mkdir()
    (path / "test_one.py").write_text("def test_one():\n    pass\n")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return [compare("pytest of one test, plugin installed and unused / plugin blocked", "1", command(argv, path),
                    command([*argv, "-p", "no:agentgate"], path), max(pairs, 15))]  # fmt: skip


def isolation(folder: Path, pairs: int) -> list[Result]:
    """Laying out a judged tree of 2,000 files against `git worktree add` and `remove`."""
    path = folder / "many"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    for number in range(2000):
        file = path / f"p{number // 50}" / f"m{number}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"# {number}\n" + "x = 1\n" * 120)
    git(path, "add", "-A")
    git(path, "commit", "-qm", "many")
    slots = folder / "slots"
    script = (
        "import sys, random\nfrom pytest_agentgate.git import open_checkout\nfrom pytest_agentgate.process import Processes\n"
        "from pytest_agentgate.store import open_store\nfrom pytest_agentgate.slots import acquire\nimport tempfile, os, time\n"
        "checkout = open_checkout(Processes(), sys.argv[1])\nstore = open_store(checkout, tempfile.mkdtemp())\n"
        "entries = store.entries(store.tree_of(checkout.commit('HEAD')))\nfor n in range(int(sys.argv[3])):\n"
        "    slot = acquire(sys.argv[2])\n    slot.lay_out(entries, store.blobs)\n"
        "    open(os.path.join(slot.tree, 'p1', 'm50.py'), 'a').write('# touched')\n    slot.release()\n"
    )
    worktree = f"git worktree add -q --detach {folder}/wt HEAD && git worktree remove --force {folder}/wt"
    git_runs = command(["sh", "-c", "for i in 1 2 3 4 5; do " + worktree + "; done"], path)
    program = [sys.executable, "-c", script, path, slots]
    warm = command([*program, "5"], path)
    start = command([*program, "0"], path)
    warm()

    def net() -> Cost:
        one, none = warm(), start()
        return Cost(max(one.wall - none.wall, 1e-4), max(one.cpu - none.cpu, 1e-4))

    def net_cold() -> Cost:
        shutil.rmtree(slots, ignore_errors=True)
        one, none = command([*program, "1"], path)(), start()
        return Cost(max(one.wall - none.wall, 1e-4) * 5, max(one.cpu - none.cpu, 1e-4) * 5)

    return [compare("judged tree of 2,000 files, slot used before / worktree add + remove", "≤ 0.15 CPU", net, git_runs, pairs),
            compare("the same, first use of the slot", "", net_cold, git_runs, pairs)]  # fmt: skip


def module(number: int, functions: int) -> str:
    """A module of small functions, nine lines each."""
    body = 'def f{k}(xs: list[int], limit: int = {k}) -> int:\n    """Sum of what is below {k}."""\n    total = 0\n    for x in xs:\n        if x < limit and x != {k}:\n            total += x\n    return total\n\n\n'
    return "import os\nimport sys\n\n\n" + "".join(body.format(k=number * 100 + k) for k in range(functions))


def tests_of(number: int, functions: int) -> str:
    """Tests of such a module, six lines each."""
    body = "def test_f{k}():\n    assert f{k}([1, 2, 30], 5) == 3\n    with pytest.raises(TypeError):\n        f{k}(None)\n\n\n"
    return f"import pytest\n\nfrom app.m{number} import *\n\n\n" + "".join(
        body.format(k=number * 100 + k) for k in range(functions)
    )


def integrity(_: Path, pairs: int) -> list[Result]:
    """The rules of `integrity` for a patch of 500 lines in ten of 500 files, against parsing these files on both sides."""
    base = {f"src/app/m{n}.py": module(n, 11) for n in range(250)} | {f"tests/test_m{n}.py": tests_of(n, 16) for n in range(250)}
    head: dict[str, str | None] = {}
    for n in range(5):
        head[f"src/app/m{n}.py"] = base[f"src/app/m{n}.py"].replace("total += x", "total = total + x") + module(n + 300, 5)
        head[f"tests/test_m{n}.py"] = base[f"tests/test_m{n}.py"] + tests_of(n + 300, 6)
    view = view_of(base, head)
    lines = sum(h.new_lines for f in view.change.files for h in f.hunks)

    def timed(work: Callable[[], object]) -> Run:
        def run() -> Cost:
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            return Cost(time.perf_counter() - wall, time.process_time() - cpu)

        return run

    def judge() -> None:
        fresh = View(view.change, view.policy, view.entries, view.read, tuple(replace(p, old=p.old and Source(p.old.path, p.old.data),
                     new=p.new and Source(p.new.path, p.new.data)) for p in view.pairs))  # fmt: skip  # nothing of what it remembers
        hits(fresh)

    texts = [s.data for p in view.pairs for s in (p.old, p.new) if s]
    name = f"integrity of a patch of {lines} lines in ten of 500 files / parsing them (`ast.parse`)"
    return [compare(name, "≤ 0.050 s CPU", timed(judge), timed(lambda: [ast.parse(t) for t in texts]), max(pairs, 15))]


GROUPS: dict[str, Callable[[Path, int], list[Result]]] = {
    "gate": cold_gate, "hit": cache_hit, "plugin": unused_plugin, "isolation": isolation, "integrity": integrity,
}  # fmt: skip
HEAD = "| A / B | target | wall ratio | CPU ratio | control | medians |\n| --- | --- | --- | --- | --- | --- |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*GROUPS, []], help="groups to run (default: all)")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument(
        "--project", action="append", choices=list(PROJECTS), help="only this project in the group gate; repeatable"
    )
    parser.add_argument(
        "--assurance", choices=("A1", "A2", "A3"), default="A1", help="what the gate's policy asks for (default: A1)"
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    given = parser.parse_args()
    ASSURANCE[0] = given.assurance
    adopt_orphans()
    print(HEAD)
    results = []
    for name in given.names or GROUPS:
        with tempfile.TemporaryDirectory(prefix="agentgate-bench-") as folder:
            run = partial(cold_gate, names=given.project) if name == "gate" and given.project else GROUPS[name]
            results += run(Path(folder), given.pairs)
    if given.write:
        page = ROOT / "docs/performance.md"
        before, _, rest = page.read_text().partition("<!-- table -->")
        after = rest.partition("<!-- /table -->")[2]
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        page.write_text(
            f"{before}<!-- table -->\n\nMeasured on {machine}.\n\n{HEAD}\n"
            + "\n".join(r.row() for r in results)
            + f"\n\n<!-- /table -->{after}"
        )


if __name__ == "__main__":
    main()
