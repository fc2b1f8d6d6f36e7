"""The pages of proposals, and what their values and acts are called."""

from __future__ import annotations

from kiban.portal.i18n import _, pgettext
from kiban.portal.web import labels, notices
from kiban.portal.web.routing import Pages

pages = Pages("proposals")

labels.register(
    "ProposalStatus",
    {
        "draft": pgettext("proposal", "Draft"),
        "submitted": pgettext("proposal", "Handed in"),
        "withdrawn": pgettext("proposal", "Withdrawn"),
        "ineligible": pgettext("proposal", "Ruled out"),
        "awarded": pgettext("proposal", "Awarded"),
        "rejected": pgettext("proposal", "Not funded"),
    },
)
labels.register(
    "personal_data",
    {
        "none": _("None"),
        "anonymised": _("Anonymised information"),
        "pseudonymised": _("Pseudonymised information"),
        "personal": _("Personal data"),
        "special_care": _("Sensitive personal data"),
    },
)
labels.register("tier", {"minimum": pgettext("tier", "Smallest"), "preferred": pgettext("tier", "Preferred")})
labels.register("milestone", {"interim": pgettext("milestone", "Interim"), "final": pgettext("milestone", "Final")})
labels.register("remark", {"refuse": _("Does not work as asked"), "check": _("Please check")})

notices.register(
    "proposals",
    {
        "started": _("Your draft has been started. What you write is saved as you go."),
        "saved": _("Saved."),
        "merged": _("Both versions have been brought together and saved."),
        "restored": _("The earlier version is the current one again."),
        "submitted": _("Your proposal has been handed in."),
        "withdrawn": _("The proposal has been withdrawn. You can hand it in again until the deadline."),
        "attached": _("The file has been attached."),
        "removed": _("The file has been removed."),
        "put-back": _("The file is back."),
        "ruled-out": _("The proposal has been ruled out. Its applicants have been told."),
        "ruled-in": _("The proposal takes part again. Its applicants have been told."),
        "taken-out": _("The proposal has been withdrawn for its applicant."),
    },
)
