from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request

from kiban.office.members import invitations, me, roles, service, sessions, tokens
from kiban.office.members import second_factor as second_factors
from kiban.office.members.models import OrganisationKind
from kiban.office.members.schemas import (
    Acceptance,
    InvitationIn,
    InvitationOut,
    InvitationPreview,
    InvitationSecret,
    Me,
    Move,
    NewToken,
    OrganisationIn,
    OrganisationOut,
    PersonChange,
    PersonIn,
    PersonOut,
    Reason,
    RoleIn,
    RoleOut,
    SessionOut,
    TokenIn,
    TokenOut,
)
from kiban.office.work import Role
from kiban.portal.api.auth import private_work
from kiban.portal.api.dependencies import Page, PageQuery, Reading, SessionCookie, Writing
from kiban.portal.api.routing import OPEN

router = APIRouter(prefix="/members", tags=["members"])


@router.get("/me", summary="Who one is here")
def read_me(work: Reading, cookie: SessionCookie) -> Me:
    """Roles in force and waiting for a second factor, scopes, organisation, sessions, and the CSRF token."""
    return me.me(work, cookie=cookie)


@router.get("/organisations", summary="Organisations")
def list_organisations(
    work: Reading,
    page: PageQuery,
    kind: OrganisationKind | None = None,
    text: Annotated[str | None, Query(max_length=200, description="words in a name, or the corporate number")] = None,
) -> Page[OrganisationOut]:
    """One's own; operators and auditors see all."""
    return Page.of(service.organisations(work, page, kind=kind, text=text), OrganisationOut)


@router.post("/organisations", status_code=201, summary="Add an organisation")
def add_organisation(given: OrganisationIn, work: Writing) -> OrganisationOut:
    """For operators."""
    return OrganisationOut.model_validate(service.add_organisation(work, given))


@router.get("/organisations/{organisation_id}", summary="One organisation")
def read_organisation(organisation_id: uuid.UUID, work: Reading) -> OrganisationOut:
    """One's own; operators and auditors see all."""
    return OrganisationOut.model_validate(service.organisation(work, organisation_id))


@router.put("/organisations/{organisation_id}", summary="Replace an organisation's particulars")
def change_organisation(organisation_id: uuid.UUID, given: OrganisationIn, work: Writing) -> OrganisationOut:
    """For operators."""
    return OrganisationOut.model_validate(service.change_organisation(work, organisation_id, given))


@router.post("/organisations/{organisation_id}/closure", summary="Close an organisation")
def close_organisation(organisation_id: uuid.UUID, given: Reason, work: Writing) -> OrganisationOut:
    """Nobody can join it any more. For operators."""
    return OrganisationOut.model_validate(service.close_organisation(work, organisation_id, given.reason))


@router.get("/people", summary="People")
def list_people(
    work: Reading,
    page: PageQuery,
    organisation_id: uuid.UUID | None = None,
    role: Role | None = None,
    call_id: Annotated[uuid.UUID | None, Query(description="with `role`: or in this call")] = None,
    text: Annotated[str | None, Query(max_length=200, description="words in the name or address")] = None,
) -> Page[PersonOut]:
    """Oneself and one's organisation; operators and auditors see everybody."""
    rows = service.people(work, page, organisation_id=organisation_id, role=role, call_id=call_id, text=text)
    return Page.of(rows, PersonOut)


@router.post("/people", status_code=201, summary="Add a person")
def add_person(given: PersonIn, work: Writing) -> PersonOut:
    """An account without a password; most people are invited instead. For operators."""
    return PersonOut.model_validate(service.add_person(work, given))


@router.get("/people/{person_id}", summary="One person")
def read_person(person_id: uuid.UUID, work: Reading) -> PersonOut:
    """Oneself and one's organisation; operators and auditors see everybody."""
    return PersonOut.model_validate(service.person(work, person_id))


@router.patch("/people/{person_id}", summary="Change a person's particulars")
def change_person(person_id: uuid.UUID, given: PersonChange, work: Writing) -> PersonOut:
    """One's own, without the address; operators change everybody's."""
    return PersonOut.model_validate(service.change_person(work, person_id, given))


@router.post("/people/{person_id}/move", summary="Move a person into another organisation")
def move_person(person_id: uuid.UUID, given: Move, work: Writing) -> PersonOut:
    """For operators."""
    return PersonOut.model_validate(service.move(work, person_id, given.organisation_id, given.reason))


@router.post("/people/{person_id}/disable", summary="Disable a person")
def disable_person(person_id: uuid.UUID, given: Reason, work: Writing) -> PersonOut:
    """Sessions and tokens end at once. For operators; the last one stays."""
    return PersonOut.model_validate(service.disable(work, person_id, given.reason))


@router.post("/people/{person_id}/enable", summary="Enable a person again")
def enable_person(person_id: uuid.UUID, given: Reason, work: Writing) -> PersonOut:
    """For operators."""
    return PersonOut.model_validate(service.enable(work, person_id, given.reason))


@router.post("/people/{person_id}/second-factor-removal", status_code=204, summary="Remove a second factor")
def remove_second_factor(person_id: uuid.UUID, given: Reason, work: Writing) -> None:
    """For somebody who lost it; their sessions and tokens end. For operators."""
    second_factors.remove(work, person_id, given.reason)


@router.get("/roles", summary="Roles given")
def list_roles(
    work: Reading,
    page: PageQuery,
    person_id: uuid.UUID | None = None,
    call_id: uuid.UUID | None = None,
    role: Role | None = None,
    with_revoked: bool = False,
) -> Page[RoleOut]:
    """One's own; operators and auditors see all."""
    rows = roles.listed(work, page, person_id=person_id, call_id=call_id, role=role, with_revoked=with_revoked)
    return Page.of(rows, RoleOut)


@router.post("/roles", status_code=201, summary="Give a role")
def grant_role(given: RoleIn, work: Writing) -> RoleOut:
    """In the programme, or in one call. For operators."""
    return RoleOut.model_validate(roles.grant(work, given.person_id, given.role, given.call_id))


@router.delete("/roles/{grant_id}", status_code=204, summary="Take a role")
def revoke_role(grant_id: uuid.UUID, work: Writing) -> None:
    """For operators; the last operator's stays."""
    roles.revoke(work, grant_id)


@router.get("/invitations", summary="Invitations")
def list_invitations(work: Reading, page: PageQuery, is_open: bool = False) -> Page[InvitationOut]:
    """Those one has sent, newest first; operators and auditors see all."""
    return Page.of(invitations.listed(work, page, is_open=is_open), InvitationOut)


@router.post("/invitations", status_code=201, summary="Invite somebody by mail")
def invite(given: InvitationIn, work: Writing) -> InvitationOut:
    """Operators invite anybody; applicants invite applicants into their own organisation."""
    return InvitationOut.model_validate(invitations.invite(work, given))


@router.delete("/invitations/{invitation_id}", status_code=204, summary="Withdraw an invitation")
def revoke_invitation(invitation_id: uuid.UUID, work: Writing) -> None:
    """One's own; operators withdraw everybody's."""
    invitations.revoke(work, invitation_id)


@router.post("/invitations/preview", summary="What an invitation offers", openapi_extra=OPEN)
def preview_invitation(given: InvitationSecret, work: Writing) -> InvitationPreview:
    """For who holds the link; nothing changes."""
    return invitations.preview(work, given.token)


@router.post("/invitations/acceptance", status_code=201, summary="Accept an invitation", openapi_extra=OPEN)
def accept_invitation(given: Acceptance, work: Writing) -> PersonOut:
    """With a new account, or signed in to the account of the invited address."""
    return PersonOut.model_validate(invitations.accept(work, given.token, given.account))


@router.get("/tokens", summary="API tokens")
def list_tokens(work: Reading, page: PageQuery, person_id: uuid.UUID | None = None) -> Page[TokenOut]:
    """One's own, without their text; operators and auditors see everybody's."""
    return Page.of(tokens.listed(work, page, person_id=person_id), TokenOut)


@router.post("/tokens", status_code=201, summary="Make an API token")
def create_token(given: TokenIn, request: Request) -> NewToken:
    """Takes a browser session. The answer alone holds the token; no idempotency key keeps it."""
    with private_work(request) as work:
        row, text = tokens.create(work, given)
        return NewToken(**TokenOut.model_validate(row).model_dump(), token=text)


@router.delete("/tokens/{token_id}", status_code=204, summary="Revoke an API token")
def revoke_token(token_id: uuid.UUID, work: Writing) -> None:
    """One's own; operators revoke everybody's."""
    tokens.revoke(work, token_id)


@router.get("/sessions", summary="One's browser sessions")
def list_sessions(work: Reading) -> list[SessionOut]:
    """Those that are live, newest first."""
    sessions.require_browser(work)
    return [me.session_out(work, row) for row in sessions.live(work)]


@router.delete("/sessions/{session_id}", status_code=204, summary="End one of one's sessions")
def revoke_session(session_id: uuid.UUID, work: Writing) -> None:
    """Also the present one."""
    sessions.revoke(work, session_id)


@router.delete("/sessions", status_code=204, summary="End one's other sessions")
def revoke_other_sessions(work: Writing) -> None:
    """All but the present one."""
    sessions.revoke_others(work)
