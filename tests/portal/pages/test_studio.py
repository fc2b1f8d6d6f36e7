"""The award studio: from solving to announced letters by forms alone, and nothing to whoever has a stake."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
from fastapi import FastAPI
from httpx import Response
from starlette.testclient import TestClient
from tests.office.awards.conftest import Judged, judged

from kiban.office.members.models import Person
from kiban.office.members.sessions import cookie_name, open_session
from kiban.office.reviews.models import ConflictKind, ConflictOfInterest
from kiban.office.work import Actor, Role

from ..conftest import BrowserOf
from .forms import form_of

__all__ = ["judged"]
SCRIPT = '<script>alert("x")</script>'
QUICK = {"draws": "5", "objectives[]": ["merit", "breadth"]}


@pytest.fixture
def desk(judged: Judged) -> Judged:
    """Four proposals of which three fit the budget."""
    for score in (5, 4, 3, 2):
        judged.propose(score, score)
    return judged


def signed_in(app: FastAPI, judged: Judged, actor: Actor) -> TestClient:
    with judged.office.work() as work:
        person = work.session.get_one(Person, actor.person_id)
        opened = open_session(work, person, is_strong=True, replaces=None, user_agent="test")
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    client.cookies.set(cookie_name(judged.office.settings), opened.cookie)
    return client


def solve(browser: TestClient, judged: Judged, **given: object) -> Response:
    page = browser.get(f"/en/studio/{judged.call.id}")
    return form_of(page, "/studies").send(browser, **(QUICK | given))


def test_a_call_goes_from_a_study_to_letters_by_forms_alone(app: FastAPI, desk: Judged, browser: TestClient) -> None:
    panel, operator = signed_in(app, desk, desk.panel), signed_in(app, desk, desk.operator)
    base = f"/en/studio/{desk.call.id}"
    solved = solve(panel, desk)
    assert solved.status_code == 303
    study = panel.get(solved.headers["location"])
    assert "Proven best" in study.text
    assert study.text.count("/proposals/") >= 4
    link = re.search(r'href="([^"]+/decision\?[^"]+)"', study.text)
    assert link is not None
    drafting = form_of(panel.get(link[1].replace("&amp;", "&")), "/decision")
    assert drafting.send(panel, reason="短い").status_code == 422
    assert drafting.send(panel, reason="The panel decided so.").status_code == 303
    own = panel.get(f"{base}/decision")
    assert "Somebody else has to approve it." in own.text
    assert "/decision/approve" not in own.text
    form_of(operator.get(f"{base}/decision"), "/approve").send(operator)
    assert desk.proposals[0].title not in browser.get("/en/awards").text
    announced = form_of(operator.get(f"{base}/decision"), "/announce").send(operator)
    assert announced.headers["location"].startswith(f"{base}/decision")
    packed = zipfile.ZipFile(io.BytesIO(operator.get(f"{base}/letters/download").content))
    assert len(packed.namelist()) == 4
    assert desk.proposals[0].title in browser.get("/en/awards").text


def test_a_pin_needs_a_reason_shows_it_escaped_and_is_undone(app: FastAPI, desk: Judged) -> None:
    panel = signed_in(app, desk, desk.panel)
    page = panel.get(f"/en/studio/{desk.call.id}/pins")
    given = {"proposal_id": str(desk.proposals[3].id), "kind": "must"}
    assert form_of(page, "/pins").send(panel, **given, reason="").status_code == 422
    pinned = form_of(page, "/pins").send(panel, **given, reason=f"A reason {SCRIPT}")
    shown = panel.get(pinned.headers["location"])
    assert SCRIPT not in shown.text
    assert "A reason &lt;script&gt;" in shown.text
    study = panel.get(solve(panel, desk).headers["location"])
    assert "Pinned: funded" in study.text
    undone = form_of(shown, "/remove").send(panel)
    assert undone.status_code == 303
    assert "Taken away" in panel.get(undone.headers["location"]).text


def test_rules_that_cannot_hold_together_are_named(app: FastAPI, desk: Judged) -> None:
    panel = signed_in(app, desk, desk.panel)
    for proposal in desk.proposals:
        page = panel.get(f"/en/studio/{desk.call.id}/pins")
        form_of(page, "/pins").send(panel, proposal_id=str(proposal.id), kind="must", reason="All of them must win.")
    study = panel.get(solve(panel, desk).headers["location"])
    assert study.status_code == 200
    assert "These cannot hold together:" in study.text
    assert "the budget" in study.text
    assert "Draft the decision from this" not in study.text


def test_an_odd_budget_is_said_to_be_one(app: FastAPI, desk: Judged) -> None:
    panel = signed_in(app, desk, desk.panel)
    for budget in ("0", "-1", "100000000000001", "much", SCRIPT):
        answer = solve(panel, desk, budget_yen=budget)
        assert answer.status_code == 422
        assert 'href="#field-budget_yen"' in answer.text
        assert SCRIPT not in answer.text


def test_another_budget_is_looked_at_and_not_decided_on(app: FastAPI, desk: Judged) -> None:
    panel = signed_in(app, desk, desk.panel)
    study = panel.get(solve(panel, desk, budget_yen="1億円").headers["location"])
    assert "Draft the decision from this" not in study.text
    frontier = panel.get(f"/en/studio/{desk.call.id}/frontier")
    drawn = panel.get(form_of(frontier, "/frontier").send(panel).headers["location"])
    assert "<svg" in drawn.text
    assert "Small changes of the budget" in drawn.text


def test_who_has_a_conflict_or_no_part_sees_nothing(app: FastAPI, desk: Judged, browser_of: BrowserOf) -> None:
    solve(signed_in(app, desk, desk.operator), desk)
    declared = ConflictOfInterest(
        id=desk.rows._id(),
        person_id=desk.panel.person_id,
        proposal_id=desk.proposals[0].id,
        kind=ConflictKind.DECLARED,
        reason="共同研究",
        declared_at=desk.office.clock(),
    )
    desk.rows._add(declared)
    others = [signed_in(app, desk, desk.panel), browser_of(Role.APPLICANT), browser_of(Role.REVIEWER)]
    for part in ("", "/frontier", "/studies", "/pins", "/decision", "/letters", "/letters/download"):
        for other in others:
            answer = other.get(f"/en/studio/{desk.call.id}{part}")
            assert answer.status_code == 403
            assert desk.proposals[0].title not in answer.text
    assert browser_of(Role.AUDITOR).get(f"/en/studio/{desk.call.id}").status_code == 200
