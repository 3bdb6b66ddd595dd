"""Pages of the rules of `scope`, `compile`, `ruff` and `mypy`: what `agentgate explain` and docs/rules/ show of them."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_agentgate.model import Effect
from pytest_agentgate.rulebook import Example, Rule

_CODE = "def total(coins):\n    return sum(coins)\n"
_MORE = _CODE + "\n\ndef double(coins):\n    return 2 * total(coins)\n"
_BASE = {"purse.py": _CODE}
_HONEST = Example(_BASE, {"purse.py": _MORE})
_FORMATTED = "[tool.ruff]\nline-length = 100\n"
_STRICT = "[tool.mypy]\nstrict = true\n"
_TYPED = "def total(coins: list[int]) -> int:\n    return sum(coins)\n"
_ALLOW = "A human who has looked at it allows it: `--approve {id}:PATH`."
_LINK = "Make it a file, or let a human allow the link: `--approve {id}:PATH`."


def _rule(
    name: str, effect: Effect, title: str, why: str, bad: Example, instead: str = _ALLOW, good: Example = _HONEST
) -> Iterator[Rule]:
    yield Rule(name, effect, title, why, bad, good, instead.replace("{id}", name))


def _new(path: str, text: str, law: str = "") -> Example:
    return Example(_BASE, {path: text}, law=law)


# fmt: off
SCOPE = (
    *_rule("scope/too-many-files", "reject", "More files changed than the policy or the task allows",
           "A change with a narrow purpose touches few files. `limits.files` of the policy and `max_files` of the task say how many.",
           Example(_BASE, {"purse.py": _MORE, "till.py": _CODE}, law="limits.files = 1\n"),
           "Make the change in several steps, or raise the limit in the base's policy.", Example(_BASE, {"purse.py": _MORE}, law="limits.files = 1\n")),
    *_rule("scope/too-many-lines", "reject", "More lines changed than the policy or the task allows",
           "Nobody reads a change of ten thousand lines. `limits.lines` of the policy and `max_lines` of the task say how many may change.",
           Example(_BASE, {"purse.py": _MORE}, law="limits.lines = 3\n"),
           "Make the change in several steps, or raise the limit in the base's policy.", Example(_BASE, {"purse.py": _MORE}, law="limits.lines = 30\n")),
    *_rule("scope/path-not-allowed", "reject", "A path was changed that `allow`, or the task, does not name",
           "The task names the files that it is about (`allowed_paths`), or the policy those that may ever change (`allow`). Everything else is not the agent's.",
           Example(_BASE, {"purse.py": _MORE, "till.py": _CODE}, law='allow = ["purse.py", "tests/"]\n'),
           "Leave the file as it is, or ask for a task that names it.", Example(_BASE, {"purse.py": _MORE}, law='allow = ["purse.py"]\n')),
    *_rule("scope/path-forbidden", "reject", "A path was changed that `forbid` names",
           "The policy keeps some paths for humans: migrations, licences, generated files.",
           Example({**_BASE, "LICENSE": "MIT\n"}, {"LICENSE": "none\n"}, law='forbid = ["LICENSE"]\n'),
           "Leave the file as it is, and say so where the task needs it changed.", Example({**_BASE, "LICENSE": "MIT\n"}, {"purse.py": _MORE}, law='forbid = ["LICENSE"]\n')),
    *_rule("scope/huge-file", "hold", "An added or edited file is larger than the policy allows",
           "Large files are data, generated code or something hidden; a reader skips them. `limits.file_bytes` says how large a file may be.",
           _new("data.txt", "0123456789\n" * 20, "limits.file_bytes = 100\n"), good=_new("data.txt", "0123456789\n", "limits.file_bytes = 100\n")),
    *_rule("scope/secret", "hold", "Something that looks like a credential was added",
           "A key that was committed once is public. Looked for are the formats of known services, private keys, and files that usually hold credentials.",
           _new(".npmrc", "registry=https://registry.example/\n"),
           "Take it out and revoke the key. Where it is none, a human allows it: `--approve scope/secret:PATH`.",
           _new(".env.example", "TOKEN=\n")),
    *_rule("scope/symlink", "hold", "A symbolic link was added or moved",
           "What a link leads to is judged under another name than the one that is used.",
           Example(_BASE, {}, links={"wallet.py": "purse.py"}), _LINK),
    *_rule("scope/symlink-escape", "reject", "A symbolic link leads out of the tree",
           "What lies outside the repository is not in the change, differs from machine to machine, and may be somebody's secrets.",
           Example(_BASE, {}, links={"notes.txt": "../../etc/passwd"}), "Copy what is needed into the repository.",
           Example(_BASE, {"notes.txt": "what is needed\n"})),
    *_rule("scope/case-collision", "hold", "Two paths differ only in case",
           "On a file system that ignores case one of the files replaces the other, so that what is judged is not what is used.",
           _new("Purse.py", _MORE), "Choose another name, or rename the file that is there.", _new("till.py", _MORE)),
    *_rule("scope/gitlink", "hold", "A submodule, or `.gitmodules`, was changed",
           "A submodule is code that is not in the change: no check can look at it.",
           _new(".gitmodules", '[submodule "till"]\n\tpath = till\n\turl = https://example.org/till\n')),
    *_rule("scope/lfs-pointer", "hold", "A pointer of Git LFS was changed",
           "The content is stored elsewhere, and is not in the change.",
           _new("coins.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n"), good=_new("coins.txt", "1 2 5\n")),
    *_rule("scope/odd-name", "hold", "A file name holds bytes or characters that tools and people misread",
           "Control characters, invisible ones, bytes that are no UTF-8, and names that begin with a dash are read in different ways by different tools.",
           _new("pur\u200bse.py", _CODE), "Choose another name.", _new("wallet.py", _CODE)),
    *_rule("scope/compiled-code", "reject", "Compiled code, or a tool's cache, was added",
           "Python prefers a compiled module to the source beside it, and nobody can read it. Caches of tools make them skip what they should look at.",
           _new("purse.so", "\x7fELF\n"), "Leave it out, and let a build make it."),
    *_rule("scope/archive", "hold", "An archive was added",
           "Archives can hold code, and Python imports from some of them; no check looks into one.",
           _new("vendor.zip", "PK\n"), good=_new("vendor.txt", "what it was\n")),
)
COMPILE = tuple(
    _rule("compile/error", "reject", "A changed Python file does not compile",
          "It is compiled by the project's own interpreter, without running it. Fixtures of tests that are meant to be broken are notes. "
          "What only a newer Python than the project's interpreter can read is held: nobody judged it.",
          _new("till.py", "def total(coins:\n    return sum(coins)\n"), "Mend the syntax. Nothing else is judged before that."),
)
RUFF = (
    *_rule("ruff/*", "reject", "A rule of ruff speaks about something new",
           "ruff runs as the base configures it, with its suppressions switched off on both sides: only what the patch brought counts. Where the "
           "base does not configure ruff, only its correctness rules (E9, F) do. Rules that a pinned, older ruff lacks are notes.",
           _new("till.py", "import os\n"), "Mend it; `ruff rule CODE` says why it is wrong. A new `# noqa` does not help: it is a finding of `integrity`."),
    *_rule("ruff/format", "reject", "A file that was formatted no longer is",
           "Where all files of the base are formatted, a new one has to be as well. Files that were not formatted before stay as they are.",
           Example({**_BASE, "pyproject.toml": _FORMATTED}, {"purse.py": _CODE.replace("(coins)", "( coins )")}), "Run `ruff format` on the file.",
           Example({**_BASE, "pyproject.toml": _FORMATTED}, {"purse.py": _MORE})),
)
MYPY = (
    *_rule("mypy/*", "reject", "mypy has an error that it did not have on the base",
           "mypy runs as the base configures it, over everything that it names, with comments that silence it taken out on both sides. Where the base "
           "does not configure mypy its errors are notes.",
           Example({"purse.py": _TYPED, "pyproject.toml": _STRICT}, {"purse.py": _TYPED.replace("sum(coins)", "str(sum(coins))")}),
           "Mend the types. A new `type: ignore` does not help: it is a finding of `integrity`.",
           Example({"purse.py": _TYPED, "pyproject.toml": _STRICT}, {"purse.py": _TYPED.replace("sum(coins)", "sum(sorted(coins))")})),
    *_rule("mypy/fatal", "reject", "mypy stops before it has checked anything, and did not on the base",
           "One file that is not there, or a module that is found twice, and no type of the project is checked.",
           Example({"purse.py": _TYPED, "pyproject.toml": _STRICT + 'files = ["purse.py"]\n'}, {"purse.py": None, "src/purse.py": _TYPED}),
           "Run mypy, and mend what it stops at."),
)
# fmt: on
