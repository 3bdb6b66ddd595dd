"""Every command and code block of README and docs is executed; generated pages are what their data says."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import Repo, findings, policy

from pytest_agentgate.cli import SUBCOMMANDS, parser
from pytest_agentgate.demo import HONEST, HONEST_TESTS, PRODUCT, PYPROJECT, TESTS
from pytest_agentgate.plugins import Plugins
from pytest_agentgate.read_policy import check_names, parse_policy, read_task
from pytest_agentgate.resolve import Source

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(page.name, info.strip(), text) for page in PAGES for info, text in BLOCK.findall(page.read_text())]
KNOWN = {"yaml workflow", "sh", "sh setup", "sh benchmarks", "toml", "yaml", "python"}


def blocks(info: str) -> list[tuple[str, str]]:
    return [(page, text) for page, kind, text in BLOCKS if kind == info]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_examples_in_the_help_of_a_command_are_its_own(name: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parser().parse_args([name, "--help"])
    shown = [line.strip() for line in capsys.readouterr().out.partition("examples:\n")[2].splitlines()]
    assert shown
    for line in shown:
        words = shlex.split(line.rpartition("| ")[2].removeprefix('eval "$(').removesuffix(')"'))
        assert words[:2] == ["agentgate", name] and parser().parse_args(words[1:]).command == name


def test_every_block_is_of_a_kind_that_is_executed():
    assert {info for _, info, _ in BLOCKS} <= KNOWN


def test_setup_commands_are_what_ci_runs():
    ci = (ROOT / ".ci/run").read_text()
    for _, text in blocks("sh setup"):
        assert text.strip() in ci


def test_the_benchmark_command_is_understood():
    for _, text in blocks("sh benchmarks"):
        argv = [sys.executable, *text.split()[1:], "--help"]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "--write" in done.stdout, text


SESSION = "tutorial.md"
"""A page whose commands are one session; on all others each block stands for itself."""
COMMANDS = [b for b in blocks("sh") if b[0] != SESSION] + [
    (SESSION, "".join(text for page, text in blocks("sh") if page == SESSION))
]


@pytest.mark.parametrize(("page", "text"), COMMANDS, ids=lambda v: v.split("\n")[0][:40])
def test_commands_run(repo: Repo, page: str, text: str):
    """In a repository with a topic branch (an honest fix) and a spec branch (a changed expectation)."""
    repo.commit({"pyproject.toml": PYPROJECT, "purse.py": PRODUCT, "test_purse.py": TESTS})
    repo.git("checkout", "-qb", "topic")
    repo.commit({"purse.py": HONEST, "test_purse.py": HONEST_TESTS})
    repo.git("checkout", "-qb", "spec", "main")
    repo.commit(
        {
            "purse.py": PRODUCT.replace("sum(coins)", "sum(coins, 1)"),
            "test_purse.py": TESTS.replace("== 8", "== 9").replace("== 3", "== 10 / 3"),
        }
    )
    repo.git("checkout", "-q", "main")
    repo.write(**{"purse.py": HONEST})
    repo.git("add", "purse.py")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "AGENTGATE_", "PYTEST_", "CI", "GITHUB_"))}
    env |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AGENTGATE_CACHE_DIR": str(repo.cache),
        "AGENTGATE_PYTHON": repo.python,
    }
    for line in text.strip().splitlines():
        done = subprocess.run(["bash", "-c", line], cwd=repo.path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{page}: {line}\n{done.stdout}{done.stderr}"


WORKFLOWS = [*blocks("yaml workflow"), ("action.yml", (ROOT / "action.yml").read_text())]


def scripts(value: object) -> list[str]:
    """Every shell script in a workflow."""
    if isinstance(value, dict):
        own = [v for k, v in value.items() if k == "run" and isinstance(v, str)]
        own += [line for k, v in value.items() if k == "script" and isinstance(v, list) for line in v]
        return own + [s for v in value.values() for s in scripts(v)]
    return [s for v in value for s in scripts(v)] if isinstance(value, list) else []


@pytest.mark.parametrize(("page", "text"), WORKFLOWS, ids=lambda v: v.split("\n")[0][:40])
def test_workflows_hold_scripts_that_bash_takes_and_commands_that_exist(page: str, text: str, monkeypatch: pytest.MonkeyPatch):
    """They cannot run here; their shell is parsed by bash, and every call of ours by our own parser."""
    flow = yaml.safe_load(text)
    found = scripts(flow)
    assert found
    calls = 0
    for script in found:
        plain = re.sub(r"\$\{\{.*?\}\}", "x", script)
        assert subprocess.run(["bash", "-n"], input=plain, capture_output=True, text=True).stderr == ""
        for line in plain.replace("\\\n", " ").splitlines():
            if match := re.search(r"(?:^|[\s/\"])agentgate\"? (check|verify|review|show) (.*)", line):
                words = shlex.split(
                    match[2].partition(";")[0].partition(" > ")[0].partition(" ||")[0].replace("$(command -v python)", "python")
                )
                parser().parse_args([match[1], *(w for w in words if w != "${arguments[@]}")])
                calls += 1
    assert calls or "agentgate@" in text, "a workflow calls us, or our action"
    assert "permissions" not in flow or flow["permissions"].get("contents") == "read"


@pytest.mark.parametrize(("page", "text"), blocks("toml"), ids=lambda v: v[:20])
def test_policies_are_valid(page: str, text: str, tmp_path: Path):
    if "objective" in text:
        (tmp_path / "task.toml").write_text(text)
        assert read_task(str(tmp_path / "task.toml"), str(tmp_path / "checkout")).objective
    elif "tool.agentgate" in text:
        law = parse_policy(text.encode(), page)
        checks = Plugins(entry_points=False).checks(law)
        check_names(law, [c.name for c in checks], [r for c in checks for r in c.rules], page)
    else:
        assert tomllib.loads(text)


def test_the_hooks_that_the_readme_names_exist():
    manifest = (ROOT / ".pre-commit-hooks.yaml").read_text()
    for _, text in blocks("yaml"):
        for name in re.findall(r"- id: (\S+)", text):
            assert f"- id: {name}\n" in manifest


def test_the_plugin_of_the_docs_works_as_an_installed_package(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "site"
    (package / "noprint-1.dist-info").mkdir(parents=True)
    (package / "noprint.py").write_text(next(text for page, text in blocks("python") if page == "plugins.md"))
    (package / "noprint-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: noprint\nVersion: 1\n")
    (package / "noprint-1.dist-info/entry_points.txt").write_text("[agentgate]\nnoprint = noprint\n")
    monkeypatch.syspath_prepend(str(package))
    repo.commit({"a.py": "print(1)\n", "pyproject.toml": policy("scope", "noprint")})
    repo.write(**{"a.py": "print(1)\nprint(2)\n"})
    report = repo.gate(plugins=Plugins())
    assert [(f.path, f.line) for f in findings(report, "noprint/call")] == [("a.py", 2)]
    assert report.verdict.decision == "rejected"
    assert repo.gate(Source(), plugins=Plugins(), approvals=("noprint/call",)).verdict.decision == "rejected", (
        "only a hold is approved"
    )


@pytest.mark.parametrize("place", ["tables", "commits", "releases"])
def test_a_benchmark_replaces_its_own_table_and_nothing_else(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    rates = importlib.import_module("error_rates")
    page, before = tmp_path / "page.md", (ROOT / "docs/error-rates.md").read_text()
    page.write_text(before)
    rates.put(place, "first", page)
    rates.put(place, "| a | b |", page)
    begin, end = f"<!-- {place} -->", f"<!-- /{place} -->"
    after = page.read_text()
    assert f"{begin}\n\n| a | b |\n\n{end}" in after and "first" not in after.partition(begin)[2].partition(end)[0]
    assert before.partition(begin)[0] == after.partition(begin)[0]
    assert before.partition(end)[2] == after.partition(end)[2]
    page.write_text("no marks\n")
    with pytest.raises(ValueError, match="once each"):
        rates.put(place, "x", page)
    assert page.read_text() == "no marks\n"


def test_the_policy_page_is_up_to_date():
    for name in ("make_policy_page", "make_rule_pages"):
        subprocess.run([sys.executable, str(ROOT / f"docs/{name}.py"), "--check"], check=True)


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_help_is_there_and_names_the_exit_codes():
    done = subprocess.run([sys.executable, "-m", "pytest_agentgate.cli", "--help"], capture_output=True, text=True, check=True)
    assert "3 undecided" in done.stdout
    assert "agentgate check --base main --head topic" in done.stdout


def test_the_site_builds_strictly(tmp_path: Path):
    """Every link and anchor leads somewhere, every page is in the index of the site, every block of code is one."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert {f for entry in nav for f in entry.values()} == {p.name for p in (ROOT / "docs").glob("*.md")} | {"rules/README.md"}
    for page in tmp_path.rglob("*.html"):
        assert "```" not in page.read_text(), page


def test_the_pictures_are_made_by_their_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its parts, without the minute that the demo takes: a command at a real terminal, and the session as a picture."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    pictures = importlib.import_module("make_pictures")
    code = "import sys; print('half', end='\\r'); print('\\x1b[2K\\x1b[1mwhole\\x1b[0m', sys.stdout.isatty())"
    pictures.session(pictures.recorded(sys.executable, "-c", code), tmp_path / "demo.svg")
    shown = (tmp_path / "demo.svg").read_text().replace("&#160;", " ")
    assert "whole" in shown and "True" in shown and "half" not in shown
    known = (ROOT / "docs/pictures/demo.svg").read_text().replace("&#160;", " ")
    assert "accepted:" in known and (ROOT / "docs/pictures/report.png").read_bytes()[:4] == b"\x89PNG"
