"""What a user may name, and what each unusable thing ends in: one clear line and exit code 4, or `undecided` with the reason."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import CALC, TEST_CALC, Repo, counting, policy

from pytest_agentgate.git import Git
from pytest_agentgate.resolve import Source

FAST = policy("scope", "compile")
FIX = CALC.replace("a + b", "b + a")


@pytest.fixture
def plain(repo: Repo) -> Repo:
    repo.commit({"calc.py": CALC, "test_calc.py": TEST_CALC, "pyproject.toml": FAST}, "base")
    return repo


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 4 and one line that says what was wrong; never a traceback."""
    assert done.returncode == 4, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("agentgate: "), done.stderr
    for word in words:
        assert word in lines[0]


def undecided(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stdout


def diff_of(repo: Repo, files: dict[str, str | bytes | None], *args: str) -> bytes:
    """A patch that makes these changes, and the tree as it was before."""
    repo.files(files)
    repo.git("add", "-A")
    patch = repo.git("diff", "--cached", "--binary", *args) + "\n"
    repo.git("reset", "-q", "--hard")
    return os.fsencode(patch)


def test_not_a_repository(plain: Repo, tmp_path: Path):
    refused(plain.cli("check", cwd=tmp_path), "not in a git repository", "--repo")
    refused(plain.cli("check", "--repo", "nowhere"), "not a directory")


def test_unknown_revisions(plain: Repo):
    refused(plain.cli("check", "--base", "nope"), "'nope'")
    refused(plain.cli("check", "--base", "main", "--head", "nope"), "'nope'")
    refused(plain.cli("check", "--base=-x"), "'-x'")


def test_two_heads_contradict_each_other(plain: Repo):
    refused(plain.cli("check", "--staged", "--head", "main"), "two heads")


def test_a_shallow_clone_without_the_base(plain: Repo, tmp_path: Path):
    plain.commit({"calc.py": FIX})
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{plain.path}", str(tmp_path / "clone")], check=True)
    clone = Repo(tmp_path / "clone", plain.python, plain.cache)
    refused(clone.cli("check", "--base", plain.git("rev-parse", "HEAD~1")), "shallow", "unshallow")
    refused(clone.cli("check", env={"GITHUB_BASE_REF": "release"}), "shallow", "fetch-depth: 0")


def test_an_unborn_branch(repo: Repo):
    repo.write(**{"a.py": "x = 1\n"})
    refused(repo.cli("check"), "no commit yet")


def test_nothing_to_judge(plain: Repo):
    refused(plain.cli("check"), "nothing to judge")
    refused(plain.cli("check", "--patch", "-", stdin=b""), "empty")
    refused(plain.cli("check", "--patch", "-", stdin=b" \n"), "empty")


def test_a_patch_that_does_not_apply_names_the_hunk(plain: Repo):
    patch = diff_of(plain, {"calc.py": FIX})
    plain.commit({"calc.py": CALC.replace("a + b", "a  +  b")})
    refused(plain.cli("check", "--patch", "-", stdin=patch), "hunk 1 (@@ -1,", "calc.py", "does not apply")


def test_a_diff_without_git_header(plain: Repo):
    patch = b"--- calc.py\n+++ calc.py\n@@ -1,2 +1,2 @@\n-def add(a: int, b: int) -> int:\n+def add(a, b):\n     return a + b\n"
    refused(plain.cli("check", "--patch", "-", stdin=patch), "diff --git")


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil.py", "sub/../../evil.py", ".git/hooks/pre-commit", "a/.GIT/config"])
def test_paths_out_of_the_tree(plain: Repo, name: str):
    patch = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x = 1\n"
    refused(plain.cli("check", "--patch", "-", stdin=patch.encode()), "not inside the tree")
    assert not (plain.path.parent / "evil.py").exists()


def test_a_binary_bomb_is_refused_before_it_is_unpacked(plain: Repo):
    patch = b"diff --git a/x b/x\nnew file mode 100644\nindex 0000000..1234567\nGIT binary patch\nliteral 99999999999\nzcmV\n\n"
    refused(plain.cli("check", "--patch", "-", stdin=patch), "99,999,999,999", "binary")


def test_a_missing_patch_file(plain: Repo):
    refused(plain.cli("check", "--patch", "none.diff"), "none.diff", "No such file")


def test_a_symlink_out_of_the_tree_is_rejected(plain: Repo):
    os.symlink("/etc/passwd", plain.path / "link")
    done = plain.cli("check")
    assert done.returncode == 1 and "scope/symlink-escape" in done.stdout and "/etc/passwd" in done.stdout


@pytest.mark.parametrize(
    ("there", "new"),
    [("calc.py", "CALC.PY/x.txt"), ("tests/a.py", "TESTS/b.py"), ("caf\u00e9.py", "cafe\u0301.py"), ("\u0130.py", "i\u0307.py")],
)
def test_paths_that_some_file_system_takes_for_one_are_held(plain: Repo, there: str, new: str):
    plain.commit({there: "x = 1\n"})
    plain.files({new: "y = 1\n"})
    undecided(plain.cli("check", "--base", "HEAD"), "scope/case-collision")


def test_paths_that_the_base_has_in_two_spellings_stay_as_they_are(plain: Repo):
    plain.commit({"Docs/a": "1", "docs/b": "1"})
    plain.files({"docs/c": "1"})
    assert plain.cli("check", "--base", "HEAD").returncode == 0


def test_case_collisions_are_held(plain: Repo):
    plain.write(**{"Calc.py": "x = 1\n"})
    undecided(plain.cli("check"), "scope/case-collision")


def test_submodule_changes_are_held(plain: Repo):
    head = plain.git("rev-parse", "HEAD")
    plain.git("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    undecided(plain.cli("check", "--staged"), "scope/gitlink")
    plain.git("reset", "-q", "--hard")
    plain.write(**{".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = y\n'})
    undecided(plain.cli("check"), "scope/gitlink")


def test_lfs_pointers_are_held(plain: Repo):
    plain.write(**{"model.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n"})
    undecided(plain.cli("check"), "scope/lfs-pointer")


@pytest.mark.parametrize("name", [b"caf\xe9.py", b"new\nline.py", b"bell\x07.py", "hid\u202eden.py".encode(), b"-rf.py"])
def test_odd_names_are_held_and_shown_escaped(plain: Repo, name: bytes):
    with open(os.path.join(os.fsencode(plain.path), name), "wb") as stream:
        stream.write(b"x = 1\n")
    done = plain.cli("check", "--report", "json=../report.json")
    undecided(done, "scope/odd-name")
    assert "\x07" not in done.stdout and "\u202e" not in done.stdout
    assert json.loads((plain.path / "../report.json").read_text())["verdict"]["decision"] == "undecided"


def test_crlf_files_are_judged_and_a_mangled_patch_is_explained(plain: Repo):
    plain.commit({"dos.py": b"x = 1\r\ny = 2\r\n"})
    plain.write(**{"dos.py": b"x = 1\r\ny = 3\r\n"})
    assert plain.cli("check").returncode == 0
    patch = diff_of(plain, {"dos.py": b"x = 1\r\ny = 3\r\n"})
    assert plain.cli("check", "--patch", "-", stdin=patch).returncode == 0
    patch = diff_of(plain, {"calc.py": FIX}).replace(b"\n", b"\r\n")
    refused(plain.cli("check", "--patch", "-", stdin=patch), "CRLF")


def test_an_unresolved_merge_is_refused_and_a_resolved_one_is_judged(plain: Repo):
    plain.git("checkout", "-qb", "other")
    plain.commit({"calc.py": FIX})
    plain.git("checkout", "-q", "main")
    plain.commit({"calc.py": CALC.replace("a + b", "a+b")})
    plain.git("merge", "other", check=False)
    refused(plain.cli("check"), "merge is in progress", "calc.py")
    plain.write(**{"calc.py": FIX})
    plain.git("add", "-A")
    assert plain.cli("check", "--staged").returncode == 0


def test_a_bare_repository(plain: Repo, tmp_path: Path):
    plain.git("clone", "-q", "--bare", str(plain.path), str(tmp_path / "bare.git"))
    refused(plain.cli("check", cwd=tmp_path / "bare.git"), "bare repository")
    refused(plain.cli("check", cwd=plain.path / ".git"), "not a checkout")


def test_linked_worktrees_and_submodules_are_checkouts_like_any(plain: Repo, tmp_path: Path):
    plain.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked")
    linked = Repo(tmp_path / "linked", plain.python, plain.cache)
    linked.write(**{"calc.py": FIX})
    assert linked.cli("check").returncode == 0
    linked.write(**{"calc.py": "def add(:\n"})
    assert linked.cli("check").returncode == 1
    outer = tmp_path / "outer"
    outer.mkdir()
    holder = Repo(outer, plain.python, plain.cache)
    holder.git("init", "-q")
    holder.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(plain.path), "sub")
    inside = Repo(outer / "sub", plain.python, plain.cache)
    inside.write(**{"calc.py": "def add(:\n"})
    assert inside.cli("check").returncode == 1


def test_from_a_subfolder(plain: Repo):
    (plain.path / "deep/er").mkdir(parents=True)
    plain.write(**{"calc.py": FIX})
    assert plain.cli("check", cwd=plain.path / "deep/er").returncode == 0


def test_the_working_tree_holds_untracked_and_not_ignored_files(plain: Repo):
    plain.commit({".gitignore": "ignored.py\n"})
    plain.write(**{"new.py": "x = 1\n", "ignored.py": "def broken(:\n"})
    report = plain.gate()
    assert [f.path for f in report.change.files] == ["new.py"]


def test_the_index_is_judged_and_not_the_working_tree(plain: Repo):
    plain.write(**{"calc.py": FIX})
    plain.git("add", "calc.py")
    plain.write(**{"calc.py": "def add(:\n"})
    assert plain.gate(Source("staged")).verdict.decision == "accepted"
    plain.git("add", "calc.py")
    plain.write(**{"calc.py": FIX})
    assert plain.gate(Source("staged")).verdict.decision == "rejected"


def test_commit_with_pathspec_names_its_own_index(plain: Repo, monkeypatch: pytest.MonkeyPatch):
    plain.write(**{"calc.py": FIX, "other.py": "x = 1\n"})
    index = plain.path / ".git/next-index-1.lock"
    shutil.copyfile(plain.path / ".git/index", index)
    subprocess.run(["git", "add", "other.py"], cwd=plain.path, env=os.environ | {"GIT_INDEX_FILE": str(index)}, check=True)
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    assert [f.path for f in plain.gate(Source("staged")).change.files] == ["other.py"]


def test_a_patch_and_an_mbox_are_applied_to_the_base(plain: Repo):
    patch = diff_of(plain, {"calc.py": FIX, "naïve.py": "x = 1\n"})
    report = plain.gate(Source("patch", patch=patch))
    assert sorted(f.path for f in report.change.files) == ["calc.py", "naïve.py"]
    plain.git("checkout", "-qb", "topic")
    plain.commit({"calc.py": FIX}, "One: wörds")
    plain.commit({"calc.py": FIX + "\n\nx = 1\n"}, "Two")
    mbox = os.fsencode(plain.git("format-patch", "--stdout", "main") + "\n")
    plain.git("checkout", "-q", "main")
    report = plain.gate(Source("patch", patch=mbox))
    assert report.verdict.decision == "accepted"
    assert report.change.head_tree == plain.git("rev-parse", "topic^{tree}")


def test_mails_are_read_decoded_and_a_cover_letter_is_no_patch(plain: Repo):
    plain.git("checkout", "-qb", "topic")
    plain.commit({"calc.py": FIX}, "One")
    series = plain.git("format-patch", "--stdout", "--cover-letter", "main") + "\n"
    plain.git("checkout", "-q", "main")
    assert plain.gate(Source("patch", patch=series.encode())).change.head_tree == plain.git("rev-parse", "topic^{tree}")
    bare = b"From 1234567 Mon Sep 17 00:00:00 2001\nFrom: a <a@b>\nSubject: [PATCH] two\n\n---\n--- a/calc.py\n+++ b/calc.py\n@@ -1 +1 @@\n-a\n+b\n"
    refused(plain.cli("check", "--patch", "-", stdin=series.encode() + b"\n" + bare), "no `diff --git` header")
    head, _, body = series[series.index("From ", 10) :].partition("\n\n")
    coded = head + "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    mail = coded.encode() + base64.encodebytes(body.encode())
    assert plain.gate(Source("patch", patch=mail)).change.head_tree == plain.git("rev-parse", "topic^{tree}")
    bomb = "diff --git a/x b/x\nnew file mode 100644\nindex 0000000..1\nGIT binary patch\nliteral 600000000\nzc$\n\n"
    refused(
        plain.cli("check", "--patch", "-", stdin=coded.encode() + base64.encodebytes(bomb.encode())), "declares 600,000,000 bytes"
    )


@pytest.mark.parametrize("remote", [False, True])
def test_where_no_base_can_be_known_it_has_to_be_named(plain: Repo, tmp_path: Path, remote: bool):
    plain.git("branch", "-m", "main", "stable")
    if remote:
        plain.git("clone", "-q", "--origin", "upstream", str(plain.path), str(tmp_path / "clone"))
        plain.path = tmp_path / "clone"
    plain.git("checkout", "-q", "--no-track", "-b", "feat")
    plain.commit({"calc.py": "def add(:\n"}, "broken")
    plain.files({"test_calc.py": TEST_CALC + "\n"})
    done = plain.cli("check")
    if remote:
        assert done.returncode == 1 and "merge base with upstream/HEAD" in done.stdout
        return
    refused(done, "neither an upstream nor a default branch", "--base stable")
    assert plain.cli("check", "--base", "HEAD").returncode == 0
    assert plain.cli("check", env={"CI_DEFAULT_BRANCH": "stable"}).returncode == 1
    event = json.dumps({"session_id": "s", "cwd": str(plain.path)}).encode()
    assert plain.cli("hook", "stop", stdin=event).stdout == "", "an agent's session has its own beginning"


def test_a_file_that_git_lfs_has_checked_out_is_not_edited(plain: Repo):
    content = b"\0" * 5000
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(content).hexdigest()}\nsize 5000\n"
    plain.commit({"m.bin": pointer, "n.bin": pointer, ".gitattributes": "*.bin filter=lfs\n"})
    plain.files({"m.bin": content, "n.bin": content + b"x", "calc.py": FIX})
    assert sorted(f.path for f in plain.gate(Source(base="HEAD")).change.files) == ["calc.py", "n.bin"]


def test_each_tree_is_listed_once(plain: Repo, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    real = Git.run
    monkeypatch.setattr(Git, "run", lambda self, *a, **k: (asked.append(a[-1]) if a[:2] == ("ls-tree", "-r") else None, real(self, *a, **k))[1])  # fmt: skip
    plain.files({"calc.py": FIX})
    change = plain.gate().change
    assert sorted(asked) == sorted([change.base_tree, change.head_tree])


def test_what_running_the_code_leaves_behind_is_no_change(plain: Repo):
    plain.files({"__pycache__/calc.cpython-311.pyc": b"\0", "pkg/__pycache__/a.pyc": b"\0", "calc.py": FIX})
    assert [f.path for f in plain.gate().change.files] == ["calc.py"]
    plain.git("add", "-f", "pkg/__pycache__/a.pyc")
    assert "scope/compiled-code" in plain.cli("check").stdout


def test_the_base_is_the_merge_base_so_that_a_moved_branch_does_not_count(plain: Repo):
    plain.git("checkout", "-qb", "topic")
    plain.commit({"calc.py": FIX})
    plain.git("checkout", "-q", "main")
    plain.commit({"other.py": "y = 1\n"})
    report = plain.gate(Source("commit", base="main", head="topic"))
    assert [f.path for f in report.change.files] == ["calc.py"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"GITHUB_BASE_REF": "main"}, "GITHUB_BASE_REF"),
        ({"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}, "CI_MERGE_REQUEST"),
        ({}, "main"),
    ],
)
def test_the_base_comes_from_ci_or_from_the_default_branch(plain: Repo, environment: dict[str, str], words: str):
    plain.git("checkout", "-qb", "topic")
    plain.commit({"calc.py": FIX})
    report = plain.gate(environment=environment)
    assert words in report.change.note and [f.path for f in report.change.files] == ["calc.py"]


def test_a_push_event_names_the_commit_before(plain: Repo, tmp_path: Path):
    before = plain.git("rev-parse", "HEAD")
    plain.commit({"calc.py": FIX})
    plain.commit({"calc.py": FIX + "x = 1\n"})
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"before": before}))
    environment = {"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(event)}
    assert plain.gate(environment=environment).change.base == before


def test_a_hundred_thousand_files(repo: Repo):
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"x = 1\n")
    rows = "".join(f"100644 {blob}\tp{i // 1000}/m{i}.py\n" for i in range(100_000))
    repo.git("update-index", "--index-info", stdin=rows.encode())
    policy_blob = repo.git("hash-object", "-w", "--stdin", stdin=FAST.encode())
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{policy_blob},pyproject.toml")
    repo.git("commit", "-qm", "many")
    other = repo.git("hash-object", "-w", "--stdin", stdin=b"def broken(:\n")
    repo.git("update-index", "--cacheinfo", f"100644,{other},p7/m7007.py")
    report = repo.gate(Source("staged"))
    assert counting(report) == [("compile/error", "p7/m7007.py", 1, "reject")]


def test_gitattributes_hide_nothing(plain: Repo):
    plain.write(**{".gitattributes": "*.py -diff -text filter=evil\n", "calc.py": FIX})
    file = plain.gate().change.file("calc.py")
    assert file is not None and file.added_lines == 1


def test_renames_are_followed(plain: Repo):
    plain.git("mv", "calc.py", "calculator.py")
    file = plain.gate(Source("staged")).change.file("calculator.py")
    assert file is not None and (file.status, file.old_path) == ("renamed", "calc.py")


def test_a_change_of_the_same_size_in_the_same_clock_tick_is_seen(plain: Repo):
    for n in range(20):
        plain.commit({"calc.py": CALC + f"x = {n}\n"})
        plain.write(**{"calc.py": CALC + f"y = {n}\n"})
        assert [f.path for f in plain.gate().change.files] == ["calc.py"]
