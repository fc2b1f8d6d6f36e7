"""Passwords: changed by who knows the present one, or set anew with a link sent by mail."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from kiban.office.members import me, passwords, sign_in
from kiban.office.members.schemas import PasswordChange, PasswordResetIn, ResetRequest
from kiban.portal.api.auth import browser_of
from kiban.portal.api.dependencies import Reading, Writing, actor_of, office_of
from kiban.portal.pages.account.area import given_token, keep_private, pages
from kiban.portal.web.forms import Form
from kiban.portal.web.views import View, see_other, view

Token = Annotated[str, Query(max_length=128)]


@pages.get("/forgotten-password")
def ask_reset() -> View | Response:
    """For who has forgotten it."""
    return view("account/ask_reset.html")


@pages.post("/forgotten-password", shows="ask_reset", is_open=True)
def send_reset(work: Writing, form: Form) -> Response:
    """The same answer whether there is such an account or not."""
    passwords.ask_reset(work, form.read(ResetRequest).email)
    return see_other("account.reset_asked")


@pages.get("/forgotten-password/sent")
def reset_asked() -> View | Response:
    """What happens next."""
    minutes = int(passwords.RESET_VALID.total_seconds() // 60)
    return view("account/reset_asked.html", minutes=minutes)


@pages.get("/reset-password")
def reset(response: Response, token: Token = "") -> View | Response:
    """Where the mail's link leads. Whether it still holds is told when it is used."""
    keep_private(response)
    return view("account/reset.html", token=given_token(token))


@pages.post("/reset-password", shows="reset", is_open=True)
def set_new_password(work: Writing, form: Form) -> Response:
    """Every session of the account ends."""
    given = form.read(PasswordResetIn)
    passwords.reset(work, given.token, given.new_password)
    return see_other("account.sign_in_page", notice="account.password-set")


@pages.get("/account/password")
def password(work: Reading) -> View | Response:
    """To change it."""
    return view("account/password.html", me=me.me(work))


@pages.post("/account/password", shows="password")
def change_password(request: Request, form: Form) -> Response:
    """The person's other sessions end; tokens stay."""
    given = form.read(PasswordChange)
    sign_in.change_password(
        office_of(request), actor_of(request), given.current_password, given.new_password, browser_of(request)
    )
    return see_other("account.show", notice="account.password-changed")
