"""`kiban office demo`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime

import click

from kiban.cli.office.common import as_json_option, print_result


@click.command()
@click.option("--scale", type=click.IntRange(1, 1000), default=1, show_default=True, help="More of it, for load tests.")
@click.option("--force", is_flag=True, help="Empty the database first, if it holds an earlier demo, whole or half.")
@as_json_option
def demo(scale: int, force: bool, as_json: bool) -> None:
    """Fill an empty database with a fictional season: three calls, reviews, awards, months of usage, reports.

    The same version makes the same rows and the same ledger. Everybody in it is invented, and the passwords printed are
    known to all: for one's own machine only.
    """
    import logging

    from kiban.office.season.play import fill
    from kiban.office.settings import Settings
    from kiban.portal import logs

    logs.configure(logging.ERROR)
    seen: list[str] = []

    def tell(at: datetime) -> None:
        month = f"{at:%Y-%m}"
        if seen[-1:] != [month]:
            seen.append(month)
            click.echo(f"{month} ...", err=True)

    made = fill(Settings.from_environment(), scale=scale, force=force, tell=tell if sys.stderr.isatty() else None)
    value = {
        "rows": made.rows,
        "postings": made.postings,
        "ledger_head": made.ledger_head,
        "accounts": [asdict(account) for account in made.accounts],
        "demo_only": True,
    }
    rows = made.rows
    lines = [
        f"{rows['calls']} calls, {rows['proposals']:,} proposals by {rows['organisations']} organisations, "
        f"{rows['reviews']:,} reviews, {rows['grants']} grants, {rows['usage_records']:,} jobs, "
        f"{made.postings:,} postings",
        f"ledger head {made.ledger_head}",
        "",
        "Accounts, for a demonstration only: everybody knows these passwords.",
    ]
    for account in made.accounts:
        lines.append(f"  {account.role:<10} {account.email:<28} {account.password}")
        if account.totp:
            lines.append(f"  {'':<10} second factor {account.totp}  ({account.uri})")
    lines += ["", "Next: kiban office ledger verify; kiban office grants list; kiban office serve"]
    print_result(as_json, value, *lines)
