"""`kiban show`, `lineage`, `diff`, `verify` and `gc`: looking after what was made."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from kiban.kit.errors import BadInput
from kiban.kit.files import write_atomically
from kiban.kit.store import DIGEST, Store
from kiban.kit.units import format_bytes

as_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.command()
@click.argument("reference", metavar="[REF]", required=False)
@as_json_option
@click.pass_obj
def show(store_root: Path, reference: str | None, as_json: bool) -> None:
    """Show what is in the store, or what the artifact REF is, holds and cost.

    REF is recipe/stage, a recipe's name, the first characters of a digest, or an artifact's folder.
    """
    from kiban.kit import describe
    from kiban.kit.withdrawals import Staleness

    store = _open(store_root, *([reference] if reference else []))
    if reference is None:
        rows = describe.contents(store)
        if as_json:
            _print_json({"store": str(store.root), "artifacts": rows})
        else:
            click.echo(describe.contents_text(rows))
        return
    artifact = store.find(reference)
    if as_json:
        found = [each.describe() for each in Staleness(store).of(artifact.digest)]
        stale = {"stale": found} if found else {}
        _print_json({**artifact.manifest.model_dump(mode="json"), "path": str(artifact.path), **stale})
    else:
        click.echo(describe.artifact_text(artifact, store))


@click.command()
@click.argument("reference", metavar="REF")
@click.option("--format", "shape", type=click.Choice(["text", "mermaid", "svg"]), default="text", show_default=True)
@click.option("--language", type=click.Choice(["en", "ja"]), default="en", show_default=True, help="Of the SVG.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write instead of stdout."
)
@as_json_option
@click.pass_obj
def lineage(store_root: Path, reference: str, shape: str, language: Any, output: Path | None, as_json: bool) -> None:
    """Show what REF was made from, down to the documents."""
    from kiban.kit.lineage import to_json, to_mermaid, to_text, trace
    from kiban.kit.lineage_svg import to_svg

    store = _open(store_root, reference)

    def get(digest: str) -> Any:
        found = store.get(digest)
        return found.manifest if found else None

    traced = trace(store.find(reference).manifest, get)
    if as_json:
        text = json.dumps(to_json(traced), ensure_ascii=False, allow_nan=False)
    elif shape == "svg":
        text = to_svg(traced, language)
    else:
        text = to_mermaid(traced) if shape == "mermaid" else to_text(traced)
    if output is None:
        click.echo(text.rstrip("\n"))
        return
    try:
        write_atomically(output, text.rstrip("\n") + "\n")
    except OSError as error:
        raise BadInput(f"cannot write it: {error.strerror}", where=str(output)) from None


@click.command()
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@as_json_option
@click.pass_obj
def diff(store_root: Path, old: str, new: str, as_json: bool) -> None:
    """Show how artifact B differs from artifact A: configuration, inputs, code, environment, figures, files."""
    from kiban.kit import describe

    store = _open(store_root, old)
    compared = describe.compare(store.find(old), store.find(new))
    if as_json:
        _print_json(compared)
    else:
        click.echo(describe.comparison_text(compared))


@click.command()
@click.argument("references", metavar="[REF]...", nargs=-1)
@as_json_option
@click.pass_obj
def verify(store_root: Path, references: tuple[str, ...], as_json: bool) -> int:
    """Check every byte of the artifacts REF, or of all, against their manifests. Exits 2 when one is wrong."""
    from kiban.kit.progress import progress
    from kiban.kit.verify import verify_artifact

    store = _open(store_root, *references)
    with store.in_use():
        folders = [store.find(reference).path for reference in references] or _folders(store)
        sizes = {folder: _bytes(folder) for folder in folders}
        problems = []
        with progress("verify", sum(sizes.values()), "bytes") as shown:
            for folder, size in sizes.items():
                problems += verify_artifact(folder)
                shown.advance(size)
    bad = [asdict(problem) for problem in problems]
    if as_json:
        _print_json({"ok": not bad, "artifacts": len(sizes), "bytes": sum(sizes.values()), "bad": bad})
    else:
        for each in bad:
            click.echo(f"{each['name']} {each['artifact'][:12]}: {each['path']} {each['problem']}")
        if not bad:
            count = f"{len(sizes)} artifact{'' if len(sizes) == 1 else 's'}"
            click.echo(f"{count}, {format_bytes(sum(sizes.values()))}: every byte as recorded")
    return 2 if bad else 0


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option(
    "--partial-older-than",
    metavar="DAYS",
    type=click.FloatRange(min=0),
    default=7,
    show_default=True,
    help="Interrupted work not touched for so long goes too.",
)
@as_json_option
@click.pass_obj
def gc(store_root: Path, dry_run: bool, partial_older_than: float, as_json: bool) -> None:
    """Remove artifacts that no recipe's latest artifacts are made from, and abandoned interrupted work."""
    store = _open(store_root)
    described = {artifact.digest: artifact.manifest.name for artifact in store.all()}
    gone = store.collect(dry_run=dry_run, partial_older_than_s=partial_older_than * 86_400)
    total = sum(size for _, size in gone)
    rows = [
        {
            "digest": path.stem.strip("."),
            "name": described.get(path.stem),
            "what": {"artifacts": "artifact", "plans": "plan"}.get(path.parent.name, "interrupted work"),
            "bytes": size,
        }
        for path, size in gone
    ]
    if as_json:
        _print_json({"dry_run": dry_run, "removed": rows, "bytes": total})
        return
    for row in rows:
        label = row["name"] if row["what"] == "artifact" and row["name"] else row["what"]
        click.echo(f"{str(row['digest'])[:12]}  {format_bytes(int(str(row['bytes']))):>10}  {label}")
    count = "nothing" if not rows else f"{len(rows)} folders, {format_bytes(total)}"
    click.echo(f"{'would remove' if dry_run else 'removed'} {count}")


def _open(root: Path, *references: str) -> Store:
    """The store at `root`. Looking into a store must not make one where there is none."""
    if not (root / "artifacts").is_dir():
        sought = f"no artifact {references[0]!r}: " if references else ""
        raise BadInput(
            f"{sought}there is no store here", where=str(root), hint="give its folder: kiban --store FOLDER …"
        )
    return Store(root)


def _folders(store: Store) -> list[Path]:
    """Every artifact's folder, also of one whose manifest cannot be read."""
    return sorted(path for path in (store.root / "artifacts").iterdir() if DIGEST.fullmatch(path.name))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
