"""Writes docs/rules/ from the rules' own data. ``python docs/make_rule_pages.py`` (``--check`` compares only)."""

from __future__ import annotations

import sys
from pathlib import Path

from pytest_agentgate.plugins import Plugins
from pytest_agentgate.rulebook import page

FOLDER = Path(__file__).parent / "rules"
HEAD = """# Rules

What a patch must not do to its judges (`integrity/`), what it may touch at all (`scope/`), and what tools and its tests have to say
(`compile/`, `ruff/`, `mypy/`, `pytest/`). Each page shows a change that breaks the rule, an honest one that looks like it, and
what to do. `agentgate explain RULE` prints the same page.

| rule | effect | what the patch does |
| --- | --- | --- |
"""


def file_name(rule: str) -> str:
    """Where the page of a rule lies."""
    return f"{rule.removeprefix('integrity/').replace('/', '-').replace('*', 'any')}.md"


def pages() -> dict[str, str]:
    """All pages by file name."""
    rules = Plugins(entry_points=False).pages().values()
    rows = [f"| [{r.id}]({file_name(r.id)}) | {r.effect} | {r.title} |" for r in sorted(rules, key=lambda r: r.id)]
    return {"README.md": HEAD + "\n".join(rows) + "\n", **{file_name(r.id): page(r) for r in rules}}


if __name__ == "__main__":
    wanted = pages()
    found = {p.name: p.read_text(encoding="utf-8") for p in FOLDER.glob("*.md")}
    if "--check" in sys.argv:
        sys.exit(0 if wanted == found else "docs/rules/ is stale: python docs/make_rule_pages.py")
    FOLDER.mkdir(exist_ok=True)
    for name in found.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
