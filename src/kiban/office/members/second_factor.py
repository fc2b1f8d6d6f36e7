"""The second factor of local accounts: enrolled in two steps, replaced by its owner, removed by an operator."""

from __future__ import annotations

import functools
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

from kiban.office.audit import service as audit
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.guards.second_factor import (
    RECOVERY_CODE_BYTES,
    RECOVERY_CODES,
    SECRET_BYTES,
    recovery_codes,
    recovery_digest,
    spend_recovery_code,
    totp_secret,
    totp_uri,
    verify_totp,
)
from kiban.office.guards.secret_box import SecretBox
from kiban.office.guards.text import clean_text
from kiban.office.members import credentials_repository, repository, sessions
from kiban.office.members.models import Person
from kiban.office.members.schemas import TotpEnrolment
from kiban.office.work import Role, Work

ISSUER = "kiban"


@functools.cache
def _box(path: Path) -> SecretBox:
    return SecretBox.from_file(path)


@dataclass(frozen=True)
class State:
    """Of one's own second factor.

    Attributes:
        is_fresh: whether this session is recent enough to change it.
        begun: an enrolment that waits for its confirmation; told only in a recent session.
    """

    is_enrolled: bool
    codes_left: int
    is_strong: bool
    is_fresh: bool
    begun: TotpEnrolment | None


def state(work: Work) -> State:
    """Raises: Forbidden: an API token was shown."""
    sessions.require_browser(work)
    assert work.actor.session_id is not None
    session = credentials_repository.browser_session(work.session, work.actor, work.actor.session_id)
    person = repository.person_by_id(work.session, work.person_id)
    assert session is not None
    assert person is not None
    is_fresh = sessions.is_fresh(session, work.now)
    begun = None
    if is_fresh and person.totp_pending is not None:
        begun = _enrolment(person, _box(work.settings.key_file).open(person.totp_pending, _context(person)).decode())
    is_enrolled = person.totp_secret is not None
    return State(is_enrolled, len(person.recovery_digests), session.is_strong, is_fresh, begun)


def begin(work: Work) -> TotpEnrolment:
    """A new secret, which counts from its confirmation on; until then the old one, if any, stays.

    Raises:
        Forbidden: no recent sign-in: who finds an open session must not take the account over.
    """
    sessions.require_fresh(work)
    person = _self(work)
    secret = totp_secret(secrets.token_bytes(SECRET_BYTES))
    person.totp_pending = _box(work.settings.key_file).seal(secret.encode(), _context(person))
    return _enrolment(person, secret)


def confirm(work: Work, code: str) -> list[str]:
    """Put the new secret into force, with a code from it. This session counts as strong from now on.

    Returns:
        Recovery codes, shown this once; earlier ones stop working.

    Raises:
        Conflict: nothing was begun.
        Invalid: a wrong code.
    """
    session = sessions.require_fresh(work)
    person = _self(work)
    if person.totp_pending is None:
        raise Conflict("no enrolment was begun", hint="begin one first")
    secret = _box(work.settings.key_file).open(person.totp_pending, _context(person)).decode()
    step = verify_totp(secret, code, work.now, None)
    if step is None:
        raise Invalid("this is not the present code", where="code", hint="check the clock of the device")
    person.totp_secret, person.totp_pending, person.totp_last_step = person.totp_pending, None, step
    codes = _new_recovery_codes(person)
    session.is_strong = True
    credentials_repository.revoke_sessions(work.session, person.id, work.now, keep=session.id)
    audit.record(work, "members.second_factor_enrolled", "person", person.id)
    return codes


def renew_recovery_codes(work: Work) -> list[str]:
    """New recovery codes instead of all earlier ones.

    Raises:
        Forbidden: no recent sign-in.
        Conflict: there is no second factor.
    """
    sessions.require_fresh(work)
    person = _self(work)
    if person.totp_secret is None:
        raise Conflict("there is no second factor to recover")
    audit.record(work, "members.recovery_codes_renewed", "person", person.id)
    return _new_recovery_codes(person)


def remove(work: Work, person_id: uuid.UUID, reason: str) -> None:
    """For somebody who lost the device and the recovery codes. Their sessions and tokens end.

    Raises:
        Forbidden: only operators.
        NotFound: no such person.
    """
    work.require(Role.OPERATOR)
    reason = clean_text(reason, max_chars=2000, where="reason")
    person = repository.person_by_id(work.session, person_id, lock=True)
    if person is None:
        raise NotFound("there is no such person", where=str(person_id))
    person.totp_secret = person.totp_pending = person.totp_last_step = None
    person.recovery_digests = []
    credentials_repository.revoke_sessions(work.session, person.id, work.now)
    credentials_repository.revoke_tokens(work.session, person.id, work.now)
    audit.record(work, "members.second_factor_removed", "person", person.id, reason=reason)


def accept(work: Work, person: Person, code: str) -> bool:
    """Whether `code` is the person's present one, or a recovery code; either works once. `person` must be locked."""
    if person.totp_secret is None:
        return False
    secret = _box(work.settings.key_file).open(person.totp_secret, _context(person)).decode()
    step = verify_totp(secret, code, work.now, person.totp_last_step)
    if step is not None:
        person.totp_last_step = step
        return True
    left = spend_recovery_code(code, person.recovery_digests)
    if left is None:
        return False
    person.recovery_digests = left
    audit.record(work, "members.recovery_code_used", "person", person.id, left=len(left))
    return True


def _new_recovery_codes(person: Person) -> list[str]:
    codes = recovery_codes(secrets.token_bytes(RECOVERY_CODES * RECOVERY_CODE_BYTES))
    person.recovery_digests = [recovery_digest(code) for code in codes]
    return codes


def _self(work: Work) -> Person:
    person = repository.person_by_id(work.session, work.person_id, lock=True)
    assert person is not None
    return person


def _enrolment(person: Person, secret: str) -> TotpEnrolment:
    return TotpEnrolment(secret=secret, uri=totp_uri(secret, account=person.email, issuer=ISSUER))


def _context(person: Person) -> str:
    return f"totp:{person.id}"
