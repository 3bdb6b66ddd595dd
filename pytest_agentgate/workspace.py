"""Where a run keeps its things: outside every repository, cleaned up after runs that were killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

import platformdirs

from pytest_agentgate.cache import Cache, digest
from pytest_agentgate.errors import UsageError
from pytest_agentgate.git import Checkout

ABANDONED = 600.0
"""Seconds after which a run's folder without a lock belongs to nobody."""


@dataclass(frozen=True)
class Workspace:
    """The folders of one run."""

    root: str
    """The gate's cache folder."""
    run: str
    """This run's own folder."""
    slots: str
    """Persistent trees of this repository."""
    tools: str
    """Caches of tools for this repository."""
    cache: Cache
    note: str = ""
    """Why there is no lasting cache in this run."""


def cache_root(named: str = "") -> str:
    """The gate's cache folder: as named, else the platform's."""
    return os.path.realpath(named or platformdirs.user_cache_dir("agentgate", appauthor=False))


def repository_folder(root: str, checkout: Checkout) -> str:
    """Folder of what is kept for one repository (all linked worktrees of it share it)."""
    return os.path.join(root, "repositories", digest("repository", checkout.common_dir, checkout.top)[:24])


@contextlib.contextmanager
def open_workspace(checkout: Checkout, named: str, *, use_cache: bool) -> Iterator[Workspace]:
    """Make the folders of a run, and remove them again; leftovers of killed runs are removed first."""
    root = cache_root(named)
    for place in (checkout.top, checkout.common_dir):
        if root == place or root.startswith(place + os.sep):
            raise UsageError(
                f"the cache folder {root} lies inside the judged repository",
                hint="name another with --cache-dir: a patch must not reach it",
            )
    note, temporary = "", ""
    try:
        run, lock = _make_run(root)
    except OSError as error:
        note = f"the cache folder {root} cannot be written ({error.strerror}); nothing is kept"
        temporary = root = tempfile.mkdtemp(prefix="agentgate-")
        run, lock = _make_run(root)
    folder = repository_folder(root, checkout)
    try:
        os.makedirs(os.path.join(folder, "tools"), exist_ok=True)
        yield Workspace(
            root,
            run,
            os.path.join(folder, "slots"),
            os.path.join(folder, "tools"),
            Cache(root, enabled=use_cache and not note),
            note,
        )
    finally:
        shutil.rmtree(run, ignore_errors=True)
        if use_cache and not note:
            _prune_daily(Cache(root))
        os.close(lock)
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def _prune_daily(cache: Cache) -> None:
    """Forget old values, once a day."""
    marker = os.path.join(cache.folder, "pruned")
    with contextlib.suppress(OSError):
        if os.path.exists(marker) and abs(time.time() - os.stat(marker).st_mtime) < 24 * 3600:
            return
        with open(marker, "wb"):
            pass
        cache.prune(time.time())


def _make_run(root: str) -> tuple[str, int]:
    """A new folder that is locked as long as this process lives."""
    runs = os.path.join(root, "runs")
    os.makedirs(runs, mode=0o700, exist_ok=True)
    _remove_leftovers(runs)
    folder = tempfile.mkdtemp(prefix="run-", dir=runs)
    fresh = os.path.join(folder, "lock.new")
    lock = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(fresh, os.path.join(folder, "lock"))
    return folder, lock


def _remove_leftovers(runs: str) -> None:
    """Remove folders of runs whose process is gone: the kernel gave their lock back, or they never took one."""
    for name in os.listdir(runs):
        folder = os.path.join(runs, name)
        with contextlib.suppress(OSError):
            if not os.path.exists(os.path.join(folder, "lock")):
                if abs(time.time() - os.stat(folder).st_mtime) > ABANDONED:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
