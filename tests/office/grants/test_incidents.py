from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.grants import checklist, incidents, service
from kiban.office.grants.cluster import desired_account
from kiban.office.grants.models import Grant
from kiban.office.grants.schemas import IncidentIn, RefundIn
from kiban.office.ledger.verification import verify
from kiban.office.paging import PageRequest
from kiban.office.usage.sync import take_in
from kiban.office.work import Actor, Role

from .conftest import GPU_SECONDS, Funded, job


@pytest.fixture
def grant(funded: Funded) -> Grant:
    """One that has used an hour of 8 GPUs."""
    grant = funded.open()
    with funded.office.work() as work:
        take_in(work, "test", [job(grant.code, 3_600, start=work.now)], work.now)
    return grant


def log(funded: Funded, by: Actor | None = None, **given: Any) -> uuid.UUID:
    with funded.office.work(by or funded.member) as work:
        values = {"severity": "high", "title": "ノード障害", "text": "a2が落ちた"} | given
        return incidents.open_incident(work, IncidentIn(**values)).id


def give_back(funded: Funded, incident: uuid.UUID, gpu_seconds: int, **given: Any) -> int:
    with funded.office.work() as work:
        refund = RefundIn(gpu_seconds=gpu_seconds, reason="ノード障害", **given)
        return incidents.show_incidents(work, [incidents.refund(work, incident, refund)])[0].gpu_seconds_refunded


def test_a_refund_is_given_once_and_raises_the_clusters_limit(funded: Funded, grant: Grant) -> None:
    incident = log(funded, grant_id=grant.id)
    assert [give_back(funded, incident, 7_200) for _ in range(2)] == [7_200, 7_200]
    now = funded.standing(grant)
    assert (now.used.gpu_seconds, now.used.yen) == (28_800 - 7_200, 3_200 - 800)
    assert now.available.gpu_seconds == GPU_SECONDS // 2 - 28_800 + 7_200
    with funded.office.work() as work:
        account = desired_account(work, grant)
        assert verify(work).ok
    assert account is not None
    assert account.gpu_minutes == (GPU_SECONDS // 2 + 7_200) // 60
    with pytest.raises(Conflict):
        give_back(funded, incident, 7_201)


def test_no_more_comes_back_than_was_used_or_lost(funded: Funded, grant: Grant) -> None:
    with pytest.raises(Invalid):
        give_back(funded, log(funded, grant_id=grant.id), 28_801)
    with pytest.raises(Invalid):
        give_back(funded, log(funded, grant_id=grant.id, gpu_seconds_lost=100), 101)
    assert give_back(funded, log(funded, grant_id=grant.id), 28_800) == 28_800
    assert funded.standing(grant).used.yen == 0
    with pytest.raises(Invalid):
        give_back(funded, log(funded, grant_id=grant.id), 1)


def test_a_refund_pays_an_overrun_first(funded: Funded, grant: Grant) -> None:
    with funded.office.work() as work:
        take_in(work, "test", [job(grant.code, GPU_SECONDS // 16, number=2, start=work.now)], work.now)
    assert funded.standing(grant).overrun.gpu_seconds == -28_800
    give_back(funded, log(funded, grant_id=grant.id), 36_000)
    now = funded.standing(grant)
    assert (now.overrun.gpu_seconds, now.available.gpu_seconds) == (0, 7_200)


def test_two_operators_refunding_at_once_refund_once(funded: Funded, grant: Grant) -> None:
    incident = log(funded, grant_id=grant.id)
    threads = [threading.Thread(target=give_back, args=(funded, incident, 3_600)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert funded.standing(grant).used.gpu_seconds == 28_800 - 3_600


def test_an_incident_of_a_pool_is_the_offices_and_seen_by_its_grantees(funded: Funded, grant: Grant) -> None:
    operator = funded.rows.actor(Role.OPERATOR)
    with pytest.raises(Forbidden):
        log(funded, pool_id=funded.pool.id)
    incident = log(funded, operator, pool_id=funded.pool.id)
    stranger = funded.rows.actor(Role.APPLICANT, organisation=funded.rows.organisation())
    for by, count in ((funded.member, 1), (stranger, 0)):
        with funded.office.work(by) as work:
            assert len(incidents.list_incidents(work, PageRequest()).items) == count
    with pytest.raises(Invalid):
        give_back(funded, incident, 60)
    assert give_back(funded, incident, 60, grant_id=grant.id) == 60
    with pytest.raises(Forbidden), funded.office.work(funded.member) as work:
        incidents.close_incident(work, incident, "直った")
    with funded.office.work() as work:
        incidents.close_incident(work, incident, "直った")
        assert incidents.list_incidents(work, PageRequest(), is_open=True).items == []
    with pytest.raises(Conflict), funded.office.work() as work:
        incidents.close_incident(work, incident, "直った")


def test_who_may_log_and_refund(funded: Funded, grant: Grant) -> None:
    stranger = funded.rows.actor(Role.APPLICANT, organisation=funded.rows.organisation())
    with pytest.raises(NotFound):
        log(funded, stranger, grant_id=grant.id)
    with pytest.raises(Invalid):
        log(funded)
    incident = log(funded, grant_id=grant.id)
    with pytest.raises(Forbidden), funded.office.work(funded.member) as work:
        incidents.refund(work, incident, RefundIn(gpu_seconds=1, reason="x"))
    with funded.office.work() as work:
        service.close(work, grant.id, "終了")
    with pytest.raises(Conflict):
        give_back(funded, incident, 1)


def test_each_does_their_own_steps(funded: Funded, grant: Grant) -> None:
    with funded.office.work(funded.member) as work:
        assert checklist.do_step(work, grant.id, "data_in", "3 TB").done_by == funded.member.person_id
    with pytest.raises(Forbidden), funded.office.work(funded.member) as work:
        checklist.do_step(work, grant.id, "contract")
    with pytest.raises(Conflict), funded.office.work() as work:
        checklist.do_step(work, grant.id, "data_in")
    with pytest.raises(NotFound), funded.office.work() as work:
        checklist.do_step(work, grant.id, "dance")
    with funded.office.work() as work:
        checklist.undo_step(work, grant.id, "data_in", "欠損あり")
        steps = {step.key: step for step in checklist.list_steps(work, grant.id)}
    assert steps["data_in"].done_at is None
    assert steps["data_in"].note == "欠損あり"
    with funded.office.work() as work:
        assert checklist.do_step(work, grant.id, "data_in").done_at is not None
    assert all(step.text_ja and step.text_en for step in checklist.STEPS)
    assert len(steps) == len(checklist.STEPS)
