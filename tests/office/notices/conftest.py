"""A mail server and an HTTP server on the loopback, and an office that may call them."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from kiban.office.links import Link, Place
from kiban.office.notices.service import Message, notify
from kiban.office.office import Office


@dataclass
class Post:
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers with `status`, and keeps what it got."""

    url: str = ""
    status: int = 200
    got: list[Post] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            kept.got.append(
                Post({name.lower(): value for name, value in self.headers.items()}, self.rfile.read(length))
            )
            self.send_response(kept.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield kept
    server.shutdown()
    server.server_close()


@dataclass
class Mailbox:
    url: str = ""
    answer: str = "250 OK"
    refuse: str = ""  # the answer to RCPT
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.raw.append(envelope.content)
            self.mails.append(cast(EmailMessage, BytesParser(policy=default).parsebytes(envelope.content)))
        return self.answer


class AnyPort(Controller):
    """Listens at a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = self.bound_port
        super()._trigger_server()

    @property
    def bound_port(self) -> int:
        assert self.server is not None
        return int(self.server.sockets[0].getsockname()[1])


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    controller = AnyPort(box, hostname="127.0.0.1", port=0)
    controller.start()
    box.url = f"smtp://127.0.0.1:{controller.bound_port}"
    yield box
    controller.stop()


@dataclass
class SecureMailServer:
    """Takes mail by STARTTLS alone, from who gives the password; `trust` knows its certificate."""

    box: Mailbox
    port: int
    trust: ssl.SSLContext


@pytest.fixture
def secure_mail_server() -> Iterator[SecureMailServer]:
    authority, trust = trustme.CA(), ssl.create_default_context()
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(own)
    authority.configure_trust(trust)

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        is_right = (data.login, data.password) == (b"office", b"a secret")
        return AuthResult(success=is_right, handled=False)  # so that the server says 535 itself

    box = Mailbox()
    controller = AnyPort(
        box,
        hostname="127.0.0.1",
        port=0,
        tls_context=own,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    controller.start()
    yield SecureMailServer(box, controller.bound_port, trust)
    controller.stop()


@pytest.fixture
def connected(office: Office, mailbox: Mailbox) -> Office:
    """The office with its mail server, allowed to call the loopback."""
    changed = {"smtp_url": mailbox.url, "mail_from": "office@kiban.example.jp", "allow_private_webhooks": True}
    office.settings = office.settings.model_copy(update=changed)
    return office


def tell(office: Office, *emails: str, cause: str = "test:1", event: str = "grants.alert_raised", **given: Any) -> None:
    with office.work() as work:
        notify(
            work,
            cause=cause,
            event=event,
            emails=list(emails),
            ja=Message(given.pop("subject", "お知らせ"), "本文です。"),
            en=Message("A notice", "The text."),
            link=Link(Place.NOTICES),
            payload={"figure": 1},
            **given,
        )
