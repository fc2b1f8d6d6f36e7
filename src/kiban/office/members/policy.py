"""Who sees whom, what a role needs to be in force, and which scopes a token may have."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from kiban.office.errors import Unauthenticated
from kiban.office.members.models import ApiToken, BrowserSession, Invitation, Organisation, Person, RoleGrant
from kiban.office.work import Actor, Role, Work

# These roles decide over money or read everybody's secrets, and a password alone is too easily guessed or caught for
# that (NIST SP 800-63B-4, 2025: AAL2 for personal information). They are in force only in sessions opened with a second
# factor, or through an OpenID Connect provider, whose own rules the programme has accepted by configuring it. Without
# one a person can still sign in, and enrol it.
STRONG_ROLES = frozenset({Role.OPERATOR, Role.PANEL, Role.AUDITOR})

# Those who are audited do not audit.
APART = frozenset({Role.OPERATOR, Role.AUDITOR})

MODULES = (
    "members",
    "supply",
    "calls",
    "proposals",
    "reviews",
    "awards",
    "ledger",
    "grants",
    "usage",
    "reports",
    "audit",
    "notices",
)
SCOPES = frozenset(f"{module}:{verb}" for module in MODULES for verb in ("read", "write"))


def in_force(role: Role, *, is_strong: bool) -> bool:
    """Whether a role that a person holds counts in a session of this strength."""
    return is_strong or role not in STRONG_ROLES


def require_somebody(work: Work) -> None:
    """Raises: Unauthenticated: nobody is signed in, and this is not the office's own command."""
    if work.actor.person_id is None and not work.actor.is_system:
        raise Unauthenticated("sign in first")


def visible_people(actor: Actor) -> sa.ColumnElement[bool]:
    """Oneself and one's organisation; operators and auditors see everybody.

    Reviewers get no list of each other: whom they may know of, `reviews` tells them case by case.
    """
    if actor.sees_everything:
        return sa.true()
    mine = Person.id == actor.person_id
    return sa.or_(mine, _same_organisation(actor, Person.organisation_id))


def visible_organisations(actor: Actor) -> sa.ColumnElement[bool]:
    """One's own; operators and auditors see all."""
    return sa.true() if actor.sees_everything else _same_organisation(actor, Organisation.id)


def visible_roles(actor: Actor) -> sa.ColumnElement[bool]:
    """One's own: a colleague's seat on a panel is no affair of the organisation's."""
    return sa.true() if actor.sees_everything else RoleGrant.person_id == actor.person_id


def visible_invitations(actor: Actor) -> sa.ColumnElement[bool]:
    """Those that one sent; operators and auditors see all."""
    return sa.true() if actor.sees_everything else Invitation.invited_by == actor.person_id


def own_sessions(actor: Actor) -> sa.ColumnElement[bool]:
    """Sessions are their holder's alone; an operator ends another's by disabling the person."""
    return BrowserSession.person_id == actor.person_id


def visible_tokens(actor: Actor) -> sa.ColumnElement[bool]:
    """One's own; operators and auditors see (and operators revoke) everybody's."""
    return sa.true() if actor.sees_everything else ApiToken.person_id == actor.person_id


def _same_organisation(
    actor: Actor, column: InstrumentedAttribute[uuid.UUID] | InstrumentedAttribute[uuid.UUID | None]
) -> sa.ColumnElement[bool]:
    return sa.false() if actor.organisation_id is None else column == actor.organisation_id
