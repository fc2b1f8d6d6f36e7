"""The fictional programme as data (`programme.yaml`): who runs it, who supplies it, who applies, what it calls for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from kiban.kit.config import StrictModel, load_model
from kiban.office.members.models import OrganisationKind, OrganisationSize


class Staff(NamedTuple):
    name: str
    address: str


class ProviderOf(StrictModel):
    name_ja: str
    name_en: str
    contact: str


class PoolOf(StrictModel):
    """`quoted`: amount, currency, yen per unit and the day of that rate."""

    name: str
    provider: str
    accelerator: str
    site: str
    area: str
    pue: float
    yen: int | None = None
    quoted: tuple[str, str, str, str] | None = None
    cluster: str
    from_: str
    power: bool


class LotOf(NamedTuple):
    pool: str
    name: str
    gpus: int
    ordered: str
    contracted: str | None
    promised: str
    delivered: str | None
    until: str


class SurveyOf(StrictModel):
    title_ja: str
    title_en: str
    opens: str
    closes: str


class Reviewer(NamedTuple):
    name: str
    address: str
    organisation: str | None
    fields: list[str]


class OrganisationOf(NamedTuple):
    key: str
    name_ja: str
    name_en: str
    kind: OrganisationKind
    size: OrganisationSize
    field: str


class CallOf(StrictModel):
    """A call and the days of its life; one without the later days is still under review."""

    code: str
    cycle: str
    title_ja: str
    title_en: str
    text_ja: str
    text_en: str
    created: str
    published: str
    opens_at: str
    closes_at: str
    first_month: str
    months: int
    budget_yen: int
    pools: dict[str, int]
    tracks: tuple[Literal["automatic", "peer", "panel"], ...]
    assigned: str
    due: str
    discussed: str | None
    studied: str | None
    decided: str | None
    is_blind: bool


class Programme(StrictModel):
    staff: dict[str, Staff]
    providers: dict[str, ProviderOf]
    pools: tuple[PoolOf, ...]
    lots: tuple[LotOf, ...]
    surveys: tuple[SurveyOf, ...]
    reviewers: tuple[Reviewer, ...]
    organisations: tuple[OrganisationOf, ...]
    surnames: tuple[str, ...]
    given_names: tuple[str, ...]
    calls: tuple[CallOf, ...]


@cache
def programme() -> Programme:
    return load_model(Path(__file__).with_name("programme.yaml"), Programme)[0]
