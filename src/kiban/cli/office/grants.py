"""`kiban office grants`: what is funded, and what the operator does with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kiban.cli.office.common import as_json_option, opened, print_result
from kiban.cli.office.tables import find_call, find_grant, gather, limit_option, print_table, reason_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from kiban.office.grants.models import Grant

grant_argument = click.argument("grant")


@click.group()
def grants() -> None:
    """Show grants, freeze and thaw them, release tranches, close them, bring the cluster up to date."""


def _summary(row: Grant) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "code": row.code,
        "status": str(row.status),
        "status_reason": row.status_reason,
        "gpus": row.gpus,
        "starts_on": row.starts_on.isoformat(),
        "ends_on": row.ends_on.isoformat(),
        "organisation_id": str(row.organisation_id),
        "pool_id": str(row.pool_id),
    }


@grants.command("list")
@click.option("--call", help="Code or id.")
@click.option("--status", type=click.Choice(["active", "frozen", "closed"]))
@limit_option
@as_json_option
def list_(call: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """List grants with what they have left."""
    from kiban.office.grants import service
    from kiban.office.grants.models import GrantStatus

    rows = []
    with opened() as office, office.work(read_only=True) as work:
        call_id = find_call(work, call).id if call else None
        wanted = GrantStatus(status) if status else None
        for row in gather(lambda page: service.list_grants(work, page, call_id=call_id, status=wanted), limit):
            now = service.standing(work, row)
            rows.append(
                _summary(row)
                | {
                    "available_gpu_hours": now.available.gpu_seconds // 3600,
                    "used_gpu_hours": now.used.gpu_seconds // 3600,
                    "available_yen": now.available.yen,
                    "used_yen": now.used.yen,
                }
            )
    columns = {"code": "code", "status": "status", "gpus": "GPUs", "starts_on": "from", "ends_on": "until",
               "used_gpu_hours": "used GPU-h", "available_gpu_hours": "left GPU-h", "used_yen": "used yen"}  # fmt: skip
    print_table(as_json, "grants", columns, rows)


@grants.command()
@grant_argument
@as_json_option
def show(grant: str, as_json: bool) -> None:
    """Show GRANT (code or id): amounts, tranches, users."""
    from dataclasses import asdict

    from kiban.office.grants import service

    with opened() as office, office.work(read_only=True) as work:
        row = find_grant(work, grant)
        now = service.standing(work, row)
        tranches = [
            {
                "number": each.number,
                "status": str(each.status),
                "gpu_seconds": each.gpu_seconds,
                "yen": each.yen,
                "needs_report": each.needs_report,
            }
            for each in service.tranches_of(work, row)
        ]
        users = [each.user_name for each in service.users_of(work, row) if each.removed_at is None]
    sides = {name: {key: each for key, each in value.items() if key != "pool_id"} if isinstance(value, dict) else value
             for name, value in asdict(now).items()}  # fmt: skip
    value = _summary(row) | {"standing": sides, "tranches": tranches, "users": users}
    lines = [
        f"{row.code}  {row.status}  {row.gpus} GPUs, {row.starts_on} until before {row.ends_on}  {row.status_reason}",
        *(
            f"{name:<11} {side.gpu_seconds / 3600:>14,.1f} GPU-hours {side.yen:>16,} yen"
            for name, side in (
                ("committed", now.committed),
                ("available", now.available),
                ("used", now.used),
                ("overrun", now.overrun),
            )
        ),
        *(
            f"tranche {each['number']}   {each['status']:<9} {each['yen']:>14,} yen"
            f"{'  after a report' if each['needs_report'] else ''}"
            for each in tranches
        ),
        f"users       {', '.join(users) or 'none'}",
    ]
    print_result(as_json, value, *lines)


def _turn(grant: str, as_json: bool, act: Callable[..., Grant], reason: str) -> None:
    with opened() as office, office.work() as work:
        row = act(work, find_grant(work, grant).id, reason)
        value = _summary(row)
    print_result(as_json, value, f"{row.code} is {row.status}", "Next: kiban office grants cluster")


@grants.command()
@grant_argument
@reason_option
@as_json_option
def freeze(grant: str, reason: str, as_json: bool) -> None:
    """Stop new jobs on GRANT (code or id); those that run go on."""
    from kiban.office.grants import service

    _turn(grant, as_json, service.freeze, reason)


@grants.command()
@grant_argument
@reason_option
@as_json_option
def thaw(grant: str, reason: str, as_json: bool) -> None:
    """Let jobs run again on GRANT (code or id)."""
    from kiban.office.grants import service

    _turn(grant, as_json, service.thaw, reason)


@grants.command()
@grant_argument
@reason_option
@as_json_option
def close(grant: str, reason: str, as_json: bool) -> None:
    """End GRANT (code or id): what is available expires, what was not released goes back to the call."""
    from kiban.office.grants import service

    _turn(grant, as_json, service.close, reason)


@grants.command()
@as_json_option
def release(as_json: bool) -> None:
    """Release the first tranche of every grant that has begun. Later ones follow accepted reports."""
    from kiban.office.grants import service

    with opened() as office, office.work() as work:
        codes = [service.get_grant(work, grant_id).code for grant_id in service.release_due(work)]
    print_result(as_json, {"released": codes}, f"released: {', '.join(codes) or 'none was due'}")


@grants.command()
@as_json_option
def cluster(as_json: bool) -> None:
    """Carry out what waits to be done on the cluster (`sacctmgr`), now."""
    from kiban.office import backlog
    from kiban.office.grants.cluster import carry_out

    with opened() as office:
        done = carry_out(office)
        with office.work(read_only=True) as work:
            waiting = backlog.read(work.session).cluster_tasks_waiting
    print_result(as_json, {"done": done, "waiting": waiting}, f"{done:,} done, {waiting:,} waiting")
