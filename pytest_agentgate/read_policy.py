"""Reads the law: ``[tool.agentgate]`` of the base's ``pyproject.toml``, and the caller's task file."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, TypeVar, get_args, get_origin

import msgspec

from pytest_agentgate.cache import digest
from pytest_agentgate.decode import convert
from pytest_agentgate.errors import PolicyError, UsageError
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


def base_files(store: Store, change: Change, names: Iterable[str]) -> dict[str, bytes]:
    """Those files of the base that exist."""
    return files_of(store, change, "base", names)


def files_of(store: Store, change: Change, side: str, names: Iterable[str]) -> dict[str, bytes]:
    """Those files of the base or the head that exist."""
    known = store.entries(change.base_tree if side == "base" else change.head_tree)
    found = {n: known[n].oid for n in names if n in known and known[n].mode.startswith("100")}
    contents = dict(store.blobs(found.values())) if found else {}
    return {name: contents[oid] for name, oid in found.items()}


def refuse_tracked(python: str, top: str, change: Change, store: Store) -> None:
    """Refuse an interpreter that the judged tree could bring along; raises `UsageError` before anything of it runs."""
    for path in {os.path.abspath(python), os.path.realpath(python)}:
        relative = os.path.relpath(path, top)
        if relative.startswith(".."):
            continue
        folder = relative.rpartition("/bin/")[0] or relative
        for tree in (change.base_tree, change.head_tree):
            if store.git.run("ls-tree", "-r", "--name-only", tree, "--", folder, relative).strip():
                raise UsageError(
                    f"the interpreter {python} is part of the judged tree", hint="name one that git does not track, with --python"
                )


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


MYPY_FILES = ("mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg")


def named_programs(policy: Policy, files: Mapping[str, bytes], known: Collection[str]) -> tuple[str, ...]:
    """Files of the base that judge: scripts that commands of the policy name, and plugins of mypy."""
    names = [a.removeprefix("./") for c in policy.command for a in (*c.argv, *c.version)]
    for name in MYPY_FILES:
        text = files.get(name, b"").decode("utf-8", "replace")
        for match in re.finditer(r"(?m)^plugins\s*=\s*(\[[^\]]*\]|[^\n]*(?:\n[ \t]+[^\n]*)*)", text):
            words = [w.partition(":")[0].removeprefix("./") for w in re.findall(r"[\w./:-]+", match[1])]
            names += [f for w in words for f in (w, w.replace(".", "/") + ".py", w.replace(".", "/") + "/__init__.py")]
    return tuple(n for n in dict.fromkeys(names) if n in known)


def _toml(text: bytes, place: str) -> dict[str, object]:
    try:
        return tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"{place} is not valid TOML: {error}") from error


def _convert(table: object, kind: type[T], place: str, prefix: str) -> T:
    try:
        return convert(table, kind)
    except msgspec.ValidationError as error:
        raise PolicyError(_explain(str(error), kind, place, prefix)) from error


def _explain(message: str, kind: type, place: str, prefix: str) -> str:
    """Turn msgspec's words into: key, place, what is wrong, nearest valid name."""
    what, _, path = message.partition(" - at `$")
    where = ".".join(p for p in (prefix, path.rstrip("`").lstrip(".")) if p) or "the top level"
    keys = re.findall(r"\.(\w+)", path)
    unknown = re.search(r"contains unknown field `(.*)`", what)
    if not unknown:
        return f"{place}: {where}: {what[0].lower()}{what[1:]}{_choices(what, kind, keys)}"
    names = _keys_at(kind, keys)
    return f"{place}: {where} has no key {unknown[1]!r}{nearest(unknown[1], names)}"


def _choices(what: str, kind: object, path: Sequence[str]) -> str:
    """The values that a key takes, where it takes one of a few; with the one that was probably meant."""
    wrong = re.fullmatch(r"Invalid enum value '(.*)'", what)
    for name in path:
        fields = {f.name: f.type for f in msgspec.structs.fields(kind)} if hasattr(kind, "__struct_fields__") else {}  # type: ignore[arg-type]  # checked by hasattr
        kind = fields.get(name, kind)
        kind = next((a for a in get_args(kind) if hasattr(a, "__struct_fields__")), kind)
    values = [str(v) for a in (kind, *get_args(kind)) if get_origin(a) is Literal for v in get_args(a)]
    return nearest(wrong[1], values) if wrong and values else ""


def _keys_at(kind: object, path: Iterable[str]) -> list[str]:
    """Valid keys of the struct that `path` leads to."""
    for name in path:
        for field in msgspec.structs.fields(kind):  # type: ignore[arg-type]  # walks Struct types only
            if field.name == name:
                inner = getattr(field.type, "__args__", (field.type,))[0]
                kind = inner if hasattr(inner, "__struct_fields__") else field.type
    return [f.name for f in msgspec.structs.fields(kind)] if hasattr(kind, "__struct_fields__") else []  # type: ignore[arg-type]  # checked by hasattr


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the name that was probably meant; empty where none is close."""
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
    limits = [(f"limits.{f}", getattr(policy.limits, f)) for f in policy.limits.__struct_fields__]
    for key, value in (*limits, ("tests.reruns", policy.tests.reruns)):
        if isinstance(value, int | float) and value < 0:
            raise PolicyError(f"{place}: {TABLE}.{key} is {value}; it takes 0 or more")
    names = [c.name for c in policy.command]
    for entry in policy.command:
        if not entry.argv:
            raise PolicyError(f"{place}: {TABLE}.command {entry.name!r} has an empty argv", hint="name a program and its arguments")
        if names.count(entry.name) > 1:
            raise PolicyError(f"{place}: {TABLE}.command has two entries of the name {entry.name!r}", hint="rename one")
    if not re.fullmatch(r"\d+|auto", policy.tests.workers):
        raise PolicyError(f"{place}: {TABLE}.tests.workers is {policy.tests.workers!r}; it takes a number or 'auto'")

    for item in policy.review.block_on:
        if not re.fullmatch(r"E[1-4](:(high|medium|low))?", item):
            raise PolicyError(
                f"{place}: {TABLE}.review.block_on names {item!r}", hint="a level E1 to E4, or a level and a severity: 'E3:high'"
            )


def check_names(policy: Policy, checks: Iterable[str], rules: Iterable[str], place: str) -> None:
    """Refuse names of checks and rules that nobody provides; `rules` may hold patterns such as ``ruff/*``."""
    checks, rules = list(checks), list(rules)
    own = [c.name for c in policy.command]
    for key, names in (("checks", policy.checks), ("hook_checks", policy.hook_checks), ("may_skip", policy.may_skip)):
        for name in names:
            if name not in (*checks, *own):
                raise PolicyError(f"{place}: {TABLE}.{key} names the check {name!r}{nearest(name, [*checks, *own])}")
    if not policy.checks:
        raise PolicyError(f"{place}: {TABLE}.checks is empty", hint="a gate without checks lets everything through")
    tables = [("effects", policy.effects)] + [(f"overrides[{i}].effects", o.effects) for i, o in enumerate(policy.overrides)]
    for key, effects in tables:
        for rule in effects:
            if not known_rule(rule, [*rules, *(f"{c}/*" for c in own)]):
                raise PolicyError(f"{place}: {TABLE}.{key} names the rule {rule!r}{nearest(rule, rules)}")


def check_approvals(approvals: Iterable[str], rules: Collection[str]) -> None:
    """Raise `UsageError` for an approval of a rule that nobody provides."""
    for rule in (a.partition(":")[0] for a in approvals):
        if not known_rule(rule, rules):
            raise UsageError(f"--approve names the rule {rule!r}{nearest(rule, rules)}")


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
