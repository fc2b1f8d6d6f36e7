"""Roles given and taken: in the whole programme, or limited to one call."""

from __future__ import annotations

import uuid

from kiban.office.audit import service as audit
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.members import policy, repository
from kiban.office.members.models import RoleGrant
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Role, Work


def grant(work: Work, person_id: uuid.UUID, role: Role, call_id: uuid.UUID | None = None) -> RoleGrant:
    """Give a role.

    Raises:
        Forbidden: only operators of the whole programme give roles.
        NotFound, Invalid: no such person or call.
        Conflict: held already; the person is disabled; or an operator would become an auditor or the reverse.
    """
    work.require(Role.OPERATOR)
    return give(work, person_id, role, call_id)


def give(
    work: Work, person_id: uuid.UUID, role: Role, call_id: uuid.UUID | None = None, *, by: uuid.UUID | None = None
) -> RoleGrant:
    """As `grant`, for callers within this module that have seen to the right themselves.

    Args:
        by: whose decision it was, where the actor only takes up an invitation.
    """
    person = repository.person_by_id(work.session, person_id, lock=True)
    if person is None:
        raise NotFound("there is no such person", where="person_id")
    if person.disabled_at is not None:
        raise Conflict("the person is disabled", where="person_id")
    if call_id is not None and not repository.call_exists(work.session, call_id):
        raise Invalid("there is no such call", where="call_id")
    held = repository.live_roles(work.session, [person_id])
    if any(other.role is role and other.call_id == call_id for other in held):
        raise Conflict("the person has this role already", where="role")
    if role in policy.APART and any(other.role in policy.APART - {role} for other in held):
        raise Conflict("nobody is operator and auditor", where="role", hint="revoke the other role first")
    row = RoleGrant(
        id=work.new_id(),
        person_id=person_id,
        role=role,
        call_id=call_id,
        granted_by=by or work.actor.person_id,
        granted_at=work.now,
    )
    repository.add(work.session, row)
    _record(work, "members.role_granted", row)
    return row


def revoke(work: Work, grant_id: uuid.UUID) -> RoleGrant:
    """Take a role; it is out of force with the holder's next request.

    Raises:
        Forbidden: only operators of the whole programme take roles.
        NotFound: no such grant.
        Conflict: taken already, or that of the last operator.
    """
    work.require(Role.OPERATOR)
    operators = repository.lock_operators(work.session)
    row = repository.role_grant(work.session, grant_id, lock=True)
    if row is None:
        raise NotFound("there is no such role grant", where=str(grant_id))
    if row.revoked_at is not None:
        raise Conflict("the role was taken already")
    if row.role is Role.OPERATOR and row.call_id is None:
        if operators == {row.person_id}:
            raise Conflict("this is the last operator", hint="make another person an operator first")
        # Whom they invited, they invited as an operator.
        repository.revoke_open_invitations(work.session, work.now, invited_by=row.person_id)
    row.revoked_at = work.now
    _record(work, "members.role_revoked", row)
    return row


def listed(
    work: Work,
    page: PageRequest,
    *,
    person_id: uuid.UUID | None = None,
    call_id: uuid.UUID | None = None,
    role: Role | None = None,
    with_revoked: bool = False,
) -> Page[RoleGrant]:
    """Role grants one may see: one's own; operators and auditors see all."""
    policy.require_somebody(work)
    return repository.role_grants(
        work.session,
        work.actor,
        page,
        person_id=person_id,
        call_id=call_id,
        role=role,
        with_revoked=with_revoked,
    )


def _record(work: Work, action: str, row: RoleGrant) -> None:
    call_id = None if row.call_id is None else str(row.call_id)
    audit.record(work, action, "person", row.person_id, role=row.role.value, call_id=call_id)
