"""Runs pytest inside the project's interpreter and tells the gate what really happened.

One file; standard library and pytest >= 7 only; Python >= 3.9; never imported by the gate. Records are JSON lines on an
inherited pipe. The request comes as JSON on standard input:
``{"roots": [...], "tree": "", "modules": [...], "args": [...], "ids": [...] or null, "workers": "0", "marked": false, "until": [...] or null,
"teller": "", "plugin": false, "watch": false, "bytecode": "", "mutants": null or what agentgate_mutants.py takes}``.
"""

import gc
import importlib.util
import json
import os
import sys

TEXT = 3000
INSIDE = "PYTEST_AGENTGATE_INSIDE"


class Channel:
    """Writes records to the gate's pipe."""

    def __init__(self, fd):
        self.fd = fd
        os.set_inheritable(fd, False)

    def send(self, **record):
        """One record, whole."""
        data = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        while data:
            data = data[os.write(self.fd, data) :]


class Probe:
    """The plugin in the process that collects (and, without workers, runs)."""

    def __init__(self, channel, request):
        self.channel, self.request = channel, request
        self.wanted = None if request["ids"] is None else set(request["ids"])
        self.modules = {}

    def pytest_load_initial_conftests(self, early_config, parser, args):
        """No coverage limits and no workers but those that the gate asked for."""
        if self.request["workers"] == "0":
            os.environ.pop(INSIDE, None)  # our own plugin has read it; code under judgement must not
        manager = early_config.pluginmanager
        if manager.hasplugin("xdist"):
            args.append("-n" + self.request["workers"])
        if manager.hasplugin("_cov") or manager.hasplugin("pytest_cov"):
            args.append("--no-cov")
            early_config.known_args_namespace.no_cov = True  # what pytest-cov 6 and 7 have kept of the arguments

    pytest_load_initial_conftests.pytest_impl = {"tryfirst": True}

    def pytest_collectreport(self, report):
        """A file that could not be imported."""
        if report.failed:
            self.channel.send(k="collect-error", id=report.nodeid, text=text_of(report))

    def pytest_collection_modifyitems(self, session, config, items):
        """Keep the tests that were asked for."""
        if self.wanted is not None:
            items[:] = [i for i in items if i.nodeid in self.wanted or i.nodeid.partition("[")[0] in self.wanted]

    pytest_collection_modifyitems.pytest_impl = {"trylast": True}

    def pytest_collection_finish(self, session):
        """What there is, and what of it will run."""
        self.channel.send(k="exists", ids=[i.nodeid for i in session.items])
        if self.request["marked"]:
            session.items[:] = [i for i in session.items if marked(i)]
        if self.request["until"] is not None:
            last = max((n for n, i in enumerate(session.items, 1) if i.nodeid in self.request["until"]), default=0)
            del session.items[last + 1 :]  # one more, which takes what is torn down at the very end
        self.channel.send(k="collected", ids=[i.nodeid for i in session.items])

    def pytest_xdist_node_collection_finished(self, node, ids):
        """What a worker will run."""
        self.channel.send(k="collected", ids=list(ids))

    pytest_xdist_node_collection_finished.pytest_impl = {"optionalhook": True}

    def pytest_testnodedown(self, node, error):
        """Modules that a worker imported; a worker that died says so."""
        self.modules.update(getattr(node, "workeroutput", {}).get("agentgate_modules", {}))
        if error:
            self.channel.send(k="worker-down", text=str(error)[:TEXT])

    pytest_testnodedown.pytest_impl = {"optionalhook": True}

    def pytest_runtest_logreport(self, report):
        """One phase of one test."""
        crash = getattr(getattr(report, "longrepr", None), "reprcrash", None)
        self.channel.send(
            k="phase",
            id=report.nodeid,
            when=report.when,
            outcome=report.outcome,
            xfail=hasattr(report, "wasxfail"),
            sub=type(report).__name__ != "TestReport",
            duration=report.duration,
            text=text_of(report) if report.outcome == "failed" or report.skipped else "",
            message=str(getattr(crash, "message", ""))[:TEXT],
            path=str(getattr(crash, "path", "")),
            line=getattr(crash, "lineno", None),
        )

    def pytest_internalerror(self, excrepr, excinfo):
        """pytest itself, or a plugin, broke."""
        self.channel.send(k="internal-error", text=str(excrepr)[-TEXT:])

    def pytest_sessionfinish(self, session, exitstatus):
        """Where the project's modules came from."""
        self.modules.update(imported(self.request["modules"]))
        self.channel.send(k="modules", files=self.modules, origins=origins(self.request["modules"]))

    pytest_sessionfinish.pytest_impl = {"trylast": True}


def marked(item):
    """Whether the test's marks skip it here (pytest's own evaluation), or expect it to fail."""
    import pytest
    from _pytest.skipping import evaluate_skip_marks

    try:
        return item.get_closest_marker("xfail") is not None or bool(evaluate_skip_marks(item))
    except (Exception, pytest.fail.Exception):  # a condition that cannot be evaluated: the test's own run says so
        return False


CHANNELS = []
SUFFIX = [""]
"""What is put behind each token: which run of the same calls it is."""


def tell(token, value):
    """A value that a blinded test came to: which it is, in built-in types, and nothing else."""
    CHANNELS[0].send(k="told", id=token + SUFFIX[0], text=json.dumps(exact(value)))
    return True


class Raised:
    """Stands for ``pytest.raises`` in a blinded test: takes any exception, and tells which it was."""

    def __init__(self, token):
        self.token = token

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is KeyboardInterrupt:
            return False
        try:
            message = str(value)[:10000] if kind else ""
        except Exception:
            message = ""
        names = [c.__name__ for c in type.__getattribute__(kind, "__mro__")] if kind else []
        CHANNELS[0].send(k="told", id=self.token + SUFFIX[0], text=json.dumps(["raised", [names, message]]))
        return True


tell.raised = Raised


def exact(value, depth=0):
    """A value as ``[type, content]``, read by the built-in types' own methods: what a subclass overrides has no say."""
    if value is None or value is True or value is False:
        return [str(value).lower(), 0]
    kind = next((k for k in (int, float, complex, str, bytes, list, tuple, set, frozenset, dict) if k in type(value).__mro__), None)
    if kind is None or depth > 20:
        return ["opaque", type(value).__name__]
    if kind is int:
        plain = int.__add__(value, 0)
        return ["int", str(plain)] if plain.bit_length() < 10000 else ["opaque", "int"]
    if kind is float:
        return ["float", float.hex(value)]
    if kind is complex:
        plain = complex.__add__(value, 0j)
        return ["complex", [plain.real.hex(), plain.imag.hex()]]
    size = kind.__len__(value)
    if kind is str:
        return ["str", str.__getitem__(value, slice(None))] if size < 100000 else ["opaque", "str"]
    if kind is bytes:
        return ["bytes", bytes.hex(value)] if size < 100000 else ["opaque", "bytes"]
    if size > 5000:
        return ["opaque", kind.__name__]
    if kind is dict:
        return ["dict", [[exact(k, depth + 1), exact(v, depth + 1)] for k, v in dict.items(value)]]
    return [kind.__name__, [exact(v, depth + 1) for v in kind.__iter__(value)]]


def text_of(report):
    """The end of a report's text, where the error is."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])[:TEXT]
    return str(getattr(report, "longreprtext", "") or report.longrepr or "")[-TEXT:]


def imported(names):
    """Files of the imported modules below the given top-level names."""
    wanted, found = set(names), {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in wanted:
            file = getattr(module, "__file__", None)
            if isinstance(file, str):
                found[name] = [file, inode(file)]
    return found


def inode(file):
    """Which file it really is: a path can be mounted over."""
    try:
        return os.stat(file).st_ino
    except OSError:
        return 0


def origins(names):
    """Where the given modules would be imported from."""
    found = {}
    for name in names:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            continue
        if spec is not None and spec.has_location:
            found[name] = [spec.origin, inode(spec.origin)]
    return found


def pytest_sessionfinish(session):
    """In a worker of pytest-xdist, which loads this file as a plugin: hand the modules over."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["agentgate_modules"] = imported(os.environ.get("AGENTGATE_MODULES", "").split(","))


def add_roots(roots):
    """Make the product importable without installation: after the standard library, before what is installed."""
    at = next((i for i, p in enumerate(sys.path) if p.endswith(("site-packages", "dist-packages"))), len(sys.path))
    sys.path[at:at] = [r for r in roots if r not in sys.path]


def beside(name):
    """A module from beside this file, whose folder is not on the path."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    """Read the request, run pytest, send the finish record, and end with pytest's own exit code."""
    sys.path.pop(0)  # this file's folder, which the project's own start would not have
    channel = Channel(int(sys.argv[1]))
    CHANNELS.append(channel)
    request = json.load(sys.stdin)
    if request["teller"]:
        globals()[request["teller"]] = tell
    gc.disable()  # importing makes no garbage: a tenth of a short session went into looking for some
    sys.pycache_prefix = request["bytecode"] or None  # for pytest alone: the rest of a session sees no such setting
    import pytest

    sys.pycache_prefix = None
    gc.freeze()
    gc.enable()
    for name, function in list(vars(Probe).items()):
        if hasattr(function, "pytest_impl"):
            setattr(Probe, name, pytest.hookimpl(**function.pytest_impl)(function))
    world = beside("agentgate_world")
    world.lead_children(request["modules"], request["tree"], request["roots"])
    add_roots(request["roots"])
    if not request["plugin"]:
        world.leave_installed_plugins(pytest)
    plugins = [Probe(channel, request)]
    if request["watch"]:
        plugins.append(beside("agentgate_reach").plugin(pytest, channel))
    if request["mutants"]:
        plugins.append(beside("agentgate_mutants").plugin(pytest, channel, request["mutants"]))
    args = list(request["args"])
    if request["workers"] != "0":
        sys.path.append(os.path.dirname(os.path.abspath(__file__)))
        os.environ["AGENTGATE_MODULES"] = ",".join(request["modules"])
        args += ["-p", "agentgate_probe", *(["-p", "agentgate_reach"] if request["watch"] else [])]
    os.environ[INSIDE] = "1"
    channel.send(k="start", pytest=pytest.__version__, python=sys.version.split()[0])
    code = pytest.main(args, plugins=plugins)
    channel.send(k="finish", exit=int(code))
    sys.stdout.flush()
    sys.exit(int(code))


if __name__ == "__main__":
    main()
