"""Settings in which a value is of another type than everybody expects: no rule may break over one."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pytest_agentgate.base_tests import pytest_table, words_of
from pytest_agentgate.checks.integrity.check import BUILT_IN
from pytest_agentgate.checks.integrity.view import view_of
from pytest_agentgate.checks.mypy.imports import _patterns

PYPROJECT = {
    "build-system": {"requires": ["hatchling"], "backend-path": ["."]},
    "project": {"dependencies": ["attrs"], "scripts": {"calc": "calc:main"}, "entry-points": {"pytest11": {"calc": "calc"}}},
    "dependency-groups": {"dev": ["pytest", {"include-group": "x"}]},
    "tool": {
        "ruff": {"exclude": ["a"], "lint": {"select": ["E"], "per-file-ignores": {"tests/*": ["F401"]}}},
        "mypy": {"files": ["calc.py"], "overrides": [{"module": ["a.*"], "ignore_missing_imports": True}]},
        "pytest": {"ini_options": {"addopts": ["-q"], "filterwarnings": ["error"]}},
        "coverage": {"run": {"omit": ["x"]}, "report": {"fail_under": 90}},
        "agentgate": {"overrides": [{"paths": ["a"], "effects": {"integrity/x": "note"}}]},
        "poetry": {"dependencies": {"b": {"path": "../b"}}, "group": {"dev": {"dependencies": {"y": "1"}}}, "plugins": {"pytest11": {"a": "b"}}},
        "uv": {"sources": {"a": {"git": "x"}}, "override-dependencies": ["q"]},
        "pdm": {"dev-dependencies": {"test": ["r"]}, "build": {"custom-hook": "x.py"}},
        "hatch": {"envs": {"default": {"dependencies": ["pytest"], "scripts": {"test": "pytest"}}}, "build": {"hooks": {"custom": {"path": "x.py"}}}},
        "setuptools": {"cmdclass": {"build": "x.y"}, "data-files": {"x": ["a.pth"]}},
        "tox": {"env": {"py": {"commands": [["pytest"]]}}},
    },
}  # fmt: skip
WORKFLOW = {
    "on": {"push": {"branches": ["main"]}},
    "permissions": {"contents": "read"},
    "jobs": {"test": {"strategy": {"matrix": {"python": ["3.11"]}}, "steps": [{"uses": "actions/checkout@v4", "with": {"ref": "x"}}, {"run": "pip install attrs", "env": {"A": "b"}}]}},
}  # fmt: skip
HOOKS = {
    "repos": [{"repo": "local", "hooks": [{"id": "x", "args": ["-q"], "additional_dependencies": ["attrs"]}]}],
    "ci": {"skip": ["x"]},
}
CONDA = {"dependencies": ["python", {"pip": ["attrs"]}]}
ODD: tuple[Any, ...] = ("x", 1, [{"a": {"b": 1}}])


def toml(data: dict[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(k)} = {text(v)}" for k, v in value.items()) + "}"
        return "[" + ", ".join(map(text, value)) + "]" if isinstance(value, list) else json.dumps(value)

    return "".join(f"{json.dumps(k)} = {text(v)}\n" for k, v in data.items())


def containers(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all tables and lists below the first."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        if isinstance(value, dict | list):
            yield (*at, key)
            yield from containers(value, (*at, key))


def odd(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings with one container replaced."""
    for at in containers(data):
        for value in ODD:
            changed: Any = copy.deepcopy(data)
            place = changed
            for key in at[:-1]:
                place = place[key]
            place[at[-1]] = value
            yield changed


@pytest.mark.parametrize(
    ("path", "data", "write"),
    [
        ("pyproject.toml", PYPROJECT, toml),
        (".github/workflows/ci.yml", WORKFLOW, yaml.safe_dump),
        (".pre-commit-config.yaml", HOOKS, yaml.safe_dump),
        ("environment.yml", CONDA, yaml.safe_dump),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_no_rule_breaks_over_a_value_of_an_odd_type(path: str, data: dict[str, Any], write: Any):
    plain = {"calc.py": "x = 1\n", "test_calc.py": "def test_x():\n    assert True\n"}
    good, count = write(data), 0
    for bad in map(write, odd(data)):
        for base, head in ((bad, good), (good, bad)):
            view = view_of({**plain, path: base}, {path: head})
            assert isinstance([h for s in BUILT_IN for h in s.find(view)], list), bad
            count += 1
    assert count > 10


def test_settings_of_an_odd_type_are_none():
    for data in odd(PYPROJECT):
        text = toml(data).encode()
        section = pytest_table({"pyproject.toml": text})
        assert all(isinstance(w, str) for key in section for w in words_of(section, key))
        assert all(isinstance(p, str) for p in _patterns(text))
    assert pytest_table({"pyproject.toml": b"tool = 1\n", "pytest.ini": b"[pytest]\naddopts = -q\n"}) == {"addopts": "-q"}
