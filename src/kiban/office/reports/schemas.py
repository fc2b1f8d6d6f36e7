"""Figures and where they come from; milestone reports, released models and events."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, HttpUrl, StringConstraints, model_validator

from kiban.office.reports.models import ReportStatus
from kiban.office.schemas import Schema

Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=20_000)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=4_000)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class Source(Schema):
    """What a figure is made of.

    `postings` of the ledger, `records` of a table, `artifacts` of the store: the figure is the sum of their values.
    `figures`: it is computed from other figures, as `filter.operation` says.
    """

    kind: Literal["postings", "records", "artifacts", "figures"]
    filter: dict[str, Any] = Field(examples=[{"accounts": ["used"], "unit": "yen"}])
    count: int = Field(description="how many it is made of")
    first: int | None = Field(None, description="number of the first posting")
    last: int | None = None


class Figure(Schema):
    """A figure that can be followed to what it is made of, by its key."""

    key: str = Field(examples=["used.yen"])
    value: int | float | None = Field(description="None: not measured, or nothing to divide by")
    unit: str = Field(examples=["yen"])
    source: Source
    method: str = ""
    sources: tuple[str, ...] = Field((), description="publications that the method rests on")


class FigureRow(Schema):
    """One posting, record or figure and what it adds to the figure asked for, in that one's unit.

    `grant_id`: of a posting, the grant whose account it moved an amount of; null for a call's own.
    """

    kind: str = Field(examples=["posting"])
    id: str = Field(examples=["1042"])
    at: datetime | date | None
    label: str
    value: int | float | None
    grant_id: uuid.UUID | None = None


class Programme(Schema):
    """The programme's figures over a call, a cycle, a fiscal year or all of it."""

    scope: dict[str, Any]
    as_of: datetime
    figures: tuple[Figure, ...]


class KpiResult(Schema):
    """What became of one of the milestone's KPIs. None: not measured, and `text` says why."""

    name: Name
    achieved: Finite | None = None
    text: Text = ""


class ReportBody(Schema):
    kpis: Annotated[tuple[KpiResult, ...], Field(max_length=20)] = ()
    text: Text = Field("", examples=["事前学習を終え、評価を始めた。"])
    next_steps: Text = ""
    artifacts: Annotated[tuple[Digest, ...], Field(max_length=200)] = ()


class ReportSave(Schema):
    """`version`: the one that the body was made from; another person's save in between is a 409."""

    body: ReportBody
    version: Annotated[int, Field(ge=0, lt=2**31)]


class ReportSubmit(Schema):
    version: Annotated[int, Field(ge=0, lt=2**31)] = Field(examples=[2])


class Verdict(Schema):
    reason: Reason = Field(examples=["目標値に対する説明が足りない。"])


class Acceptance(Schema):
    remark: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4_000)] = ""


class Kpi(Schema):
    name: str
    unit: str
    target: float


class ReportOut(Schema):
    id: uuid.UUID
    grant_id: uuid.UUID
    milestone: str
    title: str
    kpis: tuple[Kpi, ...] = Field(description="as the proposal promised them")
    due_on: date
    status: ReportStatus
    is_late: bool
    figures: tuple[Figure, ...]
    body: ReportBody
    version: int
    updated_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
    decided_reason: str


class ReferenceScore(Schema):
    """Another model's score on the same task."""

    name: Name
    value: Finite
    n: Annotated[int, Field(gt=0)] | None = None
    ci95: tuple[Finite, Finite] | None = None
    source: Line = Field("", description="where it was published, or empty: measured beside")


class ScoreIn(Schema):
    """A score with its sample and 95% interval, or the reason why there is none."""

    task: Name
    metric: Name
    value: Finite | None = None
    n: Annotated[int, Field(gt=0, lt=2**53)] | None = None
    ci95: tuple[Finite, Finite] | None = None
    not_measured: Line = Field("", description="why, where there is no value")
    references: Annotated[tuple[ReferenceScore, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.value is None:
            if self.n is not None or self.ci95 is not None or not self.not_measured:
                raise ValueError("a score without a value says why in `not_measured`, and nothing else")
            return self
        if self.n is None or self.ci95 is None or self.not_measured:
            raise ValueError("a score needs its n and its 95% interval (`ci95`)")
        if not self.ci95[0] <= self.value <= self.ci95[1]:
            raise ValueError("the value lies outside its interval")
        return self


class Score(ScoreIn):
    source: Literal["artifact", "stated"]


class ReleaseIn(Schema):
    """A model the grant led to. With `artifact_digest`, figures are read from the store; else they are stated."""

    name: Name = Field(examples=["hinoki-7b"])
    artifact_digest: Digest | None = None
    evaluation_digest: Digest | None = None
    licence: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)] = Field(
        examples=["Apache-2.0"]
    )
    url: HttpUrl | None = None
    parameters: Annotated[int, Field(gt=0, lt=2**62)] | None = None
    tokens: Annotated[int, Field(gt=0, lt=2**62)] | None = None
    scores: Annotated[tuple[ScoreIn, ...], Field(max_length=100)] = ()
    released_on: date

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.evaluation_digest and not self.artifact_digest:
            raise ValueError("an evaluation belongs to a model: `artifact_digest` is needed")
        if self.artifact_digest and (self.parameters is not None or self.tokens is not None):
            raise ValueError("parameters and tokens are read from the artifact")
        if self.evaluation_digest and any(score.value is not None for score in self.scores):
            raise ValueError("scores are read from the evaluation; only reference models are given beside")
        return self


class ReleaseOut(Schema):
    id: uuid.UUID
    grant_id: uuid.UUID
    name: str
    artifact_digest: str | None
    licence: str
    url: str
    parameters: int | None
    tokens: int | None
    scores: tuple[Score, ...]
    card: dict[str, Any] = Field(description="`source`: `artifact`, or `stated by the grantee`")
    released_on: date
    recorded_at: datetime


class EventIn(Schema):
    call_id: uuid.UUID | None = None
    grant_id: uuid.UUID | None = None
    kind: Literal["course", "seminar", "community", "review_meeting"]
    title_ja: Name = Field(examples=["大規模言語モデル学習講座"])
    title_en: Name = Field(examples=["Course on training large language models"])
    held_on: date
    people: Count = Field(examples=[120])
    people_trained: Count = 0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.people_trained > self.people:
            raise ValueError("no more can be trained than came")
        return self


class EventOut(EventIn):
    id: uuid.UUID
    recorded_at: datetime
