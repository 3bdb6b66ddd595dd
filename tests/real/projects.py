"""Real projects as base and head of a fresh repository: source archives of two releases, downloaded when they are needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
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


PROJECTS = (
    Project("iniconfig", "2.3.0", "2.3.1", product="src/iniconfig/__init__.py"),
    Project("itsdangerous", "2.1.2", "2.2.0", ("freezegun",), "src/itsdangerous/encoding.py"),
    Project("click", "8.3.2", "8.3.3", (), "src/click/utils.py"),
    Project("attrs", "25.3.0", "25.4.0", ("hypothesis", "cloudpickle", "pympler"), "src/attr/filters.py"),
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


def archive(name: str, version: str) -> Path:
    """The source archive of a release."""
    place = cache() / f"{name}-{version}"
    if not place.exists():
        partial = place.with_name(f"{place.name}.{os.getpid()}")
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(partial),
                        f"{name}=={version}"], check=True, capture_output=True)  # fmt: skip
        try:
            partial.rename(place)
        except OSError:
            shutil.rmtree(partial)
    return next(place.glob("*.tar.gz"))


def unpack(name: str, version: str, target: Path) -> None:
    """Replace everything in `target` but ``.git`` and ``.venv`` with a release."""
    for item in target.iterdir():
        if item.name not in (".git", ".venv"):
            shutil.rmtree(item) if item.is_dir() else item.unlink()
    with tarfile.open(archive(name, version)) as tar:
        tar.extractall(target, filter="data")
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
        git(path, "add", "--all", "--force", "--", ".", ":!.venv")
        git(path, "commit", "-qm", f"{project.name} {version}")
        git(path, "tag", tag)
    python = str(path / ".venv/bin/python")
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, str(path / ".venv")], check=True, capture_output=True)
    env = os.environ | {"SETUPTOOLS_SCM_PRETEND_VERSION": project.head, "HATCH_VCS_PRETEND_VERSION": project.head}
    subprocess.run([UV, "pip", "install", "-q", "--compile-bytecode", "--python", python, "pytest", "mypy", *project.needs, "-e", str(path)],
                   check=True, env=env, capture_output=True, text=True)  # fmt: skip
    return python
