from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from kiban.office.calls import service
from kiban.office.calls.models import Call, CallStatus, CutOff
from kiban.office.calls.schemas import FOREIGN_MODEL_REASON
from kiban.office.errors import NotFound
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.proposals.schemas import ProposalBody
from kiban.office.supply.models import Pool
from kiban.office.work import ANONYMOUS, Actor, Role

from ..conftest import START, Rows, TestClock
from .conftest import draft, published


def test_a_draft_is_the_offices_own(office: Office, rows: Rows, operator: Actor, pool: Pool) -> None:
    call = draft(office, operator, pool)
    runs_it = Actor(person_id=uuid.uuid4(), call_roles=frozenset({(Role.OPERATOR, call.id)}))
    runs_another = Actor(person_id=uuid.uuid4(), call_roles=frozenset({(Role.OPERATOR, uuid.uuid4())}))
    for actor in (operator, rows.actor(Role.AUDITOR), runs_it):
        with office.work(actor) as work:
            assert service.get_call(work, call.id).code == "2026-1"
            assert [each.id for each in service.list_calls(work, PageRequest()).items] == [call.id]
    for actor in (ANONYMOUS, rows.actor(Role.APPLICANT), rows.actor(Role.REVIEWER), runs_another):
        with office.work(actor) as work:
            for look in (service.get_call, service.lock_call, service.offered_pools):
                with pytest.raises(NotFound):
                    look(work, call.id)
            with pytest.raises(NotFound):
                service.get_call_by_code(work, "2026-1")
            assert service.list_calls(work, PageRequest()).items == []


def test_a_published_call_is_everybodys_without_how_many_came(
    office: Office, operator: Actor, pool: Pool, clock: TestClock
) -> None:
    call = published(office, operator, pool)
    clock.forward(days=2, hours=1)
    with office.work(ANONYMOUS, read_only=True) as work:
        shown = service.show_call(work, service.get_call_by_code(work, "2026-1"), counts_down=True)
    assert (shown.is_open, shown.seconds_left) == (True, (27 * 24 + 23) * 3600)
    assert shown.closes_at_ja == "2026年5月1日（金）9時00分（日本時間）"
    assert [(offer.name, offer.gpus) for offer in shown.pools] == [(pool.name, 8)]
    assert shown.proposals_submitted is None
    assert "created_by" not in shown.model_dump()
    with office.work(operator, read_only=True) as work:
        assert service.show_call(work, service.get_call(work, call.id)).proposals_submitted == 0


def test_places_taken_are_public_where_they_close_the_call(office: Office, operator: Actor, pool: Pool) -> None:
    published(office, operator, pool, cut_off="count", cut_off_count=5)
    with office.work(ANONYMOUS, read_only=True) as work:
        assert service.show_call(work, service.get_call_by_code(work, "2026-1")).proposals_submitted == 0


def test_calls_are_listed_newest_first_and_by_status(office: Office, rows: Rows, pool: Pool, clock: TestClock) -> None:
    calls = []
    for status in (CallStatus.DECIDED, CallStatus.PUBLISHED, CallStatus.DRAFT):
        calls.append(rows.call(pool, status=status))
        clock.forward(minutes=1)
    with office.work(ANONYMOUS) as work:
        first = service.list_calls(work, PageRequest(limit=1))
        second = service.list_calls(work, PageRequest(first.next_cursor, limit=1))
        assert [first.items[0].id, second.items[0].id] == [calls[1].id, calls[0].id]
        assert second.next_cursor is None
        decided = service.list_calls(work, PageRequest(), CallStatus.DECIDED)
        assert [call.id for call in decided.items] == [calls[0].id]


def _call(**given: Any) -> Call:
    values: dict[str, Any] = {
        "status": CallStatus.PUBLISHED,
        "opens_at": START,
        "closes_at": START + timedelta(hours=1),
        "cut_off": CutOff.DATE,
        "cut_off_count": None,
        "receipts": 0,
        "withdrawn": 0,
    }
    return Call(**(values | given))


def test_open_from_the_opening_until_just_before_the_close() -> None:
    call, tick = _call(), timedelta(microseconds=1)
    assert not service.is_open(call, START - tick)
    assert service.is_open(call, START)
    assert service.is_open(call, call.closes_at - tick)
    assert not service.is_open(call, call.closes_at)


def test_not_open_when_not_published_or_full() -> None:
    for status in set(CallStatus) - {CallStatus.PUBLISHED}:
        assert not service.is_open(_call(status=status), START)
    assert service.is_open(_call(cut_off=CutOff.COUNT, cut_off_count=2, receipts=1), START)
    assert service.is_open(_call(cut_off=CutOff.COUNT, cut_off_count=2, receipts=2, withdrawn=1), START)
    full = _call(cut_off=CutOff.COUNT, cut_off_count=2, receipts=2)
    assert not service.is_open(full, START)
    assert service.takes_corrections(full, START)
    assert not service.takes_corrections(full, full.closes_at)


def test_countdown_in_whole_seconds() -> None:
    assert service.seconds_left(_call(), START + timedelta(milliseconds=100)) == 3599
    assert service.seconds_left(_call(), START + timedelta(hours=1)) is None


def test_a_proposal_takes_the_first_track_that_it_fits(office: Office, operator: Actor, pool: Pool) -> None:
    call = draft(office, operator, pool)
    sizes = {1: "small", 5_000: "small", 5_001: "middle", 50_000: "middle", 50_001: "large", 10**9: "large"}
    assert {size: service.track_of(call, size).key for size in sizes} == sizes


def test_typed_parts_come_back_as_written(office: Office, operator: Actor, pool: Pool) -> None:
    call = draft(office, operator, pool, constraints={"per_organisation_yen": 5, "shares": [
        {"by": "theme", "value": "robots", "at_least": 0.25}]})  # fmt: skip
    with office.work(operator, read_only=True) as work:
        read = service.get_call(work, call.id)
        assert service.offered_pools(work, call.id) == {pool.id: 8}
    assert [criterion.key for criterion in service.rubric_of(read)] == ["performance", "openness"]
    assert [anchor.score for anchor in service.rubric_of(read)[0].anchors] == [1, 5]
    assert service.constraints_of(read).per_organisation_yen == 5
    assert service.constraints_of(read).shares[0].at_least == 0.25
    assert [theme.key for theme in service.themes_of(read)] == ["language", "robots"]


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({}, False),
        ({"base_model": None}, False),
        ({"base_model": {"name": "x"}}, False),
        ({"base_model": {"name": "x", "is_foreign": True}}, True),
    ],
)
def test_a_foreign_base_model_is_asked_for_its_reason(
    office: Office, operator: Actor, pool: Pool, body: dict[str, Any], asked: bool
) -> None:
    call = draft(office, operator, pool)
    questions = service.questions_for(call, ProposalBody.model_validate(body))
    assert questions == ((FOREIGN_MODEL_REASON,) if asked else ())


def _question(**given: Any) -> dict[str, Any]:
    return {"key": "q", "label_ja": "問", "label_en": "Question"} | given


@pytest.mark.parametrize(
    ("path", "equals", "body", "asked"),
    [
        ("theme", "robots", {"theme": "robots"}, True),
        ("theme", "robots", {"theme": "language"}, False),
        ("openness.weights", False, {}, True),
        ("answers.other", "yes", {"answers": {"other": "yes"}}, True),
        ("answers.other", "yes", {}, False),
        # A tick is not the number one.
        ("answers.other", 1, {"answers": {"other": True}}, False),
        ("answers.other", True, {"answers": {"other": 1}}, False),
        ("training.seq_len_tokens", 4096, {}, True),
    ],
)
def test_when_a_question_is_asked(path: str, equals: Any, body: dict[str, Any], asked: bool) -> None:
    call = Call(questions=[_question(when={"path": path, "equals": equals})])
    assert bool(service.questions_for(call, ProposalBody.model_validate(body))) is asked


def test_a_question_without_condition_is_always_asked() -> None:
    assert len(service.questions_for(Call(questions=[_question()]), ProposalBody())) == 1
