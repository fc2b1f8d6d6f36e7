from __future__ import annotations

import sqlalchemy as sa

from kiban.office.grants.models import Grant
from kiban.office.work import Actor, Role


def visible_to(actor: Actor) -> sa.ColumnElement[bool]:
    """A grant is seen by its organisation, the office, auditors and observers."""
    if actor.sees_everything or Role.OBSERVER in actor.roles:
        return sa.true()
    if actor.organisation_id is None:
        return sa.false()
    return Grant.organisation_id == actor.organisation_id
