"""Who sees which artifacts. The store has no owners; the office knows whose jobs made what, and what was released.

- Operators and auditors see everything, and take its files.
- Whoever sees a grant sees what its jobs made and what its accepted reports name, and what that was made from. Files
  are for the organisation whose grant's jobs made them: what one's model was made from may hold others' material.
- Everybody sees a released model, the evaluation that was recorded with it, and the card made of these. Weights are
  where the release says they are.

To name an artifact in a report or a release gives nobody its files: only a job does, which the scheduler has recorded.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from kiban.kit.manifest import Manifest
from kiban.kit.store import Artifact
from kiban.office.errors import NotFound
from kiban.office.members import policy
from kiban.office.reports.released import artifact_rights
from kiban.office.work import Work
from kiban.portal.artifacts.index import ArtifactIndex, Contents


@dataclass(frozen=True)
class Access:
    """
    sees_all: an operator's or auditor's.
    seen: digests of artifacts that may be looked at.
    taken: digests of artifacts whose files may be saved.
    releases: the release of each released model.
    """

    sees_all: bool
    seen: Set[str]
    taken: Set[str]
    releases: Mapping[str, uuid.UUID]

    def sees(self, digest: str) -> bool:
        return self.sees_all or digest in self.seen

    def takes(self, digest: str) -> bool:
        return self.sees_all or digest in self.taken


def access_of(work: Work, contents: Contents) -> Access:
    """What the reader may see of a store; marks the work as one that looks beyond the database."""
    work.noticed.beyond = True
    rights = artifact_rights(work)
    if work.actor.sees_everything:
        return Access(True, frozenset(), frozenset(), rights.releases)
    seen = {*rights.seen, *_made_from(rights.seen, contents)}
    for model, evaluations in rights.released.items():
        public = {model, *evaluations}
        seen |= public | _cards_of(model, public | _made_from(public, contents), contents)
    return Access(False, seen, rights.own, rights.releases)


def find(work: Work, index: ArtifactIndex, reference: str) -> tuple[Artifact, Access]:
    """An artifact by its digest or the first digits of it, with what its reader may see beside.

    Raises: as `find_seen`.
    """
    access = access_of(work, index.contents())
    return find_seen(work, index, access, reference), access


def find_seen(work: Work, index: ArtifactIndex, access: Access, reference: str) -> Artifact:
    """An artifact that the reader may see.

    Raises:
        Unauthenticated: nobody is signed in, and it is not public, or is not there.
        NotFound: there is none that this reader may see.
    """
    try:
        found = index.find(reference)
        if not access.sees(found.digest):
            raise NotFound("there is no such artifact in the programme's store", where=reference[:64])
    except NotFound:
        policy.require_somebody(work)
        raise
    return found


def _made_from(digests: Iterable[str], contents: Contents) -> set[str]:
    """All that artifacts were made from, all the way down."""
    found: set[str] = set()
    waiting = [*digests]
    while waiting:
        manifest = contents.manifests.get(waiting.pop())
        if manifest is not None:
            new = inputs_of(manifest) - found
            found |= new
            waiting += new
    return found


def inputs_of(manifest: Manifest) -> set[str]:
    """Digests of the artifacts that one was made from directly."""
    return {ref.digest for ref in manifest.inputs.values() if ref.kind != "external"}


def _cards_of(model: str, known: Set[str], contents: Contents) -> set[str]:
    """Cards that tell of nothing else than what is known: another's evaluation of a public model is not public."""
    made = [contents.manifests[each] for each in contents.used_by.get(model, ())]
    return {each.digest for each in made if each.kind == "card" and inputs_of(each) <= known}
