"""Whatever happens to a grant, in whatever order, the books agree with what happened and the cluster with the books."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from kiban.engines.slurm.accounts import SlurmAccount
from kiban.kit.errors import KibanError
from kiban.office import months
from kiban.office.grants import changes, cluster, expiry, figures_repository, incidents, service
from kiban.office.grants.models import Grant, GrantStatus, TrancheStatus
from kiban.office.grants.schemas import ChangeIn, IncidentIn, RefundIn
from kiban.office.ledger import accounts, movements
from kiban.office.ledger.accounts import YEN
from kiban.office.ledger.models import Account, AccountKind
from kiban.office.ledger.repository import read_head
from kiban.office.ledger.service import balances_of, post
from kiban.office.ledger.verification import verify
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.supply.models import Pool
from kiban.office.usage.manual import import_usage
from kiban.office.usage.schemas import JobRow
from kiban.office.usage.sync import reading_window, take_in
from kiban.office.work import Ids, Role, Work

from ..conftest import Rows, TestClock
from .conftest import Funded, fund, job

# Odd amounts, and prices without a common divisor: every division leaves something over.
AWARDED_YEN, AWARDED_GPU_SECONDS = 53_333, 479_993
PRICES = {"a": 400, "b": 707, "listed": 333}
HELD = (AccountKind.COMMITTED, AccountKind.AVAILABLE, AccountKind.USED, AccountKind.OVERRUN)


@dataclass
class Run:
    """A job as its cluster, or the provider's list, knows it."""

    number: int
    place: str
    gpus: int
    started: datetime
    seconds: int = 0
    ended: bool = False

    @property
    def gpu_seconds(self) -> int:
        return self.gpus * self.seconds

    @property
    def yen(self) -> int:
        return int(Fraction(self.gpu_seconds * PRICES[self.place], 3600))


class Life(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(mkdtemp(prefix="life-", dir=self.template.parent))
        shutil.copy(self.template, self.home / "office.db")
        self.clock = TestClock()
        url = f"sqlite:///{self.home / 'office.db'}"
        self.office = Office(
            Settings(home=self.home, store=self.home, database_url=url, cookie_secure=False, password_cost=1),
            clock=self.clock,
            ids=Ids(seed=1),
        )

    def teardown(self) -> None:
        self.office.close()
        shutil.rmtree(self.home)

    @initialize()
    def award(self) -> None:
        rows = Rows(self.office)
        self.funded: Funded = fund(self.office, rows)
        self.operator = rows.actor(Role.OPERATOR)
        self.pools: dict[str, Pool] = {
            "a": self.funded.pool,
            "b": rows.pool(price_yen_per_gpu_hour=PRICES["b"], slurm_cluster="test", slurm_partition="gpu-b"),
            "listed": rows.pool(price_yen_per_gpu_hour=PRICES["listed"]),
        }
        self.funded.award.yen, self.funded.award.gpu_seconds = AWARDED_YEN, AWARDED_GPU_SECONDS
        self.funded.award.months = 4
        with self.office.work() as work:
            more = {self.pools["b"].id: 10**7, self.pools["listed"].id: 10**7}
            post(work, movements.appropriate(self.funded.call.id, 10**6, more, cause_id="other pools"))
        self.grant_id = self.funded.open().id
        self.place = "a"
        self.yen = AWARDED_YEN  # given less given back
        self.refunded_yen = 0
        self.runs: list[Run] = []
        self.on_cluster: SlurmAccount | None = None

    # -- what people decide

    @rule()
    def accept_a_report(self) -> None:
        self._try(lambda work: service.release_after_report(work, self.grant_id))

    @rule(gpu_seconds=st.integers(1, 300_000), yen=st.integers(0, 40_000))
    def supplement(self, gpu_seconds: int, yen: int) -> None:
        if self._change(kind="supplement", gpu_seconds=gpu_seconds, yen=yen):
            self.yen += yen

    @rule(gpu_seconds=st.integers(1, 200_000), yen=st.integers(0, 20_000))
    def reduce(self, gpu_seconds: int, yen: int) -> None:
        if self._change(kind="reduction", gpu_seconds=gpu_seconds, yen=yen):
            self.yen -= yen

    @rule(place=st.sampled_from(sorted(PRICES)))
    def transfer(self, place: str) -> None:
        before = self._worth()
        if self._change(kind="transfer", pool_id=str(self.pools[place].id)):
            self.place = place
            # Each of what is available and two tranches is rounded down to a whole GPU-second.
            assert before - 3 * Fraction(PRICES[place], 3600) < self._worth() <= before

    @rule(more=st.integers(1, 3))
    def extend(self, more: int) -> None:
        self._change(kind="extension", months=more)

    @rule(gpu_seconds=st.integers(1, 100_000))
    def refund(self, gpu_seconds: int) -> None:
        def act(work: Work) -> int:
            before = service.standing(work, service.get_grant(work, self.grant_id)).used.yen
            text = {"severity": "high", "title": "停電", "text": "停電でノードが落ちた"}
            opened = incidents.open_incident(work, IncidentIn.model_validate(text | {"grant_id": self.grant_id}))
            given = RefundIn(gpu_seconds=gpu_seconds, reason="停電")
            for _ in range(2):
                incidents.refund(work, opened.id, given)
            shown = incidents.show_incidents(work, [opened])
            assert [row.gpu_seconds_refunded for row in shown] == [gpu_seconds]
            return before - service.standing(work, service.get_grant(work, self.grant_id)).used.yen

        self.refunded_yen += self._try(act) or 0

    @rule()
    def freeze_or_thaw(self) -> None:
        turn = service.freeze if self._grant().status is GrantStatus.ACTIVE else service.thaw
        self._try(lambda work: turn(work, self.grant_id, "調査"))

    @rule()
    def close(self) -> None:
        with self.office.work() as work:
            self._close(work, lambda: service.close(work, self.grant_id, "辞退"))

    @rule()
    def reuse(self) -> None:
        self._try(lambda work: expiry.reuse_expired(work, self.funded.call.id, "次の公募へ"))

    # -- what happens by itself

    @rule(gpus=st.integers(0, 8), seconds=st.integers(0, 60_000))
    def start_a_job(self, gpus: int, seconds: int) -> None:
        self.runs.append(Run(len(self.runs) + 1, self.place, gpus, self.clock.now, seconds))
        self._read()

    @rule(which=st.integers(0, 50), seconds=st.integers(0, 30_000), ends=st.booleans())
    def a_job_goes_on(self, which: int, seconds: int, ends: bool) -> None:
        going = [run for run in self.runs if not run.ended]
        if going:
            run = going[which % len(going)]
            run.seconds += seconds
            run.ended = ends
        self._read()

    @rule(place=st.sampled_from(sorted(PRICES)), seconds=st.integers(3_600, 20_000))
    def transfer_while_a_job_runs(self, place: str, seconds: int) -> None:
        self.start_a_job(gpus=2, seconds=60)
        run = self.runs[-1]
        self.transfer(place)
        self.the_cluster_knows()
        run.seconds += seconds
        self._read()

    @rule()
    def its_months_end(self) -> None:
        end = months.day_starts_at(self._grant().ends_on)
        if end > self.clock.now:
            self.clock.now = end - timedelta(days=1)
            self.time_passes(1)

    @rule(days=st.sampled_from([1, 10, 31, 61]))
    def time_passes(self, days: int) -> None:
        self.clock.forward(days=days, seconds=60_000)
        for again in (False, True):
            with self.office.work() as work:
                before = read_head(work.session)
                service.release_due(work)
                expiry.expire_due(work)
                service.start_and_stop_due(work)
                self._close(work, lambda: service.close_ended(work))
                assert not again or read_head(work.session) == before

    # -- what must hold

    @invariant()
    def the_books_are_sound(self) -> None:
        with self.office.work(read_only=True) as work:
            answer = verify(work)
            assert answer.ok, answer.problem
            rows = list(work.session.query(Account))
            held = balances_of(work, rows)
        by_unit: defaultdict[str, int] = defaultdict(int)
        for row in rows:
            by_unit[row.unit] += held[row.number]
            assert held[row.number] <= 0 if row.kind in accounts.SOURCES else held[row.number] >= 0, row.code
        assert not any(by_unit.values())

    @invariant()
    def every_yen_is_somewhere(self) -> None:
        with self.office.work(read_only=True) as work:
            grant = service.get_grant(work, self.grant_id)
            now = service.standing(work, grant)
            due = [row for row in service.tranches_of(work, grant) if row.status is TrancheStatus.DUE]
            lost = figures_repository.expired(work.session, grant.id)
        held = sum(getattr(now, kind.value).yen for kind in HELD)
        assert held + lost.get(YEN, 0) == self.yen
        assert now.used.yen + self.refunded_yen == sum(run.yen for run in self.runs)
        assert now.committed.yen == sum(row.yen for row in due)
        assert now.committed.gpu_seconds == sum(row.gpu_seconds for row in due)
        assert not (now.overrun.yen and now.available.yen)
        assert not (now.overrun.gpu_seconds and now.available.gpu_seconds)
        if grant.status is GrantStatus.CLOSED:
            assert {*now.available.items(), *now.committed.items()} == {(unit, 0) for unit in now.used.units}

    @invariant()
    def the_cluster_knows(self) -> None:
        """Tasks alone bring its account to what is wanted, and the limit is what it counted and what is left."""
        cluster.carry_out(self.office, apply=self._apply)
        with self.office.work(read_only=True) as work:
            grant = service.get_grant(work, self.grant_id)
            wanted = cluster.desired_account(work, grant)
            now = service.standing(work, grant)
            running = service.is_running(work, grant)
        assert self.on_cluster == wanted
        assert wanted is not None
        if self.place == "listed":
            assert wanted.frozen
            assert wanted.gpu_minutes == 0
            return
        counted = sum(run.gpu_seconds for run in self.runs if run.place != "listed")
        left = now.available.gpu_seconds + now.overrun.gpu_seconds
        assert wanted.gpu_minutes == max(0, counted + left) // 60
        assert wanted.frozen is not running

    # -- by what means

    def _apply(self, account: SlurmAccount) -> list[str]:
        self.on_cluster = account
        return []

    def _grant(self) -> Grant:
        with self.office.work(read_only=True) as work:
            return service.get_grant(work, self.grant_id)

    def _try(self, act: Any) -> Any:
        """Do it whole, or, where a rule forbids it, not at all."""
        try:
            with self.office.work() as work:
                return act(work)
        except KibanError:
            return None

    def _change(self, **details: Any) -> bool:
        def ask(work: Work) -> Any:
            given = ChangeIn.model_validate({"details": details, "reason": "計画の見直し"})
            return changes.request_change(work, self.grant_id, given).id

        try:
            with self.office.work(self.funded.member) as work:
                change_id = ask(work)
            with self.office.work(self.operator) as work:
                changes.decide_change(work, change_id, approve=True, reason="了承")
        except KibanError:
            return False
        return True

    def _close(self, work: Work, act: Any) -> None:
        """What was never released goes back to the call."""
        before = service.standing(work, service.get_grant(work, self.grant_id)).committed.yen
        try:
            act()
        except KibanError:
            return
        if service.get_grant(work, self.grant_id).status is GrantStatus.CLOSED:
            self.yen -= before

    def _worth(self) -> Fraction:
        """Yen at the present pool's price of what is left of its GPU-seconds."""
        now = self.funded.standing(self._grant())
        left = now.available.gpu_seconds + now.committed.gpu_seconds
        return Fraction(left * PRICES[self.place], 3600)

    def _read(self) -> None:
        """The scheduler's records, twice; and the provider's list where there is one."""
        code = self.funded.code
        jobs = [
            job(
                code,
                run.seconds,
                number=run.number,
                gpus=run.gpus,
                ended=run.ended,
                start=run.started,
                partition=f"gpu-{run.place}",
            )
            for run in self.runs
            if run.place != "listed"
        ]
        listed = [
            JobRow(
                job_key=str(run.number),
                grant=code,
                gpus=run.gpus,
                started_at=run.started,
                ended_at=run.started + timedelta(seconds=run.seconds),
            )
            for run in self.runs
            if run.place == "listed" and run.gpu_seconds
        ]
        self.clock.forward(seconds=max((run.seconds for run in self.runs), default=0))
        for again in (False, True):
            with self.office.work() as work:
                assert reading_window(work, "test") <= work.now
                results = [take_in(work, "test", jobs, work.now)]
                if listed:
                    results.append(import_usage(work, self.pools["listed"].id, listed))
            assert not again or not any(result.posted_gpu_seconds + result.posted_yen for result in results)


def test_the_books_hold_through_any_life(sqlite_template: Path) -> None:
    Life.template = sqlite_template
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Life,
        settings=settings(
            max_examples=10,
            stateful_step_count=16,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
