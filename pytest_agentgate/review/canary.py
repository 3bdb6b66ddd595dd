"""Pieces with an obvious defect, mixed into each request: an answer that misses its canary was not read carefully. Pure."""

from __future__ import annotations

from collections.abc import Collection

from pytest_agentgate.cache import digest
from pytest_agentgate.review.pieces import Piece, Row

CANARIES = (
    ("parity.py", ("def is_even(number: int) -> bool:", '    """Whether the number is even."""', "    return number % 2 == 1")),
    ("extremes.py", ("def largest(values: list[int]) -> int:", '    """The largest of the values."""', "    return min(values)")),
    ("ranges.py", ("def contains(low: int, high: int, x: int) -> bool:", '    """Whether low <= x <= high."""', "    return low <= x and x >= high")),
    ("money.py", ("def total_cents(euros: int, cents: int) -> int:", '    """All of it in cents."""', "    return euros * 10 + cents")),
    ("names.py", ("def full_name(first: str, last: str) -> str:", '    """First name, a space, last name."""', '    return first + " " + first')),
    ("lists.py", ("def without_first(items: list[str]) -> list[str]:", '    """All items but the first."""', "    return items[:-1]")),
    ("clock.py", ("def seconds(hours: int, minutes: int) -> int:", '    """Seconds in so many hours and minutes."""', "    return hours * 3600 + minutes")),
    ("access.py", ("def may_enter(age: int) -> bool:", '    """Only people of 18 years and more may enter."""', "    return age < 18")),
)  # fmt: skip


def canary(key: str, number: int, pieces: int, taken: Collection[str]) -> tuple[Piece, int]:
    """The canary of one request, and where among its pieces it stands; both follow from `key` and rotate with it.

    `key` holds a secret of this machine: whoever writes the change must not know which hunk is planted.

    `taken` are the paths of the change: a canary never has one of them.
    """
    seed = int(digest("canary", key, number)[:12], 16)
    name, code = CANARIES[seed % len(CANARIES)]
    folder = next((p.rpartition("/")[0] for p in sorted(taken) if p.endswith(".py") and "/" in p), "")
    path = f"{folder}/{name}" if folder else name
    while path in taken:
        path = path.removesuffix(".py") + "_2.py"
    first = 10 + seed // 7 % 80
    rows = tuple(Row("+", first + n, text) for n, text in enumerate(code))
    return Piece("", path, first, rows, (), (), ()), seed // 11 % (pieces + 1)
