"""The command that shows a test's failure again, outside the gate."""

from __future__ import annotations

from pytest_agentgate.protocols import Context
from pytest_agentgate.text import command


def repeat(context: Context, node_id: str, *, own: bool) -> str:
    """A shell command for the user's checkout.

    Where the patch changed what the base's tests are made of, they run in a tree of their own: the checkout holds the
    patch's version, in which the very same test can pass.
    """
    run = command("python", "-m", "pytest", node_id)
    if own or context.trees.entries("head+base-tests") == context.trees.entries("head"):
        return run
    change = context.change
    flags = {"commit": f" --head {change.head[:12]}", "staged": " --staged", "patch": " --patch FILE"}.get(change.source, "")
    return f"agentgate tree /tmp/judged --base {change.base[:12]}{flags} && cd /tmp/judged && {run}"
