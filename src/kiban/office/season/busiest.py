"""Who has most to do when the season ends: whose accounts are worth signing in with."""

from __future__ import annotations

from kiban.office.calls.models import CallStatus
from kiban.office.calls.service import list_calls
from kiban.office.grants.models import GrantStatus
from kiban.office.grants.service import list_grants
from kiban.office.paging import LARGEST, PageRequest
from kiban.office.proposals.models import ProposalStatus
from kiban.office.proposals.service import list_proposals
from kiban.office.reviews import workload
from kiban.office.reviews.models import AssignmentStatus
from kiban.office.season.cast import Applicant, Judge, Season

_PAGE = PageRequest(limit=LARGEST)


def busiest_applicant(season: Season) -> Applicant:
    """With a running grant; beside it a proposal that was handed in and a draft for an open call, if anybody has."""

    def score(who: Applicant) -> tuple[bool, int, int]:
        with season.office.work(who.actor, read_only=True) as work:
            grants = sum(each.status is GrantStatus.ACTIVE for each in list_grants(work, _PAGE).items)
            open_calls = {each.id for each in list_calls(work, _PAGE).items if each.status is CallStatus.PUBLISHED}
            own = list_proposals(work, _PAGE).items
        drafts = sum(each.status is ProposalStatus.DRAFT and each.call_id in open_calls for each in own)
        handed_in = sum(each.status is ProposalStatus.SUBMITTED for each in own)
        return grants > 0, sum(map(bool, (drafts, handed_in))), grants + drafts + handed_in

    return max((each.lead for each in season.organisations.values()), key=score)


def busiest_judge(season: Season) -> Judge:
    """With reviews still to write, and some that are done in the same call."""

    def score(judge: Judge) -> tuple[bool, int]:
        with season.office.work(judge.actor, read_only=True) as work:
            own = workload.own_assignments(work, _PAGE).items
        waiting = sum(each.status is AssignmentStatus.ASSIGNED for each in own)
        return waiting > 0 and waiting < len(own), waiting

    return max(season.judges.values(), key=score)
