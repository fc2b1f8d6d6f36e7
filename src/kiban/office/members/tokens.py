"""API tokens: for programs, limited to scopes and in time, shown once."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta

from kiban.office.audit import service as audit
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.guards.text import clean_line
from kiban.office.guards.tokens import RANDOM_BYTES, Secret, new_token, token_digest, token_hint
from kiban.office.members import credentials_repository, policy, repository, sessions
from kiban.office.members.models import ApiToken
from kiban.office.members.schemas import TokenIn
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Role, Work

LONGEST_DAYS = 365
MOST_LIVE = 50


def create(work: Work, given: TokenIn, *, person_id: uuid.UUID | None = None) -> tuple[ApiToken, str]:
    """A token for oneself. It has one's roles as they are at each use, and of them only what its scopes allow.

    Args:
        person_id: whose, for the office's own commands; who can run those has the database in hand anyway.

    Returns:
        The row, and the token's text, which nobody can read again.

    Raises:
        Forbidden: not from a browser session, or for somebody else.
        Invalid: an unknown scope, or an expiry outside 1 to 365 days.
        Conflict: too many live tokens.
    """
    if work.actor.is_system and person_id is not None:
        holder, is_strong = person_id, True
    else:
        sessions.require_browser(work)
        if person_id not in (None, work.person_id):
            raise Forbidden("a token can only be made for oneself", where="person_id")
        holder, is_strong = work.person_id, _is_strong_session(work)
    unknown = sorted(set(given.scopes) - policy.SCOPES)
    if unknown:
        raise Invalid(
            f"unknown scope {unknown[0]}",
            where="scopes",
            hint=f"<module>:read or :write of {', '.join(policy.MODULES)}",
        )
    if not 1 <= given.expires_in_days <= LONGEST_DAYS:
        raise Invalid(f"a token lives 1 to {LONGEST_DAYS} days", where="expires_in_days")
    person = repository.person_by_id(work.session, holder, lock=True)
    if person is None or person.disabled_at is not None:
        raise NotFound("there is no such person", where="person_id")
    if credentials_repository.count_live_tokens(work.session, holder, work.now) >= MOST_LIVE:
        raise Conflict(f"there are {MOST_LIVE} live tokens already", hint="revoke one first")
    text = new_token(secrets.token_bytes(RANDOM_BYTES), Secret.API_TOKEN)
    row = ApiToken(
        id=work.new_id(),
        person_id=holder,
        name=clean_line(given.name, max_chars=100, where="name"),
        digest=token_digest(text),
        start=token_hint(text),
        scopes=sorted(set(given.scopes)),
        is_strong=is_strong,
        created_at=work.now,
        expires_at=work.now + timedelta(days=given.expires_in_days),
    )
    repository.add(work.session, row)
    audit.record(
        work,
        "members.token_created",
        "token",
        row.id,
        person_id=str(holder),
        scopes=row.scopes,
        expires_at=row.expires_at.isoformat(),
    )
    return row, text


def revoke(work: Work, token_id: uuid.UUID) -> None:
    """End a token: one's own, or as an operator anybody's. A token may end itself.

    Raises:
        NotFound: no such token, or one that is not for this person to see.
        Forbidden: seen, but an auditor's to look at only.
    """
    row = credentials_repository.token(work.session, work.actor, token_id)
    if row is None:
        raise NotFound("there is no such token", where=str(token_id))
    if row.person_id != work.actor.person_id:
        work.require(Role.OPERATOR)
    elif work.actor.token_id not in (None, token_id):
        sessions.require_browser(work)
    if row.revoked_at is None:
        row.revoked_at = work.now
        audit.record(work, "members.token_revoked", "token", token_id, person_id=str(row.person_id))


def listed(work: Work, page: PageRequest, *, person_id: uuid.UUID | None = None) -> Page[ApiToken]:
    """Tokens that were not revoked, expired ones among them; never their text."""
    policy.require_somebody(work)
    work.noticed.beyond = True  # when one was last used is not told as a change
    return credentials_repository.tokens(work.session, work.actor, page, person_id=person_id)


def _is_strong_session(work: Work) -> bool:
    assert work.actor.session_id is not None
    row = credentials_repository.browser_session(work.session, work.actor, work.actor.session_id)
    return row is not None and row.is_strong
