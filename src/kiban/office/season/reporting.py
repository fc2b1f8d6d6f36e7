"""What grantees report and what comes of it: milestone reports, released models with scores, courses and meetings."""

from __future__ import annotations

import math
import uuid
from datetime import datetime, timedelta
from pathlib import Path

from kiban.kit.manifest import Manifest
from kiban.kit.store import Store
from kiban.office import months
from kiban.office.grants.models import Grant, GrantStatus
from kiban.office.grants.service import get_grant
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.reports import milestones, outcomes
from kiban.office.reports.models import ReportStatus
from kiban.office.reports.schemas import EventIn, KpiResult, ReferenceScore, ReleaseIn, ReportBody, ScoreIn
from kiban.office.season.applying import Applications
from kiban.office.season.cast import Applicant, Season
from kiban.office.season.fields import fields
from kiban.office.season.programme import CallOf
from kiban.office.season.running import Running
from kiban.office.season.shapes import RUNS
from kiban.office.work import JST

MOST_MODELS = 3  # of the store's, to be linked


class Reports:
    def __init__(self, season: Season, applications: Applications, running: Running) -> None:
        self.season = season
        self.applications = applications
        self.running = running

    def opened(self, of: CallOf) -> None:
        season = self.season
        first = datetime.fromisoformat(f"{of.first_month}-01T00:00:00+09:00")
        for place, grant in enumerate(self.running.grants(of.code)):
            who = self.running.applicant(grant)
            with season.work(season.operator) as work:
                milestones.ensure_reports(work, grant.id)
                page = milestones.list_reports(work, PageRequest(limit=LARGEST), grant_id=grant.id)
            due = {each.milestone: each for each in page.items}
            for key, report in due.items():
                # The second half waits for the first report: most are early, one in seven is late.
                length = (grant.ends_on - grant.starts_on).days
                begins = months.day_starts_at(grant.starts_on)
                at = begins + timedelta(days=length * (0.42 if key == "interim" else 0.97), hours=11)
                if place % 7 == 6:
                    at += timedelta(days=16)
                season.agenda.at(at, self._write, report.id, who, grant, key, place)
            if place % 3 != 2:
                at = months.day_starts_at(grant.ends_on) - timedelta(days=6)
                season.agenda.at(at, self._release, who, grant)
        call_id = season.call_ids[of.code]
        for number, (kind, ja, en, people) in enumerate(
            (
                ("course", "大規模学習の基礎講座", "Course: training at scale", 64),
                ("community", "開発者交流会", "Developers' meeting", 110),
                ("review_meeting", "進捗確認会", "Progress review", 45),
                ("seminar", "安全性評価の実践", "Seminar: evaluating safety", 150),
            )
        ):
            at = first + timedelta(days=24 + 37 * number, hours=17)
            event = {"call_id": call_id, "kind": kind, "title_ja": ja, "title_en": en, "people": people}
            event["people_trained"] = people if kind == "course" else 0
            season.agenda.at(at, self._event, event)

    def link_artifacts(self) -> None:
        """Models of the programme's own store, the newest first, as what running grants have led to.

        Their figures and scores are then read from the artifacts, and the report under way names them.
        """
        season = self.season
        running = [grant for grant in self.running.grants() if grant.status is GrantStatus.ACTIVE]
        for grant, (model, evaluation) in zip(running, _newest_models(season.office.settings.store), strict=False):
            given = ReleaseIn(
                name=model.name.removesuffix("/model"),
                artifact_digest=model.digest,
                evaluation_digest=evaluation.digest if evaluation else None,
                licence=model.parties[0].licence if model.parties else "Apache-2.0",
                released_on=season.clock.now.astimezone(JST).date(),
            )
            who = self.running.applicant(grant)
            with season.work(who.actor) as work:
                outcomes.record_release(work, grant.id, given)
                page = milestones.list_reports(work, PageRequest(limit=LARGEST), grant_id=grant.id)
                report = next((each for each in page.items if each.status is ReportStatus.DRAFT), None)
                if report is not None:
                    digests = (model.digest, *((evaluation.digest,) if evaluation else ()))
                    body = ReportBody(text="学習済みモデルと評価を成果物として登録した。", artifacts=digests)
                    milestones.save(work, report.id, body, report.version)

    def _event(self, given: dict[str, object]) -> None:
        season = self.season
        day = season.clock.now.astimezone(JST).date()
        with season.work(season.operator) as work:
            outcomes.record_event(work, EventIn.model_validate(given | {"held_on": day}))

    def _write(self, report_id: uuid.UUID, who: Applicant, grant: Grant, key: str, place: int) -> None:
        season = self.season
        self._hand_in(report_id, who, grant, key, good=place % 5 != 3)
        wait = timedelta(days=6)
        if place % 5 == 3:
            season.agenda.after(wait, self._send_back, report_id)
            season.agenda.after(wait * 2, self._hand_in, report_id, who, grant, key, good=True)
            wait *= 3
        season.agenda.after(wait, self._accept, report_id)

    def _hand_in(self, report_id: uuid.UUID, who: Applicant, grant: Grant, key: str, *, good: bool) -> None:
        season = self.season
        chance = season.random("report", report_id, good)
        with season.work(who.actor) as work:
            shown = milestones.show_report(work, milestones.get_report(work, report_id))
            kpis = tuple(
                KpiResult(
                    name=kpi.name,
                    achieved=round(kpi.target * chance.uniform(0.86, 1.08), 1) if good else None,
                    text="" if good else "評価の準備中である",
                )
                for kpi in shown.kpis
            )
            text = (
                "計画した学習の半分を終えた。損失は計画どおりに下がり、中断は二度あったが保存点から再開した。"
                if key == "interim"
                else "学習と評価を終え、結果を取りまとめた。目標に届かなかった項目は原因とともに記した。"
            )
            body = ReportBody(kpis=kpis, text=text, next_steps="利用者の現場での検証を進める。")
            saved = milestones.save(work, report_id, body, shown.version)
            version = saved.version
        with season.work(who.actor) as work:
            milestones.submit(work, report_id, version)

    def _send_back(self, report_id: uuid.UUID) -> None:
        with self.season.work(self.season.operator) as work:
            milestones.send_back(
                work, report_id, "目標値に対する達成状況が測られていない。暫定値でよいので示してほしい。"
            )

    def _accept(self, report_id: uuid.UUID) -> None:
        with self.season.work(self.season.operator) as work:
            milestones.accept(work, report_id, "")

    def _release(self, who: Applicant, grant: Grant) -> None:
        season = self.season
        idea = self.applications.ideas[grant.proposal_id]
        run, kpi = RUNS[idea.run], fields()[idea.organisation.of.field].kpi
        chance = season.random("release", grant.code)
        with season.work(who.actor) as work:
            if get_grant(work, grant.id).status is GrantStatus.CLOSED:
                return
            scores = []
            for task, n in (("日本語読解（仮想評価）", 1200), (f"{kpi.name}（抜粋）", 480)):
                share = chance.uniform(0.55, 0.86)
                half = 1.96 * math.sqrt(share * (1 - share) / n)
                other = min(0.98, max(0.05, share + chance.gauss(-0.03, 0.03)))
                scores.append(
                    ScoreIn(
                        task=task,
                        metric="accuracy",
                        value=round(share, 4),
                        n=n,
                        ci95=(round(share - half, 4), round(share + half, 4)),
                        references=(ReferenceScore(name="同規模の公開モデル（架空）", value=round(other, 4), n=n),),
                    )
                )
            given = ReleaseIn(
                name=f"{idea.organisation.of.key.replace('_', '-')}-{idea.run}",
                licence="Apache-2.0",
                parameters=run.parameters,
                tokens=run.tokens,
                scores=tuple(scores),
                released_on=season.clock.now.astimezone(JST).date(),
            )
            outcomes.record_release(work, grant.id, given)


def _newest_models(root: Path) -> list[tuple[Manifest, Manifest | None]]:
    """Models of a store, where there is one, each with its newest evaluation."""
    if not (root / "artifacts").is_dir():
        return []
    made = [artifact.manifest for artifact in Store(root).all()]
    evaluated = {each.inputs["model"].digest: each for each in made if each.kind == "evaluation"}
    models = [each for each in made if each.kind == "model"]
    return [(each, evaluated.get(each.digest)) for each in reversed(models[-MOST_MODELS:])]
