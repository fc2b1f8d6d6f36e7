"""A proposal's versions: who saved what when, what changed between two, and going back to one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from kiban.office.calls import service as calls
from kiban.office.members import service as members
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals import drafts, service
from kiban.office.schemas import Schema
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import Text, _, pgettext
from kiban.portal.pages.proposals.area import pages
from kiban.portal.pages.proposals.comparing import compared
from kiban.portal.pages.proposals.reading import is_writable
from kiban.portal.web.forms import Form
from kiban.portal.web.notices import undo
from kiban.portal.web.tables import Column, ListQuery, Table
from kiban.portal.web.views import View, see_other, view

Number = Annotated[int, Query(ge=0, lt=2**31)]


@dataclass(frozen=True)
class Row:
    proposal_id: uuid.UUID
    number: int
    saved_at: datetime
    who: str
    how: Text
    older: int | None  # the one before it, on the same page of the list


TABLE: Table[Row] = Table(
    "versions",
    [
        Column("number", pgettext("version", "Version"), kind="number"),
        Column("saved_at", _("Saved at"), kind="datetime"),
        Column("who", _("Saved by")),
        Column("how", _("How"), value=lambda row: str(row.how)),
    ],
    caption=_("Versions"),
)


class Restored(Schema):
    number: Number
    expected_version: Number


@pages.get("/proposals/{proposal_id}/versions")
def versions(work: Reading, proposal_id: uuid.UUID, query: ListQuery) -> View | Response:
    """Newest first."""
    seen = service.see(work, proposal_id)
    call = calls.show_call(work, seen.call)

    def read(page: PageRequest) -> Page[Row]:
        found = service.list_versions(work, proposal_id, page)
        people = {each.person_id: each.name for each in members.contacts(work, {row.saved_by for row in found.items})}
        submitted = seen.proposal.submitted_version
        return Page(
            [
                Row(
                    proposal_id,
                    row.number,
                    row.saved_at,
                    people.get(row.saved_by, ""),
                    _("Handed in")
                    if row.number == submitted
                    else _("While typing")
                    if row.is_autosave
                    else _("By hand"),
                    older.number if older is not None else None,
                )
                for row, older in zip_longest(found.items, found.items[1:])
            ],
            found.next_cursor,
        )

    [proposal] = service.present(work, [proposal_id])
    listing = TABLE.list(query, read)
    return view(
        "proposals/versions.html",
        proposal=proposal,
        call=call,
        listing=listing,
        is_writable=is_writable(work, proposal, call),
    )


@pages.get("/proposals/{proposal_id}/diff")
def diff(work: Reading, proposal_id: uuid.UUID, before: Number, after: Number) -> View | Response:
    """What changed from one version to another."""
    seen = service.see(work, proposal_id)
    call = calls.show_call(work, seen.call)
    [proposal] = service.present(work, [proposal_id])
    one, other = (service.version_body(work, proposal_id, each) for each in (before, after))
    changes = compared(one, other, call)
    return view(
        "proposals/diff.html",
        proposal=proposal,
        call=call,
        before=before,
        after=after,
        changes=changes,
        is_writable=is_writable(work, proposal, call),
    )


@pages.post("/proposals/{proposal_id}/restore", shows="versions")
def restore(work: Writing, proposal_id: uuid.UUID, form: Form) -> Response:
    """Make an earlier version the current one."""
    given = form.read(Restored)
    made = drafts.restore(work, proposal_id, given.number, expected_version=given.expected_version)
    fields = {"number": given.expected_version, "expected_version": made.version}
    back = (
        undo("proposals.restore", proposal_id=proposal_id, fields=fields)
        if made.version != given.expected_version
        else None
    )
    return see_other("proposals.edit", proposal_id=proposal_id, notice="proposals.restored", undo=back)
