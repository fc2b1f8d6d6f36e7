"""Grants' pages: what a grantee reads and does, what the office does, and what nobody else may."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.office.grants.conftest import funded
from tests.office.reports.conftest import HOSTILE, Running, running

from kiban.office.grants import service
from kiban.office.grants.books import books_of
from kiban.office.grants.burndown import burndown
from kiban.office.grants.figures import whole
from kiban.office.grants.models import Alert, ChangeRequest, Grant, GrantUser, Tranche, TrancheStatus
from kiban.office.members.models import Person
from kiban.office.members.sessions import cookie_name, open_session
from kiban.office.office import Office
from kiban.office.reports.models import MilestoneReport
from kiban.office.work import Role

from ..conftest import BrowserOf

__all__ = ["funded", "running"]


@pytest.fixture
def grantee(app: FastAPI, office: Office, running: Running) -> TestClient:
    """A browser of the grant's own applicant."""
    with office.work() as work:
        person = work.session.get_one(Person, running.member.person_id)
        opened = open_session(work, person, is_strong=True, replaces=None, user_agent="test")
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    client.cookies.set(cookie_name(office.settings), opened.cookie)
    client.csrf_token = opened.csrf_token  # type: ignore[attr-defined]
    return client


def post(client: TestClient, path: str, **fields: str) -> str:
    """Sends a form. Returns where it leads to; the status, where it leads nowhere."""
    answer = client.post(path, data={"csrf_token": client.csrf_token, **fields})  # type: ignore[attr-defined]
    return answer.headers["location"] if answer.status_code == 303 else str(answer.status_code)


def of(office: Office, read: Callable[[sa.orm.Session], object]) -> object:
    with office.work(read_only=True) as work:
        return read(work.session)


def test_books_of_several_grants_say_what_the_ledger_says_of_each(running: Running) -> None:
    running.use(3600 * 5)
    with running.funded.office.work(read_only=True) as work:
        grant = work.session.get_one(Grant, running.grant.id)
        books = books_of(work, [grant])[grant.id]
        assert books.standing == service.standing(work, grant)
        assert books.whole == whole(work, grant)
        assert books.used.gpu_seconds == 8 * 3600 * 5
        assert books.released.gpu_seconds == books.whole.gpu_seconds // 2
        assert burndown(work, grant).days[-1].used_gpu_seconds == 8 * 3600 * 5


def test_a_grantee_finds_the_way_to_a_first_job_and_lets_a_colleague_run_jobs(
    grantee: TestClient, running: Running, office: Office
) -> None:
    base = f"/ja/grants/{running.grant.id}"
    shown = grantee.get(base).text
    assert f'href="{base}/access"' in shown
    assert "<script>alert" not in shown
    access = grantee.get(f"{base}/access").text
    assert f"--account={running.grant.code}" in access
    assert "--partition=gpu-a" in access
    assert "user-added" in post(grantee, f"{base}/users", user_name="suzuki")
    assert post(grantee, f"{base}/users", user_name="Suzuki Ltd; rm") == "422"
    assert "user-removed" in post(grantee, f"{base}/users/suzuki/remove")
    former = grantee.get(f"{base}/access").text.partition('id="former"')[2]
    assert "suzuki" in former
    assert "user-added" in post(grantee, f"{base}/users", user_name="suzuki")
    user = of(office, lambda session: session.scalars(sa.select(GrantUser)).one())
    assert user.removed_at is None  # type: ignore[attr-defined]


def test_a_change_is_seen_before_it_is_asked_for_and_decided_by_another(
    grantee: TestClient, browser_of: BrowserOf, running: Running, office: Office
) -> None:
    base = f"/ja/grants/{running.grant.id}/changes"
    fields = {"details.kind": "supplement", "details.gpu_seconds": "１０", "reason": HOSTILE}
    answer = grantee.post(f"{base}/check", data={"csrf_token": grantee.csrf_token, **fields})  # type: ignore[attr-defined]
    assert answer.status_code == 200
    assert "410 GPU時間" in answer.text  # 400 released and 10 more
    assert of(office, lambda session: session.scalar(sa.select(sa.func.count(ChangeRequest.id)))) == 0
    assert post(grantee, base, **fields | {"details.gpu_seconds": "たくさん"}) == "422"
    change = post(grantee, base, **fields).partition("?")[0]
    shown = grantee.get(change).text
    assert "<script>alert" not in shown
    assert 'name="approve"' not in shown
    operator = browser_of(Role.OPERATOR)
    assert post(grantee, f"{change}/decide", approve="true", reason="x") == "403"
    assert "change-decided" in post(operator, f"{change}/decide", approve="true", reason="了承")
    assert post(operator, f"{change}/decide", approve="true", reason="了承") == "409"
    assert running.funded.standing(running.grant).available.gpu_seconds == 410 * 3600


def test_freezing_and_closing_say_what_they_do_and_want_a_reason(
    grantee: TestClient, browser_of: BrowserOf, running: Running
) -> None:
    base = f"/en/grants/{running.grant.id}/state"
    operator = browser_of(Role.OPERATOR)
    assert grantee.get(f"{base}/close").status_code == 403
    assert "cannot be undone" in operator.get(f"{base}/close").text
    assert post(operator, f"{base}/freeze") == "422"
    assert "frozen" in post(operator, f"{base}/freeze", reason=HOSTILE)
    assert "&lt;script&gt;" in grantee.get(f"/en/grants/{running.grant.id}").text
    assert "thawed" in post(operator, f"{base}/thaw", reason="x")
    assert "closed" in post(operator, f"{base}/close", reason="x")
    assert post(grantee, f"/en/grants/{running.grant.id}/users", user_name="late") == "409"
    assert 'name="user_name"' not in grantee.get(f"/en/grants/{running.grant.id}/access").text


def test_a_report_is_written_handed_in_and_accepted(
    grantee: TestClient, browser_of: BrowserOf, running: Running
) -> None:
    running.use(900)  # longer, and the session would be over
    path = f"/ja/grants/reports/{running.report().id}"
    form = grantee.get(path).text
    assert "<script>alert" not in form  # the milestone's title
    fields = {
        "version": "0",
        "text": "学習を終えた。",
        "kpis.0.name": "JMMLU",
        "kpis.0.achieved": "",
        "kpis.0.text": "",
    }
    assert "saved" in post(grantee, path, **fields)
    # Two windows: the other one's version is gone, and what was typed here stays in the form.
    answer = grantee.post(path, data={"csrf_token": grantee.csrf_token, **fields, "text": "別の窓"})  # type: ignore[attr-defined]
    assert answer.status_code == 409
    assert "別の窓" in answer.text
    assert post(grantee, f"{path}/hand-in", version="1") == "422"  # a KPI of which nothing is said
    fields |= {"version": "1", "kpis.0.achieved": "６２．５", "then": "hand-in"}
    assert post(grantee, path, **fields).endswith("/hand-in")
    checked = grantee.get(f"{path}/hand-in").text
    assert "62.5" in checked
    key = next(each for each in re.findall(r"key=([^\"]+)", checked) if each == "used.yen")
    assert "/ledger/postings/" in grantee.get(f"{path}/figures?key={key}").text
    assert "handed-in" in post(grantee, f"{path}/hand-in", version="2")
    assert 'name="text"' not in grantee.get(path).text
    assert post(grantee, f"{path}/accept") == "403"
    operator = browser_of(Role.OPERATOR)
    assert "400 GPU時間" in operator.get(f"{path}/judge").text
    assert "accepted" in post(operator, f"{path}/accept", remark="")
    assert running.funded.standing(running.grant).committed.yen == 0


def test_a_save_as_one_goes_on_writing_answers_with_the_next_version_alone(
    grantee: TestClient, running: Running, office: Office
) -> None:
    report_id = running.report().id
    data = {"csrf_token": grantee.csrf_token, "version": "0", "text": "途中", "part": "1"}  # type: ignore[attr-defined]
    answer = grantee.post(f"/ja/grants/reports/{report_id}", data=data).text
    assert re.search(r'name="version" value="1" data-version', answer)
    assert "<html" not in answer
    report = of(office, lambda session: session.get_one(MilestoneReport, report_id))
    assert report.body["text"] == "途中"  # type: ignore[attr-defined]


def test_incidents_models_and_events_are_recorded_by_forms(
    grantee: TestClient, browser_of: BrowserOf, running: Running
) -> None:
    running.use(900)  # 2 GPU-hours
    base = f"/ja/grants/{running.grant.id}"
    incident = post(
        grantee, f"{base}/incidents", title=HOSTILE, severity="high", text="止まった", gpu_seconds_lost="2"
    ).partition("?")[0]
    operator = browser_of(Role.OPERATOR)
    assert "<script>alert" not in operator.get(incident).text
    assert post(operator, f"{incident}/refund", gpu_seconds="3", reason="故障") == "422"
    assert "refunded" in post(operator, f"{incident}/refund", gpu_seconds="0.5", reason="故障")
    assert running.funded.standing(running.grant).used.gpu_seconds == 1.5 * 3600
    assert "incident-closed" in post(operator, f"{incident}/close", text="交換した")
    score = {"scores.0.task": "JMMLU", "scores.0.metric": "accuracy", "scores.0.value": "0.5", "scores.0.n": "100"}
    model = {"name": HOSTILE, "released_on": "2020-01-01", "licence": "Apache-2.0", "parameters": "70億"}
    assert post(grantee, f"{base}/results/model", **model, **score) == "422"  # no interval
    interval = {"scores.0.ci95.0": "0.4", "scores.0.ci95.1": "0.6"}
    assert "model-recorded" in post(grantee, f"{base}/results/model", **model, **score, **interval)
    event = {"kind": "seminar", "title_ja": "講座", "title_en": "Course", "held_on": "2020-01-01", "people": "１２"}
    assert "event-recorded" in post(grantee, f"{base}/results/event", **event)
    results = grantee.get(f"{base}/results").text
    assert "7,000,000,000" in results
    assert "<script>alert" not in results


def test_a_stranger_sees_and_does_none_of_it(browser_of: BrowserOf, running: Running) -> None:
    stranger = browser_of(Role.APPLICANT)
    base = f"/ja/grants/{running.grant.id}"
    for path in ("", "/access", "/checklist", "/changes", "/incidents", "/results", "/reports"):
        assert stranger.get(f"{base}{path}").status_code == 404, path
    assert stranger.get(f"/ja/grants/reports/{running.report().id}").status_code == 404
    assert running.grant.code not in stranger.get("/ja/grants").text
    assert post(stranger, f"{base}/users", user_name="mallory") == "404"
    assert stranger.get(f"/ja/grants/{uuid.uuid4()}").status_code == 404
    # One who may read everything and change nothing.
    auditor = browser_of(Role.AUDITOR)
    assert auditor.get(base).status_code == 200
    assert 'name="user_name"' not in auditor.get(f"{base}/access").text
    assert post(auditor, f"{base}/checklist/terms/done") == "403"


def test_alerts_are_told_in_the_pages_language_with_what_to_do(
    grantee: TestClient, running: Running, office: Office
) -> None:
    kinds = {
        "spent:gpu_s:80:1": {"unit": "gpu_s", "used": 7200, "released": 9000, "percent": 80},
        "overrun:yen:1": {"unit": "yen", "overrun": 10_000},
        "idle:2026-04": {"since": "2026-04-01", "left_gpu_seconds": 7200},
        "behind:2026-04": {"used": 1, "planned": 7200},
        "ahead:2026-04": {"used": 7200, "planned": 1},
    }
    with office.work() as work:
        for key, figures in kinds.items():
            alert = Alert(id=work.new_id(), grant_id=running.grant.id, key=key, figures=figures, raised_at=work.now)
            work.session.add(alert)
    told = grantee.get(f"/ja/grants/{running.grant.id}").text.partition('id="alerts"')[2].partition("</section>")[0]
    assert told.count("<li>") == len(kinds)
    assert "1万円" in told
    assert not re.search(r"GPU-hours|¥|are used", told)
    assert "報告書を提出するか" in told
    with office.work() as work:
        for tranche in work.session.query(Tranche):
            tranche.status = TrancheStatus.CANCELLED
    told = grantee.get(f"/ja/grants/{running.grant.id}").text.partition('id="alerts"')[2].partition("</section>")[0]
    assert "報告書を提出するか" not in told, "there is nothing left to release"
    assert "次の配分" not in told
    with office.work() as work:
        for alert in work.session.query(Alert):
            alert.figures = {}  # as of before figures were kept
    told = grantee.get(f"/ja/grants/{running.grant.id}").text.partition('id="alerts"')[2].partition("</section>")[0]
    assert told.count("<li>") == len(kinds)
    assert not re.search(r"spent|overrun|idle|behind|ahead|is used", told)
