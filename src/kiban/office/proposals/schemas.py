"""A proposal as its team writes it. A draft may have gaps; `gaps` says what is missing for submission."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from kiban.kit.quantities import Tokens
from kiban.office.calls.schemas import Key, Month
from kiban.office.schemas import Schema

Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)]
Paragraphs = Annotated[str, StringConstraints(max_length=20_000)]


class BaseModelUse(Schema):
    """A model that is trained on from; none: from scratch."""

    name: Line = ""
    developer: Line = ""
    licence: Line = ""
    is_foreign: bool = False


class TrainingPlan(Schema):
    """What `kiban plan` needs: `model` is a plan file's `model`, `adaptation` its `adaptation` (docs/plan.md)."""

    model: dict[str, Any] = Field(default_factory=dict)
    tokens: Annotated[Tokens, Field(gt=0, le=10**17)] | None = None
    seq_len_tokens: Annotated[int, Field(gt=0, le=10**8)] = 4096
    precision: Literal["fp32", "bf16", "fp8", "fp4"] = "bf16"
    adaptation: dict[str, Any] | None = None


class DataSource(Schema):
    name: Line
    owner: Line = ""
    licence: Line = ""
    rights: Line = ""  # on what ground it may be used: own, licensed, 著作権法30条の4, public domain …
    personal_data: Literal["none", "anonymised", "pseudonymised", "personal", "special_care"] = "none"
    tokens: Annotated[Tokens, Field(gt=0, le=10**17)] | None = None
    is_on_internet: bool = True


class Openness(Schema):
    """What will be public, and under what licence."""

    weights: bool = False
    code: bool = False
    data: bool = False
    report: bool = False
    licence: Line = ""
    text: Paragraphs = ""


class Kpi(Schema):
    name: Line
    unit: Line = ""
    target: float


class Milestone(Schema):
    key: Key
    title: Line
    due_month: Month
    kpis: Annotated[tuple[Kpi, ...], Field(max_length=20)] = ()


class Member(Schema):
    name: Line
    email: Annotated[str, StringConstraints(strip_whitespace=True, max_length=254)]
    organisation_name: Line = ""
    role: Line = ""
    orcid: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$")] | None = None
    may_edit: bool = False


class Tier(Schema):
    """A size that would do, in any of its pools and start months."""

    key: Key
    gpus: Annotated[int, Field(gt=0, le=2**20)]
    months: Annotated[int, Field(gt=0, le=60)]
    gpu_hours: Annotated[int, Field(gt=0, le=10**10)]
    pool_ids: Annotated[tuple[uuid.UUID, ...], Field(min_length=1, max_length=20)]
    start_months: Annotated[tuple[Month, ...], Field(min_length=1, max_length=60)]
    text: Paragraphs = ""  # what this size achieves


class ProposalBody(Schema):
    title: Line = ""
    theme: str = ""
    summary: Paragraphs = ""
    training: TrainingPlan = TrainingPlan()
    base_model: BaseModelUse | None = None
    data: Annotated[tuple[DataSource, ...], Field(max_length=200)] = ()
    safety: Paragraphs = ""
    openness: Openness = Openness()
    milestones: Annotated[tuple[Milestone, ...], Field(max_length=60)] = ()
    team: Annotated[tuple[Member, ...], Field(max_length=200)] = ()
    # From the smallest viable to the preferred.
    tiers: Annotated[tuple[Tier, ...], Field(max_length=8)] = ()
    # To the call's own questions, by key.
    answers: Annotated[dict[str, str | int | float | bool], Field(max_length=100)] = Field(default_factory=dict)
