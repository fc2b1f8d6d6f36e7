"""Request heads that are slow or have no end, against a real server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from kiban.portal import protocol
from kiban.portal.protocol import BoundedHeads


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    config = uvicorn.Config(_answer, port=0, http=BoundedHeads, log_config=None, lifespan="off")
    listener = config.bind_socket()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_a_head_that_does_not_end_is_given_up(port: int, sent: bytes) -> None:
    with _connect(port) as connection:
        connection.sendall(sent)
        assert connection.recv(100) == b""


def test_a_head_without_bounds_is_refused(port: int) -> None:
    with _connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        try:
            for number in range(200):
                connection.sendall(b"X-%d: " % number + b"a" * 1000 + b"\r\n")
            got = connection.recv(100)
        except ConnectionError:
            return
        assert got.startswith(b"HTTP/1.1 400") or got == b""


def test_requests_one_after_the_other_each_have_their_time(port: int) -> None:
    with _connect(port) as connection:
        for _ in range(3):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
            threading.Event().wait(0.4)  # the body may take longer than a head
            connection.sendall(b"ab")
            assert connection.recv(1000).endswith(b"ok")
