"""What is said of a rule: its id, its effect, and everything that its page in docs/rules/ shows. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_agentgate.index import Package
from pytest_agentgate.model import Effect

Files = Mapping[str, str]
"""Contents by path."""


@dataclass(frozen=True)
class Example:
    """A small change: files before and after it. Files of `base` that `head` does not name are unchanged; None deletes."""

    base: Files
    head: Mapping[str, str | None]
    index: Mapping[str, Package] | None = None
    """What the package index says; it knows no other name. None: it is not asked."""
    task: str = ""
    """Text of the task file that the gate is given, if any."""
    law: str = ""
    """Lines of the base's `[tool.agentgate]`."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links of the head, with where they lead."""


@dataclass(frozen=True)
class Rule:
    """One rule id, and the text of its page in docs/rules/."""

    id: str
    effect: Effect
    """By default; the policy may say otherwise."""
    title: str
    """What a patch does that breaks the rule, in one line."""
    why: str
    bad: Example
    """Breaks the rule."""
    good: Example
    """An honest look-alike, which does not."""
    instead: str
    """What an honest author does, or how a human allows it."""


def one(path: str, bad: tuple[str, str], good: tuple[str, str]) -> tuple[Example, Example]:
    """Two examples of a change to one file, each as (before, after)."""
    return Example({path: bad[0]}, {path: bad[1]}), Example({path: good[0]}, {path: good[1]})


EFFECTS = {
    "reject": "rejects: the agent has to mend it",
    "hold": "holds: a human has to allow it",
    "note": "is noted, and changes no verdict",
}


def page(rule: Rule) -> str:
    """Everything about one rule."""
    parts = [
        f"# {rule.id}\n\n{rule.title}. By default it {EFFECTS[rule.effect]}.\n\n{rule.why}\n",
        f"\n## A change that breaks it\n\n```diff\n{_diff(rule.bad)}```\n",
        f"\n## An honest change that looks like it\n\n```diff\n{_diff(rule.good)}```\n",
        f"\n## What to do\n\n{rule.instead}\n",
        f'\nThe policy sets another effect: `"{rule.id}" = "note"` under `[tool.agentgate.effects]`, or under an override for a path.\n',
    ]
    return "".join(parts)


def _diff(example: Example) -> str:
    lines: list[str] = [f"task: {line}" for line in example.task.splitlines()]
    lines += [f"policy: {line}" for line in example.law.splitlines()]
    for path, target in example.links.items():
        lines += ["--- /dev/null", f"+++ b/{path}", f"+link to {target}"]
    for path, text in example.head.items():
        before = example.base.get(path)
        old, new = ((before or "").splitlines(), (text or "").splitlines())
        names = ("/dev/null" if before is None else f"a/{path}", "/dev/null" if text is None else f"b/{path}")
        lines += difflib.unified_diff(old, new, *names, lineterm="")
        if not old and not new:
            lines += [f"--- {names[0]}", f"+++ {names[1]}"]
    return "".join(_shown(line) + "\n" for line in lines)


def _shown(line: str) -> str:
    """Characters that would hide or reorder the page itself are written as escapes."""
    return "".join(c if c.isascii() or c in "ëµü" else f"\\u{ord(c):04x}" for c in line)
