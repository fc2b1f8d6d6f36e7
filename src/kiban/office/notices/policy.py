"""Who sees which webhooks, and which mails people can do without.

Two kinds of mail are always sent, and at once:

- ACCOUNT: invitations, new passwords, changes of how one signs in. An owner must learn of what was not theirs. Test
  mails are among them: they were asked for a moment ago.
- DECISIONS: what gives, changes or ends a right: the letter of an outcome, who competes, a change of a grant, amounts
  that have expired. Terms run from the day on which one was told, whether or not one wanted mail.

Everything else informs, reminds or asks: a person may have it once a day or not at all, and finds it on the page of
notices all the same. Webhooks are told of everything at once, whatever people chose for their mail.
"""

from __future__ import annotations

import sqlalchemy as sa

from kiban.office.notices.models import MailKind, Webhook
from kiban.office.work import Actor, Role

DIGEST_EVENT = "notices.digest"
_EVENTS = {
    MailKind.ACCOUNT: (
        "members.identity_linked",
        "members.invited",
        "members.password_changed",
        "members.reset_requested",
        "notices.test",
    ),
    MailKind.DECISIONS: (
        "awards.announced",
        "grants.change_approved",
        "grants.change_refused",
        "grants.expired",
        "proposals.marked_eligible",
        "proposals.marked_ineligible",
        "proposals.taken_out",
    ),
    MailKind.DEADLINES: ("calls.amended", "calls.closed", "calls.published", "grants.expiry_near", "reviews.reminded"),
    MailKind.REVIEWS: ("reviews.assigned", "reviews.outdated", "reviews.ruled_out", "reviews.short"),
    MailKind.GRANTS: ("grants.alert_raised", "grants.change_requested", "grants.incident_opened", "grants.refunded"),
    MailKind.REPORTS: ("reports.accepted", "reports.returned", "reports.submitted"),
}
_KINDS = {event: kind for kind, events in _EVENTS.items() for event in events}
ALWAYS = frozenset({MailKind.ACCOUNT, MailKind.DECISIONS})


def kind_of(event: str) -> MailKind:
    return _KINDS.get(event, MailKind.OTHER)


def visible_to(actor: Actor) -> sa.ColumnElement[bool]:
    """An organisation's webhooks are seen by its applicants; operators and auditors see all."""
    if actor.sees_everything:
        return sa.true()
    if actor.organisation_id is None or not actor.has(Role.APPLICANT):
        return sa.false()
    return Webhook.organisation_id == actor.organisation_id
