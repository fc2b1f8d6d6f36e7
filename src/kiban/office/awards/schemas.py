"""Studies of a call's awards and the decision drawn from one of them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from kiban.office.awards.models import DecisionStatus, PinKind
from kiban.office.awards.solver import ObjectiveName
from kiban.office.calls.schemas import Key, Month
from kiban.office.schemas import Schema

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=4_000)]


class StudyRequest(Schema):
    """What to solve a call for."""

    objectives: tuple[ObjectiveName, ...] = ("merit", "breadth", "openness", "balance")
    gap: Annotated[float, Field(gt=0, le=0.2)] = 0.005
    time_limit_seconds: Annotated[float, Field(gt=0, le=300)] = 30.0  # per objective
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    solver: Literal["highs", "ortools"] = "highs"
    draws: Annotated[int, Field(ge=0, le=500)] = 60  # under score noise; 0: no stability study
    explain: bool = True  # what would have funded each proposal that was not
    calibrated: bool = False  # scores without the reviewers' estimated severity
    budget_yen: Annotated[int, Field(gt=0, le=10**14)] | None = None  # another than the call's, to see what it changes
    score_floor: Annotated[float, Field(ge=0, le=1)] = 0.5  # for breadth

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError("name at least one objective, each once")
        return self


class OptionRef(Schema):
    """One of a proposal's options."""

    tier: Key
    pool_id: uuid.UUID
    start_month: Month


class PinIn(Schema):
    proposal_id: uuid.UUID
    kind: PinKind
    option: OptionRef | None = None
    reason: Reason

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind is PinKind.OPTION) != (self.option is not None):
            raise ValueError("`option` belongs to kind: option, and is needed there")
        return self


class PinOut(Schema):
    id: uuid.UUID
    call_id: uuid.UUID
    proposal_id: uuid.UUID
    kind: PinKind
    option: dict[str, Any]
    reason: str
    pinned_by: uuid.UUID | None
    pinned_at: datetime
    removed_at: datetime | None


class LotteryIn(Schema):
    """A draw inside the grey zone. The seed is public: a date and the value of a beacon announced before."""

    objective: ObjectiveName = "merit"
    seed: Annotated[str, StringConstraints(strip_whitespace=True, min_length=8, max_length=500)]


class StudyOut(Schema):
    """`blocs`: proposals that compete with one another; one, unless peers judge one another in groups."""

    id: uuid.UUID
    call_id: uuid.UUID
    number: int
    problem_sha256: str
    options: dict[str, Any]
    solutions: list[dict[str, Any]]
    stability: dict[str, Any]
    explanations: dict[str, Any]
    lottery: dict[str, Any]
    created_by: uuid.UUID | None
    created_at: datetime


class StudySummary(Schema):
    id: uuid.UUID
    number: int
    problem_sha256: str
    created_by: uuid.UUID | None
    created_at: datetime


class DecisionIn(Schema):
    study_id: uuid.UUID
    objective: ObjectiveName
    with_lottery: bool = False
    reason: Reason


class DecisionOut(Schema):
    id: uuid.UUID
    call_id: uuid.UUID
    selection_id: uuid.UUID
    objective: str
    with_lottery: bool
    status: DecisionStatus
    reason: str
    drafted_by: uuid.UUID | None
    drafted_at: datetime
    approved_by: uuid.UUID | None
    approved_at: datetime | None
    announced_at: datetime | None


class AwardOut(Schema):
    id: uuid.UUID
    call_id: uuid.UUID
    proposal_id: uuid.UUID
    organisation_id: uuid.UUID
    tier: str
    pool_id: uuid.UUID
    start_month: str
    months: int
    gpus: int
    gpu_seconds: int
    yen: int
    by_lottery: bool


class Replayed(Schema):
    """What replaying one certificate found."""

    bloc: str
    objective: str
    outcome: str = Field(examples=["same"])
    ok: bool
    text: str
    inputs_sha256: str


class PinRemoval(Schema):
    reason: Reason = Field(examples=["審査会で再検討したため"])


class DraftWithdrawal(Schema):
    reason: Reason = Field(examples=["評価の訂正を待つため"])


class ReplayIn(Schema):
    """`resolve` false: the recorded awards are verified in exact arithmetic, without solving again."""

    resolve: bool = False


class CertificateFile(Schema):
    """Every problem of a study with its outcomes; `kiban office awards replay FILE` replays it."""

    format: Literal["kiban-award-record/1"]
    call: str
    study: int
    problem_sha256: str
    problem: dict[str, Any]
    certificates: list[dict[str, Any]]
