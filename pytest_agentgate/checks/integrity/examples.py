"""Property tests of hypothesis that are given fewer examples, or none. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.rule import Hit
from pytest_agentgate.checks.integrity.testfiles import tail
from pytest_agentgate.checks.integrity.view import Pair, Source
from pytest_agentgate.syntax import unparsed

PROFILE = "profile "
FEW = 10
"""Examples; with fewer a property test is an example or two."""


def find(pairs: list[Pair]) -> Iterator[Hit]:
    """Settings of the base's tests, or of all of them, that ask for less than before."""
    for pair in pairs:
        if pair.new is None or pair.new.tree is None or b"hypothesis" not in pair.new.data:
            continue
        before = _settings(pair.old)
        known = {f.name for f in pair.old.functions if any(tail(d) == "given" for d in f.decorator_list)} if pair.old else set()
        loaded = " ".join(unparsed(c) for c in pair.new.of(ast.Call) if tail(c) == "load_profile")
        for key, call in _settings(pair.new).items():
            was = before.get(key)
            asked = key.removeprefix(PROFILE) in loaded if key.startswith(PROFILE) else key in known
            if not asked or (was is not None and ast.dump(was) == ast.dump(call)):
                continue
            if words := _fewer(was, call):
                whose = "all property tests" if key.startswith(PROFILE) else key
                yield Hit("integrity/test-weakened", f"{whose} {words}", pair.path, call.lineno, pair.new.line(call.lineno), "hold")


def _settings(source: Source | None) -> dict[str, ast.Call]:
    """Calls of ``settings(...)`` by the test they are for, and of ``register_profile(name, ...)`` by the profile's name."""
    found: dict[str, ast.Call] = {}
    kept = {unparsed(t): n.value for n in source.of(ast.Assign) for t in n.targets} if source else {}
    for node in source.functions if source else ():
        for decorator in node.decorator_list:
            call = kept.get(unparsed(decorator), decorator) if isinstance(decorator, ast.Name) else decorator
            if isinstance(call, ast.Call) and tail(call) == "settings":
                found[node.name] = call
    for call in source.of(ast.Call) if source else ():
        if tail(call) == "register_profile" and call.args:
            found[f"{PROFILE}{unparsed(call.args[0])}"] = call
    return found


def _fewer(was: ast.Call | None, call: ast.Call) -> str:
    """How one call of settings asks for less than another, in words."""
    old, new = ({k.arg: k.value for k in c.keywords} if c else {} for c in (was, call))
    phases = new.get("phases")
    if isinstance(phases, ast.Tuple | ast.List | ast.Set) and "generate" not in unparsed(phases):
        if "phases" not in old or "generate" in unparsed(old["phases"]):
            return "without any new example: the phase `generate` is left out"
    count, known = new.get("max_examples"), old.get("max_examples")
    if isinstance(count, ast.Constant) and type(count.value) is int and count.value < FEW:
        if not (isinstance(known, ast.Constant) and isinstance(known.value, int) and known.value < FEW):
            return f"with {count.value} examples at most"
    return ""
