"""Proposals as lists, and one as its readers see it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from kiban.office.calls import service as calls
from kiban.office.calls.models import CallStatus
from kiban.office.calls.schemas import CallOut
from kiban.office.errors import NotFound
from kiban.office.members.models import Organisation
from kiban.office.paging import LARGEST, Page, PageRequest
from kiban.office.proposals import attachments, drafts, service
from kiban.office.proposals.models import ProposalStatus
from kiban.office.proposals.outputs import ProposalOut
from kiban.office.proposals.policy import View as Sees
from kiban.office.reviews import service as reviews
from kiban.office.work import Role, Work
from kiban.portal.api.dependencies import Reading
from kiban.portal.i18n import _
from kiban.portal.pages.proposals.area import pages
from kiban.portal.pages.proposals.body_fields import BodyFields
from kiban.portal.pages.proposals.panel import of_stored, panel_of
from kiban.portal.web import page as current
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, url, view

Words = Chosen[Annotated[str, Query(max_length=200)]]


@dataclass(frozen=True)
class Row:
    """A proposal in a list, with its call and who proposes it."""

    proposal: ProposalOut
    call: CallOut | None
    organisation: Organisation | None
    is_writable: bool  # by its reader, now

    @property
    def title(self) -> str:
        return self.proposal.title or str(_("(no title yet)"))


TABLE: Table[Row] = Table(
    "proposals",
    [
        Column(
            "title",
            _("Proposal"),
            value=lambda row: row.title,
            sort="title",
            href=lambda row: url("proposals.show", proposal_id=row.proposal.id),
        ),
        Column(
            "organisation",
            _("Organisation"),
            value=lambda row: (row.organisation.name_ja, row.organisation.name_en) if row.organisation else None,
            kind="localised",
        ),
        Column("call", _("Call"), value=lambda row: row.call.code if row.call else None, kind="code"),
        Column("theme", _("Theme"), value=lambda row: theme_names(row.call, row.proposal.theme), kind="localised"),
        Column("status", _("State"), value=lambda row: row.proposal.status, kind="enum", sort="status"),
        Column("receipt", _("Receipt"), value=lambda row: row.proposal.receipt, kind="code", sort="receipt"),
        Column(
            "submitted_at",
            _("Handed in at"),
            value=lambda row: row.proposal.submitted_at,
            kind="datetime",
            sort="submitted_at",
        ),
        Column(
            "updated_at",
            _("Changed at"),
            value=lambda row: row.proposal.updated_at,
            kind="datetime",
            sort="updated_at",
        ),
    ],
    caption=_("Proposals"),
)


@pages.get("/proposals")
def index(
    work: Reading,
    query: ListQuery,
    q: Words = None,
    call: Chosen[uuid.UUID] = None,
    status: Chosen[ProposalStatus] = None,
    mine: bool = False,
) -> View | Response:
    """What the reader may see; applicants find their own drafts here."""
    work.person_id  # noqa: B018 - a list for people who are known
    known = calls.show_calls(work, calls.list_calls(work, PageRequest(limit=LARGEST)).items)
    by_id = {each.id: each for each in known}

    def read(page: PageRequest) -> Page[Row]:
        found = service.list_proposals(work, page, call_id=call, status=status, mine=mine, text=q)
        whose = service.organisations(work, found.items)
        return Page([_row(work, each, by_id, whose) for each in found.items], found.next_cursor)

    has_roles = work.actor.roles - {Role.APPLICANT} or work.actor.call_roles
    filters = [
        Filter.search("q", _("Words"), q),
        Filter.select("call", _("Call"), call, {each.id: f"{each.code} {_title(each)}" for each in known}),
        Filter.one_of("status", _("State"), status, ProposalStatus),
        *([Filter.checkbox("mine", _("Only my own"), mine)] if has_roles else []),
    ]
    is_applicant = work.actor.has(Role.APPLICANT)
    empty = (
        Empty(
            _("You have no proposal yet."),
            _("Choose a call that is open, read what it asks for, and start a draft."),
            _("See the calls"),
            url("calls.index"),
        )
        if is_applicant
        else Empty(_("There is no proposal for you to see."))
    )
    listing = TABLE.list(query, read, filters=filters, empty=empty)
    return view(
        "proposals/index.html", listing=listing, open_calls=[each for each in known if each.is_open and is_applicant]
    )


@pages.get("/proposals/{proposal_id}")
def show(work: Reading, proposal_id: uuid.UUID) -> View | Response:
    """As much of it as the reader may see, and what can be done with it."""
    proposal = service.get_proposal(work, proposal_id)
    call = calls.show_call(work, calls.get_call(work, proposal.call_id))
    whose = service.organisations(work, [proposal])
    return view(
        "proposals/show.html",
        proposal=proposal,
        call=call,
        organisation=whose.get(proposal.organisation_id) if proposal.organisation_id else None,
        fields=BodyFields(proposal.body, call.questions),
        panel=panel_of(proposal.plan, proposal.gaps, of_stored(proposal.body), call),
        files=attachments.list_attachments(work, proposal_id),
        theme=theme_names(call, proposal.theme),
        is_writable=is_writable(work, proposal, call),
        may_rule=work.actor.has(Role.OPERATOR, call.id) and not proposal.may_edit,
        may_withdraw=work.actor.organisation_id == proposal.organisation_id and work.actor.has(Role.APPLICANT),
        is_whole=proposal.view is Sees.WHOLE,
        is_blind=proposal.view is Sees.BLIND,
    )


@pages.get("/proposals/{proposal_id}/outcome")
def outcome(work: Reading, proposal_id: uuid.UUID) -> View | Response:
    """What reviewers tell the applicant, and the letter, once the decision is announced."""
    seen = service.see(work, proposal_id)
    if seen.view is not Sees.WHOLE:
        raise NotFound(service.NO_PROPOSAL, where="proposal_id")
    [proposal] = service.present(work, [proposal_id])
    call = calls.show_call(work, seen.call)
    is_decided = call.status in (CallStatus.DECIDED, CallStatus.ARCHIVED) and proposal.status in (
        ProposalStatus.AWARDED,
        ProposalStatus.REJECTED,
    )
    feedback = reviews.feedback(work, proposal_id) if is_decided else None
    return view("proposals/outcome.html", proposal=proposal, call=call, feedback=feedback)


def is_writable(work: Work, proposal: ProposalOut, call: CallOut) -> bool:
    """Whether the reader can change it now: nothing of a closed call, and nothing that was decided on."""
    if not proposal.may_edit or proposal.status not in drafts.WRITABLE or call.status is not CallStatus.PUBLISHED:
        return False
    return work.now < call.closes_at


def theme_names(call: CallOut | None, key: str) -> tuple[str, str] | None:
    """A theme's name in Japanese and English; as it stands where the call has none of this key."""
    if not key:
        return None
    found = next((each for each in call.themes if each.key == key), None) if call else None
    return (found.name_ja, found.name_en) if found else (key, key)


def _title(call: CallOut) -> str:
    return call.title_ja if current.current().language == "ja" else call.title_en


def _row(
    work: Work, proposal: ProposalOut, by_id: Mapping[uuid.UUID, CallOut], whose: Mapping[uuid.UUID, Organisation]
) -> Row:
    organisation = whose.get(proposal.organisation_id) if proposal.organisation_id else None
    call = by_id.get(proposal.call_id)
    return Row(proposal, call, organisation, call is not None and is_writable(work, proposal, call))
