"""What an agent is told, as a reporter."""

from __future__ import annotations

from pytest_agentgate.feedback import feedback
from pytest_agentgate.model import Report


class AgentReporter:
    """``--report agent``."""

    name = "agent"

    def render(self, report: Report) -> str:
        """Plain text under the hard cap."""
        return feedback(report)
