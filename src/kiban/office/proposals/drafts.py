"""Drafts and their versions: create, save, merge, restore. Nobody's save overwrites another's.

A save names the version it started from. If another came in between, it is refused with `Conflict` and nothing is
stored; the browser still holds the body, and `merge` brings it together with the current version.

Of autosaves in a row only the last is shown and stays (`autosaves`); what was saved by hand, or submitted, stays.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any, Final

from kiban.office.calls import service as calls
from kiban.office.calls.models import Call
from kiban.office.errors import Conflict, Forbidden, Invalid
from kiban.office.guards.text import normalise_email
from kiban.office.proposals import autosaves, repository
from kiban.office.proposals.blinding import blinded, names_in
from kiban.office.proposals.content import checked_body, digest_of, read_body
from kiban.office.proposals.differences import UNKNOWN, merged
from kiban.office.proposals.models import Proposal, ProposalStatus, ProposalVersion, TeamMember
from kiban.office.proposals.outputs import Merge, ProposalOut, ProposalWhole
from kiban.office.proposals.policy import View
from kiban.office.proposals.repository import Seen
from kiban.office.proposals.service import get_proposal, get_version, plan_for, see, version_body
from kiban.office.search import service as search
from kiban.office.search.models import Face
from kiban.office.work import Role, Work

MOST_DRAFTS: Final = 50  # of one organisation in one call
WRITABLE = (ProposalStatus.DRAFT, ProposalStatus.SUBMITTED, ProposalStatus.WITHDRAWN)


def create(work: Work, call_id: uuid.UUID, body: Mapping[str, Any]) -> ProposalWhole:
    """A new draft of the actor's own organisation, as version 1.

    Raises:
        NotFound: no such call.
        Forbidden: not an applicant, or of no organisation.
        Conflict: the call takes no more proposals, or the organisation has too many drafts in it.
        Invalid: a body that cannot be stored.
    """
    call = calls.get_call(work, call_id)
    work.require(Role.APPLICANT, call_id=call_id)
    organisation_id = work.actor.organisation_id
    organisation = repository.organisation(work.session, organisation_id) if organisation_id else None
    if organisation is None:
        raise Forbidden("only a member of an organisation can apply", hint="ask the programme for an invitation")
    _require_time(work, call)
    mine = repository.drafts_of(work.session, call_id, organisation.id)
    if mine >= MOST_DRAFTS:
        raise Conflict(f"the organisation has {mine} drafts in this call already", hint="use one of them")
    cleaned = checked_body(body)
    proposal = Proposal(
        id=work.new_id(),
        call_id=call_id,
        organisation_id=organisation.id,
        title="",
        theme="",
        status=ProposalStatus.DRAFT,
        version=0,
        created_by=work.person_id,
        created_at=work.now,
        updated_at=work.now,
    )
    repository.add(work.session, proposal)
    _store(work, Seen(proposal, call, organisation, View.WHOLE, True, True), cleaned, is_autosave=False)
    return get_proposal(work, proposal.id)


def save(
    work: Work, proposal_id: uuid.UUID, body: Mapping[str, Any], *, expected_version: int, is_autosave: bool = False
) -> ProposalWhole:
    """Store a body as the next version; one that is as the current version is not stored again.

    Args:
        expected_version: the version that the body was made from.

    Raises:
        NotFound: as `see`.
        Forbidden: it is not this person's to write.
        Conflict: somebody saved in between, or the call closed.
        Invalid: a body that cannot be stored.
    """
    cleaned = checked_body(body)
    seen = writable(work, proposal_id)
    proposal = seen.proposal
    if proposal.version != expected_version:
        raise Conflict(
            f"it was changed meanwhile: this was made from version {expected_version}, and the current one is "
            f"{proposal.version}",
            where="expected_version",
            hint="nothing was stored; merge the two and save again",
        )
    current = get_version(work, proposal_id, proposal.version)
    if current.digest != digest_of(cleaned) or (current.is_autosave and not is_autosave):
        _store(work, seen, cleaned, is_autosave=is_autosave)
    return get_proposal(work, proposal_id)


def restore(work: Work, proposal_id: uuid.UUID, number: int, *, expected_version: int) -> ProposalWhole:
    """Make an earlier version the current one, as a new version.

    Raises:
        NotFound, Forbidden, Conflict: as `save`.
    """
    return save(work, proposal_id, version_body(work, proposal_id, number), expected_version=expected_version)


def merge(
    work: Work, proposal_id: uuid.UUID, body: Mapping[str, Any], *, base_version: int, own_paths: Collection[str] = ()
) -> Merge:
    """What a refused body comes to together with the current version; nothing is stored.

    Where the version that it was made from is not kept any more, whatever differs is a clash.

    Args:
        own_paths: of clashes in which the refused body's side is to stay.

    Raises:
        NotFound: as `see`.
        Forbidden: it is not this person's to write.
        Invalid: a body that could not be stored, or a version that never was.
    """
    seen = see(work, proposal_id)
    require_writer(seen)
    if not 1 <= base_version <= seen.proposal.version:
        raise Invalid("there is no such version", where="base_version")
    base = repository.version(work.session, proposal_id, base_version)
    current = get_version(work, proposal_id, seen.proposal.version)
    # No older version may stand in for it: what was changed from there to the base would count as one's own change.
    whole, clashes = merged(base.body if base else UNKNOWN, current.body, checked_body(body), own_paths)
    return Merge(
        base_version=base.number if base else None,
        current_version=current.number,
        body=whole,
        clashes=tuple(clashes),
    )


def writable(work: Work, proposal_id: uuid.UUID) -> Seen:
    """The proposal, locked until the work ends, if this person may write it now.

    Raises:
        NotFound: as `see`.
        Forbidden: it is seen, but not this person's to write.
        Conflict: the call closed, or the proposal was decided on.
    """
    seen = see(work, proposal_id, lock=True)
    require_writer(seen)
    _require_time(work, seen.call)
    if seen.proposal.status not in WRITABLE:
        raise Conflict(f"it is {seen.proposal.status} and stays as it is")
    return seen


def require_writer(seen: Seen | ProposalOut) -> None:
    """Raises: Forbidden: of those who see a proposal, not one who writes it."""
    if not seen.may_edit:
        raise Forbidden("only its applicants write a proposal")


def _require_time(work: Work, call: Call) -> None:
    if calls.is_closed(call, work.now):
        raise Conflict("the call is closed", where="call_id")


def _store(work: Work, seen: Seen, body: dict[str, Any], *, is_autosave: bool) -> None:
    proposal = seen.proposal
    person_id = work.person_id if not work.actor.is_system else work.actor.person_id or proposal.created_by
    read, _ = read_body(body)
    proposal.version += 1
    proposal.title, proposal.theme, proposal.updated_at = read.title, read.theme[:64], work.now
    plan = plan_for(work, seen.call, body)
    version = ProposalVersion(
        id=work.new_id(),
        proposal_id=proposal.id,
        number=proposal.version,
        body=body,
        digest=digest_of(body),
        plan=plan.model_dump(mode="json"),
        is_autosave=is_autosave,
        saved_by=person_id,
        saved_at=work.now,
    )
    repository.add(work.session, version)
    if is_autosave:
        autosaves.thin_out(work, proposal.id)
    refresh_team(work, seen)
    search.put(work, proposal.id, Face.LATEST, *searched(seen, body))


def refresh_team(work: Work, seen: Seen) -> None:
    """Team rows of the latest version, and of the submitted one: reviewers read that, so its conflicts stay."""
    proposal = seen.proposal
    numbers = [proposal.version]
    if proposal.submitted_version not in (None, proposal.version):
        numbers.append(proposal.submitted_version or 0)
    members: dict[str, TeamMember] = {}
    for number in numbers:
        version = repository.version(work.session, proposal.id, number)
        for member in read_body(version.body)[0].team if version else ():
            try:
                email = normalise_email(member.email)
            except Invalid:
                continue  # a gap, which keeps it from being submitted
            if email in members:
                continue
            members[email] = TeamMember(
                id=work.new_id(),
                proposal_id=proposal.id,
                name=member.name[:200],
                email=email,
                organisation_name=member.organisation_name[:200],
                orcid=member.orcid,
                role=member.role[:64],
                may_edit=member.may_edit and number == proposal.version,
            )
    repository.replace_team(work.session, proposal.id, list(members.values()))


def searched(seen: Seen, body: Mapping[str, Any], *, blind: bool = False) -> tuple[str, str]:
    """Title and full text that a search looks through."""
    organisation = seen.organisation
    if blind:
        body = blinded(body, names_in(body, organisation.name_ja, organisation.name_en))
    read, _ = read_body(body)
    theme = next((each for each in calls.themes_of(seen.call) if each.key == read.theme), None)
    parts = [read.title, read.summary, *((theme.name_ja, theme.name_en) if theme else ())]
    if not blind:
        parts += [organisation.name_ja, organisation.name_en]
        parts += [f"{member.name} {member.organisation_name}" for member in read.team]
    return read.title, "\n".join(part for part in parts if part)
