from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiban.engines.slurm.usage import JobUsage
from kiban.office.grants import service
from kiban.office.grants.cluster import desired_account
from kiban.office.grants.models import Grant
from kiban.office.ledger.verification import verify
from kiban.office.paging import PageRequest
from kiban.office.usage import service as usage
from kiban.office.usage.charges import charged_yen
from kiban.office.usage.differences import list_differences
from kiban.office.usage.sync import BEGINNING, SyncResult, reading_window, take_in
from kiban.office.work import Work

from ..grants.conftest import GPU_SECONDS, Funded, funded, job

__all__ = ["funded"]


def read(funded: Funded, *jobs: JobUsage) -> SyncResult:
    with funded.office.work() as work:
        return take_in(work, "test", list(jobs), work.now)


def differences(funded: Funded) -> list[str]:
    with funded.office.work(read_only=True) as work:
        return [row.kind for row in list_differences(work, PageRequest()).items]


@pytest.fixture
def grant(funded: Funded) -> Grant:
    return funded.open()


def test_a_job_is_charged_once_however_often_it_is_read(funded: Funded, grant: Grant) -> None:
    done = job(grant.code, 3600, start=funded.office.clock(), energy_joules=7_000_000)
    results = [read(funded, done, done) for _ in range(3)]
    assert [result.posted_gpu_seconds for result in results] == [28_800, 0, 0]
    now = funded.standing(grant)
    assert (now.used.gpu_seconds, now.used.yen, now.joules) == (28_800, 8 * 400, 7_000_000)
    assert now.available.gpu_seconds == GPU_SECONDS // 2 - 28_800


def test_a_running_job_is_charged_as_it_grows(funded: Funded, grant: Grant) -> None:
    start = funded.office.clock()
    for seconds, ended in ((10, False), (10, False), (3_599, False), (3_600, True), (3_600, True)):
        read(funded, job(grant.code, seconds, ended=ended, start=start))
    now = funded.standing(grant)
    assert (now.used.gpu_seconds, now.used.yen) == (28_800, 3_200)
    assert now.joules > 0  # estimated, when it ended


def test_a_requeued_job_is_another_run(funded: Funded, grant: Grant) -> None:
    start = funded.office.clock()
    read(funded, job(grant.code, 100, start=start), job(grant.code, 50, start=start + timedelta(hours=1)))
    assert funded.standing(grant).used.gpu_seconds == 8 * 150


def test_use_beyond_the_balance_is_charged_as_an_overrun_and_covered_by_the_next_tranche(
    funded: Funded, grant: Grant
) -> None:
    seconds = GPU_SECONDS // 2 // 8 + 1_000
    read(funded, job(grant.code, seconds, start=funded.office.clock()))
    now = funded.standing(grant)
    assert (now.available.gpu_seconds, now.overrun.gpu_seconds) == (0, -8_000)
    with funded.office.work() as work:
        service.release_after_report(work, grant.id)
    now = funded.standing(grant)
    assert now.overrun.gpu_seconds == now.overrun.yen == 0
    assert now.available.gpu_seconds == GPU_SECONDS // 2 - 8_000
    assert now.used.gpu_seconds == GPU_SECONDS // 2 + 8_000


def test_the_clusters_limit_stays_what_was_released_while_jobs_use_it(funded: Funded, grant: Grant) -> None:
    read(funded, job(grant.code, 3_600, start=funded.office.clock()))
    with funded.office.work() as work:
        account = desired_account(work, service.get_grant(work, grant.id))
    assert account is not None
    assert account.gpu_minutes == GPU_SECONDS // 2 // 60


def test_a_job_of_nobodys_grant_is_kept_and_listed(funded: Funded, grant: Grant) -> None:
    assert read(funded, job("other", 60, start=funded.office.clock())).without_grant == 1
    assert differences(funded) == ["job_without_grant"]
    assert funded.standing(grant).used.gpu_seconds == 0


def test_a_record_that_shrinks_is_listed_and_never_taken_back(funded: Funded, grant: Grant) -> None:
    start = funded.office.clock()
    read(funded, job(grant.code, 100, start=start))
    read(funded, job(grant.code, 90, start=start))
    assert funded.standing(grant).used.gpu_seconds == 800
    assert differences(funded) == ["job_shrank"]


def test_the_next_reading_goes_back_to_the_oldest_running_job(funded: Funded, grant: Grant) -> None:
    start = funded.office.clock()
    read(funded, job(grant.code, 60, ended=False, start=start))
    funded.office.clock.forward(days=3)  # type: ignore[attr-defined]
    read(funded, job(grant.code, 60, number=2, start=start + timedelta(days=3)))
    with funded.office.work() as work:
        assert reading_window(work, "test") == start
    read(funded, job(grant.code, 120, start=start))
    with funded.office.work() as work:
        assert reading_window(work, "test") == start + timedelta(days=3, hours=-2)


def test_a_clock_that_was_years_ahead_loses_no_job(funded: Funded, grant: Grant) -> None:
    read(funded)
    funded.office.clock.forward(days=1_500)  # type: ignore[attr-defined]
    read(funded)
    funded.office.clock.forward(days=-1_500)  # type: ignore[attr-defined]
    with funded.office.work() as work:
        assert reading_window(work, "test") <= BEGINNING
    read(funded)
    with funded.office.work() as work:
        assert reading_window(work, "test") == work.now - timedelta(hours=2)


def test_a_reading_in_parts_moves_the_cursor_at_its_end(
    funded: Funded, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST_AT_ONCE", 2)
    jobs = [job(grant.code, 60, number=number, start=funded.office.clock()) for number in range(1, 6)]
    taken = take_in

    def killed(work: Work, *given: Any) -> SyncResult:
        result = taken(work, *given)
        if given[-1] is not None:
            raise RuntimeError("killed")
        return result

    monkeypatch.setattr(usage, "take_in", killed)
    with pytest.raises(RuntimeError):
        usage.sync(funded.office, read=lambda since: jobs)
    with funded.office.work() as work:
        assert reading_window(work, "test") <= BEGINNING
    monkeypatch.setattr(usage, "take_in", taken)
    (result,) = usage.sync(funded.office, read=lambda since: jobs)
    assert (result.jobs, result.new, result.posted_gpu_seconds) == (5, 1, 480)
    assert funded.standing(grant).used.gpu_seconds == 5 * 480


def test_a_job_seen_before_its_grant_becomes_the_grants(funded: Funded) -> None:
    run = job(funded.code, 60, start=funded.office.clock())
    assert read(funded, run).without_grant == 1
    grant = funded.open()
    read(funded, run)
    with funded.office.work() as work:
        account = desired_account(work, service.get_grant(work, grant.id))
    assert account is not None
    assert account.gpu_minutes == GPU_SECONDS // 2 // 60


def test_readers_at_once_charge_once(funded: Funded, grant: Grant) -> None:
    jobs = [job(grant.code, 60 * number, number=number, start=funded.office.clock()) for number in range(1, 11)]
    threads = [threading.Thread(target=read, args=(funded, *jobs)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert funded.standing(grant).used.gpu_seconds == 8 * 60 * 55


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5_000)), max_size=6), max_size=6))
def test_whatever_is_read_in_whatever_order_the_books_say_the_most_that_was_seen(
    funded: Funded, readings: Sequence[Sequence[tuple[int, int]]]
) -> None:
    grant = funded.open() if not hasattr(funded, "grant") else funded.grant
    funded.grant = grant  # type: ignore[attr-defined]
    most: dict[int, int] = getattr(funded, "most", {})
    funded.most = most  # type: ignore[attr-defined]
    for reading in readings:
        jobs = [job(grant.code, s, number=n, ended=False, start=funded.office.clock()) for n, s in reading]
        for number, seconds in reading:
            most[number] = max(most.get(number, 0), seconds)
        read(funded, *jobs)
    now = funded.standing(grant)
    assert now.used.gpu_seconds == 8 * sum(most.values())
    assert now.used.yen == sum(charged_yen(8 * seconds, 400, 1.0) for seconds in most.values())
    with funded.office.work(read_only=True) as work:
        assert verify(work).ok
