"""The outbox, for those who run the office, and webhooks."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query

from kiban.office.notices import preferences, service, webhooks
from kiban.office.notices.models import Channel, NoticeStatus
from kiban.office.notices.schemas import MailPreferences, NoticeOut, WebhookCreated, WebhookIn, WebhookOut
from kiban.portal.api.dependencies import Page, PageQuery, Reading, Writing

router = APIRouter(prefix="/notices", tags=["notices"])


@router.get("", summary="The outbox, newest first")
def list_notices(
    work: Reading,
    page: PageQuery,
    status: NoticeStatus | None = None,
    channel: Channel | None = None,
    event: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[NoticeOut]:
    """Mails and deliveries with what became of them, without their text; for operators and auditors."""
    return Page.of(service.list_notices(work, page, status=status, channel=channel, event=event), NoticeOut)


@router.get("/preferences", summary="Which mails one gets when")
def get_preferences(work: Reading) -> MailPreferences:
    """One's own, by kind of mail."""
    return preferences.own(work)


@router.put("/preferences", summary="Choose which mails one gets when")
def change_preferences(work: Writing, given: MailPreferences) -> MailPreferences:
    """For every kind; one that is not named is sent at once. Mails that wait for a digest follow their kind."""
    return preferences.change_own(work, given)


@router.get("/webhooks", summary="Webhooks")
def list_webhooks(work: Reading, page: PageQuery) -> Page[WebhookOut]:
    """One's own organisation's; all of them for operators and auditors."""
    return Page.of(webhooks.list_webhooks(work, page), WebhookOut)


@router.post("/webhooks", status_code=201, summary="Add a webhook")
def create_webhook(work: Writing, given: WebhookIn) -> WebhookCreated:
    """The answer holds the secret that signs its deliveries; it is not shown again."""
    created = webhooks.create_webhook(work, given)
    return WebhookCreated(**WebhookOut.model_validate(created.webhook).model_dump(), secret=created.secret)


@router.delete("/webhooks/{webhook_id}", status_code=204, summary="Remove a webhook")
def remove_webhook(work: Writing, webhook_id: uuid.UUID) -> None:
    """Nothing more is delivered to it."""
    webhooks.remove_webhook(work, webhook_id)


@router.post("/webhooks/{webhook_id}/enable", summary="Deliver to a disabled webhook again")
def enable_webhook(work: Writing, webhook_id: uuid.UUID) -> WebhookOut:
    """After whatever made its deliveries fail for a week was put right."""
    return WebhookOut.model_validate(webhooks.enable_webhook(work, webhook_id))


@router.post("/webhooks/{webhook_id}/test", status_code=201, summary="Send a test delivery")
def test_webhook(work: Writing, webhook_id: uuid.UUID) -> NoticeOut:
    """Puts the event `notices.test` into the outbox."""
    return NoticeOut.model_validate(webhooks.test_webhook(work, webhook_id))


@router.post("/{notice_id}/retry", summary="Try a notice again")
def retry(work: Writing, notice_id: uuid.UUID) -> NoticeOut:
    """One that was given up, or that waits for its next attempt."""
    return NoticeOut.model_validate(service.retry(work, notice_id))
