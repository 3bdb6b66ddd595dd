"""Real projects as base and head of a fresh repository: source archives of two releases, downloaded when they are needed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

UV = os.path.join(os.path.dirname(sys.executable), "uv")
GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.invalid", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.invalid", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Project:
    """A project with two consecutive releases and what its tests need."""

    name: str
    base: str
    head: str
    needs: tuple[str, ...] = ()
    product: str = ""
    """A product file into which defects are planted."""
    law: str = ""
    """A policy for both releases."""


PROJECTS = (
    Project("iniconfig", "2.3.0", "2.3.1", product="src/iniconfig/__init__.py"),
    Project("itsdangerous", "2.1.2", "2.2.0", ("freezegun",), "src/itsdangerous/encoding.py"),
    Project(
        "click", "8.3.2", "8.3.3", (), "src/click/utils.py", '[tool.agentgate]\nassurance = "A1"\n'
    ),  # 31,000 tests: A2 takes a minute
    Project("xmltodict", "1.0.1", "1.0.2", (), "xmltodict.py"),
    Project("cachetools", "7.2.8", "7.3.0", (), "src/cachetools/keys.py"),
    Project("humanize", "4.14.0", "4.15.0", ("freezegun",), "src/humanize/lists.py"),
    Project("pluggy", "1.5.0", "1.6.0", (), "src/pluggy/_result.py"),
    Project("pathspec", "1.1.0", "1.1.1", (), "pathspec/util.py"),
)


def cache() -> Path:
    """Folder in which downloads are kept between runs."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentgate-test-downloads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetch(url: str, accept: str = "*/*") -> bytes:
    """What an address answers, tried three times."""
    request = urllib.request.Request(url, headers={"Accept": accept, "User-Agent": "pytest-agentgate-tests"})
    for left in (2, 1, 0):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read()
        except OSError:
            if not left:
                raise
            time.sleep(2)
    raise AssertionError


def archive(name: str, version: str) -> Path:
    """The source archive of a release, straight from the package index: nothing of it is built."""
    place = cache() / f"{name}-{version}.tar.gz"
    if not place.exists():
        index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
        page = json.loads(fetch(f"{index}/{name}/", "application/vnd.pypi.simple.v1+json"))
        stem = f"{name.replace('-', '_')}-{version}.tar.gz"
        file = next(f for f in page["files"] if f["filename"].replace("-", "_").lower() == stem.replace("-", "_").lower())
        data = fetch(urllib.parse.urljoin(f"{index}/{name}/", file["url"]))
        assert hashlib.sha256(data).hexdigest() == file["hashes"]["sha256"], f"{stem} is not what the index says"
        partial = place.with_name(f"{place.name}.{os.getpid()}")
        partial.write_bytes(data)
        partial.rename(place)
    return place


def unpack(name: str, version: str, target: Path) -> None:
    """Replace everything in `target` but ``.git`` and ``.venv`` with a release."""
    for item in target.iterdir():
        if item.name not in (".git", ".venv"):
            shutil.rmtree(item) if item.is_dir() else item.unlink()
    with tarfile.open(archive(name, version)) as tar:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4 and newer
            tar.extractall(target, filter="data")
        else:
            tar.extractall(target)
    inner = next(p for p in target.iterdir() if p.name not in (".git", ".venv"))
    holder = target / ".unpacked"
    inner.rename(holder)
    for item in holder.iterdir():
        item.rename(target / item.name)
    holder.rmdir()
    for extra in [*target.glob("*.egg-info"), *target.glob("*/*.egg-info"), target / "PKG-INFO"]:
        shutil.rmtree(extra) if extra.is_dir() else extra.unlink(missing_ok=True)


def git(path: Path, *args: str) -> str:
    """Run git in a repository."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | GIT_ENVIRONMENT
    done = subprocess.run(["git", *args], cwd=path, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def build(project: Project, path: Path) -> str:
    """A repository with both releases as commits (tags ``base`` and ``head``) and its virtual environment; the interpreter."""
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    for tag, version in (("base", project.base), ("head", project.head)):
        unpack(project.name, version, path)
        with open(path / ".gitignore", "a", encoding="utf-8") as stream:
            stream.write("\n.venv/\n*.egg-info/\n__pycache__/\n")
        if project.law:
            with open(path / "pyproject.toml", "a", encoding="utf-8") as stream:
                stream.write(f"\n{project.law}")
        git(path, "add", "--all", "--force", "--", ".", ":!.venv")
        git(path, "commit", "-qm", f"{project.name} {version}")
        git(path, "tag", tag)
    python = str(path / ".venv/bin/python")
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, str(path / ".venv")], check=True, capture_output=True)
    env = os.environ | {"SETUPTOOLS_SCM_PRETEND_VERSION": project.head, "HATCH_VCS_PRETEND_VERSION": project.head}
    subprocess.run([UV, "pip", "install", "-q", "--compile-bytecode", "--python", python, "pytest", *project.needs, "-e", str(path)],
                   check=True, env=env, capture_output=True, text=True)  # fmt: skip
    return python
