"""Idempotency keys, as in the IETF draft "The Idempotency-Key HTTP Header Field" (2025).

A key belongs to a person and to one request. It is written down in the transaction of the request's effect: a crash
leaves both or neither, a refused request leaves no trace and may be sent again, and a second request that arrives
while the first is under way waits for its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from kiban.office.errors import Conflict, Invalid
from kiban.office.guards.secret_box import SecretBox
from kiban.office.idempotency import repository
from kiban.office.work import Work

KEPT = timedelta(hours=48)
LONGEST = 128


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def recall(work: Work, key: str, fingerprint: str) -> Answer | None:
    """The answer to an earlier request with this key; None: there is none, and the key is now this request's.

    Raises:
        Invalid: no such key can be (1 to 128 visible ASCII characters), or it was used for another request.
    """
    if not 1 <= len(key) <= LONGEST or not all("!" <= character <= "~" for character in key):
        raise Invalid(f"a key has 1 to {LONGEST} visible ASCII characters", where="Idempotency-Key")
    if repository.claim(work.session, work.person_id, key, fingerprint, work.now):
        return None
    found = repository.find(work.session, work.person_id, key)
    if found is None:  # purged between the two statements
        raise Conflict("the key is being given up", where="Idempotency-Key", hint="send the request again")
    if found.fingerprint != fingerprint:
        raise Invalid("the key was used for another request", where="Idempotency-Key", hint="take a new key")
    if found.status is None:
        raise Conflict("the first request with this key is under way", where="Idempotency-Key", hint="wait and repeat")
    sealed = SecretBox.from_file(work.settings.key_file).open(found.body, _context(work, key))
    return Answer(found.status, dict(found.headers), sealed)


def remember(work: Work, key: str, answer: Answer) -> None:
    """Keep what this request is answered, for 48 hours."""
    box = SecretBox.from_file(work.settings.key_file)
    sealed = box.seal(answer.body, _context(work, key))
    repository.keep(work.session, work.person_id, key, answer.status, answer.headers, sealed)


def forget(work: Work, key: str) -> None:
    """Give the key up: the answer is no thing that can be kept."""
    repository.remove(work.session, work.person_id, key)


def forget_old(work: Work) -> int:
    """Remove the keys of more than 48 hours ago; how many there were."""
    return repository.remove_before(work.session, work.now - KEPT)


def _context(work: Work, key: str) -> str:
    return f"idempotency:{work.person_id}:{key}"
