"""Files beside a proposal: received, inspected, kept by their digest, and given out under safe names.

`received` takes a file in and looks inside it without a transaction, for that takes seconds; `attach` then records it.
A removed file's row stays. What was part of a submission is still what reviewers read.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from kiban.kit.units import format_bytes
from kiban.office.audit import service as audit
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.guards.attachments import AttachmentReport, inspect_attachment
from kiban.office.guards.file_name import content_disposition, safe_file_name
from kiban.office.proposals import drafts, repository, service, storage
from kiban.office.proposals.models import Attachment
from kiban.office.proposals.outputs import AttachmentOut
from kiban.office.proposals.policy import View
from kiban.office.proposals.repository import Seen
from kiban.office.settings import Settings
from kiban.office.work import Role, Work

MOST_FILES: Final = 20
MOST_FILE_BYTES: Final = 20 * 2**20
MOST_TOTAL_BYTES: Final = 100 * 2**20
ORPHAN_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True)
class Received:
    """A file that was taken in and found clean, waiting for its row."""

    name: str
    file: storage.Staged
    report: AttachmentReport


@dataclass(frozen=True)
class Download:
    path: Path
    media_type: str
    headers: dict[str, str]


def check_room(work: Work, proposal_id: uuid.UUID, more_bytes: int = 0) -> None:
    """Whether this person may attach another file now: asked before anything is taken in.

    Raises:
        NotFound, Forbidden, Conflict: as `drafts.writable`, or there are too many files already.
    """
    _room(work, drafts.writable(work, proposal_id), more_bytes)


@contextmanager
def received(settings: Settings, name: str, stream: IO[bytes]) -> Iterator[Received]:
    """Take a file in and inspect it; what is not attached inside the block is gone after it.

    Raises:
        Invalid: empty, too large, or the inspection refuses it, with what it found.
    """
    safe = safe_file_name(name)
    with storage.staged(settings.attachments, stream, MOST_FILE_BYTES) as file:
        report = inspect_attachment(safe, file.path)
        if report.refused:
            found = " ".join(each.en for each in report.findings if each.level == "refuse")
            raise Invalid(f"{safe}: {found}", where="file")
        yield Received(safe, file, report)


def attach(work: Work, proposal_id: uuid.UUID, given: Received) -> AttachmentOut:
    """Keep a file beside a proposal. The same bytes under the same name again are the file that is there.

    Raises:
        NotFound, Forbidden, Conflict: as `check_room`.
    """
    seen = drafts.writable(work, proposal_id)
    for each in repository.attachments(work.session, proposal_id):
        if (each.name, each.sha256) == (given.name, given.file.sha256):
            return _out(each)
    _room(work, seen, given.file.bytes)
    row = Attachment(
        id=work.new_id(),
        proposal_id=proposal_id,
        name=given.name,
        media_type=given.report.media_type,
        bytes=given.file.bytes,
        sha256=given.file.sha256,
        inspection=given.report.model_dump(mode="json"),
        uploaded_by=work.actor.person_id or seen.proposal.created_by,
        uploaded_at=work.now,
    )
    # On disk first: a row without its file would be a promise nobody can keep, a file without a row is collected.
    storage.keep(work.settings.attachments, given.file)
    repository.add(work.session, row)
    return _out(row)


def list_attachments(work: Work, proposal_id: uuid.UUID) -> list[AttachmentOut]:
    """Those of the draft, or, for who sees the submitted version alone, those that were submitted with it.

    Raises:
        NotFound: no such proposal that this person sees.
    """
    seen = service.see(work, proposal_id)
    return [_out(row, blind_name=name) for row, name in _visible(work, seen)]


def remove(work: Work, proposal_id: uuid.UUID, attachment_id: uuid.UUID) -> None:
    """Take a file out of the draft.

    Raises:
        NotFound, Forbidden, Conflict: as `drafts.writable`; or no such file.
    """
    drafts.writable(work, proposal_id)
    row = next((row for row in repository.attachments(work.session, proposal_id) if row.id == attachment_id), None)
    if row is None:
        raise NotFound("there is no such file", where="attachment_id")
    row.removed_at = work.now
    work.session.flush()


def put_back(work: Work, proposal_id: uuid.UUID, attachment_id: uuid.UUID) -> AttachmentOut:
    """Undo `remove`, within the day or so for which files that nothing refers to are kept.

    Raises:
        NotFound, Forbidden, Conflict: as `check_room`; or no such file, or it has been cleared away meanwhile.
    """
    seen = drafts.writable(work, proposal_id)
    row = next(iter(repository.attachments_by_id(work.session, proposal_id, [attachment_id])), None)
    if row is None:
        raise NotFound("there is no such file", where="attachment_id")
    storage.kept_file(work.settings.attachments, row.sha256)
    if row.removed_at is not None:
        _room(work, seen, row.bytes)
        row.removed_at = None
        work.session.flush()
    return _out(row)


def download(work: Work, proposal_id: uuid.UUID, attachment_id: uuid.UUID) -> Download:
    """Where the bytes are, and the headers to send them with: always to be saved, never shown in the office's pages.

    Raises:
        NotFound: no such file that this person sees.
    """
    seen = service.see(work, proposal_id)
    for row, blind_name in _visible(work, seen):
        if row.id == attachment_id:
            headers = {
                "Content-Disposition": content_disposition(blind_name or row.name),
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "sandbox; default-src 'none'",
                "Cache-Control": "private, no-store",
            }
            path = storage.kept_file(work.settings.attachments, row.sha256)
            return Download(path, row.media_type, headers)
    raise NotFound("there is no such file", where="attachment_id")


def collect_garbage(work: Work, *, least_age_seconds: float = ORPHAN_SECONDS) -> int:
    """Delete files that neither a proposal nor a submission refers to any more; returns how many.

    Raises:
        Forbidden: not an operator.
    """
    work.require(Role.OPERATOR)
    kept = repository.kept_files(work.session)
    removed = storage.remove_orphans(work.settings.attachments, kept, least_age_seconds)
    if removed:
        audit.record(work, "proposals.files_collected", "attachments", "all", files=len(removed))
    return len(removed)


def _room(work: Work, seen: Seen, more_bytes: int) -> None:
    rows = repository.attachments(work.session, seen.proposal.id)
    if len(rows) >= MOST_FILES:
        raise Conflict(f"a proposal has {MOST_FILES} files at most", where="file", hint="remove one first")
    if sum(row.bytes for row in rows) + more_bytes > MOST_TOTAL_BYTES:
        raise Conflict(f"a proposal's files have {format_bytes(MOST_TOTAL_BYTES)} at most together", where="file",
                       hint="remove one first")  # fmt: skip


def _visible(work: Work, seen: Seen) -> list[tuple[Attachment, str]]:
    """Rows that this person sees, each with the name to say instead of its own (empty: its own)."""
    proposal_id = seen.proposal.id
    if seen.view is View.WHOLE:
        return [(row, "") for row in repository.attachments(work.session, proposal_id)]
    last = repository.last_submission(work.session, proposal_id)
    ids = [uuid.UUID(str(each["id"])) for each in last.attachments] if last else []
    rows = repository.attachments_by_id(work.session, proposal_id, ids)
    if seen.view is View.BLIND:
        return [(row, _blind_name(row, place)) for place, row in enumerate(rows, start=1)]
    return [(row, "") for row in rows]


def _blind_name(row: Attachment, place: int) -> str:
    extension = str(row.inspection.get("extension") or "")
    return f"attachment-{place}.{extension}" if extension else f"attachment-{place}"


def _out(row: Attachment, blind_name: str = "") -> AttachmentOut:
    return AttachmentOut(
        id=row.id,
        name=blind_name or row.name,
        media_type=row.media_type,
        bytes=row.bytes,
        sha256=row.sha256,
        findings=list(row.inspection.get("findings", [])) if not blind_name else [],
        uploaded_at=row.uploaded_at,
    )
