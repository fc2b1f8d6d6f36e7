"""The supply of accelerators: providers, pools, lots, demand surveys, and whether there is enough and it is used."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from kiban.office import months as calendar
from kiban.office.calls.schemas import Month
from kiban.office.supply import balance, demand, procurement, service
from kiban.office.supply.schemas import (
    AnswerIn,
    AnswerOut,
    CalendarEntry,
    Demand,
    LotChange,
    LotIn,
    LotOut,
    MonthGpus,
    PoolChange,
    PoolIn,
    PoolOut,
    PoolUtilisation,
    ProviderIn,
    ProviderOut,
    Shortfall,
    SurveyIn,
    SurveyOut,
    Why,
)
from kiban.portal.api.dependencies import Page, PageQuery, Reading, Writing

router = APIRouter(prefix="/supply", tags=["supply"])

First = Annotated[Month, Query(description="first month, YYYY-MM", examples=["2026-09"])]
Count = Annotated[int, Query(ge=1, le=balance.MOST_MONTHS, description="how many months")]


@router.get("/providers", summary="Providers")
def list_providers(work: Reading, page: PageQuery) -> Page[ProviderOut]:
    """For every signed-in person; contacts only for operators and auditors."""
    rows = procurement.list_providers(work, page)
    return Page(items=[procurement.show_provider(work, row) for row in rows.items], next_cursor=rows.next_cursor)


@router.post("/providers", status_code=201, summary="Add a provider")
def create_provider(work: Writing, given: ProviderIn) -> ProviderOut:
    """Add a provider of accelerators."""
    return procurement.show_provider(work, procurement.create_provider(work, given))


@router.put("/providers/{provider_id}", summary="Replace a provider's entry")
def update_provider(work: Writing, provider_id: uuid.UUID, given: ProviderIn) -> ProviderOut:
    """Replace names, contact and address."""
    return procurement.show_provider(work, procurement.update_provider(work, provider_id, given))


@router.post("/providers/{provider_id}/close", summary="No new pools from a provider")
def close_provider(work: Writing, provider_id: uuid.UUID) -> ProviderOut:
    """The pools that there are go on."""
    return procurement.show_provider(work, procurement.close_provider(work, provider_id))


@router.get("/pools", summary="Pools")
def list_pools(work: Reading, page: PageQuery) -> Page[PoolOut]:
    """Those that published calls offer; all of them for operators and auditors."""
    return Page.of(service.list_pools(work, page), PoolOut)


@router.post("/pools", status_code=201, summary="Add a pool")
def create_pool(work: Writing, given: PoolIn) -> PoolOut:
    """Add a pool at a price in yen, or one quoted in foreign money with the rate's day and source."""
    return PoolOut.model_validate(procurement.create_pool(work, given))


@router.get("/pools/{pool_id}", summary="One pool")
def get_pool(work: Reading, pool_id: uuid.UUID) -> PoolOut:
    """A pool with its price and what the price was computed from."""
    return PoolOut.model_validate(service.get_pool(work, pool_id))


@router.patch("/pools/{pool_id}", summary="Change a pool")
def change_pool(work: Writing, pool_id: uuid.UUID, given: PoolChange) -> PoolOut:
    """Site, area, PUE, names on the cluster; another price or accelerator is another pool."""
    return PoolOut.model_validate(procurement.change_pool(work, pool_id, given))


@router.post("/pools/{pool_id}/close", summary="Offer a pool no more")
def close_pool(work: Writing, pool_id: uuid.UUID, given: Why) -> PoolOut:
    """Awards from the pool go on."""
    return PoolOut.model_validate(procurement.close_pool(work, pool_id, given.reason))


@router.get("/pools/{pool_id}/capacity", summary="GPUs of a pool by month")
def get_capacity(work: Reading, pool_id: uuid.UUID, first: First, months: Count = 12) -> list[MonthGpus]:
    """GPUs that are contracted or delivered and there for the whole of each month."""
    there = service.capacity(work, pool_id, calendar.month_range(first, months))
    return [MonthGpus(month=month, gpus=gpus) for month, gpus in there.items()]


@router.get("/pools/{pool_id}/lots", summary="Lots of a pool")
def list_lots(work: Reading, pool_id: uuid.UUID) -> list[LotOut]:
    """By delivery; what they cost only for operators and auditors."""
    return procurement.list_lots(work, pool_id)


@router.post("/pools/{pool_id}/lots", status_code=201, summary="Add a lot")
def create_lot(work: Writing, pool_id: uuid.UUID, given: LotIn) -> LotOut:
    """GPUs that are planned, contracted or delivered together."""
    return procurement.show_lot(work, procurement.create_lot(work, pool_id, given))


@router.patch("/lots/{lot_id}", summary="Record what became of a lot")
def change_lot(work: Writing, lot_id: uuid.UUID, given: LotChange) -> LotOut:
    """Contracted, delivered, late, cancelled, ending on another day; with the reason."""
    return procurement.show_lot(work, procurement.change_lot(work, lot_id, given))


@router.get("/calendar", summary="Procurement calendar")
def get_calendar(work: Reading, first: date, last: date) -> list[CalendarEntry]:
    """Deliveries and ends of lots from `first` to `last`, late deliveries marked."""
    return procurement.procurement_calendar(work, first, last)


@router.get("/shortfall", summary="Whether there is enough")
def get_shortfall(work: Reading, first: First, months: Count = 12, survey_id: uuid.UUID | None = None) -> Shortfall:
    """Capacity, awards, offers and a survey's demand by month; for operators and auditors."""
    return balance.shortfall(work, first, months, survey_id)


@router.get("/utilisation", summary="Whether it is used")
def get_utilisation(work: Reading, first: First, months: Count = 12) -> list[PoolUtilisation]:
    """Used of delivered GPU-seconds by pool and month; for operators, auditors and observers."""
    return balance.utilisation(work, first, months)


@router.get("/surveys", summary="Demand surveys, newest first")
def list_surveys(work: Reading, page: PageQuery) -> Page[SurveyOut]:
    """Those that have opened; all of them for operators and auditors."""
    rows = demand.list_surveys(work, page)
    return Page(items=[demand.show_survey(work, row) for row in rows.items], next_cursor=rows.next_cursor)


@router.post("/surveys", status_code=201, summary="Add a demand survey")
def create_survey(work: Writing, given: SurveyIn) -> SurveyOut:
    """It takes answers from `opens_at` until before `closes_at`."""
    return demand.show_survey(work, demand.create_survey(work, given))


@router.get("/surveys/{survey_id}", summary="One survey")
def get_survey(work: Reading, survey_id: uuid.UUID) -> SurveyOut:
    """A survey and whether it takes answers."""
    return demand.show_survey(work, demand.get_survey(work, survey_id))


@router.post("/surveys/{survey_id}/close", summary="Close a survey early")
def close_survey(work: Writing, survey_id: uuid.UUID, given: Why) -> SurveyOut:
    """Take no more answers."""
    return demand.show_survey(work, demand.close_survey(work, survey_id, given.reason))


@router.get("/surveys/{survey_id}/answers", summary="Answers to a survey")
def list_answers(work: Reading, survey_id: uuid.UUID, page: PageQuery) -> Page[AnswerOut]:
    """One's own organisation's; all of them for operators and auditors."""
    return Page.of(demand.list_answers(work, survey_id, page), AnswerOut)


@router.post("/surveys/{survey_id}/answers", status_code=201, summary="Answer a survey")
def answer_survey(work: Writing, survey_id: uuid.UUID, given: AnswerIn) -> AnswerOut:
    """One's organisation's answer for one kind of accelerator; it takes the place of an earlier one."""
    return AnswerOut.model_validate(demand.answer_survey(work, survey_id, given))


@router.delete("/surveys/{survey_id}/answers/{accelerator}", status_code=204, summary="Take an answer back")
def withdraw_answer(work: Writing, survey_id: uuid.UUID, accelerator: str) -> None:
    """One's organisation's answer for one kind of accelerator, while the survey is open."""
    demand.withdraw_answer(work, survey_id, accelerator)


@router.get("/surveys/{survey_id}/demand", summary="A survey's answers added up")
def get_demand(work: Reading, survey_id: uuid.UUID) -> Demand:
    """By month, accelerator and preferred provider; observers see sums over at least 3 organisations."""
    return demand.demand(work, survey_id)
