"""What the award studio and the public pages show: studies, pins and awards with the names that people know."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace

from kiban.office.awards import repository
from kiban.office.awards.models import Decision, Pin, Selection
from kiban.office.awards.problem import Problem
from kiban.office.awards.repository import AnnouncedAward, NamedEntrant
from kiban.office.awards.studies import NO_STUDY, require_reader
from kiban.office.calls.models import Call
from kiban.office.errors import NotFound
from kiban.office.members.models import OrganisationKind
from kiban.office.members.service import contacts
from kiban.office.work import Work

MOST_STUDIES = 100  # that a list shows

__all__ = [
    "AnnouncedAward",
    "Desk",
    "NamedEntrant",
    "Studied",
    "acted",
    "announced_awards",
    "desk",
    "how_far",
    "pins_of",
    "study_lines",
    "with_study",
]


@dataclass(frozen=True)
class Desk:
    """All that those who decide on a call look at."""

    call: Call
    study: Selection | None  # the one asked for, or the newest; None: there is none yet
    entrants: dict[str, NamedEntrant]  # by the proposal's id, as problems name it
    decision: Decision | None

    @property
    def pinned_since(self) -> bool:
        """Whether a pin was set after the study."""
        pins = [entrant.pin for entrant in self.entrants.values() if entrant.pin is not None]
        return self.study is not None and any(pin.pinned_at > self.study.created_at for pin in pins)

    @property
    def problem(self) -> Problem:
        """What the study solved; only where there is one."""
        assert self.study is not None
        return Problem.from_json(self.study.problem)


@dataclass(frozen=True)
class Studied:
    """How far a call has come."""

    studies: int
    decision: Decision | None


def desk(work: Work, call_id: uuid.UUID, study_id: uuid.UUID | None = None) -> Desk:
    """A call with one of its studies, for those who decide on it and for auditors.

    Raises:
        NotFound: no such call, or no such study of it.
        Forbidden: a stake or a conflict of interest in the call, or no such role.
    """
    call = require_reader(work, call_id)
    if study_id is None:
        study = repository.newest_study(work.session, call_id)
    else:
        study = repository.study(work.session, call_id, study_id)
        if study is None:
            raise NotFound(NO_STUDY, where="study")
    return Desk(
        call=call,
        study=study,
        entrants={str(entrant.proposal.id): entrant for entrant in repository.named_entrants(work.session, call_id)},
        decision=repository.decision(work.session, call_id),
    )


def with_study(work: Work, desk: Desk, study_id: uuid.UUID) -> Desk:
    """A desk with another study of its call. Raises: NotFound: no such study."""
    study = repository.study(work.session, desk.call.id, study_id)
    if study is None:
        raise NotFound(NO_STUDY, where="study")
    return replace(desk, study=study)


def pins_of(work: Work, desk: Desk) -> list[tuple[Pin, str]]:
    """Every pin of a desk's call, those taken away too, with the name of who set it; the newest first."""
    return repository.pins_and_names(work.session, desk.call.id)


def acted(work: Work, desk: Desk) -> dict[uuid.UUID, str]:
    """Names of who drafted and who approved a desk's decision."""
    decision = desk.decision
    ids = set() if decision is None else {decision.drafted_by, decision.approved_by}
    return {each.person_id: each.name for each in contacts(work, {each for each in ids if each is not None})}


def study_lines(work: Work, call_id: uuid.UUID) -> tuple[Call, list[Selection]]:
    """A call and its newest studies; what only one study's page shows is not read. Raises: as `desk`."""
    call = require_reader(work, call_id)
    return call, repository.study_lines(work.session, call_id, MOST_STUDIES)


def how_far(work: Work, call_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Studied]:
    """Studies and decisions of calls on which this person decides; the caller has seen to that."""
    counts = repository.study_counts(work.session, call_ids)
    decisions = repository.decisions_of(work.session, call_ids)
    return {call_id: Studied(counts.get(call_id, 0), decisions.get(call_id)) for call_id in call_ids}


def announced_awards(
    work: Work,
    *,
    call_id: uuid.UUID | None = None,
    theme: str | None = None,
    kind: OrganisationKind | None = None,
    pool_id: uuid.UUID | None = None,
) -> list[AnnouncedAward]:
    """Announced awards, which are public, the newest call first."""
    return repository.announced_awards(work.session, call_id=call_id, theme=theme, kind=kind, pool_id=pool_id)
