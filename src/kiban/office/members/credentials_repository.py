"""What people sign in with, in the database: sessions, tokens, attempts, resets and provider links."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from kiban.office.members import policy
from kiban.office.members.models import (
    ApiToken,
    Attempt,
    BrowserSession,
    IdentityLink,
    PasswordReset,
    Person,
    RoleGrant,
    SignInState,
)
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.work import Actor, Role

TOKEN_SORTS: Sorts = {"name": ApiToken.name, "created_at": ApiToken.created_at, "expires_at": ApiToken.expires_at}


@dataclass(frozen=True)
class Holder:
    """Whom a session or token belongs to, as one query finds it."""

    credential_id: uuid.UUID
    person_id: uuid.UUID
    organisation_id: uuid.UUID | None
    is_enabled: bool
    is_strong: bool
    scopes: list[str] | None
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    roles: list[tuple[Role, uuid.UUID | None]]


def session_holder(session: Session, digest: str) -> Holder | None:
    """Whose browser session this is, with their roles: one query, however many roles."""
    return _holder(session, BrowserSession, sa.null(), BrowserSession.last_seen_at, digest)


def token_holder(session: Session, digest: str) -> Holder | None:
    return _holder(session, ApiToken, ApiToken.scopes, ApiToken.last_used_at, digest)


def _holder(
    session: Session,
    kind: type[BrowserSession] | type[ApiToken],
    scopes: sa.ColumnElement[Any] | InstrumentedAttribute[list[str]],
    used: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
    digest: str,
) -> Holder | None:
    statement = (
        sa.select(
            kind.id,
            kind.person_id,
            Person.organisation_id,
            Person.disabled_at,
            kind.is_strong,
            scopes,
            kind.expires_at,
            kind.revoked_at,
            used,
            RoleGrant.role,
            RoleGrant.call_id,
        )
        .join(Person, Person.id == kind.person_id)
        .outerjoin(RoleGrant, sa.and_(RoleGrant.person_id == Person.id, RoleGrant.revoked_at.is_(None)))
        .where(kind.digest == digest)
    )
    rows = session.execute(statement).all()
    if not rows:
        return None
    key, person_id, organisation_id, disabled_at, is_strong, given, expires_at, revoked_at, used_at, _, _ = rows[0]
    roles = [(row[9], row[10]) for row in rows if row[9] is not None]
    return Holder(
        key, person_id, organisation_id, disabled_at is None, is_strong, given, expires_at, revoked_at, used_at, roles
    )


def mark_session_seen(session: Session, session_id: uuid.UUID, now: datetime) -> None:
    session.execute(sa.update(BrowserSession).where(BrowserSession.id == session_id).values(last_seen_at=now))


def mark_token_used(session: Session, token_id: uuid.UUID, now: datetime) -> None:
    session.execute(sa.update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


# Sessions


def browser_session(session: Session, actor: Actor, session_id: uuid.UUID) -> BrowserSession | None:
    statement = sa.select(BrowserSession).where(
        BrowserSession.id == session_id, BrowserSession.revoked_at.is_(None), policy.own_sessions(actor)
    )
    return session.scalars(statement).one_or_none()


def live_sessions(session: Session, actor: Actor, now: datetime, seen_after: datetime) -> list[BrowserSession]:
    statement = sa.select(BrowserSession).where(
        policy.own_sessions(actor),
        BrowserSession.revoked_at.is_(None),
        BrowserSession.expires_at > now,
        BrowserSession.last_seen_at > seen_after,
    )
    return list(session.scalars(statement.order_by(BrowserSession.id.desc())))


def revoke_session_by_digest(session: Session, digest: str, now: datetime) -> None:
    session.execute(
        sa.update(BrowserSession)
        .where(BrowserSession.digest == digest, BrowserSession.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def revoke_sessions(session: Session, person_id: uuid.UUID, now: datetime, *, keep: uuid.UUID | None = None) -> None:
    session.execute(
        sa.update(BrowserSession)
        .where(
            BrowserSession.person_id == person_id,
            BrowserSession.revoked_at.is_(None),
            BrowserSession.id.is_distinct_from(keep),
        )
        .values(revoked_at=now)
    )


# Tokens


def token(session: Session, actor: Actor, token_id: uuid.UUID) -> ApiToken | None:
    statement = sa.select(ApiToken).where(ApiToken.id == token_id, policy.visible_tokens(actor))
    return session.scalars(statement).one_or_none()


def tokens(session: Session, actor: Actor, page: PageRequest, *, person_id: uuid.UUID | None) -> Page[ApiToken]:
    statement = sa.select(ApiToken).where(policy.visible_tokens(actor), ApiToken.revoked_at.is_(None))
    if person_id is not None:
        statement = statement.where(ApiToken.person_id == person_id)
    return read_page(session, statement, ApiToken.id, page, newest_first=True, sorts=TOKEN_SORTS)


def count_live_tokens(session: Session, person_id: uuid.UUID, now: datetime) -> int:
    statement = sa.select(sa.func.count()).where(
        ApiToken.person_id == person_id, ApiToken.revoked_at.is_(None), ApiToken.expires_at > now
    )
    return session.scalars(statement).one()


def revoke_tokens(session: Session, person_id: uuid.UUID, now: datetime) -> None:
    session.execute(
        sa.update(ApiToken).where(ApiToken.person_id == person_id, ApiToken.revoked_at.is_(None)).values(revoked_at=now)
    )


# Attempts


def lock_key(session: Session, key: str) -> None:
    """Others who count the same key wait until this work ends; SQLite has one writer at a time anyway."""
    if session.get_bind().dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True)
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))


def attempts_since(session: Session, key: str, since: datetime) -> Sequence[tuple[datetime, str]]:
    """When, and of which subject, oldest first."""
    statement = sa.select(Attempt.at, Attempt.subject).where(Attempt.key == key, Attempt.at > since)
    return [(row[0], row[1]) for row in session.execute(statement.order_by(Attempt.number))]


def forget_attempts(session: Session, key: str) -> None:
    session.execute(sa.delete(Attempt).where(Attempt.key == key))


def forget_attempts_numbered(session: Session, numbers: Sequence[int]) -> None:
    session.execute(sa.delete(Attempt).where(Attempt.number.in_(numbers)))


# Password resets, sign-in states, provider links


def reset_by_digest(session: Session, digest: str, *, lock: bool = False) -> PasswordReset | None:
    statement = sa.select(PasswordReset).where(PasswordReset.digest == digest)
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return session.scalars(statement).one_or_none()


def spend_resets(session: Session, person_id: uuid.UUID, now: datetime) -> None:
    session.execute(
        sa.update(PasswordReset)
        .where(PasswordReset.person_id == person_id, PasswordReset.used_at.is_(None))
        .values(used_at=now)
    )


def take_state(session: Session, digest: str) -> SignInState | None:
    """The state, gone from the database: of two who bring it, one gets it."""
    statement = sa.delete(SignInState).where(SignInState.digest == digest).returning(SignInState)
    return session.scalars(statement).one_or_none()


def linked_person(session: Session, issuer: str, subject: str) -> Person | None:
    statement = (
        sa.select(Person)
        .join(IdentityLink, IdentityLink.person_id == Person.id)
        .where(IdentityLink.issuer == issuer, IdentityLink.subject == subject)
    )
    return session.scalars(statement).one_or_none()


def links(session: Session, person_id: uuid.UUID) -> list[IdentityLink]:
    statement = sa.select(IdentityLink).where(IdentityLink.person_id == person_id)
    return list(session.scalars(statement.order_by(IdentityLink.id)))


def remove_expired(session: Session, now: datetime, *, attempts_before: datetime, sessions_before: datetime) -> int:
    """Rows that can decide nothing any more; returns how many."""
    gone = 0
    for statement in (
        sa.delete(SignInState).where(SignInState.expires_at <= now),
        sa.delete(PasswordReset).where(PasswordReset.expires_at <= now),
        sa.delete(Attempt).where(Attempt.at <= attempts_before),
        sa.delete(BrowserSession).where(BrowserSession.expires_at <= sessions_before),
    ):
        result = session.execute(statement)
        gone += result.rowcount if isinstance(result, sa.CursorResult) else 0
    return gone
