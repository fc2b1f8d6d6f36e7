"""Records that should agree and do not: listed until somebody explains them."""

from __future__ import annotations

import uuid

from kiban.office.audit.service import record
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.paging import Page, PageRequest
from kiban.office.usage import repository
from kiban.office.usage.models import Difference
from kiban.office.work import Role, Work


def note(
    work: Work,
    kind: str,
    subject: str,
    *,
    unit: str,
    expected: int | None = None,
    found: int | None = None,
    grant_id: uuid.UUID | None = None,
) -> Difference:
    """List a difference; one that is listed gets the new figures, and if these have changed, needs explaining again.

    Args:
        subject: what the records are about; with `kind` it names the difference.
    """
    row = repository.difference(work.session, kind, subject)
    if row is None:
        row = Difference(id=work.new_id(), kind=kind, subject=subject, unit=unit, grant_id=grant_id, found_at=work.now)
        work.session.add(row)
    elif (row.expected, row.found) != (expected, found):
        row.explained_by = row.explained_at = None
    row.expected, row.found, row.last_seen_at = expected, found, work.now
    work.session.flush()
    return row


def settle(work: Work, kind: str, subject: str, *, expected: int, found: int) -> bool:
    """Take a difference off the list because its records agree; whether it was on it. Nobody in person explains it."""
    row = repository.difference(work.session, kind, subject)
    if row is None or row.explained_at is not None:
        return False
    # With the figures that agree, so that the ones before would be listed again.
    row.expected, row.found, row.last_seen_at = expected, found, work.now
    row.explained_by, row.explained_at = None, work.now
    row.explanation = f"the records agree again: {expected:,} and {found:,} {row.unit}"
    return True


def explain(work: Work, difference_id: uuid.UUID, explanation: str) -> Difference:
    """Take a difference off the list, with the reason it is there.

    Raises:
        NotFound: no such difference.
        Invalid: nothing is explained.
        Conflict: it is explained already.
    """
    work.require(Role.OPERATOR)
    if len(explanation.strip()) < 5:
        raise Invalid("say what explains it", where="explanation")
    row = _found(repository.find_difference(work.session, work.actor, difference_id, lock=True))
    if row.explained_at is not None:
        raise Conflict("it is explained already", where=row.kind)
    row.explained_by, row.explained_at, row.explanation = work.actor.person_id, work.now, explanation
    record(work, "usage.difference_explained", "difference", row.id, kind=row.kind, subject=row.subject)
    return row


def list_differences(work: Work, page: PageRequest, *, explained: bool | None = None) -> Page[Difference]:
    """Differences of the grants one may see, the newest first."""
    return repository.differences(work.session, work.actor, page, explained=explained)


def get_difference(work: Work, difference_id: uuid.UUID) -> Difference:
    """Raises: NotFound: no such difference, or none this person may see."""
    return _found(repository.find_difference(work.session, work.actor, difference_id))


def _found(row: Difference | None) -> Difference:
    if row is None:
        raise NotFound("there is no such difference", where="difference_id")
    return row
