"""`kiban corpus report`: a finished corpus as one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiban.cli.paths import OUTPUT
from kiban.kit.errors import BadInput

if TYPE_CHECKING:
    from kiban.kit.store import Artifact

PAGE = "report.html"


@click.command()
@click.argument("reference", metavar="[NAME|DIGEST|FOLDER]", required=False)
@click.option("-o", "--output", type=OUTPUT, help="Write the page here; default: only say where the corpus has it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def report(store_root: Path, reference: str | None, output: Path | None, as_json: bool) -> None:
    """Show what became of the documents of a corpus, and write the page about it.

    The corpus is a recipe's by its NAME, or one by the first characters of its DIGEST, or an artifact's FOLDER;
    without any of these the newest one. The page (Japanese and English) loads nothing and can be sent by mail.
    """
    from kiban.kit.files import write_atomically
    from kiban.make.corpus.report import as_page, read_report, summary

    artifact = _corpus(store_root, reference)
    content = read_report(artifact.path)
    name = artifact.manifest.name.split("/")[0]
    if output is not None:
        try:
            write_atomically(output, as_page(artifact.path, content, name))
        except OSError as error:
            raise BadInput(f"cannot write it: {error.strerror}", where=str(output)) from None
    page = output or artifact.path / PAGE
    if as_json:
        shown = str(page) if page.is_file() else None
        click.echo(
            json.dumps({"digest": artifact.digest, "page": shown, **content}, ensure_ascii=False, allow_nan=False)
        )
        return
    click.echo(f"{artifact.manifest.name} {artifact.digest[:12]}")
    click.echo(summary(content["totals"]))
    click.echo(f"page: {page}" if page.is_file() else "page: none in the artifact; --output FILE writes it")


def _corpus(store_root: Path, reference: str | None) -> Artifact:
    """The corpus that is meant, or the one that the artifact that is meant was made from."""
    from kiban.kit.manifest import read_manifest
    from kiban.kit.store import Artifact, Store

    # Looking at an artifact, or into a store, must not make a store where there is none.
    if reference and (Path(reference) / "manifest.json").is_file():
        return _checked(Artifact(Path(reference).resolve(), read_manifest(Path(reference))))
    if not (store_root / "artifacts").is_dir():
        raise BadInput("there is no store here", where=str(store_root), hint="give its folder: kiban --store FOLDER …")
    store = Store(store_root)
    if reference is None:
        corpora = [artifact for artifact in store.all() if artifact.kind == "corpus"]
        if not corpora:
            raise BadInput("there is no corpus in the store", where=str(store.root), hint="kiban make makes one")
        return corpora[-1]
    named = store.names().get(f"{reference}/corpus")
    found = (store.get(named) if named else None) or store.find(reference)
    if found.kind != "corpus" and "corpus" in found.manifest.inputs:
        found = store.get(found.manifest.inputs["corpus"].digest) or found
    return _checked(found)


def _checked(found: Artifact) -> Artifact:
    if found.kind != "corpus":
        raise BadInput(f"{found.manifest.name} is a {found.kind}, and was made from no corpus that is here")
    return found
