"""`kiban make`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import click

from kiban.cli.quantities import GPU_HOURS, NUMBER, YEN
from kiban.engines.local import LocalEngine
from kiban.kit.store import Store
from kiban.make.runner import make as make_recipe
from kiban.make.stage import StageFailed, Where


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--only", metavar="STAGE", help="Make this stage alone.")
@click.option("--from", "start", metavar="STAGE", help="Make this stage and the ones after it.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value of the recipe; repeatable.",
)
@click.option("--budget-yen", metavar="YEN", type=YEN, help="Refuse to train for more: ¥2億, 300,000.")
@click.option("--budget-gpu-hours", metavar="N", type=GPU_HOURS, help="Refuse to train for more GPU-hours.")
@click.option("--budget-hours", metavar="N", type=NUMBER, help="Refuse to train for longer.")
@click.option("--budget-kwh", metavar="N", type=NUMBER, help="Refuse to take more energy.")
@click.option(
    "--on",
    "where",
    type=click.Choice(get_args(Where)),
    default="here",
    help="Who works on the pieces of the corpus: processes of this machine, a Slurm array job, or Ray.",
)
@click.option("--workers", metavar="N", type=click.IntRange(1), help="Pieces at a time; default: one per processor.")
@click.option("--dry-run", is_flag=True, help="Say what would be made and why, and make nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def make(
    store_root: Path,
    recipe: Path,
    only: str | None,
    start: str | None,
    overrides: tuple[str, ...],
    budget_yen: int | None,
    budget_gpu_hours: float | None,
    budget_hours: float | None,
    budget_kwh: float | None,
    where: Where,
    workers: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make everything RECIPE describes, reusing what is already there.

    What training will take on this machine is shown first. Given a budget, here or in the recipe, training that is
    predicted to exceed it is refused (exit 3).
    """
    store = Store(store_root)
    limits = {"yen": budget_yen, "gpu_hours": budget_gpu_hours, "hours": budget_hours, "kwh": budget_kwh}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    try:
        report = make_recipe(
            recipe,
            store,
            LocalEngine(),
            overrides=overrides,
            only=only,
            start=start,
            dry_run=dry_run,
            budget=given,
            where=where,
            workers=workers,
        )
    except StageFailed as failed:
        return failed.exit_code
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, allow_nan=False))
        return 0
    mark = {"make": "+" if dry_run else "✓", "keep": "=", "skip": "-"}
    for step in report["steps"]:
        click.echo(f"{mark[step['action']]} {step['stage']:<11} {step['digest'][:12]}  {step['why']}")
    card = report["artifacts"].get("card")
    if card and not dry_run:
        click.echo(f"\ncard:  {card['path']}/card.html\nserve: kiban serve {report['recipe']}/model")
    return 0
