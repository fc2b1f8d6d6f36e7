"""Browser windows: somebody's or nobody's, in a language, on a desk or on a phone, with JavaScript or without."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kiban.office.members.sessions import cookie_name

from .checks import Noise, assert_accessible
from .season import Season

Language = Literal["ja", "en"]
Viewport = Literal["desktop", "phone"]
ColourScheme = Literal["light", "dark"]
VIEWPORTS: dict[Viewport, tuple[int, int]] = {"desktop": (1280, 800), "phone": (390, 844)}
LOCALES: dict[Language, str] = {"ja": "ja-JP", "en": "en-GB"}
SECONDS = 15
PASSWORD = "three small frogs cross a river"

# A journey is walked in each of these.
_WINDOWS: list[tuple[Language, bool]] = [("ja", True), ("en", True), ("ja", False), ("en", False)]
in_every_window = pytest.mark.parametrize(
    ("language", "javascript"), _WINDOWS, ids=[f"{each}-{'with' if js else 'without'}-js" for each, js in _WINDOWS]
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises: FileNotFoundError: there is none."""
    path = os.environ.get("KIBAN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise FileNotFoundError("no Chromium on PATH; install it, or name it in KIBAN_CHROMIUM")
    # Containers give root no sandbox; only pages of our own are opened.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Visitors:
    """Opens windows on a server, and closes them all."""

    def __init__(self, browser: Browser, season: Season, url: str, noise: Noise) -> None:
        self.season, self.url = season, url
        self._browser, self._noise = browser, noise

    def page_of(
        self,
        who: str | None = None,
        *,
        language: Language = "ja",
        javascript: bool = True,
        viewport: Viewport = "desktop",
        colour_scheme: ColourScheme = "light",
    ) -> Page:
        """A window of its own; relative addresses are of the server.

        Args:
            who: a role in `Season.accounts` or an e-mail address, signed in as if a moment ago. None: nobody.
            language: that the browser asks for.
        """
        width, height = VIEWPORTS[viewport]
        context = self._browser.new_context(
            base_url=self.url,
            locale=LOCALES[language],
            timezone_id="Asia/Tokyo",
            java_script_enabled=javascript,
            viewport={"width": width, "height": height},
            color_scheme=colour_scheme,
            reduced_motion="reduce",
        )
        context.set_default_timeout(SECONDS * 1000)
        context.clock.install(time=self.season.clock())
        self._noise.listen(context)
        if who is not None:
            name = cookie_name(self.season.office.settings)
            cookie = self.season.session_cookie(who)
            context.add_cookies([{"name": name, "value": cookie, "url": self.url, "httpOnly": True, "sameSite": "Lax"}])
        return context.new_page()

    def sign_in_by_form(self, page: Page, role: str, *, language: Language = "ja", return_to: str = "") -> None:
        """As people do it: e-mail, password and, for the roles that have one, the second factor."""
        account = self.season.accounts[role]
        page.goto(f"/{language}/sign-in" + (f"?return_to={return_to}" if return_to else ""))
        page.locator("input[name=email]").fill(account.email)
        page.locator("input[name=password]").fill(account.password)
        if account.totp:
            page.locator("input[name=code]").fill(account.code(self.season.clock))
        page.locator("main form button[type=submit]").first.click()
        page.wait_for_url(re.compile(rf"/{language}(?!/sign-in)"))

    def close(self) -> None:
        for context in list(self._browser.contexts):
            context.close()


def send(page: Page, action: str) -> None:
    """Send the form whose address ends so, and read that it was done."""
    form = page.locator(f"main form[action$='{action}']")
    form.locator("button[type=submit]:not([name], [aria-hidden])").click()  # not one that adds a row
    expect(page.locator("[data-notice]")).to_be_visible()


def follow_invitation(page: Page, season: Season, email: str, language: Language, *, javascript: bool) -> None:
    """A window of nobody's becomes that of who was invited, with an account just made."""
    page.goto(season.mailed_link(email, f"/{language}/invitation"))
    if javascript:
        assert_accessible(page)
    page.locator("input[name='account.name']").fill("新 花子 مها")
    page.locator("input[name='account.password']").fill(PASSWORD)
    page.locator("form[action$='/invitation'] button").click()
    page.wait_for_url(re.compile(rf"/{language}/account"))
