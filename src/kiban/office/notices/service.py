"""The outbox: what people and machines are told, once per cause."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kiban.office.audit.service import record
from kiban.office.errors import Conflict, NotFound
from kiban.office.links import Link, Place
from kiban.office.notices import repository
from kiban.office.notices.models import Channel, Notice, NoticeStatus, Timing, Webhook
from kiban.office.notices.policy import ALWAYS, DIGEST_EVENT, kind_of
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Role, Work


@dataclass(frozen=True)
class Message:
    """A mail in one language, plain text."""

    subject: str
    body: str


BETWEEN_PARTS = "\n\n----\n"
WHEN = {
    Timing.AT_ONCE: NoticeStatus.WAITING,
    Timing.DAILY: NoticeStatus.FOR_DIGEST,
    Timing.OFF: NoticeStatus.NOT_WANTED,
}


def notify(
    work: Work,
    *,
    cause: str,
    event: str,
    emails: Sequence[str],
    ja: Message,
    en: Message,
    link: Link,
    payload: Mapping[str, Any],
    language: str = "ja",
    organisation_id: uuid.UUID | None = None,
) -> None:
    """Put mails, and deliveries to the webhooks that asked for the event, into the outbox.

    They leave after this work is committed, never for work that was rolled back. Mails of a kind that people may do
    without (`policy`) go when each reader wants them.

    Args:
        cause: what is told of, such as `grant:<id>:spent:80`; a recipient told of it once is not told again.
        event: `<module>.<verb in the past>`, which webhooks subscribe to.
        link: the page that it is about, put at the end of both texts.
        payload: what a webhook gets as JSON; ids and figures, never personal data.
        organisation_id: whose webhooks are told besides the programme's own.
    """
    texts = {"ja": (ja, f"{ja.body}\n{link.url(work.settings, 'ja')}")}
    texts["en"] = (en, f"{en.body}\n{link.url(work.settings, 'en')}")
    first, other = ("en", "ja") if language == "en" else ("ja", "en")
    (message, text), (translated, translation) = texts[first], texts[other]
    body = f"{text}{BETWEEN_PARTS}{translated.subject}\n\n{translation}\n"
    already = repository.told(work.session, cause, Channel.MAIL, emails)
    kind = kind_of(event)
    timings = {} if kind in ALWAYS or not emails else repository.timings(work.session, emails, kind)
    for email in sorted(set(emails) - already):
        row = _add(work, cause, event, Channel.MAIL, email, None, message.subject, body, {})
        row.status = WHEN[timings.get(email, Timing.AT_ONCE)]
    hooks = repository.webhooks_for(work.session, event, organisation_id)
    delivered = repository.told(work.session, cause, Channel.WEBHOOK, [str(hook.id) for hook in hooks])
    for hook in hooks:
        if str(hook.id) not in delivered:
            to_webhook(work, hook, cause=cause, event=event, payload=payload)


def add_digest(work: Work, *, cause: str, email: str, message: Message) -> Notice:
    """Put a mail that holds others into the outbox."""
    return _add(work, cause, DIGEST_EVENT, Channel.MAIL, email, None, message.subject, message.body, {})


def to_webhook(work: Work, hook: Webhook, *, cause: str, event: str, payload: Mapping[str, Any]) -> Notice:
    """Put a delivery to one webhook into the outbox."""
    body = {"event": event, "cause": cause, "at": work.now.isoformat(), "data": dict(payload)}
    return _add(work, cause, event, Channel.WEBHOOK, str(hook.id), hook.id, "", "", body)


def _add(
    work: Work,
    cause: str,
    event: str,
    channel: Channel,
    recipient: str,
    webhook_id: uuid.UUID | None,
    subject: str,
    body: str,
    payload: dict[str, Any],
) -> Notice:
    row = Notice(
        id=work.new_id(),
        cause=cause,
        channel=channel,
        recipient=recipient,
        webhook_id=webhook_id,
        event=event,
        subject=subject,
        body=body,
        payload=payload,
        status=NoticeStatus.WAITING,
        next_at=work.now,
        created_at=work.now,
    )
    work.session.add(row)
    return row


TEST_EVENT = "notices.test"
RETRIED = frozenset({NoticeStatus.WAITING, NoticeStatus.FAILED})


def send_test(work: Work) -> None:
    """A mail to the operator who asks, to see whether mail goes out.

    Raises:
        Forbidden: only operators.
    """
    work.require(Role.OPERATOR)
    found = repository.email_of(work.session, work.person_id)
    assert found is not None
    email, language = found
    notify(
        work,
        cause=f"test:{work.new_id()}",
        event=TEST_EVENT,
        emails=[email],
        ja=Message("テストメール", "このメールが届いていれば、メールの設定は正しく動いています。"),
        en=Message("Test mail", "If this mail has reached you, mail is set up well."),
        link=Link(Place.OUTBOX),
        payload={},
        language=language,
    )


def own(work: Work, page: PageRequest) -> Page[Notice]:
    """The mails that were written to oneself, the newest first."""
    found = repository.email_of(work.session, work.person_id)
    return repository.mails_to(work.session, found[0] if found else "", page)


def own_one(work: Work, notice_id: uuid.UUID) -> Notice:
    """Raises: NotFound: none, or another's."""
    found = repository.email_of(work.session, work.person_id)
    row = repository.mail_to(work.session, found[0] if found else "", notice_id)
    if row is None:
        raise NotFound("there is no such notice", where="notice_id")
    return row


def list_notices(
    work: Work,
    page: PageRequest,
    *,
    status: NoticeStatus | None = None,
    channel: Channel | None = None,
    event: str | None = None,
) -> Page[Notice]:
    """The outbox, the newest first.

    Raises:
        Forbidden: only operators and auditors read it.
    """
    work.require(Role.OPERATOR, Role.AUDITOR)
    return repository.notices(work.session, page, status=status, channel=channel, event=event)


def retry(work: Work, notice_id: uuid.UUID) -> Notice:
    """Try a notice again that was given up, or one that waits for its next attempt, at once.

    Raises:
        NotFound: no such notice.
        Conflict: it was sent, goes with a digest, or its reader does not want it.
    """
    work.require(Role.OPERATOR)
    row = repository.notice(work.session, notice_id)
    if row is None:
        raise NotFound("there is no such notice", where="notice_id")
    if row.status is NoticeStatus.SENT:
        raise Conflict("it was sent already", where="notice_id")
    if row.status not in RETRIED:
        raise Conflict("its reader chose not to be sent it by itself", where="notice_id")
    row.status, row.next_at = NoticeStatus.WAITING, work.now
    row.attempts, row.first_tried_at = 0, None
    record(work, "notices.retried", "notice", row.id)
    return row
