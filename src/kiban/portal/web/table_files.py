"""Whole tables as files, written as they are read and kept on the disk once they are large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from kiban.office.guards.csv_cells import write_csv
from kiban.portal.web.table_kinds import Kind, Stored

R = TypeVar("R")

Format = Literal["csv", "parquet"]
MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
IN_MEMORY_BYTES = 4 * 2**20
SENT_BYTES = 2**18  # at a time
ROW_GROUP = 10_000  # rows


@dataclass(frozen=True)
class FileColumn:
    """A column of a file: the name that programs know it by, the title that people read, and a row's value."""

    name: str
    title: str
    kind: Kind
    value: Callable[[Any], Any]


def file_response(file_name: str, file_format: Format, columns: Sequence[FileColumn], rows: Iterable[R]) -> Response:
    """All rows as a file to keep. They are read here, before the response is sent.

    Args:
        file_name: without the ending.
    """
    file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
    try:
        if file_format == "csv":
            _write_csv(file, columns, rows)
        else:
            _write_parquet(file, columns, rows)
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return StreamingResponse(
        _parts(file),
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(f'{file_name}.{file_format}', safe='')}",
            "Content-Length": str(size),
        },
        media_type=MEDIA_TYPES[file_format],
    )


def _parts(file: SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    with file:
        while part := file.read(SENT_BYTES):
            yield part


def _write_csv(file: SpooledTemporaryFile[bytes], columns: Sequence[FileColumn], rows: Iterable[R]) -> None:
    def cells(row: R) -> dict[str, object]:
        found: dict[str, object] = {}
        for column in columns:
            value = column.value(row)
            if value is not None:
                found[column.name] = column.kind.plain(value)
        return found

    titles = {column.name: column.title for column in columns}
    file.writelines(write_csv(map(cells, rows), titles, excel=True))


def _write_parquet(file: SpooledTemporaryFile[bytes], columns: Sequence[FileColumn], rows: Iterable[R]) -> None:
    import pyarrow
    from pyarrow import parquet

    types: dict[Stored, Any] = {
        "string": pyarrow.string(),
        "int64": pyarrow.int64(),
        "float64": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "date": pyarrow.date32(),
        "instant": pyarrow.timestamp("us", tz="UTC"),
    }
    schema = pyarrow.schema([(column.name, types[column.kind.stored]) for column in columns])

    def array(column: FileColumn, part: list[R]) -> Any:
        values = (column.value(row) for row in part)
        exact = [None if value is None else column.kind.exact(value) for value in values]
        return pyarrow.array(exact, types[column.kind.stored])

    remaining = iter(rows)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while part := list(islice(remaining, ROW_GROUP)):
            writer.write_table(pyarrow.table([array(column, part) for column in columns], schema=schema))
