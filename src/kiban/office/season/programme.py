"""The fictional programme as data (`programme.yaml`): who runs it, who supplies it, who applies, what it calls for.

Its days are written down once and moved so that the season ends when it is wanted: by whole weeks, so that weekdays
stay, and what begins with a month by whole months.
"""

from __future__ import annotations

import json
import math
import re
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kiban.kit.config import StrictModel, load_model
from kiban.office import months
from kiban.office.members.models import OrganisationKind, OrganisationSize

# The Monday of the week in which the season as written ends.
REFERENCE = date(2026, 11, 16)
DAYS_PER_MONTH = 365.2425 / 12
_MONTH = re.compile(r"\d{4}-\d{2}")
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(.*)")


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
    first_month: str


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

    code: str = ""  # from the fiscal year in which it opens: `2025-1`
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
def programme(ends_on: date = REFERENCE) -> Programme:
    """The programme whose season ends on this day."""
    days = (ends_on - REFERENCE).days // 7 * 7
    # Months are moved alike, and never to before the days that they followed.
    by = _Move(timedelta(days=days), math.ceil(days / DAYS_PER_MONTH))
    moved = Programme.model_validate_json(json.dumps(_moved(_written(), by)))
    return moved.model_copy(update={"calls": _numbered(moved.calls)})


@cache
def _written() -> dict[str, Any]:
    return load_model(Path(__file__).with_name("programme.yaml"), Programme)[0].model_dump(mode="json")


class _Move(NamedTuple):
    days: timedelta
    months: int


def _moved(value: Any, by: _Move) -> Any:
    """The same with every text that is a day, a time or a month moved; others stay."""
    if isinstance(value, dict):
        return {key: _moved(each, by) for key, each in value.items()}
    if isinstance(value, list):
        return [_moved(each, by) for each in value]
    if not isinstance(value, str):
        return value
    if _MONTH.fullmatch(value):
        return months.add(value, by.months)
    if found := _DAY.fullmatch(value):
        day = date.fromisoformat(found[1])
        # What begins with a month stays with months: lots, and the calls that offer them. Acts have a time of day.
        begins_month = day.day == 1 and not found[2]
        moved = months.first_day(months.add(f"{day:%Y-%m}", by.months)) if begins_month else day + by.days
        return f"{moved}{found[2]}"
    return value


def _numbered(calls: tuple[CallOf, ...]) -> tuple[CallOf, ...]:
    years: list[int] = []
    found = []
    for call in calls:
        opens = date.fromisoformat(call.opens_at[:10])
        years.append(opens.year - (opens.month < 4))
        found.append(call.model_copy(update={"code": f"{years[-1]}-{years.count(years[-1])}"}))
    return tuple(found)
