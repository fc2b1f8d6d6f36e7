"""`kiban plan FILE` and its commands around a plan: validate, best, serve, actual, measure, gpus, areas, schema."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import click

from kiban.cli.paths import INPUT, OUTPUT
from kiban.cli.plan_best import best
from kiban.cli.plan_serve import serve
from kiban.cli.quantities import DURATION, GPU_HOURS, GPUS, TOKENS, YEN
from kiban.kit.errors import BadInput, Refused

as_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


class PlanGroup(click.Group):
    """A first argument that is no command's name is the FILE to plan."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["estimate", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "FILE [OPTIONS]")
        formatter.write_usage(ctx.command_path, "COMMAND [ARGS]...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = (option.get_help_record(ctx) for option in estimate.params if isinstance(option, click.Option))
        with formatter.section("Options with FILE"):
            formatter.write_dl([record for record in records if record])
        self.format_commands(ctx, formatter)


class FileContext(click.Context):
    @property
    def command_path(self) -> str:
        assert self.parent is not None
        return self.parent.command_path


class FileCommand(click.Command):
    """What is done with FILE has no name that anyone types; help and errors do not show one."""

    context_class = FileContext

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["FILE", "[OPTIONS]"]


@click.group(cls=PlanGroup)
def plan() -> None:
    """Say what training takes: memory, time, GPU-hours, yen, kWh and CO2, each with its 80% band and sources.

    FILE is a plan (YAML), a recipe (YAML), or a transformers config.json or model folder, which needs --gpu, --gpus
    and --tokens too. Exits 3 when a stated budget or deadline is exceeded.
    """


@plan.command(cls=FileCommand, hidden=True)
@click.argument("file", type=INPUT)
@click.option("--gpu", metavar="NAME", help="A name of `kiban plan gpus`, or this-machine.")
@click.option("--gpus", metavar="N", type=GPUS, help="How many: 2048, 2,048.")
@click.option("--tokens", metavar="N", type=TOKENS, help="Trained on: 15T, 15兆, 300B.")
@click.option("--precision", type=click.Choice(["fp32", "fp16", "bf16", "fp8", "fp4"]), help="Of matrix products.")
@click.option("--seq-len", metavar="N", type=TOKENS, help="Tokens of one sequence.")
@click.option("--batch", metavar="N", type=TOKENS, help="Sequences of one optimizer step.")
@click.option("--area", metavar="NAME", help="A supply area of `kiban plan areas`.")
@click.option("--budget-yen", metavar="YEN", type=YEN, help="What must not be exceeded: ¥2億.")
@click.option("--budget-gpu-hours", metavar="N", type=GPU_HOURS, help="The same in GPU-hours: 1.5M.")
@click.option("--deadline", metavar="TIME", type=DURATION, help="The same from start to end: 90 days, 3か月.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of FILE; repeatable.")
@click.option("--why", is_flag=True, help="Also why other layouts lose.")
@click.option("--sources", is_flag=True, help="Also what each figure rests on.")
@click.option("--html", type=OUTPUT, metavar="OUT", help="Also write a report.")
@as_json_option
def estimate(
    file: Path, overrides: tuple[str, ...], why: bool, sources: bool, html: Path | None, as_json: bool, **given: Any
) -> int:
    """Plan the training that FILE describes."""
    if not file.exists():
        near = difflib.get_close_matches(str(file), list(plan.commands), n=1, cutoff=0.7)
        hint = f"or did you mean `kiban plan {near[0]}`?" if near else None
        raise BadInput("there is no such file", where=str(file), hint=hint)
    from kiban.make.planning import read_plan
    from kiban.plan.estimate import estimate as predict

    planned, folder = read_plan(file, overrides, {name: value for name, value in given.items() if value is not None})
    found = predict(planned, folder, explain=why or as_json or html is not None)
    if html is not None:
        from kiban.plan.report import write_report

        try:
            write_report(found, html)
        except OSError as error:
            raise BadInput(f"cannot write it: {error.strerror}", where=str(html)) from None
    if as_json:
        print_json(found.json())
    else:
        from kiban.plan.text.summary import summary_text

        click.echo(summary_text(found, why=why, sources=sources))
        if html is not None:
            click.echo(f"\nreport: {html}")
    exceeded = [warning.en for warning in found.warnings if warning.level == "refuse"]
    if exceeded:
        sys.stdout.flush()
        raise Refused("; ".join(exceeded), where=str(file))
    return 0


@plan.command()
@click.argument("runs", metavar="[CSV]", required=False, type=INPUT)
@click.option("--fit", "fitted_to", metavar="OUT", type=OUTPUT,
              help="Fit new efficiencies to the CSV's runs and write them here.")  # fmt: skip
@as_json_option
def validate(runs: Path | None, fitted_to: Path | None, as_json: bool) -> None:
    """Rerun published runs (by default the shipped ones) and show predicted against published, with the error.

    An empty cell of the CSV is unknown: whatever figure is published is compared, and an unknown layout is searched.
    """
    from kiban.plan.evidence import calibration
    from kiban.plan.evidence.efficiencies import efficiencies
    from kiban.plan.evidence.replay import settle
    from kiban.plan.evidence.runs import PUBLISHED_RUNS, read_runs

    path = runs or PUBLISHED_RUNS
    read = read_runs(path)
    fitted_on = read if runs is None else read_runs()
    fitted = efficiencies()
    if fitted_to is not None:
        fitted_on = read
        fitted = calibration.fit([settle(run) for run in read], f"{len(read)} runs of {path.name}")
        write_text(fitted_to, fitted.model_dump_json(indent=2) + "\n")
    result = calibration.validate(read, fitted, fitted_on, path)
    if as_json:
        print_json(result)
    else:
        from kiban.plan.text.tables import validation_text

        click.echo(validation_text(result))
        if fitted_to is not None:
            click.echo(f"\nefficiencies: {fitted_to}")


@plan.command()
@click.argument("reference", metavar="RUN")
@as_json_option
@click.pass_obj
def actual(store_root: Path, reference: str, as_json: bool) -> None:
    """Compare what was predicted for a model made here with what was metered.

    RUN is a recipe's name, recipe/model, the first characters of a digest, or an artifact's folder. A model made
    without a prediction gets one now, if it was made on this machine.
    """
    from kiban.kit.manifest import read_manifest
    from kiban.kit.store import Artifact, Store
    from kiban.plan.evidence.actual import compare, comparison_text, find_model

    folder = INPUT.convert(reference, None, None)
    alone = (folder / "manifest.json").is_file()
    above = folder.resolve().parent
    if not (store_root / "artifacts").is_dir() and alone and above.name == "artifacts":
        store_root = above.parent  # which knows what was predicted for it
    if (store_root / "artifacts").is_dir():
        store = Store(store_root)
        model = find_model(store, reference)
        kept = store.plan_of(model.digest)
    elif alone:
        model, kept = Artifact(folder.resolve(), read_manifest(folder)), None
        if model.manifest.stage != "model":
            raise BadInput(f"it is a {model.kind}, and the model it is of lies in its store", where=reference,
                           hint="give the store: kiban --store FOLDER …")  # fmt: skip
    else:
        raise BadInput(f"no artifact {reference!r}: there is no store here", where=str(store_root),
                       hint="give its folder: kiban --store FOLDER …")  # fmt: skip
    compared = compare(model, kept)
    if as_json:
        print_json(compared)
    else:
        click.echo(comparison_text(compared))


plan.add_command(best)
plan.add_command(serve)


@plan.command()
@as_json_option
def measure(as_json: bool) -> None:
    """Measure this machine and keep the result, so that plans can name it: `gpu: this-machine`."""
    from kiban.make.model.machine import measure as measure_machine  # torch comes with it
    from kiban.plan.hardware.this_machine import machine_path, write_machine
    from kiban.plan.text.tables import machine_text

    record = measure_machine(lambda what: click.echo(f"measuring {what}", err=True))
    path = machine_path()
    write_machine(record, path)
    if as_json:
        print_json({"path": str(path), **record.model_dump(mode="json")})
    else:
        click.echo(machine_text(record, path))


@plan.command()
@as_json_option
def gpus(as_json: bool) -> None:
    """List the accelerators that plans can name, with what an hour costs."""
    from kiban.plan.text.tables import gpu_rows, gpus_text

    rows = gpu_rows()
    if as_json:
        print_json({"gpus": rows})
    else:
        click.echo(gpus_text(rows))


@plan.command()
@as_json_option
def areas(as_json: bool) -> None:
    """List the supply areas that plans can name, with what their electricity emits."""
    from kiban.plan.text.tables import area_rows, areas_text

    rows = area_rows()
    if as_json:
        print_json({"areas": rows})
    else:
        click.echo(areas_text(rows))


@plan.command()
@click.option("-o", "--output", type=OUTPUT, metavar="OUT", help="Write it here, not on stdout.")
@click.option("--json", "as_json", is_flag=True, help="As without it: a schema is JSON.")
def schema(output: Path | None, as_json: bool) -> None:
    """Print the JSON Schema of plan files, for editors."""
    from kiban.plan.planfile import plan_json_schema

    if output:
        write_text(output, plan_json_schema() + "\n")
    else:
        click.echo(plan_json_schema())


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    from kiban.kit.files import write_atomically

    try:
        write_atomically(path, text)
    except OSError as error:
        raise BadInput(f"cannot write it: {error.strerror}", where=str(path)) from None
