"""A unit of work: one transaction, who does it, when, and where new ids come from.

Services take a `Work` first. They read the time and draw ids from it alone, so that a season can be replayed to the
same rows, and they never commit: whoever opened the work does.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from kiban.office.errors import Forbidden, Unauthenticated
from kiban.office.settings import Settings

JST = ZoneInfo("Asia/Tokyo")

Clock = Callable[[], datetime]


class Role(StrEnum):
    """What a person may do in the programme; some roles can be limited to one call."""

    APPLICANT = "applicant"
    REVIEWER = "reviewer"
    PANEL = "panel"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    OBSERVER = "observer"


@dataclass(frozen=True)
class Actor:
    """Who acts. `scopes` None means all that the roles allow (a signed-in person); a token has those it was given."""

    person_id: uuid.UUID | None = None
    organisation_id: uuid.UUID | None = None
    roles: frozenset[Role] = frozenset()
    call_roles: frozenset[tuple[Role, uuid.UUID]] = frozenset()
    scopes: frozenset[str] | None = None
    session_id: uuid.UUID | None = None
    token_id: uuid.UUID | None = None
    is_system: bool = False
    # When it has to be found out anew who this is, though nothing changed: a credential expires. None: never.
    known_until: datetime | None = field(default=None, compare=False)

    def has(self, role: Role, call_id: uuid.UUID | None = None) -> bool:
        """Whether the actor has a role, in the whole programme or in this call."""
        return role in self.roles or (call_id is not None and (role, call_id) in self.call_roles)

    def calls_with(self, role: Role) -> frozenset[uuid.UUID]:
        """The calls to which a role is limited."""
        return frozenset(call for held, call in self.call_roles if held is role)

    @property
    def sees_everything(self) -> bool:
        """The office's own people and those who audit them."""
        return self.is_system or bool(self.roles & {Role.OPERATOR, Role.AUDITOR})


ANONYMOUS = Actor()
# The office's own commands and timed work: an operator at the terminal of the machine that holds the database.
SYSTEM = Actor(roles=frozenset({Role.OPERATOR}), is_system=True)


class Ids:
    """UUIDs of version 7 (RFC 9562, 2024): they sort by time, so that pages of a list have a stable order."""

    def __init__(self, seed: int | None = None) -> None:
        """Args: seed: makes the same ids again, for a replayable season; None draws from the system."""
        self._random = random.SystemRandom() if seed is None else random.Random(seed)
        self._last = 0

    def new(self, at: datetime) -> uuid.UUID:
        """An id later than every one before it, for the instant `at`."""
        # 48 bits of milliseconds and 12 bits that count within them.
        tick = max(int(at.timestamp() * 1000) << 12, self._last + 1)
        self._last = tick
        value = (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | self._random.getrandbits(62)
        return uuid.UUID(int=value)


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class Noticed:
    """What a unit of work looked at beside the database, so that the same rows may say something else later.

    `beyond`: the clock itself, or the settings, which name places outside. `until`: when what it asked of the clock
    will first be answered otherwise.
    """

    beyond: bool = False
    until: datetime | None = None

    def changes_at(self, instant: datetime) -> None:
        self.until = instant if self.until is None else min(self.until, instant)


@dataclass
class Work:
    session: Session
    actor: Actor
    given_settings: Settings
    clock: Clock = system_clock
    ids: Ids = field(default_factory=Ids)
    request_id: str = ""
    address: str = ""
    noticed: Noticed = field(default_factory=Noticed)

    def __post_init__(self) -> None:
        self._now = self.clock()

    @property
    def now(self) -> datetime:
        """The instant at which this work began: one for all that it does."""
        self.noticed.beyond = True
        return self._now

    @property
    def today(self) -> date:
        """The day that it is in Japan."""
        day = self._now.astimezone(JST).date()
        self.noticed.changes_at(datetime.combine(day + timedelta(days=1), time(), JST))
        return day

    @property
    def minute(self) -> datetime:
        """When the minute began in which this work did: for what may be told a minute late."""
        minute = self._now.replace(second=0, microsecond=0)
        self.noticed.changes_at(minute + timedelta(minutes=1))
        return minute

    def has_come(self, instant: datetime) -> bool:
        """Whether it is that time, or later."""
        if self._now >= instant:
            return True
        self.noticed.changes_at(instant)
        return False

    @property
    def settings(self) -> Settings:
        self.noticed.beyond = True
        return self.given_settings

    def new_id(self) -> uuid.UUID:
        return self.ids.new(self._now)

    @property
    def person_id(self) -> uuid.UUID:
        """Who acts.

        Raises:
            Unauthenticated: nobody is signed in.
        """
        if self.actor.person_id is None:
            raise Unauthenticated("sign in first")
        return self.actor.person_id

    def require(self, *roles: Role, call_id: uuid.UUID | None = None) -> None:
        """Go on only with one of these roles, in the programme or in the call.

        Raises:
            Unauthenticated: nobody is signed in.
            Forbidden: somebody without such a role is.
        """
        if any(self.actor.has(role, call_id) for role in roles):
            return
        if self.actor.person_id is None:
            raise Unauthenticated("sign in first")
        raise Forbidden(f"this takes the role {' or '.join(roles)}")
