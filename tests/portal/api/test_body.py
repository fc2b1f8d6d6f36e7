from __future__ import annotations

import asyncio

import pytest
from fastapi import HTTPException
from starlette.types import Message

from kiban.portal.api import body
from kiban.portal.api.body import JSON_BYTES, BodyReader

FORM = (b"content-type", b"application/x-www-form-urlencoded")


def _part(sent: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": sent, "more_body": more}


def test_a_body_that_comes_a_byte_at_a_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is the whole body's: each byte in time is not enough."""
    monkeypatch.setattr(body, "JSON_SECONDS", 0.2)
    sent = 0

    async def receive() -> Message:
        nonlocal sent
        await asyncio.sleep(0.05)
        sent += 1
        return _part(b"a")

    async def read() -> None:
        reader = BodyReader({"type": "http", "headers": [FORM]}, receive)
        while True:
            await reader()

    with pytest.raises(HTTPException) as refused:
        asyncio.run(asyncio.wait_for(read(), 30))
    assert refused.value.status_code == 408
    assert 0 < sent < 20


def test_a_body_that_does_not_say_how_long_it_is_is_cut_off() -> None:
    parts = 0

    async def receive() -> Message:
        nonlocal parts
        parts += 1
        return _part(b"a" * 65_536)

    async def read() -> None:
        reader = BodyReader({"type": "http", "headers": []}, receive)
        while True:
            await reader()

    with pytest.raises(HTTPException) as refused:
        asyncio.run(read())
    assert refused.value.status_code == 413
    assert parts == JSON_BYTES // 65_536 + 1


def test_what_has_come_whole_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "JSON_SECONDS", 0.05)
    messages = [_part(b"a=1", more=False), {"type": "http.disconnect"}]

    async def receive() -> Message:
        message = messages.pop(0)
        if message["type"] == "http.disconnect":
            await asyncio.sleep(0.2)
        return message

    async def read() -> list[str]:
        reader = BodyReader({"type": "http", "headers": [FORM]}, receive)
        return [(await reader())["type"], (await reader())["type"]]

    assert asyncio.run(read()) == ["http.request", "http.disconnect"]
