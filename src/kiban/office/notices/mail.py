"""Mail by SMTP: plain text in UTF-8, over TLS except within one machine, with an id that stays the same.

smtp://user:password@host:587            STARTTLS, without which nothing is sent
smtps://user:password@host:465           TLS from the start
smtp://host:25?starttls=never            a relay within one network that offers none; never with a password
"""

from __future__ import annotations

import smtplib
import ssl
import uuid
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import parse_qs, unquote, urlsplit

from kiban.kit.errors import BadInput

TIMEOUT_SECONDS = 20.0


class _OneLine(UnstructuredHeader, BaseHeader):
    """An address: folded as words are, a long one would arrive encoded."""

    def fold(self, *, policy: Policy[Any]) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _OneLine)
# In seven bits, which every relay takes.
_POLICY = SMTP.clone(cte_type="7bit", header_factory=_HEADERS)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Mail:
    id: uuid.UUID
    recipient: str
    subject: str
    body: str
    written_at: datetime
    unsubscribe_url: str = ""  # ends mails of its kind by a POST without a sign-in (RFC 8058)


class NotSent(Exception):
    """Why a mail did not go out, in words for an operator. `permanent`: trying again would change nothing."""

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Mailer(Protocol):
    def send(self, mail: Mail) -> None:
        """Raises: NotSent."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class SmtpServer:
    host: str
    port: int
    user: str
    password: str
    tls: str  # always, starttls or never

    @classmethod
    def of(cls, url: str) -> Self:
        """Raises: BadInput: not such a URL."""
        where = "KIBAN_SMTP_URL"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise BadInput("not a URL", where=where) from None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/"):
            raise BadInput("expected smtp://user:password@host:587 or smtps://…", where=where)
        query = parse_qs(parts.query)
        if query not in ({}, {"starttls": ["never"]}) or (query and parts.scheme == "smtps"):
            raise BadInput("the only option is ?starttls=never, of smtp://", where=where)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        plain = bool(query) or parts.hostname in _LOOPBACK
        tls = "always" if parts.scheme == "smtps" else "never" if plain else "starttls"
        if user and tls == "never" and parts.hostname not in _LOOPBACK:
            raise BadInput("a password is not sent without TLS", where=where, hint="leave ?starttls=never out")
        return cls(parts.hostname, port or (465 if tls == "always" else 587), user, password, tls)


class SmtpMailer:
    """One connection for as many mails as there are, opened with the first and anew after an error."""

    def __init__(self, server: SmtpServer, sender: str, *, tls: ssl.SSLContext | None = None) -> None:
        self._server, self._sender, self._tls = server, sender, tls
        self._connection: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, mail: Mail) -> None:
        message = compose(mail, self._sender).as_bytes()
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.sendmail(self._sender, [mail.recipient], message)
        except smtplib.SMTPRecipientsRefused as error:
            self.close()
            code, text = next(iter(error.recipients.values()))
            raise NotSent(f"{code} {text.decode('utf-8', 'replace')}"[:500], permanent=code >= 500) from None
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise NotSent(f"{type(error).__name__}: {error}"[:500]) from None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.quit()
            except (smtplib.SMTPException, OSError):
                connection.close()

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        context = self._tls or ssl.create_default_context()
        connection: smtplib.SMTP
        if server.tls == "always":
            connection = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_SECONDS, context=context)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
        try:
            if server.tls == "starttls":
                connection.starttls(context=context)
            if server.user:
                connection.login(server.user, server.password)
        except (smtplib.SMTPException, OSError):
            connection.close()
            raise
        return connection


def compose(mail: Mail, sender: str) -> EmailMessage:
    """The message; the same mail gives the same one, with the same Message-ID.

    Raises:
        NotSent: an address that no header can hold.
    """
    message = EmailMessage(policy=_POLICY)
    try:
        message["From"] = _address(sender)
        message["To"] = _address(mail.recipient)
        # Line breaks would begin another header; the library refuses them, and people's names shall still arrive.
        message["Subject"] = " ".join("".join(c if c.isprintable() else " " for c in mail.subject).split())
        message["Date"] = format_datetime(mail.written_at)
        message["Message-ID"] = f"<{mail.id}@{_domain(sender)}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer by a machine
        if mail.unsubscribe_url.isascii() and mail.unsubscribe_url:
            message["List-Unsubscribe"] = f"<{mail.unsubscribe_url}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(mail.body, charset="utf-8")
    except (ValueError, MessageError) as error:
        raise NotSent(f"cannot be written as a mail: {error}", permanent=True) from None
    return message


def _address(text: str) -> Address:
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("an address is of ASCII letters, without control characters")
    return Address(addr_spec=text)


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2] or "localhost"
