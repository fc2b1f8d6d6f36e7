from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.notices.models import Channel, Notice, NoticeStatus, Webhook
from kiban.office.paging import Page, PageRequest, read_page
from kiban.office.work import Actor


def told(session: Session, cause: str, channel: Channel, recipients: Sequence[str]) -> set[str]:
    """Those of `recipients` who have been told of `cause` already."""
    statement = sa.select(Notice.recipient).where(
        Notice.cause == cause, Notice.channel == channel, Notice.recipient.in_(recipients)
    )
    return set(session.scalars(statement))


def webhooks_for(session: Session, event: str, organisation_id: uuid.UUID | None) -> list[Webhook]:
    """Webhooks that asked for an event: the programme's own, and those of the organisation it is about."""
    statement = sa.select(Webhook).where(
        Webhook.removed_at.is_(None),
        sa.or_(Webhook.organisation_id.is_(None), Webhook.organisation_id == organisation_id),
    )
    return [hook for hook in session.scalars(statement) if event in hook.events or "*" in hook.events]


def webhook(session: Session, webhook_id: uuid.UUID) -> Webhook | None:
    return session.get(Webhook, webhook_id)


def visible_webhooks(session: Session, actor: Actor, page: PageRequest) -> Page[Webhook]:
    """The webhooks of one's own organisation; operators and auditors see all."""
    statement = sa.select(Webhook).where(Webhook.removed_at.is_(None))
    if not actor.sees_everything:
        statement = statement.where(Webhook.organisation_id == actor.organisation_id)
    return read_page(session, statement, Webhook.id, page)


def notices(session: Session, page: PageRequest, *, status: NoticeStatus | None = None) -> Page[Notice]:
    statement = sa.select(Notice)
    if status is not None:
        statement = statement.where(Notice.status == status)
    return read_page(session, statement, Notice.id, page, newest_first=True)


def claim_due(session: Session, now: datetime) -> Notice | None:
    """The next notice to send, locked: another sender takes the one after it."""
    statement = (
        sa.select(Notice)
        .where(Notice.status == NoticeStatus.WAITING, Notice.next_at <= now)
        .order_by(Notice.next_at, Notice.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(statement).first()
