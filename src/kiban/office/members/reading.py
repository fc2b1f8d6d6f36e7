"""People and invitations with the names beside them, as lists show them: a few queries however long the list."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from kiban.office.members import invitations, repository, service
from kiban.office.members.models import Invitation, Person
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Role, Work

# In Japanese and in English.
Names = tuple[str, str]


@dataclass(frozen=True)
class NamedPerson:
    """`roles`: those held now, for who may see them; None for others."""

    row: Person
    organisation: Names | None
    roles: tuple[Role, ...] | None


@dataclass(frozen=True)
class NamedInvitation:
    row: Invitation
    organisation: Names | None
    call_code: str | None


def people(
    work: Work,
    page: PageRequest,
    *,
    organisation_id: uuid.UUID | None = None,
    role: Role | None = None,
    text: str | None = None,
) -> Page[NamedPerson]:
    """As `service.people`."""
    found = service.people(work, page, organisation_id=organisation_id, role=role, text=text)
    names = _organisations(work, (row.organisation_id for row in found.items))
    held: dict[uuid.UUID, set[Role]] = {row.id: set() for row in found.items}
    if work.actor.sees_everything:
        for grant in repository.live_roles(work.session, list(held)):
            held[grant.person_id].add(grant.role)

    def named(row: Person) -> NamedPerson:
        roles = tuple(sorted(held[row.id])) if work.actor.sees_everything else None
        return NamedPerson(row, names.get(row.organisation_id), roles)

    return Page([named(row) for row in found.items], found.next_cursor)


def invited(work: Work, page: PageRequest, *, is_open: bool = False) -> Page[NamedInvitation]:
    """As `invitations.listed`."""
    found = invitations.listed(work, page, is_open=is_open)
    names = _organisations(work, (row.organisation_id for row in found.items))
    calls = repository.call_names(work.session, {row.call_id for row in found.items if row.call_id is not None})
    items = [
        NamedInvitation(
            row,
            names.get(row.organisation_id),
            calls[row.call_id].code if row.call_id in calls else None,
        )
        for row in found.items
    ]
    return Page(items, found.next_cursor)


def _organisations(work: Work, ids: Iterable[uuid.UUID | None]) -> dict[uuid.UUID | None, Names]:
    """Of rows that the reader may see, so that they may see whose they are."""
    wanted = {each for each in ids if each is not None}
    names = repository.organisation_names(work.session, wanted)
    return {each: names[each] for each in names}
