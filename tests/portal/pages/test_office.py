"""The first run from the terminal's link to the desk, and what the desk counts."""

from __future__ import annotations

import re

import pyotp
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.office.conftest import Rows, TestClock
from tests.portal.conftest import BrowserOf

from kiban.office.members import first_run
from kiban.office.notices.models import Notice, NoticeStatus
from kiban.office.office import Office
from kiban.office.work import Role

GIVEN = {"email": "first@example.jp", "name": "初 花子", "password": "three small frogs cross a river"}


def test_the_first_operator_goes_from_the_terminal_to_the_desk(
    browser: TestClient, office: Office, clock: TestClock
) -> None:
    token = first_run.new_link_token(office.settings, clock())
    assert browser.get("/ja/first-run?token=another").status_code == 403
    offered = browser.get(f"/ja/first-run?token={token}")
    assert offered.status_code == 200
    assert offered.headers["referrer-policy"] == "no-referrer"
    easy = browser.post("/ja/first-run", data=GIVEN | {"token": token, "password": "password"})
    assert easy.status_code == 422
    assert token in easy.text
    assert browser.post("/ja/first-run", data=GIVEN | {"token": "another"}).status_code == 403
    done = browser.post("/ja/first-run", data=GIVEN | {"token": token})
    assert done.status_code == 303, done.text
    page = browser.get(done.headers["location"]).text
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]  # type: ignore[index]
    assert browser.get("/ja/office").status_code == 403, "not before the second factor"
    browser.post("/ja/account/second-factor", data={"csrf_token": csrf})
    secret = re.search(r"secret=([A-Z2-7]+)", browser.get("/ja/account/second-factor").text)[1]  # type: ignore[index]
    code = pyotp.TOTP(secret).at(clock())
    assert browser.post("/ja/account/second-factor/confirmation", data={"csrf_token": csrf, "code": code}).is_success
    assert browser.get("/ja/office").status_code == 200
    late = TestClient(browser.app, follow_redirects=False)
    assert late.get(f"/ja/first-run?token={token}").status_code == 409
    assert late.post("/ja/first-run", data=GIVEN | {"token": token, "email": "b@example.jp"}).status_code == 409


def test_the_desk_tells_what_waits_and_sends_a_test_mail(browser_of: BrowserOf, office: Office, rows: Rows) -> None:
    operator = browser_of(Role.OPERATOR)
    assert "status=failed" not in operator.get("/en/office").text
    sent = operator.post("/en/office/test-mail", data={"csrf_token": operator.csrf_token})  # type: ignore[attr-defined]
    assert sent.status_code == 303
    with office.work() as work:
        notice = work.session.scalars(sa.select(Notice)).one()
        notice.status = NoticeStatus.FAILED
    desk = operator.get("/en/office").text
    assert re.search(r'href="/en/notices/outbox\?status=failed">[^<]+</a>: <[^>]+>1<', desk), desk
    retried = operator.post(
        f"/en/notices/outbox/{notice.id}/retry",
        data={"csrf_token": operator.csrf_token},  # type: ignore[attr-defined]
    )
    assert retried.status_code == 303
    assert "status=failed" not in operator.get("/en/office").text
    for role in (Role.APPLICANT, Role.AUDITOR):
        assert browser_of(role).get("/ja/office").status_code == 403
