"""Stored and told data as typed objects: the one place where msgspec learns a type.

msgspec (0.22) works out a `Struct`'s fields when they are first decoded. Two threads that do so at once share what is half
made, and the interpreter dies of a segmentation fault. So each type is learned under a lock, once; decoding itself is safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_ONE_AT_A_TIME = threading.Lock()
_JSON: dict[object, msgspec.json.Decoder[Any]] = {}
_MSGPACK: dict[object, msgspec.msgpack.Decoder[Any]] = {}
D = TypeVar("D")


def _learned(known: dict[object, D], kind: object, make: Callable[[Any], D]) -> D:
    """The decoder of a type, made once."""
    if kind not in known:
        with _ONE_AT_A_TIME:
            known[kind] = make(kind)
    return known[kind]


def from_json(data: bytes | str, kind: type[T]) -> T:
    """The JSON document as a `kind`; raises `msgspec.DecodeError` for what is none."""
    result: T = _learned(_JSON, kind, msgspec.json.Decoder).decode(data)
    return result


def from_msgpack(data: bytes, kind: type[T]) -> T:
    """The MessagePack document as a `kind`; raises `msgspec.DecodeError` for what is none."""
    result: T = _learned(_MSGPACK, kind, msgspec.msgpack.Decoder).decode(data)
    return result


def convert(value: object, kind: type[T]) -> T:
    """Built-in objects as a `kind`; raises `msgspec.ValidationError`."""
    with _ONE_AT_A_TIME:
        return msgspec.convert(value, kind)


def changed(value: T, **fields: object) -> T:
    """A `Struct` with other values in some fields, which are checked; raises `msgspec.ValidationError`."""
    return convert(msgspec.to_builtins(value) | fields, type(value))
