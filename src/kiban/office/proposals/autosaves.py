"""Which autosaves make way for later ones, and how long they are kept all the same.

Of one person's autosaves, each within `AUTOSAVE_MINUTES` of the one before, people see the last. The others stay for as
long as a browser session can: a window that was opened on one of them still has to be told what was changed since.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from itertools import pairwise
from typing import Final

from kiban.office.members.sessions import ABSOLUTE
from kiban.office.proposals import repository
from kiban.office.work import Work

AUTOSAVE_MINUTES: Final = 10
MOST_REPLACED: Final = 200  # of one proposal: an hour of writing or so, and 100 MiB at worst


def replaced(work: Work, proposal_id: uuid.UUID) -> list[int]:
    """Numbers of the autosaves that made way for the next version, in order."""
    return [each.number for each in _replaced(work, proposal_id)]


def thin_out(work: Work, proposal_id: uuid.UUID) -> None:
    """Delete replaced autosaves that no session can have opened any more, and the oldest of too many."""
    gone = [
        each.number
        for place, each in enumerate(reversed(_replaced(work, proposal_id)))
        if place >= MOST_REPLACED or work.now - each.saved_at > ABSOLUTE
    ]
    if gone:
        repository.delete_versions(work.session, proposal_id, gone)


def _replaced(work: Work, proposal_id: uuid.UUID) -> list[repository.Autosave]:
    rows = repository.autosaves(work.session, proposal_id)
    return [one for one, other in pairwise(rows) if _makes_way(one, other)]


def _makes_way(one: repository.Autosave, other: repository.Autosave) -> bool:
    is_soon = other.saved_at - one.saved_at < timedelta(minutes=AUTOSAVE_MINUTES)
    return other.number == one.number + 1 and other.saved_by == one.saved_by and is_soon
