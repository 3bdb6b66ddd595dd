"""From what the user named to a `Change`: base, head and every hunk."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_agentgate.bases import find_base, named_base
from pytest_agentgate.diff import ARGUMENTS, MAX_PATCH_BYTES, check_patch, hunk_of, parse_change, parse_raw
from pytest_agentgate.errors import GitError, NothingToJudge, SourceError
from pytest_agentgate.git import Checkout, Git
from pytest_agentgate.model import Change, FileChange
from pytest_agentgate.model.change import SourceKind
from pytest_agentgate.store import Store

EMPTY = "EMPTY"
"""``--base EMPTY``: everything in the head is new (the first push of a repository)."""


@dataclass(frozen=True)
class Source:
    """What the user named. At most one of the heads is meant, by `kind`."""

    kind: SourceKind = "working-tree"
    base: str = ""
    """A revision; empty: find it."""
    head: str = ""
    """A revision, for kind `commit`."""
    patch: bytes = b""
    """A unified diff or mbox, for kind `patch`."""
    base_is_head: bool = False
    """Without a named base, compare with HEAD (a commit hook) instead of looking for a branch."""


def resolve(source: Source, checkout: Checkout, store: Store, environment: Mapping[str, str]) -> Change:
    """Resolve what was named; raises `SourceError` with one clear line where that cannot be judged."""
    tip = checkout.commit("HEAD")
    if tip is None and not (source.kind == "commit" and source.base):
        raise SourceError(
            "the branch has no commit yet, so that there is no base to compare with", hint="commit once, then gate what follows"
        )
    head_commit = _head_commit(source, checkout, tip)
    base, how = _base(source, checkout, head_commit, environment)
    base_tree = store.tree_of(base) if base != EMPTY else _empty_tree(store)
    head_tree, head = _head(source, checkout, store, base_tree, head_commit)
    if head_tree == base_tree:
        raise NothingToJudge(
            f"nothing to judge: {_words(source)} equals the base {base[:12]} ({how})",
            hint="change something, or name another base with --base",
        )
    return Change(
        source=source.kind,
        base=base,
        head=head,
        base_tree=base_tree,
        head_tree=head_tree,
        files=diff(store, base_tree, head_tree),
        note=how,
    )


def _words(source: Source) -> str:
    return {
        "working-tree": "the working tree",
        "staged": "the index",
        "commit": f"head {source.head}",
        "patch": "the tree after the patch",
    }[source.kind]


def _head_commit(source: Source, checkout: Checkout, tip: str | None) -> str | None:
    if source.kind != "commit":
        return tip
    commit = checkout.commit(source.head)
    if commit is None:
        raise SourceError(f"there is no revision {source.head!r}", hint="see `git log --all`")
    return commit


def _base(source: Source, checkout: Checkout, head_commit: str | None, environment: Mapping[str, str]) -> tuple[str, str]:
    if source.base == EMPTY:
        return EMPTY, "the empty tree"
    if source.base:
        return named_base(checkout, source.base, None if source.kind == "patch" else head_commit)
    if head_commit is None:
        raise SourceError("there is no head to find a base for")
    if source.base_is_head or source.kind in ("staged", "patch"):
        return head_commit, "HEAD"
    return find_base(checkout, head_commit, environment)


def _empty_tree(store: Store) -> str:
    return store.git.run("mktree").decode().strip()


def _head(source: Source, checkout: Checkout, store: Store, base_tree: str, head_commit: str | None) -> tuple[str, str]:
    """Tree id of the head, and the commit id where it is one."""
    if source.kind == "commit" and head_commit is not None:
        return store.tree_of(head_commit), head_commit
    if source.kind == "patch":
        tree = _apply(source.patch, store, base_tree)
    else:
        tree = _snapshot(checkout, store, with_working_tree=source.kind == "working-tree")
    return tree, tree


def _snapshot(checkout: Checkout, store: Store, *, with_working_tree: bool) -> str:
    """Tree id of the index, or of the working tree with its untracked files, through a copy of the index.

    The copy keeps its time: git looks again at files that changed no earlier than their index was written, and a copy
    with a newer time would hide a change of the same size in the same clock tick.
    """
    index = os.path.join(store.git_dir, "index")
    if os.path.exists(checkout.index):
        shutil.copy2(checkout.index, index)
        shared = [n for n in os.listdir(checkout.git_dir) if n.startswith("sharedindex.")]
        for name in shared:
            shutil.copy2(os.path.join(checkout.git_dir, name), os.path.join(store.git_dir, name))
    git = Git(
        store.git.processes,
        checkout.top,
        {**store.git.environment, "GIT_WORK_TREE": checkout.top, "GIT_INDEX_FILE": index},
        checkout.settings(),
    )
    rows = [row.partition(b"\t") for row in git.run("ls-files", "--stage", "-z").split(b"\0") if row]
    unmerged = next((name for meta, _, name in rows if not meta.endswith(b" 0")), None)
    if unmerged is not None:
        raise SourceError(
            f"a merge is in progress and {unmerged.decode('utf-8', 'backslashreplace')} is not resolved",
            hint="resolve it and `git add` it first",
        )
    if with_working_tree:
        converts = any(name.endswith(b".gitattributes") for _, _, name in rows) or any("autocrlf" in s for s in git.settings)
        _add_all(checkout, store, git, converts=converts)
        if converts:
            _keep_pointers(rows, store, git)
    return store.write_tree(index)


def _add_all(checkout: Checkout, store: Store, git: Git, *, converts: bool) -> None:
    """Take the working tree into the copied index.

    Where line ends are converted, git has to look at the old content to decide, and so has to see the user's objects.
    """
    exclude, ours = (os.path.join(folder, "info", "exclude") for folder in (checkout.common_dir, store.git_dir))
    os.makedirs(os.path.dirname(ours), exist_ok=True)
    if os.path.isfile(exclude):
        shutil.copyfile(exclude, ours)
    with open(ours, "a", encoding="utf-8") as stream:
        stream.write(
            "".join(f"\n{name}\n" for name in ("**/__pycache__/*.py[co]", *(f"/{e}/" for e in _environments(checkout.top))))
        )
    if not converts:
        kept = {k: v for k, v in git.environment.items() if k != "GIT_ALTERNATE_OBJECT_DIRECTORIES"}
        git = Git(git.processes, git.cwd, kept, git.settings)
    try:
        git.run("-c", "core.safecrlf=false", "-c", "advice.addEmbeddedRepo=false", "add", "--all", "--", ".")
    except GitError as error:
        lines = [line for line in error.stderr.strip().splitlines() if line]
        last = [line for line in lines if line.startswith("error: ")][:1] or lines[-1:] or [str(error)]
        raise SourceError(f"git cannot read the working tree: {last[0]}", hint="mend or ignore that file") from error


def _keep_pointers(rows: Sequence[tuple[bytes, bytes, bytes]], store: Store, git: Git) -> None:
    """Files that Git LFS has checked out stay the pointers that are committed, where they hold what these point to.

    Filters run programs and so are off here: such a file looks edited as soon as git looks at it again.
    """
    now = {name: meta for meta, _, name in (r.partition(b"\t") for r in git.run("ls-files", "--stage", "-z").split(b"\0") if r)}
    old = {name: meta.split()[:2] for meta, _, name in rows if name in now and now[name].split()[1] != meta.split()[1]}
    oids = [oid.decode() for _, oid in old.values()]
    sizes = store.sizes(oids) if oids else {}
    texts = dict(store.blobs(oid for oid in oids if sizes.get(oid, POINTER) < POINTER))
    for name, (mode, oid) in old.items():
        said = re.fullmatch(rb"version https://git-lfs\S+\noid sha256:([0-9a-f]{64})\nsize (\d+)\n", texts.get(oid.decode(), b""))
        if said and hashlib.sha256(store.blob(now[name].split()[1].decode())).hexdigest().encode() == said[1]:
            git.run("update-index", "--add", "--cacheinfo", b",".join((mode, oid, name)).decode("utf-8", "surrogateescape"))


POINTER = 1024
"""Bytes; pointers of Git LFS are smaller."""


def _environments(top: str) -> list[str]:
    """Virtual environments at the top of the checkout: tools, and nobody's change. What git tracks of them is judged all the same."""
    with os.scandir(top) as places:
        found = [p.name for p in places if p.is_dir(follow_symlinks=False) and os.path.isfile(os.path.join(p.path, "pyvenv.cfg"))]
    return [name for name in found if re.fullmatch(r"[\w.-]+", name)]


HUNKS = re.compile(rb"(?m)^(diff --git |--- |\+\+\+ |@@ |GIT binary patch)")
"""Lines of which a mail without any changes nothing."""
MBOX = re.compile(rb"From [0-9a-f]{7,}|From \S+@|From: ")


def _apply(patch: bytes, store: Store, base_tree: str) -> str:
    """Tree id after the patch (or each mail of an mbox) was applied to the base by git, in an index of ours."""
    if len(patch) > MAX_PATCH_BYTES or not (mbox := MBOX.match(patch)):
        check_patch(patch)
    index = os.path.join(store.git_dir, "index")
    env = {"GIT_INDEX_FILE": index}
    store.git.run("read-tree", base_tree, env=env)
    try:
        parts = _mails(patch, store) if mbox else [patch]
    except GitError as error:
        raise SourceError(f"the mbox cannot be read: {error}") from error
    if mbox:  # what its mails say once they are decoded; a cover letter has no diff
        parts = [part for part in parts if HUNKS.search(part)] or [patch]
        check_patch(b"\n".join(parts))
        for part in parts:
            check_patch(part)
    for part in parts:
        done = store.git.attempt("apply", "--cached", "--whitespace=nowarn", "-", stdin=part, env=env)
        if done.returncode != 0:
            raise SourceError(_apply_failure(done.stderr.decode("utf-8", "replace"), part))
    return store.write_tree(index)


def _mails(patch: bytes, store: Store) -> list[bytes]:
    """The patches of an mbox with their transfer encoding undone."""
    folder = os.path.join(store.git_dir, "mails")
    os.makedirs(folder)
    store.git.run("mailsplit", f"-o{folder}", "--keep-cr", stdin=patch)
    parts = []
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as stream:
            mail = stream.read()
        target = os.path.join(store.git_dir, f"patch-{name}")
        store.git.run("mailinfo", os.path.join(store.git_dir, f"message-{name}"), target, stdin=mail)
        with open(target, "rb") as stream:
            parts.append(stream.read())
    return parts


def _apply_failure(stderr: str, patch: bytes) -> str:
    """One line that names the file and the hunk."""
    lines = [line.removeprefix("error: ") for line in stderr.splitlines() if line.strip()]
    found = re.match(r"patch failed: (.*):(\d+)$", lines[0]) if lines else None
    hint = " (make it from this base: git diff BASE, or name its base with --base)"
    if b"\r\n" in patch:
        hint = " (the patch has CRLF line ends: keep those of the file, for instance with git format-patch)"
    if found:
        return f"the patch does not apply: {hunk_of(patch, found[1], int(found[2]))} of {found[1]}{hint}"
    return f"the patch does not apply: {lines[0] if lines else 'git gave no reason'}{hint}"


def diff(store: Store, base_tree: str, head_tree: str) -> tuple[FileChange, ...]:
    """Every file and hunk between two trees."""
    raw = store.git.run(*ARGUMENTS, "-z", base_tree, head_tree)
    if any(f.odd for f in parse_raw(raw)[0]):
        quoted = [a for a in ARGUMENTS if a != "--raw"]
        return parse_change(raw, store.git.run(*quoted, base_tree, head_tree))
    return parse_change(raw)


LONGEST = 200_000
"""Characters of a diff that a report keeps."""


def diff_text(store: Store, change: Change) -> str:
    """The change as people read it, with three lines of context; cut at a line end. Empty where it is too large to be read."""
    if sum(f.added_lines + f.deleted_lines for f in change.files) > LONGEST:
        return ""
    flags = [a for a in ARGUMENTS if a not in ("--raw", "-U0")]
    text = store.git.run(*flags, "-U3", change.base_tree, change.head_tree).decode("utf-8", "backslashreplace")
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition("\n")[0] + "\n"
