"""Limits on how often something may be tried, kept in the database so that every server process counts the same.

An attempt is counted before its outcome is known and forgiven afterwards: of many that come at once, each has already
been counted when it is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

from kiban.office.errors import TooMany
from kiban.office.guards.tokens import token_digest
from kiban.office.members import credentials_repository as repository
from kiban.office.members.models import Attempt
from kiban.office.work import Work


@dataclass(frozen=True)
class Limit:
    """So many tries are free within a time; each further one must wait, twice as long as the one before it."""

    name: str
    free: int
    within: timedelta
    first_lock: timedelta
    longest_lock: timedelta
    of_subjects: bool = False  # counts the different subjects tried, not the tries

    def lock(self, tried: int) -> timedelta:
        """How long after the last of `tried` attempts the next has to wait."""
        if tried < self.free:
            return timedelta(0)
        # The exponent is bounded only so that the number stays one.
        return min(self.first_lock * (1 << min(tried - self.free, 30)), self.longest_lock)


# NIST SP 800-63B-4, section 3.2.2: at most 100 failures in a row on one account. Here: 5, then one each 30 s, 60 s, …
# and at last one an hour, about 35 in a day; a stranger can so lock an account's owner out for at most an hour.
ACCOUNT = Limit("account", 5, timedelta(days=1), timedelta(seconds=30), timedelta(hours=1))
# A campus or company may share one address.
ADDRESS = Limit("address", 60, timedelta(hours=1), timedelta(seconds=30), timedelta(hours=1))
# Password spraying: one password tried on many accounts, each too seldom for its own limit.
SPRAYING = Limit(
    "accounts-of-address", 15, timedelta(hours=1), timedelta(minutes=5), timedelta(hours=1), of_subjects=True
)
RESET_OF_ACCOUNT = Limit("reset", 3, timedelta(hours=1), timedelta(minutes=20), timedelta(hours=1))
RESET_OF_ADDRESS = Limit("reset-of-address", 20, timedelta(hours=1), timedelta(minutes=5), timedelta(hours=1))
INVITATIONS = Limit("invitation", 50, timedelta(days=1), timedelta(minutes=10), timedelta(hours=6))

LONGEST = timedelta(days=1)


@dataclass(frozen=True)
class Claim:
    """Attempts that were counted, to be forgiven if they turn out well."""

    numbers: tuple[int, ...]
    account_key: str = ""
    # Whether one more failure has to wait: what is worth an audit event.
    locks_account: bool = False


def claim(work: Work, limit: Limit, of: str) -> None:
    """Count one use, or refuse it.

    Args:
        of: who is limited: an account's or person's key, or an address.

    Raises:
        TooMany: it has to wait; a refused use is not counted, so that a lock ends however often it is tried.
    """
    _claim_all(work, [(limit, of, "")])


def claim_sign_in(work: Work, email: str) -> Claim:
    """Count a sign-in by account, by address, and by different accounts from the address.

    Raises:
        TooMany: the same for accounts that exist and those that do not.
    """
    account, address = token_digest(email), network_of(work.address)
    numbers = _claim_all(work, [(ACCOUNT, account, ""), (ADDRESS, address, ""), (SPRAYING, address, account)])
    tried = len(repository.attempts_since(work.session, _key(ACCOUNT, account), work.now - ACCOUNT.within))
    return Claim(tuple(numbers), _key(ACCOUNT, account), locks_account=tried == ACCOUNT.free)


def claim_account(work: Work, email: str) -> Claim:
    """Count a proof of one's password by somebody who is signed in already."""
    account = token_digest(email)
    numbers = _claim_all(work, [(ACCOUNT, account, "")])
    return Claim(tuple(numbers), _key(ACCOUNT, account))


def claim_reset(work: Work, email: str) -> None:
    """Count a request for a reset mail, by account and by address."""
    _claim_all(work, [(RESET_OF_ACCOUNT, token_digest(email), ""), (RESET_OF_ADDRESS, network_of(work.address), "")])


def forgive(work: Work, claim: Claim, *, whole_account: bool) -> None:
    """It was no failure.

    Args:
        whole_account: the person has signed in: earlier failures on the account are forgotten too. Those of the
            address stay, or somebody could clear them with an account of their own.
    """
    repository.forget_attempts_numbered(work.session, claim.numbers)
    if whole_account:
        repository.forget_attempts(work.session, claim.account_key)


def unlock_account(work: Work, email: str) -> None:
    """Forget the failures on an account whose mailbox has been proven."""
    repository.forget_attempts(work.session, _key(ACCOUNT, token_digest(email)))


def network_of(address: str) -> str:
    """What one caller can hold: an IPv4 address, or the 2^64 addresses of an IPv6 network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ip_network((int(parsed), 64), strict=False).network_address) + "/64"
    return str(parsed)


def _claim_all(work: Work, wanted: Sequence[tuple[Limit, str, str]]) -> list[int]:
    """All or none, in one order of locks."""
    keyed = sorted(((_key(limit, of), limit, subject) for limit, of, subject in wanted), key=lambda entry: entry[0])
    wait = timedelta(0)
    for key, limit, _ in keyed:
        repository.lock_key(work.session, key)
        wait = max(wait, _wait(work, key, limit))
    if wait > timedelta(0):
        raise TooMany("too many attempts", retry_after_seconds=ceil(wait.total_seconds()))
    rows = [Attempt(key=key, subject=subject, at=work.now) for key, _, subject in keyed]
    work.session.add_all(rows)
    work.session.flush()
    return [row.number for row in rows]


def _wait(work: Work, key: str, limit: Limit) -> timedelta:
    tried = repository.attempts_since(work.session, key, work.now - limit.within)
    if not tried:
        return timedelta(0)
    count = len({subject for _, subject in tried}) if limit.of_subjects else len(tried)
    return max(timedelta(0), tried[-1][0] + limit.lock(count) - work.now)


def _key(limit: Limit, of: str) -> str:
    return f"{limit.name}:{of}"
