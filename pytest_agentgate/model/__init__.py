"""The words of the gate as frozen values. Pure: nothing here touches the world."""

from pytest_agentgate.model.change import Change, Entry, FileChange, Hunk
from pytest_agentgate.model.evidence import Evidence, TestOutcome
from pytest_agentgate.model.finding import BaselineState, Effect, Finding
from pytest_agentgate.model.policy import Command, Limits, Override, Policy, PolicyValue, Task, TestsPolicy
from pytest_agentgate.model.report import EXIT_CODES, Report, Verdict
from pytest_agentgate.model.review import (
    Dismissed,
    Level,
    Material,
    Proof,
    Reproduced,
    Review,
    ReviewFinding,
    SourceFile,
    Spent,
)

__all__ = [
    "EXIT_CODES",
    "BaselineState",
    "Change",
    "Command",
    "Dismissed",
    "Effect",
    "Entry",
    "Evidence",
    "FileChange",
    "Finding",
    "Hunk",
    "Level",
    "Limits",
    "Material",
    "Override",
    "Policy",
    "PolicyValue",
    "Proof",
    "Report",
    "Reproduced",
    "Review",
    "ReviewFinding",
    "SourceFile",
    "Spent",
    "Task",
    "TestOutcome",
    "TestsPolicy",
    "Verdict",
]
