"""`kiban stage`: what `kiban make` runs in a process of its own for each stage. Not for typing."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import get_args

import click

from kiban.kit.errors import BadInput
from kiban.kit.store import Store
from kiban.make.graph import build_graph
from kiban.make.recipe import load_recipe
from kiban.make.stage import Where
from kiban.make.worker import die_with_parent, run_stage

FUNCTIONS = {
    "corpus": "kiban.make.corpus.stage",
    "base": "kiban.make.model.base_stage",
    "tokenizer": "kiban.make.tokenizer.stage",
    "model": "kiban.make.model.stage",
    "evaluation": "kiban.prove.evaluation.stage",
    "card": "kiban.prove.card.stage",
}


@click.command(hidden=True)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--set", "overrides", multiple=True)
@click.option("--digest", required=True)
@click.option("--on", "where", type=click.Choice(get_args(Where)), default="here")
@click.option("--workers", type=int)
@click.pass_obj
def stage(
    store_root: Path,
    recipe: Path,
    name: str,
    overrides: tuple[str, ...],
    digest: str,
    where: Where,
    workers: int | None,
) -> None:
    """Make one stage of RECIPE."""
    die_with_parent()
    loaded, _ = load_recipe(recipe, overrides)
    store = Store(store_root)
    base_folder = recipe.absolute().parent
    node = next(node for node in build_graph(loaded, base_folder, store) if node.stage == name)
    if node.spec.digest != digest:
        raise BadInput(f"the input of stage {name} changed while it was waiting", hint="run the same command again")
    function = importlib.import_module(FUNCTIONS[name]).run
    run_stage(function, node, loaded, base_folder, store, where=where, workers=workers)
