"""What waits for somebody: their drafts, reviews, reports and decisions, each with when it is due."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import sqlalchemy as sa

from kiban.office.awards.models import Decision, DecisionStatus
from kiban.office.calls.models import Call, CallStatus
from kiban.office.calls.policy import visible_to as visible_calls
from kiban.office.grants.models import Alert, ChangeRequest, ChangeStatus, Grant, GrantStatus
from kiban.office.months import day_of
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.proposals.policy import is_own
from kiban.office.reports import waiting_repository as repository
from kiban.office.reports.models import MilestoneReport, ReportStatus
from kiban.office.reviews.models import Assignment, AssignmentStatus
from kiban.office.work import Role, Work

Kind = Literal["draft", "reviews", "report", "alerts", "study", "approval", "announcement", "acceptance", "changes"]


@dataclass(frozen=True)
class Waiting:
    """One thing to do, or several of a kind: `count` says how many.

    Attributes:
        id: of the proposal, grant, report or call; None for several of a kind.
        title: of it, in the language it was written in.
        title_en: in English, where it has one.
    """

    kind: Kind
    id: uuid.UUID | None
    title: str
    title_en: str
    due_at: datetime | None
    due_on: date | None
    count: int

    @property
    def due(self) -> date | None:
        """The day in Japan."""
        return self.due_on if self.due_at is None else day_of(self.due_at)


def waiting(work: Work) -> list[Waiting]:
    """What waits for who is signed in, the soonest due first, in one query; nothing for nobody."""
    parts = _parts(work)
    if not parts:
        return []
    found = [each for row in repository.rows(work.session, parts) if (each := Waiting(*row)).count]
    return sorted(found, key=lambda each: (each.due is None, each.due or date.max, each.kind))


def _parts(work: Work) -> list[repository.Part]:
    actor = work.actor
    if actor.person_id is None:
        return []
    part = repository.part
    count = sa.func.count()
    found = [
        part("draft", Proposal.id, Proposal.title, due_at=Call.closes_at)
        .join_from(Proposal, Call, Call.id == Proposal.call_id)
        .where(is_own(actor), Proposal.status == ProposalStatus.DRAFT, Call.status == CallStatus.PUBLISHED),
        part("reviews", None, Call.title_ja, Call.title_en, due_at=sa.func.min(Assignment.due_at), count=count)
        .join_from(Assignment, Proposal, Proposal.id == Assignment.proposal_id)
        .join(Call, Call.id == Proposal.call_id)
        .where(Assignment.reviewer_id == actor.person_id, Assignment.status == AssignmentStatus.ASSIGNED)
        .group_by(Call.id, Call.title_ja, Call.title_en),
    ]
    if actor.has(Role.APPLICANT) and actor.organisation_id is not None:
        own = Grant.organisation_id == actor.organisation_id
        to_write = MilestoneReport.status.in_([ReportStatus.DRAFT, ReportStatus.RETURNED])
        found += [
            part("report", MilestoneReport.id, Grant.code, due_on=MilestoneReport.due_on)
            .join_from(MilestoneReport, Grant, Grant.id == MilestoneReport.grant_id)
            .where(own, to_write),
            part("alerts", Grant.id, Grant.code, count=count)
            .join_from(Alert, Grant, Grant.id == Alert.grant_id)
            .where(own, Grant.status == GrantStatus.ACTIVE)
            .group_by(Grant.id, Grant.code),
        ]
    if actor.has(Role.OPERATOR) or actor.calls_with(Role.OPERATOR) or actor.has(Role.PANEL):
        found += _decisions(work)
    if actor.has(Role.OPERATOR):
        found += [
            part("acceptance", None, sa.literal(""), due_on=sa.func.min(MilestoneReport.due_on), count=count)
            .select_from(MilestoneReport)
            .where(MilestoneReport.status == ReportStatus.SUBMITTED),
            part("changes", None, sa.literal(""), count=count)
            .select_from(ChangeRequest)
            .where(ChangeRequest.status == ChangeStatus.REQUESTED),
        ]
    return found


def _decisions(work: Work) -> list[repository.Part]:
    """Calls whose awards are to be studied, approved by somebody else than drafted them, or announced.

    There is nothing to study while reviews may still come in.
    """
    actor = work.actor
    seen = visible_calls(actor)
    if not (actor.has(Role.OPERATOR) or actor.has(Role.PANEL)):
        seen = Call.id.in_(actor.calls_with(Role.OPERATOR))
    part = repository.part
    decided = sa.exists().where(Decision.call_id == Call.id)
    still_reviewed = sa.exists().where(
        Assignment.proposal_id == Proposal.id,
        Proposal.call_id == Call.id,
        Assignment.status == AssignmentStatus.ASSIGNED,
        sa.or_(Assignment.due_at.is_(None), Assignment.due_at > work.minute),
    )
    return [
        part("study", Call.id, Call.title_ja, Call.title_en)
        .select_from(Call)
        .where(seen, Call.status == CallStatus.REVIEWING, ~decided, ~still_reviewed),
        part("approval", Call.id, Call.title_ja, Call.title_en)
        .join_from(Decision, Call, Call.id == Decision.call_id)
        .where(seen, Decision.status == DecisionStatus.DRAFTED, Decision.drafted_by != actor.person_id),
        part("announcement", Call.id, Call.title_ja, Call.title_en)
        .join_from(Decision, Call, Call.id == Decision.call_id)
        .where(seen, Decision.status == DecisionStatus.APPROVED),
    ]
