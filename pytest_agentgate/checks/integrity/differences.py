"""Two versions of structured data, compared as meaning: what came, went and changed, and where. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

VERSION = re.compile(
    r"(?<![\w.-])[v=]?\d+(\.(\d+|x|\*))*([.-]?(a|b|c|rc|dev|post|alpha|beta|t)\.?-?\d*)*(?![\w.])|\b[0-9a-f]{40}\b"
)
NAMES = ("id", "uses", "repo", "name", "key", "task", "run", "script")
"""Keys by which an item of a list is known to be the same item in another version, in this order."""


@dataclass(frozen=True)
class Difference:
    """One place at which two versions differ; `old` or `new` is None where the place is new, or gone."""

    place: tuple[str, ...]
    """Keys that lead there; items of a list by their name."""
    old: object
    new: object

    @property
    def key(self) -> str:
        """The last key."""
        return self.place[-1] if self.place else ""


def differences(old: object, new: object, place: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Every difference, as deep as both sides have the same shape. Lists of plain values are compared as sets."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        before, after = ({_word(k): v for k, v in side.items()} for side in (old, new))
        for key in dict.fromkeys((*before, *after)):
            yield from differences(before.get(key), after.get(key), (*place, key))
    elif _table(old) and _table(new):
        before, after = _named(old), _named(new)
        for key in dict.fromkeys((*before, *after)):
            yield from differences(before.get(key), after.get(key), (*place, key))
    elif isinstance(old, list) and isinstance(new, list):
        had, has = ([_text(v) for v in side] for side in (old, new))
        yield from (Difference(place, v, None) for v, text in zip(old, had, strict=True) if text not in has)
        yield from (Difference(place, None, v) for v, text in zip(new, has, strict=True) if text not in had)
    else:
        yield Difference(place, old, new)


def _word(key: object) -> str:
    """A key as it was written: YAML 1.1 reads the word ``on`` as true."""
    return "on" if key is True else str(key)


def _table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and any(isinstance(v, Mapping) for v in value)


def _text(value: object) -> str:
    return json.dumps(_plain(value), sort_keys=True, default=str)


def _plain(value: object) -> object:
    """The value with words for keys, which sort."""
    if isinstance(value, Mapping):
        return {_word(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _named(items: object) -> dict[str, object]:
    """Items of a list by their name; the second of a name gets a number."""
    found: dict[str, object] = {}
    for item in items if isinstance(items, list) else []:
        name = _name(item)
        number = sum(1 for known in found if known.partition("#")[0] == name)
        found[f"{name}#{number}" if number else name] = item
    return found


def _name(item: object) -> str:
    if not isinstance(item, Mapping):
        return _text(item)
    for key in NAMES:
        if isinstance(value := item.get(key), str):
            value = "ruff-check" if value == "ruff" else value  # upstream's new name of its hook
            return f"{key} {value.partition('@')[0].strip() if key == 'uses' else value.strip()}".replace("#", "")
    return _text(item)


def same_but_versions(old: object, new: object) -> bool:
    """Whether two values differ in nothing but the versions that they name."""
    before, after = (VERSION.sub("#", _text(v)) for v in (old, new))
    return before == after


def only_versions(value: object) -> bool:
    """Whether a value is a version and nothing else (``3.9``, ``py39``, ``pypy3.10``)."""
    return re.fullmatch(r"(c?py(py|thon)?-?)?v?\d+(\.(\d+|x|\*))*[-.\w]*", str(value).strip()) is not None


def lines_of(value: object) -> list[str]:
    """Commands of a string or list, without comments and blank lines; lines that end in a backslash are joined."""
    parts: Sequence[object] = value if isinstance(value, list) else [value or ""]
    text = re.sub(r"\\\n\s*", " ", "\n".join(str(p) for p in parts))
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def older(old: object, new: object) -> bool:
    """Whether `new` names a lower version than `old`, by their numbers; False where one of them has none."""
    had, has = ([int(n) for n in re.findall(r"\d{1,8}", str(v))] for v in (old, new))
    return bool(had and has) and has < had


def halved(old: object, new: object) -> bool:
    """Whether any list of plain values lost more than half of them, however deep it is."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return any(halved(v, new.get(k)) for k, v in old.items())
    return isinstance(old, list) and isinstance(new, list) and not _table(old) and 2 * len(new) < len(old)
