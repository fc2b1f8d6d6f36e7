"""The ways through the portal: what everybody may read, and what one's roles have to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kiban.office.work import Actor, Role
from kiban.portal.i18n import Text, _, pgettext
from kiban.portal.web.page import Page

Sees = Callable[[Actor], bool]


@dataclass(frozen=True)
class Item:
    route: str
    text: Text
    sees: Sees
    path: str  # pages below it belong to it


def _anybody(actor: Actor) -> bool:
    return True


def _somebody(actor: Actor) -> bool:
    return actor.person_id is not None


def _with(*roles: Role) -> Sees:
    """Those who have one of the roles, in the programme or in a call."""

    def sees(actor: Actor) -> bool:
        return any(role in actor.roles or actor.calls_with(role) for role in roles)

    return sees


_member = _with(Role.APPLICANT, Role.OPERATOR, Role.AUDITOR)

PUBLIC = (
    Item("home.index", _("Programme"), _anybody, ""),
    Item("calls.index", _("Calls"), _anybody, "/calls"),
    Item("awards.index", _("Awards"), _anybody, "/awards"),
    Item("models.index", _("Models"), _anybody, "/models"),
    Item("supply.index", _("Compute"), _anybody, "/supply"),
    Item("open_data.index", _("Open data"), _anybody, "/open-data"),
)
OWN = (
    Item("proposals.index", _("Proposals"), _somebody, "/proposals"),
    Item(
        "reviews.index",
        pgettext("work", "Reviews"),
        _with(Role.REVIEWER, Role.PANEL, Role.OPERATOR, Role.AUDITOR),
        "/reviews",
    ),
    Item("studio.index", _("Award studio"), _with(Role.PANEL, Role.OPERATOR, Role.AUDITOR), "/studio"),
    Item("grants.index", _("Grants"), _member, "/grants"),
    Item("demand.index", _("Demand survey"), _member, "/demand"),
    Item("runs.index", _("Runs and artifacts"), _somebody, "/runs"),
    Item("playground.index", _("Playground"), _somebody, "/playground"),
    Item("ledger.index", _("Ledger"), _member, "/ledger"),
    Item("usage.index", _("Usage"), _member, "/usage"),
    Item("members.index", _("Members"), _with(Role.OPERATOR, Role.AUDITOR), "/members"),
    Item("audit.index", _("Audit"), _with(Role.OPERATOR, Role.AUDITOR), "/audit"),
    Item("office.index", _("Office desk"), _with(Role.OPERATOR), "/office"),
)


@dataclass(frozen=True)
class Entry:
    route: str
    text: Text
    is_current: bool


def menu(page: Page, items: tuple[Item, ...]) -> list[Entry]:
    """What this reader sees of `items`, with the one that the page belongs to marked."""
    path = page.path.split("/", 2)[2:]
    here = f"/{path[0]}" if path else ""
    return [
        Entry(item.route, item.text, here == item.path or (item.path != "" and here.startswith(f"{item.path}/")))
        for item in items
        if item.sees(page.actor)
    ]


def public_menu(page: Page) -> list[Entry]:
    return menu(page, PUBLIC)


def own_menu(page: Page) -> list[Entry]:
    return menu(page, OWN) if page.is_signed_in else []
