"""Answers without a model: for each seed the claim that a perfect, or a careless, reviewer would make."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from pytest_agentgate.review.backend import Reply, Request
from pytest_agentgate.review.canary import CANARIES
from pytest_agentgate.review.money import Usage

FIELDS = {"claim": "the result differs from before", "trigger": "any call", "observed": "another value", "expected": "the value as before", "basis": "the tests of the project", "basis_quote": "", "category": "correctness", "severity": "high", "confidence": "high"}  # fmt: skip


@dataclass
class Scripted:
    """A backend that claims a defect in the line `quote`, with `test` as its proof, in every change that it is asked about."""

    quote: str
    test: str
    refutes: bool = False

    def known(self, request: Request) -> Reply | None:
        """Nothing is known before it is asked."""
        return None

    def count(self, request: Request) -> int | None:
        """Nobody counts here."""
        return None

    def send(self, request: Request) -> Reply:
        """Sees the canary, makes its claim, and refutes when it is told to."""
        hunks: dict[str, tuple[str, dict[int, str]]] = {}
        for line in request.question.splitlines():
            if head := re.fullmatch(r"=== (h\d+) (.*)", line):
                hunks[head[1]] = (head[2], {})
            elif row := re.fullmatch(r"(h\d+) ([+ ])(\d+)\|(.*)", line):
                hunks[row[1]][1][int(row[3])] = row[4]
        places = [(h, n) for h, (_, rows) in hunks.items() for n, text in rows.items() if self.quote in text]
        if "findings" not in str(request.shape.get("required")):
            hunk, line_number = places[0]
            answer: dict[str, object] = {
                "refuted": self.refutes,
                "reason": "it is the same",
                **_place(hunk, line_number, self.quote),
            }
        else:
            names = {name for name, _ in CANARIES}
            planted = [(h, rows) for h, (path, rows) in hunks.items() if path.rpartition("/")[2].replace("_2", "") in names]
            found = [{**FIELDS, **_place(h, max(rows), rows[max(rows)]), "test": None} for h, rows in planted]
            found += [{**FIELDS, **_place(h, n, self.quote), "test": self.test or None} for h, n in places]
            answer = {"findings": found}
        text = json.dumps(answer)
        usage = Usage(input_tokens=request.size // 3, output_tokens=len(text) // 3 + 400)
        return Reply(text=text, stop="end_turn", usage=usage, model=request.model)


def _place(hunk: str, line: int, quote: str) -> dict[str, object]:
    return {"hunk": hunk, "side": "head", "first_line": line, "last_line": line, "quote": quote}
