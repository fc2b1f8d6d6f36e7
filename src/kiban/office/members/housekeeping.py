"""What is removed from time to time because it can decide nothing any more."""

from __future__ import annotations

from datetime import timedelta

from kiban.office.members import attempts
from kiban.office.members import credentials_repository as repository
from kiban.office.work import Role, Work

# How long a person can still see in the records of the database from where they had signed in.
SESSIONS_KEPT = timedelta(days=90)


def sweep(work: Work) -> int:
    """Remove expired sign-in states and resets, attempts past every limit, and sessions expired 90 days ago.

    Returns:
        How many rows.
    """
    work.require(Role.OPERATOR)
    return repository.remove_expired(
        work.session,
        work.now,
        attempts_before=work.now - attempts.LONGEST,
        sessions_before=work.now - SESSIONS_KEPT,
    )
