"""Talking to a model: whole or as it is written, escaped, and plain words where there is none."""

from __future__ import annotations

import html
import json
import re

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from kiban.office.office import Office
from kiban.office.work import Role
from kiban.portal.serving import ModelServer

from ..conftest import BrowserOf

HOSTILE = "</textarea><script>alert(1)</script>"


@pytest.fixture
def served(app: FastAPI, office: Office) -> list[dict[str, object]]:
    """What the model server was asked; it says what it was asked last, in two pieces."""
    asked: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "hinoki", "kiban": {"digest": "ab" * 32}}]})
        given = json.loads(request.content)
        asked.append(given)
        said = given["messages"][-1]["content"]
        pieces = [{"delta": {"content": said[:3]}}, {"delta": {"content": said[3:]}, "finish_reason": "stop"}]
        lines = [f"data: {json.dumps({'choices': [piece]})}\n\n" for piece in pieces]
        return httpx.Response(200, text="".join(lines) + "data: [DONE]\n\n")

    settings = office.settings.model_copy(update={"serving_url": "http://model.invalid"})
    app.state.model_server = ModelServer(settings, transport=httpx.MockTransport(answer))
    return asked


def fields_of(page: str) -> dict[str, str]:
    form = page.split('id="playground"')[1].split("</form>")[0]
    return {
        name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form)
    }


def test_a_conversation_without_scripts(browser_of: BrowserOf, served: list[dict[str, object]]) -> None:
    browser = browser_of()
    fields = fields_of(browser.get("/ja/playground").text)
    first = browser.post("/ja/playground", data=fields | {"prompt": HOSTILE, "temperature": "０"})
    assert first.status_code == 200
    assert "<script>alert" not in first.text
    assert "abababababab" in first.text  # which model has answered
    second = browser.post("/ja/playground", data=fields_of(first.text) | {"prompt": "続き", "system": "短く"})
    assert second.status_code == 200
    assert served[0]["temperature"] == 0
    assert served[1]["messages"] == [
        {"role": "system", "content": "短く"},
        {"role": "user", "content": HOSTILE},
        {"role": "assistant", "content": HOSTILE},
        {"role": "user", "content": "続き"},
    ]


def test_an_answer_as_it_is_written(browser_of: BrowserOf, served: list[dict[str, object]]) -> None:
    browser = browser_of()
    answer = browser.post(
        "/ja/playground/stream",
        data={"csrf_token": browser.csrf_token, "prompt": "おはようございます"},  # type: ignore[attr-defined]
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    assert [name for name, _ in events] == ["event: model", "event: text", "event: text", "event: end"]
    assert json.loads(events[1][1].removeprefix("data: ")) == {"text": "おはよ"}


def test_a_question_that_cannot_be_asked_is_kept(browser_of: BrowserOf, served: list[dict[str, object]]) -> None:
    browser = browser_of()
    fields = fields_of(browser.get("/ja/playground").text)
    answer = browser.post("/ja/playground", data=fields | {"prompt": "問い", "temperature": "9"})
    assert answer.status_code == 422
    assert re.search(r"<textarea[^>]*>\s*問い</textarea>", answer.text)
    assert 'id="field-temperature-error"' in answer.text


def test_where_no_model_is_served_the_page_says_what_to_do(browser_of: BrowserOf, browser: TestClient) -> None:
    """Operators what to set, others that they may come back."""
    assert "KIBAN_SERVING_URL" in browser_of(Role.OPERATOR).get("/ja/playground").text
    answer = browser_of().get("/ja/playground")
    assert answer.status_code == 200
    assert "KIBAN_SERVING_URL" not in answer.text
    assert browser.get("/ja/playground").status_code == 303
