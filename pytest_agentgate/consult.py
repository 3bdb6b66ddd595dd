"""Asks the reviewer, after `accepted` alone, and lends it hands: texts of the change, and tests that run in our sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pytest_agentgate.cache import digest
from pytest_agentgate.checks.tests.prove import prover
from pytest_agentgate.errors import Interrupted
from pytest_agentgate.layout import kind, packages
from pytest_agentgate.model import Material, Review, SourceFile, Verdict
from pytest_agentgate.protocols import Context, Hands, Mend, Reviewer, ReviewOptions, TreeSource

STANDARDS = ("REVIEW.md", "AGENTS.md", "CLAUDE.md")
"""Read from the base: a patch must not tell its reviewer what to look for."""
FILE_BYTES = 400_000
SOURCES_BYTES = 4_000_000


def consult(
    reviewer: Callable[[], Reviewer | None], verdict: Verdict, options: ReviewOptions, context: Context, mend: Mend | None
) -> Review:
    """The review; `not-run` with the reason unless the change is accepted, a review is wanted, and there is a reviewer."""
    if verdict.decision != "accepted":
        return Review(status="not-run", reason=f"the change is {verdict.decision}")
    if not (options.wanted or context.policy.review.enabled):
        return Review(status="not-run", reason="nobody asked for one (--review, or review.enabled in the policy)")
    found = reviewer()
    if found is None:
        return Review(status="not-run", reason="no reviewer: set ANTHROPIC_API_KEY, or name a --review-backend")
    context.progress("review", "asking the reviewer")
    policy = context.policy.review
    runs = policy.execute and options.execute
    try:
        return found.review(material_of(context), Hands(prover(context) if runs else None, mend if policy.fixes and runs else None))
    except Interrupted:
        raise
    except Exception as error:  # a reviewer that breaks must not take the verdict along
        return Review(status="incomplete", reason=f"the reviewer broke ({type(error).__name__}: {error})")


def material_of(context: Context) -> Material:
    """Texts of the change, and of the product on both sides."""
    trees, change = context.trees, context.change
    files = [f for f in change.files if not f.odd]
    old = _texts(trees, "base", (f.old_path or f.path for f in files if f.old))
    new = _texts(trees, "head", (f.path for f in files if f.new))
    standards = _texts(trees, "base", STANDARDS)
    return Material(
        files=tuple(
            SourceFile(change=f, old=old.get(f.old_path or f.path) if f.old else None, new=new.get(f.path) if f.new else None)
            for f in change.files
        ),
        standards=tuple((name, standards[name]) for name in STANDARDS if name in standards),
        base_sources=_product(context, "base"),
        head_sources=_product(context, "head"),
        key=digest("change", trees.key("base"), trees.key("head")),
    )


def _texts(trees: TreeSource, role: str, paths: Iterable[str]) -> Mapping[str, str]:
    """Contents of those files that are text and no longer than `FILE_BYTES`."""
    sizes = trees.sizes(role, list(paths))
    found: dict[str, str] = {}
    for path, data in trees.read_many(role, [p for p, size in sizes.items() if size <= FILE_BYTES]).items():
        if b"\0" not in data:
            try:
                found[path] = data.decode("utf-8")
            except UnicodeDecodeError:
                continue
    return found


def _product(context: Context, role: str) -> tuple[tuple[str, str], ...]:
    """The product's Python files of one side, in the order of their paths, up to `SOURCES_BYTES` together."""
    known = packages([*context.trees.entries("base"), *context.trees.entries("head")])
    paths = [p for p in sorted(context.trees.entries(role)) if p.endswith(".py") and kind(p, context.policy, known) == "product"]
    sizes, wanted, total = context.trees.sizes(role, paths), [], 0
    for path in paths:
        total += sizes.get(path, 0)
        if total <= SOURCES_BYTES:
            wanted.append(path)
    texts = _texts(context.trees, role, wanted)
    return tuple((p, texts[p]) for p in wanted if p in texts)
