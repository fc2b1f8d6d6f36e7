"""`kiban corpus inspect`: why a document is in a corpus, or is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from kiban.make.corpus.inspection.terminal import Style

STYLES: dict[Style, dict[str, Any]] = {
    "removed": {"fg": "red"},
    "added": {"fg": "green"},
    "bad": {"fg": "red", "bold": True},
    "good": {"fg": "green", "bold": True},
    "quiet": {"dim": True},
    "strong": {"bold": True},
}


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.argument("identity", metavar="ID")
@click.option(
    "--source", "source_name", metavar="NAME", help="Of the source called so; default: the first that has it."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def inspect(store_root: Path, recipe: Path, identity: str, source_name: str | None, as_json: bool) -> None:
    """Show what RECIPE's curation does to the document ID, step by step, and what its finished corpus says of it.

    ID is as reports show it: a file's name, its name and a line or row (file.jsonl:12), or what the record calls
    itself. Removed text is shown as [-…-] and added text as {+…+}; personal data that is found is hidden.
    """
    from kiban.kit.store import Store
    from kiban.make.corpus import inspection
    from kiban.make.recipe import load_recipe

    loaded, _ = load_recipe(recipe)
    # Looking into a store must not make one where there is none.
    store = Store(store_root) if (store_root / "artifacts").is_dir() else None
    found = inspection.inspect(loaded, recipe.absolute().parent, identity, source_name, store)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(inspection.as_text(found, _paint))


def _paint(text: str, style: Style) -> str:
    return click.style(text, **STYLES[style])
