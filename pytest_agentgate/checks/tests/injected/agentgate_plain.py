"""Makes the calls of blinded tests as a plain program would: without pytest, test modules, or anything that says "test".

Sent on standard input behind the definitions of agentgate_probe.py, so that there is no file of it. Standard library only;
Python >= 3.9. The request is ``{"roots": [...], "paths": [...], "first": [...], "teller": "...", "spaces": [...]}``; a space is ``{"texts": [[file name, text], ...], "plays": [...], "fixtures": {...}}``, and a play
``{"key": "...", "variant": 0, "class": "", "function": "...", "autouse": [...], "arguments": {...}}``.
"""

import asyncio
import builtins
import contextlib
import importlib
import inspect
import os
import pathlib
import sys
import tempfile

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


def spaces_of(request):
    """The texts, run; a space that cannot be made has no plays."""
    found = []
    for wanted in request["spaces"]:
        space = {"__name__": "app", "__builtins__": builtins}
        try:
            for name, text in wanted["texts"]:
                space["__file__"] = os.path.abspath(name)
                exec(compile(text, "app.py", "exec", dont_inherit=True), space)  # noqa: S102  # the base's own tests
        except BaseException:  # noqa: S112  # whatever a test module raises, it cannot be played: it tells nothing
            continue
        del space["__file__"]
        found.append((space, wanted))
    return found


def perform(request, probe, fd):
    """All plays: first each as it is, then the variants. `probe` holds what agentgate_probe.py defines."""
    probe.CHANNELS.append(probe.Channel(fd))
    setattr(probe, request["teller"], probe.tell)
    sys.argv[:] = ["app"]
    probe.add_roots([os.path.abspath(r) for r in request["roots"]])
    sys.path += [os.path.abspath(p) for p in request["paths"]]
    for name in request["first"]:
        with contextlib.suppress(BaseException):  # the tests' own import says so again
            importlib.import_module(name)
    spaces = spaces_of(request)
    patch = getattr(sys.modules.get("pytest"), "MonkeyPatch", None)
    for name in [n for n in sys.modules if n.partition(".")[0] in HARNESS]:
        del sys.modules[name]
    plays = [(play, space, wanted["fixtures"]) for space, wanted in spaces for play in wanted["plays"]]
    for play, space, fixtures in sorted(plays, key=lambda p: p[0]["variant"]):
        probe.SUFFIX[0] = f"~{play['variant']}"
        fixed = {name: plans[min(play["variant"], len(plans) - 1)] for name, plans in fixtures.items()}
        try:
            Stage(space, fixed, patch).perform(play)
        except BaseException as error:
            probe.CHANNELS[0].send(k="told", id=f"!{play['key']}{probe.SUFFIX[0]}", text=type(error).__name__)
    probe.CHANNELS[0].send(k="finish", exit=0)
    sys.stdout.flush()
    os._exit(0)  # what the project does at its end is no concern here
