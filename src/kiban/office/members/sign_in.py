"""Signing in with a password, and proving it again.

These take the office instead of a unit of work and make three of their own: the attempt is counted and committed
before anything is checked, so that no failure can undo its own count and of many guesses made at once each is counted;
the password is then checked outside any transaction, since on SQLite the slow hash would keep every writer waiting;
and what follows from the result is the last.
"""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass

from kiban.office.audit import service as audit
from kiban.office.errors import Conflict, Forbidden, Invalid, Unauthenticated
from kiban.office.guards.text import normalise_email
from kiban.office.members import attempts, credentials_repository, passwords, repository, second_factor, sessions
from kiban.office.members.attempts import Claim
from kiban.office.members.models import Person
from kiban.office.members.sessions import Opened
from kiban.office.office import Office
from kiban.office.work import ANONYMOUS, Actor, Work


class SecondFactorNeeded(Unauthenticated):
    """The password was right; the same again with a code."""

    code = "second-factor-needed"


@dataclass(frozen=True)
class Browser:
    """What is known of the browser that signs in."""

    address: str = ""
    user_agent: str = ""
    cookie: str | None = None  # of the session that it came with
    request_id: str = ""


def with_password(office: Office, email: str, password: str, code: str | None, browser: Browser) -> Opened:
    """Sign in to a local account.

    An account that does not exist, is disabled, or has no password gets the same answer after the same work.

    Raises:
        Unauthenticated: the address, the password or the code is wrong.
        SecondFactorNeeded: the password is right, and the account asks for a code.
        TooMany: too many failures on the account or from the address; nothing was checked.
    """
    wrong = Unauthenticated("the e-mail address, password or code is wrong")
    try:
        address, is_address = normalise_email(email), True
    except Invalid:
        address, is_address = email, False  # counted and checked like any other that does not exist
    with _work(office, ANONYMOUS, browser) as work:
        claim = attempts.claim_sign_in(work, address)
        person = repository.person_by_email(work.session, address) if is_address else None
        known = None if person is None or person.disabled_at is not None else person.password_hash
    hashing = passwords.hashing(office.settings)
    if not hashing.verify(known, password) or person is None:
        _note_failure(office, browser, claim)
        raise wrong
    renewed = hashing.hash(password) if known and hashing.outdated(known) else None
    with _work(office, Actor(person_id=person.id), browser) as work:
        opened = _open(work, person.id, known, renewed, code, claim, browser)
    if opened is None:
        _note_failure(office, browser, claim)
        raise wrong
    if isinstance(opened, SecondFactorNeeded):
        raise opened
    return opened


def newly_joined(work: Work, person: Person, browser: Browser, *, method: str) -> Opened:
    """Sign in somebody whose account was made a moment ago, by who chose its password.

    Args:
        method: what proved who it is, for the record: `invitation`, `first run`.
    """
    opened = sessions.open_session(
        work, person, is_strong=False, replaces=browser.cookie, user_agent=browser.user_agent
    )
    audit.record(work, "members.signed_in", "person", person.id, method=method, is_strong=False)
    return opened


def change_password(office: Office, actor: Actor, current: str, new: str, browser: Browser) -> None:
    """Set a new password after proving the present one. The person's other sessions end; API tokens stay.

    Raises:
        Forbidden: the present password is wrong, or this is no browser session.
        TooMany: too many failures on the account.
        Invalid: the new one is easily guessed.
    """
    with _work(office, actor, browser) as work:
        sessions.require_browser(work)
        person = repository.person_by_id(work.session, work.person_id)
        assert person is not None
        claim = attempts.claim_account(work, person.email)
    known = person.password_hash
    if not passwords.hashing(office.settings).verify(known, current):
        raise Forbidden("the present password is wrong", where="current_password")
    with _work(office, actor, browser) as work:
        person = repository.person_by_id(work.session, person.id, lock=True)
        assert person is not None
        if person.password_hash != known:
            raise Conflict("the password was changed meanwhile")
        passwords.set_password(work, person, new, where="new_password")
        attempts.forgive(work, claim, whole_account=False)
        credentials_repository.spend_resets(work.session, person.id, work.now)
        credentials_repository.revoke_sessions(work.session, person.id, work.now, keep=actor.session_id)
        audit.record(work, "members.password_changed", "person", person.id)
        passwords.tell_of_change(work, person)


def _open(
    work: Work,
    person_id: uuid.UUID,
    known: str | None,
    renewed: str | None,
    code: str | None,
    claim: Claim,
    browser: Browser,
) -> Opened | SecondFactorNeeded | None:
    """What a right password leads to; returned and not raised, so that forgiven attempts and used codes stay so."""
    person = repository.person_by_id(work.session, person_id, lock=True)
    # It may have been disabled, or its password changed, while this one was checked.
    if person is None or person.disabled_at is not None or person.password_hash != known:
        return None
    is_strong = person.totp_secret is not None
    if is_strong and not code:
        attempts.forgive(work, claim, whole_account=False)
        return SecondFactorNeeded("a code from the authenticator is needed", where="code")
    if is_strong and not second_factor.accept(work, person, code or ""):
        return None
    attempts.forgive(work, claim, whole_account=True)
    if renewed is not None:
        person.password_hash = renewed
    opened = sessions.open_session(
        work, person, is_strong=is_strong, replaces=browser.cookie, user_agent=browser.user_agent
    )
    audit.record(work, "members.signed_in", "person", person.id, method="password", is_strong=is_strong)
    return opened


def _note_failure(office: Office, browser: Browser, claim: Claim) -> None:
    """Failures are counted already; the first that makes the account wait is for the auditors too."""
    if claim.locks_account:
        with _work(office, ANONYMOUS, browser) as work:
            audit.record(work, "members.sign_in_locked", "account", claim.account_key.partition(":")[2])


def _work(office: Office, actor: Actor, browser: Browser) -> AbstractContextManager[Work]:
    return office.work(actor, request_id=browser.request_id, address=browser.address)
