"""pytest's bytecode, where the project's environment holds none.

Sessions write none (what judged code could write, the next would run), so that pytest would be compiled anew in each of them: three
quarters of a short one. uv leaves it out by default, and so do images with ``PYTHONDONTWRITEBYTECODE``.
"""

from __future__ import annotations

import os
import threading

from pytest_agentgate.cache import digest
from pytest_agentgate.protocols import Context, Tree

INSIDE = "/tmp/agentgate-bytecode"  # noqa: S108  # inside the sandbox's own empty /tmp
COMPILE = """
import os, sys
own = tuple(os.path.join(p, "") for p in (sys.prefix, sys.base_prefix))
sys.path[:] = [p for p in sys.path if p.startswith(own)]
sys.meta_path[:] = [f for f in sys.meta_path if isinstance(f, type)]
sys.pycache_prefix = sys.argv[1]
import pytest
"""
"""Imports pytest and what it needs, and nothing from anywhere but the interpreter and its environment: no editable project."""


class Bytecode:
    """One folder for one environment, made when the first session needs it. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context, self._lock = context, threading.Lock()
        self._folder: str | None = None

    def folder(self, tree: Tree) -> str:
        """The folder, which sessions may read; empty where none is needed, or where judged code could write to it."""
        with self._lock:
            if self._folder is None:
                self._folder = self._made(tree) if self._context.trees.sandbox.program and not _compiled(self._context) else ""
        return self._folder

    def _made(self, tree: Tree) -> str:
        """Compile once for an environment as it is; where that fails sessions take their time."""
        context = self._context
        place = os.path.join(context.tool_caches, "bytecode-" + digest(context.interpreter.fingerprint)[:16])
        done = os.path.join(place, "done")
        if not os.path.exists(done):
            os.makedirs(place, exist_ok=True)
            argv = [context.interpreter.executable, "-I", "-c", COMPILE, tree.where({place: INSIDE})[place]]
            if tree.run(argv, writable={place: INSIDE}, timeout=60).returncode:
                return ""
            with open(done, "wb"):
                pass
        return place


def _compiled(context: Context) -> bool:
    """Whether the environment holds pytest's bytecode, or no pytest."""
    places = [os.path.join(p, "_pytest") for p in context.interpreter.paths]
    return not any(os.path.isdir(p) for p in places) or any(os.path.isdir(os.path.join(p, "__pycache__")) for p in places)
