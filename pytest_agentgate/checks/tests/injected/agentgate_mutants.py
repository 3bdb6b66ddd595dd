"""Runs tests again, each time with one decision of the code under test switched to a wrong one, and tells which notice.

Loaded by the probe from beside it; standard library and pytest >= 7 only; Python >= 3.9; never imported by the gate. The
request: ``{"name": of the switch, "wanted": [numbers] or null for all, "seconds": for all runs together, "seed": number}``.
Records: ``k="mutant"`` with `id` (a test, or empty), `line` (the mutant's number) and `outcome`: ``failed`` (that test notices
it), ``survived`` (every test that reaches it passes), ``spoiled`` (a test no longer passes without a mutant: nothing more is run).
"""

import builtins
import random
import signal
import time

LONGEST = 3.0
"""Seconds of one run; a mutant that makes a loop endless is noticed by nobody."""


class Hung(BaseException):
    """One run took too long."""


class Switch:
    """What the switchable code calls: remembers where it was called, and changes one value."""

    def __init__(self):
        self.on, self.seen = None, set()

    def __call__(self, number, value, branch=0):
        self.seen.add(number)
        if number != self.on:
            return value
        return (not value) if branch else other(value)


def other(value, again=True):
    """Another value, near to the given one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value + 0.01 * (abs(value) or 1.0)
    if isinstance(value, complex):
        return value + 0.01
    if isinstance(value, str):
        return value + "~"
    if isinstance(value, bytes):
        return value + b"~"
    if type(value) in (list, tuple) and value:
        return type(value)([*value[:-1], other(value[-1], False)]) if again else type(value)([*value, 0])
    if type(value) in (set, frozenset):
        return value | {"~"}
    if type(value) is dict and value and again:
        last = list(value)[-1]
        return {**value, last: other(value[last], False)}
    if value is None:
        return 0
    return type(value)([0]) if type(value) in (list, tuple) else {"~": 0} if type(value) is dict else object()


class Mutants:
    """The plugin: notes where each test comes by, and runs the mutants behind the last test."""

    def __init__(self, channel, request):
        self.channel, self.request = channel, request
        self.switch = Switch()
        self.reached, self.bad = {}, set()
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
            self.channel.send(k="mutant", id="", line=number, outcome="survived")

    def one(self, item, number):
        """Run a test with a mutant; false where nothing more can be believed."""
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
        """``passed``, ``failed`` or ``hung``."""
        from _pytest.runner import runtestprotocol

        def ring(signum, frame):
            raise Hung

        self.switch.on = number
        before = signal.signal(signal.SIGALRM, ring)
        clock = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
        try:
            reports = runtestprotocol(item, log=False, nextitem=None)
        except Hung:
            return "hung"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            self.switch.on = None
        if any(r.failed for r in reports):
            return "hung" if time.monotonic() - clock >= LONGEST else "failed"
        return "passed"


def plugin(pytest, channel, request):
    """The plugin, with its hooks marked as wrappers."""
    for name in ("pytest_runtest_protocol", "pytest_runtestloop"):
        setattr(Mutants, name, pytest.hookimpl(hookwrapper=True, tryfirst=True)(getattr(Mutants, name)))
    return Mutants(channel, request)
