"""`kiban office report annual`, `figures` and `open-data`."""

from __future__ import annotations

from pathlib import Path

import click

from kiban.cli.office.common import as_json_option, opened, print_result
from kiban.cli.paths import OUTPUT

year_option = click.option("--year", type=click.IntRange(2000, 2199), help="Fiscal year, from April.")


@click.group()
def report() -> None:
    """Reports of the programme; every figure leads back to postings and records."""


@report.command()
@click.option("--year", type=click.IntRange(2000, 2199), required=True, help="Fiscal year, from April.")
@click.option("--out", type=OUTPUT, required=True, help="FILE.html, or FILE.pdf (needs the extra `pdf`).")
@as_json_option
def annual(year: int, out: Path, as_json: bool) -> None:
    """Write the report of a fiscal year, in Japanese and English."""
    from kiban.kit.errors import BadInput
    from kiban.kit.files import write_atomically
    from kiban.office.reports.annual import annual_html, annual_pdf

    make = {".html": lambda work: annual_html(work, year).encode(), ".pdf": lambda work: annual_pdf(work, year)}
    if out.suffix not in make:
        raise BadInput(f"{out.suffix or 'a file without suffix'} is no form of the report", hint=".html or .pdf")
    with opened() as office, office.work(read_only=True) as work:
        data = make[out.suffix](work)
    write_atomically(out, data)
    print_result(as_json, {"file": str(out), "year": year, "bytes": len(data)}, f"{out}: {len(data):,} bytes")


@report.command()
@year_option
@click.option("--call", "call", metavar="CODE", help="Of one call.")
@click.option("--cycle", help="Of the calls of one cycle.")
@click.option("--key", help="One figure alone, with the first 200 rows that it is made of.")
@as_json_option
def figures(year: int | None, call: str | None, cycle: str | None, key: str | None, as_json: bool) -> None:
    """Print the programme's figures, each with what it is made of."""
    from kiban.office.calls.service import get_call_by_code
    from kiban.office.paging import LARGEST, PageRequest
    from kiban.office.reports import programme
    from kiban.office.reports.programme import Wanted

    with opened() as office, office.work(read_only=True) as work:
        wanted = Wanted(year, get_call_by_code(work, call).id if call else None, cycle)
        if key is None:
            found = programme.programme(work, wanted)
            rows = None
        else:
            found = None
            figure = programme.figure(work, wanted, key)
            rows = programme.figure_rows(work, wanted, key, PageRequest(limit=LARGEST))
    if found is not None:
        shown = [f"{each.key:<64} {_said(each.value):>20} {each.unit} ({each.source.count:,} {each.source.kind})"
                 for each in found.figures]  # fmt: skip
        print_result(as_json, found.model_dump(mode="json"), *shown)
        return
    assert rows is not None
    value = {"figure": figure.model_dump(mode="json"), "rows": [row.model_dump(mode="json") for row in rows.items],
             "more": rows.next_cursor is not None}  # fmt: skip
    lines = [f"{figure.key} = {_said(figure.value)} {figure.unit}, of {figure.source.count:,} {figure.source.kind}"]
    lines += [f"{row.kind} {row.id}  {row.at or ''}  {_said(row.value)}  {row.label}" for row in rows.items]
    print_result(as_json, value, *lines)


@report.command("open-data")
@click.argument("target", metavar="FOLDER", type=OUTPUT)
@as_json_option
def open_data(target: Path, as_json: bool) -> None:
    """Write public tables (CSV, Parquet, Croissant) into FOLDER, or into one file FOLDER.zip."""
    from kiban.office.reports.open_data import write_open_data

    with opened() as office, office.work(read_only=True) as work:
        files = write_open_data(work, target)
        licence = office.settings.open_data_licence
    sizes = {name: len(data) for name, data in files.items()}
    print_result(
        as_json,
        {"target": str(target), "licence": licence, "files": sizes},
        *(f"{name:<20} {size:>12,} bytes" for name, size in sizes.items()),
        f"{target}: {licence}",
    )


def _said(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
