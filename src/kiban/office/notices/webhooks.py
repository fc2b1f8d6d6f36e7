"""Webhooks: who has which events delivered where."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import TypedDict

from kiban.office.audit.service import record
from kiban.office.errors import Conflict, Forbidden, NotFound
from kiban.office.guards.outgoing import check_webhook_url
from kiban.office.guards.secret_box import SecretBox
from kiban.office.guards.webhook_signature import SECRET_BYTES, new_secret
from kiban.office.notices import repository
from kiban.office.notices.models import Notice, Webhook
from kiban.office.notices.schemas import WebhookIn
from kiban.office.notices.service import TEST_EVENT, to_webhook
from kiban.office.paging import Page, PageRequest
from kiban.office.settings import Settings
from kiban.office.work import Role, Work

MOST_PER_OWNER = 20
# Within one network any port will do; across the internet the guard's own few.
PRIVATE_PORTS = range(1, 65_536)


@dataclass(frozen=True)
class Created:
    webhook: Webhook
    secret: str


def create_webhook(work: Work, given: WebhookIn) -> Created:
    """Have events delivered to a URL, each signed with a secret that is told this once.

    Operators do it for the programme or for any organisation, applicants for their own.

    Raises:
        Invalid: a URL that must not be called, or an organisation that there is not.
        Forbidden: neither an operator nor an applicant, or not for this organisation.
        Conflict: there are too many already.
    """
    by, owner = work.person_id, given.organisation_id
    if not work.actor.has(Role.OPERATOR):
        work.require(Role.APPLICANT)
        if work.actor.organisation_id is None or owner not in (None, work.actor.organisation_id):
            raise Forbidden("only for one's own organisation", where="organisation_id")
        owner = work.actor.organisation_id
    elif owner is not None and not repository.organisation_exists(work.session, owner):
        raise NotFound("there is no such organisation", where="organisation_id")
    target = check_webhook_url(given.url, **url_rules(work.settings))
    if repository.count_webhooks(work.session, owner) >= MOST_PER_OWNER:
        raise Conflict(f"at most {MOST_PER_OWNER} webhooks", where="organisation_id", hint="remove one first")
    row_id = work.new_id()
    secret = new_secret(secrets.token_bytes(SECRET_BYTES))
    row = Webhook(
        id=row_id,
        organisation_id=owner,
        url=target.url,
        secret=SecretBox.from_file(work.settings.key_file).seal(secret.encode(), secret_context(row_id)),
        events=list(dict.fromkeys(given.events)),
        created_by=by,
        created_at=work.now,
    )
    work.session.add(row)
    work.session.flush()
    record(work, "notices.webhook_created", "webhook", row.id, url=row.url, events=row.events)
    return Created(row, secret)


class UrlRules(TypedDict):
    allow_private: bool
    allow_http: bool
    ports: range | None


def url_rules(settings: Settings) -> UrlRules:
    """What `guards.outgoing` is to allow, the same when a URL is entered and at each delivery."""
    private = settings.allow_private_webhooks
    return {"allow_private": private, "allow_http": private, "ports": PRIVATE_PORTS if private else None}


def secret_context(webhook_id: uuid.UUID) -> str:
    return f"webhook:{webhook_id}"


def list_webhooks(work: Work, page: PageRequest) -> Page[Webhook]:
    """One's own organisation's; all of them for operators and auditors."""
    return repository.visible_webhooks(work.session, work.actor, page)


def remove_webhook(work: Work, webhook_id: uuid.UUID) -> None:
    """Deliver nothing more to it.

    Raises:
        NotFound: no such webhook, or none of one's own.
    """
    row = _own(work, webhook_id)
    row.removed_at = work.now
    record(work, "notices.webhook_removed", "webhook", row.id)


def enable_webhook(work: Work, webhook_id: uuid.UUID) -> Webhook:
    """Deliver again to one that the office disabled.

    Raises:
        NotFound: as `remove_webhook`.
        Conflict: it is not disabled.
    """
    row = _own(work, webhook_id)
    if row.disabled_at is None:
        raise Conflict("it is not disabled", where="webhook_id")
    row.disabled_at = row.failing_since = None
    record(work, "notices.webhook_enabled", "webhook", row.id)
    return row


def test_webhook(work: Work, webhook_id: uuid.UUID) -> Notice:
    """Put a delivery of the event `notices.test` into the outbox; its notice tells what became of it.

    Raises:
        NotFound: as `remove_webhook`.
        Conflict: it is disabled.
    """
    row = _own(work, webhook_id)
    if row.disabled_at is not None:
        raise Conflict("the webhook is disabled", where="webhook_id", hint="enable it first")
    cause = f"webhook:{row.id}:test:{work.new_id()}"
    notice = to_webhook(work, row, cause=cause, event=TEST_EVENT, payload={"webhook_id": str(row.id)})
    work.session.flush()
    return notice


def _own(work: Work, webhook_id: uuid.UUID) -> Webhook:
    row = repository.find_webhook(work.session, work.actor, webhook_id)
    if row is None:
        raise NotFound("there is no such webhook", where="webhook_id")
    work.require(Role.OPERATOR, Role.APPLICANT)
    return row
