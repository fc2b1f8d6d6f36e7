"""`python -m tests.portal.browser.screenshots`: every page as people see it, into docs/screenshots.

One picture for each page, language and window; as few colours as keep it readable, so that the repository stays small.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from .checks import Noise
from .pages import PAGES
from .season import ROOT, Season
from .server import serving
from .visitors import LOCALES, VIEWPORTS, Viewport, Visitors, chromium

FOLDER = ROOT / "docs" / "screenshots"
# What comes below is told by the page's text as well.
HIGHEST: dict[Viewport, int] = {"desktop": 1600, "phone": 1800}
LARGEST_BYTES = 40 * 1024
COLOURS = (48, 24, 12)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.portal.browser.screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PAGE", help="only these, by their names in pages.py")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    known = {listed.name for listed in PAGES}
    if unknown := set(options.names) - known:
        parser.error(f"no such page: {', '.join(sorted(unknown))}")
    noise = Noise()
    with tempfile.TemporaryDirectory(prefix="kiban-season-") as name:
        season = Season(Path(name))
        with serving(season.folder) as url, chromium() as browser:
            visitors = Visitors(browser, season, url, noise)
            for listed in PAGES:
                if options.names and listed.name not in options.names:
                    continue
                if listed.status != 200:
                    noise.allow(f"the server responded with a status of {listed.status}")
                path = listed.path_in(season)
                for language in LOCALES:
                    for viewport in VIEWPORTS:
                        page = visitors.page_of(listed.who_in(season), language=language, viewport=viewport)
                        answer = page.goto(f"/{language}{path}", wait_until="networkidle")
                        assert answer is not None
                        assert answer.status == listed.status, f"{page.url}: {answer.status}"
                        _save(page, viewport, options.folder / language / viewport / f"{listed.name}.webp")
                        page.context.close()
        season.close()
    if not options.names:
        for file in options.folder.glob("*/*/*.webp"):
            if file.stem not in known:
                file.unlink()
    for line in noise.unexpected():
        print(line, file=sys.stderr)
    return 1 if noise.unexpected() else 0


def _save(page: Page, viewport: Viewport, path: Path) -> None:
    width, height = VIEWPORTS[viewport]
    whole = int(page.evaluate("() => document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": width, "height": max(height, min(whole, HIGHEST[viewport]))})
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide"))).convert("RGB")
    for colours in COLOURS:
        packed = io.BytesIO()
        _reduced(picture, colours).save(packed, "WEBP", lossless=True, method=4)
        if packed.tell() <= LARGEST_BYTES:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed.getvalue())


def _reduced(picture: Image.Image, colours: int) -> Image.Image:
    """With its most frequent colours alone: a page's surfaces and letters keep theirs, as no mean of them would."""
    counted = picture.getcolors(picture.width * picture.height)
    assert counted is not None
    frequent = [colour for _count, colour in sorted(counted, reverse=True)[:colours]]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in (frequent * 256)[:256] for part in colour])  # type: ignore[union-attr]
    return picture.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")


if __name__ == "__main__":
    sys.exit(main())
