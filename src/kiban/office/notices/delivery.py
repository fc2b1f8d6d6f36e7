"""Sending what waits in the outbox, at least once and with an id that stays the same.

A notice is taken for some minutes, sent while no transaction is open, and then marked. A process that dies between
sending and marking leaves it to be sent once more when these minutes are over: mails carry the same Message-ID and
webhooks the same `webhook-id`, so that receivers can tell.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
import structlog

from kiban.kit.errors import KibanError
from kiban.office.audit.service import record
from kiban.office.guards.outgoing import Delivery, post_json
from kiban.office.guards.secret_box import SecretBox
from kiban.office.guards.webhook_signature import signature_headers
from kiban.office.links import Link, Place
from kiban.office.notices import repository
from kiban.office.notices.mail import Mail, Mailer, NotSent, SmtpMailer, SmtpServer
from kiban.office.notices.models import Channel, Notice, NoticeStatus, Webhook
from kiban.office.notices.preferences import unsubscribe_link
from kiban.office.notices.service import BETWEEN_PARTS, Message, notify
from kiban.office.notices.webhooks import secret_context, url_rules
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.work import Work

log = structlog.get_logger(__name__)
# How long a notice is left to the process that took it; longer than any attempt may last.
LEASE = timedelta(minutes=5)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=6)
GIVEN_UP_AFTER = timedelta(days=3)
DISABLED_AFTER = timedelta(days=7)
MOST_AT_ONCE = 500

# Delivers a body with headers to a URL.
Post = Callable[[str, bytes, dict[str, str], Settings], Delivery]


@dataclass(frozen=True)
class Sent:
    sent: int
    failed: int


@dataclass(frozen=True)
class _Job:
    """A notice as it was taken: everything that sending it needs."""

    notice_id: uuid.UUID
    attempt: int
    mail: Mail | None
    url: str
    secret: str
    body: bytes


def deliver_waiting(office: Office, *, mailer: Mailer | None = None, post: Post | None = None) -> Sent:
    """Send what is due, one after the other. Several processes may do it at once.

    Without a mail server mails wait. A failed attempt is repeated after 30 s, a minute, and so on up to 6 hours; after
    3 days it is given up (FAILED, for operators to see and retry). A webhook that has failed for a week is disabled.
    """
    owned = None
    if mailer is None and office.settings.smtp_url:
        mailer = owned = SmtpMailer(SmtpServer.of(office.settings.smtp_url), office.settings.mail_from)
    channels = [Channel.WEBHOOK] if mailer is None else [Channel.MAIL, Channel.WEBHOOK]
    sent = failed = 0
    try:
        for _ in range(MOST_AT_ONCE):
            job = _claim(office, channels)
            if job is None:
                break
            if isinstance(job, _Job) and _send(office, job, mailer, post or _post):
                sent += 1
            else:
                failed += 1
    finally:
        if owned is not None:
            owned.close()
    return Sent(sent, failed)


def _claim(office: Office, channels: list[Channel]) -> _Job | Notice | None:
    """The next notice, taken for a while; one that can never be sent is failed here and returned as it is."""
    with office.work() as work:
        row = repository.claim_due(work.session, work.now, channels)
        if row is None:
            return None
        row.attempts += 1
        row.first_tried_at = row.first_tried_at or work.now
        row.next_at = work.now + LEASE
        if row.channel is Channel.MAIL:
            return _Job(row.id, row.attempts, _mail(work, row), "", "", b"")
        hook = repository.webhook(work.session, row.webhook_id) if row.webhook_id else None
        problem, secret = _openable(work, hook)
        if hook is None or problem:
            row.status, row.last_error = NoticeStatus.FAILED, problem
            return row
        body = orjson.dumps(row.payload, option=orjson.OPT_SORT_KEYS)
        return _Job(row.id, row.attempts, None, hook.url, secret, body)


def _mail(work: Work, row: Notice) -> Mail:
    try:
        found = unsubscribe_link(work, row)
    except KibanError as error:  # the key cannot be read: what the mail says matters more than how to end it
        log.warning("mail_without_unsubscribe_link", notice=str(row.id), error=str(error))
        found = None
    if found is None:
        return Mail(row.id, row.recipient, row.subject, row.body, row.created_at)
    link, language = found
    address = link.url(work.settings, language)
    words = "Fewer mails like this, or none" if language == "en" else "このようなメールをまとめる・止める"
    body = f"{row.body.rstrip()}{BETWEEN_PARTS}{words}: {address}\n"
    return Mail(row.id, row.recipient, row.subject, body, row.created_at, unsubscribe_url=address)


def _openable(work: Work, hook: Webhook | None) -> tuple[str, str]:
    """Why nothing can be delivered to a webhook, or nothing and its secret."""
    if hook is None or hook.removed_at is not None:
        return "the webhook was removed", ""
    if hook.disabled_at is not None:
        return "the webhook is disabled", ""
    try:
        box = SecretBox.from_file(work.settings.key_file)
        return "", box.open(hook.secret, secret_context(hook.id)).decode()
    except KibanError as error:
        return str(error), ""


def _send(office: Office, job: _Job, mailer: Mailer | None, post: Post) -> bool:
    error, permanent = "", False
    if job.mail is not None and mailer is not None:
        try:
            mailer.send(job.mail)
        except NotSent as caught:
            error, permanent = str(caught), caught.permanent
    else:
        headers = signature_headers(job.secret, delivery_id=str(job.notice_id), at=office.clock(), body=job.body)
        delivery = post(job.url, job.body, headers, office.settings)
        if not delivery.ok:
            error = delivery.failure or f"it answered {delivery.status}"
            permanent = delivery.permanent or delivery.status == 410  # Gone: do not come back
    with office.work() as work:
        _note_outcome(work, job, error, permanent)
    return not error


def _post(url: str, body: bytes, headers: dict[str, str], settings: Settings) -> Delivery:
    return post_json(url, body, headers, **url_rules(settings))


def _note_outcome(work: Work, job: _Job, error: str, permanent: bool) -> None:
    row = repository.notice(work.session, job.notice_id)
    if row is None or row.status is NoticeStatus.SENT:
        return  # another process took it after the lease and was faster
    if error:
        row.last_error = error
        began = row.first_tried_at or work.now
        if permanent or work.now - began >= GIVEN_UP_AFTER:
            row.status = NoticeStatus.FAILED
            log.warning("notice_given_up", notice=str(row.id), error=error)
        elif row.attempts == job.attempt:
            row.next_at = _later(work.now, row.attempts)
    else:
        row.status, row.sent_at, row.last_error = NoticeStatus.SENT, work.now, ""
    if row.webhook_id is not None:
        _note_hook(work, row.webhook_id, error)


def _note_hook(work: Work, webhook_id: uuid.UUID, error: str) -> None:
    hook = repository.webhook(work.session, webhook_id, lock=True)
    if hook is None:
        return
    if not error:
        hook.failing_since = None
        return
    hook.failing_since = hook.failing_since or work.now
    if hook.disabled_at is not None or work.now - hook.failing_since < DISABLED_AFTER:
        return
    hook.disabled_at = work.now
    for waiting in repository.waiting_for(work.session, hook.id):
        waiting.status, waiting.last_error = NoticeStatus.FAILED, "the webhook is disabled"
    record(work, "notices.webhook_disabled", "webhook", hook.id, error=error)
    owner = repository.email_of(work.session, hook.created_by)
    if owner is None:
        return
    email, language = owner
    notify(
        work,
        cause=f"webhook:{hook.id}:disabled:{work.now.isoformat()}",
        event="notices.webhook_disabled",
        emails=[email],
        ja=Message("Webhookを停止しました", f"{hook.url}への配信が一週間失敗し続けたため停止しました。\n{error}"),
        en=Message("A webhook was disabled", f"Nothing could be delivered to {hook.url} for a week.\n{error}"),
        link=Link(Place.WEBHOOKS),
        payload={"webhook_id": str(hook.id)},
        language=language,
        organisation_id=hook.organisation_id,
    )


def _later(now: datetime, attempts: int) -> datetime:
    doubled: timedelta = FIRST_WAIT * 2 ** min(attempts - 1, 12)
    return now + min(LONGEST_WAIT, doubled)
