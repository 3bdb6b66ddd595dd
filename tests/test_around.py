"""Around the gate: which commits agents made, and what `init` proposes."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import CALC, TEST_CALC, Repo, policy

from pytest_agentgate import cli, commands
from pytest_agentgate.bugs import bug
from pytest_agentgate.live import Live
from pytest_agentgate.plugins import Plugins
from pytest_agentgate.resolve import Source
from pytest_agentgate.text import approval
from pytest_agentgate.who import in_branch, in_commit

PEOPLE = ("Ada <ada@example.invalid>", "Ada <ada@example.invalid>")


@pytest.mark.parametrize(
    ("message", "people", "agent"),
    [
        ("Fix\n\nCo-Authored-By: Claude <noreply@anthropic.com>", PEOPLE, "Claude Code"),
        ("Fix\n\n\U0001f916 Generated with [Claude Code](https://claude.com)", PEOPLE, "Claude Code"),
        ("Fix", ("copilot-swe-agent[bot] <1+copilot-swe-agent[bot]@users.noreply.github.com>",), "GitHub Copilot"),
        ("Fix\n\nCo-authored-by: Codex <codex@openai.com>", PEOPLE, "OpenAI Codex"),
        ("Fix\n\nCo-authored-by: Cursor Agent <cursoragent@cursor.com>", PEOPLE, "Cursor"),
        ("Fix", ("Ada (aider) <ada@example.invalid>",), "aider"),
        ("Fix\n\nCo-authored-by: aider (gpt-5) <noreply@aider.chat>", PEOPLE, "aider"),
        ("Fix", ("devin-ai-integration[bot] <x@users.noreply.github.com>",), "Devin"),
        ("Talk about Claude, codex and the cursor of a terminal", PEOPLE, ""),
        ("Fix\n\nCo-authored-by: Claude Monet <monet@example.invalid>", PEOPLE, ""),
    ],
)
def test_marks_of_agents(message: str, people: tuple[str, ...], agent: str):
    assert [m.agent for m in in_commit("c" * 40, people, message)] == ([agent] if agent else [])


def test_branches_of_agents():
    assert [m.agent for m in in_branch("copilot/fix-1")] == ["GitHub Copilot"]
    assert list(in_branch("feature/claude/x")) == []


def only(who: str) -> str:
    """A policy that runs pytest alone, for some authors."""
    return policy("pytest").replace("[tool.agentgate]", f'[tool.agentgate]\nonly = "{who}"')


@pytest.fixture
def agents_only(repo: Repo) -> Repo:
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": only("agents")}, "base")
    repo.git("checkout", "-q", "-b", "topic")
    return repo


WRONG = CALC.replace("a + b", "a - b")


def test_only_agents_commits_are_judged_where_the_policy_says_so(agents_only: Repo):
    agents_only.commit({"calc.py": WRONG}, "by a human")
    report = agents_only.gate(Source("commit", "main", head="topic"))
    assert (report.verdict.decision, report.evidence) == ("accepted", ())
    assert "passed through, not judged" in report.verdict.reasons[0]
    stored = agents_only.path.parent / "passed.json"
    again = agents_only.cli("check", "--base", "main", "--head", "topic", "--report", f"json={stored}")
    assert again.returncode == 0
    for name in Plugins(entry_points=False).reporters():
        shown = agents_only.cli("show", str(stored), "--format", name).stdout
        assert "every required check passed" not in shown
        assert "not judged" in shown or name in ("sarif", "gitlab", "github-output"), name
    assert agents_only.cli("verify", str(stored), "--tree", "topic", "--base", "main").returncode == 0
    agents_only.commit({"calc.py": WRONG + "X = 1\n"}, "one more\n\nCo-authored-by: Claude <noreply@anthropic.com>")
    assert agents_only.gate(Source("commit", "main", head="topic")).verdict.decision == "rejected", "one commit is enough"
    stored.write_text(stored.read_text().replace(report.change.head_tree, agents_only.git("rev-parse", "topic^{tree}")))
    assert "makes it undecided" in agents_only.cli("verify", str(stored), "--tree", "topic", "--base", "main").stderr
    shown = agents_only.cli("who", "--base", "main", "--head", "topic").stdout
    assert shown.count("\n") == 1
    assert "Claude Code: commit" in shown
    assert "no mark" in agents_only.cli("who", "--base", "main", "--head", "topic~1").stdout


def test_what_is_no_commit_yet_is_always_judged(agents_only: Repo):
    agents_only.files({"calc.py": WRONG})
    assert agents_only.gate(Source("working-tree", "main")).verdict.decision == "rejected"


def test_a_patch_cannot_pass_itself_through(repo: Repo):
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("pytest")}, "base")
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit({"calc.py": WRONG, "pyproject.toml": only("agents")}, "by a human")
    assert repo.gate(Source("commit", "main", head="topic")).verdict.decision == "rejected", "the law is the base's"


def test_init_proposes_a_diff_that_git_applies_and_writes_only_when_told(repo: Repo):
    repo.commit({"calc.py": CALC, "tests/test_calc.py": TEST_CALC, "pyproject.toml": '[project]\nname = "x"\nversion = "1"\n[project.optional-dependencies]\ntest = ["pytest"]\n[tool.mypy]\nstrict = true', ".github/workflows/other.yml": "on: push\n", ".pre-commit-config.yaml": "repos:\n- repo: local\n  hooks:\n  - id: a\n    name: a\n    entry: 'true'\n    language: system\n"}, "base")  # fmt: skip
    shown = repo.cli("init").stdout
    assert repo.git("status", "--porcelain") == ""
    patch = "".join(line for line in shown.splitlines(keepends=True) if not line.startswith(("# ", "nothing was")))
    subprocess.run(["git", "apply", "--check", "-"], cwd=repo.path, input=patch, text=True, check=True)
    assert repo.cli("init", "--write").returncode == 0
    law = tomllib.loads((repo.path / "pyproject.toml").read_text())
    assert "agentgate" in law["tool"]
    assert law["tool"]["mypy"] == {"strict": True}
    hooks = yaml.safe_load((repo.path / ".pre-commit-config.yaml").read_text())["repos"]
    assert [h["id"] for r in hooks for h in r["hooks"]] == ["a", "agentgate", "agentgate-push"]
    flow = yaml.safe_load((repo.path / ".github/workflows/agentgate.yml").read_text())
    assert any("pip install '.[test]'" in step.get("run", "") for step in flow["jobs"]["agentgate"]["steps"])
    sandbox = next(s["run"] for s in flow["jobs"]["agentgate"]["steps"] if "bubblewrap" in s.get("run", ""))
    assert "sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0" in sandbox, "else Ubuntu's runners judge unsandboxed"
    assert "nothing to propose" in repo.cli("init").stdout
    repo.commit(message="gated")
    repo.files({"calc.py": WRONG})
    assert repo.cli("check").returncode == 1, "what init wrote is a policy that judges"


def test_init_adds_to_hooks_however_they_are_indented(repo: Repo):
    repo.commit(
        {
            "calc.py": CALC,
            ".pre-commit-config.yaml": "repos:\n-   repo: local\n    hooks:\n    -   {id: a, name: a, entry: a, language: system}",
        },
        "base",
    )
    assert repo.cli("init", "--write").returncode == 0
    hooks = yaml.safe_load((repo.path / ".pre-commit-config.yaml").read_text())["repos"]
    assert [h["id"] for r in hooks for h in r["hooks"]] == ["a", "agentgate", "agentgate-push"]


@pytest.mark.parametrize("broken", ["repos: [\n", "a: 1\n", "repos:\n- repo: local\n  hooks: []\nfail_fast: true\n"])
def test_init_leaves_alone_what_it_cannot_add_to(repo: Repo, broken: str):
    repo.commit({"calc.py": CALC, ".pre-commit-config.yaml": broken}, "base")
    said = repo.cli("init", "--write").stdout
    assert (repo.path / ".pre-commit-config.yaml").read_text() == broken
    assert ".pre-commit-config.yaml is left to you: it cannot be read" in said and "nothing to propose" not in said


@pytest.mark.parametrize("broken", ["a = [\n", "tool = { a = 1 }\n", b"\xff\xfe"])
def test_init_leaves_a_manifest_alone_that_it_cannot_read_or_add_to(repo: Repo, broken: str | bytes):
    repo.commit({"calc.py": CALC, "pyproject.toml": broken}, "base")
    done = repo.cli("init", "--write")
    assert done.returncode == 0, done.stderr
    assert (repo.path / "pyproject.toml").read_bytes() == (broken.encode() if isinstance(broken, str) else broken)
    assert (repo.path / ".pre-commit-config.yaml").exists(), "the rest is proposed all the same"
    assert "pyproject.toml is left to you" in done.stdout


def test_init_sees_what_the_gate_sees(repo: Repo):
    manifest = b'[project]\r\nname = "x"\r\nversion = "1"\r\nrequires-python = ">=3.13"\r\n'
    repo.commit({"pkg/__init__.py": "", "pkg/tests/test_a.py": TEST_CALC, "setup.cfg": "[mypy]\nstrict = True\n", "pyproject.toml": manifest, ".gitlab-ci.yml": "test: {script: [pytest]}\n", ".github/x.yml": "a: 1\n"}, "base")  # fmt: skip
    said = repo.cli("init", "--write").stdout
    assert "may_skip" not in said and "mypy is not configured" not in said
    assert ".gitlab-ci.yml is left to you: its job is in docs/ci.md" in said and "commit this first" in said
    assert 'python-version: "3.13"' in (repo.path / ".github/workflows/agentgate.yml").read_text()
    written = (repo.path / "pyproject.toml").read_bytes()
    assert written.startswith(manifest) and b"[tool.agentgate]\r\n" in written and written.count(b"\n") == written.count(b"\r\n")


@pytest.mark.parametrize("key", ["core.hooksPath", "gpg.program", "merge.x.driver", "remote.origin.uploadpack", "sequence.editor", "core.gitproxy", "diff.external"])  # fmt: skip
def test_doctor_names_settings_of_git_that_run_programs(repo: Repo, key: str):
    repo.commit({"calc.py": CALC}, "base")
    included = repo.path.parent / "inc"
    repo.git("config", "--file", str(included), key, "./x")
    repo.git("config", "include.path", str(included))
    repo.git("config", "protocol.file.allow", "never")
    said = repo.cli("doctor").stdout
    assert f"problem  git setting {key.lower()} of this repository can run a program: ./x" in said.replace(key, key.lower())
    assert "protocol.file" not in said and "problem  git setting include.path" in said


def test_doctor_says_which_interpreter_is_not_there(repo: Repo):
    said = repo.cli("doctor", "--python", "/nonexistent/python").stdout
    assert "problem  interpreter: " in said and "problem  repository" not in said


def test_init_reads_a_manifest_of_odd_types(repo: Repo):
    repo.commit({"calc.py": CALC, "pyproject.toml": "project = 1\ndependency-groups = []\n"}, "base")
    assert repo.cli("init").returncode == 0


def test_explain_last_says_why_where_and_what_to_do(calc: Repo):
    before = calc.cli("explain", "last")
    assert (before.returncode, before.stdout) == (4, "") and "run `agentgate check` first" in before.stderr
    calc.commit({"pyproject.toml": policy("integrity", "pytest")})
    calc.write(
        **{
            "calc.py": WRONG,
            "test_calc.py": "import pytest\n"
            + TEST_CALC.replace("def test_mul", "@pytest.mark.skip(reason='flaky')\ndef test_mul"),
        }
    )
    assert calc.cli("check").returncode == 1
    said = calc.cli("explain", "last").stdout
    assert said.startswith("rejected: ") and "test_calc.py::test_add: pytest/regression [reject]" in said
    assert said.count("integrity/test-skipped [hold]") == 1
    skipped = said.partition("integrity/test-skipped [hold]")[2]
    for words in (
        "why:       A test is skipped",
        "| pytest.mark.skip",
        "to mend:   Mend the code",
        "--approve integrity/test-skipped:test_calc.py",
    ):
        assert words in skipped, said
    calc.git("checkout", "-q", ".")
    calc.write(**{"calc.py": CALC + "\n\nONE = 1\n"})
    assert calc.cli("check").returncode == 0
    assert "No finding counts" in calc.cli("explain", "last").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_complete_commands_and_options(repo: Repo, shell: str):
    script = repo.cli("completion", shell).stdout
    assert "agentgate" in script and "working-tree" in script and "review-backend" in script
    if shell == "bash":
        ask = f"{script}\nCOMP_WORDS=(agentgate expl) COMP_CWORD=1; $(complete -p agentgate | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo \"${{COMPREPLY[@]}}\""
        assert subprocess.run(["bash", "-c", ask], capture_output=True, text=True).stdout.split() == ["explain"]


def test_a_bug_is_one_line_and_a_file_to_paste_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("MY_API_TOKEN", "very-secret-words")
    try:
        raise ValueError(f"\x1b[2J sk-ant-{'a' * 30} in {Path.home()}/x, very-secret-words")
    except ValueError as raised:
        error, line = raised, bug(raised)
    (file,) = tmp_path.iterdir()
    text = file.read_text()
    assert line.count("\n") == 0 and str(file) in line and "ValueError at test_around.py:" in line
    assert "test_around.py:" in text and "Python 3." in text
    for said in (line, text):
        assert "\x1b" not in said and "very-secret" not in said and "sk-ant" not in said and str(Path.home()) not in said
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert "to paste" not in bug(error)


def test_a_command_that_breaks_ends_with_3_and_says_where_it_broke(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(commands.COMMANDS, "schema", lambda given, environment: 1 // 0)
    assert cli.main(["schema"]) == 3
    said = capsys.readouterr().err
    assert (
        said.startswith("agentgate: a bug in agentgate") and "ZeroDivisionError at test_around.py:" in said and "to paste: " in said
    )
    Path(said.strip().rpartition("to paste: ")[2]).unlink()


def test_what_is_printed_to_be_copied_runs_no_name_of_a_file(calc: Repo):
    calc.commit({"pyproject.toml": policy("compile", "ruff", "pytest")})
    lint, odd, test = "$(touch PWNED).py", "it's;touch PWNED2;'.py", "tests/test_a';touch PWNED3;'.py"
    failing = "def test_q():\n    assert 0\n"
    calc.write(**{lint: "import os\n", test: failing, "x b/c.py": "import os\n"})
    found = [(f.path, f.command) for e in calc.gate().evidence for f in e.findings]
    calc.write(**{odd: "def (\n"})
    found += [(f.path, f.command) for e in calc.gate().evidence for f in e.findings]
    assert {path for path, _ in found} == {lint, odd, test, "x b/c.py"}
    shown = calc.cli("check", "-v").stdout + calc.cli("explain", "last").stdout
    lines = [row.partition("repeat: ")[2].strip() for row in shown.splitlines() if "repeat: " in row]
    for path, words in [*found, *((None, line) for line in lines)]:
        assert any(w.partition("::")[0] in (path or (lint, odd, test, "x b/c.py")) for w in shlex.split(words)), words
    assert "--approve 'pytest/x:a b'\"'\"'$(c)'" in "--approve " + approval("pytest/x", "a b'$(c)")


@pytest.mark.parametrize(("terminal", "moves"), [("xterm", True), ("dumb", False)])
def test_progress_moves_within_a_line_of_a_terminal_that_can(monkeypatch: pytest.MonkeyPatch, terminal: str, moves: bool):
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    live = Live(stream)
    live.progress("pytest", "running " + "x" * 200)
    live.done()
    drawn = stream.getvalue().split("\r\x1b[2K")
    assert (len(drawn) > 1) is moves and max(map(len, drawn)) < 40


def test_an_interrupt_ends_what_an_agents_hook_started(calc: Repo):
    calc.write(**{"calc.py": CALC.replace("return a + b", "import time; time.sleep(60)")})
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_agentgate.cli", "hook", "stop", "--python", calc.python, "--cache-dir", str(calc.cache)],
        cwd=calc.path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads yet; a shell's background job ignores SIGINT
    )
    assert process.stdin
    process.stdin.write(b"{}")
    process.stdin.close()
    deadline = time.monotonic() + 60
    while not started(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = started(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0 and b"interrupted" in process.stderr.read()
    assert left and not any(os.path.exists(f"/proc/{pid}") for pid in left)


def started(pid: int) -> list[int]:
    """Sessions of pytest that a process has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    threads = Path(f"/proc/{pid}/task").glob("*/children") if children.exists() else ()
    found = [int(c) for t in threads for c in t.read_text().split()]
    return [c for c in found if b"agentgate_probe" in Path(f"/proc/{c}/cmdline").read_bytes()]
