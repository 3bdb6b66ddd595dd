"""Jobs that moved to another workflow as they were. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_agentgate.checks.integrity import pipelines
from pytest_agentgate.checks.integrity.handouts import jobs
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.layout import GITHUB_WORKFLOW


def moved(view: View, pair: Pair) -> list[object]:
    """Jobs of the other pipelines of the head that run whenever the base's version of this one did, in the same surroundings."""

    def frame(data: object) -> tuple[object, ...]:
        return tuple(data.get(k) for k in ("on", True, "env", "defaults")) if isinstance(data, dict) else ()

    mine = frame(pipelines.load(pair.old)) if GITHUB_WORKFLOW.fullmatch(pair.path) else ()
    paths = [p for p in view.entries["head"] if GITHUB_WORKFLOW.fullmatch(p) and p != pair.path]
    others = [pipelines.load(Source(p, d)) for p, d in view.read("head", paths).items()] if mine else []
    return [job for data in others if frame(data) == mine and _is_valid(jobs(data)) for job in jobs(data).values()]


def _is_valid(found: Mapping[str, object]) -> bool:
    """Whether GitHub would run a workflow's jobs: each says where, and needs none that is not there."""
    for job in found.values():
        needs = job.get("needs", []) if isinstance(job, dict) else []
        if not isinstance(job, dict) or not {"runs-on", "uses"} & job.keys():
            return False
        if not set([needs] if isinstance(needs, str) else needs) <= found.keys():
            return False
    return True
