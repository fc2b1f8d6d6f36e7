"""What is true of every page: nothing for axe to find, nothing in the browser's console, nothing to scroll sideways."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

AXE = Path(__file__).parent / "packages" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_RUN = "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']}).then(found => found.violations)"
_CONTRAST = "() => axe.run(document, {runOnly: ['color-contrast']}).then(found => found.violations)"


class Noise:
    """What went wrong in the browser, seen or not: errors and warnings of the console, exceptions, failed requests."""

    def __init__(self) -> None:
        self._heard: list[str] = []
        self._allowed: list[re.Pattern[str]] = []

    def allow(self, pattern: str) -> None:
        """A test makes this happen: `noise.allow("422")`."""
        self._allowed.append(re.compile(pattern))

    def listen(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self._heard.append(f"exception: {error.error}"))
        context.on("requestfailed", self._failed)

    def unexpected(self) -> list[str]:
        return [line for line in self._heard if not any(pattern.search(line) for pattern in self._allowed)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._heard.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _failed(self, request: Request) -> None:
        # Going to another page gives up what is still under way.
        if request.failure != "net::ERR_ABORTED":
            self._heard.append(f"request: {request.method} {request.url}: {request.failure}")


def assert_accessible(page: Page, rules: Sequence[str] = RULES) -> None:
    """No violation of WCAG 2.2 AA, or of good practice, that axe knows how to find.

    The window has to run JavaScript: without, axe would wait for ever.
    """
    _load_axe(page)
    _assert_none(page, page.evaluate(_RUN, list(rules)))


def assert_contrast(page: Page) -> None:
    """All text can be read, in the colours that it has at the moment."""
    _load_axe(page)
    _assert_none(page, page.evaluate(_CONTRAST))


def assert_reflows(page: Page) -> None:
    """Nothing makes the page wider than its window (WCAG 2.2, 1.4.10), whatever scrolls inside it."""
    width, window = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= window, f"{page.url} is {width} px wide in a window of {window} px: {_widest(page, window)}"


def _load_axe(page: Page) -> None:
    # By the debugger, as the Content-Security-Policy lets no page load it; it stays until the next navigation.
    if not page.evaluate("() => 'axe' in window"):
        if not AXE.is_file():
            raise FileNotFoundError(f"{AXE} (run `make setup`)")
        page.evaluate(AXE.read_text(encoding="utf-8"))


def _assert_none(page: Page, violations: list[dict[str, Any]]) -> None:
    lines = [
        f"{found['id']} ({found['impact']}): {found['help']} {found['helpUrl']}\n"
        + "\n".join(f"    {json.dumps(node['target'], ensure_ascii=False)}  {node['html'][:300]}\n"
                    f"      {node['failureSummary'].splitlines()[-1].strip()}" for node in found["nodes"][:5])
        for found in violations
    ]  # fmt: skip
    assert not lines, f"{page.url}\n" + "\n".join(lines)


def _widest(page: Page, window: int) -> Any:
    script = """window => [...document.body.querySelectorAll('*')]
        .filter(each => each.getBoundingClientRect().right > window)
        .slice(0, 3).map(each => each.outerHTML.slice(0, 200))"""
    return page.evaluate(script, window)
