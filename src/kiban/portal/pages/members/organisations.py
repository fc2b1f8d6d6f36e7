"""Organisations: the list, one of them, adding, changing and closing."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from kiban.office.members import service
from kiban.office.members.models import Organisation, OrganisationKind, OrganisationSize
from kiban.office.members.schemas import OrganisationIn, Reason
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import _
from kiban.portal.pages.members.area import Choices, pages
from kiban.portal.web.forms import Form
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, see_other, url, view

Words = Chosen[Annotated[str, Query(max_length=200)]]

ORGANISATIONS: Table[Organisation] = Table(
    "organisations",
    [
        Column(
            "name_ja",
            _("Japanese name"),
            sort="name_ja",
            href=lambda row: url("members.organisation", organisation_id=row.id),
        ),
        Column("name_en", _("English name"), sort="name_en"),
        Column("kind", _("Kind"), kind="enum", sort="kind"),
        Column("size", _("Size"), kind="enum", sort="size"),
        Column("domain", _("Field"), sort="domain"),
        Column("corporate_number", _("Corporate number"), kind="code"),
        Column("closed_at", _("Closed"), kind="date"),
    ],
    caption=_("Organisations"),
)


@pages.get("/members/organisations")
def organisations(
    work: Reading, query: ListQuery, kind: Chosen[OrganisationKind] = None, text: Words = None
) -> View | Response:
    """One's own; operators and auditors see all."""
    listing = ORGANISATIONS.list(
        query,
        lambda page: service.organisations(work, page, kind=kind, text=text),
        filters=[
            Filter.search("text", _("Name or number"), text),
            Filter.one_of("kind", _("Kind"), kind, OrganisationKind),
        ],
        empty=Empty(_("There are no organisations yet."), _("Add one, then invite its people.")),
    )
    is_operator = work.actor.has(Role.OPERATOR)
    return view("members/organisations.html", listing=listing, is_operator=is_operator, kinds=_kinds(), sizes=_sizes())


@pages.post("/members/organisations", shows="organisations")
def add_organisation(work: Writing, form: Form) -> Response:
    """For operators."""
    row = service.add_organisation(work, form.read(OrganisationIn))
    return see_other("members.organisation", organisation_id=row.id, notice="members.added")


@pages.get("/members/organisations/{organisation_id}")
def organisation(work: Reading, organisation_id: uuid.UUID) -> View | Response:
    """One of them."""
    row = service.organisation(work, organisation_id)
    is_operator = work.actor.has(Role.OPERATOR)
    return view("members/organisation.html", organisation=row, is_operator=is_operator, kinds=_kinds(), sizes=_sizes())


@pages.post("/members/organisations/{organisation_id}", shows="organisation")
def change_organisation(work: Writing, organisation_id: uuid.UUID, form: Form) -> Response:
    """Kind, size and field weigh in awards, so that only operators change them."""
    service.change_organisation(work, organisation_id, form.read(OrganisationIn))
    return see_other("members.organisation", organisation_id=organisation_id, notice="members.saved")


@pages.post("/members/organisations/{organisation_id}/close", shows="organisation")
def close_organisation(work: Writing, organisation_id: uuid.UUID, form: Form) -> Response:
    """Nobody can join it any more."""
    service.close_organisation(work, organisation_id, form.read(Reason, under="closing").reason)
    return see_other("members.organisation", organisation_id=organisation_id, notice="members.closed")


def _kinds() -> Choices:
    return [(each.value, label(each)) for each in OrganisationKind]


def _sizes() -> Choices:
    return [(each.value, label(each)) for each in OrganisationSize]
