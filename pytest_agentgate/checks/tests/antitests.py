"""Anti-tests: runs that must fail, on the patch's code, under the same node ids, paths and command.

A test that passes and still passes with its assertion turned was not asked, or somebody answered for it. Only what fails when
turned on the *base* counts: a test that never noticed anything is not the patch's doing.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pytest_agentgate.checks.tests.classify import files_of
from pytest_agentgate.checks.tests.noticing import changed_names, function_of
from pytest_agentgate.checks.tests.oracle import Dark, Oracle
from pytest_agentgate.checks.tests.records import BrokenError, Result, Run
from pytest_agentgate.checks.tests.session import Ask, Sessions
from pytest_agentgate.checks.tests.turn import Mode, turn
from pytest_agentgate.protocols import Context

SHARE, LEAST = 0.25, 5.0
"""Anti-tests may take this share of the suite's own time, or so many seconds, whichever is more."""
START = 1.2
"""Seconds that one more session costs beside its tests, as a guess."""
FAILURE = 0.03
"""Seconds that a failing test costs beside its own time: pytest explains it."""
ALWAYS, DEAR = 4, 30.0
"""So many tests that name what the patch changed are asked in any case, if none takes so many seconds."""
MOST_FILES = 12
MOST_BREAKING = 3
"""So many tests of a session may break pytest itself by failing; they are left out."""


@dataclass
class AntiTests:
    """What came of them."""

    turned: int = 0
    """Tests that had an assertion to turn, over both runs."""
    failed: int = 0
    """Of these, the ones that failed as they should."""
    passed: dict[str, Mode] = field(default_factory=dict)
    """Tests that passed although their assertion was turned, and that fail so on the base."""
    vacuous: tuple[str, ...] = ()
    """Tests that pass when turned on the base as well: they notice nothing."""

    dark: Dark = field(default_factory=Dark)
    """What the oracle says of the same tests."""

    @property
    def agree(self) -> bool:
        """Whether there was something to turn, and nothing contradicts."""
        return self.failed > 0 and not self.passed and not self.dark.differing

    @property
    def blind_agrees(self) -> bool:
        """Whether the blind oracle had something to judge, and found nothing else than what is expected."""
        return self.agree and self.dark.judged > 0


def run_anti_tests(
    sessions: Sessions,
    role: str,
    passed: Mapping[str, Result],
    *,
    base: str | None,
    rounds: int = 2,
    failing: Collection[str] = (),
    mended: Collection[str] = (),
    unknown: Collection[str] = (),
) -> AntiTests:
    """Turn a sample of tests that `passed` in the tree `role`, each in another mode in each of the sessions.

    What passes although it was turned is run in the tree `base`: only what fails there is held against the patch; without a
    `base` (tests that are the patch's own) it is vacuous. `failing`: further ids; the oracle, which cannot run single rows of a
    test, leaves out those of which a row is among them. `mended`: tests of the patch's own that fail on the base;
    `unknown`: those that do not pass there, for whatever reason.
    """
    side = "head" if role == "head" else "base"
    generator = random.Random(secrets.randbits(64))  # noqa: S311  # seeded from the system: a patch cannot foresee it
    sample = choose(sessions.context, side, passed, generator)
    if not sample:
        return AntiTests()
    first: dict[str, Mode] = {i: generator.choice(("negated", "perturbed")) for i in _functions(sample)}
    second: dict[str, Mode] = {i: "perturbed" if m == "negated" else "negated" for i, m in first.items()}
    plans = (first, second)[:rounds]
    found = AntiTests()
    blindly = list(passed) if base and sessions.context.policy.assurance == "A3" else sample
    mixed = set(_functions(failing))
    whole = [i for i in blindly if function_of(i) not in mixed]
    with ThreadPoolExecutor(2) as pool:
        oracle = Oracle(sessions, side, whole, random.Random(generator.random()))  # noqa: S311  # seeded from the system's
        asked = pool.submit(oracle.ask, role) if base else None
        played = pool.submit(oracle.play, role, sample, base=base, mended=not {*mended}.isdisjoint(sample), unknown=unknown)
        place, either = (role, side, base), base is None
        results = list(pool.map(lambda modes: one_round(sessions, place, sample, modes, generator, either=either), plans))
        if asked is not None:
            asked.result()
        played.result()
        found.dark = oracle.found
        found.dark.twins = oracle.twins()
    for modes, (turned, run) in zip(plans, results, strict=True):
        _judge(found, sessions, place, modes, turned, run, generator)
    return found


def _judge(
    found: AntiTests,
    sessions: Sessions,
    place: tuple[str, str, str | None],
    modes: Mapping[str, Mode],
    turned: Sequence[str],
    run: Run | None,
    generator: random.Random,
) -> None:
    """Take in what came of one session of turned tests; what passed is asked of the base."""
    role, side, base = place
    found.turned += len(turned)
    still = [i for i in turned if run is not None and run.outcome(i) == "passed"]
    found.failed += sum(1 for i in turned if run is not None and run.outcome(i) in ("failed", "error", "missing"))
    guilty = _fail_when_turned(sessions, (base, side, None), still, modes, generator) if still and base else []
    lonely = _lonely(sessions, role, base, guilty if base else still)
    guilty, still = ([i for i in ids if i not in lonely] for ids in (guilty, still))
    found.passed |= {i: modes[function_of(i)] for i in guilty}
    found.vacuous += tuple(i for i in still if i not in guilty)


def _fail_when_turned(
    sessions: Sessions, place: tuple[str, str, None], ids: Sequence[str], modes: Mapping[str, Mode], generator: random.Random
) -> list[str]:
    """Of turned tests, those that fail in a tree; one that breaks pytest there fails as well, or it would not."""
    left, run = one_round(sessions, place, ids, modes, generator, either=False)  # as they were turned for the patch's code
    return [i for i in ids if i not in left or (run is not None and run.outcome(i) in ("failed", "error"))]


def _lonely(sessions: Sessions, role: str, base: str | None, ids: Sequence[str]) -> set[str]:
    """Of tests that pass although they were turned: those that do not pass as they are in the same selection, on the base either.

    Such a test needs others before it, so that its turned assertion meets what it was not written for.
    """
    if not ids:
        return set()
    runs = [sessions.run(Ask(r, files_of(ids), frozenset(ids)), "the same tests as they are") for r in (role, base) if r]
    return {i for i in ids if all(run.outcome(i) != "passed" for run in runs)}


def one_round(
    sessions: Sessions,
    place: tuple[str, str, str | None],
    ids: Sequence[str],
    modes: Mapping[str, Mode],
    generator: random.Random,
    *,
    either: bool,
) -> tuple[list[str], Run | None]:
    """One session of the turned tests in a tree; the turned ids, and what came of them. `either`: as `turn` takes it.

    `place` is the tree's role, whose tests they are, and the base that says whether it is a test's own doing that pytest breaks.
    """
    role, side, base = place
    overlay, turned = _turned_files(sessions.context, side, ids, modes, f"_{generator.randbytes(6).hex()}", either=either)
    if not turned:
        return [], None
    order = list(turned)
    generator.shuffle(order)
    for _ in range(MOST_BREAKING):
        try:
            return order, _ask(sessions, role, order, overlay)
        except BrokenError as error:
            culprit = error.during
            if culprit not in order or (base and not _breaks(sessions, base, culprit, overlay)):
                raise
            order.remove(culprit)
            if not order:
                return [], None
    return order, _ask(sessions, role, order, overlay)


def _ask(sessions: Sessions, role: str, ids: Sequence[str], overlay: Mapping[str, bytes]) -> Run:
    return sessions.run(Ask(role, files_of(ids), frozenset(ids), overlay=overlay), "tests that must fail now")


def _breaks(sessions: Sessions, base: str, node_id: str, overlay: Mapping[str, bytes]) -> bool:
    """Whether pytest breaks on the base's code as well when this test fails: it fails while it has taken something from pytest."""
    mine = {p: data for p, data in overlay.items() if p == node_id.partition("::")[0]}
    try:
        _ask(sessions, base, [node_id], mine)
    except BrokenError:
        return True
    return False


def _turned_files(
    context: Context, side: str, ids: Sequence[str], modes: Mapping[str, Mode], helper: str, *, either: bool
) -> tuple[dict[str, bytes], list[str]]:
    """Test files with their tests turned, and the ids that were."""
    overlay: dict[str, bytes] = {}
    turned: list[str] = []
    for path, data in context.trees.read_many(side, files_of(ids)).items():
        wanted = {f.partition("::")[2]: m for f, m in modes.items() if f.partition("::")[0] == path}
        result = turn(data, wanted, helper, either=either)
        if result.names:
            overlay[path] = result.text.encode("utf-8", "surrogateescape")
            turned += [i for i in ids if i.partition("::")[0] == path and function_of(i).partition("::")[2] in result.names]
    return overlay, turned


def _functions(ids: Collection[str]) -> list[str]:
    return sorted({function_of(i) for i in ids})


def choose(context: Context, side: str, passed: Mapping[str, Result], generator: random.Random) -> list[str]:
    """Tests to turn: those that name what the patch changed first, then some of every file, as long as the time allows."""
    files = files_of(passed)
    contents = context.trees.read_many(side, [f for f in files if f.endswith(".py")])
    words = changed_names(context)
    near = [f for f in contents if any(w.encode() in contents[f] for w in words)]
    others = [f for f in contents if f not in near]
    generator.shuffle(near)
    generator.shuffle(others)
    places = (near[: MOST_FILES * 3 // 4] + others)[:MOST_FILES]
    budget = max(SHARE * sum(r.duration for r in passed.values()), LEAST) / 2 - START
    dearest = budget / 4
    by_file = {f: [i for i in passed if i.partition("::")[0] == f] for f in places}
    for ids in by_file.values():
        generator.shuffle(ids)
    reaching = {i for f, ids in by_file.items() for i in ids if _mentions(contents[f], i, words)}
    ordered = sorted(
        (i for ids in by_file.values() for i in ids), key=lambda i: (i not in reaching, by_file[i.partition("::")[0]].index(i))
    )
    chosen: list[str] = []
    for node_id in ordered:
        cost = passed[node_id].duration + FAILURE
        forced = node_id in reaching and len(chosen) < ALWAYS and cost < DEAR
        if forced or cost <= min(budget, dearest):
            budget -= cost
            chosen.append(node_id)
    return chosen


def _mentions(source: bytes, node_id: str, words: Collection[str]) -> bool:
    """Whether the test's own text names something that the patch changed (cheap: from its `def` to the next one)."""
    start = source.find(f"def {function_of(node_id).rpartition('::')[2]}".encode())
    end = source.find(b"\ndef ", start + 1)
    part = source[start : end if end > 0 else len(source)]
    return any(w.encode() in part for w in words)
