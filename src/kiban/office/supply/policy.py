"""Who sees what of the supply.

Operators and auditors see all of it. Other signed-in people see the pools that published calls offer, with their
providers and lots but without what the lots cost, and surveys once they have opened. Answers to a survey are their
organisation's own, for its applicants. Observers see figures over several organisations.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from kiban.office.calls import policy as calls
from kiban.office.calls.models import Call, CallPool
from kiban.office.supply.models import Pool, Survey, SurveyAnswer
from kiban.office.work import Actor, Role

# An aggregate shown to observers stands for at least so many organisations.
FEWEST_ORGANISATIONS = 3


def visible_pools(actor: Actor) -> sa.ColumnElement[bool]:
    if actor.sees_everything or actor.calls_with(Role.OPERATOR):  # who writes a call chooses among all pools
        return sa.true()
    if actor.person_id is None:
        return sa.false()
    offered = sa.select(CallPool.pool_id).join(Call, Call.id == CallPool.call_id).where(calls.visible_to(actor))
    return Pool.id.in_(offered)


def public_pools() -> sa.ColumnElement[bool]:
    """Pools that published calls offer: what the open data says of them is for everybody."""
    offered = sa.select(CallPool.pool_id).join(Call, Call.id == CallPool.call_id).where(Call.published_at.is_not(None))
    return Pool.id.in_(offered)


def visible_surveys(actor: Actor, now: datetime) -> sa.ColumnElement[bool]:
    if actor.sees_everything:
        return sa.true()
    return sa.false() if actor.person_id is None else Survey.opens_at <= now


def visible_answers(actor: Actor) -> sa.ColumnElement[bool]:
    if actor.sees_everything:
        return sa.true()
    if actor.organisation_id is None or not actor.has(Role.APPLICANT):
        return sa.false()
    return SurveyAnswer.organisation_id == actor.organisation_id
