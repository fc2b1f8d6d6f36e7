from __future__ import annotations

import pytest
from pydantic import ValidationError

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from kiban.office.notices import service, webhooks
from kiban.office.notices.schemas import WebhookIn
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.work import ANONYMOUS, Actor, Role

from ..conftest import Rows
from .conftest import tell

URL = "https://hooks.example.co.jp/kiban"


def create(office: Office, by: Actor, url: str = URL, **given: object) -> webhooks.Created:
    with office.work(by) as work:
        return webhooks.create_webhook(work, WebhookIn(url=url, events=("*",), **given))  # type: ignore[arg-type]


def seen(office: Office, by: Actor) -> int:
    with office.work(by, read_only=True) as work:
        return len(webhooks.list_webhooks(work, PageRequest()).items)


def test_each_sees_and_removes_their_own(office: Office, rows: Rows) -> None:
    own, other = (rows.actor(Role.APPLICANT, organisation=rows.organisation()) for _ in range(2))
    operator = rows.actor(Role.OPERATOR)
    create(office, operator)
    made = create(office, own)
    assert made.webhook.organisation_id == own.organisation_id
    homeless = rows.actor(Role.REVIEWER)
    assert [seen(office, by) for by in (operator, own, other, homeless, ANONYMOUS)] == [2, 1, 0, 0, 0]
    with pytest.raises(NotFound), office.work(other) as work:
        webhooks.remove_webhook(work, made.webhook.id)
    with pytest.raises(NotFound), office.work(other) as work:
        webhooks.test_webhook(work, made.webhook.id)
    with office.work(own) as work:
        webhooks.remove_webhook(work, made.webhook.id)
    assert seen(office, own) == 0


def test_for_whom_one_may_add_one(office: Office, rows: Rows) -> None:
    own = rows.actor(Role.APPLICANT, organisation=rows.organisation())
    with pytest.raises(Forbidden):
        create(office, own, organisation_id=rows.organisation().id)
    with pytest.raises(Forbidden):
        create(office, rows.actor(Role.REVIEWER, organisation=rows.organisation()))
    with pytest.raises(Unauthenticated):
        create(office, ANONYMOUS)
    organisation = rows.organisation()
    operator = rows.actor(Role.OPERATOR)
    assert create(office, operator, organisation_id=organisation.id).webhook.organisation_id == organisation.id
    with pytest.raises(NotFound):
        create(office, operator, organisation_id=operator.person_id)


@pytest.mark.parametrize(
    "url", ["http://hooks.example.co.jp/", "https://127.0.0.1/", "https://169.254.169.254/", "https://a@b.co.jp/"]
)
def test_urls_that_must_not_be_called_are_refused(office: Office, rows: Rows, url: str) -> None:
    with pytest.raises(Invalid):
        create(office, rows.actor(Role.OPERATOR), url)


def test_there_is_a_limit(office: Office, rows: Rows) -> None:
    operator = rows.actor(Role.OPERATOR)
    for _ in range(webhooks.MOST_PER_OWNER):
        create(office, operator)
    with pytest.raises(Conflict):
        create(office, operator)


def test_events_have_names() -> None:
    for bad in ((), ("everything",), ("a.b.c",)):
        with pytest.raises(ValidationError):
            WebhookIn(url=URL, events=bad)


def test_an_organisation_hears_of_its_own_only(office: Office, rows: Rows) -> None:
    own, other = (rows.actor(Role.APPLICANT, organisation=rows.organisation()) for _ in range(2))
    made = create(office, own)
    create(office, other)
    tell(office, organisation_id=own.organisation_id)
    with office.work(read_only=True) as work:
        assert [row.webhook_id for row in service.list_notices(work, PageRequest()).items] == [made.webhook.id]


def test_the_outbox_is_the_offices_own(office: Office, rows: Rows) -> None:
    with pytest.raises(Forbidden), office.work(rows.actor(Role.APPLICANT)) as work:
        service.list_notices(work, PageRequest())
    tell(office, "sato@example.jp")
    with office.work(rows.actor(Role.AUDITOR)) as work:
        (row,) = service.list_notices(work, PageRequest()).items
    with pytest.raises(Forbidden), office.work(rows.actor(Role.AUDITOR)) as work:
        service.retry(work, row.id)
