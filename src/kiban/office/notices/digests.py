"""Daily digests: the mails of a day in one, for those who want them so."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, time, timedelta

from kiban.office.links import Link, Place
from kiban.office.notices import repository
from kiban.office.notices.models import Channel, Notice, NoticeStatus
from kiban.office.notices.service import BETWEEN_PARTS, Message, add_digest
from kiban.office.work import JST, Work

AT = time(8, tzinfo=JST)


def write_due(work: Work) -> int:
    """Put everybody's digest of the day into the outbox, with what was written before 8:00 in Japan.

    A mail is marked as part of a digest in the transaction that writes it, so that a process that dies leaves both or
    neither; the digest is then delivered as every mail is. There is one a day: what was committed after it, or waits
    because its reader is disabled, goes with a later one.

    Returns:
        How many were written.
    """
    before = datetime.combine(work.now.astimezone(JST), AT)
    if before > work.now:
        before -= timedelta(days=1)
    waiting: dict[str, list[Notice]] = defaultdict(list)
    for row in repository.for_digest(work.session, before=before):
        waiting[row.recipient].append(row)
    cause = f"digest:{before:%Y-%m-%d}"
    already = repository.told(work.session, cause, Channel.MAIL, list(waiting))
    people = repository.people_by_email(work.session, waiting)
    written = 0
    for email, rows in waiting.items():
        person = people.get(email)
        if email in already or (person is not None and person.disabled_at is not None):
            continue
        message = _digest(work, rows, "ja" if person is None else person.language)
        digest = add_digest(work, cause=cause, email=email, message=message)
        work.session.flush()
        for row in rows:
            row.status, row.digest_id = NoticeStatus.IN_DIGEST, digest.id
        written += 1
    return written


def _digest(work: Work, rows: list[Notice], language: str) -> Message:
    """Each mail's subject and text in its first language, which is the reader's."""
    parts = [f"■ {row.subject}\n{row.body.partition(BETWEEN_PARTS)[0].strip()}" for row in rows]
    page = Link(Place.NOTICES).url(work.settings, language)
    if language == "en":
        head, tail = f"Your notices since the last digest: {len(rows)}", f"All of your notices: {page}"
    else:
        head, tail = f"前回からのお知らせ（{len(rows)}件）", f"これまでのお知らせ: {page}"
    return Message(head, "\n\n".join([*parts, f"----\n{tail}\n"]))
