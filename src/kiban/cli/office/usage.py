"""`kiban office usage`: read what ran, and explain what does not agree."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiban.cli.office.common import as_json_option, opened, print_result
from kiban.cli.office.tables import as_uuid, gather, limit_option, print_table
from kiban.cli.paths import INPUT
from kiban.kit.errors import BadInput

if TYPE_CHECKING:
    from kiban.office.usage.sync import SyncResult

COLUMNS = {"cluster": "cluster", "jobs": "jobs", "new": "new", "grown": "grown",
           "posted_gpu_seconds": "GPU-seconds posted",
           "posted_yen": "yen posted", "without_grant": "without a grant"}  # fmt: skip


@click.group()
def usage() -> None:
    """Read usage into the ledger, and explain differences."""


@usage.command()
@as_json_option
def sync(as_json: bool) -> None:
    """Read every cluster's scheduler (`sacct`) since the last time. Twice charges nothing twice."""
    from kiban.office.usage import service

    with opened() as office:
        results = service.sync(office)
    _print(as_json, results)


@usage.command("import")
@click.argument("file", type=INPUT)
@click.option("--delimiter", default="|", show_default=True, help="As sacct was told.")
@as_json_option
def import_(file: Path, delimiter: str, as_json: bool) -> None:
    """Read a FILE that sacct wrote elsewhere, with the columns that the documentation names, without a header.

    For a cluster that cannot be reached from here. The same file again charges nothing.
    """
    from kiban.engines.slurm.usage import parse_usage
    from kiban.office.usage.sync import take_in

    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise BadInput("cannot read it as UTF-8 text", where=str(file)) from None
    jobs = parse_usage(text, delimiter)
    results = []
    with opened() as office, office.work() as work:
        for name in sorted({job.cluster for job in jobs}):
            own = [job for job in jobs if job.cluster == name]
            # Up to the last that the file knows of, not up to now: what ran since is still to be read.
            results.append(take_in(work, name, own, max(job.ended or job.started for job in own)))
    _print(as_json, results)


def _print(as_json: bool, results: list[SyncResult]) -> None:
    print_table(as_json, "clusters", COLUMNS, [asdict(each) for each in results])


@usage.command()
@click.option("--all", "every", is_flag=True, help="Explained ones too.")
@limit_option
@as_json_option
def differences(every: bool, limit: int, as_json: bool) -> None:
    """List records that should agree and do not."""
    from kiban.office.usage import differences as service

    with opened() as office, office.work(read_only=True) as work:
        explained = None if every else False
        found = gather(lambda page: service.list_differences(work, page, explained=explained), limit)
    rows = [
        {
            "id": str(row.id),
            "kind": row.kind,
            "subject": row.subject,
            "expected": row.expected,
            "found": row.found,
            "unit": row.unit,
            "found_at": row.found_at.isoformat(),
            "explanation": row.explanation,
        }
        for row in found
    ]
    columns = {"id": "id", "kind": "kind", "subject": "about", "expected": "expected", "found": "found", "unit": "unit"}
    print_table(as_json, "differences", columns, rows)


@usage.command()
@click.argument("difference")
@click.argument("explanation")
@as_json_option
def explain(difference: str, explanation: str, as_json: bool) -> None:
    """Take DIFFERENCE (its id) off the list, with the reason it is there."""
    from kiban.office.usage import differences as service

    with opened() as office, office.work() as work:
        row = service.explain(work, as_uuid(difference, "DIFFERENCE"), explanation)
    value = {"id": str(row.id), "kind": row.kind, "subject": row.subject, "explanation": row.explanation}
    print_result(as_json, value, f"explained: {row.kind} {row.subject}")
