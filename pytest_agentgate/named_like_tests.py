"""Product modules with names of tests (``jinja2/tests.py``, ``orders/ab_test.py``): what the product imports is no judge."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from pytest_agentgate.base_tests import TESTLIKE
from pytest_agentgate.layout import is_test
from pytest_agentgate.model import Policy

Read = Callable[[str, Sequence[str]], Mapping[str, bytes]]
"""Contents of files: ``(side, paths) -> bytes by path``; `side` is "base" or "head"."""
DEFINES = re.compile(rb"^[ \t]*(async[ \t]+)?def[ \t]+test|^[ \t]*class[ \t]+\w*Test", re.MULTILINE)
"""What makes a module one that a runner can collect from."""
ASSERTS = re.compile(rb"\bassert|TestCase|\bpytest\b|\bunittest\b")
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
    folders = tuple(f"{posixpath.dirname(p)}/" for p in candidates)
    tops = tuple({_top(f, packages) for f in folders})
    product = [p for p in paths if p.endswith(".py") and p.startswith(tops) and (p in candidates or not is_test(p, policy))]
    texts = read(side, product)
    found = []
    for path in candidates:
        stem = re.escape(posixpath.basename(path).removesuffix(".py").encode())
        imports = re.compile(
            rb"^[ \t]*(?:from[ \t]+[\w.]*\.%b[ \t]+import\b|import[ \t][^\n#]*\.%b\b|from[ \t]+[\w.]+[ \t]+import[ \t]*(?:\([^)]*|[^\n#(]*)\b%b\b)"
            % (stem, stem, stem),
            re.MULTILINE,
        )
        judges = ASSERTS if posixpath.basename(path) == "tests.py" else DEFINES
        if not judges.search(texts.get(path, b"")) and any(imports.search(t) for p, t in texts.items() if p != path):
            found.append(path)
    return found


def _has_only_the_name(path: str, policy: Policy) -> bool:
    """Whether nothing but its own name makes a Python file a test."""
    name = posixpath.basename(path)
    inside = any(TESTLIKE.search(f) for f in path.split("/")[:-1])
    return path.endswith(".py") and name != "conftest.py" and not inside and is_test(path, policy)


def _top(folder: str, packages: Collection[str]) -> str:
    """The outermost package that a folder is in."""
    top = folder.rstrip("/")
    while posixpath.dirname(top) in packages:
        top = posixpath.dirname(top)
    return f"{top}/"
