"""What the tests come to when nobody in the sandbox holds their answers: under pytest, in a plain program, and beside their inputs.

Three questions about the same calls, each answered outside of the process that runs the patch's code: does it come to the value
that was cut out (blind); does it come to it also where nothing says that this is a test (plain); and does it agree with the
base's code on inputs beside those of the test (neighbours)?
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec

from pytest_agentgate.checks.tests.agreement import MADE, NO_VARIANTS, TIMED_OUT, Answers, assertion_of, is_told, often, strange
from pytest_agentgate.checks.tests.blind import Blinded, Expectation, blind
from pytest_agentgate.checks.tests.by_heart import by_heart, given
from pytest_agentgate.checks.tests.classify import Classifier, files_of
from pytest_agentgate.checks.tests.mirror import composite, mended_alone
from pytest_agentgate.checks.tests.noticing import changed_modules, expected_errors, function_of
from pytest_agentgate.checks.tests.plain import Space, space
from pytest_agentgate.checks.tests.records import Stream
from pytest_agentgate.checks.tests.session import PROBE, PROGRAM, Ask, Sessions
from pytest_agentgate.checks.tests.told import UNKNOWN, told
from pytest_agentgate.errors import ToolError
from pytest_agentgate.model.evidence import Twin

SECONDS = 8.0
"""The longest that a plain program may take; what it has told by then counts."""
LATE = 4
"""Where the base's code takes a quarter of that, the patch's code may take four times that."""
OWN_NAME = re.compile(r"\b(app\d*(\.py)?|work_\d+\w*)\b")
"""What the plain program, and what it calls, are called; as `agentgate_plain` and `plain` name them."""
SHOWN = 60
"""So many assertions are shown in the report."""


@dataclass
class Dark:
    """What came of it."""

    judged: int = 0
    """Assertions whose expected value was held back, and that came to it."""
    assertions: int = 0
    """Assertions of the tests that were looked at so."""
    differing: dict[str, str] = field(default_factory=dict)
    """Tests that pass in the sandbox and come to another value than expected, with what they came to."""
    opaque: dict[str, str] = field(default_factory=dict)
    """Tests that come to an object of a type of its own, where they came to a plain value on the base."""
    only_under_test: dict[str, str] = field(default_factory=dict)
    """Tests that come to another value in a plain program, with that value."""
    only_here: dict[str, str] = field(default_factory=dict)
    """Tests whose answers agree with the base's for their own inputs alone, with an example."""
    only_these: dict[str, str] = field(default_factory=dict)
    """Tests that fail on the base and come to another value on the patch's code, for their own inputs alone, with an example."""
    only_known: dict[str, str] = field(default_factory=dict)
    """Tests of new code that come to one and the same for everything beside their own inputs, with an example."""
    twins: tuple[Twin, ...] = ()
    """The first assertions, for the report."""
    plain: int = 0
    """Tests that were played as a plain program."""


class Oracle:
    """The blinded form of some tests, and what it is asked."""

    def __init__(self, sessions: Sessions, side: str, ids: Sequence[str], generator: random.Random) -> None:
        self.sessions, self.side, self.ids, self.generator = sessions, side, ids, generator
        self.token = generator.randbytes(6).hex()
        self.teller = f"t{self.token}"
        self.files: dict[str, Blinded] = {}
        self.found = Dark()
        self.expectations: dict[str, tuple[str, Expectation]] = {}
        """By token: the test, without its parameters, and what it expects."""
        self.came: dict[str, str] = {}
        self.took = 0.0
        """Seconds of the last plain program."""
        self.played: dict[str, tuple[str, str]] = {}
        for number, (path, data) in enumerate(sessions.context.trees.read_many(side, files_of(ids)).items()):
            wanted = {function_of(i).partition("::")[2] for i in ids if i.partition("::")[0] == path}
            blinded = blind(data, wanted, f"{self.token}-{number}-", self.teller)
            self.found.assertions += blinded.assertions
            if blinded.text:
                self.files[path] = blinded
                self.expectations |= {t: (f"{path}::{e.function}", e) for t, e in blinded.expectations.items()}
        self.alone = {t: (n, e) for t, (n, e) in self.expectations.items() if not e.is_pair}
        """Those whose expected value is held back; of a pair both sides are computed there, and only compared out here."""

    def ask(self, role: str) -> None:
        """Run the blinded tests under pytest, and compare what they come to out here; lazily with the base."""
        if not self.expectations:
            return
        values = self._values(role)
        opened = [t for t, (_, e) in self.expectations.items() if not _settled(values.get(t, []), e)]
        silent = {t for t in opened if self.expectations[t][1].is_pair and (t not in values or UNKNOWN in values[t])}
        opened = [t for t in opened if t not in silent]
        before = self._values("base") if opened else {}
        self.came = {t: repr(v[0])[:80] for t, v in values.items() if t in self.alone}
        reached, wrong = ({assertion_of(t) for t in group} for group in (self.came, [t for t in opened if t in values]))
        self.found.judged += len(reached - wrong)
        for token in opened:
            node_id, expected = self.expectations[token]
            if _settled(before.get(token, []), expected):
                came = values.get(token) or ["nothing"]
                if any(v is UNKNOWN for v in came):
                    self.found.opaque[node_id] = "an object of its own type"
                else:
                    self.found.differing[node_id] = _words(came, expected)

    def _values(self, role: str) -> dict[str, list[object]]:
        asked: list[str] = []
        for node_id in self.ids:
            path, function = node_id.partition("::")[0], function_of(node_id)
            if path in self.files:
                renamed = function.partition("::")[2] in self.files[path].renamed
                asked.append(function if renamed else node_id)
        overlay = {p: b.text.encode("utf-8", "surrogateescape") for p, b in self.files.items()}
        ask = Ask(role, files_of(asked), frozenset(asked), overlay=overlay, teller=self.teller)
        run = self.sessions.run(ask, "values that the tests come to")
        return {t: [told(v) for v in values] for t, values in run.told.items() if t in self.expectations}

    def play(self, role: str, ids: Sequence[str], *, base: str | None, mended: bool = False, unknown: Collection[str] = ()) -> None:
        """Make the calls of these tests in a plain program, and beside their inputs; the base says what is no news.

        `mended`: some of them are the patch's own, and fail on the base, which is asked beside their inputs too. `unknown`: those
        that do not pass on the base.
        """
        spaces = self._spaces({function_of(i) for i in ids})
        if not spaces:
            return
        program = self._program(spaces)
        head = self._told(role, program)
        before = self._told(base or "base", program) if base or mended else {}
        if TIMED_OUT in head and before and TIMED_OUT not in before and self.took > SECONDS / LATE:
            head = self._told(role, program, times=LATE)  # the base's code was nearly as long: to be stopped means nothing yet
        made = set(head.get(MADE, ()))
        self.found.plain = len({(s.texts[-1][0], p.key) for s in spaces for p in s.plays if s.texts[-1][0] in made})
        self._judge_plain(head, before if base else {}, base=base)
        other = {t: n for t, (n, _) in self.alone.items() if head.get(f"{t}~0") != before.get(f"{t}~0", head.get(f"{t}~0"))}
        if other:  # to see which inputs are no edge case takes another look at the files
            self.found.only_these |= mended_alone(head, before, other, self._composite())
        functions = {function_of(i) for i in unknown}
        if new := {t: n for t, (n, _) in self.alone.items() if n in functions and not is_told(before, t)}:
            self.found.only_known |= by_heart(head, new, self._composite(), given(spaces, self.teller))
        for token in self.alone:
            if f"{token}~0" in head:
                keys = [k for k in before if k.partition("~")[0] == token and not k.endswith(NO_VARIANTS)]
                agreeing = sum(head.get(k) == before[k] for k in keys)
                self.played[token] = repr(told(head[f"{token}~0"][0]))[:80], f"{agreeing} of {len(keys)}" if keys else ""
        if base:
            suspects = strange(head, before, self.alone, expected_errors(self.sessions.context))
            again = self._told(base, program) if suspects else {}
            for token, words in suspects.items():
                if all(
                    again.get(k) == v for k, v in before.items() if k.partition("~")[0] == token and not k.endswith(NO_VARIANTS[1:])
                ):
                    self.found.only_here.setdefault(self.alone[token][0], words)

    def _composite(self) -> set[str]:
        """Tests whose inputs are no edge case."""
        names = {n.partition("::")[2] for n, _ in self.alone.values()}
        return {f"{path}::{n}" for path, b in self.files.items() for n in composite(b.text, names, self.teller)}

    def twins(self) -> tuple[Twin, ...]:
        """The first assertions with what they came to, once everything was asked."""
        return tuple(
            Twin(node_id=node_id, expected=repr(e.value)[:80], came=self.came[t], plain=plain, beside=beside)
            for t, (node_id, e) in self.alone.items()
            if t in self.came
            for plain, beside in [self.played.get(t, ("", ""))]
        )[:SHOWN]

    def _judge_plain(self, head: Answers, before: Answers, *, base: str | None) -> None:
        """The tests passed under pytest. One that comes to another plain value without it, and not for want of its environment."""
        strange: dict[str, str] = {}
        doubtful: set[str] = set()
        for token, (node_id, expected) in self.alone.items():
            came, was = ([told(v) for v in answers.get(f"{token}~0", [])] for answers in (head, before))
            if any(v is UNKNOWN for v in came) or _settled(came, expected) or not (base or expected.is_exact):
                continue
            if any(isinstance(v, str) and OWN_NAME.search(v) for v in came):
                continue  # what is told about the caller: here that is the plain program
            known = _settled(was, expected)
            if came or (known and TIMED_OUT not in before):  # the base makes its calls beside the inputs in that time too
                strange.setdefault(node_id, repr(came[0])[:200] if came else "no answer")
                if base and not known:
                    doubtful.add(node_id)
        for token, (node_id, expected) in self.alone.items():
            worn, once = ([told(v) for v in head.get(f"{token}~{n}", [])] for n in "r0")  # the same call, many times in one process
            in_time = often(before, token) >= often(head, token) and f"{token}~r" not in before
            if (
                worn
                and in_time
                and _settled(once, expected)
                and not any(v is UNKNOWN for v in worn)
                and not _settled(worn, expected)
            ):
                strange.setdefault(node_id, f"{repr(worn[0])[:160]} after many calls")
        if doubtful:
            ids = [i for i in self.ids if function_of(i) in doubtful]
            passed = {function_of(i) for i, r in Classifier(self.sessions).on_base(ids).items() if r.outcome == "passed"}
            # the base passes it under pytest only, too: it needs something that a plain program does not have
            strange = {n: words for n, words in strange.items() if n not in doubtful & passed}
        self.found.only_under_test |= strange

    def _spaces(self, wanted: Collection[str]) -> list[Space]:
        trees = self.sessions.context.trees
        present = trees.entries(self.side)
        found = []
        for path, blinded in self.files.items():
            names = sorted({n.partition("::")[2] for n, _ in self.alone.values() if n in wanted and n.partition("::")[0] == path})
            parts = path.split("/")[:-1]
            places = ["/".join([*parts[:n], "conftest.py"]) for n in range(len(parts) + 1)]
            above = trees.read_many(self.side, [p for p in places if p in present])
            texts = {p: above[p].decode("utf-8", "surrogateescape") for p in places if p in above}
            made = space(path, blinded.text, names, texts, self.teller, self.generator)
            if made:
                found.append(made)
        return found

    def _program(self, spaces: Sequence[Space]) -> bytes:
        """The program's text: the probe's definitions, what a plain program does with them, and the request."""
        with open(PROBE, encoding="utf-8") as file:
            definitions = file.read().partition('if __name__ == "__main__":')[0]
        with open(PROGRAM, encoding="utf-8") as file:
            action = file.read()
        paths = sorted({os.path.dirname(p) for p in self.files})
        first = changed_modules(self.sessions.context, self.sessions.roots)
        request = {"roots": self.sessions.roots, "paths": paths, "first": first, "teller": self.teller, "spaces": spaces}
        text = msgspec.json.encode(request).decode()
        # What is read from standard input has the working folder, the judged tree, first on its path: nothing is imported from there.
        start = "import sys\nsys.path[:] = [p for p in sys.path if p]\nsys.dont_write_bytecode = True\n"
        return f"{start}{definitions}\n{action}\n__doc__ = None\nperform(json.loads({text!r}), sys.modules['__main__'], int(sys.argv[1]))\n".encode(
            "utf-8", "surrogatepass"
        )

    def _told(self, role: str, program: bytes, times: int = 1) -> Answers:
        """Run the program in a tree; what it could tell in so many times SECONDS. One that cannot run tells nothing: no answer."""
        stream, moment, clock = Stream(), time.time(), time.monotonic()
        try:
            with self.sessions.context.trees.place(role) as tree:
                done = tree.run(
                    [self.sessions.context.interpreter.executable, "-s", "-", "{records}"],
                    stdin=program,
                    records=stream.feed,
                    env={k: v for k, v in self.sessions.environment().items() if k != "PYTHONDONTWRITEBYTECODE"},
                    timeout=min(SECONDS * times, self.sessions.context.policy.limits.timeout),
                )
        except ToolError:
            return {}
        self.took = time.monotonic() - clock
        self.sessions.note("the same calls in a plain program", role, moment, clock)
        found: Answers = {TIMED_OUT: []} if done.timed_out else {}
        for record in stream.records:
            if record.k == "told":
                found.setdefault(record.id, []).append(record.text)
        return found


def _words(came: Sequence[object], expected: Expectation) -> str:
    """What a test came to where it should not have."""
    bad = next((v for v in came if not expected.holds(v)), came[0])
    return f"{bad[0]!r:.90} where it asks for {bad[1]!r:.90}" if expected.is_pair and isinstance(bad, tuple) else repr(bad)[:200]


def _settled(values: Sequence[object], expected: Expectation) -> bool:
    """Whether a blinded assertion was reached, and came to what is expected each time."""
    return bool(values) and all(v is not UNKNOWN and expected.holds(v) for v in values)
