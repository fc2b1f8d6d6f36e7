"""One's own account: signing in, joining, passwords, the second factor, sessions and tokens."""

from kiban.portal.pages.account import joining, passwords, profile, second_factor, sessions, signing_in, tokens
from kiban.portal.pages.account.area import pages

__all__ = ["joining", "pages", "passwords", "profile", "second_factor", "sessions", "signing_in", "tokens"]
