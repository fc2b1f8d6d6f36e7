"""What a person is told about themselves."""

from __future__ import annotations

import uuid

from kiban.office.members import credentials_repository, policy, repository, sessions
from kiban.office.members.models import BrowserSession
from kiban.office.members.schemas import CallRole, Me, OrganisationOut, PersonOut, SessionOut
from kiban.office.work import SYSTEM, Role, Work


def me(work: Work, *, cookie: str | None = None) -> Me:
    """Roles in force and waiting, scopes, organisation and sessions.

    Args:
        cookie: of the session, for its CSRF token; a caller with an API token needs none, and is told of no sessions.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    person = repository.person_by_id(work.session, work.person_id)
    assert person is not None
    organisation = (
        None
        if person.organisation_id is None
        else repository.organisation(work.session, SYSTEM, person.organisation_id)
    )
    actor = work.actor
    in_browser = actor.session_id is not None
    return Me(
        person=PersonOut.model_validate(person),
        organisation=OrganisationOut.model_validate(organisation) if organisation else None,
        roles=sorted(actor.roles),
        call_roles=[
            CallRole(role=role, call_id=call_id)
            for role, call_id in sorted(actor.call_roles, key=lambda entry: (entry[0], str(entry[1])))
        ],
        roles_waiting=roles_waiting(work, person.id, is_strong=_is_strong(work)),
        scopes=None if actor.scopes is None else sorted(actor.scopes),
        has_password=person.password_hash is not None,
        has_second_factor=person.totp_secret is not None,
        recovery_codes_left=len(person.recovery_digests),
        providers=[link.issuer for link in credentials_repository.links(work.session, person.id)],
        sessions=[session_out(work, row) for row in sessions.live(work)] if in_browser else [],
        csrf_token=sessions.csrf_token(cookie) if in_browser and cookie else None,
    )


def roles_waiting(work: Work, person_id: uuid.UUID, *, is_strong: bool) -> list[Role]:
    """Roles that the person holds but that are not in force in a session of this strength."""
    held = {grant.role for grant in repository.live_roles(work.session, [person_id])}
    return sorted(role for role in held if not policy.in_force(role, is_strong=is_strong))


def session_out(work: Work, row: BrowserSession) -> SessionOut:
    return SessionOut(
        id=row.id,
        is_current=row.id == work.actor.session_id,
        is_strong=row.is_strong,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        user_agent=row.user_agent,
        address=row.address,
    )


def _is_strong(work: Work) -> bool:
    if work.actor.session_id is None:
        return True  # a token says nothing of what else its holder could have
    row = credentials_repository.browser_session(work.session, work.actor, work.actor.session_id)
    return row is not None and row.is_strong
