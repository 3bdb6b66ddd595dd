"""Every error that this program raises on purpose.

::

    GateError                  one sentence for people; carries the exit code of the door
    ├── UsageError             exit 4: what was asked for cannot be judged
    │   ├── SourceError        the base, head or patch that was named is unusable
    │   │   └── NothingToJudge the head equals the base
    │   └── PolicyError        the policy or task file is wrong; names key, place, nearest key
    ├── ToolError              exit 3: a tool could not run; becomes `errored` evidence
    │   ├── GitError           git itself failed; carries its standard error
    │   ├── RefusedError       a service did not take a request, or cannot be asked now
    │   └── LostError          a service may or may not have taken a request
    └── Interrupted            exit 2: a signal ended the run
"""

from __future__ import annotations


class GateError(Exception):
    """Base of the family. `str(error)` is one line that says what, where and what to do."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)


class UsageError(GateError):
    """The request cannot be judged as it was made (exit code 4)."""

    exit_code = 4


class SourceError(UsageError):
    """The base, head, index or patch that was named is unusable."""


class NothingToJudge(SourceError):
    """The head equals the base: there is no change."""


class PolicyError(UsageError):
    """The policy or the task file holds a wrong key, type, value or rule id."""


class ToolError(GateError):
    """A tool is missing, of a wrong version, hung, flooded or crashed. Never means "the code is bad"."""


class GitError(ToolError):
    """A git command failed; `stderr` holds what git said."""

    def __init__(self, message: str, *, stderr: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.stderr = stderr


class RefusedError(ToolError):
    """A service did not take a request: nothing was done, and nothing is charged. `final`: asking again will not help."""

    def __init__(self, message: str, *, final: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.final = final


class LostError(ToolError):
    """The answer of a service was lost: it may have done the work, and may charge for it."""


class Interrupted(GateError):
    """SIGINT or SIGTERM ended the run (exit code 2)."""

    exit_code = 2
