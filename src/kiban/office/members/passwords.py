"""Passwords of local accounts: set, changed, and reset by mail."""

from __future__ import annotations

import functools
import secrets
from datetime import timedelta

from kiban.office.audit import service as audit
from kiban.office.errors import NotFound
from kiban.office.guards.passwords import PasswordHashing, check_password
from kiban.office.guards.text import normalise_email
from kiban.office.guards.tokens import token_digest
from kiban.office.links import Link, Place
from kiban.office.members import attempts, credentials_repository, repository
from kiban.office.members.models import PasswordReset, Person
from kiban.office.notices import service as notices
from kiban.office.notices.service import Message
from kiban.office.settings import Settings
from kiban.office.work import Work

RESET_VALID = timedelta(minutes=30)


@functools.cache
def _hashing(passes: int) -> PasswordHashing:
    return PasswordHashing(passes=passes)


def hashing(settings: Settings) -> PasswordHashing:
    """One for the whole process: it bounds how many are computed at once."""
    return _hashing(settings.password_cost)


def set_password(work: Work, person: Person, password: str, *, where: str = "password") -> None:
    """Give a person a password, after checking that it is not easily guessed.

    Raises:
        Invalid: what `check_password` refuses.
    """
    check_password(
        password, second_factor=person.totp_secret is not None, about=(person.email, person.name, "kiban"), where=where
    )
    person.password_hash = hashing(work.settings).hash(password)


def tell_of_change(work: Work, person: Person) -> None:
    """So that an owner learns of a change that was not theirs."""
    notices.notify(
        work,
        cause=f"person:{person.id}:password-changed:{work.now.isoformat()}",
        event="members.password_changed",
        emails=[person.email],
        ja=Message(
            "パスワードが変更されました",
            "あなたのアカウントのパスワードが変更されました。心当たりがない場合は、事務局へ至急ご連絡ください。",
        ),
        en=Message(
            "Your password was changed",
            "The password of your account was changed. If this was not you, tell the programme's office at once.",
        ),
        link=Link(Place.ACCOUNT),
        payload={"person_id": str(person.id)},
        language=person.language,
    )


def ask_reset(work: Work, email: str) -> None:
    """Send a link that sets a new password, if there is such an account; the caller is told the same either way.

    Raises:
        TooMany: for this address or this account, whether it exists or not.
    """
    address = normalise_email(email)
    attempts.claim_reset(work, address)
    person = repository.person_by_email(work.session, address)
    if person is None or person.disabled_at is not None:
        return
    token = secrets.token_urlsafe(32)
    reset = PasswordReset(
        digest=token_digest(token), person_id=person.id, created_at=work.now, expires_at=work.now + RESET_VALID
    )
    repository.add(work.session, reset)
    notices.notify(
        work,
        cause=f"reset:{reset.digest[:16]}",
        event="members.reset_requested",
        emails=[person.email],
        ja=Message(
            "パスワードの再設定",
            "心当たりがない場合は、このメールを破棄してください。\n\n"
            "次のリンクから30分以内に新しいパスワードを設定してください。",
        ),
        en=Message(
            "Set a new password",
            "If you did not ask for this, ignore this mail.\n\nSet a new password within 30 minutes:",
        ),
        link=Link(Place.RESET_PASSWORD, token=token),
        payload={"person_id": str(person.id)},
        language=person.language,
    )


def reset(work: Work, token: str, new_password: str) -> None:
    """Set a new password with the link's token, which works once. Every session ends; a second factor stays in force.

    Raises:
        NotFound: a token that is unknown, used or expired.
        Invalid: what `check_password` refuses; the token stays good.
    """
    digest = token_digest(token)
    found = credentials_repository.reset_by_digest(work.session, digest)
    # The person before the link, as whoever ends links does: of two links used at once each would wait for the other.
    person = None if found is None else repository.person_by_id(work.session, found.person_id, lock=True)
    row = credentials_repository.reset_by_digest(work.session, digest, lock=True)
    if (
        row is None
        or row.used_at is not None
        or work.now >= row.expires_at
        or person is None
        or person.disabled_at is not None
    ):
        raise NotFound("this link is not valid any more", where="token", hint="ask for a new one")
    set_password(work, person, new_password, where="new_password")
    credentials_repository.spend_resets(work.session, person.id, work.now)
    credentials_repository.revoke_sessions(work.session, person.id, work.now)
    attempts.unlock_account(work, person.email)
    audit.record(work, "members.password_reset", "person", person.id)
    tell_of_change(work, person)
