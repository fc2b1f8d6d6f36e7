from __future__ import annotations

import sqlalchemy as sa

from kiban.office.grants.models import Grant, Incident
from kiban.office.work import Actor, Role


def visible_to(actor: Actor) -> sa.ColumnElement[bool]:
    """A grant is seen by its organisation, the office, auditors and observers."""
    if actor.sees_everything or Role.OBSERVER in actor.roles:
        return sa.true()
    if actor.organisation_id is None:
        return sa.false()
    return Grant.organisation_id == actor.organisation_id


def incidents_visible_to(actor: Actor) -> sa.ColumnElement[bool]:
    """Those of grants one sees, and of a pool as a whole for whoever sees a grant in it."""
    if actor.sees_everything or Role.OBSERVER in actor.roles:
        return sa.true()
    seen = visible_to(actor)
    return sa.or_(
        Incident.grant_id.in_(sa.select(Grant.id).where(seen)),
        sa.and_(Incident.grant_id.is_(None), Incident.pool_id.in_(sa.select(Grant.pool_id).where(seen))),
    )
