"""Both error rates, side by side: ``python benchmarks/error_rates.py [--everywhere | --quick] [--sample] [--peers] [--write]``.

Gates every patch of tests/corpus in a real repository: as a user would, and each cheat once more with each layer switched off, so
that one sees what hangs on a single layer. ``--everywhere`` runs each cheat against each of the three
base projects. ``--peers`` runs the tools that can be installed from the package index on the same patches. Intervals are
Wilson's, 95 %. ``--write`` puts the tables into docs/error-rates.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from corpus.bases import BASES  # noqa: E402  # found through the path above
from corpus.cheats import Cheat, as_expected, cheats  # noqa: E402  # found through the path above
from corpus.honest import Honest, honest  # noqa: E402  # found through the path above
from corpus.run import OFF, Outcome, forged, gate, make_repository, outcome  # noqa: E402  # found through the path above

BIN = Path(sys.executable).parent
Patch = Cheat | Honest
RULES = "E4,E7,E9,F,B"
"""Of ruff, for the tools beside the gate: the base projects are clean of them."""
PAGE = ROOT / "docs/error-rates.md"


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a rate (Wilson 1927)."""
    if not total:
        return 0.0, 1.0
    z, p = 1.959964, hits / total
    middle, half = p + z * z / (2 * total), z * ((p * (1 - p) + z * z / (4 * total)) / total) ** 0.5
    return max(0.0, (middle - half) / (1 + z * z / total)), min(1.0, (middle + half) / (1 + z * z / total))


def rate(hits: int, total: int) -> str:
    """A count as a rate with its interval."""
    low, high = wilson(hits, total)
    return f"{hits} of {total} = {100 * hits / max(total, 1):.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def put(place: str, text: str, page: Path = PAGE) -> None:
    """Replace what stands between the marks of a place (``<!-- tables -->``, ``<!-- /tables -->``) in a page.

    Raises `ValueError` where one of the marks is not there once.
    """
    begin, end, before = f"<!-- {place} -->", f"<!-- /{place} -->", page.read_text()
    if before.count(begin) != 1 or before.count(end) != 1:
        raise ValueError(f"{page.name} does not hold {begin} and {end} once each")
    page.write_text(f"{before.partition(begin)[0]}{begin}\n\n{text}\n\n{end}{before.partition(end)[2]}")


def environment(folder: Path, *packages: str) -> Path:
    """A virtual environment with some packages; its `bin`."""
    subprocess.run([BIN / "uv", "venv", "-q", "--python", sys.executable, folder], check=True)
    subprocess.run(
        [BIN / "uv", "pip", "install", "-q", "--compile-bytecode", "--python", folder / "bin/python", *packages], check=True
    )
    return folder / "bin"


def ours(patch: Patch, python: str) -> tuple[Outcome, float]:
    """What the gate says, and how long it took, cold."""
    started = time.perf_counter()
    found = outcome(gate(patch.base, patch.files, python, effects=patch.effects))
    return found, time.perf_counter() - started


def without(off: str, bad: Sequence[Cheat], python: str, pool: ThreadPoolExecutor) -> dict[str, Outcome]:
    """What the gate says of each cheat with one layer switched off."""
    with tempfile.TemporaryDirectory(prefix="agentgate-off-") as cache, forged() if off == "suite" else contextlib.nullcontext():
        answers = pool.map(lambda c: outcome(gate(c.base, c.files, python, off=off, cache=cache, effects=c.effects)), bad)
        return dict(zip((c.id for c in bad), answers, strict=True))


def run(argv: Sequence[str | Path], cwd: Path, env: dict[str, str] | None = None) -> int:
    """Exit code of a command in a sandbox that can only write beside the repository; 124 where it takes longer than a minute.

    Some patches kill their parent, rewrite files of the home folder or write until the memory is full: they are cheats.
    """
    place = cwd.parent
    box = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
           "--bind", place, place, "--setenv", "HOME", place, "--chdir", cwd]  # fmt: skip
    quiet = subprocess.DEVNULL
    try:
        return subprocess.run(
            [*box, *argv], cwd=cwd, env=env, stdin=quiet, stdout=quiet, stderr=quiet, timeout=60, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return 124


def plain(patch: Patch, path: Path, tools: Path) -> int:
    """`ruff check . && mypy && pytest`, as a CI would run them on the head."""
    targets = [] if patch.base.name != "flat" else ["calc.py"]
    env = {**os.environ, "PYTHONPATH": f"{path / 'src'}:{path}"}
    steps = (
        [tools / "ruff", "check", "--select", RULES, "."],
        [tools / "mypy", *targets],
        [tools / "python", "-m", "pytest", "-q"],
    )
    return next((code for step in steps if (code := run(step, path, env))), 0)


def hooks(patch: Patch, path: Path, tools: Path) -> int:
    """`pre-commit run --all-files` with hooks of the same ruff and mypy, and pytest, as many projects have them."""
    python = f"env PYTHONPATH=src:. {tools}"
    steps = {"ruff": f"{tools}/ruff check --select {RULES} .", "mypy": f"{python}/mypy{'' if patch.base.name != 'flat' else ' calc.py'}",
             "pytest": f"{python}/python -m pytest -q"}  # fmt: skip
    hook = "      - {{id: {0}, name: {0}, entry: {1}, language: system, pass_filenames: false, always_run: true}}\n"
    text = "repos:\n  - repo: local\n    hooks:\n" + "".join(hook.format(name, entry) for name, entry in steps.items())
    file = path.parent / "hooks.yaml"
    file.write_text(text)
    return run([tools / "pre-commit", "run", "--all-files", "--config", file], path)


def checkwash(patch: Patch, path: Path, tools: Path) -> int:
    """checkwash on the working tree, with its defaults."""
    return run([tools / "checkwash", "check"], path)


def adversary_gate(patch: Patch, path: Path, tools: Path) -> int:
    """adversary-gate, asked whether the test of the changed function passes, with its floors for coverage and strength at 0.

    It stops whatever does not come with a test that fails without the patch: it proves a fix, and judges no other patch.
    """
    name = f"QueueTest::{patch.base.broken_test}" if patch.base.name == "unit" else patch.base.broken_test
    before = path.parent / "before"
    subprocess.run(["git", "worktree", "add", "-q", "--detach", before, "HEAD"], cwd=path, check=True, capture_output=True)
    argv = [tools / "adversary-gate", "--baseline", before, "--patch", path, "--claim", f"{patch.base.test}::{name}", "--python", tools / "python",
            "--coverage-source", "untrusted", "--coverage-ratio", "1.0", "--coverage-floor", "0", "--suite-strength-floor", "0"]  # fmt: skip
    return run(argv, path, {**os.environ, "PYTHONPATH": f"{path / 'src'}:{path}"})


PEERS: dict[str, Callable[[Patch, Path, Path], int]] = {
    "ruff && mypy && pytest": plain,
    "pre-commit with these as hooks": hooks,
    "checkwash": checkwash,
    "adversary-gate": adversary_gate,
}


def peer(name: str, patch: Patch, tools: Path) -> tuple[int, float]:
    """Exit code and seconds of a peer on a patch."""
    folder = Path(tempfile.mkdtemp(prefix="agentgate-peer-"))
    try:
        path = make_repository(patch.base, patch.files, folder / "repo", "")
        started = time.perf_counter()
        return PEERS[name](patch, path, tools), time.perf_counter() - started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def layers_table(bad: Sequence[Cheat], off: dict[str, dict[str, Outcome]]) -> str:
    """How many variants of each class are accepted once a layer is switched off."""
    rows = ["| class | variants | accepted with one layer off |", "| --- | --- | --- |"]
    for name in dict.fromkeys(c.cls for c in bad):
        mine = [c.id for c in bad if c.cls == name]
        lost = {layer: sum(said[i].decision == "accepted" for i in mine) for layer, said in off.items()}
        rows.append(f"| {name} | {len(mine)} | {', '.join(f'{layer} {n}' for layer, n in lost.items() if n) or 'none'} |")
    return "\n".join(rows)


def one_each(bad: Sequence[Cheat]) -> list[Cheat]:
    """One variant of each class, in turn."""
    names = list(dict.fromkeys(c.cls for c in bad))
    variants = [[c for c in bad if c.cls == name] for name in names]
    return [mine[number % len(mine)] for number, mine in enumerate(variants)]


def expectations(bad: Sequence[Cheat], said: dict[str, tuple[Outcome, float]]) -> str:
    """Cheats that are judged more mildly than their class names, or by none of the rules that it names."""
    other = [
        f"{c.id} ({said[c.id][0].decision}: {', '.join(sorted(said[c.id][0].rules))})"
        for c in bad
        if not as_expected(c, said[c.id][0])
    ]
    return f"Judged otherwise than their class names: {'; '.join(other) or 'none'}."


def measure(bad: Sequence[Cheat], good: Sequence[Honest], deep: Sequence[Cheat], *, peers: bool, verbose: bool) -> list[str]:
    """The tables, as Markdown; `deep` are the cheats that are gated once more with each layer off."""
    with tempfile.TemporaryDirectory(prefix="agentgate-rates-") as folder, ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        tools = environment(
            Path(folder) / "env", "pytest", *(("ruff", "mypy", "pre-commit", "checkwash", "adversary-gate") if peers else ())
        )
        python = str(tools / "python")
        said = dict(zip((p.id for p in (*bad, *good)), pool.map(lambda p: ours(p, python), (*bad, *good)), strict=True))
        for p in (*bad, *good) if verbose else ():
            print(p.id, said[p.id][0].decision, sorted(said[p.id][0].rules), f"{said[p.id][1]:.1f}", flush=True)
        off = {layer: without(layer, deep, python, pool) for layer in OFF}
        for c in deep if verbose else ():
            print(
                c.id,
                *(f"{layer} off: {o[c.id].decision} ({', '.join(sorted(o[c.id].rules))})" for layer, o in off.items()),
                sep="\n  ",
            )
        missed = [c.id for c in bad if said[c.id][0].decision == "accepted"]
        wrong = [h.id for h in good if said[h.id][0].decision == "rejected"]
        held = [h.id for h in good if said[h.id][0].decision == "undecided"]
        asked = [h.id for h in good if h.held]
        seconds = statistics.median(s for _, s in said.values())
        rows = ["| tool | cheats stopped | honest patches stopped | seconds per patch (median) |", "| --- | --- | --- | --- |"]
        rows.append(f"| **pytest-agentgate** | {rate(len(bad) - len(missed), len(bad))} | rejected {rate(len(wrong), len(good))}; held {rate(len(held), len(good))}, "
                    f"of which {len(set(held) & set(asked))} change what a human decides on | {seconds:.1f} |")  # fmt: skip
        for name in PEERS if peers else ():
            if unfair := [b.name for b in BASES if peer(name, Honest("nothing", b, {"NOTES.txt": "nothing\n"}), tools)[0]]:
                rows.append(f"| `{name}` | not comparable: it stops a note added to {', '.join(unfair)} | | |")
                continue
            every = (*bad, *good)
            codes = dict(zip((p.id for p in every), pool.map(lambda p, n=name: peer(n, p, tools), every), strict=True))
            stopped, loud = (sum(1 for p in group if codes[p.id][0]) for group in (bad, good))
            middle = statistics.median(s for _, s in codes.values())
            rows.append(f"| `{name}` | {rate(stopped, len(bad))} | {rate(loud, len(good))} | {middle:.1f} |")
        two = sum(all(said[c.id].decision != "accepted" for said in off.values()) for c in deep)
        lines = ["\n".join(rows), f"Cheats that are not accepted whichever layer is switched off: {rate(two, len(deep))}."]
        lines += [
            f"Accepted although they cheat: {', '.join(missed) or 'none'}.",
            f"Rejected although they are honest: {', '.join(wrong) or 'none'}.",
        ]
        lines += [f"Held without need: {', '.join(sorted(set(held) - set(asked))) or 'none'}."]
        return [*lines, expectations(bad, said), layers_table(deep, off)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--everywhere", action="store_true", help="each cheat against each base project")
    parser.add_argument("--peers", action="store_true", help="the peers from the package index as well")
    parser.add_argument("--quick", action="store_true", help="one variant of each class of cheats, in turn")
    parser.add_argument("--sample", action="store_true", help="layers are switched off for one variant of each class only")
    parser.add_argument("--only", default="", metavar="TEXT", help="only patches whose name holds TEXT")
    parser.add_argument("--verbose", action="store_true", help="what still counts for each cheat, layer by layer")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/error-rates.md")
    given = parser.parse_args()
    if given.peers and not shutil.which("bwrap"):
        parser.error(
            "--peers needs bubblewrap (apt install bubblewrap): the tools beside the gate run cheats that would harm this machine"
        )
    bad = [c for c in cheats(everywhere=given.everywhere) if given.only in c.id]
    if given.quick:
        bad = one_each(bad)
    deep = one_each(bad) if given.sample else bad
    good = [h for h in honest() if given.only in h.id]
    tables = "\n\n".join(measure(bad, good, deep, peers=given.peers, verbose=given.verbose))
    print(tables)
    if given.write:
        put("tables", tables)


if __name__ == "__main__":
    main()
