"""The page of a rule, as Markdown: from the rule's own data. Pure."""

from __future__ import annotations

import difflib

from pytest_agentgate.checks.integrity.rule import Example, Rule

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
    lines: list[str] = []
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
