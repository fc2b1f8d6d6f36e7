"""The review console: nothing a reviewer writes is lost, and nothing that is blind is shown."""

from __future__ import annotations

import html
import re
import shutil
import uuid
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from tests.office.conftest import clock, office, rows, sqlite_template
from tests.office.proposals.conftest import complete_body
from tests.office.reviews.conftest import WORDS, Season, season

from kiban.office.audit.models import AuditEvent
from kiban.office.calls.models import Call, CallStatus
from kiban.office.members import sessions
from kiban.office.members.models import Person
from kiban.office.office import Office
from kiban.office.proposals.models import Proposal, ProposalVersion, Submission
from kiban.office.reviews.desk import DECLARED
from kiban.office.reviews.models import AssignmentStatus, ConflictKind, ConflictOfInterest, Discussion, Review
from kiban.office.work import Actor
from kiban.portal.app import create_app

__all__ = ["clock", "office", "rows", "season", "sqlite_template"]
SECRET = ("株式会社かくれみの", "Kakuremino Inc", "隠田 忍", "shinobu@kakuremino.example")
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def database_url(sqlite_template, tmp_path) -> str:
    shutil.copy(sqlite_template, tmp_path / "office.db")
    return f"sqlite:///{tmp_path / 'office.db'}"


class Browser:
    """Somebody's, signed in."""

    def __init__(self, season: Season, app, actor: Actor) -> None:
        with season.office.work() as work:
            person = work.session.get_one(Person, actor.person_id)
            opened = sessions.open_session(work, person, is_strong=True, replaces=None, user_agent="test")
        self.csrf = sessions.csrf_token(opened.cookie)
        self._client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
        self._client.headers["Cookie"] = f"{sessions.cookie_name(season.office.settings)}={opened.cookie}"

    def get(self, path: str):
        return self._client.get(f"/ja{path}")

    def post(self, path: str, **fields: object):
        return self._client.post(f"/ja{path}", data={"csrf_token": self.csrf} | fields)


@pytest.fixture
def app(office: Office) -> Iterator[object]:
    made = create_app(office)
    with TestClient(made):
        yield made


@pytest.fixture
def asked(season: Season) -> tuple[Proposal, Actor, uuid.UUID]:
    """A blind proposal full of names, assigned to a reviewer."""
    organisation = season.rows.organisation(name_ja=SECRET[0], name_en=SECRET[1])
    proposal, reviewer = season.propose(organisation=organisation), season.reviewer()
    body = complete_body(uuid.uuid4())
    body["title"] = f"{SECRET[0]}のモデル {SCRIPT}"
    body["summary"] = f"{SECRET[2]} と Kakuremino Inc. {SCRIPT}"
    body["team"] = [{"name": SECRET[2], "email": SECRET[3], "organisation_name": SECRET[1], "role": "lead"}]
    with season.office.work() as work:
        work.session.get_one(Call, season.call.id).is_blind = True
        row = work.session.query(ProposalVersion).filter_by(proposal_id=proposal.id).one_or_none()
        if row is None:
            work.session.add(
                ProposalVersion(
                    id=work.new_id(), proposal_id=proposal.id, number=1, body=body, digest="0" * 64, plan={},
                    is_autosave=False, saved_by=proposal.created_by, saved_at=work.now,
                )
            )  # fmt: skip
        else:
            row.body = body
        stored = work.session.get_one(Proposal, proposal.id)
        stored.submitted_version = stored.version = row.number if row else 1
        stored.title = body["title"]
    return proposal, reviewer, season.assign(proposal, reviewer)


def fields(**more: object) -> dict[str, object]:
    given = {"version": 0, "submission": 0, "scores.performance": 4, "scores.openness": 3, "confidence": 4}
    return given | {"text_to_applicant": WORDS, "text_to_panel": ""} | more


def test_a_blind_page_holds_no_name_and_no_markup_of_who_proposes(season: Season, app, asked) -> None:
    _, reviewer, row = asked
    browser = Browser(season, app, reviewer)
    browser.post("/reviews/declaration", asked=str(row))
    for path in ("", "/sheet", "/hand-in", "/compare", "/recuse", "/changes"):
        shown = browser.get(f"/reviews/{row}{path}")
        assert shown.status_code == 200, path
        found = [name for name in (*SECRET, SCRIPT) if name in html.unescape(shown.text) and name in shown.text]
        assert not found, f"{path}: {found}"
    assert "■■■" in browser.get(f"/reviews/{row}").text
    for path in ("/reviews", "/reviews?format=csv", "/reviews/declaration"):
        assert not [name for name in SECRET if name in browser.get(path).text], path


def test_nobody_reads_before_the_declaration_and_one_click_declares_for_all(season: Season, app, asked) -> None:
    _, reviewer, row = asked
    second = season.assign(season.propose(), reviewer)
    browser = Browser(season, app, reviewer)
    for path in ("", "/sheet", "/compare"):
        away = browser.get(f"/reviews/{row}{path}")
        assert (away.status_code, "/reviews/declaration" in away.headers["location"]) == (303, True), path
    refused = browser.post("/reviews/declaration", **{"asked": [str(row)], "conflicting[]": str(row)})
    assert refused.status_code == 422
    assert not season.all(ConflictOfInterest)
    done = browser.post(
        "/reviews/declaration",
        **{"asked": [str(row), str(second)], "conflicting[]": str(second), f"reasons.{second}": "前職の同僚"},
    )
    assert done.status_code == 303
    assert [each.reason for each in season.all(ConflictOfInterest)] == ["前職の同僚"]
    assert [each.subject_id for each in season.all(AuditEvent) if each.action == DECLARED] == [str(row)]
    assert browser.get(f"/reviews/{row}").status_code == 200
    # A deep link to what a conflict has closed says so, and shows nothing.
    assert browser.get(f"/reviews/{second}").status_code == 404
    assert browser.post(f"/reviews/{second}", **fields()).status_code == 404


def test_two_windows_never_overwrite_one_another_unasked(season: Season, app, asked) -> None:
    _, reviewer, row = asked
    browser = Browser(season, app, reviewer)
    browser.post("/reviews/declaration", asked=str(row))
    assert browser.post(f"/reviews/{row}", **fields()).status_code == 303
    late = browser.post(f"/reviews/{row}", **fields(**{"scores.performance": 2, "text_to_panel": "消えない文"}))
    assert late.status_code == 409
    assert "消えない文" in late.text
    (stored,) = season.all(Review)
    assert (stored.scores["performance"], stored.version) == (4, 1)
    (over,) = re.findall(r'name="over" value="(\d+)"', late.text)
    again = browser.post(f"/reviews/{row}", **fields(over=over, **{"scores.performance": 2}))
    assert again.status_code == 303
    assert season.all(Review)[0].scores["performance"] == 2


def test_a_save_as_one_goes_brings_back_the_version_for_the_next(season: Season, app, asked) -> None:
    _, reviewer, row = asked
    browser = Browser(season, app, reviewer)
    browser.post("/reviews/declaration", asked=str(row))
    for version in range(3):
        part = browser.post(f"/reviews/{row}", **fields(version=version, part=1))
        assert part.status_code == 200
        assert f'name="version" value="{version + 1}"' in part.text
        assert f'data-saved="review-{row}"' in part.text
        assert re.search(r'<hx-partial hx-target="#review-state".*提出できる状態', part.text)
        assert "<html" not in part.text


def test_a_session_that_ends_in_the_middle_of_a_comment_loses_nothing(season: Season, app, asked) -> None:
    _, _reviewer, row = asked
    anonymous = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    shown = anonymous.post(f"/ja/reviews/{row}", data=fields(text_to_applicant="長い" * 4000))
    assert shown.status_code == 401
    assert "長い" * 4000 in shown.text


def test_from_the_first_to_the_last_review(season: Season, app) -> None:
    reviewer = season.reviewer()
    mine = [season.assign(season.propose(), reviewer) for _ in range(3)]
    browser = Browser(season, app, reviewer)
    browser.post("/reviews/declaration", asked=[str(each) for each in mine])
    for left in (2, 1, 0):
        row = next(each for each in mine if season.assignment(each).status is AssignmentStatus.ASSIGNED)
        saved = browser.post(f"/reviews/{row}", **fields(then="hand-in"))
        assert saved.headers["location"].endswith("/hand-in")
        # What is missing is said before it is sent; sent all the same, it is refused and kept.
        done = browser.post(f"/reviews/{row}/hand-in", version=1)
        assert done.status_code == 303
        following = re.search(r"/reviews/([0-9a-f-]{36})", done.headers["location"])
        assert (following is not None) is (left > 0)
        if following:
            assert uuid.UUID(following[1]) in mine
            assert season.assignment(uuid.UUID(following[1])).status is AssignmentStatus.ASSIGNED


def test_an_unfinished_review_says_what_is_missing(season: Season, app, asked) -> None:
    _, reviewer, row = asked
    browser = Browser(season, app, reviewer)
    browser.post("/reviews/declaration", asked=str(row))
    browser.post(f"/reviews/{row}", version=0, submission=0, **{"scores.performance": 5})
    shown = browser.get(f"/reviews/{row}/hand-in").text
    for name in ("scores.openness", "confidence", "text_to_applicant"):
        assert f"#field-{name}" in shown
    assert 'name="version"' not in shown
    assert browser.post(f"/reviews/{row}/hand-in", version=1).status_code == 422
    assert browser.post(f"/reviews/{row}", version=1, submission=0, **{"scores.performance": 9}).status_code == 422


def test_each_seat_sees_its_own_desk(season: Season, app, asked) -> None:
    _proposal, reviewer, row = asked
    season.review(row, reviewer)
    desk = f"/reviews/calls/{season.call.id}"
    seen = {
        "scores": (season.operator, season.auditor, season.panel),
        "severity": (season.operator, season.auditor, season.panel),
        "peer-groups": (season.operator, season.auditor, season.panel),
        "progress": (season.operator, season.auditor),
        "assignments": (season.operator, season.auditor),
        "conflicts": (season.operator, season.auditor),
        "assignment": (season.operator,),
    }
    for actor in (season.operator, season.auditor, season.panel, reviewer):
        browser = Browser(season, app, actor)
        for page, actors in seen.items():
            assert browser.get(f"{desk}/{page}").status_code == (200 if actor in actors else 403), page


def test_by_hand_a_conflict_is_refused_and_a_reason_asked(season: Season, app, asked) -> None:
    proposal, reviewer, _ = asked
    other, near = season.reviewer(), season.reviewer()
    season.conflict(near, proposal_id=proposal.id)
    browser = Browser(season, app, season.operator)
    path = f"/reviews/calls/{season.call.id}/assignment/by-hand"
    for person, reason, status in (
        (near, "理由", 409),
        (other, "", 422),
        (reviewer, "理由", 409),
        (other, "理由", 303),
    ):
        given = {"hand.proposal_id": str(proposal.id), "hand.reviewer_id": str(person.person_id), "hand.reason": reason}
        assert browser.post(path, **given).status_code == status
    assert [each.details["reason"] for each in season.all(AuditEvent) if each.action == "reviews.assigned_by_hand"] == [
        "理由"
    ]


def test_a_slip_in_a_conflict_shows_the_form_again_and_what_rules_find_is_told_in_the_pages_language(
    season: Season, app, asked
) -> None:
    proposal, reviewer, _ = asked
    wrote, near = season.reviewer(), season.reviewer(organisation_id=proposal.organisation_id)
    browser = Browser(season, app, season.operator)
    path = f"/reviews/calls/{season.call.id}/conflicts"
    given = {"person_id": str(reviewer.person_id), "receipt": str(proposal.receipt), "reason": "以前の同僚です"}
    for wrong in ({}, given | {"receipt": "R-9999"}, given | {"person_id": ""}, given | {"reason": ""}):
        answer = browser.post(path, **wrong)
        assert answer.status_code == 422, wrong
        assert wrong.get("reason", "") in answer.text, "what was typed is there still"
    assert not season.all(ConflictOfInterest), "nobody's, and not the operator's own"
    assert browser.post(path, **given).status_code == 303
    with season.office.work() as work:
        for person, kind, source in ((wrote, "co_author", "doi:10.1/a"), (near, "same_organisation", "")):
            row = ConflictOfInterest(
                id=work.new_id(), person_id=person.person_id, proposal_id=proposal.id, kind=ConflictKind(kind),
                reason=source, declared_at=work.now, lifted_reason="",
            )  # fmt: skip
            work.session.add(row)
    shown = browser.get(path).text
    assert "以前の同僚です" in shown
    assert "doi:10.1/a" in shown
    assert not re.search("Wrote with|Belongs to", shown)
    ended = browser.get(f"/reviews/calls/{season.call.id}/assignments").text
    assert "a conflict of interest" not in ended
    assert "利益相反のため" in ended


def hand_in_again(season: Season, proposal: Proposal, **changed: object) -> None:
    with season.office.work() as work:
        stored = work.session.get_one(Proposal, proposal.id)
        number = work.session.query(Submission).filter_by(proposal_id=proposal.id).count() + 1
        common = {"proposal_id": proposal.id, "digest": str(number) * 64}
        body = work.session.query(ProposalVersion).filter_by(proposal_id=proposal.id, number=stored.version).one().body
        stored.version = stored.submitted_version = version = stored.version + 1
        work.session.add(
            ProposalVersion(
                **common, id=work.new_id(), number=version, body=body | changed, plan={}, is_autosave=False,
                saved_by=proposal.created_by, saved_at=work.now,
            )
        )  # fmt: skip
        work.session.add(
            Submission(
                **common, id=work.new_id(), number=number, version=version, attachments=[],
                submitted_by=proposal.created_by, submitted_at=work.now,
            )
        )  # fmt: skip


def test_after_a_new_version_a_review_is_confirmed_or_revised_with_the_changes_in_sight(
    season: Season, app, asked, clock
) -> None:
    proposal, reviewer, row = asked
    hand_in_again(season, proposal, summary="はじめの内容")
    browser = Browser(season, app, reviewer)
    browser.post("/reviews/declaration", asked=str(row))
    saved = fields(submission=1)
    assert browser.post(f"/reviews/{row}", **saved).status_code == 303
    assert browser.post(f"/reviews/{row}/hand-in", version=1).status_code == 303
    clock.forward(minutes=1)
    hand_in_again(season, proposal, summary=f"あとの内容 {SECRET[2]} {SCRIPT}")
    told = browser.get(f"/reviews/{row}").text
    assert f"/reviews/{row}/confirm" in told
    assert f"/reviews/{row}/revise" in told
    changes = browser.get(f"/reviews/{row}/changes").text
    assert "はじめ" in changes
    assert "あと" in changes
    assert not [each for each in (*SECRET, SCRIPT) if each in changes]
    # What was read is confirmed, never what came in between.
    assert browser.post(f"/reviews/{row}/confirm", submission=1).status_code == 409
    assert browser.post(f"/reviews/{row}/confirm", submission=2).status_code == 303
    assert season.all(Review)[0].submission == 2
    assert browser.post(f"/reviews/{row}/revise").status_code == 409
    hand_in_again(season, proposal, summary="三つめの内容")
    assert browser.post(f"/reviews/{row}/revise").status_code == 303
    assert season.assignment(row).status is AssignmentStatus.ASSIGNED
    assert 'name="text_to_applicant"' in browser.get(f"/reviews/{row}").text


def test_a_discussion_names_nobody_to_reviewers_and_keeps_what_cannot_be_posted(season: Season, app, asked) -> None:
    proposal, reviewer, row = asked
    season.review(row, reviewer)
    path = f"/reviews/proposals/{proposal.id}"
    panel, mine = Browser(season, app, season.panel), Browser(season, app, reviewer)
    name = season.person(season.panel).name
    assert mine.get(path).status_code == 404
    assert panel.post(path, text="まだ開いていない").status_code == 409
    season.discuss()
    assert panel.post(path, text=f"評価が分かれました {SCRIPT}").status_code == 303
    for browser, is_named in ((panel, True), (mine, False)):
        shown = browser.get(path).text
        assert "評価が分かれました" in shown
        assert SCRIPT not in shown
        assert (name in re.sub(r"<header.*?</header>", "", shown, flags=re.S)) is is_named
    assert Browser(season, app, season.operator).post(path, text="口出し").status_code == 403
    season.status(CallStatus.DECIDED)
    late = mine.post(path, text="間に合わなかった長い意見")
    assert late.status_code == 409
    assert "間に合わなかった長い意見" in late.text
    assert len(season.all(Discussion)) == 1


def test_a_conflict_with_an_organisation_names_it(season: Season, app) -> None:
    organisation = season.rows.organisation(name_ja="株式会社甲", name_en="Kou Inc")
    season.propose(organisation=organisation)
    season.conflict(season.reviewer(), organisation_id=organisation.id)
    browser = Browser(season, app, season.operator)
    assert "株式会社甲のすべての提案" in browser.get(f"/reviews/calls/{season.call.id}/conflicts").text
