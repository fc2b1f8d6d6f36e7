"""The outbox: what people and machines are told, once per cause."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kiban.office.notices import repository
from kiban.office.notices.models import Channel, Notice, NoticeStatus
from kiban.office.work import Work


@dataclass(frozen=True)
class Message:
    """A mail in one language, plain text."""

    subject: str
    body: str


def notify(
    work: Work,
    *,
    cause: str,
    event: str,
    emails: Sequence[str],
    ja: Message,
    en: Message,
    payload: Mapping[str, Any],
    language: str = "ja",
    organisation_id: uuid.UUID | None = None,
) -> None:
    """Put mails, and deliveries to the webhooks that asked for the event, into the outbox.

    They leave after this work is committed, never for work that was rolled back.

    Args:
        cause: what is told of, such as `grant:<id>:spent:80`; a recipient told of it once is not told again.
        event: `<module>.<verb in the past>`, which webhooks subscribe to.
        payload: what a webhook gets as JSON; ids and figures, never personal data.
        organisation_id: whose webhooks are told besides the programme's own.
    """
    message = en if language == "en" else ja
    other = ja if language == "en" else en
    body = f"{message.body}\n\n----\n{other.subject}\n\n{other.body}\n"
    already = repository.told(work.session, cause, Channel.MAIL, emails)
    for email in sorted(set(emails) - already):
        _add(work, cause, event, Channel.MAIL, email, None, message.subject, body, {})
    hooks = repository.webhooks_for(work.session, event, organisation_id)
    delivered = repository.told(work.session, cause, Channel.WEBHOOK, [str(hook.id) for hook in hooks])
    for hook in hooks:
        if str(hook.id) not in delivered:
            _add(
                work,
                cause,
                event,
                Channel.WEBHOOK,
                str(hook.id),
                hook.id,
                "",
                "",
                {"event": event, "cause": cause, "at": work.now.isoformat(), "data": dict(payload)},
            )


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
) -> None:
    work.session.add(
        Notice(
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
    )
