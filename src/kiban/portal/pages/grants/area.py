"""What all pages of grants share: names, notices, and the head that every page of one grant begins with."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from kiban.office.grants import repository, service
from kiban.office.grants.models import Grant, GrantStatus
from kiban.office.grants.repository import Names
from kiban.office.work import Role, Work
from kiban.portal.i18n import _, pgettext
from kiban.portal.web import labels, notices
from kiban.portal.web.routing import Pages

pages = Pages("grants")
labels.register(
    "GrantStatus",
    {
        "active": pgettext("grant", "Active"),
        "frozen": pgettext("grant", "Frozen"),
        "closed": pgettext("grant", "Closed"),
    },
)
labels.register(
    "TrancheStatus",
    {"due": _("Not released yet"), "released": _("Released"), "cancelled": pgettext("tranche", "Cancelled")},
)
labels.register(
    "ChangeKind",
    {
        "extension": pgettext("change", "Extension"),
        "supplement": pgettext("change", "Supplement"),
        "transfer": pgettext("change", "Transfer to another pool"),
        "reduction": pgettext("change", "Reduction"),
        "team": pgettext("change", "Change of team"),
        "scope": pgettext("change", "Change of scope"),
    },
)
labels.register(
    "ChangeStatus",
    {
        "requested": _("Waiting for a decision"),
        "approved": _("Approved"),
        "refused": _("Refused"),
        "withdrawn": pgettext("change", "Taken back"),
    },
)
labels.register("severity", {"low": _("Low"), "high": _("High"), "critical": _("Critical")})
labels.register(
    "event_kind",
    {
        "course": _("Course"),
        "seminar": _("Seminar"),
        "community": _("Community meeting"),
        "review_meeting": _("Review meeting"),
    },
)
notices.register(
    "grants",
    {
        "user-added": _("Added. The cluster takes it over within minutes."),
        "user-removed": _("Removed. Jobs that run go on."),
        "step-done": _("Noted as done."),
        "step-undone": _("Noted as not done."),
        "frozen": _("The grant is frozen. Jobs that run go on."),
        "thawed": _("Jobs can be started again."),
        "closed": _("The grant is closed."),
        "change-requested": _("Your request has reached the office."),
        "change-withdrawn": _("The request is taken back."),
        "change-decided": _("Decided. The organisation is told."),
        "incident-opened": _("The incident is logged. The office is told."),
        "incident-closed": _("The incident is closed."),
        "refunded": _("The GPU time is given back."),
        "model-recorded": _("The model is recorded."),
        "event-recorded": _("The event is recorded."),
    },
)


@dataclass(frozen=True)
class Head:
    """What every page of a grant begins with.

    Attributes:
        may_act: whether the reader is one of the grant's own people or an operator.
        is_open: whether anything can still be asked of it.
    """

    grant: Grant
    names: Names
    may_act: bool
    is_operator: bool

    @property
    def is_open(self) -> bool:
        return self.grant.status is not GrantStatus.CLOSED

    @property
    def organisation(self) -> dict[str, str]:
        return {"name_ja": self.names.organisation_ja, "name_en": self.names.organisation_en}


def head_of(work: Work, grant_id: uuid.UUID) -> Head:
    """Two queries.

    Raises:
        NotFound: no such grant, or none this person may see.
    """
    grant = service.get_grant(work, grant_id)
    return Head(
        grant,
        repository.names(work.session, [grant.id])[grant.id],
        may_act=is_grantee(work, grant) or work.actor.has(Role.OPERATOR),
        is_operator=work.actor.has(Role.OPERATOR),
    )


def head_to_act(work: Work, grant_id: uuid.UUID) -> Head:
    """Of a page that is all form, for those who may send it.

    Raises:
        NotFound: as `head_of`.
        Forbidden: neither one of the grant's people nor an operator.
    """
    head = head_of(work, grant_id)
    if not head.may_act:
        work.require(Role.OPERATOR)
    return head


def is_grantee(work: Work, grant: Grant) -> bool:
    return work.actor.organisation_id == grant.organisation_id and work.actor.has(Role.APPLICANT)
