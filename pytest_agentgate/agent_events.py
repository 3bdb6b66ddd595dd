"""What coding agents tell their hooks: events, and the paths that a tool is about to edit."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import msgspec

PATCHED = re.compile(r"^[ \t]*\*\*\*[ \t]*(?:(?:Add|Update|Delete) File|Move to):(.+)$", re.MULTILINE)
"""Markers of a Codex patch; Codex takes them with white space around them."""
LARGEST_EVENT = 64_000_000
"""Bytes of a hook's event."""


class Event(msgspec.Struct, frozen=True):
    """What an agent tells its hook; other keys are ignored."""

    session_id: str = ""
    cwd: str = ""
    tool_input: object = None
    stop_hook_active: object = False
    """Whether the agent goes on because a stop was blocked already."""


def read_event(data: bytes) -> Event:
    """An event of whatever types; raises `ValueError` or `TypeError` where it is no JSON object. Half a surrogate, which JSON can hold, hides nothing."""
    found = json.loads(data or b"{}")
    if not isinstance(found, dict):
        raise TypeError("it is no object")
    names = {k: str(v) for k in ("session_id", "cwd") if (v := found.get(k))}
    return Event(**names, tool_input=found.get("tool_input"), stop_hook_active=found.get("stop_hook_active"))


def places(told: Event, top: str) -> Iterator[str]:
    """Absolute paths of what a tool is about to edit: by its name, and by where links lead."""
    names = []
    for key, text in _strings(told.tool_input):
        names += [text] if key in ("file_path", "notebook_path", "path") else []
        names += PATCHED.findall(text)
    for name in names:
        full = os.path.normpath(os.path.join(told.cwd or top, os.path.expanduser(name.strip())))
        yield from dict.fromkeys((full, os.path.realpath(full)))


def _strings(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a tool's input, at any depth, with the key that it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)


def paths(told: Event, top: str) -> Iterator[str]:
    """The same, relative to the repository, as far as they are in it."""
    for full in places(told, top):
        for root in dict.fromkeys((top, os.path.realpath(top))):
            if full.startswith(root + os.sep):
                yield os.path.relpath(full, root)
