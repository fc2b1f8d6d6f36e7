from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.members.models import Organisation, Person
from kiban.office.notices.models import Channel, MailKind, MailPreference, Notice, NoticeStatus, Timing, Webhook
from kiban.office.notices.policy import DIGEST_EVENT, visible_to
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.work import Actor

SORTS: Sorts = {
    "event": Notice.event,
    "recipient": Notice.recipient,
    "status": Notice.status,
    "created_at": Notice.created_at,
    "sent_at": Notice.sent_at,
}
WEBHOOK_SORTS: Sorts = {"url": Webhook.url, "created_at": Webhook.created_at}


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
        Webhook.disabled_at.is_(None),
        sa.or_(Webhook.organisation_id.is_(None), Webhook.organisation_id == organisation_id),
    )
    return [hook for hook in session.scalars(statement) if event in hook.events or "*" in hook.events]


def webhook(session: Session, webhook_id: uuid.UUID, *, lock: bool = False) -> Webhook | None:
    statement = sa.select(Webhook).where(Webhook.id == webhook_id)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session.scalars(statement).one_or_none()


def find_webhook(session: Session, actor: Actor, webhook_id: uuid.UUID) -> Webhook | None:
    statement = sa.select(Webhook).where(Webhook.id == webhook_id, Webhook.removed_at.is_(None), visible_to(actor))
    return session.scalars(statement.with_for_update()).one_or_none()


def visible_webhooks(session: Session, actor: Actor, page: PageRequest) -> Page[Webhook]:
    statement = sa.select(Webhook).where(Webhook.removed_at.is_(None), visible_to(actor))
    return read_page(session, statement, Webhook.id, page, sorts=WEBHOOK_SORTS)


def count_webhooks(session: Session, organisation_id: uuid.UUID | None) -> int:
    owner = Webhook.organisation_id.is_(None) if organisation_id is None else Webhook.organisation_id == organisation_id
    statement = sa.select(sa.func.count()).select_from(Webhook).where(owner, Webhook.removed_at.is_(None))
    return session.scalar(statement) or 0


def notices(
    session: Session,
    page: PageRequest,
    *,
    status: NoticeStatus | None = None,
    channel: Channel | None = None,
    event: str | None = None,
) -> Page[Notice]:
    statement = sa.select(Notice)
    if channel is not None:
        statement = statement.where(Notice.channel == channel)
    if event is not None:
        statement = statement.where(Notice.event == event)
    if status is not None:
        statement = statement.where(Notice.status == status)
    return read_page(session, statement, Notice.id, page, newest_first=True, sorts=SORTS)


def mails_to(session: Session, email: str, page: PageRequest) -> Page[Notice]:
    return read_page(session, _mails(email), Notice.id, page, newest_first=True, sorts=SORTS)


def mail_to(session: Session, email: str, notice_id: uuid.UUID) -> Notice | None:
    return session.scalars(_mails(email).where(Notice.id == notice_id)).one_or_none()


def _mails(email: str) -> sa.Select[Notice]:
    """Without digests: what they hold is there by itself."""
    return sa.select(Notice).where(
        Notice.channel == Channel.MAIL, Notice.recipient == email, Notice.event != DIGEST_EVENT
    )


def notice(session: Session, notice_id: uuid.UUID) -> Notice | None:
    """Locked until the work ends."""
    statement = sa.select(Notice).where(Notice.id == notice_id).with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def timings(session: Session, emails: Sequence[str], kind: MailKind) -> dict[str, Timing]:
    """When those who have chosen want mails of a kind, by their address."""
    statement = (
        sa.select(Person.email, MailPreference.timing)
        .join(MailPreference, MailPreference.person_id == Person.id)
        .where(Person.email.in_(emails), MailPreference.kind == kind)
    )
    return {row.email: row.timing for row in session.execute(statement)}


def preferences(session: Session, person_id: uuid.UUID) -> dict[MailKind, MailPreference]:
    statement = sa.select(MailPreference).where(MailPreference.person_id == person_id)
    return {row.kind: row for row in session.scalars(statement)}


def person(session: Session, person_id: uuid.UUID, *, lock: bool = False) -> Person | None:
    """One who is not disabled."""
    statement = sa.select(Person).where(Person.id == person_id, Person.disabled_at.is_(None))
    if lock:
        statement = statement.with_for_update()
    return session.scalars(statement).one_or_none()


def people_by_email(session: Session, emails: Collection[str]) -> dict[str, Person]:
    return {row.email: row for row in session.scalars(sa.select(Person).where(Person.email.in_(emails)))}


def for_digest(session: Session, *, before: datetime | None = None, recipient: str | None = None) -> list[Notice]:
    """Mails that wait for a digest, the oldest first, locked."""
    statement = sa.select(Notice).where(Notice.status == NoticeStatus.FOR_DIGEST)
    if before is not None:
        statement = statement.where(Notice.created_at < before)
    if recipient is not None:
        statement = statement.where(Notice.recipient == recipient)
    statement = statement.order_by(Notice.id).with_for_update().execution_options(populate_existing=True)
    return list(session.scalars(statement))


def events_in(session: Session, digest_id: uuid.UUID) -> set[str]:
    return set(session.scalars(sa.select(Notice.event).where(Notice.digest_id == digest_id)))


def waiting_for(session: Session, webhook_id: uuid.UUID) -> list[Notice]:
    statement = sa.select(Notice).where(Notice.webhook_id == webhook_id, Notice.status == NoticeStatus.WAITING)
    # One that another sender holds is left to it: it waits for the webhook, which is locked here.
    return list(session.scalars(statement.with_for_update(skip_locked=True)))


def claim_due(session: Session, now: datetime, channels: Collection[Channel]) -> Notice | None:
    """The next notice to send, locked: another sender takes the one after it."""
    statement = (
        sa.select(Notice)
        .where(Notice.status == NoticeStatus.WAITING, Notice.next_at <= now, Notice.channel.in_(channels))
        .order_by(Notice.next_at, Notice.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(statement).first()


def organisation_exists(session: Session, organisation_id: uuid.UUID) -> bool:
    return session.get(Organisation, organisation_id) is not None


def email_of(session: Session, person_id: uuid.UUID) -> tuple[str, str] | None:
    """Address and language of an active person."""
    person = session.get(Person, person_id)
    return None if person is None or person.disabled_at is not None else (person.email, person.language)
