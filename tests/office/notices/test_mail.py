from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from kiban.kit.errors import BadInput
from kiban.office.notices.mail import Mail, NotSent, SmtpMailer, SmtpServer, compose

from .conftest import Mailbox, SecureMailServer


def mail(**given: str) -> Mail:
    values = {"recipient": "sato@example.jp", "subject": "件名", "body": "本文\n"} | given
    return Mail(uuid.UUID(int=1), written_at=datetime(2026, 4, 1, tzinfo=UTC), **values)


def test_a_subject_cannot_begin_another_header() -> None:
    message = compose(mail(subject="a\r\nBcc: x@example.jp\x00\u2028b"), "office@example.jp")
    assert message["Bcc"] is None
    assert message["Subject"] == "a Bcc: x@example.jp b"


@pytest.mark.parametrize(
    "recipient", ["a@example.jp\r\nBcc: x@example.jp", "a@example.jp, b@example.jp", "", "a b@c@d"]
)
def test_an_address_is_one_address(recipient: str) -> None:
    with pytest.raises(NotSent) as caught:
        compose(mail(recipient=recipient), "office@example.jp")
    assert caught.value.permanent


def test_the_same_mail_is_the_same_message() -> None:
    first, second = (compose(mail(), "office@example.jp").as_bytes() for _ in range(2))
    assert first == second


def test_a_body_cannot_end_the_message_early(mailbox: Mailbox) -> None:
    body = "一行目\n.\nRCPT TO:<x@example.jp>\nFrom me\n"
    with SmtpMailer(SmtpServer.of(mailbox.url), "office@example.jp") as mailer:
        mailer.send(mail(body=body))
        mailer.send(mail())
    assert [found.get_content().replace("\r\n", "\n") for found in mailbox.mails] == [body, "本文\n"]
    assert all(raw.isascii() for raw in mailbox.raw)


def test_nobody_at_the_port_is_no_crash() -> None:
    with pytest.raises(NotSent) as caught:
        SmtpMailer(SmtpServer("127.0.0.1", 1, "", "", "never"), "office@example.jp").send(mail())
    assert not caught.value.permanent


def test_nothing_is_sent_without_the_tls_that_was_asked_for(mailbox: Mailbox) -> None:
    plain = SmtpServer.of(mailbox.url)
    with pytest.raises(NotSent):
        SmtpMailer(SmtpServer(plain.host, plain.port, "", "", "starttls"), "office@example.jp").send(mail())
    assert mailbox.mails == []


def test_mail_goes_by_starttls_to_a_server_that_proves_who_it_is(secure_mail_server: SecureMailServer) -> None:
    server = SmtpServer("127.0.0.1", secure_mail_server.port, "office", "a secret", "starttls")
    with pytest.raises(NotSent, match="certificate"):
        SmtpMailer(server, "office@example.jp").send(mail())
    wrong = SmtpServer(server.host, server.port, "office", "another", "starttls")
    with pytest.raises(NotSent):
        SmtpMailer(wrong, "office@example.jp", tls=secure_mail_server.trust).send(mail())
    assert secure_mail_server.box.mails == []
    with SmtpMailer(server, "office@example.jp", tls=secure_mail_server.trust) as mailer:
        mailer.send(mail())
        mailer.send(mail(subject="二通目"))
    assert [found["Subject"] for found in secure_mail_server.box.mails] == ["件名", "二通目"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://me:p%40ss@mail.example.jp", SmtpServer("mail.example.jp", 587, "me", "p@ss", "starttls")),
        ("smtps://mail.example.jp", SmtpServer("mail.example.jp", 465, "", "", "always")),
        ("smtp://relay:25?starttls=never", SmtpServer("relay", 25, "", "", "never")),
        ("smtp://localhost:25", SmtpServer("localhost", 25, "", "", "never")),
    ],
)
def test_how_a_mail_server_is_named(url: str, expected: SmtpServer) -> None:
    assert SmtpServer.of(url) == expected


@pytest.mark.parametrize(
    "url",
    ["http://mail", "smtp://", "smtp://h:x", "smtp://h?tls=1", "smtp://me:secret@h?starttls=never", "smtps://h/x"],
)
def test_what_names_no_mail_server(url: str) -> None:
    with pytest.raises(BadInput):
        SmtpServer.of(url)
