"""Makes the calls of blinded tests as a plain program would: without pytest, test modules, or anything that says "test".

Sent on standard input behind the definitions of agentgate_probe.py, so that there is no file of it. Standard library only;
Python >= 3.9. The request is ``{"roots": [...], "paths": [...], "first": [...], "teller": "...", "spaces": [...]}``; a space is ``{"texts": [[file name, text], ...], "plays": [...], "fixtures": {...}}``, and a play
``{"key": "...", "variant": 0, "class": "", "function": "...", "autouse": [...], "arguments": {...}}``.
"""

import asyncio
import builtins
import collections
import contextlib
import importlib
import inspect
import os
import pathlib
import sys
import tempfile
import threading
import time

AGAIN, WHILE, ALTOGETHER = 320, 0.02, 0.4
"""So often each play is made again, for so many seconds of CPU time at most, and all of them together."""
MADE = "!made"
"""Marks the name of a file that can be played."""
PLACES = {}
"""Folders of tests that are packages, with the name that each has here."""
HELD_UP = 5
"""So many times as long may all of that take on a busy machine, or where a play waits."""
HARNESS = (
    "pytest",
    "_pytest",
    "pluggy",
    "iniconfig",
    "unittest",
    "doctest",
    "hypothesis",
    "_hypothesis_pytestplugin",
    "nose",
    "xdist",
)


Captured = collections.namedtuple("Captured", "out err")  # noqa: PYI024  # a class would cost an import of typing


class Written:
    """What is written while it lives, as ``capsys`` tells it; `sys.stdout` stays the one that the process began with."""

    def __init__(self):
        self.files, self.kept, self.read = [], [], [0, 0]
        for fd in (1, 2):
            self.files.append(tempfile.TemporaryFile())  # noqa: SIM115  # it lives as long as this does
            self.kept.append(os.dup(fd))
            os.dup2(self.files[-1].fileno(), fd)

    def readouterr(self):
        """What was written since the last time."""
        sys.stdout.flush()
        sys.stderr.flush()
        texts = []
        for number, file in enumerate(self.files):
            file.seek(self.read[number])
            data = file.read()
            self.read[number] += len(data)
            texts.append(data.decode("utf-8", "replace"))
        return Captured(*texts)

    def disabled(self):
        """Nothing is switched off here."""
        return contextlib.nullcontext()

    def end(self):
        """Give the descriptors back."""
        self.readouterr()
        for fd, kept in zip((1, 2), self.kept):  # noqa: B905  # `strict` came with Python 3.10
            os.dup2(kept, fd)
            os.close(kept)


class Stage:
    """One call with what it needs, and its end."""

    def __init__(self, space, fixtures, patch):
        self.space, self.fixtures, self.patch, self.made, self.ends = space, fixtures, patch, {}, []

    def argument(self, source):
        """A cell of a table, a fixture, or one of pytest's own two that can be had here."""
        kind, text = source
        if kind == "cell":
            return eval(text, self.space)  # noqa: S307  # a cell of the base's own table
        name = text or kind  # made once for the test and all its fixtures
        if name in self.made:
            return self.made[name]
        if kind == "tmp_path":
            self.made[name] = pathlib.Path(tempfile.mkdtemp())
        elif kind == "monkeypatch":
            self.made[name] = self.patch()
            self.ends.append(self.made[name].undo)
        elif kind == "capsys":
            self.made[name] = Written()
            self.ends.append(self.made[name].end)
        else:
            plan = self.fixtures[name]
            result = self.space[plan["function"]](**self.arguments(plan["arguments"]))
            if hasattr(result, "__next__"):
                steps, result = result, next(result)
                self.ends.append(lambda: next(steps, None))
            self.made[name] = result
        return self.made[name]

    def arguments(self, sources):
        """All of them, by name."""
        return {name: self.argument(source) for name, source in sources.items()}

    def perform(self, play):
        """One play, from what it needs to its end."""
        try:
            for name in play["autouse"]:
                self.argument(["fixture", name])
            if play["class"]:
                self.method(self.space[play["class"]], play["function"])
                return
            result = self.space[play["function"]](**self.arguments(play["arguments"]))
            if inspect.iscoroutine(result):
                asyncio.run(result)
        finally:
            for end in reversed(self.ends):
                end()

    def method(self, kind, name):
        """A method of a class of tests."""
        if not hasattr(kind, "setUp"):
            one = kind()
            if hasattr(one, "setup_method"):
                one.setup_method(None)
            getattr(one, name)()
            return
        if "setUpClass" in vars(kind):
            kind.setUpClass()
        one = kind(name)
        one.setUp()
        if inspect.iscoroutinefunction(getattr(one, name)):

            async def go():
                if hasattr(one, "asyncSetUp"):
                    await one.asyncSetUp()
                await getattr(one, name)()

            asyncio.run(go())
        else:
            getattr(one, name)()
        one.tearDown()
        one.doCleanups()


class Ear:
    """Stands before the channel: what is told goes on, or is only remembered while a play is made again."""

    def __init__(self, channel):
        self.channel, self.heard, self.passes_on = channel, [], True

    def send(self, **record):
        """One record."""
        self.heard.append((record.get("id"), record.get("text")))
        if self.passes_on:
            self.channel.send(**record)


def live_somewhere():
    """Look less like a sandbox: a home, a user, a repository, a process that is not the first, and bytecode that is kept."""
    os.environ.update(HOME="/home/ada", USER="ada", LOGNAME="ada")
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED"):
        os.environ.pop(name, None)
    sys.dont_write_bytecode = False
    with contextlib.suppress(OSError):
        os.makedirs(".git/refs/heads", exist_ok=True)
        pathlib.Path(".git/HEAD").write_text("ref: refs/heads/main\n")
    with contextlib.suppress(OSError, RuntimeError, AttributeError):  # as many as are allowed, and where there is a fork
        for _ in range(120):  # a thread takes a number as a process does, and costs a fiftieth
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
        child = os.fork()  # it goes on under the next number; this one only waits for it
        if child:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)


def make_again(play, space, fixed, patch, ear, first, latest):
    """The same play, many times in one process; what it tells once it tells something else goes on, marked ``~r``.

    How often it was made until then is told as well, marked ``~n``: who was made less often says nothing of what comes later.
    """
    until = time.process_time() + WHILE  # a busy machine makes as many calls as an idle one
    ear.passes_on = False
    often = 0
    try:
        while often < AGAIN:
            often += 1
            ear.heard = []
            Stage(space, fixed, patch).perform(play)
            if ear.heard != first:
                for name, text in ear.heard:
                    ear.channel.send(k="told", id=f"{str(name).partition('~')[0]}~r", text=text)
                break
            if time.process_time() > until or time.monotonic() > latest:
                break
    except BaseException as error:
        ear.channel.send(k="told", id=f"!{play['key']}~r", text=type(error).__name__)
    finally:
        ear.passes_on = True
        for name in {str(name).partition("~")[0] for name, _ in first}:
            ear.channel.send(k="told", id=f"{name}~n", text=str(often))


def package_of(folder):
    """A package for relative imports: that of the product where the tests are inside of it, else one that only has a place."""
    chain = []
    while os.path.exists(os.path.join(folder, "__init__.py")):
        chain.insert(0, folder)
        folder = os.path.dirname(folder)
    if not chain:
        return None
    names = [os.path.basename(part) for part in chain]
    if names[0].lower() not in ("test", "tests", "testing"):
        if folder not in sys.path:
            sys.path.append(folder)
        name = ".".join(names)
        importlib.import_module(name)
        return name
    name = ""
    for part in chain:
        last = PLACES.setdefault(part, f"app{len(PLACES)}")
        name = f"{name}.{last}" if name else last
        module = sys.modules.setdefault(name, type(sys)(name))
        module.__path__ = [part]
    return name


def spaces_of(request):
    """The texts, run; a space that cannot be made has no plays."""
    found = []
    for wanted in request["spaces"]:
        space = {"__name__": "app", "__builtins__": builtins}
        try:
            for name, text in wanted["texts"]:
                space.update(__file__=os.path.abspath(name), __package__=package_of(os.path.dirname(os.path.abspath(name))))
                exec(compile(text, "app.py", "exec", dont_inherit=True), space)  # noqa: S102  # the base's own tests
        except BaseException:  # noqa: S112  # whatever a test module raises, it cannot be played: it tells nothing
            continue
        del space["__file__"], space["__package__"]
        found.append((space, wanted))
    return found


def perform(request, probe, fd):
    """All plays: first each as it is, then the variants. `probe` holds what agentgate_probe.py defines."""
    ear = Ear(probe.Channel(fd))
    probe.CHANNELS.append(ear)
    live_somewhere()
    setattr(probe, request["teller"], probe.tell)
    sys.argv[:] = ["app"]
    probe.add_roots([os.path.abspath(r) for r in request["roots"]])
    sys.path += [os.path.abspath(p) for p in request["paths"]]
    for name in request["first"]:
        with contextlib.suppress(BaseException):  # the tests' own import says so again
            importlib.import_module(name)
    spaces = spaces_of(request)
    for _, wanted in spaces:
        probe.CHANNELS[0].send(k="told", id=MADE, text=wanted["texts"][-1][0])
    patch = getattr(sys.modules.get("pytest"), "MonkeyPatch", None)
    for name in [n for n in sys.modules if n.partition(".")[0] in HARNESS]:
        del sys.modules[name]
    plays = [(play, space, wanted["fixtures"]) for space, wanted in spaces for play in wanted["plays"]]
    end = latest = None
    for play, space, fixtures in sorted(plays, key=lambda p: p[0]["variant"]):
        probe.SUFFIX[0] = f"~{play['variant']}"
        fixed = {name: plans[min(play["variant"], len(plans) - 1)] for name, plans in fixtures.items()}
        ear.heard = []
        try:
            Stage(space, fixed, patch).perform(play)
            end = end or time.process_time() + ALTOGETHER
            latest = latest or time.monotonic() + ALTOGETHER * HELD_UP
            if not play["variant"] and ear.heard and time.process_time() < end and time.monotonic() < latest:
                make_again(play, space, fixed, patch, ear, ear.heard, latest)
        except BaseException as error:
            probe.CHANNELS[0].send(k="told", id=f"!{play['key']}{probe.SUFFIX[0]}", text=type(error).__name__)
    probe.CHANNELS[0].send(k="finish", exit=0)
    sys.stdout.flush()
    os._exit(0)  # what the project does at its end is no concern here
