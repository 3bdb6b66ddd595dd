"""The HTML report in a real headless Chromium (Debian's package): what it shows, and that nothing in it can run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_reporters import HOSTILE, REPORTERS, made

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
DIFF = f"diff --git a/pkg/a b.py b/pkg/a b.py\n--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n-{'x' * 300}\n+{HOSTILE.splitlines()[0]}\n+import os\n context\n"
ATTACK = HOSTILE + "<img src=x onerror=\"document.title='owned'\"><svg/onload=alert(2)><style>*{display:none}</style>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    report = msgspec.structs.replace(made(ATTACK, many=3), diff=DIFF)
    path = tmp_path / "report.html"
    path.write_text(REPORTERS["html"].render(report))
    return path


def test_nothing_runs_and_nothing_is_loaded(browser: Any, file: Path):
    page = browser.new_page()
    heard: list[str] = []
    page.on("dialog", lambda dialog: (heard.append("dialog"), dialog.dismiss()))
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.goto(file.as_uri())
    assert heard == [file.as_uri()]
    assert page.title() == "agentgate: rejected"
    assert page.evaluate("document.querySelectorAll('script,img,iframe,object,link,form').length") == 0
    assert page.locator("h1").is_visible()
    assert page.locator("main").inner_text().count("alert(1)") > 3, "it is shown as text"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(360, 640), (1280, 900)], ids=["phone", "desk"])
def test_it_fits_the_screen_and_can_be_read(browser: Any, file: Path, scheme: str, size: tuple[int, int]):
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), "only the diff scrolls sideways"
    page.screenshot(path=str(file.parent / f"{scheme}-{size[0]}.png"), full_page=True)
    contrast = page.evaluate(CONTRAST)
    assert min(contrast.values()) >= 4.5, contrast


CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = c => { const [r, g, b] = parse(c).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const canvas = document.createElement('canvas').getContext('2d', {colorSpace: 'srgb'});
  const solid = c => { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return 'rgb(' + [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).join(',') + ')'; };
  const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (!c.endsWith(', 0)') && c !== 'transparent') return solid(c); } return matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(18,18,18)' : 'rgb(255,255,255)'; };
  const found = {};
  for (const pick of ['h1', 'p', 'a[href]', '.reject', '.failed', '.diff .added code', '.diff .removed code', 'pre', 'summary']) {
    const e = document.querySelector(pick); if (!e) continue;
    const [a, b] = [light(solid(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    found[pick] = (a + 0.05) / (b + 0.05); }
  return found; }"""
"""WCAG 2.2 contrast ratio of text to what is behind it, for the kinds of text on the page."""


def test_it_is_used_by_keyboard_and_named_for_screen_readers(browser: Any, file: Path):
    page = browser.new_page()
    page.goto(file.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the findings"
    page.keyboard.press("Enter")
    assert page.url.endswith("#findings")
    summary = page.locator("details summary").last
    summary.focus()
    assert page.evaluate("document.activeElement.closest('details').open")
    page.keyboard.press("Enter")
    assert not page.evaluate("document.activeElement.closest('details').open")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("[...document.querySelectorAll('th')].every(t => t.scope)")
    assert page.evaluate("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))")
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
