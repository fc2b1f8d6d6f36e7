"""`kiban office ledger`: verify it, read it, take it away."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from kiban.cli.office.common import as_json_option, opened, print_result
from kiban.cli.office.tables import find_call, find_grant, gather, limit_option, print_table
from kiban.cli.paths import OUTPUT

KINDS = ("appropriations", "supply", "grid", "budget", "committed", "available", "used", "overrun", "expired")


@click.group()
def ledger() -> None:
    """Verify, read and export the ledger."""


@ledger.command()
@click.option("--head", metavar="HASH", help="Noted earlier: it must be in the chain.")
@as_json_option
def verify(head: str | None, as_json: bool) -> int:
    """Recompute every hash and balance. Exits 3, naming the first bad row, when something does not hold."""
    from kiban.office.ledger import verification

    with opened() as office, office.work(read_only=True) as work:
        found = verification.verify(work, expected_head=head)
    if found.ok:
        line = f"ok: {found.postings:,} postings in {found.accounts:,} accounts, head {found.head}"
    else:
        row = f"account {found.problem.split()[1]}" if found.bad_number == 0 else f"posting {found.bad_number:,}"
        line = f"the ledger does not hold at {row}: {found.problem}"
    print_result(as_json, asdict(found), line)
    return 0 if found.ok else 3


def _accounts(
    kind: str | None, unit: str | None, call: str | None, grant: str | None, limit: int
) -> list[dict[str, Any]]:
    from kiban.office.ledger import service
    from kiban.office.ledger.models import AccountKind

    with opened() as office, office.work(read_only=True) as work:
        filters = service.AccountFilter(
            AccountKind(kind) if kind else None,
            unit,
            find_call(work, call).id if call else None,
            find_grant(work, grant).id if grant else None,
        )
        rows = gather(lambda page: service.list_accounts(work, page, filters), limit)
        sums = service.balances_of(work, rows)
    return [
        {"number": row.number, "kind": str(row.kind), "unit": row.unit, "code": row.code, "balance": sums[row.number]}
        for row in rows
    ]


@ledger.command()
@click.option("--kind", type=click.Choice(KINDS))
@click.option("--unit", help="yen, joules or gpu_s:<pool id>.")
@click.option("--call", help="Code or id.")
@click.option("--grant", help="Code or id.")
@limit_option
@as_json_option
def accounts(
    kind: str | None, unit: str | None, call: str | None, grant: str | None, limit: int, as_json: bool
) -> None:
    """List accounts with their balances."""
    rows = _accounts(kind, unit, call, grant, limit)
    columns = {"number": "number", "kind": "kind", "unit": "unit", "balance": "balance", "code": "code"}
    print_table(as_json, "accounts", columns, rows)


@ledger.command()
@click.option("--call", help="Code or id.")
@click.option("--grant", help="Code or id.")
@as_json_option
def balances(call: str | None, grant: str | None, as_json: bool) -> None:
    """Add balances up by kind of account and unit."""
    from collections import Counter

    sums: Counter[tuple[str, str]] = Counter()
    for row in _accounts(None, None, call, grant, 1_000_000):
        sums[row["kind"], row["unit"]] += row["balance"]
    rows = [{"kind": kind, "unit": unit, "balance": sums[kind, unit]} for kind, unit in sorted(sums)]
    print_table(as_json, "balances", {"kind": "kind", "unit": "unit", "balance": "balance"}, rows)


@ledger.command()
@click.option("--account", type=click.IntRange(0), help="Number of an account on either side.")
@click.option("--cause", help="Kind of cause: award, tranche, usage, …")
@click.option("--cause-id", help="Which one.")
@click.option("--unit", help="yen, joules or gpu_s:<pool id>.")
@limit_option
@as_json_option
def postings(
    account: int | None, cause: str | None, cause_id: str | None, unit: str | None, limit: int, as_json: bool
) -> None:
    """List postings, the newest first."""
    from kiban.kit.errors import BadInput
    from kiban.office.ledger import service
    from kiban.office.ledger.models import CauseKind

    if cause is not None and cause not in set(CauseKind):
        raise BadInput(f"{cause!r} is no kind of cause", where="--cause", hint=", ".join(CauseKind))
    filters = service.PostingFilter(account, CauseKind(cause) if cause else None, cause_id, unit)
    with opened() as office, office.work(read_only=True) as work:
        found = gather(lambda page: service.list_postings(work, page, filters), limit)
        codes = service.codes_of(work, found)
    rows = [
        {
            "number": row.number,
            "at": row.at.isoformat(),
            "cause_kind": str(row.cause_kind),
            "cause_id": row.cause_id,
            "unit": row.unit,
            "debit": codes[row.debit_account],
            "credit": codes[row.credit_account],
            "amount": row.amount,
            "memo": row.memo,
            "hash": row.hash,
        }
        for row in found
    ]
    columns = {
        "number": "number",
        "at": "at",
        "cause_kind": "cause",
        "amount": "amount",
        "debit": "to",
        "credit": "from",
    }
    print_table(as_json, "postings", columns, rows)


@ledger.command()
@click.argument("file", type=OUTPUT)
@as_json_option
def export(file: Path, as_json: bool) -> None:
    """Write every posting to FILE, as CSV where it ends in .csv, as JSON lines otherwise.

    Anyone can recompute the chain from it: a posting's hash is the SHA-256 of the JSON array, without spaces, of the
    values of its line but `hash`, in their order; `previous_hash` is the hash of the line before. In CSV a text that a
    spreadsheet could run has an apostrophe in front, which does not count.
    """
    from kiban.office.guards.csv_cells import csv_cell
    from kiban.office.ledger.export import COLUMNS, lines

    beside = file.with_name(f".{file.name}.part")
    count, last = 0, None
    try:
        with (
            opened() as office,
            office.work(read_only=True) as work,
            beside.open("w", encoding="utf-8", newline="") as out,
        ):
            table = csv.DictWriter(out, COLUMNS, lineterminator="\n") if file.suffix == ".csv" else None
            if table is not None:
                table.writeheader()
            for line in lines(work):
                if table is not None:
                    table.writerow({name: csv_cell(value) for name, value in line.items()})
                else:
                    out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
                count, last = count + 1, line["hash"]
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    value = {"file": str(file), "postings": count, "head": last}
    print_result(as_json, value, f"{file}: {count:,} postings, head {last}")
