"""Families of ruff's rules that a patch selects anew: what it says about them takes nothing away. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_agentgate.checks.integrity.settings import words

OPTIONS = {
    "flake8-annotations": "ANN", "flake8-bandit": "S", "flake8-boolean-trap": "FBT", "flake8-bugbear": "B", "flake8-builtins": "A",
    "flake8-comprehensions": "C4", "flake8-copyright": "CPY", "flake8-errmsg": "EM", "flake8-gettext": "INT",
    "flake8-implicit-str-concat": "ISC", "flake8-import-conventions": "ICN", "flake8-pytest-style": "PT", "flake8-quotes": "Q",
    "flake8-self": "SLF", "flake8-tidy-imports": "TID", "flake8-type-checking": "TC", "flake8-unused-arguments": "ARG",
    "isort": "I", "mccabe": "C90", "pep8-naming": "N", "pycodestyle": "E", "pydoclint": "DOC", "pydocstyle": "D", "pyflakes": "F",
    "pylint": "PL", "pyupgrade": "UP", "ruff": "RUF",
}  # fmt: skip
"""Tables of options in ruff's configuration, with the family that reads each."""


def fresh(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """Families that only the head selects, as settings of ruff without their ``lint.`` say.

    None where the base selected all, or ruff's own choice, and no family of which the base selected a part.
    """
    old, new = ({w for k in ("select", "extend-select") for w in words(s.get(k))} for s in (before, after))
    if not old or "ALL" in old:
        return ()
    return tuple(w for w in new - old if not w.startswith(tuple(old)) and not any(o.startswith(w) for o in old))


def about(key: str, had: object, has: object, families: tuple[str, ...]) -> bool:
    """Whether a setting that changed says something new about these families alone: what is ignored of them, or their options."""
    if not families:
        return False
    table, _, _ = key.partition(".")
    if "ignore" in key:
        more = set(words(has)) - set(words(had))
        return set(words(had)) <= set(words(has)) and all(w.startswith(families) for w in more)
    return had is None and any(f.startswith(OPTIONS.get(table, "?")) or OPTIONS.get(table, "?").startswith(f) for f in families)
