"""Configuration of the judges, compared as meaning: only what weakens is a finding. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from pytest_agentgate.checks.integrity.beside import FEWER, NOTHING, other_files
from pytest_agentgate.checks.integrity.config_rules import RULES
from pytest_agentgate.checks.integrity.families import fresh
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.settings import Settings, flags, hides, settings_of, words
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.layout import matches, top_modules

HUSHED = re.compile(
    r"(i|ignore|default|once):.*\b(ResourceWarning|PytestWarning|Pytest(Unraisable\w+|UnhandledThread\w+|UnhandledCoroutine\w*|ReturnNotNone\w*|Collection\w+))\b"
)
"""Warnings by which pytest tells what fails beside a test: in a thread, in a finaliser, in a test that is not run."""
HARMLESS = re.compile(
    r"^(-W=?error|-p=?no:(cacheprovider|terminalprogress)|-n.*|--dist.*|--timeout.*|--import-mode.*|--maxfail.*|-x|-m=?.*not.*slow.*|--pythonwarnings=?error)"
)
STRICT = re.compile(
    r"^(--strict|--strict-markers|--strict-config|-W=?error|--cov|--cov-fail-under|--doctest-modules|--doctest-glob)"
)
DEFAULTS: dict[str, set[str]] = {
    "testpaths": set(),
    "python_files": {"test_*.py", "*_test.py"},
    "python_classes": {"Test"},
    "python_functions": {"test"},
}
PRECEDENCE = {
    "pytest": ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"),
    "mypy": ("mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg"),
    "ruff": (".ruff.toml", "ruff.toml", "pyproject.toml"),
    "coverage": (".coveragerc", ".coveragerc.toml", "setup.cfg", "tox.ini", "pyproject.toml"),
}
"""Files in the order in which each tool looks for its configuration at the root."""


def find(view: View) -> Iterator[Hit]:
    """Every setting that judges less than before."""
    if not view.entries["base"]:
        return  # the first commit weakens nothing
    seen: set[tuple[str, object]] = set()
    for pair in view.pairs:
        old, new = settings_of(pair.old), settings_of(pair.new)
        if "unreadable" in new and "unreadable" not in old:
            yield Hit("integrity/config-weakened", f"the file cannot be read: {new['unreadable']['why']}", pair.path)
        for tool, compare in TOOLS.items():
            if tool not in old and tool not in new:
                continue
            before: Settings = old.get(tool, {})
            after: Settings = new.get(tool, {})
            if "/" not in pair.path and tool in PRECEDENCE:
                before, after = (effective(view, side, tool) for side in ("base", "head"))
            key = (tool, "/" in pair.path and pair.path)
            if (before != after or ("/" in pair.path and tool not in old)) and key not in seen:
                seen.add(key)
                yield from compare(before, after, pair, view)
        yield from other_files(pair, view)


def effective(view: View, side: str, tool: str) -> Settings:
    """What a tool would read at the root: the first file in its own order that has anything to say."""
    contents = view.read(side, [n for n in PRECEDENCE[tool] if n in view.entries[side]])
    for name in PRECEDENCE[tool]:
        if name in contents and tool in (found := settings_of(Source(name, contents[name]))):
            return found[tool]
    return {}


def _hit(pair: Pair, key: str, words_: str, rule: str = "config-weakened") -> Hit:
    last = re.sub(r"\[.*\]\.", "", key).rpartition(".")[2]
    line = (
        next((n for n, t in enumerate(pair.new.lines, 1) if re.match(rf"\W*{re.escape(last)}\b", t.strip())), None)
        if pair.new
        else None
    )
    return Hit(f"integrity/{rule}", f"{key}: {words_}", pair.path, line, pair.new.line(line) if pair.new and line else "")


def _pytest(before: Settings, after: Settings, pair: Pair, view: View) -> Iterator[Hit]:
    old, new = flags(before.get("addopts")), flags(after.get("addopts"))
    for flag in new:
        if flag not in old and NOTHING.match(flag):
            yield _hit(pair, "addopts", f"{flag} runs no test at all", "config-runs-nothing")
        elif flag not in old and FEWER.match(flag) and not HARMLESS.match(flag):
            yield _hit(pair, "addopts", f"{flag} was added")
    for flag in old:
        if flag not in new and STRICT.match(flag):
            yield _hit(pair, "addopts", f"{flag} was taken out")
    yield from _narrowed(before, after, pair, view)
    if gained := set(words_of(after.get("norecursedirs"))) - set(words_of(before.get("norecursedirs"))):
        yield _hit(pair, "norecursedirs", f"{', '.join(sorted(gained))} added")
    yield from _warnings(before, after, pair)
    for key in ("xfail_strict", "strict", "strict_markers", "strict_config", "strict_xfail", "empty_parameter_set_mark"):
        if before.get(key) is True and after.get(key) is not True:
            yield _hit(pair, key, "is no longer true")
    for key in ("usefixtures", "pythonpath", "confcutdir", "required_plugins"):
        if before.get(key) != after.get(key) and (key != "pythonpath" or before.get(key) is not None):
            yield _hit(pair, key, "changed")


def _warnings(before: Settings, after: Settings, pair: Pair) -> Iterator[Hit]:
    """Warnings that were errors, and a configuration of its own for a folder."""
    had, has = words(before.get("filterwarnings")), words(after.get("filterwarnings"))
    if "error" in had and ("error" not in has or ("ignore" in has and "ignore" not in had)):
        yield _hit(pair, "filterwarnings", "warnings are no longer errors")
    elif hushed := sorted(w for w in has if w not in had and HUSHED.match(w) and ("error" in had or "Pytest" in w)):
        yield _hit(pair, "filterwarnings", f"what fails in the background is no longer told: {', '.join(hushed)}")
    if "/" in pair.path and pair.change.status == "added":
        yield _hit(pair, "pytest", "a configuration of its own for this folder")


def _narrowed(before: Settings, after: Settings, pair: Pair, view: View) -> Iterator[Hit]:
    """What pytest takes for tests."""
    for key, default in DEFAULTS.items():
        had, has = (set(words_of(s.get(key))) or default for s in (before, after))
        if has >= had if had else not has or _covers_all_tests(has, view):
            continue
        if has:
            yield _hit(pair, key, f"was {sorted(had) or 'the default'}, is {sorted(has)}")


def words_of(value: object) -> tuple[str, ...]:
    """Words of a setting that pytest splits at spaces."""
    return tuple(value.split()) if isinstance(value, str) else words(value)


def _covers_all_tests(folders: set[str], view: View) -> bool:
    tests = [p for p in view.entries["base"] if view.kind(p) == "test" and re.search(r"(^|/)test_[^/]*\.py$|_test\.py$", p)]
    return all(any(p.startswith(f"{f.strip('./')}/") or p == f for f in folders) for p in tests)


MORE = frozenset({"select", "extend-select", "include", "enable", "extend-include"})
LESS = frozenset({"ignore", "extend-ignore", "exclude", "extend-exclude", "external"})


def _ruff(before: Settings, after: Settings, pair: Pair, view: View) -> Iterator[Hit]:
    before, after = ({k.removeprefix("lint."): v for k, v in s.items()} for s in (before, after))
    if "/" in pair.path and not before and pair.change.status == "added":
        yield _hit(pair, "ruff", "a configuration of its own for this folder")
    elif before and not after:
        yield _hit(pair, "ruff", "the configuration was removed")
    added = fresh(before, after)
    for key in dict.fromkeys((*before, *after)) if before and after else ():
        had, has = set(words(before.get(key))), set(words(after.get(key)))
        lost = {w for w in had if not any(w.startswith(prefix) for prefix in has)}
        if key in MORE and lost and "ALL" not in has:
            yield _hit(pair, key, f"{', '.join(sorted(lost))[:200]} taken out")
        elif key in ("extend", "builtins", "dummy-variable-rgx", "logger-objects", "respect-gitignore") and before.get(
            key
        ) != after.get(key):
            yield _hit(pair, key, f"was {before.get(key)}, is {after.get(key)}")
        elif key == "include" and has and not had:
            yield _hit(pair, key, "only these files are looked at")
        elif "per-file-ignores" in key and any(not w.startswith(added) for w in has - had):
            hit = _hit(pair, key, f"{', '.join(sorted(has - had))[:200]} added")
            pattern = key.partition("per-file-ignores.")[2]
            yield (
                hit
                if any(view.kind(p) == "product" and matches(p, (pattern,)) for p in view.entries["head"])
                else replace(hit, effect="note")
            )
        elif key in LESS and (more := {w for w in has - had if "ignore" not in key or not w.startswith(added)}):
            yield _hit(pair, key, f"{', '.join(sorted(more))[:200]} added")


def _mypy(before: Settings, after: Settings, pair: Pair, view: View) -> Iterator[Hit]:
    own = top_modules(view.entries["base"], ("", "src"), view.policy)
    for key in dict.fromkeys((*before, *after)):
        module = re.match(r"\[([^\]]*)\]\.", key)
        mine = module is None or module[1].split(".")[0] in own or module[1].startswith("*")
        name, had, has = key.rpartition(".")[2], before.get(key), after.get(key)
        if had == has or not mine:
            continue
        if name == "strict" or name.startswith(("disallow_", "warn_", "check_", "no_implicit", "strict_", "extra_checks")):
            lost = had is True and has is None and after.get("strict") is not True
            if lost or (has is False and had is not False):
                yield _hit(pair, key, "is switched off")
        elif name.startswith(("allow_", "ignore_", "implicit_")) and has is True:
            yield _hit(pair, key, "is switched on")
        elif name in ("disable_error_code", "exclude") and set(words(has)) - set(words(had)):
            yield _hit(pair, key, f"{', '.join(sorted(set(words(has)) - set(words(had))))} added")
        elif name in ("files", "packages", "modules", "enable_error_code") and set(words(had)) - set(words(has)):
            yield _hit(pair, key, f"{', '.join(sorted(set(words(had)) - set(words(has))))} taken out")
        elif name in (
            "follow_imports",
            "plugins",
            "python_executable",
            "mypy_path",
            "custom_typeshed_dir",
            "always_true",
            "always_false",
        ):
            yield _hit(pair, key, f"was {had}, is {has}")
    if before and not after:
        yield _hit(pair, "mypy", "the configuration was removed")


def _coverage(before: Settings, after: Settings, pair: Pair, view: View) -> Iterator[Hit]:
    for key in dict.fromkeys((*before, *after)):
        had, has = before.get(key), after.get(key)
        name = key.rpartition(".")[2]
        if name == "fail_under" and _number(has) < _number(had):
            yield _hit(pair, key, f"was {had}, is {has}")
        elif name in ("omit", "exclude_lines", "exclude_also", "partial_branches") and hides(has) - set(words(had)):
            yield _hit(pair, key, f"{', '.join(sorted(hides(has) - set(words(had))))[:200]} added")
        elif key in ("run.source", "run.include", "run.source_pkgs", "report.include", "source", "include", "source_pkgs") and (
            set(words(had)) - set(words(has)) or (has and not had and before)
        ):
            yield _hit(pair, key, "narrowed")
        elif name == "branch" and had is True and has is not True:
            yield _hit(pair, key, "is switched off")


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def _any_change(what: str) -> Callable[[Settings, Settings, Pair, View], Iterator[Hit]]:
    def compare(before: Settings, after: Settings, pair: Pair, view: View) -> Iterator[Hit]:
        keys = [k for k in dict.fromkeys((*before, *after)) if before.get(k) != after.get(k)]
        yield _hit(
            pair,
            keys[0] if keys else what,
            f"{what} ({', '.join(keys)[:200]})",
            "gate-reconfigured" if "gate" in what else "config-weakened",
        )

    return compare


def _flake8(before: Settings, after: Settings, pair: Pair, view: View) -> Iterator[Hit]:
    for key in ("ignore", "extend-ignore", "exclude", "per-file-ignores"):
        if set(words(after.get(key))) - set(words(before.get(key))):
            yield _hit(pair, key, "grew")


def _tox(before: Settings, after: Settings, pair: Pair, view: View) -> Iterator[Hit]:
    for key in after:
        if key.endswith(("ignore_outcome", "ignore_errors")) and after[key] is True and before.get(key) is not True:
            yield _hit(pair, key, "failures no longer count")


TOOLS = {
    "tox": _tox,
    "pytest": _pytest,
    "ruff": _ruff,
    "mypy": _mypy,
    "coverage": _coverage,
    "flake8": _flake8,
    "agentgate": _any_change("the gate's own policy changes"),
    "plugins": _any_change("the project registers a plugin of pytest, or a command that is named like a tool which judges"),
}


SET = RuleSet(RULES, find)
