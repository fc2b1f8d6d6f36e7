"""API tokens of one's own: made, shown once, revoked."""

from __future__ import annotations

import uuid

from fastapi import Response

from kiban.office.errors import NotFound
from kiban.office.members import policy, tokens
from kiban.office.members.models import ApiToken
from kiban.office.members.schemas import TokenIn
from kiban.office.paging import LARGEST, PageRequest
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.i18n import Text, _, pgettext
from kiban.portal.pages.account.area import keep_private, pages
from kiban.portal.web.forms import Form
from kiban.portal.web.labels import label
from kiban.portal.web.tables import Column, Empty, ListQuery, Table
from kiban.portal.web.views import View, see_other, view

TOKENS: Table[ApiToken] = Table(
    "tokens",
    [
        Column("name", pgettext("thing", "Name"), sort="name"),
        Column("start", _("Begins with"), kind="code"),
        Column("scopes", _("Scopes"), lambda row: " ".join(row.scopes), kind="code"),
        Column("created_at", _("Made"), kind="datetime", sort="created_at"),
        Column("expires_at", _("Expires"), kind="datetime", sort="expires_at"),
        Column("last_used_at", _("Last used"), kind="datetime"),
    ],
    caption=_("Your tokens"),
)
DAYS = (7, 30, 90, 180, 365)


def scope_names() -> list[tuple[str, Text]]:
    """Every scope that a token may have, and what it lets a program do."""
    found: list[tuple[str, Text]] = []
    for module in policy.MODULES:
        name = label(module, "module")
        found.append((f"{module}:read", _("%(module)s: read", module=name)))
        found.append((f"{module}:write", _("%(module)s: change", module=name)))
    return found


@pages.get("/account/tokens")
def tokens_page(work: Reading, query: ListQuery) -> View | Response:
    """Those of one's own, and the form for another."""
    listing = TOKENS.list(
        query,
        lambda page: tokens.listed(work, page, person_id=work.person_id),
        empty=Empty(_("You have no tokens."), _("A token lets a program of yours read or change things here for you.")),
    )
    return view("account/tokens.html", listing=listing, scopes=scope_names(), days=DAYS)


@pages.post("/account/tokens", shows="tokens_page")
def create_token(work: Writing, response: Response, form: Form) -> View | Response:
    """Answers with the token: it can be shown this once only, so there is no page to go on to."""
    keep_private(response)
    row, text = tokens.create(work, form.read(TokenIn))
    return view("account/token.html", token=row, text=text)


@pages.get("/account/tokens/{token_id}/revoke")
def revoking_token(work: Reading, token_id: uuid.UUID) -> View | Response:
    """Asks first: another token is another secret, to be put into the program."""
    held = tokens.listed(work, PageRequest(limit=LARGEST), person_id=work.person_id).items
    found = next((row for row in held if row.id == token_id), None)
    if found is None:
        raise NotFound("there is no such token", where="token_id")
    return view("account/revoking_token.html", token=found)


@pages.post("/account/tokens/{token_id}/revoke", shows="revoking_token")
def revoke_token(work: Writing, token_id: uuid.UUID) -> Response:
    """It stops working at once."""
    tokens.revoke(work, token_id)
    return see_other("account.tokens_page", notice="account.token-revoked")
