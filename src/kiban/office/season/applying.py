"""Calls, and who applies to them: drafts, submissions in the last days, withdrawals, and one attempt that is late.

After the close of one call a proposal is found to be ineligible, and another is taken out at its applicant's request.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from kiban.office.calls import drafting, lifecycle
from kiban.office.calls.schemas import (
    FOREIGN_MODEL_REASON,
    Amendment,
    CallIn,
    Constraints,
    PoolOffer,
    ShareLimit,
)
from kiban.office.errors import Conflict
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.proposals import attachments, drafts, eligibility, service, submission
from kiban.office.proposals.models import ProposalStatus
from kiban.office.season.cast import Season
from kiban.office.season.clock import jst
from kiban.office.season.fields import fields
from kiban.office.season.papers import papers
from kiban.office.season.programme import CallOf
from kiban.office.season.rubric import RUBRIC, TRACKS
from kiban.office.season.shapes import POOLS, RUNS
from kiban.office.season.writing import Idea, body_of

# How many apply to each call, and how many of these come back after a rejection.
APPLICANTS = (20, 27, 25, 16, 24)
AGAIN = (0, 6, 7, 3, 3)
# Applies well to every call, with these; and the call that takes more proposals for load tests: the one under review.
REGULAR, REGULAR_RUNS, LARGE_CALL = "kotonoha", ("13b", "172b", "32b", "8b", "13b"), 3
SMALL = ("1b", "1b-a100", "8b-more")
MIDDLE = ("3b", "8b-long", "8b-a100", "70b-more", "3b-a100", "8b")
LARGE = ("13b", "30b-a3b", "32b", "70b")
HUGE = ("172b", "235b-a22b", "700b-a40b")
SIZES = (
    SMALL + MIDDLE + LARGE + LARGE,
    SMALL + MIDDLE + MIDDLE + LARGE + HUGE,
    SMALL + MIDDLE + LARGE + LARGE + HUGE,
    SMALL + MIDDLE,
    MIDDLE + LARGE + HUGE,
)


class Applications:
    """The ideas of every call. Who was rejected comes back better."""

    def __init__(self, season: Season) -> None:
        self.season = season
        self.ideas: dict[uuid.UUID, Idea] = {}  # by proposal
        self._rejected: list[Idea] = []
        self._used: set[str] = set()  # titles

    def plan(self) -> None:
        for number, call in enumerate(self.season.programme.calls):
            agenda = self.season.agenda
            agenda.at(jst(call.created), self._create, call)
            agenda.at(jst(call.published), self._publish, call)
            opens = jst(call.opens_at)
            agenda.at(opens + timedelta(minutes=1), self._open, number, call)
            closes = jst(call.closes_at)
            agenda.at(closes + timedelta(minutes=1), self._close_due)
            if number == 1:
                agenda.at(closes + timedelta(days=1), self._rule_out, call)

    def _create(self, of: CallOf) -> None:
        season = self.season
        themes = [{"key": key, "name_ja": each.name_ja, "name_en": each.name_en} for key, each in fields().items()]
        given = CallIn.model_validate(
            {name: getattr(of, name) for name in ("code", "cycle", "title_ja", "title_en", "text_ja", "text_en")}
            | {
                "budget_yen": of.budget_yen,
                "opens_at": jst(of.opens_at),
                "closes_at": jst(of.closes_at),
                "first_month": of.first_month,
                "months": of.months,
                "themes": themes,
                "rubric": RUBRIC,
                "tracks": [TRACKS[key] for key in of.tracks],
                "constraints": Constraints(
                    most_proposals_per_organisation=2 if season.scale == 1 else 3 * season.scale,
                    shares=(
                        ShareLimit(by="organisation_kind", value="startup", at_least=0.2),
                        ShareLimit(by="theme", value="language", at_most=0.6),
                    ),
                    per_organisation_yen=of.budget_yen * 2 // 5,
                    lowest_merit=0.3,
                    expiry_months=3,
                ),
                "questions": [FOREIGN_MODEL_REASON],
                "is_blind": of.is_blind,
                "pools": [PoolOffer(pool_id=season.pools[name], gpus=gpus) for name, gpus in of.pools.items()],
            }
        )
        with season.work(season.operator) as work:
            season.call_ids[of.code] = drafting.create_call(work, given).id

    def _publish(self, of: CallOf) -> None:
        season, call_id = self.season, self.season.call_ids[of.code]
        with season.work(season.operator) as work:
            lifecycle.publish_call(work, call_id)

    def _open(self, number: int, of: CallOf) -> None:
        season, chance = self.season, self.season.random("applying", of.code)
        opens, closes = jst(of.opens_at), jst(of.closes_at)
        window = closes - opens
        for place, idea in enumerate(self._ideas(number)):
            body = body_of(idea, of, season.pools, chance)
            begins = opens + window * chance.uniform(0.02, 0.7)
            # Most hand in within the last two days, some as soon as they are done.
            hands_in = closes - timedelta(hours=min(chance.expovariate(1 / 22) + 0.5, (closes - begins).days * 24))
            hands_in = max(hands_in, begins + timedelta(hours=3))
            if place % 6 == 4:
                hands_in = begins + timedelta(days=4)
            season.agenda.at(begins, self._draft, of, idea, body, hands_in, place)
        extra = (season.scale - 1) * sum(APPLICANTS) if number == LARGE_CALL else 0
        for batch in range(0, extra, 50):
            at = opens + window * (batch / max(extra, 1)) * 0.9
            season.agenda.at(at, self._many, of, batch, min(batch + 50, extra))
        if number == 1:
            season.agenda.at(closes - timedelta(days=9), self._amend, of)
        late = list(season.organisations.values())[-1]
        if number == 0:
            idea = Idea(late, fields()[late.of.field].subjects[0], "1b", 0.0)
            body = body_of(idea, of, season.pools, chance)
            season.agenda.at(closes - timedelta(minutes=40), self._late, of, idea, body, closes)

    def _ideas(self, number: int) -> Iterator[Idea]:
        """Who applies, in what order: those who come back first, then the regular, then others field by field."""
        season, chance = self.season, self.season.random("ideas", number)
        runs = _offered(SIZES[number], season.programme.calls[number])
        rejected = [idea for idea in self._rejected if not idea.again and idea.run in runs]
        back = [
            Idea(each.organisation, each.subject, each.run, each.quality + 0.9, again=True, partners=each.partners)
            for each in rejected[: AGAIN[number]]
        ]
        taken = {idea.organisation.of.key for idea in back}
        others = [each for key, each in season.organisations.items() if key not in taken]
        chance.shuffle(others)
        others.sort(key=lambda each: each.of.key != REGULAR)
        new = []
        for place, organisation in enumerate(others[: APPLICANTS[number] - len(back)]):
            subjects = fields()[organisation.of.field].subjects
            subject = next((each for each in subjects if each.title not in self._used), chance.choice(subjects))
            self._used.add(subject.title)
            run = runs[(place * 7 + number) % len(runs)]
            oddity = {4: "oversized", 9: "undersized", 13: "infeasible"}.get(place, "")
            partners = tuple(chance.sample(others, 1)) if place % 5 == 2 else ()
            partners = tuple(each for each in partners if each is not organisation)
            quality = chance.gauss(0, 0.8)
            if organisation.of.key == REGULAR:
                run, quality = REGULAR_RUNS[number], 1.4
            new.append(Idea(organisation, subject, run, quality, oddity, False, partners))  # type: ignore[arg-type]
        yield from back
        yield from new

    def _draft(self, of: CallOf, idea: Idea, body: dict[str, Any], hands_in: datetime, place: int) -> None:
        season = self.season
        draft = body | {"tiers": body["tiers"][:1], "milestones": body["milestones"][:1], "safety": ""}
        with season.work(idea.organisation.lead.actor) as work:
            proposal_id = drafts.create(work, season.call_ids[of.code], draft).id
        self.ideas[proposal_id] = idea
        if place % 11 == 10 and idea.oddity == "":
            return  # never finished
        half = season.clock.now + (hands_in - season.clock.now) / 2
        season.agenda.at(half, self._write_on, idea, proposal_id, body, place)
        season.agenda.at(hands_in, self._submit, idea, proposal_id)
        if place == 7:
            season.agenda.at(hands_in + timedelta(minutes=20), self._withdraw, idea, proposal_id)

    def _write_on(self, idea: Idea, proposal_id: uuid.UUID, body: dict[str, Any], place: int) -> None:
        with self.season.work(idea.organisation.people[1].actor) as work:
            drafts.save(work, proposal_id, body, expected_version=1)
        if place % 4 == 0:
            self._attach(idea, proposal_id, papers(idea, body, place // 4))

    def _attach(self, idea: Idea, proposal_id: uuid.UUID, files: Iterable[tuple[str, bytes]]) -> None:
        """Each file is inspected in a process of its own, so that a few proposals alone have some."""
        season, who = self.season, idea.organisation.people[1]
        for name, content in files:
            taken_in = attachments.received(season.office.settings, name, io.BytesIO(content))
            with taken_in as given, season.work(who.actor) as work:
                attachments.attach(work, proposal_id, given)

    def _submit(self, idea: Idea, proposal_id: uuid.UUID) -> None:
        with self.season.work(idea.organisation.lead.actor) as work:
            submission.submit(work, proposal_id, version=2)

    def _withdraw(self, idea: Idea, proposal_id: uuid.UUID) -> None:
        with self.season.work(idea.organisation.lead.actor) as work:
            submission.withdraw(work, proposal_id, reason="社内の計画変更により取り下げる")

    def _late(self, of: CallOf, idea: Idea, body: dict[str, Any], closes: datetime) -> None:
        season = self.season
        with season.work(idea.organisation.lead.actor) as work:
            proposal_id = drafts.create(work, season.call_ids[of.code], body).id
        season.agenda.at(closes + timedelta(seconds=42), self._refused, idea, proposal_id)

    def _refused(self, idea: Idea, proposal_id: uuid.UUID) -> None:
        """42 seconds after the deadline: refused, and the draft stays a draft."""
        try:
            with self.season.work(idea.organisation.lead.actor) as work:
                submission.submit(work, proposal_id, version=1)
        except Conflict:
            return
        raise AssertionError("a proposal was taken after the deadline")

    def _many(self, of: CallOf, first: int, last: int) -> None:
        """For load tests: more proposals of the same organisations, many in one transaction."""
        season, chance = self.season, self.season.random("many", first)
        organisations = list(season.organisations.values())
        for number in range(first, last):
            organisation = organisations[number % len(organisations)]
            subject = chance.choice(fields()[organisation.of.field].subjects)
            run = chance.choice(_offered(SMALL + MIDDLE + LARGE, of))
            idea = Idea(organisation, subject, run, chance.gauss(0, 0.8))
            body = body_of(idea, of, season.pools, chance)
            body["title"] += f" 第{number + 1}案"
            with season.work(organisation.lead.actor) as work:
                proposal_id = drafts.create(work, season.call_ids[of.code], body).id
                submission.submit(work, proposal_id, version=1)
            self.ideas[proposal_id] = idea

    def _amend(self, of: CallOf) -> None:
        season = self.season
        lot = next(each for each in season.programme.lots if each.pool == "shirakawa-b200")
        due = date.fromisoformat(lot.promised)
        ja, en = f"{due.month}月{due.day}日", f"{due.day} {due:%B}"
        given = Amendment(
            text_ja=f"{of.text_ja}\n（追記）B200の引渡し予定日は{ja}である。遅れる場合は開始月の変更を受け付ける。",
            text_en=f"{of.text_en}\n(Added) B200 are due on {en}; start months can be changed if they are late.",
            reason="問い合わせの多かった引渡し時期を明記した",
        )
        with season.work(season.operator) as work:
            lifecycle.amend_call(work, season.call_ids[of.code], given)

    def _close_due(self) -> None:
        with self.season.work() as work:
            lifecycle.close_due(work)

    def _rule_out(self, of: CallOf) -> None:
        season, call_id = self.season, self.season.call_ids[of.code]
        with season.work(season.operator) as work:
            page = PageRequest(limit=LARGEST)
            found = service.list_proposals(work, page, call_id=call_id, status=ProposalStatus.SUBMITTED).items
            late, earlier = sorted(found, key=lambda each: each.receipt or "", reverse=True)[:2]
            eligibility.mark_ineligible(work, late.id, "学習データの利用許諾を示す書類が期限までに届かなかった")
            eligibility.take_out(work, earlier.id, "共同提案者の離脱により実施できないとの申し出があった")

    def note_rejected(self, proposal_ids: list[uuid.UUID]) -> None:
        self._rejected = [self.ideas[each] for each in proposal_ids if each in self.ideas]


def _offered(runs: tuple[str, ...], call: CallOf) -> tuple[str, ...]:
    """Those for which the call has a pool."""
    return tuple(run for run in runs if any(pool in call.pools for pool in POOLS[RUNS[run].sizes[0][0]]))


assert set().union(*SIZES) <= set(RUNS)
