"""Grants while they run: users, handover, jobs read week by week, tranches, expiry, alerts, changes, incidents."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from kiban.engines.slurm.accounts import SlurmAccount
from kiban.engines.slurm.usage import JobUsage
from kiban.kit.errors import Refused
from kiban.office import months
from kiban.office.grants import alerts, changes, checklist, cluster, expiry, incidents, service
from kiban.office.grants.models import Grant, GrantStatus
from kiban.office.grants.schemas import (
    ChangeIn,
    Details,
    Extension,
    IncidentIn,
    Reduction,
    RefundIn,
    Scope,
    Supplement,
    Team,
    Transfer,
)
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.season.cast import Applicant, Season
from kiban.office.season.clock import jst
from kiban.office.season.jobs import Cluster, Style, Workload, as_seen, rhythm, stray, week, workload
from kiban.office.season.programme import CallOf
from kiban.office.usage import differences, sync

WEEK = timedelta(days=7)
STYLES: tuple[Style, ...] = ("steady", "late", "over", "steady", "steady", "idle", "steady", "late", "steady", "under")


def simulated(account: SlurmAccount) -> list[str]:
    """What the season's clusters, which are nowhere, would have answered."""
    state = "frozen" if account.frozen else "open"
    return [f"{account.name}: {account.gpu_minutes:,} GPU-minutes, {len(account.users)} users, {state}"]


class Running:
    def __init__(self, season: Season) -> None:
        self.season = season
        self._read_to = season.clock.now
        self.loads: dict[uuid.UUID, Workload] = {}
        self.clusters = {
            pool.cluster: Cluster(pool.cluster, pool.power, next_job=10_000 * place)
            for place, pool in enumerate(self.season.programme.pools, start=1)
        }

    def plan(self) -> None:
        """Once a week from the first announcement on, and once more at the season's end."""
        agenda, first = self.season.agenda, jst(str(self.season.programme.calls[0].decided))
        at = first.replace(hour=21, minute=0) + timedelta(days=2)  # a Monday at six, in Japan
        while at < self.season.ends - timedelta(days=1):
            agenda.at(at, self._care)
            at += WEEK
        agenda.at(self.season.ends - timedelta(hours=1), self._care)
        agenda.at(self.season.ends - timedelta(days=2), self._raise_matters)

    def opened(self, of: CallOf) -> None:
        """A call's grants are open: users, handover, and what will happen to some of them."""
        season = self.season
        for place, grant in enumerate(self.grants(of.code)):
            style = STYLES[place % len(STYLES)]
            lead = self.applicant(grant)
            users = tuple(f"{grant.code.replace('-', '')[1:]}{name}" for name in ("lead", "dev", "ops"))
            users = tuple(f"u{name}" for name in users)
            begins = months.day_starts_at(grant.starts_on)
            season.agenda.at(
                season.clock.now + timedelta(days=2, minutes=place),
                self._users,
                grant.id,
                users,
                lead,
            )
            season.agenda.at(begins - timedelta(days=3), self._hand_over, grant.id, lead)
            chance = season.random("jobs", grant.code)
            partition = next(name for name, pool_id in season.pools.items() if pool_id == grant.pool_id)
            self.loads[grant.id] = workload(grant.code, partition, users, style, grant.gpus, begins, chance)
            self._plan_changes(place, grant, lead, begins)
            self._plan_incident(place, grant, lead, begins)

    def grants(self, code: str | None = None) -> list[Grant]:
        with self.season.office.work(read_only=True) as work:
            call_id = self.season.call_ids[code] if code else None
            return service.list_grants(work, PageRequest(limit=LARGEST), call_id=call_id).items

    def applicant(self, grant: Grant) -> Applicant:
        return next(each.lead for each in self.season.organisations.values() if each.id == grant.organisation_id)

    def _users(self, grant_id: uuid.UUID, users: tuple[str, ...], who: Applicant) -> None:
        with self.season.work(who.actor) as work:
            for name in users:
                service.add_user(work, grant_id, name)

    def _hand_over(self, grant_id: uuid.UUID, who: Applicant) -> None:
        for step in checklist.STEPS:
            if step.phase == "handover" and step.key != "first_job":
                actor = who.actor if step.by == "organisation" else self.season.operator
                with self.season.work(actor) as work:
                    checklist.do_step(work, grant_id, step.key)

    # -- what the office does by itself, once a week ----------------------------------------------------------------

    def _care(self) -> None:
        season, now = self.season, self.season.clock.now
        with season.work() as work:
            service.release_due(work)
        self._read_usage(now)
        for act in (expiry.expire_due, expiry.warn_expiring, alerts.raise_due, service.close_ended):
            with season.work() as work:
                act(work)
        cluster.carry_out(season.office, apply=simulated)
        self._explain()

    def _read_usage(self, now: datetime) -> None:
        """Let jobs run since the last time and read them from the clusters, those that still run too."""
        begun: dict[str, list[JobUsage]] = {name: [] for name in self.clusters}
        start, self._read_to = self._read_to, now
        with self.season.office.work(read_only=True) as work:
            for grant in service.list_grants(work, PageRequest(limit=LARGEST)).items:
                load = self.loads.get(grant.id)
                first, last = months.day_starts_at(grant.starts_on), months.day_starts_at(grant.ends_on)
                if load is None or grant.status is not GrantStatus.ACTIVE or not first < now <= last + WEEK:
                    continue
                standing = service.standing(work, grant)
                left = (standing.available.gpu_seconds - self._still_running(grant.code, now)) / 3600
                done = max(0.0, (start - first) / (last - first))
                whole = (
                    standing.available.gpu_seconds + standing.committed.gpu_seconds + standing.used.gpu_seconds
                ) / 3600
                begins, ends = max(start, first), min(now, last)
                wanted = whole * ((ends - begins) / (last - first)) * rhythm(load.style, done) * 1.05
                # The cluster starts nothing beyond the limit; what runs goes on, and so may exceed it.
                wanted = min(wanted, left * (1.2 if load.style == "over" else 0.85))
                partition = next(name for name, pool_id in self.season.pools.items() if pool_id == grant.pool_id)
                load.partition = partition
                where = next(pool.cluster for pool in self.season.programme.pools if pool.name == partition)
                if wanted > 1:
                    begun[where] += week(load, self.clusters[where], begins, ends, wanted, self.season.scale)
        for name, jobs in begun.items():
            there = self.clusters[name]
            partition = next(pool.name for pool in self.season.programme.pools if pool.cluster == name)
            if self.season.random("stray", name, now).random() < 0.06:
                jobs.append(stray(there, partition, start + timedelta(hours=9), 5_400))
            seen = there.running + jobs
            there.running = [job for job in seen if job.ended is not None and job.ended > now]
            with self.season.work() as work:
                sync.take_in(work, name, [as_seen(job, now) for job in seen if job.started < now], now)

    def _still_running(self, account: str, now: datetime) -> int:
        """GPU-seconds that running jobs will yet take."""
        running = [job for there in self.clusters.values() for job in there.running if job.account == account]
        return sum(job.gpus * int((job.ended - now).total_seconds()) for job in running if job.ended is not None)

    def _explain(self) -> None:
        """Differences are looked at within the month; the newest wait."""
        season = self.season
        with season.office.work(read_only=True) as work:
            waiting = differences.list_differences(work, PageRequest(limit=LARGEST), explained=False).items
        for row in waiting:
            if season.clock.now - row.found_at > timedelta(days=20):
                words = "事業者による動作確認であり、助成の対象ではない"
                if row.kind != "job_without_grant":
                    words = "計算資源の変更の前に始まったジョブであり、金額は変更前の単価で照合した"
                with season.work(season.operator) as work:
                    differences.explain(work, row.id, words)

    # -- changes and incidents --------------------------------------------------------------------------------------

    def _plan_changes(self, place: int, grant: Grant, who: Applicant, begins: datetime) -> None:
        hours = 3600 * 200
        newcomer = f"u{grant.code.replace('-', '')[1:]}new"
        wishes: dict[int, tuple[Details, str, int, bool]] = {
            0: (
                Team(text="主担当が交代した", add_users=(newcomer,)),
                "異動のため",
                40,
                True,
            ),
            1: (Extension(months=1), "データの整備が四週間遅れたため", 60, True),
            2: (Supplement(gpu_seconds=hours), "比較実験を追加し、目標値の根拠を示すため", 55, True),
            3: (Scope(before="評価は日本語のみ", after="評価に英語を加える"), "利用者に海外拠点があるため", 45, True),
            4: (Reduction(gpu_seconds=hours), "学習が早く収束し、残りを使わないため", 70, True),
            6: (Supplement(gpu_seconds=hours * 40), "より大きなモデルも試したいため", 50, False),
        }
        if place == 5 and grant.gpus <= 16:  # of a size for which there is room
            target = self.season.pools["ishikari-h200"]
            if grant.pool_id != target:
                wishes[5] = (Transfer(pool_id=target), "より大きなメモリが必要と分かったため", 12, True)
        if place in wishes:
            details, reason, days, approve = wishes[place]
            at = begins + timedelta(days=days, hours=10)
            given = ChangeIn(details=details, reason=reason)
            self.season.agenda.at(at, self._ask, grant.id, who, given, approve)

    def _raise_matters(self) -> None:
        """What waits for the office when the season ends: two wishes and an incident."""
        active = [grant for grant in self.grants() if grant.status is GrantStatus.ACTIVE]
        wishes = (
            ChangeIn(details=Extension(months=1), reason="評価用データの権利処理に時間を要しているため"),
            ChangeIn(details=Supplement(gpu_seconds=3600 * 600), reason="安全性評価の標本を増やすため"),
        )
        for grant, given in zip(active, wishes, strict=False):
            self._ask(grant.id, self.applicant(grant), given, approve=True)
        for grant in active[2:3]:
            self._incident(grant.id, self.applicant(grant))

    def _ask(self, grant_id: uuid.UUID, who: Applicant, given: ChangeIn, approve: bool) -> None:
        season = self.season
        with season.office.work(read_only=True) as work:
            if service.get_grant(work, grant_id).status is GrantStatus.CLOSED:
                return
        with season.work(who.actor) as work:
            change_id = changes.request_change(work, grant_id, given).id
        season.agenda.after(timedelta(days=5), self._decide, change_id, approve)

    def _decide(self, change_id: uuid.UUID, approve: bool) -> None:
        """As wished, where the grant's state allows it; otherwise refused with the reason it does not."""
        words = "必要性と残額を確認した" if approve else "公募の予算に余裕がなく、次期の公募への応募を勧める"
        try:
            with self.season.work(self.season.operator) as work:
                changes.decide_change(work, change_id, approve=approve, reason=words)
        except Refused as error:
            with self.season.work(self.season.operator) as work:
                changes.decide_change(work, change_id, approve=False, reason=f"変更できる状態にない（{error.message}）")

    def _plan_incident(self, place: int, grant: Grant, who: Applicant, begins: datetime) -> None:
        if place % 4 == 1:
            self.season.agenda.at(begins + timedelta(days=33, hours=5), self._incident, grant.id, who)

    def _incident(self, grant_id: uuid.UUID, who: Applicant) -> None:
        season = self.season
        with season.office.work(read_only=True) as work:
            used = service.standing(work, service.get_grant(work, grant_id)).used.gpu_seconds
        lost = min(used, 3600 * season.random("incident", grant_id).randrange(20, 160))
        if lost < 3600:
            return
        given = IncidentIn(
            grant_id=grant_id,
            severity="high",
            title="ノード間ネットワークの障害で学習が中断した",
            text="スイッチの故障により集団通信が停止し、最後の保存点からやり直した。",
            gpu_seconds_lost=lost,
        )
        with season.work(who.actor) as work:
            incident_id = incidents.open_incident(work, given).id
        season.agenda.after(timedelta(days=4), self._refund, incident_id, lost)

    def _refund(self, incident_id: uuid.UUID, lost: int) -> None:
        season = self.season
        given = RefundIn(gpu_seconds=lost, reason="事業者の障害による損失と認める")
        with season.work(season.operator) as work:
            incidents.refund(work, incident_id, given)
        with season.work(season.operator) as work:
            incidents.close_incident(work, incident_id, "スイッチを交換し、再発防止の報告を受けた")
