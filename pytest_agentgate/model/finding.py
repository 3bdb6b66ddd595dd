"""One problem, normalised, whatever tool reported it."""

from __future__ import annotations

from typing import Literal

import msgspec

Effect = Literal["reject", "hold", "note"]
"""`reject`: the agent must mend it. `hold`: a human must allow it. `note`: for information."""

BaselineState = Literal["new", "unchanged", "absent"]
"""SARIF 2.1.0 section 3.27.24: `new` is in head only, `unchanged` in both, `absent` in base only."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One problem at one place. Only `new` findings can count against a patch."""

    rule: str
    """`check/name`, for example ``ruff/F401`` or ``pytest/regression``."""
    message: str
    effect: Effect = "reject"
    baseline_state: BaselineState = "new"
    path: str | None = None
    line: int | None = None
    """1-based line in the head (in the base where the state is `absent`)."""
    column: int | None = None
    node_id: str | None = None
    text: str = ""
    """The offending line or the heart of a traceback, as data: untrusted."""
    advice: str = ""
    command: str = ""
    """What a person runs to see the same thing."""
    approved: bool = False
    """A human allowed this `hold` with ``--approve``."""

    @property
    def counts(self) -> bool:
        """Whether the verdict has to look at it: new, not a note, not approved."""
        return self.baseline_state == "new" and self.effect != "note" and not self.approved
