from __future__ import annotations

import uuid
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from kiban.office.database import Base, one_of


class Provider(Base):
    __tablename__ = "providers"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name_ja: Mapped[str] = mapped_column(sa.String(200))
    name_en: Mapped[str] = mapped_column(sa.String(200))
    contact: Mapped[str] = mapped_column(sa.String(254), default="")
    url: Mapped[str] = mapped_column(sa.String(500), default="")
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class Pool(Base):
    """Accelerators of one kind at one site under one price. A change of price is a new pool: awards keep theirs."""

    __tablename__ = "pools"
    __table_args__ = (sa.CheckConstraint("price_yen_per_gpu_hour > 0", name="price_positive"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    provider_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("providers.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(100), unique=True)
    accelerator: Mapped[str] = mapped_column(sa.String(64))  # a name of the plan's catalogue
    site: Mapped[str] = mapped_column(sa.String(100))
    area: Mapped[str] = mapped_column(sa.String(64))  # supply area of the grid, for energy and CO2
    pue: Mapped[float | None]
    price_yen_per_gpu_hour: Mapped[int]
    # As quoted, where it was not in yen; the snapshot of the rate is what the yen price was computed with.
    price_quoted: Mapped[Decimal | None] = mapped_column(sa.Numeric(12, 4))
    currency: Mapped[str] = mapped_column(sa.String(3), default="JPY")
    fx_yen_per_unit: Mapped[Decimal | None] = mapped_column(sa.Numeric(12, 4))
    fx_on: Mapped[date | None]
    fx_source: Mapped[str] = mapped_column(sa.String(200), default="")
    slurm_cluster: Mapped[str | None] = mapped_column(sa.String(40))
    slurm_partition: Mapped[str | None] = mapped_column(sa.String(40))
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    provider: Mapped[Provider] = relationship(lazy="raise")


class LotStatus(StrEnum):
    PLANNED = "planned"
    CONTRACTED = "contracted"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Lot(Base):
    """GPUs procured together: they are there from `delivery_on` up to and not including `ends_on`."""

    __tablename__ = "lots"
    __table_args__ = (
        sa.CheckConstraint("gpus > 0", name="gpus_positive"),
        sa.CheckConstraint("ends_on > delivery_on", name="ends_after_delivery"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    pool_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("pools.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    gpus: Mapped[int]
    delivery_on: Mapped[date]
    ends_on: Mapped[date]
    status: Mapped[LotStatus] = mapped_column(one_of(LotStatus))
    contract_yen: Mapped[int | None]
    created_at: Mapped[datetime]


class Survey(Base):
    """A question to the field before a call: how much, when, where, and could you buy it yourselves?"""

    __tablename__ = "surveys"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    title_ja: Mapped[str] = mapped_column(sa.String(200))
    title_en: Mapped[str] = mapped_column(sa.String(200))
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    created_at: Mapped[datetime]


class SurveyAnswer(Base):
    """One organisation's answer; a later one by the same organisation takes its place."""

    __tablename__ = "survey_answers"
    __table_args__ = (sa.UniqueConstraint("survey_id", "organisation_id", "accelerator"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    survey_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("surveys.id"), index=True)
    organisation_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("organisations.id"), index=True)
    answered_by: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"))
    accelerator: Mapped[str] = mapped_column(sa.String(64))
    gpus: Mapped[int]
    start_month: Mapped[str] = mapped_column(sa.String(7))  # YYYY-MM
    months: Mapped[int]
    preferred_provider_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("providers.id"))
    can_procure_itself: Mapped[bool]
    purpose: Mapped[str] = mapped_column(sa.Text, default="")
    answered_at: Mapped[datetime]
