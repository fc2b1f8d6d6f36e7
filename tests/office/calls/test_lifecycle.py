from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kiban.office.audit.models import AuditEvent
from kiban.office.calls import lifecycle, service
from kiban.office.calls.models import Call, CallStatus
from kiban.office.calls.schemas import Amendment
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.notices.models import Notice
from kiban.office.office import Office
from kiban.office.supply.models import Pool
from kiban.office.work import ANONYMOUS, Actor, Role

from ..conftest import START, Rows, TestClock
from .conftest import draft, published


def _events(office: Office, action: str) -> list[dict[str, Any]]:
    with office.work(read_only=True) as work:
        return list(work.session.scalars(sa.select(AuditEvent.details).where(AuditEvent.action == action)))


def _amend(office: Office, actor: Actor, call: Call, **given: Any) -> Call:
    with office.work(actor) as work:
        return lifecycle.amend_call(work, call.id, Amendment.model_validate({"reason": "要望による"} | given))


def test_publication_makes_a_draft_public_once(office: Office, operator: Actor, pool: Pool) -> None:
    call = published(office, operator, pool)
    assert (call.status, call.published_at, call.version) == (CallStatus.PUBLISHED, START, 2)
    assert len(_events(office, "calls.published")) == 1
    with office.work(operator) as work, pytest.raises(Conflict, match="no draft"):
        lifecycle.publish_call(work, call.id)


def test_a_passed_opening_becomes_the_publication(
    office: Office, operator: Actor, pool: Pool, clock: TestClock
) -> None:
    call = draft(office, operator, pool)
    clock.forward(days=3)
    with office.work(operator) as work:
        assert [each.where for each in lifecycle.problems_of(work, call)] == ["opens_at"]
        assert lifecycle.publish_call(work, call.id).opens_at == clock.now


def test_what_is_wrong_is_said_at_once_and_nothing_is_published(office: Office, operator: Actor, pool: Pool) -> None:
    call = draft(office, operator, pool, text_en=" ", first_month="2026-04")
    with office.work(operator) as work, pytest.raises(Invalid, match=r"first_month: .*; text_en: "):
        lifecycle.publish_call(work, call.id)
    with office.work(operator, read_only=True) as work:
        assert service.get_call(work, call.id).status is CallStatus.DRAFT


@pytest.mark.parametrize("act", ["publish", "amend", "close", "archive", "problems"])
def test_only_operators_act(office: Office, rows: Rows, operator: Actor, pool: Pool, act: str) -> None:
    call = published(office, operator, pool)

    def do(actor: Actor) -> None:
        with office.work(actor) as work:
            match act:
                case "publish":
                    lifecycle.publish_call(work, call.id)
                case "amend":
                    lifecycle.amend_call(work, call.id, Amendment(title_ja="a", title_en="a", reason="b"))
                case "close":
                    lifecycle.close_call(work, call.id, "reason")
                case "archive":
                    lifecycle.archive_call(work, call.id)
                case _:
                    lifecycle.problems_of(work, service.get_call(work, call.id))

    with pytest.raises(Forbidden):
        do(rows.actor(Role.APPLICANT, Role.REVIEWER, Role.PANEL, Role.OBSERVER))
    if act != "problems":
        with pytest.raises(Forbidden):
            do(rows.actor(Role.AUDITOR))


def test_dates_only_move_to_later_ones(office: Office, operator: Actor, pool: Pool, clock: TestClock) -> None:
    call = published(office, operator, pool)
    for key in ("opens_at", "closes_at"):
        for given in (getattr(call, key), getattr(call, key) - timedelta(seconds=1)):
            with pytest.raises(Invalid, match="later"):
                _amend(office, operator, call, **{key: given})
    with pytest.raises(Invalid, match="after `opens_at`"):
        _amend(office, operator, call, opens_at=call.closes_at)
    with pytest.raises(Invalid, match="awards would start"):
        _amend(office, operator, call, closes_at="2026-07-01T00:00:01+09:00")
    amended = _amend(office, operator, call, closes_at="2026-07-01T00:00:00+09:00", opens_at=START + timedelta(days=2))
    assert amended.opens_at == START + timedelta(days=2)
    [event] = _events(office, "calls.amended")
    assert event["reason"] == "要望による"
    assert set(event["before"]) == set(event["after"]) == {"opens_at", "closes_at"}
    clock.forward(days=2)
    with pytest.raises(Invalid, match="has opened"):
        _amend(office, operator, call, opens_at=START + timedelta(days=5))


def test_an_amendment_needs_both_languages_and_something_to_amend() -> None:
    with pytest.raises(ValueError, match="change together"):
        Amendment(text_ja="新しい本文", reason="訂正")
    with pytest.raises(ValueError, match="nothing"):
        Amendment(reason="訂正")


def test_a_closed_call_is_not_amended_even_before_the_timed_job(
    office: Office, operator: Actor, pool: Pool, clock: TestClock
) -> None:
    call = published(office, operator, pool)
    clock.now = call.closes_at
    with pytest.raises(Conflict):
        _amend(office, operator, call, closes_at=call.closes_at + timedelta(days=1))


def test_those_who_write_proposals_are_told_of_an_amendment(
    office: Office, rows: Rows, operator: Actor, pool: Pool
) -> None:
    call = published(office, operator, pool)
    organisation = rows.organisation()
    people = [rows.person(Role.APPLICANT, organisation=organisation, language=each) for each in ("ja", "en")]
    for person in people:
        rows.proposal(call, organisation, person, pool=pool)
    _amend(office, operator, call, closes_at=call.closes_at + timedelta(days=1))
    with office.work(read_only=True) as work:
        subjects = {notice.recipient: notice.subject for notice in work.session.scalars(sa.select(Notice))}
    assert subjects == {
        people[0].email: "[2026-1] 基盤モデル開発支援",
        people[1].email: "[2026-1] Support for foundation models",
    }


def test_due_calls_are_closed_once_at_their_date(office: Office, operator: Actor, pool: Pool, clock: TestClock) -> None:
    call = published(office, operator, pool)
    later = published(office, operator, pool, code="2026-2", closes_at=START + timedelta(days=40))
    clock.now = call.closes_at - timedelta(microseconds=1)
    with office.work() as work:
        assert lifecycle.close_due(work) == []
    clock.now = call.closes_at + timedelta(minutes=7)  # the job comes late
    with office.work() as work:
        assert [each.id for each in lifecycle.close_due(work)] == [call.id]
    with office.work() as work:
        assert lifecycle.close_due(work) == []
        closed = service.get_call(work, call.id)
        assert (closed.status, closed.closed_at) == (CallStatus.REVIEWING, call.closes_at)
        assert service.get_call(work, later.id).status is CallStatus.PUBLISHED
    assert [event["by"] for event in _events(office, "calls.closed")] == ["date"]


def test_a_full_call_is_due(office: Office, rows: Rows, pool: Pool) -> None:
    rows.call(pool, cut_off="count", cut_off_count=2, receipts=3, withdrawn=2)
    call = rows.call(pool, cut_off="count", cut_off_count=2, receipts=3, withdrawn=1)
    with office.work() as work:
        assert [each.id for each in lifecycle.close_due(work)] == [call.id]
        assert call.closes_at > work.now == service.get_call(work, call.id).closed_at


def test_close_due_is_not_for_everybody(office: Office, rows: Rows) -> None:
    with office.work(rows.actor(Role.APPLICANT)) as work, pytest.raises(Forbidden):
        lifecycle.close_due(work)


def test_an_early_close_has_a_reason_and_is_final(
    office: Office, operator: Actor, pool: Pool, clock: TestClock
) -> None:
    call = published(office, operator, pool)
    clock.forward(days=2)
    with office.work(operator) as work:
        assert lifecycle.close_call(work, call.id, "予算の取り下げ").closed_at == clock.now
    assert _events(office, "calls.closed") == [{"by": "early", "reason": "予算の取り下げ", "proposals": 0}]
    with office.work(operator) as work, pytest.raises(Conflict, match="reviewing"):
        lifecycle.close_call(work, call.id, "もう一度")
    with pytest.raises(Conflict):
        _amend(office, operator, call, closes_at=call.closes_at + timedelta(days=1))


def test_decided_then_archived(office: Office, operator: Actor, pool: Pool, rows: Rows) -> None:
    call = rows.call(pool, status=CallStatus.REVIEWING, receipts=3)
    with office.work(operator) as work, pytest.raises(Conflict, match="reviewing"):
        lifecycle.archive_call(work, call.id)
    with office.work(operator) as work:
        assert lifecycle.mark_decided(work, call.id).decided_at == START
    with office.work(operator) as work, pytest.raises(Conflict, match="decided"):
        lifecycle.mark_decided(work, call.id)
    with office.work(operator) as work:
        assert lifecycle.archive_call(work, call.id).status is CallStatus.ARCHIVED
    with office.work(ANONYMOUS, read_only=True) as work:
        assert service.get_call(work, call.id).status is CallStatus.ARCHIVED


def test_what_nobody_answered_or_was_given_up_is_archived(
    office: Office, operator: Actor, pool: Pool, rows: Rows
) -> None:
    unanswered = rows.call(pool, status=CallStatus.REVIEWING, receipts=2, withdrawn=2)
    given_up = draft(office, operator, pool)
    for call in (unanswered, given_up):
        with office.work(operator) as work:
            assert lifecycle.archive_call(work, call.id).status is CallStatus.ARCHIVED
    with office.work(ANONYMOUS) as work:
        assert service.get_call(work, unanswered.id).status is CallStatus.ARCHIVED
        with pytest.raises(NotFound):  # never published, never public
            service.get_call(work, given_up.id)


def test_two_calls_are_not_promised_the_same_gpus(office: Office, rows: Rows, operator: Actor) -> None:
    """Each alone fits into the pool; published at once, one of them is refused."""
    pool = rows.pool(gpus=10)
    calls = [draft(office, operator, pool, code=f"2026-{n}") for n in range(2)]
    start, results = threading.Barrier(2), []

    def publish(call: Call) -> None:
        start.wait()
        try:
            with office.work(operator) as work:
                lifecycle.publish_call(work, call.id)
            results.append("published")
        except Invalid as error:
            results.append(error.message)

    threads = [threading.Thread(target=publish, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results)[1] == "published"
    assert "8 GPUs are offered, but 2 are free in 2026-07 (12 of 12 months are short)" in sorted(results)[0]
