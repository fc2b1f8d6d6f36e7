"""`kiban office demo`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from kiban.cli.office.common import as_json_option, print_result

if TYPE_CHECKING:
    from kiban.office.season.accounts import Account


@click.command()
@click.option("--scale", type=click.IntRange(1, 1000), default=1, show_default=True, help="More of it, for load tests.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="The day on which it ends; default: today."
)
@click.option("--accounts", is_flag=True, help="Only tell the accounts again, with the codes of this moment.")
@click.option("--force", is_flag=True, help="Empty the database first, if it holds an earlier demo, whole or half.")
@as_json_option
def demo(scale: int, until: datetime | None, accounts: bool, force: bool, as_json: bool) -> None:
    """Fill an empty database with a fictional season: five calls, reviews, awards, months of usage, reports.

    When it ends, one call is open, one under review, and one to be decided; grants run. The same version makes the
    same rows and the same ledger for the same day. Everybody in it is invented, and the passwords printed are
    known to all: for one's own machine only.
    """
    import logging

    from kiban.office.season.accounts import kept_accounts
    from kiban.office.season.play import fill
    from kiban.office.settings import Settings
    from kiban.portal import logs

    logs.configure(logging.ERROR)
    settings = Settings.from_environment()
    if accounts:
        kept = kept_accounts(settings)
        print_result(as_json, {"accounts": [asdict(each) for each in kept], "demo_only": True}, *account_lines(kept))
        return
    made = fill(settings, until=until.date() if until else None, scale=scale, force=force, tell=telling())
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
        *account_lines(made.accounts),
        "",
        "Next: kiban portal; kiban office ledger verify; kiban office grants list",
    ]
    print_result(as_json, value, *lines)


def telling() -> Callable[[datetime], None] | None:
    """Tells each month of the season as it is played, on a terminal."""
    if not sys.stderr.isatty():
        return None
    seen: list[str] = []

    def tell(at: datetime) -> None:
        month = f"{at:%Y-%m}"
        if seen[-1:] != [month]:
            seen.append(month)
            click.echo(f"{month} ...", err=True)

    return tell


def account_lines(accounts: Sequence[Account]) -> list[str]:
    from kiban.office.season.accounts import code_now

    lines = ["Accounts, for a demonstration only: everybody knows these passwords."]
    for account in accounts:
        lines.append(f"  {account.role:<10} {account.email:<28} {account.password}")
        if account.totp:
            lines.append(f"  {'':<10} code now {code_now(account, datetime.now(UTC))}, from {account.uri}")
    lines.append("Codes change every 30 s: `kiban office demo --accounts` tells the new ones.")
    return lines
