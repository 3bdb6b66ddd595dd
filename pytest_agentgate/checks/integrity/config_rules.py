"""The texts of the configuration rules: one page each."""

from __future__ import annotations

from pytest_agentgate.model import Effect
from pytest_agentgate.rulebook import Example, Rule

_BASE = {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-q"\n', "calc.py": "X = 1\n"}


def _rule(name: str, effect: Effect, title: str, why: str, path: str, bad: str, good: str, instead: str) -> Rule:
    return Rule(f"integrity/{name}", effect, title, why, Example(_BASE, {path: bad}), Example(_BASE, {path: good}), instead)


APPROVE = "The base's configuration judges the patch in any case. A human allows the change: `--approve {}:PATH`."
RULES = (
    _rule("config-weakened", "hold", "A configuration judges less than before",
          "Tests that are deselected and rules that are ignored find nothing, from the next patch on.",
          "pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-q --deselect test_calc.py::test_mean"\n',
          '[tool.pytest.ini_options]\naddopts = "-q --strict-markers"\n', APPROVE.format("integrity/config-weakened")),
    _rule("config-runs-nothing", "reject", "A configuration makes pytest run no test",
          "`--collect-only` and its like end with success whatever the code does.",
          "pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-q --collect-only"\n',
          '[tool.pytest.ini_options]\naddopts = "-q -ra"\n', "Take the flag out; give it on the command line where you need it."),
    _rule("gate-reconfigured", "hold", "The gate's own policy is changed",
          "The patch is judged by the base's policy; the next one would be judged by this.",
          "pyproject.toml", _BASE["pyproject.toml"] + '\n[tool.agentgate]\nmay_skip = ["pytest"]\n',
          _BASE["pyproject.toml"] + "\n[tool.other]\nx = 1\n", APPROVE.format("integrity/gate-reconfigured")),
    _rule("attributes-hide", "hold", "Attributes of git hide what a file holds",
          "A file marked as binary or generated is not shown in diffs and reviews.",
          ".gitattributes", "*.py -diff\n", "*.sh eol=lf\n", APPROVE.format("integrity/attributes-hide")),
    _rule("ignore-hides", "hold", "A tracked file is ignored",
          "ruff and other tools skip what an ignore file names.",
          ".gitignore", "calc.py\n", "build/\n", APPROVE.format("integrity/ignore-hides")),
)  # fmt: skip
