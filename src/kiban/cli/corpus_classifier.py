"""`kiban corpus classifier`: a learned judge of quality from one's own labels."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kiban.kit.errors import BadInput


@click.command()
@click.argument("labelled", type=click.Path(path_type=Path), required=False)
@click.option("--good", type=click.Path(path_type=Path), help="Folder or file of texts to learn from.")
@click.option("--bad", type=click.Path(path_type=Path), help="And of texts not to.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder to write it to.")
@click.option(
    "--min-precision",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.9,
    show_default=True,
    help="Of what it keeps, so much is to be good.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def classifier(
    labelled: Path | None,
    good: Path | None,
    bad: Path | None,
    output: Path,
    min_precision: float,
    seed: int,
    as_json: bool,
) -> None:
    """Learn what good text is from LABELLED, lines of {"text": …, "label": "good" or "bad"}, or from --good and --bad.

    Its precision and recall, measured on examples it did not learn from, are shown for several thresholds and kept
    with it. A recipe uses it by `corpus.quality.classifier`.
    """
    from kiban.make.corpus.quality_model.config import QualityModelConfig
    from kiban.make.corpus.quality_model.examples import read_labelled, read_sides
    from kiban.make.corpus.quality_model.model import train

    if labelled is not None and good is None and bad is None:
        examples = read_labelled(labelled)
    elif labelled is None and good is not None and bad is not None:
        examples = read_sides(good, bad)
    else:
        raise BadInput("give LABELLED, or --good and --bad", where="kiban corpus classifier")
    model = train(examples, QualityModelConfig(min_precision=min_precision, seed=seed))
    model.save(output)
    click.echo(json.dumps(model.report, ensure_ascii=False, allow_nan=False) if as_json else model.table())
