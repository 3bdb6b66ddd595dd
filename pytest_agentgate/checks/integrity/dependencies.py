"""What the project newly depends on, and whether a lock file still says what it said. Pure: the view holds the index's answers.

Whether a new name is the one that was meant is for a human to see; that it exists, and since when, the package index says.
The tests run in the environment of the base in any case.
"""

from __future__ import annotations

import difflib
import json
import posixpath
import re
import time
import tomllib
from collections.abc import Iterator

from pytest_agentgate.checks.integrity.installs import installed, installs, is_everyday
from pytest_agentgate.checks.integrity.manifests import is_manifest, names, normal, own_names
from pytest_agentgate.checks.integrity.rule import Hit, RuleSet
from pytest_agentgate.checks.integrity.versions import downgrades
from pytest_agentgate.checks.integrity.view import Pair, Source, View
from pytest_agentgate.index import Package
from pytest_agentgate.layout import REQUIREMENTS, is_test
from pytest_agentgate.model import Effect
from pytest_agentgate.rulebook import Example, Rule

LOCKS = frozenset({"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"})
SOURCES = re.compile(
    r"--(extra-)?index-url|--find-links|--trusted-host|index-url\s*=|^\s*-[ifr]\s*https?:|^\s*https?:|git\+\w+:|@\s*(https?|file):|"
    r"\b(git|url|path)\s*=\s*[\"'](https?|git|ssh|file):|"
    r"^\[+tool\.(uv\.(index|sources)|poetry\.source|pdm\.source)|^\[\[source\]\]",
    re.IGNORECASE,
)
HOSTS = re.compile(r"\b(?:https?|ssh|git)://(?:[^/\s\"'@]*@)?([^/\s\"':?#]+)", re.IGNORECASE)
INDEX = frozenset({"pypi.org", "files.pythonhosted.org"})
PIPED = re.compile(
    r"\b(curl|wget)\b[^|\n]*\|\s*(sudo\s+)?(\S*/)?((ba|z|da|k)?sh|python\d?|pwsh|iex)\b|\b(ba|z)?sh\s+(-c\s+)?[\"']?[<$]\(\s*(curl|wget)\b"
)
KNOWN = ("requests", "numpy", "pandas", "django", "flask", "pytest", "urllib3", "boto3", "setuptools", "cryptography", "pydantic", "fastapi", "sqlalchemy",
         "httpx", "aiohttp", "click", "rich", "pyyaml", "jinja2", "scipy", "matplotlib", "pillow", "colorama", "python-dateutil", "certifi", "idna",
         "packaging", "typing-extensions", "attrs", "tqdm", "beautifulsoup4", "lxml", "redis", "celery", "protobuf", "torch", "tensorflow", "anthropic", "openai",
         "mypy", "ruff", "black", "tox", "virtualenv", "pluggy", "starlette", "uvicorn", "gunicorn", "paramiko", "psycopg2", "scikit-learn")  # fmt: skip


def find(view: View) -> Iterator[Hit]:
    """New names among the dependencies, other indexes, and locked artefacts that changed under the same version."""
    beside = {p.path: installed(p.new) for p in view.pairs if not is_test(p.path, view.policy)}
    if not any(beside.values()) and not any(is_manifest(p.path) for p in view.pairs):
        yield from _sources(view)
        return
    known = [p for p in view.entries["base"] if (is_manifest(p) or installs(p)) and not is_test(p, view.policy)]
    manifests = [Source(path, data) for path, data in view.read("base", known).items()]
    before = {n for m in manifests for n in names(m) | installed(m)} | {
        n for p in view.pairs for n in names(p.old) | installed(p.old)
    }
    before |= {n for m in manifests for n in own_names(m)}
    before |= {"setuptools", "wheel"} if any(posixpath.basename(p) in ("setup.py", "setup.cfg") for p in known) else set()
    fresh = {p.path: sorted(names(p.new) - before) if not is_test(p.path, view.policy) else [] for p in view.pairs}
    fresh = {path: [*group, *_unusual(beside.get(path, set()) - before - {*group})] for path, group in fresh.items()}
    every = {n for group in fresh.values() for n in group}
    local = every & {n for p in view.pairs if p.new for n in own_names(p.new)}
    said = dict.fromkeys(local, Package(None, reason="the manifest says itself where it is"))
    said |= view.look(sorted(every - local)) if every - local else {}
    for pair in view.pairs:
        for name in fresh[pair.path]:
            yield from _judged(view, pair, name, said[name])
    yield from _sources(view)


def _unusual(found: set[str]) -> list[str]:
    """What is installed beside the manifests, without the tools that are installed so everywhere."""
    return sorted(n for n in found if not is_everyday(n))


def _sources(view: View) -> Iterator[Hit]:
    """Older versions, other indexes, and locked artefacts that changed under the same version."""
    for pair in view.pairs:
        if is_manifest(pair.path):
            for name, had, has in downgrades(pair):
                yield Hit("integrity/older-dependency", f"{had} became {has}", pair.path, _line_of(pair, name), has)
        if REQUIREMENTS.search(pair.path) or posixpath.basename(pair.path) in (
            "pyproject.toml",
            "pip.conf",
            "uv.toml",
            "setup.cfg",
            "setup.py",
            "Pipfile",
        ):
            for number, line in pair.added():
                if SOURCES.search(line):
                    yield Hit("integrity/other-index", "packages come from another place", pair.path, number, line.strip())
        for number, line in pair.added() if installs(pair.path) else ():
            if PIPED.search(line) and not line.lstrip().startswith("#"):
                yield Hit("integrity/other-index", "a program from the net is run unseen", pair.path, number, line.strip())
        if posixpath.basename(pair.path) in LOCKS:
            yield from _other_hosts(pair)
        if posixpath.basename(pair.path) in LOCKS or REQUIREMENTS.search(pair.path):
            yield from _locked(pair)


def _other_hosts(pair: Pair) -> Iterator[Hit]:
    """Hosts from which a lock file takes packages, and from which the base's took none."""
    before = set(HOSTS.findall(pair.old.text)) if pair.old else set()
    for number, line in pair.added() if pair.old else ():
        if fresh := set(HOSTS.findall(line)) - before - INDEX:
            yield Hit("integrity/other-index", f"packages come from another place: {min(fresh)}", pair.path, number, line.strip())
            return


def _judged(view: View, pair: Pair, name: str, known: Package) -> Iterator[Hit]:
    """What there is to say of one new name."""
    line, days, least = _line_of(pair, name), known.days(time.time()), view.policy.limits.package_days
    near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.84)
    like = f"; it is close to {near[0]!r}: was that meant?" if near and near[0] != name else ""
    since = f" (first released {known.first[:10]})" if known.first else ""
    if known.exists is False:
        effect: Effect | None = "hold" if _has_other_index(view) or not is_manifest(pair.path) else None
        yield Hit("integrity/unknown-package", f"the package index knows no {name}{like}", pair.path, line, name, effect)
        return
    if known.exists is None:
        words = f"whether {name} exists was not seen: {known.reason}"
        yield Hit("integrity/package-not-checked", words, pair.path, line, name)
    if days is not None and days < least:
        words = f"{name} was first released {max(days, 0)} days ago, on {known.first[:10]}{like}"
        yield Hit("integrity/young-package", words, pair.path, line, name)
    if is_manifest(pair.path):
        yield Hit("integrity/new-dependency", f"{name} is new among the dependencies{since}{like}", pair.path, line, name)
        return
    seen = known.exists and days is not None and days >= least and not (near and near[0] != name)
    yield Hit(
        "integrity/new-dependency", f"{name} is newly installed here{since}{like}", pair.path, line, name, "note" if seen else None
    )


def _has_other_index(view: View) -> bool:
    """Whether the base takes packages from elsewhere as well, so that one index's silence proves nothing."""
    paths = [p for p in view.entries["base"] if is_manifest(p) or posixpath.basename(p) in ("uv.toml", "pip.conf", "Pipfile")]
    return any(
        SOURCES.search(line) for data in view.read("base", paths).values() for line in data.decode("utf-8", "replace").splitlines()
    )


def _line_of(pair: Pair, name: str) -> int | None:
    pattern = re.compile(re.sub(r"-", "[-_.]", re.escape(name).replace(r"\-", "-")), re.IGNORECASE)
    return next((n for n, text in pair.added() if pattern.search(text)), None)


def _locked(pair: Pair) -> Iterator[Hit]:
    before, after = _artefacts(pair.old), _artefacts(pair.new)
    for key in sorted(before.keys() & after.keys()):
        (old_source, old), (new_source, new) = before[key], after[key]
        unpinned = not new and pair.new is not None and bool(REQUIREMENTS.search(pair.path)) and b"--hash" not in pair.new.data
        if old and ((old - new and (new - old or unpinned)) or (new and old_source != new_source)):
            yield Hit(
                "integrity/lock-tampered",
                f"{key[0]} {key[1]} has other hashes, none any more or another source under the same version",
                pair.path,
            )


def _artefacts(source: Source | None) -> dict[tuple[str, str], tuple[str, frozenset[str]]]:
    """Source and hashes by name and version: of a lock file in TOML, of Pipfile.lock, or of requirements with hashes."""
    if source is not None and REQUIREMENTS.search(source.path):
        lines = re.sub(r"\\\s*\n", " ", source.text).splitlines()
        pinned = [(m, line) for line in lines if (m := re.match(r"\s*([\w.-]+)(?:\[[^\]]*\])?\s*==\s*([^\s;]+)", line))]
        merged: dict[tuple[str, str], frozenset[str]] = {}
        for match, line in pinned:
            key = (normal(match[1]), match[2])
            merged[key] = merged.get(key, frozenset()) | frozenset(re.findall(r"--hash[= ](sha256:\S+)", line))
        return {key: ("", hashes) for key, hashes in merged.items()}
    if source is not None and source.path.endswith("Pipfile.lock"):
        return _pipenv(source)
    try:
        data = tomllib.loads(source.text) if source else {}
    except (tomllib.TOMLDecodeError, UnicodeError, RecursionError):
        return {}
    found = {}
    for package in data.get("package", data.get("packages", [])):
        if isinstance(package, dict):
            hashes = frozenset(re.findall(r"sha256:[0-9a-f]{8,}", str(package)))
            found[str(package.get("name")), str(package.get("version"))] = (str(package.get("source", "")), hashes)
    return found


def _pipenv(source: Source) -> dict[tuple[str, str], tuple[str, frozenset[str]]]:
    try:
        data = json.loads(source.text)
    except (ValueError, RecursionError):
        return {}
    sections = [data.get(s) for s in ("default", "develop")] if isinstance(data, dict) else []
    packages = [(n, p) for s in sections if isinstance(s, dict) for n, p in s.items() if isinstance(p, dict)]
    return {
        (n, str(p.get("version", ""))): (
            str(p.get("index", "")),
            frozenset(re.findall(r"sha256:[0-9a-f]{8,}", str(p.get("hashes")))),
        )
        for n, p in packages
    }


_BASE = {"pyproject.toml": '[project]\nname = "calc"\ndependencies = ["requests>=2"]\n'}
_LOCK = '[[package]]\nname = "requests"\nversion = "2.32.0"\nwheels = [{ hash = "sha256:%s" }]\n'
RULES = (
    Rule(
        "integrity/new-dependency", "hold", "The project depends on a package that it did not know",
        "Models invent names, and others register them. A human says that this is the one that is meant.",
        Example(_BASE, {"pyproject.toml": _BASE["pyproject.toml"].replace('"requests>=2"', '"requests>=2", "requestz"')}),
        Example(_BASE, {"pyproject.toml": _BASE["pyproject.toml"].replace(">=2", ">=2.32")}),
        "Look at the package on its index, then `--approve integrity/new-dependency:PATH`. Version bumps are not affected.",
    ),
    Rule(
        "integrity/unknown-package", "reject", "The project depends on a package that does not exist",
        "Models invent names of packages; whoever registers such a name later runs code in the project. The package index was asked; where "
        "the base names a further index, and for what is installed by name elsewhere than in a manifest, the rule holds instead.",
        Example(_BASE, {"pyproject.toml": _BASE["pyproject.toml"].replace('"requests>=2"', '"requests>=2", "no-such-package-here"')}, {}),
        Example(_BASE, {"pyproject.toml": _BASE["pyproject.toml"].replace(">=2", ">=2.32")}, {}),
        "Depend on a package that exists, or name the index that has it with `--index URL`.",
    ),
    Rule(
        "integrity/young-package", "hold", "The project depends on a package that was first released days ago",
        "Names that models invent are registered by others, and malicious packages are mostly found within weeks. The policy's "
        "`limits.package_days` (30) says how old is old enough.",
        Example(
            _BASE,
            {"pyproject.toml": _BASE["pyproject.toml"].replace('"requests>=2"', '"requests>=2", "brand-new"')},
            {"brand-new": Package(exists=True, first="2999-01-01T00:00:00+00:00")},
        ),
        Example(_BASE, {"pyproject.toml": _BASE["pyproject.toml"].replace(">=2", ">=2.32")}, {}),
        "Look at the package and its author, then `--approve integrity/young-package:PATH`.",
    ),
    Rule(
        "integrity/package-not-checked", "note", "The package index could not be asked about a new dependency",
        "Offline, or with `--index off`, nobody knows whether the name exists. `integrity/new-dependency` holds in any case; let this rule "
        "hold or reject where a look at the index is a must.",
        Example(_BASE, {"pyproject.toml": _BASE["pyproject.toml"].replace('"requests>=2"', '"requests>=2", "flask"')}),
        Example(_BASE, {"pyproject.toml": _BASE["pyproject.toml"].replace(">=2", ">=2.32")}),
        "Run the gate where it reaches the index, or name one with `--index URL`.",
    ),
    Rule(
        "integrity/other-index", "hold", "Packages are taken from another place",
        "Another index, or a URL, can serve anything under a known name.",
        Example({"requirements.txt": "requests\n"}, {"requirements.txt": "--extra-index-url https://packages.example.invalid\nrequests\n"}),
        Example({"requirements.txt": "requests\n"}, {"requirements.txt": "requests>=2.32\n"}),
        "A human allows it: `--approve integrity/other-index:PATH`.",
    ),
    Rule(
        "integrity/older-dependency", "hold", "A requirement no longer allows what it asked for, only older versions",
        "Old releases have the holes that newer ones mended, and an old tool that judges sees less.",
        Example(_BASE, {"pyproject.toml": _BASE["pyproject.toml"].replace("requests>=2", "requests<1")}),
        Example(_BASE, {"pyproject.toml": _BASE["pyproject.toml"].replace("requests>=2", "requests>=1.9,<4")}),
        "Say why the newer one cannot be had: `--approve integrity/older-dependency:PATH`. A lower bound that only moves down is silent.",
    ),
    Rule(
        "integrity/lock-tampered", "hold", "A locked package has other hashes under the same version",
        "The same name and version with another artefact is not the package that was reviewed.",
        Example({"uv.lock": _LOCK % "11111111"}, {"uv.lock": _LOCK % "22222222"}),
        Example({"uv.lock": _LOCK % "11111111"}, {"uv.lock": (_LOCK % "33333333").replace("2.32.0", "2.32.1")}),
        "Lock again from the manifest; what a tool writes is not affected.",
    ),
)  # fmt: skip
SET = RuleSet(RULES, find)
