"""Taking up an invitation: with a new account, or with the one that the invited address has."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from kiban.office.members import invitations, me, service, sign_in
from kiban.office.members.schemas import NewAccount
from kiban.portal.api.auth import browser_of, set_session_cookie
from kiban.portal.api.dependencies import Reading, Writing, office_of
from kiban.portal.pages.account.area import given_token, keep_private, pages, provider_name
from kiban.portal.web import page as current
from kiban.portal.web.forms import Form
from kiban.portal.web.views import View, see_other, view

Token = Annotated[str, Query(max_length=128)]


@pages.get("/invitation")
def invitation(work: Reading, request: Request, response: Response, token: Token = "") -> View | Response:
    """What the holder of a mail's link is offered."""
    keep_private(response)
    token = given_token(token)
    offered = invitations.preview(work, token)
    reader = None if work.actor.person_id is None else service.person(work, work.person_id)
    return view(
        "account/invitation.html",
        offered=offered,
        token=token,
        reader=reader,
        is_theirs=reader is not None and reader.email == offered.email,
        provider=provider_name(office_of(request).settings),
    )


@pages.post("/invitation", shows="invitation", is_open=True)
def accept_invitation(work: Writing, request: Request, form: Form) -> Response:
    """A new account is signed in at once: the link has proven the address, and the password was just set."""
    token = form.text("token")
    if work.actor.person_id is not None:
        invitations.accept(work, token)
        return see_other("account.show", notice="account.joined-more")
    account = form.read(NewAccount, under="account", language=current.current().language)
    person = invitations.accept(work, token, account)
    opened = sign_in.newly_joined(work, person, browser_of(request), method="invitation")
    is_waiting = bool(me.roles_waiting(work, person.id, is_strong=False))
    answer = see_other("account.second_factor_page" if is_waiting else "account.show", notice="account.joined")
    set_session_cookie(answer, work.settings, opened)
    return answer
