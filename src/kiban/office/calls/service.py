"""Calls as the other modules read them: the rubric, tracks and constraints as typed data, and whether it is open.

Drafts are written in `drafting`; publishing, amending and closing are in `lifecycle`.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kiban.office.calls import repository
from kiban.office.calls.models import Call, CallStatus, CutOff
from kiban.office.calls.policy import is_insider
from kiban.office.calls.schemas import CallOut, Constraints, Criterion, FieldRule, OfferOut, Question, Theme, Track
from kiban.office.calls.times import jst_en, jst_ja
from kiban.office.errors import NotFound
from kiban.office.paging import Page, PageRequest
from kiban.office.proposals.schemas import ProposalBody
from kiban.office.work import Work

NO_CALL = "there is no such call"


def get_call(work: Work, call_id: uuid.UUID) -> Call:
    """Raises: NotFound: no such call, or a draft that is not this person's to see."""
    call = repository.find(work.session, work.actor, call_id)
    if call is None:
        raise NotFound(NO_CALL, where="call_id")
    return call


def get_call_by_code(work: Work, code: str) -> Call:
    """Raises: NotFound: as `get_call`."""
    call = repository.find_by_code(work.session, work.actor, code)
    if call is None:
        raise NotFound(NO_CALL, where="code")
    return call


def list_calls(work: Work, page: PageRequest, status: CallStatus | None = None) -> Page[Call]:
    """Newest first."""
    return repository.page(work.session, work.actor, page, status)


def lock_call(work: Work, call_id: uuid.UUID) -> Call:
    """The call, fresh, and held until the work ends: what is decided on it now stays true.

    Raises:
        NotFound: as `get_call`.
    """
    call = repository.lock(work.session, work.actor, call_id)
    if call is None:
        raise NotFound(NO_CALL, where="call_id")
    return call


def offered_pools(work: Work, call_id: uuid.UUID) -> dict[uuid.UUID, int]:
    """GPUs that the call may award at any time of its months, by pool, in the order of the pools' names.

    Raises:
        NotFound: as `get_call`.
    """
    get_call(work, call_id)
    return {pool.id: gpus for _, pool, gpus in repository.offers(work.session, [call_id])}


def is_open(call: Call, now: datetime) -> bool:
    """Whether new proposals are taken: from `opens_at` on, until but not at `closes_at`, while places are left."""
    return takes_corrections(call, now) and has_place(call)


def has_place(call: Call) -> bool:
    """Whether the call is not full."""
    return call.cut_off_count is None or call.places_taken < call.cut_off_count


def takes_corrections(call: Call, now: datetime) -> bool:
    """Whether a proposal that holds a place may be handed in again: as `is_open`, and while it is merely full."""
    return call.opens_at <= now and not is_closed(call, now)


def is_closed(call: Call, now: datetime) -> bool:
    """Whether nothing may be handed in, changed or withdrawn: its date has come, or it is no published call."""
    return call.status is not CallStatus.PUBLISHED or now >= call.closes_at


def seconds_left(call: Call, now: datetime) -> int | None:
    """Whole seconds until the call closes, rounded down; None while it is not open."""
    return int((call.closes_at - now).total_seconds()) if is_open(call, now) else None


def show_calls(work: Work, calls: Sequence[Call], *, counts_down: bool = False) -> list[CallOut]:
    """Calls as this person may read them; nothing in them is the office's own but drafts, which `visible_to` keeps.

    Args:
        counts_down: tell the seconds that are left, too.
    """
    offers: defaultdict[uuid.UUID, list[OfferOut]] = defaultdict(list)
    for call_id, pool, gpus in repository.offers(work.session, [call.id for call in calls]):
        offers[call_id].append(
            OfferOut(pool_id=pool.id, gpus=gpus, name=pool.name, accelerator=pool.accelerator, site=pool.site)
        )
    return [_show(work, call, tuple(offers[call.id]), counts_down) for call in calls]


def show_call(work: Work, call: Call, *, counts_down: bool = False) -> CallOut:
    return show_calls(work, [call], counts_down=counts_down)[0]


def _show(work: Work, call: Call, pools: tuple[OfferOut, ...], counts_down: bool) -> CallOut:
    is_told = is_insider(work.actor, call) or call.status is not CallStatus.PUBLISHED or call.cut_off is CutOff.COUNT
    columns = {name: getattr(call, name) for name in CallOut.model_fields if hasattr(Call, name)}
    # Only what may be open asks for the time: what is said of other calls holds until something changes.
    is_published = call.status is CallStatus.PUBLISHED
    opens = is_published and has_place(call) and work.has_come(call.opens_at) and not work.has_come(call.closes_at)
    return CallOut.model_validate(
        columns
        | {
            "pools": pools,
            "is_open": opens,
            "seconds_left": seconds_left(call, work.now) if opens and counts_down else None,
            "opens_at_ja": jst_ja(call.opens_at),
            "opens_at_en": jst_en(call.opens_at),
            "closes_at_ja": jst_ja(call.closes_at),
            "closes_at_en": jst_en(call.closes_at),
            "proposals_submitted": call.places_taken if is_told else None,
        }
    )


def themes_of(call: Call) -> tuple[Theme, ...]:
    return tuple(Theme.model_validate(each) for each in call.themes)


def theme_name(call: Call, key: str) -> tuple[str, str]:
    """A theme in Japanese and in English; its key, where the call does not have it."""
    return next(((each.name_ja, each.name_en) for each in themes_of(call) if each.key == key), (key, key))


def rubric_of(call: Call) -> tuple[Criterion, ...]:
    return tuple(Criterion.model_validate(each) for each in call.rubric)


def tracks_of(call: Call) -> tuple[Track, ...]:
    return tuple(Track.model_validate(each) for each in call.tracks)


def constraints_of(call: Call) -> Constraints:
    return Constraints.model_validate(call.constraints)


def track_of(call: Call, gpu_hours: int) -> Track:
    """The first track whose limit a proposal keeps whose largest tier has so many GPU-hours; the limit is included."""
    for track in tracks_of(call):
        if track.up_to_gpu_hours is None or gpu_hours <= track.up_to_gpu_hours:
            return track
    raise AssertionError("a call's last track takes any size")


def questions_for(call: Call, body: ProposalBody) -> tuple[Question, ...]:
    """The call's own questions that this proposal has to answer."""
    questions = (Question.model_validate(each) for each in call.questions)
    return tuple(each for each in questions if each.when is None or _holds(each.when, body))


def _holds(rule: FieldRule, body: ProposalBody) -> bool:
    found: Any = body
    for part in rule.path.split("."):
        if found is None:
            return False  # an optional part that this proposal does not have
        found = found.get(part) if isinstance(found, Mapping) else getattr(found, part, None)
    # True equals 1 in Python, but is another answer.
    return type(found) is type(rule.equals) and bool(found == rule.equals)
