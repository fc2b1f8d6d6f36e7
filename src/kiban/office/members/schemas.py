"""What goes in and out of members."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from kiban.office.members.models import OrganisationKind, OrganisationSize
from kiban.office.schemas import Schema
from kiban.office.work import Role

Name = Annotated[str, Field(min_length=1, max_length=200, examples=["山田花子"])]
Email = Annotated[str, Field(min_length=3, max_length=320, examples=["hanako@example.co.jp"])]
Password = Annotated[str, Field(min_length=1, max_length=1024, examples=["a sentence is easy to keep"])]
Code = Annotated[
    str, Field(max_length=64, examples=["123456"], description="from the authenticator, or a recovery code")
]
Secret = Annotated[str, Field(max_length=128)]
Language = Literal["ja", "en"]


class OrganisationIn(Schema):
    name_ja: Name = Field(examples=["株式会社例"])
    name_en: Name = Field(examples=["Example, Inc."])
    kind: OrganisationKind
    size: OrganisationSize
    domain: str = Field(min_length=1, max_length=64, examples=["manufacturing"])
    corporate_number: str | None = Field(default=None, max_length=32, examples=["7000012050002"])


class OrganisationOut(OrganisationIn):
    id: uuid.UUID
    created_at: datetime
    closed_at: datetime | None


class PersonIn(Schema):
    email: Email
    name: Name
    language: Language = "ja"
    organisation_id: uuid.UUID | None = None
    expertise: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(default=[], max_length=50)
    orcid: str | None = Field(default=None, max_length=64, examples=["0000-0002-1825-0097"])


class PersonChange(Schema):
    """Fields that are left out stay as they are."""

    name: Name | None = None
    language: Language | None = None
    expertise: list[Annotated[str, Field(min_length=1, max_length=64)]] | None = Field(default=None, max_length=50)
    orcid: str | None = Field(default=None, max_length=64)
    email: Email | None = Field(default=None, description="operators only")


class PersonOut(Schema):
    id: uuid.UUID
    email: str
    name: str
    language: str
    organisation_id: uuid.UUID | None
    expertise: list[str]
    orcid: str | None
    created_at: datetime
    disabled_at: datetime | None


class Move(Schema):
    organisation_id: uuid.UUID | None = Field(description="null: into none")
    reason: str = Field(min_length=1, max_length=2000)


class Reason(Schema):
    reason: str = Field(min_length=1, max_length=2000, examples=["left the organisation"])


class RoleIn(Schema):
    person_id: uuid.UUID
    role: Role
    call_id: uuid.UUID | None = Field(default=None, description="null: in the whole programme")


class RoleOut(Schema):
    id: uuid.UUID
    person_id: uuid.UUID
    role: Role
    call_id: uuid.UUID | None
    granted_by: uuid.UUID | None
    granted_at: datetime
    revoked_at: datetime | None


class InvitationIn(Schema):
    email: Email
    organisation_id: uuid.UUID | None = None
    roles: list[Role] = Field(default=[Role.APPLICANT], max_length=len(Role))
    call_id: uuid.UUID | None = Field(default=None, description="the call that the roles are limited to")
    language: Language = "ja"


class InvitationOut(Schema):
    id: uuid.UUID
    email: str
    organisation_id: uuid.UUID | None
    roles: list[Role]
    call_id: uuid.UUID | None
    invited_by: uuid.UUID | None
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


class InvitationSecret(Schema):
    token: Secret


class InvitationPreview(Schema):
    """What the holder of the link is told before accepting."""

    email: str
    organisation_ja: str | None
    organisation_en: str | None
    roles: list[Role]
    expires_at: datetime
    has_account: bool = Field(description="accept after signing in; without an account, with a name and password")


class NewAccount(Schema):
    name: Name
    password: Password
    language: Language = "ja"


class Acceptance(Schema):
    token: Secret
    account: NewAccount | None = Field(default=None, description="for those who have none; others sign in first")


class TokenIn(Schema):
    name: str = Field(min_length=1, max_length=100, examples=["nightly usage export"])
    scopes: list[str] = Field(min_length=1, max_length=50, examples=[["usage:read", "ledger:read"]])
    expires_in_days: int = Field(default=90, ge=1, le=365)


class TokenOut(Schema):
    id: uuid.UUID
    person_id: uuid.UUID
    name: str
    start: str = Field(examples=["kbn_…x7Qd"])
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewToken(TokenOut):
    token: str = Field(description="shown this once")


class SessionOut(Schema):
    id: uuid.UUID
    is_current: bool
    is_strong: bool
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    user_agent: str
    address: str


class SignIn(Schema):
    email: Email
    password: Password
    code: Code | None = None


class SignedIn(Schema):
    person_id: uuid.UUID
    csrf_token: str = Field(description="to be sent as X-CSRF-Token with every request that changes something")
    expires_at: datetime
    is_strong: bool = Field(description="whether the roles that need a second factor are in force")
    roles_waiting: list[Role] = Field(description="held, but not in force until a second factor is enrolled")


class PasswordChange(Schema):
    current_password: Password
    new_password: Password


class ResetRequest(Schema):
    email: Email


class PasswordResetIn(Schema):
    token: Secret
    new_password: Password


class TotpEnrolment(Schema):
    secret: str
    uri: str = Field(examples=["otpauth://totp/…"])


class TotpConfirmation(Schema):
    code: Code


class RecoveryCodes(Schema):
    codes: list[str] = Field(description="shown this once; each signs in once, without the authenticator")


class OidcStart(Schema):
    return_to: str = Field(default="/", max_length=500, examples=["/calls"])


class OidcRedirect(Schema):
    authorization_url: str


class Accepted(Schema):
    message: str


class CallRole(Schema):
    role: Role
    call_id: uuid.UUID


class Me(Schema):
    person: PersonOut
    organisation: OrganisationOut | None
    roles: list[Role]
    call_roles: list[CallRole]
    roles_waiting: list[Role]
    scopes: list[str] | None = Field(description="null: all that the roles allow")
    has_password: bool
    has_second_factor: bool
    recovery_codes_left: int
    providers: list[str]
    sessions: list[SessionOut]
    csrf_token: str | None = None
