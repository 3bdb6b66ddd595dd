"""Runs tests again, each time with one decision of the code under test switched to a wrong one, and tells which notice.

Loaded by the probe from beside it; standard library and pytest >= 7 only; Python >= 3.9; never imported by the gate. The
request: ``{"name": of the switch, "wanted": [numbers] or null for all, "seconds": for all runs together, "seed": number}``.
Records: ``k="mutant"`` with `id` (a test, or empty), `line` (the mutant's number) and `outcome`: ``failed`` (that test notices
it), ``survived`` (every test that reaches it passes), ``unreached`` (no test does), ``spoiled`` (a test no longer passes without a mutant: nothing more is run).
"""

import builtins
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import random
import signal
import time

KIND = 1000000
"""Numbers of mutants are the place's, and this much more for each kind of value that only some comparisons can tell."""
LONGEST, MARGIN, TIMES = 3.0, 0.3, 10
"""Seconds of one run: so many at most, and no more than these beside so many times the test's own."""


LARGE, DEEPEST, HUGE = 1000, 20, 10**18
"""Texts and lists that are as long have no finer mutants."""


class Hung(BaseException):
    """One run took too long."""


class Switch:
    """What the switchable code calls: remembers where it was called, and changes one value."""

    def __init__(self):
        self.on, self.seen = None, set()

    def __call__(self, number, value, branch=0):
        new = number not in self.seen
        self.seen.add(number)
        if branch:
            return value if number != self.on else branch == 3 if branch > 1 else not value
        if self.on is None:
            if new:
                self.seen.update(number + KIND * kind for kind in finer(value))
            return value
        return changed(value, self.on // KIND) if number == self.on % KIND else value


def changed(value, kind):
    """Another value: near to the given one (0), or one that only a kind of comparison can tell from it."""
    return finer(value).get(kind, lambda: value)() if kind else other(value)


def finer(value):
    """What looser comparisons take for the same, by kind: the order, the case, white space, punctuation, an error's class, an item twice.

    Items are never compared: that is their own code, and here nothing may happen. White space means nothing in JSON, numbers and markup.
    """
    return {**orders(value), **deep(value), **firsts(value)}


def firsts(value):
    """The first entry or field instead of the last, where there are several."""
    if type(value) is dict and 1 < len(value) < LARGE:
        return {10: lambda: {**value, next(iter(value)): other(next(iter(value.values())), False)}}
    if type(value) in (list, tuple) and 1 < len(value) < LARGE:
        return {10: lambda: type(value)([other(value[0], False), *value[1:]])}
    return {}


def deep(value):
    """Numbers as text, and entries that are None left out, wherever they are in lists, tuples and dictionaries."""
    found, count = set(), 0

    def look(part, depth=0):
        nonlocal count
        count += 1
        if count > LARGE or depth > DEEPEST:
            raise OverflowError
        if type(part) in (int, float) and depth and abs(part) < HUGE:
            found.add(6)
        elif type(part) in (list, tuple, dict):
            if type(part) is dict and any(v is None for v in part.values()):
                found.add(7)
            for inner in part.values() if type(part) is dict else part:
                look(inner, depth + 1)

    def turned(part, kind):
        if type(part) in (list, tuple):
            return type(part)([turned(p, kind) for p in part])
        if type(part) is dict:
            return {k: turned(v, kind) for k, v in part.items() if kind == 6 or v is not None}
        return str(part) if kind == 6 and type(part) in (int, float) and abs(part) < HUGE else part

    try:
        look(value)
    except (OverflowError, RuntimeError):  # too large, or changed by another thread meanwhile
        return {}
    return {kind: lambda kind=kind: turned(value, kind) for kind in found}


def orders(value):
    """The kinds of one text, one list or one error."""
    if type(value) in (list, tuple) and 0 < len(value) < LARGE:
        turned = any(value[n] is not value[-1 - n] for n in range(len(value)))
        order = {1: lambda: type(value)(value[::-1])} if turned else {}
        return {**order, 5: lambda: type(value)([*value, value[-1]])}
    if type(value) is str and 0 < len(value) < LARGE:
        found = {2: value.swapcase} if value.swapcase() != value else {}
        if value.strip()[:1].isalpha():
            found[3] = lambda: f" {value} "
        mark = next((c for c in value if not c.isalnum() and not c.isspace()), "")
        if mark and value.strip(mark + " "):
            found[8] = lambda: value.replace(mark, "")
        return {**found, 9: lambda: value[:-1]} if value[-1] == "\n" else found
    if type(value) is bytes and value[-1:] == b"\n":
        return {9: lambda: value[:-1]}
    if isinstance(value, BaseException):
        return {4: lambda: LookupError("~") if isinstance(value, RuntimeError) else RuntimeError("~")}
    return {}


def other(value, again=True):
    """Another value, near to the given one."""
    if isinstance(value, (bool, int, float, complex, str, bytes)) and not isinstance(value, enum.Enum):
        return simple(value)
    if type(value) in (list, tuple) and value:
        return type(value)([*value[:-1], other(value[-1], False)]) if again else type(value)([*value, 0])
    if type(value) in (set, frozenset):
        return value | {"~"}
    if type(value) is dict and value and again:
        last = list(value)[-1]
        return {**value, last: other(value[last], False)}
    if value is None:
        return 0
    if type(value) in (list, tuple, dict):
        return {"~": 0} if type(value) is dict else type(value)([0])
    try:
        return special(value)
    except Exception:  # a class of the project may refuse whatever it likes
        return object()


def simple(value):
    """Another number or text."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, (float, complex)):
        return value + 0.01 * (abs(value) or 1.0)
    return value + "~" if isinstance(value, str) else value + b"~"


def special(value):
    """Another value of a type of the standard library, or an object with another last field."""
    kinds = {
        dt.datetime: lambda: value + dt.timedelta(microseconds=1),
        dt.date: lambda: value + dt.timedelta(days=-1 if value.day > 15 else 1),  # of the same month, too
        dt.timedelta: lambda: value + dt.timedelta(microseconds=1),
        dt.time: lambda: value.replace(microsecond=(value.microsecond + 1) % 1000000),
        decimal.Decimal: lambda: value + decimal.Decimal("0.01"),
    }
    if type(value) in kinds:
        return kinds[type(value)]()
    if isinstance(value, enum.Enum):
        return next(member for member in type(value) if member is not value)
    if isinstance(value, BaseException):
        made = copy.copy(value)  # the very same one may be raised again
        made.args = ("~", *value.args[1:])
        return made
    if hasattr(value, "_replace"):
        return value._replace(**{value._fields[-1]: other(value[-1], False)})
    last = [f.name for f in dataclasses.fields(value) if f.init][-1]
    return dataclasses.replace(value, **{last: other(getattr(value, last), False)})


class Mutants:
    """The plugin: notes where each test comes by, and runs the mutants behind the last test."""

    def __init__(self, channel, request):
        self.channel, self.request = channel, request
        self.switch = Switch()
        self.reached, self.bad, self.own = {}, set(), {}
        setattr(builtins, request["name"], self.switch)

    def pytest_runtest_protocol(self, item, nextitem):
        """Which places a test reaches, its fixtures included."""
        self.switch.seen = set()
        yield
        self.reached[item] = self.switch.seen

    def pytest_runtest_logreport(self, report):
        """A test that does not pass as it is cannot notice anything."""
        if report.outcome != "passed" or hasattr(report, "wasxfail"):
            self.bad.add(report.nodeid)

    def pytest_runtestloop(self, session):
        """After all tests."""
        yield
        self.replay([i for i in session.items if i in self.reached and i.nodeid not in self.bad])

    def replay(self, items):
        """Give every test its turn, with the places first that few tests reach."""
        end = time.monotonic() + self.request["seconds"]
        generator = random.Random(self.request["seed"])  # noqa: S311  # a sample
        wanted = self.request["wanted"]
        tests = {}
        for item in items:
            for number in self.reached[item] if wanted is None else self.reached[item] & set(wanted):
                tests.setdefault(number, []).append(item)
        queues = {item: [] for item in items}
        for number in sorted(tests, key=lambda n: (len(tests[n]), generator.random()), reverse=True):
            for item in tests[number]:
                queues[item].append(number)
        self.open = {n: len(t) for n, t in tests.items()}
        while queues and time.monotonic() < end:
            for item in list(queues):
                while queues[item] and queues[item][-1] not in self.open:
                    queues[item].pop()
                if not queues[item]:
                    del queues[item]
                elif time.monotonic() >= end or not self.one(item, queues[item].pop()):
                    return
        for number in [n for n in wanted or () if n not in tests or self.open.get(n) == 0]:
            self.channel.send(k="mutant", id="", line=number, outcome="survived" if number in tests else "unreached")

    def one(self, item, number):
        """Run a test with a mutant; false where nothing more can be believed."""
        if item not in self.own:  # alone it sets up all of its fixtures, shared ones too
            clock = time.monotonic()
            passed = self.run(item, None) == "passed"
            self.own[item] = time.monotonic() - clock if passed else None
        if self.own[item] is None:
            return True  # nobody knows what it would say
        outcome = self.run(item, number)
        if outcome == "passed":
            self.open[number] -= 1
            return True
        del self.open[number]
        if self.run(item, None) != "passed":
            self.channel.send(k="mutant", id=item.nodeid, line=number, outcome="spoiled")
            return False
        if outcome == "failed":
            self.channel.send(k="mutant", id=item.nodeid, line=number, outcome="failed")
        return True

    def run(self, item, number):
        """``passed``, ``failed`` or ``hung``: a mutant that makes a loop endless is noticed by nobody."""
        from _pytest.runner import runtestprotocol

        def ring(signum, frame):
            raise Hung

        self.switch.on = number
        before = signal.signal(signal.SIGALRM, ring)
        clock = time.monotonic()
        limit = LONGEST if number is None else min(LONGEST, MARGIN + TIMES * self.own[item])
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            reports = runtestprotocol(item, log=False, nextitem=None)
        except Hung:
            return "hung"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self.switch.on = None
        if any(r.failed for r in reports):
            return "hung" if time.monotonic() - clock >= limit else "failed"
        return "passed"


def plugin(pytest, channel, request):
    """The plugin, with its hooks marked as wrappers."""
    for name in ("pytest_runtest_protocol", "pytest_runtestloop"):
        setattr(Mutants, name, pytest.hookimpl(hookwrapper=True, tryfirst=True)(getattr(Mutants, name)))
    return Mutants(channel, request)
