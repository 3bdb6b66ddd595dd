"""The run's private repository: it borrows the user's objects and keeps new ones to itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_agentgate.errors import GitError
from pytest_agentgate.git import Checkout, Git
from pytest_agentgate.model import Entry


@dataclass(frozen=True)
class Store:
    """The run's private repository: `git_dir` is ours, the user's objects are borrowed."""

    git: Git
    git_dir: str
    _listed: dict[str, Mapping[str, Entry]] = field(default_factory=dict, repr=False, compare=False)

    def write_tree(self, index: str) -> str:
        """Tree id of an index file of ours."""
        return self.writer(index).run("write-tree", "--missing-ok").decode().strip()

    def writer(self, index: str, **environment: str) -> Git:
        """git for commands that write objects: it cannot see the user's objects.

        Where git finds an object that it is about to write, it sets that object's time; the user's would be touched.
        """
        return Git(self.git.processes, self.git.cwd, {"GIT_DIR": self.git_dir, "GIT_INDEX_FILE": index, **environment})

    def with_file(self, tree: str, path: str, data: bytes) -> str:
        """Tree id of `tree` with other bytes in one of its files."""
        index = os.path.join(self.git_dir, "index.tried")
        mode = self.entries(tree)[path].mode
        oid = self.writer(index).run("hash-object", "-w", "--stdin", stdin=data).decode().strip()
        self.git.run("read-tree", tree, env={"GIT_INDEX_FILE": index})
        self.writer(index).run("update-index", "--cacheinfo", f"{mode},{oid},{path}")
        return self.write_tree(index)

    def tree_of(self, commit: str) -> str:
        """Tree id of a commit."""
        return self.git.text("rev-parse", "--verify", f"{commit}^{{tree}}")

    def entries(self, tree: str) -> Mapping[str, Entry]:
        """Every leaf below a tree (by its id), by path; names are decoded with `surrogateescape`. Listed once in a run."""
        if tree in self._listed:
            return self._listed[tree]
        found: dict[str, Entry] = {}
        for item in self.git.run("ls-tree", "-r", "-z", "--full-tree", tree).split(b"\0"):
            if item:
                meta, _, name = item.partition(b"\t")
                mode, _, oid = meta.split(b" ")
                found[name.decode("utf-8", "surrogateescape")] = Entry(mode.decode(), oid.decode())
        self._listed[tree] = found
        return found

    def blobs(self, oids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Contents of blobs, in batches, as raw bytes: no filter, attribute or conversion takes part."""
        wanted = list(dict.fromkeys(oids))
        for start in range(0, len(wanted), 2000):
            batch = wanted[start : start + 2000]
            data = self.git.run("cat-file", "--batch", "--buffer", stdin="\n".join(batch).encode() + b"\n")
            at = 0
            for oid in batch:
                end = data.index(b"\n", at)
                header = data[at:end].split(b" ")
                if header[1:2] != [b"blob"]:
                    raise GitError(
                        f"object {oid} is missing or is no file", hint="a partial clone lacks it: fetch the whole history first"
                    )
                size = int(header[2])
                yield oid, data[end + 1 : end + 1 + size]
                at = end + 2 + size

    def blob(self, oid: str) -> bytes:
        """Content of one blob."""
        return next(content for _, content in self.blobs([oid]))

    def sizes(self, oids: Sequence[str]) -> dict[str, int]:
        """Sizes of blobs in bytes, without reading them."""
        if not oids:
            return {}
        out = self.git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin="\n".join(oids).encode() + b"\n")
        rows = (line.split(" ") for line in out.decode().splitlines())
        return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def open_store(checkout: Checkout, folder: str) -> Store:
    """Make the private repository in `folder` (which must be empty) with the user's objects as alternates."""
    os.makedirs(os.path.join(folder, "objects", "info"))
    os.makedirs(os.path.join(folder, "refs"))
    _write(os.path.join(folder, "HEAD"), "ref: refs/heads/agentgate\n")
    extension = "\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\tobjectformat = " + checkout.object_format
    plain = "\trepositoryformatversion = 0\n\tbare = false"
    _write(os.path.join(folder, "config"), f"[core]\n{plain if checkout.object_format == 'sha1' else extension}\n")
    alternates = checkout.objects
    if ":" in alternates or alternates.startswith('"'):
        alternates = '"' + alternates.replace("\\", "\\\\").replace('"', '\\"') + '"'
    git = Git(checkout.git.processes, folder, {"GIT_DIR": folder, "GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates})
    return Store(git, folder)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(text)
