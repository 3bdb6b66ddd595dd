"""Stored reports and agents' hooks: show, diff, verify, hook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import CALC, TEST_CALC, Repo, policy

import pytest_agentgate.agent_hooks as hooks
from pytest_agentgate.pipeline import Gate

WRONG = CALC.replace("a + b", "a - b")


@pytest.fixture
def topic(repo: Repo) -> Repo:
    """A branch `topic` off `main` with an honest commit."""
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("scope", "compile", "pytest")}, "base")
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit({"calc.py": CALC + "X = 1\n"}, "topic")
    return repo


def stored(repo: Repo, path: Path, *args: str) -> dict[str, Any]:
    repo.cli("check", "--base", "main", *args, "--report", f"json={path}")
    return json.loads(path.read_text())


def test_a_stored_report_is_shown_in_any_format(topic: Repo, tmp_path: Path):
    file = tmp_path / "a.json"
    stored(topic, file)
    assert "accepted: every required check passed" in topic.cli("show", str(file)).stdout
    assert json.loads(topic.cli("show", str(file), "--format", "sarif").stdout)["version"] == "2.1.0"
    assert topic.cli("show", str(file), "--format", "json").stdout == file.read_text()
    wrong = topic.cli("show", str(file), "--format", "pdf")
    assert (wrong.returncode, "formats: agent, github" in wrong.stderr) == (4, True)
    for text in ('{"version": 1}', '{"x":' * 200_000, "", "\x00"):
        file.write_text(text)
        assert topic.cli("show", str(file)).returncode == 4


def test_diff_says_what_an_attempt_fixed_and_broke(topic: Repo, tmp_path: Path):
    topic.files({"calc.py": WRONG})
    stored(topic, tmp_path / "a.json")
    topic.files({"calc.py": CALC.replace("a * b", "a + b")})
    stored(topic, tmp_path / "b.json")
    shown = topic.cli("diff", str(tmp_path / "a.json"), str(tmp_path / "b.json")).stdout.splitlines()
    assert shown[0] == "before: rejected, after: rejected"
    assert shown[1] == "fixed: 1"
    assert "test_calc.py::test_add" in shown[2]
    assert shown[3] == "broken: 1"
    assert "test_calc.py::test_mul" in shown[4]
    assert "left: 0" in shown


def test_verify_believes_a_report_about_this_tree_only(topic: Repo, tmp_path: Path):
    file = tmp_path / "a.json"
    report = stored(topic, file, "--head", "topic")
    done = topic.cli("verify", str(file), "--tree", "topic", "--base", "main")
    assert done.returncode == 0, done.stderr
    topic.commit({"calc.py": WRONG}, "one commit more, past every hook")
    late = topic.cli("verify", str(file))
    assert (late.returncode, "it is about the head tree" in late.stderr) == (3, True)
    assert topic.cli("verify", str(file), "--tree", "nowhere").returncode == 4
    topic.git("reset", "-q", "--hard", "HEAD~1")
    spoils: dict[str, Any] = {
        "another policy": report | {"policy_digest": "0" * 64},
        "agentgate 0.0 wrote it": report | {"version": "0.0"},
        "pytest is required and gave no evidence": report | {"evidence": [e for e in report["evidence"] if e["check"] != "pytest"]},
        "could not run": report
        | {"evidence": [*report["evidence"][:-1], report["evidence"][-1] | {"status": "errored", "reason": "x"}]},
    }
    for words, spoiled in spoils.items():
        file.write_text(json.dumps(spoiled))
        done = topic.cli("verify", str(file))
        assert (done.returncode, words in done.stderr) == (3, True), (words, done.stderr)


def test_a_report_against_a_base_of_its_own_choice_gains_nothing(topic: Repo, tmp_path: Path):
    file = tmp_path / "a.json"
    topic.commit({"pyproject.toml": policy("scope")}, "weaken the law")
    topic.commit({"calc.py": WRONG}, "and cheat")
    topic.cli("check", "--base", "HEAD~1", "--head", "HEAD", "--report", f"json={file}")
    assert json.loads(file.read_text())["verdict"]["decision"] == "accepted"
    done = topic.cli("verify", str(file))
    assert (done.returncode, "it is about the base tree" in done.stderr) == (3, True)


def test_an_agents_own_approvals_do_not_count(topic: Repo, tmp_path: Path):
    file = tmp_path / "a.json"
    topic.commit({".npmrc": "x\n"}, "a secret")
    assert stored(topic, file, "--head", "topic", "--approve", "scope/secret")["verdict"]["decision"] == "accepted"
    assert "scope/secret" in topic.cli("verify", str(file)).stderr
    assert topic.cli("verify", str(file), "--approve", "scope/secret").returncode == 0


def test_a_fast_report_does_not_stand_for_a_full_one(topic: Repo, tmp_path: Path):
    file = tmp_path / "a.json"
    topic.commit(
        {
            "pyproject.toml": policy("scope", "compile", "pytest").replace(
                'hook_checks = ["scope", "compile", "pytest"]', 'hook_checks = ["scope"]'
            )
        },
        "law",
    )
    topic.git("branch", "-f", "main")
    topic.commit({"calc.py": CALC + "Y = 2\n"}, "change")
    assert stored(topic, file, "--head", "topic", "--fast")["verdict"]["decision"] == "accepted"
    assert "gave no evidence" in topic.cli("verify", str(file)).stderr


def ask(repo: Repo, event: str, **told: Any) -> dict[str, Any]:
    text = json.dumps({"session_id": "s1", "cwd": str(repo.path), "hook_event_name": event, **told})
    done = repo.cli("hook", event, stdin=text.encode())
    assert done.returncode == 0, "an agent is never trapped by an exit code"
    return json.loads(done.stdout) if done.stdout else {}


def test_a_stop_is_blocked_three_times_and_then_let_go(topic: Repo):
    topic.files({"calc.py": WRONG})
    for _ in range(3):
        said = ask(topic, "stop")
        assert said["decision"] == "block"
        assert "test_calc.py::test_add" in said["reason"]
        assert len(said["reason"]) <= 2000
    assert "let go" in ask(topic, "stop")["systemMessage"]
    assert ask(topic, "stop")["decision"] == "block", "the count begins anew"
    topic.files({"calc.py": CALC + "X = 1\n"})
    assert ask(topic, "stop") == {}
    topic.files({"calc.py": WRONG})
    assert [ask(topic, "stop").get("decision") for _ in range(3)] == ["block"] * 3, "an accepted stop resets it"


def test_what_a_human_has_to_settle_does_not_block_the_agent(topic: Repo):
    topic.files({".npmrc": "x\n"})
    said = ask(topic, "stop")
    assert "decision" not in said
    assert "undecided" in said["systemMessage"]
    assert "\n.npmrc: " in said["systemMessage"], "what is held is named"


def test_the_cache_says_how_much_it_holds(topic: Repo):
    topic.files({"calc.py": CALC + "X = 1\n"}).gate()
    said = topic.cli("cache", "info").stdout
    found = re.fullmatch(r".*: (\d+) values, [\d.]+ MB; trees and tools' caches: (\d+) files, [\d.]+ MB\n", said)
    assert found and int(found[1]) and int(found[2]) >= 3, said


def test_nothing_changed_is_no_reason_to_block(topic: Repo):
    topic.git("checkout", "-q", "main")
    assert ask(topic, "stop") == {}


def test_a_session_on_the_default_branch_is_judged_since_it_began(repo: Repo):
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": policy("scope", "compile", "pytest")}, "base")
    assert ask(repo, "pre-tool", tool_name="Edit", tool_input={"file_path": "calc.py"}) == {}
    repo.commit({"calc.py": WRONG}, "committed by the agent, on main")
    assert ask(repo, "stop")["decision"] == "block"


def test_an_agent_cannot_stop_from_another_folder(topic: Repo, tmp_path: Path):
    topic.files({"calc.py": WRONG})
    other = tmp_path / "other"
    other.mkdir()
    text = json.dumps({"session_id": "s", "cwd": str(other)}).encode()
    done = topic.cli("hook", "stop", stdin=text, env={"CLAUDE_PROJECT_DIR": str(topic.path)}, cwd=other)
    assert json.loads(done.stdout)["decision"] == "block"


def test_a_hook_that_is_configured_wrongly_traps_nobody(topic: Repo):
    done = topic.cli("hook", "stop", "--target", "claude")
    assert (done.returncode, "configured wrongly" in done.stdout) == (0, True)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"cwd": 5}', b"\xff"])
def test_a_broken_event_never_traps_the_agent(topic: Repo, data: bytes):
    done = topic.cli("hook", "stop", stdin=data)
    assert done.returncode == 0
    assert "block" not in done.stdout or data == b""


def test_a_bug_of_ours_never_traps_the_agent(topic: Repo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hooks, "judge", lambda *a: 1 / 0)
    said = hooks.answer("stop", b"{}", Gate(directory=str(topic.path), cache_folder=str(topic.cache)))
    assert said.value is not None
    assert "a bug in agentgate" in str(said.value["systemMessage"])


@pytest.mark.parametrize(
    ("tool", "denied"),
    [
        ({"file_path": "{top}/secret/key.txt"}, True),
        ({"file_path": "secret/key.txt"}, True),
        ({"file_path": "{top}/x/../secret/key.txt"}, True),
        ({"file_path": "{top}/link/key.txt"}, True),
        ({"file_path": "{top}/.git/hooks/pre-push"}, True),
        ({"file_path": "{top}/.claude/settings.local.json"}, True),
        ({"notebook_path": "{top}/secret/a.ipynb"}, True),
        ({"command": "*** Begin Patch\n*** Update File: secret/key.txt\n@@\n-a\n+b\n*** End Patch"}, True),
        ({"command": "*** Begin Patch\n*** Update File: a.py\n*** Move to: secret/a.py\n*** End Patch"}, True),
        ({"file_path": "{top}/sub/.claude/settings.json"}, True),
        ({"file_path": "~/.claude/settings.json"}, True),
        ({"file_path": "{top}/calc.py"}, False),
        ({"file_path": "/etc/hostname"}, False),
        ({}, False),
        ("text", False),
    ],
)
def test_protected_paths_are_refused_before_the_edit(repo: Repo, tool: Any, denied: bool):
    law = policy("scope") + 'forbid = ["secret/"]\n'
    repo.commit({"calc.py": CALC, "secret/key.txt": "k\n", "pyproject.toml": law}, "base")
    repo.files({"pyproject.toml": policy("scope")})
    (repo.path / "link").symlink_to("secret")
    given = {k: v.replace("{top}", str(repo.path)) for k, v in tool.items()} if isinstance(tool, dict) else tool
    said = ask(repo, "pre-tool", tool_name="Edit", tool_input=given)
    assert (said.get("hookSpecificOutput", {}).get("permissionDecision") == "deny") is denied


@pytest.mark.parametrize("law", [policy("scope"), policy("scope") + "chekcs = 1\n"])
def test_a_commit_of_the_agent_opens_no_protected_path(repo: Repo, law: str):
    repo.commit({"calc.py": CALC, "pyproject.toml": policy("scope") + 'forbid = ["secret/"]\n'}, "base")
    repo.git("checkout", "-q", "-b", "topic")

    def denied(path: str) -> bool:
        return "hookSpecificOutput" in ask(repo, "pre-tool", tool_name="Edit", tool_input={"file_path": str(repo.path / path)})

    assert denied("secret/x") and not denied("calc.py")
    repo.commit({"pyproject.toml": law}, "another law")
    assert denied("secret/x") and denied(".codex/hooks.json") and not denied("calc.py")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "topic")
    assert denied("secret/x"), "also where the base that would be found is the agent's own commit"


def test_what_the_agent_committed_on_the_base_itself_is_judged_at_its_stop(topic: Repo):
    topic.git("checkout", "-q", "main")
    assert ask(topic, "stop") == {}
    topic.commit({"calc.py": WRONG}, "straight on main")
    assert ask(topic, "stop")["decision"] == "block"
    topic.files({"NOTES.md": "hi\n"})
    assert ask(topic, "stop")["decision"] == "block", "something uncommitted beside it hides nothing"


@pytest.mark.parametrize(
    "given",
    [
        {"command": ["apply_patch", "*** Begin Patch\n *** Update File: .git/config\n@@\n-a\n+b\n*** End Patch"]},
        "*** Begin Patch\n\t*** Delete File: .git/config \n*** End Patch",
        {"edits": [{"file_path": ".git/config"}]},
        {"file_path": ".git/config", "content": "x" * 5_000_000},
        {"file_path": ".git/config", "content": "\n" * 200_000},
        {"file_path": ".git/config", "content": "\ud800"},
    ],
)
def test_a_patch_in_any_shape_is_looked_at(topic: Repo, given: Any):
    said = ask(topic, "pre-tool", tool_name="apply_patch", tool_input=given)
    assert said["hookSpecificOutput"]["permissionDecision"] == "deny"


def test_an_event_that_is_too_large_edits_nothing_and_stops_nobody(topic: Repo):
    deep = b'{"tool_input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for event, word in (("pre-tool", "deny"), ("stop", "systemMessage")):
        done = topic.cli("hook", event, stdin=deep)
        assert (done.returncode, word in done.stdout) == (0, True) and "too large" in done.stdout


def test_where_nothing_can_be_remembered_an_agent_is_blocked_once(topic: Repo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hooks._Session, "_write", lambda self: False)
    topic.files({"calc.py": WRONG})
    gate = Gate(directory=str(topic.path), python=topic.python, cache_folder=str(topic.cache), environment={}, index="off")
    first = hooks.answer("stop", b'{"session_id": null, "cwd": null}', gate)
    assert first.value and first.value["decision"] == "block"
    again = hooks.answer("stop", b'{"session_id": "s", "stop_hook_active": true}', gate)
    assert again.value and "is let go" in str(again.value["systemMessage"])


def test_after_an_edit_only_what_is_quick_is_said(topic: Repo):
    topic.files({"calc.py": "def add(:\n"})
    said = ask(topic, "post-edit", tool_name="Edit", tool_input={"file_path": str(topic.path / "calc.py")})
    assert said["decision"] == "block"
    assert "calc.py" in said["reason"]
    assert ask(topic, "post-edit", tool_name="Edit", tool_input={"file_path": str(topic.path / "other.py")}) == {}


@pytest.mark.parametrize("target", ["claude-code", "codex"])
def test_the_configuration_is_printed_and_nothing_is_written(topic: Repo, target: str):
    before = sorted(p.name for p in topic.path.iterdir())
    done = topic.cli("hook", "print-config", "--target", target)
    found = json.loads(done.stdout)["hooks"]
    assert set(found) == {"PreToolUse", "PostToolUse", "Stop"}
    assert found["Stop"][0]["hooks"][0]["command"] == f"agentgate hook stop --target {target}"
    assert sorted(p.name for p in topic.path.iterdir()) == before
