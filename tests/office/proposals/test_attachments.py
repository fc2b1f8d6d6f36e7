from __future__ import annotations

import hashlib
import io
import uuid
from pathlib import Path
from typing import Any

import pytest

from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.proposals import attachments, storage
from kiban.office.proposals.outputs import AttachmentOut
from kiban.office.work import Role

from ..conftest import TestClock
from .conftest import Season


def attach(season: Season, proposal_id: uuid.UUID, name: str = "計画.txt", data: bytes = b"plan") -> AttachmentOut:
    with (
        attachments.received(season.office.settings, name, io.BytesIO(data)) as given,
        season.office.work(season.applicant) as work,
    ):
        return attachments.attach(work, proposal_id, given)


def files(season: Season) -> set[str]:
    return {path.name for path in season.office.settings.attachments.rglob("*") if path.is_file()}


def test_bytes_are_kept_by_their_digest_and_come_back_to_be_saved(season: Season) -> None:
    proposal_id = season.draft()
    given = attach(season, proposal_id, "../../etc/計画\r\nX: y.txt")
    assert given.sha256 == hashlib.sha256(b"plan").hexdigest()
    assert files(season) == {given.sha256}
    with season.office.work(season.applicant, read_only=True) as work:
        sent = attachments.download(work, proposal_id, given.id)
    assert sent.path.read_bytes() == b"plan"
    assert sent.path.parent.name == given.sha256[:2]
    assert sent.headers["Content-Disposition"].startswith("attachment;")
    assert sent.headers["X-Content-Type-Options"] == "nosniff"
    assert not {"/", "\r", "\n"} & set(given.name + sent.headers["Content-Disposition"])


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.exe", b"MZ\x90\x00"), ("a.pdf", b"plain text"), ("a.txt", b""), ("a.zip", b"PK\x05\x06" + bytes(18))],
)
def test_what_the_inspection_refuses_leaves_nothing(season: Season, name: str, data: bytes) -> None:
    proposal_id = season.draft()
    with pytest.raises(Invalid):
        attach(season, proposal_id, name, data)
    assert files(season) == set()


class Endless(io.RawIOBase):
    """Never ends, and counts what was read of it."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += size
        return bytes(size)


def test_a_stream_without_end_is_cut_off_at_the_limit(season: Season, tmp_path: Path) -> None:
    stream: Any = Endless()
    with pytest.raises(Invalid, match="larger"), storage.staged(tmp_path / "files", stream, 3 * storage.CHUNK_BYTES):
        pass
    assert stream.given == 4 * storage.CHUNK_BYTES
    assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == []


def test_files_are_limited_in_number_and_together(season: Season, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal_id = season.draft()
    first = attach(season, proposal_id)
    assert attach(season, proposal_id).id == first.id  # the same again is the one that is there
    monkeypatch.setattr(attachments, "MOST_TOTAL_BYTES", 7)
    with pytest.raises(Conflict, match="together"):
        attach(season, proposal_id, "b.txt", b"more")
    monkeypatch.setattr(attachments, "MOST_FILES", 1)
    with pytest.raises(Conflict, match="1 files"), season.office.work(season.applicant) as work:
        attachments.check_room(work, proposal_id)


def test_a_removed_file_stays_with_the_submission_that_had_it(season: Season) -> None:
    proposal_id = season.draft()
    first = attach(season, proposal_id)
    season.submit(proposal_id)
    with season.office.work(season.applicant) as work:
        attachments.remove(work, proposal_id, first.id)
    second = attach(season, proposal_id, "後から.txt", b"later")
    panel = season.rows.actor(Role.PANEL)
    with season.office.work(panel, read_only=True) as work:
        assert [row.id for row in attachments.list_attachments(work, proposal_id)] == [first.id]
        assert attachments.download(work, proposal_id, first.id).path.read_bytes() == b"plan"
        with pytest.raises(NotFound):
            attachments.download(work, proposal_id, second.id)
    with season.office.work(season.applicant, read_only=True) as work:
        assert [row.id for row in attachments.list_attachments(work, proposal_id)] == [second.id]


def test_only_files_that_nobody_refers_to_are_collected(season: Season, clock: TestClock) -> None:
    proposal_id = season.draft()
    submitted, removed, kept = (
        attach(season, proposal_id, f"{name}.txt", name.encode()) for name in ("submitted", "removed", "kept")
    )
    with season.office.work(season.applicant) as work:
        attachments.remove(work, proposal_id, removed.id)
    season.submit(proposal_id)
    with season.office.work(season.applicant) as work:
        attachments.remove(work, proposal_id, submitted.id)
    with season.office.work() as work:
        assert attachments.collect_garbage(work) == 0  # they are young: a work may not have committed yet
        assert attachments.collect_garbage(work, least_age_seconds=-1) == 1
    assert files(season) == {submitted.sha256, kept.sha256}
    with pytest.raises(Forbidden), season.office.work(season.applicant) as work:
        attachments.collect_garbage(work)
