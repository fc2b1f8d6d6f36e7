"""Playing the season into an empty database, with accounts to sign in with, and saying what there is afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from pyotp import TOTP

from kiban.kit.errors import Refused
from kiban.office import schema
from kiban.office.audit import service as audit
from kiban.office.audit.models import AuditEvent
from kiban.office.ledger.verification import verify
from kiban.office.members import second_factor, sign_in
from kiban.office.members.passwords import set_password
from kiban.office.members.repository import person_by_id
from kiban.office.notices.models import Notice, NoticeStatus
from kiban.office.office import Office
from kiban.office.season.applying import Applications
from kiban.office.season.awarding import Awards
from kiban.office.season.cast import Season, gather_judges, gather_organisations, gather_staff
from kiban.office.season.clock import Agenda, SeasonClock, jst
from kiban.office.season.programme import CallOf
from kiban.office.season.reporting import Reports
from kiban.office.season.reviewing import Reviews
from kiban.office.season.running import Running
from kiban.office.season.supplying import plan_supply
from kiban.office.settings import Settings
from kiban.office.tables import METADATA
from kiban.office.work import SYSTEM, Actor, Ids

SEED = 20250303
BEGINS = jst("2025-03-03 09:00")
ENDS = jst("2026-10-30 18:00")
# A sentence that everybody may know: for a demonstration on one's own machine and for nothing else.
PASSWORD = "demo only: rain over the harbour in March"
BEGUN, FINISHED = "season.begun", "season.finished"


@dataclass(frozen=True)
class Account:
    """Somebody to sign in as. `totp`: the second factor's secret, for the roles that take one; `uri`: as a QR code."""

    role: str
    email: str
    password: str
    totp: str
    uri: str


@dataclass(frozen=True)
class Filled:
    accounts: tuple[Account, ...]
    rows: dict[str, int]
    ledger_head: str
    postings: int


Tell = Callable[[datetime], None]


def fill(settings: Settings, *, scale: int = 1, force: bool = False, tell: Tell | None = None) -> Filled:
    """Play the season into the database of `settings`.

    Args:
        scale: so many times the proposals of the last call and the jobs, for load tests.
        force: empty the database first if it holds a season, whole or half.
        tell: called with the season's time as it goes on.

    Raises:
        Refused: the database is not empty, or holds another programme than a season's.
    """
    clock = SeasonClock(BEGINS)
    office = Office(settings, clock=clock, ids=Ids(SEED))
    try:
        _make_ready(office, force)
        season = Season(office, clock, Agenda(clock), SEED, scale)
        with season.work() as work:
            audit.record(work, BEGUN, "season", str(SEED), scale=scale)
        accounts = _play(season, tell)
        with season.work() as work:
            audit.record(work, FINISHED, "season", str(SEED))
        with office.work(read_only=True) as work:
            found = verify(work)
            rows = {
                table.name: work.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in METADATA.sorted_tables
            }
        if not found.ok:
            raise Refused(f"the ledger does not hold: {found.problem}", where=f"posting {found.bad_number}")
        return Filled(tuple(accounts), rows, found.head, found.postings)
    finally:
        office.close()


def _play(season: Season, tell: Tell | None) -> list[Account]:
    gather_staff(season)
    gather_organisations(season)
    gather_judges(season)
    plan_supply(season)
    applications = Applications(season)
    applications.plan()
    Reviews(season, applications).plan()
    running = Running(season, ENDS)
    reports = Reports(season, applications, running)

    def announced(of: CallOf) -> None:
        running.opened(of)
        reports.opened(of)

    Awards(season, applications, announced).plan()
    running.start(jst("2025-07-07 06:00"))
    season.agenda.run(ENDS, tell)
    _deliver_notices(season)
    return _accounts(season)


def _make_ready(office: Office, force: bool) -> None:
    """An empty database with this version's tables.

    A season that was interrupted cannot be gone on with: what was to come was known to the process alone.
    """
    state = schema.state(office.database)
    if state.revision is None:
        schema.upgrade(office.database)
        return
    with office.database.transaction(read_only=True) as session:
        connection = session.connection()
        there = [each for each in METADATA.sorted_tables if sa.inspect(connection).has_table(each.name)]
        held = [each.name for each in there if connection.scalar(sa.select(sa.exists(sa.select(each))))]
        acts: set[str] = set()
        if "audit_events" in held:
            first = sa.select(AuditEvent.action).order_by(AuditEvent.number).limit(1)
            last = sa.select(AuditEvent.action).where(AuditEvent.action == FINISHED).limit(1)
            acts = {*session.scalars(first), *session.scalars(last)}
    if held and BEGUN not in acts:
        raise Refused(
            f"the database is in use: there are {', '.join(held[:3])}",
            where="database",
            hint="give the demo one of its own with KIBAN_HOME; --force empties only an earlier demo",
        )
    if held and not force:
        words = "holds a demo already" if FINISHED in acts else "holds a demo that was interrupted"
        raise Refused(f"the database {words}", where="database", hint="--force empties it and starts again")
    if held:
        schema.downgrade(office.database, schema.BASE)
    schema.upgrade(office.database)


def _deliver_notices(season: Season) -> None:
    """The season's mail has gone out long ago; with a mail server configured it must not go out again."""
    with season.work() as work:
        work.session.execute(
            sa.update(Notice)
            .where(Notice.status == NoticeStatus.WAITING)
            .values(status=NoticeStatus.SENT, sent_at=Notice.created_at, attempts=1)
        )


def _accounts(season: Season) -> list[Account]:
    """Passwords for one account of each kind, and second factors where the role is in force only with one."""
    lead = season.organisations["kotonoha"].lead
    judge = next(iter(season.judges.values()))
    wanted = [
        ("operator", season.operator, season.emails["operator"], True),
        ("auditor", season.staff["auditor"], season.emails["auditor"], True),
        ("panel", season.staff["panel_chair"], season.emails["panel_chair"], True),
        ("reviewer", judge.actor, judge.email, False),
        ("applicant", lead.actor, lead.email, False),
    ]
    return [_account(season, *each) for each in wanted]


def _account(season: Season, role: str, actor: Actor, email: str, strong: bool) -> Account:
    assert actor.person_id is not None
    with season.work(SYSTEM) as work:
        person = person_by_id(work.session, actor.person_id, lock=True)
        assert person is not None
        set_password(work, person, PASSWORD)
    if not strong:
        return Account(role, email, PASSWORD, "", "")
    season.clock.now += timedelta(seconds=1)
    opened = sign_in.with_password(season.office, email, PASSWORD, None, sign_in.Browser(user_agent="kiban demo"))
    signed_in = replace(actor, session_id=opened.session.id)
    with season.work(signed_in) as work:
        enrolment = second_factor.begin(work)
    with season.work(signed_in) as work:
        second_factor.confirm(work, _code(enrolment.secret, season.clock.now))
    return Account(role, email, PASSWORD, enrolment.secret, enrolment.uri)


def _code(secret: str, at: datetime) -> str:
    return TOTP(secret).at(at)
