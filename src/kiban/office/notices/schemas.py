from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from kiban.office.notices.models import Channel, NoticeStatus, Timing
from kiban.office.schemas import Schema

Event = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z_]{1,31}\.[a-z_]{1,31})$")]


class NoticeOut(Schema):
    """Without its text: a mail may hold what only its recipient should read, such as a link to set a password."""

    id: uuid.UUID
    cause: str
    channel: Channel
    recipient: str
    event: str
    subject: str
    status: NoticeStatus
    attempts: int
    next_at: datetime
    last_error: str
    created_at: datetime
    sent_at: datetime | None


class MailPreferences(Schema):
    """When one is sent mails of each kind. Those about one's account, and decisions, are always sent at once."""

    deadlines: Timing = Field(Timing.AT_ONCE, description="calls that change or close, reviews due, amounts to expire")
    reviews: Timing = Field(Timing.AT_ONCE, description="reviews to write or confirm, reviewers who are short")
    grants: Timing = Field(Timing.AT_ONCE, description="alerts, incidents, refunds, requests for a change")
    reports: Timing = Field(Timing.AT_ONCE, description="reports handed in, accepted or returned")
    other: Timing = Timing.AT_ONCE


class WebhookIn(Schema):
    model_config = ConfigDict(
        json_schema_extra={"example": {"url": "https://hooks.example.co.jp/kiban", "events": ["grants.alert_raised"]}}
    )

    url: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    events: Annotated[tuple[Event, ...], Field(min_length=1, max_length=50, description="`*`: every event")]
    organisation_id: uuid.UUID | None = Field(None, description="for operators; null: the whole programme's events")


class WebhookOut(Schema):
    id: uuid.UUID
    organisation_id: uuid.UUID | None
    url: str
    events: list[str]
    created_by: uuid.UUID
    created_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None


class WebhookCreated(WebhookOut):
    secret: str = Field(description="signs each delivery (Standard Webhooks); shown this once")
