"""Organisations and people, and whom other modules write to. What people sign in with has files of its own."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from kiban.office.audit import service as audit
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.guards import text
from kiban.office.members import credentials_repository, passwords, policy, repository, roles
from kiban.office.members.models import Organisation, OrganisationKind, Person
from kiban.office.members.repository import CallName
from kiban.office.members.schemas import OrganisationIn, PersonChange, PersonIn
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Role, Work


@dataclass(frozen=True)
class Contact:
    """Where and in which language somebody is written to."""

    person_id: uuid.UUID
    email: str
    name: str
    language: str


# Organisations


def add_organisation(work: Work, given: OrganisationIn) -> Organisation:
    """Raises: Conflict: another has this corporate number."""
    work.require(Role.OPERATOR)
    row = Organisation(id=work.new_id(), created_at=work.now, **_organisation_values(work, given, None))
    repository.add(work.session, row)
    audit.record(work, "members.organisation_added", "organisation", row.id, name_ja=row.name_ja)
    return row


def change_organisation(work: Work, organisation_id: uuid.UUID, given: OrganisationIn) -> Organisation:
    """Replace its particulars: type, size and domain weigh in awards, so that only operators change them."""
    row = organisation(work, organisation_id, lock=True)
    work.require(Role.OPERATOR)
    values = _organisation_values(work, given, row.id)
    changed = {name: str(getattr(row, name)) for name, value in values.items() if getattr(row, name) != value}
    for name, value in values.items():
        setattr(row, name, value)
    if changed:
        audit.record(work, "members.organisation_changed", "organisation", row.id, before=changed)
    return row


def close_organisation(work: Work, organisation_id: uuid.UUID, reason: str) -> Organisation:
    """Nobody can join it any more. Its people keep what they see, and its grants are wound up as grants."""
    row = organisation(work, organisation_id, lock=True)
    work.require(Role.OPERATOR)
    reason = text.clean_text(reason, max_chars=2000, where="reason")
    if row.closed_at is not None:
        raise Conflict("the organisation is closed already")
    row.closed_at = work.now
    audit.record(work, "members.organisation_closed", "organisation", row.id, reason=reason)
    return row


def organisation(work: Work, organisation_id: uuid.UUID, *, lock: bool = False) -> Organisation:
    """Raises: NotFound: none, or another's."""
    row = repository.organisation(work.session, work.actor, organisation_id, lock=lock)
    if row is None:
        raise NotFound("there is no such organisation", where=str(organisation_id))
    return row


def organisations(
    work: Work, page: PageRequest, *, kind: OrganisationKind | None = None, text: str | None = None
) -> Page[Organisation]:
    """Organisations one may see; `text`: only those with each of its words in a name or their number."""
    policy.require_somebody(work)
    return repository.organisations(work.session, work.actor, page, kind=kind, text=text)


# People


def first_operator(work: Work, email: str, name: str, password: str) -> Person:
    """The account with which a new programme begins, made at the terminal.

    Raises:
        Forbidden: not at the terminal.
        Conflict: there is an operator, who invites others.
    """
    if not work.actor.is_system:
        raise Forbidden("the first operator is made at the terminal")
    if repository.lock_operators(work.session):
        raise Conflict("there is an operator already", hint="operators invite others")
    person = add_person(work, PersonIn(email=email, name=name))
    passwords.set_password(work, person, password)
    roles.give(work, person.id, Role.OPERATOR)
    return person


def add_person(work: Work, given: PersonIn) -> Person:
    """A person without a password: a reset mail or a provider lets them in. Most people are invited instead.

    Raises:
        Conflict: there is such an account.
    """
    work.require(Role.OPERATOR)
    if given.organisation_id is not None:
        require_open_organisation(work, given.organisation_id)
    person = new_person(work, given)
    audit.record(work, "members.person_added", "person", person.id, organisation_id=_text(given.organisation_id))
    return person


def new_person(work: Work, given: PersonIn) -> Person:
    """The row of a person, whoever may make it: rights and audit are the caller's, within this module.

    Raises:
        Conflict: there is such an account.
    """
    email = text.normalise_email(given.email)
    if repository.person_by_email(work.session, email) is not None:
        raise Conflict("there is an account with this address", where="email")
    person = Person(
        id=work.new_id(),
        email=email,
        name=text.clean_line(given.name, max_chars=200, where="name"),
        language=given.language,
        organisation_id=given.organisation_id,
        expertise=_words(given.expertise),
        orcid=text.orcid(given.orcid) if given.orcid else None,
        recovery_digests=[],
        created_at=work.now,
    )
    repository.add(work.session, person)
    return person


def change_person(work: Work, person_id: uuid.UUID, given: PersonChange) -> Person:
    """One's own particulars, or as an operator anybody's; the address is the operators' to change.

    Raises:
        Forbidden: a colleague's, or one's own address.
        Conflict: another has the address.
    """
    row = person(work, person_id, lock=True)
    if row.id != work.actor.person_id:
        work.require(Role.OPERATOR)
    if given.name is not None:
        row.name = text.clean_line(given.name, max_chars=200, where="name")
    if given.language is not None:
        row.language = given.language
    if given.expertise is not None:
        row.expertise = _words(given.expertise)
    if "orcid" in given.model_fields_set:
        row.orcid = text.orcid(given.orcid) if given.orcid else None
    if given.email is not None:
        _change_email(work, row, text.normalise_email(given.email))
    if row.id != work.actor.person_id:
        audit.record(work, "members.person_changed", "person", row.id, fields=sorted(given.model_fields_set))
    return row


def _change_email(work: Work, row: Person, email: str) -> None:
    if email == row.email:
        return
    work.require(Role.OPERATOR)
    if repository.person_by_email(work.session, email) is not None:
        raise Conflict("there is an account with this address", where="email")
    audit.record(work, "members.email_changed", "person", row.id, before=row.email, after=email)
    row.email = email
    # Links that went to the former mailbox.
    credentials_repository.spend_resets(work.session, row.id, work.now)


def move(work: Work, person_id: uuid.UUID, organisation_id: uuid.UUID | None, reason: str) -> Person:
    """Into another organisation, or none: what the person sees changes with the next request.

    Invitations that they sent end, or they could let themselves in again under another address.
    """
    row = person(work, person_id, lock=True)
    work.require(Role.OPERATOR)
    reason = text.clean_text(reason, max_chars=2000, where="reason")
    if organisation_id is not None:
        require_open_organisation(work, organisation_id)
    before, row.organisation_id = row.organisation_id, organisation_id
    repository.revoke_open_invitations(work.session, work.now, invited_by=row.id)
    audit.record(
        work,
        "members.person_moved",
        "person",
        row.id,
        before=_text(before),
        after=_text(organisation_id),
        reason=reason,
    )
    return row


def disable(work: Work, person_id: uuid.UUID, reason: str) -> Person:
    """Sessions and tokens end at once, and the invitations that the person sent. What they did stays on record.

    Raises:
        Conflict: the last operator, or disabled already.
    """
    operators = repository.lock_operators(work.session) if work.actor.has(Role.OPERATOR) else set()
    row = person(work, person_id, lock=True)
    work.require(Role.OPERATOR)
    reason = text.clean_text(reason, max_chars=2000, where="reason")
    if row.disabled_at is not None:
        raise Conflict("the person is disabled already")
    if operators == {row.id}:
        raise Conflict("this is the last operator", hint="make another person an operator first")
    row.disabled_at = work.now
    credentials_repository.revoke_sessions(work.session, row.id, work.now)
    credentials_repository.revoke_tokens(work.session, row.id, work.now)
    credentials_repository.spend_resets(work.session, row.id, work.now)
    repository.revoke_open_invitations(work.session, work.now, invited_by=row.id)
    audit.record(work, "members.person_disabled", "person", row.id, reason=reason)
    return row


def enable(work: Work, person_id: uuid.UUID, reason: str) -> Person:
    """Let somebody in again, with their roles; tokens and sessions stay ended."""
    row = person(work, person_id, lock=True)
    work.require(Role.OPERATOR)
    reason = text.clean_text(reason, max_chars=2000, where="reason")
    if row.disabled_at is None:
        raise Conflict("the person is not disabled")
    row.disabled_at = None
    audit.record(work, "members.person_enabled", "person", row.id, reason=reason)
    return row


def person(work: Work, person_id: uuid.UUID, *, lock: bool = False) -> Person:
    """Raises: NotFound: nobody, or nobody this actor may see."""
    row = repository.person(work.session, work.actor, person_id, lock=lock)
    if row is None:
        raise NotFound("there is no such person", where=str(person_id))
    return row


def people(
    work: Work,
    page: PageRequest,
    *,
    organisation_id: uuid.UUID | None = None,
    role: Role | None = None,
    call_id: uuid.UUID | None = None,
    text: str | None = None,
) -> Page[Person]:
    """People one may see.

    Args:
        call_id: with `role`: those who hold it in the programme or in that call.
        text: only those with each of its words in name or address.
    """
    policy.require_somebody(work)
    return repository.people(
        work.session, work.actor, page, organisation_id=organisation_id, role=role, call_id=call_id, text=text
    )


def call_names(work: Work, call_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, CallName]:
    """Of the calls that roles are limited to, to be shown beside them."""
    return repository.call_names(work.session, call_ids)


def require_open_organisation(work: Work, organisation_id: uuid.UUID) -> None:
    """Raises: Invalid: none. Conflict: closed."""
    is_open = repository.organisation_is_open(work.session, organisation_id)
    if is_open is None:
        raise Invalid("there is no such organisation", where="organisation_id")
    if not is_open:
        raise Conflict("the organisation is closed", where="organisation_id")


# For other modules' mail, whoever acts: these tell a service whom to write to, never an answer whom there is.


def contacts(work: Work, person_ids: Collection[uuid.UUID]) -> list[Contact]:
    return [_contact(row) for row in repository.active_people(work.session, person_ids)]


def contacts_in(work: Work, organisation_id: uuid.UUID) -> list[Contact]:
    return [_contact(row) for row in repository.active_members(work.session, organisation_id)]


def contacts_with(work: Work, role: Role, call_id: uuid.UUID | None = None) -> list[Contact]:
    """Those who hold a role in the programme or, where one is named, in the call."""
    return [_contact(row) for row in repository.active_holders(work.session, role, call_id)]


def _contact(row: Person) -> Contact:
    return Contact(row.id, row.email, row.name, row.language)


def _organisation_values(work: Work, given: OrganisationIn, own_id: uuid.UUID | None) -> dict[str, object]:
    number = text.corporate_number(given.corporate_number) if given.corporate_number else None
    if number is not None and repository.has_corporate_number(work.session, number, apart_from=own_id):
        raise Conflict("another organisation has this corporate number", where="corporate_number")
    return {
        "name_ja": text.clean_line(given.name_ja, max_chars=200, where="name_ja"),
        "name_en": text.clean_line(given.name_en, max_chars=200, where="name_en"),
        "kind": given.kind,
        "size": given.size,
        "domain": text.clean_line(given.domain, max_chars=64, where="domain"),
        "corporate_number": number,
    }


def _words(given: Collection[str]) -> list[str]:
    return list(dict.fromkeys(text.clean_line(word, max_chars=64, where="expertise") for word in given))


def _text(value: uuid.UUID | None) -> str | None:
    return None if value is None else str(value)
