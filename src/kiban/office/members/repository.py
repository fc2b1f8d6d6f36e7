"""People, organisations, roles and invitations in the database; what they sign in with is in
`credentials_repository`."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from kiban.office.calls.models import Call
from kiban.office.members import policy
from kiban.office.members.models import Invitation, Organisation, OrganisationKind, Person, RoleGrant
from kiban.office.paging import Page, PageRequest, Sorts, read_page
from kiban.office.work import Actor, Role

T = TypeVar("T")

ORGANISATION_SORTS: Sorts = {
    "name_ja": Organisation.name_ja,
    "name_en": Organisation.name_en,
    "kind": Organisation.kind,
    "size": Organisation.size,
    "domain": Organisation.domain,
}
PERSON_SORTS: Sorts = {"name": Person.name, "email": Person.email, "created_at": Person.created_at}
ROLE_SORTS: Sorts = {"role": RoleGrant.role, "granted_at": RoleGrant.granted_at, "revoked_at": RoleGrant.revoked_at}
INVITATION_SORTS: Sorts = {
    "email": Invitation.email,
    "created_at": Invitation.created_at,
    "expires_at": Invitation.expires_at,
}


@dataclass(frozen=True)
class CallName:
    """Of a call that a role is limited to."""

    code: str
    title_ja: str
    title_en: str


def add(session: Session, *rows: object) -> None:
    """Add rows and send them, so that what the database refuses is known here."""
    session.add_all(rows)
    session.flush()


# Organisations


def organisation(
    session: Session, actor: Actor, organisation_id: uuid.UUID, *, lock: bool = False
) -> Organisation | None:
    statement = sa.select(Organisation).where(Organisation.id == organisation_id, policy.visible_organisations(actor))
    return session.scalars(_locked(statement, lock)).one_or_none()


def organisation_is_open(session: Session, organisation_id: uuid.UUID) -> bool | None:
    """Whether people can join it; None if there is none."""
    closed = session.execute(sa.select(Organisation.closed_at).where(Organisation.id == organisation_id)).one_or_none()
    return None if closed is None else closed[0] is None


def organisations(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    kind: OrganisationKind | None = None,
    text: str | None = None,
) -> Page[Organisation]:
    statement = sa.select(Organisation).where(policy.visible_organisations(actor))
    if kind is not None:
        statement = statement.where(Organisation.kind == kind)
    statement = statement.where(
        *_with_words(text, Organisation.name_ja, Organisation.name_en, Organisation.corporate_number)
    )
    return read_page(session, statement, Organisation.id, page, sorts=ORGANISATION_SORTS)


def organisation_names(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    """In Japanese and in English."""
    if not ids:
        return {}
    statement = sa.select(Organisation.id, Organisation.name_ja, Organisation.name_en).where(Organisation.id.in_(ids))
    return {row.id: (row.name_ja, row.name_en) for row in session.execute(statement)}


def has_corporate_number(session: Session, number: str, *, apart_from: uuid.UUID | None = None) -> bool:
    statement = sa.select(Organisation.id).where(
        Organisation.corporate_number == number, Organisation.id.is_distinct_from(apart_from)
    )
    return session.scalars(statement).first() is not None


# People


def person(session: Session, actor: Actor, person_id: uuid.UUID, *, lock: bool = False) -> Person | None:
    statement = sa.select(Person).where(Person.id == person_id, policy.visible_people(actor))
    return session.scalars(_locked(statement, lock)).one_or_none()


def person_by_id(session: Session, person_id: uuid.UUID, *, lock: bool = False) -> Person | None:
    """Whoever looks: for what a person proves about themselves."""
    return session.scalars(_locked(sa.select(Person).where(Person.id == person_id), lock)).one_or_none()


def person_by_email(session: Session, email: str, *, lock: bool = False) -> Person | None:
    return session.scalars(_locked(sa.select(Person).where(Person.email == email), lock)).one_or_none()


def people(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    organisation_id: uuid.UUID | None = None,
    role: Role | None = None,
    call_id: uuid.UUID | None = None,
    text: str | None = None,
) -> Page[Person]:
    statement = sa.select(Person).where(policy.visible_people(actor))
    if organisation_id is not None:
        statement = statement.where(Person.organisation_id == organisation_id)
    if role is not None:
        # The roles of others are not for everybody to filter by: that would tell them.
        statement = statement.where(Person.id.in_(_holding(role, call_id).where(policy.visible_roles(actor))))
    statement = statement.where(*_with_words(text, Person.name, Person.email))
    return read_page(session, statement, Person.id, page, sorts=PERSON_SORTS)


def active_people(session: Session, person_ids: Collection[uuid.UUID]) -> list[Person]:
    statement = sa.select(Person).where(Person.id.in_(person_ids), Person.disabled_at.is_(None))
    return list(session.scalars(statement.order_by(Person.id)))


def active_members(session: Session, organisation_id: uuid.UUID) -> list[Person]:
    statement = sa.select(Person).where(Person.organisation_id == organisation_id, Person.disabled_at.is_(None))
    return list(session.scalars(statement.order_by(Person.id)))


def active_holders(session: Session, role: Role, call_id: uuid.UUID | None) -> list[Person]:
    """Those who hold a role in the programme, or in the call."""
    statement = sa.select(Person).where(Person.disabled_at.is_(None), Person.id.in_(_holding(role, call_id)))
    return list(session.scalars(statement.order_by(Person.id)))


def _holding(role: Role, call_id: uuid.UUID | None) -> sa.Select[uuid.UUID]:
    where: sa.ColumnElement[bool] = RoleGrant.call_id.is_(None)
    if call_id is not None:
        where = sa.or_(where, RoleGrant.call_id == call_id)
    return sa.select(RoleGrant.person_id).where(RoleGrant.role == role, RoleGrant.revoked_at.is_(None), where)


# Roles


def live_roles(session: Session, person_ids: Sequence[uuid.UUID]) -> list[RoleGrant]:
    statement = sa.select(RoleGrant).where(RoleGrant.person_id.in_(person_ids), RoleGrant.revoked_at.is_(None))
    return list(session.scalars(statement.order_by(RoleGrant.id)))


def role_grant(session: Session, grant_id: uuid.UUID, *, lock: bool = False) -> RoleGrant | None:
    return session.scalars(_locked(sa.select(RoleGrant).where(RoleGrant.id == grant_id), lock)).one_or_none()


def role_grants(
    session: Session,
    actor: Actor,
    page: PageRequest,
    *,
    person_id: uuid.UUID | None = None,
    call_id: uuid.UUID | None = None,
    role: Role | None = None,
    with_revoked: bool = False,
) -> Page[RoleGrant]:
    statement = sa.select(RoleGrant).where(policy.visible_roles(actor))
    if person_id is not None:
        statement = statement.where(RoleGrant.person_id == person_id)
    if call_id is not None:
        statement = statement.where(RoleGrant.call_id == call_id)
    if role is not None:
        statement = statement.where(RoleGrant.role == role)
    if not with_revoked:
        statement = statement.where(RoleGrant.revoked_at.is_(None))
    return read_page(session, statement, RoleGrant.id, page, sorts=ROLE_SORTS)


def has_operator(session: Session) -> bool:
    """Whether somebody was made an operator of the whole programme and still is, disabled or not."""
    held = sa.select(RoleGrant.id).where(
        RoleGrant.role == Role.OPERATOR, RoleGrant.call_id.is_(None), RoleGrant.revoked_at.is_(None)
    )
    return session.scalar(sa.select(held.exists())) or False


def lock_operators(session: Session) -> set[uuid.UUID]:
    """Everybody enabled who is an operator of the whole programme; nobody can cease to be one until this work ends.

    All grants and people are locked in one order, so that two who remove each other wait instead of both succeeding.
    """
    grants = (
        sa.select(RoleGrant.id, RoleGrant.person_id)
        .where(RoleGrant.role == Role.OPERATOR, RoleGrant.call_id.is_(None), RoleGrant.revoked_at.is_(None))
        .order_by(RoleGrant.id)
        .with_for_update()
    )
    holders = {person_id for _, person_id in session.execute(grants)}
    enabled = sa.select(Person.id).where(Person.id.in_(holders), Person.disabled_at.is_(None))
    return set(session.scalars(enabled.order_by(Person.id).with_for_update()))


def call_exists(session: Session, call_id: uuid.UUID) -> bool:
    return session.scalars(sa.select(Call.id).where(Call.id == call_id)).first() is not None


def call_names(session: Session, call_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, CallName]:
    if not call_ids:
        return {}
    statement = sa.select(Call.id, Call.code, Call.title_ja, Call.title_en).where(Call.id.in_(call_ids))
    return {row.id: CallName(row.code, row.title_ja, row.title_en) for row in session.execute(statement)}


# Invitations


def invitation(session: Session, actor: Actor, invitation_id: uuid.UUID, *, lock: bool = False) -> Invitation | None:
    statement = sa.select(Invitation).where(Invitation.id == invitation_id, policy.visible_invitations(actor))
    return session.scalars(_locked(statement, lock)).one_or_none()


def invitation_by_digest(session: Session, digest: str, *, lock: bool = False) -> Invitation | None:
    return session.scalars(_locked(sa.select(Invitation).where(Invitation.digest == digest), lock)).one_or_none()


def invitations(session: Session, actor: Actor, page: PageRequest, now: datetime, *, is_open: bool) -> Page[Invitation]:
    statement = sa.select(Invitation).where(policy.visible_invitations(actor))
    if is_open:
        statement = statement.where(_is_open(now))
    return read_page(session, statement, Invitation.id, page, newest_first=True, sorts=INVITATION_SORTS)


def newest_open_invitation(session: Session, email: str, now: datetime) -> Invitation | None:
    statement = sa.select(Invitation).where(Invitation.email == email, _is_open(now)).order_by(Invitation.id.desc())
    return session.scalars(statement.limit(1).with_for_update()).first()


def revoke_open_invitations(
    session: Session,
    now: datetime,
    *,
    invited_by: uuid.UUID | None = None,
    replaced_by: Invitation | None = None,
) -> None:
    """Those that a person sent, or earlier ones for the same address and place as `replaced_by`."""
    statement = sa.update(Invitation).where(_is_open(now)).values(revoked_at=now)
    if replaced_by is not None:
        statement = statement.where(
            Invitation.id != replaced_by.id,
            Invitation.email == replaced_by.email,
            Invitation.organisation_id.is_not_distinct_from(replaced_by.organisation_id),
            Invitation.call_id.is_not_distinct_from(replaced_by.call_id),
        )
    else:
        statement = statement.where(Invitation.invited_by == invited_by)
    session.execute(statement)


def _is_open(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None), Invitation.expires_at > now)


def _with_words(text: str | None, *columns: InstrumentedAttribute[Any]) -> list[sa.ColumnElement[bool]]:
    """That each word of a text is in one of the columns, in capital or small letters."""
    return [sa.or_(*(column.icontains(word, autoescape=True) for column in columns)) for word in (text or "").split()]


def _locked(statement: sa.Select[T], lock: bool) -> sa.Select[T]:
    # What was read before the lock may be stale by then.
    return statement.with_for_update().execution_options(populate_existing=True) if lock else statement
