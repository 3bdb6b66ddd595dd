"""Every option of the gate, declared once. The command line, pytest's flags and the environment variables derive from it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pytest_agentgate.errors import UsageError

Kind = Literal["value", "flag", "repeat"]


@dataclass(frozen=True)
class Option:
    """One option: `name` is its long flag without dashes."""

    name: str
    help: str
    kind: Kind = "value"
    metavar: str = ""
    pytest: bool = True
    """Also a flag of pytest, as ``--agent-gate-NAME``."""
    choices: tuple[str, ...] = ()
    flag_only: bool = False
    """Never from an environment variable."""

    @property
    def dest(self) -> str:
        """Attribute on the parsed arguments."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Environment variable with the same meaning; the flag wins."""
        return f"AGENTGATE_{self.dest.upper()}"


OPTIONS = (
    Option("repo", "checkout to judge (default: the current folder)", metavar="DIR", pytest=False),
    Option(
        "base",
        "revision to compare with; its merge base with the head counts (default: the pull request's base in CI, "
        "else upstream or the default branch)",
        metavar="REV",
    ),
    Option("head", "revision to judge, instead of the working tree", metavar="REV"),
    Option("patch", "unified diff or mbox to judge, applied to the base; - reads standard input", metavar="FILE"),
    Option("staged", "judge the index", kind="flag"),
    Option("working-tree", "judge the working tree with its untracked files (default)", kind="flag"),
    Option("python", "the project's interpreter (default: the active or the checkout's virtual environment)", metavar="PATH"),
    Option("task", "TOML file, outside the checkout, that says what this change may do", metavar="FILE"),
    Option("approve", "allow a finding that holds, as a human; repeatable", kind="repeat", metavar="RULE[:PATH]"),
    Option(
        "report",
        "write a report (formats: terminal, json, agent, sarif, junit, markdown, html, gitlab, github, github-summary, github-output); repeatable",
        kind="repeat",
        metavar="FORMAT[=FILE]",
    ),
    Option("fast", "only the checks of the commit stage (policy key hook_checks)", kind="flag"),
    Option("fail-fast", "stop at the first rejection", kind="flag"),
    Option("sandbox", "override the policy's sandbox: require, auto or off", choices=("require", "auto", "off"), metavar="MODE"),
    Option("index", "package index to ask about new dependencies, or off (default: that of pip or uv, else PyPI)", metavar="URL"),
    Option("review", "after accepted, let a model review the change (needs ANTHROPIC_API_KEY; see docs/review.md)", kind="flag"),
    Option("review-backend", "who answers: api, replay:DIR (recorded answers) or record:DIR", metavar="BACKEND"),
    Option("review-url", "address of the API (default: Anthropic's own)", metavar="URL", flag_only=True),
    Option("max-usd", "most dollars that the review may cost (default: the policy's review.max_usd)", metavar="USD"),
    Option("allow-unpriced", "review with a model whose price is not known", kind="flag"),
    Option("exact-cost", "let the API count the tokens first (sends it the change, for nothing)", kind="flag"),
    Option("no-execute", "let the review run no tests: for jobs that hold secrets", kind="flag"),
    Option("save-repros", "write the tests that prove a review's findings into this folder", metavar="DIR"),
    Option("no-cache", "judge everything anew", kind="flag"),
    Option("cache-dir", "folder for caches, outside of any repository", metavar="DIR"),
)


def add_to_parser(parser: argparse.ArgumentParser, names: Iterable[str] = ()) -> None:
    """Add the options (or those of the given names) as flags."""
    wanted = set(names)
    for option in OPTIONS:
        if wanted and option.name not in wanted:
            continue
        if option.kind == "flag":
            parser.add_argument(f"--{option.name}", dest=option.dest, action="store_true", default=None, help=option.help)
        else:
            parser.add_argument(
                f"--{option.name}",
                dest=option.dest,
                metavar=option.metavar or None,
                help=option.help,
                action="append" if option.kind == "repeat" else "store",
            )


def settle(given: Mapping[str, object], environment: Mapping[str, str]) -> dict[str, object]:
    """Values of all options: the flag, else the environment variable, else None. Raises `UsageError` on a wrong value."""
    known = {o.variable for o in OPTIONS if not o.flag_only}
    for name in environment:
        if name.startswith("AGENTGATE_") and name not in known:
            raise UsageError(f"{name} is no setting of agentgate", hint=f"known are {', '.join(sorted(known))}")
    values: dict[str, object] = {}
    for option in OPTIONS:
        value = given.get(option.dest)
        text = "" if option.flag_only else environment.get(option.variable, "")
        if value is None and text:
            value = _from_environment(option, text)
        if option.choices and value is not None and value not in option.choices:
            raise UsageError(f"--{option.name} takes {', '.join(option.choices)}, not {value!r}")
        values[option.dest] = value
    return values


def _from_environment(option: Option, text: str) -> object:
    if option.kind == "flag":
        if text.lower() not in ("1", "0", "true", "false", "yes", "no"):
            raise UsageError(f"{option.variable} is {text!r}; it takes 1 or 0")
        return text.lower() in ("1", "true", "yes")
    return [part for part in text.split(",") if part] if option.kind == "repeat" else text
