"""The pages of notices, and what their events, states and acts are called."""

from __future__ import annotations

from kiban.portal.i18n import Text, _, pgettext
from kiban.portal.web import labels, notices
from kiban.portal.web.routing import Pages

pages = Pages("notices")

# What people and webhooks are told of.
EVENTS: dict[str, Text] = {
    "awards.announced": pgettext("event", "Awards announced"),
    "calls.amended": pgettext("event", "Call amended"),
    "calls.closed": pgettext("event", "Call closed"),
    "calls.published": pgettext("event", "Call published"),
    "grants.alert_raised": pgettext("event", "Alert about a grant's use"),
    "grants.change_approved": pgettext("event", "Change request approved"),
    "grants.change_refused": pgettext("event", "Change request refused"),
    "grants.change_requested": pgettext("event", "Change requested"),
    "grants.expired": pgettext("event", "Unused amounts expired"),
    "grants.expiry_near": pgettext("event", "Amounts expire soon"),
    "grants.incident_opened": pgettext("event", "Incident reported"),
    "grants.refunded": pgettext("event", "Usage refunded"),
    "members.identity_linked": pgettext("event", "Sign-in service linked"),
    "members.invited": pgettext("event", "Invitation"),
    "members.password_changed": pgettext("event", "Password changed"),
    "members.reset_requested": pgettext("event", "New password asked for"),
    "notices.digest": pgettext("event", "Daily mail"),
    "notices.test": pgettext("event", "Test"),
    "notices.webhook_disabled": pgettext("event", "Webhook disabled after failures"),
    "proposals.marked_eligible": pgettext("event", "Proposal let in again"),
    "proposals.marked_ineligible": pgettext("event", "Proposal ruled out"),
    "proposals.taken_out": pgettext("event", "Proposal withdrawn for its applicant"),
    "reports.accepted": pgettext("event", "Report accepted"),
    "reports.returned": pgettext("event", "Report returned"),
    "reports.submitted": pgettext("event", "Report submitted"),
    "reviews.assigned": pgettext("event", "Reviews assigned"),
    "reviews.outdated": pgettext("event", "Review to be confirmed"),
    "reviews.reminded": pgettext("event", "Reminder of reviews"),
    "reviews.ruled_out": pgettext("event", "One review fewer"),
    "reviews.short": pgettext("event", "Reviewers are short"),
}
labels.register("event", EVENTS)
labels.register(
    "NoticeStatus",
    {
        "waiting": pgettext("notice", "Waits"),
        "sent": pgettext("notice", "Sent"),
        "failed": _("Given up"),
        "for_digest": _("Waits for the daily mail"),
        "in_digest": _("In a daily mail"),
        "not_wanted": _("Not mailed, as the reader wishes"),
    },
)
labels.register(
    "MailKind",
    {
        "account": _("Account and sign-in"),
        "decisions": _("Decisions and awards"),
        "deadlines": _("Deadlines and calls"),
        "reviews": pgettext("kind of mail", "Reviews"),
        "grants": _("Grants and alerts"),
        "reports": pgettext("kind of mail", "Reports"),
        "other": _("Everything else"),
    },
)
labels.register("Timing", {"at_once": _("At once"), "daily": _("Once a day"), "off": _("Not by mail")})
labels.register("Channel", {"mail": _("Mail"), "webhook": _("Webhook")})
notices.register(
    "notices",
    {
        "preferences": _("Your mail settings are saved."),
        "retried": _("It is tried again within seconds."),
        "removed": _("Nothing more is delivered to the webhook."),
        "enabled": _("Events are delivered again."),
        "tested": _("A test is in the outbox."),
    },
)
