"""Webhooks: which events are delivered to which program."""

from __future__ import annotations

import uuid

from fastapi import Response

from kiban.office.errors import NotFound
from kiban.office.notices import webhooks
from kiban.office.notices.models import Webhook
from kiban.office.notices.policy import DIGEST_EVENT
from kiban.office.notices.schemas import WebhookIn
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _
from kiban.portal.pages.account.area import keep_private
from kiban.portal.pages.notices.area import EVENTS, pages
from kiban.portal.web.forms import Form
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Column, Empty, ListQuery, Table
from kiban.portal.web.views import View, see_other, view

WEBHOOKS: Table[Webhook] = Table(
    "webhooks",
    [
        Column("url", _("Address"), sort="url"),
        Column(
            "events", _("What it is told of"), lambda row: " / ".join(str(label(each, "event")) for each in row.events)
        ),
        Column("created_at", _("Since"), kind="date", sort="created_at"),
        Column("failing_since", _("Fails since"), kind="datetime"),
        Column("disabled_at", _("Disabled"), kind="datetime"),
    ],
    caption=_("Webhooks"),
)


@pages.get("/notices/webhooks")
def webhooks_page(work: Reading, query: ListQuery) -> View | Response:
    """One's own organisation's; all of them for operators and auditors."""
    work.require(Role.APPLICANT, Role.OPERATOR, Role.AUDITOR)
    listing = WEBHOOKS.list(
        query,
        lambda page: webhooks.list_webhooks(work, page),
        empty=Empty(
            _("There are no webhooks."),
            _("With one, a program of yours is told at once what people are told by mail."),
        ),
    )
    may_change = work.actor.has(Role.OPERATOR) or work.actor.has(Role.APPLICANT)
    events = [(name, text) for name, text in EVENTS.items() if name != DIGEST_EVENT]  # of mail alone
    return view("notices/webhooks.html", listing=listing, may_change=may_change, events=events)


@pages.post("/notices/webhooks", shows="webhooks_page")
def create_webhook(work: Writing, response: Response, form: Form) -> View | Response:
    """Answers with the secret: it can be shown this once only, so there is no page to go on to."""
    keep_private(response)
    created = webhooks.create_webhook(work, form.read(WebhookIn))
    return view("notices/webhook.html", webhook=created.webhook, secret=created.secret)


@pages.post("/notices/webhooks/{webhook_id}/test", shows="webhooks_page")
def test_webhook(work: Writing, webhook_id: uuid.UUID) -> Response:
    """Puts a test into the outbox."""
    webhooks.test_webhook(work, webhook_id)
    return see_other("notices.webhooks_page", notice="notices.tested")


@pages.post("/notices/webhooks/{webhook_id}/enable", shows="webhooks_page")
def enable_webhook(work: Writing, webhook_id: uuid.UUID) -> Response:
    """After whatever made its deliveries fail was put right."""
    webhooks.enable_webhook(work, webhook_id)
    return see_other("notices.webhooks_page", notice="notices.enabled")


@pages.get("/notices/webhooks/{webhook_id}/remove")
def removing_webhook(work: Reading, webhook_id: uuid.UUID) -> View | Response:
    """Asks first: another one has another secret, to be put into the program."""
    work.require(Role.APPLICANT, Role.OPERATOR)
    found = next(
        (row for row in webhooks.list_webhooks(work, PageRequest(limit=LARGEST)).items if row.id == webhook_id), None
    )
    if found is None:
        raise NotFound("there is no such webhook", where="webhook_id")
    return view("notices/removing_webhook.html", webhook=found)


@pages.post("/notices/webhooks/{webhook_id}/remove", shows="removing_webhook")
def remove_webhook(work: Writing, webhook_id: uuid.UUID) -> Response:
    """Nothing more is delivered to it."""
    webhooks.remove_webhook(work, webhook_id)
    return see_other("notices.webhooks_page", notice="notices.removed")
