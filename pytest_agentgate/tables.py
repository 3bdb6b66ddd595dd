"""Settings as files hold them, where a value can be of any type. Pure."""

from __future__ import annotations

from typing import Any


def table_of(data: object, *keys: str) -> dict[str, Any]:
    """The table below some keys; empty where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def rows(data: object) -> list[Any]:
    """A value that is to be a list; empty where it is none."""
    return data if isinstance(data, list) else []
