"""The one module that runs git, hardened: no hooks, no filters, no network, no configuration of anybody's.

`Checkout` reads facts of the user's repository and never writes there; the run's private repository is in `store.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_agentgate.errors import GitError, SourceError
from pytest_agentgate.process import Completed, Processes, which

HARDENED = (
    "--no-pager",
    "--no-replace-objects",
    "--literal-pathspecs",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.untrackedCache=false",
    "-c",
    "safe.bareRepository=explicit",
    "-c",
    "core.splitIndex=false",
    "-c",
    "core.attributesFile=/dev/null",
    "-c",
    "diff.noprefix=false",
    "-c",
    "diff.mnemonicPrefix=false",
    "-c",
    "color.ui=false",
    "-c",
    "credential.helper=",
    "-c",
    "protocol.allow=never",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "advice.detachedHead=false",
    "-c",
    "core.quotePath=true",
    "-c",
    "core.commitGraph=false",
)
KEPT_SETTINGS = ("autocrlf", "eol", "filemode", "symlinks", "ignorecase", "precomposeunicode", "excludesfile")
"""`core.*` settings of the user that decide what a commit of the working tree would hold."""


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """A pre-commit hook sets GIT_INDEX_FILE, a rebase GIT_DIR: none of the inherited GIT_* may reach our git."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PROTOCOL_FROM_USER": "0",
        **extra,
    }


@dataclass
class Git:
    """Runs git commands in one place with one environment."""

    processes: Processes
    cwd: str
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    """Further ``-c key=value`` arguments."""

    def __post_init__(self) -> None:
        self.program = which("git", hint="install git 2.31 or newer")

    def attempt(
        self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout: float = 120.0, cap: int = 1 << 31
    ) -> Completed:
        """Run a git command and return how it ended, whatever that was."""
        argv = [self.program, *HARDENED, *self.settings, *args]
        return self.processes.run(
            argv, cwd=self.cwd, env=_environment({**self.environment, **(env or {})}), stdin=stdin, timeout=timeout, cap=cap
        )

    def run(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run a git command and return its standard output; raises `GitError` unless it ended with 0."""
        done = self.attempt(*args, stdin=stdin, env=env)
        if done.returncode != 0 or done.timed_out:
            why = "took too long" if done.timed_out else f"failed with {done.returncode}"
            stderr = done.stderr.decode("utf-8", "replace")
            first = next((line for line in stderr.splitlines() if line.strip()), "no message")
            partial = re.search(r"unable to read [0-9a-f]{40}|missing (blob|tree|object)|could not fetch", stderr)
            hint = "is this a partial clone? Then: git fetch --refetch --no-filter" if partial else ""
            raise GitError(f"git {args[0]} {why}: {first}", stderr=stderr, hint=hint)
        return done.stdout

    def text(self, *args: str) -> str:
        """Standard output as text, without the last line end."""
        return self.run(*args).decode("utf-8", "surrogateescape").removesuffix("\n")


@dataclass(frozen=True)
class Checkout:
    """Where a user's checkout and its parts are. Only ever read."""

    git: Git
    top: str
    git_dir: str
    common_dir: str
    object_format: str

    @property
    def objects(self) -> str:
        """Folder of the object store."""
        return os.path.join(self.common_dir, "objects")

    @property
    def index(self) -> str:
        """The index that the caller means: GIT_INDEX_FILE where `git commit -a` runs a hook, else the usual one."""
        named = os.environ.get("GIT_INDEX_FILE")
        if named:
            path = os.path.abspath(os.path.join(self.top, named))
            if os.path.dirname(path) == self.git_dir or os.path.isfile(path):
                return path
        return os.path.join(self.git_dir, "index")

    def commit(self, revision: str) -> str | None:
        """Commit id of a revision, or None where there is none."""
        if not revision or revision.startswith("-") or "\0" in revision or "\n" in revision:
            return None
        done = self.git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return done.stdout.decode().strip() or None if done.returncode == 0 else None

    def merge_base(self, one: str, two: str) -> str | None:
        """Best common ancestor, or None."""
        done = self.git.attempt("merge-base", one, two)
        return done.stdout.decode().split("\n")[0] or None if done.returncode == 0 else None

    def on_remote(self, commit: str | None) -> bool:
        """Whether a remote-tracking branch contains a commit."""
        return bool(commit and self.git.attempt("for-each-ref", "--count=1", "--contains", commit, "refs/remotes").stdout.strip())

    def differs_from_head(self) -> bool:
        """Whether the index holds anything that HEAD does not."""
        env = {"GIT_INDEX_FILE": self.index}
        return self.git.attempt("diff-index", "--cached", "--quiet", "HEAD", "--", env=env).returncode != 0

    def ignored_files(self, within: Sequence[str] = ()) -> tuple[str, ...]:
        """Files that git ignores. Of folders that are ignored as a whole only what lies below one of the paths in `within`."""
        out = (
            Git(self.git.processes, self.top, settings=(*self.git.settings, *self.settings()))
            .attempt("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
            .stdout
        )
        names = [p for p in out.decode("utf-8", "surrogateescape").split("\0") if p]
        found = [p for p in names if not p.endswith("/")]
        for folder in (p for p in names if p.endswith("/")):
            for place in within:
                if f"{place}/".startswith(folder) or folder.startswith(f"{place}/"):
                    start = max(folder.rstrip("/"), place, key=len)
                    found += [
                        os.path.relpath(os.path.join(at, f), self.top)
                        for at, _, files in os.walk(os.path.join(self.top, start))
                        for f in files
                    ]
        return tuple(dict.fromkeys(found))

    def settings(self) -> tuple[str, ...]:
        """The user's own `core.*` settings that decide what a commit would hold, as ``-c`` arguments."""
        env = {k: v for k in ("HOME", "XDG_CONFIG_HOME") if (v := os.environ.get(k))}
        pattern = r"^core\.(" + "|".join(KEPT_SETTINGS) + r")$"
        done = self.git.attempt(
            "config",
            "-z",
            "--type=",
            "--get-regexp",
            pattern,
            env={**env, "GIT_CONFIG_GLOBAL": os.path.join(env.get("HOME", "/"), ".gitconfig")},
        )
        found: list[str] = []
        for item in done.stdout.decode("utf-8", "surrogateescape").split("\0"):
            key, _, value = item.partition("\n")
            if value:
                found += ["-c", f"{key}={os.path.expanduser(value)}"]
        return tuple(found)


def open_checkout(processes: Processes, directory: str) -> Checkout:
    """Find the checkout around `directory`; raises `SourceError` where there is none that can be judged."""
    if not os.path.isdir(directory):
        raise SourceError(f"{directory} is not a directory", hint="name the checkout with --repo DIR")
    git = Git(processes, os.path.realpath(directory))
    query = (
        "rev-parse",
        "--is-bare-repository",
        "--absolute-git-dir",
        "--git-common-dir",
        "--show-object-format",
        "--is-inside-work-tree",
        "--show-cdup",
    )
    done = git.attempt(*query)
    if done.returncode != 0 and b"dubious ownership" in done.stderr:
        git.settings = _trusted_directories(git)
        done = git.attempt(*query)
    if done.returncode != 0:
        raise SourceError(_not_a_checkout(directory, done))
    lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")
    if lines[0] == "true" or lines[4] != "true":
        raise SourceError(
            f"{directory} is a bare repository or a git folder, not a checkout",
            hint="run agentgate in a checkout, or name one with --repo DIR",
        )
    top = os.path.realpath(os.path.join(git.cwd, lines[5]))
    return Checkout(git, top, lines[1], os.path.normpath(os.path.join(git.cwd, lines[2])), lines[3])


def _not_a_checkout(directory: str, done: Completed) -> str:
    if b"not a git repository" in done.stderr or b"outside repository" in done.stderr:
        return f"{directory} is not in a git repository (run agentgate in a checkout, or name one with --repo DIR)"
    if b"cannot use bare repository" in done.stderr:
        return f"{directory} is a bare repository, not a checkout (name a checkout with --repo DIR)"
    if b"dubious ownership" in done.stderr:
        return (
            f"git does not trust {directory}: it belongs to another user "
            f"(git config --global --add safe.directory {os.path.abspath(directory)})"
        )
    return f"git cannot read {directory}: {done.error}"


def _trusted_directories(git: Git) -> tuple[str, ...]:
    """The user's own `safe.directory` list, which git honours only from protected configuration."""
    home = os.environ.get("HOME", "/")
    done = Git(git.processes, "/").attempt(
        "config",
        "-z",
        "--get-all",
        "safe.directory",
        env={"HOME": home, "GIT_CONFIG_GLOBAL": os.path.join(home, ".gitconfig"), "GIT_CONFIG_NOSYSTEM": "0"},
    )
    values = [v for v in done.stdout.decode("utf-8", "surrogateescape").split("\0") if v]
    return tuple(part for value in values for part in ("-c", f"safe.directory={value}"))
