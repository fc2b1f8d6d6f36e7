"""What is wrong with a draft before it is published: dates, texts, money, capacity, and rules that contradict."""

from __future__ import annotations

import types
import typing
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from kiban.office import months as calendar
from kiban.office.calls import repository
from kiban.office.calls.models import Call
from kiban.office.calls.schemas import Constraints, Problem, Question, ShareLimit
from kiban.office.calls.service import constraints_of, rubric_of, themes_of, tracks_of
from kiban.office.members.models import OrganisationKind
from kiban.office.proposals.schemas import ProposalBody
from kiban.office.supply import service as supply
from kiban.office.work import Work

ROUNDING = 1e-9  # of sums of shares


def problems(work: Work, call: Call) -> list[Problem]:
    """Everything that keeps a draft from being published, and what its author should look at again."""
    return [*_dates(work, call), *_texts(call), *_rules(call), *_questions(call), *_supply(work, call)]


def _error(where: str, message: str) -> Problem:
    return Problem(severity="error", where=where, message=message)


def _warning(where: str, message: str) -> Problem:
    return Problem(severity="warning", where=where, message=message)


def _dates(work: Work, call: Call) -> Iterator[Problem]:
    if call.opens_at < work.now:
        yield _warning("opens_at", "it has passed: the call opens at the moment of its publication")
    if call.closes_at <= work.now:
        yield _error("closes_at", "it has passed")
    if calendar.starts_at(call.first_month) < call.closes_at:
        yield _error("first_month", "awards would start before the call closes")


def _texts(call: Call) -> Iterator[Problem]:
    for language in ("ja", "en"):
        if not getattr(call, f"text_{language}").strip():
            yield _error(f"text_{language}", "a call is published in both languages; this text is empty")


def _rules(call: Call) -> Iterator[Problem]:
    for n, criterion in enumerate(rubric_of(call)):
        scores = [anchor.score for anchor in criterion.anchors]
        if len(set(scores)) < len(scores):
            yield _error(f"rubric.{n}.anchors", "two anchors explain the same score")
        elif not {criterion.lowest, criterion.highest} <= set(scores):
            yield _warning(f"rubric.{n}.anchors", "no words for the lowest and the highest score")
    limit = 0
    for n, track in enumerate(tracks_of(call)):
        if track.up_to_gpu_hours is None:
            if n < len(call.tracks) - 1:
                yield _error(f"tracks.{n}", "takes any size: no proposal reaches the tracks after it")
            if track.kind == "automatic":
                yield _error(f"tracks.{n}", "an automatic track needs a limit (`up_to_gpu_hours`)")
        elif track.up_to_gpu_hours <= limit:
            yield _error(f"tracks.{n}", "its limit must be above that of the track before")
        limit = track.up_to_gpu_hours or limit
    yield from _constraints(call, constraints_of(call))


def _constraints(call: Call, constraints: Constraints) -> Iterator[Problem]:
    kinds = constraints.organisation_kinds or tuple(OrganisationKind)
    closed = {"theme": {theme.key for theme in themes_of(call)}, "organisation_kind": {str(kind) for kind in kinds}}
    groups: defaultdict[tuple[str, str], list[ShareLimit]] = defaultdict(list)
    for n, share in enumerate(constraints.shares):
        where = f"constraints.shares.{n}"
        if share.at_least is None and share.at_most is None:
            yield _error(where, "limits nothing: give `at_least` or `at_most`")
        if share.at_least is not None and share.at_most is not None and share.at_least > share.at_most:
            yield _error(where, "`at_least` is above `at_most`")
        if share.by in closed and share.value not in closed[share.by]:
            yield _error(where, f"{share.value!r} is none of this call's: {', '.join(sorted(closed[share.by]))}")
        if any(share.value == other.value for other in groups[share.of, share.by]):
            yield _error(where, f"{share.value!r} is limited twice")
        groups[share.of, share.by].append(share)
    for (of, by), shares in groups.items():
        if sum(share.at_least or 0.0 for share in shares) > 1 + ROUNDING:
            yield _error("constraints.shares", f"the least shares of {of} by {by} add up to more than the whole")
        # Only where every group is named can the upper limits leave something that nobody may get.
        upper = {share.value: 1.0 if share.at_most is None else share.at_most for share in shares}
        if closed.get(by) and closed[by] <= set(upper) and sum(upper.values()) < 1 - ROUNDING:
            yield _error("constraints.shares", f"the greatest shares of {of} by {by} add up to less than the whole")
    most = constraints.most_proposals_per_organisation
    if call.cut_off_count is not None and (most is None or most >= call.cut_off_count):
        yield _warning("constraints.most_proposals_per_organisation", "one organisation could take every place")
    if constraints.per_organisation_yen is not None and constraints.per_organisation_yen > call.budget_yen:
        yield _warning("constraints.per_organisation_yen", "above the whole budget: it limits nothing")


def _questions(call: Call) -> Iterator[Problem]:
    questions = [Question.model_validate(each) for each in call.questions]
    for n, question in enumerate(questions):
        if question.kind == "choice" and len(set(question.choices)) < 2:
            yield _error(f"questions.{n}.choices", "a choice needs at least two")
        if question.kind != "choice" and question.choices:
            yield _error(f"questions.{n}.choices", f"belong to the kind choice, not {question.kind}")
        if question.kind != "text" and question.least_characters:
            yield _error(f"questions.{n}.least_characters", f"belongs to the kind text, not {question.kind}")
        if question.when is not None and not _is_path(question.when.path, {each.key for each in questions}):
            yield _error(f"questions.{n}.when.path", f"a proposal has no field {question.when.path!r}")


def _is_path(path: str, keys: set[str]) -> bool:
    """Whether a dotted path leads to a field of a proposal's body that can be compared with an answer."""
    first, _, rest = path.partition(".")
    if first == "answers":
        return rest in keys
    model: Any = ProposalBody
    for part in path.split("."):
        if model is None or part not in model.model_fields:
            return False
        annotation = model.model_fields[part].annotation
        options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
        model = next((each for each in options if isinstance(each, type) and issubclass(each, BaseModel)), None)
        if any(typing.get_origin(each) in (tuple, list, dict) for each in options):
            return False
    return model is None


def _supply(work: Work, call: Call) -> Iterator[Problem]:
    offers = [(pool, gpus) for _, pool, gpus in repository.offers(work.session, [call.id])]
    months = calendar.month_range(call.first_month, call.months)
    free = supply.free(work, [pool.id for pool, _ in offers], months, but_call=call.id)
    for pool, gpus in offers:
        where = f"pools.{pool.name}"
        if pool.closed_at is not None:
            yield _error(where, "the pool is closed")
        short = {month: left for month, left in free[pool.id].items() if left < gpus}
        if short:
            month = min(short, key=lambda month: (short[month], month))
            yield _error(where, f"{gpus} GPUs are offered, but {max(0, short[month])} are free in {month}"
                                f" ({len(short)} of {len(months)} months are short)")  # fmt: skip
    if not offers:
        yield _error("pools", "nothing is offered")
        return
    rate = constraints_of(call).subsidy_rate
    shortest = min(calendar.hours(month) for month in months)
    least = min(pool.price_yen_per_gpu_hour for pool, _ in offers) * shortest * rate
    most = sum(pool.price_yen_per_gpu_hour * gpus for pool, gpus in offers) * rate
    whole = int(most * sum(calendar.hours(month) for month in months))
    if call.budget_yen < least:
        yield _error("budget_yen", f"does not pay for one GPU for a month ({int(least):,} yen)")
    if call.budget_yen > whole:
        yield _warning("budget_yen", f"cannot be spent: all that is offered costs {whole:,} yen")
