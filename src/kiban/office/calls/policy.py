"""Who sees which calls: drafts are the office's own, what was published is everybody's."""

from __future__ import annotations

import sqlalchemy as sa

from kiban.office.calls.models import Call, CallStatus
from kiban.office.work import Actor, Role


def visible_to(actor: Actor) -> sa.ColumnElement[bool]:
    """Calls that the actor may read, as a condition on `calls`."""
    if actor.sees_everything:
        return sa.true()
    published = sa.and_(Call.status != CallStatus.DRAFT, Call.published_at.is_not(None))
    own = actor.calls_with(Role.OPERATOR) | actor.calls_with(Role.AUDITOR)
    return sa.or_(published, Call.id.in_(own)) if own else published


def is_insider(actor: Actor, call: Call) -> bool:
    """Whether the actor runs or audits the call, and so sees how many proposals are in while it is open."""
    return actor.sees_everything or actor.has(Role.OPERATOR, call.id) or actor.has(Role.AUDITOR, call.id)
