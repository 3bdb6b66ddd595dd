"""Makes the pictures of the documentation from real runs: ``python docs/make_pictures.py [--to FOLDER]``.

A recorded terminal session of ``agentgate demo`` (SVG), and the HTML report of one of its patches in a headless Chromium (PNG).
"""

from __future__ import annotations

import argparse
import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
AGENTGATE = [sys.executable, "-m", "pytest_agentgate.cli"]
WIDTH, LINES = 120, 66
ERASE = re.compile(r"\x1b\[\d*K")


def recorded(*argv: str) -> str:
    """What a command writes to a terminal, as it comes."""
    ours, theirs = pty.openpty()
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    with subprocess.Popen(argv, stdout=theirs, stderr=theirs, stdin=theirs, env=env) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other end is shut
                break
            if not data:
                break
            parts.append(data)
    os.close(ours)
    if process.returncode:
        raise SystemExit(b"".join(parts).decode("utf-8", "replace"))
    return b"".join(parts).decode("utf-8", "replace")


def session(text: str, place: Path) -> None:
    """A terminal session as an SVG: what a reader would see at its end, without lines that were written over."""
    lines = [ERASE.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n")]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("\n".join(["$ agentgate demo", *lines[:LINES], "..."])))
    place.write_text(console.export_svg(title="agentgate demo", unique_id="demo"), encoding="utf-8")


def report(page: Path, place: Path) -> None:
    """An HTML report in a browser."""
    from playwright.sync_api import sync_playwright  # only the pictures need it

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1000, "height": 900})
        view.goto(page.as_uri())
        view.screenshot(path=str(place))
        browser.close()


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=HERE / "pictures")
    folder = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        purse, page = Path(work) / "purse", Path(work) / "report.html"
        session(recorded(*AGENTGATE, "demo", "--keep", str(purse)), folder / "demo.svg")
        subprocess.run([*AGENTGATE, "check", "-q", "--repo", purse, "--python", sys.executable, "--base", "main", "--head", "scene-2", "--report", f"html={page}"],
                       check=False, stdout=subprocess.DEVNULL)  # fmt: skip
        report(page, folder / "report.png")


if __name__ == "__main__":
    main()
