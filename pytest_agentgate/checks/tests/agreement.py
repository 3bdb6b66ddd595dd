"""Whether two sides agree on what a test's calls come to: on its own inputs, and beside them. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from pytest_agentgate.checks.tests.blind import Expectation
from pytest_agentgate.checks.tests.plain import VARIANTS
from pytest_agentgate.checks.tests.told import UNKNOWN, Raised, told

NO_VARIANTS = ("~0", "~r", "~n")
"""Marks of the test's own call, of what it told when made again, and of how often that was."""
MADE = "!made"
"""As in `injected/agentgate_plain.py`: stands among the answers with the names of the files that can be played."""
TIMED_OUT = "!timed out"
"""Stands among the answers of a program that was stopped."""
LEAST = 3
"""So many sets of neighbouring inputs must have another answer on the base before it counts that head's are all different."""
Answers = dict[str, list[str]]
"""What was told, by token and variant (``token~0``), as it came."""


def is_told(answers: Answers, token: str) -> bool:
    """Whether a call came to a value, and to no error."""
    values = [told(v) for v in answers.get(f"{token}~0", ())]
    return bool(values) and not any(isinstance(v, Raised) for v in values)


def often(answers: Answers, token: str) -> int:
    """How often a call was made until it told something else, or until its time was over."""
    said = (answers.get(f"{token}~n") or ["0"])[0]
    return int(said) if said.isdecimal() and len(said) < 6 else 0


def assertion_of(token: str) -> str:
    """The assertion that a token is of; those of a parametrised test have a token for each row."""
    return token.partition("/")[0]


def failed(answers: Mapping[str, Sequence[str]], most: int) -> dict[str, dict[int, str]]:
    """Variants up to `most` that ended in an error before they told anything (``!test~3``), by test, with the error's class."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for key, values in answers.items():
        name, _, number = key.removeprefix("!").partition("~")
        if key.startswith("!") and number.isdecimal() and 0 < int(number) <= most and values:
            found[name][int(number)] = values[0]
    return found


def strange(
    head: Answers, before: Answers, expectations: Mapping[str, tuple[str, Expectation]], refusals: Collection[str] = ()
) -> dict[str, str]:
    """Assertions that agree with the base on their own inputs, and on no others; with an example.

    One in a parametrised test: in every row that can be judged, and in more rows than stay as they were. `refusals`: errors that tests of
    the patch expect; inputs which the patch's code refuses so, on purpose, say nothing.
    """
    refused = failed(head, VARIANTS)
    found: dict[str, str] = {}
    agreeing: set[str] = set()
    quiet: Counter[str] = Counter()  # rows around which the inputs do not matter, and all is as it was
    for token in expectations:
        own = before.get(f"{token}~0")
        if not own or head.get(f"{token}~0") != own:
            continue
        numbers = sorted(int(k.partition("~")[2]) for k in before if k.partition("~")[0] == token and not k.endswith(NO_VARIANTS))
        keys = [f"{token}~{n}" for n in numbers if n <= VARIANTS]  # one changed input of many may not matter
        if TIMED_OUT in head:
            keys = [k for k in keys if k in head]  # it was stopped: what it did not come to is no answer
        plain = [k for k in keys if all(v is not UNKNOWN and not isinstance(v, Raised) for v in map(told, before[k]))]
        errors = refused.get(expectations[token][0].partition("::")[2], {})
        plain = [k for k in plain if k in head or errors.get(int(k.partition("~")[2])) not in refusals]
        said = [k for k in plain if before[k] != own]  # where the base's answer is the same, the inputs did not matter
        if any(head.get(k) == before[k] for k in said):
            agreeing.add(assertion_of(token))
        elif not said and len(plain) >= LEAST and all(head.get(k) == before[k] for k in plain):
            quiet[assertion_of(token)] += 1
        elif len(said) >= LEAST:
            now = repr(told(head[said[0]][0]))[:80] if said[0] in head else "nothing"
            found[token] = f"{repr(told(before[said[0]][0]))[:80]} on the base, {now} on the patch's code"
    loud = Counter(assertion_of(t) for t in found)
    return {t: words for t, words in found.items() if (a := assertion_of(t)) not in agreeing and loud[a] > quiet[a]}
