"""Acts on a call that only somebody without a stake in it does or reads; the refusal says why."""

from __future__ import annotations

import uuid

from kiban.office.errors import Forbidden
from kiban.office.reviews import repository
from kiban.office.work import Role, Work


def has_stake(work: Work, call_id: uuid.UUID) -> bool:
    """Whether who acts competes in the call; see `policy.calls_at_stake`."""
    person_id = work.actor.person_id
    return person_id is not None and repository.has_stake(work.session, person_id, call_id)


def require_impartial(work: Work, call_id: uuid.UUID, *roles: Role) -> None:
    """Go on only with one of these roles in the call, and without a stake in it.

    Raises:
        Unauthenticated: nobody is signed in.
        Forbidden: no such role, or a stake.
    """
    work.require(*roles, call_id=call_id)
    if has_stake(work, call_id):
        raise Forbidden(
            "you, your organisation or a team you are in compete in this call: its proposals and deliberations are "
            "closed to you",
            where="call_id",
            hint="somebody without a part in the call must do this",
        )
