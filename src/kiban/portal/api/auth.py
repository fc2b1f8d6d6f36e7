"""Signing in and out, second factors and passwords.

The tag is no module that a token could have a scope for: a token cannot sign in or change what its holder signs in
with. Answers that hold secrets come from endpoints with transactions of their own, because those of other POSTs are
kept for a while under their idempotency keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from kiban.office.members import me, oidc, passwords, second_factor, sessions, sign_in
from kiban.office.members.schemas import (
    Accepted,
    OidcRedirect,
    OidcStart,
    PasswordChange,
    PasswordResetIn,
    RecoveryCodes,
    ResetRequest,
    SignedIn,
    SignIn,
    TotpConfirmation,
    TotpEnrolment,
)
from kiban.office.members.sessions import Opened
from kiban.office.members.sign_in import Browser
from kiban.office.settings import Settings
from kiban.office.work import Actor, Work
from kiban.portal.api.dependencies import Writing, actor_of, office_of
from kiban.portal.api.routing import OPEN

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/sign-in", summary="Sign in with a password", openapi_extra=OPEN)
def sign_in_with_password(given: SignIn, request: Request, response: Response) -> SignedIn:
    """Sets the session cookie. The code `second-factor-needed` asks for the same again with `code`."""
    office = office_of(request)
    opened = sign_in.with_password(office, given.email, given.password, given.code, browser_of(request))
    set_session_cookie(response, office.settings, opened)
    actor = Actor(person_id=opened.person.id, session_id=opened.session.id)
    with office.work(actor, read_only=True) as work:
        waiting = me.roles_waiting(work, opened.person.id, is_strong=opened.session.is_strong)
    return SignedIn(
        person_id=opened.person.id,
        csrf_token=opened.csrf_token,
        expires_at=opened.session.expires_at,
        is_strong=opened.session.is_strong,
        roles_waiting=waiting,
    )


@router.post("/sign-out", status_code=204, summary="Sign out", openapi_extra=OPEN)
def sign_out(work: Writing, request: Request, response: Response) -> None:
    """Ends this session; without one nothing happens."""
    settings = work.settings
    sessions.sign_out(work, request.cookies.get(sessions.cookie_name(settings)))
    clear_session_cookie(response, settings)


@router.post("/totp", summary="Begin to enrol a second factor")
def begin_totp(request: Request) -> TotpEnrolment:
    """The secret for an authenticator app; it counts once confirmed. Takes a sign-in of the last 15 minutes."""
    with private_work(request) as work:
        return second_factor.begin(work)


@router.post("/totp/confirmation", summary="Confirm a second factor")
def confirm_totp(given: TotpConfirmation, request: Request) -> RecoveryCodes:
    """Puts the new second factor into force with a code from it; other sessions end."""
    with private_work(request) as work:
        return RecoveryCodes(codes=second_factor.confirm(work, given.code))


@router.post("/recovery-codes", summary="New recovery codes")
def renew_recovery_codes(request: Request) -> RecoveryCodes:
    """Earlier ones stop working. Takes a sign-in of the last 15 minutes."""
    with private_work(request) as work:
        return RecoveryCodes(codes=second_factor.renew_recovery_codes(work))


@router.post("/password", status_code=204, summary="Change one's password")
def change_password(given: PasswordChange, request: Request) -> None:
    """One's other sessions end; API tokens stay."""
    sign_in.change_password(
        office_of(request), actor_of(request), given.current_password, given.new_password, browser_of(request)
    )


@router.post("/reset-requests", status_code=202, summary="Ask for a mail to set a new password", openapi_extra=OPEN)
def ask_reset(given: ResetRequest, work: Writing) -> Accepted:
    """The same answer whether there is such an account or not."""
    passwords.ask_reset(work, given.email)
    return Accepted(message="if there is an account with this address, a mail is on its way")


@router.post("/resets", status_code=204, summary="Set a new password with the mail's token", openapi_extra=OPEN)
def reset_password(given: PasswordResetIn, work: Writing) -> None:
    """Works once, within 30 minutes; every session of the account ends."""
    passwords.reset(work, given.token, given.new_password)


@router.post("/oidc/start", summary="Begin to sign in through the provider", openapi_extra=OPEN)
def start_oidc(given: OidcStart, request: Request, response: Response) -> OidcRedirect:
    """Where to send the browser, which gets a cookie that only it can finish with."""
    office = office_of(request)
    departure = oidc.start(office, given.return_to, browser_of(request))
    set_oidc_cookie(response, office.settings, departure)
    return OidcRedirect(authorization_url=departure.url)


@router.get("/oidc/callback", status_code=303, summary="Where the provider sends the browser back")
def finish_oidc(
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str | None, Query(max_length=4000)] = None,
    iss: Annotated[str | None, Query(max_length=500)] = None,
    error: Annotated[str | None, Query(max_length=200)] = None,
) -> RedirectResponse:
    """Sets the session cookie and goes on to the page that the sign-in began from.

    A GET that changes something, as OpenID Connect has it: its state works once, in the browser that began.
    """
    office = office_of(request)
    opened, path = oidc.finish(
        office,
        state=state,
        state_cookie=request.cookies.get(oidc.state_cookie_name(office.settings)),
        code=code,
        issuer=iss,
        error=error,
        browser=browser_of(request),
    )
    answer = RedirectResponse(request.scope.get("root_path", "") + path, status_code=303)
    set_session_cookie(answer, office.settings, opened)
    _clear(answer, office.settings, oidc.state_cookie_name(office.settings))
    return answer


@contextmanager
def private_work(request: Request) -> Iterator[Work]:
    """A unit of work whose answer is kept under no idempotency key, since it holds a secret."""
    with office_of(request).work(
        actor_of(request), request_id=request.state.request_id, address=request.state.address
    ) as work:
        yield work


def browser_of(request: Request) -> Browser:
    """What is known of the browser behind a request."""
    return Browser(
        address=request.state.address,
        user_agent=request.headers.get("user-agent", ""),
        cookie=request.cookies.get(sessions.cookie_name(office_of(request).settings)),
        request_id=request.state.request_id,
    )


def set_session_cookie(response: Response, settings: Settings, opened: Opened) -> None:
    """For the API and for the pages: scripts cannot read it, and other sites' forms do not send it."""
    _set_cookie(
        response,
        settings,
        sessions.cookie_name(settings),
        opened.cookie,
        int(sessions.ABSOLUTE.total_seconds()),
    )


def clear_session_cookie(response: Response, settings: Settings) -> None:
    _clear(response, settings, sessions.cookie_name(settings))


def set_oidc_cookie(response: Response, settings: Settings, departure: oidc.Departure) -> None:
    """That only the browser which began a sign-in at the provider can finish it."""
    _set_cookie(
        response,
        settings,
        oidc.state_cookie_name(settings),
        departure.state,
        int(oidc.STATE_VALID.total_seconds()),
    )


def _set_cookie(response: Response, settings: Settings, name: str, value: str, max_age_seconds: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age_seconds,
        path="/",  # a __Host- cookie has no other
        secure=settings.cookie_secure,
        httponly=True,
        samesite="lax",
    )


def _clear(response: Response, settings: Settings, name: str) -> None:
    response.delete_cookie(name, path="/", secure=settings.cookie_secure, httponly=True, samesite="lax")
