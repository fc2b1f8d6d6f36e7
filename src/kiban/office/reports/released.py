"""Released models as everybody may know them, and which artifacts of the store the office knows the owner of."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from kiban.office.calls.models import Call
from kiban.office.errors import NotFound
from kiban.office.grants.models import Grant
from kiban.office.members.models import Organisation
from kiban.office.paging import Page, PageRequest
from kiban.office.reports import released_repository as repository
from kiban.office.reports.models import ModelRelease
from kiban.office.reports.outcomes import show_release
from kiban.office.reports.schemas import ReleaseOut
from kiban.office.work import Work


@dataclass(frozen=True)
class Released:
    """A model, who made it, and the grant and call that it came from."""

    model: ReleaseOut
    organisation: Organisation
    grant: Grant
    call: Call

    @property
    def evaluation_digest(self) -> str | None:
        found = self.model.card.get("evaluation")
        return found if isinstance(found, str) else None


@dataclass(frozen=True)
class ArtifactRights:
    """What the database knows of the store's artifacts, for one reader.

    Attributes:
        released: digests of released models, each with those of the evaluations recorded with it.
        releases: the release of each released digest.
        seen: made by jobs of grants that the reader sees, or named in their accepted reports.
        own: made by jobs of grants of the reader's organisation.
    """

    released: dict[str, frozenset[str]]
    releases: dict[str, uuid.UUID]
    seen: frozenset[str]
    own: frozenset[str]


def list_released(work: Work, page: PageRequest, *, text: str = "", licence: str | None = None) -> Page[Released]:
    """All released models, the newest first.

    Args:
        text: in the model's name, its maker's, or the grant's code.
    """
    found = repository.releases(work.session, page, text, licence)
    return Page(_with_makers(work, found.items), found.next_cursor)


def get_released(work: Work, release_id: uuid.UUID) -> Released:
    """Raises: NotFound: no such model."""
    found = repository.release(work.session, release_id)
    if found is None:
        raise NotFound("there is no such model", where="release_id")
    return _with_makers(work, [found])[0]


def licences(work: Work) -> list[str]:
    """All under which a model was released."""
    return repository.licences(work.session)


def latest(work: Work, most: int) -> list[tuple[uuid.UUID, str]]:
    """Ids and names of the latest releases."""
    return repository.names(work.session, most)


def _with_makers(work: Work, releases: list[ModelRelease]) -> list[Released]:
    makers = repository.makers(work.session, {each.grant_id for each in releases}) if releases else {}
    found = []
    for each in releases:
        grant, organisation, call = makers[each.grant_id]
        found.append(Released(show_release(each), organisation, grant, call))
    return found


def artifact_rights(work: Work) -> ArtifactRights:
    """What of the store is public, and what is the reader's through a grant."""
    released: dict[str, frozenset[str]] = {}
    releases = {}
    for release_id, digest, evaluation in repository.released_digests(work.session):
        released[digest] = released.get(digest, frozenset()) | ({evaluation} if evaluation else frozenset())
        releases[digest] = release_id
    if work.actor.person_id is None or work.actor.sees_everything:
        return ArtifactRights(released, releases, frozenset(), frozenset())
    made = repository.made_for_grants(work.session, work.actor)
    named = [body.get("artifacts") for body in repository.accepted_bodies(work.session, work.actor)]
    reported = {digest for digests in named if isinstance(digests, list) for digest in digests}
    return ArtifactRights(
        released,
        releases,
        frozenset({digest for digest, _organisation in made} | reported),
        frozenset(digest for digest, organisation in made if organisation == work.actor.organisation_id),
    )
