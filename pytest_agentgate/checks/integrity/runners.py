"""Python files that run the judges or the installation, and what is installed beside them. Pure."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Mapping

from pytest_agentgate.checks.integrity.beside import RUNS, narrower
from pytest_agentgate.checks.integrity.capability_table import SCRIPTS
from pytest_agentgate.checks.integrity.differences import older, same_but_versions
from pytest_agentgate.checks.integrity.harmless import JUDGES, Spot
from pytest_agentgate.checks.integrity.names import walk
from pytest_agentgate.checks.integrity.view import Pair, Source, View

TOOL = re.compile(r"(?m)^(pytest|ruff|mypy|coverage|pyright|tox|nox|pre-commit)==(\d[\w.]*)")


HANDED_ON = re.compile(r", \*session\.posargs\b")
"""The arguments of whoever calls a session: they take nothing from what it runs."""


def sessions(pair: Pair) -> Spot:
    """Sessions of nox (or tasks of invoke and doit): what they run, which run by default, and for how many Pythons."""
    had, has = ([HANDED_ON.sub("", ast.unparse(n)) for n in s.nodes if _steers(n)] if s else [] for s in (pair.old, pair.new))
    for text in had:
        if text not in has and not any(same_but_versions(text, other) for other in has):
            yield f"{text[:120]} was taken out"
    before, after = (sum(_pythons(n) for n in s.nodes) if s else 0 for s in (pair.old, pair.new))
    if 2 * after < before:
        yield f"sessions run for {after} Pythons, and ran for {before}"


def _pythons(node: ast.AST) -> int:
    value = node.value if isinstance(node, ast.keyword) and node.arg == "python" else None
    return len(value.elts) if isinstance(value, ast.List) else 0


def installer(pair: Pair) -> Spot:
    """What runs when the project is installed, beside what ``setup`` is told in literals."""
    had, has = ([ast.dump(n) for n in s.tree.body if not _tells(n)] if s and s.tree else [] for s in (pair.old, pair.new))
    called, calls = (_calls(s) if s and s.tree else set() for s in (pair.old, pair.new))
    if any(text not in had for text in has) or calls - called:
        yield "it runs other code than before when the project is installed"


NO_PROGRAM = re.compile(
    r"\.(md|rst|adoc|txt|html?|svg|csv|lock|ipynb|po|xml)$|(^|/)(docs?|LICENSE|CHANGE\w*|NEWS)(/|$|\.)", re.IGNORECASE
)
"""Files that run nothing, whatever they name."""
STARTS = re.compile(r"\bsubprocess\b|\bos\.(system|exec|spawn|popen)|\.run\(|\bsh\b|Popen")
TELLS = re.compile(r"\breturncode\b|check=True|check_call|check_output|sys\.exit|SystemExit|\bexit\(")
"""How a program hands the failure of another one on."""


MAKES = ("GNUmakefile", "makefile", "Makefile")
"""Names under which make looks for its commands, in its own order."""


def takes_place(pair: Pair, view: View) -> Spot:
    """A new file of commands that make reads instead of the one that is there."""
    folder, name = posixpath.split(pair.path)
    if pair.old is None and name in MAKES:
        behind = [posixpath.join(folder, n) for n in MAKES[MAKES.index(name) + 1 :]]
        yield from (f"make reads {name} and no longer {p}" for p in behind if p in view.entries["base"])


def other_program(pair: Pair) -> Spot:
    """Any other file that runs what judges (a script, a compose file, ``package.json``): commands, and results, that went."""
    old, script = pair.old, pair.path.endswith(".py")
    if old is None or pair.kind == "test" or NO_PROGRAM.search(pair.path) or not RUNS.search(old.text):
        return
    if script and not (SCRIPTS.match(pair.path) and STARTS.search(old.text)):
        return
    kept, came = {line.strip() for line in pair.new.lines} if pair.new else set(), [t.strip() for _, t in pair.added()]
    for _, line in pair.removed():
        text = line.strip()
        says = RUNS.search(text) or (script and TELLS.search(text))
        if says and not text.startswith(("#", "//")) and text not in kept and not any(_says_all(text, c) for c in came):
            yield f"{text[:120]} was taken out"


def _says_all(text: str, other: str) -> bool:
    """Whether another line says what a line said, with other versions or with further words that take nothing away."""
    had, has = (re.findall(r"[\w.-]+", t) for t in (text, other))
    more = {w for w in has if w not in had}
    return same_but_versions(text, other) or (set(had) <= set(has) and not narrower(more) and not {"true", "echo"} & more)


STEPS = re.compile(
    r"^(hatch\.(build|metadata)(\.targets\.[\w-]+)?\.hooks\.custom|setuptools\.cmdclass|pdm\.build\.(custom-hook|run-setuptools)|"
    r"pdm\.scripts\.(pre|post)_\w+|poetry\.build)\b"
)
"""Settings that run a program of the project's own when it is installed or built."""
PLANTED = re.compile(r"site-packages|dist-packages|\.pth\b")
"""Places from which Python runs code when it starts."""


def build_steps(old: object, new: object) -> Spot:
    """What a ``pyproject.toml`` newly runs when the project is built or installed, or puts where Python starts (`tool` tables)."""
    before = dict(_flat(old))
    for key, value in _flat(new):
        if before.get(key) != value and STEPS.search(key):
            yield f"{key} runs {str(value)[:80]} when the project is built or installed"
        if (
            before.get(key) != value
            and re.search(r"(data-files|force-include|shared-data)", key)
            and PLANTED.search(f"{key} {value}")
        ):
            yield f"{key} puts {str(value)[:80]} where Python looks when it starts"


def _flat(data: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Values by their dotted key."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, data


def _calls(source: Source) -> set[str]:
    """What is called among the arguments of ``setup``, beside the finding of packages."""
    told = [n for s in source.tree.body if _tells(s) for n in walk([s])] if source.tree else []
    inner = [
        n
        for n in told
        if isinstance(n, ast.Call) and not re.search(r"(^|\.)(setup|find_(namespace_)?packages)$", ast.unparse(n.func))
    ]
    return {ast.dump(n) for n in inner}


def _tells(node: ast.stmt) -> bool:
    """Whether a statement of a ``setup.py`` gives names, versions and lists to setuptools, or says something."""
    plain = all(
        isinstance(n, ast.Constant | ast.List | ast.Tuple | ast.Dict | ast.Name | ast.Assign | ast.expr_context)
        for n in walk([node])
    )
    called = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).rpartition(".")[2] == "setup"
    )
    return plain or (called and not any(k in ast.unparse(node) for k in ("cmdclass", "distclass")))


def _steers(node: ast.AST) -> bool:
    """Whether a node runs a command that judges, or is an option of nox."""
    if isinstance(node, ast.Assign):
        return any(ast.unparse(t).startswith("nox.options.") for t in node.targets)
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("run", "notify", "sudo")
    return called and bool(JUDGES.search(ast.unparse(node)))


def requirements(pair: Pair) -> Spot:
    """Requirements that are no longer pinned by hashes, or name an older tool that judges."""
    if pair.old and b"--hash" in pair.old.data and b"--hash" not in (pair.new.data if pair.new else b""):
        yield "nothing is pinned by its hash any more"
    options = [line.strip() for _, line in pair.added() if re.match(r"\s*(--(?!hash)|-[if]\b)", line)]
    yield from (f"{line[:120]} was added" for line in options if pair.old and line.encode("utf-8", "replace") not in pair.old.data)
    had, has = (dict(TOOL.findall(s.text)) if s else {} for s in (pair.old, pair.new))
    yield from (f"{name} was {had[name]}, is {has[name]}" for name in had if name in has and older(had[name], has[name]))
    before, after = (_pinned(s.text) if s else {} for s in (pair.old, pair.new))
    yield from (f"{pin} lost a hash" for pin in before if pin in after and before[pin] - after[pin])


def _pinned(text: str) -> dict[str, set[str]]:
    """Hashes of each requirement, by what stands before them: another version is another requirement."""
    found: dict[str, set[str]] = {}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        pin, *hashes = re.split(r"\s--hash[= ]", line.partition(" #")[0])
        if hashes:
            found[" ".join(pin.split()).lower()] = {h.strip() for h in hashes}
    return found
