"""HEAD of a page: what GET answers, without the body (RFC 9110, section 9.3.2). Checkers of links ask so."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kiban.portal.web.page import language_of


class HeadsOfPages:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or language_of(scope) is None:
            await self.app(scope, receive, send)
            return

        async def bodyless(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        got = {**scope, "method": "GET"}
        try:
            await self.app(got, receive, bodyless)
        finally:
            scope["route"] = got.get("route")
