"""`kiban recipe init | check | schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kiban.kit.errors import BadInput
from kiban.kit.files import write_atomically
from kiban.make.recipe import load_recipe, recipe_json_schema


@click.group()
def recipe() -> None:
    """Start, check and describe recipes."""


@recipe.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("recipe.yaml"), show_default=True)
@click.option(
    "--owner", prompt="Who holds the rights to these documents", help="Who holds the rights to the documents."
)
@click.option(
    "--licence",
    prompt="Under which licence",
    default="proprietary",
    help="Their licence (SPDX where there is one).",
)
@click.option("--base", help="Start from this model: a folder, .gguf file or hub id.")
@click.option("--base-licence", help="The base model's licence.")
@click.option("--force", is_flag=True, help="Overwrite an existing recipe.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def init(
    folder: Path,
    output: Path,
    owner: str,
    licence: str,
    base: str | None,
    base_licence: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a first recipe for the documents in FOLDER, and its schema for editors beside it."""
    from kiban.make.start import starter_recipe

    if output.exists() and not force:
        raise BadInput("it exists already", where=str(output), hint="--force overwrites it, -o names another")
    text = starter_recipe(folder, output, owner=owner, licence=licence, base=base, base_licence=base_licence)
    schema = output.with_name("recipe.schema.json")
    write_atomically(output, text)
    write_atomically(schema, recipe_json_schema() + "\n")
    if as_json:
        click.echo(json.dumps({"recipe": str(output), "schema": str(schema)}, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(f"{output} written. Look it over, then: kiban make {output}")


@recipe.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="The whole recipe with its defaults, as JSON.")
def check(path: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check the recipe at PATH without making anything."""
    loaded, _ = load_recipe(path, overrides)
    if as_json:
        click.echo(loaded.model_dump_json())
    else:
        click.echo(f"{path}: ok ({loaded.start}, {len(loaded.corpus.sources)} source(s))")


@recipe.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it here instead of stdout.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of recipes."""
    if output:
        write_atomically(output, recipe_json_schema() + "\n")
    else:
        click.echo(recipe_json_schema())
