"""Configuration as meaning: the settings of each tool, from whatever file holds them. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError

from pytest_agentgate.checks.integrity.view import Source
from pytest_agentgate.tables import rows

Settings = Mapping[str, object]
"""Settings of one tool, by key; nested keys are joined by dots."""

INI_SECTIONS = {"pytest": "pytest", "tool:pytest": "pytest", "tox:tox": "tox"}
COVERAGE_SECTIONS = frozenset({"run", "report", "html", "xml", "paths", "lcov", "json"})
WINS = {"pytest.ini": "pytest", ".pytest.ini": "pytest", "mypy.ini": "mypy", ".mypy.ini": "mypy", ".coveragerc": "coverage"}
"""Files that a tool reads instead of the others also where they say nothing."""
TOML = frozenset({"pyproject.toml", "ruff.toml", ".ruff.toml", "pytest.toml", ".pytest.toml", ".coveragerc.toml"})
LISTS = re.compile(r"[\n,]+")

PROGRAMS = frozenset(
    {
        "pytest",
        "py.test",
        "ruff",
        "mypy",
        "coverage",
        "tox",
        "nox",
        "pre-commit",
        "prek",
        "agentgate",
        "pyright",
        "python",
        "python3",
    }
)
"""Commands that judge: installed by the project itself, they would be run instead."""


def settings_of(source: Source | None) -> dict[str, dict[str, object]]:
    """Settings by tool; `unreadable` says why a file could not be read."""
    if source is None:
        return {}
    name = posixpath.basename(source.path)
    try:
        if name in TOML:
            return _of_toml(name, tomllib.loads(source.text))
        if name in ("pytest.ini", ".pytest.ini", "mypy.ini", ".mypy.ini", "setup.cfg", "tox.ini", ".coveragerc", ".flake8"):
            return _of_ini(name, source.text)
    except (tomllib.TOMLDecodeError, ConfigError, UnicodeError, ValueError, RecursionError) as error:
        return {"unreadable": {"why": str(error)}}
    return {}


def _of_toml(name: str, data: dict[str, object]) -> dict[str, dict[str, object]]:
    if name in ("ruff.toml", ".ruff.toml"):
        return {"ruff": flat(data)}
    if name in ("pytest.toml", ".pytest.toml"):
        return {"pytest": flat(data.get("pytest", {}))}
    if name == ".coveragerc.toml":
        return {"coverage": flat(data)}
    tool = data.get("tool", {})
    tool = tool if isinstance(tool, dict) else {}
    found = {t: flat(tool[t]) for t in ("ruff", "coverage", "agentgate") if t in tool}
    if "mypy" in tool:
        found["mypy"] = _mypy(tool["mypy"])
    if "pytest" in tool and isinstance(tool["pytest"], dict):
        found["pytest"] = flat(tool["pytest"].get("ini_options", tool["pytest"]))
    project = data.get("project", {})
    poetry, flit = (tool.get(name, {}) for name in ("poetry", "flit"))
    for place, key in ((project, "entry-points"), (poetry, "plugins"), (flit, "entrypoints")):
        points = place.get(key, {}) if isinstance(place, dict) else {}
        if isinstance(points, dict) and "pytest11" in points:
            found["plugins"] = found.get("plugins", {}) | flat(points["pytest11"])
    scripts = project.get("scripts", {}) if isinstance(project, dict) else {}
    if named := {k: v for k, v in scripts.items() if k in PROGRAMS} if isinstance(scripts, dict) else {}:
        found["plugins"] = {**found.get("plugins", {}), **named}
    return found


def _mypy(table: object) -> dict[str, object]:
    """mypy's table; overrides are keyed by their module patterns."""
    if not isinstance(table, dict):
        return {}
    found = flat({k: v for k, v in table.items() if k != "overrides"})
    for override in (o for o in rows(table.get("overrides")) if isinstance(o, dict)):
        modules = override.get("module", "")
        for module in [modules] if isinstance(modules, str) else rows(modules):
            found |= {f"[{module}].{k}": v for k, v in override.items() if k != "module"}
    return found


def _of_ini(name: str, text: str) -> dict[str, dict[str, object]]:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    found: dict[str, dict[str, object]] = {WINS[name]: {}} if name in WINS else {}
    for section in parser.sections():
        values: dict[str, object] = {k: _value(v) for k, v in parser[section].items()}
        if section in ("pytest", "tool:pytest"):
            found["pytest"] = values
        elif section == "mypy":
            found.setdefault("mypy", {}).update(values)
        elif section.startswith("mypy-"):
            found.setdefault("mypy", {}).update({f"[{m}].{k}": v for m in section[5:].split(",") for k, v in values.items()})
        elif section.startswith("coverage:") or (name == ".coveragerc" and section in COVERAGE_SECTIONS):
            found.setdefault("coverage", {}).update({f"{section.removeprefix('coverage:')}.{k}": v for k, v in values.items()})
        elif section == "flake8":
            found["flake8"] = values
        elif section.startswith("testenv"):
            found.setdefault("tox", {}).update(
                {
                    f"{section}.{k}": v
                    for k, v in values.items()
                    if k in ("commands", "setenv", "set_env", "ignore_outcome", "ignore_errors")
                }
            )
        elif section == "tox":
            names = re.sub(r"\{[^}]*\}", "#", parser[section].get("envlist", parser[section].get("env_list", "")))
            found.setdefault("tox", {})["envlist"] = names
        elif section == "options.entry_points" and "pytest11" in values:
            found["plugins"] = {"pytest11": values["pytest11"]}
    return found


def _value(text: str) -> object:
    lowered = text.strip().lower()
    if lowered in ("true", "yes", "on"):
        return True
    if lowered in ("false", "no", "off"):
        return False
    return text.strip()


def flat(table: object, prefix: str = "") -> dict[str, object]:
    """Nested tables with joined keys."""
    if not isinstance(table, dict):
        return {}
    found: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}".replace("_", "-") if prefix.startswith("lint") else f"{prefix}{key}"] = value
    return found


def words(value: object) -> tuple[str, ...]:
    """A setting that is a list, or lines or commas in a string."""
    if isinstance(value, list | tuple):
        return tuple(str(v).strip() for v in value)
    return tuple(w.strip() for w in LISTS.split(value) if w.strip()) if isinstance(value, str) else ()


NEVER_RUN = frozenset(
    [
        "if0:",
        "ifTYPE_CHECKING:",
        "iftyping.TYPE_CHECKING:",
        "if__name__==.__main__.:",
        "if__name__=='__main__':",
        'if__name__=="__main__":',
        "raiseNotImplementedError",
        "returnNotImplemented",
        "@overload",
        "@typing.overload",
        "@abstractmethod",
        "@abc.abstractmethod",
        "@(abc.)?abstractmethod",
        "@(typing.)?overload",
        "classProtocol:",
        "class.*bProtocol):",
        "pragma:nocover",
        "assert_never",
    ]
)
"""Lines that coverage's own documentation leaves out, without white space and escapes: no test is expected to reach them."""
ELLIPSIS = re.compile(r"\^?(\\s[*+]?)?\\\.\\\.\\\.\s*\$?")
"""``...`` as a pattern has to be escaped: three bare dots are every line."""


def hides(value: object) -> set[str]:
    """What a setting leaves out of coverage, but for lines that no test can reach."""
    return {w for w in words(value) if not ELLIPSIS.fullmatch(w) and re.sub(r"\\s[*+]?|[\\^$\s]", "", w) not in NEVER_RUN}


def flags(value: object) -> list[str]:
    """Command-line flags with their values joined on, so that `-k x` and `-k=x` are the same."""
    try:
        parts = [str(v) for v in value] if isinstance(value, list) else shlex.split(str(value or ""))
    except ValueError:
        parts = str(value).split()
    joined: list[str] = []
    for part in parts:
        if (
            joined
            and not part.startswith("-")
            and re.fullmatch(r"-[a-zA-Z]|--(deselect|ignore|ignore-glob|cov-fail-under)", joined[-1])
        ):
            joined[-1] += f"={part}"
        else:
            joined.append(part)
    return joined
