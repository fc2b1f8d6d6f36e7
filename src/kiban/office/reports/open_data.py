"""The open-data export: public tables as CSV and Parquet, described in Croissant; the same rows give the same bytes.

Croissant: Akhtar et al., "Croissant: a metadata format for ML-ready datasets" (2024), version 1.0.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

import kiban
from kiban.kit.errors import BadInput
from kiban.kit.files import write_atomically
from kiban.office import months
from kiban.office.guards.csv_cells import write_csv
from kiban.office.reports import open_data_repository as repository
from kiban.office.work import Role, Work

# Type in Arrow and in Croissant's schema.org words.
TYPES: Mapping[str, tuple[str, str]] = {
    "text": ("string", "sc:Text"),
    "whole": ("int64", "sc:Integer"),
    "number": ("float64", "sc:Float"),
    "truth": ("bool", "sc:Boolean"),
    "date": ("string", "sc:Date"),
    "time": ("string", "sc:DateTime"),
}


@dataclass(frozen=True)
class Column:
    kind: str
    text: str


@dataclass(frozen=True)
class PublicTable:
    name: str
    text: str
    rows: Callable[[Session], Iterator[dict[str, Any]]]
    columns: Mapping[str, Column]


def _columns(**given: str) -> dict[str, Column]:
    """`name="kind: text"`."""
    return {name: Column(*(part.strip() for part in each.split(":", 1))) for name, each in given.items()}


TABLES = (
    PublicTable(
        "calls",
        "Published calls for proposals",
        repository.calls,
        _columns(
            call="text: code of the call",
            cycle="text: cycle of the programme",
            title_ja="text: title in Japanese",
            title_en="text: title in English",
            budget_yen="whole: budget, yen",
            opens_at="time: opening, UTC",
            closes_at="time: closing, UTC",
            first_month="text: earliest month of an award, YYYY-MM",
            months="whole: months that awards lie in",
            status="text: published, reviewing, decided or archived",
            decided_at="time: announcement, UTC",
            proposals="whole: proposals received; empty before the decision",
            awards="whole: awards; empty before the decision",
            awarded_yen="whole: sum of the awards, yen; empty before the decision",
        ),
    ),
    PublicTable(
        "awards",
        "Announced awards",
        repository.awards,
        _columns(
            grant="text: code of the grant",
            call="text: code of the call",
            title="text: title of the proposal",
            theme="text: theme of the call",
            organisation_ja="text: organisation, Japanese name",
            organisation_en="text: organisation, English name",
            organisation_kind="text: startup, company, university, public or nonprofit",
            organisation_size="text: small (under 50 people), medium (under 300) or large",
            domain="text: the organisation's domain",
            pool="text: pool of accelerators",
            start_month="text: first month, YYYY-MM",
            months="whole: how many months",
            gpus="whole: GPUs",
            gpu_hours="number: GPU-hours",
            yen="whole: amount, yen",
            by_lottery="truth: whether the public lottery decided it",
        ),
    ),
    PublicTable(
        "usage",
        "What each grant used, by month in Japan, as posted in the ledger",
        repository.usage,
        _columns(
            grant="text: code of the grant",
            month="text: YYYY-MM",
            pool="text: pool of accelerators",
            gpu_hours="number: GPU-hours used less refunds",
            yen="whole: yen used less refunds; in the grant's first row of the month",
            kwh="number: kWh of the servers as far as known; in the grant's first row of the month",
        ),
    ),
    PublicTable(
        "models",
        "Models that grants led to",
        repository.models,
        _columns(
            model="text: id of the release",
            grant="text: code of the grant",
            name="text: name of the model",
            licence="text: licence of the weights",
            url="text: where it is",
            artifact_sha256="text: digest in the programme's artifact store",
            parameters="whole: parameters",
            tokens="whole: tokens it was trained on",
            source="text: artifact, or stated by the grantee",
            released_on="date: day of release",
        ),
    ),
    PublicTable(
        "scores",
        "Scores of the models and of reference models beside them, with sample and 95% interval",
        repository.scores,
        _columns(
            model="text: id of the release",
            task="text: what was measured",
            metric="text: in which unit",
            scored="text: name of the model that has this score",
            value="number: the score; empty where it was not measured",
            n="whole: sample",
            ci95_low="number: lower end of the 95% interval",
            ci95_high="number: upper end of the 95% interval",
            source="text: artifact, stated, or where a reference was published",
            not_measured="text: why there is no score",
        ),
    ),
    PublicTable(
        "events",
        "Courses, seminars and meetings",
        repository.events,
        _columns(
            held_on="date: day",
            kind="text: course, seminar, community or review_meeting",
            title_ja="text: title in Japanese",
            title_en="text: title in English",
            call="text: code of the call",
            people="whole: people reached",
            people_trained="whole: people trained",
        ),
    ),
    PublicTable(
        "pools",
        "Pools of accelerators",
        repository.pools,
        _columns(
            pool="text: name",
            provider_ja="text: provider, Japanese name",
            provider_en="text: provider, English name",
            accelerator="text: kind of accelerator",
            site="text: site",
            area="text: supply area of the grid",
            pue="number: facility over server energy; empty: not known",
            price_yen_per_gpu_hour="whole: price, yen per GPU-hour",
        ),
    ),
)


def open_data(work: Work) -> dict[str, bytes]:
    """Every file of the export by name.

    Raises:
        Forbidden: neither operator, auditor nor observer.
    """
    work.require(Role.OPERATOR, Role.AUDITOR, Role.OBSERVER)
    return public_files(work)


def public_files(work: Work) -> dict[str, bytes]:
    """As `open_data`, for everybody: there is nothing in it that is not public."""
    files: dict[str, bytes] = {}
    for table in TABLES:
        files |= _table_files(work.session, table)
    described = _croissant(work, files)
    files["croissant.json"] = (json.dumps(described, ensure_ascii=False, indent=2) + "\n").encode()
    return dict(sorted(files.items()))


def public_file(work: Work, name: str) -> bytes | None:
    """One file of the export, for everybody; None: there is none of this name."""
    if name == "croissant.json":
        return public_files(work)[name]
    stem = name.rpartition(".")[0]
    table = next((each for each in TABLES if each.name == stem), None)
    return None if table is None else _table_files(work.session, table).get(name)


def _table_files(session: Session, table: PublicTable) -> dict[str, bytes]:
    rows = [{name: _plain(row[name]) for name in table.columns} for row in table.rows(session)]
    csv = b"".join(write_csv(rows, {name: name for name in table.columns}, excel=True))
    return {f"{table.name}.csv": csv, f"{table.name}.parquet": _parquet(table, rows)}


def write_open_data(work: Work, target: Path) -> dict[str, bytes]:
    """Write the export into a folder, or into one file where `target` ends in `.zip`.

    Raises:
        As `open_data`.
        BadInput: the folder cannot be made, or holds something else.
    """
    files = open_data(work)
    if target.suffix == ".zip":
        write_atomically(target, zipped(files))
        return files
    try:
        target.mkdir(parents=True, exist_ok=True)
        foreign = sorted(path.name for path in target.iterdir() if path.name not in files)
    except OSError as error:
        raise BadInput(f"cannot be written: {error.strerror}", where=str(target)) from None
    if foreign:
        raise BadInput(f"the folder holds other files: {', '.join(foreign[:3])}", where=str(target))
    for name, data in files.items():
        write_atomically(target / name, data)
    return files


def zipped(files: Mapping[str, bytes]) -> bytes:
    """One archive; the files' times are always the same, so that their content alone decides its bytes."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, compress_type=zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def _parquet(table: PublicTable, rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
    fields = [
        pa.field(name, names[TYPES[column.kind][0]], metadata={"description": column.text})
        for name, column in table.columns.items()
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), buffer, compression="zstd")
    return buffer.getvalue()


# -- Croissant ------------------------------------------------------------------------------------------------------

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def _croissant(work: Work, files: Mapping[str, bytes]) -> dict[str, Any]:
    name, day = work.settings.programme_name, months.day_of(work.now)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "accelerator-programme-open-data",
        "description": f"{name}: calls, announced awards, usage by month, models with scores, events and pools.",
        "license": work.settings.open_data_licence,
        "url": work.settings.public_url,
        "creator": {"@type": "sc:Organization", "name": name},
        "datePublished": day.isoformat(),
        "version": f"{day:%Y}.{day.month}.{day.day}",
        "citeAs": f"{name}, open data, {day.isoformat()} (kiban {kiban.__version__})",
        "inLanguage": ["ja", "en"],
        "distribution": [_file(each, data) for each, data in sorted(files.items())],
        "recordSet": [_record_set(table) for table in TABLES],
    }


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{len(data)} B",
        "encodingFormat": "text/csv" if name.endswith(".csv") else "application/x-parquet",
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _record_set(table: PublicTable) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.text,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{table.name}/{name}",
                "name": name,
                "description": column.text,
                "dataType": TYPES[column.kind][1],
                "source": {"fileObject": {"@id": f"{table.name}.parquet"}, "extract": {"column": name}},
            }
            for name, column in table.columns.items()
        ],
    }
