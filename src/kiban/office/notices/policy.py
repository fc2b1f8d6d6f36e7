from __future__ import annotations

import sqlalchemy as sa

from kiban.office.notices.models import Webhook
from kiban.office.work import Actor, Role


def visible_to(actor: Actor) -> sa.ColumnElement[bool]:
    """An organisation's webhooks are seen by its applicants; operators and auditors see all."""
    if actor.sees_everything:
        return sa.true()
    if actor.organisation_id is None or not actor.has(Role.APPLICANT):
        return sa.false()
    return Webhook.organisation_id == actor.organisation_id
