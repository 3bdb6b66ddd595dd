"""Is the change what it may be? Paths, sizes, and objects that no judge should have to open."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from pytest_agentgate.layout import is_config, matches
from pytest_agentgate.model import Effect, Evidence, FileChange, Finding
from pytest_agentgate.model.change import GITLINK, REGULAR, SYMLINK
from pytest_agentgate.protocols import Context
from pytest_agentgate.secrets import SECRET_BYTES
from pytest_agentgate.text import command
from pytest_agentgate.tool_pages import SCOPE
from pytest_agentgate.trees import escapes

RULES = {r.id: f"{r.title}." for r in SCOPE}
EFFECTS: Mapping[str, Effect] = {r.id: r.effect for r in SCOPE}

COMPILED = re.compile(r"\.(py[cod]|so|dll|dylib)$|\.so\.\d", re.IGNORECASE)
ARCHIVE = re.compile(r"\.(egg|whl|zip|pyz|jar|pex|tar|tgz|[gx]z|bz2|zst)$", re.IGNORECASE)
CACHES = re.compile(r"(^|/)(__pycache__|\.mypy_cache|\.ruff_cache|\.pytest_cache|\.agentgate)/")
SECRET_NAMES = re.compile(
    r"(^|/)(\.env(\.(?!example|sample|template|dist)\w+)?|id_(rsa|dsa|ecdsa|ed25519)|\.netrc|\.pypirc|"
    r"\.npmrc|credentials(\.json)?|.*\.(p12|pfx|keystore|jks))$"
)
LFS = b"version https://git-lfs.github.com/spec/v1"


class Scope:
    """The `scope` check (a barrier)."""

    name, barrier, fast, rules, pages = "scope", True, True, RULES, SCOPE

    def depends_on(self, context: Context) -> Sequence[object] | None:
        """Never cached: it is quicker than a look into the cache."""
        return None

    def examine(self, context: Context) -> Evidence:
        """Look at every changed file once."""
        found = [*_limits(context), *_case_collisions(context)]
        for file in context.change.files:
            found += _path_findings(file, context)
            found += _object_findings(file)
        found += _content_findings(context)
        findings = [f for rule, message, path, line in found if (f := _finding(context, rule, message, path, line))]
        return Evidence.of(self.name, tuple(findings), len(context.change.files))


Raw = tuple[str, str, str | None, int | None]
"""Rule, message, path and line of a finding to be."""


def _finding(context: Context, rule: str, message: str, path: str | None, line: int | None) -> Finding | None:
    effect = context.effect(rule, path, EFFECTS[rule])
    if effect is None:
        return None
    return Finding(
        rule=rule,
        message=message,
        effect=effect,
        path=path,
        line=line,
        command=command("git", "diff", context.change.base[:12], "--", path)
        if path
        else f"git diff --stat {context.change.base[:12]}",
    )


def _limits(context: Context) -> Iterator[Raw]:
    change, limits, task = context.change, context.policy.limits, context.task
    files, lines = len(change.files), sum(f.added_lines + f.deleted_lines for f in change.files)
    for most in (limits.files, task.max_files if task else 0):
        if most and files > most:
            yield "scope/too-many-files", f"{files} files changed, {most} are allowed", None, None
    for most in (limits.lines, task.max_lines if task else 0):
        if most and lines > most:
            yield "scope/too-many-lines", f"{lines} lines changed, {most} are allowed", None, None


def _path_findings(file: FileChange, context: Context) -> Iterator[Raw]:
    paths = [p for p in (file.path, file.old_path) if p]
    if file.odd:
        yield "scope/odd-name", f"the name holds {file.odd}", file.path, None
    for path in paths:
        for allowed, origin in ((context.policy.allow, "allow"), (context.task.allowed_paths if context.task else (), "the task")):
            if allowed and not matches(path, allowed):
                yield "scope/path-not-allowed", f"{origin} does not name this path", path, None
        if matches(path, context.policy.forbid):
            yield "scope/path-forbidden", "the policy forbids changes here", path, None
    if ".gitmodules" in paths:
        yield "scope/gitlink", "submodules are configured differently", file.path, None
    if file.new is not None and SECRET_NAMES.search(file.path):
        yield "scope/secret", "a file of this name usually holds credentials", file.path, None
    if file.new is not None and (COMPILED.search(file.path) or CACHES.search(file.path)):
        yield "scope/compiled-code", "compiled code and caches cannot be judged", file.path, None
    if file.new is not None and ARCHIVE.search(file.path):
        yield "scope/archive", "no check looks into an archive", file.path, None


def _object_findings(file: FileChange) -> Iterator[Raw]:
    modes = {e.mode for e in (file.old, file.new) if e}
    if GITLINK in modes:
        yield "scope/gitlink", "a submodule points to another commit", file.path, None
    elif file.new is not None and file.new.mode not in (*REGULAR, SYMLINK):
        yield "scope/odd-name", f"the file has the unusual mode {file.new.mode}", file.path, None


def _case_collisions(context: Context) -> Iterator[Raw]:
    touched = {f.path for f in context.change.files if f.new is not None and f.status in ("added", "renamed")}
    if not touched:
        return
    every: set[str] = set()
    for path in context.trees.entries("head"):
        for place in _places(path):
            if place in every:
                break
            every.add(place)
    seen: dict[str, set[str]] = {}
    for place in every:
        seen.setdefault(_folded(place), set()).add(place)
    known = {place for path in context.trees.entries("base") for place in _places(path)}
    for path in sorted(touched):
        for place in (p for p in _places(path) if p not in known):
            others = sorted(seen.get(_folded(place), set()) - {place})
            if others:
                yield "scope/case-collision", f"{place} differs from {others[0]} only in case or form", path, None
                break


def _places(path: str) -> Iterator[str]:
    """A path and the folders that it lies in."""
    yield path
    while path := path.rpartition("/")[0]:
        yield path


def _folded(path: str) -> str:
    """What a file system that ignores case, and forms of Unicode, takes a path for."""
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _content_findings(context: Context) -> Iterator[Raw]:
    """What only the content shows: links, pointers, sizes, credentials in added lines."""
    changed = [f for f in context.change.files if f.new is not None and not f.odd and f.old != f.new]
    yield from _links([f for f in changed if f.new and f.new.mode == SYMLINK], context)
    regular = [f for f in changed if f.new and f.new.mode in REGULAR]
    sizes = context.trees.sizes("head", [f.path for f in regular])
    limit = context.policy.limits.file_bytes
    small = []
    for file in regular:
        size = sizes.get(file.path, 0)
        if limit and size > limit and not is_config(file.path):
            yield "scope/huge-file", f"{size:,} bytes, {limit:,} are allowed", file.path, None
        elif size <= max(limit, 1_000_000):
            small.append(file)
    contents = context.trees.read_many("head", [f.path for f in small])
    for file in small:
        yield from _text_findings(file, contents.get(file.path, b""))


def _links(files: Sequence[FileChange], context: Context) -> Iterator[Raw]:
    for file in files:
        target = context.trees.link_target("head", file.path)
        if escapes(file.path, target):
            yield "scope/symlink-escape", f"the link leads to {target.decode('utf-8', 'backslashreplace')}", file.path, None
        else:
            yield "scope/symlink", f"the link leads to {target.decode('utf-8', 'backslashreplace')}", file.path, None


def _text_findings(file: FileChange, content: bytes) -> Iterator[Raw]:
    if content.startswith(LFS):
        yield "scope/lfs-pointer", "the content is stored elsewhere", file.path, None
    if SECRET_BYTES.search(content):
        for number, line in enumerate(content.split(b"\n"), 1):
            if file.touches(number) and any(b"EXAMPLE" not in m[0] for m in SECRET_BYTES.finditer(line)):
                yield "scope/secret", "this line looks like a credential", file.path, number
