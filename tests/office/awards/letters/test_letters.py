from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from fastapi.testclient import TestClient

from kiban.cli.office.awards import replay
from kiban.office.awards.certificates import certificate_file, replay_file
from kiban.office.awards.decisions import announce_decision, approve_decision, draft_decision
from kiban.office.awards.letters.decision_record import decision_record_html
from kiban.office.awards.letters.letter import letter_html
from kiban.office.awards.models import PinKind, Selection
from kiban.office.awards.schemas import DecisionIn, PinIn
from kiban.office.awards.studies import add_pin
from kiban.office.calls.models import Call
from kiban.office.errors import Conflict, NotFound
from kiban.office.members.models import Organisation
from kiban.office.notices.models import Notice
from kiban.office.proposals import eligibility
from kiban.office.proposals.models import Proposal
from kiban.office.reports.models import MilestoneReport
from kiban.office.work import ANONYMOUS, Actor, Role, Work
from kiban.portal.api import identity
from kiban.portal.app import create_app

from ..conftest import Judged, judged

__all__ = ["judged"]
HOSTILE = "<img src=x onerror=alert(1)>"
REASON = "審査会の内部の理由"


def announced(judged: Judged) -> Selection:
    """Five proposals, one of which the panel has excluded; three are funded."""
    for score in (5, 4, 3, 2, 5):
        judged.propose(score, score)
    with judged.office.work() as work:
        work.session.execute(sa.update(Organisation).values(name_ja=HOSTILE))
        work.session.execute(sa.update(Proposal).values(title=HOSTILE))
    with judged.office.work(judged.operator) as work:
        pin = PinIn(proposal_id=judged.proposals[4].id, kind=PinKind.MUST_NOT, reason=REASON)
        add_pin(work, judged.call.id, pin)
    study = judged.study()
    with judged.office.work(judged.operator) as work:
        given = DecisionIn(study_id=study.id, objective="merit", reason="総合評価による")
        draft_decision(work, judged.call.id, given)
    with judged.office.work(judged.panel) as work:
        approve_decision(work, judged.call.id)
    with judged.office.work(judged.operator) as work:
        announce_decision(work, judged.call.id)
    return study


def applicant(judged: Judged, at: int) -> Actor:
    organisation_id = judged.proposals[at].organisation_id
    with judged.office.work(read_only=True) as work:
        organisation = work.session.get_one(Organisation, organisation_id)
    return judged.rows.actor(Role.APPLICANT, organisation=organisation)


@contextmanager
def reading(judged: Judged, actor: Actor) -> Iterator[Work]:
    with judged.office.work(actor, read_only=True) as work:
        yield work


def test_letters_say_what_is_awarded_or_what_would_have_helped(judged: Judged) -> None:
    announced(judged)
    with reading(judged, applicant(judged, 0)) as work:
        awarded = letter_html(work, judged.proposals[0].id)
    assert "採択通知" in awarded
    assert "16,000 GPU-hours" in awarded
    assert "6,400,000円" in awarded
    assert "after an accepted report" in awarded
    with reading(judged, applicant(judged, 3)) as work:
        rejected = letter_html(work, judged.proposals[3].id)
    assert "Why it was not funded" in rejected
    assert "6,400,000 yen more in the budget" in rejected
    assert "2.00" in rejected  # the criteria's means
    for page in (awarded, rejected):
        assert HOSTILE not in page
        assert "&lt;img src=x" in page


def test_the_panel_s_reason_stays_with_the_panel(judged: Judged) -> None:
    announced(judged)
    with reading(judged, applicant(judged, 4)) as work:
        page = letter_html(work, judged.proposals[4].id)
    assert "The panel decided against it" in page
    assert REASON not in page


def test_letters_are_the_applicants_own_and_come_after_the_announcement(judged: Judged) -> None:
    judged.propose(5, 5)
    own = applicant(judged, 0)
    with reading(judged, own) as work, pytest.raises(Conflict, match="not announced"):
        letter_html(work, judged.proposals[0].id)
    announced(judged)
    for other in (applicant(judged, 1), judged.panel, ANONYMOUS, judged.rows.actor(Role.OBSERVER)):
        with reading(judged, other) as work, pytest.raises(NotFound):
            letter_html(work, judged.proposals[0].id)


def test_the_record_is_whole_for_the_office_and_redacted_for_the_public(judged: Judged) -> None:
    announced(judged)
    with reading(judged, judged.operator) as work:
        whole = decision_record_html(work, judged.call.id)
        public = decision_record_html(work, judged.call.id, public=True)
    with reading(judged, ANONYMOUS) as work:
        assert decision_record_html(work, judged.call.id) == public
    assert REASON in whole
    assert "±" in whole
    assert "人" in whole
    for kept in (REASON, "±", "総合評価による", str(judged.proposals[3].receipt)):
        assert kept not in public
    for page in (whole, public):
        assert HOSTILE not in page
        assert "19,200,000" in page  # what the awards cost in all


def test_the_record_tells_what_did_not_compete(judged: Judged) -> None:
    """The office with receipts and reasons, the public by number; their applicants get no letter."""
    out, gone = judged.propose(5, 5), judged.propose(5, 5)
    with judged.office.work() as work:
        call = work.session.get_one(Call, judged.call.id)
        call.receipts, call.constraints = 2, {"most_proposals_per_organisation": 2}
    with judged.office.work(judged.operator) as work:
        eligibility.mark_ineligible(work, out.id, "対象外の組織である")
        eligibility.take_out(work, gone.id, "申請者の申し出")
    judged.proposals.clear()
    announced(judged)
    with reading(judged, judged.operator) as work:
        whole = decision_record_html(work, judged.call.id)
        public = decision_record_html(work, judged.call.id, public=True)
        with pytest.raises(NotFound, match="did not take part"):
            letter_html(work, out.id)
    for page in (whole, public):
        assert "対象外 1件、取下げ 1件" in page
        assert "ineligible: 1, withdrawn: 1" in page
        assert "at most 2 proposals per organisation" in page
    for told in (str(out.receipt), str(gone.receipt), "対象外の組織である", "申請者の申し出"):
        assert told in whole
        assert told not in public


def test_before_the_announcement_the_public_sees_no_record(judged: Judged) -> None:
    judged.propose(5, 5)
    study = judged.study()
    with judged.office.work(judged.operator) as work:
        draft_decision(work, judged.call.id, DecisionIn(study_id=study.id, objective="merit", reason="総合評価による"))
    with reading(judged, ANONYMOUS) as work, pytest.raises(NotFound):
        decision_record_html(work, judged.call.id)


def test_announcing_tells_every_applicant_once_and_plans_reports(judged: Judged) -> None:
    people = []
    for score in (5, 1):
        judged.propose(score, score)
        people.append(applicant(judged, len(judged.proposals) - 1))
    announced(judged)
    with judged.office.work(judged.operator) as work:
        announce_decision(work, judged.call.id)
    with judged.office.work(read_only=True) as work:
        told = list(work.session.scalars(sa.select(Notice).where(Notice.event == "awards.announced")))
        planned = work.session.scalar(sa.select(sa.func.count()).select_from(MilestoneReport))
    assert len({(each.cause, each.recipient) for each in told}) == len(told)
    assert {each.cause.rpartition(":")[2] for each in told} == {str(each.id) for each in judged.proposals}
    assert all(re.search(r"/(ja|en)/proposals/[0-9a-f-]{36}/outcome", each.body) for each in told)
    assert planned == 3 * 2


def test_a_certificate_file_replays_without_a_database(judged: Judged, tmp_path: Path) -> None:
    study = announced(judged)
    with reading(judged, judged.operator) as work:
        record = certificate_file(work, judged.call.id, study.id)
    assert all(each.ok for each in replay_file(record))
    file = tmp_path / "awards.json"
    file.write_text(json.dumps(record))
    found = CliRunner().invoke(replay, [str(file), "--json"], standalone_mode=False)
    assert found.return_value == 0
    assert json.loads(found.output)["ok"] is True
    record["problem"]["blocs"]["all"]["budget_yen"] += 1
    file.write_text(json.dumps(record))
    assert CliRunner().invoke(replay, [str(file), "--json"], standalone_mode=False).return_value == 3


def test_two_announcements_at_once_open_each_grant_once(judged: Judged) -> None:
    judged.propose(5, 5)
    study = judged.study()
    with judged.office.work(judged.operator) as work:
        draft_decision(work, judged.call.id, DecisionIn(study_id=study.id, objective="merit", reason="総合評価による"))
    with judged.office.work(judged.panel) as work:
        approve_decision(work, judged.call.id)

    def announce() -> None:
        with judged.office.work(judged.operator) as work:
            announce_decision(work, judged.call.id)

    threads = [threading.Thread(target=announce) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with judged.office.work(read_only=True) as work:
        assert work.session.scalar(sa.select(sa.func.count()).select_from(MilestoneReport)) == 2


def test_from_study_to_letter_over_http(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    for score in (5, 4, 3, 2):
        judged.propose(score, score)
    actors = {"now": judged.operator}
    monkeypatch.setattr(identity, "identify", lambda request, *_: actors["now"])
    api = TestClient(create_app(judged.office), headers={"X-Requested-With": "tests"})
    base = f"/api/v1/awards/calls/{judged.call.id}"
    study = api.post(f"{base}/studies", json={"objectives": ["merit"], "draws": 2})
    assert study.status_code == 201, study.text
    found = f"{base}/studies/{study.json()['id']}"
    assert api.get(f"{base}/studies").json()["items"][0]["number"] == 1
    assert api.get(f"{found}/certificates").json()["format"] == "kiban-award-record/1"
    assert "attachment" in api.get(f"{found}/certificates/download").headers["content-disposition"]
    assert all(each["ok"] for each in api.post(f"{found}/replay", json={}).json())
    given = {"study_id": study.json()["id"], "objective": "merit", "reason": "総合評価による"}
    assert api.post(f"{base}/decision", json=given).status_code == 201
    actors["now"] = judged.panel
    assert api.post(f"{base}/decision/approve").json()["status"] == "approved"
    actors["now"] = judged.operator
    assert api.post(f"{base}/decision/announce").json()["status"] == "announced"
    actors["now"] = ANONYMOUS
    shown = api.get(f"{base}/decision").json()
    assert (shown["reason"], shown["drafted_by"]) == ("", None)
    assert len(api.get("/api/v1/awards").json()["items"]) == 3
    record = api.get(f"{base}/record")
    assert "default-src 'none'" in record.headers["content-security-policy"]
    assert api.get(f"{found}/certificates").status_code in (401, 403)
    actors["now"] = applicant(judged, 0)
    letter = api.get(f"/api/v1/awards/proposals/{judged.proposals[0].id}/letter")
    assert (letter.status_code, letter.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert api.get(f"/api/v1/awards/proposals/{judged.proposals[1].id}/letter").status_code == 404
