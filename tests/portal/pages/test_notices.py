"""What one was told, what the office sends, and webhooks."""

from __future__ import annotations

import re

import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.office.conftest import Rows
from tests.portal.conftest import BrowserOf

from kiban.office.links import Link, Place
from kiban.office.members.models import Person
from kiban.office.notices import service
from kiban.office.notices.delivery import deliver_waiting
from kiban.office.notices.mail import Mail
from kiban.office.notices.models import Notice, Webhook
from kiban.office.notices.service import Message
from kiban.office.office import Office
from kiban.office.work import Role


def tell(office: Office, email: str, event: str, text: str) -> str:
    """Returns: the id of the mail's notice."""
    with office.work() as work:
        message = Message("お知らせ <b>", text)
        service.notify(
            work,
            cause=text[:100],
            event=event,
            emails=[email],
            ja=message,
            en=message,
            link=Link(Place.NOTICES),
            payload={},
        )
        work.session.flush()
        return str(work.session.scalars(sa.select(Notice.id).order_by(Notice.id.desc())).first())


def test_one_reads_ones_own_mails_and_no_link_that_lets_somebody_in(
    browser_of: BrowserOf, office: Office, rows: Rows
) -> None:
    browser = browser_of(Role.APPLICANT)
    with office.work() as work:
        email = work.session.scalars(sa.select(Person.email)).one()
    own = office.settings.public_url
    mine = tell(office, email, "grants.expired", f"見る: {own}/grants/1 <script>x</script> https://evil.example/a")
    secret = tell(office, email, "members.reset_requested", f"{own}/reset-password?token=sesame")
    other = tell(office, rows.person().email, "grants.expired", "他人宛て")
    listed = browser.get("/ja/notices").text
    assert (mine in listed, secret in listed, other in listed) == (True, True, False)
    shown = browser.get(f"/ja/notices/mails/{mine}").text
    assert f'<a href="{own}/grants/1">' in shown
    assert 'href="https://evil.example' not in shown
    assert "<script>x" not in shown
    assert "sesame" not in browser.get(f"/ja/notices/mails/{secret}").text
    assert browser.get(f"/ja/notices/mails/{other}").status_code == 404
    assert browser.get("/ja/notices/outbox").status_code == 403
    assert browser_of(Role.AUDITOR).get("/ja/notices/outbox").text.count("sesame") == 0


def test_one_chooses_which_mails_one_gets_and_ends_a_kind_from_a_mail_without_signing_in(
    browser_of: BrowserOf, office: Office, app: FastAPI
) -> None:
    browser = browser_of(Role.APPLICANT)
    assert browser.get("/ja/notices/preferences").text.count('value="at_once" checked') == 5
    chosen = {"csrf_token": browser.csrf_token, "reports": "daily", "grants": "at_once"}  # type: ignore[attr-defined]
    wrong = browser.post("/ja/notices/preferences", data=chosen | {"reports": "never"})
    assert wrong.status_code == 422
    assert browser.post("/ja/notices/preferences", data=chosen).status_code == 303
    assert browser.get("/ja/notices/preferences").text.count('value="daily" checked') == 1

    with office.work() as work:
        email = work.session.scalars(sa.select(Person.email)).one()
    tell(office, email, "grants.refunded", "返還")
    sent: list[Mail] = []
    deliver_waiting(office, mailer=Kept(sent))
    way = sent[0].unsubscribe_url.removeprefix(office.settings.public_url)
    stranger = TestClient(app, follow_redirects=False)
    asked = stranger.get(way)
    assert asked.status_code == 200
    assert browser.get("/ja/notices/preferences").text.count('value="off" checked') == 0, "looking changes nothing"
    for _ in range(2):
        ended = stranger.post(way, data={"List-Unsubscribe": "One-Click"})
        assert (ended.status_code, "location" in ended.headers) == (200, False)
    page = browser.get("/ja/notices/preferences").text
    assert (page.count('value="off" checked'), page.count('value="daily" checked')) == (1, 1)
    undo = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', ended.text))
    assert stranger.post(way, data=undo | {"grants": "at_once", "reports": "off"}).status_code == 200
    page = browser.get("/ja/notices/preferences").text
    assert (page.count('value="off" checked'), page.count('value="daily" checked')) == (0, 1)
    for other in (way[:-1], way.replace("grants", "reports")):
        assert stranger.post(other, data={"List-Unsubscribe": "One-Click"}).status_code == 404


class Kept:
    """A mailer that keeps what it is to send."""

    def __init__(self, sent: list[Mail]) -> None:
        self.send = sent.append

    def close(self) -> None:
        pass


def test_a_webhook_is_added_with_its_secret_shown_once(browser_of: BrowserOf, office: Office, rows: Rows) -> None:
    browser = browser_of(Role.APPLICANT)
    csrf = {"csrf_token": browser.csrf_token}  # type: ignore[attr-defined]
    organisation = rows.organisation()
    with office.work() as work:
        work.session.scalars(sa.select(Person)).one().organisation_id = organisation.id
    given = {"url": "https://hooks.example.com/k", "events[]": ["grants.expired"]}
    inside = browser.post("/ja/notices/webhooks", data=csrf | given | {"url": "http://127.0.0.1/"})
    assert inside.status_code == 422
    made = browser.post("/ja/notices/webhooks", data=csrf | given)
    assert made.status_code == 200, made.text
    assert made.headers["cache-control"] == "no-store"
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", made.text)[0]  # type: ignore[index]
    page = browser.get("/ja/notices/webhooks").text
    assert secret not in page
    with office.work() as work:
        hook = work.session.scalars(sa.select(Webhook)).one()
    assert browser.post(f"/ja/notices/webhooks/{hook.id}/test", data=csrf).status_code == 303
    assert browser.post(f"/ja/notices/webhooks/{hook.id}/remove", data=csrf).status_code == 303
    assert "hooks.example.com" not in browser.get("/ja/notices/webhooks").text
