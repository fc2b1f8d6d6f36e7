"""The pages of the award studio, and what their values and acts are called."""

from __future__ import annotations

from kiban.portal.api.limits import OneAtATime
from kiban.portal.i18n import _, pgettext
from kiban.portal.web import labels, notices
from kiban.portal.web.routing import Pages

pages = Pages("studio")
solves = OneAtATime()

# `balance` and the others are sums of points; what they mean stands in the solver's `OBJECTIVES`.
labels.register(
    "objective",
    {
        "merit": _("Merit"),
        "breadth": _("Breadth"),
        "openness": _("Openness"),
        "balance": pgettext("objective", "Balance"),
    },
)
labels.register(
    "solved",
    {
        "optimal": _("Proven best"),
        "within_gap": _("Within the tolerance of the best"),
        "time_limit": _("Time ran out; the best found"),
        "infeasible": _("No award set keeps all rules"),
    },
)
labels.register(
    "proof",
    {
        "prices": _("by prices, in exact arithmetic"),
        "search": _("by the solver's search"),
        "none": pgettext("proof", "none"),
    },
)
labels.register("zone", {"always": _("Always funded"), "never": _("Never funded"), "grey": _("Grey zone")})
labels.register(
    "standing",
    {
        "funded": pgettext("award", "Funded"),
        "not_funded": pgettext("award", "Not funded"),
        "pinned_in": _("Pinned: funded"),
        "pinned_out": _("Pinned: not funded"),
        "excluded": _("Excluded by the call's rules"),
        "undecided": _("No award set"),
    },
)
labels.register(
    "PinKind",
    {"must": _("Must be funded"), "must_not": _("Must not be funded"), "option": _("Funded with this option")},
)
labels.register(
    "DecisionStatus",
    {
        "drafted": pgettext("decision", "Drafted"),
        "approved": pgettext("decision", "Approved"),
        "announced": pgettext("decision", "Announced"),
    },
)
labels.register(
    "replay",
    {
        "same": _("The same awards"),
        "equivalent": _("Other awards of the same value"),
        "verified": _("Every rule and the value hold"),
        "inputs_differ": _("The problem is another one"),
        "record_altered": _("The record was altered"),
        "not_feasible": _("A rule is broken"),
        "wrong_value": _("The value is wrong"),
        "better_found": _("A better award set was found"),
    },
)
notices.register(
    "studio",
    {
        "solved": _("The call has been solved. The study is saved."),
        "pinned": _("The pin is set. Solve again to see what it changes."),
        "unpinned": _("The pin is taken away. Solve again to see what it changes."),
        "drawn": _("The lottery is drawn."),
        "drafted": _("The decision is drafted. Somebody else has to approve it."),
        "withdrawn": _("The draft is withdrawn."),
        "approved": _("The decision is approved. Nothing is public yet."),
        "announced": _("The decision is announced. Grants are open and the applicants have been told."),
    },
)
