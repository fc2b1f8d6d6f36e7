"""What goes into reviews and comes out of them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator

from kiban.office.calls.schemas import Criterion, Key
from kiban.office.reviews.models import AssignmentStatus, ConflictKind
from kiban.office.schemas import Schema

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
ReviewText = Annotated[str, StringConstraints(max_length=20_000)]
Unit = Annotated[float, Field(ge=0, le=1)]


class ReasonIn(Schema):
    reason: Reason = Field(examples=["共同研究を予定しているため"])


class ConflictIn(Schema):
    """A conflict with one proposal, or with every proposal of an organisation."""

    person_id: uuid.UUID | None = None  # None: oneself
    proposal_id: uuid.UUID | None = None
    organisation_id: uuid.UUID | None = None
    reason: Reason = Field(examples=["2024年まで同じ研究室に所属"])

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if (self.proposal_id is None) == (self.organisation_id is None):
            raise ValueError("give either `proposal_id` or `organisation_id`")
        return self


class ConflictOut(Schema):
    """`reason`: as declared; of one found by rule, the source, or nothing where it is the office's own register."""

    id: uuid.UUID
    person_id: uuid.UUID
    proposal_id: uuid.UUID | None
    organisation_id: uuid.UUID | None
    kind: ConflictKind
    reason: str
    declared_by: uuid.UUID | None
    declared_at: datetime
    lifted_at: datetime | None
    lifted_by: uuid.UUID | None
    lifted_reason: str


class FoundConflictOut(Schema):
    """`is_new`: written down now; otherwise it was known, lifted ones too. `reason`: as of `ConflictOut`."""

    proposal_id: uuid.UUID
    person_id: uuid.UUID
    kind: ConflictKind
    reason: str
    is_new: bool


class RelationsIn(Schema):
    """Co-authors and payments as CSV with a header: see `relations.parse`."""

    csv: Annotated[str, StringConstraints(max_length=5_000_000)] = Field(
        examples=["kind,person_email,other_email,other_orcid,corporate_number,date,source\n"]
    )
    years: Annotated[int, Field(gt=0, le=50)] = 5  # how long a relation counts after its date


class RelationsOut(Schema):
    added: int
    known: int  # were there before
    unknown: tuple[str, ...]  # people and organisations the office does not know: nothing to compare them with


class AssignmentOptions(Schema):
    """How reviewers are found for a track."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"track": "panel", "at_most": 8}]})

    track: Key
    at_least: Annotated[int, Field(ge=0, le=200)] = 0  # proposals per reviewer
    at_most: Annotated[int, Field(gt=0, le=200)] = 10
    balance: Annotated[float, Field(ge=0, le=10)] = 0.01  # what the square of a load costs, in affinity
    fair: bool = False  # the worst pair first, then the sum
    partial: bool = False  # assign what can be where reviewers are short
    due_at: AwareDatetime | None = None


class HandAssignmentIn(Schema):
    """One proposal for one reviewer."""

    proposal_id: uuid.UUID
    reviewer_id: uuid.UUID
    reason: Reason = Field(examples=["辞退した審査員に代わり、同じ分野の審査員にお願いする"])
    due_at: AwareDatetime | None = None


class PairOut(Schema):
    proposal_id: uuid.UUID
    reviewer_id: uuid.UUID
    affinity: float


class ShortageOut(Schema):
    proposal_id: uuid.UUID
    missing: int  # reviewers still to be found
    eligible: int  # people without a conflict or an earlier recusal, whatever their load


class AssignmentPlanOut(Schema):
    """What an assignment does, or would do."""

    track: str
    added: tuple[PairOut, ...]
    kept: int
    total_affinity: float
    shortages: tuple[ShortageOut, ...]
    idle_reviewers: tuple[uuid.UUID, ...]  # who cannot get their least load
    conflicts_found: int


class AssignmentOut(Schema):
    """`affinity` and the reviewer are for operators; one's own assignment says the rest.

    `is_outdated`: its review judges an older version than was handed in since, and is to be confirmed or revised.
    """

    id: uuid.UUID
    proposal_id: uuid.UUID
    reviewer_id: uuid.UUID
    is_peer: bool
    status: AssignmentStatus
    affinity: float
    assigned_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    ended_reason: str
    is_outdated: bool = False


class EndedOut(Schema):
    id: uuid.UUID
    status: AssignmentStatus
    ended_at: datetime
    ended_reason: str


class ReviewIn(Schema):
    """A draft: criteria may be missing until it is submitted."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 0, "submission": 1, "scores": {"performance": 4}, "confidence": 3}]}
    )

    version: Annotated[int, Field(ge=0)]  # the one that was read; another means somebody saved meanwhile
    submission: Annotated[int, Field(ge=0)]  # which handing-in of the proposal was read: `last_submission` at that time
    scores: dict[Key, Annotated[int, Field(strict=True)]] = Field(default_factory=dict)
    confidence: Annotated[int, Field(ge=1, le=5, strict=True)] | None = None
    text_to_applicant: ReviewText = ""
    text_to_panel: ReviewText = ""


class SubmitIn(Schema):
    version: Annotated[int, Field(ge=0)]


class ConfirmIn(Schema):
    """`submission`: the handing-in for which the review stands as well, which is the last."""

    submission: Annotated[int, Field(ge=0)] = Field(examples=[2])


class ReviewOut(Schema):
    """One's own review, with the rubric and its anchors to score by.

    `is_outdated`: other content was handed in than the review judges; it counts nowhere until confirmed or revised.
    """

    id: uuid.UUID | None  # None: nothing was saved yet
    assignment_id: uuid.UUID
    proposal_id: uuid.UUID
    rubric: tuple[Criterion, ...]
    scores: dict[str, int]
    confidence: int | None
    text_to_applicant: str
    text_to_panel: str
    version: int
    submission: int | None  # which handing-in it judges, and that one's version; None: nothing was saved yet
    proposal_version: int | None
    last_submission: int
    is_outdated: bool
    due_at: datetime | None
    submitted_at: datetime | None


class JudgedReviewOut(Schema):
    """A submitted review as others who judge read it. `reviewer_id`: for panel and office, None for reviewers.

    `is_outdated`: it judges an older handing-in than the last (`submission`, of `proposal_version`) and counts nowhere.
    """

    id: uuid.UUID
    proposal_id: uuid.UUID
    reviewer_id: uuid.UUID | None
    is_mine: bool
    scores: dict[str, int]
    confidence: int
    text_to_applicant: str
    text_to_panel: str
    submission: int
    proposal_version: int | None
    is_outdated: bool
    submitted_at: datetime
    tainted_at: datetime | None
    tainted_reason: str


class FeedbackOut(Schema):
    """What an applicant reads after the decision. No names, in an order that says nothing."""

    proposal_id: uuid.UUID
    n: int
    criteria: dict[str, float]  # means, on each criterion's own scale
    texts: tuple[str, ...]
    duties_missing: int
    duties_policy_ja: str
    duties_policy_en: str


class RemarkIn(Schema):
    text: Annotated[str, StringConstraints(min_length=1, max_length=10_000)] = Field(
        examples=["評点の差はデータの権利の見方によるものです。"]
    )


class RemarkOut(Schema):
    """`author_id`: for panel and office, None for reviewers."""

    id: uuid.UUID
    proposal_id: uuid.UUID
    author_id: uuid.UUID | None
    is_mine: bool
    text: str
    at: datetime


class DiscussionIn(Schema):
    track: Key
    is_open: bool


class CalibratedOut(Schema):
    reviewer_id: uuid.UUID
    peer_group: int | None
    offset: float
    standard_error: float
    low: float
    high: float
    n: int


class ScoreOut(Schema):
    """A proposal's score, 0 to 1; None: not measured. The calibrated mean stands beside the raw one."""

    proposal_id: uuid.UUID
    n: int
    mean: Unit | None
    standard_error: float | None
    low: Unit | None
    high: Unit | None
    calibrated_mean: float | None
    calibrated_se: float | None
    disagreement: bool
    score_range: float | None
    criteria: dict[str, float]
    tainted: int
    outdated: int
    peer_group: int | None
    duties_missing: int


class PeerGroupOut(Schema):
    track: str
    number: int
    proposal_ids: tuple[uuid.UUID, ...]
    share: float


class LoadOut(Schema):
    reviewer_id: uuid.UUID
    name: str
    assigned: int
    submitted: int
    overdue: int
    outdated: int  # submitted, of an older version than was handed in since: to be confirmed or revised
    late: int  # submitted after their date
    next_due_at: datetime | None


class CoverageOut(Schema):
    proposal_id: uuid.UUID
    wanted: int
    assigned: int
    submitted: int
    outdated: int
    recused: int
    missing: int  # reviewers to be found, beyond those assigned


class WorkloadOut(Schema):
    reviewers: tuple[LoadOut, ...]
    proposals: tuple[CoverageOut, ...]


class RemindIn(Schema):
    within_days: Annotated[int, Field(ge=0, le=60)] = 3


class RemindedOut(Schema):
    reminded: int
