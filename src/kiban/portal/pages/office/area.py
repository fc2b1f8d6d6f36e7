"""The pages of the office, and what their acts are called."""

from __future__ import annotations

from kiban.portal.i18n import _
from kiban.portal.web import notices
from kiban.portal.web.routing import Pages

pages = Pages("office")
notices.register(
    "office",
    {
        "begun": _("You are the first operator. Set up the second factor next: your role is in force with it."),
        "test-mail": _("A test mail to your address is in the outbox."),
    },
)
