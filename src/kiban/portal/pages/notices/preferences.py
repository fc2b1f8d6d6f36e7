"""Which mails one gets when, and the link in a mail that ends its kind."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from kiban.office.notices import preferences as service
from kiban.office.notices.models import Timing
from kiban.office.notices.schemas import MailPreferences
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.account.area import keep_private
from kiban.portal.pages.notices.area import pages
from kiban.portal.web.forms import Form
from kiban.portal.web.views import View, see_other, view

Token = Annotated[str, Query(max_length=300)]


@pages.get("/notices/preferences")
def preferences(work: Reading) -> View | Response:
    """One's own."""
    return view("notices/preferences.html", chosen=service.own(work), kinds=service.CHOSEN, timings=list(Timing))


@pages.post("/notices/preferences", shows="preferences")
def save_preferences(work: Writing, form: Form) -> Response:
    """For every kind at once."""
    service.change_own(work, form.read(MailPreferences))
    return see_other("notices.preferences", notice="notices.preferences")


@pages.get("/notices/unsubscribe")
def unsubscribing(work: Reading, response: Response, token: Token = "") -> View | Response:
    """Asks first: programs that look at the links of a mail open them too."""
    keep_private(response)
    return view("notices/unsubscribe.html", kinds=service.named_by(work, token), token=token)


@pages.post("/notices/unsubscribe", shows="unsubscribing", is_open=True)
def unsubscribe(work: Writing, response: Response, form: Form, token: Token = "") -> View | Response:
    """Ends mails of the link's kinds, or takes that back; sent by mail programs as well (RFC 8058), which want no
    redirect and have nobody signed in.
    """
    keep_private(response)
    before = service.named_by(work, token)
    again = {kind: timing for kind in before for timing in Timing if form.text(kind) == timing}
    service.choose_by(work, token, again)
    now = service.named_by(work, token)
    return view("notices/unsubscribe.html", kinds=now, before=before, token=token, is_done=not again)
