"""The pages of one's own account, and what their acts are called."""

from __future__ import annotations

from starlette.responses import Response

from kiban.office.settings import Settings
from kiban.portal.i18n import _
from kiban.portal.web import labels, notices
from kiban.portal.web import page as current
from kiban.portal.web.routing import Pages

pages = Pages("account")

notices.register(
    "account",
    {
        "signed-out": _("You have signed out."),
        "preferences": _("Saved in this browser."),
        "saved": _("Saved."),
        "joined": _("Welcome. Your account is ready."),
        "joined-more": _("You have accepted the invitation."),
        "password-changed": _("The password has been changed. Your other sessions have ended."),
        "password-set": _("The new password is set. Sign in with it."),
        "session-ended": _("The session has ended."),
        "others-ended": _("Your other sessions have ended."),
        "token-revoked": _("The token has been revoked."),
    },
)
labels.register(
    "Role",
    {
        "applicant": _("Applicant"),
        "reviewer": _("Reviewer"),
        "panel": _("Panel member"),
        "operator": _("Operator"),
        "auditor": _("Auditor"),
        "observer": _("Observer"),
    },
)
labels.register(
    "module",
    {
        "members": _("Members"),
        "supply": _("Supply"),
        "calls": _("Calls"),
        "proposals": _("Proposals"),
        "reviews": _("Reviews"),
        "awards": _("Awards"),
        "ledger": _("Ledger"),
        "grants": _("Grants"),
        "usage": _("Usage"),
        "reports": _("Reports"),
        "audit": _("Audit record"),
        "notices": _("Notices"),
    },
)


def provider_name(settings: Settings) -> str:
    """Of who else can sign people in; empty without one."""
    return (settings.oidc_name or settings.oidc_issuer) if settings.oidc_issuer else ""


def keep_private(response: Response) -> None:
    """For a page with a secret in its address or its text: no site is told of it, and nothing keeps it."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"


def given_token(token: str) -> str:
    """The secret of a mail's link: in the address, or in the form when that is shown again."""
    posted = current.current().posted
    return token or (posted.text("token") if posted is not None else "")
