"""Reads the law: ``[tool.agentgate]`` of the base's ``pyproject.toml``, and the caller's task file."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from pytest_agentgate.cache import digest
from pytest_agentgate.errors import PolicyError
from pytest_agentgate.model import Change, Policy, PolicyValue, Task
from pytest_agentgate.store import Store

T = TypeVar("T")
TABLE = "tool.agentgate"
SECRET = re.compile(
    r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|COOKIE|^AWS_|^AZURE_|^GOOGLE_|^ANTHROPIC_|^OPENAI_", re.IGNORECASE
)


def read_policy(store: Store, change: Change) -> Policy:
    """The policy of the base; raises `PolicyError` naming key, place and nearest valid name."""
    return parse_policy(policy_text(store, change.base_tree), f"pyproject.toml at the base {change.base[:12]}")


def policy_text(store: Store, tree: str) -> bytes:
    """``pyproject.toml`` of a tree; empty where there is none."""
    done = store.git.attempt("ls-tree", "-z", tree, "pyproject.toml")
    row = done.stdout.split(b"\0")[0]
    if not row.startswith(b"100"):
        return b""
    return store.blob(row.split(b"\t")[0].split(b" ")[2].decode())


def parse_policy(text: bytes, place: str) -> Policy:
    """Parse the table out of a ``pyproject.toml``; `place` is for error messages."""
    table: object = _toml(text, place)
    for part in TABLE.split("."):
        table = table.get(part, {}) if isinstance(table, Mapping) else {}
    policy = _convert(table, Policy, place, TABLE)
    _check_values(policy, place)
    return policy


def read_task(path: str, top: str) -> Task:
    """The task file named with ``--task``; it must lie outside the checkout, where no patch can reach it."""
    real = os.path.realpath(path)
    if real == top or real.startswith(os.path.realpath(top) + os.sep):
        raise PolicyError(f"the task file {path} lies inside the judged checkout", hint="keep it where no patch can edit it")
    try:
        with open(path, "rb") as stream:
            text = stream.read()
    except OSError as error:
        raise PolicyError(f"cannot read the task file {path}: {error.strerror}") from error
    return _convert(_toml(text, path), Task, path, "")


def _toml(text: bytes, place: str) -> dict[str, object]:
    try:
        return tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{place} is not valid TOML: {error}") from error


def _convert(table: object, kind: type[T], place: str, prefix: str) -> T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise PolicyError(_explain(str(error), kind, place, prefix)) from error


def _explain(message: str, kind: type, place: str, prefix: str) -> str:
    """Turn msgspec's words into: key, place, what is wrong, nearest valid name."""
    what, _, path = message.partition(" - at `$")
    where = ".".join(p for p in (prefix, path.rstrip("`").lstrip(".")) if p) or "the top level"
    unknown = re.search(r"contains unknown field `(.*)`", what)
    if not unknown:
        return f"{place}: {where}: {what[0].lower()}{what[1:]}"
    names = _keys_at(kind, re.findall(r"\.(\w+)", path))
    return f"{place}: {where} has no key {unknown[1]!r}{_nearest(unknown[1], names)}"


def _keys_at(kind: object, path: Iterable[str]) -> list[str]:
    """Valid keys of the struct that `path` leads to."""
    for name in path:
        for field in msgspec.structs.fields(kind):  # type: ignore[arg-type]  # walks Struct types only
            if field.name == name:
                inner = getattr(field.type, "__args__", (field.type,))[0]
                kind = inner if hasattr(inner, "__struct_fields__") else field.type
    return [f.name for f in msgspec.structs.fields(kind)] if hasattr(kind, "__struct_fields__") else []  # type: ignore[arg-type]  # checked by hasattr


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; valid are {', '.join(sorted(known))}"


def _check_values(policy: Policy, place: str) -> None:
    for name in policy.environment:
        if SECRET.search(name):
            raise PolicyError(
                f"{place}: {TABLE}.environment names {name}, which looks like a secret",
                hint="no secret may reach code under judgement",
            )
    if not re.fullmatch(r"\d+|auto", policy.tests.workers):
        raise PolicyError(f"{place}: {TABLE}.tests.workers is {policy.tests.workers!r}; it takes a number or 'auto'")


def check_names(policy: Policy, checks: Iterable[str], rules: Iterable[str], place: str) -> None:
    """Refuse names of checks and rules that nobody provides; `rules` may hold patterns such as ``ruff/*``."""
    checks, rules = list(checks), list(rules)
    own = [c.name for c in policy.command]
    for key, names in (("checks", policy.checks), ("hook_checks", policy.hook_checks), ("may_skip", policy.may_skip)):
        for name in names:
            if name not in (*checks, *own):
                raise PolicyError(f"{place}: {TABLE}.{key} names the check {name!r}{_nearest(name, [*checks, *own])}")
    if not policy.checks:
        raise PolicyError(f"{place}: {TABLE}.checks is empty", hint="a gate without checks lets everything through")
    tables = [("effects", policy.effects)] + [(f"overrides[{i}].effects", o.effects) for i, o in enumerate(policy.overrides)]
    for key, effects in tables:
        for rule in effects:
            if not known_rule(rule, [*rules, *(f"{c}/*" for c in own)]):
                raise PolicyError(f"{place}: {TABLE}.{key} names the rule {rule!r}{_nearest(rule, rules)}")


def known_rule(rule: str, rules: Iterable[str]) -> bool:
    """Whether a rule id, ``check/*`` or ``*`` stands for a rule that somebody provides."""
    check, slash, name = rule.partition("/")
    if rule == "*":
        return True
    return any(rule == r or (slash and r.partition("/")[0] == check and (name == "*" or r.endswith("/*"))) for r in rules)


def policy_digest(policy: Policy, task: Task | None) -> str:
    """Digest of everything that steers the checks besides the trees."""
    return digest("policy", msgspec.json.encode(policy, order="sorted"), msgspec.json.encode(task))


def effective(policy: Policy, text: bytes, place: str) -> tuple[PolicyValue, ...]:
    """Every setting with its value and whether the base or the default set it."""
    table: object = _toml(text, place)
    for part in TABLE.split("."):
        table = table.get(part, {}) if isinstance(table, Mapping) else {}
    return tuple(_values(msgspec.to_builtins(policy), table, "", place))


def _values(value: object, table: object, key: str, place: str) -> Iterable[PolicyValue]:
    if isinstance(value, dict) and key != "effects":
        for name, inner in value.items():
            given = table.get(name) if isinstance(table, Mapping) else None
            yield from _values(inner, given, f"{key}.{name}".lstrip("."), place)
    else:
        yield PolicyValue(key=key, value=value, origin=place if table is not None else "default")
