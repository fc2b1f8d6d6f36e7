"""Everybody who takes part: the office's people, reviewers, and applicants with their organisations."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from kiban.office.members import roles, service
from kiban.office.members.schemas import OrganisationIn, PersonIn
from kiban.office.office import Office
from kiban.office.season.clock import Agenda, SeasonClock
from kiban.office.season.fields import fields
from kiban.office.season.programme import OrganisationOf, Programme
from kiban.office.work import SYSTEM, Actor, Role, Work

DOMAIN = "example.jp"
STAFF_ROLES = {
    "operator": Role.OPERATOR,
    "second_operator": Role.OPERATOR,
    "auditor": Role.AUDITOR,
    "observer": Role.OBSERVER,
    "panel_chair": Role.PANEL,
    "panel_member": Role.PANEL,
}


@dataclass(frozen=True)
class Applicant:
    """Somebody of an applying organisation."""

    actor: Actor
    name: str
    email: str
    orcid: str


@dataclass(frozen=True)
class Organisation:
    id: uuid.UUID
    of: OrganisationOf
    number: str  # 法人番号, of a range that no registry gives out
    people: tuple[Applicant, ...]

    @property
    def lead(self) -> Applicant:
        return self.people[0]


@dataclass(frozen=True)
class Judge:
    """A reviewer. `severity`: added to every score they give."""

    actor: Actor
    name: str
    email: str
    fields: tuple[str, ...]
    severity: float


@dataclass
class Season:
    """What the parts of a season share while it is played."""

    office: Office
    clock: SeasonClock
    agenda: Agenda
    programme: Programme
    ends: datetime
    seed: int
    scale: int = 1
    staff: dict[str, Actor] = field(default_factory=dict)
    emails: dict[str, str] = field(default_factory=dict)
    organisations: dict[str, Organisation] = field(default_factory=dict)
    judges: dict[uuid.UUID, Judge] = field(default_factory=dict)
    applicants: dict[uuid.UUID, Applicant] = field(default_factory=dict)
    pools: dict[str, uuid.UUID] = field(default_factory=dict)
    call_ids: dict[str, uuid.UUID] = field(default_factory=dict)

    def random(self, *topic: object) -> random.Random:
        """Chance of its own for each topic: a change to one part of the season leaves the others as they were."""
        return random.Random(":".join(map(str, (self.seed, *topic))))

    def work(self, actor: Actor = SYSTEM) -> AbstractContextManager[Work]:
        return self.office.work(actor)

    @property
    def operator(self) -> Actor:
        return self.staff["operator"]


def check_digit(twelve: str) -> str:
    """A corporate number of these twelve digits (平成26年財務省令第70号)."""
    weighted = sum(int(digit) * (1 if n % 2 else 2) for n, digit in enumerate(reversed(twelve), start=1))
    return f"{9 - weighted % 9}{twelve}"


def orcid_of(number: int) -> str:
    """An ORCID iD with the right check digit (ISO/IEC 7064 MOD 11-2), in a block that is not given out."""
    digits = f"0000000{900_000_00 + number:08d}"
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2 % 11
    whole = digits + "0123456789X"[(12 - total) % 11]
    return "-".join(whole[start : start + 4] for start in range(0, 16, 4))


def gather_staff(season: Season) -> None:
    for key, person in season.programme.staff.items():
        email = f"{person.address}@{DOMAIN}"
        with season.work() as work:
            row = service.add_person(work, PersonIn(email=email, name=person.name))
            roles.grant(work, row.id, STAFF_ROLES[key])
        season.staff[key] = Actor(person_id=row.id, roles=frozenset({STAFF_ROLES[key]}))
        season.emails[key] = email


def gather_organisations(season: Season) -> None:
    names = _names(season)
    for number, of in enumerate(season.programme.organisations, start=1):
        corporate = check_digit(f"99000000{number:04d}")
        with season.work(season.operator) as work:
            organisation = service.add_organisation(
                work,
                OrganisationIn(
                    name_ja=of.name_ja,
                    name_en=of.name_en,
                    kind=of.kind,
                    size=of.size,
                    domain=of.field,
                    corporate_number=corporate,
                ),
            )
            people = []
            for place, part in enumerate(("lead", "dev")):
                orcid = orcid_of(number * 10 + place)
                email = f"{part}@{of.key.replace('_', '-')}.{DOMAIN}"
                given = PersonIn(
                    email=email,
                    name=names(),
                    language="en" if part == "dev" and number % 7 == 0 else "ja",
                    organisation_id=organisation.id,
                    expertise=[of.field],
                    orcid=orcid,
                )
                row = service.add_person(work, given)
                roles.grant(work, row.id, Role.APPLICANT)
                actor = Actor(person_id=row.id, organisation_id=organisation.id, roles=frozenset({Role.APPLICANT}))
                people.append(Applicant(actor, row.name, email, orcid))
                season.applicants[row.id] = people[-1]
        season.organisations[of.key] = Organisation(organisation.id, of, corporate, tuple(people))


def gather_judges(season: Season) -> None:
    chance = season.random("severity")
    for number, of in enumerate(season.programme.reviewers, start=1):
        organisation_id = season.organisations[of.organisation].id if of.organisation else None
        words = [word for key in of.fields for word in (key, fields()[key].name_ja, *fields()[key].words)]
        email = f"{of.address}@review.{DOMAIN}"
        with season.work(season.operator) as work:
            given = PersonIn(
                email=email,
                name=of.name,
                organisation_id=organisation_id,
                expertise=words,
                orcid=orcid_of(5_000 + number),
            )
            row = service.add_person(work, given)
            roles.grant(work, row.id, Role.REVIEWER)
        actor = Actor(person_id=row.id, organisation_id=organisation_id, roles=frozenset({Role.REVIEWER}))
        season.judges[row.id] = Judge(actor, of.name, email, tuple(of.fields), chance.gauss(0, 0.45))


def _names(season: Season) -> Callable[[], str]:
    """Names of people, each another."""
    whole = [f"{last} {first}" for last in season.programme.surnames for first in season.programme.given_names]
    season.random("names").shuffle(whole)
    return iter(whole).__next__
