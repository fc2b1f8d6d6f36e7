"""What a supply of accelerators is made of, in and out. Prices in foreign money are decimals, yen are whole."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from kiban.office.calls.schemas import Month, Name, Yen
from kiban.office.schemas import Schema
from kiban.office.supply.models import LotStatus

PLACES = Decimal("0.0001")
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
Url = Annotated[str, StringConstraints(pattern=r"^(https?://\S+)?$", max_length=500)]
ClusterName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]
# With all four places at once, as the database gives it back.
Money = Annotated[
    Decimal, Field(gt=0, max_digits=12, decimal_places=4), AfterValidator(lambda amount: amount.quantize(PLACES))
]
Gpus = Annotated[int, Field(gt=0, le=2**20)]
Pue = Annotated[float, Field(ge=1, le=5)]


class ProviderIn(Schema):
    name_ja: Name
    name_en: Name
    contact: Annotated[str, StringConstraints(strip_whitespace=True, max_length=254)] = ""
    url: Url = ""


class ProviderOut(ProviderIn):
    """`contact` is empty for those who do not run or audit the programme."""

    id: uuid.UUID
    closed_at: datetime | None


class QuotedPrice(Schema):
    """A price per GPU-hour in foreign money, and the rate at which it is turned into yen once and for all."""

    amount: Annotated[Money, Field(examples=["2.4900"])]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(examples=["USD"])]
    fx_yen_per_unit: Annotated[Money, Field(examples=["151.3700"])]
    fx_on: Annotated[date, Field(description="the day of the rate")]
    fx_source: Annotated[Name, Field(examples=["日本銀行 外国為替市況 17時 中心相場"])]

    @model_validator(mode="after")
    def _foreign(self) -> Self:
        if self.currency == "JPY":
            raise ValueError("a price in yen needs no rate: give `price_yen_per_gpu_hour`")
        return self


class PoolIn(Schema):
    """A pool with its price: in yen, or as quoted in foreign money."""

    provider_id: uuid.UUID
    name: Annotated[Short, Field(examples=["ishikari-h100"])]
    accelerator: Annotated[str, StringConstraints(max_length=64), Field(examples=["H100"])]
    site: Short
    area: Annotated[str, StringConstraints(max_length=64), Field(description="supply area", examples=["北海道"])]
    pue: Pue | None = None
    price_yen_per_gpu_hour: Annotated[int, Field(gt=0, le=10**7)] | None = None
    quoted: QuotedPrice | None = None
    slurm_cluster: ClusterName | None = None
    slurm_partition: ClusterName | None = None

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if (self.price_yen_per_gpu_hour is None) == (self.quoted is None):
            raise ValueError("give one of `price_yen_per_gpu_hour` and `quoted`")
        return self


class PoolChange(Schema):
    """What may change of a pool; a new price or accelerator is a new pool. What is not given stays."""

    site: Short | None = None
    area: Annotated[str, StringConstraints(max_length=64)] | None = None
    pue: Pue | None = None
    slurm_cluster: ClusterName | None = None
    slurm_partition: ClusterName | None = None
    reason: Reason


class PoolOut(Schema):
    id: uuid.UUID
    provider_id: uuid.UUID
    name: str
    accelerator: str
    site: str
    area: str
    pue: float | None
    price_yen_per_gpu_hour: int
    price_quoted: Decimal | None
    currency: str
    fx_yen_per_unit: Decimal | None
    fx_on: date | None
    fx_source: str
    slurm_cluster: str | None
    slurm_partition: str | None
    closed_at: datetime | None


class LotIn(Schema):
    """GPUs procured together: there from `delivery_on` up to and not including `ends_on`, days in Japan."""

    name: Short
    gpus: Gpus
    delivery_on: date
    ends_on: date
    status: LotStatus = LotStatus.PLANNED
    contract_yen: Yen | None = None

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.ends_on <= self.delivery_on:
            raise ValueError("`ends_on` must be after `delivery_on`")
        if self.status is LotStatus.CANCELLED:
            raise ValueError("a lot does not begin as cancelled")
        return self


class LotChange(Schema):
    """What is not given stays."""

    status: LotStatus | None = None
    gpus: Gpus | None = None
    delivery_on: date | None = None
    ends_on: date | None = None
    contract_yen: Yen | None = None
    reason: Reason


class LotOut(Schema):
    """`contract_yen` is none for those who do not run or audit the programme."""

    id: uuid.UUID
    pool_id: uuid.UUID
    name: str
    gpus: int
    delivery_on: date
    ends_on: date
    status: LotStatus
    contract_yen: int | None


class CalendarEntry(Schema):
    """A day on which GPUs come or go."""

    on: date
    event: Annotated[str, Field(description="`delivery` or `end`")]
    pool_id: uuid.UUID
    pool_name: str
    lot: LotOut
    is_overdue: Annotated[bool, Field(description="should have been delivered and is not")]


class MonthGpus(Schema):
    month: Month
    gpus: int


class PoolMonth(Schema):
    """GPUs of one pool in one month. `left` may be negative: more is awarded than is there."""

    pool_id: uuid.UUID
    pool_name: str
    accelerator: str
    month: Month
    capacity: Annotated[int, Field(description="contracted or delivered, for the whole month")]
    planned: Annotated[int, Field(description="would come on top, from lots without a contract")]
    awarded: int
    offered: Annotated[int, Field(description="by published calls that are not decided")]
    left: Annotated[int, Field(description="capacity - awarded - offered")]


class AcceleratorMonth(Schema):
    """GPUs of one kind in one month, over all pools. A negative `balance` is a shortfall."""

    accelerator: str
    month: Month
    capacity: int
    awarded: int
    demand: Annotated[int, Field(description="answers of the survey; 0 without one")]
    balance: Annotated[int, Field(description="capacity - awarded - demand")]


class Shortfall(Schema):
    survey_id: uuid.UUID | None
    pools: tuple[PoolMonth, ...]
    accelerators: tuple[AcceleratorMonth, ...]


class PoolUtilisation(Schema):
    """Use of what was delivered, in GPU-seconds; of the month that runs, up to now."""

    pool_id: uuid.UUID
    pool_name: str
    month: Month
    capacity_gpu_seconds: int
    used_gpu_seconds: int
    utilisation: Annotated[float | None, Field(description="used / capacity; none where there was no capacity")]


class SurveyIn(Schema):
    title_ja: Name
    title_en: Name
    opens_at: AwareDatetime
    closes_at: AwareDatetime

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.closes_at <= self.opens_at:
            raise ValueError("`closes_at` must be after `opens_at`")
        return self


class SurveyOut(Schema):
    id: uuid.UUID
    title_ja: str
    title_en: str
    opens_at: datetime
    closes_at: datetime
    is_open: bool


class AnswerIn(Schema):
    """What an organisation needs of one kind of accelerator; several kinds are several answers."""

    accelerator: Annotated[str, StringConstraints(max_length=64), Field(examples=["H100"])]
    gpus: Annotated[Gpus, Field(description="at a time, in each of the months")]
    start_month: Month
    months: Annotated[int, Field(gt=0, le=60)]
    preferred_provider_id: uuid.UUID | None = None
    can_procure_itself: bool
    purpose: Annotated[str, StringConstraints(max_length=5_000)] = ""


class AnswerOut(AnswerIn):
    id: uuid.UUID
    organisation_id: uuid.UUID
    answered_by: uuid.UUID
    answered_at: datetime


class DemandCell(Schema):
    """Demand for one accelerator in one month from one preferred provider (none: no preference)."""

    month: Month
    accelerator: str
    preferred_provider_id: uuid.UUID | None
    organisations: int
    gpus: int
    # None: withheld, where so few could or could not that they would be known.
    organisations_that_could_procure: int | None
    gpus_that_could_be_procured: int | None


class Demand(Schema):
    """A survey's answers added up. Sums over cells are demand by month, accelerator or provider."""

    survey_id: uuid.UUID
    cells: tuple[DemandCell, ...]
    withheld_cells: Annotated[int, Field(description="not shown, being of fewer than 3 organisations")]


class Why(Schema):
    """The reason for an act that others will ask about."""

    reason: Reason
