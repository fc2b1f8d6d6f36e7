"""Backups: one file with every row and attachment, made while the office works, the same format on both databases.

A backup is a tar archive compressed with Zstandard: `tables/<name>.jsonl`, `attachments/…`, and last `manifest.json`
with the SHA-256 and size of each file, the number of rows and the heads of the chains over the ledger and the audit
record. The rows are those of one instant: a REPEATABLE READ transaction on PostgreSQL, a read transaction in WAL mode
on SQLite, and neither keeps writers waiting. Attachments are files that are never changed and are there before the rows
that name them.

The key that encrypts second factors and webhook secrets is left out unless asked for: who steals a backup then has
them in encrypted form only. It changes rarely; keep it elsewhere.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import sqlalchemy as sa
import zstandard
from pydantic import Field, ValidationError

import kiban
from kiban.kit.errors import BadInput, Refused
from kiban.kit.files import check_writable, fsync
from kiban.office import rows, schema
from kiban.office.audit.models import AuditLink
from kiban.office.ledger.models import LedgerHead
from kiban.office.office import Office
from kiban.office.schemas import Schema
from kiban.office.tables import METADATA

FORMAT = 1
_MANIFEST = "manifest.json"
_KEY = "office.key"
_AUDIT_HEAD = sa.select(AuditLink.number, AuditLink.hash).order_by(AuditLink.number.desc()).limit(1)


class FileEntry(Schema):
    sha256: str
    bytes: int
    rows: int | None = None


class ChainEnd(Schema):
    number: int
    hash: str


class Manifest(Schema):
    format: int = FORMAT
    kiban: str
    database: str  # it was made from
    revision: str
    made_at: datetime
    ledger_head: ChainEnd | None
    audit_head: ChainEnd | None
    files: dict[str, FileEntry] = Field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(entry.rows or 0 for entry in self.files.values())

    @property
    def attachments(self) -> int:
        return sum(name.startswith("attachments/") for name in self.files)


def backup(office: Office, path: Path, *, with_key: bool = False) -> Manifest:
    """Write a backup; `path` is replaced when the new one is whole and on disk, and not before.

    Raises:
        BadInput: `path` cannot be written.
        Refused: the tables are not this version's.
    """
    check_writable(path)
    schema.require_current(office.database)
    # So that files left by a process that was killed are recognised, and replaced by the next one.
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            manifest = _write(office, file, with_key)
            file.flush()
            os.fsync(file.fileno())
        verify(beside)
        beside.replace(path)
        fsync(path.parent)
    except OSError as error:
        raise BadInput(f"cannot write it: {error.strerror}", where=str(path)) from None
    finally:
        beside.unlink(missing_ok=True)
    return manifest


def _write(office: Office, file: IO[bytes], with_key: bool) -> Manifest:
    compressor = zstandard.ZstdCompressor(level=6, write_checksum=True)
    files: dict[str, FileEntry] = {}
    with compressor.stream_writer(file, closefd=False) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        with _snapshot(office) as connection:
            head = connection.execute(sa.select(LedgerHead.number, LedgerHead.hash)).first()
            audited = connection.execute(_AUDIT_HEAD).first()
            revision = schema.state_of(connection).revision
            for table in rows.tables(METADATA):
                name = f"tables/{table.name}.jsonl"
                files[name] = _add_table(archive, name, connection, table)
        folder = office.settings.attachments
        for found in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if found.is_file() and not found.is_symlink() and not found.name.startswith("."):
                name = f"attachments/{found.relative_to(folder).as_posix()}"
                files[name] = _add_file(archive, name, found)
        if with_key and office.settings.key_file.is_file():
            files[_KEY] = _add_file(archive, _KEY, office.settings.key_file)
        manifest = Manifest(
            kiban=kiban.__version__,
            database=office.database.url.get_backend_name(),
            revision=cast(str, revision),
            made_at=office.clock(),
            ledger_head=ChainEnd(number=head.number, hash=head.hash) if head is not None else None,
            audit_head=ChainEnd(number=audited.number, hash=audited.hash) if audited is not None else None,
            files=files,
        )
        payload = manifest.model_dump_json(indent=1).encode()
        archive.addfile(_member(_MANIFEST, len(payload)), io.BytesIO(payload))
    return manifest


@contextmanager
def _snapshot(office: Office) -> Iterator[sa.Connection]:
    """A connection that sees one instant."""
    options: dict[str, Any] = {"kiban_read_only": True}
    if not office.database.is_sqlite:
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with office.database.engine.connect().execution_options(**options) as connection:
        yield connection
        connection.rollback()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _add_table(archive: tarfile.TarFile, name: str, connection: sa.Connection, table: sa.Table) -> FileEntry:
    # A tar member's size comes before its bytes.
    with tempfile.TemporaryFile() as spool:
        whole, count = hashlib.sha256(), 0
        for line in rows.read_lines(connection, table):
            spool.write(line)
            whole.update(line)
            count += 1
        size = spool.tell()
        spool.seek(0)
        archive.addfile(_member(name, size), spool)
    return FileEntry(sha256=whole.hexdigest(), bytes=size, rows=count)


def _add_file(archive: tarfile.TarFile, name: str, path: Path) -> FileEntry:
    with path.open("rb") as file:
        whole = hashlib.file_digest(file, "sha256")
        size = file.tell()
        file.seek(0)
        archive.addfile(_member(name, size), file)
    return FileEntry(sha256=whole.hexdigest(), bytes=size)


def verify(path: Path) -> Manifest:
    """Read all of a backup and compare it with its manifest.

    Raises:
        BadInput: it is none, or not as it was written.
    """
    found: dict[str, FileEntry] = {}
    manifest = None
    with _members(path) as members:
        for name, file in members:
            if manifest is not None:
                raise BadInput(f"{name} comes after the manifest", where=str(path))
            if name == _MANIFEST:
                manifest = _read_manifest(path, file.read())
                continue
            whole, size, lines = hashlib.sha256(), 0, 0
            while block := file.read(2**20):
                whole.update(block)
                size += len(block)
                lines += block.count(b"\n")
            is_table = name.startswith("tables/")
            found[name] = FileEntry(sha256=whole.hexdigest(), bytes=size, rows=lines if is_table else None)
    if manifest is None:
        raise BadInput("the backup ends too early", where=str(path))
    for name in sorted(manifest.files.keys() | found.keys()):
        if manifest.files.get(name) != found.get(name):
            raise BadInput(f"{name} is not what was backed up", where=str(path))
    return manifest


def _read_manifest(path: Path, data: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError:
        raise BadInput("its manifest cannot be read", where=str(path)) from None
    if manifest.format != FORMAT:
        raise BadInput(f"a backup of format {manifest.format}, this version reads {FORMAT}", where=str(path))
    return manifest


@contextmanager
def _members(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """What a backup holds, one after another; damage that shows while a member is read is told like any other.

    Raises:
        BadInput: it cannot be read, or is damaged.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror or error}", where=str(path)) from None
    try:
        with file, zstandard.ZstdDecompressor().stream_reader(file) as plain:
            with tarfile.open(fileobj=plain, mode="r|") as archive:
                yield _files(archive, path)
            # What is left is tar's padding; reading it makes Zstandard compare its checksum.
            while plain.read(2**20):
                pass
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise BadInput(f"damaged, or no backup: {error}", where=str(path)) from None


def _files(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    for member in archive:
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            raise BadInput(f"{member.name!r} is no file", where=str(path))
        yield member.name, content


def restore(office: Office, path: Path, *, force: bool = False) -> Manifest:
    """Put a backup's rows and attachments into an empty database, all of them or, after an error, none.

    The backup is read and checked first; afterwards every table is read back and compared with it.

    Args:
        force: empty the database first, if it is not.

    Raises:
        BadInput: no backup, one that was changed, or one of another revision of the tables.
        Refused: the database is not empty, or does not hold afterwards what the backup does.
    """
    manifest = verify(path)
    if manifest.revision != schema.head():
        raise BadInput(
            f"it has the tables of revision {manifest.revision} (kiban {manifest.kiban})",
            where=str(path),
            hint=f"restore it with that version, then `kiban office migrate` up to {schema.head()}",
        )
    with office.database.engine.connect() as connection:
        connection.begin()
        _make_empty(connection, force)
        if office.database.is_sqlite:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        by_name = {f"tables/{table.name}.jsonl": table for table in rows.tables(METADATA)}
        with _members(path) as members:
            for name, file in members:
                if name in by_name:
                    _load(connection, by_name[name], file, path)
                elif name.startswith("attachments/"):
                    _put(_inside(office.settings.attachments, name, path), file)
                elif name == _KEY and not office.settings.key_file.exists():
                    _put(office.settings.key_file, file)
        rows.reset_sequences(connection, METADATA)
        for name, table in by_name.items():
            sha256, count = rows.digest(rows.read_lines(connection, table))
            entry = manifest.files.get(name)
            if entry is None or (sha256, count) != (entry.sha256, entry.rows):
                raise Refused(f"{table.name} does not hold what the backup does", where=str(path))
        connection.commit()
    return manifest


def _make_empty(connection: sa.Connection, force: bool) -> None:
    if schema.state_of(connection).revision is not None or sa.inspect(connection).has_table("people"):
        held = [
            table.name
            for table in rows.tables(METADATA)
            if sa.inspect(connection).has_table(table.name)
            and connection.scalar(sa.select(sa.exists(sa.select(table))))
        ]
        if held and not force:
            raise Refused(
                f"the database is not empty: {', '.join(held[:3])}", where="database", hint="--force empties it first"
            )
        METADATA.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    schema.upgrade_on(connection)


def _load(connection: sa.Connection, table: sa.Table, file: IO[bytes], path: Path) -> None:
    # Rows that a migration puts in are in the backup too.
    if connection.scalar(sa.select(sa.exists(sa.select(table)))):
        connection.execute(sa.delete(table))
    try:
        rows.write_lines(connection, table, file)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{table.name}: {error}", where=str(path)) from None
    except sa.exc.IntegrityError as error:
        raise Refused(f"the database refuses rows of {table.name}: {error.orig}", where=str(path)) from None


def _inside(folder: Path, name: str, path: Path) -> Path:
    parts = PurePosixPath(name).parts[1:]
    if not parts or any(part in ("..", "/", "") for part in parts):
        raise BadInput(f"{name!r} would lie elsewhere", where=str(path))
    return folder.joinpath(*parts)


def _put(path: Path, file: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as out:
            while block := file.read(2**20):
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
