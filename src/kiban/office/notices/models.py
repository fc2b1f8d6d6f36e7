from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base, one_of


class Channel(StrEnum):
    MAIL = "mail"
    WEBHOOK = "webhook"


class NoticeStatus(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"  # given up after the last attempt
    FOR_DIGEST = "for_digest"  # a mail that waits for its reader's next digest
    IN_DIGEST = "in_digest"
    NOT_WANTED = "not_wanted"  # a mail of a kind that its reader turned off, to be read on the page of notices


class MailKind(StrEnum):
    """Kinds of mails, as people choose among them; which events are of which kind is in `policy`."""

    ACCOUNT = "account"
    DECISIONS = "decisions"
    DEADLINES = "deadlines"
    REVIEWS = "reviews"
    GRANTS = "grants"
    REPORTS = "reports"
    OTHER = "other"


class Timing(StrEnum):
    """When mails of a kind are sent."""

    AT_ONCE = "at_once"
    DAILY = "daily"  # all of a day in one
    OFF = "off"


class Notice(Base):
    __tablename__ = "notices"
    __table_args__ = (sa.UniqueConstraint("cause", "channel", "recipient"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    cause: Mapped[str] = mapped_column(sa.String(160))  # what it tells of; the same is never told twice
    channel: Mapped[Channel] = mapped_column(one_of(Channel))
    recipient: Mapped[str] = mapped_column(sa.String(500))
    webhook_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("webhooks.id"))
    event: Mapped[str] = mapped_column(sa.String(64))
    subject: Mapped[str] = mapped_column(sa.String(300))
    body: Mapped[str] = mapped_column(sa.Text)
    payload: Mapped[dict[str, Any]]
    status: Mapped[NoticeStatus] = mapped_column(one_of(NoticeStatus), index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    first_tried_at: Mapped[datetime | None]
    next_at: Mapped[datetime]  # while a process sends it, when that process is given up
    last_error: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    digest_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("notices.id"), index=True)


class MailPreference(Base):
    """A person's choice for one kind of mail; at once where there is none."""

    __tablename__ = "mail_preferences"

    person_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), primary_key=True)
    kind: Mapped[MailKind] = mapped_column(one_of(MailKind), primary_key=True)
    timing: Mapped[Timing] = mapped_column(one_of(Timing))
    changed_at: Mapped[datetime]


class Webhook(Base):
    __tablename__ = "webhooks"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("organisations.id"), index=True)
    url: Mapped[str] = mapped_column(sa.String(500))
    secret: Mapped[str] = mapped_column(sa.String(255))  # encrypted; signs each delivery
    events: Mapped[list[str]]
    created_by: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"))
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]  # None: the last delivery arrived
    disabled_at: Mapped[datetime | None]  # by the office, after failing for too long
