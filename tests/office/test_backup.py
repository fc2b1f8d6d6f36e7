from __future__ import annotations

import io
import os
import signal
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import zstandard

from kiban.kit.errors import BadInput, Refused
from kiban.office import backup as backups
from kiban.office import rows as row_format
from kiban.office import schema
from kiban.office.audit import service as audit
from kiban.office.database import Database
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.tables import METADATA
from kiban.office.work import Ids, Role

from .conftest import Rows, TestClock


@pytest.fixture
def filled(office: Office, rows: Rows) -> Office:
    """An office with rows of many kinds, an attachment and a key."""
    with office.database.engine.begin() as connection:
        schema.stamp(connection)
    organisation = rows.organisation(name_ja='日本語\u3000名前 😀"\\\n')
    person = rows.person(Role.APPLICANT, organisation=organisation)
    pool = rows.pool(pue=1.1)
    rows.proposal(rows.call(pool), organisation, person, pool=pool, body={"n": [1, 2.5, None, {"x": "é"}]})
    with office.work() as work:
        audit.record(work, "test.done", "person", person.id, figures=[1, 2])
    folder = office.settings.attachments / "ab"
    folder.mkdir(parents=True)
    (folder / "abcdef").write_bytes(bytes(range(256)) * 100)
    office.settings.key_file.write_text("the key")
    return office


@pytest.fixture
def other(tmp_path: Path, clock: TestClock) -> Iterator[Office]:
    """An empty office on SQLite, whatever the first is on: backups fit both."""
    home = tmp_path / "other"
    made = Office(Settings(home=home, store=home), clock=clock, ids=Ids(seed=2))
    yield made
    made.close()


def _digests(database: Database) -> dict[str, tuple[str, int]]:
    with database.engine.connect() as connection:
        return {
            table.name: row_format.digest(row_format.read_lines(connection, table))
            for table in row_format.tables(METADATA)
        }


def test_every_row_and_file_comes_back(filled: Office, other: Office, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.zst"
    made = backups.backup(filled, file)
    restored = backups.restore(other, file)
    assert restored == made
    assert _digests(other.database) == _digests(filled.database)
    assert made.rows == sum(count for _, count in _digests(filled.database).values()) > 10
    attachment = Path("ab/abcdef")
    assert (other.settings.attachments / attachment).read_bytes() == (
        filled.settings.attachments / attachment
    ).read_bytes()
    with other.database.engine.connect() as connection:
        assert schema.state_of(connection).is_current
    with other.work() as work:  # numbers go on after those that came back
        audit.record(work, "test.after", "person", "x")


def test_a_backup_goes_back_where_it_came_from(filled: Office, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.zst"
    before = _digests(filled.database)
    backups.backup(filled, file)
    with pytest.raises(Refused, match="not empty"):
        backups.restore(filled, file)
    assert _digests(filled.database) == before
    Rows(filled).count = 100
    with filled.work() as work:
        audit.record(work, "test.later", "person", "x")
    backups.restore(filled, file, force=True)
    assert _digests(filled.database) == before
    with filled.work() as work:
        audit.record(work, "test.again", "person", "x")
    assert _digests(filled.database)["audit_events"][1] == before["audit_events"][1] + 1


def test_the_key_is_in_it_only_when_asked_for(filled: Office, other: Office, tmp_path: Path) -> None:
    backups.backup(filled, tmp_path / "without")
    backups.restore(other, tmp_path / "without")
    assert not other.settings.key_file.exists()
    backups.backup(filled, tmp_path / "with", with_key=True)
    backups.restore(other, tmp_path / "with", force=True)
    assert other.settings.key_file.read_text() == "the key"
    assert other.settings.key_file.stat().st_mode & 0o077 == 0


def test_a_flipped_bit_anywhere_is_found(filled: Office, other: Office, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.zst"
    backups.backup(filled, file)
    whole = file.read_bytes()
    plain = _plain(whole)
    found = 0
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        changed = bytearray(whole)
        changed[at] ^= 0x10
        if _plain(bytes(changed)) == plain:  # Zstandard has bits that mean nothing: the backup is what it was
            continue
        found += 1
        file.write_bytes(changed)
        with pytest.raises(BadInput):
            backups.verify(file)
    assert found > 55
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput):
        backups.restore(other, file)
    assert schema.state(other.database).revision is None


def _plain(packed: bytes) -> bytes | None:
    """What Zstandard makes of it; None where it finds it damaged."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)) as reader:
            return reader.read()
    except zstandard.ZstdError:
        return None


def _rewritten(file: Path, change: dict[str, bytes]) -> None:
    """The same archive with other bytes in some files, compressed anew: what no checksum of Zstandard finds."""
    plain = zstandard.ZstdDecompressor().stream_reader(file.open("rb")).read()
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(plain)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            data = old.extractfile(member).read()  # type: ignore[union-attr]
            data = change.pop(member.name, data)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
        for name, data in change.items():
            extra = tarfile.TarInfo(name)
            extra.size = len(data)
            new.addfile(extra, io.BytesIO(data))
    file.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(out.getvalue()))


@pytest.mark.parametrize("name", ["tables/people.jsonl", "attachments/ab/abcdef", "attachments/../../evil"])
def test_files_that_are_not_the_manifest_s_are_refused(
    filled: Office, other: Office, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "b.tar.zst"
    backups.backup(filled, file)
    _rewritten(file, {name: b'{"id": 1}\n'})
    with pytest.raises(BadInput):
        backups.restore(other, file)
    assert not (tmp_path / "evil").exists()


def test_a_backup_is_of_one_instant_while_others_write(filled: Office, other: Office, tmp_path: Path) -> None:
    stop = threading.Event()
    written = []

    def write() -> None:
        while not stop.is_set():
            with filled.work() as work:  # two rows that belong together
                audit.record(work, "test.first", "person", str(len(written)))
                audit.record(work, "test.second", "person", str(len(written)))
            written.append(1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(3):
            backups.backup(filled, tmp_path / "b.tar.zst")
    finally:
        stop.set()
        thread.join()
    assert len(written) > 3
    backups.restore(other, tmp_path / "b.tar.zst")
    with other.work(read_only=True) as work:
        count = "SELECT count(*) FROM audit_events WHERE action = :action"
        first, second = (
            work.session.scalar(sa.text(count), {"action": action}) for action in ("test.first", "test.second")
        )
    assert first == second
    assert first


def test_a_failed_backup_leaves_the_one_before(filled: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "b.tar.zst"
    backups.backup(filled, file)
    before = file.read_bytes()

    def fail(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backups, "_add_file", fail)
    with pytest.raises(KeyboardInterrupt):
        backups.backup(filled, file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.glob("*b.tar.zst*")] == ["b.tar.zst"]


def test_a_backup_that_is_killed_leaves_the_one_before_and_the_next_one_cleans_up(
    filled: Office, tmp_path: Path
) -> None:
    file = tmp_path / "b.tar.zst"
    backups.backup(filled, file)
    before = file.read_bytes()
    # At three moments: while it is written, before it is checked, and before it takes its place.
    for moment in ("_add_file", "verify", "fsync"):
        child = os.fork()
        if child == 0:
            setattr(backups, moment, lambda *given: os.kill(os.getpid(), signal.SIGKILL))
            backups.backup(Office(filled.settings), file)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        if moment == "fsync":  # it is in its place, whole
            assert backups.verify(file).rows > 0
        else:
            assert file.read_bytes() == before
    backups.backup(filled, file)
    assert [path.name for path in tmp_path.glob("*b.tar.zst*")] == ["b.tar.zst"]


def test_a_backup_of_other_tables_is_refused(
    filled: Office, other: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "b.tar.zst"
    backups.backup(filled, file)
    monkeypatch.setattr("kiban.office.schema.head", lambda: "9999")
    with pytest.raises(BadInput, match="revision 0001"):
        backups.restore(other, file)
