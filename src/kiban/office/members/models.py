from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from kiban.office.changes import UNTOLD
from kiban.office.database import Base, one_of
from kiban.office.work import Role


class OrganisationKind(StrEnum):
    STARTUP = "startup"
    COMPANY = "company"
    UNIVERSITY = "university"
    PUBLIC = "public"
    NONPROFIT = "nonprofit"


class OrganisationSize(StrEnum):
    """By people employed: under 50, under 300 (中小企業基本法, manufacturing), more."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class Organisation(Base):
    __tablename__ = "organisations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name_ja: Mapped[str] = mapped_column(sa.String(200))
    name_en: Mapped[str] = mapped_column(sa.String(200))
    kind: Mapped[OrganisationKind] = mapped_column(one_of(OrganisationKind))
    size: Mapped[OrganisationSize] = mapped_column(one_of(OrganisationSize))
    domain: Mapped[str] = mapped_column(sa.String(64))  # manufacturing, medicine, … as the calls' themes name them
    corporate_number: Mapped[str | None] = mapped_column(sa.String(13), unique=True)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class Person(Base):
    __tablename__ = "people"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)  # normalised
    name: Mapped[str] = mapped_column(sa.String(200))
    language: Mapped[str] = mapped_column(sa.String(2), default="ja")
    organisation_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("organisations.id"), index=True)
    expertise: Mapped[list[str]] = mapped_column(default=list)  # themes and words, for a reviewer's affinity
    orcid: Mapped[str | None] = mapped_column(sa.String(19))
    password_hash: Mapped[str | None] = mapped_column(sa.String(255))
    totp_secret: Mapped[str | None] = mapped_column(sa.String(255))  # encrypted; None: no second factor
    totp_pending: Mapped[str | None] = mapped_column(sa.String(255))  # encrypted; enrolled but not yet confirmed
    totp_last_step: Mapped[int | None]
    recovery_digests: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    organisation: Mapped[Organisation | None] = relationship(lazy="raise")


class RoleGrant(Base):
    """A role given to a person, in the programme or in one call."""

    __tablename__ = "role_grants"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    role: Mapped[Role] = mapped_column(one_of(Role))
    call_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("calls.id"))
    granted_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    granted_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class IdentityLink(Base):
    """An account at an OpenID Connect provider that signs a person in."""

    __tablename__ = "identity_links"
    __table_args__ = (sa.UniqueConstraint("issuer", "subject"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    issuer: Mapped[str] = mapped_column(sa.String(255))
    subject: Mapped[str] = mapped_column(sa.String(255))
    linked_at: Mapped[datetime]


class SignInState(Base):
    """What kiban remembers between sending a browser to a provider and its return; used once."""

    __tablename__ = "sign_in_states"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    nonce: Mapped[str] = mapped_column(sa.String(64))
    verifier: Mapped[str] = mapped_column(sa.String(128))
    return_to: Mapped[str] = mapped_column(sa.String(500))
    expires_at: Mapped[datetime]


class BrowserSession(Base):
    __tablename__ = "browser_sessions"
    __table_args__ = ({"info": {UNTOLD: ["last_seen_at"]}},)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    is_strong: Mapped[bool]  # a second factor was shown, or an OpenID Connect provider vouches for the person
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    user_agent: Mapped[str] = mapped_column(sa.String(300))
    address: Mapped[str] = mapped_column(sa.String(64))


class ApiToken(Base):
    __tablename__ = "api_tokens"
    __table_args__ = ({"info": {UNTOLD: ["last_used_at"]}},)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    start: Mapped[str] = mapped_column(sa.String(16))  # of the token itself, so that people can tell theirs apart
    scopes: Mapped[list[str]]  # `<module>:read` and `<module>:write`
    is_strong: Mapped[bool]  # as the session was that made it
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Invitation(Base):
    __tablename__ = "invitations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), index=True)
    organisation_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("organisations.id"))
    roles: Mapped[list[str]]
    call_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("calls.id"))
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    invited_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("people.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class PasswordReset(Base):
    """A link sent by mail that sets a new password, once."""

    __tablename__ = "password_resets"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Attempt(Base):
    """One use of something that is limited in time: a sign-in by account, by address, an invitation sent."""

    __tablename__ = "attempts"
    __table_args__ = (sa.Index("ix_attempts_key_at", "key", "at"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(sa.String(128))
    subject: Mapped[str] = mapped_column(sa.String(64), default="")  # which account, where the key is an address
    at: Mapped[datetime]
