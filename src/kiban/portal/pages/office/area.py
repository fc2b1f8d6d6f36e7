"""The pages of the office, and what their acts are called."""

from __future__ import annotations

from kiban.portal.i18n import _
from kiban.portal.web import labels, notices
from kiban.portal.web.routing import Pages

pages = Pages("office")
labels.register(
    "timed task",
    {
        "close calls": _("Close calls"),
        "bring the cluster up to date": _("Bring the cluster up to date"),
        "deliver notices": _("Send notices"),
        "chain the audit record": _("Chain the audit record"),
        "write digests": _("Write daily mails"),
        "read usage": _("Read usage"),
        "release tranches": _("Release tranches"),
        "start and stop grants": _("Start and stop grants"),
        "forget what changed": _("Forget old notes of changes"),
        "raise alerts": _("Raise alerts"),
        "expire unused blocks": _("Expire unused amounts"),
        "warn of expiry": _("Warn of expiry"),
        "close ended grants": _("Close grants that have ended"),
        "forget idempotency keys": _("Forget old idempotency keys"),
        "forget old sign-ins": _("Forget old sign-ins"),
        "remove files of no proposal": _("Remove files of no proposal"),
        "compare records": _("Compare records of usage"),
    },
)
notices.register(
    "office",
    {
        "begun": _("You are the first operator. Set up the second factor next: your role is in force with it."),
        "test-mail": _("A test mail to your address is in the outbox."),
    },
)
