"""Product modules with names of tests (``jinja2/tests.py``, ``orders/ab_test.py``): what the product imports is no judge."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from pytest_agentgate.base_tests import TESTLIKE
from pytest_agentgate.diff import odd_name
from pytest_agentgate.layout import is_test
from pytest_agentgate.model import Policy
from pytest_agentgate.syntax import parsed

Read = Callable[[str, Sequence[str]], Mapping[str, bytes]]
"""Contents of files: ``(side, paths) -> bytes by path``; `side` is "base" or "head"."""
DEFINES = re.compile(rb"^[ \t]*(async[ \t]+)?def[ \t]+test|^[ \t]*class[ \t]+\w*Test", re.MULTILINE)
"""What makes a module one that a runner can collect from."""
ASSERTS = re.compile(rb"\bassert|TestCase|\bpytest\b|\bunittest\b|^[ \t]+(async[ \t]+)?def[ \t]+test", re.MULTILINE)
"""The same of a ``tests.py``, which pytest does not collect by default: functions called ``test_odd`` make no tests."""


def with_product_modules(policy: Policy, base: Collection[str], head: Collection[str], read: Read) -> Policy:
    """The policy in which modules of a package that the product itself imports, and that hold no tests, are product.

    The base says so of its files, whatever the patch does to them; the head of those that are new.
    """
    found = [*_imported("base", base, set(base), policy, read), *_imported("head", head, set(head) - set(base), policy, read)]
    if not found:
        return policy
    paths = (*policy.tests.paths, *("!/" + re.sub(r"([*?!#\[\\ ])", r"\\\1", p) for p in found))
    return msgspec.structs.replace(policy, tests=msgspec.structs.replace(policy.tests, paths=paths))


def _imported(side: str, paths: Collection[str], asked: Collection[str], policy: Policy, read: Read) -> list[str]:
    packages = {posixpath.dirname(p) for p in paths if posixpath.basename(p) == "__init__.py"}
    candidates = [p for p in sorted(asked) if posixpath.dirname(p) in packages and _has_only_the_name(p, policy)]
    if not candidates:
        return []
    tops = tuple({_top(posixpath.dirname(p), packages) for p in candidates})
    product = {p for p in paths if p.endswith(".py") and p.startswith(tops) and not is_test(p, policy)}
    texts = read(side, [*product, *candidates])
    words = {w for p in product for w in _imports(texts.get(p, b""), p)}
    found = []
    for path in candidates:
        judges = ASSERTS if posixpath.basename(path) == "tests.py" else DEFINES
        if path in words and not judges.search(texts.get(path, b"")):
            found.append(path)
    return found


def _imports(source: bytes, path: str) -> Iterator[str]:
    """Paths of the modules that a file may import: each import's end, looked for beside the file and from the outermost package on."""
    tree = parsed(source)
    if tree is None:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"{place}{a.name.replace('.', '/')}.py" for a in node.names for place in _places(path))
        elif isinstance(node, ast.ImportFrom):
            folder = "/".join(path.split("/")[: -node.level]) if node.level else ""
            places = [f"{folder}/" if folder else ""] if node.level else list(_places(path))
            module = (node.module or "").replace(".", "/")
            yield from (f"{place}{module}.py" for place in places if module)
            inner = f"{module}/" if module else ""
            yield from (f"{place}{inner}{a.name}.py" for place in places for a in node.names)


def _places(path: str) -> Iterator[str]:
    """Folders from which an absolute import can start: the root, and each folder above the file."""
    parts = path.split("/")[:-1]
    return ("".join(f"{p}/" for p in parts[:n]) for n in range(len(parts) + 1))


def _has_only_the_name(path: str, policy: Policy) -> bool:
    """Whether nothing but its own name makes a Python file a test."""
    name = posixpath.basename(path)
    inside = any(TESTLIKE.search(f) for f in path.split("/")[:-1])
    return path.endswith(".py") and name != "conftest.py" and not inside and not odd_name(path) and is_test(path, policy)


def _top(folder: str, packages: Collection[str]) -> str:
    """The outermost package that a folder is in."""
    top = folder
    while posixpath.dirname(top) in packages:
        top = posixpath.dirname(top)
    return f"{top}/"
