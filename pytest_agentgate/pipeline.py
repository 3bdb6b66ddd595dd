"""The pipe. It reads top to bottom, and is the place to start."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from pytest_agentgate import __version__
from pytest_agentgate.base_tests import configurations, with_base_tests
from pytest_agentgate.cache import digest
from pytest_agentgate.checks.tests.prove import prover
from pytest_agentgate.consult import consult, material_of
from pytest_agentgate.decide import approve, assurance_of, decide, settle
from pytest_agentgate.decode import changed
from pytest_agentgate.errors import UsageError
from pytest_agentgate.examine import examine
from pytest_agentgate.git import Checkout, open_checkout
from pytest_agentgate.index import FURTHER, Index, index_url
from pytest_agentgate.interpreter import Interpreter, choose, describe
from pytest_agentgate.model import Change, Evidence, Material, Policy, Report, Review, Verdict
from pytest_agentgate.named_like_tests import with_product_modules
from pytest_agentgate.notes import Places
from pytest_agentgate.plugins import Plugins
from pytest_agentgate.process import Processes, clean_environment, find_program
from pytest_agentgate.protocols import Check, Context, Mend, Reviewer, ReviewOptions, Tree
from pytest_agentgate.read_policy import (
    MYPY_FILES,
    base_files,
    check_approvals,
    check_names,
    files_of,
    named_programs,
    policy_digest,
    read_policy,
    read_task,
    refuse_tracked,
)
from pytest_agentgate.resolve import EMPTY, Source, diff, diff_text, resolve
from pytest_agentgate.store import Store, open_store
from pytest_agentgate.trees import Folders, Trees
from pytest_agentgate.who import marks
from pytest_agentgate.workspace import Workspace, open_workspace


@dataclass(frozen=True)
class Gate:
    """How one run is made: everything that comes from the caller and nothing that comes from the judged tree."""

    directory: str = "."
    python: str = ""
    task: str = ""
    approvals: tuple[str, ...] = ()
    fast: bool = False
    """Only the checks of the commit stage (policy key `hook_checks`)."""
    fail_fast: bool = False
    sandbox: str = ""
    """Overrides the policy's `sandbox`."""
    index: str = ""
    """Package index to ask for new dependencies, or ``off``; empty: that of pip or uv, else PyPI."""
    use_cache: bool = True
    cache_folder: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    processes: Processes = field(default_factory=Processes)
    plugins: Plugins = field(default_factory=Plugins)
    review: ReviewOptions = field(default_factory=ReviewOptions)
    on_plan: Callable[[Change, Sequence[str]], None] = lambda change, names: None
    on_progress: Callable[[str, str], None] = lambda check, words: None
    on_evidence: Callable[[Evidence], None] = lambda evidence: None
    on_places: Callable[[Places], None] = lambda places: None
    """Told what the run looked at, for who wants to know later whether any of it changed."""


def judge(source: Source, gate: Gate) -> Report:
    """A patch goes in, a report comes out. Raises `UsageError` for what cannot be judged, `Interrupted` for signals."""
    started = time.monotonic()
    checkout = open_checkout(gate.processes, gate.directory)
    with open_workspace(checkout, gate.cache_folder, use_cache=gate.use_cache) as place:
        store = open_store(checkout, os.path.join(place.run, "store.git"))
        change = resolve(source, checkout, store, gate.environment)
        policy = _policy(store, change, gate)
        if (passed := _passed_through(checkout, change, policy, gate)) is not None:
            gate.plugins.tell_report(passed)
            return passed
        interpreter = _interpreter(store, change, policy, checkout, place, gate)
        required = _required(policy, gate)
        with _open_trees(store, change, policy, checkout, place, interpreter, gate) as trees:
            context = _context(change, policy, trees, interpreter, place, checkout, gate)
            checks = [c for c in gate.plugins.checks(policy) if c.name in required]
            gate.on_plan(change, [c.name for c in checks])
            evidence = examine(checks, context, partial(_tell, gate), fail_fast=gate.fail_fast or policy.fail_fast)
            gate.on_places(_places(checkout, trees, interpreter))
            evidence = approve(evidence, gate.approvals)
            verdict = decide(evidence, policy, required)
            review = _consult(verdict, context, place, gate, partial(_try, store, context, place, gate, checks, required))
            verdict = settle(verdict, review, policy)
        unsandboxed = any(e.sandbox == "none" for e in evidence)
        report = Report(
            version=__version__,
            change=change,
            policy_digest=policy_digest(policy, context.task),
            assurance=assurance_of(evidence),
            evidence=evidence,
            verdict=verdict,
            review=review,
            interpreter=f"{interpreter.executable} ({interpreter.version})",
            diff=diff_text(store, change),
            unsandboxed=unsandboxed,
            notes=tuple(n for n in (place.note, f"no sandbox: {trees.sandbox.reason}" if unsandboxed else "") if n),
            duration=round(time.monotonic() - started, 3),
        )
    gate.plugins.tell_report(report)
    return report


def _passed_through(checkout: Checkout, change: Change, policy: Policy, gate: Gate) -> Report | None:
    """A report that says so, where the policy wants agents' commits judged alone and these have no mark of one.

    What is no commit yet (the index, the working tree, a patch file) has no marks, and is always judged.
    """
    if policy.only == "all" or change.source != "commit" or change.base == EMPTY:
        return None
    if marks(checkout, change.base, change.head, gate.environment):
        return None
    words = 'no mark of an agent (`agentgate who`), and the policy says only = "agents": passed through, not judged'
    return Report(
        version=__version__,
        change=change,
        policy_digest=policy_digest(policy, read_task(gate.task, checkout.top) if gate.task else None),
        assurance="A0",
        evidence=(),
        verdict=Verdict(decision="accepted", reasons=(words,)),
        review=Review(status="not-run", reason="nothing was judged"),
    )


def law_of(store: Store, change: Change, gate: Gate) -> tuple[Policy, str, tuple[str, ...]]:
    """The policy of a change's base, the digest that a report of it has to carry, and the checks that are required."""
    policy = _policy(store, change, gate)
    task = read_task(gate.task, open_checkout(gate.processes, gate.directory).top) if gate.task else None
    return policy, policy_digest(policy, task), _required(policy, gate)


def review_again(report: Report, source: Source, gate: Gate, reviewer: Reviewer | None = None) -> Report:
    """The stored report of an accepted change with a review of that very change, by `reviewer` or the plugins'."""
    with _reopened(report, source, gate) as (context, consulted):
        review = consulted(report.verdict, reviewer)
    return msgspec.structs.replace(report, review=review, verdict=settle(report.verdict, review, context.policy))


def material_again(report: Report, source: Source, gate: Gate) -> tuple[Material, Policy]:
    """What a reviewer would see of a stored report's change."""
    with _reopened(report, source, gate) as (context, _):
        return material_of(context), context.policy


@contextmanager
def laid_out(role: str, source: Source, gate: Gate) -> Iterator[Tree]:
    """One of the trees of a change on disk, as its checks see it, for the time of the block."""
    with _reopened(None, source, gate) as (context, _), context.trees.place(role) as tree:
        yield tree


@contextmanager
def _reopened(
    report: Report | None, source: Source, gate: Gate
) -> Iterator[tuple[Context, Callable[[Verdict, Reviewer | None], Review]]]:
    """A change once more; raises `UsageError` where it is not that of the report any more."""
    checkout = open_checkout(gate.processes, gate.directory)
    with open_workspace(checkout, gate.cache_folder, use_cache=gate.use_cache) as place:
        store = open_store(checkout, os.path.join(place.run, "store.git"))
        change = resolve(source, checkout, store, gate.environment)
        if report and (change.base_tree, change.head_tree) != (report.change.base_tree, report.change.head_tree):
            raise UsageError(
                f"the report is about another change: its trees are {report.change.base_tree[:12]} and {report.change.head_tree[:12]}",
                hint="judge the change again with `agentgate check --review`",
            )
        policy = _policy(store, change, gate)
        interpreter = _interpreter(store, change, policy, checkout, place, gate)
        with _open_trees(store, change, policy, checkout, place, interpreter, gate) as trees:
            context = _context(change, policy, trees, interpreter, place, checkout, gate)
            required = _required(policy, gate)
            checks = [c for c in gate.plugins.checks(policy) if c.name in required]
            mend = partial(_try, store, context, place, gate, checks, required)
            yield context, lambda verdict, reviewer: _consult(verdict, context, place, gate, mend, reviewer)


def _consult(
    verdict: Verdict, context: Context, place: Workspace, gate: Gate, mend: Mend, reviewer: Reviewer | None = None
) -> Review:
    options = replace(gate.review, cache=place.cache, ledger=gate.review.ledger or os.path.join(place.root, "ledger.jsonl"))
    return consult(lambda: reviewer or gate.plugins.reviewer(context.policy, options), verdict, options, context, mend)


def _try(
    store: Store,
    context: Context,
    place: Workspace,
    gate: Gate,
    checks: Sequence[Check],
    required: Sequence[str],
    path: str,
    text: str,
    test: str,
) -> tuple[str, str]:
    """A new text of one file of the head, judged as the patch itself was; the diff where it is accepted and the test passes."""
    change = context.change
    before = context.trees.read("head", path) or b""
    tree = store.with_file(change.head_tree, path, text.encode())
    tried = msgspec.structs.replace(change, head=tree, head_tree=tree, files=diff(store, change.base_tree, tree))
    checkout = open_checkout(gate.processes, gate.directory)
    with _open_trees(store, tried, context.policy, checkout, place, context.interpreter, gate) as trees:
        inner = replace(context, change=tried, trees=trees)
        proof = prover(inner)(test, 1)
        if any(p.outcome != "passed" for p in proof.head):
            return "", "its test still fails with it"
        verdict = decide(approve(examine(checks, inner, lambda evidence: None), gate.approvals), context.policy, required)
    if verdict.decision != "accepted":
        return "", f"with it the change is {verdict.decision}: {verdict.reasons[0]}"
    rows = difflib.unified_diff(
        before.decode("utf-8", "replace").splitlines(), text.splitlines(), f"a/{path}", f"b/{path}", lineterm=""
    )
    return "\n".join(rows) + "\n", ""


def _policy(store: Store, change: Change, gate: Gate) -> Policy:
    known = store.entries(change.base_tree)
    policy = with_base_tests(read_policy(store, change), base_files(store, change, configurations(known)), known)
    policy = with_product_modules(policy, known, store.entries(change.head_tree), partial(files_of, store, change))
    policy = changed(policy, sandbox=gate.sandbox or policy.sandbox)
    checks = gate.plugins.checks(policy)
    rules = [rule for check in checks for rule in check.rules]
    check_names(policy, [c.name for c in checks], rules, f"pyproject.toml at the base {change.base[:12]}")
    check_approvals(gate.approvals, rules)
    return policy


def _interpreter(store: Store, change: Change, policy: Policy, checkout: Checkout, place: Workspace, gate: Gate) -> Interpreter:
    """The project's interpreter, never one that the judged tree could bring along."""
    python = choose(checkout.top, gate.python, policy.python, gate.environment)
    refuse_tracked(python, checkout.top, change, store)
    return describe(python, gate.processes, place.cache)


def _required(policy: Policy, gate: Gate) -> tuple[str, ...]:
    if gate.fast:
        return policy.hook_checks
    return tuple(dict.fromkeys((*policy.checks, *(c.name for c in policy.command))))


@contextmanager
def _open_trees(
    store: Store, change: Change, policy: Policy, checkout: Checkout, place: Workspace, interpreter: Interpreter, gate: Gate
) -> Iterator[Trees]:
    """The trees of the run, with plugins let in to prepare those that code will run in."""
    known = store.entries(change.base_tree)
    named = named_programs(policy, base_files(store, change, MYPY_FILES), known)
    folders = Folders(place.run, place.slots, (place.root,))
    trees = Trees(store, change, policy, checkout, folders, interpreter, named)
    trees.prepare = partial(gate.plugins.prepare, change=change, policy=policy)
    yield trees


def _context(
    change: Change, policy: Policy, trees: Trees, interpreter: Interpreter, place: Workspace, checkout: Checkout, gate: Gate
) -> Context:
    environment = clean_environment({"HOME": "/nonexistent"})
    return Context(
        change=change,
        policy=policy,
        trees=trees,
        interpreter=interpreter,
        cache=place.cache,
        run_tool=partial(gate.processes.run, env=environment, cap=policy.limits.output_bytes),
        progress=gate.on_progress,
        packages=Index(index_url(gate.index, gate.environment), place.cache, any(gate.environment.get(v) for v in FURTHER)).look,
        task=read_task(gate.task, checkout.top) if gate.task else None,
        tool_caches=place.tools,
        salt=digest(checkout.top if interpreter.bound else "", *sorted(clean_environment({}, policy.environment).items())),
    )


def _places(checkout: Checkout, trees: Trees, interpreter: Interpreter) -> Places:
    others = (interpreter.executable, os.path.realpath(interpreter.executable), os.path.join(interpreter.prefix, "pyvenv.cfg"))
    programs = tuple(p for p in (find_program("git"), find_program("bwrap")) if p)
    files = (*trees.entries("head"), *trees.carried())
    return Places(
        checkout.top, tuple(dict.fromkeys((checkout.git_dir, checkout.common_dir))), files, (*others, *interpreter.paths, *programs)
    )


def _tell(gate: Gate, evidence: Evidence) -> None:
    gate.on_evidence(evidence)
    gate.plugins.tell(evidence)
