"""A cheap model that chooses, in a conversation of its own, which further signatures the reviewer should see.

It reads names and signatures only, and answers with ids from our list; our own code then shows what they stand for. Whatever it
explores never enters the main conversation.
"""

from __future__ import annotations

from pytest_agentgate.model import Material
from pytest_agentgate.review import prompt, schema
from pytest_agentgate.review.backend import Request
from pytest_agentgate.review.pieces import outline, shown
from pytest_agentgate.review.planning import SCOUT_TOKENS, SIGNATURES
from pytest_agentgate.review.till import Till

MOST = 5
LIST_BYTES = 16_000


def choose(material: Material, model: str, till: Till) -> tuple[list[str], str]:
    """At most five signatures of the head, and what went wrong (empty: nothing). Ids that are not from our list are ignored."""
    offered: list[str] = []
    size = 0
    for path, text in sorted(material.head_sources):
        for line, _, words in outline(text):
            row = shown(f"{path}:{line} {words}")
            size += len(row.encode("utf-8", "replace")) + 6
            if size > LIST_BYTES:
                break
            offered.append(row)
    if not offered:
        return [], ""
    changed = "".join(f"changed|{shown(f.change.path)}\n" for f in material.files)
    rows = "".join(f"s{n}|{row}\n" for n, row in enumerate(offered))
    request = Request(
        model=model,
        system=({"type": "text", "text": prompt.SCOUT},),
        question=prompt.fenced(changed + rows),
        shape=schema.CHOSEN,
        max_tokens=SCOUT_TOKENS,
    )
    answer, why = till.ask_for(request, schema.Chosen)
    if answer is None:
        return [], f"the scout gave no answer: {why}"
    known = {f"s{n}": row for n, row in enumerate(offered)}
    found: list[str] = []
    for row in dict.fromkeys(known[i] for i in answer.ids if i in known):
        if len(found) < MOST and sum(len(r) for r in found) + len(row) < SIGNATURES - 100:
            found.append(row)
    return found, ""
