from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.awards.models import Decision, DecisionStatus
from kiban.office.calls.models import Call, CallPool
from kiban.office.members.models import Organisation
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.proposals.models import Attachment, Proposal, ProposalStatus, ProposalVersion, Submission, TeamMember
from kiban.office.proposals.planning import OfferedPool
from kiban.office.proposals.policy import View, is_applicant, is_own, view_of, visible_to
from kiban.office.reviews.models import Assignment
from kiban.office.reviews.policy import conflict_exists
from kiban.office.search import repository as searching
from kiban.office.supply.models import Pool
from kiban.office.work import Actor, Role


@dataclass(frozen=True)
class Seen:
    """A proposal as somebody came to see it."""

    proposal: Proposal
    call: Call
    organisation: Organisation
    view: View
    may_edit: bool
    may_submit: bool

    @property
    def version(self) -> int:
        """The version that this view shows."""
        if self.view is View.WHOLE:
            return self.proposal.version
        assert self.proposal.submitted_version is not None
        return self.proposal.submitted_version


class Autosave(NamedTuple):
    number: int
    saved_by: uuid.UUID
    saved_at: datetime


def _seen(actor: Actor) -> sa.Select[Proposal, Call, Organisation, str, bool, bool]:
    return (
        sa.select(Proposal, Call, Organisation, view_of(actor), is_own(actor), is_applicant(actor))
        .join(Call, Call.id == Proposal.call_id)
        .join(Organisation, Organisation.id == Proposal.organisation_id)
        .where(visible_to(actor))
    )


def find(session: Session, actor: Actor, proposal_id: uuid.UUID, *, lock: bool = False) -> Seen | None:
    """The proposal if the actor sees it; locked: as it is once nobody else may change it, until the work ends."""
    statement = _seen(actor).where(Proposal.id == proposal_id)
    if lock:
        statement = statement.with_for_update(of=Proposal).execution_options(populate_existing=True)
    row = session.execute(statement).one_or_none()
    return None if row is None else Seen(row[0], row[1], row[2], View(row[3]), bool(row[4]), bool(row[5]))


def call_id_of(session: Session, actor: Actor, proposal_id: uuid.UUID) -> uuid.UUID | None:
    return session.scalar(sa.select(Proposal.call_id).where(Proposal.id == proposal_id, visible_to(actor)))


def id_of_receipt(session: Session, actor: Actor, receipt: str) -> uuid.UUID | None:
    return session.scalar(sa.select(Proposal.id).where(Proposal.receipt == receipt, visible_to(actor)))


def page(
    session: Session,
    actor: Actor,
    request: PageRequest,
    *,
    call_id: uuid.UUID | None,
    status: ProposalStatus | None,
    mine: bool,
    theme: str | None,
    track: str | None,
    words: Sequence[str],
) -> Page[Seen]:
    """Newest first, unless sorted; `words`: only those whose text, as the actor sees it, holds all of them."""
    sees_whole = _sees_all_whole(session, actor) if request.sort or theme is not None else False
    statement = sa.select(Proposal).where(visible_to(actor))
    if call_id is not None:
        statement = statement.where(Proposal.call_id == call_id)
    if status is not None:
        statement = statement.where(Proposal.status == status)
    if mine:
        statement = statement.where(is_own(actor))
    if theme is not None:
        statement = statement.where((Proposal.theme if sees_whole else _seen_theme(actor)) == theme)
    if track is not None:
        statement = statement.where(Proposal.track == track)
    sorts = _sorts(actor, sees_whole)
    with searching.by_index(session, bool(words)):
        if words:
            statement = statement.where(searching.holds(session, actor, words))
        rows = read_page(session, statement, Proposal.id, request, newest_first=True, sorts=sorts)
    return Page(seen(session, actor, [row.id for row in rows.items]), rows.next_cursor)


def _sees_all_whole(session: Session, actor: Actor) -> bool:
    """Whether the actor sees the latest version of every proposal that is visible at all, so that the rows tell it."""
    if actor.is_system:
        return True
    if not actor.roles & {Role.OPERATOR, Role.AUDITOR}:
        return False
    return session.scalar(sa.select(Assignment.id).where(Assignment.reviewer_id == actor.person_id).limit(1)) is None


def _sorts(actor: Actor, sees_whole: bool) -> Sorts:
    """By what this person sees of each: the order of titles must not tell what a title will be."""
    return {
        "title": Proposal.title if sees_whole else searching.seen_title(actor),
        "status": Proposal.status,
        "track": Proposal.track,
        "receipt": Proposal.receipt,
        "submitted_at": Proposal.submitted_at,
        "updated_at": Proposal.updated_at if sees_whole else _seen_update(actor),
    }


def _seen_theme(actor: Actor) -> sa.ColumnElement[str]:
    submitted = (
        sa.select(ProposalVersion.body["theme"].as_string())
        .where(ProposalVersion.proposal_id == Proposal.id, ProposalVersion.number == Proposal.submitted_version)
        .correlate(Proposal)
        .scalar_subquery()
    )
    return sa.case((view_of(actor) == View.WHOLE.value, Proposal.theme), else_=submitted)


def _seen_update(actor: Actor) -> sa.ColumnElement[datetime]:
    return sa.case((view_of(actor) == View.WHOLE.value, Proposal.updated_at), else_=Proposal.submitted_at)


def seen(session: Session, actor: Actor, proposal_ids: Sequence[uuid.UUID]) -> list[Seen]:
    """Those of the proposals that the actor sees, in the order given."""
    rows = session.execute(_seen(actor).where(Proposal.id.in_(proposal_ids)))
    found = {row[0].id: Seen(row[0], row[1], row[2], View(row[3]), bool(row[4]), bool(row[5])) for row in rows}
    return [found[each] for each in proposal_ids if each in found]


def version(session: Session, proposal_id: uuid.UUID, number: int) -> ProposalVersion | None:
    return session.scalar(
        sa.select(ProposalVersion).where(ProposalVersion.proposal_id == proposal_id, ProposalVersion.number == number)
    )


def versions(session: Session, numbers: Sequence[tuple[uuid.UUID, int]]) -> dict[uuid.UUID, ProposalVersion]:
    """One version each of several proposals, by proposal."""
    key = sa.tuple_(ProposalVersion.proposal_id, ProposalVersion.number)
    rows = session.scalars(sa.select(ProposalVersion).where(key.in_(numbers))) if numbers else ()
    return {row.proposal_id: row for row in rows}


def version_page(
    session: Session, proposal_id: uuid.UUID, request: PageRequest, *, without: Collection[int] = ()
) -> Page[ProposalVersion]:
    """Newest first."""
    statement = sa.select(ProposalVersion).where(ProposalVersion.proposal_id == proposal_id)
    if without:
        statement = statement.where(ProposalVersion.number.not_in(without))
    return read_page(session, statement, ProposalVersion.number, request, newest_first=True)


def autosaves(session: Session, proposal_id: uuid.UUID) -> list[Autosave]:
    """Those that were never submitted, in the order in which they were made."""
    was_submitted = (
        sa.select(Submission.id)
        .where(Submission.proposal_id == proposal_id, Submission.version == ProposalVersion.number)
        .exists()
    )
    statement = sa.select(ProposalVersion.number, ProposalVersion.saved_by, ProposalVersion.saved_at)
    statement = statement.where(ProposalVersion.proposal_id == proposal_id, ProposalVersion.is_autosave)
    rows = session.execute(statement.where(~was_submitted).order_by(ProposalVersion.number))
    return [Autosave(number, saved_by, saved_at) for number, saved_by, saved_at in rows]


def delete_versions(session: Session, proposal_id: uuid.UUID, numbers: Sequence[int]) -> None:
    session.execute(
        sa.delete(ProposalVersion).where(
            ProposalVersion.proposal_id == proposal_id, ProposalVersion.number.in_(numbers)
        )
    )


def add(session: Session, *rows: object) -> None:
    for row in rows:
        session.add(row)
        session.flush()


def replace_team(session: Session, proposal_id: uuid.UUID, members: Sequence[TeamMember]) -> None:
    session.execute(sa.delete(TeamMember).where(TeamMember.proposal_id == proposal_id))
    session.add_all(members)
    session.flush()


def submissions(session: Session, proposal_id: uuid.UUID) -> list[Submission]:
    """In the order in which they came."""
    statement = sa.select(Submission).where(Submission.proposal_id == proposal_id).order_by(Submission.number)
    return list(session.scalars(statement))


def last_submission(session: Session, proposal_id: uuid.UUID) -> Submission | None:
    statement = sa.select(Submission).where(Submission.proposal_id == proposal_id).order_by(Submission.number.desc())
    return session.scalar(statement.limit(1))


def offered_pools(session: Session, call_id: uuid.UUID) -> dict[uuid.UUID, OfferedPool]:
    statement = sa.select(Pool, CallPool.gpus).join(CallPool, CallPool.pool_id == Pool.id)
    return {
        pool.id: OfferedPool(pool.id, pool.name, pool.accelerator, pool.price_yen_per_gpu_hour, gpus)
        for pool, gpus in session.execute(statement.where(CallPool.call_id == call_id).order_by(Pool.name))
    }


def drafts_of(session: Session, call_id: uuid.UUID, organisation_id: uuid.UUID) -> int:
    """How many proposals of the organisation in the call were never submitted."""
    statement = sa.select(sa.func.count()).select_from(Proposal)
    statement = statement.where(Proposal.call_id == call_id, Proposal.organisation_id == organisation_id)
    return session.scalar(statement.where(Proposal.submitted_version.is_(None))) or 0


def standing_of(session: Session, call_id: uuid.UUID, organisation_id: uuid.UUID) -> int:
    """How many proposals of the organisation are submitted in the call and not withdrawn."""
    statement = sa.select(sa.func.count()).select_from(Proposal)
    statement = statement.where(Proposal.call_id == call_id, Proposal.organisation_id == organisation_id)
    return session.scalar(statement.where(Proposal.status == ProposalStatus.SUBMITTED)) or 0


def is_conflicted_in(session: Session, person_id: uuid.UUID, call_id: uuid.UUID) -> bool:
    """Whether a conflict of interest closes a proposal of the call to a person."""
    statement = sa.select(Proposal.id).where(Proposal.call_id == call_id, conflict_exists(person_id)).limit(1)
    return session.scalar(statement) is not None


def is_decided(session: Session, call_id: uuid.UUID) -> bool:
    """Whether a decision on the call was approved: its awards are fixed from there on."""
    statement = sa.select(Decision.id).where(Decision.call_id == call_id, Decision.status != DecisionStatus.DRAFTED)
    return session.scalar(statement) is not None


def organisation(session: Session, organisation_id: uuid.UUID) -> Organisation | None:
    return session.get(Organisation, organisation_id)


def organisations_by_id(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Organisation]:
    rows = session.scalars(sa.select(Organisation).where(Organisation.id.in_(ids))) if ids else ()
    return {row.id: row for row in rows}


def arrivals(session: Session, call_id: uuid.UUID) -> list[tuple[ProposalStatus, datetime, datetime | None]]:
    """Of each proposal of a call: what became of it, when it was started, and when it was first handed in."""
    first = (
        sa.select(Submission.submitted_at)
        .where(Submission.proposal_id == Proposal.id, Submission.number == 1)
        .correlate(Proposal)
        .scalar_subquery()
    )
    statement = sa.select(Proposal.status, Proposal.created_at, first).where(Proposal.call_id == call_id)
    return [(status, started, handed_in) for status, started, handed_in in session.execute(statement)]


def attachments(session: Session, proposal_id: uuid.UUID) -> list[Attachment]:
    """Those that were not removed, in the order in which they were added."""
    statement = sa.select(Attachment).where(Attachment.proposal_id == proposal_id, Attachment.removed_at.is_(None))
    return list(session.scalars(statement.order_by(Attachment.id)))


def attachments_by_id(session: Session, proposal_id: uuid.UUID, ids: Sequence[uuid.UUID]) -> list[Attachment]:
    """Removed ones too."""
    statement = sa.select(Attachment).where(Attachment.proposal_id == proposal_id, Attachment.id.in_(ids))
    return list(session.scalars(statement.order_by(Attachment.id)))


def kept_files(session: Session) -> set[str]:
    """SHA-256 of every file that is attached, or was part of a submission."""
    kept = set(session.scalars(sa.select(Attachment.sha256).where(Attachment.removed_at.is_(None)).distinct()))
    for received in session.scalars(sa.select(Submission.attachments)):
        kept.update(str(each["sha256"]) for each in received)
    return kept
