"""The first run: whoever started the portal at a terminal becomes the first operator."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel

from kiban.office.members import first_run as members
from kiban.office.members import sign_in
from kiban.office.members.schemas import Email, Name, Password
from kiban.portal.api.auth import browser_of, set_session_cookie
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.pages.account.area import given_token, keep_private
from kiban.portal.pages.office.area import pages
from kiban.portal.web.forms import Form
from kiban.portal.web.views import View, see_other, view


class FirstOperator(BaseModel):
    email: Email
    name: Name
    password: Password


@pages.get("/first-run")
def first_run(work: Reading, response: Response, token: Annotated[str, Query(max_length=128)] = "") -> View | Response:
    """Where the terminal's link leads, while there is no operator."""
    keep_private(response)
    token = given_token(token)
    members.check_token(work, token)
    return view("office/first_run.html", token=token)


@pages.post("/first-run", shows="first_run", is_open=True)
def begin(work: Writing, request: Request, form: Form) -> Response:
    """The new operator is signed in at once, and sets up the second factor that the role takes."""
    given = form.read(FirstOperator)
    person = members.first_run(work, form.text("token"), given.email, given.name, given.password)
    opened = sign_in.newly_joined(work, person, browser_of(request), method="first run")
    answer = see_other("account.second_factor_page", notice="office.begun")
    set_session_cookie(answer, work.settings, opened)
    return answer
