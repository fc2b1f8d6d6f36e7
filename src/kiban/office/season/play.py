"""Playing the season into an empty database, with accounts to sign in with, and saying what there is afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from kiban.kit.errors import BadInput, Refused
from kiban.office import schema
from kiban.office.audit import chain
from kiban.office.audit import service as audit
from kiban.office.audit.models import AuditEvent
from kiban.office.ledger.verification import verify
from kiban.office.months import day_of
from kiban.office.notices.models import Notice, NoticeStatus
from kiban.office.office import Office
from kiban.office.season.accounts import Account, keep_accounts, make_accounts
from kiban.office.season.applying import Applications
from kiban.office.season.awarding import Awards
from kiban.office.season.cast import Season, gather_judges, gather_organisations, gather_staff
from kiban.office.season.clock import Agenda, SeasonClock, jst
from kiban.office.season.programme import CallOf, programme
from kiban.office.season.reporting import Reports
from kiban.office.season.reviewing import Reviews
from kiban.office.season.running import Running
from kiban.office.season.supplying import plan_supply
from kiban.office.settings import Settings
from kiban.office.tables import METADATA
from kiban.office.work import Ids, system_clock

SEED = 20250303
LENGTH = timedelta(weeks=89)
BEGUN, FINISHED = "season.begun", "season.finished"


@dataclass(frozen=True)
class Filled:
    accounts: tuple[Account, ...]
    rows: dict[str, int]
    ledger_head: str
    postings: int


Tell = Callable[[datetime], None]


def fill(
    settings: Settings, *, until: date | None = None, scale: int = 1, force: bool = False, tell: Tell | None = None
) -> Filled:
    """Play the season into the database of `settings`.

    Args:
        until: the day at whose beginning (in Japan) the season ends; default: today. The same day makes the same rows.
        scale: so many times the proposals of the last call and the jobs, for load tests.
        force: empty the database first if it holds a season, whole or half.
        tell: called with the season's time as it goes on.

    Raises:
        Refused: the database is not empty, or holds another programme than a season's.
    """
    today = day_of(system_clock())
    until = until or today
    if until > today:
        raise BadInput("the season cannot end after today", where="until", hint="its rows would lie in the future")
    played = programme(until)
    ends = jst(f"{until} 00:00")
    monday = until - timedelta(days=until.weekday())
    clock = SeasonClock(jst(f"{monday} 09:00") - LENGTH)
    office = Office(settings, clock=clock, ids=Ids(SEED))
    try:
        _make_ready(office, force)
        season = Season(office, clock, Agenda(clock), played, ends, SEED, scale)
        with season.work() as work:
            audit.record(work, BEGUN, "season", str(SEED), scale=scale)
        accounts = _play(season, tell)
        with season.work() as work:
            audit.record(work, FINISHED, "season", str(SEED))
        chain.extend(office)
        with office.work(read_only=True) as work:
            found = verify(work)
            rows = {
                table.name: work.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in METADATA.sorted_tables
            }
        if not found.ok:
            raise Refused(f"the ledger does not hold: {found.problem}", where=f"posting {found.bad_number}")
        keep_accounts(settings, accounts)
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
    running = Running(season)
    reports = Reports(season, applications, running)

    def announced(of: CallOf) -> None:
        running.opened(of)
        reports.opened(of)

    Awards(season, applications, announced).plan()
    running.plan()
    season.agenda.at(season.ends - timedelta(hours=6), reports.link_artifacts)
    season.agenda.run(season.ends, tell)
    _deliver_notices(season)
    return make_accounts(season)


def holds_season(settings: Settings) -> bool:
    """Whether a whole season was played into the database.

    Raises:
        Refused: it holds half a season, or a programme that is none.
    """
    office = Office(settings)
    try:
        found = _standing(office)
    finally:
        office.close()
    _refuse_others(found)
    if found.begun and not found.finished:
        raise Refused("the database holds a demo that was interrupted", where="database", hint=_AGAIN)
    return found.finished


@dataclass(frozen=True)
class _Standing:
    """What a database holds: tables with rows, and how far a season in it got."""

    held: tuple[str, ...]
    begun: bool
    finished: bool


_AGAIN = "`kiban office demo --force` empties it and starts again"


def _standing(office: Office) -> _Standing:
    with office.database.transaction(read_only=True) as session:
        connection = session.connection()
        there = [each for each in METADATA.sorted_tables if sa.inspect(connection).has_table(each.name)]
        held = tuple(each.name for each in there if connection.scalar(sa.select(sa.exists(sa.select(each)))))
        acts: set[str] = set()
        if "audit_events" in held:
            first = sa.select(AuditEvent.action).order_by(AuditEvent.number).limit(1)
            last = sa.select(AuditEvent.action).where(AuditEvent.action == FINISHED).limit(1)
            acts = {*session.scalars(first), *session.scalars(last)}
    return _Standing(held, BEGUN in acts, FINISHED in acts)


def _refuse_others(found: _Standing) -> None:
    if found.held and not found.begun:
        raise Refused(
            f"the database is in use: there are {', '.join(found.held[:3])}",
            where="database",
            hint="give the demo one of its own with KIBAN_HOME; --force empties only an earlier demo",
        )


def _make_ready(office: Office, force: bool) -> None:
    """An empty database with this version's tables.

    A season that was interrupted cannot be gone on with: what was to come was known to the process alone.
    """
    if schema.state(office.database).revision is not None:
        found = _standing(office)
        _refuse_others(found)
        if found.held and not force:
            words = "holds a demo already" if found.finished else "holds a demo that was interrupted"
            raise Refused(f"the database {words}", where="database", hint="--force empties it and starts again")
        if found.held:
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
