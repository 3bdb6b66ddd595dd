"""The `agentgate` command: parse, call, print, exit. It decides nothing."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import NoReturn

from pytest_agentgate import __version__
from pytest_agentgate.commands import COMMANDS
from pytest_agentgate.errors import GateError, Interrupted, UsageError
from pytest_agentgate.options import add_to_parser

EXAMPLES = """examples:
  agentgate check                          the working tree against its base
  agentgate check --base main --head topic a branch, before its pull request
  agentgate check --patch fix.diff         a patch file, applied to HEAD
  agentgate check --report json=../a.json  and the whole report as JSON

exit codes: 0 accepted, 1 rejected (the agent mends it), 2 interrupted, 3 undecided (a human settles it), 4 usage error
"""


SHOWN: Mapping[str, Sequence[str]] = {
    "check": (
        "agentgate check",
        "agentgate check --base main --head topic --report markdown=../comment.md",
        "agentgate check --staged --fast",
        "git diff main topic | agentgate check --base main --patch -",
    ),
    "pre-commit": ("agentgate pre-commit",),
    "pre-push": ("agentgate pre-push",),
    "review": ("agentgate review ../gate.json --max-usd 0.20",),
    "show": ("agentgate show ../gate.json --format html",),
    "diff": ("agentgate diff ../first.json ../second.json",),
    "verify": ("agentgate verify ../gate.json --tree HEAD --base main",),
    "hook": ("agentgate hook print-config --target codex", "agentgate hook stop"),
    "tree": ("agentgate tree ../judged --base main --head topic", "agentgate tree ../before --of base"),
    "init": ("agentgate init", "agentgate init --write"),
    "who": ("agentgate who --base main --head topic",),
    "policy": ("agentgate policy --base main",),
    "explain": ("agentgate explain last", "agentgate explain ruff/F401"),
    "doctor": ("agentgate doctor --python .venv/bin/python",),
    "schema": ("agentgate schema",),
    "completion": ('eval "$(agentgate completion bash)"',),
    "cache": ("agentgate cache info",),
    "demo": ("agentgate demo --keep ../demo",),
}
"""Examples of each command."""


class Parser(argparse.ArgumentParser):
    """Ends with the code of a usage error, where argparse's own 2 is that of an interrupted run."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.print_usage(sys.stderr)
        self.exit(UsageError.exit_code, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The command line as a parser."""
    top = Parser(
        prog="agentgate",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Deterministic checks around patches that coding agents write.",
    )
    top.add_argument("--version", action="version", version=f"agentgate {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (words, options, extra) in SUBCOMMANDS.items():
        examples = "\n".join(("examples:", *(f"  {line}" for line in SHOWN[name])))
        sub = commands.add_parser(
            name, help=words, description=words, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add_to_parser(sub, options) if options != ("-",) else None
        for flag, keywords in extra:
            sub.add_argument(*flag, **keywords)  # type: ignore[arg-type]  # argparse's own keywords
        if name == "completion":
            sub.set_defaults(parser=top)
        if name in ("check", "pre-commit", "pre-push", "demo", "review", "show"):
            sub.add_argument("-q", "--quiet", action="count", default=0, help="only the verdict and the findings")
            sub.add_argument("-v", "--verbose", action="count", default=0, help="notes, unchanged findings and every changed test")
    return top


_HOOK = ("repo", "python", "task", "approve", "report", "fail-fast", "sandbox", "index", "no-cache", "cache-dir")
_REVIEW = ("review-backend", "review-url", "max-usd", "allow-unpriced", "exact-cost", "no-execute", "save-repros")
Extra = Sequence[tuple[tuple[str, ...], Mapping[str, object]]]
SUBCOMMANDS: Mapping[str, tuple[str, Sequence[str], Extra]] = {
    "check": (
        "judge a change and say accepted, rejected or undecided",
        (),
        [(("--events",), {"dest": "events", "type": int, "default": None, "help": argparse.SUPPRESS})],
    ),
    "pre-commit": ("judge what is about to be committed (for commit hooks): the fast checks on the index", _HOOK, []),
    "pre-push": ("judge what is about to be pushed (for push hooks): all checks on the pushed commits", _HOOK, []),
    "review": (
        "let a model review the change of a stored report that says accepted",
        (*_HOOK, "patch", *_REVIEW),
        [
            (
                ("reports",),
                {
                    "metavar": "REPORT",
                    "nargs": "+",
                    "help": "a file that --report json=FILE wrote; or: resume JOB, to finish a batch",
                },
            ),
            (
                ("--batch",),
                {
                    "action": "store_true",
                    "help": "answers may come within a day: many requests cost half (policy key review.batch_from)",
                },
            ),
            (("--batch-from",), {"type": int, "metavar": "N", "default": None, "help": "hand in a batch from N requests on"}),
            (
                ("--deadline",),
                {"type": float, "metavar": "SECONDS", "default": 86400.0, "help": "wait so long for a batch (default: a day)"},
            ),
        ],
    ),
    "show": (
        "print a stored report in any format",
        ("-",),
        [
            (("stored",), {"metavar": "REPORT", "help": "a file that --report json=FILE wrote"}),
            (("--format",), {"metavar": "FORMAT", "default": "terminal", "help": "as in --report (default: terminal)"}),
        ],
    ),
    "diff": (
        "say what a new attempt fixed and broke, from two stored reports",
        ("-",),
        [(("before",), {"metavar": "A.json"}), (("after",), {"metavar": "B.json"})],
    ),
    "verify": (
        "say whether a stored report accepts this very tree, under this policy and version",
        ("repo", "base", "task", "approve", "cache-dir"),
        [
            (("stored",), {"metavar": "REPORT", "help": "a file that --report json=FILE wrote"}),
            (("--tree",), {"metavar": "REV", "default": "HEAD", "help": "revision that it has to be about (default: HEAD)"}),
        ],
    ),
    "hook": (
        "answer a coding agent's hook: before it stops, before it edits, after it edited",
        _HOOK,
        [
            (("event",), {"choices": ("stop", "pre-tool", "post-edit", "print-config")}),
            (
                ("--target",),
                {"choices": ("claude-code", "codex"), "default": "claude-code", "help": "whose protocol (default: claude-code)"},
            ),
        ],
    ),
    "tree": (
        "write one of the trees of a change into a new folder, to repeat there what a check found",
        ("repo", "base", "head", "patch", "staged", "working-tree", "python", "cache-dir"),
        [
            (("folder",), {"metavar": "DIR", "help": "a folder outside the checkout that does not exist yet"}),
            (
                ("--of",),
                {
                    "choices": ("head+base-tests", "base+head-tests", "base", "head"),
                    "default": "head+base-tests",
                    "help": "whose code and whose tests (default: the patch's code with the base's tests)",
                },
            ),
        ],
    ),
    "init": (
        "propose policy, hooks and CI for this repository, as a diff",
        ("repo",),
        [(("--write",), {"action": "store_true", "help": "write what is proposed (default: only print it)"})],
    ),
    "who": ("say which commits a coding agent made, and by which mark", ("repo", "base", "head"), []),
    "policy": ("print the effective policy, with where each value comes from", ("repo", "base", "cache-dir"), []),
    "explain": (
        "explain a rule, or each finding of the last verdict: why, what to do, how to allow it",
        ("repo", "cache-dir"),
        [(("rule",), {"metavar": "RULE", "help": "a rule id, for example integrity/test-probe; or: last"})],
    ),
    "doctor": ("say what this machine can do for a verdict, and how to get what is missing", ("repo", "python", "cache-dir"), []),
    "schema": ("print the JSON Schema of the report", ("-",), []),
    "completion": (
        "print what makes a shell complete commands and options",
        ("-",),
        [(("shell",), {"choices": ("bash", "zsh", "tcsh")})],
    ),
    "cache": ("say what the cache holds, or clear it", ("cache-dir",), [(("action",), {"choices": ("info", "clear")})]),
    "demo": (
        "gate one honest patch, three cheating ones and one for a human in a small repository, for real",
        ("cache-dir", "python"),
        [(("--keep",), {"dest": "keep", "metavar": "DIR", "default": "", "help": "make the repository in DIR and keep it"})],
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        given = parser().parse_args(argv)
    except SystemExit as end:
        if end.code and (argv if argv is not None else sys.argv[1:])[:1] == ["hook"]:
            print('{"systemMessage": "agentgate: this hook is configured wrongly; nothing was judged"}')
            return 0  # with 2, an agent that knows nothing of it could never stop
        raise
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return COMMANDS[given.command](given, os.environ)
    except GateError as error:
        if isinstance(error, Interrupted):
            _deaf()
        print(f"agentgate: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        _deaf()
        print("agentgate: interrupted", file=sys.stderr)
        if given.command == "hook":
            return 0
        return Interrupted.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Interrupted.exit_code
    except Exception as error:  # a bug of ours says nothing about the patch, and must not look like a verdict
        from pytest_agentgate.bugs import bug  # lazy: only a broken run needs it

        print(f"agentgate: {bug(error)}", file=sys.stderr)
        return GateError.exit_code


def _deaf() -> None:
    """A second Ctrl-C while the first one is obeyed would only be a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
