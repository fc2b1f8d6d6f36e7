"""The pages of calls, and what their values and acts are called."""

from __future__ import annotations

from dataclasses import dataclass

from kiban.office.calls import lifecycle
from kiban.office.calls.models import Call, CallStatus
from kiban.office.calls.schemas import Problem
from kiban.office.work import Work
from kiban.portal.i18n import Text, _, in_language, pgettext
from kiban.portal.web import labels, notices
from kiban.portal.web import page as current
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

# What the form calls the fields that a draft's problems name.
FIELDS: dict[str, Text] = {
    "opens_at": _("Opens"),
    "closes_at": _("Deadline"),
    "first_month": _("First month of awards"),
    "budget_yen": _("Budget"),
    "text_ja": _("Text in Japanese"),
    "text_en": _("Text in English"),
    "rubric": _("Criteria"),
    "tracks": _("Tracks"),
    "constraints.shares": _("Shares of groups"),
    "constraints.most_proposals_per_organisation": _("Proposals of one organisation"),
    "constraints.per_organisation_yen": _("Money of one organisation"),
    "questions": _("Questions"),
    "pools": _("Compute on offer"),
}


@dataclass(frozen=True)
class Found:
    """A problem of a draft and where in the form it is: `Criteria › 2`."""

    problem: Problem
    place: str


def found_in(work: Work, call: Call) -> list[Found]:
    """What keeps a draft from being published, and what to look at again; nothing of a call that is out."""
    if call.status is not CallStatus.DRAFT:
        return []
    return [Found(each, _place(each.where)) for each in lifecycle.problems_of(work, call)]


def _place(where: str) -> str:
    field = next((each for each in FIELDS if where == each or where.startswith(f"{each}.")), None)
    if field is None:
        return where
    name = in_language(FIELDS[field], current.current().language)
    row = where.removeprefix(field).removeprefix(".")
    if field != "pools":  # those are named, the others counted
        row = str(int(number) + 1) if (number := row.split(".")[0]).isdecimal() else ""
    return f"{name} › {row}" if row else name
