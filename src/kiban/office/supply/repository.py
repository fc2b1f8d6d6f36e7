from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office import months as calendar
from kiban.office.awards.models import Award, Decision, DecisionStatus
from kiban.office.calls.models import Call, CallPool, CallStatus
from kiban.office.errors import Conflict
from kiban.office.grants.models import Grant
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.supply.models import Lot, LotStatus, Pool, Provider, Survey, SurveyAnswer
from kiban.office.supply.policy import public_pools, visible_answers, visible_pools, visible_surveys
from kiban.office.usage.models import UsageRecord
from kiban.office.work import Actor

TAKEN = (DecisionStatus.APPROVED, DecisionStatus.ANNOUNCED)
POOL_SORTS: Sorts = {
    "name": Pool.name,
    "accelerator": Pool.accelerator,
    "site": Pool.site,
    "area": Pool.area,
    "price_yen_per_gpu_hour": Pool.price_yen_per_gpu_hour,
}
PROVIDER_SORTS: Sorts = {"name_ja": Provider.name_ja, "name_en": Provider.name_en}
SURVEY_SORTS: Sorts = {"opens_at": Survey.opens_at, "closes_at": Survey.closes_at}
ANSWER_SORTS: Sorts = {
    "accelerator": SurveyAnswer.accelerator,
    "gpus": SurveyAnswer.gpus,
    "start_month": SurveyAnswer.start_month,
    "months": SurveyAnswer.months,
    "answered_at": SurveyAnswer.answered_at,
}


def find_provider(session: Session, provider_id: uuid.UUID, *, lock: bool = False) -> Provider | None:
    statement = sa.select(Provider).where(Provider.id == provider_id)
    return session.scalar(statement.with_for_update() if lock else statement)


def providers(session: Session, request: PageRequest) -> Page[Provider]:
    return read_page(session, sa.select(Provider), Provider.id, request, sorts=PROVIDER_SORTS)


def find_pool(session: Session, actor: Actor, pool_id: uuid.UUID, *, lock: bool = False) -> Pool | None:
    statement = sa.select(Pool).where(Pool.id == pool_id, visible_pools(actor))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session.scalar(statement)


def pools(session: Session, actor: Actor, request: PageRequest) -> Page[Pool]:
    return read_page(session, sa.select(Pool).where(visible_pools(actor)), Pool.id, request, sorts=POOL_SORTS)


def pools_by_id(session: Session, actor: Actor, pool_ids: Sequence[uuid.UUID]) -> list[Pool]:
    return list(session.scalars(sa.select(Pool).where(Pool.id.in_(pool_ids), visible_pools(actor))))


def every_pool(session: Session, actor: Actor) -> list[Pool]:
    return list(session.scalars(sa.select(Pool).where(visible_pools(actor)).order_by(Pool.name)))


def pools_and_providers(
    session: Session, actor: Actor, pool_id: uuid.UUID | None = None
) -> list[tuple[Pool, Provider]]:
    """What the actor sees, and what everybody does, by name."""
    statement = sa.select(Pool, Provider).join(Provider, Provider.id == Pool.provider_id).order_by(Pool.name)
    statement = statement.where(sa.or_(visible_pools(actor), public_pools()))
    if pool_id is not None:
        statement = statement.where(Pool.id == pool_id)
    return [(pool, provider) for pool, provider in session.execute(statement)]


def every_pool_of_the_programme(session: Session) -> list[Pool]:
    """For figures over the programme; whoever asks has been checked to be allowed them."""
    return list(session.scalars(sa.select(Pool).order_by(Pool.name)))


def find_lot(session: Session, lot_id: uuid.UUID) -> Lot | None:
    """The lot, held against changes by others."""
    statement = sa.select(Lot).where(Lot.id == lot_id).with_for_update()
    return session.scalar(statement.execution_options(populate_existing=True))


def lots(session: Session, pool_ids: Sequence[uuid.UUID]) -> list[Lot]:
    statement = sa.select(Lot).where(Lot.pool_id.in_(pool_ids)).order_by(Lot.delivery_on, Lot.id)
    return list(session.scalars(statement))


def lots_between(session: Session, actor: Actor, first: date, last: date) -> list[tuple[Lot, Pool]]:
    """Lots, not cancelled ones, that come or go on a day from `first` to `last`."""
    statement = (
        sa.select(Lot, Pool)
        .join(Pool, Pool.id == Lot.pool_id)
        .where(visible_pools(actor), Lot.status != LotStatus.CANCELLED)
        .where(sa.or_(Lot.delivery_on.between(first, last), Lot.ends_on.between(first, last)))
    )
    return [(lot, pool) for lot, pool in session.execute(statement)]


@dataclass(frozen=True)
class Commitment:
    """GPUs of a pool that an award or a grant holds, from a day up to and not including another."""

    pool_id: uuid.UUID
    gpus: int
    starts_on: date
    ends_on: date


def commitments(session: Session, pool_ids: Sequence[uuid.UUID]) -> list[Commitment]:
    """What approved awards hold; where a grant came of one, what the grant holds, extended, moved or closed."""
    statement = (
        sa.select(Award, Grant)
        .join(Decision, Decision.id == Award.decision_id)
        .outerjoin(Grant, Grant.award_id == Award.id)
        .where(Decision.status.in_(TAKEN))
        .where(sa.func.coalesce(Grant.pool_id, Award.pool_id).in_(pool_ids))
    )
    found = []
    for award, held in session.execute(statement):
        grant: Grant | None = held  # the outer join's other side
        if grant is None:
            starts_on = calendar.first_day(award.start_month)
            ends_on = calendar.first_day(calendar.add(award.start_month, award.months))
            found.append(Commitment(award.pool_id, award.gpus, starts_on, ends_on))
        else:
            closed_on = calendar.day_of(grant.closed_at) if grant.closed_at else date.max
            found.append(Commitment(grant.pool_id, grant.gpus, grant.starts_on, min(grant.ends_on, closed_on)))
    return found


@dataclass(frozen=True)
class Offer:
    """GPUs of a pool that a call may award at any time of its months."""

    pool_id: uuid.UUID
    gpus: int
    first_month: str
    months: int


def offers(session: Session, pool_ids: Sequence[uuid.UUID], but: uuid.UUID | None = None) -> list[Offer]:
    """What published calls offer whose awards are not approved yet, except the call `but`."""
    decided = sa.exists().where(Decision.call_id == Call.id, Decision.status.in_(TAKEN))
    statement = (
        sa.select(CallPool.pool_id, CallPool.gpus, Call.first_month, Call.months)
        .join(Call, Call.id == CallPool.call_id)
        .where(CallPool.pool_id.in_(pool_ids), ~decided)
        .where(Call.status.in_([CallStatus.PUBLISHED, CallStatus.REVIEWING]))
    )
    if but is not None:
        statement = statement.where(Call.id != but)
    return [Offer(*row) for row in session.execute(statement)]


def lock_pools(session: Session, pool_ids: Sequence[uuid.UUID]) -> None:
    """Hold pools, in one order, while something of them is promised."""
    session.execute(sa.select(Pool.id).where(Pool.id.in_(pool_ids)).order_by(Pool.id).with_for_update())


def find_survey(session: Session, actor: Actor, survey_id: uuid.UUID, now: datetime, *, lock: bool) -> Survey | None:
    statement = sa.select(Survey).where(Survey.id == survey_id, visible_surveys(actor, now))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session.scalar(statement)


def surveys(session: Session, actor: Actor, now: datetime, request: PageRequest) -> Page[Survey]:
    statement = sa.select(Survey).where(visible_surveys(actor, now))
    return read_page(session, statement, Survey.id, request, newest_first=True, sorts=SURVEY_SORTS)


def answers(session: Session, actor: Actor, survey_id: uuid.UUID, request: PageRequest) -> Page[SurveyAnswer]:
    statement = sa.select(SurveyAnswer).where(SurveyAnswer.survey_id == survey_id, visible_answers(actor))
    return read_page(session, statement, SurveyAnswer.id, request, sorts=ANSWER_SORTS)


def every_answer(session: Session, survey_id: uuid.UUID) -> list[SurveyAnswer]:
    """For sums alone; who may see them is decided on the sums."""
    return list(session.scalars(sa.select(SurveyAnswer).where(SurveyAnswer.survey_id == survey_id)))


def find_answer(
    session: Session, survey_id: uuid.UUID, organisation_id: uuid.UUID, accelerator: str
) -> SurveyAnswer | None:
    return session.scalar(
        sa.select(SurveyAnswer).where(
            SurveyAnswer.survey_id == survey_id,
            SurveyAnswer.organisation_id == organisation_id,
            SurveyAnswer.accelerator == accelerator,
        )
    )


@dataclass(frozen=True)
class Use:
    """GPU-seconds of one job, or of several within one month, between two instants."""

    pool_id: uuid.UUID
    started_at: datetime
    ended_at: datetime
    gpu_seconds: int


def use(session: Session, pool_ids: Sequence[uuid.UUID], months: Sequence[str]) -> list[Use]:
    """What jobs used of the pools: one sum per pool and month, and each job that ran over a month's end by itself.

    Args:
        months: one after another.
    """
    starts = [calendar.starts_at(month) for month in [*months, calendar.add(months[-1], 1)]]
    ended_at = sa.func.coalesce(UsageRecord.ended_at, UsageRecord.last_read_at, type_=UsageRecord.started_at.type)
    began_in, ended_in = (
        sa.case(*((when < start, n) for n, start in enumerate(starts)), else_=len(starts))
        for when in (UsageRecord.started_at, ended_at)
    )
    relevant = (
        UsageRecord.pool_id.in_(pool_ids),
        UsageRecord.gpu_seconds > 0,
        UsageRecord.started_at < starts[-1],
        ended_at >= starts[0],
    )
    whole = (
        sa.select(UsageRecord.pool_id, began_in, sa.func.sum(UsageRecord.gpu_seconds))
        .where(*relevant, began_in == ended_in)
        .group_by(UsageRecord.pool_id, sa.text("2"))
    )
    over_the_end = sa.select(UsageRecord.pool_id, UsageRecord.started_at, ended_at, UsageRecord.gpu_seconds).where(
        *relevant, began_in != ended_in
    )
    found = [Use(pool, starts[n - 1], starts[n], int(total)) for pool, n, total in session.execute(whole) if pool]
    found += [Use(pool, start, end, seconds) for pool, start, end, seconds in session.execute(over_the_end) if pool]
    return found


def pool_name_is_taken(session: Session, name: str) -> bool:
    return session.scalar(sa.select(Pool.id).where(Pool.name == name)) is not None


def add_pool(session: Session, pool: Pool) -> None:
    """Raises: Conflict: another pool took the name at the same time."""
    session.add(pool)
    try:
        session.flush()
    except sa.exc.IntegrityError as error:
        raise Conflict("there is a pool of this name already", where="name") from error


def save_answer(session: Session, answer: SurveyAnswer) -> None:
    session.add(answer)
    session.flush()


def remove_answer(session: Session, answer: SurveyAnswer) -> None:
    session.delete(answer)
    session.flush()
