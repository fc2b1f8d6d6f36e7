"""The pages of members, and what their values and acts are called."""

from __future__ import annotations

from kiban.office.calls.service import list_calls
from kiban.office.members import service
from kiban.office.paging import LARGEST_DRAINED, PageRequest
from kiban.office.work import Role, Work
from kiban.portal.i18n import Text, _, current_language
from kiban.portal.web import labels, notices
from kiban.portal.web.labels import label
from kiban.portal.web.routing import Pages

pages = Pages("members")

labels.register(
    "OrganisationSize",
    {
        "small": _("Under 50 people"),
        "medium": _("Under 300 people"),
        "large": _("300 people or more"),
    },
)
notices.register(
    "members",
    {
        "invited": _("The invitation is on its way."),
        "withdrawn": _("The invitation has been withdrawn."),
        "role-given": _("The role has been given."),
        "role-revoked": _("The role has been taken. You can give it again below."),
        "saved": _("Saved."),
        "disabled": _("The account is disabled. You can enable it again below."),
        "enabled": _("The account is enabled again."),
        "moved": _("The person has been moved."),
        "factor-removed": _("The second factor has been removed. All sessions and tokens of the person have ended."),
        "token-revoked": _("The token has been revoked."),
        "added": _("The organisation has been added."),
        "closed": _("The organisation is closed."),
    },
)

Choices = list[tuple[str, Text]]


def role_choices() -> Choices:
    return [(role.value, label(role)) for role in Role]


def call_choices(work: Work) -> Choices:
    """The calls that a role can be limited to, the newest first."""
    is_japanese = current_language() == "ja"
    rows = list_calls(work, PageRequest(limit=LARGEST_DRAINED)).items
    return [(str(row.id), f"{row.code} {row.title_ja if is_japanese else row.title_en}") for row in rows]


def organisation_choices(work: Work) -> Choices:
    """Those that people can join."""
    is_japanese = current_language() == "ja"
    order = "name_ja" if is_japanese else "name_en"
    rows = service.organisations(work, PageRequest(limit=LARGEST_DRAINED, sort=order)).items
    return [(str(row.id), row.name_ja if is_japanese else row.name_en) for row in rows if row.closed_at is None]
