"""``pytest --agent-gate``: each check of the gate as a pytest item.

A project that merely has this plugin installed must not notice it: nothing but the standard library and pytest is
imported here; the gate itself runs in a child process under its own interpreter, and only when it is asked for.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

INSIDE = "PYTEST_AGENTGATE_INSIDE" in os.environ
"""We are in a process that the gate itself started: stay out of the way."""

GATE = pytest.StashKey["Child"]()
VALUES = (
    "base", "head", "patch", "python", "task", "sandbox", "index", "cache-dir", "review-backend", "review-url", "max-usd", "save-repros"
)  # fmt: skip
FLAGS = ("staged", "working-tree", "fast", "fail-fast", "no-cache", "review", "allow-unpriced", "exact-cost", "no-execute")
REPEATED = ("approve", "report")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Flags, named as those of `agentgate check`."""
    group = parser.getgroup("agent-gate", "agent gate: judge a change before it goes in")
    group.addoption("--agent-gate", action="store_true", help="judge the change with agentgate instead of running tests")
    for name in VALUES:
        group.addoption(f"--agent-gate-{name}", metavar="VALUE", default=None, help=f"see agentgate check --help: --{name}")
    for name in FLAGS:
        group.addoption(f"--agent-gate-{name}", action="store_true", help=f"see agentgate check --help: --{name}")
    for name in REPEATED:
        group.addoption(
            f"--agent-gate-{name}", action="append", metavar="VALUE", default=None, help=f"see agentgate check --help: --{name}"
        )


class Child:
    """The gate in its own process, read while it works."""

    def __init__(self, config: pytest.Config) -> None:
        read, write = os.pipe()
        argv = [
            sys.executable,
            "-I",
            "-m",
            "pytest_agentgate.quick",
            "check",
            "-qq",
            "--events",
            str(write),
            "--repo",
            str(config.invocation_params.dir),
            *arguments(config),
        ]
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # read at the end; pipes would fill
        self.process = subprocess.Popen(argv, pass_fds=(write,), stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err)
        os.close(write)
        self.events = os.fdopen(read, encoding="utf-8")
        self.evidence: dict[str, dict[str, Any]] = {}
        self.report: dict[str, Any] | None = None

    def plan(self) -> list[str]:
        """Names of the checks; empty where the gate could not start."""
        for line in self.events:
            event = json.loads(line)
            if "plan" in event:
                return [str(name) for name in event["plan"]]
        return []

    def wait_for(self, name: str) -> dict[str, Any] | None:
        """Evidence of a check, as soon as it is there."""
        while name not in self.evidence:
            line = self.events.readline()
            if not line:
                return None
            self._take(json.loads(line))
        return self.evidence[name]

    def _take(self, event: dict[str, Any]) -> None:
        if "evidence" in event:
            self.evidence[event["evidence"]["check"]] = event["evidence"]
        self.report = event.get("report", self.report)

    def finish(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of the gate."""
        for line in self.events:
            self._take(json.loads(line))
        self.process.wait()
        texts = []
        for stream in (self.out, self.err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
        return self.process.returncode, texts[0], texts[1]

    def stop(self) -> None:
        """End the gate, which ends its own children."""
        if self.process.poll() is None:
            self.process.terminate()


def arguments(config: pytest.Config) -> list[str]:
    """Our flags as those of `agentgate check`."""
    args: list[str] = []
    for name in VALUES:
        value = config.getoption(f"--agent-gate-{name}")
        args += [f"--{name}={value}"] if value is not None else []
    args += [f"--{name}" for name in FLAGS if config.getoption(f"--agent-gate-{name}")]
    for name in REPEATED:
        args += [f"--{name}={value}" for value in config.getoption(f"--agent-gate-{name}") or ()]
    return args


def _know_settings(config: pytest.Config, parser: pytest.Parser) -> None:
    """Know every setting of the judged configuration.

    Some are of plugins that are not installed beside the gate, and a strict pytest would end with a usage error after the verdict.
    """
    path = config.inipath
    for name in re.findall(r"(?m)^\s*[\"']?([A-Za-z][\w-]*)[\"']?\s*[=:]", path.read_text("utf-8", "replace")) if path else ():
        try:
            config.getini(name)
        except (KeyError, ValueError):
            parser.addini(name, "of a plugin that is not installed beside the gate", default=None)


if not INSIDE:

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
        """Only the real command line counts: not the judged tree's `conftest.py`, its `addopts`, nor PYTEST_ADDOPTS.

        A judged ``addopts = --collect-only`` would otherwise end with exit code 0 and nothing run.
        """
        typed = [str(a) for a in early_config.invocation_params.args]
        asked = any(a == "--agent-gate" for a in typed)
        if not asked and not early_config.known_args_namespace.agent_gate:
            return
        _know_settings(early_config, parser)
        args[:] = [*typed, *([] if asked else ["--agent-gate"]), "--noconftest", "-p", "no:cacheprovider"]
        early_config.known_args_namespace.noconftest = True
        if early_config.pluginmanager.hasplugin("xdist"):
            args.append("-n0")
        if early_config.pluginmanager.hasplugin("_cov"):
            args.append("--no-cov")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(session: pytest.Session) -> bool | None:
        """Collect the checks instead of the tests."""
        if not session.config.option.agent_gate:
            return None
        child = Child(session.config)
        session.config.stash[GATE] = child
        group = Group.from_parent(session, name="agent-gate", path=session.path, nodeid="agent-gate")
        session.items = list(session.genitems(group))
        session.testscollected = len(session.items)
        session.config.hook.pytest_collection_modifyitems(session=session, config=session.config, items=session.items)
        session.config.hook.pytest_collection_finish(session=session)
        session.testscollected = len(session.items)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Iterator[None]:
        """The exit code is the verdict's, whatever else happened; an interrupted session stays interrupted."""
        child = session.config.stash.get(GATE, None)
        if child is not None:
            if exitstatus == pytest.ExitCode.INTERRUPTED:
                child.stop()
            code, out, err = child.finish()
            session.config.stash[TEXT] = (code, out, err)
            session.exitstatus = code if exitstatus != pytest.ExitCode.INTERRUPTED else exitstatus
        yield
        if child is not None and exitstatus != pytest.ExitCode.INTERRUPTED:
            session.exitstatus = session.config.stash[TEXT][0]

    def pytest_unconfigure(config: pytest.Config) -> None:
        """Leave no child behind."""
        child = config.stash.get(GATE, None)
        if child is not None:
            child.stop()

    def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """The gate's own report, and the verdict last."""
        if TEXT in config.stash:
            _, out, err = config.stash[TEXT]
            terminalreporter.section("agent gate")
            for line in (out + err).splitlines():
                terminalreporter.write_line(line)


TEXT = pytest.StashKey[tuple[int, str, str]]()


class Group(pytest.Collector):
    """All checks of the run."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item a check."""
        for name in self.config.stash[GATE].plan():
            yield CheckItem.from_parent(self, name=name)


class CheckFailure(Exception):
    """A check did not pass; `args[0]` says why."""


class CheckItem(pytest.Item):
    """One check; it waits for its evidence."""

    def runtest(self) -> None:
        """Pass, skip or fail as the evidence says."""
        evidence = self.config.stash[GATE].wait_for(self.name)
        if evidence is None:
            raise CheckFailure("the gate ended without evidence of this check")
        self.user_properties.append(("examined", evidence["examined"]))
        if evidence["status"] == "skipped":
            pytest.skip(evidence["reason"])
        if evidence["status"] != "passed":
            counting = [f for f in evidence["findings"] if f["baseline_state"] == "new" and f["effect"] != "note"]
            lines = [f"{f['node_id'] or f['path']}:{f['line'] or ''} {f['rule']} [{f['effect']}] {f['message']}" for f in counting]
            raise CheckFailure("\n".join([*lines, *([evidence["reason"]] if evidence["reason"] else [])]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The findings; no traceback of ours."""
        if isinstance(excinfo.value, CheckFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style="short")

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Where the item stands in reports."""
        return self.path, None, f"agent-gate: {self.name}"
