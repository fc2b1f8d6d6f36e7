"""`kiban plan serve FILE`: the GPUs that a service needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kiban.cli.paths import INPUT
from kiban.cli.quantities import DURATION, NUMBER, TOKENS
from kiban.kit.errors import BadInput


@click.command()
@click.argument("file", type=INPUT)
@click.option("--gpu", metavar="NAME", help="A name of `kiban plan gpus`.")
@click.option("--rate", metavar="N", type=NUMBER, help="Requests per second, the mean.")
@click.option("--prompt-tokens", metavar="N", type=TOKENS, help="Of a request, the mean.")
@click.option("--output-tokens", metavar="N", type=TOKENS, help="Of an answer, the mean.")
@click.option("--ttft", metavar="TIME", type=DURATION, help="Time to first token of 95% of requests: 2 s.")
@click.option("--tpot", metavar="TIME", type=DURATION, help="Mean time per output token: 0.05 s.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of FILE; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def serve(file: Path, overrides: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Say how many GPUs serve a load within its latencies, and what a million tokens cost.

    FILE is a serving plan (YAML with `serving:`), or a training plan, a transformers config.json or a model folder,
    which needs --gpu, --rate, --prompt-tokens and --output-tokens too.
    """
    if not file.exists():
        raise BadInput("there is no such file", where=str(file))
    from kiban.cli.plan import print_json
    from kiban.make.planning import SERVING_KEYS, option, read_serving_plan
    from kiban.plan.budget.answers import serving_text
    from kiban.plan.serving.load import estimate_serving

    planned, folder = read_serving_plan(
        file, overrides, {name: value for name, value in given.items() if value is not None}
    )
    try:
        found = estimate_serving(planned, folder)
    except BadInput as error:
        typed = {key: option(name) for name, key in SERVING_KEYS.items() if given[name] is not None}
        raise BadInput(error.message, where=typed.get(error.where or "", error.where), hint=error.hint) from None
    if as_json:
        print_json(found.json())
    else:
        click.echo(serving_text(found))
