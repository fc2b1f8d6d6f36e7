"""The first run: from what `kiban portal` prints to the office's desk, as whoever started it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser

from .checks import Noise, assert_accessible, assert_reflows
from .visitors import LOCALES, PASSWORD, Language, in_every_window

pytestmark = pytest.mark.browser


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[str]:
    """The link to the first run of a portal that was just installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KIBAN_")}
    environment |= {"KIBAN_HOME": str(tmp_path / "home"), "KIBAN_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-m", "kiban", "portal", "--no-model", "--port", "0", "--json"]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())["first_run_url"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


@in_every_window
def test_from_the_printed_link_to_the_desk(
    language: Language, javascript: bool, printed: str, browser: Browser, noise: Noise
) -> None:
    context = browser.new_context(locale=LOCALES[language], java_script_enabled=javascript)
    noise.listen(context)
    page = context.new_page()

    def look() -> None:
        if javascript:
            assert_accessible(page)
            assert_reflows(page)

    page.goto(re.sub(r"/(ja|en)/first-run", f"/{language}/first-run", printed))
    look()
    page.locator("input[name=name]").fill("髙橋 一郎")
    page.locator("input[name=email]").fill("first@example.jp")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main form[action$='/first-run'] button[type=submit]").click()
    page.wait_for_url(re.compile("/account/second-factor"))
    page.locator("main form[action$='/second-factor'] button").first.click()
    page.locator(".qr-code svg").wait_for()
    look()
    key = re.sub(r"\s", "", page.locator(".key-to-type code").inner_text())
    page.locator("input[name=code]").fill(pyotp.TOTP(key).now())
    page.locator("main form[action$='/confirmation'] button[type=submit]").click()
    assert page.locator(".codes code").count() >= 8
    look()
    page.goto(f"{page.url.partition('/account')[0]}/office")
    assert page.locator("main ol, main ul").first.is_visible()
    look()
    context.close()
