"""The pages of calls, and what their values and acts are called."""

from __future__ import annotations

from kiban.portal.i18n import _, pgettext
from kiban.portal.web import labels, notices
from kiban.portal.web.routing import Pages

pages = Pages("calls")

labels.register(
    "CallStatus",
    {
        "draft": pgettext("call", "Draft"),
        "published": pgettext("call", "Published"),  # before it opens and after its deadline
        "reviewing": pgettext("call", "Under review"),
        "decided": pgettext("call", "Decided"),
        "archived": pgettext("call", "Archived"),
    },
)
labels.register("call_state", {"open": _("Open")})
labels.register("track_kind", {"automatic": _("Automatic"), "panel": _("Panel"), "peer": _("Peer review")})
labels.register(
    "question_kind",
    {
        "text": pgettext("answer", "Text"),
        "number": pgettext("answer", "Number"),
        "choice": pgettext("answer", "Choice"),
        "yes_no": pgettext("answer", "Yes or no"),
    },
)
labels.register(
    "CutOff", {"date": _("At the deadline"), "count": _("At the deadline, or when so many proposals are in")}
)
notices.register(
    "calls",
    {
        "created": _("The draft has been saved. Nobody outside the office sees it yet."),
        "saved": _("Saved."),
        "published": _("The call is published."),
        "amended": _("The call has been amended. Those who write proposals have been told."),
        "closed": _("The call is closed. Those who wrote proposals have been told."),
        "archived": _("The call has been put away."),
    },
)
