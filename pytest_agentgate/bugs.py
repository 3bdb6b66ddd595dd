"""What is said where this program itself breaks: one line, and a file that can be pasted into a report."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import traceback

from pytest_agentgate import __version__
from pytest_agentgate.secrets import SECRET_TEXT
from pytest_agentgate.text import visible

WHERE = "where you installed it from"


def bug(error: Exception) -> str:
    """One line about an error of ours; what is needed to mend it stands in a file that it names."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"
    line = (
        f"a bug in agentgate {__version__} ({type(error).__name__} at {where}): {clean(str(error))[:300]}; please report it {WHERE}"
    )
    try:
        handle, path = tempfile.mkstemp(prefix="agentgate-bug-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(_text(error))
    except OSError:
        return line
    return f"{line}; to paste: {path}"


def _text(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    steps = [f"  {os.path.basename(f.filename)}:{f.lineno} in {f.name}" for f in frames]  # no folders of the user, no values
    command = " ".join(sys.argv[1:2])
    facts = (
        f"agentgate {__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}, command: {visible(command)}"
    )
    return "\n".join([facts, *steps, f"{type(error).__name__}: {clean(str(error))}", ""])


def clean(text: str) -> str:
    """A text without credentials, the user's folders and control characters."""
    home = os.path.expanduser("~")
    named = [
        v for n, v in os.environ.items() if re.search(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", n, re.IGNORECASE) and len(v) > 7
    ]
    for value in named:
        text = text.replace(value, "[hidden]")
    text = SECRET_TEXT.sub("[hidden]", text)
    return visible(text.replace(home, "~") if len(home) > 1 else text)
