"""The list of people."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from kiban.office.members import reading, service
from kiban.office.members.reading import NamedPerson
from kiban.office.work import Role
from kiban.portal.api.dependencies import Reading
from kiban.portal.i18n import _
from kiban.portal.pages.members.area import pages
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Chosen, Column, Empty, Filter, ListQuery, Table
from kiban.portal.web.views import View, url, view

Words = Chosen[Annotated[str, Query(max_length=200)]]


def _roles(row: NamedPerson) -> str | None:
    return None if row.roles is None else " / ".join(str(label(role)) for role in row.roles)


def _columns(*, with_roles: bool) -> list[Column[NamedPerson]]:
    columns: list[Column[Any]] = [
        Column(
            "name",
            _("Name"),
            lambda row: row.row.name,
            sort="name",
            href=lambda row: url("members.show", person_id=row.row.id),
        ),
        Column("email", _("E-mail address"), lambda row: row.row.email, sort="email"),
        Column("organisation", _("Organisation"), lambda row: row.organisation, kind="localised"),
    ]
    if with_roles:
        columns.append(Column("roles", _("Roles"), _roles))
    columns += [
        Column("created_at", _("Since"), lambda row: row.row.created_at, kind="date", sort="created_at"),
        Column("disabled", _("Disabled"), lambda row: row.row.disabled_at, kind="date"),
    ]
    return columns


PEOPLE = Table("people", _columns(with_roles=True), caption=_("People"))
COLLEAGUES = Table("people", _columns(with_roles=False), caption=_("People"))


@pages.get("/members")
def index(
    work: Reading,
    query: ListQuery,
    organisation_id: Chosen[uuid.UUID] = None,
    role: Chosen[Role] = None,
    text: Words = None,
) -> View | Response:
    """Oneself and one's organisation; operators and auditors see everybody."""
    sees_all = work.actor.sees_everything
    filters = [Filter.search("text", _("Name or address"), text)]
    if sees_all:
        filters.append(Filter.one_of("role", _("Role"), role, Role))
    listing = (PEOPLE if sees_all else COLLEAGUES).list(
        query,
        lambda page: reading.people(work, page, organisation_id=organisation_id, role=role, text=text),
        filters=filters,
        sort="name",
        keep={} if organisation_id is None else {"organisation_id": str(organisation_id)},
        empty=Empty(_("Nobody is here yet."), _("People join by invitation.")),
    )
    organisation = None if organisation_id is None else service.organisation(work, organisation_id)
    return view("members/index.html", listing=listing, organisation=organisation)
