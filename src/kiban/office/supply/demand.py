"""The demand survey before a call: how much, when, from whom, and could you buy it yourselves?

Each organisation gives one answer for each kind of accelerator, by its applicants, who may change it until the survey
closes.
"""

from __future__ import annotations

import uuid
from collections import defaultdict

from kiban.office import months as calendar
from kiban.office.audit.service import record
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.paging import Page, PageRequest
from kiban.office.supply import repository
from kiban.office.supply.models import Survey, SurveyAnswer
from kiban.office.supply.policy import FEWEST_ORGANISATIONS
from kiban.office.supply.procurement import accelerator_name
from kiban.office.supply.schemas import AnswerIn, Demand, DemandCell, SurveyIn, SurveyOut
from kiban.office.work import Role, Work


def create_survey(work: Work, given: SurveyIn) -> Survey:
    """Raises: Invalid: it would be closed already."""
    work.require(Role.OPERATOR)
    if given.closes_at <= work.now:
        raise Invalid("`closes_at` has passed", where="closes_at")
    survey = Survey(id=work.new_id(), created_at=work.now, **given.model_dump())
    work.session.add(survey)
    record(work, "supply.survey_created", "survey", survey.id, title=given.title_en)
    return survey


def close_survey(work: Work, survey_id: uuid.UUID, reason: str) -> Survey:
    """Close a survey now, before its time; one that has not opened never opens.

    Raises:
        NotFound: no such survey.
        Conflict: it is closed.
    """
    work.require(Role.OPERATOR)
    survey = _survey(work, survey_id, lock=True)
    if work.now >= survey.closes_at:
        raise Conflict("the survey is closed")
    survey.closes_at = work.now
    record(work, "supply.survey_closed", "survey", survey.id, reason=reason)
    return survey


def get_survey(work: Work, survey_id: uuid.UUID) -> Survey:
    """Raises: NotFound: no such survey, or one that has not opened to this person."""
    return _survey(work, survey_id, lock=False)


def list_surveys(work: Work, page: PageRequest) -> Page[Survey]:
    """Newest first."""
    return repository.surveys(work.session, work.actor, work.now, page)


def show_survey(work: Work, survey: Survey) -> SurveyOut:
    return SurveyOut(
        id=survey.id,
        title_ja=survey.title_ja,
        title_en=survey.title_en,
        opens_at=survey.opens_at,
        closes_at=survey.closes_at,
        is_open=survey.opens_at <= work.now < survey.closes_at,
    )


def answer_survey(work: Work, survey_id: uuid.UUID, given: AnswerIn) -> SurveyAnswer:
    """Give the actor's organisation's answer for one kind of accelerator; it takes the place of an earlier one.

    Raises:
        NotFound: no such survey or provider.
        Conflict: the survey is not open.
        Forbidden: the actor is no applicant, or belongs to no organisation.
        Invalid: an unknown accelerator.
    """
    person_id, organisation_id = _member(work)
    survey = _open_survey(work, survey_id)
    accelerator = accelerator_name(given.accelerator)
    provider_id = given.preferred_provider_id
    if provider_id is not None and repository.find_provider(work.session, provider_id) is None:
        raise NotFound("there is no such provider", where="preferred_provider_id")
    answer = repository.find_answer(work.session, survey.id, organisation_id, accelerator)
    if answer is None:
        answer = SurveyAnswer(id=work.new_id(), survey_id=survey.id, organisation_id=organisation_id)
    for key, value in given.model_dump().items():
        setattr(answer, key, value)
    answer.accelerator, answer.answered_by, answer.answered_at = accelerator, person_id, work.now
    repository.save_answer(work.session, answer)
    return answer


def withdraw_answer(work: Work, survey_id: uuid.UUID, accelerator: str) -> AnswerIn:
    """Take the organisation's answer for one kind of accelerator back, and tell what it was.

    Raises:
        NotFound: no such survey, or no such answer of the actor's organisation.
        Conflict: the survey is not open.
        Forbidden: as `answer_survey`.
    """
    _, organisation_id = _member(work)
    survey = _open_survey(work, survey_id)
    answer = repository.find_answer(work.session, survey.id, organisation_id, accelerator_name(accelerator))
    if answer is None:
        raise NotFound("your organisation gave no such answer", where="accelerator")
    was = AnswerIn.model_validate(answer, from_attributes=True)
    repository.remove_answer(work.session, answer)
    return was


def list_answers(work: Work, survey_id: uuid.UUID, page: PageRequest) -> Page[SurveyAnswer]:
    """The answers that the actor may read: their organisation's own, or every one for operators and auditors.

    Raises:
        NotFound: no such survey, or one that has not opened to this person.
    """
    return repository.answers(work.session, work.actor, get_survey(work, survey_id).id, page)


def demand(work: Work, survey_id: uuid.UUID) -> Demand:
    """The answers added up by month, accelerator and preferred provider.

    Observers see sums over at least 3 organisations only. There are no totals over cells, from which a withheld cell
    could be had by subtraction.

    Raises:
        NotFound: no such survey, or one that has not opened to this person.
        Forbidden: the actor is neither operator, auditor nor observer.
    """
    survey = get_survey(work, survey_id)
    work.require(Role.OPERATOR, Role.AUDITOR, Role.OBSERVER)
    groups: defaultdict[tuple[str, str, uuid.UUID | None], list[SurveyAnswer]] = defaultdict(list)
    for answer in repository.every_answer(work.session, survey.id):
        for month in calendar.month_range(answer.start_month, answer.months):
            groups[month, answer.accelerator, answer.preferred_provider_id].append(answer)
    whole = work.actor.sees_everything
    shown = {key: group for key, group in groups.items() if whole or len(group) >= FEWEST_ORGANISATIONS}
    cells = [
        _cell(month, accelerator, provider_id, shown[month, accelerator, provider_id], whole)
        for month, accelerator, provider_id in sorted(shown, key=str)
    ]
    return Demand(survey_id=survey.id, cells=tuple(cells), withheld_cells=len(groups) - len(shown))


def _cell(
    month: str, accelerator: str, provider_id: uuid.UUID | None, group: list[SurveyAnswer], whole: bool
) -> DemandCell:
    # One organisation answers once for an accelerator: answers in a cell are organisations.
    could = [answer.gpus for answer in group if answer.can_procure_itself]
    known = whole or min(len(could), len(group) - len(could)) >= FEWEST_ORGANISATIONS
    return DemandCell(
        month=month,
        accelerator=accelerator,
        preferred_provider_id=provider_id,
        organisations=len(group),
        gpus=sum(answer.gpus for answer in group),
        organisations_that_could_procure=len(could) if known else None,
        gpus_that_could_be_procured=sum(could) if known else None,
    )


def _member(work: Work) -> tuple[uuid.UUID, uuid.UUID]:
    """Who acts, and for which organisation: the same people speak for it here who apply for it."""
    person_id = work.person_id
    work.require(Role.APPLICANT)
    if work.actor.organisation_id is None:
        raise Forbidden("only organisations answer a survey", hint="join yours first")
    return person_id, work.actor.organisation_id


def _survey(work: Work, survey_id: uuid.UUID, *, lock: bool) -> Survey:
    survey = repository.find_survey(work.session, work.actor, survey_id, work.now, lock=lock)
    if survey is None:
        raise NotFound("there is no such survey", where="survey_id")
    return survey


def _open_survey(work: Work, survey_id: uuid.UUID) -> Survey:
    """The survey, locked: nobody closes it, and no colleague answers, at the same time."""
    survey = _survey(work, survey_id, lock=True)
    if not survey.opens_at <= work.now < survey.closes_at:
        raise Conflict("the survey is not open", where="survey_id")
    return survey
