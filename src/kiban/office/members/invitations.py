"""Invitations: by mail, for one address, once, for two weeks."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta

from kiban.office.audit import service as audit
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from kiban.office.guards.text import normalise_email
from kiban.office.guards.tokens import RANDOM_BYTES, Secret, new_token, token_digest
from kiban.office.links import Link, Place
from kiban.office.members import attempts, passwords, policy, repository, roles, service
from kiban.office.members.models import Invitation, Person
from kiban.office.members.schemas import InvitationIn, InvitationPreview, NewAccount, PersonIn
from kiban.office.notices import service as notices
from kiban.office.notices.service import Message
from kiban.office.paging import Page, PageRequest
from kiban.office.work import SYSTEM, Role, Work

VALID = timedelta(days=14)


def invite(work: Work, given: InvitationIn) -> Invitation:
    """Send an invitation; earlier open ones for the same address and place stop working.

    Operators invite anybody to anything. Applicants invite colleagues into their own organisation, as applicants.

    Raises:
        Forbidden: anything else.
        Invalid, Conflict: no such organisation or call, or one that is closed; roles that exclude each other.
        TooMany: an applicant who invites too often.
    """
    email = normalise_email(given.email)
    wanted = sorted(set(given.roles))
    if not work.actor.has(Role.OPERATOR):
        _require_own_colleague(work, given, wanted)
        attempts.claim(work, attempts.INVITATIONS, str(work.person_id))
    if given.organisation_id is not None:
        service.require_open_organisation(work, given.organisation_id)
    if given.call_id is not None and not repository.call_exists(work.session, given.call_id):
        raise Invalid("there is no such call", where="call_id")
    if len(policy.APART & set(wanted)) > 1:
        raise Invalid("nobody is operator and auditor", where="roles")
    token = new_token(secrets.token_bytes(RANDOM_BYTES), Secret.INVITATION)
    row = Invitation(
        id=work.new_id(),
        email=email,
        organisation_id=given.organisation_id,
        roles=[role.value for role in wanted],
        call_id=given.call_id,
        digest=token_digest(token),
        invited_by=work.actor.person_id,
        created_at=work.now,
        expires_at=work.now + VALID,
    )
    repository.add(work.session, row)
    repository.revoke_open_invitations(work.session, work.now, replaced_by=row)
    _send(work, row, token, given.language)
    audit.record(
        work,
        "members.invited",
        "invitation",
        row.id,
        email=email,
        roles=row.roles,
        organisation_id=None if row.organisation_id is None else str(row.organisation_id),
        call_id=None if row.call_id is None else str(row.call_id),
    )
    return row


def invite_again(work: Work, invitation_id: uuid.UUID, language: str) -> Invitation:
    """The same invitation once more, with a new link and two more weeks.

    Raises:
        NotFound: none, or another's.
        Conflict: it was accepted.
        Forbidden, TooMany: as `invite`, by whoever asks now.
    """
    row = repository.invitation(work.session, work.actor, invitation_id)
    if row is None:
        raise NotFound("there is no such invitation", where=str(invitation_id))
    if row.accepted_at is not None:
        raise Conflict("the invitation was accepted already")
    given = InvitationIn(
        email=row.email,
        organisation_id=row.organisation_id,
        roles=[Role(role) for role in row.roles],
        call_id=row.call_id,
        language="en" if language == "en" else "ja",
    )
    return invite(work, given)


def revoke(work: Work, invitation_id: uuid.UUID) -> Invitation:
    """Raises: NotFound: none, or another's. Conflict: accepted or revoked already."""
    row = repository.invitation(work.session, work.actor, invitation_id, lock=True)
    if row is None:
        raise NotFound("there is no such invitation", where=str(invitation_id))
    if row.invited_by != work.actor.person_id:
        work.require(Role.OPERATOR)
    if row.accepted_at is not None or row.revoked_at is not None:
        raise Conflict("the invitation was accepted or revoked already")
    row.revoked_at = work.now
    audit.record(work, "members.invitation_revoked", "invitation", row.id, email=row.email)
    return row


def listed(work: Work, page: PageRequest, *, is_open: bool = False) -> Page[Invitation]:
    """Invitations one may see, newest first; `is_open`: only those that can still be accepted."""
    policy.require_somebody(work)
    return repository.invitations(work.session, work.actor, page, work.now, is_open=is_open)


def preview(work: Work, token: str) -> InvitationPreview:
    """What an invitation offers, for who holds its link.

    Raises:
        NotFound: an unknown token.
        Conflict: accepted, revoked or expired.
    """
    row = _open_one(work, token, lock=False)
    organisation = (
        None if row.organisation_id is None else repository.organisation(work.session, SYSTEM, row.organisation_id)
    )
    return InvitationPreview(
        email=row.email,
        organisation_ja=organisation.name_ja if organisation else None,
        organisation_en=organisation.name_en if organisation else None,
        roles=[Role(role) for role in row.roles],
        expires_at=row.expires_at,
        has_account=repository.person_by_email(work.session, row.email) is not None,
    )


def accept(work: Work, token: str, account: NewAccount | None = None) -> Person:
    """Take an invitation up: with a new account, or signed in to the account of the invited address.

    Raises:
        NotFound: an unknown token.
        Conflict: accepted, revoked or expired; the organisation closed since; or the account belongs to another one.
        Unauthenticated: there is an account: sign in to it first.
        Forbidden: signed in to another account than the invited address's.
        Invalid: no name and password for a new account, or an easily guessed password.
    """
    row = _open_one(work, token, lock=True)
    person = repository.person_by_email(work.session, row.email, lock=True)
    if person is None:
        if work.actor.person_id is not None:
            raise Forbidden("this invitation is for another address", hint="sign out, then follow the link again")
        if account is None:
            raise Invalid("a new account needs a name and a password", where="account")
        person = take_up(work, row, account.name, account.language)
        passwords.set_password(work, person, account.password, where="account.password")
        return person
    if work.actor.person_id is None:
        raise Unauthenticated("there is an account with this address", hint="sign in to it, then accept")
    if work.actor.person_id != person.id:
        raise Forbidden("this invitation is for another address", hint="sign out, then follow the link again")
    _join(work, row, person)
    return person


def take_up(work: Work, row: Invitation, name: str, language: str) -> Person:
    """Make the account of an invited person whose address is proven: by the link's token or by a provider."""
    given = PersonIn(email=row.email, name=name, language="en" if language == "en" else "ja")
    person = service.new_person(work, given)
    _join(work, row, person)
    return person


def _join(work: Work, row: Invitation, person: Person) -> None:
    if row.organisation_id is not None and person.organisation_id != row.organisation_id:
        if person.organisation_id is not None:
            raise Conflict("the account belongs to another organisation", hint="an operator can move it")
        service.require_open_organisation(work, row.organisation_id)
        person.organisation_id = row.organisation_id
    held = {(grant.role, grant.call_id) for grant in repository.live_roles(work.session, [person.id])}
    for role in sorted(Role(role) for role in row.roles):
        if (role, row.call_id) not in held:
            roles.give(work, person.id, role, row.call_id, by=row.invited_by)
    row.accepted_at = work.now
    audit.record(work, "members.invitation_accepted", "invitation", row.id, person_id=str(person.id))


def _open_one(work: Work, token: str, *, lock: bool) -> Invitation:
    row = repository.invitation_by_digest(work.session, token_digest(token), lock=lock)
    if row is None:
        raise NotFound("there is no such invitation", where="token")
    if row.accepted_at is not None:
        raise Conflict("the invitation was accepted already", where="token")
    if row.revoked_at is not None:
        raise Conflict("the invitation was withdrawn", where="token", hint="ask for a new one")
    if work.now >= row.expires_at:
        raise Conflict("the invitation has expired", where="token", hint="ask for a new one")
    return row


def _require_own_colleague(work: Work, given: InvitationIn, wanted: list[Role]) -> None:
    work.require(Role.APPLICANT)
    if given.organisation_id is None or given.organisation_id != work.actor.organisation_id:
        raise Forbidden("applicants invite into their own organisation", where="organisation_id")
    if set(wanted) - {Role.APPLICANT} or given.call_id is not None:
        raise Forbidden("applicants invite applicants", where="roles")


def _send(work: Work, row: Invitation, token: str, language: str) -> None:
    notices.notify(
        work,
        cause=f"invitation:{row.id}",
        event="members.invited",
        emails=[row.email],
        ja=Message("参加のご案内", "次のリンクから14日以内に参加登録をお願いします。"),
        en=Message("You are invited", "Join within 14 days:"),
        link=Link(Place.INVITATION, token=token),
        payload={"invitation_id": str(row.id)},
        language=language,
    )
