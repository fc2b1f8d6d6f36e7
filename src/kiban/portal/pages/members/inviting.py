"""Invitations: sent, sent again, withdrawn."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response

from kiban.office.members import invitations, reading, service
from kiban.office.members.reading import NamedInvitation
from kiban.office.members.schemas import InvitationIn
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import Text, _, pgettext
from kiban.portal.pages.members.area import call_choices, organisation_choices, pages, role_choices
from kiban.portal.web.forms import Form
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, see_other, view


def _became(row: NamedInvitation) -> Text:
    if row.row.accepted_at is not None:
        return _("Accepted")
    return _("Withdrawn or replaced") if row.row.revoked_at is not None else pgettext("invitation", "Sent")


INVITATIONS: Table[NamedInvitation] = Table(
    "invitations",
    [
        Column("email", _("E-mail address"), lambda row: row.row.email, sort="email"),
        Column("organisation", _("Organisation"), lambda row: row.organisation, kind="localised"),
        Column("roles", _("Roles"), lambda row: " / ".join(str(label(Role(each))) for each in row.row.roles)),
        Column("call", _("Only in the call"), lambda row: row.call_code, kind="code"),
        Column(
            "created_at",
            pgettext("invitation", "Sent"),
            lambda row: row.row.created_at,
            kind="datetime",
            sort="created_at",
        ),
        Column("expires_at", _("Valid until"), lambda row: row.row.expires_at, kind="datetime", sort="expires_at"),
        Column("state", _("State"), lambda row: str(_became(row))),
    ],
    caption=_("Invitations"),
)


@pages.get("/members/invitations")
def invited(
    work: Reading, query: ListQuery, is_open: bool = False, organisation_id: uuid.UUID | None = None
) -> View | Response:
    """Those one has sent, and the form for another; operators and auditors see all."""
    listing = INVITATIONS.list(
        query,
        lambda page: reading.invited(work, page, is_open=is_open),
        filters=[Filter.checkbox("is_open", _("Only those that can still be accepted"), is_open)],
        empty=Empty(_("Nobody has been invited yet."), _("An invitation goes by mail and is valid for two weeks.")),
    )
    is_operator = work.actor.has(Role.OPERATOR)
    own_id = work.actor.organisation_id
    may_invite = is_operator or (work.actor.has(Role.APPLICANT) and own_id is not None)
    return view(
        "members/invitations.html",
        listing=listing,
        is_operator=is_operator,
        may_invite=may_invite,
        organisation_id=organisation_id,
        own=service.organisation(work, own_id) if may_invite and not is_operator and own_id is not None else None,
        role_choices=role_choices(),
        call_choices=call_choices(work) if is_operator else [],
        organisation_choices=organisation_choices(work) if is_operator else [],
    )


@pages.post("/members/invitations", shows="invited")
def invite(work: Writing, form: Form) -> Response:
    """Operators invite anybody to anything, applicants their colleagues."""
    own: dict[str, Any] = {}
    if not work.actor.has(Role.OPERATOR):
        own = {"organisation_id": work.actor.organisation_id, "roles": [Role.APPLICANT], "call_id": None}
    invitations.invite(work, form.read(InvitationIn, **own))
    return see_other("members.invited", notice="members.invited")


@pages.post("/members/invitations/{invitation_id}/again", shows="invited")
def invite_again(work: Writing, invitation_id: uuid.UUID, form: Form) -> Response:
    """The same once more, with a new link; the earlier one stops working."""
    invitations.invite_again(work, invitation_id, form.text("language", "ja"))
    return see_other("members.invited", notice="members.invited")


@pages.post("/members/invitations/{invitation_id}/withdraw", shows="invited")
def withdraw(work: Writing, invitation_id: uuid.UUID) -> Response:
    """Its link stops working."""
    invitations.revoke(work, invitation_id)
    return see_other("members.invited", notice="members.withdrawn")
