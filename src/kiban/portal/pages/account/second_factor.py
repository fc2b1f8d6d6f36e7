"""The second factor: explained, enrolled in two steps, and its recovery codes, which are shown once."""

from __future__ import annotations

from urllib.parse import quote

import segno
from fastapi import Response
from markupsafe import Markup

from kiban.office.members import me, second_factor
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.account.area import keep_private, pages
from kiban.portal.web.forms import Form
from kiban.portal.web.views import View, see_other, view


@pages.get("/account/second-factor")
def second_factor_page(work: Reading, response: Response) -> View | Response:
    """What it is, and the secret of an enrolment that was begun, until it is confirmed."""
    keep_private(response)
    state = second_factor.state(work)
    waiting = me.roles_waiting(work, work.person_id, is_strong=state.is_strong)
    secret = "" if state.begun is None else state.begun.secret
    code = None if state.begun is None else _qr_code(state.begun.uri)
    grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return view("account/second_factor.html", state=state, waiting=waiting, grouped=grouped, qr_code=code)


@pages.post("/account/second-factor", shows="second_factor_page")
def begin_second_factor(work: Writing) -> Response:
    """A new secret; the old one, if any, stays until the new one is confirmed."""
    second_factor.begin(work)
    return see_other("account.second_factor_page", anchor="app")


@pages.post("/account/second-factor/confirmation", shows="second_factor_page")
def confirm_second_factor(work: Writing, response: Response, form: Form) -> View | Response:
    """Answers with the recovery codes: they can be shown this once only, so there is no page to go on to."""
    keep_private(response)
    return _codes(second_factor.confirm(work, form.text("code")), is_new=True)


@pages.post("/account/recovery-codes", shows="second_factor_page")
def renew_recovery_codes(work: Writing, response: Response) -> View | Response:
    """Earlier ones stop working."""
    keep_private(response)
    return _codes(second_factor.renew_recovery_codes(work), is_new=False)


def _qr_code(text: str) -> Markup:
    """As SVG, dark on a light ground of its own with a quiet zone of four modules (ISO/IEC 18004): scanners need both,
    in dark mode too.
    """
    made = segno.make(text, error="m", micro=False)
    return Markup(made.svg_inline(border=4, dark="#000", light="#fff", omitsize=True))  # our shapes; no text is in it


def _codes(codes: list[str], *, is_new: bool) -> View | Response:
    # As text in the link itself, the file can be saved without a script and without the server keeping it.
    file = "data:text/plain;charset=utf-8," + quote("\r\n".join(codes) + "\r\n")
    return view("account/recovery_codes.html", codes=codes, file=file, is_new=is_new)
