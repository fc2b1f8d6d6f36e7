"""Signing in and out, and how one likes the pages shown."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Query, Request
from starlette.responses import RedirectResponse, Response

from kiban.office.errors import Invalid
from kiban.office.members import oidc, sessions, sign_in
from kiban.portal.api.auth import browser_of, clear_session_cookie, set_oidc_cookie, set_session_cookie
from kiban.portal.api.dependencies import Writing, office_of
from kiban.portal.api.kept import PREFERENCES_COOKIE
from kiban.portal.i18n import LANGUAGES
from kiban.portal.pages.account.area import pages, provider_name
from kiban.portal.web import page as current
from kiban.portal.web.forms import Form, PostedForm
from kiban.portal.web.preferences import YEAR_SECONDS, Preferences, Theme
from kiban.portal.web.routing import CARRIED, CARRIED_TO
from kiban.portal.web.views import View, url, view

ReturnTo = Annotated[str, Query(max_length=500)]


@pages.get("/sign-in")
def sign_in_page(request: Request, return_to: ReturnTo = "") -> View | Response:
    """With a password, or at the provider. Also for who is signed in: some acts take a recent sign-in."""
    return view("account/sign_in.html", return_to=return_to, provider=provider_name(office_of(request).settings))


@pages.post("/sign-in", shows="sign_in_page", is_open=True)
def sign_in_with_password(request: Request, form: Form) -> Response | View:
    """Opens a session, and goes on with what a session that ended had interrupted."""
    office = office_of(request)
    opened = sign_in.with_password(
        office, form.text("email"), form.text("password"), form.text("code") or None, browser_of(request)
    )
    carried_to = form.text(CARRIED_TO)
    answer: Any
    if carried_to:
        page = current.current()
        page.posted = _carried(form)
        answer = view(
            "account/resume.html",
            is_signed_in=True,
            resume_to=_own_path(carried_to),
            csrf_token=opened.csrf_token,
        )
        answer = page.request.app.state.renderer.response(page, answer)
    else:
        answer = RedirectResponse(_own_path(form.text("return_to")), status_code=303)
    set_session_cookie(answer, office.settings, opened)
    return cast(Response, answer)


@pages.post("/sign-in/provider", shows="sign_in_page", is_open=True)
def start_oidc(request: Request, form: Form) -> Response:
    """To the provider. A form may not lead to another site by our policy, so a page in between does."""
    office, page = office_of(request), current.current()
    departure = oidc.start(office, _own_path(form.text("return_to"), prefixed=False), browser_of(request))
    renderer = page.request.app.state.renderer
    answer: Response = renderer.response(page, View("account/leaving.html", {"address": departure.url}))
    answer.headers["Refresh"] = f"0; url={departure.url}"
    set_oidc_cookie(answer, office.settings, departure)
    return answer


@pages.post("/sign-out", is_open=True)
def sign_out(work: Writing, request: Request, form: Form) -> Response:
    """Ends this session; without one nothing happens."""
    sessions.sign_out(work, request.cookies.get(sessions.cookie_name(work.settings)))
    answer = RedirectResponse(url("home.index", notice="account.signed-out"), status_code=303)
    clear_session_cookie(answer, work.settings)
    return answer


@pages.get("/preferences")
def preferences(return_to: ReturnTo = "") -> View | Response:
    """Colours and years."""
    return view("account/preferences.html", return_to=return_to)


@pages.post("/preferences", shows="preferences", is_open=True)
def save_preferences(request: Request, form: Form) -> Response:
    """A cookie of this browser's: no account is needed for it."""
    theme = form.text("theme")
    chosen = Preferences(cast(Theme, theme if theme in ("light", "dark") else ""), form.text("era") == "true")
    answer = RedirectResponse(url("account.preferences", notice="account.preferences"), status_code=303)
    settings = office_of(request).settings
    answer.set_cookie(
        PREFERENCES_COOKIE, chosen.cookie(), YEAR_SECONDS, secure=settings.cookie_secure, httponly=True, samesite="lax"
    )
    return answer


def _own_path(given: str, *, prefixed: bool = True) -> str:
    """A path to one of the pages; the front page where it is none.

    Args:
        prefixed: with what a reverse proxy puts before it.
    """
    page = current.current()
    try:
        path = sessions.safe_path(given) if given else ""
    except Invalid:
        path = ""
    if path.split("?")[0].split("/")[1:2] not in [[language] for language in LANGUAGES]:
        path = f"/{page.language}"
    return (page.root_path if prefixed else "") + path


def _carried(form: PostedForm) -> PostedForm:
    """The form that was interrupted, out of the one for signing in."""
    return PostedForm(
        tuple((name.removeprefix(CARRIED), value) for name, value in form.fields if name.startswith(CARRIED))
    )
