"""Types are learned by one thread at a time: msgspec dies of two."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from pytest_agentgate.decode import changed, convert, from_json, from_msgpack
from pytest_agentgate.model import Policy

RACE = """
import sys, threading
import msgspec
from pytest_agentgate.decode import convert, from_json, from_msgpack

sys.setswitchinterval(1e-6)
data = {"files": [{"upload-time": "2024"}] * 50}
forms = [(from_json, msgspec.json.encode(data)), (from_msgpack, msgspec.msgpack.encode(data)), (convert, data)]

def types():
    class File(msgspec.Struct, rename="kebab"):
        upload_time: str = ""
    class Page(msgspec.Struct):
        files: list[File] = []
    return Page

for number in range(200):
    decode, form = forms[number % 3]
    kind, gate = types(), threading.Barrier(8)
    def go():
        gate.wait()
        assert len(decode(form, kind).files) == 50
    threads = [threading.Thread(target=go) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
print("alive")
"""


def test_threads_may_meet_a_type_for_the_first_time_together():
    done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "alive", "")


def test_what_does_not_fit_is_refused():
    for call in (lambda: from_json(b"{", dict[str, int]), lambda: from_msgpack(b"\xc1", int), lambda: convert("a", int)):
        with pytest.raises(msgspec.MsgspecError):
            call()
    with pytest.raises(msgspec.ValidationError, match="sandbox"):
        changed(Policy(), sandbox="some")
    assert changed(Policy(), sandbox="off").sandbox == "off"
