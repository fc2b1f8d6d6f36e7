"""How a call is decided: a study, pins with reasons, a second study, a draft, approval by another, announcement."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from kiban.office.awards import decisions, studies
from kiban.office.awards.models import PinKind
from kiban.office.awards.schemas import DecisionIn, PinIn, StudyRequest
from kiban.office.errors import Forbidden
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.proposals.models import ProposalStatus
from kiban.office.proposals.service import list_proposals
from kiban.office.season.applying import Applications
from kiban.office.season.cast import Season
from kiban.office.season.clock import jst
from kiban.office.season.programme import CallOf
from kiban.office.work import SYSTEM, Actor

# Small problems: each objective is solved to its gap long before its time is over, so that no clock has a say in who is
# funded. It has in the grey zone, whose draws are cut off by one: so the season decides without a lottery.
REQUEST = StudyRequest(objectives=("merit", "breadth"), gap=0.01, time_limit_seconds=60.0, draws=20, explain=False)


class Awards:
    def __init__(self, season: Season, applications: Applications, announced: Callable[[CallOf], None]) -> None:
        """Args: announced: called when a call's grants are open."""
        self.season = season
        self.applications = applications
        self.announced = announced

    def plan(self) -> None:
        for call in self.season.programme.calls:
            if call.studied is not None:
                self.season.agenda.at(jst(call.studied), self._study, call)
            if call.decided is not None:
                self.season.agenda.at(jst(call.decided), self._announce, call)

    def _judge(self, *keys: str, call_id: uuid.UUID) -> Actor:
        """The first of these without a conflict of interest in the call."""
        for key in keys:
            actor = self.season.staff[key]
            try:
                with self.season.office.work(actor, read_only=True) as work:
                    studies.require_unbiased(work, call_id)
            except Forbidden:
                continue
            return actor
        return SYSTEM

    def _study(self, of: CallOf) -> None:
        season, call_id = self.season, self.season.call_ids[of.code]
        chair = self._judge("panel_chair", "panel_member", call_id=call_id)
        studies.study_call(season.office, chair, call_id, REQUEST)
        self._pin(call_id, chair)
        season.agenda.after(timedelta(days=2), self._draft, of, chair)

    def _pin(self, call_id: uuid.UUID, chair: Actor) -> None:
        """One that judges took for infeasible is kept out, with the reason on record."""
        ideas = self.applications.ideas
        competing = self._proposals(call_id, ProposalStatus.SUBMITTED)
        infeasible = [each for each in competing if ideas[each].oddity == "infeasible"]
        for proposal_id in infeasible[:1]:
            given = PinIn(
                proposal_id=proposal_id,
                kind=PinKind.MUST_NOT,
                reason="見積りでは申請規模で学習が成り立たず、縮小の提案もないため対象としない",
            )
            with self.season.work(chair) as work:
                studies.add_pin(work, call_id, given)

    def _draft(self, of: CallOf, chair: Actor) -> None:
        season, call_id = self.season, self.season.call_ids[of.code]
        request = REQUEST.model_copy(update={"explain": season.scale == 1, "seed": 1})
        study = studies.study_call(season.office, chair, call_id, request)
        if of.decided is None:
            return  # for whoever looks at the season to decide
        given = DecisionIn(
            study_id=study.id,
            objective="merit",
            reason=f"{of.cycle}の審査会で、評点の合計を最大にする案を、分野と組織の制約を満たすものとして採択した。",
        )
        with season.work(chair) as work:
            decisions.draft_decision(work, call_id, given)
        season.agenda.after(timedelta(days=3), self._approve, call_id)

    def _approve(self, call_id: uuid.UUID) -> None:
        approver = self._judge("second_operator", "operator", call_id=call_id)
        with self.season.work(approver) as work:
            decisions.approve_decision(work, call_id)

    def _announce(self, of: CallOf) -> None:
        season, call_id = self.season, self.season.call_ids[of.code]
        with season.work(season.operator) as work:
            decisions.announce_decision(work, call_id)
        self.applications.note_rejected(self._proposals(call_id, ProposalStatus.REJECTED))
        self.announced(of)

    def _proposals(self, call_id: uuid.UUID, status: ProposalStatus) -> list[uuid.UUID]:
        found: list[uuid.UUID] = []
        cursor: str | None = None
        while True:
            with self.season.office.work(read_only=True) as work:
                page = list_proposals(work, PageRequest(cursor, LARGEST), call_id=call_id, status=status)
            found += [each.id for each in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return sorted(found)
