from __future__ import annotations

import threading
from datetime import timedelta

import orjson
import pytest

from kiban.office.guards import webhook_signature
from kiban.office.guards.outgoing import Delivery
from kiban.office.members.models import Person
from kiban.office.notices import service, webhooks
from kiban.office.notices.delivery import Sent, deliver_waiting
from kiban.office.notices.mail import Mail, NotSent
from kiban.office.notices.models import Notice, NoticeStatus
from kiban.office.notices.schemas import WebhookIn
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.work import Role

from ..conftest import Rows, TestClock
from .conftest import Mailbox, Post, Receiver, tell


def outbox(office: Office) -> list[Notice]:
    with office.work(read_only=True) as work:
        return service.list_notices(work, PageRequest()).items


def hook(office: Office, rows: Rows, url: str, *events: str) -> webhooks.Created:
    with office.work(rows.actor(Role.OPERATOR)) as work:
        return webhooks.create_webhook(work, WebhookIn(url=url, events=events or ("*",)))


def test_a_mail_arrives_once_in_japanese(connected: Office, mailbox: Mailbox) -> None:
    tell(connected, "sato@example.jp")
    assert [deliver_waiting(connected), deliver_waiting(connected)] == [Sent(1, 0), Sent(0, 0)]
    (mail,) = mailbox.mails
    (row,) = outbox(connected)
    assert (mail["Subject"], mail["To"], mail["From"]) == ("お知らせ", "sato@example.jp", "office@kiban.example.jp")
    assert mail.get_content_type() == "text/plain"
    assert "本文です。" in mail.get_content()
    assert "The text." in mail.get_content()
    assert mail["Message-ID"] == f"<{row.id}@kiban.example.jp>"
    assert (row.status, row.attempts) == (NoticeStatus.SENT, 1)


def test_without_a_mail_server_mails_wait_and_webhooks_go(connected: Office, rows: Rows, receiver: Receiver) -> None:
    connected.settings = connected.settings.model_copy(update={"smtp_url": ""})
    hook(connected, rows, receiver.url)
    tell(connected, "sato@example.jp")
    assert deliver_waiting(connected) == Sent(1, 0)
    assert {row.channel: row.status for row in outbox(connected)} == {"mail": "waiting", "webhook": "sent"}


def test_a_webhook_is_signed_with_its_secret(
    connected: Office, rows: Rows, receiver: Receiver, clock: TestClock
) -> None:
    made = hook(connected, rows, receiver.url, "grants.alert_raised")
    tell(connected)
    tell(connected, cause="other", event="calls.closed")
    assert deliver_waiting(connected) == Sent(1, 0)
    (post,) = receiver.got
    assert webhook_signature.verify(made.secret, post.headers, post.body, now=clock())
    assert not webhook_signature.verify(made.secret, post.headers, post.body + b" ", now=clock())
    assert orjson.loads(post.body)["data"] == {"figure": 1}
    assert made.secret not in made.webhook.secret


def test_what_fails_is_tried_less_and_less_often_and_given_up_after_three_days(
    connected: Office, mailbox: Mailbox, clock: TestClock
) -> None:
    mailbox.answer = "451 later"
    tell(connected, "sato@example.jp")
    clock.forward(days=30)  # waiting for a mail server is no attempt
    waits = []
    for _ in range(40):
        assert deliver_waiting(connected) == Sent(0, 1)
        (row,) = outbox(connected)
        if row.status is NoticeStatus.FAILED:
            break
        waits.append((row.next_at - clock()).total_seconds())
        clock.now = row.next_at - timedelta(seconds=1)
        assert deliver_waiting(connected) == Sent(0, 0)
        clock.forward(seconds=1)
    assert waits[:3] == [30, 60, 120]
    assert max(waits) == 6 * 3600
    assert 3 * 86_400 <= sum(waits) < 3.3 * 86_400
    assert "451" in row.last_error
    mailbox.answer = "250 OK"
    assert deliver_waiting(connected) == Sent(0, 0)
    with connected.work() as work:
        service.retry(work, row.id)
    assert deliver_waiting(connected) == Sent(1, 0)


def test_an_address_that_does_not_exist_is_not_tried_again(connected: Office, mailbox: Mailbox) -> None:
    mailbox.refuse = "550 no such user"
    tell(connected, "nobody@example.jp")
    deliver_waiting(connected)
    (row,) = outbox(connected)
    assert (row.status, row.last_error) == (NoticeStatus.FAILED, "550 no such user")


def test_one_bad_notice_does_not_hold_up_the_others(connected: Office, mailbox: Mailbox) -> None:
    tell(connected, "bad@@example", "good@example.jp")
    assert deliver_waiting(connected) == Sent(1, 1)
    assert [mail["To"] for mail in mailbox.mails] == ["good@example.jp"]


def test_killed_between_sending_and_marking_it_is_sent_once_more_with_the_same_id(
    connected: Office, rows: Rows, receiver: Receiver, clock: TestClock
) -> None:
    hook(connected, rows, receiver.url)
    tell(connected)

    def killed(url: str, body: bytes, headers: dict[str, str], settings: object) -> Delivery:
        receiver.got.append(Post(headers, body))
        raise SystemExit

    with pytest.raises(SystemExit):
        deliver_waiting(connected, post=killed)
    assert deliver_waiting(connected) == Sent(0, 0)  # it might still be at it
    clock.forward(minutes=5)
    assert deliver_waiting(connected) == Sent(1, 0)
    assert deliver_waiting(connected) == Sent(0, 0)
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


class Counting:
    """A mailer that many threads share."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, mail: Mail) -> None:
        self.sent.append(mail.recipient)

    def close(self) -> None:
        raise NotSent("it is not the sender's to close")


def test_senders_at_once_send_each_notice_once(connected: Office) -> None:
    emails = [f"person{number}@example.jp" for number in range(12)]
    tell(connected, *emails)
    mailer = Counting()
    threads = [threading.Thread(target=deliver_waiting, args=(connected,), kwargs={"mailer": mailer}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(mailer.sent) == sorted(emails)


def test_a_webhook_that_fails_for_a_week_is_disabled_and_its_owner_told(
    connected: Office, rows: Rows, receiver: Receiver, mailbox: Mailbox, clock: TestClock
) -> None:
    made = hook(connected, rows, receiver.url)
    receiver.status = 500
    for day in range(9):
        tell(connected, cause=f"day:{day}")
        deliver_waiting(connected)
        clock.forward(days=1)
    with connected.work() as work:
        (row,) = webhooks.list_webhooks(work, PageRequest()).items
        owner = work.session.get_one(Person, made.webhook.created_by).email
    assert row.disabled_at is not None
    assert row.failing_since is not None
    assert row.disabled_at - row.failing_since == timedelta(days=7)
    assert [(mail["To"], mail["Subject"]) for mail in mailbox.mails] == [(owner, "Webhookを停止しました")]
    assert {notice.status for notice in outbox(connected) if notice.webhook_id} == {NoticeStatus.FAILED}
    count = len(receiver.got)
    tell(connected, cause="later")
    deliver_waiting(connected)
    assert len(receiver.got) == count
    receiver.status = 200
    with connected.work() as work:
        webhooks.enable_webhook(work, row.id)
        webhooks.test_webhook(work, row.id)
    assert deliver_waiting(connected).sent == 1


def test_one_success_ends_the_count_of_a_failing_week(
    connected: Office, rows: Rows, receiver: Receiver, clock: TestClock
) -> None:
    hook(connected, rows, receiver.url)
    for day, status in enumerate((500, 500, 500, 500, 200, 500, 500, 500, 500)):
        receiver.status = status
        tell(connected, cause=f"day:{day}")
        deliver_waiting(connected)
        clock.forward(days=1)
    with connected.work() as work:
        (row,) = webhooks.list_webhooks(work, PageRequest()).items
    assert row.disabled_at is None


def test_a_removed_webhook_gets_nothing_that_waited(connected: Office, rows: Rows, receiver: Receiver) -> None:
    made = hook(connected, rows, receiver.url)
    tell(connected)
    with connected.work() as work:
        webhooks.remove_webhook(work, made.webhook.id)
    assert deliver_waiting(connected) == Sent(0, 1)
    assert receiver.got == []


def test_a_webhook_inside_is_not_called_once_the_office_forbids_it(
    connected: Office, rows: Rows, receiver: Receiver
) -> None:
    hook(connected, rows, receiver.url)
    connected.settings = connected.settings.model_copy(update={"allow_private_webhooks": False})
    tell(connected)
    assert deliver_waiting(connected) == Sent(0, 1)
    assert receiver.got == []
    assert outbox(connected)[0].status is NoticeStatus.FAILED
