from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.supply import demand
from kiban.office.supply.models import Provider, Survey, SurveyAnswer
from kiban.office.supply.schemas import AnswerIn, SurveyIn
from kiban.office.work import ANONYMOUS, Actor, Role

from ..conftest import START, Rows, TestClock


@pytest.fixture
def survey(office: Office, operator: Actor) -> Survey:
    """Open for ten days from tomorrow."""
    with office.work(operator) as work:
        given = SurveyIn(title_ja="需要調査", title_en="Survey", opens_at=START + timedelta(days=1),
                         closes_at=START + timedelta(days=11))  # fmt: skip
        return demand.create_survey(work, given)


@pytest.fixture
def opened(survey: Survey, clock: TestClock) -> Survey:
    clock.forward(days=2)
    return survey


def answer(office: Office, actor: Actor, survey: Survey, **given: Any) -> SurveyAnswer:
    values: dict[str, Any] = {
        "accelerator": "H100",
        "gpus": 64,
        "start_month": "2026-09",
        "months": 2,
        "can_procure_itself": False,
        "purpose": "日本語モデル",
    }
    with office.work(actor) as work:
        return demand.answer_survey(work, survey.id, AnswerIn.model_validate(values | given))


def applicant(rows: Rows) -> Actor:
    return rows.actor(Role.APPLICANT, organisation=rows.organisation())


def seen(office: Office, actor: Actor, survey: Survey) -> list[tuple[str, int]]:
    with office.work(actor, read_only=True) as work:
        return [(each.accelerator, each.gpus) for each in demand.list_answers(work, survey.id, PageRequest()).items]


def test_a_survey_is_seen_once_it_opens(office: Office, rows: Rows, survey: Survey, clock: TestClock) -> None:
    actor = rows.actor(Role.APPLICANT)
    for look, sees in ((actor, False), (rows.actor(Role.AUDITOR), True), (ANONYMOUS, False)):
        with office.work(look, read_only=True) as work:
            assert bool(demand.list_surveys(work, PageRequest()).items) is sees
    clock.now = survey.opens_at
    with office.work(actor, read_only=True) as work:
        assert demand.show_survey(work, demand.get_survey(work, survey.id)).is_open
    with office.work(ANONYMOUS, read_only=True) as work, pytest.raises(NotFound):
        demand.get_survey(work, survey.id)


def test_answers_are_taken_until_just_before_the_close(
    office: Office, rows: Rows, operator: Actor, survey: Survey, clock: TestClock
) -> None:
    actor = applicant(rows)
    with pytest.raises(NotFound):
        answer(office, actor, survey)
    clock.now = survey.closes_at - timedelta(microseconds=1)
    answer(office, actor, survey)
    clock.now = survey.closes_at
    with pytest.raises(Conflict, match="not open"):
        answer(office, actor, survey, gpus=1)
    with office.work(actor) as work, pytest.raises(Conflict, match="not open"):
        demand.withdraw_answer(work, survey.id, "H100")
    assert seen(office, operator, survey) == [("H100", 64)]


def test_a_later_answer_takes_the_earlier_ones_place(
    office: Office, rows: Rows, operator: Actor, opened: Survey
) -> None:
    organisation = rows.organisation()
    first, colleague = (rows.actor(Role.APPLICANT, organisation=organisation) for _ in range(2))
    answer(office, first, opened)
    replaced = answer(office, colleague, opened, accelerator="nvidia h100", gpus=8, purpose="見直し")
    answer(office, first, opened, accelerator="H200", gpus=2)
    assert sorted(seen(office, operator, opened)) == [("H100", 8), ("H200", 2)]
    assert (replaced.answered_by, replaced.purpose) == (colleague.person_id, "見直し")
    with office.work(colleague) as work:
        demand.withdraw_answer(work, opened.id, "H200")
        with pytest.raises(NotFound):
            demand.withdraw_answer(work, opened.id, "H200")
    assert seen(office, operator, opened) == [("H100", 8)]


def test_colleagues_who_answer_at_once_leave_one_answer(
    office: Office, rows: Rows, operator: Actor, opened: Survey
) -> None:
    organisation = rows.organisation()
    actors = [rows.actor(Role.APPLICANT, organisation=organisation) for _ in range(6)]
    start, failed = threading.Barrier(len(actors)), []

    def give(actor: Actor, gpus: int) -> None:
        start.wait()
        try:
            answer(office, actor, opened, gpus=gpus)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=give, args=(actor, n + 1)) for n, actor in enumerate(actors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(seen(office, operator, opened)) == 1


def test_answers_are_the_organisations_own(office: Office, rows: Rows, opened: Survey) -> None:
    mine, theirs = applicant(rows), applicant(rows)
    answer(office, mine, opened, gpus=1)
    answer(office, theirs, opened, gpus=2)
    assert seen(office, mine, opened) == [("H100", 1)]
    assert seen(office, theirs, opened) == [("H100", 2)]
    assert len(seen(office, rows.actor(Role.AUDITOR), opened)) == 2
    for role in (Role.OBSERVER, Role.PANEL, Role.REVIEWER):
        assert seen(office, rows.actor(role), opened) == []
    with office.work(theirs) as work:
        demand.withdraw_answer(work, opened.id, "H100")  # takes back one's own, not the other's
    assert seen(office, mine, opened) == [("H100", 1)]


def test_an_organisation_s_applicants_speak_for_it(office: Office, rows: Rows, operator: Actor, opened: Survey) -> None:
    organisation = rows.organisation()
    answer(office, rows.actor(Role.APPLICANT, organisation=organisation), opened)
    for roles in ((), (Role.REVIEWER,), (Role.PANEL, Role.OBSERVER)):
        colleague = rows.actor(*roles, organisation=organisation)
        with pytest.raises(Forbidden, match="applicant"):
            answer(office, colleague, opened, gpus=1)
        with office.work(colleague) as work, pytest.raises(Forbidden, match="applicant"):
            demand.withdraw_answer(work, opened.id, "H100")
        assert seen(office, colleague, opened) == []
    assert seen(office, operator, opened) == [("H100", 64)]


def test_what_an_answer_needs(office: Office, rows: Rows, opened: Survey, provider: Provider) -> None:
    with pytest.raises(Forbidden, match="organisations"):
        answer(office, rows.actor(Role.APPLICANT), opened)
    with pytest.raises(Unauthenticated):
        answer(office, ANONYMOUS, opened)
    actor = applicant(rows)
    with pytest.raises(Invalid, match="H1000"):
        answer(office, actor, opened, accelerator="H1000")
    with pytest.raises(NotFound, match="provider"):
        answer(office, actor, opened, preferred_provider_id=opened.id)
    assert answer(office, actor, opened, preferred_provider_id=provider.id).preferred_provider_id == provider.id


def test_a_survey_is_closed_early_once(office: Office, rows: Rows, operator: Actor, opened: Survey) -> None:
    with office.work(rows.actor(Role.AUDITOR)) as work, pytest.raises(Forbidden):
        demand.close_survey(work, opened.id, "x")
    with office.work(operator) as work:
        assert not demand.show_survey(work, demand.close_survey(work, opened.id, "十分")).is_open
    with office.work(operator) as work, pytest.raises(Conflict):
        demand.close_survey(work, opened.id, "x")
    with pytest.raises(Conflict):
        answer(office, applicant(rows), opened)
    with office.work(operator) as work, pytest.raises(Invalid, match="passed"):
        demand.create_survey(work, SurveyIn(title_ja="a", title_en="a", opens_at=START, closes_at=work.now))


def test_demand_by_month_accelerator_and_provider(
    office: Office, rows: Rows, operator: Actor, opened: Survey, provider: Provider
) -> None:
    answer(office, applicant(rows), opened, gpus=10, months=2)
    answer(office, applicant(rows), opened, gpus=5, start_month="2026-10", months=1, can_procure_itself=True)
    answer(office, applicant(rows), opened, gpus=3, months=1, preferred_provider_id=provider.id)
    with office.work(operator, read_only=True) as work:
        cells = demand.demand(work, opened.id).cells
    found = {(cell.month, cell.preferred_provider_id): cell for cell in cells}
    assert {key: (cell.organisations, cell.gpus) for key, cell in found.items()} == {
        ("2026-09", None): (1, 10),
        ("2026-09", provider.id): (1, 3),
        ("2026-10", None): (2, 15),
    }
    october = found["2026-10", None]
    assert (october.organisations_that_could_procure, october.gpus_that_could_be_procured) == (1, 5)


def test_observers_see_sums_over_three_organisations_alone(office: Office, rows: Rows, opened: Survey) -> None:
    for _ in range(2):
        answer(office, applicant(rows), opened, gpus=10, months=2)
    answer(office, applicant(rows), opened, gpus=7, months=1, can_procure_itself=True)
    with office.work(rows.actor(Role.OBSERVER), read_only=True) as work:
        found = demand.demand(work, opened.id)
    [cell] = found.cells
    assert (cell.month, cell.organisations, cell.gpus) == ("2026-09", 3, 27)
    # One of three could: which one is not hard to guess.
    assert (cell.organisations_that_could_procure, cell.gpus_that_could_be_procured) == (None, None)
    assert found.withheld_cells == 1
    for role in (Role.APPLICANT, Role.REVIEWER, Role.PANEL):
        with office.work(rows.actor(role), read_only=True) as work, pytest.raises(Forbidden):
            demand.demand(work, opened.id)


def test_who_could_procure_is_told_where_both_groups_are_large_enough(
    office: Office, rows: Rows, opened: Survey
) -> None:
    for n in range(6):
        answer(office, applicant(rows), opened, gpus=n + 1, months=1, can_procure_itself=n < 3)
    with office.work(rows.actor(Role.OBSERVER), read_only=True) as work:
        [cell] = demand.demand(work, opened.id).cells
    assert (cell.organisations_that_could_procure, cell.gpus_that_could_be_procured) == (3, 6)
