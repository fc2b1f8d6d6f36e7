"""What came of the grants: models released with their scores, and events with the people they reached."""

from __future__ import annotations

import uuid

from kiban.office.audit.service import record
from kiban.office.calls.service import get_call
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.grants.models import Grant
from kiban.office.grants.service import lock_grant
from kiban.office.months import day_of
from kiban.office.paging import Page, PageRequest
from kiban.office.reports import artifacts, repository
from kiban.office.reports.models import Event, ModelRelease
from kiban.office.reports.schemas import EventIn, ReleaseIn, ReleaseOut, Score
from kiban.office.work import Role, Work

STATED = "stated by the grantee"
_STATED_PREFIX = "stated:"


def record_release(work: Work, grant_id: uuid.UUID, given: ReleaseIn) -> ModelRelease:
    """Record a model that a grant led to.

    An artifact of the programme's store says itself how large it is, what it was trained on and how it scores; a model
    that lies elsewhere is recorded as its makers state it, and marked so.

    Raises:
        NotFound: no such grant, or none this person may see.
        Forbidden: neither an applicant of the grant's organisation nor an operator.
        Invalid: an artifact that is not there or is something else, or a day to come.
        Conflict: the grant has recorded this model.
    """
    grant = lock_grant(work, grant_id)
    _require_own(work, grant)
    if given.released_on > day_of(work.now):
        raise Invalid("that day is to come", where="released_on")
    release_id = work.new_id()
    parameters, tokens = given.parameters, given.tokens
    scores = [Score(**score.model_dump(), source="stated") for score in given.scores]
    card: dict[str, object] = {"source": STATED}
    if given.artifact_digest:
        if repository.has_release(work.session, grant.id, given.artifact_digest):
            raise Conflict("the grant has recorded this model", where="artifact_digest")
        manifest = artifacts.find(work.settings.store, given.artifact_digest, "artifact_digest")
        parameters, tokens = artifacts.model_figures(manifest)
        evaluation = None
        if given.evaluation_digest:
            evaluation = artifacts.find(work.settings.store, given.evaluation_digest, "evaluation_digest")
            scores = _beside(artifacts.scores_of(evaluation, given.artifact_digest), scores)
        card = artifacts.card_of(manifest, evaluation)
    release = ModelRelease(
        id=release_id,
        grant_id=grant.id,
        name=given.name,
        artifact_digest=given.artifact_digest or f"{_STATED_PREFIX}{release_id.hex}",
        licence=given.licence,
        url=str(given.url or ""),
        parameters=parameters,
        tokens=tokens,
        scores=[score.model_dump(mode="json") for score in scores],
        card=card | {"has_scores": any(score.value is not None for score in scores)},
        released_on=given.released_on,
        recorded_by=work.person_id,
        recorded_at=work.now,
    )
    work.session.add(release)
    record(work, "reports.model_released", "grant", grant.id, name=given.name, source=str(card["source"]))
    work.session.flush()
    return release


def _beside(measured: list[Score], stated: list[Score]) -> list[Score]:
    """The evaluation's scores with the reference models that were given beside."""
    references = {score.task: score.references for score in stated}
    unknown = references.keys() - {score.task for score in measured}
    if unknown:
        raise Invalid(f"the evaluation has no task {', '.join(sorted(unknown))}", where="scores")
    return [
        score.model_copy(update={"references": score.references + references.get(score.task, ())}) for score in measured
    ]


def get_release(work: Work, release_id: uuid.UUID) -> ModelRelease:
    """Raises: NotFound: no such model, or none this person may see."""
    found = repository.release(work.session, work.actor, release_id)
    if found is None:
        raise NotFound("there is no such model", where="release_id")
    return found


def list_releases(work: Work, page: PageRequest, grant_id: uuid.UUID | None = None) -> Page[ModelRelease]:
    """Models of the grants one may see, the newest first."""
    return repository.releases(work.session, work.actor, page, grant_id)


def show_release(release: ModelRelease) -> ReleaseOut:
    stated = release.artifact_digest.startswith(_STATED_PREFIX)
    return ReleaseOut(
        id=release.id,
        grant_id=release.grant_id,
        name=release.name,
        artifact_digest=None if stated else release.artifact_digest,
        licence=release.licence,
        url=release.url,
        parameters=release.parameters,
        tokens=release.tokens,
        scores=tuple(Score.model_validate(score) for score in release.scores),
        card=release.card,
        released_on=release.released_on,
        recorded_at=release.recorded_at,
    )


def record_event(work: Work, given: EventIn) -> Event:
    """Record a course, seminar or meeting: of a grant by its organisation, of a call or the programme by operators.

    Raises:
        NotFound: no such grant or call.
        Forbidden: not this person's to record.
        Invalid: a day to come.
    """
    if given.held_on > day_of(work.now):
        raise Invalid("that day is to come", where="held_on")
    call_id = given.call_id
    if given.grant_id is not None:
        grant = lock_grant(work, given.grant_id)
        _require_own(work, grant)
        if call_id not in (None, grant.call_id):
            raise Invalid("the grant is of another call", where="call_id")
        call_id = grant.call_id
    else:
        work.require(Role.OPERATOR, call_id=call_id)
        if call_id is not None:
            get_call(work, call_id)
    event = Event(
        **(given.model_dump() | {"call_id": call_id}),
        id=work.new_id(),
        recorded_by=work.actor.person_id,
        recorded_at=work.now,
    )
    work.session.add(event)
    record(work, "reports.event_recorded", "event", event.id, kind=given.kind, people=given.people)
    work.session.flush()
    return event


def list_events(
    work: Work, page: PageRequest, *, call_id: uuid.UUID | None = None, grant_id: uuid.UUID | None = None
) -> Page[Event]:
    """Newest first; those of calls and of the programme are public."""
    return repository.events(work.session, work.actor, page, call_id=call_id, grant_id=grant_id)


def _require_own(work: Work, grant: Grant) -> None:
    if work.actor.organisation_id != grant.organisation_id or not work.actor.has(Role.APPLICANT):
        work.require(Role.OPERATOR)
    if not work.actor.is_system and work.actor.person_id is None:
        raise Forbidden("somebody must stand behind it")
