"""One person: particulars, roles, tokens, and what operators do about an account."""

from __future__ import annotations

import uuid

from starlette.responses import Response

from kiban.office.errors import NotFound
from kiban.office.members import roles, second_factor, service, tokens
from kiban.office.members.schemas import Move, PersonChange, Reason, RoleIn
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.members.area import call_choices, organisation_choices, pages, role_choices
from kiban.portal.web.forms import Form
from kiban.portal.web.notices import at_once, undo
from kiban.portal.web.views import View, see_other, view


@pages.get("/members/people/{person_id}")
def show(work: Reading, person_id: uuid.UUID) -> View | Response:
    """Operators change things here; colleagues and auditors look."""
    person = service.person(work, person_id)
    is_operator = work.actor.has(Role.OPERATOR)
    whole = PageRequest(limit=LARGEST)
    organisation = None
    if person.organisation_id is not None:
        organisation = service.organisation(work, person.organisation_id)
    held = roles.listed(work, whole, person_id=person_id).items
    return view(
        "members/person.html",
        person=person,
        organisation=organisation,
        held=held,
        calls=service.call_names(work, {grant.call_id for grant in held if grant.call_id is not None}),
        tokens=tokens.listed(work, whole, person_id=person_id).items if work.actor.sees_everything else [],
        is_operator=is_operator,
        role_choices=role_choices() if is_operator else [],
        call_choices=call_choices(work) if is_operator else [],
        organisation_choices=organisation_choices(work) if is_operator else [],
    )


@pages.post("/members/people/{person_id}/roles", shows="show")
def give_role(work: Writing, person_id: uuid.UUID, form: Form) -> Response:
    """In the programme, or in one call."""
    given = form.read(RoleIn, person_id=person_id)
    held = roles.grant(work, given.person_id, given.role, given.call_id)
    back = undo("members.revoke_role", person_id=person_id, grant_id=held.id)
    return see_other("members.show", person_id=person_id, notice="members.role-given", undo=back)


@pages.post("/members/people/{person_id}/roles/{grant_id}/revoke", shows="show")
def revoke_role(work: Writing, person_id: uuid.UUID, grant_id: uuid.UUID) -> Response:
    """It is out of force with the person's next request."""
    held = roles.revoke(work, grant_id)
    back = undo("members.give_role", person_id=held.person_id, fields={"role": held.role, "call_id": held.call_id})
    return see_other("members.show", person_id=person_id, notice="members.role-revoked", undo=back)


@pages.post("/members/people/{person_id}/particulars", shows="show")
def change(work: Writing, person_id: uuid.UUID, form: Form) -> Response:
    """Name and address, which is the office's to change."""
    service.change_person(work, person_id, form.read(PersonChange))
    return see_other("members.show", person_id=person_id, notice="members.saved")


@pages.post("/members/people/{person_id}/move", shows="show")
def move(work: Writing, person_id: uuid.UUID, form: Form) -> Response:
    """Into another organisation, or none."""
    given = form.read(Move, under="move", organisation_id=form.text("move.organisation_id") or None)
    before = service.person(work, person_id).organisation_id
    service.move(work, person_id, given.organisation_id, given.reason)
    fields = {"move.organisation_id": before or "", "move.reason": at_once()}
    back = undo("members.move", person_id=person_id, fields=fields)
    return see_other("members.show", person_id=person_id, notice="members.moved", undo=back)


@pages.post("/members/people/{person_id}/disable", shows="show")
def disable(work: Writing, person_id: uuid.UUID, form: Form) -> Response:
    """Sessions and tokens end at once."""
    service.disable(work, person_id, form.read(Reason, under="disable").reason)
    back = undo("members.enable", person_id=person_id, fields={"enable.reason": at_once()})
    return see_other("members.show", person_id=person_id, notice="members.disabled", undo=back)


@pages.post("/members/people/{person_id}/enable", shows="show")
def enable(work: Writing, person_id: uuid.UUID, form: Form) -> Response:
    """With the roles that the person had."""
    service.enable(work, person_id, form.read(Reason, under="enable").reason)
    back = undo("members.disable", person_id=person_id, fields={"disable.reason": at_once()})
    return see_other("members.show", person_id=person_id, notice="members.enabled", undo=back)


@pages.post("/members/people/{person_id}/second-factor/remove", shows="show")
def remove_factor(work: Writing, person_id: uuid.UUID, form: Form) -> Response:
    """For who has lost it."""
    second_factor.remove(work, person_id, form.read(Reason, under="factor").reason)
    return see_other("members.show", person_id=person_id, notice="members.factor-removed")


@pages.get("/members/people/{person_id}/tokens/{token_id}/revoke")
def revoking_token(work: Reading, person_id: uuid.UUID, token_id: uuid.UUID) -> View | Response:
    """Asks first: it cannot be given back."""
    person = service.person(work, person_id)
    work.require(Role.OPERATOR)
    held = tokens.listed(work, PageRequest(limit=LARGEST), person_id=person_id).items
    found = next((row for row in held if row.id == token_id), None)
    if found is None:
        raise NotFound("there is no such token", where="token_id")
    return view("members/revoking_token.html", person=person, token=found)


@pages.post("/members/people/{person_id}/tokens/{token_id}/revoke", shows="revoking_token")
def revoke_token(work: Writing, person_id: uuid.UUID, token_id: uuid.UUID) -> Response:
    """It stops working at once."""
    tokens.revoke(work, token_id)
    return see_other("members.show", person_id=person_id, notice="members.token-revoked")
