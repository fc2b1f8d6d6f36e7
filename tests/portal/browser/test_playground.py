"""Talking to a model that writes slowly: its answer appears as it comes, can be stopped, and needs no scripts."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from .checks import Noise, assert_accessible, assert_reflows
from .season import Season
from .server import serving
from .visitors import Language, Visitors

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)> <b>太字</b>"


class SlowModel(ThreadingHTTPServer):
    """Writes the beginning of its answer, and the rest when it is let."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.goes_on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answering(BaseHTTPRequestHandler):
    server: SlowModel

    def do_GET(self) -> None:
        self._head("application/json")
        models = {"data": [{"id": "slow", "kiban": {"digest": "ab" * 32}}]}
        self.wfile.write(json.dumps(models).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._head("text/event-stream")
        self._piece({"delta": {"content": HOSTILE}})
        self.server.goes_on.wait(30)
        with contextlib.suppress(ConnectionError):  # the reader has stopped it
            self._piece({"delta": {"content": " 続き。"}, "finish_reason": "stop"})
            self.wfile.write(b"data: [DONE]\n\n")

    def _head(self, media_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.end_headers()

    def _piece(self, choice: dict[str, object]) -> None:
        self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_given: object) -> None:
        pass


@pytest.fixture
def model() -> Iterator[SlowModel]:
    with SlowModel() as serving_model:
        thread = threading.Thread(target=serving_model.serve_forever)
        thread.start()
        yield serving_model
        serving_model.goes_on.set()
        serving_model.shutdown()
        thread.join()


@pytest.fixture
def talking(
    model: SlowModel, browser: Browser, season: Season, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Visitors]:
    """Windows of a server over the season that knows this model."""
    monkeypatch.setenv("KIBAN_SERVING_URL", model.url)
    with serving(season.folder) as url:
        made = Visitors(browser, season, url, noise)
        yield made
        made.close()


def test_an_answer_appears_as_it_is_written_and_can_be_stopped(talking: Visitors, model: SlowModel) -> None:
    page = talking.page_of("applicant")
    page.goto("/ja/playground")
    page.locator("[name=prompt]").fill("こんにちは")
    page.locator("main form button[type=submit]").first.click()
    answer = page.locator(".turn-assistant .turn-text")
    expect(answer).to_have_text(HOSTILE)
    expect(page.locator(".turn-assistant code")).to_have_text("ab" * 6)
    page.locator("[data-stop]").click()
    expect(page.locator("[data-stop]")).to_be_hidden()
    expect(answer).to_have_text(HOSTILE)
    model.goes_on.set()
    page.locator("[name=prompt]").fill("もう一度")
    page.locator("main form button[type=submit]").first.click()
    expect(answer.nth(1)).to_have_text(f"{HOSTILE} 続き。")
    assert page.locator(".turn-text b, .turn-text img").count() == 0
    assert_accessible(page)
    page.set_viewport_size({"width": 320, "height": 800})
    assert_reflows(page)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_conversation_without_scripts(language: Language, talking: Visitors, model: SlowModel) -> None:
    model.goes_on.set()
    page = talking.page_of("applicant", language=language, javascript=False)
    page.goto(f"/{language}/playground")
    for question in ("one", "two"):
        page.locator("[name=prompt]").fill(question)
        page.locator("main form button[type=submit]").first.click()
        expect(page.locator(".turn-user .turn-text").last).to_have_text(question)
    expect(page.locator(".turn-assistant .turn-text")).to_have_text([f"{HOSTILE} 続き。"] * 2)
