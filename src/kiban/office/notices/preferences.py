"""Which mails a person wants when, and the link at the end of a mail that ends its kind without a sign-in."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from kiban.office.errors import NotFound
from kiban.office.guards.secret_box import SecretBox
from kiban.office.links import Link, Place
from kiban.office.members.models import Person
from kiban.office.notices import repository
from kiban.office.notices.models import MailKind, MailPreference, Notice, NoticeStatus, Timing
from kiban.office.notices.policy import ALWAYS, DIGEST_EVENT, kind_of
from kiban.office.notices.schemas import MailPreferences
from kiban.office.notices.service import WHEN
from kiban.office.work import Work

CHOSEN = tuple(kind for kind in MailKind if kind not in ALWAYS)
_CONTEXT = "unsubscribe"


def own(work: Work) -> MailPreferences:
    """Raises: Unauthenticated: nobody is signed in."""
    return _as_chosen(work, work.person_id)


def change_own(work: Work, given: MailPreferences) -> MailPreferences:
    """Choose for every kind. What waits for a digest goes at once, or not at all, if its kind now does.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    person = repository.person(work.session, work.person_id, lock=True)
    assert person is not None
    _choose(work, person, {kind: getattr(given, kind) for kind in CHOSEN})
    return given


def unsubscribe_link(work: Work, notice: Notice) -> tuple[Link, str] | None:
    """The link at the end of a mail and its reader's language; None: a mail that cannot be turned off, or to no member.

    Raises:
        KibanError: the office's key cannot be read.
    """
    events = repository.events_in(work.session, notice.id) if notice.event == DIGEST_EVENT else {notice.event}
    kinds = sorted({kind_of(event) for event in events} - ALWAYS)
    person = repository.people_by_email(work.session, [notice.recipient]).get(notice.recipient)
    if not kinds or person is None:
        return None
    text = f"{person.id.hex}.{'-'.join(kinds)}"
    signature = SecretBox.from_file(work.settings.key_file).sign(text, _CONTEXT)
    return Link(Place.UNSUBSCRIBE, token=f"{text}.{signature}"), person.language


def named_by(work: Work, token: str) -> dict[MailKind, Timing]:
    """The kinds that a link is for, and what is chosen for them now.

    Raises:
        NotFound: not a link of ours, or its person is gone.
    """
    person, kinds = _opened(work, token)
    chosen = _as_chosen(work, person.id)
    return {kind: getattr(chosen, kind) for kind in kinds}


def choose_by(work: Work, token: str, wanted: Mapping[MailKind, Timing]) -> None:
    """Choose for the kinds that a link is for, and no others; OFF where nothing is wanted. Twice does no harm.

    Raises:
        NotFound: as `named_by`.
    """
    person, kinds = _opened(work, token, lock=True)
    _choose(work, person, {kind: wanted.get(kind, Timing.OFF) for kind in kinds})


def _opened(work: Work, token: str, *, lock: bool = False) -> tuple[Person, list[MailKind]]:
    text, _, signature = token.rpartition(".")
    if not SecretBox.from_file(work.settings.key_file).is_signed(text, signature, _CONTEXT):
        raise NotFound("this link is not valid", where="token", hint="copy the whole of it from the mail")
    person_hex, _, kinds = text.partition(".")
    person = repository.person(work.session, uuid.UUID(person_hex), lock=lock)
    if person is None:
        raise NotFound("this link is not valid any more", where="token")
    return person, [MailKind(kind) for kind in kinds.split("-")]


def _as_chosen(work: Work, person_id: uuid.UUID) -> MailPreferences:
    rows = repository.preferences(work.session, person_id)
    return MailPreferences.model_validate({str(kind): row.timing for kind, row in rows.items()})


def _choose(work: Work, person: Person, wanted: Mapping[MailKind, Timing]) -> None:
    """The person's row is locked."""
    rows = repository.preferences(work.session, person.id)
    for kind, timing in wanted.items():
        row = rows.get(kind)
        if row is None:
            row = MailPreference(person_id=person.id, kind=kind, timing=timing, changed_at=work.now)
            work.session.add(row)
        elif row.timing is not timing:
            row.timing, row.changed_at = timing, work.now
    for notice in repository.for_digest(work.session, recipient=person.email):
        notice.status = WHEN[wanted.get(kind_of(notice.event), Timing.DAILY)]
        if notice.status is NoticeStatus.WAITING:
            notice.next_at = work.now
    work.session.flush()
