"""`kiban plan best`: from a budget to the best model it buys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kiban.cli.paths import OUTPUT
from kiban.cli.quantities import DURATION, GPU_HOURS, GPUS, NUMBER, PARAMETERS, TOKENS, YEN
from kiban.kit.errors import BadInput


@click.command()
@click.option("--gpu", metavar="NAME", required=True, help="A name of `kiban plan gpus`.")
@click.option("--gpus", metavar="N", type=GPUS, help="How many; default: what the time asks for.")
@click.option("--budget-yen", metavar="YEN", type=YEN, help="What may be spent: ¥2億.")
@click.option("--gpu-hours", metavar="N", type=GPU_HOURS, help="GPU-hours that may be used: 1.5M.")
@click.option("--deadline", metavar="TIME", type=DURATION, help="From start to end: 90 days, 3か月.")
@click.option("--family", type=click.Choice(["dense", "moe"]), default="dense", show_default=True)
@click.option("--tokens", metavar="N", type=TOKENS, help="Decided already; the size is found.")
@click.option("--parameters", metavar="N", type=PARAMETERS, help="Active ones, decided already; the tokens are found.")
@click.option("--inference-tokens", metavar="N", type=TOKENS, help="To be served over the model's life.")
@click.option("--law", metavar="NAME", help="A scaling law by name; a wrong name lists them.")
@click.option("--seq-len", metavar="N", type=TOKENS, default="4096", show_default=True, help="Tokens of one sequence.")
@click.option("--precision", type=click.Choice(["fp32", "fp16", "bf16", "fp8", "fp4"]), default="bf16",
              show_default=True, help="Of matrix products.")  # fmt: skip
@click.option("--price", metavar="YEN", type=NUMBER, help="Yen per GPU-hour; default: published prices.")
@click.option("--area", metavar="NAME", help="A supply area of `kiban plan areas`.")
@click.option("-o", "--output", type=OUTPUT, metavar="OUT", help="Also write it as a plan file.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def best(gpu: str, output: Path | None, as_json: bool, **given: Any) -> None:
    """Find the best model and token count that a budget buys, and what 10% more would add."""
    if given["budget_yen"] is None and given["gpu_hours"] is None and given["deadline"] is None:
        raise BadInput("there is no budget", hint="give --budget-yen, --gpu-hours or --deadline")
    from kiban.cli.plan import print_json, write_text
    from kiban.kit.config import blamed
    from kiban.plan.budget.answers import best_text, plan_yaml
    from kiban.plan.budget.backwards import best_for
    from kiban.plan.planfile import PlanBudget, PlanCluster, PlanSite, PlanTraining

    with blamed({"gpus": "--gpus", "price_yen_per_gpu_hour": "--price", "tokens": "--tokens",
                 "seq_len_tokens": "--seq-len"}, "kiban plan best"):  # fmt: skip
        PlanCluster(gpu=gpu, gpus=given["gpus"] or 1, price_yen_per_gpu_hour=given["price"])
        PlanTraining(tokens=given["tokens"] or 1, seq_len_tokens=given["seq_len"])
    budget = PlanBudget.model_construct(
        yen=given["budget_yen"], gpu_hours=given["gpu_hours"], duration=given["deadline"]
    )
    found = best_for(
        budget,
        gpu,
        given["gpus"],
        family=given["family"],
        inference_tokens=float(given["inference_tokens"] or 0),
        law=given["law"],
        tokens=given["tokens"],
        parameters=given["parameters"],
        seq_len_tokens=given["seq_len"],
        precision=given["precision"],
        price_yen_per_gpu_hour=given["price"],
        site=PlanSite(area=given["area"]) if given["area"] else None,
    )
    if output is not None:
        write_text(output, plan_yaml(found.plan_json()))
    if as_json:
        print_json(found.json())
    else:
        click.echo(best_text(found))
        if output is not None:
            click.echo(f"\nplan: {output}")
