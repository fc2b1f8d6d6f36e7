"""How proposals are judged: relations and conflicts, assignments, reviews of unequal severity, discussion."""

from __future__ import annotations

import uuid
from datetime import timedelta

from kiban.office.calls.models import CallStatus
from kiban.office.calls.service import get_call, tracks_of
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.reviews import assigning, conflicts, discussion, relations, reviewing, workload
from kiban.office.reviews.models import Assignment, AssignmentStatus
from kiban.office.reviews.schemas import AssignmentOptions, ConflictIn, RelationsIn, ReviewIn
from kiban.office.season.applying import Applications
from kiban.office.season.cast import Season
from kiban.office.season.clock import jst
from kiban.office.season.programme import CallOf
from kiban.office.season.rubric import RUBRIC
from kiban.office.season.writing import Idea
from kiban.office.work import Actor

CRITERIA = tuple(str(each["key"]) for each in RUBRIC)
GOOD = {
    "performance": "同規模の公開モデルとの比較実験が具体的で、目標値の根拠が示されている。",
    "feasibility": "学習の実績と要員の配置が対応しており、遅れたときの縮小案もある。",
    "impact": "利用者名と検証の時期が書かれ、導入後の費用まで見積もられている。",
    "openness": "重みと学習の知見をともに公開する計画で、後続の開発者に役立つ。",
}
WEAK = {
    "performance": "評価の標本数が少なく、差が誤差の範囲を出ない。信頼区間を示してほしい。",
    "feasibility": "申請規模と見積りの差が大きく、残りの計算時間の使い道が読み取れない。",
    "impact": "利用者が一者に限られ、現場での検証の手順が書かれていない。",
    "openness": "公開しない理由が一般的で、報告書に何を書くのかが分からない。",
}
CLOSING = "データの権利の記載は十分である。次の段階では誤りの影響の大きい場面での検証を加えることを勧める。"


class Reviews:
    def __init__(self, season: Season, applications: Applications) -> None:
        self.season = season
        self.applications = applications

    def plan(self) -> None:
        agenda = self.season.agenda
        for number, call in enumerate(self.season.programme.calls):
            assigned = jst(call.assigned)
            agenda.at(assigned - timedelta(hours=20), self._relations, number)
            agenda.at(assigned, self._assign, call)
            agenda.at(jst(call.due) - timedelta(days=3), self._remind, call)
            # Replacements and the forgetful, until everything is in.
            for days in (0, 2, 4):
                agenda.at(jst(call.due) + timedelta(days=days), self._sweep, call)
            if call.discussed is not None:
                agenda.at(jst(call.discussed), self._discuss, call)

    def _relations(self, number: int) -> None:
        """Publications and payments, from public records: what conflicts are found by beside what people say."""
        season, chance = self.season, self.season.random("relations", number)
        lines = ["kind,person_email,other_email,other_orcid,corporate_number,date,source"]
        people, organisations = list(season.applicants.values()), list(season.organisations.values())
        year = 2024 + number // 2
        for judge in season.judges.values():
            if chance.random() < 0.35:
                other = chance.choice(people)
                lines.append(f"co_author,{judge.email},{other.email},{other.orcid},,{year},共著論文（仮想文献目録）")
            if chance.random() < 0.12:
                payer = chance.choice(organisations)
                lines.append(f"funded_by,{judge.email},,,{payer.number},{year}-09,共同研究費の公表資料（仮想）")
        with season.work(season.operator) as work:
            relations.import_relations(work, RelationsIn(csv="\n".join(lines) + "\n"))

    def _assign(self, of: CallOf) -> None:
        season, call_id = self.season, self.season.call_ids[of.code]
        with season.work(season.operator) as work:
            tracks = [track for track in tracks_of(get_call(work, call_id)) if track.kind != "automatic"]
        for track in tracks:
            options = AssignmentOptions(track=track.key, at_most=8, partial=True, due_at=jst(of.due))
            with season.work(season.operator) as work:
                assigning.run(work, call_id, options)
        chance = season.random("reviewing", of.code)
        standing = [each for each in self._assignments(call_id) if each.status is AssignmentStatus.ASSIGNED]
        window = jst(of.due) - season.clock.now
        for place, each in enumerate(standing):
            at = season.clock.now + window * min(0.99, chance.betavariate(5, 2))
            if jst(of.due) > season.ends:  # the one call under review: half of the reviews come as the season goes on
                at = season.clock.now + window * 2 * chance.random()
            act = self._review
            if place % 23 == 11 and not each.is_peer:
                act = self._recuse
            season.agenda.at(at, act, of, each.id, each.reviewer_id, each.proposal_id)
            if place % 29 == 17 and not each.is_peer:
                season.agenda.at(at + timedelta(days=1), self._declare, each)

    def _assignments(self, call_id: uuid.UUID) -> list[Assignment]:
        found: list[Assignment] = []
        cursor = None
        while True:
            with self.season.office.work(read_only=True) as work:
                page = workload.assignments(work, call_id, PageRequest(cursor, LARGEST))
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    def _who(self, person_id: uuid.UUID) -> tuple[Actor, float]:
        judge = self.season.judges.get(person_id)
        if judge is not None:
            return judge.actor, judge.severity
        return self.season.applicants[person_id].actor, 0.1

    def _review(self, of: CallOf, assignment_id: uuid.UUID, reviewer_id: uuid.UUID, proposal_id: uuid.UUID) -> None:
        season = self.season
        actor, severity = self._who(reviewer_id)
        if not self._stands(actor, assignment_id):
            return
        idea = self.applications.ideas[proposal_id]
        given = self._judgement(of, idea, proposal_id, reviewer_id, severity)
        with season.work(actor) as work:
            read = reviewing.read_own(work, assignment_id)
            saved = reviewing.save(work, assignment_id, given.model_copy(update={"submission": read.last_submission}))
        with season.work(actor) as work:
            reviewing.submit(work, assignment_id, saved.version)

    def _judgement(
        self, of: CallOf, idea: Idea, proposal_id: uuid.UUID, reviewer_id: uuid.UUID, severity: float
    ) -> ReviewIn:
        chance = self.season.random("judgement", proposal_id, reviewer_id)
        odd = {"oversized": -0.5, "undersized": -0.7, "infeasible": -1.3}.get(idea.oddity, 0.0)
        scores = {}
        for key in CRITERIA:
            value = 3.3 + 0.75 * idea.quality + severity + chance.gauss(0, 0.55)
            value += odd if key == "feasibility" else odd / 3
            scores[key] = min(5, max(1, round(value)))
        best, worst = max(scores, key=lambda key: scores[key]), min(scores, key=lambda key: scores[key])
        text = f"「{idea.subject.title}」について。{GOOD[best]}{WEAK[worst]}{CLOSING}"
        panel = "境界線上の提案であり、規模の縮小を条件に採択してよい。" if 2.6 < sum(scores.values()) / 4 < 3.4 else ""
        return ReviewIn(
            version=0, submission=1, scores=scores, confidence=chance.choice((2, 3, 3, 4, 4, 5)),
            text_to_applicant=text, text_to_panel=panel,
        )  # fmt: skip

    def _stands(self, actor: Actor, assignment_id: uuid.UUID) -> bool:
        return any(each.id == assignment_id and each.status is AssignmentStatus.ASSIGNED for each in self._own(actor))

    def _recuse(self, of: CallOf, assignment_id: uuid.UUID, reviewer_id: uuid.UUID, proposal_id: uuid.UUID) -> None:
        actor, _ = self._who(reviewer_id)
        if self._stands(actor, assignment_id):
            with self.season.work(actor) as work:
                conflicts.recuse(work, assignment_id, "提案の担当者と共同研究の相談を始めたため")

    def _declare(self, assignment: Assignment) -> None:
        """A conflict remembered after the review: the scores stay on record and count no more."""
        actor, _ = self._who(assignment.reviewer_id)
        if assignment.id not in {each.id for each in self._own(actor)}:
            return
        given = ConflictIn(proposal_id=assignment.proposal_id, reason="提案者の前職の上司であったことに気付いたため")
        with self.season.work(actor) as work:
            conflicts.declare(work, given)

    def _own(self, actor: Actor) -> list[Assignment]:
        with self.season.office.work(actor, read_only=True) as work:
            return workload.own_assignments(work, PageRequest(limit=LARGEST)).items

    def _remind(self, of: CallOf) -> None:
        with self.season.work(self.season.operator) as work:
            workload.remind(work, self.season.call_ids[of.code], within_days=7)

    def _sweep(self, of: CallOf) -> None:
        season, call_id = self.season, self.season.call_ids[of.code]
        with season.office.work(read_only=True) as work:
            if get_call(work, call_id).status is not CallStatus.REVIEWING:
                return
        for each in self._assignments(call_id):
            if each.status is AssignmentStatus.ASSIGNED:
                self._review(of, each.id, each.reviewer_id, each.proposal_id)

    def _discuss(self, of: CallOf) -> None:
        season, call_id = self.season, self.season.call_ids[of.code]
        with season.work(season.operator) as work:
            discussion.set_open(work, call_id, "panel", True)
        done = [
            each for each in self._assignments(call_id) if each.status is AssignmentStatus.DONE and not each.is_peer
        ]
        for place, each in enumerate(done[::7]):
            actor, _ = self._who(each.reviewer_id)
            at = season.clock.now + timedelta(hours=2 + 3 * place)
            season.agenda.at(at, self._remark, actor, each.proposal_id)
        season.agenda.at(season.clock.now + timedelta(days=3), self._end_discussion, call_id)

    def _remark(self, actor: Actor, proposal_id: uuid.UUID) -> None:
        idea = self.applications.ideas[proposal_id]
        words = (
            f"「{idea.subject.title}」の評点の差は、データの権利の見方による。契約の写しを確認したい。"
            if idea.quality < 0
            else f"「{idea.subject.title}」は最小規模でも目的を達すると考える。"
        )
        if proposal_id in {each.proposal_id for each in self._own(actor)}:
            with self.season.work(actor) as work:
                discussion.post(work, proposal_id, words)

    def _end_discussion(self, call_id: uuid.UUID) -> None:
        with self.season.work(self.season.operator) as work:
            discussion.set_open(work, call_id, "panel", False)
