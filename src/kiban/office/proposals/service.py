"""Proposals as people read them: as much of each as they may see, with the plan and what is missing.

They are written in `drafts` and handed in by `submission`; `eligibility` rules out which do not compete, and their
files are in `attachments`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from kiban.office.calls import service as calls
from kiban.office.calls.models import Call
from kiban.office.errors import Forbidden, NotFound
from kiban.office.members.models import Organisation
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals import autosaves, repository
from kiban.office.proposals.blinding import blinded, names_in
from kiban.office.proposals.content import checked_body, read_body
from kiban.office.proposals.differences import differences
from kiban.office.proposals.gaps import gaps_of
from kiban.office.proposals.models import ProposalStatus, ProposalVersion
from kiban.office.proposals.outputs import Change, Gap, PlanAnswer, ProposalOut, ProposalWhole, VersionOut
from kiban.office.proposals.policy import View
from kiban.office.proposals.remarks import answer_for
from kiban.office.proposals.repository import Seen
from kiban.office.search.service import query_words
from kiban.office.work import Work

NO_PROPOSAL: Final = "there is no such proposal"


def see(work: Work, proposal_id: uuid.UUID, *, lock: bool = False) -> Seen:
    """Raises: NotFound: no such proposal, or none that this person may see."""
    found = repository.find(work.session, work.actor, proposal_id, lock=lock)
    if found is None:
        raise NotFound(NO_PROPOSAL, where="proposal_id")
    return found


def find_receipt(work: Work, receipt: str) -> uuid.UUID:
    """The proposal that a receipt's number was given to.

    Raises:
        NotFound: as `see`.
    """
    found = repository.id_of_receipt(work.session, work.actor, receipt)
    if found is None:
        raise NotFound(NO_PROPOSAL, where=receipt)
    return found


def get_proposal(work: Work, proposal_id: uuid.UUID) -> ProposalWhole:
    """As much of the proposal as this person may see.

    Raises:
        NotFound: as `see`.
    """
    seen = see(work, proposal_id)
    return _whole(work, seen, get_version(work, proposal_id, seen.version))


def present_whole(work: Work, proposal_ids: Sequence[uuid.UUID]) -> list[ProposalWhole]:
    """`get_proposal` of those of the proposals that this person sees, in the order given."""
    rows = repository.seen(work.session, work.actor, proposal_ids)
    versions = repository.versions(work.session, [(seen.proposal.id, seen.version) for seen in rows])
    return [_whole(work, seen, versions[seen.proposal.id]) for seen in rows]


def _whole(work: Work, seen: Seen, version: ProposalVersion) -> ProposalWhole:
    gaps = _gaps(work, seen, version.body) if seen.may_edit else ()
    return ProposalWhole(
        **_head(seen, version),
        body=_shown_body(seen, version.body),
        digest="" if seen.view is View.BLIND else version.digest,
        plan=PlanAnswer.model_validate(version.plan),
        gaps=gaps,
    )


def list_proposals(
    work: Work,
    page: PageRequest,
    *,
    call_id: uuid.UUID | None = None,
    status: ProposalStatus | None = None,
    mine: bool = False,
    theme: str | None = None,
    track: str | None = None,
    text: str | None = None,
) -> Page[ProposalOut]:
    """What this person sees, newest first.

    Args:
        mine: only what they may write.
        text: only proposals that hold every word of it, as `search.service.find` finds them.

    Raises:
        Invalid: an overlong text, or a sort that this list does not have.
    """
    rows = repository.page(
        work.session,
        work.actor,
        page,
        call_id=call_id,
        status=status,
        mine=mine,
        theme=theme,
        track=track,
        words=query_words(text) if text and text.strip() else (),
    )
    return Page(_present(work, rows.items), rows.next_cursor)


def present(work: Work, proposal_ids: Sequence[uuid.UUID]) -> list[ProposalOut]:
    """Those of the proposals that this person sees, in the order given."""
    return _present(work, repository.seen(work.session, work.actor, proposal_ids))


def organisations(work: Work, proposals: Sequence[ProposalOut]) -> dict[uuid.UUID, Organisation]:
    """Who proposes, by id, of proposals as this person was shown them: those judged blind name nobody."""
    ids = {each.organisation_id for each in proposals if each.organisation_id is not None}
    return repository.organisations_by_id(work.session, sorted(ids))


def list_versions(work: Work, proposal_id: uuid.UUID, page: PageRequest) -> Page[VersionOut]:
    """Newest first, without autosaves that others replaced. Who sees a submitted proposal sees that version alone.

    Raises:
        NotFound: as `see`.
    """
    seen = see(work, proposal_id)
    if seen.view is View.BLIND:
        raise Forbidden("who judges blind does not see who wrote what when")
    if seen.view is View.SUBMITTED:
        return Page([VersionOut.model_validate(get_version(work, proposal_id, seen.version))], None)
    rows = repository.version_page(work.session, proposal_id, page, without=autosaves.replaced(work, proposal_id))
    return Page([VersionOut.model_validate(row) for row in rows.items], rows.next_cursor)


def version_body(work: Work, proposal_id: uuid.UUID, number: int) -> dict[str, Any]:
    """Raises: NotFound: as `see`, or no such version among those that this person sees."""
    seen = see(work, proposal_id)
    if seen.view is not View.WHOLE and number != seen.version:
        raise NotFound("there is no such version", where="number")
    return _shown_body(seen, get_version(work, proposal_id, number).body)


def diff(work: Work, proposal_id: uuid.UUID, before: int, after: int) -> list[Change]:
    """What changed from one version to another.

    Raises:
        NotFound: as `version_body`.
    """
    return differences(version_body(work, proposal_id, before), version_body(work, proposal_id, after))


def changes_since(work: Work, proposal_id: uuid.UUID, number: int) -> list[Change]:
    """What changed from a version to the one that this person sees, for somebody who has read the former before.

    To who judges blind, nothing is shown of either that names who proposes.

    Raises:
        NotFound: as `see`, or no such version.
    """
    seen = see(work, proposal_id)
    before, after = (get_version(work, proposal_id, each).body for each in (number, seen.version))
    if seen.view is View.BLIND:
        organisation = seen.organisation
        found = {
            each for body in (before, after) for each in names_in(body, organisation.name_ja, organisation.name_en)
        }
        names = sorted(found, key=lambda name: (-len(name), name))  # a long one before a part of it
        return differences(blinded(before, names), blinded(after, names))
    return differences(before, after)


def preview(work: Work, call_id: uuid.UUID, body: Mapping[str, Any]) -> tuple[PlanAnswer, tuple[Gap, ...]]:
    """The plan and the gaps of a body as it is being typed; nothing is stored.

    Raises:
        NotFound: no such call.
        Unauthenticated: nobody is signed in.
    """
    if not work.actor.is_system:
        work.person_id  # noqa: B018 - the estimates take time, so they are for people who are known
    call = calls.get_call(work, call_id)
    cleaned = checked_body(body)
    plan = plan_for(work, call, cleaned)
    organisation_id = work.actor.organisation_id
    organisation = repository.organisation(work.session, organisation_id) if organisation_id else None
    pools = repository.offered_pools(work.session, call.id)
    return plan, gaps_of(cleaned, call, organisation, pools) if organisation else ()


def plan_for(work: Work, call: Call, body: Mapping[str, Any]) -> PlanAnswer:
    read, _ = read_body(body)
    pools = repository.offered_pools(work.session, call.id)
    return answer_for(read, pools, call.first_month, call.months)


def _gaps(work: Work, seen: Seen, body: Mapping[str, Any]) -> tuple[Gap, ...]:
    return gaps_of(body, seen.call, seen.organisation, repository.offered_pools(work.session, seen.call.id))


def get_version(work: Work, proposal_id: uuid.UUID, number: int) -> ProposalVersion:
    version = repository.version(work.session, proposal_id, number)
    if version is None:
        raise NotFound("there is no such version", where="number", hint="an autosave makes way for the next one")
    return version


def _shown_body(seen: Seen, body: Mapping[str, Any], only: Collection[str] | None = None) -> dict[str, Any]:
    """Args: only: the fields that are wanted; None means all."""
    wanted = body if only is None else {field: body[field] for field in only if field in body}
    if seen.view is View.BLIND:
        return blinded(wanted, names_in(body, seen.organisation.name_ja, seen.organisation.name_en))
    return dict(wanted)


def _present(work: Work, rows: Sequence[Seen]) -> list[ProposalOut]:
    # The row carries the latest title, which only those who see the latest version may read.
    others = [(seen.proposal.id, seen.version) for seen in rows if seen.view is not View.WHOLE]
    versions = repository.versions(work.session, others)
    return [ProposalOut(**_head(seen, versions.get(seen.proposal.id))) for seen in rows]


def _head(seen: Seen, version: ProposalVersion | None) -> dict[str, Any]:
    proposal = seen.proposal
    title, theme, updated_at = proposal.title, proposal.theme, proposal.updated_at
    if seen.view is not View.WHOLE:
        assert version is not None
        shown = _shown_body(seen, version.body, only=("title", "theme"))
        read, _ = read_body(shown)
        title, theme, updated_at = read.title, read.theme, proposal.submitted_at or version.saved_at
    return {
        "id": proposal.id,
        "call_id": proposal.call_id,
        "organisation_id": None if seen.view is View.BLIND else proposal.organisation_id,
        "title": title,
        "theme": theme,
        "track": proposal.track,
        "status": proposal.status,
        "version": seen.version,
        "submitted_version": proposal.submitted_version,
        "receipt": proposal.receipt,
        "submitted_at": proposal.submitted_at,
        "updated_at": updated_at,
        "status_reason": "" if seen.view is View.BLIND else proposal.status_reason,  # it may name who proposes
        "view": seen.view,
        "may_edit": seen.may_edit,
    }
