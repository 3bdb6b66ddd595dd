"""The whole report as JSON (its schema: ``agentgate schema``)."""

from __future__ import annotations

import msgspec

from pytest_agentgate.model import Report
from pytest_agentgate.reporters.common import encode


class JsonReporter:
    """``--report json=FILE``."""

    name = "json"

    def render(self, report: Report) -> str:
        """Indented JSON with a line end."""
        return encode(report)


def schema() -> str:
    """JSON Schema (draft 2020-12) of the report."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Report)), indent=2).decode() + "\n"
